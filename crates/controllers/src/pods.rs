//! Questions about pods that several controllers ask (upstream's `controller_utils.go` and `pkg/api/v1/pod`).

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use client::events::{EventType, Recorder};
use client::{ErrorExt, GoError};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodCondition;
use kube::{Client, Error};
use serde_json::{Value, json};

use crate::api::{self, Kind};
use crate::owners;
use crate::views::Pod;

/// The phase, or an empty string.
pub fn phase(pod: &Pod) -> &str {
    pod.status.phase.as_deref().unwrap_or_default()
}

/// Succeeded or failed: it will not run again.
pub fn is_terminal(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Neither over nor being deleted.
pub fn is_active(pod: &Pod) -> bool {
    !is_terminal(pod) && pod.metadata.deletion_timestamp.is_none()
}

/// A condition by type.
pub fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.conditions.iter().find(|condition| condition.type_ == kind)
}

/// Whether the pod's Ready condition is true.
pub fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready.status == "True")
}

fn ready_since(pod: &Pod) -> Option<Timestamp> {
    condition(pod, "Ready")
        .filter(|ready| ready.status == "True")?
        .last_transition_time
        .as_ref()
        .map(|time| time.0)
}

/// Whether the pod has been ready for at least `min_ready`.
pub fn is_available(pod: &Pod, min_ready: Duration, now: Timestamp) -> bool {
    is_ready(pod)
        && (min_ready.is_zero() || available_in(pod, min_ready, now).is_some_and(|left| left.is_zero()))
}

/// How long until a ready pod counts as available.
pub fn available_in(pod: &Pod, min_ready: Duration, now: Timestamp) -> Option<Duration> {
    let ready = Duration::try_from(now.duration_since(ready_since(pod)?)).unwrap_or_default();
    Some(min_ready.saturating_sub(ready))
}

/// Sorts pods so that those to delete first come first (upstream's `ActivePodsWithRanks`).
pub fn sort_for_deletion(pods: &mut [Arc<Pod>]) {
    let mut on_node: HashMap<Option<String>, usize> = HashMap::new();
    for pod in pods.iter() {
        *on_node.entry(pod.spec.node_name.clone()).or_default() += 1;
    }
    let assigned = |pod: &Pod| pod.spec.node_name.as_ref().is_some_and(|node| !node.is_empty());
    let phase_rank = |pod: &Pod| match phase(pod) {
        "Unknown" => 1,
        "Running" => 2,
        _ => 0,
    };
    let cost = |pod: &Pod| {
        let text = pod.metadata.annotations.as_ref()?.get("controller.kubernetes.io/pod-deletion-cost")?;
        text.parse::<i32>().ok()
    };
    let restarts = |pod: &Pod| {
        pod.status.container_statuses.iter().map(|status| status.restart_count).max().unwrap_or(0)
    };
    // Times are compared by their order of magnitude, so that the choice does not always fall on the newest pod's node.
    let now = client::clock::now();
    let age = |time: Option<Timestamp>| {
        let seconds = time.map_or(0, |time| now.duration_since(time).as_secs()).max(0);
        (time.is_some(), 64 - (seconds as u64).leading_zeros())
    };
    let created = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    pods.sort_by(|a, b| {
        assigned(a)
            .cmp(&assigned(b))
            .then_with(|| phase_rank(a).cmp(&phase_rank(b)))
            .then_with(|| is_ready(a).cmp(&is_ready(b)))
            .then_with(|| cost(a).unwrap_or(0).cmp(&cost(b).unwrap_or(0)))
            .then_with(|| on_node.get(&b.spec.node_name).cmp(&on_node.get(&a.spec.node_name)))
            .then_with(|| {
                if is_ready(a) && is_ready(b) {
                    age(ready_since(a)).cmp(&age(ready_since(b)))
                } else {
                    Ordering::Equal
                }
            })
            .then_with(|| restarts(b).cmp(&restarts(a)))
            .then_with(|| age(created(a)).cmp(&age(created(b))))
            .then_with(|| a.metadata.uid.cmp(&b.metadata.uid))
    });
}

/// The pod that `template` describes, owned by `owner`, as JSON for create. `name` is absent: the API server makes one
/// from the owner's.
pub fn from_template<O: Kind>(owner: &O, template: &Value, name: Option<&str>) -> Value {
    let meta = owner.meta();
    let mut metadata = json!({ "ownerReferences": [owners::reference(owner)] });
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.pointer(&format!("/metadata/{field}")).filter(|value| !value.is_null())
        {
            metadata[field] = value.clone();
        }
    }
    match name {
        Some(name) => metadata["name"] = name.into(),
        None => metadata["generateName"] = format!("{}-", meta.name.as_deref().unwrap_or_default()).into(),
    }
    if let Some(namespace) = &meta.namespace {
        metadata["namespace"] = namespace.clone().into();
    }
    json!({ "metadata": metadata, "spec": template.get("spec").cloned().unwrap_or_default() })
}

/// Creates a pod for `owner` and tells it as an event of the owner.
pub async fn create<O: Kind>(
    client: &Client,
    recorder: &Recorder,
    owner: &O,
    pod: Value,
) -> Result<Pod, Error> {
    match api::create::<Pod>(client, owner.meta().namespace.as_deref(), pod).await {
        Ok(pod) => {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            recorder.event(owner, EventType::Normal, "SuccessfulCreate", format!("Created pod: {name}"));
            Ok(pod)
        }
        Err(err) => {
            if !err.is_namespace_terminating() {
                let text = format!("Error creating: {}", GoError(&err));
                recorder.event(owner, EventType::Warning, "FailedCreate", text);
            }
            Err(err)
        }
    }
}

/// Deletes a pod of `owner` and tells it as an event of the owner.
pub async fn delete<O: Kind>(
    client: &Client,
    recorder: &Recorder,
    owner: &O,
    pod: &Pod,
) -> Result<(), Error> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    match api::delete::<Pod>(client, &pod.metadata).await {
        Ok(()) => {
            recorder.event(owner, EventType::Normal, "SuccessfulDelete", format!("Deleted pod: {name}"));
            Ok(())
        }
        Err(err) => {
            let text = format!("Error deleting: {}", GoError(&err));
            recorder.event(owner, EventType::Warning, "FailedDelete", text);
            Err(err)
        }
    }
}

/// Runs `count` calls in batches of 1, 2, 4, …: when something is wrong with all of them, few are made in vain.
/// Gives back how many succeeded, and the first error (upstream's `slowStartBatch`).
pub async fn slow_start<F, Fut>(count: usize, call: F) -> (usize, Option<Error>)
where
    F: Fn(usize) -> Fut,
    Fut: Future<Output = Result<(), Error>>,
{
    let mut done = 0;
    let mut batch = 1;
    while done < count {
        let size = batch.min(count - done);
        let results = futures::future::join_all((done..done + size).map(&call)).await;
        let mut failed = None;
        let mut succeeded = 0;
        for result in results {
            match result {
                Ok(()) => succeeded += 1,
                Err(err) => failed = failed.or(Some(err)),
            }
        }
        done += succeeded;
        if failed.is_some() {
            return (done, failed);
        }
        batch *= 2;
    }
    (done, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(json: Value) -> Arc<Pod> {
        Arc::new(serde_json::from_value(json).unwrap())
    }

    #[test]
    fn unassigned_then_pending_then_unready_pods_go_first() {
        let ready =
            json!([{"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}]);
        let mut pods = vec![
            pod(
                json!({"metadata": {"name": "ready"}, "spec": {"nodeName": "n"}, "status": {"phase": "Running", "conditions": ready}}),
            ),
            pod(
                json!({"metadata": {"name": "unready"}, "spec": {"nodeName": "n"}, "status": {"phase": "Running"}}),
            ),
            pod(
                json!({"metadata": {"name": "pending"}, "spec": {"nodeName": "n"}, "status": {"phase": "Pending"}}),
            ),
            pod(json!({"metadata": {"name": "unassigned"}, "spec": {}, "status": {"phase": "Pending"}})),
        ];
        sort_for_deletion(&mut pods);
        let names: Vec<_> = pods.iter().map(|pod| pod.metadata.name.clone().unwrap()).collect();
        assert_eq!(names, ["unassigned", "pending", "unready", "ready"]);
    }

    #[test]
    fn availability_waits_for_min_ready() {
        let now: Timestamp = "2020-01-01T00:01:00Z".parse().unwrap();
        let pod = pod(
            json!({"status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:30Z"}]}}),
        );
        assert!(is_available(&pod, Duration::ZERO, now));
        assert!(!is_available(&pod, Duration::from_secs(40), now));
        assert_eq!(available_in(&pod, Duration::from_secs(40), now), Some(Duration::from_secs(10)));
    }

    #[tokio::test]
    async fn slow_start_stops_at_the_first_bad_batch() {
        let calls = std::cell::Cell::new(0);
        let refuse = || Error::Api(Box::new(kube::core::Status::failure("no", "Forbidden")));
        let (done, err) = slow_start(100, |n| {
            calls.set(calls.get() + 1);
            std::future::ready(if n < 3 { Ok(()) } else { Err(refuse()) })
        })
        .await;
        assert!(err.is_some());
        assert_eq!((done, calls.get()), (3, 7));
    }
}
