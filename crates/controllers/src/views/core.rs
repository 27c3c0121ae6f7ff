//! Views of the core group.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, ContainerPort, ContainerStatus, EndpointSubset, NodeAddress, NodeCondition, ObjectReference,
    PodCondition, PodIP, ResourceRequirements, ServicePort, Taint, Toleration,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{part, view};

view!(
    /// A pod as controllers see it.
    Pod, "", "v1", "pods", NamespaceResourceScope, {
        /// What should run.
        spec: PodSpec,
        /// What runs.
        status: PodStatus,
    }
);

part!(
    /// The parts of a pod's spec that controllers read.
    PodSpec, {
        /// Where it runs.
        node_name: Option<String>,
        /// Its name for DNS.
        hostname: Option<String>,
        /// The headless service that gives it a DNS name.
        subdomain: Option<String>,
        /// Always, OnFailure or Never.
        restart_policy: Option<String>,
        /// Whether it shares the node's addresses.
        host_network: Option<bool>,
        /// Containers with their ports and resources.
        containers: Vec<Container>,
        /// Init containers; those that restart always are sidecars.
        init_containers: Vec<Container>,
        /// What taints it stands.
        tolerations: Vec<Toleration>,
        /// Daemon set pods name their node here.
        affinity: Option<Affinity>,
        /// Of its priority class.
        priority: Option<i32>,
        /// Names which scopes of quotas it falls under.
        priority_class_name: Option<String>,
        /// Resources of the pod as a whole.
        resources: Option<ResourceRequirements>,
        /// Resources of the sandbox.
        overhead: BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>,
        /// How long it may run.
        active_deadline_seconds: Option<i64>,
        /// How long it gets to stop.
        termination_grace_period_seconds: Option<i64>,
        /// Its account.
        service_account_name: Option<String>,
    }
);

part!(
    /// A container's ports and resources.
    Container, {
        /// The name.
        name: String,
        /// Ports by name.
        ports: Vec<ContainerPort>,
        /// Requests and limits.
        resources: Option<ResourceRequirements>,
        /// Always: a sidecar.
        restart_policy: Option<String>,
    }
);

part!(
    /// The parts of a pod's status that controllers read.
    PodStatus, {
        /// Pending, Running, Succeeded, Failed or Unknown.
        phase: Option<String>,
        /// Why, in one word.
        reason: Option<String>,
        /// Ready and others.
        conditions: Vec<PodCondition>,
        /// The first address.
        #[serde(rename = "podIP")]
        pod_ip: Option<String>,
        /// All addresses.
        #[serde(rename = "podIPs")]
        pod_ips: Vec<PodIP>,
        /// The node's address.
        #[serde(rename = "hostIP")]
        host_ip: Option<String>,
        /// When the kubelet saw it.
        start_time: Option<Time>,
        /// States of the containers.
        container_statuses: Vec<ContainerStatus>,
    }
);

view!(
    /// A service.
    Service, "", "v1", "services", NamespaceResourceScope, {
        /// Ports and selector.
        spec: ServiceSpec,
    }
);

part!(
    /// A service's spec.
    ServiceSpec, {
        /// Labels of its pods; empty: someone else writes its endpoints.
        selector: BTreeMap<String, String>,
        /// The ports.
        ports: Vec<ServicePort>,
        /// `None` for headless services.
        #[serde(rename = "clusterIP")]
        cluster_ip: Option<String>,
        /// Whether a load balancer's service gets node ports.
        allocate_load_balancer_node_ports: Option<bool>,
        /// Publish pods that are not ready too.
        publish_not_ready_addresses: Option<bool>,
        /// ClusterIP, NodePort, LoadBalancer or ExternalName.
        #[serde(rename = "type")]
        type_: Option<String>,
        /// IPv4, IPv6.
        ip_families: Vec<String>,
    }
);

view!(
    /// Endpoints of a service.
    Endpoints, "", "v1", "endpoints", NamespaceResourceScope, {
        /// Addresses by ports.
        subsets: Vec<EndpointSubset>,
    }
);

view!(
    /// A node.
    Node, "", "v1", "nodes", ClusterResourceScope, {
        /// Taints.
        spec: NodeSpec,
        /// Conditions.
        status: NodeStatus,
    }
);

part!(
    /// A node's spec.
    NodeSpec, {
        /// What keeps pods away.
        taints: Vec<Taint>,
        /// Cordoned.
        unschedulable: Option<bool>,
    }
);

part!(
    /// A node's status.
    NodeStatus, {
        /// Ready and pressures.
        conditions: Vec<NodeCondition>,
        /// Addresses.
        addresses: Vec<NodeAddress>,
        /// What pods may use.
        allocatable: BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>,
    }
);

view!(
    /// A namespace.
    Namespace, "", "v1", "namespaces", ClusterResourceScope, {
        /// Finalizers.
        spec: NamespaceSpec,
        /// Phase.
        status: NamespaceStatus,
    }
);

part!(
    /// A namespace's spec.
    NamespaceSpec, {
        /// Who must empty it first.
        finalizers: Vec<String>,
    }
);

part!(
    /// A namespace's status.
    NamespaceStatus, {
        /// Active or Terminating.
        phase: Option<String>,
        /// What hinders deletion.
        conditions: Vec<k8s_openapi::api::core::v1::NamespaceCondition>,
    }
);

view!(
    /// A service account.
    ServiceAccount, "", "v1", "serviceaccounts", NamespaceResourceScope, {
        /// Its token secrets.
        secrets: Vec<ObjectReference>,
    }
);

view!(
    /// A secret. Values stay base64 text.
    Secret, "", "v1", "secrets", NamespaceResourceScope, {
        /// Its type.
        #[serde(rename = "type")]
        type_: Option<String>,
        /// Its values.
        data: BTreeMap<String, String>,
    }
);

view!(
    /// A config map.
    ConfigMap, "", "v1", "configmaps", NamespaceResourceScope, {
        /// Its values.
        data: BTreeMap<String, String>,
    }
);

view!(
    /// A slice of a service's endpoints.
    EndpointSlice, "discovery.k8s.io", "v1", "endpointslices", NamespaceResourceScope, {
        /// IPv4, IPv6 or FQDN.
        address_type: Option<String>,
        /// The endpoints.
        endpoints: Vec<k8s_openapi::api::discovery::v1::Endpoint>,
        /// The ports that all of them have.
        ports: Vec<k8s_openapi::api::discovery::v1::EndpointPort>,
    }
);

view!(
    /// A lease; nodes renew theirs as a cheap heartbeat.
    Lease, "coordination.k8s.io", "v1", "leases", NamespaceResourceScope, {
        /// Times.
        spec: LeaseSpec,
    }
);

part!(
    /// A lease's times.
    LeaseSpec, {
        /// When it was last renewed.
        renew_time: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime>,
    }
);

view!(
    /// A claim on storage.
    PersistentVolumeClaim, "", "v1", "persistentvolumeclaims", NamespaceResourceScope, {
        /// Bound or not.
        status: PersistentVolumeClaimStatus,
    }
);

part!(
    /// A claim's status.
    PersistentVolumeClaimStatus, {
        /// Pending, Bound or Lost.
        phase: Option<String>,
    }
);

view!(
    /// A volume.
    PersistentVolume, "", "v1", "persistentvolumes", ClusterResourceScope, {
        /// Bound or not.
        status: PersistentVolumeStatus,
    }
);

part!(
    /// A volume's status.
    PersistentVolumeStatus, {
        /// Pending, Available, Bound, Released or Failed.
        phase: Option<String>,
    }
);

view!(
    /// A class of attributes that volumes can change to.
    VolumeAttributesClass, "storage.k8s.io", "v1", "volumeattributesclasses", ClusterResourceScope, {}
);

view!(
    /// A quota.
    ResourceQuota, "", "v1", "resourcequotas", NamespaceResourceScope, {
        /// The limits.
        spec: k8s_openapi::api::core::v1::ResourceQuotaSpec,
        /// What is used.
        status: k8s_openapi::api::core::v1::ResourceQuotaStatus,
    }
);
