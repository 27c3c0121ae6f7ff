//! Nodes with the pods on them, kept up to date one change at a time (upstream's `backend/cache`).

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use k8s_openapi::api::core::v1::Taint;

use crate::{
    nominated::Nominated,
    pod::{HostPort, PodInfo},
    resources::Resources,
    selector::Labels,
    views::{Claim, Node, PersistentVolume, StorageClass},
};

/// The label of a node's zone.
pub const ZONE: &str = "topology.kubernetes.io/zone";
/// The label of a node's name.
pub const HOSTNAME: &str = "kubernetes.io/hostname";

/// A node and what runs on it.
#[derive(Clone, Debug, Default)]
pub struct NodeInfo {
    /// The node's name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// What keeps pods away.
    pub taints: Vec<Taint>,
    /// Cordoned.
    pub unschedulable: bool,
    /// What it offers.
    pub allocatable: Resources,
    /// Images that are there, with their sizes.
    pub images: HashMap<String, i64>,
    /// The pods on it, assumed ones included.
    pub pods: Vec<Arc<PodInfo>>,
    /// What they request.
    pub requested: Resources,
    /// What they count as when nodes are compared.
    pub nonzero_milli_cpu: i64,
    /// See [`NodeInfo::nonzero_milli_cpu`].
    pub nonzero_memory: i64,
    /// Ports that are taken.
    pub ports: Vec<HostPort>,
    /// How many pods of each controller.
    owners: HashMap<Arc<str>, i64>,
    /// How many pods have affinity terms of any kind.
    pub with_affinity: usize,
    /// How many pods must not be near others.
    pub with_required_anti_affinity: usize,
}

impl NodeInfo {
    fn set_node(&mut self, node: &Node) {
        self.labels = node.metadata.labels.clone().unwrap_or_default();
        self.taints.clone_from(&node.spec.taints);
        self.unschedulable = node.spec.unschedulable;
        self.allocatable = Resources::parse(&node.status.allocatable);
        self.images = node
            .status
            .images
            .iter()
            .flat_map(|image| image.names.iter().map(|name| (name.clone(), image.size_bytes)))
            .collect();
    }

    /// Puts a pod on the node.
    pub fn add_pod(&mut self, pod: Arc<PodInfo>) {
        self.count(&pod, 1);
        self.ports.extend(pod.host_ports.iter().cloned());
        self.pods.push(pod);
    }

    /// Takes a pod off the node.
    pub fn remove_pod(&mut self, uid: &str) -> Option<Arc<PodInfo>> {
        let at = self.pods.iter().position(|pod| pod.pod.uid() == uid)?;
        let pod = self.pods.swap_remove(at);
        self.count(&pod, -1);
        if !pod.host_ports.is_empty() {
            self.ports = self.pods.iter().flat_map(|pod| pod.host_ports.iter().cloned()).collect();
        }
        Some(pod)
    }

    fn count(&mut self, pod: &PodInfo, sign: i64) {
        self.requested.add(&pod.requests, sign);
        self.nonzero_milli_cpu += sign * pod.nonzero.milli_cpu;
        self.nonzero_memory += sign * pod.nonzero.memory;
        let step = |counter: &mut usize| {
            *counter = if sign > 0 { *counter + 1 } else { counter.saturating_sub(1) };
        };
        if pod.has_affinity() {
            step(&mut self.with_affinity);
        }
        if !pod.required_anti_affinity.is_empty() {
            step(&mut self.with_required_anti_affinity);
        }
        if let Some(owner) = &pod.owner {
            let count = self.owners.entry(owner.clone()).or_default();
            *count += sign;
            if *count <= 0 {
                self.owners.remove(owner);
            }
        }
    }

    /// How many pods of this controller are here.
    pub fn siblings(&self, owner: &str) -> i64 {
        self.owners.get(owner).copied().unwrap_or(0)
    }
}

/// Everything that a decision depends on.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// The nodes that exist.
    pub nodes: Vec<Arc<NodeInfo>>,
    by_name: HashMap<String, usize>,
    /// Pods on nodes that do not exist (yet, or any more).
    orphans: HashMap<String, Vec<Arc<PodInfo>>>,
    /// Pods that others make room for.
    pub nominated: Nominated,
    /// The labels of namespaces.
    pub namespaces: BTreeMap<String, Labels>,
    /// On how many nodes each image is.
    pub image_nodes: HashMap<String, usize>,
    /// How many nodes have a zone.
    pub zoned: usize,
    /// Volume claims by `namespace/name`.
    pub claims: HashMap<String, Arc<Claim>>,
    /// Volumes by name.
    pub volumes: HashMap<String, Arc<PersistentVolume>>,
    /// Storage classes by name.
    pub classes: HashMap<String, Arc<StorageClass>>,
}

impl Cluster {
    /// A node by its name.
    pub fn node(&self, name: &str) -> Option<&Arc<NodeInfo>> {
        self.by_name.get(name).map(|index| &self.nodes[*index])
    }

    /// A node is new or changed. Says whether it could make room for more pods than before.
    pub fn set_node(&mut self, node: &Node) -> bool {
        let name = node.metadata.name.clone().unwrap_or_default();
        let index = match self.by_name.get(&name) {
            Some(index) => *index,
            None => {
                let mut info = NodeInfo { name: name.clone(), ..NodeInfo::default() };
                for pod in self.orphans.remove(&name).unwrap_or_default() {
                    info.add_pod(pod);
                }
                self.nodes.push(Arc::new(info));
                self.by_name.insert(name, self.nodes.len() - 1);
                self.nodes.len() - 1
            }
        };
        let before = self.nodes[index].clone();
        self.count_node(&before, false);
        let info = Arc::make_mut(&mut self.nodes[index]);
        info.set_node(node);
        let after = self.nodes[index].clone();
        self.count_node(&after, true);
        before.allocatable != after.allocatable
            || before.labels != after.labels
            || before.taints != after.taints
            || before.unschedulable != after.unschedulable
    }

    fn count_node(&mut self, node: &NodeInfo, add: bool) {
        if node.labels.contains_key(ZONE) {
            self.zoned = if add { self.zoned + 1 } else { self.zoned.saturating_sub(1) };
        }
        for image in node.images.keys() {
            if add {
                *self.image_nodes.entry(image.clone()).or_default() += 1;
            } else if let Some(count) = self.image_nodes.get_mut(image) {
                *count -= 1;
                if *count == 0 {
                    self.image_nodes.remove(image);
                }
            }
        }
    }

    /// A node is gone. Its pods are remembered until they are gone too.
    pub fn remove_node(&mut self, name: &str) {
        let Some(index) = self.by_name.remove(name) else { return };
        let node = self.nodes.swap_remove(index);
        self.count_node(&node, false);
        if let Some(moved) = self.nodes.get(index) {
            self.by_name.insert(moved.name.clone(), index);
        }
        if !node.pods.is_empty() {
            self.orphans.insert(name.to_owned(), node.pods.clone());
        }
    }

    /// A pod is on a node.
    pub fn add_pod(&mut self, node: &str, pod: Arc<PodInfo>) {
        match self.by_name.get(node) {
            Some(index) => Arc::make_mut(&mut self.nodes[*index]).add_pod(pod),
            None => self.orphans.entry(node.to_owned()).or_default().push(pod),
        }
    }

    /// A pod is no longer on a node.
    pub fn remove_pod(&mut self, node: &str, uid: &str) {
        match self.by_name.get(node) {
            Some(index) => drop(Arc::make_mut(&mut self.nodes[*index]).remove_pod(uid)),
            None => {
                if let Some(pods) = self.orphans.get_mut(node) {
                    pods.retain(|pod| pod.pod.uid() != uid);
                    if pods.is_empty() {
                        self.orphans.remove(node);
                    }
                }
            }
        }
    }
}
