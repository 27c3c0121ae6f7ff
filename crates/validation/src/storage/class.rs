//! Storage classes and volume attributes classes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use api::Value;
use api::field::{ErrorList, Path};

use crate::Context;
use crate::errs::Errs;
use crate::meta;
use crate::names;
use crate::value::{Get, same_at};

/// `ValidateStorageClass`.
pub(crate) fn create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, false, names::subdomain, errs);
    provisioner(object.str("provisioner"), ctx, &Path::new("provisioner"), errs);
    parameters(object.sub("parameters"), true, &Path::new("parameters"), errs);
    let policy = object.str("reclaimPolicy");
    if !policy.is_empty() && !matches!(policy, "Delete" | "Retain") {
        errs.not_supported(&Path::new("reclaimPolicy"), policy, &["Delete", "Retain"]);
    }
    let path = Path::new("volumeBindingMode");
    match object.opt_str("volumeBindingMode") {
        None => errs.required(&path, ""),
        Some("Immediate" | "WaitForFirstConsumer") => {}
        Some(other) => errs.not_supported(&path, other, &["Immediate", "WaitForFirstConsumer"]),
    }
    topologies(object.list("allowedTopologies"), &Path::new("allowedTopologies"), errs);
}

/// The strategy's `ValidateUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    create(new, ctx, errs);
    meta::kube_object_meta_update(new, old, errs);
    const FIXED: &[(&str, &str)] =
        &[("parameters", "{s"), ("provisioner", "s"), ("reclaimPolicy", "*s"), ("volumeBindingMode", "*s")];
    for (field, kind) in FIXED {
        if ctx.is_old() && *field != "volumeBindingMode" {
            if !crate::value::same_at(new, old, field) {
                errs.forbidden(&Path::new(field), format!("updates to {field} are forbidden."));
            }
            continue;
        }
        if *kind == "s" && !crate::value::same_at(new, old, field) {
            // A plain text is quoted as Go quotes it, not as JSON is.
            errs.invalid(&Path::new(field), new.str(field), meta::IMMUTABLE);
            continue;
        }
        meta::immutable(new, old, field, kind, &Path::new(field), errs);
    }
}

/// `validateProvisioner`.
fn provisioner(name: &str, ctx: &Context<'_>, path: &Path<'_>, errs: &mut ErrorList) {
    if name.is_empty() {
        errs.required(path, "");
    } else {
        let lower = name.to_lowercase();
        let shown = if ctx.is_old() { name } else { &lower };
        errs.invalid_each(path, shown, names::is_qualified_name(&lower));
    }
}

/// `validateParameters`.
fn parameters(v: &Value, may_be_empty: bool, path: &Path<'_>, errs: &mut ErrorList) {
    let count = v.pairs().count();
    if count > 512 {
        errs.too_long(path, 512);
        return;
    }
    let mut total = 0;
    for (key, value) in v.pairs() {
        if key.is_empty() {
            errs.invalid(path, key, "field can not be empty.");
        }
        total += key.len() + value.text().len();
    }
    if total > 256 * 1024 {
        errs.too_long(path, 256 * 1024);
    }
    if !may_be_empty && count == 0 {
        errs.required(path, "must contain at least one key/value pair");
    }
}

fn topologies(list: &[Value], path: &Path<'_>, errs: &mut ErrorList) {
    // Upstream compares each term with those before it, and with as many empty ones as there are terms.
    let mut known = HashMap::from([(BTreeMap::new(), list.len())]);
    for (i, term) in list.iter().enumerate() {
        let path = path.index(i);
        let expressions = path.child("matchLabelExpressions");
        let mut keys: HashSet<&str> = HashSet::new();
        for (j, expression) in term.list("matchLabelExpressions").iter().enumerate() {
            let path = expressions.index(j);
            let values_path = path.child("values");
            let values = expression.strs("values");
            if values.is_empty() {
                errs.required(&values_path, "");
            }
            let mut seen = HashSet::new();
            for (k, value) in values.iter().enumerate() {
                if !seen.insert(value) {
                    errs.duplicate(&values_path.index(k), *value);
                }
            }
            let key = expression.str("key");
            meta::label_name(key, &path.child("key"), errs);
            if keys.contains(&key) {
                errs.duplicate(&path.child("key"), key);
            }
            keys.insert(key);
        }
        let equal = known.entry(terms(term)).or_insert(0);
        (0..*equal).take(errs.room()).for_each(|_| errs.duplicate(&expressions, ""));
        *equal += 1;
    }
}

/// The values of a topology term's keys; of equal keys the last one counts.
fn terms(term: &Value) -> BTreeMap<&str, BTreeSet<&str>> {
    let expressions = term.list("matchLabelExpressions").iter();
    expressions.map(|e| (e.str("key"), e.strs("values").into_iter().collect())).collect()
}

/// `ValidateVolumeAttributesClass`.
pub(crate) fn attributes_create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, false, names::subdomain, errs);
    provisioner(object.str("driverName"), ctx, &Path::new("driverName"), errs);
    parameters(object.sub("parameters"), false, &Path::new("parameters"), errs);
}

/// `ValidateVolumeAttributesClassUpdate`.
pub(crate) fn attributes_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    for field in ["driverName", "parameters"] {
        if !same_at(new, old, field) {
            errs.forbidden(&Path::new(field), format!("updates to {field} are forbidden."));
        }
    }
    attributes_create(new, ctx, errs);
}
