//! Resource slices: the devices that a driver offers.

use api::Value;
use api::field::{ErrorList, Path};

use super::{binding_conditions, each, each_unique, label, pool_name, qualified_name, taint};
use crate::Context;
use crate::core::pod::{affinity, resources};
use crate::core::volume::csi_driver_name;
use crate::errs::{Errs, Raw};
use crate::golang;
use crate::meta;
use crate::names;
use crate::quantity::{Quantity, QuantityField as _};
use crate::value::{Get, same_at};

static SPEC: Path<'static> = Path::new("spec");

/// `ValidateResourceSlice`.
pub(crate) fn create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, false, names::subdomain, errs);
    spec(object.sub("spec"), None, errs);
}

/// `ValidateResourceSliceUpdate`.
pub(crate) fn update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    spec(new.sub("spec"), Some(old.sub("spec")), errs);
}

fn spec(v: &Value, old: Option<&Value>, errs: &mut ErrorList) {
    csi_driver_name(v.str("driver"), &SPEC.child("driver"), errs);
    let path = SPEC.child("pool");
    let pool = v.sub("pool");
    pool_name(pool.str("name"), &path.child("name"), errs);
    if pool.int("resourceSliceCount") <= 0 {
        let count = pool.int("resourceSliceCount");
        errs.invalid(&path.child("resourceSliceCount"), count, "must be greater than zero");
    }
    if pool.int("generation") < 0 {
        let detail = "must be greater than or equal to zero";
        errs.invalid(&path.child("generation"), pool.int("generation"), detail);
    }
    if let Some(old) = old {
        meta::immutable(pool, old.sub("pool"), "name", "s", &path.child("name"), errs);
        meta::immutable(v, old, "driver", "s", &SPEC.child("driver"), errs);
        meta::immutable(v, old, "nodeName", "*s", &SPEC.child("nodeName"), errs);
    }
    where_it_is(v, errs);
    if v.at("sharedCounters").is_some() && v.at("devices").is_some() {
        errs.invalid(&SPEC, "", "only one of `sharedCounters` or `devices` is allowed");
    }
    let devices = v.list("devices");
    let max = if devices.iter().any(is_advanced) { 64 } else { 128 };
    let chosen = v.flag("perDeviceNodeSelection");
    let list = SPEC.child("devices");
    each_unique(
        devices.iter(),
        max,
        &list,
        errs,
        |d| d.str("name"),
        |v, path, errs| {
            let name = v.str("name");
            let before = old.and_then(|old| old.list("devices").iter().find(|d| d.str("name") == name));
            device(v, before, chosen, path, errs);
        },
    );
    let sets = v.list("sharedCounters").iter();
    each_unique(
        sets,
        8,
        &SPEC.child("sharedCounters"),
        errs,
        |c| c.str("name"),
        |v, path, errs| {
            counters(v, "name", path, errs);
        },
    );
}

/// Devices with taints, counters or lists of values: a slice takes fewer of them.
fn is_advanced(device: &Value) -> bool {
    !device.list("taints").is_empty()
        || !device.list("consumesCounters").is_empty()
        || device.entries("attributes").any(|(_, a)| LISTS.iter().any(|(list, _)| a.at(list).is_some()))
}

fn where_it_is(v: &Value, errs: &mut ErrorList) {
    let mut set = Vec::new();
    if let Some(name) = v.opt_str("nodeName") {
        let path = SPEC.child("nodeName");
        if name.is_empty() {
            errs.invalid(&path, "", "must be either unset or set to a non-empty string");
        } else {
            set.push("`nodeName`");
            errs.invalid_each(&path, name, names::subdomain(name, false));
        }
    }
    if let Some(selector) = v.at("nodeSelector") {
        set.push("`nodeSelector`");
        let path = SPEC.child("nodeSelector");
        affinity::node_selector(selector, false, &path, errs);
        if selector.list("nodeSelectorTerms").len() != 1 {
            errs.invalid(
                &path.child("nodeSelectorTerms"),
                golang::shown("[core.NodeSelectorTerm", selector.sub("nodeSelectorTerms")),
                "must have exactly one node selector term",
            );
        }
    }
    for (field, shown) in [("allNodes", "`allNodes`"), ("perDeviceNodeSelection", "`perDeviceNodeSelection`")]
    {
        match v.opt_flag(field) {
            Some(true) => set.push(shown),
            Some(false) => {
                errs.invalid(&SPEC.child(field), false, "must be either unset or set to true");
            }
            None => {}
        }
    }
    const ONE: &str =
        "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    exactly_one(&set, ONE, &SPEC, errs);
}

fn exactly_one(set: &[&str], detail: &str, path: &Path<'_>, errs: &mut ErrorList) {
    match set.len() {
        0 => errs.required(path, detail),
        1 => {}
        _ => {
            let shown = format!("{{{}}}", set.join(", "));
            errs.invalid(path, shown.as_str(), format!("{detail}, but multiple fields are set"));
        }
    }
}

/// `validateDevice`. `chosen`: every device says where it can be used.
fn device(v: &Value, old: Option<&Value>, chosen: bool, path: &Path<'_>, errs: &mut ErrorList) {
    label(v.str("name"), &path.child("name"), errs);
    let total = v.entries("attributes").count() + v.entries("capacity").count();
    if total > 32 {
        let detail = "the total number of attributes and capacities must not exceed 32";
        errs.invalid(path, as_int(total), detail);
    }
    let values: usize = v.entries("attributes").map(|(_, a)| count_values(a)).sum();
    if values > 48 {
        errs.invalid(path, as_int(values), "the total number of attribute values must not exceed 48");
    }
    named(v, "attributes", path, errs, attribute);
    let shared = v.flag("allowMultipleAllocations");
    named(v, "capacity", path, errs, |capacity, path, errs| {
        let Some(policy) = capacity.at("requestPolicy") else { return };
        let path = path.child("requestPolicy");
        if shared {
            request_policy(policy, &Quantity::of(capacity.sub("value")), &path, errs);
        } else {
            errs.forbidden(&path, "allowMultipleAllocations must be true");
        }
    });
    if old.is_none_or(|old| !same_at(v, old, "taints")) {
        each(v.list("taints").iter(), 16, &path.child("taints"), errs, |v, path, errs| {
            taint::taint(v, None, path, errs);
        });
    }
    let consumed = v.list("consumesCounters").iter();
    let list = path.child("consumesCounters");
    each_unique(
        consumed,
        2,
        &list,
        errs,
        |c| c.str("counterSet"),
        |v, path, errs| {
            counters(v, "counterSet", path, errs);
        },
    );
    device_place(v, chosen, path, errs);
    binding_conditions(v, path, errs);
    allocatable(v, &path.child("nodeAllocatableResourceMappings"), errs);
}

fn as_int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The entries of a map with qualified names; long names are cut in the paths of errors.
fn named(
    v: &Value,
    field: &str,
    path: &Path<'_>,
    errs: &mut ErrorList,
    mut rule: impl FnMut(&Value, &Path<'_>, &mut ErrorList),
) {
    let path = path.child(field);
    for (key, item) in v.entries(field) {
        qualified_name(key, &path, errs);
        rule(item, &path.key(&shortened(key, 63 + 1 + 32)), errs);
    }
}

/// `truncateIfTooLong`.
fn shortened(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let rest = max - 3;
    let (head, tail) = (rest.div_ceil(2), text.len() - rest / 2);
    let part = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}...{}", part(&text.as_bytes()[..head]), part(&text.as_bytes()[tail..]))
}

fn counters(v: &Value, name: &str, path: &Path<'_>, errs: &mut ErrorList) {
    if v.str(name).is_empty() {
        errs.required(&path.child(name), "");
    } else {
        label(v.str(name), &path.child(name), errs);
    }
    let path = path.child("counters");
    let count = v.entries("counters").count();
    if count == 0 {
        errs.required(&path, "");
    } else if count > 32 {
        errs.too_many(&path, count, 32);
    } else {
        for (key, _) in v.entries("counters") {
            label(key, &path, errs);
        }
    }
}

fn device_place(v: &Value, chosen: bool, path: &Path<'_>, errs: &mut ErrorList) {
    if !chosen {
        if ["nodeName", "nodeSelector", "allNodes"].iter().any(|field| v.at(field).is_some()) {
            errs.invalid(path, Raw("null".to_owned()), "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec");
        }
        return;
    }
    let mut set = Vec::new();
    if let Some(name) = v.opt_str("nodeName") {
        if name.is_empty() {
            errs.invalid(&path.child("nodeName"), "", "must not be empty");
        } else {
            set.push("`nodeName`");
            errs.invalid_each(&path.child("nodeName"), name, names::subdomain(name, false));
        }
    }
    if let Some(selector) = v.at("nodeSelector") {
        set.push("`nodeSelector`");
        affinity::node_selector(selector, false, &path.child("nodeSelector"), errs);
    }
    match v.opt_flag("allNodes") {
        Some(true) => set.push("`allNodes`"),
        Some(false) => {
            errs.invalid(&path.child("allNodes"), false, "must be either unset or set to true");
        }
        None => {}
    }
    const ONE: &str = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    if set.len() > 1 {
        let shown = format!("{{{}}}", set.join(", "));
        errs.invalid(path, shown.as_str(), ONE);
    } else {
        exactly_one(&set, ONE, path, errs);
    }
}

/// `validateNodeAllocatableResourceMappings`.
fn allocatable(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    for (name, mapping) in v.entries("nodeAllocatableResourceMappings") {
        let path = path.key(name);
        if !resources::is_native(name) {
            errs.invalid(&path, name, "must be a node allocatable resource name");
        }
        let (factor, key) = (mapping.at("allocationMultiplier"), mapping.opt_str("capacityKey"));
        if factor.is_none() && key.is_none() {
            errs.invalid(&path, "", "at least one of allocationMultiplier or capacityKey must be set");
        }
        if let Some(factor) = factor
            && Quantity::of(factor).sign() <= 0
        {
            let shown = Quantity::shown(factor);
            errs.invalid(&path.child("allocationMultiplier"), shown.as_str(), "must be positive");
        }
        let path = path.child("capacityKey");
        match key {
            Some("") => errs.invalid(&path, "", "capacityKey must not be an empty string"),
            Some(key) if v.sub("capacity").get(key).is_none() => errs.not_found(&path, key),
            _ => {}
        }
    }
}

/// The fields of an attribute that hold several values, and the fields that hold one.
const LISTS: [(&str, &str); 4] =
    [("bools", "bool"), ("ints", "int"), ("strings", "string"), ("versions", "version")];

fn count_values(attribute: &Value) -> usize {
    let listed: usize = LISTS.iter().map(|(list, _)| attribute.list(list).len()).sum();
    listed.max(1)
}

/// `validateDeviceAttribute`.
fn attribute(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let one = LISTS.iter().filter(|(_, field)| v.at(field).is_some()).count();
    for (_, field) in &LISTS[2..] {
        if let Some(text) = v.opt_str(field) {
            attribute_text(field, text, &path.child(field), errs);
        }
    }
    let mut many = 0;
    for (list, field) in LISTS {
        let path = path.child(list);
        let Some(values) = v.at(list) else { continue };
        many += 1;
        if v.list(list).is_empty() {
            errs.invalid(&path, values, "must not be empty if specified");
        }
        for (i, text) in v.list(list).iter().enumerate() {
            if let Some(text) = text.as_str() {
                attribute_text(field, text, &path.index(i), errs);
            }
        }
    }
    match one + many {
        0 => errs.invalid(path, "", "exactly one value must be specified"),
        1 => {}
        _ => {
            let shown = golang::shown("resource.DeviceAttribute", v);
            errs.invalid(path, shown, "exactly one value must be specified");
        }
    }
}

fn attribute_text(kind: &str, text: &str, path: &Path<'_>, errs: &mut ErrorList) {
    if kind == "version" && !is_semver(text) {
        errs.invalid(path, text, "must be a string compatible with semver.org spec 2.0.0");
    }
    if text.len() > 64 {
        errs.too_long(path, 64);
    }
}

/// `1.2.3-pre.1+build.5`.
fn is_semver(text: &str) -> bool {
    let (text, build) = text.split_once('+').map_or((text, None), |(a, b)| (a, Some(b)));
    let (core, pre) = text.split_once('-').map_or((text, None), |(a, b)| (a, Some(b)));
    let word = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let number =
        |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()) && (s == "0" || !s.starts_with('0'));
    let pre_part = |s: &str| word(s) && (number(s) || s.bytes().any(|b| !b.is_ascii_digit()));
    core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| pre.split('.').all(pre_part))
        && build.is_none_or(|build| build.split('.').all(word))
}

/// `validateRequestPolicy`: what parts of a capacity may be asked for.
fn request_policy(policy: &Value, capacity: &Quantity, path: &Path<'_>, errs: &mut ErrorList) {
    let (values, range) = (policy.list("validValues"), policy.at("validRange"));
    let (what, default) =
        (if values.is_empty() { "validRange" } else { "validValues" }, policy.at("default"));
    match (values.is_empty(), range, default) {
        (false, Some(_), _) => errs.forbidden(path, "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time"),
        (true, None, _) => {}
        (_, _, None) => {
            errs.required(&path.child("default"), format!("required when {what} is defined"));
        }
        (false, None, Some(default)) => {
            valid_values(values, default, capacity, &path.child(what), errs);
        }
        (true, Some(range), Some(default)) => {
            valid_range(range, default, capacity, &path.child(what), errs);
        }
    }
}

fn valid_values(
    values: &[Value],
    default: &Value,
    capacity: &Quantity,
    path: &Path<'_>,
    errs: &mut ErrorList,
) {
    let amounts: Vec<Quantity> = values.iter().map(Quantity::of).collect();
    for (i, pair) in amounts.windows(2).enumerate() {
        if pair[0] > pair[1] {
            let shown = pair[1].to_string();
            errs.invalid(&path.index(i + 1), shown.as_str(), "values must be sorted in ascending order");
        }
    }
    let key = |amount: &Quantity| Raw(format!("\"{}\"", amount.value()));
    if each(amounts.iter(), 10, path, errs, |amount, path, errs| {
        if amount > capacity {
            let detail = format!("option is larger than capacity value: {capacity}");
            errs.invalid(path, amount.to_string().as_str(), detail);
        }
    }) {
        for (i, amount) in amounts.iter().enumerate() {
            if amounts[..i].iter().any(|other| other.value() == amount.value()) {
                errs.duplicate(&path.index(i), key(amount));
            }
        }
    }
    let default = Quantity::of(default);
    if amounts.len() > 10 || !amounts.contains(&default) {
        let detail = "default value is not valid according to the requestPolicy";
        errs.invalid(path, default.to_string().as_str(), detail);
    }
}

fn valid_range(range: &Value, default: &Value, capacity: &Quantity, path: &Path<'_>, errs: &mut ErrorList) {
    let quantity = |field| range.at(field).map(Quantity::of);
    let default = Quantity::of(default);
    let Some(min) = quantity("min") else {
        errs.required(&path.child("min"), "required when validRange is defined");
        return;
    };
    let mut wrong = |bad: bool, field: &str, value: &Quantity, detail: &str, limit: &Quantity| {
        if bad {
            errs.invalid(&path.child(field), value.to_string().as_str(), format!("{detail}: {limit}"));
        }
    };
    wrong(min > *capacity, "min", &min, "min is larger than capacity value", capacity);
    wrong(default < min, "min", &default, "default is less than min", &min);
    let max = quantity("max");
    if let Some(max) = &max {
        wrong(min > *max, "max", &min, "min is larger than max", max);
        wrong(max > capacity, "max", max, "max is larger than capacity value", capacity);
        wrong(default > *max, "max", &default, "default is more than max", max);
    }
    let Some(step) = quantity("step") else { return };
    let mut first = min.clone();
    first.add(&step);
    let detail = format!("one step {first} is larger than capacity value");
    wrong(first > *capacity, "step", &step, &detail, capacity);
    for value in std::iter::once(&default).chain(max.as_ref()) {
        let rest = value.value().wrapping_sub(min.value()).checked_rem(step.value());
        if rest != Some(0) {
            let detail = format!("value is not a multiple of a given step ({step}) from ({min})");
            errs.invalid(&path.child("step"), value.to_string().as_str(), detail);
        }
    }
}
