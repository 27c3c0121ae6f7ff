//! Small defaults: DefaultIngressClass, TaintNodesByCondition.

use api::Value;
use serde_json::json;

use crate::storage::newest_default;
use crate::{at, items, object_mut, text};

/// DefaultIngressClass: an ingress that names no class gets the newest default one.
pub fn ingress_class(ingress: &mut Value, classes: &[Value]) {
    let named = at(ingress, &["spec", "ingressClassName"]).is_some()
        || at(ingress, &["metadata", "annotations", "kubernetes.io/ingress.class"]).is_some();
    if named {
        return;
    }
    if let Some(name) = newest_default(classes, &["ingressclass.kubernetes.io/is-default-class"])
        && let Some(spec) = object_mut(ingress, &["spec"])
    {
        spec.insert("ingressClassName".into(), name.into());
    }
}

/// TaintNodesByCondition: a new node takes no pods before the node controller has seen it ready.
pub fn not_ready_taint(node: &mut Value) {
    let key = "node.kubernetes.io/not-ready";
    let tainted = items(node, &["spec", "taints"])
        .iter()
        .any(|t| text(t, &["key"]) == key && text(t, &["effect"]) == "NoSchedule");
    if tainted {
        return;
    }
    let taint = json!({"key": key, "effect": "NoSchedule"});
    let Some(spec) = object_mut(node, &["spec"]) else { return };
    match spec.get_mut("taints") {
        Some(Value::Array(list)) => list.push(taint),
        _ => {
            spec.insert("taints".into(), json!([taint]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_tainted_once() {
        let mut node = json!({"metadata": {"name": "n"}});
        not_ready_taint(&mut node);
        not_ready_taint(&mut node);
        assert_eq!(node["spec"]["taints"].as_array().map(Vec::len), Some(1));
    }
}
