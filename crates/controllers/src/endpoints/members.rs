//! Which pods are behind a service, under which addresses and ports.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{ObjectReference, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::pods;
use crate::views::{Pod, Service};

/// Whether a pod belongs into endpoints at all (upstream's `ShouldPodBeInEndpoints`).
pub(super) fn belongs(pod: &Pod, include_terminating: bool) -> bool {
    !pods::is_terminal(pod)
        && addresses(pod).next().is_some()
        && (include_terminating || pod.metadata.deletion_timestamp.is_none())
}

/// The pod's addresses.
pub(super) fn addresses(pod: &Pod) -> impl Iterator<Item = IpAddr> {
    let all = pod.status.pod_ips.iter().map(|ip| ip.ip.as_str());
    let first = pod.status.pod_ip.as_deref().filter(|_| pod.status.pod_ips.is_empty());
    all.chain(first).filter_map(|text| text.parse().ok())
}

/// The number behind a service's target port on this pod (upstream's `FindPort`).
pub(super) fn target(pod: &Pod, port: &ServicePort) -> Option<i32> {
    let name = match &port.target_port {
        None => return Some(port.port),
        Some(IntOrString::Int(0)) => return Some(port.port),
        Some(IntOrString::Int(number)) => return Some(*number),
        Some(IntOrString::String(name)) => name,
    };
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    let sidecars = pod.spec.init_containers.iter().filter(|c| c.restart_policy.as_deref() == Some("Always"));
    pod.spec
        .containers
        .iter()
        .chain(sidecars)
        .flat_map(|container| &container.ports)
        .find(|p| p.name.as_ref() == Some(name) && p.protocol.as_deref().unwrap_or("TCP") == protocol)
        .map(|p| p.container_port)
}

/// The pod's own DNS name under a headless service.
pub(super) fn hostname(pod: &Pod, service: &Service) -> Option<String> {
    let subdomain = pod.spec.subdomain.as_ref().filter(|name| !name.is_empty())?;
    let hostname = pod.spec.hostname.as_ref().filter(|name| !name.is_empty())?;
    (Some(subdomain) == service.metadata.name.as_ref()
        && pod.metadata.namespace == service.metadata.namespace)
        .then(|| hostname.clone())
}

/// A reference to the pod.
pub(super) fn reference(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".into()),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
        ..Default::default()
    }
}

/// Whether the service's first address family is IPv6.
pub(super) fn wants_ipv6(service: &Service, pod: &Pod) -> bool {
    if let Some(family) = service.spec.ip_families.first() {
        return family == "IPv6";
    }
    match service.spec.cluster_ip.as_deref().filter(|ip| !ip.is_empty() && *ip != "None") {
        Some(ip) => ip.contains(':'),
        None => pod.status.pod_ip.as_deref().is_some_and(|ip| ip.contains(':')),
    }
}
