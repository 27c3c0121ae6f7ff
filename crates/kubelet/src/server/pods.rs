//! `/pods`, `/configz`, and finding a pod's container.

use std::sync::Arc;

use http::StatusCode;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use serde_json::json;

use super::body::typed;
use super::{Reply, Server};
use crate::context::Context;
use crate::labels;

/// A PodList.
pub(super) fn list(pods: &[Arc<Pod>]) -> Reply {
    let items: Vec<&Pod> = pods.iter().map(AsRef::as_ref).collect();
    let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items});
    typed(StatusCode::OK, "application/json", list.to_string())
}

/// The configuration in use.
pub(super) fn configz(context: &Context) -> Reply {
    let config = &context.config;
    let found = json!({"kubeletconfig": {
        "address": config.address, "port": config.port, "clusterDNS": config.cluster_dns,
        "clusterDomain": config.cluster_domain, "cgroupDriver": config.cgroup_driver, "maxPods": config.max_pods,
        "nodeLeaseDurationSeconds": config.lease_seconds, "failSwapOn": config.fail_swap_on,
    }});
    typed(StatusCode::OK, "application/json", found.to_string())
}

/// The status of a container, init ones included.
pub(super) fn status<'a>(pod: &'a Pod, container: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let all = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
    all.into_iter().find(|s| s.name == container)
}

impl Server {
    /// The id of a running container. Docker is asked: the object may be a moment behind.
    pub(super) async fn running_container(&self, pod: &Pod, container: &str) -> Result<String, String> {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let listed = self.context.runtime.list(Some(uid)).await.map_err(|e| e.to_string())?;
        let is_it = |c: &&crate::runtime::Listed| {
            c.running
                && c.labels.get(labels::CONTAINER_NAME).is_some_and(|n| n == container)
                && c.labels.get(labels::TYPE).is_some_and(|t| t == "container")
        };
        listed
            .iter()
            .find(is_it)
            .map(|c| c.id.clone())
            .ok_or_else(|| format!("container not found ({container:?})"))
    }

    /// The pod's sandbox: its id, process and network mode.
    pub(super) async fn running_sandbox(&self, pod: &Pod) -> Result<crate::runtime::Container, String> {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let listed = self.context.runtime.list(Some(uid)).await.map_err(|e| e.to_string())?;
        let is_it = |c: &&crate::runtime::Listed| {
            c.running && c.labels.get(labels::TYPE).is_some_and(|t| t == "podsandbox")
        };
        let found = listed.iter().find(is_it).ok_or("sandbox not found")?;
        self.context.runtime.inspect(&found.id).await.map_err(|e| e.to_string())
    }
}
