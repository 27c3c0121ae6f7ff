//! Subsets of v1 Endpoints: ports with the same addresses stand together (upstream's `RepackSubsets`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset};

use super::members;
use crate::pods;
use crate::views::{Pod, Service};

pub(super) type Subset = EndpointSubset;

/// Addresses that one Endpoints object holds (upstream's `maxCapacity`).
const ADDRESSES_MAX: usize = 1000;

/// The subsets for a service with these pods.
pub(super) fn of(service: &Service, selected: &[Arc<Pod>]) -> Vec<Subset> {
    let publish = service.spec.publish_not_ready_addresses == Some(true);
    let mut entries = Vec::new();
    for pod in selected.iter().filter(|pod| members::belongs(pod, publish)) {
        let ipv6 = members::wants_ipv6(service, pod);
        let Some(ip) = members::addresses(pod).find(|ip| ip.is_ipv6() == ipv6) else { continue };
        let address = EndpointAddress {
            ip: ip.to_string(),
            hostname: members::hostname(pod, service),
            node_name: pod.spec.node_name.clone(),
            target_ref: Some(members::reference(pod)),
        };
        let ready = publish || pods::is_ready(pod);
        if service.spec.ports.is_empty() {
            if service.spec.cluster_ip.as_deref() == Some("None") {
                entries.push((None, ready, address));
            }
            continue;
        }
        for port in &service.spec.ports {
            let Some(number) = members::target(pod, port) else { continue };
            let port = EndpointPort {
                name: port.name.clone().filter(|name| !name.is_empty()),
                port: number,
                protocol: port.protocol.clone().or_else(|| Some("TCP".into())),
                app_protocol: port.app_protocol.clone(),
            };
            entries.push((Some(port), ready, address.clone()));
        }
    }
    pack(entries)
}

type PortKey = (String, i32, String, Option<String>);

fn port_key(port: &EndpointPort) -> PortKey {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    (text(&port.name), port.port, text(&port.protocol), port.app_protocol.clone())
}

/// The address text comes first: it is the order of upstream's lists.
type AddressKey = (String, Option<String>);

/// Addresses with their readiness.
type Members = BTreeSet<(bool, AddressKey)>;

fn address_key(address: &EndpointAddress) -> AddressKey {
    (address.ip.clone(), address.target_ref.as_ref().and_then(|target| target.uid.clone()))
}

fn pack(entries: Vec<(Option<EndpointPort>, bool, EndpointAddress)>) -> Vec<Subset> {
    let mut addresses: BTreeMap<AddressKey, EndpointAddress> = BTreeMap::new();
    let mut by_port: BTreeMap<Option<PortKey>, (Option<EndpointPort>, Members)> = BTreeMap::new();
    for (port, ready, address) in entries {
        let key = address_key(&address);
        let slot = by_port.entry(port.as_ref().map(port_key)).or_insert_with(|| (port, BTreeSet::new()));
        slot.1.insert((ready, key.clone()));
        addresses.insert(key, address);
    }
    let mut groups: BTreeMap<Members, Vec<EndpointPort>> = BTreeMap::new();
    for (port, members) in by_port.into_values() {
        groups.entry(members).or_default().extend(port);
    }
    let list = |members: &Members, ready: bool| {
        let keys = members.iter().filter(|(r, _)| *r == ready);
        let list: Vec<_> = keys.filter_map(|(_, key)| addresses.get(key).cloned()).collect();
        (!list.is_empty()).then_some(list)
    };
    let subset = |(members, ports): (Members, Vec<EndpointPort>)| Subset {
        addresses: list(&members, true),
        not_ready_addresses: list(&members, false),
        ports: (!ports.is_empty()).then_some(ports),
    };
    let mut subsets: Vec<Subset> = groups.into_iter().map(subset).collect();
    subsets.sort_by_key(|subset| subset.ports.iter().flatten().map(port_key).collect::<Vec<_>>());
    subsets
}

/// Whether the stored subsets say the same, in whatever order.
pub(super) fn same(stored: &[Subset], wanted: &[Subset]) -> bool {
    repack(stored) == wanted
}

/// The canonical form of subsets that anyone wrote.
pub(super) fn repack(stored: &[Subset]) -> Vec<Subset> {
    let mut entries = Vec::new();
    for subset in stored {
        let ready = subset.addresses.iter().flatten().map(|address| (true, address));
        let not_ready = subset.not_ready_addresses.iter().flatten().map(|address| (false, address));
        for (ready, address) in ready.chain(not_ready) {
            let mut address = address.clone();
            if let Some(target) = &mut address.target_ref {
                target.resource_version = None;
                target.api_version = None;
            }
            match &subset.ports {
                Some(ports) => {
                    entries.extend(ports.iter().map(|port| (Some(port.clone()), ready, address.clone())))
                }
                None => entries.push((None, ready, address)),
            }
        }
    }
    pack(entries)
}

/// Cuts down to what an object can hold, ready addresses first. Tells whether anything was cut.
pub(super) fn truncate(subsets: &mut [Subset]) -> bool {
    let count = |list: &Option<Vec<EndpointAddress>>| list.as_ref().map_or(0, Vec::len);
    let total: usize = subsets.iter().map(|s| count(&s.addresses) + count(&s.not_ready_addresses)).sum();
    if total <= ADDRESSES_MAX {
        return false;
    }
    let mut left = ADDRESSES_MAX;
    let mut cut = |list: &mut Option<Vec<EndpointAddress>>| {
        if let Some(addresses) = list {
            addresses.truncate(left);
            left -= addresses.len();
            if addresses.is_empty() {
                *list = None;
            }
        }
    };
    subsets.iter_mut().for_each(|subset| cut(&mut subset.addresses));
    subsets.iter_mut().for_each(|subset| cut(&mut subset.not_ready_addresses));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn service(ports: Value) -> Service {
        serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "d"}, "spec": {"selector": {"a": "b"}, "clusterIP": "10.0.0.5", "ports": ports}})).unwrap()
    }

    fn pod(name: &str, ip: &str, ready: bool, port: i32) -> Arc<Pod> {
        Arc::new(
            serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": "d", "uid": name},
                "spec": {"nodeName": "n", "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": port}]}]},
                "status": {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
            }))
            .unwrap(),
        )
    }

    fn ips(list: &Option<Vec<EndpointAddress>>) -> Vec<String> {
        list.iter().flatten().map(|address| address.ip.clone()).collect()
    }

    #[test]
    fn ports_with_the_same_addresses_share_a_subset() {
        let ports = json!([{"name": "a", "port": 80, "targetPort": "http"}, {"name": "b", "port": 81}]);
        let pods = [pod("x", "10.5.0.2", true, 8080), pod("y", "10.5.0.3", false, 8080)];
        let subsets = of(&service(ports), &pods);
        assert_eq!(subsets.len(), 1);
        assert_eq!(ips(&subsets[0].addresses), ["10.5.0.2"]);
        assert_eq!(ips(&subsets[0].not_ready_addresses), ["10.5.0.3"]);
        let numbers: Vec<_> = subsets[0].ports.iter().flatten().map(|port| port.port).collect();
        assert_eq!(numbers, [8080, 81]);
        assert!(same(&subsets, &subsets));
    }

    #[test]
    fn a_named_port_that_differs_between_pods_makes_two_subsets() {
        let ports = json!([{"port": 80, "targetPort": "http"}]);
        let pods = [pod("x", "10.5.0.2", true, 8080), pod("y", "10.5.0.3", true, 9090)];
        assert_eq!(of(&service(ports), &pods).len(), 2);
    }

    #[test]
    fn pods_that_are_over_or_going_or_without_address_are_left_out() {
        let ports = json!([{"port": 80}]);
        let mut going = (*pod("x", "10.5.0.2", true, 80)).clone();
        going.metadata.deletion_timestamp = Some(client::clock::time());
        let mut over = (*pod("y", "10.5.0.3", true, 80)).clone();
        over.status.phase = Some("Succeeded".into());
        let mut young = (*pod("z", "10.5.0.4", true, 80)).clone();
        young.status.pod_ip = None;
        assert!(of(&service(ports), &[Arc::new(going), Arc::new(over), Arc::new(young)]).is_empty());
    }
}
