//! Services (`validateService` and its update rules).

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path};

use super::pod::{container, probe};
use crate::Context;
use crate::errs::Errs;
use crate::golang;
use crate::meta::{self, METADATA};
use crate::names;
use crate::net;
use crate::value::Get;

const SPEC: Path<'static> = Path::new("spec");
const ONCE: &str = "may not change once set";

/// `ValidateServiceCreate`.
pub(crate) fn create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::label, errs);
    service(object, None, errs);
}

/// `ValidateServiceUpdate`.
pub(crate) fn update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    let (spec, before) = (new.sub("spec"), old.sub("spec"));
    cluster_ips_update(spec, before, errs);
    ip_families_update(spec, before, errs);
    load_balancer_class(spec, Some(before), errs);
    if needs_health_check(before)
        && needs_health_check(spec)
        && spec.int("healthCheckNodePort") != before.int("healthCheckNodePort")
    {
        errs.forbidden(&SPEC.child("healthCheckNodePort"), meta::IMMUTABLE);
    }
    service(new, Some(old), errs);
}

/// `ValidateServiceStatusUpdate`.
pub(crate) fn status_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    let status = Path::new("status");
    load_balancer_status(
        new.sub("status").sub("loadBalancer"),
        old.sub("status").sub("loadBalancer"),
        new.sub("spec").str("type") == "LoadBalancer",
        &status.child("loadBalancer"),
        errs,
    );
}

fn is_headless(spec: &Value) -> bool {
    matches!(spec.list("clusterIPs"), [one] if one.text() == "None")
}

fn needs_health_check(spec: &Value) -> bool {
    spec.str("type") == "LoadBalancer" && spec.str("externalTrafficPolicy") == "Local"
}

fn service(object: &Value, old: Option<&Value>, errs: &mut ErrorList) {
    let (spec, kind) = (object.sub("spec"), object.sub("spec").str("type"));
    let annotations = object.sub("metadata").sub("annotations");
    topology_annotations(annotations, errs);
    let headless = is_headless(spec);
    let ports = spec.list("ports");
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errs.required(&SPEC.child("ports"), "");
    }
    match kind {
        "LoadBalancer" | "NodePort" if headless => {
            errs.invalid(
                &SPEC.child("clusterIPs").index(0),
                "None",
                format!("may not be set to 'None' for {kind} services"),
            );
        }
        "ExternalName" => external_name(spec, errs),
        _ => {}
    }
    let ports_path = SPEC.child("ports");
    let mut seen: HashSet<&str> = HashSet::new();
    for (i, p) in ports.iter().enumerate() {
        port(p, ports.len() > 1, &mut seen, &ports_path.index(i), errs);
    }
    meta::labels(spec.entries("selector"), &SPEC.child("selector"), errs);
    session_affinity(spec, errs);
    cluster_ips(spec, old, errs);
    let external = SPEC.child("externalIPs");
    let before = before(old, "externalIPs");
    for (i, ip) in spec.strs("externalIPs").into_iter().enumerate() {
        let (path, count) = (external.index(i), errs.len());
        net::valid_ip(&path, ip, &before, errs);
        if errs.len() == count {
            net::endpoint_ip(ip, &path, errs);
        }
    }
    const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    if kind.is_empty() {
        errs.required(&SPEC.child("type"), "");
    } else if !TYPES.contains(&kind) {
        errs.not_supported(&SPEC.child("type"), kind, TYPES);
    }
    port_numbers(spec, errs);
    source_ranges(spec, annotations, old, errs);
    let balanced = kind == "LoadBalancer";
    let allocate = spec.at("allocateLoadBalancerNodePorts");
    if allocate.is_some() && !balanced {
        errs.forbidden(
            &SPEC.child("allocateLoadBalancerNodePorts"),
            "may only be used when `type` is 'LoadBalancer'",
        );
    }
    if allocate.is_none() && balanced {
        errs.required(&Path::new("allocateLoadBalancerNodePorts"), "");
    }
    load_balancer_class(spec, None, errs);
    traffic_policies(spec, errs);
}

fn topology_annotations(annotations: &Value, errs: &mut ErrorList) {
    const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
    const MODE: &str = "service.kubernetes.io/topology-mode";
    if let (Some(hints), Some(mode)) = (annotations.opt_str(HINTS), annotations.opt_str(MODE))
        && hints != mode
    {
        errs.invalid(
            &METADATA.child("annotations").key(MODE),
            mode,
            format!("must match annotations[{HINTS}] when both are specified"),
        );
    }
}

fn external_name(spec: &Value, errs: &mut ErrorList) {
    const REFUSED: &str = "may not be set for ExternalName services";
    for field in ["clusterIPs", "ipFamilies"] {
        if !spec.list(field).is_empty() {
            errs.forbidden(&SPEC.child(field), REFUSED);
        }
    }
    if spec.at("ipFamilyPolicy").is_some() {
        errs.forbidden(&SPEC.child("ipFamilyPolicy"), REFUSED);
    }
    let name = spec.str("externalName");
    let name = name.strip_suffix('.').unwrap_or(name);
    let path = SPEC.child("externalName");
    if name.is_empty() {
        errs.required(&path, "");
    } else {
        errs.invalid_each(&path, name, names::is_dns1123_subdomain(name));
    }
}

/// `validateServicePort`.
fn port<'a>(p: &'a Value, named: bool, seen: &mut HashSet<&'a str>, path: &Path<'_>, errs: &mut ErrorList) {
    let name = p.str("name");
    if name.is_empty() {
        if named {
            errs.required(&path.child("name"), "");
        }
    } else {
        errs.invalid_each(&path.child("name"), name, names::is_dns1123_label(name));
        if seen.contains(&name) {
            errs.duplicate(&path.child("name"), name);
        } else {
            seen.insert(name);
        }
    }
    let number = p.int("port");
    for message in names::is_port_number(number) {
        errs.invalid(&path.child("port"), number, message);
    }
    container::protocol(p.str("protocol"), &path.child("protocol"), errs);
    probe::port_number_or_name(p.sub("targetPort"), &path.child("targetPort"), errs);
    if let Some(protocol) = p.opt_str("appProtocol") {
        errs.invalid_each(&path.child("appProtocol"), protocol, names::is_qualified_name(protocol));
    }
}

fn session_affinity(spec: &Value, errs: &mut ErrorList) {
    let (path, config_path) = (SPEC.child("sessionAffinity"), SPEC.child("sessionAffinityConfig"));
    let config = spec.at("sessionAffinityConfig");
    match spec.str("sessionAffinity") {
        "" => errs.required(&path, ""),
        "None" => {
            if config.is_some() {
                errs.forbidden(&config_path, "must not be set when session affinity is None");
            }
        }
        "ClientIP" => {
            const WHEN: &str = "when session affinity type is ClientIP";
            let client = config.and_then(|c| c.at("clientIP"));
            let client_path = config_path.child("clientIP");
            let seconds_path = client_path.child("timeoutSeconds");
            match (config, client, client.and_then(|c| c.opt_int("timeoutSeconds"))) {
                (None, _, _) => errs.required(&config_path, WHEN),
                (_, None, _) => errs.required(&client_path, WHEN),
                (_, _, None) => errs.required(&seconds_path, WHEN),
                (_, _, Some(seconds)) if !(1..=86400).contains(&seconds) => {
                    errs.invalid(&seconds_path, seconds, "must be greater than 0 and less than 86400");
                }
                _ => {}
            }
        }
        other => errs.not_supported(&path, other, &["ClientIP", "None"]),
    }
}

/// `ValidateServiceClusterIPsRelatedFields`.
pub(crate) fn cluster_ips(spec: &Value, old: Option<&Value>, errs: &mut ErrorList) {
    if spec.str("type") == "ExternalName" {
        return;
    }
    let ips = spec.strs("clusterIPs");
    let quoted = spec.sub("clusterIPs");
    let path = SPEC.child("clusterIPs");
    let first = spec.str("clusterIP");
    match (first.is_empty(), ips.first()) {
        (false, None) => errs.required(&path, ""),
        (false, Some(ip)) if *ip != first => {
            errs.invalid(&path, quoted, "first value must match `clusterIP`");
        }
        (true, Some(_)) => {
            errs.invalid(&path, quoted, "must be empty when `clusterIP` is not specified");
        }
        _ => {}
    }
    let families = spec.strs("ipFamilies");
    let families_path = SPEC.child("ipFamilies");
    let mut seen = HashSet::new();
    for (i, family) in families.iter().enumerate() {
        if !matches!(*family, "IPv4" | "IPv6") {
            errs.not_supported(&families_path.index(i), *family, &["IPv4", "IPv6"]);
        }
        if !seen.insert(family) {
            errs.duplicate(&families_path.index(i), *family);
        }
    }
    const POLICIES: &[&str] = &["PreferDualStack", "RequireDualStack", "SingleStack"];
    if let Some(policy) = spec.opt_str("ipFamilyPolicy")
        && !POLICIES.contains(&policy)
    {
        errs.not_supported(&SPEC.child("ipFamilyPolicy"), policy, POLICIES);
    }
    let before = before(old, "clusterIPs");
    let mut bad = false;
    for (i, ip) in ips.iter().enumerate() {
        if i == 0 && *ip == "None" {
            if ips.len() > 1 {
                bad = true;
                errs.invalid(&path, quoted, "'None' must be the first and only value");
            }
            continue;
        }
        let count = errs.len();
        net::valid_ip(&path.index(i), ip, &before, errs);
        bad |= errs.len() > count;
    }
    if ips.len() > 2 {
        errs.invalid(&path, quoted, "may only hold up to 2 values");
    }
    if bad {
        return;
    }
    if ips.len() > 1 && net::is_dual_stack(&ips) != Some(true) {
        errs.invalid(&path, quoted, "may specify no more than one IP for each IP family");
    }
    if !is_headless(spec) {
        for (i, (ip, family)) in ips.iter().zip(&families).enumerate() {
            let wrong = match *family {
                "IPv4" => net::is_ipv6_text(ip),
                "IPv6" => !net::is_ipv6_text(ip),
                _ => false,
            };
            if wrong {
                errs.invalid(
                    &path.index(i),
                    *ip,
                    format!("expected an {family} value as indicated by `ipFamilies[{i}]`"),
                );
            }
        }
    }
}

fn port_numbers(spec: &Value, errs: &mut ErrorList) {
    let path = SPEC.child("ports");
    let ports = spec.list("ports");
    if spec.str("type") == "ClusterIP" {
        for (i, p) in ports.iter().enumerate() {
            if p.int("nodePort") != 0 {
                errs.forbidden(
                    &path.index(i).child("nodePort"),
                    "may not be used when `type` is 'ClusterIP'",
                );
            }
        }
    }
    let repeated = |field: &str| {
        let mut seen = HashSet::new();
        ports.iter().map(|p| !seen.insert((p.str("protocol"), p.int(field)))).collect::<Vec<bool>>()
    };
    let again = repeated("nodePort");
    for (i, p) in ports.iter().enumerate() {
        if p.int("nodePort") != 0 && again[i] {
            errs.duplicate(&path.index(i).child("nodePort"), p.int("nodePort"));
        }
    }
    let again = repeated("port");
    for (i, p) in ports.iter().enumerate() {
        if again[i] {
            let key = serde_json::json!({"protocol": p.sub("protocol"), "port": p.sub("port")});
            errs.duplicate(&path.index(i), golang::shown("core.ServicePort", &key));
        }
    }
}

/// What a field of the old specification lists.
fn before<'a>(old: Option<&'a Value>, field: &str) -> net::Before<'a> {
    old.map(|o| o.sub("spec").strs(field)).into_iter().flatten().collect()
}

fn source_ranges(spec: &Value, annotations: &Value, old: Option<&Value>, errs: &mut ErrorList) {
    const ANNOTATION: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
    const ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
    let balanced = spec.str("type") == "LoadBalancer";
    let ranges = spec.strs("loadBalancerSourceRanges");
    if !ranges.is_empty() {
        let path = SPEC.child("LoadBalancerSourceRanges");
        if !balanced {
            errs.forbidden(&path, ONLY);
        }
        let before = before(old, "loadBalancerSourceRanges").into_iter().map(str::trim).collect();
        for (i, range) in ranges.into_iter().enumerate() {
            net::valid_cidr(&path.index(i), range.trim(), &before, errs);
        }
    } else if let Some(text) = annotations.opt_str(ANNOTATION) {
        let path = METADATA.child("annotations");
        let path = path.key(ANNOTATION);
        if !balanced {
            errs.forbidden(&path, ONLY);
        }
        let before = old.and_then(|o| o.sub("metadata").sub("annotations").opt_str(ANNOTATION));
        if before != Some(text) && !text.trim().is_empty() {
            for range in text.trim().split(',') {
                net::valid_cidr(&path, range.trim(), &net::Before::default(), errs);
            }
        }
    }
}

fn load_balancer_class(spec: &Value, old: Option<&Value>, errs: &mut ErrorList) {
    let path = SPEC.child("loadBalancerClass");
    let class = spec.opt_str("loadBalancerClass");
    let balanced = |s: &Value| s.str("type") == "LoadBalancer";
    if let Some(old) = old
        && balanced(old)
        && balanced(spec)
        && old.opt_str("loadBalancerClass") != class
    {
        errs.invalid(&path, class, ONCE);
    }
    match class {
        Some(class) if balanced(spec) => {
            errs.invalid_each(&path, class, names::is_qualified_name(class));
        }
        Some(_) => errs.forbidden(&path, "may only be used when `type` is 'LoadBalancer'"),
        None => {}
    }
}

fn traffic_policies(spec: &Value, errs: &mut ErrorList) {
    const POLICIES: &[&str] = &["Cluster", "Local"];
    let kind = spec.str("type");
    let external = spec.str("externalTrafficPolicy");
    let path = SPEC.child("externalTrafficPolicy");
    let accessible = matches!(kind, "LoadBalancer" | "NodePort")
        || (kind == "ClusterIP" && !spec.list("externalIPs").is_empty());
    if !accessible {
        if !external.is_empty() {
            errs.invalid(&path, external, "may only be set for externally-accessible services");
        }
    } else if external.is_empty() {
        errs.required(&path, "");
    } else if !POLICIES.contains(&external) {
        errs.not_supported(&path, external, POLICIES);
    }
    let port = spec.int("healthCheckNodePort");
    let path = SPEC.child("healthCheckNodePort");
    if !needs_health_check(spec) {
        if port != 0 {
            errs.invalid(
                &path,
                port,
                "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
            );
        }
    } else if port == 0 {
        errs.required(&path, "");
    } else {
        for message in names::is_port_number(port) {
            errs.invalid(&path, port, message);
        }
    }
    let path = SPEC.child("internalTrafficPolicy");
    match spec.opt_str("internalTrafficPolicy") {
        None => {
            if matches!(kind, "NodePort" | "LoadBalancer" | "ClusterIP") {
                errs.required(&path, "");
            }
        }
        Some(policy) => {
            if !POLICIES.contains(&policy) {
                errs.not_supported(&path, policy, POLICIES);
            }
        }
    }
    const DISTRIBUTIONS: &[&str] = &["PreferClose", "PreferSameZone", "PreferSameNode"];
    if let Some(distribution) = spec.opt_str("trafficDistribution")
        && !DISTRIBUTIONS.contains(&distribution)
    {
        errs.not_supported(&SPEC.child("trafficDistribution"), distribution, DISTRIBUTIONS);
    }
}

/// `validateUpgradeDowngradeClusterIPs`.
fn cluster_ips_update(spec: &Value, old: &Value, errs: &mut ErrorList) {
    if [spec, old].iter().any(|s| s.str("type") == "ExternalName") || (is_headless(spec) && is_headless(old))
    {
        return;
    }
    let (now, before) = (spec.strs("clusterIPs"), old.strs("clusterIPs"));
    let quoted = spec.sub("clusterIPs");
    let path = SPEC.child("clusterIPs");
    if now.len() == before.len() {
        for (i, (ip, was)) in now.iter().zip(&before).enumerate() {
            if ip != was {
                errs.invalid(&path.index(i), quoted, ONCE);
            }
        }
        return;
    }
    if now.len() < before.len() && now.is_empty() {
        errs.invalid(&path.index(0), quoted, "primary clusterIP can not be unset");
    }
    if let (Some(ip), Some(was)) = (now.first(), before.first())
        && ip != was
    {
        errs.invalid(&path.index(0), quoted, ONCE);
    }
    if now.len() < before.len() && now.len() == 1 {
        single_stack(spec, "clusterIP", errs);
    }
}

fn single_stack(spec: &Value, what: &str, errs: &mut ErrorList) {
    let policy = spec.opt_str("ipFamilyPolicy");
    if policy != Some("SingleStack") {
        errs.invalid(
            &SPEC.child("ipFamilyPolicy"),
            policy,
            format!("must be set to 'SingleStack' when releasing the secondary {what}"),
        );
    }
}

/// `validateUpgradeDowngradeIPFamilies`.
fn ip_families_update(spec: &Value, old: &Value, errs: &mut ErrorList) {
    let external = [spec, old].iter().any(|s| s.str("type") == "ExternalName");
    if external || is_headless(spec) || is_headless(old) {
        return;
    }
    let (now, before) = (spec.strs("ipFamilies"), old.strs("ipFamilies"));
    let list = SPEC.child("ipFamilies");
    let path = list.index(0);
    if now.len() == before.len() {
        for (family, was) in now.iter().zip(&before) {
            if family != was {
                errs.invalid(&path, spec.sub("ipFamilies"), ONCE);
            }
        }
        return;
    }
    if now.len() < before.len() && spec.list("clusterIPs").is_empty() {
        errs.invalid(&path, spec.sub("ipFamilies"), "primary ipFamily can not be unset");
    }
    if let (Some(family), Some(was)) = (now.first(), before.first())
        && family != was
    {
        errs.invalid(&path, spec.sub("clusterIPs"), ONCE);
    }
    if now.len() < before.len() && now.len() == 1 {
        single_stack(spec, "ipFamily", errs);
    }
}

/// `ValidateLoadBalancerStatus`.
pub(crate) fn load_balancer_status(
    status: &Value,
    old: &Value,
    balanced: bool,
    path: &Path<'_>,
    errs: &mut ErrorList,
) {
    let list = path.child("ingress");
    let ingress = status.list("ingress");
    if !balanced && !ingress.is_empty() {
        errs.forbidden(&list, "may only be used when `spec.type` is 'LoadBalancer'");
        return;
    }
    let before = old.list("ingress").iter().map(|i| i.str("ip")).collect();
    for (i, entry) in ingress.iter().enumerate() {
        let path = list.index(i);
        let ip = entry.str("ip");
        if !ip.is_empty() {
            net::valid_ip(&path.child("ip"), ip, &before, errs);
        }
        let mode_path = path.child("ipMode");
        match entry.opt_str("ipMode") {
            None if !ip.is_empty() => errs.required(&mode_path, "must be specified when `ip` is set"),
            Some(_) if ip.is_empty() => {
                errs.forbidden(&mode_path, "may not be specified when `ip` is not set");
            }
            Some(mode) if !matches!(mode, "VIP" | "Proxy") => {
                errs.not_supported(&mode_path, mode, &["Proxy", "VIP"]);
            }
            _ => {}
        }
        host_name(entry.str("hostname"), &path.child("hostname"), errs);
    }
}

/// The host name of a load balancer.
pub(crate) fn host_name(name: &str, path: &Path<'_>, errs: &mut ErrorList) {
    if name.is_empty() {
        return;
    }
    errs.invalid_each(path, name, names::is_dns1123_subdomain(name));
    if net::parse_ip_sloppy(name).is_some() {
        errs.invalid(path, name, "must be a DNS name, not an IP address");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn example() -> Value {
        json!({"metadata": {"name": "s", "namespace": "n", "resourceVersion": "1"}, "spec": {
            "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
            "clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9"], "ipFamilies": ["IPv4"],
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]}})
    }

    fn texts(errs: &ErrorList) -> Vec<String> {
        errs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn several_ports_have_names() {
        let mut s = example();
        let mut errs = ErrorList::new();
        create(&s, &Context::default(), &mut errs);
        assert!(errs.is_empty(), "{:?}", texts(&errs));
        s["spec"]["ports"] = json!([{"port": 80, "protocol": "TCP", "targetPort": 80},
            {"port": 81, "protocol": "TCP", "targetPort": "http", "name": "b"}]);
        create(&s, &Context::default(), &mut errs);
        assert_eq!(texts(&errs), ["spec.ports[0].name: Required value"]);
    }

    #[test]
    fn the_address_stays() {
        let old = example();
        let mut new = example();
        new["spec"]["clusterIP"] = json!("10.0.0.8");
        new["spec"]["clusterIPs"] = json!(["10.0.0.8"]);
        let mut errs = ErrorList::new();
        update(&new, &old, &Context::default(), &mut errs);
        assert_eq!(
            texts(&errs),
            ["spec.clusterIPs[0]: Invalid value: [\"10.0.0.8\"]: may not change once set"]
        );
    }
}
