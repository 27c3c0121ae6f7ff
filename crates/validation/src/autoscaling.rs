//! Horizontal pod autoscalers and scales.

use api::Value;
use api::field::{ErrorList, Path};

use crate::Context;
use crate::core::pod::resources::container_resource_name;
use crate::errs::Errs;
use crate::golang;
use crate::meta;
use crate::names;
use crate::networking::ingress::path_segments;
use crate::quantity::{Quantity, QuantityField as _};
use crate::value::Get;

const SPEC: Path<'static> = Path::new("spec");

/// How much of a reference's `apiVersion` is checked.
#[derive(Clone, Copy)]
enum Version {
    Any,
    NeedsGroup,
    MayLackGroup,
}

/// `ValidateScale`.
pub(crate) fn scale(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    meta::non_negative_fields(object.sub("spec"), &SPEC, &["replicas"], errs);
}

/// A scale's update is checked like a new one.
pub(crate) fn scale_update(new: &Value, _: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    scale(new, ctx, errs);
}

fn target_version(spec: &Value) -> Version {
    let kind = spec.sub("scaleTargetRef").str("kind");
    // The only scalable kind of the core group.
    if kind == "ReplicationController" { Version::MayLackGroup } else { Version::NeedsGroup }
}

/// `ValidateHorizontalPodAutoscaler`.
pub(crate) fn create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    let spec_value = object.sub("spec");
    let (target, metric) = if ctx.is_old() {
        (Version::Any, Version::Any)
    } else {
        (target_version(spec_value), Version::MayLackGroup)
    };
    spec(spec_value, 1, target, metric, ctx, errs);
}

/// `ValidateHorizontalPodAutoscalerUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    let (now, before) = (new.sub("spec"), old.sub("spec"));
    let lowest = if before.opt_int("minReplicas") == Some(0) { 0 } else { 1 };
    let (target, was) = (now.sub("scaleTargetRef"), before.sub("scaleTargetRef"));
    let unchanged = ["apiVersion", "kind"].iter().all(|f| target.str(f) == was.str(f));
    let version = if unchanged || ctx.is_old() { Version::Any } else { target_version(now) };
    let bad_metric = before.list("metrics").iter().filter_map(|m| m.at("object")).any(|o| {
        api_version_error(o.sub("describedObject").str("apiVersion"), Version::MayLackGroup).is_some()
    });
    let metrics = if bad_metric || ctx.is_old() { Version::Any } else { Version::MayLackGroup };
    spec(now, lowest, version, metrics, ctx, errs);
}

/// `ValidateHorizontalPodAutoscalerStatusUpdate`.
pub(crate) fn status_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    let path = Path::new("status");
    meta::non_negative_fields(new.sub("status"), &path, &["currentReplicas", "desiredReplicas"], errs);
}

fn spec(
    spec: &Value,
    lowest: i64,
    target: Version,
    metric: Version,
    ctx: &Context<'_>,
    errs: &mut ErrorList,
) {
    let (min, max) = (spec.opt_int("minReplicas"), spec.int("maxReplicas"));
    if let Some(min) = min.filter(|m| *m < lowest) {
        errs.invalid(&SPEC.child("minReplicas"), min, format!("must be greater than or equal to {lowest}"));
    }
    let path = SPEC.child("maxReplicas");
    if ctx.is_old() && max < 1 {
        errs.invalid(&path, max, "must be greater than 0");
    } else if max == 0 {
        errs.required(&path, "must be set and greater than 0");
    } else if max < 0 {
        errs.invalid(&path, max, "must be greater than or equal to 1");
    }
    if min.is_some_and(|m| max < m) {
        errs.invalid(&path, max, "must be greater than or equal to `minReplicas`");
    }
    reference(spec.sub("scaleTargetRef"), target, &SPEC.child("scaleTargetRef"), errs);
    let metrics = spec.list("metrics");
    let list = SPEC.child("metrics");
    for (i, m) in metrics.iter().enumerate() {
        metric_spec(m, metric, ctx, &list.index(i), errs);
    }
    let counted = |m: &Value| matches!(m.str("type"), "Object" | "External");
    if min == Some(0) && !metrics.iter().any(counted) {
        errs.forbidden(
            &list,
            "must specify at least one Object or External metric to support scaling to zero replicas",
        );
    }
    if let Some(behavior) = spec.at("behavior") {
        let path = SPEC.child("behavior");
        for field in ["scaleUp", "scaleDown"] {
            if let Some(rules) = behavior.at(field) {
                scaling_rules(rules, &path.child(field), errs);
            }
        }
    }
}

fn api_version_error(text: &str, version: Version) -> Option<String> {
    match (version, text.matches('/').count()) {
        (Version::Any, _) => None,
        (_, n) if n > 1 => Some(format!("unexpected GroupVersion string: {text}")),
        (Version::NeedsGroup, n) if n == 0 || text.starts_with('/') => {
            Some("apiVersion must specify API group".to_owned())
        }
        _ => None,
    }
}

/// `ValidateCrossVersionObjectReference`.
fn reference(v: &Value, version: Version, path: &Path<'_>, errs: &mut ErrorList) {
    path_segments(v, &["kind", "name"], path, errs);
    let text = v.str("apiVersion");
    if let Some(why) = api_version_error(text, version) {
        errs.invalid(&path.child("apiVersion"), text, why);
    }
}

/// `validateScalingRules`.
fn scaling_rules(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    if let Some(seconds) = v.opt_int("stabilizationWindowSeconds") {
        let path = path.child("stabilizationWindowSeconds");
        if seconds < 0 {
            errs.invalid(&path, seconds, "must be greater than or equal to zero");
        }
        if seconds > 3600 {
            errs.invalid(&path, seconds, "must be less than or equal to 3600");
        }
    }
    const SELECT: &[&str] = &["Disabled", "Max", "Min"];
    if let Some(policy) = v.opt_str("selectPolicy")
        && !SELECT.contains(&policy)
    {
        errs.not_supported(&path.child("selectPolicy"), policy, SELECT);
    }
    let list = path.child("policies");
    let policies = v.list("policies");
    if policies.is_empty() {
        errs.required(&list, "must specify at least one Policy");
    }
    for (i, policy) in policies.iter().enumerate() {
        let path = list.index(i);
        let kind = policy.str("type");
        if !matches!(kind, "Percent" | "Pods") {
            errs.not_supported(&path.child("type"), kind, &["Percent", "Pods"]);
        }
        for field in ["value", "periodSeconds"] {
            meta::positive(policy.int(field), &path.child(field), errs);
        }
        let period = policy.int("periodSeconds");
        if period > 1800 {
            errs.invalid(&path.child("periodSeconds"), period, "must be less than or equal to 1800");
        }
    }
    if let Some(tolerance) = v.at("tolerance")
        && Quantity::of(tolerance).sign() < 0
    {
        errs.invalid(&path.child("tolerance"), &Quantity::shown(tolerance), meta::NEGATIVE);
    }
}

/// `validateMetricSpec`.
fn metric_spec(v: &Value, version: Version, ctx: &Context<'_>, path: &Path<'_>, errs: &mut ErrorList) {
    const TYPES: &[&str] = &["ContainerResource", "External", "Object", "Pods", "Resource"];
    /// The sources in the order in which upstream looks for them.
    const SOURCES: &[(&str, &str)] = &[
        ("object", "Object"),
        ("external", "External"),
        ("pods", "Pods"),
        ("resource", "Resource"),
        ("containerResource", "ContainerResource"),
    ];
    let kind = v.str("type");
    if kind.is_empty() {
        errs.required(&path.child("type"), "must specify a metric source type");
    }
    if !TYPES.contains(&kind) {
        errs.not_supported(&path.child("type"), kind, TYPES);
    }
    let present: Vec<&str> = SOURCES.iter().map(|s| s.0).filter(|f| v.at(f).is_some()).collect();
    if let Some(field) = present.first() {
        source(field, v.sub(field), version, &path.child(field), errs);
    }
    let expected = SOURCES.iter().find(|s| s.1 == kind).map(|s| s.0);
    match expected {
        Some(field) => {
            if v.at(field).is_none() {
                errs.required(&path.child(field), "must populate information for the given metric source");
            }
        }
        None if ctx.is_old() => {
            // The field of a type was the type in small letters, known or not.
            let field = kind.to_lowercase();
            errs.required(&path.child(&field), "must populate information for the given metric source");
        }
        None => errs.not_supported(&path.child("type"), kind, TYPES),
    }
    if present.len() != 1 {
        let mut others: Vec<&str> = present.into_iter().filter(|f| Some(*f) != expected).collect();
        others.sort_unstable();
        for field in others {
            errs.forbidden(&path.child(field), "must populate the given metric source only");
        }
    }
}

fn source(field: &str, v: &Value, version: Version, path: &Path<'_>, errs: &mut ErrorList) {
    let target = v.sub("target");
    let target_path = path.child("target");
    let has = |field: &str| target.at(field).is_some();
    if field == "object" {
        reference(v.sub("describedObject"), version, &path.child("describedObject"), errs);
    }
    match field {
        "object" | "external" | "pods" => {
            let name = v.sub("metric").str("name");
            let metric = path.child("metric");
            let path = metric.child("name");
            if name.is_empty() {
                errs.required(&path, "must specify a metric name");
            } else {
                errs.invalid_each(&path, name, names::is_path_segment(name));
            }
        }
        _ => resource_source(field, v, path, errs),
    }
    metric_target(target, &target_path, errs);
    let average = target_path.child("averageValue");
    match field {
        "object" => {
            if !has("value") && !has("averageValue") {
                errs.required(&average, "must set either a target value or averageValue");
            }
        }
        "external" => {
            if !has("value") && !has("averageValue") {
                errs.required(&average, "must set either a target value for metric or a per-pod target");
            }
            if has("value") && has("averageValue") {
                errs.forbidden(
                    &target_path.child("value"),
                    "may not set both a target value for metric and a per-pod target",
                );
            }
        }
        "pods" => {
            if !has("averageValue") {
                errs.required(&average, "must specify a positive target averageValue");
            }
        }
        _ => {
            if !has("averageUtilization") && !has("averageValue") {
                errs.required(
                    &target_path.child("averageUtilization"),
                    "must set either a target raw value or a target utilization",
                );
            }
            if has("averageUtilization") && has("averageValue") {
                errs.forbidden(&average, "may not set both a target raw value and a target utilization");
            }
        }
    }
}

fn resource_source(field: &str, v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let name = v.str("name");
    let of_container = field == "containerResource";
    if name.is_empty() {
        errs.required(&path.child("name"), "must specify a resource name");
    } else if of_container {
        container_resource_name(name, &path.child("name"), errs);
    }
    if of_container {
        let container = v.str("container");
        if container.is_empty() {
            errs.required(&path.child("container"), "must specify a container");
        } else {
            errs.invalid_each(&path.child("container"), container, names::is_dns1123_label(container));
        }
    }
}

/// `validateMetricTarget`.
fn metric_target(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let kind = v.str("type");
    if kind.is_empty() {
        errs.required(&path.child("type"), "must specify a metric target type");
    }
    if !matches!(kind, "Utilization" | "Value" | "AverageValue") {
        errs.invalid(&path.child("type"), kind, "must be either Utilization, Value, or AverageValue");
    }
    for field in ["value", "averageValue"] {
        if let Some(q) = v.at(field)
            && Quantity::of(q).sign() != 1
        {
            errs.invalid(&path.child(field), golang::shown("q", q), "must be positive");
        }
    }
    if let Some(n) = v.opt_int("averageUtilization").filter(|n| *n < 1) {
        errs.invalid(&path.child("averageUtilization"), n, "must be greater than 0");
    }
}
