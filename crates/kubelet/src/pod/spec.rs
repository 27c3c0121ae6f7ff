//! Questions about a pod's specification.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use crate::quantity;

/// The specification; an empty one when missing.
pub fn of(pod: &Pod) -> &PodSpec {
    static EMPTY: std::sync::OnceLock<PodSpec> = std::sync::OnceLock::new();
    pod.spec.as_ref().unwrap_or_else(|| EMPTY.get_or_init(PodSpec::default))
}

/// Init containers.
pub fn init_containers(pod: &Pod) -> &[Container] {
    of(pod).init_containers.as_deref().unwrap_or_default()
}

/// All containers by name, init ones first.
pub fn all(pod: &Pod) -> impl Iterator<Item = &Container> {
    init_containers(pod).iter().chain(&of(pod).containers)
}

/// One container by name.
pub fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a Container> {
    all(pod).find(|c| c.name == name)
}

/// A restartable init container.
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// May this container be started again after `exit_code`?
pub fn restarts(pod: &Pod, container: &Container, exit_code: i32) -> bool {
    if is_sidecar(container) {
        return true;
    }
    match of(pod).restart_policy.as_deref() {
        Some("Never") => false,
        Some("OnFailure") => exit_code != 0,
        _ => true,
    }
}

/// Shares the node's network namespace.
pub fn host_network(pod: &Pod) -> bool {
    of(pod).host_network.unwrap_or_default()
}

/// Has the pod ended for good, as far as its object says?
pub fn is_terminal(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Seconds between asking a container to end and killing it.
pub fn grace_seconds(pod: &Pod) -> i64 {
    let deletion = pod.metadata.deletion_grace_period_seconds;
    deletion.or(of(pod).termination_grace_period_seconds).unwrap_or(30).max(1)
}

/// `Guaranteed`, `Burstable` or `BestEffort` (upstream's `ComputePodQOS`).
pub fn qos_class(pod: &Pod) -> &'static str {
    let supported = |name: &&String| matches!(name.as_str(), "cpu" | "memory");
    let (mut any, mut guaranteed) = (false, true);
    for container in all(pod) {
        let resources = container.resources.clone().unwrap_or_default();
        let (requests, limits) =
            (resources.requests.unwrap_or_default(), resources.limits.unwrap_or_default());
        let positive = |q| quantity::milli(q).is_some_and(|m| m > 0);
        any |= requests.iter().chain(&limits).any(|(name, q)| supported(&name) && positive(q));
        guaranteed &= ["cpu", "memory"].iter().all(|name| {
            let limit = limits.get(*name).and_then(quantity::milli).filter(|m| *m > 0);
            let request = requests.get(*name).and_then(quantity::milli).or(limit);
            limit.is_some() && request == limit
        });
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(resources: serde_json::Value) -> Pod {
        let spec = json!({"spec": {"containers": [{"name": "a", "resources": resources}]}});
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn qos_classes_are_upstreams() {
        assert_eq!(qos_class(&pod(json!({}))), "BestEffort");
        assert_eq!(qos_class(&pod(json!({"requests": {"cpu": "1"}}))), "Burstable");
        assert_eq!(qos_class(&pod(json!({"limits": {"cpu": "1", "memory": "1Gi"}}))), "Guaranteed");
        let unequal = json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}});
        assert_eq!(qos_class(&pod(unequal)), "Burstable");
    }
}
