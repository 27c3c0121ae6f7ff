//! Services.

use serde_json::Value;

use super::{Describer, Writer, annotations, head, labels};
use crate::error::Result;
use crate::value::{Json, join_labels, plain};

/// Describes a service (upstream: `describeService`).
pub(super) fn describe(d: &mut Describer<'_>, w: &mut Writer, o: &Value) -> Result {
    let path = format!("/api/v1/namespaces/{}/endpoints/{}", o.s("metadata.namespace"), o.s("metadata.name"));
    let endpoints = d.ctx.http()?.get(&path).unwrap_or(Value::Null);
    head(w, o);
    labels(w, "Labels", &o.strings("metadata.labels"));
    annotations(w, o);
    w.field("Selector", &join_labels(&o.strings("spec.selector"), "<none>"));
    w.field("Type", o.s("spec.type"));
    w.field("IP", o.s("spec.clusterIP"));
    let join = |path: &str| o.list(path).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",");
    if !o.list("spec.externalIPs").is_empty() {
        w.field("External IPs", &join("spec.externalIPs"));
    }
    if !o.s("spec.loadBalancerIP").is_empty() {
        w.field("IP", o.s("spec.loadBalancerIP"));
    }
    if !o.s("spec.externalName").is_empty() {
        w.field("External Name", o.s("spec.externalName"));
    }
    let ingress = o.list("status.loadBalancer.ingress");
    if !ingress.is_empty() {
        let text: Vec<&str> =
            ingress.iter().map(|i| if i.s("ip").is_empty() { i.s("hostname") } else { i.s("ip") }).collect();
        w.field("LoadBalancer Ingress", &text.join(", "));
    }
    for p in o.list("spec.ports") {
        let name = if p.s("name").is_empty() { "<unset>" } else { p.s("name") };
        let protocol = p.s("protocol");
        w.field("Port", &format!("{name}\t{}/{protocol}", p.i("port")));
        w.field("TargetPort", &format!("{}/{protocol}", p.get("targetPort").map(plain).unwrap_or_default()));
        if p.i("nodePort") != 0 {
            w.field("NodePort", &format!("{name}\t{}/{protocol}", p.i("nodePort")));
        }
        w.field("Endpoints", &addresses(&endpoints, Some(p.s("name"))));
    }
    w.field("Session Affinity", o.s("spec.sessionAffinity"));
    if !o.s("spec.externalTrafficPolicy").is_empty() {
        w.field("External Traffic Policy", o.s("spec.externalTrafficPolicy"));
    }
    if o.i("spec.healthCheckNodePort") != 0 {
        w.field("HealthCheck NodePort", &o.i("spec.healthCheckNodePort").to_string());
    }
    if !o.list("spec.loadBalancerSourceRanges").is_empty() {
        w.field("LoadBalancer Source Ranges", &join("spec.loadBalancerSourceRanges"));
    }
    d.events(w, o)
}

/// `10.0.0.1:80,10.0.0.2:80 + 3 more...` (upstream: `formatEndpoints`).
pub(super) fn addresses(endpoints: &Value, port_name: Option<&str>) -> String {
    let mut all: Vec<String> = Vec::new();
    for s in endpoints.list("subsets") {
        for p in s.list("ports").iter().filter(|p| port_name.is_none_or(|n| n == p.s("name"))) {
            for a in s.list("addresses") {
                all.push(format!("{}:{}", a.s("ip"), p.i("port")));
            }
        }
    }
    match all.len() {
        0 => "<none>".into(),
        1..=3 => all.join(","),
        n => format!("{} + {} more...", all[..3].join(","), n - 3),
    }
}
