//! Objects that every cluster has from its first second (upstream's post-start hooks): the two priority classes of the
//! system, the range of cluster addresses, and since when tokens in secrets are tracked.

use api::status::ApiError;
use serde_json::json;

use crate::Server;
use crate::bootstrap::{Owners, SELF, ensure};

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
        let object = || {
            json!({
                "metadata": {"generation": 1}, "value": value, "description": purpose,
                "preemptionPolicy": "PreemptLowerPriority",
            })
        };
        ensure(server, &classes, ("", name), object, SELF).await?;
    }
    let maps = server.registry().builtin("", "configmaps")?;
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let tracking = ("kube-system", "kube-apiserver-legacy-service-account-token-tracking");
    ensure(server, &maps, tracking, || json!({"data": {"since": today}}), SELF).await?;
    let Ok(ranges) = server.registry().builtin("networking.k8s.io", "servicecidrs") else { return Ok(()) };
    let range = server.allocators().network().to_string();
    let object = || {
        json!({
            "metadata": {}, "spec": {"cidrs": [range]},
            "status": {"conditions": [{
                "type": "Ready", "status": "True", "lastTransitionTime": crate::registry::obj::now(), "reason": "",
                "message": "Kubernetes default Service CIDR is ready",
            }]},
        })
    };
    let owners = Owners { status: Some(("kubernetes-service-cidr-controller", false)), ..SELF };
    ensure(server, &ranges, ("", "kubernetes"), object, owners).await
}
