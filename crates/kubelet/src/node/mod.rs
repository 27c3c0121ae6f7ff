//! The Node object: registered once, its lease renewed every quarter of its duration, its status posted when something
//! changed and every five minutes (upstream's `kubelet_node_status.go`, `pkg/kubelet/nodestatus`).

pub mod facts;
pub mod lease;
pub mod status;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::events::EventType;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeSpec, NodeStatus, ObjectReference, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use facts::Facts;

/// What the Node is registered with.
#[derive(Clone, Debug, Default)]
pub struct Registration {
    /// `--node-labels`.
    pub labels: BTreeMap<String, String>,
    /// `--register-with-taints`.
    pub taints: Vec<Taint>,
}

/// Reads `a=b`.
pub fn parse_label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| {
        format!("invalid argument {text:?} for \"--node-labels\" flag: malformed pair, expect string=string")
    })?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// Reads `key=value:effect` and `key:effect`.
pub fn parse_taint(text: &str) -> Result<Taint, String> {
    let invalid = || {
        format!("invalid argument {text:?} for \"--register-with-taints\" flag: invalid taint spec: {text}")
    };
    let (pair, effect) = text.rsplit_once(':').ok_or_else(invalid)?;
    if !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
        return Err(format!("{}: unsupported taint effect {effect:?}", invalid()));
    }
    let (key, value) = pair.split_once('=').map_or((pair, None), |(k, v)| (k, Some(v.to_owned())));
    Ok(Taint { key: key.to_owned(), value, effect: effect.to_owned(), time_added: None })
}

/// The node as events refer to it: its uid is its name, as upstream's are.
pub fn reference(name: &str) -> ObjectReference {
    ObjectReference {
        kind: Some("Node".into()),
        api_version: Some("v1".into()),
        name: Some(name.to_owned()),
        uid: Some(name.to_owned()),
        ..ObjectReference::default()
    }
}

/// Keeps the Node up to date until `stop`.
pub async fn run(
    context: Arc<Context>,
    registration: Registration,
    mut runtime_well: watch::Receiver<bool>,
    lost: watch::Sender<u64>,
    stop: CancellationToken,
) {
    let name = context.owner.node.clone();
    let facts = Facts::read(&context).await;
    let mut keeper = Keeper {
        api: Api::all(context.client.clone()),
        name: name.clone(),
        facts,
        registration,
        sent: None,
        context: context.clone(),
    };
    context.recorder.event_ref(&reference(&name), EventType::Normal, "Starting", "Starting kubelet.");
    let mut is_lost = lost.subscribe();
    let mut lease = None;
    let mut network = context.network.changes();
    let mut failures: u32 = 0;
    loop {
        let well = *runtime_well.borrow_and_update();
        network.mark_unchanged();
        let pause = match keeper.tick(well).await {
            Ok(()) => {
                failures = 0;
                // The lease belongs to the Node, so it comes after it.
                lease.get_or_insert_with(|| {
                    tokio::spawn(lease::keep(context.clone(), lost.clone(), stop.clone()))
                });
                context.config.status_update
            }
            Err(e) => {
                // The first lines matter; an API server that stays away is worth one a minute.
                if failures < 3 || failures.is_multiple_of(12) {
                    tracing::warn!(
                        node = name,
                        "Unable to register or update the node, trying again: {}",
                        client::GoError(&e)
                    );
                }
                failures += 1;
                Duration::from_millis(200 * 2_u64.pow(failures.min(5))).min(Duration::from_secs(5))
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
            _ = is_lost.changed() => keeper.sent = None,
            _ = network.changed() => {}
            _ = runtime_well.changed() => {}
        }
    }
    if let Some(lease) = lease {
        let _ = lease.await;
    }
}

struct Keeper {
    api: Api<Node>,
    name: String,
    facts: Facts,
    registration: Registration,
    /// The status last posted, and when.
    sent: Option<(NodeStatus, Timestamp)>,
    context: Arc<Context>,
}

impl Keeper {
    async fn tick(&mut self, runtime_well: bool) -> Result<(), kube::Error> {
        if self.sent.is_none() {
            self.register().await?;
        }
        let now = client::clock::now();
        let network = self.context.network.ready();
        let before = self.sent.as_ref().map(|(status, _)| status);
        let due = self.sent.as_ref().is_none_or(|(_, at)| {
            Duration::try_from(now.duration_since(*at)).unwrap_or_default()
                >= self.context.config.status_report
        });
        if due && runtime_well {
            self.facts.refresh_images(&self.context).await;
        }
        let new = status::status(&self.facts, &network, runtime_well, before, now);
        if !due && before.is_some_and(|before| status::same(before, &new)) {
            return Ok(());
        }
        let patch = json!({"status": new});
        match self.api.patch_status(&self.name, &PatchParams::default(), &Patch::Strategic(patch)).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {
                // Somebody deleted the node: it registers again, as a restarted kubelet would.
                self.sent = None;
                return Err(kube::Error::Api(status));
            }
            Err(e) => return Err(e),
        }
        self.say_transitions(&new);
        self.sent = Some((new, now));
        Ok(())
    }

    fn say_transitions(&self, new: &NodeStatus) {
        let of = |status: &NodeStatus, kind: &str| -> Option<String> {
            status.conditions.iter().flatten().find(|c| c.type_ == kind).map(|c| c.status.clone())
        };
        let before = self.sent.as_ref().map(|(status, _)| status);
        for (kind, when_true, when_false) in status::EVENTS {
            let now = of(new, kind);
            if now == before.and_then(|b| of(b, kind)) {
                continue;
            }
            let event = if now.as_deref() == Some("True") { when_true } else { when_false };
            let text = format!("Node {} status is now: {event}", self.name);
            self.context.recorder.event_ref(&reference(&self.name), EventType::Normal, event, text);
        }
    }

    /// Creates the Node, or takes over the one that is there.
    async fn register(&mut self) -> Result<(), kube::Error> {
        let labels = self.labels();
        let node = Node {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                labels: Some(labels.clone()),
                annotations: Some(
                    [(
                        "volumes.kubernetes.io/controller-managed-attach-detach".to_owned(),
                        "true".to_owned(),
                    )]
                    .into(),
                ),
                ..ObjectMeta::default()
            },
            spec: Some(NodeSpec {
                taints: (!self.registration.taints.is_empty()).then(|| self.registration.taints.clone()),
                ..NodeSpec::default()
            }),
            status: Some(status::status(
                &self.facts,
                &self.context.network.ready(),
                true,
                None,
                client::clock::now(),
            )),
        };
        if self.context.config.register_node {
            match self.api.create(&PostParams::default(), &node).await {
                Ok(_) => {
                    tracing::info!(node = self.name, "Successfully registered node");
                    return Ok(());
                }
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(e) => return Err(e),
            }
        }
        let found = self.api.get(&self.name).await?;
        tracing::info!(node = self.name, "Node was previously registered");
        let present = found.metadata.labels.unwrap_or_default();
        if labels.iter().any(|(k, v)| present.get(k) != Some(v)) {
            let patch = json!({"metadata": {"labels": labels}});
            self.api.patch(&self.name, &PatchParams::default(), &Patch::Strategic(patch)).await?;
        }
        // Known conditions keep their transition times, and no event is said twice.
        if let Some(status) = found.status {
            self.sent = Some((status, Timestamp::UNIX_EPOCH));
        }
        Ok(())
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let arch = component_base::version::go_arch();
        let mut labels: BTreeMap<String, String> = [
            ("kubernetes.io/hostname", self.facts.hostname.as_str()),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", arch),
            ("beta.kubernetes.io/os", "linux"),
            ("beta.kubernetes.io/arch", arch),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
        labels.extend(self.registration.labels.clone());
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read() {
        assert_eq!(parse_label("a=b").unwrap(), ("a".into(), "b".into()));
        assert!(parse_label("a").is_err());
        let taint = parse_taint("k=v:NoSchedule").unwrap();
        assert_eq!((taint.key.as_str(), taint.value.as_deref()), ("k", Some("v")));
        assert_eq!(parse_taint("k:NoExecute").unwrap().value, None);
        assert!(parse_taint("k=v:Never").is_err());
    }
}
