//! Volumes, claims, classes and drivers.

use api::Value;
use jiff::Timestamp;

use super::{cells, deleting, name};
use crate::age::age;
use crate::value::{at, count, flag, joined, list, quantity, scalar, text, text_or, texts};

/// Older objects name their class in this annotation.
const BETA_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// Upstream's `helper.GetAccessModesAsString`.
fn access_modes(object: &Value, path: &[&str]) -> String {
    let modes = texts(object, path);
    let short = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let shown: Vec<&str> = short.iter().filter(|(long, _)| modes.contains(long)).map(|(_, s)| *s).collect();
    shown.join(",")
}

fn phase(o: &Value) -> &str {
    if deleting(o) { "Terminating" } else { text(o, &["status", "phase"]) }
}

fn class(o: &Value) -> &str {
    match at(o, &["metadata", "annotations", BETA_CLASS]).as_str() {
        Some(class) => class,
        None => text(o, &["spec", "storageClassName"]),
    }
}

/// An optional string field.
fn or_unset(o: &Value, field: &str) -> String {
    match at(o, &["spec", field]) {
        Value::Null => "<unset>".to_owned(),
        value => scalar(value),
    }
}

pub(super) fn persistent_volume(o: &Value, now: Timestamp) -> Vec<Value> {
    let claim = match at(o, &["spec", "claimRef"]) {
        Value::Null => String::new(),
        claim => format!("{}/{}", text(claim, &["namespace"]), text(claim, &["name"])),
    };
    cells![
        name(o),
        quantity(at(o, &["spec", "capacity", "storage"])),
        access_modes(o, &["spec", "accessModes"]),
        text(o, &["spec", "persistentVolumeReclaimPolicy"]),
        phase(o),
        claim,
        class(o),
        or_unset(o, "volumeAttributesClassName"),
        text(o, &["status", "reason"]),
        age(o, now),
        or_unset(o, "volumeMode"),
    ]
}

pub(super) fn persistent_volume_claim(o: &Value, now: Timestamp) -> Vec<Value> {
    let volume = text(o, &["spec", "volumeName"]);
    let (mut capacity, mut modes) = (String::new(), String::new());
    if !volume.is_empty() {
        modes = access_modes(o, &["status", "accessModes"]);
        capacity = quantity(at(o, &["status", "capacity", "storage"]));
    }
    let attributes = or_unset(o, "volumeAttributesClassName");
    cells![
        name(o),
        phase(o),
        volume,
        capacity,
        modes,
        class(o),
        attributes,
        age(o, now),
        or_unset(o, "volumeMode")
    ]
}

pub(super) fn storage_class(o: &Value, now: Timestamp) -> Vec<Value> {
    let annotated = |key: &str| text(o, &["metadata", "annotations", key]) == "true";
    let is_default = annotated("storageclass.kubernetes.io/is-default-class")
        || annotated("storageclass.beta.kubernetes.io/is-default-class");
    let name = if is_default { format!("{} (default)", name(o)) } else { name(o).to_owned() };
    cells![
        name,
        text(o, &["provisioner"]),
        text_or(o, &["reclaimPolicy"], "Delete"),
        text_or(o, &["volumeBindingMode"], "Immediate"),
        flag(o, &["allowVolumeExpansion"]),
        age(o, now),
    ]
}

pub(super) fn volume_attributes_class(o: &Value, now: Timestamp) -> Vec<Value> {
    cells![name(o), text(o, &["driverName"]), age(o, now)]
}

pub(super) fn volume_attachment(o: &Value, now: Timestamp) -> Vec<Value> {
    cells![
        name(o),
        text(o, &["spec", "attacher"]),
        text(o, &["spec", "source", "persistentVolumeName"]),
        text(o, &["spec", "nodeName"]),
        flag(o, &["status", "attached"]),
        age(o, now),
    ]
}

pub(super) fn csi_node(o: &Value, now: Timestamp) -> Vec<Value> {
    cells![name(o), count(o, &["spec", "drivers"]), age(o, now)]
}

pub(super) fn csi_driver(o: &Value, now: Timestamp) -> Vec<Value> {
    let tokens = match at(o, &["spec", "tokenRequests"]) {
        Value::Null => "<unset>".to_owned(),
        _ => {
            let requests = list(o, &["spec", "tokenRequests"]);
            requests.iter().map(|t| text(t, &["audience"])).collect::<Vec<_>>().join(",")
        }
    };
    cells![
        name(o),
        at(o, &["spec", "attachRequired"]).as_bool().unwrap_or(true),
        flag(o, &["spec", "podInfoOnMount"]),
        flag(o, &["spec", "storageCapacity"]),
        tokens,
        flag(o, &["spec", "requiresRepublish"]),
        joined(&texts(o, &["spec", "volumeLifecycleModes"]), "<none>"),
        age(o, now),
    ]
}
