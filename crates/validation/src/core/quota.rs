//! Resource quotas and limit ranges.

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path};

use super::pod::resources;
use crate::Context;
use crate::errs::Errs;
use crate::golang;
use crate::meta;
use crate::names;
use crate::quantity::{Quantity, QuantityField as _};
use crate::value::Get;
use api::quantity::Format;

const SPEC: Path<'static> = Path::new("spec");
const STATUS: Path<'static> = Path::new("status");

/// `ValidateResourceQuota`.
pub(crate) fn quota_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    quota_spec(object.sub("spec"), errs);
    quota_status(object.sub("status"), errs);
}

/// `ValidateResourceQuotaUpdate`.
pub(crate) fn quota_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    quota_spec(new.sub("spec"), errs);
    let sorted = |o: &Value| {
        let mut list: Vec<String> = o.sub("spec").strs("scopes").into_iter().map(ToOwned::to_owned).collect();
        list.sort_unstable();
        list.dedup();
        list
    };
    if sorted(new) != sorted(old) {
        errs.invalid(&SPEC.child("scopes"), new.sub("spec").sub("scopes"), meta::IMMUTABLE);
    }
}

/// `ValidateResourceQuotaStatusUpdate`.
pub(crate) fn quota_status_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    if new.sub("metadata").str("resourceVersion").is_empty() {
        errs.required(&Path::new("resourceVersion"), "");
    }
    quota_status(new.sub("status"), errs);
}

fn hard(v: &Value, field: &str, path: &Path<'_>, errs: &mut ErrorList) {
    let path = path.child(field);
    for (name, value) in v.entries(field) {
        let path = path.key(name);
        resources::resource_name(name, &path, errs);
        if !name.contains('/') && !resources::is_standard_quota(name) {
            errs.invalid(&path, name, "must be a standard resource for quota");
        }
        resources::quantity_value(name, value, &path, errs);
    }
}

fn quota_status(status: &Value, errs: &mut ErrorList) {
    hard(status, "hard", &STATUS, errs);
    hard(status, "used", &STATUS, errs);
}

const SCOPES: &[&str] = &[
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "VolumeAttributesClass",
    "CrossNamespacePodAffinity",
];

/// `IsResourceQuotaScopeValidForResource`.
fn fits(scope: &str, resource: &str) -> bool {
    const COMPUTE: &[&str] =
        &["pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
    match scope {
        "Terminating"
        | "NotTerminating"
        | "NotBestEffort"
        | "PriorityClass"
        | "CrossNamespacePodAffinity" => COMPUTE.contains(&resource),
        "BestEffort" => resource == "pods",
        "VolumeAttributesClass" => matches!(resource, "persistentvolumeclaims" | "requests.storage"),
        _ => true,
    }
}

fn quota_spec(spec: &Value, errs: &mut ErrorList) {
    hard(spec, "hard", &SPEC, errs);
    let unfit = |scope: &str| {
        spec.entries("hard").filter(|(r, _)| resources::is_standard_quota(r) && !fits(scope, r)).count()
    };
    let scopes = spec.strs("scopes");
    let path = SPEC.child("scopes");
    for scope in &scopes {
        if !SCOPES.contains(scope) {
            errs.invalid(&path, spec.sub("scopes"), "unsupported scope");
        }
        for _ in 0..unfit(scope) {
            errs.invalid(&path, spec.sub("scopes"), "unsupported scope applied to resource");
        }
    }
    conflicting(&scopes, spec, &path, errs);
    let Some(selector) = spec.at("scopeSelector") else { return };
    let selector_path = SPEC.child("scopeSelector");
    let path = selector_path.child("matchExpressions");
    let mut seen = Vec::new();
    for requirement in selector.list("matchExpressions") {
        let scope = requirement.str("scopeName");
        if !SCOPES.contains(&scope) {
            errs.invalid(&path.child("scopeName"), scope, "unsupported scope");
        }
        for _ in 0..unfit(scope) {
            let shown = golang::shown("core.ScopeSelector", selector);
            errs.invalid(&path, shown, "unsupported scope applied to resource");
        }
        scope_operator(requirement, scope, &path, errs);
        seen.push(scope);
    }
    conflicting(&seen, spec, &path, errs);
}

fn conflicting(scopes: &[&str], spec: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    for (a, b) in [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")] {
        if scopes.contains(&a) && scopes.contains(&b) {
            errs.invalid(path, spec.sub("scopes"), "conflicting scopes");
        }
    }
}

fn scope_operator(requirement: &Value, scope: &str, path: &Path<'_>, errs: &mut ErrorList) {
    let operator = requirement.str("operator");
    let exists_only = matches!(
        scope,
        "BestEffort" | "NotBestEffort" | "Terminating" | "NotTerminating" | "CrossNamespacePodAffinity"
    );
    if exists_only && operator != "Exists" {
        errs.invalid(&path.child("operator"), operator, "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity");
    }
    let values = requirement.list("values");
    match operator {
        "In" | "NotIn" => {
            if values.is_empty() {
                errs.required(
                    &path.child("values"),
                    "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
                );
            }
        }
        "Exists" | "DoesNotExist" => {
            if !values.is_empty() {
                errs.invalid(
                    &path.child("values"),
                    requirement.sub("values"),
                    "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
                );
            }
        }
        other => errs.invalid(&path.child("operator"), other, "not a valid selector operator"),
    }
}

/// `ValidateLimitRange`.
pub(crate) fn limit_range_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    let limits = object.sub("spec").list("limits");
    let list = SPEC.child("limits");
    let mut seen = HashSet::new();
    for (i, limit) in limits.iter().enumerate() {
        let path = list.index(i);
        let kind = limit.str("type");
        limit_type(kind, &path.child("type"), errs);
        if !seen.insert(kind) {
            errs.duplicate(&path.child("type"), kind);
        }
        limit_item(limit, kind, &path, errs);
    }
}

/// A limit range's update is checked like its creation.
pub(crate) fn limit_range_update(new: &Value, _: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    limit_range_create(new, ctx, errs);
}

fn limit_type(kind: &str, path: &Path<'_>, errs: &mut ErrorList) {
    let messages = names::is_qualified_name(kind);
    if !messages.is_empty() {
        errs.invalid_each(path, kind, messages);
    } else if !kind.contains('/') && !matches!(kind, "Pod" | "Container" | "PersistentVolumeClaim") {
        errs.invalid(path, kind, "must be a standard limit type or fully qualified");
    }
}

fn limit_item(limit: &Value, kind: &str, path: &Path<'_>, errs: &mut ErrorList) {
    let mut keys: Vec<&str> = Vec::new();
    let of_pods = kind == "Pod";
    for field in ["max", "min", "default", "defaultRequest"] {
        if of_pods && field.starts_with("default") {
            if limit.entries(field).next().is_some() {
                errs.forbidden(&path.child(field), "may not be specified when `type` is 'Pod'");
            }
            continue;
        }
        limit_names(limit, field, kind, path, &mut keys, errs);
    }
    if kind == "PersistentVolumeClaim" && ["min", "max"].iter().all(|f| limit.sub(f).get("storage").is_none())
    {
        errs.required(
            &path.child("limits"),
            "either minimum or maximum storage value is required, but neither was provided",
        );
    }
    limit_names(limit, "maxLimitRequestRatio", kind, path, &mut keys, errs);
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        limit_order(limit, of_pods, key, path, errs);
    }
}

fn limit_names<'a>(
    limit: &'a Value,
    field: &str,
    kind: &str,
    path: &Path<'_>,
    keys: &mut Vec<&'a str>,
    errs: &mut ErrorList,
) {
    let path = path.child(field);
    for (name, _) in limit.entries(field) {
        if matches!(kind, "Pod" | "Container") {
            resources::container_resource_name(name, &path.key(name), errs);
        } else {
            resources::resource_name(name, &path.key(name), errs);
        }
        keys.push(name);
    }
}

/// Above it an amount is compared in whole units (`resource.MaxMilliValue`).
const MAX_MILLI_VALUE: i64 = i64::MAX / 1000;

fn limit_order(limit: &Value, of_pods: bool, key: &str, path: &Path<'_>, errs: &mut ErrorList) {
    let of = |field: &str| {
        if of_pods && field.starts_with("default") {
            return None;
        }
        limit.sub(field).get(key).map(|v| (Quantity::of(v), Quantity::shown(v)))
    };
    let (min, max) = (of("min"), of("max"));
    let (default, request) = (of("default"), of("defaultRequest"));
    let ratio = of("maxLimitRequestRatio");
    // (smaller, larger, field, is the larger one quoted?, text)
    let mut greater = |a: &Option<(Quantity, String)>,
                       b: &Option<(Quantity, String)>,
                       field: &str,
                       quoted: &Option<(Quantity, String)>,
                       texts: (&str, &str)| {
        if let (Some((x, xs)), Some((y, ys)), Some((_, q))) = (a, b, quoted)
            && x > y
        {
            errs.invalid(
                &path.child(field).key(key),
                q,
                format!("{} {xs} is greater than {} {ys}", texts.0, texts.1),
            );
        }
    };
    greater(&min, &max, "min", &min, ("min value", "max value"));
    greater(&min, &request, "defaultRequest", &request, ("min value", "default request value"));
    greater(&request, &max, "defaultRequest", &request, ("default request value", "max value"));
    greater(&request, &default, "defaultRequest", &request, ("default request value", "default limit value"));
    greater(&min, &default, "default", &min, ("min value", "default value"));
    greater(&default, &max, "default", &max, ("default value", "max value"));
    if let Some((value, text)) = &ratio {
        let path = path.child("maxLimitRequestRatio");
        let path = path.key(key);
        if *value < Quantity::from_int(1, Format::DecimalSi) {
            errs.invalid(&path, text, format!("ratio {text} is less than 1"));
        }
        if let (Some((min, _)), Some((max, _))) = (&min, &max) {
            let fine = [value, min, max].iter().all(|q| q.value() < MAX_MILLI_VALUE);
            #[allow(clippy::cast_precision_loss)]
            let float = |q: &Quantity| if fine { q.milli_value() as f64 / 1000.0 } else { q.value() as f64 };
            let bound = float(max) / float(min);
            if float(value) > bound {
                errs.invalid(&path, text, format!("ratio {text} is greater than max/min = {bound:.6}"));
            }
        }
    }
    if let (Some((d, ds)), Some((r, rs))) = (&default, &request)
        && d != r
        && !resources::is_overcommit_allowed(key)
    {
        errs.invalid(
            &path.child("defaultRequest").key(key),
            rs,
            format!("default value {ds} must equal to defaultRequest value {rs} in {key}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn texts(object: &Value, check: fn(&Value, &Context<'_>, &mut ErrorList)) -> Vec<String> {
        let mut errs = ErrorList::new();
        check(object, &Context::default(), &mut errs);
        errs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn scopes_fit_resources() {
        let quota = json!({"metadata": {"name": "q", "namespace": "n"},
            "spec": {"hard": {"services": "1"}, "scopes": ["Terminating"]}});
        assert_eq!(
            texts(&quota, quota_create),
            ["spec.scopes: Invalid value: [\"Terminating\"]: unsupported scope applied to resource"]
        );
    }

    /// Amounts that are too large for thousandths make all three whole.
    #[test]
    fn huge_ratios_are_compared_in_whole_units() {
        let range = json!({"metadata": {"name": "l", "namespace": "n"}, "spec": {"limits": [{"type": "Container",
            "max": {"cpu": "2"}, "min": {"cpu": "100m"}, "maxLimitRequestRatio": {"cpu": "99999999999999999999999"}}]}});
        let texts = texts(&range, limit_range_create);
        assert!(texts[0].ends_with("is greater than max/min = 2.000000"), "{texts:?}");
    }

    #[test]
    fn limits_are_in_order() {
        let range = json!({"metadata": {"name": "l", "namespace": "n"}, "spec": {"limits": [
            {"type": "Container", "max": {"cpu": "1"}, "default": {"cpu": "2"}}]}});
        assert_eq!(
            texts(&range, limit_range_create),
            [
                "spec.limits[0].default[cpu]: Invalid value: \"1\": default value 2 is greater than max value 1"
            ]
        );
    }
}
