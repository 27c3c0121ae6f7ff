//! Pods leave nodes with NoExecute taints, at once or when their tolerations end (upstream's `tainteviction`).

use std::sync::Arc;
use std::time::Duration;

use client::controller::Outcome;
use client::events::{EventType, Recorder};
use client::informer::Event;
use client::queue::WorkQueue;
use client::{ErrorExt, ObjectKey, Store};
use k8s_openapi::api::core::v1::{ObjectReference, Taint};
use kube::{Client, Error};
use serde_json::json;

use super::{health::BY_NODE, taints};
use crate::api;
use crate::context::{Context, synced};
use crate::views::{Node, Pod};

const COMPONENT: &str = "taint-eviction-controller";

/// When a pod has to leave.
#[derive(Debug, PartialEq)]
enum Leave {
    Never,
    In(Duration),
}

/// Compares a pod's tolerations with the taints of its node.
fn decide(pod: &Pod, node_taints: &[Taint], now: jiff::Timestamp) -> Leave {
    let taints: Vec<&Taint> = node_taints.iter().filter(|taint| taint.effect == "NoExecute").collect();
    let mut soonest: Option<Duration> = None;
    for taint in taints {
        let fitting: Vec<_> =
            pod.spec.tolerations.iter().filter(|toleration| taints::tolerates(toleration, taint)).collect();
        if fitting.is_empty() {
            return Leave::In(Duration::ZERO);
        }
        // A toleration without a time is for ever; of several times the shortest counts.
        let Some(seconds) = fitting.iter().filter_map(|toleration| toleration.toleration_seconds).min()
        else {
            continue;
        };
        let since = taint.time_added.as_ref().map_or(now, |time| time.0);
        let passed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        let left = Duration::from_secs(seconds.max(0) as u64).saturating_sub(passed);
        soonest = Some(soonest.map_or(left, |soonest| soonest.min(left)));
    }
    soonest.map_or(Leave::Never, Leave::In)
}

/// Runs the controller until stopped.
pub async fn run(context: Context) {
    let nodes = context.informers.of::<Node>();
    let pods = context.informers.of::<Pod>();
    pods.store().add_index(BY_NODE, |pod: &Pod| pod.spec.node_name.clone().into_iter().collect());
    let queue = WorkQueue::<ObjectKey>::new();
    if !synced(&context.stop, &[&nodes, &pods]).await {
        return;
    }
    let q = queue.clone();
    let node_store = nodes.store().clone();
    pods.add_handler(move |event| {
        let pod = event.object();
        let tainted = || {
            let node = node_store.get(&ObjectKey::cluster(pod.spec.node_name.as_deref().unwrap_or_default()));
            node.is_some_and(|node| node.spec.taints.iter().any(|taint| taint.effect == "NoExecute"))
        };
        if !matches!(event, Event::Deleted(_)) && tainted() {
            q.add(ObjectKey::of(&pod.metadata));
        }
    });
    let (q, pod_store) = (queue.clone(), pods.store().clone());
    nodes.add_handler(move |event| {
        let execute = |node: &Node| {
            node.spec.taints.iter().filter(|t| t.effect == "NoExecute").cloned().collect::<Vec<_>>()
        };
        let changed = match event {
            Event::Added(node) => !execute(node).is_empty(),
            Event::Updated { old, new } => execute(old) != execute(new),
            Event::Deleted(_) => false,
        };
        if changed {
            for pod in
                pod_store.by_index(BY_NODE, event.object().metadata.name.as_deref().unwrap_or_default())
            {
                q.add(ObjectKey::of(&pod.metadata));
            }
        }
    });
    let controller = Arc::new(Controller {
        client: context.client.clone(),
        recorder: context.recorder.as_component(COMPONENT),
        nodes: nodes.store().clone(),
        pods: pods.store().clone(),
    });
    client::controller::run(COMPONENT, queue, 8, context.stop, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}

struct Controller {
    client: Client,
    recorder: Recorder,
    nodes: Store<Node>,
    pods: Store<Pod>,
}

impl Controller {
    async fn sync(&self, key: &ObjectKey) -> Result<Outcome, Error> {
        let Some(pod) = self.pods.get(key) else { return Ok(Outcome::Done) };
        if pod.metadata.deletion_timestamp.is_some() {
            return Ok(Outcome::Done);
        }
        let name = pod.spec.node_name.as_deref().unwrap_or_default();
        let Some(node) = self.nodes.get(&ObjectKey::cluster(name)) else { return Ok(Outcome::Done) };
        match decide(&pod, &node.spec.taints, client::clock::now()) {
            Leave::Never => Ok(Outcome::Done),
            Leave::In(wait) if !wait.is_zero() => Ok(Outcome::After(wait)),
            Leave::In(_) => self.evict(key, &pod).await.map(|()| Outcome::Done),
        }
    }

    async fn evict(&self, key: &ObjectKey, pod: &Pod) -> Result<(), Error> {
        let about = ObjectReference {
            kind: Some("Pod".into()),
            api_version: Some("v1".into()),
            name: pod.metadata.name.clone(),
            namespace: pod.metadata.namespace.clone(),
            ..Default::default()
        };
        let text = format!("Marking for deletion Pod {key}");
        self.recorder.event_ref(&about, EventType::Normal, "TaintManagerEviction", text);
        let condition = json!({ "conditions": [{
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": client::clock::time(),
        }] });
        match api::patch_status_strategic::<Pod>(&self.client, &pod.metadata, condition).await {
            Ok(_) => {}
            Err(err) if err.is_not_found() || err.is_conflict() => return Ok(()),
            Err(err) => return Err(err),
        }
        api::delete::<Pod>(&self.client, &pod.metadata).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerations_end() {
        let pod = |tolerations: serde_json::Value| -> Pod {
            serde_json::from_value(json!({"spec": {"tolerations": tolerations}})).unwrap()
        };
        let now: jiff::Timestamp = "2020-01-01T00:01:00Z".parse().unwrap();
        let taints: Vec<Taint> = serde_json::from_value(json!([
            {"key": taints::UNREACHABLE, "effect": "NoExecute", "timeAdded": "2020-01-01T00:00:00Z"},
            {"key": "other", "effect": "NoSchedule"}]))
        .unwrap();
        let five_minutes = json!([{"key": taints::UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]);
        assert_eq!(decide(&pod(json!([])), &taints, now), Leave::In(Duration::ZERO));
        assert_eq!(decide(&pod(five_minutes.clone()), &taints, now), Leave::In(Duration::from_secs(240)));
        assert_eq!(decide(&pod(json!([{"operator": "Exists"}])), &taints, now), Leave::Never);
        assert_eq!(decide(&pod(five_minutes), &[], now), Leave::Never);
    }
}
