//! Events (`pkg/apis/core/validation/events.go`). core/v1 is checked loosely, events.k8s.io/v1 strictly.

use api::Value;
use api::field::{ErrorList, Path};
use api::kinds::Era;

use crate::Context;
use crate::errs::Errs;
use crate::meta;
use crate::names;
use crate::value::{Get, same_at};

fn is_loose(ctx: &Context<'_>) -> bool {
    ctx.group.is_empty() || ctx.version == "v1beta1"
}

/// `ValidateEventCreate`.
pub(crate) fn create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    legacy(object, ctx, errs);
    if is_loose(ctx) {
        return;
    }
    meta::kube_object_meta(object, true, names::subdomain, errs);
    series(object, errs);
    if object.at("eventTime").is_none() {
        errs.required(&Path::new("eventTime"), "");
    }
    let kind = object.str("type");
    if !matches!(kind, "Normal" | "Warning") {
        errs.invalid(&Path::new("type"), "", format!("has invalid value: {kind}"));
    }
    const UNSET: &str = "needs to be unset";
    for field in ["firstTimestamp", "lastTimestamp"] {
        if object.at(field).is_some() {
            errs.invalid(&Path::new(field), "", UNSET);
        }
    }
    if object.int("count") != 0 {
        errs.invalid(&Path::new("count"), "", UNSET);
    }
    let source = object.sub("source");
    if !source.str("component").is_empty() || !source.str("host").is_empty() {
        errs.invalid(&Path::new("source"), "", UNSET);
    }
}

fn series(object: &Value, errs: &mut ErrorList) {
    let Some(series) = object.at("series") else { return };
    if series.int("count") < 2 {
        errs.invalid(&Path::new("series.count"), "", "should be at least 2");
    }
    if series.at("lastObservedTime").is_none() {
        errs.required(&Path::new("series.lastObservedTime"), "");
    }
}

/// `legacyValidateEvent`.
fn legacy(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    let path = Path::new("involvedObject");
    let path = path.child("namespace");
    let namespace = object.sub("metadata").str("namespace");
    let involved = object.sub("involvedObject").str("namespace");
    const DIFFERENT: &str = "does not match event.namespace";
    if object.at("eventTime").is_none() {
        let fits =
            if involved.is_empty() { matches!(namespace, "" | "default") } else { namespace == involved };
        if !fits {
            errs.invalid(&path, involved, DIFFERENT);
        }
    } else {
        let of_cluster = match namespace {
            "kube-system" => true,
            "default" => ctx.era == Era::Now,
            _ => false,
        };
        if involved.is_empty() && !of_cluster {
            errs.invalid(&path, involved, DIFFERENT);
        }
        let core = ctx.group.is_empty() && ctx.version == "v1";
        let controller_path = Path::new(if core { "reportingComponent" } else { "reportingController" });
        let controller = object.str("reportingComponent");
        if controller.is_empty() {
            errs.required(&controller_path, "");
        }
        errs.invalid_each(&controller_path, controller, names::is_qualified_name(controller));
        for (field, max) in [("reportingInstance", 128), ("action", 128), ("reason", 128)] {
            let text = object.str(field);
            if text.is_empty() {
                errs.required(&Path::new(field), "");
            }
            if text.len() > max {
                errs.invalid(&Path::new(field), "", format!("can have at most {max} characters"));
            }
        }
        if object.str("message").len() > 1024 {
            errs.invalid(&Path::new("message"), "", "can have at most 1024 characters");
        }
    }
    errs.invalid_each(&Path::new("namespace"), namespace, names::is_dns1123_subdomain(namespace));
}

/// `ValidateEventUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    legacy(new, ctx, errs);
    if is_loose(ctx) {
        return;
    }
    meta::kube_object_meta_update(new, old, errs);
    if !same_at(new, old, "series") {
        series(new, errs);
    }
    const FIELDS: &[(&str, &str, &str)] = &[
        ("involvedObject", "core.ObjectReference", "involvedObject"),
        ("reason", "s", "reason"),
        ("message", "s", "message"),
        ("source", "core.EventSource", "source"),
        ("firstTimestamp", "t", "firstTimestamp"),
        ("lastTimestamp", "t", "lastTimestamp"),
        ("count", "i", "count"),
        ("reason", "s", "reason"),
        ("type", "s", "type"),
        ("eventTime", "t", "eventTime"),
        ("action", "s", "action"),
        ("related", "*core.ObjectReference", "related"),
        ("reportingComponent", "s", "reportingController"),
        ("reportingInstance", "s", "reportingInstance"),
    ];
    for (field, kind, shown) in FIELDS {
        meta::immutable(new, old, field, kind, &Path::new(shown), errs);
    }
}
