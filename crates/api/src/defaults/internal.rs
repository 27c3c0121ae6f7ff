//! What upstream's internal types do to objects of the newest version too, on their way in: aliases that are kept
//! equal, fields that merge into others, fields that are no pointers there (`pkg/apis/core/v1/conversion.go`).

use serde_json::json;

use super::Hook;
use super::object::{absent, child, items, text};
use crate::{Object, Value};

/// The function of a type, by group, version and name.
pub(super) fn hook(group: &str, version: &str, kind: &str) -> Option<Hook> {
    Some(match (group, version, kind) {
        ("core", _, "PodSpec") => service_account,
        ("core", _, "Pod") => |o| {
            drop_init_annotations(o);
            if let Some(spec) = child(o, "spec")
                && spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64).is_some_and(|s| s < 0)
            {
                spec.insert("terminationGracePeriodSeconds".to_owned(), 1.into());
            }
        },
        ("core", _, "PodTemplateSpec") => drop_init_annotations,
        ("core", _, "PodStatus") => |o| first_of_many(o, "podIP", "podIPs", Some("ip")),
        ("core", _, "NodeSpec") => |o| first_of_many(o, "podCIDR", "podCIDRs", None),
        ("core", _, "Secret") => string_data,
        ("apps" | "extensions", _, "RollingUpdateDaemonSet" | "RollingUpdateDeployment") => |o| {
            absent(o, "maxUnavailable", 0);
            absent(o, "maxSurge", 0);
        },
        ("apps", _, "RollingUpdateStatefulSetStrategy") => |o| absent(o, "partition", 0),
        ("apps", _, "StatefulSetSpec") => |o| {
            for claim in items(o, "volumeClaimTemplates") {
                claim.insert("apiVersion".to_owned(), "v1".into());
                claim.insert("kind".to_owned(), "PersistentVolumeClaim".into());
            }
        },
        _ => return None,
    })
}

/// `serviceAccount` is an old name of `serviceAccountName`; both are written.
fn service_account(o: &mut Object) {
    let mut name = text(o, "serviceAccountName");
    if name.is_empty() {
        name = text(o, "serviceAccount");
    }
    if name.is_empty() {
        return;
    }
    let name = Value::from(name);
    o.insert("serviceAccountName".to_owned(), name.clone());
    o.insert("serviceAccount".to_owned(), name);
}

fn drop_init_annotations(o: &mut Object) {
    let Some(meta) = child(o, "metadata") else { return };
    let Some(map) = child(meta, "annotations") else { return };
    for stage in ["alpha", "beta"] {
        map.remove(&format!("pod.{stage}.kubernetes.io/init-containers"));
        map.remove(&format!("pod.{stage}.kubernetes.io/init-container-statuses"));
    }
    if map.is_empty() {
        meta.remove("annotations");
    }
}

/// A field that is the first of a list; when they differ, the single one counts.
fn first_of_many(o: &mut Object, one: &str, many: &str, key: Option<&str>) {
    let single = text(o, one).to_owned();
    let first = o.get(many).and_then(|list| list.get(0)).and_then(|item| match key {
        Some(key) => item.get(key).and_then(Value::as_str).or(Some("")),
        None => item.as_str(),
    });
    match first.map(str::to_owned) {
        Some(first) if single.is_empty() && !first.is_empty() => {
            o.insert(one.to_owned(), first.into());
        }
        Some(first) if single.is_empty() || first == single => {}
        None if single.is_empty() => {}
        _ => {
            let item = key.map_or_else(|| json!(single), |key| json!({key: single}));
            o.insert(many.to_owned(), json!([item]));
        }
    }
}

/// `stringData` is for writing only: it becomes `data`.
fn string_data(o: &mut Object) {
    use base64::Engine as _;
    let Some(Value::Object(strings)) = o.remove("stringData") else { return };
    if strings.is_empty() {
        return;
    }
    let Some(data) = super::object::make(o, "data") else { return };
    for (key, value) in strings {
        let encoded = base64::engine::general_purpose::STANDARD.encode(value.as_str().unwrap_or_default());
        data.insert(key, encoded.into());
    }
}
