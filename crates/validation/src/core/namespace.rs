//! Namespaces.

use api::Value;
use api::field::{ErrorList, Path};

use crate::Context;
use crate::errs::Errs;
use crate::meta;
use crate::names;
use crate::value::Get;

/// `ValidateNamespace`.
pub(crate) fn create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, false, names::label, errs);
    let spec = Path::new("spec");
    for name in object.sub("spec").strs("finalizers") {
        finalizer(name, &spec.child("finalizers"), errs);
    }
}

fn finalizer(name: &str, path: &Path<'_>, errs: &mut ErrorList) {
    errs.invalid_each(path, name, names::is_qualified_name(name));
    meta::kube_finalizer(name, path, errs);
}

/// What the PodSecurity admission plugin demands of a namespace's labels.
pub(crate) fn pod_security_labels(object: &Value, errs: &mut ErrorList) {
    const LEVELS: &[&str] = &["privileged", "baseline", "restricted"];
    let labels = object.sub("metadata").sub("labels");
    let path = meta::METADATA.child("labels");
    for mode in ["enforce", "audit", "warn"] {
        let key = format!("pod-security.kubernetes.io/{mode}");
        if let Some(level) = labels.opt_str(&key)
            && !LEVELS.contains(&level)
        {
            errs.invalid(&path.key(&key), level, format!("must be one of {}", LEVELS.join(", ")));
        }
        let key = format!("{key}-version");
        if let Some(version) = labels.opt_str(&key)
            && !is_pod_security_version(version)
        {
            errs.invalid(&path.key(&key), version, "must be \"latest\" or \"v1.x\"");
        }
    }
}

fn is_pod_security_version(text: &str) -> bool {
    let minor = text.strip_prefix("v1.");
    text == "latest"
        || minor.is_some_and(|m| {
            m == "0" || (!m.starts_with('0') && !m.is_empty() && m.bytes().all(|b| b.is_ascii_digit()))
        })
}

/// The namespace strategy's `ValidateUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    create(new, ctx, errs);
    meta::kube_object_meta_update(new, old, errs);
}

/// `ValidateNamespaceStatusUpdate`.
pub(crate) fn status_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    let deleted = new.sub("metadata").at("deletionTimestamp").is_some();
    let phase = new.sub("status").str("phase");
    let (expected, text) = if deleted {
        ("Terminating", "may only be 'Terminating' if `deletionTimestamp` is not empty")
    } else {
        ("Active", "may only be 'Active' if `deletionTimestamp` is empty")
    };
    if phase != expected {
        errs.invalid(&Path::new("status").child("Phase"), phase, text);
    }
}

/// `ValidateNamespaceFinalizeUpdate`.
pub(crate) fn finalize_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    let spec = Path::new("spec");
    let list = spec.child("finalizers");
    for (i, name) in new.sub("spec").strs("finalizers").into_iter().enumerate() {
        finalizer(name, &list.index(i), errs);
    }
}
