//! Endpoints (`ValidateEndpoints`).

use api::Value;
use api::field::{ErrorList, Path};

use super::pod::container;
use crate::Context;
use crate::errs::Errs;
use crate::meta;
use crate::names;
use crate::net;
use crate::value::{Get, same_at};

/// `ValidateEndpointsCreate`.
pub(crate) fn create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    subsets(object, errs);
}

/// `ValidateEndpointsUpdate`.
pub(crate) fn update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    meta::kube_object_meta(new, true, names::subdomain, errs);
    // What is stored already may be stored again.
    if !same_at(new, old, "subsets") {
        subsets(new, errs);
    }
}

fn subsets(object: &Value, errs: &mut ErrorList) {
    let list = Path::new("subsets");
    for (i, subset) in object.list("subsets").iter().enumerate() {
        let path = list.index(i);
        let kinds = ["addresses", "notReadyAddresses"];
        if kinds.iter().all(|k| subset.list(k).is_empty()) {
            errs.required(&path, "must specify `addresses` or `notReadyAddresses`");
        }
        for kind in kinds {
            let list = path.child(kind);
            for (j, a) in subset.list(kind).iter().enumerate() {
                address(a, &list.index(j), errs);
            }
        }
        let (ports, list) = (subset.list("ports"), path.child("ports"));
        for (j, p) in ports.iter().enumerate() {
            port(p, ports.len() > 1, &list.index(j), errs);
        }
    }
}

fn address(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let (ip, host) = (v.str("ip"), v.str("hostname"));
    net::valid_ip(&path.child("ip"), ip, &net::Before::default(), errs);
    if !host.is_empty() {
        errs.invalid_each(&path.child("hostname"), host, names::is_dns1123_label(host));
    }
    if let Some(node) = v.opt_str("nodeName") {
        errs.invalid_each(&path.child("nodeName"), node, names::is_dns1123_subdomain(node));
    }
    net::endpoint_ip(ip, &path.child("ip"), errs);
}

fn port(v: &Value, named: bool, path: &Path<'_>, errs: &mut ErrorList) {
    let (name, number) = (v.str("name"), v.int("port"));
    if !name.is_empty() {
        errs.invalid_each(&path.child("name"), name, names::is_dns1123_label(name));
    } else if named {
        errs.required(&path.child("name"), "");
    }
    for message in names::is_port_number(number) {
        errs.invalid(&path.child("port"), number, message);
    }
    container::protocol(v.str("protocol"), &path.child("protocol"), errs);
    if let Some(protocol) = v.opt_str("appProtocol") {
        errs.invalid_each(&path.child("appProtocol"), protocol, names::is_qualified_name(protocol));
    }
}
