//! Can the pod run on the node? In upstream's order; the first plugin that says no decides the reason.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::Taint;

use super::{
    Plugin, Rejection,
    affinity::{self, Affinity},
    spread::{self, Spread},
    volumes::{self, Volumes},
};
use crate::{
    cluster::{Cluster, NodeInfo},
    pod::PodInfo,
    selector::tolerates,
};

/// What is worked out once per pod, before nodes are looked at.
#[derive(Debug)]
pub struct PreFilter {
    spread: Spread,
    affinity: Affinity,
    volumes: Volumes,
}

/// Prepares, or says why no node can do.
pub fn pre_filter(pod: &PodInfo, cluster: &Cluster) -> Result<PreFilter, (Plugin, String)> {
    Ok(PreFilter {
        volumes: volumes::pre_filter(pod, cluster).map_err(|reason| (Plugin::VolumeBinding, reason))?,
        spread: spread::pre_filter(pod, cluster),
        affinity: affinity::pre_filter(pod, cluster),
    })
}

/// All filters on one node.
pub fn filter(pod: &PodInfo, node: &NodeInfo, pre: &PreFilter) -> Result<(), Rejection> {
    let spec = &pod.pod.spec;
    if node.unschedulable {
        let cordon = Taint {
            key: "node.kubernetes.io/unschedulable".into(),
            effect: "NoSchedule".into(),
            ..Taint::default()
        };
        if !tolerates(&spec.tolerations, &cordon) {
            return Err(Rejection::new(Plugin::NodeUnschedulable, false, "node(s) were unschedulable"));
        }
    }
    if !spec.node_name.is_empty() && spec.node_name != node.name {
        return Err(Rejection::new(Plugin::NodeName, false, "node(s) didn't match the requested node name"));
    }
    if !pod.tolerates_taints(&node.taints) {
        return Err(Rejection::new(Plugin::TaintToleration, false, "node(s) had untolerated taint(s)"));
    }
    if !pod.allows_node(&node.name, &node.labels) {
        return Err(Rejection::new(
            Plugin::NodeAffinity,
            false,
            "node(s) didn't match Pod's node affinity/selector",
        ));
    }
    if pod.host_ports.iter().any(|port| node.ports.iter().any(|taken| taken.conflicts(port))) {
        return Err(Rejection::new(
            Plugin::NodePorts,
            true,
            "node(s) didn't have free ports for the requested pod ports",
        ));
    }
    fit(pod, node)?;
    volumes::filter(node, &pre.volumes)?;
    spread::filter(pod, node, &pre.spread)?;
    affinity::filter(pod, node, &pre.affinity)
}

/// Is there room? All that is missing is named.
fn fit(pod: &PodInfo, node: &NodeInfo) -> Result<(), Rejection> {
    let mut reasons = Vec::new();
    // Asking for more than an empty node has cannot be helped by removing pods.
    let mut preemptible = true;
    let free = &node.allocatable;
    if i64::try_from(node.pods.len()).unwrap_or(i64::MAX) >= free.pods {
        reasons.push(Cow::Borrowed("Too many pods"));
    }
    let wanted = &pod.requests;
    let taken = &node.requested;
    let mut check = |wanted: i64, free: i64, taken: i64, reason: &dyn Fn() -> Cow<'static, str>| {
        if wanted > 0 && wanted > free - taken {
            reasons.push(reason());
            preemptible &= wanted <= free;
        }
    };
    check(wanted.milli_cpu, free.milli_cpu, taken.milli_cpu, &|| Cow::Borrowed("Insufficient cpu"));
    check(wanted.memory, free.memory, taken.memory, &|| Cow::Borrowed("Insufficient memory"));
    check(wanted.ephemeral_storage, free.ephemeral_storage, taken.ephemeral_storage, &|| {
        Cow::Borrowed("Insufficient ephemeral-storage")
    });
    for (name, amount) in &wanted.scalars {
        let of = |resources: &crate::resources::Resources| resources.scalars.get(name).copied().unwrap_or(0);
        check(*amount, of(free), of(taken), &|| Cow::Owned(format!("Insufficient {name}")));
    }
    if reasons.is_empty() {
        return Ok(());
    }
    Err(Rejection { plugin: Plugin::NodeResourcesFit, preemptible, reasons })
}
