//! Network policies.

use serde_json::Value;

use super::{Writer, annotations, head, labels};
use crate::time::go_default;
use crate::value::{Json, format_selector, plain};

/// Describes a network policy (upstream: `describeNetworkPolicySpec`).
pub(super) fn describe(w: &mut Writer, o: &Value) {
    head(w, o);
    w.field("Created on", &go_default(o.s("metadata.creationTimestamp")));
    labels(w, "Labels", &o.strings("metadata.labels"));
    annotations(w, o);
    w.line(0, "Spec:");
    let selector = format_selector(o.at("spec.podSelector"));
    if selector == "<none>" {
        w.line(1, "PodSelector:     <none> (Allowing the specific traffic to all pods in this namespace)");
    } else {
        w.line(1, &format!("PodSelector:     {selector}"));
    }
    w.line(1, "Allowing ingress traffic:");
    rules(
        w,
        o.list("spec.ingress"),
        "from",
        "From",
        "<none> (Selected pods are isolated for ingress connectivity)",
    );
    w.line(1, "Allowing egress traffic:");
    rules(
        w,
        o.list("spec.egress"),
        "to",
        "To",
        "<none> (Selected pods are isolated for egress connectivity)",
    );
    let types: Vec<&str> = o.list("spec.policyTypes").iter().filter_map(Value::as_str).collect();
    w.line(1, &format!("Policy Types: {}", types.join(", ")));
}

fn rules(w: &mut Writer, rules: &[Value], key: &str, word: &str, none: &str) {
    if rules.is_empty() {
        w.line(2, none);
    }
    for (i, r) in rules.iter().enumerate() {
        let ports = r.list("ports");
        if ports.is_empty() {
            w.line(2, "To Port: <any> (traffic allowed to all ports)");
        }
        for p in ports {
            let protocol = if p.s("protocol").is_empty() { "TCP" } else { p.s("protocol") };
            w.line(2, &format!("To Port: {}/{protocol}", p.get("port").map(plain).unwrap_or_default()));
        }
        let peers = r.list(key);
        if peers.is_empty() {
            w.line(2, &format!("{word}: <any> (traffic not restricted by source)"));
        }
        for p in peers {
            for (title, key) in [("PodSelector", "podSelector"), ("NamespaceSelector", "namespaceSelector")] {
                if let Some(s) = p.get(key).filter(|s| !s.is_null()) {
                    w.line(2, &format!("{word} {title}: {}", format_selector(Some(s))));
                }
            }
            if let Some(b) = p.get("ipBlock").filter(|b| !b.is_null()) {
                w.line(2, &format!("{word} IPBlock:"));
                w.line(3, &format!("  CIDR: {}", b.s("cidr")));
                let except: Vec<&str> = b.list("except").iter().filter_map(Value::as_str).collect();
                w.line(3, &format!("  Except: {}", except.join(", ")));
            }
        }
        if i + 1 < rules.len() {
            w.line(2, "----------");
        }
    }
}
