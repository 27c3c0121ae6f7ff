//! Certificate signing requests (`pkg/registry/certificates/certificates/strategy.go`).

use std::collections::HashMap;

use api::Value;
use api::kinds::Era;

use crate::authn::User;
use crate::registry::obj;

/// Who asks for a certificate stands in the request.
pub(super) fn requester(object: &mut Value, user: &User) {
    let spec = obj::child_mut(object, "spec");
    spec.insert("username".into(), user.name.as_str().into());
    for field in ["uid", "groups", "extra"] {
        spec.remove(field);
    }
    if !user.uid.is_empty() {
        spec.insert("uid".into(), user.uid.as_str().into());
    }
    if !user.groups.is_empty() {
        spec.insert("groups".into(), user.groups.clone().into());
    }
    if !user.extra.is_empty() {
        let extra: api::Object = user.extra.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
        spec.insert("extra".into(), extra.into());
    }
}

/// Approval writes conditions, with their times.
pub(super) fn approve(object: &mut Value, old: &Value) {
    let conditions = obj::at(object, "status.conditions").cloned();
    obj::copy_field(object, old, "spec");
    obj::copy_field(object, old, "status");
    let status = obj::child_mut(object, "status");
    match conditions {
        Some(c) => status.insert("conditions".into(), c),
        None => status.remove("conditions"),
    };
    condition_times(object, old);
}

pub(super) fn condition_times(object: &mut Value, old: &Value) {
    let mut before = HashMap::new();
    for condition in obj::at(old, "status.conditions").and_then(Value::as_array).into_iter().flatten() {
        before.entry(condition.get("type")).or_insert(condition);
    }
    let now = obj::now();
    let conditions =
        object.get_mut("status").and_then(|s| s.get_mut("conditions")).and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten().filter_map(Value::as_object_mut) {
        let same = before.get(&condition.get("type")).copied();
        let unset = |c: &api::Object, f: &str| c.get(f).is_none_or(Value::is_null);
        if unset(condition, "lastUpdateTime") {
            condition.insert("lastUpdateTime".into(), now.as_str().into());
        }
        if unset(condition, "lastTransitionTime") {
            let kept = same
                .filter(|c| c.get("status") == condition.get("status"))
                .and_then(|c| c.get("lastTransitionTime"))
                .filter(|t| !t.is_null())
                .cloned();
            condition.insert("lastTransitionTime".into(), kept.unwrap_or_else(|| now.as_str().into()));
        }
    }
}

/// Decisions stay as they are when a status is written: those of old servers' clients that differ in number make all
/// conditions stay, today's are refused.
pub(super) fn keep_decisions(object: &mut Value, old: &Value, era: Era) {
    let before = obj::at(old, "status.conditions").cloned().unwrap_or_default();
    let mut kept = true;
    for decision in ["Approved", "Denied"] {
        let is_one = |c: &&Value| c.get("type").and_then(Value::as_str) == Some(decision);
        let decided: Vec<&Value> = before.as_array().into_iter().flatten().filter(is_one).collect();
        let conditions =
            object.get_mut("status").and_then(|s| s.get_mut("conditions")).and_then(Value::as_array_mut);
        let mut now: Vec<&mut Value> = conditions.into_iter().flatten().filter(|c| is_one(&&**c)).collect();
        if now.len() == decided.len() {
            for (condition, decided) in now.iter_mut().zip(decided) {
                **condition = decided.clone();
            }
        } else {
            kept = false;
        }
    }
    if !kept && era < Era::Now {
        obj::child_mut(object, "status").insert("conditions".into(), before);
    }
}
