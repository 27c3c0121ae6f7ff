//! Sending statuses. A task of its own per pod: the API server may be away for long while the pod needs care.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use crate::labels::PodRef;

/// Waits between tries.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(30);

enum Order {
    Idle,
    Status(Box<PodStatus>),
    Delete(Option<oneshot::Sender<()>>, Option<Box<PodStatus>>),
}

/// The way to the API server for one pod.
pub struct Publisher {
    order: Arc<watch::Sender<Order>>,
}

impl Publisher {
    /// Starts the task; it ends with the publisher.
    pub fn start(client: kube::Client, id: PodRef) -> Self {
        let order = Arc::new(watch::channel(Order::Idle).0);
        let receiver = order.subscribe();
        tokio::spawn(serve(client, id, receiver, Arc::downgrade(&order)));
        Self { order }
    }

    /// Only the newest status counts.
    pub fn send(&self, status: PodStatus) {
        self.order.send_replace(Order::Status(Box::new(status)));
    }

    /// Sends what has not been sent yet, then deletes the object. Returns when it is gone.
    pub async fn delete(&self) {
        let (done, wait) = oneshot::channel();
        self.order.send_modify(|order| {
            let last = match std::mem::replace(order, Order::Idle) {
                Order::Status(status) => Some(status),
                _ => None,
            };
            *order = Order::Delete(Some(done), last);
        });
        let _ = wait.await;
    }
}

/// Equal but for what only the API server or others set?
pub fn same(known: &PodStatus, new: &PodStatus) -> bool {
    let view = |status: &PodStatus| -> Value {
        let mut value = serde_json::to_value(status).unwrap_or_default();
        if let Some(list) = value.get_mut("conditions").and_then(Value::as_array_mut) {
            let ours =
                ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
            list.retain(|c| ours.iter().any(|o| c["type"] == **o));
            for condition in list.iter_mut() {
                if let Some(map) = condition.as_object_mut() {
                    map.remove("lastProbeTime");
                }
            }
            list.sort_by_key(|c| c["type"].as_str().map(str::to_owned));
        }
        if let Some(map) = value.as_object_mut() {
            for foreign in
                ["nominatedNodeName", "resize", "resources", "allocatedResources", "resourceClaimStatuses"]
            {
                map.remove(foreign);
            }
        }
        value
    };
    view(known) == view(new)
}

async fn serve(
    client: kube::Client,
    id: PodRef,
    mut orders: watch::Receiver<Order>,
    sender: std::sync::Weak<watch::Sender<Order>>,
) {
    let api: Api<Pod> = Api::namespaced(client, &id.namespace);
    let mut pause = RETRY_MIN;
    while orders.changed().await.is_ok() {
        loop {
            // Taken out, so that a status that was sent is not sent again.
            let Some(slot) = sender.upgrade() else { return };
            let mut order = Order::Idle;
            slot.send_if_modified(|now| {
                order = std::mem::replace(now, Order::Idle);
                false
            });
            drop(slot);
            let failed = match order {
                Order::Idle => break,
                Order::Status(status) => match patch(&api, &id, &status).await {
                    Ok(()) => None,
                    Err(e) => Some((e, Order::Status(status))),
                },
                Order::Delete(done, last) => {
                    let sent = match &last {
                        Some(status) => patch(&api, &id, status).await,
                        None => Ok(()),
                    };
                    let result = match sent {
                        Ok(()) => delete(&api, &id).await,
                        Err(e) => Err(e),
                    };
                    match result {
                        Ok(()) => {
                            if let Some(done) = done {
                                let _ = done.send(());
                            }
                            return;
                        }
                        Err(e) => Some((e, Order::Delete(done, last))),
                    }
                }
            };
            let Some((error, order)) = failed else {
                pause = RETRY_MIN;
                continue;
            };
            tracing::warn!(pod = %id, "Failed to update status for pod: {}", client::GoError(&error));
            let Some(slot) = sender.upgrade() else { return };
            // Put back unless something newer came meanwhile.
            slot.send_if_modified(|now| {
                if matches!(now, Order::Idle) {
                    *now = order;
                } else if let (Order::Delete(_, last @ None), Order::Status(status)) = (&mut *now, order) {
                    *last = Some(status);
                }
                false
            });
            drop(slot);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }
}

/// The status as a strategic merge patch. Its lists of addresses merge by address: without the directive a new sandbox's
/// address would join the old one, and the server refuses two of one family.
fn replacing_addresses(status: &PodStatus) -> Value {
    let mut status = json!(status);
    for field in ["podIPs", "hostIPs"] {
        if let Some(list) = status.get_mut(field).and_then(Value::as_array_mut) {
            list.insert(0, json!({"$patch": "replace"}));
        }
    }
    status
}

async fn patch(api: &Api<Pod>, id: &PodRef, status: &PodStatus) -> Result<(), kube::Error> {
    let body = json!({"metadata": {"uid": id.uid}, "status": replacing_addresses(status)});
    match api.patch_status(&id.name, &PatchParams::default(), &Patch::Strategic(body)).await {
        Ok(_) => Ok(()),
        Err(e) if is_over(&e) => Ok(()),
        Err(e) => Err(e),
    }
}

async fn delete(api: &Api<Pod>, id: &PodRef) -> Result<(), kube::Error> {
    let preconditions = Preconditions { uid: Some(id.uid.clone()), resource_version: None };
    let params = DeleteParams {
        grace_period_seconds: Some(0),
        preconditions: Some(preconditions),
        ..DeleteParams::default()
    };
    match api.delete(&id.name, &params).await {
        Ok(_) => Ok(()),
        Err(e) if is_over(&e) => Ok(()),
        Err(e) => Err(e),
    }
}

/// The object is gone or another one has its name: nothing to say any more. A refusal as invalid will not become valid.
fn is_over(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) if status.code == 422 || status.code == 400 => {
            tracing::error!("the API server refuses a pod's status: {}", status.message);
            true
        }
        // Another object has the name. Any other conflict is a write that came in between: it is tried again.
        kube::Error::Api(status) if status.code == 409 => status.message.to_lowercase().contains("uid"),
        kube::Error::Api(status) => status.code == 404,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After a pod got a new sandbox with another address, its status was refused for ever.
    #[test]
    fn addresses_replace_the_old_ones() {
        let status = serde_json::from_value(json!({"podIPs": [{"ip": "10.5.1.3"}]})).unwrap();
        assert_eq!(
            replacing_addresses(&status)["podIPs"],
            json!([{"$patch": "replace"}, {"ip": "10.5.1.3"}])
        );
    }

    /// A status that met a conflict right after the API server's restart was dropped: the pod stayed "Completed".
    #[test]
    fn a_conflict_is_over_only_when_the_object_is_another_one() {
        let conflict = |message: &str| {
            kube::Error::Api(Box::new(kube::core::Status {
                code: 409,
                message: message.to_owned(),
                ..Default::default()
            }))
        };
        assert!(!is_over(&conflict(
            "the object has been modified; please apply your changes to the latest version"
        )));
        assert!(is_over(&conflict("Precondition failed: UID in precondition: a, UID in object meta: b")));
    }

    #[test]
    fn conditions_of_others_do_not_count() {
        let status =
            |list: Value| -> PodStatus { serde_json::from_value(json!({"conditions": list})).unwrap() };
        let ours = json!({"type": "Ready", "status": "True"});
        let gate = json!({"type": "example.com/gate", "status": "True"});
        assert!(same(&status(json!([ours, gate])), &status(json!([ours]))));
        assert!(!same(&status(json!([])), &status(json!([ours]))));
    }
}
