//! The decision for one pod, as a function of the cluster.

use std::{collections::BTreeMap, collections::BTreeSet};

use crate::{
    cluster::{Cluster, NodeInfo},
    nominated::filter_with_nominated,
    plugins::{Plugin, Rejection, pre_filter, score},
    pod::PodInfo,
};

/// Clusters up to this size are looked at as a whole.
const MIN_FEASIBLE: usize = 100;
const MIN_PERCENT: usize = 5;

/// Where to begin looking, and a number that breaks ties.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chance {
    /// Index of the first node to look at: all nodes get their turn.
    pub start: usize,
    /// Any number.
    pub random: u64,
}

/// A node for the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The node's name.
    pub node: String,
    /// How many nodes were looked at; the next search begins behind them.
    pub evaluated: usize,
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reasons {
    /// How many nodes there are.
    pub nodes: usize,
    /// What rules out all nodes at once.
    pub pre_filter: Option<String>,
    /// Each node with its rejection.
    pub rejections: Vec<(String, Rejection)>,
    /// Who rejected the pod; decides which events may help.
    pub plugins: BTreeSet<Plugin>,
}

/// Finds the best node.
pub fn schedule(pod: &PodInfo, cluster: &Cluster, chance: Chance) -> Result<Placement, Reasons> {
    let mut reasons = Reasons {
        nodes: cluster.nodes.len(),
        pre_filter: None,
        rejections: Vec::new(),
        plugins: BTreeSet::new(),
    };
    if cluster.nodes.is_empty() {
        return Err(reasons);
    }
    let pre = match pre_filter(pod, cluster) {
        Ok(pre) => pre,
        Err((plugin, message)) => {
            reasons.pre_filter = Some(message);
            reasons.plugins.insert(plugin);
            return Err(reasons);
        }
    };
    // The room that was made for it is looked at first.
    let nominated = cluster.nominated.node_of(pod).and_then(|node| cluster.node(node));
    if let Some(node) = nominated
        && filter_with_nominated(pod, cluster, node, &pre).is_ok()
    {
        return Ok(Placement { node: node.name.clone(), evaluated: 0 });
    }
    let all = cluster.nodes.len();
    let enough = feasible_wanted(all);
    let mut feasible: Vec<&NodeInfo> = Vec::with_capacity(enough.min(all));
    let mut evaluated = 0;
    for offset in 0..all {
        let node = &cluster.nodes[(chance.start + offset) % all];
        evaluated += 1;
        match filter_with_nominated(pod, cluster, node, &pre) {
            Ok(()) => feasible.push(node),
            Err(rejection) => {
                if feasible.is_empty() {
                    reasons.rejections.push((node.name.clone(), rejection));
                }
            }
        }
        if feasible.len() >= enough {
            break;
        }
    }
    match feasible.as_slice() {
        [] => {
            reasons.plugins = reasons.rejections.iter().map(|(_, rejection)| rejection.plugin).collect();
            Err(reasons)
        }
        [only] => Ok(Placement { node: only.name.clone(), evaluated }),
        many => Ok(Placement { node: best(many, &score(pod, many, cluster), chance.random), evaluated }),
    }
}

/// One of the nodes with the highest score.
fn best(nodes: &[&NodeInfo], scores: &[i64], random: u64) -> String {
    let most = scores.iter().copied().max().unwrap_or(0);
    let top: Vec<&NodeInfo> =
        nodes.iter().zip(scores).filter(|(_, score)| **score == most).map(|(node, _)| *node).collect();
    let count = u64::try_from(top.len()).unwrap_or(1).max(1);
    let index = usize::try_from(random % count).unwrap_or(0);
    top.get(index).map(|node| node.name.clone()).unwrap_or_default()
}

/// In a large cluster a good node among many is good enough (upstream's `numFeasibleNodesToFind`).
fn feasible_wanted(nodes: usize) -> usize {
    if nodes < MIN_FEASIBLE {
        return nodes.max(1);
    }
    let percent = 50usize.saturating_sub(nodes / 125).max(MIN_PERCENT);
    (nodes * percent / 100).max(MIN_FEASIBLE)
}

impl Reasons {
    /// Upstream's `FitError` text, `post_filter` being what preemption says.
    pub fn message(&self, post_filter: &str) -> String {
        if self.nodes == 0 {
            return "no nodes available to schedule pods".into();
        }
        let mut text = format!("0/{} nodes are available:", self.nodes);
        match &self.pre_filter {
            Some(message) => text.push_str(&format!(" {message}.")),
            None => text.push_str(&histogram(
                self.rejections.iter().flat_map(|(_, r)| r.reasons.iter().map(AsRef::as_ref)),
            )),
        }
        if !post_filter.is_empty() {
            text.push(' ');
            text.push_str(post_filter);
        }
        text
    }
}

/// ` 1 Insufficient cpu, 2 node(s) had untolerated taint(s).`
pub(crate) fn histogram<'a>(reasons: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason).or_default() += 1;
    }
    // Upstream sorts the texts with their numbers in front.
    let mut parts: Vec<String> = counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    parts.sort();
    if parts.is_empty() { String::new() } else { format!(" {}.", parts.join(", ")) }
}

#[cfg(test)]
mod tests;
