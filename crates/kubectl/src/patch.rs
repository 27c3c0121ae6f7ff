//! Patches made on the client: two-way for `set` and `edit`, three-way for `apply`
//! (upstream: `apimachinery/pkg/util/strategicpatch`, `jsonmergepatch`).
//!
//! A strategic patch needs to know how lists merge. The few rules that upstream's types carry are a
//! table here, by field and by what stands around it.

use serde_json::{Map, Value, json};

use crate::value::Json;

/// The media types.
pub(crate) const STRATEGIC: &str = "application/strategic-merge-patch+json";
/// JSON merge patch (RFC 7386).
pub(crate) const MERGE: &str = "application/merge-patch+json";
/// JSON patch (RFC 6902).
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";

/// How a field is patched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Strategy {
    /// Maps merge, lists are replaced.
    Plain,
    /// A list of maps, by this key; `true` when elements keep only the keys that they are given.
    Keyed(&'static str, bool),
    /// A list of scalars that is a set.
    Set,
    /// A map that keeps only the keys that it is given.
    RetainKeys,
}

/// The strategy of a field; `path` are the names above it, list positions left out.
fn strategy(path: &[&str], field: &str) -> Strategy {
    let parent = path.last().copied().unwrap_or("");
    let in_status = path.first() == Some(&"status");
    let in_container = matches!(parent, "containers" | "initContainers" | "ephemeralContainers");
    // A pod's spec: `spec` itself or the one of a template.
    let in_pod_spec = parent == "spec";
    match field {
        "containers" | "initContainers" | "ephemeralContainers" | "imagePullSecrets" | "schedulingGates"
            if in_pod_spec =>
        {
            Strategy::Keyed("name", false)
        }
        "volumes" | "resourceClaims" if in_pod_spec => Strategy::Keyed("name", true),
        "hostAliases" if in_pod_spec => Strategy::Keyed("ip", false),
        "topologySpreadConstraints" if in_pod_spec => Strategy::Keyed("topologyKey", false),
        "env" if in_container => Strategy::Keyed("name", false),
        "ports" if in_container => Strategy::Keyed("containerPort", false),
        "volumeMounts" if in_container => Strategy::Keyed("mountPath", false),
        "volumeDevices" if in_container => Strategy::Keyed("devicePath", false),
        "ports" if path == ["spec"] => Strategy::Keyed("port", false),
        "secrets" | "imagePullSecrets" | "webhooks" if path.is_empty() => Strategy::Keyed("name", false),
        "ownerReferences" if parent == "metadata" => Strategy::Keyed("uid", false),
        "finalizers" if parent == "metadata" => Strategy::Set,
        "conditions" | "addresses" if in_status && path.len() == 1 => Strategy::Keyed("type", false),
        "podIPs" | "hostIPs" if in_status => Strategy::Keyed("ip", false),
        "strategy" if path == ["spec"] => Strategy::RetainKeys,
        _ => Strategy::Plain,
    }
}

/// What a diff looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Everything,
    /// Additions and changes.
    Delta,
    /// What has gone.
    Deletions,
}

/// The strategic patch from one object to another.
pub(crate) fn two_way(original: &Value, modified: &Value) -> Value {
    Value::Object(diff(map(original), map(modified), &[], Mode::Everything, Strategy::Plain))
}

/// The strategic patch that brings `current` to `modified`, removing what was in `original` only.
pub(crate) fn three_way(original: &Value, modified: &Value, current: &Value) -> Value {
    let delta = diff(map(current), map(modified), &[], Mode::Delta, Strategy::Plain);
    let deletions = diff(map(original), map(modified), &[], Mode::Deletions, Strategy::Plain);
    Value::Object(merge_patches(deletions, delta, &[]))
}

/// The JSON merge patch for kinds whose lists do not merge (custom resources).
pub(crate) fn three_way_json(original: &Value, modified: &Value, current: &Value) -> Value {
    let added = json_diff(map(current), map(modified), Mode::Delta);
    let removed = json_diff(map(original), map(modified), Mode::Deletions);
    let mut all = Value::Object(removed);
    merge_values(&mut all, Value::Object(added));
    all
}

fn map(v: &Value) -> &Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    v.as_object().unwrap_or(&EMPTY)
}

fn json_diff(a: &Map<String, Value>, b: &Map<String, Value>, mode: Mode) -> Map<String, Value> {
    let mut out = Map::new();
    for (k, new) in b {
        match a.get(k) {
            Some(Value::Object(old)) if new.is_object() => {
                let inner = json_diff(old, map(new), mode);
                if !inner.is_empty() {
                    out.insert(k.clone(), Value::Object(inner));
                }
            }
            Some(old) if old == new => {}
            _ if mode == Mode::Deletions => {}
            _ => {
                out.insert(k.clone(), new.clone());
            }
        }
    }
    if mode != Mode::Delta {
        for k in a.keys().filter(|k| !b.contains_key(*k)) {
            out.insert(k.clone(), Value::Null);
        }
    }
    out
}

fn merge_values(a: &mut Value, b: Value) {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            for (k, v) in b {
                match a.get_mut(&k) {
                    Some(old) => merge_values(old, v),
                    None => {
                        a.insert(k, v);
                    }
                }
            }
        }
        (a, b) => *a = b,
    }
}

fn diff(
    a: &Map<String, Value>,
    b: &Map<String, Value>,
    path: &[&str],
    mode: Mode,
    own: Strategy,
) -> Map<String, Value> {
    let mut out = Map::new();
    for (k, new) in b {
        let Some(old) = a.get(k) else {
            if mode != Mode::Deletions {
                out.insert(k.clone(), new.clone());
            }
            continue;
        };
        let s = strategy(path, k);
        let mut below = path.to_vec();
        below.push(k);
        match (old, new) {
            (Value::Object(x), Value::Object(y)) => {
                let inner = diff(x, y, &below, mode, s);
                if !inner.is_empty() {
                    out.insert(k.clone(), Value::Object(inner));
                }
            }
            (Value::Array(x), Value::Array(y)) => match s {
                Strategy::Keyed(key, retain) => keyed(&mut out, k, x, y, key, retain, &below, mode),
                Strategy::Set => set(&mut out, k, x, y, mode),
                _ if old != new && mode != Mode::Deletions => {
                    out.insert(k.clone(), new.clone());
                }
                _ => {}
            },
            _ if old != new && mode != Mode::Deletions => {
                out.insert(k.clone(), new.clone());
            }
            _ => {}
        }
    }
    if mode != Mode::Delta {
        for k in a.keys().filter(|k| !b.contains_key(*k)) {
            out.insert(k.clone(), Value::Null);
        }
    }
    let retain = matches!(own, Strategy::RetainKeys);
    if retain && !out.is_empty() && mode != Mode::Deletions {
        out.insert("$retainKeys".into(), b.keys().cloned().collect());
    }
    out
}

#[allow(clippy::too_many_arguments)] // One call site; a struct would only rename them.
fn keyed(
    out: &mut Map<String, Value>,
    field: &str,
    a: &[Value],
    b: &[Value],
    key: &str,
    retain: bool,
    path: &[&str],
    mode: Mode,
) {
    let find = |list: &[Value], e: &Value| list.iter().position(|x| x.get(key) == e.get(key));
    let mut patch: Vec<Value> = Vec::new();
    for new in b {
        match find(a, new) {
            Some(i) => {
                let own = if retain { Strategy::RetainKeys } else { Strategy::Plain };
                let mut inner = diff(map(&a[i]), map(new), path, mode, own);
                if !inner.is_empty() {
                    inner.insert(key.into(), new.get(key).cloned().unwrap_or_default());
                    patch.push(Value::Object(inner));
                }
            }
            None if mode != Mode::Deletions => patch.push(new.clone()),
            None => {}
        }
    }
    if mode != Mode::Delta {
        for old in a.iter().filter(|o| find(b, o).is_none()) {
            patch.push(json!({"$patch": "delete", key: old.get(key)}));
        }
    }
    let order = |list: &[Value], other: &[Value]| -> Vec<Value> {
        list.iter().filter(|e| find(other, e).is_some()).filter_map(|e| e.get(key).cloned()).collect()
    };
    let moved = mode != Mode::Deletions && order(a, b) != order(b, a);
    if patch.is_empty() && !moved {
        return;
    }
    let wanted: Vec<Value> = b.iter().map(|e| json!({key: e.get(key)})).collect();
    out.insert(format!("$setElementOrder/{field}"), wanted.into());
    if !patch.is_empty() {
        out.insert(field.into(), patch.into());
    }
}

fn set(out: &mut Map<String, Value>, field: &str, a: &[Value], b: &[Value], mode: Mode) {
    let added: Vec<Value> = b.iter().filter(|v| !a.contains(v)).cloned().collect();
    let gone: Vec<Value> = a.iter().filter(|v| !b.contains(v)).cloned().collect();
    let mut changed = false;
    if !gone.is_empty() && mode != Mode::Delta {
        out.insert(format!("$deleteFromPrimitiveList/{field}"), gone.into());
        changed = true;
    }
    if !added.is_empty() && mode != Mode::Deletions {
        out.insert(field.into(), added.into());
        changed = true;
    }
    if changed {
        out.insert(format!("$setElementOrder/{field}"), b.to_vec().into());
    }
}

/// Puts what is to be deleted and what is to be changed into one patch.
fn merge_patches(mut a: Map<String, Value>, b: Map<String, Value>, path: &[&str]) -> Map<String, Value> {
    for (k, new) in b {
        let Some(old) = a.remove(&k) else {
            a.insert(k, new);
            continue;
        };
        let mut below = path.to_vec();
        let field = k.clone();
        below.push(&field);
        let merged = match (old, new) {
            (Value::Object(x), Value::Object(y)) => Value::Object(merge_patches(x, y, &below)),
            (Value::Array(x), Value::Array(y)) if !k.starts_with('$') => match strategy(path, &k) {
                Strategy::Keyed(key, _) => merge_lists(x, y, key, &below),
                _ => Value::Array(y),
            },
            (_, new) => new,
        };
        a.insert(k, merged);
    }
    a
}

fn merge_lists(mut a: Vec<Value>, b: Vec<Value>, key: &str, path: &[&str]) -> Value {
    for new in b {
        match a.iter().position(|x| x.get(key) == new.get(key)) {
            Some(i) => {
                let (Value::Object(x), Value::Object(y)) = (a[i].take(), new) else { continue };
                a[i] = Value::Object(merge_patches(x, y, path));
            }
            None => a.push(new),
        }
    }
    Value::Array(a)
}

/// Is there nothing to do?
pub(crate) fn is_empty(patch: &Value) -> bool {
    patch.as_object().is_none_or(Map::is_empty)
}

/// Applies a JSON merge patch (for `--overrides`, `patch --local`).
pub(crate) fn apply_merge(target: &mut Value, patch: &Value) {
    let Value::Object(p) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (k, v) in p {
        if v.is_null() {
            crate::value::remove(target, k);
        } else if let Value::Object(t) = target {
            apply_merge(t.entry(k.clone()).or_insert(Value::Null), v);
        }
    }
}

/// Do lists of this object's kind merge, or is it a custom resource?
pub(crate) fn is_strategic(object: &Value) -> bool {
    let group = crate::discovery::split_api_version(object.s("apiVersion")).0;
    crate::discovery::is_built_in(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(image: &str, env: Value) -> Value {
        json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": image, "env": env}]}}}})
    }

    #[test]
    fn set_image_and_env_send_what_v1_10_sent() {
        let a = deployment("a", json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]));
        let b = deployment("b", json!([{"name": "B", "value": "2"}]));
        assert_eq!(
            two_way(&a, &b),
            json!({"spec": {"template": {"spec": {
                "$setElementOrder/containers": [{"name": "app"}],
                "containers": [{"name": "app", "image": "b",
                    "$setElementOrder/env": [{"name": "B"}], "env": [{"$patch": "delete", "name": "A"}]}]}}}})
        );
    }

    #[test]
    fn apply_keeps_what_others_set_and_removes_what_it_set_before() {
        let original = json!({"metadata": {"labels": {"a": "1", "gone": "x"}}, "spec": {"ports": [{"port": 80}, {"port": 81}]}});
        let modified = json!({"metadata": {"labels": {"a": "2"}}, "spec": {"ports": [{"port": 80}]}});
        let current = json!({"metadata": {"labels": {"a": "1", "gone": "x", "theirs": "y"}},
            "spec": {"ports": [{"port": 80, "nodePort": 30080}, {"port": 81}], "clusterIP": "10.0.0.1"}});
        assert_eq!(
            three_way(&original, &modified, &current),
            json!({"metadata": {"labels": {"a": "2", "gone": null}}, "spec": {
                "$setElementOrder/ports": [{"port": 80}], "ports": [{"$patch": "delete", "port": 81}]}})
        );
        assert!(is_empty(&three_way(&modified, &modified, &modified)));
    }

    #[test]
    fn custom_resources_get_merge_patches() {
        let original = json!({"spec": {"a": 1, "gone": 2, "l": [1]}});
        let modified = json!({"spec": {"a": 2, "l": [1, 2]}});
        let current = json!({"spec": {"a": 1, "gone": 2, "l": [1], "theirs": 3}});
        assert_eq!(
            three_way_json(&original, &modified, &current),
            json!({"spec": {"a": 2, "gone": null, "l": [1, 2]}})
        );
    }

    #[test]
    fn a_changed_strategy_names_the_keys_that_stay() {
        let a = json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
        let b = json!({"spec": {"strategy": {"type": "Recreate"}}});
        assert_eq!(
            two_way(&a, &b),
            json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null, "$retainKeys": ["type"]}}})
        );
    }
}
