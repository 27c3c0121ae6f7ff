//! Namespaces, nodes, configuration, quotas, small cluster-wide kinds.

use std::collections::BTreeSet;

use api::Value;
use jiff::Timestamp;

use super::{cells, name};
use crate::age::age;
use crate::value::{at, condition, count, flag, int, list, quantity, text, text_or};

pub(super) fn component_status(o: &Value, _: Timestamp) -> Vec<Value> {
    let (mut status, mut message, mut error) = ("Unknown", "", "");
    if let Some(healthy) = condition(list(o, &["conditions"]), "Healthy") {
        status = if text(healthy, &["status"]) == "True" { "Healthy" } else { "Unhealthy" };
        message = text(healthy, &["message"]);
        error = text(healthy, &["error"]);
    }
    cells![name(o), status, message, error]
}

pub(super) fn config_map(o: &Value, now: Timestamp) -> Vec<Value> {
    cells![name(o), count(o, &["data"]) + count(o, &["binaryData"]), age(o, now)]
}

pub(super) fn secret(o: &Value, now: Timestamp) -> Vec<Value> {
    cells![name(o), text(o, &["type"]), count(o, &["data"]), age(o, now)]
}

pub(super) fn namespace(o: &Value, now: Timestamp) -> Vec<Value> {
    cells![name(o), text(o, &["status", "phase"]), age(o, now)]
}

pub(super) fn lease(o: &Value, now: Timestamp) -> Vec<Value> {
    cells![name(o), text(o, &["spec", "holderIdentity"]), age(o, now)]
}

pub(super) fn runtime_class(o: &Value, now: Timestamp) -> Vec<Value> {
    cells![name(o), text(o, &["handler"]), age(o, now)]
}

pub(super) fn priority_class(o: &Value, now: Timestamp) -> Vec<Value> {
    let policy = text(o, &["preemptionPolicy"]);
    cells![name(o), int(o, &["value"]), flag(o, &["globalDefault"]), age(o, now), policy]
}

pub(super) fn resource_quota(o: &Value, now: Timestamp) -> Vec<Value> {
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (resource, hard) in at(o, &["status", "hard"]).as_object().into_iter().flatten() {
        let used = quantity(at(o, &["status", "used", resource]));
        let cell = format!("{resource}: {used}/{}", quantity(hard));
        if resource.starts_with("limits.") { limits.push(cell) } else { requests.push(cell) }
    }
    cells![name(o), requests.join(", "), limits.join(", "), age(o, now)]
}

pub(super) fn node(o: &Value, now: Timestamp) -> Vec<Value> {
    let mut status = match condition(list(o, &["status", "conditions"]), "Ready") {
        Some(ready) if text(ready, &["status"]) == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if flag(o, &["spec", "unschedulable"]) {
        status.push_str(",SchedulingDisabled");
    }
    let info = at(o, &["status", "nodeInfo"]);
    let mut kernel = text_or(info, &["kernelVersion"], "<unknown>").to_owned();
    let architecture = text(info, &["architecture"]);
    if !architecture.is_empty() {
        kernel = format!("{kernel} ({architecture})");
    }
    cells![
        name(o),
        status,
        node_roles(o),
        age(o, now),
        text(info, &["kubeletVersion"]),
        node_address(o, "InternalIP"),
        node_address(o, "ExternalIP"),
        text_or(info, &["osImage"], "<unknown>"),
        kernel,
        text_or(info, &["containerRuntimeVersion"], "<unknown>"),
    ]
}

/// The first address of a type. A later one of the same type is of the other IP family.
fn node_address<'a>(node: &'a Value, kind: &str) -> &'a str {
    condition(list(node, &["status", "addresses"]), kind).map_or("<none>", |a| text(a, &["address"]))
}

/// Roles stand in labels: `node-role.kubernetes.io/<role>` or `kubernetes.io/role=<role>`.
fn node_roles(node: &Value) -> String {
    let mut roles = BTreeSet::new();
    for (key, value) in at(node, &["metadata", "labels"]).as_object().into_iter().flatten() {
        let role = match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => role,
            None if key == "kubernetes.io/role" => value.as_str().unwrap_or_default(),
            None => "",
        };
        if !role.is_empty() {
            roles.insert(role);
        }
    }
    if roles.is_empty() {
        return "<none>".to_owned();
    }
    roles.into_iter().collect::<Vec<_>>().join(",")
}
