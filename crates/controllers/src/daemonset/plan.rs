//! Which daemon pods come, go and are replaced.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::fit::{self, Fitness};
use crate::deployment::sizes::scaled;
use crate::views::{DaemonSet, DaemonSetStatus, Node, Pod};
use crate::{history, pods};

type ByNode = HashMap<String, Vec<Arc<Pod>>>;

/// Writes of one sync.
#[derive(Default)]
pub(super) struct Plan {
    /// Nodes that get a pod.
    pub(super) create: Vec<String>,
    /// Pods that go.
    pub(super) delete: Vec<Arc<Pod>>,
    /// Those of them that ended by themselves, with their node.
    pub(super) failed: Vec<(Arc<Pod>, String)>,
}

/// How long a failed pod stays before it is replaced: a kubelet may refuse each new one at once.
const FAILED_PAUSE: Duration = Duration::from_secs(1);

fn name(node: &Node) -> &str {
    node.metadata.name.as_deref().unwrap_or_default()
}

/// One pod per fitting node, none elsewhere.
pub(super) fn manage(nodes: &[Arc<Node>], by_node: &ByNode, fitness: &Fitness, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    for node in nodes {
        let name = name(node);
        let (should_run, may_stay) = fitness.on(node);
        let pods = by_node.get(name).map(Vec::as_slice).unwrap_or_default();
        if pods.is_empty() {
            if should_run {
                plan.create.push(name.to_owned());
            }
            continue;
        }
        let living = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        if !may_stay {
            plan.delete.extend(living.cloned());
            continue;
        }
        let (ended, mut running): (Vec<&Arc<Pod>>, Vec<&Arc<Pod>>) =
            living.partition(|pod| pods::is_terminal(pod));
        for pod in ended {
            let age = pod.metadata.creation_timestamp.as_ref().map(|time| now.duration_since(time.0));
            if age.is_none_or(|age| Duration::try_from(age).unwrap_or_default() >= FAILED_PAUSE) {
                plan.failed.push((pod.clone(), name.to_owned()));
                plan.delete.push(pod.clone());
            }
        }
        fit::oldest_first(&mut running);
        plan.delete.extend(running.into_iter().skip(1).cloned());
    }
    // Pods on nodes that are gone belong to the pod garbage collector.
    plan
}

fn is_current(pod: &Pod, hash: &str) -> bool {
    pod.metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(history::LABEL))
        .is_some_and(|label| label == hash)
}

/// Old pods to delete so that new ones take their places, within the limit of what may be unavailable.
pub(super) fn replace(
    set: &DaemonSet,
    nodes: &[Arc<Node>],
    by_node: &ByNode,
    fitness: &Fitness,
    hash: &str,
    now: Timestamp,
) -> Vec<Arc<Pod>> {
    let desired = nodes.iter().filter(|node| fitness.on(node).0).count() as i32;
    let rolling = set.spec.update_strategy.rolling_update.as_ref();
    let limit = scaled(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), desired, true)
        .unwrap_or(1)
        .max(1);
    let min_ready = Duration::from_secs(set.spec.min_ready_seconds.unwrap_or(0).max(0) as u64);
    let mut unavailable = 0;
    let (mut at_once, mut candidates) = (Vec::new(), Vec::new());
    let mut names: Vec<&String> = by_node.keys().collect();
    names.sort();
    for pods in names.into_iter().filter_map(|name| by_node.get(name)) {
        let living: Vec<_> = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect();
        match living.as_slice() {
            [pod] => {
                let available = pods::is_available(pod, min_ready, now);
                match (is_current(pod, hash), available) {
                    (true, true) => {}
                    (true, false) => unavailable += 1,
                    (false, true) => candidates.push(Arc::clone(pod)),
                    (false, false) => {
                        unavailable += 1;
                        at_once.push(Arc::clone(pod));
                    }
                }
            }
            _ => unavailable += 1,
        }
    }
    let room = (limit - unavailable).max(0) as usize;
    at_once.extend(candidates.into_iter().take(room));
    at_once
}

/// The counts.
pub(super) fn status(
    set: &DaemonSet,
    nodes: &[Arc<Node>],
    by_node: &ByNode,
    fitness: &Fitness,
    hash: &str,
    now: Timestamp,
) -> DaemonSetStatus {
    let min_ready = Duration::from_secs(set.spec.min_ready_seconds.unwrap_or(0).max(0) as u64);
    let mut status = DaemonSetStatus {
        observed_generation: set.metadata.generation,
        collision_count: set.status.collision_count,
        ..Default::default()
    };
    let (mut updated, mut available) = (0, 0);
    for node in nodes {
        let mut pods: Vec<&Arc<Pod>> = by_node.get(name(node)).into_iter().flatten().collect();
        fit::oldest_first(&mut pods);
        match (fitness.on(node).0, pods.first()) {
            (true, first) => {
                status.desired_number_scheduled += 1;
                let Some(pod) = first else { continue };
                status.current_number_scheduled += 1;
                status.number_ready += i32::from(pods::is_ready(pod));
                available += i32::from(pods::is_available(pod, min_ready, now));
                updated += i32::from(is_current(pod, hash));
            }
            (false, Some(_)) => status.number_misscheduled += 1,
            (false, None) => {}
        }
    }
    let some = |n: i32| (n != 0).then_some(n);
    status.updated_number_scheduled = some(updated);
    status.number_available = some(available);
    status.number_unavailable = some(status.desired_number_scheduled - available);
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nodes(names: &[&str]) -> Vec<Arc<Node>> {
        names
            .iter()
            .map(|name| Arc::new(serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()))
            .collect()
    }

    fn pod(name: &str, hash: &str, ready: bool) -> Arc<Pod> {
        let status = if ready { "True" } else { "False" };
        Arc::new(serde_json::from_value(json!({"metadata": {"name": name, "labels": {history::LABEL: hash}}, "spec": {"nodeName": "x"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": status, "lastTransitionTime": "2020-01-01T00:00:00Z"}]}})).unwrap())
    }

    #[test]
    fn one_pod_per_node() {
        let by_node: ByNode = [("a".into(), vec![pod("1", "h", true), pod("2", "h", true)])].into();
        let plan = manage(&nodes(&["a", "b"]), &by_node, &fit::of(&json!({})), client::clock::now());
        assert_eq!(plan.create, ["b"]);
        assert_eq!(plan.delete[0].metadata.name.as_deref(), Some("2"));
    }

    #[test]
    fn updates_go_node_by_node() {
        let set = DaemonSet::default();
        let (fitness, now) = (fit::of(&json!({})), client::clock::now());
        let all = nodes(&["a", "b", "c"]);
        let mut by_node: ByNode = ["a", "b", "c"].map(|n| (n.to_owned(), vec![pod(n, "old", true)])).into();
        assert_eq!(replace(&set, &all, &by_node, &fitness, "new", now).len(), 1);
        by_node.insert("a".into(), vec![pod("a", "new", false)]);
        assert!(replace(&set, &all, &by_node, &fitness, "new", now).is_empty());
        let counts = status(&set, &all, &by_node, &fitness, "new", now);
        assert_eq!(
            (counts.desired_number_scheduled, counts.number_ready, counts.updated_number_scheduled),
            (3, 2, Some(1))
        );
    }
}
