//! Pods: their first status, scheduling gates, and the parts that subresources write (`pkg/registry/core/pod`).

use api::Value;
use serde_json::json;

use super::set_generation;
use crate::registry::obj;

/// `podStrategy.PrepareForCreate`.
pub(super) fn create(pod: &mut Value) {
    let class = validation::pod_qos_class(pod.get("spec").unwrap_or(&Value::Null));
    pod["status"] = json!({"phase": "Pending", "qosClass": class});
    match_label_keys(pod);
    gates(pod);
}

/// What a new status may leave out without changing it: the class, and of which generation it tells. What only alpha
/// features use is dropped (`podStatusStrategy.PrepareForUpdate`).
pub(super) fn update_status(pod: &mut Value, old: &Value) {
    let before = old.get("status").unwrap_or(&Value::Null);
    if let Some(status) = pod.get_mut("status") {
        obj::remove_field(status, "nodeAllocatableResourceClaimStatuses");
    }
    let status = obj::child_mut(pod, "status");
    for (field, empty) in [("qosClass", json!("")), ("observedGeneration", json!(0))] {
        if status.get(field).is_none_or(|v| *v == empty || v.is_null()) {
            match before.get(field) {
                Some(value) => status.insert(field.into(), value.clone()),
                None => status.remove(field),
            };
        }
    }
    let mut left: Vec<&Value> =
        before.get("conditions").and_then(Value::as_array).map(|l| l.iter().collect()).unwrap_or_default();
    let conditions = status.get_mut("conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        // Conditions of one type may occur more than once, and are met in their order.
        let same = left.iter().position(|o| o.get("type") == condition.get("type"));
        let generation = same.and_then(|at| left.remove(at).get("observedGeneration").cloned());
        let said = condition.get("observedGeneration").and_then(Value::as_i64).unwrap_or(0);
        if let (0, Some(generation)) = (said, generation) {
            condition["observedGeneration"] = generation;
        }
    }
}

/// A gated pod says so in its conditions (`applySchedulingGatedCondition`).
pub(super) fn gates(pod: &mut Value) {
    let gated = obj::at(pod, "spec.schedulingGates").and_then(Value::as_array).is_some_and(|g| !g.is_empty());
    if !gated {
        return;
    }
    let status = obj::child_mut(pod, "status");
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    let Some(list) = conditions.as_array_mut() else { return };
    if list.iter().any(|c| c.get("type").and_then(Value::as_str) == Some("PodScheduled")) {
        return;
    }
    list.push(json!({
        "type": "PodScheduled", "status": "False", "lastProbeTime": null, "lastTransitionTime": obj::now(),
        "reason": "SchedulingGated", "message": "Scheduling is blocked due to non-empty scheduling gates",
    }));
}

/// `applyMatchLabelKeysAndMismatchLabelKeys`: label keys become expressions on the pod's own values.
fn match_label_keys(pod: &mut Value) {
    let labels = obj::at(pod, "metadata.labels").and_then(Value::as_object).cloned().unwrap_or_default();
    let spread = pod.get_mut("spec").and_then(|s| s.get_mut("topologySpreadConstraints"));
    for constraint in spread.and_then(Value::as_array_mut).into_iter().flatten() {
        merge(constraint, &labels);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let Some(affinity) =
            pod.get_mut("spec").and_then(|s| s.get_mut("affinity")).and_then(|a| a.get_mut(kind))
        else {
            continue;
        };
        let required = affinity.get_mut("requiredDuringSchedulingIgnoredDuringExecution");
        for term in required.and_then(Value::as_array_mut).into_iter().flatten() {
            merge(term, &labels);
        }
        let preferred = affinity.get_mut("preferredDuringSchedulingIgnoredDuringExecution");
        for weighted in preferred.and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(term) = weighted.get_mut("podAffinityTerm") {
                merge(term, &labels);
            }
        }
    }
}

fn merge(term: &mut Value, labels: &api::Object) {
    if term.get("labelSelector").is_none_or(Value::is_null) {
        return;
    }
    let mut added = Vec::new();
    for (field, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        for key in obj::strings(term.get(field)) {
            if let Some(value) = labels.get(&key) {
                added.push(json!({"key": key, "operator": operator, "values": [value]}));
            }
        }
    }
    if added.is_empty() {
        return;
    }
    let selector = obj::child_mut(term, "labelSelector");
    let list = selector.entry("matchExpressions").or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.extend(added);
    }
}

/// `/ephemeralcontainers` and `/resize` write their part of the pod and nothing else.
pub(super) fn part(subresource: &str, pod: &mut Value, old: &Value) {
    let asked = std::mem::replace(pod, old.clone());
    let keep = obj::metadata(&asked).cloned().unwrap_or_default();
    let meta = obj::metadata_mut(pod);
    for field in ["resourceVersion", "managedFields"] {
        if let Some(value) = keep.get(field) {
            meta.insert(field.into(), value.clone());
        }
    }
    if subresource == "ephemeralcontainers" {
        let list = obj::at(&asked, "spec.ephemeralContainers").cloned();
        let spec = obj::child_mut(pod, "spec");
        match list {
            Some(list) => spec.insert("ephemeralContainers".into(), list),
            None => spec.remove("ephemeralContainers"),
        };
    } else {
        let lists = ["containers", "initContainers"];
        let count = |of: &Value, list: &str| {
            obj::at(of, "spec").and_then(|s| s.get(list)).and_then(Value::as_array).map_or(0, Vec::len)
        };
        if lists.iter().any(|list| count(&asked, list) != count(old, list)) {
            // This is refused, with all that is wrong with it.
            *pod = asked;
            return;
        }
        for list in lists {
            resources(pod, &asked, list);
        }
        if let Some(whole) = obj::at(&asked, "spec.resources").cloned() {
            obj::child_mut(pod, "spec").insert("resources".into(), whole);
        }
    }
    if !obj::same(pod.get("spec"), old.get("spec")) {
        let generation = obj::meta_number(old, "generation").unwrap_or(0);
        set_generation(pod, generation + 1);
    }
}

/// Takes over the resources of containers, or all of the containers when they are not those that were there, which is
/// refused.
fn resources(pod: &mut Value, asked: &Value, list: &str) {
    let wanted = obj::at(asked, "spec").and_then(|s| s.get(list)).and_then(Value::as_array).cloned();
    let wanted = wanted.unwrap_or_default();
    let Some(own) = pod.get_mut("spec").and_then(|s| s.get_mut(list)).and_then(Value::as_array_mut) else {
        return;
    };
    if own.iter().zip(&wanted).any(|(container, new)| container.get("name") != new.get("name")) {
        *own = wanted;
        return;
    }
    for (container, new) in own.iter_mut().zip(&wanted) {
        for field in ["resources", "resizePolicy"] {
            obj::copy_field(container, new, field);
        }
    }
}
