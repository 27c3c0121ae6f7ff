//! Object metadata: upstream's `k8s.io/apimachinery/pkg/api/validation/objectmeta.go` and the finalizer
//! rule that its core validation adds.

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path};

use crate::errs::{Errs, Raw};
use crate::golang;
use crate::names::{self, NameRule};
use crate::value::{Entries, Get, same_at};

pub(crate) const METADATA: Path<'static> = Path::new("metadata");
pub(crate) const NEGATIVE: &str = "must be greater than or equal to 0";
pub(crate) const IMMUTABLE: &str = "field is immutable";

const ANNOTATIONS_MAX_BYTES: usize = 256 * 1024;
const FIELD_MANAGER_MAX_BYTES: usize = 128;
const SUBRESOURCE_MAX_BYTES: usize = 256;

/// `ValidateObjectMetaAccessor`: metadata of an object to be created.
pub(crate) fn object_meta(object: &Value, namespaced: bool, name_rule: NameRule, errs: &mut ErrorList) {
    let meta = object.sub("metadata");
    let generate_name = meta.str("generateName");
    if !generate_name.is_empty() {
        errs.invalid_each(&METADATA.child("generateName"), generate_name, name_rule(generate_name, true));
    }
    let name = meta.str("name");
    if name.is_empty() {
        errs.required(&METADATA.child("name"), "name or generateName is required");
    } else {
        errs.invalid_each(&METADATA.child("name"), name, name_rule(name, false));
    }
    common(meta, namespaced, errs);
}

/// Core's `ValidateObjectMeta`: as above, and finalizers are standard or fully qualified.
pub(crate) fn kube_object_meta(object: &Value, namespaced: bool, name_rule: NameRule, errs: &mut ErrorList) {
    object_meta(object, namespaced, name_rule, errs);
    kube_finalizers(object.sub("metadata"), errs);
}

/// `ValidateTemplateObjectMeta`: labels and annotations, and nothing else of the metadata, can come from a template.
pub(crate) fn of_template(metadata: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    annotations(metadata.entries("annotations"), &path.child("annotations"), errs);
    labels(metadata.entries("labels"), &path.child("labels"), errs);
    // With the names that upstream's message has.
    const FIELDS: [(&str, &str); 13] = [
        ("name", "name"),
        ("generateName", "generateName"),
        ("namespace", "namespace"),
        ("selfLink", "selfLink"),
        ("uid", "uID"),
        ("resourceVersion", "resourceVersion"),
        ("generation", "generation"),
        ("creationTimestamp", "creationTimestamp"),
        ("deletionTimestamp", "deletionTimestamp"),
        ("deletionGracePeriodSeconds", "deletionGracePeriodSeconds"),
        ("ownerReferences", "ownerReferences"),
        ("finalizers", "finalizers"),
        ("managedFields", "managedFields"),
    ];
    for (field, shown) in FIELDS {
        let set = match metadata.at(field) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(number @ Value::Number(_)) => field != "generation" || number.as_i64() != Some(0),
            Some(_) => true,
        };
        if set {
            errs.forbidden(&path.child(shown), "cannot be set");
        }
    }
}

/// `ValidateObjectMetaWithOpts`, which does not look at `generateName`.
pub(crate) fn kube_object_meta_named(
    object: &Value,
    namespaced: bool,
    name_rule: names::Rule,
    errs: &mut ErrorList,
) {
    let meta = object.sub("metadata");
    let name = meta.str("name");
    if name.is_empty() {
        errs.required(&METADATA.child("name"), "name or generateName is required");
    } else {
        errs.invalid_each(&METADATA.child("name"), name, name_rule(name));
    }
    common(meta, namespaced, errs);
    kube_finalizers(meta, errs);
}

fn common(meta: &Value, namespaced: bool, errs: &mut ErrorList) {
    let namespace = meta.str("namespace");
    let path = METADATA.child("namespace");
    match (namespaced, namespace.is_empty()) {
        (true, true) => errs.required(&path, ""),
        (true, false) => errs.invalid_each(&path, namespace, names::is_dns1123_label(namespace)),
        (false, false) => errs.forbidden(&path, "not allowed on this type"),
        (false, true) => {}
    }
    non_negative(meta.int("generation"), &METADATA.child("generation"), errs);
    labels(meta.entries("labels"), &METADATA.child("labels"), errs);
    annotations(meta.entries("annotations"), &METADATA.child("annotations"), errs);
    owner_references(meta, &METADATA.child("ownerReferences"), errs);
    finalizers(meta, &METADATA.child("finalizers"), errs);
    managed_fields(meta, &METADATA.child("managedFields"), errs);
}

/// Core's `ValidateObjectMetaUpdate`.
pub(crate) fn kube_object_meta_update(new: &Value, old: &Value, errs: &mut ErrorList) {
    object_meta_update(new, old, errs);
    kube_finalizers(new.sub("metadata"), errs);
}

/// `ValidateObjectMetaAccessorUpdate`.
pub(crate) fn object_meta_update(new: &Value, old: &Value, errs: &mut ErrorList) {
    let (new, old) = (new.sub("metadata"), old.sub("metadata"));
    if old.at("deletionTimestamp").is_some() {
        let before: HashSet<&str> = old.strs("finalizers").into_iter().collect();
        let mut extra: Vec<&str> =
            new.strs("finalizers").into_iter().filter(|f| !before.contains(f)).collect();
        extra.sort_unstable();
        extra.dedup();
        if !extra.is_empty() {
            let list: Vec<String> = extra.iter().map(|f| api::field::go_quote(f)).collect();
            errs.forbidden(
                &METADATA.child("finalizers"),
                format!(
                    "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                    list.join(", ")
                ),
            );
        }
    }
    if new.str("resourceVersion").is_empty() {
        errs.invalid(&METADATA.child("resourceVersion"), "", "must be specified for an update");
    }
    if new.int("generation") < old.int("generation") {
        errs.invalid(&METADATA.child("generation"), new.int("generation"), "must not be decremented");
    }
    for name in ["name", "namespace", "uid"] {
        if new.str(name) != old.str(name) {
            errs.invalid(&METADATA.child(name), new.str(name), IMMUTABLE);
        }
    }
    for name in ["creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        if !same_at(new, old, name) {
            errs.invalid(&METADATA.child(name), new.sub(name), IMMUTABLE);
        }
    }
    labels(new.entries("labels"), &METADATA.child("labels"), errs);
    annotations(new.entries("annotations"), &METADATA.child("annotations"), errs);
    owner_references(new, &METADATA.child("ownerReferences"), errs);
    managed_fields(new, &METADATA.child("managedFields"), errs);
}

/// `ValidateNonnegativeField`.
pub(crate) fn non_negative(value: i64, path: &Path<'_>, errs: &mut ErrorList) {
    if value < 0 {
        errs.invalid(path, value, NEGATIVE);
    }
}

/// [`non_negative`] for some integer fields of an object; absent ones pass.
pub(crate) fn non_negative_fields(object: &Value, path: &Path<'_>, fields: &[&str], errs: &mut ErrorList) {
    for field in fields {
        non_negative(object.int(field), &path.child(field), errs);
    }
}

/// `ValidatePositiveField`.
pub(crate) fn positive(value: i64, path: &Path<'_>, errs: &mut ErrorList) {
    if value <= 0 {
        errs.invalid(path, value, "must be greater than zero");
    }
}

/// `ValidateLabels`.
pub(crate) fn labels(entries: Entries<'_>, path: &Path<'_>, errs: &mut ErrorList) {
    for (key, value) in entries {
        label_name(key, path, errs);
        let value = value.text();
        errs.invalid_each(path, value, names::is_label_value(value));
    }
}

/// `ValidateLabelName`.
pub(crate) fn label_name(name: &str, path: &Path<'_>, errs: &mut ErrorList) {
    errs.invalid_each(path, name, names::is_qualified_name(name));
}

/// `ValidateAnnotations`.
pub(crate) fn annotations(entries: Entries<'_>, path: &Path<'_>, errs: &mut ErrorList) {
    let mut total = 0;
    for (key, value) in entries {
        // Case does not matter here.
        let messages = if key.bytes().any(|b| b.is_ascii_uppercase()) {
            names::is_qualified_name(&key.to_lowercase())
        } else {
            names::is_qualified_name(key)
        };
        errs.invalid_each(path, key, messages);
        total += key.len() + value.text().len();
    }
    if total > ANNOTATIONS_MAX_BYTES {
        errs.too_long(path, ANNOTATIONS_MAX_BYTES);
    }
}

fn owner_references(meta: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let references = meta.list("ownerReferences");
    let mut first_controller = String::new();
    for reference in references {
        let api_version = reference.str("apiVersion");
        // A text with several slashes has neither group nor version.
        let (group, version) = match api_version.split_once('/') {
            None => ("", api_version),
            Some((_, rest)) if rest.contains('/') => ("", ""),
            Some(both) => both,
        };
        if version.is_empty() {
            errs.invalid(&path.child("apiVersion"), api_version, "version must not be empty");
        }
        for name in ["kind", "name", "uid"] {
            if reference.str(name).is_empty() {
                errs.invalid(&path.child(name), "", "must not be empty");
            }
        }
        if group.is_empty() && version == "v1" && reference.str("kind") == "Event" {
            let shown = golang::typed("metav1.OwnerReference", reference);
            errs.invalid(path, Raw(shown), "/v1, Kind=Event is disallowed from being an owner");
        }
        if reference.flag("controller") {
            let this = format!("{}/{}", reference.str("kind"), reference.str("name"));
            if first_controller.is_empty() {
                first_controller = this;
            } else {
                let shown = golang::typed("[metav1.OwnerReference", meta.sub("ownerReferences"));
                errs.invalid(
                    path,
                    Raw(shown),
                    format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first_controller} and {this}"
                    ),
                );
            }
        }
    }
}

/// `ValidateFinalizers`.
fn finalizers(meta: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let list = meta.strs("finalizers");
    for finalizer in &list {
        errs.invalid_each(path, finalizer, names::is_qualified_name(finalizer));
    }
    if list.contains(&"orphan") && list.contains(&"foregroundDeletion") {
        errs.invalid(
            path,
            meta.sub("finalizers"),
            "finalizer orphan and foregroundDeletion cannot be both set",
        );
    }
}

fn kube_finalizers(meta: &Value, errs: &mut ErrorList) {
    let path = METADATA.child("finalizers");
    for (i, finalizer) in meta.list("finalizers").iter().enumerate() {
        kube_finalizer(finalizer.text(), &path.index(i), errs);
    }
}

/// `validateKubeFinalizerName`.
pub(crate) fn kube_finalizer(name: &str, path: &Path<'_>, errs: &mut ErrorList) {
    if !name.contains('/') && !matches!(name, "kubernetes" | "orphan" | "foregroundDeletion") {
        errs.invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified");
    }
}

/// `ValidateManagedFields`.
fn managed_fields(meta: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    for (i, entry) in meta.list("managedFields").iter().enumerate() {
        let path = path.index(i);
        let operation = entry.str("operation");
        if !matches!(operation, "Apply" | "Update") {
            errs.invalid(&path.child("operation"), operation, "must be `Apply` or `Update`");
        }
        let fields_type = entry.str("fieldsType");
        if !fields_type.is_empty() && fields_type != "FieldsV1" {
            errs.invalid(&path.child("fieldsType"), fields_type, "must be `FieldsV1`");
        }
        field_manager(entry.str("manager"), &path.child("manager"), errs);
        if entry.str("subresource").len() > SUBRESOURCE_MAX_BYTES {
            errs.too_long(&path.child("subresource"), SUBRESOURCE_MAX_BYTES);
        }
    }
}

/// `ValidateFieldManager`.
pub(crate) fn field_manager(manager: &str, path: &Path<'_>, errs: &mut ErrorList) {
    if manager.len() > FIELD_MANAGER_MAX_BYTES {
        errs.too_long(path, FIELD_MANAGER_MAX_BYTES);
    }
    for (i, c) in manager.char_indices() {
        if c.is_control() || (c.is_whitespace() && c != ' ') {
            let shown = if c.is_control() {
                format!("U+{:04X}", c as u32)
            } else {
                format!("U+{:04X} '{c}'", c as u32)
            };
            errs.invalid(path, manager, format!("invalid character {shown} (at position {i})"));
        }
    }
}

/// `ValidateImmutableField` for one field of two objects. `kind` is the value's Go type (see
/// [`golang`]).
pub(crate) fn immutable(
    new: &Value,
    old: &Value,
    name: &str,
    kind: &str,
    path: &Path<'_>,
    errs: &mut ErrorList,
) {
    if !same_at(new, old, name) {
        errs.invalid(path, golang::shown(kind, new.sub(name)), IMMUTABLE);
    }
}

/// `ValidateConditions` (`metav1.Condition`).
pub(crate) fn conditions(list: &[Value], path: &Path<'_>, errs: &mut ErrorList) {
    let mut seen: HashSet<&str> = HashSet::new();
    for (i, condition) in list.iter().enumerate() {
        let path = path.index(i);
        let kind = condition.str("type");
        if seen.contains(&kind) {
            errs.duplicate(&path.child("type"), kind);
        } else {
            seen.insert(kind);
        }
        label_name(kind, &path.child("type"), errs);
        let status = condition.str("status");
        if !matches!(status, "True" | "False" | "Unknown") {
            errs.not_supported(&path.child("status"), status, &["False", "True", "Unknown"]);
        }
        if condition.int("observedGeneration") < 0 {
            errs.invalid(
                &path.child("observedGeneration"),
                condition.int("observedGeneration"),
                "must be greater than or equal to zero",
            );
        }
        if condition.at("lastTransitionTime").is_none() {
            errs.required(&path.child("lastTransitionTime"), "");
        }
        let reason = condition.str("reason");
        if reason.is_empty() {
            errs.required(&path.child("reason"), "");
        } else {
            if !is_condition_reason(reason) {
                errs.invalid(&path.child("reason"), reason, "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')");
            }
            if reason.len() > 1024 {
                errs.too_long(&path.child("reason"), 1024);
            }
        }
        if condition.str("message").len() > 32 * 1024 {
            errs.too_long(&path.child("message"), 32 * 1024);
        }
    }
}

fn is_condition_reason(reason: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    match reason.as_bytes() {
        [] => false,
        [one] => one.is_ascii_alphabetic(),
        [first, middle @ .., last] => {
            first.is_ascii_alphabetic()
                && word(*last)
                && middle.iter().all(|b| word(*b) || matches!(b, b',' | b':'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn texts(errs: &ErrorList) -> Vec<String> {
        errs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_object_needs_a_name_and_its_scope_decides_about_the_namespace() {
        let mut errs = ErrorList::new();
        kube_object_meta(&json!({"metadata": {}}), true, names::subdomain, &mut errs);
        assert_eq!(
            texts(&errs),
            [
                "metadata.name: Required value: name or generateName is required",
                "metadata.namespace: Required value"
            ]
        );
        errs.clear();
        let object = json!({"metadata": {"name": "a", "namespace": "b", "finalizers": ["x"]}});
        kube_object_meta(&object, false, names::subdomain, &mut errs);
        assert_eq!(
            texts(&errs),
            [
                "metadata.namespace: Forbidden: not allowed on this type",
                "metadata.finalizers[0]: Invalid value: \"x\": name is neither a standard finalizer name nor is it fully qualified"
            ]
        );
    }

    #[test]
    fn identity_does_not_change() {
        let old = json!({"metadata": {"name": "a", "uid": "1", "resourceVersion": "1",
            "deletionTimestamp": "2001-01-01T00:00:00Z"}});
        let new = json!({"metadata": {"name": "a", "uid": "2", "resourceVersion": "1",
            "deletionTimestamp": "2001-01-01T00:00:00Z", "finalizers": ["a/b"]}});
        let mut errs = ErrorList::new();
        object_meta_update(&new, &old, &mut errs);
        assert_eq!(
            texts(&errs),
            [
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"a/b\"}",
                "metadata.uid: Invalid value: \"2\": field is immutable"
            ]
        );
    }
}
