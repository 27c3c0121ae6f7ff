//! Flow schemas and priority levels.

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path};
use serde_json::json;

use crate::Context;
use crate::errs::Errs;
use crate::golang;
use crate::meta::{self, METADATA};
use crate::names;
use crate::value::Get;

const SPEC: Path<'static> = Path::new("spec");
const STATUS: Path<'static> = Path::new("status");

/// `ValidateFlowSchema`.
pub(crate) fn schema_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, false, names::subdomain, errs);
    let spec = object.sub("spec");
    let precedence = spec.int("matchingPrecedence");
    let path = SPEC.child("matchingPrecedence");
    if precedence <= 0 {
        errs.invalid(&path, precedence, "must be a positive value");
    }
    if precedence > 10_000 {
        errs.invalid(&path, precedence, "must not be greater than 10000");
    }
    if precedence == 1 && object.sub("metadata").str("name") != "exempt" {
        errs.invalid(&path, precedence, "only the schema named 'exempt' may have matchingPrecedence 1");
    }
    if let Some(method) = spec.at("distinguisherMethod")
        && !matches!(method.str("type"), "ByNamespace" | "ByUser")
    {
        let shown = golang::shown("flowcontrol.FlowDistinguisherMethod", method);
        errs.not_supported(
            &SPEC.child("distinguisherMethod").child("type"),
            shown,
            &["ByNamespace", "ByUser"],
        );
    }
    let level = spec.sub("priorityLevelConfiguration").str("name");
    let path = SPEC.child("priorityLevelConfiguration");
    if level.is_empty() {
        errs.required(&path.child("name"), "must reference a priority level");
    } else {
        errs.invalid_each(&path.child("name"), level, names::is_dns1123_subdomain(level));
    }
    let list = SPEC.child("rules");
    for (i, r) in spec.list("rules").iter().enumerate() {
        rule(r, &list.index(i), errs);
    }
    let name = object.sub("metadata").str("name");
    if mandatory_schema(name).is_some_and(|fixed| without_empty(spec) != fixed) {
        let shown = golang::shown("flowcontrol.FlowSchemaSpec", spec);
        errs.invalid(&SPEC, shown, format!("spec of '{name}' must equal the fixed value"));
    }
    conditions(object, errs);
}

/// A flow schema's update is checked like its creation.
pub(crate) fn schema_update(new: &Value, _: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    schema_create(new, ctx, errs);
}

/// `ValidateFlowSchemaStatusUpdate`, `ValidatePriorityLevelConfigurationStatusUpdate`.
pub(crate) fn status_update(new: &Value, _: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    conditions(new, errs);
}

fn conditions(object: &Value, errs: &mut ErrorList) {
    let conditions = object.sub("status").list("conditions");
    let list = STATUS.child("conditions");
    let mut seen = HashSet::new();
    for (i, condition) in conditions.iter().enumerate() {
        let path = list.index(i);
        let kind = condition.str("type");
        if !seen.insert(kind) {
            errs.duplicate(&path.child("type"), kind);
        }
        if kind.is_empty() {
            errs.required(&path.child("type"), "");
        }
    }
}

fn rule(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let list = path.child("subjects");
    if v.list("subjects").is_empty() {
        errs.required(&list, "subjects must contain at least one value");
    }
    for (i, s) in v.list("subjects").iter().enumerate() {
        subject(s, &list.index(i), errs);
    }
    let kinds = ["resourceRules", "nonResourceRules"];
    if kinds.iter().all(|k| v.list(k).is_empty()) {
        errs.required(path, "at least one of resourceRules and nonResourceRules has to be non-empty");
    }
    let list = path.child("resourceRules");
    for (i, r) in v.list("resourceRules").iter().enumerate() {
        resource_rule(r, &list.index(i), errs);
    }
    let list = path.child("nonResourceRules");
    for (i, r) in v.list("nonResourceRules").iter().enumerate() {
        non_resource_rule(r, &list.index(i), errs);
    }
}

fn subject(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    const KINDS: &[(&str, &str)] =
        &[("ServiceAccount", "serviceAccount"), ("User", "user"), ("Group", "group")];
    let kind = v.str("kind");
    let Some((_, field)) = KINDS.iter().find(|k| k.0 == kind) else {
        errs.not_supported(&path.child("kind"), kind, &["Group", "ServiceAccount", "User"]);
        return;
    };
    let own = path.child(field);
    match v.at(field) {
        None => errs.required(&own, format!("{field} is required when subject kind is '{kind}'")),
        Some(s) => {
            let name = s.str("name");
            let service_account = kind == "ServiceAccount";
            if name.is_empty() {
                errs.required(&own.child("name"), "");
            } else if service_account && name != "*" {
                errs.invalid_each(&own.child("name"), name, names::is_dns1123_subdomain(name));
            }
            if service_account {
                let namespace = s.str("namespace");
                let path = own.child("namespace");
                if namespace.is_empty() {
                    errs.required(&path, "must specify namespace for service account");
                } else {
                    errs.invalid_each(&path, namespace, names::is_dns1123_label(namespace));
                }
            }
        }
    }
    let others: &[(&str, &str)] = match kind {
        "ServiceAccount" => &[("User", "user"), ("Group", "group")],
        "User" => &[("ServiceAccount", "serviceAccount"), ("Group", "group")],
        _ => &[("ServiceAccount", "serviceAccount"), ("User", "user")],
    };
    for (kind, field) in others {
        if v.at(field).is_some() {
            errs.forbidden(
                &path.child(field),
                format!("{field} is forbidden when subject kind is not '{kind}'"),
            );
        }
    }
}

fn verbs(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    const VERBS: &[&str] =
        &["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];
    let (list, path) = (v.strs("verbs"), path.child("verbs"));
    if list.is_empty() {
        errs.required(&path, "verbs must contain at least one value");
    } else if list.contains(&"*") {
        if list.len() > 1 {
            errs.invalid(&path, v.sub("verbs"), "if '*' is present, must not specify other verbs");
        }
    } else if !list.iter().all(|verb| VERBS.contains(verb)) {
        let shown = golang::shown("[s", v.sub("verbs"));
        errs.not_supported(&path, shown, VERBS);
    }
}

fn resource_rule(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    verbs(v, path, errs);
    const LISTS: &[(&str, &str, &str)] =
        &[("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")];
    for (field, one, many) in LISTS {
        let (list, path) = (v.strs(field), path.child(field));
        if list.is_empty() {
            errs.required(&path, format!("resource rules must supply at least one {one}"));
        } else if list.len() > 1 && list.contains(&"*") {
            errs.invalid(&path, v.sub(field), format!("if '*' is present, must not specify other {many}"));
        }
    }
    let (namespaces, path) = (v.strs("namespaces"), path.child("namespaces"));
    if namespaces.is_empty() && !v.flag("clusterScope") {
        errs.required(&path, "resource rules that are not cluster scoped must supply at least one namespace");
    } else if namespaces.contains(&"*") {
        if namespaces.len() > 1 {
            errs.invalid(&path, v.sub("namespaces"), "if '*' is present, must not specify other namespaces");
        }
    } else {
        for (i, namespace) in namespaces.into_iter().enumerate() {
            for message in names::is_dns1123_label(namespace) {
                errs.invalid(
                    &path.index(i),
                    namespace,
                    format!("each member of this list must be '*' or a DNS-1123 label; {message}"),
                );
            }
        }
    }
}

fn non_resource_rule(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    verbs(v, path, errs);
    let (urls, path) = (v.strs("nonResourceURLs"), path.child("nonResourceURLs"));
    if urls.is_empty() {
        errs.required(&path, "nonResourceURLs must contain at least one value");
    } else if urls.contains(&"*") {
        if urls.len() > 1 {
            errs.invalid(
                &path,
                v.sub("nonResourceURLs"),
                "if '*' is present, must not specify other non-resource URLs",
            );
        }
    } else {
        for (i, url) in urls.into_iter().enumerate() {
            if let Some(message) = url_error(url) {
                errs.invalid(&path.index(i), url, message);
            }
        }
    }
}

/// `ValidateNonResourceURLPath`.
fn url_error(url: &str) -> Option<&'static str> {
    let stars = url.matches('*').count();
    if url.is_empty() {
        Some("must not be empty")
    } else if !url.starts_with('/') {
        Some("must start with slash")
    } else if url.contains(' ') {
        Some("must not contain white-space")
    } else if url.contains("//") {
        Some("must not contain double slash")
    } else if stars > 1 || (stars == 1 && !url.ends_with("/*")) {
        Some("wildcard can only do suffix matching")
    } else {
        None
    }
}

/// `ValidatePriorityLevelConfiguration`.
pub(crate) fn level_create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    const ZERO: &str = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares";
    meta::kube_object_meta(object, false, names::subdomain, errs);
    let metadata = object.sub("metadata");
    if metadata.sub("annotations").at(ZERO).is_some() {
        errs.forbidden(&METADATA.child("annotations"), format!("annotation '{ZERO}' is forbidden"));
    }
    let spec = object.sub("spec");
    let kind = spec.str("type");
    if (metadata.str("name") == "exempt") != (kind == "Exempt") {
        errs.invalid(&SPEC.child("type"), kind, "must be 'Exempt' if and only if `name` is 'exempt'");
    }
    let (limited_path, exempt_path) = (SPEC.child("limited"), SPEC.child("exempt"));
    let (limited, exempt) = (spec.at("limited"), spec.at("exempt"));
    match kind {
        "Exempt" => {
            if limited.is_some() {
                errs.forbidden(&limited_path, "must be nil if the type is not Limited");
            }
            if let Some(e) = exempt {
                shares(e, "nominalConcurrencyShares", &exempt_path, errs);
                lendable(e, &exempt_path, errs);
            }
        }
        "Limited" => {
            if exempt.is_some() {
                errs.forbidden(&exempt_path, "must be nil if the type is Limited");
            }
            match limited {
                None => errs.required(&limited_path, "must not be empty when type is Limited"),
                Some(l) => limited_level(l, ctx, &limited_path, errs),
            }
        }
        other => errs.not_supported(&SPEC.child("type"), other, &["Exempt", "Limited"]),
    }
    mandatory_level(metadata.str("name"), spec, errs);
    conditions(object, errs);
}

/// The specs of the schemas that are there always (`apis/flowcontrol/bootstrap`).
fn mandatory_schema(name: &str) -> Option<Value> {
    let (precedence, method, groups) = match name {
        "exempt" => (1, None, &["system:masters"][..]),
        "catch-all" => (10_000, Some("ByUser"), &["system:unauthenticated", "system:authenticated"][..]),
        _ => return None,
    };
    let subjects: Vec<Value> =
        groups.iter().map(|name| json!({"kind": "Group", "group": {"name": name}})).collect();
    let mut spec = json!({
        "priorityLevelConfiguration": {"name": name},
        "matchingPrecedence": precedence,
        "rules": [{
            "subjects": subjects,
            "resourceRules": [{
                "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true, "namespaces": ["*"],
            }],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }],
    });
    if let Some(method) = method {
        spec["distinguisherMethod"] = json!({"type": method});
    }
    Some(spec)
}

/// `ValidateIfMandatoryPriorityLevelConfigurationObject`.
fn mandatory_level(name: &str, spec: &Value, errs: &mut ErrorList) {
    let mut have = without_empty(spec);
    let (fixed, except) = match name {
        "exempt" => {
            if let Some(have) = have.as_object_mut() {
                have.remove("exempt");
            }
            (json!({"type": "Exempt"}), " except the 'spec.exempt' field")
        }
        "catch-all" => {
            let limited = json!({
                "nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"},
            });
            (json!({"type": "Limited", "limited": limited}), "")
        }
        _ => return,
    };
    if have != fixed {
        let shown = golang::shown("flowcontrol.PriorityLevelConfigurationSpec", spec);
        errs.invalid(&SPEC, shown, format!("spec of '{name}'{except} must equal the fixed value"));
    }
}

/// A value without null, and without empty lists, which are the same as none to upstream's comparison.
fn without_empty(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, v)| !v.is_null() && !v.as_array().is_some_and(Vec::is_empty))
            .map(|(k, v)| (k.clone(), without_empty(v)))
            .collect(),
        Value::Array(items) => items.iter().map(without_empty).collect(),
        other => other.clone(),
    }
}

/// A priority level's update is checked like its creation.
pub(crate) fn level_update(new: &Value, _: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    level_create(new, ctx, errs);
}

fn shares(v: &Value, shown: &str, path: &Path<'_>, errs: &mut ErrorList) {
    if let Some(n) = v.opt_int("nominalConcurrencyShares").filter(|n| *n < 0) {
        errs.invalid(&path.child(shown), n, "must be a non-negative integer");
    }
}

fn lendable(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    if let Some(n) = v.opt_int("lendablePercent").filter(|n| !(0..=100).contains(n)) {
        errs.invalid(&path.child("lendablePercent"), n, "must be between 0 and 100, inclusive");
    }
}

fn limited_level(v: &Value, ctx: &Context<'_>, path: &Path<'_>, errs: &mut ErrorList) {
    let old_name = matches!(ctx.version, "v1beta1" | "v1beta2");
    let shown = if old_name { "assuredConcurrencyShares" } else { "nominalConcurrencyShares" };
    shares(v, shown, path, errs);
    let response = v.sub("limitResponse");
    let response_path = path.child("limitResponse");
    let queuing_path = response_path.child("queuing");
    match (response.str("type"), response.at("queuing")) {
        ("Reject", Some(_)) => {
            errs.forbidden(&queuing_path, "must be nil if limited.limitResponse.type is not Limited")
        }
        ("Reject", None) => {}
        ("Queue", None) => {
            errs.required(&queuing_path, "must not be empty if limited.limitResponse.type is Limited")
        }
        ("Queue", Some(q)) => queuing(q, &queuing_path, errs),
        (other, _) => {
            errs.not_supported(&response_path.child("type"), other, &["Queue", "Reject"]);
        }
    }
    lendable(v, path, errs);
    if let Some(n) = v.opt_int("borrowingLimitPercent").filter(|n| *n < 0) {
        errs.invalid(&path.child("borrowingLimitPercent"), n, "if specified, must be a non-negative integer");
    }
}

fn queuing(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    const POSITIVE: &str = "must be positive";
    let (limit, queues, hand) = (v.int("queueLengthLimit"), v.int("queues"), v.int("handSize"));
    if limit <= 0 {
        errs.invalid(&path.child("queueLengthLimit"), limit, POSITIVE);
    }
    if queues <= 0 {
        errs.invalid(&path.child("queues"), queues, POSITIVE);
    } else if queues > 10_000_000 {
        errs.invalid(&path.child("queues"), queues, "must not be greater than 10000000");
    }
    let path = path.child("handSize");
    if hand <= 0 {
        errs.invalid(&path, hand, POSITIVE);
    } else if hand > queues {
        errs.invalid(&path, hand, format!("should not be greater than queues ({queues})"));
    } else {
        // The entropy that shuffle sharding needs.
        #[allow(clippy::cast_precision_loss)]
        let bits = ((queues as f64).log2() * hand as f64).ceil();
        if bits > 60.0 {
            errs.invalid(&path, hand, format!("required entropy bits of deckSize {queues} and handSize {hand} should not be greater than 60"));
        }
    }
}
