//! Defaults of the core group (`pkg/apis/core/v1/defaults.go`).

use serde_json::json;

use super::object::{absent, child, empty, has_entries, is_set, items, make, text, zero};
use super::{Hook, image, pod};
use crate::{Object, Value};

/// The function of a type of `core/v1`.
pub(super) fn hook(kind: &str) -> Option<Hook> {
    Some(match kind {
        "ReplicationController" => replication_controller,
        "Volume" => volume,
        "Container" | "EphemeralContainer" => container,
        "Service" => service,
        "Pod" => pod::pod,
        "PodSpec" => pod_spec,
        "Probe" => probe,
        "SecretVolumeSource"
        | "ConfigMapVolumeSource"
        | "DownwardAPIVolumeSource"
        | "ProjectedVolumeSource" => |o| absent(o, "defaultMode", 0o644),
        "ServiceAccountTokenProjection" => |o| absent(o, "expirationSeconds", 3600),
        "Secret" => |o| empty(o, "type", "Opaque"),
        "PersistentVolume" => persistent_volume,
        "PersistentVolumeClaim" => |o| {
            if let Some(status) = make(o, "status") {
                empty(status, "phase", "Pending");
            }
        },
        "PersistentVolumeClaimSpec" => |o| absent(o, "volumeMode", "Filesystem"),
        "EndpointPort" => |o| empty(o, "protocol", "TCP"),
        "HTTPGetAction" => |o| {
            empty(o, "path", "/");
            empty(o, "scheme", "HTTP");
        },
        "Namespace" => namespace,
        "NamespaceStatus" => |o| empty(o, "phase", "Active"),
        "NodeStatus" => |o| {
            if let Some(capacity) = o.get("capacity").cloned() {
                absent(o, "allocatable", capacity);
            }
        },
        "ObjectFieldSelector" => |o| empty(o, "apiVersion", "v1"),
        "LimitRangeItem" => limit_range_item,
        "HostPathVolumeSource" => |o| absent(o, "type", ""),
        _ => return None,
    })
}

/// Labels of `spec.template`, when it has any.
pub(super) fn template_labels(object: &Object) -> Option<Object> {
    let labels = object.get("spec")?.get("template")?.get("metadata")?.get("labels")?;
    labels.as_object().filter(|l| !l.is_empty()).cloned()
}

/// `metadata.labels` from the template's, when the object has none.
pub(super) fn labels_from_template(object: &mut Object, labels: &Object) {
    if let Some(meta) = make(object, "metadata")
        && !has_entries(meta, "labels")
    {
        meta.insert("labels".to_owned(), labels.clone().into());
    }
}

fn replication_controller(o: &mut Object) {
    let Some(labels) = template_labels(o) else { return };
    if let Some(spec) = child(o, "spec")
        && !has_entries(spec, "selector")
    {
        spec.insert("selector".to_owned(), labels.clone().into());
    }
    labels_from_template(o, &labels);
}

fn volume(o: &mut Object) {
    let has_source = o.iter().any(|(name, value)| name != "name" && !value.is_null());
    if !has_source {
        o.insert("emptyDir".to_owned(), json!({}));
    }
    if let Some(source) = child(o, "image")
        && text(source, "pullPolicy").is_empty()
    {
        let policy = image::pull_policy(text(source, "reference"));
        source.insert("pullPolicy".to_owned(), policy.into());
    }
}

fn container(o: &mut Object) {
    if text(o, "imagePullPolicy").is_empty() {
        let policy = image::pull_policy(text(o, "image"));
        o.insert("imagePullPolicy".to_owned(), policy.into());
    }
    empty(o, "terminationMessagePath", "/dev/termination-log");
    empty(o, "terminationMessagePolicy", "File");
}

fn pod_spec(o: &mut Object) {
    empty(o, "dnsPolicy", "ClusterFirst");
    empty(o, "restartPolicy", "Always");
    absent(o, "securityContext", json!({}));
    absent(o, "terminationGracePeriodSeconds", 30);
    empty(o, "schedulerName", "default-scheduler");
}

fn probe(o: &mut Object) {
    zero(o, "timeoutSeconds", 1);
    zero(o, "periodSeconds", 10);
    zero(o, "successThreshold", 1);
    zero(o, "failureThreshold", 3);
}

fn service(o: &mut Object) {
    let Some(spec) = make(o, "spec") else { return };
    empty(spec, "sessionAffinity", "None");
    match text(spec, "sessionAffinity") {
        "None" => {
            spec.remove("sessionAffinityConfig");
        }
        "ClientIP" => {
            let timeout =
                spec.get("sessionAffinityConfig").and_then(|c| c.get("clientIP")?.get("timeoutSeconds"));
            if timeout.is_none_or(Value::is_null) {
                spec.insert(
                    "sessionAffinityConfig".to_owned(),
                    json!({"clientIP": {"timeoutSeconds": 10800}}),
                );
            }
        }
        _ => {}
    }
    empty(spec, "type", "ClusterIP");
    for port in items(spec, "ports") {
        empty(port, "protocol", "TCP");
        let unset = match port.get("targetPort") {
            None | Some(Value::Null) => true,
            Some(Value::Number(n)) => n.as_i64() == Some(0),
            Some(Value::String(s)) => s.is_empty(),
            _ => false,
        };
        if unset {
            let own = port.get("port").cloned().unwrap_or_else(|| 0.into());
            port.insert("targetPort".to_owned(), own);
        }
    }
    let ty = text(spec, "type").to_owned();
    let external = matches!(ty.as_str(), "LoadBalancer" | "NodePort")
        || (ty == "ClusterIP" && has_entries(spec, "externalIPs"));
    if external {
        empty(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(ty.as_str(), "LoadBalancer" | "NodePort" | "ClusterIP") {
        absent(spec, "internalTrafficPolicy", "Cluster");
    }
    if ty == "LoadBalancer" {
        absent(spec, "allocateLoadBalancerNodePorts", true);
        if let Some(balancer) = child(o, "status").and_then(|s| child(s, "loadBalancer")) {
            for ingress in items(balancer, "ingress").filter(|i| !text(i, "ip").is_empty()) {
                absent(ingress, "ipMode", "VIP");
            }
        }
    }
}

fn persistent_volume(o: &mut Object) {
    if let Some(status) = make(o, "status") {
        empty(status, "phase", "Pending");
    }
    if let Some(spec) = make(o, "spec") {
        empty(spec, "persistentVolumeReclaimPolicy", "Retain");
        absent(spec, "volumeMode", "Filesystem");
    }
}

fn namespace(o: &mut Object) {
    let Some(meta) = child(o, "metadata") else { return };
    let name = text(meta, "name").to_owned();
    if !name.is_empty()
        && let Some(labels) = make(meta, "labels")
    {
        labels.insert("kubernetes.io/metadata.name".to_owned(), name.into());
    }
}

fn limit_range_item(o: &mut Object) {
    if text(o, "type") != "Container" {
        return;
    }
    for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
        let Some(Value::Object(amounts)) = o.get(from).cloned() else { continue };
        if amounts.is_empty() {
            continue;
        }
        if let Some(target) = make(o, to) {
            for (name, amount) in amounts {
                target.entry(name).or_insert(amount);
            }
        }
    }
    // Go leaves empty maps away when it writes.
    for name in ["default", "defaultRequest"] {
        if !has_entries(o, name) && is_set(o, name) {
            o.remove(name);
        }
    }
}
