//! Which functions check which kind.

use api::Value;
use api::field::ErrorList;

use crate::Context;
use crate::admission::{policies, webhooks};
use crate::core::{
    claim, config, endpoints, event, namespace, node, pod, quota, replication_controller, service,
};
use crate::networking::{address, ingress, policy as network_policy};
use crate::resource::{claim as device_claim, slice, taint};
use crate::storage::{attachment, class, csi};
use crate::{
    api_service, apps, authorization, autoscaling, batch, certificates, coordination, crd, discovery,
};
use crate::{flowcontrol, meta, pod_security_policy, policy, rbac, runtime_class, scheduling};

pub(crate) type Create = fn(&Value, &Context<'_>, &mut ErrorList);
pub(crate) type Update = fn(&Value, &Value, &Context<'_>, &mut ErrorList);

/// One kind's rules.
pub(crate) struct Row {
    pub(crate) group: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) namespaced: bool,
    /// Reviews and the like are not stored and have no metadata rules.
    pub(crate) has_metadata: bool,
    pub(crate) create: Create,
    pub(crate) update: Update,
    pub(crate) status: Update,
}

const fn row(
    group: &'static str,
    kind: &'static str,
    namespaced: bool,
    create: Create,
    update: Update,
    status: Update,
) -> Row {
    Row { group, kind, namespaced, has_metadata: true, create, update, status }
}

/// A kind that is asked and answered, never stored.
const fn review(group: &'static str, kind: &'static str, create: Create) -> Row {
    let (update, status) = (authorization::no_update as Update, authorization::no_update as Update);
    Row { group, kind, namespaced: false, has_metadata: false, create, update, status }
}

/// A status without rules of its own, or none at all.
fn metadata_only(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
}

#[rustfmt::skip]
static ROWS: &[Row] = &[
    row("", "Pod", true, pod::pod_create, pod::pod_update, pod::status_update),
    row("", "PodTemplate", true, pod::pod_template_create, pod::pod_template_update, metadata_only),
    row("", "Service", true, service::create, service::update, service::status_update),
    row("", "Endpoints", true, endpoints::create, endpoints::update, metadata_only),
    row("", "ConfigMap", true, config::config_map_create, config::config_map_update, metadata_only),
    row("", "Secret", true, config::secret_create, config::secret_update, metadata_only),
    row("", "ServiceAccount", true, config::service_account_create, config::service_account_update, metadata_only),
    row("", "Namespace", false, namespace::create, namespace::update, namespace::status_update),
    row("", "Node", false, node::create, node::update, node::status_update),
    row("", "ResourceQuota", true, quota::quota_create, quota::quota_update, quota::quota_status_update),
    row("", "LimitRange", true, quota::limit_range_create, quota::limit_range_update, metadata_only),
    row("", "ReplicationController", true, replication_controller::create, replication_controller::update, replication_controller::status_update),
    row("", "PersistentVolume", false, claim::volume_create, claim::volume_update, claim::volume_status_update),
    row("", "PersistentVolumeClaim", true, claim::claim_create, claim::claim_update, claim::claim_status_update),
    row("", "Event", true, event::create, event::update, metadata_only),
    row("apps", "Deployment", true, apps::deployment::create, apps::deployment::update, apps::deployment::status_update),
    row("apps", "ReplicaSet", true, apps::deployment::replica_set_create, apps::deployment::replica_set_update, apps::deployment::replica_set_status_update),
    row("apps", "DaemonSet", true, apps::daemon_set::create, apps::daemon_set::update, apps::daemon_set::status_update),
    row("apps", "StatefulSet", true, apps::stateful_set::create, apps::stateful_set::update, apps::stateful_set::status_update),
    row("apps", "ControllerRevision", true, apps::revision::create, apps::revision::update, metadata_only),
    row("batch", "Job", true, batch::job::create, batch::job::update, batch::job::status_update),
    row("batch", "CronJob", true, batch::cron_job::create, batch::cron_job::update, batch::cron_job::status_update),
    row("networking.k8s.io", "NetworkPolicy", true, network_policy::create, network_policy::update, metadata_only),
    row("networking.k8s.io", "Ingress", true, ingress::create, ingress::update, ingress::status_update),
    row("networking.k8s.io", "IngressClass", false, ingress::class_create, ingress::class_update, metadata_only),
    row("networking.k8s.io", "IPAddress", false, address::ip_create, address::ip_update, metadata_only),
    row("networking.k8s.io", "ServiceCIDR", false, address::cidr_create, address::cidr_update, metadata_only),
    row("discovery.k8s.io", "EndpointSlice", true, discovery::create, discovery::update, metadata_only),
    row("policy", "PodDisruptionBudget", true, policy::create, policy::update, policy::status_update),
    row("policy", "PodSecurityPolicy", false, pod_security_policy::create, pod_security_policy::update, metadata_only),
    row("autoscaling", "HorizontalPodAutoscaler", true, autoscaling::create, autoscaling::update, autoscaling::status_update),
    row("autoscaling", "Scale", true, autoscaling::scale, autoscaling::scale_update, autoscaling::scale_update),
    row("scheduling.k8s.io", "PriorityClass", false, scheduling::create, scheduling::update, metadata_only),
    row("coordination.k8s.io", "Lease", true, coordination::create, coordination::update, metadata_only),
    row("storage.k8s.io", "StorageClass", false, class::create, class::update, metadata_only),
    row("storage.k8s.io", "VolumeAttributesClass", false, class::attributes_create, class::attributes_update, metadata_only),
    row("storage.k8s.io", "VolumeAttachment", false, attachment::create, attachment::update, attachment::update),
    row("storage.k8s.io", "CSIDriver", false, csi::driver_create, csi::driver_update, metadata_only),
    row("storage.k8s.io", "CSINode", false, csi::node_create, csi::node_update, metadata_only),
    row("storage.k8s.io", "CSIStorageCapacity", true, csi::capacity_create, csi::capacity_update, metadata_only),
    row("rbac.authorization.k8s.io", "Role", true, rbac::role_create, rbac::role_update, metadata_only),
    row("rbac.authorization.k8s.io", "RoleBinding", true, rbac::role_binding_create, rbac::role_binding_update, metadata_only),
    row("rbac.authorization.k8s.io", "ClusterRole", false, rbac::cluster_role_create, rbac::cluster_role_update, metadata_only),
    row("rbac.authorization.k8s.io", "ClusterRoleBinding", false, rbac::cluster_role_binding_create, rbac::cluster_role_binding_update, metadata_only),
    row("node.k8s.io", "RuntimeClass", false, runtime_class::create, runtime_class::update, metadata_only),
    row("flowcontrol.apiserver.k8s.io", "FlowSchema", false, flowcontrol::schema_create, flowcontrol::schema_update, flowcontrol::status_update),
    row("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", false, flowcontrol::level_create, flowcontrol::level_update, flowcontrol::status_update),
    row("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", false, webhooks::create, webhooks::update, metadata_only),
    row("admissionregistration.k8s.io", "MutatingWebhookConfiguration", false, webhooks::create, webhooks::update, metadata_only),
    row("admissionregistration.k8s.io", "ValidatingAdmissionPolicy", false, policies::validating_create, policies::validating_update, policies::validating_status),
    row("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding", false, policies::validating_binding_create, policies::validating_binding_update, metadata_only),
    row("admissionregistration.k8s.io", "MutatingAdmissionPolicy", false, policies::mutating_create, policies::mutating_update, metadata_only),
    row("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding", false, policies::mutating_binding_create, policies::mutating_binding_update, metadata_only),
    row("apiregistration.k8s.io", "APIService", false, api_service::create, api_service::update, api_service::status_update),
    row("certificates.k8s.io", "CertificateSigningRequest", false, certificates::create, certificates::update, certificates::status_update),
    row("resource.k8s.io", "ResourceClaim", true, device_claim::create, device_claim::update, device_claim::status_update),
    row("resource.k8s.io", "ResourceClaimTemplate", true, device_claim::template_create, device_claim::template_update, metadata_only),
    row("resource.k8s.io", "DeviceClass", false, device_claim::class_create, device_claim::class_update, metadata_only),
    row("resource.k8s.io", "ResourceSlice", false, slice::create, slice::update, metadata_only),
    row("resource.k8s.io", "DeviceTaintRule", false, taint::rule_create, taint::rule_update, taint::rule_status_update),
    row("apiextensions.k8s.io", "CustomResourceDefinition", false, crd::create, crd::update, crd::status_update),
    review("authorization.k8s.io", "SubjectAccessReview", authorization::subject),
    review("authorization.k8s.io", "SelfSubjectAccessReview", authorization::self_subject),
    review("authorization.k8s.io", "LocalSubjectAccessReview", authorization::local_subject),
    review("authorization.k8s.io", "SelfSubjectRulesReview", authorization::unchecked),
    review("authentication.k8s.io", "TokenRequest", authorization::token_request),
    review("authentication.k8s.io", "TokenReview", authorization::unchecked),
    review("authentication.k8s.io", "SelfSubjectReview", authorization::unchecked),
];

/// The rules of a kind. Kinds that moved from one group to another are found by either.
pub(crate) fn find(group: &str, kind: &str) -> Option<&'static Row> {
    let group = match (group, kind) {
        ("events.k8s.io", _) => "",
        ("extensions", "Ingress" | "NetworkPolicy") => "networking.k8s.io",
        (_, "Scale") => "autoscaling",
        ("extensions", _) => "apps",
        _ => group,
    };
    ROWS.iter().find(|row| row.kind == kind && row.group == group)
}

/// Subresources with rules of their own.
pub(crate) fn subresource(kind: &str, name: &str) -> Option<Update> {
    match (kind, name) {
        ("Pod", "resize") => Some(pod::resize_update),
        ("Pod", "ephemeralcontainers") => Some(pod::ephemeral_containers_update),
        ("CertificateSigningRequest", "approval") => Some(certificates::approval_update),
        ("Namespace", "finalize") => Some(namespace::finalize_update),
        _ => None,
    }
}
