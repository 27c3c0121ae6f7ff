//! Endpoint slices: upstream's `pkg/registry/discovery/endpointslice/strategy.go`.

use api::Value;

use crate::registry::obj;
use crate::registry::resource::Resource;

const HOST_NAME: &str = "kubernetes.io/hostname";

/// Labels count as a change of what was asked for.
pub(super) fn labels_changed(object: &Value, old: &Value) -> bool {
    let labels = |v| obj::at(v, "metadata.labels");
    !obj::same(labels(object), labels(old))
}

/// `dropTopologyOnV1`: who writes endpoints through v1 writes no topology. A node that the old object named there is
/// named by `nodeName`.
pub(super) fn drop_topology(resource: &Resource, object: &mut Value, old: Option<&Value>) {
    if resource.version == "v1beta1" || old.is_some_and(|old| old.get("endpoints") == object.get("endpoints"))
    {
        return;
    }
    let before: Vec<&str> = endpoints(old).filter_map(topology_node).collect();
    for endpoint in object.get_mut("endpoints").and_then(Value::as_array_mut).into_iter().flatten() {
        let node = topology_node(endpoint).filter(|n| before.contains(n)).map(str::to_owned);
        let Some(endpoint) = endpoint.as_object_mut() else { continue };
        if let Some(node) = node.filter(|n| validation::dns_subdomain_faults(n).is_empty()) {
            endpoint.entry("nodeName").or_insert_with(|| node.into());
        }
        endpoint.remove("deprecatedTopology");
    }
}

fn endpoints(slice: Option<&Value>) -> impl Iterator<Item = &Value> {
    slice.and_then(|s| s.get("endpoints")).and_then(Value::as_array).into_iter().flatten()
}

fn topology_node(endpoint: &Value) -> Option<&str> {
    endpoint.get("deprecatedTopology")?.get(HOST_NAME)?.as_str().filter(|n| !n.is_empty())
}
