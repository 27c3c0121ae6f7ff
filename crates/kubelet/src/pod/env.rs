//! A container's environment (upstream's `makeEnvironmentVariables`, `pkg/kubelet/envvars`).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{
    ConfigMap, Container, ObjectFieldSelector, Pod, ResourceFieldSelector, Secret, Service,
};

use super::expand::expand;
use super::spec;
use crate::quantity;

/// The objects that an environment refers to, fetched beforehand.
#[derive(Default, Debug)]
pub struct Sources {
    /// Config maps by name.
    pub config_maps: BTreeMap<String, ConfigMap>,
    /// Secrets by name.
    pub secrets: BTreeMap<String, Secret>,
    /// Services of the pod's namespace, and `default/kubernetes`.
    pub services: Vec<Service>,
    /// The pod's address.
    pub pod_ip: Option<Ipv4Addr>,
    /// The node's address.
    pub host_ip: String,
    /// The node's capacity, for `resourceFieldRef` without a limit: CPU in thousandths, memory in bytes.
    pub node_cpu_milli: i64,
    /// See above.
    pub node_memory: i64,
}

/// Names of config maps and of secrets that a container's environment refers to.
pub fn references(container: &Container) -> (Vec<String>, Vec<String>) {
    let (mut maps, mut secrets) = (Vec::new(), Vec::new());
    for source in container.env_from.iter().flatten() {
        if let Some(r) = &source.config_map_ref {
            maps.push(r.name.clone());
        }
        if let Some(r) = &source.secret_ref {
            secrets.push(r.name.clone());
        }
    }
    for from in container.env.iter().flatten().filter_map(|e| e.value_from.as_ref()) {
        if let Some(r) = &from.config_map_key_ref {
            maps.push(r.name.clone());
        }
        if let Some(r) = &from.secret_key_ref {
            secrets.push(r.name.clone());
        }
    }
    (maps, secrets)
}

/// `NAME=value` for all variables; an error is the message of CreateContainerConfigError.
pub fn environment(
    pod: &Pod,
    container: &Container,
    sources: &Sources,
) -> Result<Vec<(String, String)>, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let links = spec::of(pod).enable_service_links.unwrap_or(true);
    let service_vars = service_variables(&sources.services, namespace, links);
    let mut result: Vec<(String, String)> = Vec::new();
    let mut set = |name: String, value: String| match result.iter_mut().find(|(n, _)| *n == name) {
        Some(entry) => entry.1 = value,
        None => result.push((name, value)),
    };
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        if let Some(r) = &source.config_map_ref {
            match sources.config_maps.get(&r.name) {
                Some(map) => {
                    for (key, value) in map.data.iter().flatten() {
                        set(format!("{prefix}{key}"), value.clone());
                    }
                }
                None if r.optional.unwrap_or_default() => {}
                None => return Err(format!("configmap {:?} not found", r.name)),
            }
        }
        if let Some(r) = &source.secret_ref {
            match sources.secrets.get(&r.name) {
                Some(secret) => {
                    for (key, value) in secret.data.iter().flatten() {
                        set(format!("{prefix}{key}"), String::from_utf8_lossy(&value.0).into_owned());
                    }
                }
                None if r.optional.unwrap_or_default() => {}
                None => return Err(format!("secret {:?} not found", r.name)),
            }
        }
    }
    // References reach earlier variables and the services'.
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, &variable.value_from) {
            (Some(value), _) if !value.is_empty() => {
                expand(value, |name| known.get(name).or_else(|| service_vars.get(name)).cloned())
            }
            (_, Some(from)) => {
                if let Some(field) = &from.field_ref {
                    pod_field(pod, field, sources)?
                } else if let Some(resource) = &from.resource_field_ref {
                    resource_field(pod, &container.name, resource, sources)?
                } else if let Some(r) = &from.config_map_key_ref {
                    let optional = r.optional.unwrap_or_default();
                    let Some(map) = sources.config_maps.get(&r.name) else {
                        if optional {
                            continue;
                        }
                        return Err(format!("configmap {:?} not found", r.name));
                    };
                    match map.data.as_ref().and_then(|d| d.get(&r.key)) {
                        Some(value) => value.clone(),
                        None if optional => continue,
                        None => {
                            return Err(format!(
                                "couldn't find key {} in ConfigMap {namespace}/{}",
                                r.key, r.name
                            ));
                        }
                    }
                } else if let Some(r) = &from.secret_key_ref {
                    let optional = r.optional.unwrap_or_default();
                    let Some(secret) = sources.secrets.get(&r.name) else {
                        if optional {
                            continue;
                        }
                        return Err(format!("secret {:?} not found", r.name));
                    };
                    match secret.data.as_ref().and_then(|d| d.get(&r.key)) {
                        Some(value) => String::from_utf8_lossy(&value.0).into_owned(),
                        None if optional => continue,
                        None => {
                            return Err(format!(
                                "couldn't find key {} in Secret {namespace}/{}",
                                r.key, r.name
                            ));
                        }
                    }
                } else {
                    String::new()
                }
            }
            _ => String::new(),
        };
        known.insert(variable.name.clone(), value.clone());
        set(variable.name.clone(), value);
    }
    for (name, value) in service_vars {
        if !result.iter().any(|(n, _)| *n == name) {
            result.push((name, value));
        }
    }
    Ok(result)
}

/// One of the fields that the downward API offers.
pub fn pod_field(pod: &Pod, field: &ObjectFieldSelector, sources: &Sources) -> Result<String, String> {
    let meta = &pod.metadata;
    let path = field.field_path.as_str();
    if let Some((map, key)) = path.strip_suffix("']").and_then(|p| p.split_once("['")) {
        let from = match map {
            "metadata.annotations" => &meta.annotations,
            "metadata.labels" => &meta.labels,
            _ => return Err(format!("fieldPath {path:?} does not support subscript")),
        };
        return Ok(from.as_ref().and_then(|m| m.get(key)).cloned().unwrap_or_default());
    }
    let lines = |map: &Option<BTreeMap<String, String>>| {
        let lines: Vec<String> = map.iter().flatten().map(|(k, v)| format!("{k}={v:?}")).collect();
        lines.join("\n")
    };
    let pod_ip = || {
        sources
            .pod_ip
            .map(|ip| ip.to_string())
            .unwrap_or_else(|| if spec::host_network(pod) { sources.host_ip.clone() } else { String::new() })
    };
    Ok(match path {
        "metadata.name" => meta.name.clone().unwrap_or_default(),
        "metadata.namespace" => meta.namespace.clone().unwrap_or_default(),
        "metadata.uid" => meta.uid.clone().unwrap_or_default(),
        "metadata.labels" => lines(&meta.labels),
        "metadata.annotations" => lines(&meta.annotations),
        "spec.nodeName" => spec::of(pod).node_name.clone().unwrap_or_default(),
        "spec.serviceAccountName" => spec::of(pod).service_account_name.clone().unwrap_or_default(),
        "spec.restartPolicy" => spec::of(pod).restart_policy.clone().unwrap_or_default(),
        "status.hostIP" | "status.hostIPs" => sources.host_ip.clone(),
        "status.podIP" | "status.podIPs" => pod_ip(),
        _ => return Err(format!("unsupported fieldPath: {path}")),
    })
}

/// A request or limit in the wanted unit.
pub fn resource_field(
    pod: &Pod,
    container: &str,
    selector: &ResourceFieldSelector,
    sources: &Sources,
) -> Result<String, String> {
    let name = selector.container_name.as_deref().filter(|n| !n.is_empty()).unwrap_or(container);
    let found = spec::container(pod, name).ok_or_else(|| format!("container {name} not found"))?;
    let resources = found.resources.clone().unwrap_or_default();
    let resource = selector.resource.as_str();
    let (kind, which) =
        resource.split_once('.').ok_or_else(|| format!("unsupported container resource : {resource}"))?;
    let from = match kind {
        "limits" => resources.limits,
        "requests" => resources.requests.or(resources.limits),
        _ => return Err(format!("unsupported container resource : {resource}")),
    };
    let set = from.as_ref().and_then(|m| m.get(which)).and_then(quantity::milli);
    let milli = set.unwrap_or_else(|| match (kind, which) {
        ("limits", "cpu") => sources.node_cpu_milli,
        ("limits", "memory") => sources.node_memory.saturating_mul(1000),
        _ => 0,
    });
    let divisor = selector.divisor.as_ref().and_then(quantity::milli).filter(|d| *d > 0).unwrap_or(1000);
    Ok((milli / divisor + i64::from(milli % divisor > 0)).to_string())
}

/// `KUBERNETES_SERVICE_HOST`, `…_PORT`, and docker-link style variables of the namespace's services. Without links only
/// those of `default/kubernetes`.
fn service_variables(services: &[Service], namespace: &str, links: bool) -> BTreeMap<String, String> {
    let mut by_name: BTreeMap<&str, &Service> = BTreeMap::new();
    for service in services {
        let name = service.metadata.name.as_deref().unwrap_or_default();
        let ns = service.metadata.namespace.as_deref().unwrap_or_default();
        let ip = service.spec.as_ref().and_then(|s| s.cluster_ip.as_deref()).unwrap_or_default();
        if ip.is_empty() || ip == "None" {
            continue;
        }
        let master = ns == "default" && name == "kubernetes";
        if links && ns == namespace {
            by_name.insert(name, service);
        } else if master {
            by_name.entry(name).or_insert(service);
        }
    }
    let mut vars = BTreeMap::new();
    for (name, service) in by_name {
        let Some(spec) = &service.spec else { continue };
        let ports = spec.ports.as_deref().unwrap_or_default();
        let Some(first) = ports.first() else { continue };
        let ip = spec.cluster_ip.as_deref().unwrap_or_default();
        let prefix = name.to_uppercase().replace('-', "_");
        vars.insert(format!("{prefix}_SERVICE_HOST"), ip.to_owned());
        vars.insert(format!("{prefix}_SERVICE_PORT"), first.port.to_string());
        for port in ports {
            if let Some(port_name) = port.name.as_deref().filter(|n| !n.is_empty()) {
                let key = format!("{prefix}_SERVICE_PORT_{}", port_name.to_uppercase().replace('-', "_"));
                vars.insert(key, port.port.to_string());
            }
        }
        for (at, port) in ports.iter().enumerate() {
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            let url = format!("{}://{ip}:{}", protocol.to_lowercase(), port.port);
            if at == 0 {
                vars.insert(format!("{prefix}_PORT"), url.clone());
            }
            let base = format!("{prefix}_PORT_{}_{}", port.port, protocol.to_uppercase());
            vars.insert(format!("{base}_PROTO"), protocol.to_lowercase());
            vars.insert(format!("{base}_PORT"), port.port.to_string());
            vars.insert(format!("{base}_ADDR"), ip.to_owned());
            vars.insert(base, url);
        }
    }
    vars
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_environment_is_put_together() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "ns", "labels": {"a": "b"}},
            "spec": {"nodeName": "n1", "containers": [{
                "name": "c",
                "resources": {"limits": {"cpu": "1500m", "memory": "64Mi"}},
                "envFrom": [{"prefix": "X_", "configMapRef": {"name": "m"}}],
                "env": [
                    {"name": "A", "value": "1"},
                    {"name": "B", "value": "$(A)-$(KUBERNETES_SERVICE_HOST)-$(NO)"},
                    {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                    {"name": "L", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}},
                    {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                    {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
                    {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                    {"name": "O", "valueFrom": {"secretKeyRef": {"name": "gone", "key": "k", "optional": true}}}
                ]
            }]}
        }))
        .unwrap();
        let service = json!({"metadata": {"name": "kubernetes", "namespace": "default"},
            "spec": {"clusterIP": "10.0.0.1", "ports": [{"name": "https", "port": 443, "protocol": "TCP"}]}});
        let sources = Sources {
            config_maps: [("m".into(), serde_json::from_value(json!({"data": {"k": "v"}})).unwrap())].into(),
            secrets: [("s".into(), serde_json::from_value(json!({"data": {"k": "c2VjcmV0"}})).unwrap())]
                .into(),
            services: vec![serde_json::from_value(service).unwrap()],
            ..Default::default()
        };
        let env = environment(&pod, &spec::of(&pod).containers[0], &sources).unwrap();
        let get = |name: &str| env.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!(get("X_k"), Some("v"));
        assert_eq!(get("B"), Some("1-10.0.0.1-$(NO)"));
        assert_eq!(
            (get("NODE"), get("L"), get("S"), get("O")),
            (Some("n1"), Some("b"), Some("secret"), None)
        );
        assert_eq!((get("CPU"), get("MEM")), (Some("2"), Some("64")));
        assert_eq!(get("KUBERNETES_PORT_443_TCP"), Some("tcp://10.0.0.1:443"));
        assert_eq!(get("KUBERNETES_SERVICE_PORT_HTTPS"), Some("443"));
        let missing = environment(&pod, &spec::of(&pod).containers[0], &Sources::default()).unwrap_err();
        assert_eq!(missing, "configmap \"m\" not found");
    }
}
