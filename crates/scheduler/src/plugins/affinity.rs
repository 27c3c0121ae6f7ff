//! Pods that must or should be near each other, or apart (upstream's `interpodaffinity`).

use std::collections::HashMap;

use super::{Plugin, Rejection};
use crate::{
    cluster::{Cluster, NodeInfo},
    pod::{PodInfo, Term},
};

/// What a required term of a pod that is there already counts when nodes are compared (`hardPodAffinityWeight`).
const HARD_WEIGHT: i64 = 1;

/// How often terms match, per label and value.
type Counts = HashMap<(String, String), i64>;

/// The required terms, counted.
#[derive(Debug, Default)]
pub struct Affinity {
    /// Terms of existing pods that keep this one away.
    existing_anti: Counts,
    affinity: Counts,
    anti: Counts,
    /// No pod in the cluster matches all terms, but this one matches its own: the first of a group may go anywhere.
    first_of_group: bool,
}

fn count(counts: &mut Counts, node: &NodeInfo, term: &Term) {
    if let Some(place) = node.labels.get(&term.topology_key) {
        *counts.entry((term.topology_key.clone(), place.clone())).or_default() += 1;
    }
}

/// Looks at all pods that matter.
pub fn pre_filter(pod: &PodInfo, cluster: &Cluster) -> Affinity {
    let mut found = Affinity::default();
    let namespaces = &cluster.namespaces;
    for node in cluster.nodes.iter().filter(|node| node.with_required_anti_affinity > 0) {
        for other in &node.pods {
            for term in other.required_anti_affinity.iter().filter(|term| term.matches(&pod.pod, namespaces))
            {
                count(&mut found.existing_anti, node, term);
            }
        }
    }
    if pod.required_affinity.is_empty() && pod.required_anti_affinity.is_empty() {
        return found;
    }
    let all_match = |other: &PodInfo| {
        !pod.required_affinity.is_empty()
            && pod.required_affinity.iter().all(|term| term.matches(&other.pod, namespaces))
    };
    for node in &cluster.nodes {
        for other in &node.pods {
            if all_match(other) {
                pod.required_affinity.iter().for_each(|term| count(&mut found.affinity, node, term));
            }
            for term in pod.required_anti_affinity.iter().filter(|term| term.matches(&other.pod, namespaces))
            {
                count(&mut found.anti, node, term);
            }
        }
    }
    found.first_of_group = found.affinity.is_empty() && all_match(pod);
    found
}

/// May the pod be where these nodes' pods are?
pub fn filter(pod: &PodInfo, node: &NodeInfo, affinity: &Affinity) -> Result<(), Rejection> {
    let reject = |preemptible, reason| Err(Rejection::new(Plugin::InterPodAffinity, preemptible, reason));
    let place = |term: &Term| {
        node.labels.get(&term.topology_key).map(|place| (term.topology_key.clone(), place.clone()))
    };
    if !pod.required_affinity.is_empty() {
        let places: Option<Vec<_>> = pod.required_affinity.iter().map(place).collect();
        let satisfied = places.is_some_and(|places| {
            affinity.first_of_group || places.iter().all(|place| affinity.affinity.contains_key(place))
        });
        if !satisfied {
            return reject(false, "node(s) didn't match pod affinity rules");
        }
    }
    if pod.required_anti_affinity.iter().filter_map(place).any(|place| affinity.anti.contains_key(&place)) {
        return reject(true, "node(s) didn't match pod anti-affinity rules");
    }
    let kept_away = !affinity.existing_anti.is_empty()
        && affinity.existing_anti.keys().any(|(key, value)| node.labels.get(key) == Some(value));
    if kept_away {
        return reject(true, "node(s) didn't satisfy existing pods anti-affinity rules");
    }
    Ok(())
}

/// Scores by preferred terms, the pod's and the others'. `None` when there are none.
pub fn score(pod: &PodInfo, nodes: &[&NodeInfo], cluster: &Cluster) -> Option<Vec<i64>> {
    let namespaces = &cluster.namespaces;
    let mut weights: HashMap<(&str, &str), i64> = HashMap::new();
    let own = !pod.preferred.is_empty();
    for node in cluster.nodes.iter().filter(|node| own || node.with_affinity > 0) {
        let mut add = |term: &'_ Term, weight: i64| -> Option<()> {
            let (key, value) = node.labels.get_key_value(&term.topology_key)?;
            *weights.entry((key, value)).or_default() += weight;
            Some(())
        };
        for other in node.pods.iter().filter(|other| own || other.has_affinity()) {
            for (weight, term) in &pod.preferred {
                if term.matches(&other.pod, namespaces) {
                    add(term, *weight);
                }
            }
            for (weight, term) in &other.preferred {
                if term.matches(&pod.pod, namespaces) {
                    add(term, *weight);
                }
            }
            for term in &other.required_affinity {
                if term.matches(&pod.pod, namespaces) {
                    add(term, HARD_WEIGHT);
                }
            }
        }
    }
    if weights.is_empty() {
        return None;
    }
    let raw: Vec<i64> = nodes
        .iter()
        .map(|node| {
            let here = weights
                .iter()
                .filter(|((key, value), _)| node.labels.get(*key).is_some_and(|found| found == value));
            here.map(|(_, weight)| weight).sum()
        })
        .collect();
    let (least, most) = (raw.iter().copied().min().unwrap_or(0), raw.iter().copied().max().unwrap_or(0));
    let range = (most - least) as f64;
    let normal = |score: i64| if range > 0.0 { (100.0 * ((score - least) as f64 / range)) as i64 } else { 0 };
    Some(raw.into_iter().map(normal).collect())
}
