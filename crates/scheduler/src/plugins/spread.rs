//! Topology spread constraints (upstream's `podtopologyspread`).

use std::collections::{HashMap, HashSet};

use k8s_openapi::{
    api::core::v1::TopologySpreadConstraint,
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
};

use super::{Plugin, Rejection};
use crate::{
    cluster::{Cluster, HOSTNAME, NodeInfo, ZONE},
    pod::PodInfo,
    selector::{Labels, matches},
};

const NO_MATCH: &str = "node(s) didn't match pod topology spread constraints";
const NO_LABEL: &str = "node(s) didn't match pod topology spread constraints (missing required label)";

/// The hard constraints, counted.
#[derive(Debug, Default)]
pub struct Spread {
    constraints: Vec<Counted>,
}

#[derive(Debug)]
struct Counted {
    constraint: Constraint,
    /// How many pods per place.
    counts: HashMap<String, i64>,
    fewest: i64,
    matches_self: bool,
}

#[derive(Debug)]
struct Constraint {
    key: String,
    max_skew: i64,
    min_domains: i64,
    selects: Selects,
    honor_affinity: bool,
    honor_taints: bool,
}

#[derive(Debug)]
enum Selects {
    Labels(Box<LabelSelector>),
    /// The pods of the same controller. Upstream asks services and controllers for their selectors; the controller's
    /// pods are what these mean.
    Siblings,
}

impl Constraint {
    fn new(constraint: &TopologySpreadConstraint, labels: &Labels) -> Self {
        let mut selector = constraint.label_selector.clone().unwrap_or_default();
        // "These labels with the pod's own values."
        let own =
            constraint.match_label_keys.iter().flatten().filter_map(|key| Some((key, labels.get(key)?)));
        for (key, value) in own {
            selector.match_expressions.get_or_insert_default().push(LabelSelectorRequirement {
                key: key.clone(),
                operator: "In".into(),
                values: Some(vec![value.clone()]),
            });
        }
        Self {
            key: constraint.topology_key.clone(),
            max_skew: i64::from(constraint.max_skew),
            min_domains: i64::from(constraint.min_domains.unwrap_or(1)),
            selects: Selects::Labels(Box::new(selector)),
            honor_affinity: constraint.node_affinity_policy.as_deref() != Some("Ignore"),
            honor_taints: constraint.node_taints_policy.as_deref() == Some("Honor"),
        }
    }

    fn includes(&self, pod: &PodInfo, node: &NodeInfo) -> bool {
        (!self.honor_affinity || pod.allows_node(&node.name, &node.labels))
            && (!self.honor_taints || pod.tolerates_taints(&node.taints))
    }

    fn count(&self, pod: &PodInfo, node: &NodeInfo) -> i64 {
        match &self.selects {
            Selects::Siblings => pod.owner.as_ref().map_or(0, |owner| node.siblings(owner)),
            Selects::Labels(selector) => {
                let count = node
                    .pods
                    .iter()
                    .filter(|other| {
                        other.namespace() == pod.namespace()
                            && other.pod.metadata.deletion_timestamp.is_none()
                            && matches(Some(selector), other.labels())
                    })
                    .count();
                i64::try_from(count).unwrap_or(i64::MAX)
            }
        }
    }
}

fn constraints(pod: &PodInfo, hard: bool) -> Vec<Constraint> {
    let wanted = if hard { "DoNotSchedule" } else { "ScheduleAnyway" };
    let all = pod.pod.spec.topology_spread_constraints.iter();
    all.filter(|constraint| constraint.when_unsatisfiable == wanted)
        .map(|constraint| Constraint::new(constraint, pod.labels()))
        .collect()
}

fn has_all_labels(node: &NodeInfo, constraints: &[Constraint]) -> bool {
    constraints.iter().all(|constraint| node.labels.contains_key(&constraint.key))
}

/// Counts pods per place for the hard constraints.
pub fn pre_filter(pod: &PodInfo, cluster: &Cluster) -> Spread {
    let constraints = constraints(pod, true);
    if constraints.is_empty() {
        return Spread::default();
    }
    let mut counts: Vec<HashMap<String, i64>> = constraints.iter().map(|_| HashMap::new()).collect();
    for node in cluster.nodes.iter().filter(|node| has_all_labels(node, &constraints)) {
        for (constraint, counts) in constraints.iter().zip(&mut counts) {
            if let Some(place) = node.labels.get(&constraint.key)
                && constraint.includes(pod, node)
            {
                *counts.entry(place.clone()).or_default() += constraint.count(pod, node);
            }
        }
    }
    let counted = constraints.into_iter().zip(counts).map(|(constraint, counts)| {
        let places = i64::try_from(counts.len()).unwrap_or(i64::MAX);
        // With fewer places than wanted, an imaginary empty one counts.
        let fewest = if places < constraint.min_domains {
            0
        } else {
            counts.values().copied().min().unwrap_or(i64::MAX)
        };
        let matches_self = match &constraint.selects {
            Selects::Siblings => true,
            Selects::Labels(selector) => matches(Some(selector), pod.labels()),
        };
        Counted { constraint, counts, fewest, matches_self }
    });
    Spread { constraints: counted.collect() }
}

/// Would the pod make one place too full?
pub fn filter(_: &PodInfo, node: &NodeInfo, spread: &Spread) -> Result<(), Rejection> {
    for counted in &spread.constraints {
        let Some(place) = node.labels.get(&counted.constraint.key) else {
            return Err(Rejection::new(Plugin::PodTopologySpread, false, NO_LABEL));
        };
        let here = counted.counts.get(place).copied().unwrap_or(0);
        let skew = here.saturating_add(i64::from(counted.matches_self)).saturating_sub(counted.fewest);
        if skew > counted.constraint.max_skew {
            return Err(Rejection::new(Plugin::PodTopologySpread, true, NO_MATCH));
        }
    }
    Ok(())
}

/// Scores of `nodes` by the soft constraints, or by the default ones (host, then zone) for pods without any. `None`
/// when there is nothing to spread.
pub fn score(pod: &PodInfo, nodes: &[&NodeInfo], cluster: &Cluster) -> Option<Vec<i64>> {
    let own = !pod.pod.spec.topology_spread_constraints.is_empty();
    let constraints = if own { constraints(pod, false) } else { default_constraints(pod, cluster) };
    if constraints.is_empty() {
        return None;
    }
    let ignored: Vec<bool> = nodes.iter().map(|node| own && !has_all_labels(node, &constraints)).collect();
    let scored = ignored.iter().filter(|ignored| !**ignored).count();
    let mut sums = vec![0.0_f64; nodes.len()];
    for constraint in &constraints {
        let per_host = constraint.key == HOSTNAME;
        let mut places: HashMap<&str, i64> = HashMap::new();
        let mut weight_of = scored;
        if !per_host {
            let candidates: HashSet<&str> = nodes
                .iter()
                .zip(&ignored)
                .filter(|(_, ignored)| !**ignored)
                .map(|(node, _)| node.labels.get(&constraint.key).map_or("", String::as_str))
                .collect();
            weight_of = candidates.len();
            for node in &cluster.nodes {
                if own && !has_all_labels(node, &constraints) {
                    continue;
                }
                let place = node.labels.get(&constraint.key).map_or("", String::as_str);
                if candidates.contains(place) && constraint.includes(pod, node) {
                    *places.entry(place).or_default() += constraint.count(pod, node);
                }
            }
        }
        let weight = ((weight_of + 2) as f64).ln();
        for (index, node) in nodes.iter().enumerate() {
            let Some(place) = node.labels.get(&constraint.key).filter(|_| !ignored[index]) else { continue };
            let count = if per_host {
                constraint.count(pod, node)
            } else {
                places.get(place.as_str()).copied().unwrap_or(0)
            };
            sums[index] += count as f64 * weight + (constraint.max_skew - 1) as f64;
        }
    }
    let raw: Vec<i64> = sums.iter().map(|sum| sum.round() as i64).collect();
    let seen = || raw.iter().zip(&ignored).filter(|(_, ignored)| !**ignored).map(|(score, _)| *score);
    let (least, most) = (seen().min().unwrap_or(0), seen().max().unwrap_or(0));
    let normal = raw.iter().zip(&ignored).map(|(score, ignored)| match most {
        _ if *ignored => 0,
        0 => 100,
        most => 100 * (most + least - score) / most,
    });
    Some(normal.collect())
}

/// Upstream's system defaults: at most 3 apart per host, 5 per zone, if possible.
fn default_constraints(pod: &PodInfo, cluster: &Cluster) -> Vec<Constraint> {
    if pod.owner.is_none() {
        return Vec::new();
    }
    let constraint = |key: &str, max_skew| Constraint {
        key: key.to_owned(),
        max_skew,
        min_domains: 1,
        selects: Selects::Siblings,
        honor_affinity: true,
        honor_taints: false,
    };
    let mut constraints = vec![constraint(HOSTNAME, 3)];
    // Without zones this would only count all pods of the cluster together.
    if cluster.zoned > 0 {
        constraints.push(constraint(ZONE, 5));
    }
    constraints
}
