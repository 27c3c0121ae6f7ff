//! Objects that every cluster has from its first second (upstream's post-start hooks): the two priority classes of the
//! system and the range of cluster addresses.

use api::status::ApiError;
use serde_json::json;

use crate::Server;
use crate::bootstrap::ensure;

/// Creates them.
pub async fn seed(server: &Server) -> Result<(), ApiError> {
    let classes = server.registry().builtin("scheduling.k8s.io", "priorityclasses")?;
    for (name, value, purpose) in [
        (
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
        (
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
        ),
    ] {
        let object = json!({
            "metadata": {"generation": 1}, "value": value, "description": purpose,
            "preemptionPolicy": "PreemptLowerPriority",
        });
        ensure(server, &classes, "", name, object).await?;
    }
    let Ok(ranges) = server.registry().builtin("networking.k8s.io", "servicecidrs") else { return Ok(()) };
    let range = server.allocators().network().to_string();
    let object = json!({
        "metadata": {"finalizers": ["networking.k8s.io/service-cidr-finalizer"]}, "spec": {"cidrs": [range]},
        "status": {"conditions": [{
            "type": "Ready", "status": "True", "lastTransitionTime": crate::registry::obj::now(), "reason": "",
            "message": "Kubernetes default Service CIDR is ready",
        }]},
    });
    ensure(server, &ranges, "", "kubernetes", object).await
}
