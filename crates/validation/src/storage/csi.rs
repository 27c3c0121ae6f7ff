//! CSI drivers, CSI nodes and CSI storage capacities.

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path};

use crate::Context;
use crate::core::volume;
use crate::errs::Errs;
use crate::golang;
use crate::meta;
use crate::names;
use crate::quantity::{Quantity, QuantityField as _};
use crate::selector;
use crate::value::{Get, same_at};

const SPEC: Path<'static> = Path::new("spec");

/// `ValidateCSIDriver`.
pub(crate) fn driver_create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    if ctx.is_old() {
        return ctx.twice(errs, |errs| old_driver(object, errs));
    }
    meta::kube_object_meta(object, false, names::subdomain, errs);
    driver_spec(object.sub("spec"), errs);
}

/// Servers of v1beta1 looked at a driver's name only.
fn old_driver(object: &Value, errs: &mut ErrorList) {
    volume::old_csi_driver_name(object.sub("metadata").str("name"), &Path::new("name"), errs);
    driver_spec(object.sub("spec"), errs);
}

fn driver_spec(spec: &Value, errs: &mut ErrorList) {
    const NEEDED: &[(&str, &str)] = &[
        ("attachRequired", "attachedRequired"),
        ("podInfoOnMount", "podInfoOnMount"),
        ("storageCapacity", "storageCapacity"),
    ];
    for (field, shown) in NEEDED {
        if spec.at(field).is_none() {
            errs.required(&SPEC.child(shown), "");
        }
    }
    const POLICIES: &[&str] = &["File", "None", "ReadWriteOnceWithFSType"];
    if let Some(policy) = spec.opt_str("fsGroupPolicy")
        && !POLICIES.contains(&policy)
    {
        errs.not_supported(&SPEC.child("fsGroupPolicy"), policy, POLICIES);
    }
    token_requests(spec.list("tokenRequests"), errs);
    for mode in spec.strs("volumeLifecycleModes") {
        if !matches!(mode, "Persistent" | "Ephemeral") {
            errs.not_supported(&SPEC.child("volumeLifecycleModes"), mode, &["Persistent", "Ephemeral"]);
        }
    }
    if spec.at("seLinuxMount").is_none() {
        errs.required(&SPEC.child("seLinuxMount"), "");
    }
    if let Some(seconds) = spec.opt_int("nodeAllocatableUpdatePeriodSeconds").filter(|s| *s < 10) {
        errs.invalid(
            &SPEC.child("nodeAllocatableUpdatePeriodSeconds"),
            seconds,
            "must be greater than or equal to 10 seconds",
        );
    }
    if let Some(in_secrets) = spec.opt_flag("serviceAccountTokenInSecrets")
        && spec.list("tokenRequests").is_empty()
    {
        errs.invalid(
            &SPEC.child("serviceAccountTokenInSecrets"),
            in_secrets,
            "serviceAccountTokenInSecrets is set but no tokenRequests are specified",
        );
    }
}

fn token_requests(list: &[Value], errs: &mut ErrorList) {
    let path = SPEC.child("tokenRequests");
    let mut seen = HashSet::new();
    for (i, request) in list.iter().enumerate() {
        let path = path.index(i);
        let audience = request.str("audience");
        if !seen.insert(audience) {
            errs.duplicate(&path.child("audience"), audience);
            continue;
        }
        let Some(seconds) = request.opt_int("expirationSeconds") else { continue };
        let path = path.child("expirationSeconds");
        if seconds < 600 {
            errs.invalid(&path, seconds, "may not specify a duration less than 10 minutes");
        }
        if seconds > 1 << 32 {
            errs.invalid(&path, seconds, "may not specify a duration larger than 2^32 seconds");
        }
    }
}

/// `ValidateCSIDriverUpdate`.
pub(crate) fn driver_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    let (spec, before) = (new.sub("spec"), old.sub("spec"));
    if ctx.is_old() {
        ctx.twice(errs, |errs| old_driver(new, errs));
        // Of the fields that it had, none could change.
        const FIELDS: [&str; 3] = ["attachRequired", "podInfoOnMount", "volumeLifecycleModes"];
        if FIELDS.iter().any(|field| !same_at(spec, before, field)) {
            errs.invalid(&SPEC, spec, meta::IMMUTABLE);
        }
        return;
    }
    meta::kube_object_meta_update(new, old, errs);
    driver_spec(spec, errs);
    meta::immutable(spec, before, "attachRequired", "*b", &SPEC.child("attachedRequired"), errs);
    let path = SPEC.child("volumeLifecycleModes");
    meta::immutable(spec, before, "volumeLifecycleModes", "[s", &path, errs);
}

/// `ValidateCSINode`.
pub(crate) fn node_create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    ctx.twice(errs, |errs| node(object, ctx, errs));
}

fn node(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, false, names::subdomain, errs);
    let longest = if ctx.is_old() { 128 } else { 256 };
    let drivers = object.sub("spec").list("drivers");
    let list = SPEC.child("drivers");
    let mut seen = HashSet::new();
    for (i, driver) in drivers.iter().enumerate() {
        let path = list.index(i);
        let (name, id) = (driver.str("name"), driver.str("nodeID"));
        if ctx.is_old() {
            volume::old_csi_driver_name(name, &path.child("name"), errs);
        } else {
            volume::csi_driver_name(name, &path.child("name"), errs);
        }
        if id.is_empty() {
            errs.required(&path.child("nodeID"), "");
        }
        if id.len() > longest {
            errs.invalid(&path.child("nodeID"), id, format!("must be {longest} characters or less"));
        }
        if let Some(count) = driver.sub("allocatable").opt_int("count") {
            meta::non_negative(count, &path.child("allocatable").child("count"), errs);
        }
        if !seen.insert(name) {
            errs.duplicate(&path.child("name"), name);
        }
        let keys = driver.strs("topologyKeys");
        let mut seen = HashSet::new();
        for key in &keys {
            if key.is_empty() {
                errs.required(&path, "");
            }
            if !seen.insert(key) {
                errs.duplicate(&path, *key);
            }
            for message in names::is_qualified_name(key) {
                if ctx.is_old() {
                    errs.invalid(&path, driver.sub("topologyKeys"), message);
                } else {
                    errs.invalid(&path, *key, message);
                }
            }
        }
    }
}

/// `ValidateCSINodeUpdate`: what a driver said about a node stays, its capacity aside (which stayed in v1beta1).
pub(crate) fn node_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    node_create(new, ctx, errs);
    let fixed: &[&str] =
        if ctx.is_old() { &["nodeID", "topologyKeys", "allocatable"] } else { &["nodeID", "topologyKeys"] };
    for before in old.sub("spec").list("drivers") {
        for driver in new.sub("spec").list("drivers") {
            if driver.str("name") == before.str("name") && fixed.iter().any(|f| !same_at(driver, before, f)) {
                let mut shown = driver.clone();
                if let Value::Object(fields) = &mut shown
                    && !ctx.is_old()
                {
                    fields.remove("allocatable");
                }
                let shown = golang::shown("storage.CSINodeDriver", &shown);
                let drivers = SPEC.child("drivers");
                let path = if ctx.is_old() { Path::new("CSINodeDriver") } else { drivers };
                errs.invalid(&path, shown, meta::IMMUTABLE);
            }
        }
    }
}

/// `ValidateCSIStorageCapacity`.
pub(crate) fn capacity_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    capacity(object, false, errs);
}

fn capacity(object: &Value, any_value: bool, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    let topology = Path::new("nodeTopology");
    selector::label_selector(object.sub("nodeTopology"), any_value, &topology, errs);
    let class = object.str("storageClassName");
    errs.invalid_each(&Path::new("storageClassName"), class, names::is_dns1123_subdomain(class));
    if let Some(capacity) = object.at("capacity")
        && Quantity::of(capacity).sign() < 0
    {
        errs.invalid(&Path::new("capacity"), &Quantity::shown(capacity), meta::NEGATIVE);
    }
}

/// The strategy's `ValidateUpdate`.
pub(crate) fn capacity_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    capacity(new, selector::has_invalid_value(old.sub("nodeTopology")), errs);
    meta::kube_object_meta_update(new, old, errs);
    let path = Path::new("nodeTopology");
    meta::immutable(new, old, "nodeTopology", "*metav1.LabelSelector", &path, errs);
    meta::immutable(new, old, "storageClassName", "s", &Path::new("storageClassName"), errs);
}
