//! Network policies.

use api::Value;
use api::field::{ErrorList, Path};

use crate::Context;
use crate::errs::{Errs, Shown};
use crate::meta;
use crate::names;
use crate::net::{self, Before, Cidr};
use crate::selector;
use crate::value::Get;

const SPEC: Path<'static> = Path::new("spec");
const DIRECTIONS: [(&str, &str); 2] = [("ingress", "from"), ("egress", "to")];

/// `ValidateNetworkPolicy`.
pub(crate) fn create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    spec(object.sub("spec"), false, &Before::default(), errs);
}

/// `ValidateNetworkPolicyUpdate`.
pub(crate) fn update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    let before = old.sub("spec");
    let mut old_errs = ErrorList::new();
    selector::label_selector(before.sub("podSelector"), false, &SPEC, &mut old_errs);
    let mut cidrs = Before::default();
    for (direction, peers) in DIRECTIONS {
        for peer in before.list(direction).iter().flat_map(|rule| rule.list(peers)) {
            if let Some(block) = peer.at("ipBlock") {
                cidrs.insert(block.str("cidr"));
                cidrs.extend(block.strs("except"));
            }
        }
    }
    meta::kube_object_meta_update(new, old, errs);
    spec(new.sub("spec"), !old_errs.is_empty(), &cidrs, errs);
}

fn spec(spec: &Value, any_value: bool, old_cidrs: &Before<'_>, errs: &mut ErrorList) {
    selector::label_selector(spec.sub("podSelector"), any_value, &SPEC.child("podSelector"), errs);
    for (direction, peers) in DIRECTIONS {
        let list = SPEC.child(direction);
        for (i, rule) in spec.list(direction).iter().enumerate() {
            let path = list.index(i);
            let ports = path.child("ports");
            for (j, p) in rule.list("ports").iter().enumerate() {
                port(p, &ports.index(j), errs);
            }
            let peers_path = path.child(peers);
            for (j, p) in rule.list(peers).iter().enumerate() {
                peer(p, any_value, old_cidrs, &peers_path.index(j), errs);
            }
        }
    }
    let types = spec.strs("policyTypes");
    let path = SPEC.child("policyTypes");
    if types.len() > 2 {
        errs.invalid(&path, spec.sub("policyTypes"), "may not specify more than two policyTypes");
        return;
    }
    for (i, kind) in types.into_iter().enumerate() {
        if !matches!(kind, "Ingress" | "Egress") {
            errs.not_supported(&path.index(i), kind, &["Ingress", "Egress"]);
        }
    }
}

/// `ValidateNetworkPolicyPort`.
fn port(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    if let Some(protocol) = v.opt_str("protocol")
        && !matches!(protocol, "TCP" | "UDP" | "SCTP")
    {
        errs.not_supported(&path.child("protocol"), protocol, &["TCP", "UDP", "SCTP"]);
    }
    let (port_path, end_path) = (path.child("port"), path.child("endPort"));
    let end = v.opt_int("endPort");
    match v.at("port") {
        None => {
            if let Some(end) = end {
                errs.invalid(&end_path, end, "may not be specified when `port` is not specified");
            }
        }
        Some(Value::String(name)) => {
            if let Some(end) = end {
                errs.invalid(&end_path, end, "may not be specified when `port` is non-numeric");
            }
            errs.invalid_each(&port_path, name, names::is_port_name(name));
        }
        Some(number) => {
            let number = number.as_i64().unwrap_or(0);
            for message in names::is_port_number(number) {
                errs.invalid(&port_path, number, message);
            }
            if let Some(end) = end {
                if end < number {
                    errs.invalid(&end_path, number, "must be greater than or equal to `port`");
                }
                for message in names::is_port_number(end) {
                    errs.invalid(&end_path, end, message);
                }
            }
        }
    }
}

/// `ValidateNetworkPolicyPeer`.
fn peer(v: &Value, any_value: bool, old_cidrs: &Before<'_>, path: &Path<'_>, errs: &mut ErrorList) {
    let mut found = 0;
    for field in ["podSelector", "namespaceSelector"] {
        if let Some(s) = v.at(field) {
            found += 1;
            selector::label_selector(s, any_value, &path.child(field), errs);
        }
    }
    let block = v.at("ipBlock");
    if let Some(block) = block {
        found += 1;
        ip_block(block, old_cidrs, &path.child("ipBlock"), errs);
    }
    if found == 0 {
        errs.required(path, "must specify a peer");
    } else if found > 1 && block.is_some() {
        errs.forbidden(path, "may not specify both ipBlock and another peer");
    }
}

fn ip_block(v: &Value, old_cidrs: &Before<'_>, path: &Path<'_>, errs: &mut ErrorList) {
    let text = v.str("cidr");
    if text.is_empty() {
        errs.required(&path.child("cidr"), "");
        return;
    }
    net::valid_cidr(&path.child("cidr"), text, old_cidrs, errs);
    let Some(cidr) = Cidr::parse(text) else { return };
    let list = path.child("except");
    for (i, text) in v.strs("except").into_iter().enumerate() {
        let path = list.index(i);
        net::valid_cidr(&path, text, old_cidrs, errs);
        if let Some(except) = Cidr::parse(text)
            && (!cidr.contains(except.network()) || cidr.prefix >= except.prefix)
        {
            errs.invalid(&path, Except(text), "must be a strict subset of `cidr`");
        }
    }
}

/// Servers of 1.10 quoted the address alone, and bare.
struct Except<'a>(&'a str);

impl Shown for Except<'_> {
    fn go_syntax(&self) -> Option<String> {
        self.0.split('/').next().map(str::to_owned)
    }

    fn shown(&self, max: usize) -> String {
        self.0.shown(max)
    }
}
