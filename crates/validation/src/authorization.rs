//! Access reviews and token requests: asked, never stored.

use api::Value;
use api::field::{ErrorList, Path};

use crate::Context;
use crate::errs::{Errs, Raw};
use crate::golang;
use crate::selector;
use crate::value::Get;

const SPEC: Path<'static> = Path::new("spec");

/// `ValidateSubjectAccessReview`.
pub(crate) fn subject(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    subject_spec(object.sub("spec"), errs);
    no_metadata(object, &[], "must be empty", errs);
}

/// `ValidateSelfSubjectAccessReview`.
pub(crate) fn self_subject(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    let spec = object.sub("spec");
    attributes(spec, errs);
    resource_attributes(spec, errs);
    no_metadata(object, &[], "must be empty", errs);
}

/// `ValidateLocalSubjectAccessReview`.
pub(crate) fn local_subject(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    let spec = object.sub("spec");
    subject_spec(spec, errs);
    no_metadata(object, &["namespace"], "must be empty except for namespace", errs);
    if let Some(resource) = spec.at("resourceAttributes") {
        let namespace = resource.str("namespace");
        if namespace != object.sub("metadata").str("namespace") {
            errs.invalid(
                &Path::new("spec.resourceAttributes.namespace"),
                namespace,
                "must match metadata.namespace",
            );
        }
    }
    if let Some(other) = spec.at("nonResourceAttributes") {
        let shown = golang::shown("authorization.NonResourceAttributes", other);
        errs.invalid(&Path::new("spec.nonResourceAttributes"), shown, "disallowed on this kind of request");
    }
}

/// Nothing to check (`SelfSubjectRulesReview`, `TokenReview`, …: their storage does it).
pub(crate) fn unchecked(_: &Value, _: &Context<'_>, _: &mut ErrorList) {}

/// Reviews are never updated.
pub(crate) fn no_update(_: &Value, _: &Value, _: &Context<'_>, _: &mut ErrorList) {}

/// `ValidateTokenRequest`.
pub(crate) fn token_request(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    let seconds = object.sub("spec").int("expirationSeconds");
    let path = SPEC.child("expirationSeconds");
    if seconds < 600 {
        errs.invalid(&path, seconds, "may not specify a duration less than 10 minutes");
    }
    if seconds > 1 << 32 {
        errs.invalid(&path, seconds, "may not specify a duration larger than 2^32 seconds");
    }
}

fn no_metadata(object: &Value, allowed: &[&str], text: &str, errs: &mut ErrorList) {
    let metadata = object.sub("metadata");
    let given = metadata.pairs().any(|(name, value)| {
        let empty = match value {
            Value::Null => true,
            Value::String(s) => s.is_empty(),
            Value::Array(a) => a.is_empty(),
            Value::Object(o) => o.is_empty(),
            _ => false,
        };
        !empty && name != "managedFields" && !allowed.contains(&name.as_str())
    });
    if given {
        let shown = golang::shown("metav1.ObjectMeta", metadata);
        errs.invalid(&Path::new("metadata"), shown, text);
    }
}

fn subject_spec(spec: &Value, errs: &mut ErrorList) {
    attributes(spec, errs);
    if spec.str("user").is_empty() && spec.list("groups").is_empty() {
        errs.invalid(&SPEC.child("user"), "", "at least one of user or group must be specified");
    }
    resource_attributes(spec, errs);
}

fn attributes(spec: &Value, errs: &mut ErrorList) {
    match (spec.at("resourceAttributes"), spec.at("nonResourceAttributes")) {
        (Some(_), Some(other)) => {
            let shown = golang::shown("authorization.NonResourceAttributes", other);
            errs.invalid(
                &SPEC.child("nonResourceAttributes"),
                shown,
                "cannot be specified in combination with resourceAttributes",
            );
        }
        (None, None) => errs.invalid(
            &SPEC.child("resourceAttributes"),
            Raw("null".into()),
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        ),
        _ => {}
    }
}

fn resource_attributes(spec: &Value, errs: &mut ErrorList) {
    let v = spec.sub("resourceAttributes");
    let base = Path::new("spec.resourceAttributes");
    for field in ["fieldSelector", "labelSelector"] {
        let Some(s) = v.at(field) else { continue };
        let path = base.child(field);
        let (raw, requirements) = (s.str("rawSelector"), s.list("requirements"));
        let list = path.child("requirements");
        if !raw.is_empty() && !requirements.is_empty() {
            errs.invalid(
                &path.child("rawSelector"),
                raw,
                "may not specified at the same time as requirements",
            );
        }
        if raw.is_empty() && requirements.is_empty() {
            errs.required(
                &list,
                format!("when {path} is specified, requirements or rawSelector is required"),
            );
        }
        for (i, requirement) in requirements.iter().enumerate() {
            if field == "fieldSelector" {
                selector::field_requirement(requirement, true, &list.index(i), errs);
            } else {
                selector::label_requirement(requirement, false, true, &list.index(i), errs);
            }
        }
    }
}
