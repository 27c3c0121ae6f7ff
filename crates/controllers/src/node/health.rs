//! Watches heartbeats: a node whose status and lease do not change for the grace period is Unknown
//! (upstream's `node_lifecycle_controller.go`).
//!
//! Only our own clock counts: what matters is when we saw the heartbeat change, not what time the node says it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use client::events::{EventType, Recorder};
use client::informer::Event;
use client::queue::WorkQueue;
use client::{ErrorExt, GoError, ObjectKey, Store};
use k8s_openapi::api::core::v1::{NodeCondition, ObjectReference};
use kube::{Client, Error};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::taints;
use crate::context::{Context, synced};
use crate::views::{Lease, Node, Pod};
use crate::{api, pods};

const COMPONENT: &str = "node-controller";
/// Conditions that become Unknown with the node.
const CONDITIONS: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// What was last seen of a node.
#[derive(Clone, Debug, PartialEq)]
struct Pulse {
    heartbeat: Option<jiff::Timestamp>,
    renewed: Option<jiff::Timestamp>,
    ready: Option<String>,
}

struct Seen {
    pulse: Pulse,
    at: Instant,
}

/// The conditions of a node that fell silent; `None` when they say so already.
fn silenced(node: &Node, now: &jiff::Timestamp) -> Option<Vec<NodeCondition>> {
    let mut conditions = node.status.conditions.clone();
    let time = || Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(*now));
    let mut changed = false;
    for kind in CONDITIONS {
        match conditions.iter_mut().find(|condition| condition.type_ == kind) {
            Some(condition) if condition.status == "Unknown" => {}
            Some(condition) => {
                condition.status = "Unknown".into();
                condition.reason = Some("NodeStatusUnknown".into());
                condition.message = Some("Kubelet stopped posting node status.".into());
                condition.last_transition_time = time();
                changed = true;
            }
            None => {
                let created = node.metadata.creation_timestamp.clone();
                conditions.push(NodeCondition {
                    type_: kind.into(),
                    status: "Unknown".into(),
                    reason: Some("NodeStatusNeverUpdated".into()),
                    message: Some("Kubelet never posted node status.".into()),
                    last_heartbeat_time: created,
                    last_transition_time: time(),
                });
                changed = true;
            }
        }
    }
    changed.then_some(conditions)
}

/// Runs the controller until stopped.
pub async fn run(context: Context) {
    let nodes = context.informers.of::<Node>();
    let leases = context.informers.of::<Lease>();
    let pods = context.informers.of::<Pod>();
    pods.store().add_index(BY_NODE, |pod: &Pod| pod.spec.node_name.clone().into_iter().collect());
    if !synced(&context.stop, &[&nodes, &leases, &pods]).await {
        return;
    }
    let queue = WorkQueue::<ObjectKey>::new();
    let controller = Arc::new(Controller {
        client: context.client.clone(),
        recorder: context.recorder.as_component(COMPONENT),
        pods: pods.store().clone(),
        nodes: nodes.store().clone(),
        queue: queue.clone(),
    });
    // Taints follow conditions at once; silence is found by the clock.
    let c = controller.clone();
    nodes.add_handler(move |event| {
        let node = event.object();
        let name = node.metadata.name.as_deref().unwrap_or_default();
        match event {
            Event::Added(_) => c.tell(
                node,
                "RegisteredNode",
                format!("Node {name} event: Registered Node {name} in Controller"),
            ),
            Event::Deleted(_) => c.tell(
                node,
                "RemovingNode",
                format!("Node {name} event: Removing Node {name} from Controller"),
            ),
            Event::Updated { .. } => {}
        }
        c.queue.add(ObjectKey::of(&node.metadata));
    });
    let c = controller.clone();
    let worker = client::controller::run(COMPONENT, queue, 2, context.stop.clone(), move |key| {
        let controller = controller.clone();
        async move { controller.follow(&key).await }
    });
    let monitor = c.monitor(&context, leases.store().clone());
    tokio::select! {
        () = worker => {}
        () = monitor => {}
    }
}

pub(super) const BY_NODE: &str = "node";

struct Controller {
    client: Client,
    recorder: Recorder,
    pods: Store<Pod>,
    nodes: Store<Node>,
    queue: WorkQueue<ObjectKey>,
}

impl Controller {
    fn tell(&self, node: &Node, reason: &str, text: String) {
        let about = ObjectReference {
            kind: Some("Node".into()),
            api_version: Some("v1".into()),
            name: node.metadata.name.clone(),
            uid: node.metadata.uid.clone(),
            ..Default::default()
        };
        self.recorder.event_ref(&about, EventType::Normal, reason, text);
    }

    /// Looks at all nodes again and again.
    async fn monitor(&self, context: &Context, leases: Store<Lease>) {
        let options = &context.options;
        let mut seen: HashMap<String, Seen> = HashMap::new();
        let mut tick = tokio::time::interval(options.node_monitor_period.max(Duration::from_millis(100)));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = context.stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let nodes = self.nodes.list();
            seen.retain(|name, _| self.nodes.get(&ObjectKey::cluster(name.as_str())).is_some());
            for node in nodes {
                let name = node.metadata.name.clone().unwrap_or_default();
                let lease = leases.get(&ObjectKey::new("kube-node-lease", name.as_str()));
                let ready = taints::condition(&node.status.conditions, "Ready");
                let pulse = Pulse {
                    heartbeat: ready.and_then(|ready| ready.last_heartbeat_time.as_ref()).map(|time| time.0),
                    renewed: lease.and_then(|lease| lease.spec.renew_time.as_ref().map(|time| time.0)),
                    ready: ready.map(|ready| ready.status.clone()),
                };
                let now = Instant::now();
                // Being told Unknown by us is no sign of life.
                let alive = |old: &Pulse| {
                    old.heartbeat != pulse.heartbeat
                        || old.renewed != pulse.renewed
                        || old.ready != pulse.ready && pulse.ready.as_deref() != Some("Unknown")
                };
                let entry =
                    seen.entry(name.clone()).or_insert_with(|| Seen { pulse: pulse.clone(), at: now });
                if alive(&entry.pulse) {
                    entry.at = now;
                }
                entry.pulse = pulse;
                let grace = if ready.is_none() {
                    options.node_startup_grace_period
                } else {
                    options.node_monitor_grace_period
                };
                if entry.at.elapsed() <= grace {
                    continue;
                }
                if let Err(err) = self.silence(&node).await {
                    tracing::warn!("cannot mark node {name} as unknown: {}", GoError(&err));
                }
            }
        }
    }

    async fn silence(&self, node: &Node) -> Result<(), Error> {
        let Some(conditions) = silenced(node, &client::clock::time().0) else { return Ok(()) };
        match api::patch_status::<Node>(&self.client, &node.metadata, json!({ "conditions": conditions }))
            .await
        {
            Ok(_) => {
                let name = node.metadata.name.as_deref().unwrap_or_default();
                self.tell(node, "NodeNotReady", format!("Node {name} status is now: NodeNotReady"));
                Ok(())
            }
            Err(err) if err.is_conflict() || err.is_not_found() => Ok(()),
            Err(err) => Err(err),
        }
    }

    /// Makes taints and the pods' readiness follow a node's conditions.
    async fn follow(&self, key: &ObjectKey) -> Result<client::controller::Outcome, Error> {
        let Some(node) = self.nodes.get(key) else { return Ok(client::controller::Outcome::Done) };
        if let Some(taints) = taints::wanted(&node, &node.status.conditions, &client::clock::time().0) {
            let taints = if taints.is_empty() { Value::Null } else { json!(taints) };
            match api::patch::<Node>(&self.client, &node.metadata, json!({ "spec": { "taints": taints } }))
                .await
            {
                Err(err) if err.is_not_found() => {}
                result => {
                    result?;
                }
            }
        }
        let ready = taints::condition(&node.status.conditions, "Ready");
        if ready.is_some_and(|ready| ready.status != "True") {
            for pod in self.pods.by_index(BY_NODE, &key.name) {
                self.unready(&pod).await?;
            }
        }
        Ok(client::controller::Outcome::Done)
    }

    /// A pod on a lost node gets no traffic (upstream's `MarkPodsNotReady`).
    async fn unready(&self, pod: &Pod) -> Result<(), Error> {
        if !pods::is_ready(pod) {
            return Ok(());
        }
        let conditions =
            json!([{ "type": "Ready", "status": "False", "lastTransitionTime": client::clock::time() }]);
        match api::patch_status_strategic::<Pod>(
            &self.client,
            &pod.metadata,
            json!({ "conditions": conditions }),
        )
        .await
        {
            Ok(_) => {}
            Err(err) if err.is_conflict() || err.is_not_found() => return Ok(()),
            Err(err) => return Err(err),
        }
        self.recorder.event(pod, EventType::Warning, "NodeNotReady", "Node is not ready");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_node_is_unknown_once() {
        let mut node: Node = serde_json::from_value(json!({"status": {"conditions": [
            {"type": "Ready", "status": "True", "lastHeartbeatTime": "2020-01-01T00:00:00Z"}]}}))
        .unwrap();
        let now = client::clock::now();
        let conditions = silenced(&node, &now).unwrap();
        assert_eq!(conditions.len(), 4);
        assert_eq!(conditions[0].message.as_deref(), Some("Kubelet stopped posting node status."));
        assert_eq!(conditions[1].reason.as_deref(), Some("NodeStatusNeverUpdated"));
        node.status.conditions = conditions;
        assert!(silenced(&node, &now).is_none());
    }
}
