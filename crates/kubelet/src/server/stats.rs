//! `/stats/summary` and `/metrics`, as far as autoscalers and `kubectl top` need them.

use std::collections::BTreeMap;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::body::{text, typed};
use super::{Reply, Server};
use crate::labels::{self, PodRef};
use crate::runtime::Usage;

fn cpu(usage: &Usage, now: &str) -> Value {
    json!({"time": now, "usageCoreNanoSeconds": usage.cpu_ns})
}

fn memory(usage: &Usage, now: &str) -> Value {
    json!({"time": now, "usageBytes": usage.memory, "workingSetBytes": usage.working_set})
}

fn add(sum: &mut Usage, usage: &Usage) {
    sum.cpu_ns += usage.cpu_ns;
    sum.memory += usage.memory;
    sum.working_set += usage.working_set;
}

/// Resource use of the node's pods.
pub(super) async fn summary(server: &Server) -> Reply {
    let now = Timestamp::now().to_string();
    let listed = match server.context.runtime.list(None).await {
        Ok(listed) => listed,
        Err(e) => return text(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()),
    };
    let mut pods: BTreeMap<PodRef, (Usage, Vec<Value>)> = BTreeMap::new();
    let mut node = Usage::default();
    for container in listed.iter().filter(|c| c.running) {
        let Some(pod) = PodRef::from_labels(&container.labels) else { continue };
        let Ok(usage) = server.context.runtime.usage(&container.id).await else { continue };
        let entry = pods.entry(pod).or_default();
        add(&mut entry.0, &usage);
        add(&mut node, &usage);
        if container.labels.get(labels::TYPE).is_some_and(|t| t == "container") {
            let name = container.labels.get(labels::CONTAINER_NAME);
            entry.1.push(json!({"name": name, "startTime": now, "cpu": cpu(&usage, &now), "memory": memory(&usage, &now)}));
        }
    }
    let pods: Vec<Value> = pods
        .into_iter()
        .map(|(pod, (usage, containers))| {
            json!({"podRef": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid}, "startTime": now,
                "containers": containers, "cpu": cpu(&usage, &now), "memory": memory(&usage, &now)})
        })
        .collect();
    let summary = json!({
        "node": {"nodeName": server.context.owner.node, "startTime": now, "cpu": cpu(&node, &now), "memory": memory(&node, &now)},
        "pods": pods,
    });
    typed(StatusCode::OK, "application/json", summary.to_string())
}

/// A few of upstream's metrics.
pub(super) fn metrics(server: &Server) -> Reply {
    let pods = server.pods.all();
    let running =
        pods.iter().filter(|p| p.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Running")).count();
    let body = format!(
        "# HELP kubelet_node_name [ALPHA] The node's name. The count is always 1.\n# TYPE kubelet_node_name gauge\n\
         kubelet_node_name{{node=\"{}\"}} 1\n\
         # HELP kubelet_running_pods [ALPHA] Number of pods that have a running pod sandbox\n\
         # TYPE kubelet_running_pods gauge\nkubelet_running_pods {running}\n\
         # HELP kubelet_desired_pods [ALPHA] The number of pods the kubelet is being instructed to run.\n\
         # TYPE kubelet_desired_pods gauge\nkubelet_desired_pods{{static=\"\"}} {}\n",
        server.context.owner.node,
        pods.len()
    );
    typed(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", body)
}
