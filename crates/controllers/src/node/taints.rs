//! Taints that follow from a node's conditions.

use k8s_openapi::api::core::v1::{NodeCondition, Taint, Toleration};

use crate::views::Node;

pub(crate) const NOT_READY: &str = "node.kubernetes.io/not-ready";
pub(crate) const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Pressure conditions and their taints.
const PRESSURES: [(&str, &str); 4] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "node.kubernetes.io/network-unavailable"),
];

/// A condition by type.
pub(crate) fn condition<'a>(conditions: &'a [NodeCondition], kind: &str) -> Option<&'a NodeCondition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

fn is_managed(taint: &Taint) -> bool {
    let key = taint.key.as_str();
    let pressure = PRESSURES.iter().any(|(_, known)| *known == key);
    match taint.effect.as_str() {
        "NoSchedule" => pressure || [NOT_READY, UNREACHABLE, UNSCHEDULABLE].contains(&key),
        "NoExecute" => [NOT_READY, UNREACHABLE].contains(&key),
        _ => false,
    }
}

/// The taints a node shall have: those of others stay, ours follow from the conditions. `None` when they are so.
pub(crate) fn wanted(node: &Node, conditions: &[NodeCondition], now: &jiff::Timestamp) -> Option<Vec<Taint>> {
    let mut ours: Vec<(&str, &str)> = Vec::new();
    let lost = match condition(conditions, "Ready").map(|ready| ready.status.as_str()) {
        Some("False") => Some(NOT_READY),
        Some("Unknown") => Some(UNREACHABLE),
        _ => None,
    };
    if let Some(key) = lost {
        ours.push((key, "NoSchedule"));
        ours.push((key, "NoExecute"));
    }
    for (kind, key) in PRESSURES {
        if condition(conditions, kind).is_some_and(|condition| condition.status == "True") {
            ours.push((key, "NoSchedule"));
        }
    }
    if node.spec.unschedulable == Some(true) {
        ours.push((UNSCHEDULABLE, "NoSchedule"));
    }
    let have = &node.spec.taints;
    let mut taints: Vec<Taint> = have
        .iter()
        .filter(|taint| !is_managed(taint) || ours.contains(&(taint.key.as_str(), taint.effect.as_str())))
        .cloned()
        .collect();
    for (key, effect) in ours {
        if !taints.iter().any(|taint| taint.key == key && taint.effect == effect) {
            taints.push(Taint {
                key: key.into(),
                effect: effect.into(),
                // Evictions are counted from here.
                time_added: (effect == "NoExecute")
                    .then_some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(*now)),
                value: None,
            });
        }
    }
    (taints != *have).then_some(taints)
}

/// Whether a toleration stands a taint.
pub(crate) fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (effect, key) = (text(&toleration.effect), text(&toleration.key));
    if !effect.is_empty() && effect != taint.effect || !key.is_empty() && key != taint.key {
        return false;
    }
    match toleration.operator.as_deref().unwrap_or("Equal") {
        "Exists" => true,
        "" | "Equal" => !key.is_empty() && text(&toleration.value) == text(&taint.value),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn taints_follow_conditions_and_leave_others_alone() {
        let node: Node = serde_json::from_value(json!({"spec": {"taints": [
            {"key": "mine", "effect": "NoExecute"}, {"key": NOT_READY, "effect": "NoSchedule"}]}}))
        .unwrap();
        let now = client::clock::now();
        let conditions = |ready: &str| -> Vec<NodeCondition> {
            serde_json::from_value(
                json!([{"type": "Ready", "status": ready}, {"type": "DiskPressure", "status": "True"}]),
            )
            .unwrap()
        };
        let names =
            |taints: Vec<Taint>| taints.iter().map(|t| format!("{}:{}", t.key, t.effect)).collect::<Vec<_>>();
        let unknown = names(wanted(&node, &conditions("Unknown"), &now).unwrap());
        assert_eq!(unknown[0], "mine:NoExecute");
        assert!(
            unknown.contains(&format!("{UNREACHABLE}:NoExecute"))
                && !unknown.iter().any(|t| t.contains("not-ready"))
        );
        let ready = names(wanted(&node, &conditions("True"), &now).unwrap());
        assert_eq!(ready, ["mine:NoExecute", "node.kubernetes.io/disk-pressure:NoSchedule"]);
    }
}
