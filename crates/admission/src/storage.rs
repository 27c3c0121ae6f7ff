//! Plug-ins for volumes: DefaultStorageClass, StorageObjectInUseProtection, PersistentVolumeClaimResize.

use api::Value;
use serde_json::json;

use crate::{Refusal, at, object_mut, resources, text};

const BETA_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// The class that a claim names, by field or by the old annotation.
fn class_of(claim: &Value) -> Option<&str> {
    at(claim, &["metadata", "annotations", BETA_CLASS])
        .or_else(|| at(claim, &["spec", "storageClassName"]))
        .and_then(Value::as_str)
}

/// DefaultStorageClass: a claim that names no class gets the newest default one.
pub fn default_storage_class(claim: &mut Value, classes: &[Value]) {
    if class_of(claim).is_some() {
        return;
    }
    let keys =
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
    if let Some(name) = newest_default(classes, &keys)
        && let Some(spec) = object_mut(claim, &["spec"])
    {
        spec.insert("storageClassName".into(), name.into());
    }
}

/// The newest class that one of the annotations makes the default; of several of one second, the first by name.
pub(crate) fn newest_default(classes: &[Value], annotations: &[&str]) -> Option<String> {
    let is_default =
        |c: &&Value| annotations.iter().any(|a| text(c, &["metadata", "annotations", a]) == "true");
    let mut defaults: Vec<&Value> = classes.iter().filter(is_default).collect();
    defaults.sort_by(|a, b| {
        let created = |c: &Value| text(c, &["metadata", "creationTimestamp"]).to_owned();
        created(b)
            .cmp(&created(a))
            .then_with(|| text(a, &["metadata", "name"]).cmp(text(b, &["metadata", "name"])))
    });
    defaults.first().map(|c| text(c, &["metadata", "name"]).to_owned())
}

/// StorageObjectInUseProtection: the finalizer that a controller removes when nobody uses the object any more.
pub fn protect(object: &mut Value, plural: &str) {
    let finalizer = match plural {
        "persistentvolumes" => "kubernetes.io/pv-protection",
        "persistentvolumeclaims" => "kubernetes.io/pvc-protection",
        "volumeattributesclasses" => "kubernetes.io/vac-protection",
        _ => return,
    };
    let Some(metadata) = object_mut(object, &["metadata"]) else { return };
    match metadata.get_mut("finalizers") {
        Some(Value::Array(list)) => {
            if !list.iter().any(|f| f == finalizer) {
                list.push(finalizer.into());
            }
        }
        _ => {
            metadata.insert("finalizers".into(), json!([finalizer]));
        }
    }
}

/// PersistentVolumeClaimResize: a claim grows only when its class allows it.
///
/// # Errors
/// A claim that is not bound, or whose class does not expand volumes.
pub fn resize(claim: &Value, old: &Value, class: impl FnOnce(&str) -> Option<Value>) -> Result<(), Refusal> {
    let size =
        |claim: &Value| resources::list(at(claim, &["spec", "resources", "requests"])).remove("storage");
    let grows = match (size(claim), size(old)) {
        (Some(new), Some(old)) => new > old,
        (Some(new), None) => new.sign() > 0,
        _ => false,
    };
    if !grows {
        return Ok(());
    }
    if text(old, &["status", "phase"]) != "Bound" {
        return Err("Only bound persistent volume claims can be expanded".into());
    }
    let name = class_of(claim).unwrap_or_default();
    let same = !name.is_empty() && class_of(old) == Some(name);
    let allowed =
        same && class(name).is_some_and(|c| c.get("allowVolumeExpansion") == Some(&Value::Bool(true)));
    if allowed {
        return Ok(());
    }
    Err("only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_default_class_is_taken() {
        let class = |name: &str, at: &str| {
            json!({"metadata": {"name": name, "creationTimestamp": at,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}})
        };
        let classes = [class("old", "2026-01-01T00:00:00Z"), class("new", "2026-01-02T00:00:00Z")];
        let mut claim = json!({"spec": {}});
        default_storage_class(&mut claim, &classes);
        assert_eq!(claim["spec"]["storageClassName"], "new");
        let mut none = json!({"spec": {"storageClassName": ""}});
        default_storage_class(&mut none, &classes);
        assert_eq!(none["spec"]["storageClassName"], "");
    }

    #[test]
    fn claims_grow_with_their_class_only() {
        let claim = |size: &str| json!({"spec": {"storageClassName": "s", "resources": {"requests": {"storage": size}}}, "status": {"phase": "Bound"}});
        assert!(
            resize(&claim("2Gi"), &claim("1Gi"), |_| Some(json!({"allowVolumeExpansion": true}))).is_ok()
        );
        assert!(resize(&claim("2Gi"), &claim("1Gi"), |_| Some(json!({}))).is_err());
        assert!(resize(&claim("1024Mi"), &claim("1Gi"), |_| None).is_ok());
    }
}
