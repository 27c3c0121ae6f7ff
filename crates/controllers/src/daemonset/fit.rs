//! Which nodes a daemon pod belongs on.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm, Toleration};
use serde_json::{Value, json};

use crate::history;
use crate::labels::Labels;
use crate::node::taints;
use crate::views::{Node, Pod};

/// What the template says about nodes.
pub(super) struct Fitness {
    node_name: Option<String>,
    node_selector: Labels,
    affinity: Option<NodeAffinity>,
    tolerations: Vec<Toleration>,
}

/// Taints that daemon pods stand without saying so.
fn standard_tolerations(host_network: bool) -> Vec<Value> {
    let tolerate = |key: &str, effect: &str| json!({ "key": format!("node.kubernetes.io/{key}"), "operator": "Exists", "effect": effect });
    let mut all = vec![
        tolerate("not-ready", "NoExecute"),
        tolerate("unreachable", "NoExecute"),
        tolerate("disk-pressure", "NoSchedule"),
        tolerate("memory-pressure", "NoSchedule"),
        tolerate("pid-pressure", "NoSchedule"),
        tolerate("unschedulable", "NoSchedule"),
    ];
    if host_network {
        all.push(tolerate("network-unavailable", "NoSchedule"));
    }
    all
}

fn read<T: serde::de::DeserializeOwned + Default>(template: &Value, path: &str) -> T {
    template.pointer(path).and_then(|value| serde_json::from_value(value.clone()).ok()).unwrap_or_default()
}

/// Reads a template.
pub(super) fn of(template: &Value) -> Fitness {
    let mut tolerations: Vec<Toleration> = read(template, "/spec/tolerations");
    let host_network: bool = read(template, "/spec/hostNetwork");
    let standard = Value::Array(standard_tolerations(host_network));
    tolerations.extend(serde_json::from_value::<Vec<Toleration>>(standard).unwrap_or_default());
    Fitness {
        node_name: read::<Option<String>>(template, "/spec/nodeName").filter(|name| !name.is_empty()),
        node_selector: read(template, "/spec/nodeSelector"),
        affinity: read(template, "/spec/affinity/nodeAffinity"),
        tolerations,
    }
}

impl Fitness {
    /// Whether a pod should be on the node, and whether one that is may stay.
    pub(super) fn on(&self, node: &Node) -> (bool, bool) {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        if self.node_name.as_deref().is_some_and(|wanted| wanted != name) || !self.affinity_fits(node) {
            return (false, false);
        }
        let stands = |effects: &[&str]| {
            let mut taints = node.spec.taints.iter().filter(|taint| effects.contains(&taint.effect.as_str()));
            taints.all(|taint| self.tolerations.iter().any(|toleration| taints::tolerates(toleration, taint)))
        };
        (stands(&["NoSchedule", "NoExecute"]), stands(&["NoExecute"]))
    }

    fn affinity_fits(&self, node: &Node) -> bool {
        let none = Labels::new();
        let labels = node.metadata.labels.as_ref().unwrap_or(&none);
        if !crate::labels::contains(Some(labels), &self.node_selector) {
            return false;
        }
        let required = self
            .affinity
            .as_ref()
            .and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
        let Some(required) = required else { return true };
        let name: Labels =
            [("metadata.name".to_owned(), node.metadata.name.clone().unwrap_or_default())].into();
        required.node_selector_terms.iter().any(|term| term_fits(term, labels, &name))
    }
}

fn term_fits(term: &NodeSelectorTerm, labels: &Labels, fields: &Labels) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let on_fields = term.match_fields.as_deref().unwrap_or_default();
    if expressions.is_empty() && on_fields.is_empty() {
        return false;
    }
    expressions.iter().all(|requirement| holds(requirement, labels))
        && on_fields.iter().all(|requirement| holds(requirement, fields))
}

fn holds(requirement: &NodeSelectorRequirement, labels: &Labels) -> bool {
    let value = labels.get(&requirement.key);
    let values = requirement.values.as_deref().unwrap_or_default();
    let compare = |test: fn(i64, i64) -> bool| {
        let numbers =
            value.and_then(|v| v.parse::<i64>().ok()).zip(values.first().and_then(|v| v.parse::<i64>().ok()));
        numbers.is_some_and(|(have, limit)| test(have, limit))
    };
    match requirement.operator.as_str() {
        "In" => value.is_some_and(|value| values.contains(value)),
        "NotIn" => !value.is_some_and(|value| values.contains(value)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compare(|have, limit| have > limit),
        "Lt" => compare(|have, limit| have < limit),
        _ => false,
    }
}

/// The node that a daemon pod is on, or that its affinity names.
pub(super) fn node_of(pod: &Pod) -> Option<String> {
    if let Some(name) = pod.spec.node_name.clone().filter(|name| !name.is_empty()) {
        return Some(name);
    }
    let affinity = pod.spec.affinity.as_ref()?.node_affinity.as_ref()?;
    let required = affinity.required_during_scheduling_ignored_during_execution.as_ref()?;
    let fields = required.node_selector_terms.iter().flat_map(|term| term.match_fields.iter().flatten());
    let named = fields.filter(|field| field.key == "metadata.name" && field.operator == "In");
    named.filter_map(|field| field.values.as_ref()?.first().cloned()).next()
}

/// Binds a pod from the template to a node: by affinity, so that the scheduler places it.
pub(super) fn pod_for(mut pod: Value, node: &str, hash: &str) -> Value {
    let field = json!([{ "key": "metadata.name", "operator": "In", "values": [node] }]);
    let required =
        &mut pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    match required
        .pointer_mut("/nodeSelectorTerms")
        .and_then(Value::as_array_mut)
        .filter(|terms| !terms.is_empty())
    {
        Some(terms) => terms.iter_mut().for_each(|term| term["matchFields"] = field.clone()),
        None => *required = json!({ "nodeSelectorTerms": [{ "matchFields": field }] }),
    }
    let host_network = pod["spec"]["hostNetwork"] == true;
    let mut tolerations = pod["spec"]["tolerations"].as_array().cloned().unwrap_or_default();
    for standard in standard_tolerations(host_network) {
        if !tolerations.contains(&standard) {
            tolerations.push(standard);
        }
    }
    pod["spec"]["tolerations"] = tolerations.into();
    pod["metadata"]["labels"][history::LABEL] = hash.into();
    pod
}

/// Sorts pods so that the one to keep comes first: on a node, then oldest.
pub(super) fn oldest_first(pods: &mut [&Arc<Pod>]) {
    pods.sort_by_key(|pod| {
        let waiting = pod.spec.node_name.as_ref().is_none_or(String::is_empty);
        (waiting, pod.metadata.creation_timestamp.as_ref().map(|time| time.0), pod.metadata.name.clone())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_chosen_by_selector_affinity_and_taints() {
        let node = |labels: Value, taints: Value| -> Node {
            serde_json::from_value(
                json!({"metadata": {"name": "n1", "labels": labels}, "spec": {"taints": taints}}),
            )
            .unwrap()
        };
        let fitness = of(&json!({"spec": {"nodeSelector": {"disk": "ssd"}}}));
        assert_eq!(fitness.on(&node(json!({"disk": "ssd"}), json!([]))), (true, true));
        assert_eq!(fitness.on(&node(json!({}), json!([]))), (false, false));
        let cordoned = json!([{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]);
        assert_eq!(fitness.on(&node(json!({"disk": "ssd"}), cordoned)), (true, true));
        let reserved = json!([{"key": "mine", "effect": "NoSchedule"}]);
        assert_eq!(fitness.on(&node(json!({"disk": "ssd"}), reserved)), (false, true));
        let pod: Pod = serde_json::from_value(pod_for(json!({"spec": {}}), "n1", "h")).unwrap();
        assert_eq!(node_of(&pod).as_deref(), Some("n1"));
        assert_eq!(pod.metadata.labels.unwrap()[history::LABEL], "h");
    }
}
