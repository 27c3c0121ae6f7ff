//! Ingresses and endpoint slices of `v1beta1`.

use serde_json::json;

use super::{Steps, child, items, rename};
use crate::{Object, Value};

/// `extensions/v1beta1` and `networking.k8s.io/v1beta1` ingresses.
pub(super) const INGRESS: Steps = Steps { to_hub: ingress_to_hub, from_hub: ingress_from_hub };
/// `discovery.k8s.io/v1beta1` endpoint slices.
pub(super) const ENDPOINT_SLICE: Steps = Steps { to_hub: slice_to_hub, from_hub: slice_from_hub };

fn backends(o: &mut Object, default: &str, convert: fn(&mut Object)) {
    let Some(spec) = child(o, "spec") else { return };
    if let Some(backend) = child(spec, default) {
        convert(backend);
    }
    for rule in items(spec, "rules") {
        let Some(http) = child(rule, "http") else { continue };
        for path in items(http, "paths") {
            if let Some(backend) = child(path, "backend") {
                convert(backend);
            }
        }
    }
}

fn ingress_to_hub(o: &mut Object) -> Result<(), String> {
    if let Some(spec) = child(o, "spec") {
        rename(spec, "backend", "defaultBackend");
    }
    backends(o, "defaultBackend", |backend| {
        let name = backend.remove("serviceName").unwrap_or_default();
        let port = backend.remove("servicePort").unwrap_or_default();
        let port = match port {
            Value::String(name) => json!({"name": name}),
            Value::Number(n) if n.as_i64() != Some(0) => json!({"number": n}),
            _ if name.as_str().is_none_or(str::is_empty) => return,
            _ => json!({}),
        };
        let service = json!({"name": name.as_str().unwrap_or_default(), "port": port});
        backend.insert("service".to_owned(), service);
    });
    Ok(())
}

fn ingress_from_hub(o: &mut Object) -> Result<(), String> {
    backends(o, "defaultBackend", |backend| {
        let Some(Value::Object(mut service)) = backend.remove("service") else {
            // The old type always writes a port, even beside a resource.
            backend.insert("servicePort".to_owned(), 0.into());
            return;
        };
        backend.insert("serviceName".to_owned(), service.remove("name").unwrap_or_default());
        let port = service.get("port").and_then(|port| {
            let name = port.get("name").filter(|n| n.as_str().is_some_and(|s| !s.is_empty()));
            name.or_else(|| port.get("number"))
        });
        backend.insert("servicePort".to_owned(), port.cloned().unwrap_or_else(|| 0.into()));
    });
    if let Some(spec) = child(o, "spec") {
        rename(spec, "defaultBackend", "backend");
    }
    Ok(())
}

const ZONE: &str = "topology.kubernetes.io/zone";
const HOSTNAME: &str = "kubernetes.io/hostname";

fn slice_to_hub(o: &mut Object) -> Result<(), String> {
    for endpoint in items(o, "endpoints") {
        let Some(Value::Object(mut topology)) = endpoint.remove("topology") else { continue };
        if let Some(zone) = topology.remove(ZONE) {
            endpoint.insert("zone".to_owned(), zone);
        }
        if topology.get(HOSTNAME).is_some_and(|host| Some(host) == endpoint.get("nodeName")) {
            topology.remove(HOSTNAME);
        }
        if !topology.is_empty() {
            endpoint.insert("deprecatedTopology".to_owned(), topology.into());
        }
    }
    Ok(())
}

fn slice_from_hub(o: &mut Object) -> Result<(), String> {
    for endpoint in items(o, "endpoints") {
        let mut topology = match endpoint.remove("deprecatedTopology") {
            Some(Value::Object(map)) => map,
            _ => Object::new(),
        };
        if let Some(zone) = endpoint.remove("zone").filter(|z| !z.is_null()) {
            topology.insert(ZONE.to_owned(), zone);
        }
        if let Some(node) = endpoint.get("nodeName").filter(|n| !n.is_null()) {
            let missing = topology.get(HOSTNAME).and_then(Value::as_str).is_none_or(str::is_empty);
            if missing {
                topology.insert(HOSTNAME.to_owned(), node.clone());
            }
        }
        if !topology.is_empty() {
            endpoint.insert("topology".to_owned(), topology.into());
        }
    }
    Ok(())
}
