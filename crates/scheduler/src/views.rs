//! Pods, nodes and namespaces with only the fields that scheduling reads: the cache of a large cluster stays small.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::{
    api::core::v1::{Affinity, NodeSelector, Taint, Toleration, TopologySpreadConstraint},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Deserialize;

/// A map of resource names to quantities.
pub type Quantities = BTreeMap<String, String>;

/// A Pod.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Pod {
    /// Name, namespace, labels, owners.
    pub metadata: ObjectMeta,
    /// What is wanted.
    #[serde(default)]
    pub spec: PodSpec,
    /// What is.
    #[serde(default)]
    pub status: PodStatus,
}

/// What a pod asks of its node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct PodSpec {
    pub node_name: String,
    pub scheduler_name: String,
    pub priority: Option<i32>,
    pub preemption_policy: Option<String>,
    pub node_selector: BTreeMap<String, String>,
    pub affinity: Option<Affinity>,
    pub tolerations: Vec<Toleration>,
    pub containers: Vec<Container>,
    pub init_containers: Vec<Container>,
    pub overhead: Quantities,
    pub resources: ResourceRequirements,
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    pub volumes: Vec<Volume>,
    pub scheduling_gates: Vec<Gate>,
    pub host_network: bool,
}

/// A container's needs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct Container {
    pub image: String,
    pub resources: ResourceRequirements,
    pub ports: Vec<Port>,
    pub restart_policy: Option<String>,
}

/// Requests; limits do not matter here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct ResourceRequirements {
    pub requests: Quantities,
}

/// A container's port.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct Port {
    pub container_port: u16,
    pub host_port: u16,
    #[serde(rename = "hostIP")]
    pub host_ip: String,
    pub protocol: String,
}

/// A volume, as far as it binds the pod to a place.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct Volume {
    pub name: String,
    pub persistent_volume_claim: Option<ClaimSource>,
    pub ephemeral: Option<serde::de::IgnoredAny>,
}

/// The claim of a volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct ClaimSource {
    pub claim_name: String,
}

/// Something that must be removed from the pod before it may be scheduled.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Gate {
    pub name: String,
}

/// A pod's state.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct PodStatus {
    pub phase: String,
    pub nominated_node_name: String,
    pub conditions: Vec<Condition>,
}

/// A condition of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub reason: String,
    pub message: String,
}

/// A Node.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Node {
    /// Name and labels.
    pub metadata: ObjectMeta,
    /// Taints.
    #[serde(default)]
    pub spec: NodeSpec,
    /// Capacity and images.
    #[serde(default)]
    pub status: NodeStatus,
}

/// What a node refuses.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct NodeSpec {
    pub unschedulable: bool,
    pub taints: Vec<Taint>,
}

/// What a node offers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct NodeStatus {
    pub allocatable: Quantities,
    pub images: Vec<Image>,
}

/// An image on a node.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct Image {
    pub names: Vec<String>,
    pub size_bytes: i64,
}

/// A Namespace: its labels.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Namespace {
    /// Name and labels.
    pub metadata: ObjectMeta,
}

/// A PersistentVolumeClaim.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs)]
pub struct Claim {
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: ClaimSpec,
}

/// Which volume a claim has or wants.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct ClaimSpec {
    pub volume_name: String,
    pub storage_class_name: Option<String>,
}

/// A PersistentVolume: where it can be used.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs)]
pub struct PersistentVolume {
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: VolumeSpec,
}

/// See [`PersistentVolume`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct VolumeSpec {
    pub node_affinity: Option<VolumeAffinity>,
}

/// See [`PersistentVolume`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct VolumeAffinity {
    pub required: Option<NodeSelector>,
}

/// A StorageClass: when its volumes are bound.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct StorageClass {
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub provisioner: String,
    #[serde(default)]
    pub volume_binding_mode: Option<String>,
}

macro_rules! resource {
    ($type:ty, $kind:literal, $group:literal, $plural:literal, $scope:ty) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = $scope;

            fn kind(_: &()) -> Cow<'_, str> {
                $kind.into()
            }

            fn group(_: &()) -> Cow<'_, str> {
                $group.into()
            }

            fn version(_: &()) -> Cow<'_, str> {
                "v1".into()
            }

            fn plural(_: &()) -> Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

resource!(Pod, "Pod", "", "pods", kube::core::NamespaceResourceScope);
resource!(Claim, "PersistentVolumeClaim", "", "persistentvolumeclaims", kube::core::NamespaceResourceScope);
resource!(Node, "Node", "", "nodes", kube::core::ClusterResourceScope);
resource!(Namespace, "Namespace", "", "namespaces", kube::core::ClusterResourceScope);
resource!(PersistentVolume, "PersistentVolume", "", "persistentvolumes", kube::core::ClusterResourceScope);
resource!(StorageClass, "StorageClass", "storage.k8s.io", "storageclasses", kube::core::ClusterResourceScope);

/// Nobody here reads annotations.
pub(crate) fn slim(meta: &mut ObjectMeta) {
    meta.annotations = None;
    meta.finalizers = None;
}

impl Pod {
    /// `namespace/name`.
    pub fn key(&self) -> client::ObjectKey {
        client::ObjectKey::of(&self.metadata)
    }

    /// The unique id, or an empty string.
    pub fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// The pod's priority, 0 when it has none.
    pub fn priority(&self) -> i32 {
        self.spec.priority.unwrap_or(0)
    }

    /// A condition by its type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.kind == kind)
    }
}
