//! EndpointSlices: at most 100 endpoints each, changed as little as possible (upstream's `reconciler.go`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use client::ErrorExt;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort};
use kube::{Client, Error};
use serde_json::{Value, json};

use super::{HEADLESS, members};
use crate::views::{EndpointSlice, Pod, Service};
use crate::{api, owners, pods};

/// The index of slices by `namespace/service`.
pub(super) const BY_SERVICE: &str = "service";

pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";
pub(super) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";
/// Upstream's `--max-endpoints-per-slice`.
const ENDPOINTS_MAX: usize = 100;

/// The service of a slice that this controller manages.
pub(super) fn owned_service(slice: &EndpointSlice) -> Option<String> {
    let labels = slice.metadata.labels.as_ref()?;
    if labels.get(MANAGED_BY).map(String::as_str) != Some(MANAGER) {
        return None;
    }
    labels.get(SERVICE_NAME).cloned()
}

/// That as an index value.
pub(super) fn service_of(slice: &EndpointSlice) -> Option<String> {
    let name = owned_service(slice)?;
    Some(format!("{}/{name}", slice.metadata.namespace.as_deref().unwrap_or_default()))
}

/// Endpoints by address type and ports.
pub(super) type Groups = BTreeMap<(&'static str, String), (Vec<EndpointPort>, Vec<Endpoint>)>;

/// The endpoints that the slices of a service shall hold together.
pub(super) fn desired(
    service: &Service,
    selected: &[Arc<Pod>],
    zone: &dyn Fn(&str) -> Option<String>,
) -> Groups {
    let mut groups = Groups::new();
    let families: Vec<&'static str> = match service.spec.ip_families.as_slice() {
        [] => selected
            .first()
            .map(|pod| if members::wants_ipv6(service, pod) { "IPv6" } else { "IPv4" })
            .into_iter()
            .collect(),
        families => families.iter().map(|family| if family == "IPv6" { "IPv6" } else { "IPv4" }).collect(),
    };
    let families = if families.is_empty() { vec!["IPv4"] } else { families };
    let publish = service.spec.publish_not_ready_addresses == Some(true);
    for family in families {
        for pod in selected.iter().filter(|pod| members::belongs(pod, true)) {
            let own = members::addresses(pod).filter(|ip| ip.is_ipv6() == (family == "IPv6"));
            let addresses: Vec<String> = own.map(|ip| ip.to_string()).collect();
            if addresses.is_empty() {
                continue;
            }
            let ports = ports(service, pod);
            if ports.is_empty() && !service.spec.ports.is_empty() {
                // A named port that this pod does not have.
                continue;
            }
            let serving = pods::is_ready(pod);
            let terminating = pod.metadata.deletion_timestamp.is_some();
            let node = pod.spec.node_name.clone().filter(|name| !name.is_empty());
            let endpoint = Endpoint {
                addresses,
                conditions: Some(EndpointConditions {
                    ready: Some(publish || serving && !terminating),
                    serving: Some(serving),
                    terminating: Some(terminating),
                }),
                hostname: members::hostname(pod, service),
                zone: node.as_deref().and_then(zone),
                node_name: node,
                target_ref: Some(members::reference(pod)),
                ..Default::default()
            };
            let key = (family, ports_key(&ports));
            groups.entry(key).or_insert_with(|| (ports, Vec::new())).1.push(endpoint);
        }
        // A service without pods keeps one empty slice, so that its readers know that it is looked after.
        if !groups.keys().any(|(kind, _)| *kind == family) {
            groups.insert((family, ports_key(&[])), (Vec::new(), Vec::new()));
        }
    }
    groups
}

fn ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let port = |port: &k8s_openapi::api::core::v1::ServicePort| {
        Some(EndpointPort {
            name: Some(port.name.clone().unwrap_or_default()),
            port: Some(members::target(pod, port)?),
            protocol: port.protocol.clone().or_else(|| Some("TCP".into())),
            app_protocol: port.app_protocol.clone(),
        })
    };
    service.spec.ports.iter().filter_map(port).collect()
}

/// A text that is equal for equal ports, in whatever order.
pub(super) fn ports_key(ports: &[EndpointPort]) -> String {
    let mut texts: Vec<String> = ports
        .iter()
        .map(|port| {
            let name = port.name.as_deref().unwrap_or_default();
            let (protocol, app) =
                (port.protocol.as_deref().unwrap_or("TCP"), port.app_protocol.as_deref().unwrap_or_default());
            format!("{name}:{}/{protocol}/{app}", port.port.unwrap_or(0))
        })
        .collect();
    texts.sort();
    texts.join(",")
}

/// One write.
#[derive(Debug)]
pub(super) enum Action {
    Create(Value),
    Update(Arc<EndpointSlice>, Value),
    Delete(Arc<EndpointSlice>),
}

fn identity(endpoint: &Endpoint) -> (Vec<String>, Option<String>) {
    (endpoint.addresses.clone(), endpoint.target_ref.as_ref().and_then(|target| target.uid.clone()))
}

/// The writes that make `existing` hold `desired`. Endpoints stay in their slice; new ones fill slices with room.
pub(super) fn plan(service: &Service, desired: Groups, existing: &[Arc<EndpointSlice>]) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut used: Vec<bool> = vec![false; existing.len()];
    let labels = labels(service);
    for ((family, key), (ports, endpoints)) in desired {
        let mut missing: HashMap<_, Endpoint> = endpoints.iter().map(|e| (identity(e), e.clone())).collect();
        let order: Vec<_> = endpoints.iter().map(identity).collect();
        let mut slices: Vec<(Arc<EndpointSlice>, Vec<Endpoint>, bool)> = Vec::new();
        for (at, slice) in existing.iter().enumerate() {
            if slice.address_type.as_deref() != Some(family) || ports_key(&slice.ports) != key {
                continue;
            }
            if slice.metadata.deletion_timestamp.is_some() {
                continue;
            }
            used[at] = true;
            let mut kept = Vec::new();
            let mut changed = !labels_fit(slice, &labels);
            for old in &slice.endpoints {
                match missing.remove(&identity(old)) {
                    Some(new) => {
                        changed |= !equal(&new, old);
                        kept.push(new);
                    }
                    None => changed = true,
                }
            }
            slices.push((slice.clone(), kept, changed));
        }
        let mut rest: Vec<Endpoint> = order.iter().filter_map(|key| missing.remove(key)).collect();
        // Slices that are written anyway take new endpoints first, the fullest first.
        slices.sort_by_key(|(_, kept, changed)| (!*changed, std::cmp::Reverse(kept.len())));
        for (_, kept, changed) in &mut slices {
            let room = ENDPOINTS_MAX.saturating_sub(kept.len()).min(rest.len());
            if room > 0 {
                kept.extend(rest.drain(..room));
                *changed = true;
            }
        }
        let keep_empty = endpoints.is_empty();
        let mut kept_one = false;
        for (slice, kept, changed) in slices {
            if kept.is_empty() && (kept_one || !keep_empty) {
                actions.push(Action::Delete(slice));
                continue;
            }
            kept_one = true;
            if changed {
                let mut change = json!({ "metadata": { "labels": labels }, "endpoints": kept });
                for gone in slice
                    .metadata
                    .labels
                    .iter()
                    .flatten()
                    .map(|(key, _)| key)
                    .filter(|key| !labels.contains_key(*key))
                {
                    change["metadata"]["labels"][gone] = Value::Null;
                }
                actions.push(Action::Update(slice, change));
            }
        }
        let mut chunks: Vec<Vec<Endpoint>> = rest.chunks(ENDPOINTS_MAX).map(<[Endpoint]>::to_vec).collect();
        if keep_empty && !kept_one {
            chunks.push(Vec::new());
        }
        for chunk in chunks {
            actions.push(Action::Create(json!({
                "metadata": {
                    "generateName": format!("{}-", service.metadata.name.as_deref().unwrap_or_default()),
                    "namespace": service.metadata.namespace,
                    "labels": labels,
                    "ownerReferences": [owners::reference(service)],
                },
                "addressType": family,
                "endpoints": chunk,
                "ports": ports,
            })));
        }
    }
    let stale = existing
        .iter()
        .zip(used)
        .filter(|(slice, used)| !used && slice.metadata.deletion_timestamp.is_none());
    actions.extend(stale.map(|(slice, _)| Action::Delete(slice.clone())));
    actions
}

fn equal(new: &Endpoint, old: &Endpoint) -> bool {
    let mut old = old.clone();
    if let Some(target) = &mut old.target_ref {
        target.resource_version = None;
        target.api_version = None;
    }
    old.hints = None;
    *new == old
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.retain(|key, _| key != HEADLESS && key != SERVICE_NAME && key != MANAGED_BY);
    labels.insert(SERVICE_NAME.into(), service.metadata.name.clone().unwrap_or_default());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    if service.spec.cluster_ip.as_deref().is_none_or(|ip| ip.is_empty() || ip == "None") {
        labels.insert(HEADLESS.into(), String::new());
    }
    labels
}

fn labels_fit(slice: &EndpointSlice, labels: &BTreeMap<String, String>) -> bool {
    slice.metadata.labels.as_ref() == Some(labels)
}

/// The labels of a service's slices as a selector.
pub(super) fn selector(service: &str) -> String {
    format!("{SERVICE_NAME}={service},{MANAGED_BY}={MANAGER}")
}

/// Makes the writes that are planned for what the cache holds. Names are generated, so a cache that has not seen our
/// last slice would make us create it twice, and delete either of the two later: who creates looks at the API server.
pub(super) async fn reconcile(
    client: &Client,
    namespace: &str,
    selector: &str,
    cached: &[Arc<EndpointSlice>],
    plan: impl Fn(&[Arc<EndpointSlice>]) -> Vec<Action>,
) -> Result<(), Error> {
    let mut actions = plan(cached);
    if actions.iter().any(|action| matches!(action, Action::Create(_))) {
        let mine = kube::api::ListParams::default().labels(selector);
        let slices = kube::Api::<EndpointSlice>::namespaced(client.clone(), namespace).list(&mine).await?;
        let slices: Vec<_> = slices.items.into_iter().map(Arc::new).collect();
        actions = plan(&slices);
    }
    apply(client, namespace, actions).await
}

/// Makes the writes: new slices before old ones go, so that no endpoint is missing in between.
pub(super) async fn apply(client: &Client, namespace: &str, actions: Vec<Action>) -> Result<(), Error> {
    let rank = |action: &Action| match action {
        Action::Create(_) => 0,
        Action::Update(..) => 1,
        Action::Delete(_) => 2,
    };
    let mut actions = actions;
    actions.sort_by_key(rank);
    for action in actions {
        match action {
            Action::Create(object) => {
                api::create::<EndpointSlice>(client, Some(namespace), object).await?;
            }
            Action::Update(slice, change) => {
                api::patch::<EndpointSlice>(client, &slice.metadata, change).await?;
            }
            Action::Delete(slice) => match api::delete::<EndpointSlice>(client, &slice.metadata).await {
                Err(err) if !err.is_conflict() => return Err(err),
                _ => {}
            },
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Service {
        serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "d", "uid": "s"},
            "spec": {"selector": {"a": "b"}, "clusterIP": "10.0.0.5", "ipFamilies": ["IPv4"], "ports": [{"name": "http", "port": 80}]}}))
        .unwrap()
    }

    fn pods(count: usize) -> Vec<Arc<Pod>> {
        let pod = |n: usize| {
            json!({"metadata": {"name": format!("p{n}"), "namespace": "d", "uid": format!("u{n}")}, "spec": {"nodeName": "n"},
                "status": {"phase": "Running", "podIP": format!("10.5.{}.{}", n / 250, n % 250 + 1), "conditions": [{"type": "Ready", "status": "True"}]}})
        };
        (0..count).map(|n| Arc::new(serde_json::from_value(pod(n)).unwrap())).collect()
    }

    fn wanted(count: usize) -> Groups {
        desired(&service(), &pods(count), &|_| None)
    }

    fn store(actions: Vec<Action>) -> Vec<Arc<EndpointSlice>> {
        let slice = |action| match action {
            Action::Create(object) => Arc::new(serde_json::from_value::<EndpointSlice>(object).unwrap()),
            other => unreachable!("{other:?}"),
        };
        actions.into_iter().map(slice).collect()
    }

    #[test]
    fn endpoints_are_spread_and_stay() {
        let slices = store(plan(&service(), wanted(150), &[]));
        assert_eq!(slices.iter().map(|slice| slice.endpoints.len()).collect::<Vec<_>>(), [100, 50]);
        assert!(plan(&service(), wanted(150), &slices).is_empty());
        let grown = plan(&service(), wanted(160), &slices);
        let [Action::Update(slice, change)] = grown.as_slice() else { unreachable!("{grown:?}") };
        assert_eq!((slice.endpoints.len(), change["endpoints"].as_array().unwrap().len()), (50, 60));
        let shrunk = plan(&service(), wanted(100), &slices);
        assert!(matches!(shrunk.as_slice(), [Action::Delete(_)]));
    }

    #[test]
    fn an_empty_service_has_one_empty_slice() {
        let slices = store(plan(&service(), wanted(0), &[]));
        assert_eq!(slices.len(), 1);
        assert!(plan(&service(), wanted(0), &slices).is_empty());
        let filled = plan(&service(), wanted(1), &slices);
        assert!(matches!(filled.as_slice(), [Action::Create(_), Action::Delete(_)]));
    }
}
