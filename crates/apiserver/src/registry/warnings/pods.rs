//! Warnings about pods and pod templates.

use api::Value;

use super::{annotation, fractional, storage_request};
use crate::registry::obj;

fn items<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    obj::at(value, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Volume types of the past.
const VOLUMES: [(&str, &str, &str); 9] = [
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

/// Appends the warnings about a pod, or about a template at `path`.
pub(super) fn check(out: &mut Vec<String>, path: &str, pod: &Value, update: bool) {
    let at = |rest: &str| if path.is_empty() { rest.to_owned() } else { format!("{path}.{rest}") };
    for (i, constraint) in items(pod, "spec.topologySpreadConstraints").iter().enumerate() {
        if constraint.get("labelSelector").is_none_or(Value::is_null) {
            out.push(format!(
                "{}: a null labelSelector results in matching no pod",
                at(&format!("spec.topologySpreadConstraints[{i}].labelSelector"))
            ));
        }
    }
    for (i, volume) in items(pod, "spec.volumes").iter().enumerate() {
        for (field, shown, why) in VOLUMES {
            if volume.get(field).is_some_and(|v| !v.is_null()) {
                out.push(format!("{}: {why}", at(&format!("spec.volumes[{i}].{shown}"))));
            }
        }
        let claim = obj::at(volume, "ephemeral.volumeClaimTemplate.spec");
        storage_request(out, &at(&format!("spec.volumes[{i}].ephemeral.volumeClaimTemplate.spec")), claim);
    }
    for volume in items(pod, "spec.volumes") {
        if let Some(projected) = volume.get("projected")
            && items(projected, "sources").is_empty()
        {
            out.push(format!("volume {:?} (Projected) has no sources provided", text(volume, "name")));
        }
    }
    repeated(out, items(pod, "spec.hostAliases"), "ip", &at("spec.hostAliases"));
    repeated(out, items(pod, "spec.imagePullSecrets"), "name", &at("spec.imagePullSecrets"));
    if !update {
        annotations(out, &at("metadata.annotations"), pod);
    }
    for list in ["initContainers", "containers"] {
        for (i, container) in items(pod, &format!("spec.{list}")).iter().enumerate() {
            let path = at(&format!("spec.{list}[{i}]"));
            for kind in ["limits", "requests"] {
                let amounts = obj::at(container, "resources").and_then(|r| r.get(kind));
                fractional(out, &format!("{path}.resources.{kind}"), amounts, &["memory"]);
            }
            for kind in ["limits", "requests"] {
                let amounts = obj::at(container, "resources").and_then(|r| r.get(kind));
                fractional(out, &format!("{path}.resources.{kind}"), amounts, &["ephemeral-storage"]);
            }
            environment(out, &path, items(container, "env"));
        }
    }
    ports(out, path, pod);
    if obj::number_at(pod, "spec.terminationGracePeriodSeconds").is_some_and(|n| n < 0) {
        out.push(format!(
            "{}: must be >= 0; negative values are invalid and will be treated as 1",
            at("spec.terminationGracePeriodSeconds")
        ));
    }
    affinity(out, &at("spec.affinity"), obj::at(pod, "spec.affinity"));
}

fn repeated(out: &mut Vec<String>, list: &[Value], field: &str, path: &str) {
    for (i, item) in list.iter().enumerate() {
        let value = text(item, field);
        if field == "name" && value.is_empty() {
            out.push(format!("{path}[{i}].name: invalid empty name {value:?}"));
        } else if !value.is_empty() && list[..i].iter().any(|o| text(o, field) == value) {
            out.push(format!("{path}[{i}].{field}: duplicate {field} {value:?}"));
        }
    }
}

fn annotations(out: &mut Vec<String>, path: &str, pod: &Value) {
    let key = "seccomp.security.alpha.kubernetes.io/pod";
    if annotation(pod, key) {
        out.push(format!(
            "{path}[{key}]: non-functional in v1.27+; use the \"seccompProfile\" field instead"
        ));
    }
    for container in items(pod, "spec.initContainers").iter().chain(items(pod, "spec.containers")) {
        let name = text(container, "name");
        let key = format!("container.seccomp.security.alpha.kubernetes.io/{name}");
        if annotation(pod, &key) {
            out.push(format!(
                "{path}[{key}]: non-functional in v1.27+; use the \"seccompProfile\" field instead"
            ));
        }
        let key = format!("container.apparmor.security.beta.kubernetes.io/{name}");
        if annotation(pod, &key) {
            out.push(format!(
                "{path}[{key}]: deprecated since v1.30; use the \"appArmorProfile\" field instead"
            ));
        }
    }
}

/// A variable that is defined twice, unless the second refers to the first.
fn environment(out: &mut Vec<String>, path: &str, list: &[Value]) {
    for (i, variable) in list.iter().enumerate() {
        let name = text(variable, "name");
        let refers = text(variable, "value").contains(&format!("$({name})"));
        if !name.is_empty() && !refers && list[..i].iter().any(|v| text(v, "name") == name) {
            out.push(format!(
                "{path}.env[{i}]: hides previous definition of {name:?}, which may be dropped when using apply"
            ));
        }
    }
}

fn ports(out: &mut Vec<String>, path: &str, pod: &Value) {
    let mut seen: Vec<(String, String, i64, String)> = Vec::new();
    for list in ["initContainers", "containers"] {
        for (i, container) in items(pod, &format!("spec.{list}")).iter().enumerate() {
            for (j, port) in items(container, "ports").iter().enumerate() {
                let own = format!("spec.{list}[{i}].ports[{j}]");
                let own = if path.is_empty() { own } else { format!("{path}.{own}") };
                let number = port.get("containerPort").and_then(Value::as_i64).unwrap_or(0);
                let key = format!("{number}/{}", text(port, "protocol"));
                let host_port = port.get("hostPort").and_then(Value::as_i64).unwrap_or(0);
                let host = text(port, "hostIP").to_owned();
                for (other, other_key, other_port, other_host) in &seen {
                    if *other_key != key {
                        continue;
                    }
                    let same = host_port == *other_port && host == *other_host;
                    if same {
                        out.push(format!("{own}: duplicate port definition with {other}"));
                    } else if host_port == 0 || *other_port == 0 {
                        out.push(format!("{own}: overlapping port definition with {other}"));
                    } else if host_port == *other_port && (host.is_empty() || other_host.is_empty()) {
                        out.push(format!("{own}: dangerously ambiguous port definition with {other}"));
                    }
                }
                seen.push((own, key, host_port, host));
            }
        }
    }
}

fn affinity(out: &mut Vec<String>, path: &str, affinity: Option<&Value>) {
    let Some(affinity) = affinity else { return };
    for kind in ["podAffinity", "podAntiAffinity"] {
        let Some(of) = affinity.get(kind) else { continue };
        let null = |term: &Value| term.get("labelSelector").is_none_or(Value::is_null);
        let field = "requiredDuringSchedulingIgnoredDuringExecution";
        for (i, term) in items(of, field).iter().enumerate() {
            if null(term) {
                out.push(format!(
                    "{path}.{kind}.{field}[{i}].labelSelector: a null labelSelector results in matching no pod"
                ));
            }
        }
        let field = "preferredDuringSchedulingIgnoredDuringExecution";
        for (i, weighted) in items(of, field).iter().enumerate() {
            if weighted.get("podAffinityTerm").is_some_and(null) {
                out.push(format!(
                    "{path}.{kind}.{field}[{i}].podAffinityTerm.labelSelector: a null labelSelector results in matching no pod"
                ));
            }
        }
    }
}
