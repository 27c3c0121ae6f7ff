//! Daemon sets.

use api::Value;
use api::field::{ErrorList, Path};

use super::deployment::selector_stays;
use super::{SPEC, STATUS, at_most_100_percent, collisions_grow, count_or_percent, number, quoted};
use super::{runs_forever, template, template_labels};
use crate::Context;
use crate::core::pod::Options;
use crate::errs::Errs;
use crate::golang;
use crate::meta;
use crate::names;
use crate::selector;
use crate::value::{Get, same_at};

/// `ValidateDaemonSet`.
pub(crate) fn create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    spec(object.sub("spec"), &Options::for_template(None, ctx), ctx, errs);
}

/// Where v1 keeps the template's generation; the old versions have it in the spec.
fn template_generation(object: &Value) -> i64 {
    let annotations = object.sub("metadata").sub("annotations");
    let text = annotations.str("deprecated.daemonset.template.generation");
    object.sub("spec").opt_int("templateGeneration").or_else(|| text.parse().ok()).unwrap_or(0)
}

/// `ValidateDaemonSetUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    let (now, before) = (new.sub("spec"), old.sub("spec"));
    let path = SPEC.child("templateGeneration");
    let (generation, was) = (template_generation(new), template_generation(old));
    let changed = !same_at(now, before, "template");
    if generation < was {
        errs.invalid(&path, generation, "must not be decremented");
    }
    if generation == was && changed {
        errs.invalid(&path, generation, "must be incremented upon template update");
    } else if generation > was && !changed {
        errs.invalid(&path, generation, "must not be incremented without template update");
    }
    selector_stays(now, before, ctx, errs);
    let mut opts = Options::for_template(before.at("template"), ctx);
    opts.any_selector_value |= selector::has_invalid_value(before.sub("selector"));
    spec(now, &opts, ctx, errs);
    meta::non_negative(generation, &path, errs);
}

fn spec(spec: &Value, opts: &Options, ctx: &Context<'_>, errs: &mut ErrorList) {
    let (s, labels) = (spec.sub("selector"), template_labels(spec));
    let path = SPEC.child("selector");
    selector::label_selector(s, opts.any_selector_value, &path, errs);
    if selector::is_usable(s) && !selector::matches(s, labels) {
        let template = SPEC.child("template");
        let metadata = template.child("metadata");
        let labels = golang::shown("{s", labels);
        errs.invalid(&metadata.child("labels"), labels, "`selector` does not match template `labels`");
    }
    if !s.is_null() && selector::is_empty(s) {
        errs.invalid(&path, quoted(s), "empty selector is invalid for daemonset");
    }
    template(spec, opts, errs);
    runs_forever(spec, "DaemonSet", errs);
    meta::non_negative_fields(spec, &SPEC, &["minReadySeconds"], errs);
    update_strategy(spec.sub("updateStrategy"), &SPEC.child("updateStrategy"), ctx, errs);
    meta::non_negative_fields(spec, &SPEC, &["revisionHistoryLimit"], errs);
}

fn update_strategy(v: &Value, path: &Path<'_>, ctx: &Context<'_>, errs: &mut ErrorList) {
    match v.str("type") {
        "OnDelete" => {}
        "RollingUpdate" => {
            let path = path.child("rollingUpdate");
            match v.at("rollingUpdate") {
                None => errs.required(&path, ""),
                Some(r) => rolling_update(r, &path, ctx, errs),
            }
        }
        _ => {
            let shown = golang::shown("apps.DaemonSetUpdateStrategy", v);
            errs.not_supported(path, shown, &["RollingUpdate", "OnDelete"]);
        }
    }
}

fn rolling_update(v: &Value, path: &Path<'_>, ctx: &Context<'_>, errs: &mut ErrorList) {
    let fields = ["maxUnavailable", "maxSurge"];
    for field in fields {
        count_or_percent(v.sub(field), &path.child(field), errs);
    }
    for field in fields {
        at_most_100_percent(v.sub(field), &path.child(field), errs);
    }
    match (number(v.sub("maxUnavailable")) != 0, number(v.sub("maxSurge")) != 0) {
        (true, true) => errs.invalid(
            &path.child("maxSurge"),
            v.sub("maxSurge"),
            "may not be set when maxUnavailable is non-zero",
        ),
        (false, false) if ctx.is_old() => {
            // There was no surge to allow it.
            let shown = golang::shown("x", v.sub("maxUnavailable"));
            errs.invalid(&path.child("maxUnavailable"), shown, "cannot be 0");
        }
        (false, false) => {
            errs.required(&path.child("maxUnavailable"), "cannot be 0 when maxSurge is 0");
        }
        _ => {}
    }
}

/// `ValidateDaemonSetStatusUpdate`.
pub(crate) fn status_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    const COUNTS: &[&str] = &[
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
    ];
    meta::non_negative_fields(new.sub("status"), &STATUS, COUNTS, errs);
    collisions_grow(new, old, errs);
}
