//! Services and endpoints to rules, as a pure function (upstream's `syncProxyRules`).

use std::net::Ipv4Addr;

use crate::{
    chains::{self, Names},
    endpoints::categorize,
    model::{Cidr, Endpoint, ServicePort},
};

/// What the rules depend on besides services and endpoints.
#[derive(Clone, Debug)]
pub struct Context {
    /// The addresses of pods, when known.
    pub cluster_cidr: Option<Cidr>,
    /// Masquerade everything that goes to a service's address.
    pub masquerade_all: bool,
    /// The bit of the packet mark that means "masquerade".
    pub masquerade_bit: u8,
    /// MASQUERADE knows `--random-fully`.
    pub random_fully: bool,
    /// Node ports answer on 127.0.0.1 too.
    pub localhost_node_ports: bool,
    /// Node ports answer on these addresses of the node; `None` is all.
    pub node_port_ips: Option<Vec<Ipv4Addr>>,
    /// Do not drop what connection tracking takes for invalid.
    pub conntrack_liberal: bool,
    /// The node's own address.
    pub node_ip: Option<Ipv4Addr>,
}

/// A chain of the nat table that belongs to one service port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chain {
    /// The chain's name.
    pub name: String,
    /// Its rules, each as `-A <name> …`.
    pub rules: Vec<String>,
}

/// The part of one service port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServiceRules {
    /// nat: in KUBE-SERVICES and KUBE-NODEPORTS.
    pub nat: Vec<String>,
    /// filter: in the fixed chains.
    pub filter: Vec<String>,
    /// nat: its own chains.
    pub chains: Vec<Chain>,
}

/// Everything, ready for `iptables-restore`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Rules of the fixed filter chains.
    pub filter: Vec<String>,
    /// Rules of the fixed nat chains, but for the last.
    pub nat: Vec<String>,
    /// The chains of service ports.
    pub chains: Vec<Chain>,
}

/// The complete rules of a node.
pub fn rules<'a>(
    services: impl IntoIterator<Item = (&'a ServicePort, &'a [Endpoint])>,
    context: &Context,
) -> Rules {
    let mut all = Rules { filter: Vec::new(), nat: nat_head(context), chains: Vec::new() };
    for (service, endpoints) in services {
        let one = service_rules(service, endpoints, context);
        all.filter.extend(one.filter);
        all.nat.extend(one.nat);
        all.chains.extend(one.chains);
    }
    all.nat.extend(nat_tail(context));
    all.filter.extend(filter_tail(context));
    all
}

fn mark(bit: u8) -> String {
    format!("{:#x}", 1u32 << u32::from(bit.min(31)))
}

/// The bit that v1.10's kubelet uses for packets to drop.
const DROP_MARK: &str = "0x8000";

/// Rules of the nat table's fixed chains that stand before all services.
pub(crate) fn nat_head(context: &Context) -> Vec<String> {
    let mark = mark(context.masquerade_bit);
    let random = if context.random_fully { " --random-fully" } else { "" };
    let post = chains::POSTROUTING;
    vec![
        format!("-A {post} -m mark ! --mark {mark}/{mark} -j RETURN"),
        // Unmarked, so that a second pass through the stack does not masquerade again.
        format!("-A {post} -j MARK --xor-mark {mark}"),
        format!(
            "-A {post} -m comment --comment \"kubernetes service traffic requiring SNAT\" -j MASQUERADE{random}"
        ),
        format!("-A {} -j MARK --or-mark {mark}", chains::MARK_MASQ),
        format!("-A {} -j MARK --or-mark {DROP_MARK}", chains::MARK_DROP),
    ]
}

/// Rules of the nat table's fixed chains that stand behind all services.
pub(crate) fn nat_tail(context: &Context) -> Vec<String> {
    let comment = "-m comment --comment \"kubernetes service nodeports; NOTE: this must be the last rule in this chain\"";
    let rule = |to: &str| format!("-A {} {comment} {to} -j {}", chains::SERVICES, chains::NODE_PORTS);
    match &context.node_port_ips {
        None if context.localhost_node_ports => vec![rule("-m addrtype --dst-type LOCAL")],
        None => vec![rule("-m addrtype --dst-type LOCAL ! -d 127.0.0.0/8")],
        Some(ips) => ips
            .iter()
            .filter(|ip| context.localhost_node_ports || !ip.is_loopback())
            .map(|ip| rule(&format!("-d {ip}")))
            .collect(),
    }
}

/// Rules of the filter table's fixed chains that do not depend on services.
pub(crate) fn filter_tail(context: &Context) -> Vec<String> {
    let mark = mark(context.masquerade_bit);
    let forward = chains::FORWARD;
    let mut rules = Vec::new();
    if context.localhost_node_ports {
        // route_localnet opens 127.0.0.0/8 to the neighbours; this closes it again.
        rules.push(format!(
            "-A {} -m comment --comment \"block incoming localnet connections\" -d 127.0.0.0/8 ! -s 127.0.0.0/8 \
             -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
            chains::FIREWALL
        ));
    }
    rules.push(format!(
        "-A {} -m comment --comment \"kubernetes firewall for dropping marked packets\" \
         -m mark --mark {DROP_MARK}/{DROP_MARK} -j DROP",
        chains::FIREWALL
    ));
    if !context.conntrack_liberal {
        // Packets that NAT would let through unchanged make clients reset their connections.
        rules.push(format!("-A {forward} -m conntrack --ctstate INVALID -j DROP"));
    }
    rules.push(format!(
        "-A {forward} -m comment --comment \"kubernetes forwarding rules\" -m mark --mark {mark}/{mark} -j ACCEPT"
    ));
    rules.push(format!(
        "-A {forward} -m comment --comment \"kubernetes forwarding conntrack rule\" \
         -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    ));
    rules
}

/// The rules of one service port.
pub fn service_rules(service: &ServicePort, endpoints: &[Endpoint], context: &Context) -> ServiceRules {
    let reach = categorize(endpoints, service);
    let name = &service.name;
    let names = Names::of(name, &service.protocol);
    let proto = format!("-m {0} -p {0}", service.protocol);
    let to = |ip: Ipv4Addr| format!("{proto} -d {ip} --dport {}", service.port);

    let has_internal = reach.any && !(service.internal_local && reach.local.is_empty());
    let has_external = reach.any && !(service.external_local && reach.local.is_empty());
    let internal_chain = if service.internal_local { &names.local } else { &names.cluster };
    let uses_external_chain = reach.any && service.externally_accessible();
    let uses_firewall =
        reach.any && !service.load_balancer_ips.is_empty() && !service.source_ranges.is_empty();
    // No endpoints at all: say so at once. Endpoints only elsewhere: stay silent, another node will answer.
    let (why, refuse) =
        if reach.any { ("has no local endpoints", "DROP") } else { ("has no endpoints", "REJECT") };
    let refusal =
        |chain: &str, to: &str| format!("-A {chain} -m comment --comment \"{name} {why}\" {to} -j {refuse}");

    let mut out = ServiceRules::default();
    let cluster_ip = to(service.cluster_ip);
    if has_internal {
        out.nat.push(format!(
            "-A {} -m comment --comment \"{name} cluster IP\" {cluster_ip} -j {internal_chain}",
            chains::SERVICES
        ));
    } else {
        out.filter.push(refusal(chains::SERVICES, &cluster_ip));
    }
    for ip in &service.external_ips {
        if reach.any {
            out.nat.push(format!(
                "-A {} -m comment --comment \"{name} external IP\" {} -j {}",
                chains::SERVICES,
                to(*ip),
                names.external
            ));
        }
        if !has_external {
            out.filter.push(refusal(chains::EXTERNAL_SERVICES, &to(*ip)));
        }
    }
    for ip in &service.load_balancer_ips {
        if reach.any {
            let chain = if uses_firewall { &names.firewall } else { &names.external };
            out.nat.push(format!(
                "-A {} -m comment --comment \"{name} loadbalancer IP\" {} -j {chain}",
                chains::SERVICES,
                to(*ip)
            ));
        }
        if uses_firewall {
            out.filter.push(format!(
                "-A {} -m comment --comment \"{name} traffic not accepted by {}\" {} -j DROP",
                chains::PROXY_FIREWALL,
                names.firewall,
                to(*ip)
            ));
        }
        if !has_external {
            out.filter.push(refusal(chains::EXTERNAL_SERVICES, &to(*ip)));
        }
    }
    if service.node_port != 0 {
        let port = format!("{proto} --dport {}", service.node_port);
        if reach.any {
            out.nat.push(format!(
                "-A {} -m comment --comment \"{name}\" {port} -j {}",
                chains::NODE_PORTS,
                names.external
            ));
        }
        if !has_external {
            out.filter
                .push(refusal(chains::EXTERNAL_SERVICES, &format!("-m addrtype --dst-type LOCAL {port}")));
        }
    }
    if service.health_check_node_port != 0 {
        out.filter.push(format!(
            "-A {} -m comment --comment \"{name} health check node port\" -m tcp -p tcp --dport {} -j ACCEPT",
            chains::NODE_PORTS,
            service.health_check_node_port
        ));
    }

    let masquerade =
        if has_internal { masquerade_rule(&cluster_ip, name, internal_chain, context) } else { None };
    if uses_external_chain {
        out.chains.push(external_chain(service, &names, has_external, context));
    }
    if uses_firewall {
        out.chains.push(firewall_chain(service, &names, context));
    }
    for (uses, chain, list) in [
        (service.uses_cluster_endpoints(), &names.cluster, &reach.cluster),
        (service.uses_local_endpoints(), &names.local, &reach.local),
    ] {
        if uses && !list.is_empty() {
            let first = masquerade.clone().filter(|_| chain == internal_chain);
            out.chains.push(policy_chain(service, chain, first, list));
        }
    }
    out.chains.extend(reach.all.iter().map(|endpoint| endpoint_chain(service, endpoint)));
    out
}

/// Traffic to the service's address that does not come from a pod may leave the node again: masquerade it.
fn masquerade_rule(cluster_ip: &str, name: &str, chain: &str, context: &Context) -> Option<String> {
    let rule = |from: &str| {
        format!(
            "-A {chain} -m comment --comment \"{name} cluster IP\" {cluster_ip}{from} -j {}",
            chains::MARK_MASQ
        )
    };
    match context.cluster_cidr {
        _ if context.masquerade_all => Some(rule("")),
        Some(cidr) => Some(rule(&format!(" ! -s {cidr}"))),
        None => None,
    }
}

/// The entry for traffic from outside: node ports, external addresses, load balancers.
fn external_chain(service: &ServicePort, names: &Names, has_external: bool, context: &Context) -> Chain {
    let chain = &names.external;
    let name = &service.name;
    let note =
        |text: &str| format!("-A {chain} -m comment --comment \"{text} {name} external destinations\"");
    let local = "-m addrtype --src-type LOCAL";
    let mut rules = Vec::new();
    if service.external_local {
        // Pods and the node itself are not "outside": for them every endpoint counts.
        if let Some(cidr) = context.cluster_cidr {
            rules.push(format!("{} -s {cidr} -j {}", note("pod traffic for"), names.cluster));
        }
        rules.push(format!("{} {local} -j {}", note("masquerade LOCAL traffic for"), chains::MARK_MASQ));
        rules.push(format!("{} {local} -j {}", note("route LOCAL traffic for"), names.cluster));
    } else {
        // The endpoint may be on another node, and its answer must come back through this one.
        rules.push(format!("{} -j {}", note("masquerade traffic for"), chains::MARK_MASQ));
    }
    if has_external {
        let policy = if service.external_local { &names.local } else { &names.cluster };
        rules.push(format!("-A {chain} -j {policy}"));
    }
    Chain { name: chain.clone(), rules }
}

/// Lets through whom `loadBalancerSourceRanges` names; the rest falls to KUBE-PROXY-FIREWALL.
fn firewall_chain(service: &ServicePort, names: &Names, context: &Context) -> Chain {
    let chain = &names.firewall;
    let name = &service.name;
    let allow = |from: &dyn std::fmt::Display| {
        format!("-A {chain} -m comment --comment \"{name} loadbalancer IP\" -s {from} -j {}", names.external)
    };
    let mut rules: Vec<String> = service.source_ranges.iter().map(|range| allow(range)).collect();
    // When the address is the node's own, the node's requests come from that address.
    if context.node_ip.is_some_and(|ip| service.source_ranges.iter().any(|range| range.contains(ip))) {
        rules.extend(service.load_balancer_ips.iter().map(|ip| allow(ip)));
    }
    rules.push(format!(
        "-A {chain} -m comment --comment \"other traffic to {name} will be dropped by KUBE-PROXY-FIREWALL\""
    ));
    Chain { name: chain.clone(), rules }
}

/// Spreads connections over endpoints: back to the same one with affinity, else by chance.
fn policy_chain(service: &ServicePort, chain: &str, first: Option<String>, endpoints: &[&Endpoint]) -> Chain {
    let name = &service.name;
    let mut rules: Vec<String> = first.into_iter().collect();
    let target = |endpoint: &Endpoint| {
        let text = endpoint.to_string();
        (
            chains::endpoint(name, &service.protocol, &text),
            format!("-m comment --comment \"{name} -> {text}\""),
        )
    };
    if let Some(seconds) = service.affinity_seconds {
        for endpoint in endpoints {
            let (target, note) = target(endpoint);
            rules.push(format!(
                "-A {chain} {note} -m recent --name {target} --rcheck --seconds {seconds} --reap -j {target}"
            ));
        }
    }
    for (i, endpoint) in endpoints.iter().enumerate() {
        let (target, note) = target(endpoint);
        let left = endpoints.len() - i;
        let chance = if left > 1 {
            format!(" -m statistic --mode random --probability {:.10}", 1.0 / left as f64)
        } else {
            String::new()
        };
        rules.push(format!("-A {chain} {note}{chance} -j {target}"));
    }
    Chain { name: chain.to_owned(), rules }
}

/// Sends a connection to one endpoint.
fn endpoint_chain(service: &ServicePort, endpoint: &Endpoint) -> Chain {
    let text = endpoint.to_string();
    let name = chains::endpoint(&service.name, &service.protocol, &text);
    let note = format!("-A {name} -m comment --comment \"{}\"", service.name);
    let protocol = &service.protocol;
    let remember = match service.affinity_seconds {
        Some(_) => format!(" -m recent --name {name} --set"),
        None => String::new(),
    };
    let rules = vec![
        // A pod that reaches itself through its service must see another source address.
        format!("{note} -s {} -j {}", endpoint.ip, chains::MARK_MASQ),
        format!("{note}{remember} -m {protocol} -p {protocol} -j DNAT --to-destination {text}"),
    ];
    Chain { name, rules }
}

#[cfg(test)]
mod tests;
