//! IP addresses and service CIDRs.

use api::Value;
use api::field::{ErrorList, Path};

use super::ingress::path_segments;
use crate::Context;
use crate::errs::Errs;
use crate::golang;
use crate::meta;
use crate::names;
use crate::net::{self, Cidr};
use crate::value::Get;

const SPEC: Path<'static> = Path::new("spec");

fn is_ip_name(name: &str, _: bool) -> Vec<String> {
    let mut errs = ErrorList::new();
    net::canonical_ip(&Path::ROOT, name, &mut errs);
    errs.into_iter().map(|e| e.detail).collect()
}

/// `ValidateIPAddress`.
pub(crate) fn ip_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, false, is_ip_name, errs);
    let path = SPEC.child("parentRef");
    let Some(parent) = object.sub("spec").at("parentRef") else {
        errs.required(&path, "");
        return;
    };
    let group = parent.str("group");
    if !group.is_empty() {
        errs.invalid_each(&path.child("group"), group, names::is_dns1123_subdomain(group));
    }
    path_segments(parent, &["resource", "name"], &path, errs);
    let namespace = parent.str("namespace");
    if !namespace.is_empty() {
        errs.invalid_each(&path.child("namespace"), namespace, names::is_path_segment(namespace));
    }
}

/// The IP address strategy's `ValidateUpdate`.
pub(crate) fn ip_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    ip_create(new, ctx, errs);
    meta::kube_object_meta_update(new, old, errs);
    let path = SPEC.child("parentRef");
    let kind = "*networking.ParentReference";
    meta::immutable(new.sub("spec"), old.sub("spec"), "parentRef", kind, &path, errs);
}

/// `ValidateServiceCIDR`.
pub(crate) fn cidr_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, false, names::subdomain, errs);
    cidrs(object.sub("spec"), errs);
}

fn cidrs(spec: &Value, errs: &mut ErrorList) {
    let path = SPEC.child("cidrs");
    let list = spec.strs("cidrs");
    if list.is_empty() {
        errs.required(&path, "at least one CIDR required");
        return;
    }
    if list.len() > 2 {
        let shown = golang::shown("networking.ServiceCIDRSpec", spec);
        errs.invalid(&path, shown, "may only hold up to 2 values");
        return;
    }
    for (i, cidr) in list.iter().enumerate() {
        net::canonical_cidr(&path.index(i), cidr, errs);
    }
    if let [a, b] = list.as_slice()
        && let (Some(a), Some(b)) = (Cidr::parse(a), Cidr::parse(b))
        && net::is_ipv6(a.address) == net::is_ipv6(b.address)
    {
        errs.invalid(
            &path,
            spec.sub("cidrs"),
            "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
        );
    }
}

/// `ValidateServiceCIDRUpdate`.
pub(crate) fn cidr_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    let spec = new.sub("spec");
    let (now, before) = (spec.strs("cidrs"), old.sub("spec").strs("cidrs"));
    let path = SPEC.child("cidrs");
    let grows = before.len() == 1 && now.len() == 2;
    if now.len() != before.len() && !grows {
        errs.invalid(&path, spec.sub("cidrs"), meta::IMMUTABLE);
        return;
    }
    for (i, (cidr, was)) in now.iter().zip(&before).enumerate() {
        if cidr != was {
            errs.invalid(&path.index(i), *cidr, meta::IMMUTABLE);
        }
    }
    if grows {
        cidrs(spec, errs);
    }
}
