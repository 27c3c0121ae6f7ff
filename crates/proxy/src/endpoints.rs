//! Which endpoints a service's traffic may reach from this node (upstream's `pkg/proxy/topology.go`, without hints).

use crate::model::{Endpoint, ServicePort};

/// The answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reachable<'a> {
    /// For traffic that may go to any node.
    pub(crate) cluster: Vec<&'a Endpoint>,
    /// For traffic that must stay on this node.
    pub(crate) local: Vec<&'a Endpoint>,
    /// Both together, once each.
    pub(crate) all: Vec<&'a Endpoint>,
    /// Whether any endpoint could be used from anywhere.
    pub(crate) any: bool,
}

/// Ready endpoints, or, when there are none, those that still answer on their way out; for both policies separately.
pub(crate) fn categorize<'a>(endpoints: &'a [Endpoint], service: &ServicePort) -> Reachable<'a> {
    let ready = |endpoint: &Endpoint| endpoint.ready;
    let leaving = |endpoint: &Endpoint| endpoint.serving && endpoint.terminating;
    let usable = |wanted: &dyn Fn(&Endpoint) -> bool| -> Vec<&'a Endpoint> {
        let of = |state: &dyn Fn(&Endpoint) -> bool| {
            endpoints.iter().filter(|endpoint| wanted(endpoint) && state(endpoint)).collect::<Vec<_>>()
        };
        let best = of(&ready);
        if best.is_empty() { of(&leaving) } else { best }
    };
    let mut found = Reachable::default();
    if service.uses_cluster_endpoints() {
        found.cluster = usable(&|_| true);
        found.any = !found.cluster.is_empty();
    }
    if service.uses_local_endpoints() {
        found.local = usable(&|endpoint| endpoint.local);
        found.any |= endpoints.iter().any(|endpoint| ready(endpoint) || leaving(endpoint));
    }
    found.all = found.cluster.iter().chain(&found.local).copied().collect();
    found.all.sort();
    found.all.dedup();
    found
}
