//! Ingresses, in the old form (`extensions/v1beta1`) and today's.

use serde_json::Value;

use super::{Describer, Writer, service};
use crate::error::Result;
use crate::value::{Json, plain};

/// Service name and port of a backend.
fn backend(b: &Value) -> (String, String) {
    if b.has("service") {
        let port = b.at("service.port.number").or_else(|| b.at("service.port.name"));
        return (b.s("service.name").to_string(), port.map(plain).unwrap_or_default());
    }
    (b.s("serviceName").to_string(), b.get("servicePort").map(plain).unwrap_or_default())
}

fn addresses(d: &mut Describer<'_>, namespace: &str, name: &str, port: &str) -> Result<String> {
    let http = d.ctx.http()?;
    let endpoints =
        http.get(&format!("/api/v1/namespaces/{namespace}/endpoints/{name}")).unwrap_or(Value::Null);
    let svc = http.get(&format!("/api/v1/namespaces/{namespace}/services/{name}")).unwrap_or(Value::Null);
    // The backend names a service port by number or by name; endpoints know the name.
    let port_name = svc
        .list("spec.ports")
        .iter()
        .find(|p| p.s("name") == port || p.i("port").to_string() == port)
        .map(|p| p.s("name").to_string());
    Ok(match port_name {
        Some(n) => service::addresses(&endpoints, Some(&n)),
        None if svc.is_null() => "<none>".into(),
        None => service::addresses(&endpoints, Some(port)),
    })
}

/// Describes an ingress.
pub(super) fn describe(d: &mut Describer<'_>, w: &mut Writer, o: &Value) -> Result {
    let namespace = o.s("metadata.namespace").to_string();
    w.field("Name", o.s("metadata.name"));
    w.field("Namespace", &namespace);
    let address: Vec<&str> = o
        .list("status.loadBalancer.ingress")
        .iter()
        .map(|i| if i.s("ip").is_empty() { i.s("hostname") } else { i.s("ip") })
        .collect();
    w.field("Address", &address.join(","));
    let default = o.at("spec.backend").or_else(|| o.at("spec.defaultBackend")).filter(|b| !b.is_null());
    let (name, port, at) = match default {
        Some(b) => {
            let (name, port) = backend(b);
            (name, port, namespace.as_str())
        }
        // Where the controllers of old had their default backend.
        None => ("default-http-backend".to_string(), "80".to_string(), "kube-system"),
    };
    let reached = addresses(d, at, &name, &port)?;
    w.field("Default backend", &format!("{name}:{port} ({reached})"));
    let tls = o.list("spec.tls");
    if !tls.is_empty() {
        w.line(0, "TLS:");
        for t in tls {
            let hosts: Vec<&str> = t.list("hosts").iter().filter_map(Value::as_str).collect();
            if t.s("secretName").is_empty() {
                w.line(1, &format!("SNI routes {}", hosts.join(",")));
            } else {
                w.line(1, &format!("{} terminates {}", t.s("secretName"), hosts.join(",")));
            }
        }
    }
    w.line(0, "Rules:");
    w.line(1, "Host\tPath\tBackends");
    w.line(1, "----\t----\t--------");
    let mut rules = 0;
    for r in o.list("spec.rules") {
        let Some(http) = r.at("http").filter(|h| !h.is_null()) else { continue };
        rules += 1;
        let host = if r.s("host").is_empty() { "*" } else { r.s("host") };
        w.line(1, &format!("{host}\t"));
        for p in http.list("paths") {
            let (name, port) = backend(p.at("backend").unwrap_or(&Value::Null));
            let reached = addresses(d, &namespace, &name, &port)?;
            w.line(2, &format!("\t{} \t{name}:{port} ({reached})", p.s("path")));
        }
    }
    if rules == 0 {
        w.line(1, &format!("*\t* \t{name}:{port} ({reached})"));
    }
    w.line(0, "Annotations:");
    for (k, v) in o.strings("metadata.annotations") {
        if !k.starts_with("ingress.kubernetes.io") {
            continue;
        }
        w.line(1, &format!("{}:\t{v}", k.rsplit('/').next().unwrap_or(k)));
    }
    d.events(w, o)
}
