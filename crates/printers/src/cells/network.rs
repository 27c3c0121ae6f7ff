//! Services, endpoints, ingresses, network policies, addresses.

use std::collections::BTreeSet;

use api::Value;
use jiff::Timestamp;

use super::{cells, name};
use crate::age::age;
use crate::labels::{format_labels, format_selector};
use crate::value::{at, int, joined, list, scalar, text, text_or, texts};

/// So many endpoints, ports or hosts are shown.
const SHOWN_MAX: usize = 3;

pub(super) fn service(o: &Value, now: Timestamp) -> Vec<Value> {
    let spec = at(o, &["spec"]);
    let cluster_ip = match list(spec, &["clusterIPs"]).first() {
        Some(ip) => ip.as_str().unwrap_or_default(),
        None => text_or(spec, &["clusterIP"], "<none>"),
    };
    let ports: Vec<String> = list(spec, &["ports"])
        .iter()
        .map(|p| {
            let (port, protocol) = (int(p, &["port"]), text(p, &["protocol"]));
            match int(p, &["nodePort"]) {
                0 => format!("{port}/{protocol}"),
                node_port => format!("{port}:{node_port}/{protocol}"),
            }
        })
        .collect();
    let ports = if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") };
    cells![
        name(o),
        text(spec, &["type"]),
        cluster_ip,
        external_ip(o),
        ports,
        age(o, now),
        format_labels(at(spec, &["selector"])),
    ]
}

fn external_ip(service: &Value) -> String {
    let spec = at(service, &["spec"]);
    let ips = texts(spec, &["externalIPs"]);
    match text(spec, &["type"]) {
        "ClusterIP" | "NodePort" => joined(&ips, "<none>"),
        "LoadBalancer" => {
            let balancer = load_balancer(service);
            let all: Vec<&str> =
                std::iter::once(balancer.as_str()).filter(|b| !b.is_empty()).chain(ips).collect();
            joined(&all, "<pending>")
        }
        "ExternalName" => text(spec, &["externalName"]).to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

/// The addresses of a load balancer, sorted.
fn load_balancer(object: &Value) -> String {
    let addresses: BTreeSet<&str> = list(object, &["status", "loadBalancer", "ingress"])
        .iter()
        .map(|i| text_or(i, &["ip"], text(i, &["hostname"])))
        .filter(|a| !a.is_empty())
        .collect();
    addresses.into_iter().collect::<Vec<_>>().join(",")
}

/// The first few of many.
fn some_of(all: &[String], empty: &str) -> String {
    match all.len() {
        0 => empty.to_owned(),
        n if n > SHOWN_MAX => format!("{} + {} more...", all[..SHOWN_MAX].join(","), n - SHOWN_MAX),
        _ => all.join(","),
    }
}

pub(super) fn endpoints(o: &Value, now: Timestamp) -> Vec<Value> {
    let mut all = Vec::new();
    let subsets = list(o, &["subsets"]);
    for subset in subsets {
        let ips = || list(subset, &["addresses"]).iter().map(|a| text(a, &["ip"]));
        let ports = list(subset, &["ports"]);
        if ports.is_empty() {
            // A headless service may have no ports.
            all.extend(ips().map(str::to_owned));
        }
        for port in ports {
            let port = int(port, &["port"]);
            all.extend(
                ips().map(
                    |ip| {
                        if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
                    },
                ),
            );
        }
    }
    // Subsets without ready addresses leave the cell empty.
    cells![name(o), some_of(&all, if subsets.is_empty() { "<none>" } else { "" }), age(o, now)]
}

pub(super) fn endpoint_slice(o: &Value, now: Timestamp) -> Vec<Value> {
    let ports: Vec<String> = list(o, &["ports"])
        .iter()
        .map(|p| match (at(p, &["port"]), at(p, &["name"])) {
            (Value::Null, Value::Null) => "*".to_owned(),
            (Value::Null, name) => scalar(name),
            (port, _) => scalar(port),
        })
        .collect();
    let addresses: Vec<String> =
        list(o, &["endpoints"]).iter().flat_map(|e| texts(e, &["addresses"])).map(str::to_owned).collect();
    let shown = |all: &[String]| match some_of(all, "<unset>") {
        empty if empty.is_empty() => "<unset>".to_owned(),
        shown => shown,
    };
    cells![name(o), text(o, &["addressType"]), shown(&ports), shown(&addresses), age(o, now)]
}

pub(super) fn ingress(o: &Value, now: Timestamp) -> Vec<Value> {
    let rules = list(o, &["spec", "rules"]);
    // Rules without a host count for "more" only from the fourth shown host on, as upstream.
    let mut hosts: Vec<&str> = Vec::new();
    let mut more = false;
    for rule in rules {
        more |= hosts.len() == SHOWN_MAX;
        let host = text(rule, &["host"]);
        if !more && !host.is_empty() {
            hosts.push(host);
        }
    }
    let mut hosts = joined(&hosts, "*");
    if more {
        hosts = format!("{hosts} + {} more...", rules.len() - SHOWN_MAX);
    }
    let ports = if list(o, &["spec", "tls"]).is_empty() { "80" } else { "80, 443" };
    let class = text_or(o, &["spec", "ingressClassName"], "<none>");
    cells![name(o), class, hosts, load_balancer(o), ports, age(o, now)]
}

pub(super) fn ingress_class(o: &Value, now: Timestamp) -> Vec<Value> {
    let default = "ingressclass.kubernetes.io/is-default-class";
    let is_default = text(o, &["metadata", "annotations", default]) == "true";
    let name = if is_default { format!("{} (default)", name(o)) } else { name(o).to_owned() };
    let parameters = at(o, &["spec", "parameters"]);
    let parameters = if parameters.is_null() {
        "<none>".to_owned()
    } else {
        let group = match at(parameters, &["apiGroup"]).as_str() {
            Some(group) => format!(".{group}"),
            None => String::new(),
        };
        format!("{}{group}/{}", text(parameters, &["kind"]), text(parameters, &["name"]))
    };
    cells![name, text(o, &["spec", "controller"]), parameters, age(o, now)]
}

pub(super) fn network_policy(o: &Value, now: Timestamp) -> Vec<Value> {
    cells![name(o), format_selector(at(o, &["spec", "podSelector"])), age(o, now)]
}

pub(super) fn service_cidr(o: &Value, now: Timestamp) -> Vec<Value> {
    cells![name(o), texts(o, &["spec", "cidrs"]).join(","), age(o, now)]
}

/// One cell more than the table has columns, as upstream's.
pub(super) fn ip_address(o: &Value, now: Timestamp) -> Vec<Value> {
    let parent = at(o, &["spec", "parentRef"]);
    let parent = if parent.is_null() {
        "<none>".to_owned()
    } else {
        let resource = match text(parent, &["group"]) {
            "" => text(parent, &["resource"]).to_owned(),
            group => format!("{}.{group}", text(parent, &["resource"])),
        };
        let namespace = match text(parent, &["namespace"]) {
            "" => String::new(),
            namespace => format!("/{namespace}"),
        };
        format!("{}{namespace}/{}", resource.to_lowercase(), text(parent, &["name"]))
    };
    cells![name(o), parent, age(o, now)]
}
