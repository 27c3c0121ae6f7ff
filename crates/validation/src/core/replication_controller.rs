//! Replication controllers.

use api::Value;
use api::field::{ErrorList, Path};

use super::pod;
use crate::Context;
use crate::errs::Errs;
use crate::meta;
use crate::names;
use crate::value::Get;

const SPEC: Path<'static> = Path::new("spec");

/// `ValidateReplicationController`.
pub(crate) fn create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_named(object, true, names::is_long_name, errs);
    spec(object.sub("spec"), &pod::Options::for_template(None, ctx), errs);
}

/// `ValidateReplicationControllerUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    let old_template = old.sub("spec").at("template");
    spec(new.sub("spec"), &pod::Options::for_template(old_template, ctx), errs);
}

fn spec(spec: &Value, opts: &pod::Options, errs: &mut ErrorList) {
    meta::non_negative_fields(spec, &SPEC, &["minReadySeconds"], errs);
    let selector = spec.sub("selector");
    let empty = selector.pairs().next().is_none();
    if empty {
        errs.required(&SPEC.child("selector"), "");
    }
    match spec.opt_int("replicas") {
        None => errs.required(&SPEC.child("replicas"), ""),
        Some(replicas) => meta::non_negative(replicas, &SPEC.child("replicas"), errs),
    }
    let path = SPEC.child("template");
    let Some(template) = spec.at("template") else {
        errs.required(&path, "");
        return;
    };
    let labels = template.sub("metadata").sub("labels");
    if !empty && !selector.pairs().all(|(key, value)| labels.get(key) == Some(value)) {
        let metadata = path.child("metadata");
        errs.invalid(&metadata.child("labels"), labels, "`selector` does not match template `labels`");
    }
    pod::template_spec(template, opts, &path, errs);
    let spec_path = path.child("spec");
    let restart = template.sub("spec").str("restartPolicy");
    if restart != "Always" {
        errs.not_supported(&spec_path.child("restartPolicy"), restart, &["Always"]);
    }
    if template.sub("spec").at("activeDeadlineSeconds").is_some() {
        errs.forbidden(
            &spec_path.child("activeDeadlineSeconds"),
            "activeDeadlineSeconds in ReplicationController is not Supported",
        );
    }
}

/// `ValidateReplicationControllerStatusUpdate`.
pub(crate) fn status_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    replica_status(new.sub("status"), errs);
}

/// The status of replication controllers and replica sets (`ValidateReplicaSetStatus`).
pub(crate) fn replica_status(status: &Value, errs: &mut ErrorList) {
    const COUNTS: &[&str] = &[
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
        "terminatingReplicas",
    ];
    let path = Path::new("status");
    meta::non_negative_fields(status, &path, COUNTS, errs);
    at_most_replicas(
        status,
        &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
        "readyReplicas",
        errs,
    );
}

/// No count of a status exceeds its replicas; available ones are ready (`ready`: how upstream names them).
pub(crate) fn at_most_replicas(status: &Value, fields: &[&str], ready: &str, errs: &mut ErrorList) {
    let path = Path::new("status");
    for field in fields {
        if status.int(field) > status.int("replicas") {
            errs.invalid(&path.child(field), status.int(field), "cannot be greater than status.replicas");
        }
    }
    let available = status.int("availableReplicas");
    if available > status.int("readyReplicas") {
        errs.invalid(&path.child("availableReplicas"), available, format!("cannot be greater than {ready}"));
    }
}
