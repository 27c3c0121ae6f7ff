//! Fields of services that only some types have (`dropTypeDependentFields`).

use std::collections::HashSet;

use api::Value;
use serde_json::json;

use crate::registry::obj;

fn kind(service: &Value) -> &str {
    obj::text_at(service, "spec.type")
}

fn spec_field<'a>(service: &'a Value, name: &str) -> Option<&'a Value> {
    obj::at(service, "spec").and_then(|spec| spec.get(name)).filter(|v| !v.is_null())
}

fn ports(service: &Value) -> &[Value] {
    spec_field(service, "ports").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn node_ports(service: &Value) -> HashSet<i64> {
    ports(service).iter().filter_map(|p| p.get("nodePort")?.as_i64()).filter(|n| *n != 0).collect()
}

fn balanced(service: &Value) -> bool {
    kind(service) == "LoadBalancer"
}

fn health_checked(service: &Value) -> bool {
    balanced(service) && obj::text_at(service, "spec.externalTrafficPolicy") == "Local"
}

/// `ExternallyAccessible`.
fn accessible(service: &Value) -> bool {
    match kind(service) {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !obj::strings(spec_field(service, "externalIPs")).is_empty(),
        _ => false,
    }
}

/// When a service's type changes, fields that the new type lacks go, unless the client changed them too: then
/// validation refuses them.
pub(super) fn drop_type_dependent(service: &mut Value, old: &Value) {
    let same = |service: &Value, field: &str| obj::same(spec_field(service, field), spec_field(old, field));
    let mut drop: Vec<&str> = Vec::new();
    if kind(old) != "ExternalName" && kind(service) == "ExternalName" {
        if same(service, "clusterIP") && same(service, "clusterIPs") {
            drop.extend(["clusterIP", "clusterIPs"]);
        }
        drop.extend(["ipFamilies", "ipFamilyPolicy"].into_iter().filter(|f| same(service, f)));
    }
    let has_node_ports = |s: &Value| matches!(kind(s), "NodePort" | "LoadBalancer");
    let lost_ports = has_node_ports(old) && !has_node_ports(service);
    if lost_ports && node_ports(service).is_subset(&node_ports(old)) {
        let list = obj::child_mut(service, "spec").get_mut("ports").and_then(Value::as_array_mut);
        for port in list.into_iter().flatten().filter_map(Value::as_object_mut) {
            port.remove("nodePort");
        }
    }
    if health_checked(old) && !health_checked(service) && same(service, "healthCheckNodePort") {
        drop.push("healthCheckNodePort");
    }
    if balanced(old) && !balanced(service) {
        let fields = ["allocateLoadBalancerNodePorts", "loadBalancerClass"];
        drop.extend(fields.into_iter().filter(|f| same(service, f)));
    }
    if accessible(old) && !accessible(service) && same(service, "externalTrafficPolicy") {
        drop.push("externalTrafficPolicy");
    }
    let spec = obj::child_mut(service, "spec");
    for field in drop {
        spec.remove(field);
    }
    if !balanced(service) {
        obj::child_mut(service, "status").insert("loadBalancer".into(), json!({}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All address fields of a service that became an external name were dropped, those of the client too.
    #[test]
    fn only_what_the_client_left_alone_goes() {
        let old = json!({"spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "externalTrafficPolicy": "Local",
            "healthCheckNodePort": 30001, "ports": [{"port": 1, "nodePort": 30002}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}});
        let mut new = old.clone();
        new["spec"]["type"] = "ExternalName".into();
        new["spec"]["ipFamilyPolicy"] = "PreferDualStack".into();
        drop_type_dependent(&mut new, &old);
        assert_eq!(
            new,
            json!({"spec": {"type": "ExternalName", "ipFamilyPolicy": "PreferDualStack", "ports": [{"port": 1}]},
                "status": {"loadBalancer": {}}})
        );
    }
}
