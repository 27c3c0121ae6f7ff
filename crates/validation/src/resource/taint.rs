//! Taints of devices: their rules, and what tolerates them.

use api::Value;
use api::field::{ErrorList, Path};

use super::{label, pool_name};
use crate::Context;
use crate::core::volume::csi_driver_name;
use crate::errs::Errs;
use crate::meta;
use crate::names;
use crate::value::Get;

const EFFECTS: &[&str] = &["NoExecute", "NoSchedule", "None"];

static SPEC: Path<'static> = Path::new("spec");

/// `ValidateDeviceTaintRule`.
pub(crate) fn rule_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, false, names::subdomain, errs);
    rule_spec(object.sub("spec"), None, errs);
}

/// `ValidateDeviceTaintRuleUpdate`.
pub(crate) fn rule_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    rule_spec(new.sub("spec"), Some(old.sub("spec")), errs);
}

/// `ValidateDeviceTaintRuleStatusUpdate`.
pub(crate) fn rule_status_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    let (path, conditions) = (Path::new("status"), new.sub("status").list("conditions"));
    meta::conditions(conditions, &path.child("conditions"), errs);
    if conditions.len() > 8 {
        errs.too_many(&path.child("conditions"), conditions.len(), 8);
    }
}

fn rule_spec(spec: &Value, old: Option<&Value>, errs: &mut ErrorList) {
    let path = SPEC.child("deviceSelector");
    let selector = spec.sub("deviceSelector");
    if let Some(driver) = selector.opt_str("driver") {
        csi_driver_name(driver, &path.child("driver"), errs);
    }
    if let Some(pool) = selector.opt_str("pool") {
        pool_name(pool, &path.child("pool"), errs);
    }
    if let Some(device) = selector.opt_str("device") {
        label(device, &path.child("device"), errs);
    }
    taint(spec.sub("taint"), old.map(|old| old.sub("taint")), &SPEC.child("taint"), errs);
}

/// `validateDeviceTaint`.
pub(super) fn taint(v: &Value, old: Option<&Value>, path: &Path<'_>, errs: &mut ErrorList) {
    meta::label_name(v.str("key"), &path.child("key"), errs);
    let value = v.str("value");
    if !value.is_empty() {
        errs.invalid_each(&path.child("value"), value, names::is_label_value(value));
    }
    let effect = v.str("effect");
    if old.is_none_or(|old| old.str("effect") != effect) {
        if effect.is_empty() {
            errs.required(&path.child("effect"), "");
        } else if !EFFECTS.contains(&effect) {
            errs.not_supported(&path.child("effect"), effect, EFFECTS);
        }
    }
}

/// `validateDeviceToleration`.
pub(super) fn toleration(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let (key, value, effect) = (v.str("key"), v.str("value"), v.str("effect"));
    if !key.is_empty() {
        meta::label_name(key, &path.child("key"), errs);
    }
    match v.str("operator") {
        "Exists" if !value.is_empty() => {
            errs.invalid(&path.child("value"), value, "must be empty for operator `Exists`");
        }
        "Exists" => {}
        "Equal" => errs.invalid_each(&path.child("value"), value, names::is_label_value(value)),
        "" => errs.required(&path.child("operator"), ""),
        other => errs.not_supported(&path.child("operator"), other, &["Equal", "Exists"]),
    }
    if !effect.is_empty() && !EFFECTS.contains(&effect) {
        errs.not_supported(&path.child("effect"), effect, EFFECTS);
    }
}
