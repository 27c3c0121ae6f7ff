//! Nodes.

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path, go_quote};

use super::pod::{affinity, resources};
use crate::Context;
use crate::errs::Errs;
use crate::golang;
use crate::meta::{self, METADATA};
use crate::names;
use crate::net;
use crate::value::Get;

const SPEC: Path<'static> = Path::new("spec");
const STATUS: Path<'static> = Path::new("status");

/// `ValidateNode`.
pub(crate) fn create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, false, names::subdomain, errs);
    let (spec, status) = (object.sub("spec"), object.sub("status"));
    affinity::taints(spec.list("taints"), &METADATA.child("taints"), errs);
    node_resources(status, errs);
    if let Some(capacity) = status.sub("nodeInfo").sub("swap").opt_int("capacity") {
        meta::positive(capacity, &METADATA.child("nodeSwapStatus").child("capacity"), errs);
    }
    declared_features(status, errs);
    let cidrs = spec.strs("podCIDRs");
    let path = SPEC.child("podCIDRs");
    for (i, cidr) in cidrs.iter().enumerate() {
        net::valid_cidr(&path.index(i), cidr, &net::Before::default(), errs);
    }
    if cidrs.len() < 2 {
        return;
    }
    if let Some((i, cidr)) = cidrs.iter().enumerate().find(|(_, cidr)| !net::is_cidr(cidr)) {
        errs.internal(
            &path,
            format!(
                "invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[{i}]: <nil> (invalid CIDR address: {cidr})"
            ),
        );
    }
    if net::is_dual_stack_cidrs(&cidrs) != Some(true) || cidrs.len() > 2 {
        errs.invalid(&path, spec.sub("podCIDRs"), "may specify no more than one CIDR for each IP family");
    }
}

fn node_resources(status: &Value, errs: &mut ErrorList) {
    for field in ["capacity", "allocatable"] {
        let path = STATUS.child(field);
        for (name, value) in status.entries(field) {
            resources::quantity_value(name, value, &path.child(name), errs);
        }
    }
}

fn declared_features(status: &Value, errs: &mut ErrorList) {
    let path = STATUS.child("declaredFeatures");
    let list = status.strs("declaredFeatures");
    for (i, feature) in list.iter().enumerate() {
        if feature.len() > 253 {
            let text =
                format!("invalid feature name {}: must be no more than 253 characters", go_quote(feature));
            errs.invalid(&path.index(i), *feature, text);
        } else if !is_feature(feature) {
            let text = format!(
                "invalid feature name {}: must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes",
                go_quote(feature)
            );
            errs.invalid(&path.index(i), *feature, text);
        }
        match list.get(i + 1) {
            Some(next) if next == feature => errs.duplicate(&path.index(i + 1), *next),
            Some(next) if next < feature => {
                errs.invalid(&path.index(i + 1), *next, "list must be sorted alphabetically");
            }
            _ => {}
        }
    }
}

fn is_feature(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.split('/').all(|segment| {
            segment.starts_with(|c: char| c.is_ascii_alphabetic())
                && segment.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}

/// The node strategy's `ValidateUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    create(new, ctx, errs);
    status_update(new, old, ctx, errs);
}

/// `ValidateNodeUpdate`.
pub(crate) fn status_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    const CIDR: &str = "node updates may not change podCIDR except from \"\" to valid";
    meta::kube_object_meta_update(new, old, errs);
    let (spec, status, before) = (new.sub("spec"), new.sub("status"), old.sub("spec"));
    node_resources(status, errs);
    declared_features(status, errs);
    let addresses = status.list("addresses");
    let mut seen = HashSet::new();
    for (i, address) in addresses.iter().enumerate() {
        if !seen.insert(address) {
            let shown = golang::shown("core.NodeAddress", address);
            errs.duplicate(&STATUS.child("addresses").index(i), shown);
        }
    }
    let (cidrs, was) = (spec.strs("podCIDRs"), before.strs("podCIDRs"));
    if !was.is_empty() {
        let path = SPEC.child("podCIDRs");
        if cidrs.len() == was.len() {
            for _ in cidrs.iter().zip(&was).filter(|(a, b)| a != b) {
                errs.forbidden(&path, CIDR);
            }
        } else {
            errs.forbidden(&path, CIDR);
        }
    }
    let provider = before.str("providerID");
    if !provider.is_empty() && provider != spec.str("providerID") {
        errs.forbidden(
            &SPEC.child("providerID"),
            "node updates may not change providerID except from \"\" to valid",
        );
    }
    if let Some(source) = spec.at("configSource") {
        config_source(source, errs);
    }
    affinity::taints(spec.list("taints"), &METADATA.child("taints"), errs);
    if spec.str("externalID") != before.str("externalID") {
        errs.forbidden(&SPEC.child("externalID"), "may not be updated");
    }
}

/// `validateNodeConfigSourceSpec`.
fn config_source(source: &Value, errs: &mut ErrorList) {
    let path = SPEC.child("configSource");
    let Some(map) = source.at("configMap") else {
        let shown = golang::shown("core.NodeConfigSource", source);
        errs.invalid(&path, shown, "exactly one reference subfield must be non-nil");
        return;
    };
    let path = path.child("configMap");
    for field in ["uid", "resourceVersion"] {
        if !map.str(field).is_empty() {
            errs.forbidden(&path.child(field), format!("{field} must not be set in spec"));
        }
    }
    let rules: [(&str, names::Rule); 3] = [
        ("namespace", names::is_dns1123_label),
        ("name", names::is_dns1123_subdomain),
        ("kubeletConfigKey", names::is_config_map_key),
    ];
    for (field, rule) in rules {
        let text = map.str(field);
        if text.is_empty() {
            errs.required(&path.child(field), "");
        } else {
            errs.invalid_each(&path.child(field), text, rule(text));
        }
    }
}
