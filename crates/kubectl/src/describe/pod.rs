//! Pods.

use serde_json::Value;

use super::container::{self, Place};
use super::{Describer, Writer, annotations, controlled_by, head, labels, or_none, volumes};
use crate::error::Result;
use crate::time::rfc1123z;
use crate::value::Json;

/// Describes a pod (upstream: `describePod`).
pub(super) fn describe(d: &mut Describer<'_>, w: &mut Writer, pod: &Value) -> Result {
    head(w, pod);
    // Servers of v1.10 left the priority unset unless a class was used; today's say 0 and mean the same.
    if pod.i("spec.priority") != 0 || !pod.s("spec.priorityClassName").is_empty() {
        w.field("Priority", &pod.i("spec.priority").to_string());
        w.field("PriorityClassName", or_none(pod.s("spec.priorityClassName")));
    }
    match pod.s("spec.nodeName") {
        "" => w.field("Node", "<none>"),
        n => w.field("Node", &format!("{n}/{}", pod.s("status.hostIP"))),
    }
    if pod.has("status.startTime") {
        w.field("Start Time", &rfc1123z(pod.s("status.startTime")));
    }
    labels(w, "Labels", &pod.strings("metadata.labels"));
    annotations(w, pod);
    if pod.has("metadata.deletionTimestamp") {
        let age = crate::time::age(pod.s("metadata.deletionTimestamp"), crate::time::now());
        w.field("Status", &format!("Terminating (lasts {age})"));
        w.field("Termination Grace Period", &format!("{}s", pod.i("metadata.deletionGracePeriodSeconds")));
    } else {
        w.field("Status", pod.s("status.phase"));
    }
    for (title, path) in [("Reason", "status.reason"), ("Message", "status.message")] {
        if !pod.s(path).is_empty() {
            w.field(title, pod.s(path));
        }
    }
    w.field("IP", pod.s("status.podIP"));
    let controller = controlled_by(pod);
    if !controller.is_empty() {
        w.field("Controlled By", &controller);
    }
    let place = Place { indent: "", pod: Some(pod) };
    let init = pod.list("spec.initContainers");
    if !init.is_empty() {
        container::write(w, "Init Containers", init, pod.list("status.initContainerStatuses"), &place);
    }
    let (containers, statuses) = (pod.list("spec.containers"), pod.list("status.containerStatuses"));
    container::write(w, "Containers", containers, statuses, &place);
    let conditions: Vec<&Value> =
        pod.list("status.conditions").iter().filter(|c| !NEWER_CONDITIONS.contains(&c.s("type"))).collect();
    if !conditions.is_empty() {
        w.line(0, "Conditions:");
        w.line(1, "Type\tStatus");
        for c in conditions {
            w.line(1, &format!("{} \t{} ", c.s("type"), c.s("status")));
        }
    }
    volumes::write(w, pod.list("spec.volumes"), "");
    if !pod.s("status.qosClass").is_empty() {
        w.field("QoS Class", pod.s("status.qosClass"));
    }
    labels(w, "Node-Selectors", &pod.strings("spec.nodeSelector"));
    tolerations(w, pod.list("spec.tolerations"));
    d.events(w, pod)
}

/// Conditions that v1.10's kubelets did not set.
const NEWER_CONDITIONS: &[&str] = &["PodReadyToStartContainers", "ContainersReady"];

fn tolerations(w: &mut Writer, tolerations: &[Value]) {
    if tolerations.is_empty() {
        w.field("Tolerations", "<none>");
    }
    for (i, t) in tolerations.iter().enumerate() {
        let mut text = t.s("key").to_string();
        if !t.s("value").is_empty() {
            text.push_str(&format!("={}", t.s("value")));
        }
        if !t.s("effect").is_empty() {
            text.push_str(&format!(":{}", t.s("effect")));
        }
        if t.has("tolerationSeconds") {
            text.push_str(&format!(" for {}s", t.i("tolerationSeconds")));
        }
        w.line(0, &format!("{}\t{text}", if i == 0 { "Tolerations:" } else { "" }));
    }
}
