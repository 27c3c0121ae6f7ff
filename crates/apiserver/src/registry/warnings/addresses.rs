//! Addresses and networks that are written in a way that not everybody reads alike.

use api::Value;

use crate::registry::obj;

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Whether the object is its controller's, which writes addresses well.
fn managed_by(object: &Value, label: &str, controllers: &[&str]) -> bool {
    let labels = obj::at(object, "metadata.labels");
    let by = labels.and_then(|l| l.get(label)).and_then(Value::as_str);
    by.is_some_and(|by| controllers.contains(&by))
}

/// Appends the warnings about an EndpointSlice.
pub(super) fn slice(out: &mut Vec<String>, object: &Value) {
    const CONTROLLERS: [&str; 2] =
        ["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"];
    if managed_by(object, "endpointslice.kubernetes.io/managed-by", &CONTROLLERS) {
        return;
    }
    for (i, endpoint) in list(object, "endpoints").iter().enumerate() {
        for (j, address) in obj::strings(endpoint.get("addresses")).iter().enumerate() {
            out.extend(validation::ip_warning(&format!("endpoints[{i}].addresses[{j}]"), address));
        }
    }
}

/// Appends the warnings about Endpoints.
pub(super) fn endpoints(out: &mut Vec<String>, object: &Value) {
    if managed_by(object, "endpoints.kubernetes.io/managed-by", &["endpoint-controller"]) {
        return;
    }
    for (i, subset) in list(object, "subsets").iter().enumerate() {
        for field in ["addresses", "notReadyAddresses"] {
            for (j, address) in list(subset, field).iter().enumerate() {
                let ip = address.get("ip").and_then(Value::as_str).unwrap_or_default();
                out.extend(validation::ip_warning(&format!("subsets[{i}].{field}[{j}].ip"), ip));
            }
        }
    }
}

/// Appends the warnings about a NetworkPolicy.
pub(super) fn policy(out: &mut Vec<String>, object: &Value) {
    let Some(spec) = object.get("spec") else { return };
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        for (i, rule) in list(spec, rules).iter().enumerate() {
            for (j, peer) in list(rule, peers).iter().enumerate() {
                let Some(block) = peer.get("ipBlock").filter(|b| !b.is_null()) else { continue };
                let path = format!("spec.{rules}[{i}].{peers}[{j}].ipBlock");
                let cidr = block.get("cidr").and_then(Value::as_str).unwrap_or_default();
                out.extend(validation::cidr_warnings(&format!("{path}.cidr"), cidr));
                for (k, except) in obj::strings(block.get("except")).iter().enumerate() {
                    out.extend(validation::cidr_warnings(&format!("{path}.except[{k}]"), except));
                }
            }
        }
    }
}
