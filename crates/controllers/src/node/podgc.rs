//! Removes pods that nobody else will: finished ones beyond a limit, those of nodes that are gone, and those that were
//! deleted before they got a node (upstream's `podgc`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use client::{ErrorExt, GoError, ObjectKey};
use kube::api::DeleteParams;
use serde_json::json;
use tokio::time::Instant;

use crate::context::{Context, synced};
use crate::views::{Node, Pod};
use crate::{api, pods};

/// Upstream's `gcCheckPeriod`.
const PERIOD: Duration = Duration::from_secs(20);
/// How long a node must be missing (upstream's `quarantineTime`).
const QUARANTINE: Duration = Duration::from_secs(40);

/// Finished pods to delete, oldest first, so that `threshold` stay.
fn excess(pods: &[Arc<Pod>], threshold: i32) -> Vec<Arc<Pod>> {
    if threshold <= 0 {
        return Vec::new();
    }
    let over = |pod: &&Arc<Pod>| !matches!(pods::phase(pod), "" | "Pending" | "Running" | "Unknown");
    let mut finished: Vec<Arc<Pod>> = pods.iter().filter(over).cloned().collect();
    finished.sort_by_key(|pod| {
        (pod.metadata.creation_timestamp.as_ref().map(|time| time.0), pod.metadata.name.clone())
    });
    let count = finished.len().saturating_sub(threshold as usize);
    finished.truncate(count);
    finished
}

/// Runs the controller until stopped.
pub async fn run(context: Context) {
    let all_pods = context.informers.of::<Pod>();
    let nodes = context.informers.of::<Node>();
    if !synced(&context.stop, &[&all_pods, &nodes]).await {
        return;
    }
    let mut missing: HashMap<String, Instant> = HashMap::new();
    loop {
        tokio::select! {
            () = context.stop.cancelled() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
        let pods = all_pods.store().list();
        for pod in excess(&pods, context.options.terminated_pod_gc_threshold) {
            remove(&context, &pod, None).await;
        }
        let node_of = |pod: &Pod| pod.spec.node_name.clone().filter(|name| !name.is_empty());
        let exists = |name: &str| nodes.store().get(&ObjectKey::cluster(name)).is_some();
        let now = Instant::now();
        let mut gone = HashMap::new();
        for name in pods.iter().filter_map(|pod| node_of(pod)).filter(|name| !exists(name)) {
            let since = missing.get(&name).copied().unwrap_or(now);
            gone.insert(name, since);
        }
        missing = gone;
        for pod in &pods {
            match node_of(pod) {
                None if pod.metadata.deletion_timestamp.is_some() => remove(&context, pod, None).await,
                Some(name) if missing.get(&name).is_some_and(|since| now - *since >= QUARANTINE) => {
                    // The cache may be late.
                    match api::get::<Node>(&context.client, None, &name).await {
                        Ok(None) => remove(&context, pod, Some("PodGC: node no longer exists")).await,
                        Ok(Some(_)) => {}
                        Err(err) => tracing::warn!("cannot read node {name}: {}", GoError(&err)),
                    }
                }
                _ => {}
            }
        }
    }
}

/// Marks a pod as failed and deletes it without grace: no kubelet will end it.
async fn remove(context: &Context, pod: &Pod, disruption: Option<&str>) {
    let key = ObjectKey::of(&pod.metadata);
    tracing::info!("PodGC is force deleting Pod {key}");
    let result = async {
        if !pods::is_terminal(pod) {
            let mut status = json!({ "phase": "Failed" });
            if let Some(message) = disruption {
                status["conditions"] = json!([{
                    "type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC", "message": message,
                    "lastTransitionTime": client::clock::time(),
                }]);
            }
            api::patch_status_strategic::<Pod>(&context.client, &pod.metadata, status).await?;
        }
        api::delete_with::<Pod>(&context.client, &pod.metadata, DeleteParams::default().grace_period(0)).await
    };
    match result.await {
        Err(err) if !err.is_not_found() && !err.is_conflict() => {
            tracing::warn!("PodGC cannot delete pod {key}: {}", GoError(&err));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_finished_pods_go() {
        let pod = |name: &str, phase: &str, day: u32| {
            Arc::new(serde_json::from_value::<Pod>(json!({"metadata": {"name": name, "creationTimestamp": format!("2020-01-{day:02}T00:00:00Z")}, "status": {"phase": phase}})).unwrap())
        };
        let pods = [
            pod("c", "Failed", 3),
            pod("a", "Succeeded", 1),
            pod("r", "Running", 1),
            pod("b", "Succeeded", 2),
        ];
        let names: Vec<_> = excess(&pods, 1).iter().map(|pod| pod.metadata.name.clone().unwrap()).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(excess(&pods, 0).is_empty());
    }
}
