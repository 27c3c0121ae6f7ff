//! Pods that wait for room which others were removed for (upstream's `backend/queue/nominator.go`).
//!
//! Until such a pod is on its node, pods that are not more important must leave the room to it.

use std::{collections::HashMap, sync::Arc};

use crate::{
    cluster::{Cluster, NodeInfo},
    plugins::{PreFilter, Rejection, filter, pre_filter},
    pod::PodInfo,
};

/// Who waits for which node.
#[derive(Clone, Debug, Default)]
pub struct Nominated {
    nodes: HashMap<String, String>,
    pods: HashMap<String, Vec<Arc<PodInfo>>>,
}

impl Nominated {
    /// The node that a pod waits for.
    pub fn node_of(&self, pod: &PodInfo) -> Option<&str> {
        self.nodes.get(pod.pod.uid()).map(String::as_str)
    }

    /// The pods that wait for a node.
    pub fn on(&self, node: &str) -> &[Arc<PodInfo>] {
        self.pods.get(node).map_or(&[], Vec::as_slice)
    }

    /// The pod is to get room on a node.
    pub fn add(&mut self, pod: Arc<PodInfo>, node: &str) {
        self.remove(pod.pod.uid());
        self.nodes.insert(pod.pod.uid().to_owned(), node.to_owned());
        self.pods.entry(node.to_owned()).or_default().push(pod);
    }

    /// The pod has a node, or is gone, or waits for none any more. Says whether it waited for one.
    pub fn remove(&mut self, uid: &str) -> bool {
        let Some(node) = self.nodes.remove(uid) else { return false };
        if let Some(pods) = self.pods.get_mut(&node) {
            pods.retain(|pod| pod.pod.uid() != uid);
            if pods.is_empty() {
                self.pods.remove(&node);
            }
        }
        true
    }

    /// A waiting pod as the API server tells it. What we decided and it does not know yet stays.
    pub fn seen(&mut self, pod: &Arc<PodInfo>) {
        let told = pod.pod.status.nominated_node_name.as_str();
        if !told.is_empty() {
            return self.add(pod.clone(), told);
        }
        let Some(node) = self.node_of(pod).map(str::to_owned) else { return };
        let uid = pod.pod.uid();
        let known = self.on(&node).iter().find(|known| known.pod.uid() == uid);
        if known.is_some_and(|known| known.pod.status.nominated_node_name.is_empty()) {
            self.add(pod.clone(), &node);
        } else {
            self.remove(uid);
        }
    }
}

/// All filters on one node, as if the pods that wait for it ran there already (upstream's
/// `RunFilterPluginsWithNominatedPods`). And then without them: they may not come, so nobody is to rely on them.
pub(crate) fn filter_with_nominated(
    pod: &PodInfo,
    cluster: &Cluster,
    node: &NodeInfo,
    pre: &PreFilter,
) -> Result<(), Rejection> {
    let goes_first = |other: &&Arc<PodInfo>| {
        other.pod.priority() >= pod.pod.priority() && other.pod.uid() != pod.pod.uid()
    };
    let guests: Vec<&Arc<PodInfo>> = cluster.nominated.on(&node.name).iter().filter(goes_first).collect();
    if !guests.is_empty() {
        if looks_at_others(pod) || guests.iter().any(|guest| !guest.required_anti_affinity.is_empty()) {
            let mut trial = cluster.clone();
            guests.iter().for_each(|guest| trial.add_pod(&node.name, Arc::clone(guest)));
            // It cannot fail where it did not without guests.
            if let (Some(node), Ok(pre)) = (trial.node(&node.name), pre_filter(pod, &trial)) {
                filter(pod, node, &pre)?;
            }
        } else {
            let mut crowded = node.clone();
            guests.iter().for_each(|guest| crowded.add_pod(Arc::clone(guest)));
            filter(pod, &crowded, pre)?;
        }
    }
    filter(pod, node, pre)
}

/// Whether other pods' places, not only their needs, decide about this one.
fn looks_at_others(pod: &PodInfo) -> bool {
    !pod.required_affinity.is_empty()
        || !pod.required_anti_affinity.is_empty()
        || !pod.pod.spec.topology_spread_constraints.is_empty()
}
