//! EndpointSlices that say what hand-written Endpoints say (upstream's `pkg/controller/endpointslicemirroring`): one slice
//! for each subset and address family.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use client::ObjectKey;
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort as SubsetPort, EndpointSubset};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use super::slices::{Action, Groups, MANAGED_BY, SERVICE_NAME, ports_key};
use super::subsets;
use crate::owners;
use crate::views::{EndpointSlice, Endpoints};

/// The index of mirrored slices by `namespace/service`.
pub(super) const BY_SERVICE: &str = "mirrored-service";

const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
/// Annotations that say something about the Endpoints object only.
const NOT_COPIED: [&str; 2] =
    ["endpoints.kubernetes.io/last-change-trigger-time", "kubectl.kubernetes.io/last-applied-configuration"];
/// Upstream's `--mirroring-max-endpoints-per-subset`.
const ADDRESSES_MAX: usize = 1000;

/// Whether Endpoints want to be mirrored, if their service has no selector (upstream's `shouldMirror`). The API server
/// makes the slice of its own service itself and labels its Endpoints so.
pub(super) fn wanted(meta: &ObjectMeta) -> bool {
    let skips = meta.labels.as_ref().and_then(|labels| labels.get(SKIP)).is_some_and(|value| value == "true");
    let leads = meta.annotations.as_ref().is_some_and(|notes| notes.contains_key(client::leader::ANNOTATION));
    !skips && !leads
}

/// The service of a slice that this controller manages.
pub(super) fn key_of(slice: &EndpointSlice) -> Option<ObjectKey> {
    let labels = slice.metadata.labels.as_ref()?;
    if labels.get(MANAGED_BY).map(String::as_str) != Some(MANAGER) {
        return None;
    }
    let name = labels.get(SERVICE_NAME).filter(|name| !name.is_empty())?;
    Some(ObjectKey::new(slice.metadata.namespace.clone().unwrap_or_default(), name.clone()))
}

/// That as an index value.
pub(super) fn service_of(slice: &EndpointSlice) -> Option<String> {
    key_of(slice).map(|key| key.to_string())
}

/// The label selector of the slices of a service that this controller manages.
pub(super) fn selector(service: &str) -> String {
    format!("{SERVICE_NAME}={service},{MANAGED_BY}={MANAGER}")
}

/// What slices shall say.
#[derive(Default)]
pub(super) struct Mirrored {
    pub(super) groups: Groups,
    invalid: usize,
    skipped: usize,
}

impl Mirrored {
    /// Reasons and texts of the events about addresses that are left out.
    pub(super) fn complaints(&self) -> Vec<(&'static str, String)> {
        let mut list = Vec::new();
        if self.invalid > 0 {
            let text =
                format!("Skipped {} invalid IP addresses when mirroring to EndpointSlices", self.invalid);
            list.push(("InvalidIPAddress", text));
        }
        if self.skipped > self.invalid {
            let text = format!(
                "A max of {ADDRESSES_MAX} addresses can be mirrored to EndpointSlices per Endpoints subset. {} addresses were skipped",
                self.skipped
            );
            list.push(("TooManyAddressesToMirror", text));
        }
        list
    }
}

/// What slices shall say for these subsets.
pub(super) fn desired(stored: &[EndpointSubset]) -> Mirrored {
    let mut mirrored = Mirrored::default();
    for subset in subsets::repack(stored) {
        let ports: Vec<EndpointPort> = subset.ports.iter().flatten().map(port).collect();
        let key = ports_key(&ports);
        let mut by_identity: BTreeMap<_, (&'static str, Endpoint)> = BTreeMap::new();
        let ready = subset.addresses.iter().flatten().map(|address| (address, true));
        let not_ready = subset.not_ready_addresses.iter().flatten().map(|address| (address, false));
        let mut taken = 0;
        for (address, ready) in ready.chain(not_ready) {
            if taken == ADDRESSES_MAX {
                mirrored.skipped += 1;
                continue;
            }
            let Some(ip) = parse(&address.ip) else {
                tracing::info!(IP = %address.ip, "Address in Endpoints is not a valid IP, it will not be mirrored to an EndpointSlice");
                mirrored.invalid += 1;
                mirrored.skipped += 1;
                continue;
            };
            taken += 1;
            let family = if ip.is_ipv6() { "IPv6" } else { "IPv4" };
            let target = address.target_ref.as_ref();
            let identity = (ip, target.map(|target| (target.namespace.clone(), target.name.clone())));
            // An address that is in both lists is not ready: those come last.
            by_identity.insert(identity, (family, endpoint(address, ip, ready)));
        }
        for (family, endpoint) in by_identity.into_values() {
            let group = mirrored.groups.entry((family, key.clone()));
            group.or_insert_with(|| (ports.clone(), Vec::new())).1.push(endpoint);
        }
    }
    mirrored
}

fn port(port: &SubsetPort) -> EndpointPort {
    EndpointPort {
        name: Some(port.name.clone().unwrap_or_default()),
        port: Some(port.port),
        protocol: port.protocol.clone().or_else(|| Some("TCP".into())),
        app_protocol: port.app_protocol.clone(),
    }
}

fn endpoint(address: &EndpointAddress, ip: IpAddr, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![ip.to_string()],
        conditions: Some(EndpointConditions { ready: Some(ready), ..Default::default() }),
        hostname: address.hostname.clone().filter(|name| !name.is_empty()),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Default::default()
    }
}

/// Go's `ParseIPSloppy`: Endpoints may hold numbers with leading zeros, slices may not. An IPv4 address in an IPv6 one is
/// an IPv4 address.
fn parse(text: &str) -> Option<IpAddr> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(ip.to_canonical());
    }
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let numbers: Vec<u8> =
        text.split('.').map(|part| part.parse().ok().filter(|_| digits(part))).collect::<Option<_>>()?;
    <[u8; 4]>::try_from(numbers).ok().map(|octets| Ipv4Addr::from(octets).into())
}

/// The writes that make `existing` hold `desired`. Slices whose ports went serve again for new ports.
pub(super) fn plan(source: &Endpoints, desired: &Groups, existing: &[Arc<EndpointSlice>]) -> Vec<Action> {
    let mut spare: Vec<&Arc<EndpointSlice>> =
        existing.iter().filter(|slice| slice.metadata.deletion_timestamp.is_none()).collect();
    let mut actions = Vec::new();
    let mut missing = Vec::new();
    for ((family, key), (ports, endpoints)) in desired {
        let fits = |slice: &&Arc<EndpointSlice>| {
            slice.address_type.as_deref() == Some(*family) && ports_key(&slice.ports) == *key
        };
        match spare.iter().position(fits) {
            Some(at) => {
                let slice = spare.remove(at);
                if !is_mirror(source, endpoints, slice) {
                    actions.push(update(source, slice, ports, endpoints));
                }
            }
            None => missing.push((*family, ports, endpoints)),
        }
    }
    for (family, ports, endpoints) in missing {
        match spare.iter().position(|slice| slice.address_type.as_deref() == Some(family)) {
            Some(at) => actions.push(update(source, spare.remove(at), ports, endpoints)),
            None if source.metadata.deletion_timestamp.is_some() => {}
            None => actions.push(Action::Create(json!({
                "metadata": {
                    "generateName": format!("{}-", source.metadata.name.as_deref().unwrap_or_default()),
                    "namespace": source.metadata.namespace,
                    "labels": labels(source),
                    "annotations": annotations(source),
                    "ownerReferences": [owners::reference(source)],
                },
                "addressType": family,
                "endpoints": endpoints,
                "ports": ports,
            }))),
        }
    }
    actions.extend(spare.into_iter().map(|slice| Action::Delete(slice.clone())));
    actions
}

type Texts = BTreeMap<String, String>;

fn labels(source: &Endpoints) -> Texts {
    let mut labels = source.metadata.labels.clone().unwrap_or_default();
    labels.insert(SERVICE_NAME.into(), source.metadata.name.clone().unwrap_or_default());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    labels
}

fn annotations(source: &Endpoints) -> Texts {
    let mut annotations = source.metadata.annotations.clone().unwrap_or_default();
    annotations.retain(|key, _| !NOT_COPIED.contains(&key.as_str()));
    annotations
}

fn update(
    source: &Endpoints,
    slice: &Arc<EndpointSlice>,
    ports: &[EndpointPort],
    endpoints: &[Endpoint],
) -> Action {
    let meta = &slice.metadata;
    let change = json!({
        "metadata": {
            "labels": merge(meta.labels.as_ref(), labels(source)),
            "annotations": merge(meta.annotations.as_ref(), annotations(source)),
            "ownerReferences": [owners::reference(source)],
        },
        "endpoints": endpoints,
        "ports": ports,
    });
    Action::Update(slice.clone(), change)
}

/// A merge patch from `old` to `new`: what is gone is null.
fn merge(old: Option<&Texts>, new: Texts) -> Map<String, Value> {
    let gone = old.into_iter().flatten().map(|(key, _)| (key.clone(), Value::Null));
    let mut patch: Map<String, Value> = gone.collect();
    patch.extend(new.into_iter().map(|(key, value)| (key, value.into())));
    patch
}

fn is_mirror(source: &Endpoints, endpoints: &[Endpoint], slice: &EndpointSlice) -> bool {
    let meta = &slice.metadata;
    // Endpoints that were deleted and written again are another owner, and slices would go with the first one. Slices
    // without owner are left so: the garbage collector takes the reference off when Endpoints are orphaning.
    let other_owner = meta.owner_references.iter().flatten().any(|owner| {
        owner.kind == "Endpoints"
            && Some(&owner.name) == source.metadata.name.as_ref()
            && Some(&owner.uid) != source.metadata.uid.as_ref()
    });
    let same_texts = |old: &Option<Texts>, new: Texts| old.clone().unwrap_or_default() == new;
    !other_owner
        && same_texts(&meta.labels, labels(source))
        && same_texts(&meta.annotations, annotations(source))
        && comparable(&slice.endpoints) == comparable(endpoints)
}

/// Without what changes and means nothing, in one order.
fn comparable(endpoints: &[Endpoint]) -> Vec<Endpoint> {
    let mut list = endpoints.to_vec();
    for endpoint in &mut list {
        if let Some(target) = &mut endpoint.target_ref {
            target.resource_version = None;
        }
    }
    list.sort_by_cached_key(|e| {
        (e.addresses.clone(), e.target_ref.as_ref().map(|t| (t.namespace.clone(), t.name.clone())))
    });
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(subsets: Value) -> Endpoints {
        serde_json::from_value(json!({
            "metadata": {"name": "db", "namespace": "d", "uid": "e1", "labels": {"team": "x"},
                "annotations": {"note": "n", "kubectl.kubernetes.io/last-applied-configuration": "{}"}},
            "subsets": subsets,
        }))
        .unwrap()
    }

    fn actions(source: &Endpoints, existing: &[Arc<EndpointSlice>]) -> Vec<Action> {
        plan(source, &desired(&source.subsets).groups, existing)
    }

    fn created(actions: Vec<Action>) -> Vec<Arc<EndpointSlice>> {
        let slice = |action| match action {
            Action::Create(object) => Arc::new(serde_json::from_value::<EndpointSlice>(object).unwrap()),
            other => unreachable!("{other:?}"),
        };
        actions.into_iter().map(slice).collect()
    }

    fn two_families(port: u16) -> Value {
        json!([{"addresses": [{"ip": "192.0.2.7", "nodeName": "n"}, {"ip": "2001:db8::1"}],
            "notReadyAddresses": [{"ip": "192.0.2.8"}], "ports": [{"name": "sql", "port": port, "protocol": "TCP"}]}])
    }

    #[test]
    fn a_subset_becomes_a_slice_for_each_family() {
        let source = source(two_families(5432));
        let actions = actions(&source, &[]);
        let [Action::Create(four), Action::Create(six)] = actions.as_slice() else {
            unreachable!("{actions:?}")
        };
        let wanted = json!({
            "metadata": {
                "generateName": "db-", "namespace": "d", "annotations": {"note": "n"},
                "labels": {"team": "x", "kubernetes.io/service-name": "db",
                    "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io"},
                "ownerReferences": [{"apiVersion": "v1", "kind": "Endpoints", "name": "db", "uid": "e1",
                    "controller": true, "blockOwnerDeletion": true}],
            },
            "addressType": "IPv4",
            "endpoints": [
                {"addresses": ["192.0.2.7"], "conditions": {"ready": true}, "nodeName": "n"},
                {"addresses": ["192.0.2.8"], "conditions": {"ready": false}},
            ],
            "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
        });
        assert_eq!(*four, wanted);
        assert_eq!(
            (&six["addressType"], &six["endpoints"][0]["addresses"][0]),
            (&json!("IPv6"), &json!("2001:db8::1"))
        );
    }

    #[test]
    fn slices_that_fit_stay_and_others_are_used_again_or_go() {
        let before = source(two_families(5432));
        let slices = created(actions(&before, &[]));
        assert!(actions(&before, &slices).is_empty());
        let changed = actions(&source(two_families(5433)), &slices);
        assert!(matches!(changed.as_slice(), [Action::Update(..), Action::Update(..)]), "{changed:?}");
        let only_four = source(json!([{"addresses": [{"ip": "192.0.2.7", "nodeName": "n"}],
            "notReadyAddresses": [{"ip": "192.0.2.8"}], "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}]}]));
        let fewer = actions(&only_four, &slices);
        assert!(
            matches!(fewer.as_slice(), [Action::Delete(six)] if six.address_type.as_deref() == Some("IPv6"))
        );
        assert!(matches!(
            actions(&source(json!(null)), &slices).as_slice(),
            [Action::Delete(_), Action::Delete(_)]
        ));
    }

    #[test]
    fn labels_annotations_and_owner_follow() {
        let mut source = source(two_families(1));
        let slices = created(actions(&source, &[]));
        source.metadata.labels = None;
        source.metadata.uid = Some("e2".into());
        let actions = actions(&source, &slices);
        let [Action::Update(_, change), Action::Update(..)] = actions.as_slice() else {
            unreachable!("{actions:?}")
        };
        assert_eq!(change["metadata"]["labels"]["team"], Value::Null);
        assert_eq!(change["metadata"]["labels"][SERVICE_NAME], "db");
        assert_eq!(change["metadata"]["ownerReferences"][0]["uid"], "e2");
    }

    #[test]
    fn addresses_beyond_a_thousand_and_wrong_ones_are_left_out() {
        let ready: Vec<_> =
            (0..990).map(|n| json!({"ip": format!("10.9.{}.{}", n / 250, n % 250)})).collect();
        let not_ready: Vec<_> = (0..20).map(|n| json!({"ip": format!("10.8.0.{n}")})).collect();
        let subsets = json!([{"addresses": ready, "notReadyAddresses": not_ready, "ports": [{"port": 1}]},
            {"addresses": [{"ip": "db.example"}, {"ip": "010.1.2.03"}, {"ip": "::ffff:10.1.2.4"}]}]);
        let mirrored = desired(&source(subsets).subsets);
        let groups: Vec<_> = mirrored.groups.values().collect();
        let [(no_ports, few), (_, many)] = groups.as_slice() else { unreachable!("{groups:?}") };
        assert!(no_ports.is_empty());
        assert_eq!(few.iter().map(|e| e.addresses[0].as_str()).collect::<Vec<_>>(), ["10.1.2.3", "10.1.2.4"]);
        let ready = |wanted: bool| {
            many.iter().filter(|e| e.conditions.as_ref().unwrap().ready == Some(wanted)).count()
        };
        assert_eq!((ready(true), ready(false)), (990, 10));
        let texts: Vec<_> = mirrored.complaints().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts[0], "Skipped 1 invalid IP addresses when mirroring to EndpointSlices");
        assert!(texts[1].ends_with("per Endpoints subset. 11 addresses were skipped"), "{}", texts[1]);
    }

    #[test]
    fn an_address_in_both_lists_is_not_ready() {
        let both = json!([{"addresses": [{"ip": "10.0.0.1"}], "notReadyAddresses": [{"ip": "10.0.0.1"}]}]);
        let mirrored = desired(&source(both).subsets);
        let endpoints: Vec<_> = mirrored.groups.values().flat_map(|(_, endpoints)| endpoints).collect();
        assert_eq!(endpoints.len(), 1);
        assert_eq!(endpoints[0].conditions.as_ref().unwrap().ready, Some(false));
    }

    #[test]
    fn leader_records_and_labelled_endpoints_are_not_mirrored() {
        let meta = |value: Value| serde_json::from_value::<ObjectMeta>(value).unwrap();
        assert!(wanted(&meta(json!({"labels": {SKIP: "false"}}))));
        assert!(!wanted(&meta(json!({"labels": {SKIP: "true"}}))));
        assert!(!wanted(&meta(json!({"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}}))));
    }
}
