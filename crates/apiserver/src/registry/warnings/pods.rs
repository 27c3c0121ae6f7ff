//! Warnings about pods and pod templates.

use std::collections::{HashMap, HashSet};
use std::fmt;

use api::Value;

use super::{fractional, old_node_label, selector_term, storage_request};
use crate::registry::obj;

pub(super) fn items<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    obj::at(value, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Annotations of the past.
const ANNOTATIONS: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    (
        "security.alpha.kubernetes.io/unsafe-sysctls",
        "non-functional in v1.11+; use the \"sysctls\" field instead",
    ),
];

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

/// A field of a pod, or of a template at a path. Paths are texts only where there is something to tell.
#[derive(Clone, Copy)]
struct At<'a> {
    path: &'a str,
    field: &'a str,
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(self.field) } else { write!(f, "{}.{}", self.path, self.field) }
    }
}

/// Appends the warnings about a pod, or about a template at `path`.
pub(super) fn check(out: &mut Vec<String>, path: &str, pod: &Value) {
    let (at, notes_at) = (At { path, field: "spec" }, At { path, field: "metadata.annotations" });
    let notes = obj::at(pod, "metadata.annotations").and_then(Value::as_object);
    let note = |key: &str| notes.and_then(|notes| notes.get(key));
    let spec = pod.get("spec").unwrap_or(&Value::Null);
    node_labels(out, at, spec);
    for (i, constraint) in items(spec, "topologySpreadConstraints").iter().enumerate() {
        let here = format_args!("{at}.topologySpreadConstraints[{i}]");
        let key = text(constraint, "topologyKey");
        if let Some(why) = old_node_label(key) {
            out.push(format!("{here}.topologyKey: {key} is {why}"));
        }
        if constraint.get("labelSelector").is_none_or(Value::is_null) {
            out.push(format!("{here}.labelSelector: a null labelSelector results in matching no pod"));
        }
    }
    for (key, why) in ANNOTATIONS.into_iter().filter(|(key, _)| note(key).is_some()) {
        out.push(format!("{notes_at}[{key}]: {why}"));
    }
    for (i, volume) in items(spec, "volumes").iter().enumerate() {
        for (field, shown, why) in VOLUMES {
            if volume.get(field).is_some_and(|v| !v.is_null()) {
                out.push(format!("{at}.volumes[{i}].{shown}: {why}"));
            }
        }
        let claim = obj::at(volume, "ephemeral.volumeClaimTemplate.spec");
        storage_request(out, format_args!("{at}.volumes[{i}].ephemeral.volumeClaimTemplate.spec"), claim);
    }
    super::volumes::overlaps(out, items(spec, "volumes"));
    repeated(out, items(spec, "hostAliases"), "ip", format_args!("{at}.hostAliases"));
    let secrets = items(spec, "imagePullSecrets");
    repeated(out, secrets, "name", format_args!("{at}.imagePullSecrets"));
    for (i, secret) in secrets.iter().enumerate() {
        if text(secret, "name").is_empty() {
            out.push(format!("{at}.imagePullSecrets[{i}].name: invalid empty name \"\""));
        }
    }
    let overhead = spec.get("overhead");
    fractional(out, format_args!("{at}.overhead"), overhead, &["memory", "ephemeral-storage"]);
    const SECCOMP: &str = "seccomp.security.alpha.kubernetes.io/pod";
    if note(SECCOMP).is_some() && obj::at(spec, "securityContext.seccompProfile").is_none() {
        out.push(no_seccomp(notes_at, SECCOMP));
    }
    for (list, i, container) in containers(spec) {
        if let Some(notes) = notes {
            annotations(out, notes_at, notes, spec, container);
        }
        let amounts = |kind: &str| container.get("resources").and_then(|r| r.get(kind));
        for name in ["memory", "ephemeral-storage"] {
            for kind in ["limits", "requests"] {
                let here = format_args!("{at}.{list}[{i}].resources.{kind}");
                fractional(out, here, amounts(kind), &[name]);
            }
        }
        environment(out, format_args!("{at}.{list}[{i}]"), items(container, "env"));
    }
    ports(out, at, spec);
    if spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64).is_some_and(|n| n < 0) {
        out.push(format!(
            "{at}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
    affinity(out, format_args!("{at}.affinity"), spec.get("affinity"));
    for (i, server) in items(spec, "dnsConfig.nameservers").iter().enumerate() {
        let here = format!("{at}.dnsConfig.nameservers[{i}]");
        out.extend(validation::ip_warning(&here, server.as_str().unwrap_or_default()));
    }
    for (i, alias) in items(spec, "hostAliases").iter().enumerate() {
        out.extend(validation::ip_warning(&format!("{at}.hostAliases[{i}].ip"), text(alias, "ip")));
    }
}

/// All containers with the lists that they are in and their places there, in upstream's order.
fn containers(spec: &Value) -> impl Iterator<Item = (&'static str, usize, &Value)> {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    lists.into_iter().flat_map(|list| items(spec, list).iter().enumerate().map(move |(i, c)| (list, i, c)))
}

/// Labels of nodes that have new names.
fn node_labels(out: &mut Vec<String>, at: At<'_>, spec: &Value) {
    for (key, why) in super::old_node_labels(spec.get("nodeSelector")) {
        out.push(format!("{at}.nodeSelector[{key}]: {why}"));
    }
    let Some(affinity) = obj::at(spec, "affinity.nodeAffinity") else { return };
    let path = format!("{at}.affinity.nodeAffinity");
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    for (i, term) in items(affinity, &format!("{required}.nodeSelectorTerms")).iter().enumerate() {
        selector_term(out, &format!("{path}.{required}.nodeSelectorTerms[{i}]"), term, false);
    }
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    for (i, weighted) in items(affinity, preferred).iter().enumerate() {
        if let Some(term) = weighted.get("preference") {
            selector_term(out, &format!("{path}.{preferred}[{i}].preference"), term, true);
        }
    }
}

/// Of two things with the same name, the second.
fn repeated(out: &mut Vec<String>, list: &[Value], field: &str, path: impl fmt::Display) {
    let mut seen = HashSet::new();
    for (i, item) in list.iter().enumerate() {
        let value = text(item, field);
        if !seen.insert(value) {
            out.push(format!("{path}[{i}].{field}: duplicate {field} {value:?}"));
        }
    }
}

fn no_seccomp(path: At<'_>, key: &str) -> String {
    format!("{path}[{key}]: non-functional in v1.27+; use the \"seccompProfile\" field instead")
}

/// Annotations that a field of the container has replaced.
fn annotations(out: &mut Vec<String>, at: At<'_>, notes: &api::Object, spec: &Value, container: &Value) {
    let name = text(container, "name");
    let key = format!("container.seccomp.security.alpha.kubernetes.io/{name}");
    if notes.contains_key(&key) && obj::at(container, "securityContext.seccompProfile").is_none() {
        out.push(no_seccomp(at, &key));
    }
    let key = format!("container.apparmor.security.beta.kubernetes.io/{name}");
    if let Some(note) = notes.get(&key).and_then(Value::as_str)
        && obj::at(container, "securityContext.appArmorProfile").is_none()
        && !armoured(obj::at(spec, "securityContext.appArmorProfile"), note)
    {
        out.push(format!("{at}[{key}]: deprecated since v1.30; use the \"appArmorProfile\" field instead"));
    }
}

/// Whether a pod's profile says what an annotation says (`ApparmorFieldForAnnotation`).
fn armoured(profile: Option<&Value>, note: &str) -> bool {
    let Some(profile) = profile else { return false };
    let local = text(profile, "localhostProfile");
    match text(profile, "type") {
        "Unconfined" => note == "unconfined",
        "RuntimeDefault" => note == "runtime/default",
        "Localhost" => !local.is_empty() && note.strip_prefix("localhost/") == Some(local),
        _ => false,
    }
}

/// A variable that is defined twice, unless the second builds on the first.
fn environment(out: &mut Vec<String>, path: impl fmt::Display, list: &[Value]) {
    let mut seen = HashSet::new();
    for (i, variable) in list.iter().enumerate() {
        let (name, value) = (text(variable, "name"), text(variable, "value"));
        if seen.insert(name) {
            continue;
        }
        let own = format!("$({name})");
        let from = variable.get("valueFrom").is_some_and(|v| !v.is_null());
        let builds = !from && value != own && value.contains(&own);
        if !builds {
            out.push(format!(
                "{path}.env[{i}]: hides previous definition of {name:?}, which may be dropped when using apply"
            ));
        }
    }
}

/// A port of a container.
struct Port<'a> {
    /// Which container of which list.
    of: (&'static str, usize),
    /// Which port of the container.
    index: usize,
    number: i64,
    protocol: &'a str,
    host_port: i64,
    host: &'a str,
    name: &'a str,
}

fn ports(out: &mut Vec<String>, at: At<'_>, spec: &Value) {
    let path = |port: &Port<'_>| format!("{at}.{}[{}].ports[{}]", port.of.0, port.of.1, port.index);
    let mut seen: Vec<Port<'_>> = Vec::new();
    // Where ports with a number and a protocol stand, and the first with a name.
    let mut alike: HashMap<(i64, &str), Vec<usize>> = HashMap::new();
    let mut named: HashMap<&str, usize> = HashMap::new();
    for (list, container_index, container) in containers(spec) {
        for (index, port) in items(container, "ports").iter().enumerate() {
            let number = |field: &str| port.get(field).and_then(Value::as_i64).unwrap_or(0);
            let own = Port {
                of: (list, container_index),
                index,
                number: number("containerPort"),
                protocol: text(port, "protocol"),
                host_port: number("hostPort"),
                host: text(port, "hostIP"),
                name: text(port, "name"),
            };
            if !own.host.is_empty() && own.host_port == 0 {
                out.push(format!(
                    "{}: hostIP set without hostPort: {{Name:{} HostPort:0 ContainerPort:{} Protocol:{} HostIP:{}}}",
                    path(&own), own.name, own.number, own.protocol, own.host
                ));
            }
            let others = alike.entry((own.number, own.protocol)).or_default();
            for other in others.iter().filter_map(|at| seen.get(*at)) {
                if out.len() >= crate::handlers::WARNINGS_MAX {
                    return;
                }
                let one_named = own.host.is_empty() != other.host.is_empty();
                let how = if own.host == other.host && own.host_port == other.host_port {
                    "duplicate"
                } else if own.host_port == 0 || other.host_port == 0 {
                    "overlapping"
                } else if own.host_port == other.host_port && one_named {
                    "dangerously ambiguous"
                } else {
                    continue;
                };
                out.push(format!("{}: {how} port definition with {}", path(&own), path(other)));
            }
            others.push(seen.len());
            seen.push(own);
        }
    }
    for (i, port) in seen.iter().enumerate().filter(|(_, p)| !p.name.is_empty()) {
        let first = *named.entry(port.name).or_insert(i);
        if let Some(other) = seen.get(first).filter(|_| first < i) {
            out.push(format!(
                "{}: duplicate port name {:?} with {}, services and probes that select ports by name will use {}",
                path(port), port.name, path(other), path(other)
            ));
        }
    }
}

fn affinity(out: &mut Vec<String>, path: impl fmt::Display, affinity: Option<&Value>) {
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
