//! StorageOS volumes.

use api::Value;
use api::field::{ErrorList, Path};

use super::volume::{About, secret_ref};
use crate::errs::Errs;
use crate::names;
use crate::value::Get;

fn storageos_names(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let name = v.str("volumeName");
    if name.is_empty() {
        errs.required(&path.child("volumeName"), "");
    } else {
        errs.invalid_each(&path.child("volumeName"), name, names::is_dns1123_label(name));
    }
    let namespace = v.str("volumeNamespace");
    if !namespace.is_empty() {
        errs.invalid_each(&path.child("volumeNamespace"), namespace, names::is_dns1123_label(namespace));
    }
}

pub(super) fn storageos(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    storageos_names(v, path, errs);
    secret_ref(v, path, &["name"], errs);
}

pub(super) fn storageos_pv(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    storageos_names(v, path, errs);
    secret_ref(v, path, &["name", "namespace"], errs);
}
