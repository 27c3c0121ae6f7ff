//! Which of the nodes that can run the pod suits it best.

use super::{affinity, spread};
use crate::{
    cluster::{Cluster, NodeInfo},
    pod::PodInfo,
    selector::{term_matches, tolerates},
};

/// Upstream's weights in the default profile.
const TAINT_TOLERATION: i64 = 3;
const NODE_AFFINITY: i64 = 2;
const POD_TOPOLOGY_SPREAD: i64 = 2;
const INTER_POD_AFFINITY: i64 = 2;

const MAX: i64 = 100;
const MIB: i64 = 1024 * 1024;
/// Images smaller than this are no reason; larger than that no better reason.
const IMAGE_MIN: i64 = 23 * MIB;
const IMAGE_MAX: i64 = 1000 * MIB;

/// The sum of all weighted scores per node.
pub fn score(pod: &PodInfo, nodes: &[&NodeInfo], cluster: &Cluster) -> Vec<i64> {
    let best_effort = pod.requests.milli_cpu == 0 && pod.requests.memory == 0;
    let mut total: Vec<i64> = nodes
        .iter()
        .map(|node| {
            let balanced = if best_effort { 0 } else { balanced_allocation(pod, node) };
            least_allocated(pod, node) + balanced + image_locality(pod, node, cluster)
        })
        .collect();
    let mut add = |scores: Option<Vec<i64>>, weight: i64| {
        for (total, score) in total.iter_mut().zip(scores.into_iter().flatten()) {
            *total += weight * score;
        }
    };
    add(taint_toleration(pod, nodes), TAINT_TOLERATION);
    add(node_affinity(pod, nodes), NODE_AFFINITY);
    add(spread::score(pod, nodes, cluster), POD_TOPOLOGY_SPREAD);
    add(affinity::score(pod, nodes, cluster), INTER_POD_AFFINITY);
    total
}

/// The more is free, the better.
fn least_allocated(pod: &PodInfo, node: &NodeInfo) -> i64 {
    let of = |capacity: i64, requested: i64| {
        if capacity == 0 {
            return None;
        }
        Some(if requested > capacity { 0 } else { (capacity - requested) * MAX / capacity })
    };
    let cpu = of(node.allocatable.milli_cpu, node.nonzero_milli_cpu + pod.nonzero.milli_cpu);
    let memory = of(node.allocatable.memory, node.nonzero_memory + pod.nonzero.memory);
    let scores: Vec<i64> = cpu.into_iter().chain(memory).collect();
    let count = i64::try_from(scores.len()).unwrap_or(1).max(1);
    scores.iter().sum::<i64>() / count
}

/// CPU and memory should run out together.
fn balanced_allocation(pod: &PodInfo, node: &NodeInfo) -> i64 {
    let balance = |cpu: i64, memory: i64| {
        let fraction = |used: i64, all: i64| (all > 0).then(|| (used as f64 / all as f64).min(1.0));
        let deviation =
            match (fraction(cpu, node.allocatable.milli_cpu), fraction(memory, node.allocatable.memory)) {
                (Some(cpu), Some(memory)) => ((cpu - memory) / 2.0).abs(),
                _ => 0.0,
            };
        ((1.0 - deviation) * MAX as f64) as i64
    };
    let (cpu, memory) = (node.requested.milli_cpu, node.requested.memory);
    let with = balance(cpu + pod.requests.milli_cpu, memory + pod.requests.memory);
    MAX / 2 + (MAX / 2 + with - balance(cpu, memory)) / 2
}

/// Images that are there need not be pulled; those that are everywhere say nothing.
fn image_locality(pod: &PodInfo, node: &NodeInfo, cluster: &Cluster) -> i64 {
    if node.images.is_empty() {
        return 0;
    }
    let containers = || pod.pod.spec.init_containers.iter().chain(&pod.pod.spec.containers);
    let nodes = cluster.nodes.len().max(1) as f64;
    let sum: i64 = containers()
        .filter_map(|container| {
            let name = normalized(&container.image);
            let size = *node.images.get(name.as_ref())?;
            let spread = *cluster.image_nodes.get(name.as_ref())? as f64 / nodes;
            Some((size as f64 * spread) as i64)
        })
        .sum();
    let most = IMAGE_MAX * i64::try_from(containers().count().max(1)).unwrap_or(1);
    MAX * (sum.clamp(IMAGE_MIN, most) - IMAGE_MIN) / (most - IMAGE_MIN)
}

/// A name without a tag means `latest`.
fn normalized(image: &str) -> std::borrow::Cow<'_, str> {
    let colon = image.rfind(':');
    if colon.is_none_or(|colon| image.rfind('/').is_some_and(|slash| colon < slash)) {
        return format!("{image}:latest").into();
    }
    image.into()
}

/// Scales to 0…100; `reverse` makes the largest the worst.
fn normalize(raw: Vec<i64>, reverse: bool) -> Option<Vec<i64>> {
    let most = raw.iter().copied().max().unwrap_or(0);
    if most == 0 {
        // The same for all: no difference.
        return None;
    }
    let scale = |score: i64| if reverse { MAX - MAX * score / most } else { MAX * score / most };
    Some(raw.into_iter().map(scale).collect())
}

/// Taints that only ask to stay away.
fn taint_toleration(pod: &PodInfo, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
    let soft = |node: &NodeInfo| {
        let count = node
            .taints
            .iter()
            .filter(|taint| {
                taint.effect == "PreferNoSchedule" && !tolerates(&pod.pod.spec.tolerations, taint)
            })
            .count();
        i64::try_from(count).unwrap_or(i64::MAX)
    };
    if nodes.iter().all(|node| node.taints.is_empty()) {
        return None;
    }
    normalize(nodes.iter().map(|node| soft(node)).collect(), true)
}

/// Preferred node affinity.
fn node_affinity(pod: &PodInfo, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
    let affinity = pod.pod.spec.affinity.as_ref()?.node_affinity.as_ref()?;
    let preferred = affinity.preferred_during_scheduling_ignored_during_execution.as_ref()?;
    let raw = nodes.iter().map(|node| {
        preferred
            .iter()
            .filter(|term| term_matches(&term.preference, &node.name, &node.labels))
            .map(|term| i64::from(term.weight))
            .sum()
    });
    normalize(raw.collect(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_names() {
        assert_eq!(normalized("nginx"), "nginx:latest");
        assert_eq!(normalized("host:5000/nginx"), "host:5000/nginx:latest");
        assert_eq!(normalized("host:5000/nginx:1"), "host:5000/nginx:1");
    }
}
