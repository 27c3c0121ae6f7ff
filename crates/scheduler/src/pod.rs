//! A pod with everything worked out that scheduling asks for again and again (upstream's `framework.PodInfo`).

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    api::core::v1::{Affinity, PodAffinityTerm, Taint},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use crate::{
    resources::{Resources, nonzero_requests, requests},
    selector::{Labels, matches, node_matches, tolerates},
    views::Pod,
};

/// A pod, prepared.
#[derive(Debug)]
pub struct PodInfo {
    /// The pod itself.
    pub pod: Arc<Pod>,
    /// What it needs.
    pub requests: Resources,
    /// What it counts as when nodes are compared.
    pub nonzero: Resources,
    /// Ports of the node that it takes.
    pub host_ports: Vec<HostPort>,
    /// Pods that it must be near.
    pub required_affinity: Vec<Term>,
    /// Pods that it must not be near.
    pub required_anti_affinity: Vec<Term>,
    /// Pods that it likes (positive weight) or dislikes (negative).
    pub preferred: Vec<(i64, Term)>,
    /// The controller that made it; its siblings are spread.
    pub owner: Option<Arc<str>>,
}

/// A port of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// The address, `0.0.0.0` for all.
    pub ip: String,
    /// The port.
    pub port: u16,
}

impl HostPort {
    /// Whether both cannot be used on one node.
    pub fn conflicts(&self, other: &Self) -> bool {
        const ALL: &str = "0.0.0.0";
        self.port == other.port
            && self.protocol == other.protocol
            && (self.ip == other.ip || self.ip == ALL || other.ip == ALL)
    }
}

/// A term of pod affinity or anti-affinity.
#[derive(Clone, Debug)]
pub struct Term {
    namespaces: Vec<String>,
    namespace_selector: Option<LabelSelector>,
    selector: Option<LabelSelector>,
    /// The label that makes nodes one place.
    pub topology_key: String,
}

impl Term {
    fn new(term: &PodAffinityTerm, own_namespace: &str) -> Self {
        let mut namespaces = term.namespaces.clone().unwrap_or_default();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.push(own_namespace.to_owned());
        }
        Self {
            namespaces,
            namespace_selector: term.namespace_selector.clone(),
            selector: term.label_selector.clone(),
            topology_key: term.topology_key.clone(),
        }
    }

    /// Whether the term means this pod. `namespaces` are the labels of all namespaces.
    pub fn matches(&self, pod: &Pod, namespaces: &BTreeMap<String, Labels>) -> bool {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let none = Labels::new();
        let here = self.namespaces.iter().any(|name| name == namespace)
            || self
                .namespace_selector
                .as_ref()
                .is_some_and(|selector| matches(Some(selector), namespaces.get(namespace).unwrap_or(&none)));
        here && matches(self.selector.as_ref(), pod.metadata.labels.as_ref().unwrap_or(&none))
    }
}

impl PodInfo {
    /// Works out a pod.
    pub fn new(pod: Arc<Pod>) -> Self {
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let spec = &pod.spec;
        let terms = |terms: Option<&Vec<PodAffinityTerm>>| -> Vec<Term> {
            terms.into_iter().flatten().map(|term| Term::new(term, &namespace)).collect()
        };
        let near = spec.affinity.as_ref().and_then(|affinity| affinity.pod_affinity.as_ref());
        let far = spec.affinity.as_ref().and_then(|affinity| affinity.pod_anti_affinity.as_ref());
        let mut preferred = Vec::new();
        for weighted in near
            .iter()
            .filter_map(|a| a.preferred_during_scheduling_ignored_during_execution.as_ref())
            .flatten()
        {
            preferred.push((i64::from(weighted.weight), Term::new(&weighted.pod_affinity_term, &namespace)));
        }
        for weighted in far
            .iter()
            .filter_map(|a| a.preferred_during_scheduling_ignored_during_execution.as_ref())
            .flatten()
        {
            preferred.push((-i64::from(weighted.weight), Term::new(&weighted.pod_affinity_term, &namespace)));
        }
        let owners = pod.metadata.owner_references.iter().flatten();
        let owner = owners
            .into_iter()
            .find(|owner| owner.controller == Some(true))
            .map(|owner| owner.uid.as_str().into());
        Self {
            requests: requests(spec),
            nonzero: nonzero_requests(spec),
            host_ports: host_ports(&pod),
            required_affinity: terms(
                near.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref()),
            ),
            required_anti_affinity: terms(
                far.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref()),
            ),
            preferred,
            owner,
            pod,
        }
    }

    /// Whether other pods' places matter to it, or its place to them.
    pub fn has_affinity(&self) -> bool {
        !self.required_affinity.is_empty()
            || !self.required_anti_affinity.is_empty()
            || !self.preferred.is_empty()
    }

    /// The pod's labels.
    pub fn labels(&self) -> &Labels {
        static NONE: Labels = Labels::new();
        self.pod.metadata.labels.as_ref().unwrap_or(&NONE)
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// Whether node selector and required node affinity allow a node.
    pub fn allows_node(&self, name: &str, labels: &Labels) -> bool {
        if !self.pod.spec.node_selector.iter().all(|(key, value)| labels.get(key) == Some(value)) {
            return false;
        }
        let node_affinity = |affinity: &Affinity| {
            affinity.node_affinity.as_ref()?.required_during_scheduling_ignored_during_execution.clone()
        };
        let Some(affinity) = &self.pod.spec.affinity else { return true };
        if affinity.node_affinity.is_none() {
            return true;
        }
        node_affinity(affinity).is_none_or(|required| node_matches(&required, name, labels))
    }

    /// Whether the taints that keep pods away are all tolerated.
    pub fn tolerates_taints(&self, taints: &[Taint]) -> bool {
        taints
            .iter()
            .filter(|taint| taint.effect == "NoSchedule" || taint.effect == "NoExecute")
            .all(|taint| tolerates(&self.pod.spec.tolerations, taint))
    }
}

fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let sidecars = pod.spec.init_containers.iter().filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let containers = pod.spec.containers.iter().chain(sidecars);
    containers
        .flat_map(|container| &container.ports)
        .filter_map(|port| {
            let number = match port.host_port {
                // On the host's network every port is the host's.
                0 if pod.spec.host_network => port.container_port,
                other => other,
            };
            let or = |text: &str, default: &str| {
                if text.is_empty() { default.to_owned() } else { text.to_owned() }
            };
            (number > 0).then(|| HostPort {
                protocol: or(&port.protocol, "TCP"),
                ip: or(&port.host_ip, "0.0.0.0"),
                port: number,
            })
        })
        .collect()
}
