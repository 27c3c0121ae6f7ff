//! The cells of each kind (`pkg/printers/internalversion/printers.go`). Objects are of the hub version.

use api::Value;
use jiff::Timestamp;

mod core;
mod event;
mod extend;
mod network;
pub(crate) mod pod;
mod storage;
mod workload;

/// Makes the cells of one object, wide ones included.
pub(crate) type Cells = fn(&Value, Timestamp) -> Vec<Value>;

/// The cells of a resource; none when it has no printer of its own.
pub(crate) fn of(group: &str, resource: &str) -> Option<Cells> {
    Some(match (group, resource) {
        ("", "componentstatuses") => core::component_status,
        ("", "configmaps") => core::config_map,
        ("", "endpoints") => network::endpoints,
        ("" | "events.k8s.io", "events") => event::event,
        ("", "namespaces") => core::namespace,
        ("", "nodes") => core::node,
        ("", "persistentvolumeclaims") => storage::persistent_volume_claim,
        ("", "persistentvolumes") => storage::persistent_volume,
        ("", "pods") => pod::pod,
        ("", "podtemplates") => workload::pod_template,
        ("", "replicationcontrollers") => workload::replication_controller,
        ("", "resourcequotas") => core::resource_quota,
        ("", "secrets") => core::secret,
        ("", "serviceaccounts") => name_and_age,
        ("", "services") => network::service,
        ("admissionregistration.k8s.io", "mutatingadmissionpolicies") => extend::mutating_policy,
        ("admissionregistration.k8s.io", "validatingadmissionpolicies") => extend::validating_policy,
        (
            "admissionregistration.k8s.io",
            "mutatingadmissionpolicybindings" | "validatingadmissionpolicybindings",
        ) => extend::policy_binding,
        (
            "admissionregistration.k8s.io",
            "mutatingwebhookconfigurations" | "validatingwebhookconfigurations",
        ) => extend::webhook_configuration,
        ("apiregistration.k8s.io", "apiservices") => extend::api_service,
        ("apps", "controllerrevisions") => workload::controller_revision,
        ("apps", "daemonsets") => workload::daemon_set,
        ("apps", "deployments") => workload::deployment,
        ("apps", "replicasets") => workload::replica_set,
        ("apps", "statefulsets") => workload::stateful_set,
        ("autoscaling", "horizontalpodautoscalers") => workload::horizontal_pod_autoscaler,
        ("autoscaling", "scale") => workload::scale,
        ("batch", "cronjobs") => workload::cron_job,
        ("batch", "jobs") => workload::job,
        ("certificates.k8s.io", "certificatesigningrequests") => extend::certificate_signing_request,
        ("coordination.k8s.io", "leases") => core::lease,
        ("discovery.k8s.io", "endpointslices") => network::endpoint_slice,
        ("flowcontrol.apiserver.k8s.io", "flowschemas") => extend::flow_schema,
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations") => extend::priority_level,
        ("networking.k8s.io", "ingressclasses") => network::ingress_class,
        ("networking.k8s.io", "ingresses") => network::ingress,
        ("networking.k8s.io", "ipaddresses") => network::ip_address,
        ("networking.k8s.io", "networkpolicies") => network::network_policy,
        ("networking.k8s.io", "servicecidrs") => network::service_cidr,
        ("node.k8s.io", "runtimeclasses") => core::runtime_class,
        ("policy", "poddisruptionbudgets") => workload::pod_disruption_budget,
        ("rbac.authorization.k8s.io", "clusterrolebindings" | "rolebindings") => extend::role_binding,
        ("resource.k8s.io", "deviceclasses" | "resourceclaimtemplates") => name_and_age,
        ("resource.k8s.io", "resourceclaims") => extend::resource_claim,
        ("resource.k8s.io", "resourceslices") => extend::resource_slice,
        ("scheduling.k8s.io", "priorityclasses") => core::priority_class,
        ("storage.k8s.io", "csidrivers") => storage::csi_driver,
        ("storage.k8s.io", "csinodes") => storage::csi_node,
        ("storage.k8s.io", "storageclasses") => storage::storage_class,
        ("storage.k8s.io", "volumeattachments") => storage::volume_attachment,
        ("storage.k8s.io", "volumeattributesclasses") => storage::volume_attributes_class,
        _ => return None,
    })
}

/// A row of cells.
macro_rules! cells {
    ($($cell:expr),* $(,)?) => { vec![$(::api::Value::from($cell)),*] };
}
pub(crate) use cells;

fn name_and_age(object: &Value, now: Timestamp) -> Vec<Value> {
    cells![name(object), crate::age::age(object, now)]
}

/// `metadata.name`.
pub(crate) fn name(object: &Value) -> &str {
    crate::value::text(object, &["metadata", "name"])
}

/// Whether the object is being deleted.
pub(crate) fn deleting(object: &Value) -> bool {
    !crate::value::at(object, &["metadata", "deletionTimestamp"]).is_null()
}
