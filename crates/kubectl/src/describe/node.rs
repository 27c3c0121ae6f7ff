//! Nodes.

use serde_json::Value;

use super::{Describer, Writer, annotations, labels};
use crate::error::Result;
use crate::quantity::Quantity;
use crate::time::rfc1123z;
use crate::value::{Json, plain};

/// Describes a node (upstream: `describeNode`).
pub(super) fn describe(d: &mut Describer<'_>, w: &mut Writer, o: &Value) -> Result {
    let name = o.s("metadata.name").to_string();
    let selector = format!("spec.nodeName={name},status.phase!=Failed,status.phase!=Succeeded");
    let pods = d.list("/api/v1/pods", &[("fieldSelector", &selector)])?;
    w.field("Name", &name);
    let roles: Vec<&str> = o
        .strings("metadata.labels")
        .into_iter()
        .filter_map(|(k, v)| match (k.strip_prefix("node-role.kubernetes.io/"), k) {
            (Some(role), _) if !role.is_empty() => Some(role),
            (_, "kubernetes.io/role") if !v.is_empty() => Some(v),
            _ => None,
        })
        .collect();
    w.field("Roles", &if roles.is_empty() { "<none>".into() } else { roles.join(",") });
    labels(w, "Labels", &o.strings("metadata.labels"));
    annotations(w, o);
    w.field("CreationTimestamp", &rfc1123z(o.s("metadata.creationTimestamp")));
    taints(w, o.list("spec.taints"));
    w.field("Unschedulable", &o.b("spec.unschedulable").to_string());
    if !o.list("status.conditions").is_empty() {
        w.line(0, "Conditions:");
        w.line(1, "Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage");
        w.line(1, "----\t------\t-----------------\t------------------\t------\t-------");
        for c in o.list("status.conditions") {
            w.line(
                1,
                &format!(
                    "{} \t{} \t{} \t{} \t{} \t{}",
                    c.s("type"),
                    c.s("status"),
                    rfc1123z(c.s("lastHeartbeatTime")),
                    rfc1123z(c.s("lastTransitionTime")),
                    c.s("reason"),
                    c.s("message")
                ),
            );
        }
    }
    w.line(0, "Addresses:");
    for a in o.list("status.addresses") {
        w.line(1, &format!("{}:\t{}", a.s("type"), a.s("address")));
    }
    for (title, path) in [("Capacity", "status.capacity"), ("Allocatable", "status.allocatable")] {
        let amounts = o.pairs(path);
        if !amounts.is_empty() {
            w.line(0, &format!("{title}:"));
        }
        for (k, v) in amounts {
            w.line(0, &format!(" {k}:\t{}", plain(v)));
        }
    }
    w.line(0, "System Info:");
    for (title, key) in [
        ("Machine ID", "machineID"),
        ("System UUID", "systemUUID"),
        ("Boot ID", "bootID"),
        ("Kernel Version", "kernelVersion"),
        ("OS Image", "osImage"),
        ("Operating System", "operatingSystem"),
        ("Architecture", "architecture"),
        ("Container Runtime Version", "containerRuntimeVersion"),
        ("Kubelet Version", "kubeletVersion"),
        ("Kube-Proxy Version", "kubeProxyVersion"),
    ] {
        w.line(0, &format!(" {title}:\t{}", o.s(&format!("status.nodeInfo.{key}"))));
    }
    for (title, path) in [("PodCIDR", "spec.podCIDR"), ("ExternalID", "spec.externalID")] {
        if !o.s(path).is_empty() {
            w.field(title, o.s(path));
        }
    }
    resources(w, o, &pods);
    d.events_with_uid(w, o, &name)
}

fn taints(w: &mut Writer, taints: &[Value]) {
    if taints.is_empty() {
        w.field("Taints", "<none>");
    }
    for (i, t) in taints.iter().enumerate() {
        let value = match t.s("value") {
            "" => String::new(),
            v => format!("={v}"),
        };
        let title = if i == 0 { "Taints:" } else { "" };
        w.line(0, &format!("{title}\t{}{value}:{}", t.s("key"), t.s("effect")));
    }
}

/// What the pods ask for, and its share of the node.
fn resources(w: &mut Writer, node: &Value, pods: &[Value]) {
    let allocatable = |name: &str| {
        let of = |map: &str| node.at(&format!("status.{map}.{name}")).map(|v| Quantity::parse(&plain(v)));
        of("allocatable").or_else(|| of("capacity")).unwrap_or_default()
    };
    let (cpu, memory) = (allocatable("cpu"), allocatable("memory"));
    let percent = |part: &Quantity, whole: &Quantity| match whole.milli() {
        0 => 0,
        whole => (part.milli() as f64 / whole as f64 * 100.0) as i64,
    };
    w.field("Non-terminated Pods", &format!("({} in total)", pods.len()));
    w.line(1, "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits");
    w.line(1, "---------\t----\t\t------------\t----------\t---------------\t-------------");
    let mut totals: [Quantity; 4] = Default::default();
    for p in pods {
        let amounts = [
            pod_total(p, "requests", "cpu"),
            pod_total(p, "limits", "cpu"),
            pod_total(p, "requests", "memory"),
            pod_total(p, "limits", "memory"),
        ];
        let cells: Vec<String> = amounts
            .iter()
            .zip([&cpu, &cpu, &memory, &memory])
            .map(|(a, whole)| format!("{a} ({}%)", percent(a, whole)))
            .collect();
        w.line(
            1,
            &format!("{}\t{}\t\t{}", p.s("metadata.namespace"), p.s("metadata.name"), cells.join("\t")),
        );
        for (t, a) in totals.iter_mut().zip(&amounts) {
            t.add(a);
        }
    }
    w.line(0, "Allocated resources:");
    w.line(1, "(Total limits may be over 100 percent, i.e., overcommitted.)");
    w.line(1, "CPU Requests\tCPU Limits\tMemory Requests\tMemory Limits");
    w.line(1, "------------\t----------\t---------------\t-------------");
    let cells: Vec<String> = totals
        .iter()
        .zip([&cpu, &cpu, &memory, &memory])
        .map(|(a, whole)| format!("{a} ({}%)", percent(a, whole)))
        .collect();
    w.line(1, &cells.join("\t"));
}

/// The sum of the containers, or the largest init container (upstream: `PodRequestsAndLimits`).
fn pod_total(pod: &Value, which: &str, name: &str) -> Quantity {
    let of = |c: &Value| c.at(&format!("resources.{which}.{name}")).map(|v| Quantity::parse(&plain(v)));
    let mut total = Quantity::default();
    for q in pod.list("spec.containers").iter().filter_map(of) {
        total.add(&q);
    }
    for q in pod.list("spec.initContainers").iter().filter_map(of) {
        if q.milli() > total.milli() {
            total = q;
        }
    }
    total
}
