//! CPU, memory and who dies first (upstream's `cm.MilliCPUToShares`, `qos.GetContainerOOMScoreAdjust`).

use k8s_openapi::api::core::v1::{Container, Pod};

use super::spec;
use crate::quantity;

/// What Docker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Relative weight.
    pub cpu_shares: i64,
    /// Microseconds per 100 ms, 0 for no limit.
    pub cpu_quota: i64,
    /// Bytes, 0 for no limit.
    pub memory: i64,
    /// Who is killed first.
    pub oom_score_adj: i64,
}

/// A sandbox is never the one to kill.
pub const SANDBOX_OOM_SCORE_ADJ: i64 = -998;

/// Of one container on a node with this much memory.
pub fn limits(pod: &Pod, container: &Container, node_memory: i64, enforce_quota: bool) -> Limits {
    let resources = container.resources.clone().unwrap_or_default();
    let (requests, limits) = (resources.requests.unwrap_or_default(), resources.limits.unwrap_or_default());
    let cpu_limit = limits.get("cpu").and_then(quantity::milli).unwrap_or(0);
    let cpu_request = requests.get("cpu").and_then(quantity::milli).unwrap_or(cpu_limit);
    let memory = limits.get("memory").and_then(quantity::value).unwrap_or(0);
    let memory_request = requests.get("memory").and_then(quantity::value).unwrap_or(memory);
    let oom_score_adj = match spec::qos_class(pod) {
        "Guaranteed" => -997,
        "BestEffort" => 1000,
        // The more was asked for, the later; never among the guaranteed nor the last.
        _ => (1000 - 1000 * memory_request / node_memory.max(1)).clamp(3, 999),
    };
    Limits {
        cpu_shares: (cpu_request * 1024 / 1000).clamp(2, 262_144),
        cpu_quota: if enforce_quota && cpu_limit > 0 { (cpu_limit * 100).max(1000) } else { 0 },
        memory,
        oom_score_adj,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn limits_are_upstreams() {
        let of = |resources: serde_json::Value| {
            let pod = json!({"spec": {"containers": [{"name": "a", "resources": resources}]}});
            let pod: Pod = serde_json::from_value(pod).unwrap();
            limits(&pod, &spec::of(&pod).containers[0], 1 << 30, true)
        };
        assert_eq!(of(json!({})), Limits { cpu_shares: 2, cpu_quota: 0, memory: 0, oom_score_adj: 1000 });
        let burstable =
            of(json!({"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"cpu": "500m"}}));
        assert_eq!(burstable, Limits { cpu_shares: 256, cpu_quota: 50_000, memory: 0, oom_score_adj: 500 });
        assert_eq!(of(json!({"limits": {"cpu": "1", "memory": "64Mi"}})).oom_score_adj, -997);
    }
}
