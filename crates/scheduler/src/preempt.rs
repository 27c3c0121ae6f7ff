//! Making room for an important pod by removing less important ones (upstream's `defaultpreemption`).

use std::sync::Arc;

use crate::{
    cluster::Cluster,
    nominated::filter_with_nominated,
    plugins::pre_filter,
    pod::PodInfo,
    schedule::{Reasons, histogram},
};

/// What the other post-filter plugin of upstream's default profile says to a pod without resource claims.
const NO_CLAIMS: &str = "no new claims to deallocate";
const NOT_HELPFUL: &str = "Preemption is not helpful for scheduling";
const NO_VICTIMS: &str = "No preemption victims found for incoming pod";
/// How many candidate nodes are worked out: enough for a good choice.
const CANDIDATES: usize = 100;

/// A node to clear.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) node: String,
    pub(crate) victims: Vec<Arc<PodInfo>>,
}

/// Why no node is cleared.
#[derive(Debug)]
pub(crate) struct NoPlan {
    /// In upstream's words.
    pub(crate) told: String,
    /// No node can be cleared at all: the pod no longer waits for the one that was.
    pub(crate) hopeless: bool,
}

/// Finds a node to clear.
pub(crate) fn preempt(pod: &PodInfo, cluster: &Cluster, reasons: &Reasons) -> Result<Plan, NoPlan> {
    let refuse =
        |why: String, hopeless| Err(NoPlan { told: format!("{NO_CLAIMS}, preemption: {why}"), hopeless });
    if pod.pod.spec.preemption_policy.as_deref() == Some("Never") {
        return refuse("not eligible due to preemptionPolicy=Never.".into(), false);
    }
    // A node that could not be helped by removing pods is not waited for.
    let may_help = |node: &str| {
        !reasons.rejections.iter().any(|(name, rejection)| name == node && !rejection.preemptible)
    };
    let nominated = cluster.nominated.node_of(pod).filter(|node| may_help(node));
    if let Some(node) = nominated.and_then(|node| cluster.node(node)) {
        let leaving = |other: &Arc<PodInfo>| {
            other.pod.priority() < pod.pod.priority() && other.pod.metadata.deletion_timestamp.is_some()
        };
        if node.pods.iter().any(leaving) {
            return refuse("not eligible due to a terminating pod on the nominated node.".into(), false);
        }
    }
    let mut told: Vec<String> = Vec::new();
    let mut plans = Vec::new();
    let unhelpful = if reasons.pre_filter.is_some() { reasons.nodes } else { 0 };
    told.extend(std::iter::repeat_n(NOT_HELPFUL.to_owned(), unhelpful));
    for (name, rejection) in &reasons.rejections {
        if !rejection.preemptible {
            told.push(NOT_HELPFUL.into());
            continue;
        }
        match clear(pod, cluster, name) {
            Ok(plan) => plans.push(plan),
            Err(why) => told.extend(why),
        }
        if plans.len() >= CANDIDATES {
            break;
        }
    }
    let key = |plan: &Plan| {
        let priorities = || plan.victims.iter().map(|victim| i64::from(victim.pod.priority()));
        // Shifted, so that fewer victims are a smaller sum even with negative priorities.
        let sum: i64 = priorities().map(|priority| priority + i64::from(i32::MAX) + 1).sum();
        (priorities().max().unwrap_or(i64::MIN), sum, plan.victims.len())
    };
    match plans.into_iter().min_by_key(key) {
        Some(plan) => Ok(plan),
        None => {
            let told = histogram(told.iter().map(String::as_str));
            refuse(format!("0/{} nodes are available:{told}", reasons.nodes), true)
        }
    }
}

/// The fewest pods of lower priority whose removal makes room on a node.
fn clear(pod: &PodInfo, cluster: &Cluster, name: &str) -> Result<Plan, Vec<String>> {
    let index = cluster.nodes.iter().position(|node| node.name == name).ok_or_else(Vec::new)?;
    let mut lower: Vec<Arc<PodInfo>> = cluster.nodes[index]
        .pods
        .iter()
        .filter(|other| other.pod.priority() < pod.pod.priority())
        .cloned()
        .collect();
    if lower.is_empty() {
        return Err(vec![NO_VICTIMS.into()]);
    }
    let mut trial = cluster.clone();
    let fits = |trial: &Cluster| -> Result<(), Vec<String>> {
        let pre = pre_filter(pod, trial).map_err(|(_, reason)| vec![reason])?;
        filter_with_nominated(pod, trial, &trial.nodes[index], &pre)
            .map_err(|rejection| rejection.reasons.into_iter().map(Into::into).collect())
    };
    for other in &lower {
        trial.remove_pod(name, other.pod.uid());
    }
    fits(&trial)?;
    // The most important ones, and among equals the oldest, are given their place back first.
    lower.sort_by_key(|other| {
        (-i64::from(other.pod.priority()), other.pod.metadata.creation_timestamp.as_ref().map(|time| time.0))
    });
    let mut victims = Vec::new();
    for other in lower {
        trial.add_pod(name, other.clone());
        if fits(&trial).is_err() {
            trial.remove_pod(name, other.pod.uid());
            victims.push(other);
        }
    }
    Ok(Plan { node: name.to_owned(), victims })
}
