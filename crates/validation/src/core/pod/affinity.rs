//! Where pods may run: affinity, node selectors, topology spread, tolerations.

use std::collections::{HashMap, HashSet};

use api::Value;
use api::field::{ErrorList, Path};

use super::Options;
use crate::errs::Errs;
use crate::meta;
use crate::names;
use crate::selector;
use crate::value::Get;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// `validateAffinity`.
pub(super) fn affinity(v: &Value, opts: &Options, path: &Path<'_>, errs: &mut ErrorList) {
    if let Some(node) = v.at("nodeAffinity") {
        let path = path.child("nodeAffinity");
        if let Some(required) = node.at(REQUIRED) {
            node_selector(required, opts.any_node_value, &path.child(REQUIRED), errs);
        }
        let list = path.child(PREFERRED);
        for (i, term) in node.list(PREFERRED).iter().enumerate() {
            let path = list.index(i);
            weight(term, &path, errs);
            node_selector_term(term.sub("preference"), true, &path.child("preference"), errs);
        }
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let Some(pods) = v.at(kind) else { continue };
        let path = path.child(kind);
        let list = path.child(REQUIRED);
        for (i, term) in pods.list(REQUIRED).iter().enumerate() {
            pod_affinity_term(term, opts, &list.index(i), errs);
        }
        let list = path.child(PREFERRED);
        for (i, term) in pods.list(PREFERRED).iter().enumerate() {
            let path = list.index(i);
            weight(term, &path, errs);
            pod_affinity_term(term.sub("podAffinityTerm"), opts, &path.child("podAffinityTerm"), errs);
        }
    }
}

fn weight(term: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let weight = term.int("weight");
    if !(1..=100).contains(&weight) {
        errs.invalid(&path.child("weight"), weight, "must be in the range 1-100");
    }
}

/// `ValidateNodeSelector`.
pub(crate) fn node_selector(v: &Value, any_value: bool, path: &Path<'_>, errs: &mut ErrorList) {
    let list = path.child("nodeSelectorTerms");
    let terms = v.list("nodeSelectorTerms");
    if terms.is_empty() {
        errs.required(&list, "must have at least one node selector term");
    }
    for (i, term) in terms.iter().enumerate() {
        node_selector_term(term, any_value, &list.index(i), errs);
    }
}

fn node_selector_term(term: &Value, any_value: bool, path: &Path<'_>, errs: &mut ErrorList) {
    let list = path.child("matchExpressions");
    for (i, requirement) in term.list("matchExpressions").iter().enumerate() {
        node_requirement(requirement, any_value, &list.index(i), errs);
    }
    let list = path.child("matchFields");
    for (i, requirement) in term.list("matchFields").iter().enumerate() {
        let path = list.index(i);
        let values = requirement.list("values");
        match requirement.str("operator") {
            "In" | "NotIn" => {
                if values.len() != 1 {
                    errs.required(
                        &path.child("values"),
                        "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
                    );
                }
            }
            other => errs.invalid(&path.child("operator"), other, "not a valid selector operator"),
        }
        if requirement.str("key") == "metadata.name" {
            let values_path = path.child("values");
            for (j, value) in values.iter().enumerate() {
                let value = value.text();
                errs.invalid_each(&values_path.index(j), value, names::is_dns1123_subdomain(value));
            }
        } else {
            errs.invalid(&path.child("key"), requirement.str("key"), "not a valid field selector key");
        }
    }
}

fn node_requirement(v: &Value, any_value: bool, path: &Path<'_>, errs: &mut ErrorList) {
    let values = v.list("values");
    let values_path = path.child("values");
    match v.str("operator") {
        "In" | "NotIn" => {
            if values.is_empty() {
                errs.required(&values_path, "must be specified when `operator` is 'In' or 'NotIn'");
            }
        }
        "Exists" | "DoesNotExist" => {
            if !values.is_empty() {
                errs.forbidden(
                    &values_path,
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                );
            }
        }
        "Gt" | "Lt" => {
            if values.len() != 1 {
                errs.required(&values_path, "must be specified single value when `operator` is 'Lt' or 'Gt'");
            }
        }
        other => errs.invalid(&path.child("operator"), other, "not a valid selector operator"),
    }
    meta::label_name(v.str("key"), &path.child("key"), errs);
    if !any_value {
        for (i, value) in values.iter().enumerate() {
            errs.invalid_each(&values_path.index(i), value.text(), names::is_label_value(value.text()));
        }
    }
}

/// Whether a node selector's terms carry a value that is no label value.
pub(crate) fn has_invalid_node_value(selector: &Value) -> bool {
    selector
        .list("nodeSelectorTerms")
        .iter()
        .flat_map(|t| t.list("matchExpressions"))
        .flat_map(|e| e.list("values"))
        .any(|v| !names::is_label_value(v.text()).is_empty())
}

/// All pod affinity terms of an affinity.
pub(super) fn pod_affinity_terms(affinity: &Value) -> impl Iterator<Item = &Value> {
    ["podAffinity", "podAntiAffinity"].into_iter().flat_map(|kind| {
        let pods = affinity.sub(kind);
        pods.list(REQUIRED).iter().chain(pods.list(PREFERRED).iter().map(|t| t.sub("podAffinityTerm")))
    })
}

/// `ValidatePodAffinityTermSelector`.
pub(super) fn term_selectors(term: &Value, any_value: bool, path: &Path<'_>, errs: &mut ErrorList) {
    for field in ["labelSelector", "namespaceSelector"] {
        selector::label_selector(term.sub(field), any_value, &path.child(field), errs);
    }
}

fn pod_affinity_term(term: &Value, opts: &Options, path: &Path<'_>, errs: &mut ErrorList) {
    term_selectors(term, opts.any_selector_value, path, errs);
    for name in term.strs("namespaces") {
        errs.invalid_each(&path.child("namespace"), name, names::is_dns1123_label(name));
    }
    let selector = term.sub("labelSelector");
    match_label_keys(&term.strs("matchLabelKeys"), &term.strs("mismatchLabelKeys"), selector, path, errs);
    let key = term.str("topologyKey");
    if key.is_empty() {
        errs.required(&path.child("topologyKey"), "can not be empty");
    }
    meta::label_name(key, &path.child("topologyKey"), errs);
}

/// `ValidateMatchLabelKeysAndMismatchLabelKeys`.
pub(super) fn match_label_keys(
    matching: &[&str],
    mismatching: &[&str],
    selector: &Value,
    path: &Path<'_>,
    errs: &mut ErrorList,
) {
    for (field, keys) in [("matchLabelKeys", matching), ("mismatchLabelKeys", mismatching)] {
        if keys.is_empty() {
            continue;
        }
        let path = path.child(field);
        if selector.is_null() {
            errs.forbidden(&path, "must not be specified when labelSelector is not set");
            continue;
        }
        for (i, key) in keys.iter().enumerate() {
            meta::label_name(key, &path.index(i), errs);
        }
    }
    // The server adds the keys to the selector itself; a key that the selector has twice was there before.
    let last: HashMap<&str, usize> = matching.iter().enumerate().map(|(i, key)| (*key, i)).collect();
    let mut seen: HashSet<&str> = selector.entries("matchLabels").map(|(k, _)| k.as_str()).collect();
    for expression in selector.list("matchExpressions") {
        let key = expression.str("key");
        if seen.contains(&key)
            && let Some(i) = last.get(key)
        {
            errs.invalid(&path.index(*i), key, "exists in both matchLabelKeys and labelSelector");
        }
        seen.insert(key);
    }
    let mismatching: HashSet<&&str> = mismatching.iter().collect();
    for (i, key) in matching.iter().enumerate() {
        if mismatching.contains(key) {
            errs.invalid(
                &path.child("matchLabelKeys").index(i),
                *key,
                "exists in both matchLabelKeys and mismatchLabelKeys",
            );
        }
    }
}

/// `ValidateMatchLabelKeysInTopologySpread`, for old objects only.
fn old_match_label_keys(keys: &[&str], selector: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    if keys.is_empty() {
        return;
    }
    if selector.is_null() {
        errs.forbidden(path, "must not be specified when labelSelector is not set");
    }
    let expressions: HashSet<&str> = selector.list("matchExpressions").iter().map(|e| e.str("key")).collect();
    let has = |key: &str| selector.sub("matchLabels").get(key).is_some() || expressions.contains(key);
    for (i, key) in keys.iter().enumerate() {
        meta::label_name(key, &path.index(i), errs);
        if has(key) {
            errs.invalid(&path.index(i), *key, "exists in both matchLabelKeys and labelSelector");
        }
    }
}

/// `validateTopologySpreadConstraints`.
pub(super) fn topology_spread(list: &[Value], opts: &Options, path: &Path<'_>, errs: &mut ErrorList) {
    // Where each pair stands for the last time.
    let last: HashMap<(&str, &str), usize> = list
        .iter()
        .enumerate()
        .map(|(i, c)| ((c.str("topologyKey"), c.str("whenUnsatisfiable")), i))
        .collect();
    for (i, constraint) in list.iter().enumerate() {
        let path = path.index(i);
        meta::positive(constraint.int("maxSkew"), &path.child("maxSkew"), errs);
        let (key, action) = (constraint.str("topologyKey"), constraint.str("whenUnsatisfiable"));
        if key.is_empty() {
            errs.required(&path.child("topologyKey"), "can not be empty");
        }
        if !matches!(action, "DoNotSchedule" | "ScheduleAnyway") {
            errs.not_supported(
                &path.child("whenUnsatisfiable"),
                action,
                &["DoNotSchedule", "ScheduleAnyway"],
            );
        }
        if last.get(&(key, action)).is_some_and(|last| *last > i) {
            let text = format!("{{{key}, {action}}}");
            errs.duplicate(&path.child("{topologyKey, whenUnsatisfiable}"), &text);
        }
        if let Some(domains) = constraint.opt_int("minDomains") {
            let path = path.child("minDomains");
            meta::positive(domains, &path, errs);
            if action != "DoNotSchedule" {
                errs.invalid(
                    &path,
                    domains,
                    format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"),
                );
            }
        }
        for field in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            if let Some(policy) = constraint.opt_str(field)
                && !matches!(policy, "Honor" | "Ignore")
            {
                errs.not_supported(&path.child(field), policy, &["Honor", "Ignore"]);
            }
        }
        let (keys, selector) = (constraint.strs("matchLabelKeys"), constraint.sub("labelSelector"));
        if opts.old_match_label_keys {
            old_match_label_keys(&keys, selector, &path.child("matchLabelKeys"), errs);
        } else {
            match_label_keys(&keys, &[], selector, &path, errs);
        }
        if !opts.any_spread_selector {
            selector::label_selector(selector, false, &path.child("labelSelector"), errs);
        }
    }
}

const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// `validateTaintEffect`.
pub(crate) fn taint_effect(effect: &str, path: &Path<'_>, errs: &mut ErrorList) {
    if !EFFECTS.contains(&effect) {
        errs.not_supported(path, effect, EFFECTS);
    }
}

/// `ValidateTolerations`. `comparison`: the operators Lt and Gt may be used (an alpha feature).
pub(crate) fn tolerations(list: &[Value], comparison: bool, path: &Path<'_>, errs: &mut ErrorList) {
    for (i, toleration) in list.iter().enumerate() {
        let path = path.index(i);
        let (key, operator) = (toleration.str("key"), toleration.str("operator"));
        let (value, effect) = (toleration.str("value"), toleration.str("effect"));
        if !key.is_empty() {
            meta::label_name(key, &path.child("key"), errs);
        } else if operator != "Exists" {
            errs.invalid(
                &path.child("operator"),
                operator,
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            );
        }
        if toleration.at("tolerationSeconds").is_some() && effect != "NoExecute" {
            errs.invalid(
                &path.child("effect"),
                effect,
                "effect must be 'NoExecute' when `tolerationSeconds` is set",
            );
        }
        match operator {
            "Equal" | "" => {
                let messages = names::is_label_value(value);
                if !messages.is_empty() {
                    errs.invalid(&path.child("operator"), value, messages.join(";"));
                }
            }
            "Exists" => {
                if !value.is_empty() {
                    errs.invalid(
                        &path.child("operator"),
                        value,
                        "value must be empty when `operator` is 'Exists'",
                    );
                }
            }
            "Lt" | "Gt" if comparison => {
                let canonical = value.parse::<i64>().is_ok_and(|n| n.to_string() == value);
                if !canonical {
                    errs.invalid(
                        &path.child("value"),
                        value,
                        "must be a valid decimal integer in canonical form",
                    );
                }
            }
            "Lt" | "Gt" => {
                errs.not_supported(&path.child("operator"), operator, &["Equal", "Exists", "Lt", "Gt"]);
            }
            other => errs.not_supported(&path.child("operator"), other, &["Equal", "Exists"]),
        }
        if !effect.is_empty() {
            taint_effect(effect, &path.child("effect"), errs);
        }
    }
}

/// `validateNodeTaints`.
pub(crate) fn taints(list: &[Value], path: &Path<'_>, errs: &mut ErrorList) {
    let mut seen: HashSet<(&str, &str)> = HashSet::new();
    for (i, taint) in list.iter().enumerate() {
        let path = path.index(i);
        let (key, value, effect) = (taint.str("key"), taint.str("value"), taint.str("effect"));
        meta::label_name(key, &path.child("key"), errs);
        let messages = names::is_label_value(value);
        if !messages.is_empty() {
            errs.invalid(&path.child("value"), value, messages.join(";"));
        }
        if effect.is_empty() {
            errs.required(&path.child("effect"), "");
        } else {
            taint_effect(effect, &path.child("effect"), errs);
        }
        if seen.contains(&(effect, key)) {
            let shown = crate::golang::shown("core.Taint", taint);
            errs.duplicate_because(&path, shown, "taints must be unique by key and effect pair");
        } else {
            seen.insert((effect, key));
        }
    }
}
