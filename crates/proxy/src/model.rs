//! Service ports and their endpoints as the rules need them (upstream's `pkg/proxy/serviceport.go`, `endpoint.go`).

use std::{fmt, net::Ipv4Addr};

use client::ObjectKey;

use crate::views;

/// How long a client stays with its endpoint when the service does not say (upstream's default, three hours).
const AFFINITY_SECONDS: u32 = 10800;

/// An IPv4 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    addr: Ipv4Addr,
    prefix: u8,
}

impl Cidr {
    /// The network that `addr` belongs to.
    pub fn new(addr: Ipv4Addr, prefix: u8) -> Self {
        Self { addr: Ipv4Addr::from(u32::from(addr) & Self::mask(prefix)), prefix: prefix.min(32) }
    }

    fn mask(prefix: u8) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0)
    }

    /// Whether `addr` lies in it.
    pub fn contains(self, addr: Ipv4Addr) -> bool {
        u32::from(addr) & Self::mask(self.prefix) == u32::from(self.addr)
    }

    /// Whether it is all addresses.
    pub fn is_all(self) -> bool {
        self.prefix == 0
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix)
    }
}

/// One port of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// `namespace/name:port`, with the colon even when the port has no name.
    pub name: String,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// The service's address.
    pub cluster_ip: Ipv4Addr,
    /// The port on that address.
    pub port: u16,
    /// The port on every node; 0 is none.
    pub node_port: u16,
    /// Further addresses that the operator routes to nodes.
    pub external_ips: Vec<Ipv4Addr>,
    /// Addresses of a load balancer that keeps them as destination.
    pub load_balancer_ips: Vec<Ipv4Addr>,
    /// Who may use those; everybody when empty.
    pub source_ranges: Vec<Cidr>,
    /// For `sessionAffinity: ClientIP`: how long a client stays.
    pub affinity_seconds: Option<u32>,
    /// `externalTrafficPolicy: Local`.
    pub external_local: bool,
    /// `internalTrafficPolicy: Local`.
    pub internal_local: bool,
    /// The port of the load balancer's health checks; 0 is none.
    pub health_check_node_port: u16,
}

impl ServicePort {
    /// Whether anything outside the cluster can reach it.
    pub fn externally_accessible(&self) -> bool {
        self.node_port != 0 || !self.external_ips.is_empty() || !self.load_balancer_ips.is_empty()
    }

    /// Whether endpoints anywhere count.
    pub fn uses_cluster_endpoints(&self) -> bool {
        !self.internal_local || self.externally_accessible()
    }

    /// Whether endpoints on this node count for themselves.
    pub fn uses_local_endpoints(&self) -> bool {
        self.internal_local || (self.external_local && self.externally_accessible())
    }
}

/// Where a service port leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The pod's address.
    pub ip: Ipv4Addr,
    /// The pod's port.
    pub port: u16,
    /// On this node.
    pub local: bool,
    /// Takes new connections.
    pub ready: bool,
    /// Answers, ready or not.
    pub serving: bool,
    /// On its way out.
    pub terminating: bool,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ip, self.port)
    }
}

/// The ports of a service that get rules: none for headless, ExternalName and IPv6 services.
pub(crate) fn service_ports(service: &views::Service) -> Vec<(String, ServicePort)> {
    let spec = &service.spec;
    if spec.r#type == "ExternalName" {
        return Vec::new();
    }
    let addresses = std::iter::once(&spec.cluster_ip).chain(&spec.cluster_ips);
    let Some(cluster_ip) = addresses.filter_map(|ip| ip.parse::<Ipv4Addr>().ok()).next() else {
        return Vec::new();
    };
    let key = ObjectKey::of(&service.metadata);
    let ipv4 =
        |texts: &mut dyn Iterator<Item = &String>| texts.filter_map(|ip| ip.parse().ok()).collect::<Vec<_>>();
    let annotated =
        service.metadata.annotations.as_ref().and_then(|annotations| annotations.get(views::SOURCE_RANGES));
    let source_ranges = if spec.load_balancer_source_ranges.is_empty() {
        annotated.map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default()
    } else {
        spec.load_balancer_source_ranges.clone()
    };
    let source_ranges: Vec<Cidr> = source_ranges.iter().filter_map(|text| text.trim().parse().ok()).collect();
    let affinity = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.timeout_seconds);
    let ingress = &service.status.load_balancer.ingress;
    spec.ports
        .iter()
        .map(|port| {
            let protocol =
                if port.protocol.is_empty() { "tcp".to_owned() } else { port.protocol.to_lowercase() };
            let service_port = ServicePort {
                name: format!("{key}:{}", port.name),
                protocol,
                cluster_ip,
                port: port.port,
                node_port: port.node_port,
                external_ips: ipv4(&mut spec.external_ips.iter()),
                load_balancer_ips: ipv4(
                    &mut ingress
                        .iter()
                        .filter(|ingress| ingress.ip_mode != "Proxy")
                        .map(|ingress| &ingress.ip),
                ),
                source_ranges: source_ranges.iter().copied().filter(|range| !range.is_all()).collect(),
                affinity_seconds: (spec.session_affinity == "ClientIP")
                    .then(|| affinity.unwrap_or(AFFINITY_SECONDS)),
                external_local: spec.external_traffic_policy == "Local",
                internal_local: spec.internal_traffic_policy == "Local",
                health_check_node_port: spec.health_check_node_port,
            };
            (port.name.clone(), service_port)
        })
        .collect()
}

/// The endpoints of a port in these slices, in order and once each.
pub(crate) fn slice_endpoints<'a>(
    slices: impl Iterator<Item = &'a views::EndpointSlice>,
    port_name: &str,
    protocol: &str,
    node: &str,
) -> Vec<Endpoint> {
    let mut found = Vec::new();
    for slice in slices.filter(|slice| slice.address_type == "IPv4") {
        let Some(port) = matching(slice.ports.iter().flatten(), port_name, protocol) else { continue };
        for endpoint in slice.endpoints.iter().flatten() {
            let Some(ip) = endpoint.addresses.first().and_then(|ip| ip.parse().ok()) else { continue };
            let ready = endpoint.conditions.ready.unwrap_or(true);
            found.push(Endpoint {
                ip,
                port,
                local: endpoint.node_name.as_deref() == Some(node),
                ready,
                serving: endpoint.conditions.serving.unwrap_or(ready),
                terminating: endpoint.conditions.terminating.unwrap_or(false),
            });
        }
    }
    in_order(found)
}

/// The same for an old Endpoints object: it lists ready addresses apart, and only those count.
pub(crate) fn old_endpoints(
    endpoints: &views::Endpoints,
    port_name: &str,
    protocol: &str,
    node: &str,
) -> Vec<Endpoint> {
    let mut found = Vec::new();
    for subset in endpoints.subsets.iter().flatten() {
        let Some(port) = matching(subset.ports.iter(), port_name, protocol) else { continue };
        for address in &subset.addresses {
            let Ok(ip) = address.ip.parse() else { continue };
            let local = address.node_name.as_deref() == Some(node);
            found.push(Endpoint { ip, port, local, ready: true, serving: true, terminating: false });
        }
    }
    in_order(found)
}

fn matching<'a>(
    mut ports: impl Iterator<Item = &'a views::SlicePort>,
    name: &str,
    protocol: &str,
) -> Option<u16> {
    let found = ports.find(|port| {
        port.name.as_deref().unwrap_or_default() == name
            && port.protocol.as_deref().unwrap_or("TCP").eq_ignore_ascii_case(protocol)
    });
    found.and_then(|port| port.port)
}

/// An address may stand in two slices while it moves between them; the ready one counts.
fn in_order(mut endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    endpoints.sort_by_key(|endpoint| (endpoint.to_string(), !endpoint.ready));
    endpoints.dedup_by_key(|endpoint| (endpoint.ip, endpoint.port));
    endpoints
}
