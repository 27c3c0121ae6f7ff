//! Endpoint slices.

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path};

use crate::Context;
use crate::core::pod::container::PROTOCOLS;
use crate::errs::Errs;
use crate::meta;
use crate::names;
use crate::net;
use crate::value::{Get, same_at};

/// `ValidateEndpointSliceCreate`.
pub(crate) fn create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    slice(object, TYPES, errs);
    endpoints(object, ctx, errs);
}

/// `ValidateEndpointSliceUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    slice(new, if ctx.is_old() { OLD_TYPES } else { TYPES }, errs);
    // What is stored already may be stored again.
    if !same_at(new, old, "endpoints") {
        endpoints(new, ctx, errs);
    }
    meta::immutable(new, old, "addressType", "s", &Path::new("addressType"), errs);
}

const TYPES: &[&str] = &["FQDN", "IPv4", "IPv6"];
/// Slices of the first type there was could still be updated in 1.19.
const OLD_TYPES: &[&str] = &["FQDN", "IP", "IPv4", "IPv6"];

fn slice(object: &Value, types: &[&str], errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    let path = Path::new("addressType");
    match object.str("addressType") {
        "" => errs.required(&path, ""),
        known if types.contains(&known) => {}
        other => errs.not_supported(&path, other, types),
    }
    ports(object.list("ports"), &Path::new("ports"), errs);
}

fn ports(list: &[Value], path: &Path<'_>, errs: &mut ErrorList) {
    if list.len() > 20_000 {
        errs.too_many(path, list.len(), 20_000);
        return;
    }
    let mut seen: HashSet<&str> = HashSet::new();
    for (i, port) in list.iter().enumerate() {
        let path = path.index(i);
        let name = port.str("name");
        if !name.is_empty() {
            errs.invalid_each(&path.child("name"), name, names::is_dns1123_label(name));
        }
        if seen.contains(&name) {
            errs.duplicate(&path.child("name"), name);
        } else {
            seen.insert(name);
        }
        match port.opt_str("protocol") {
            None => errs.required(&path.child("protocol"), ""),
            Some(p) if !PROTOCOLS.contains(&p) => {
                errs.not_supported(&path.child("protocol"), p, PROTOCOLS);
            }
            Some(_) => {}
        }
        if let Some(p) = port.opt_str("appProtocol") {
            errs.invalid_each(&path.child("appProtocol"), p, names::is_qualified_name(p));
        }
    }
}

fn endpoints(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    let list = Path::new("endpoints");
    let (endpoints, kind) = (object.list("endpoints"), object.str("addressType"));
    if endpoints.len() > 1000 {
        errs.too_many(&list, endpoints.len(), 1000);
        return;
    }
    for (i, endpoint) in endpoints.iter().enumerate() {
        let path = list.index(i);
        addresses(endpoint, kind, ctx, &path.child("addresses"), errs);
        if let Some(node) = endpoint.opt_str("nodeName") {
            errs.invalid_each(&path.child("nodeName"), node, names::is_dns1123_subdomain(node));
        }
        let topology = path.child(if ctx.is_old() { "topology" } else { "deprecatedTopology" });
        let labels = endpoint.entries("deprecatedTopology");
        let count = labels.clone().count();
        if count > 16 {
            errs.too_many(&topology, count, 16);
        }
        meta::labels(labels, &topology, errs);
        if ctx.is_old() {
            // The zone was one of these labels.
            errs.invalid_each(&topology, endpoint.str("zone"), names::is_label_value(endpoint.str("zone")));
        }
        if let Some(host) = endpoint.opt_str("hostname") {
            errs.invalid_each(&path.child("hostname"), host, names::is_dns1123_label(host));
        }
        if let Some(h) = endpoint.at("hints") {
            hints(h, &path.child("hints"), errs);
        }
    }
}

fn addresses(endpoint: &Value, kind: &str, ctx: &Context<'_>, path: &Path<'_>, errs: &mut ErrorList) {
    let list = endpoint.strs("addresses");
    if list.is_empty() {
        errs.required(path, "must contain at least 1 address");
    } else if list.len() > 100 {
        errs.too_many(path, list.len(), 100);
    }
    for (i, address) in list.into_iter().enumerate() {
        let item = path.index(i);
        if ctx.is_old() && kind != "FQDN" {
            old_address(address, kind, &item, errs);
            continue;
        }
        let before = errs.len();
        match kind {
            "IPv4" => net::valid_ip(&item, address, &net::Before::default(), errs),
            "IPv6" => net::canonical_ip(&item, address, errs),
            "FQDN" => {
                full_domain_name(address, &item, errs);
                continue;
            }
            _ => continue,
        }
        if errs.len() > before {
            continue;
        }
        if net::is_ipv6_text(address) != (kind == "IPv6") {
            errs.invalid(path, address, format!("must be an {kind} address"));
        }
        net::endpoint_ip(address, &item, errs);
    }
}

/// v1beta1 took every address of the family, those of the host itself too.
fn old_address(address: &str, kind: &str, path: &Path<'_>, errs: &mut ErrorList) {
    let parsed: Option<std::net::IpAddr> = address.parse().ok();
    let fits = parsed.is_some_and(|ip| ip.is_ipv4() == (kind == "IPv4"));
    if matches!(kind, "IPv4" | "IPv6") && !fits {
        errs.invalid(path, address, format!("must be a valid {kind} address"));
    }
}

/// `IsFullyQualifiedDomainName`.
fn full_domain_name(name: &str, path: &Path<'_>, errs: &mut ErrorList) {
    if name.is_empty() {
        errs.required(path, "");
        return;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let messages = names::is_dns1123_subdomain(name);
    if !messages.is_empty() {
        errs.invalid(path, name, messages.join(","));
    } else if !name.contains('.') {
        errs.invalid(path, name, "should be a domain with at least two segments separated by dots");
    } else if let Some((label, messages)) = name
        .split('.')
        .map(|label| (label, names::is_dns1123_label(label)))
        .find(|(_, messages)| !messages.is_empty())
    {
        errs.invalid(path, label, messages.join(","));
    }
}

fn hints(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let rules: [(&str, names::Rule); 2] =
        [("forZones", names::is_label_value), ("forNodes", names::is_dns1123_subdomain)];
    for (field, rule) in rules {
        let list = path.child(field);
        let items = v.list(field);
        if items.len() > 8 {
            errs.too_many(&list, items.len(), 8);
            return;
        }
        for (i, item) in items.iter().enumerate() {
            let path = list.index(i);
            let name = item.str("name");
            if items[..i].iter().any(|other| other.str("name") == name) {
                errs.duplicate(&path.child("name"), name);
            }
            errs.invalid_each(&path.child("name"), name, rule(name));
        }
    }
}
