//! Where relayed requests go: kubelets, pods, the pods behind services.

use std::net::IpAddr;

use api::Value;
use api::status::ApiError;

use crate::handlers::Ctx;
use crate::registry::obj;

/// The kubelet's port when its node does not name one.
const KUBELET_PORT: u16 = 10250;
/// Upstream's order starts with the host name, which the server can seldom resolve.
const ADDRESS_TYPES: [&str; 5] = ["InternalIP", "ExternalIP", "Hostname", "InternalDNS", "ExternalDNS"];

/// How far a target is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Plain HTTP.
    Plain,
    /// HTTPS with the flags for kubelets.
    Kubelet,
    /// HTTPS, whatever the certificate.
    Any,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Address or name.
    pub(super) host: String,
    /// The port; `None` is the scheme's own.
    pub(super) port: Option<u16>,
    /// The scheme.
    pub(super) trust: Trust,
}

impl Target {
    /// `host:port`.
    pub(super) fn address(&self) -> String {
        let port = self.port.unwrap_or(if self.trust == Trust::Plain { 80 } else { 443 });
        if self.host.contains(':') {
            format!("[{}]:{port}", self.host)
        } else {
            format!("{}:{port}", self.host)
        }
    }

    /// `https://host:port`.
    pub(super) fn origin(&self) -> String {
        let scheme = if self.trust == Trust::Plain { "http" } else { "https" };
        format!("{scheme}://{}", self.address())
    }
}

/// `SplitSchemeNamePort`: `name`, `name:port`, `scheme:name:port`.
pub(super) fn split_id(id: &str) -> Option<(&str, &str, &str)> {
    let parts: Vec<&str> = id.split(':').collect();
    let (scheme, name, port) = match parts.as_slice() {
        [name] => ("", *name, ""),
        [name, port] => ("", *name, *port),
        [scheme, name, port] => (*scheme, *name, *port),
        _ => return None,
    };
    (!name.is_empty() && matches!(scheme, "" | "http" | "https")).then_some((scheme, name, port))
}

/// The pod of a request.
pub(super) async fn pod(ctx: &Ctx, name: &str) -> Result<Value, ApiError> {
    let pods = ctx.server.registry().builtin("", "pods")?;
    Ok(ctx.server.storage().need(&pods, &ctx.info.namespace, name).await?.object)
}

/// `validateContainer`: the container that is asked for, or the only one.
pub(super) fn container(pod: &Value, asked: &str) -> Result<String, ApiError> {
    let lists = ["spec.initContainers", "spec.containers", "spec.ephemeralContainers"];
    let names: Vec<&str> = lists
        .iter()
        .flat_map(|list| obj::at(pod, list).and_then(Value::as_array).into_iter().flatten())
        .filter_map(|c| c.get("name").and_then(Value::as_str))
        .collect();
    let pod_name = obj::name(pod);
    if !asked.is_empty() {
        return if names.contains(&asked) {
            Ok(asked.to_owned())
        } else {
            Err(ApiError::bad_request(format!("container {asked} is not valid for pod {pod_name}")))
        };
    }
    let containers = obj::at(pod, "spec.containers").and_then(Value::as_array).map(Vec::as_slice);
    match containers.unwrap_or_default() {
        [one] => Ok(one.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()),
        [] => Err(ApiError::bad_request(format!("a container name must be specified for pod {pod_name}"))),
        _ => Err(ApiError::bad_request(format!(
            "a container name must be specified for pod {pod_name}, choose one of: [{}]",
            names.join(" ")
        ))),
    }
}

/// The kubelet of a node (`NodeConnectionInfoGetter`).
pub(super) async fn kubelet(ctx: &Ctx, node: &str) -> Result<Target, ApiError> {
    let nodes = ctx.server.registry().builtin("", "nodes")?;
    let Some(found) = ctx.server.storage().get(&nodes, "", node).await? else {
        // Upstream names the kind by what was asked for.
        return Err(ApiError::not_found(ctx.resource.group_resource(), node));
    };
    let node = found.object;
    let addresses = obj::at(&node, "status.addresses").and_then(Value::as_array);
    let addresses = addresses.map(Vec::as_slice).unwrap_or_default();
    let field = |a: &Value, name: &str| a.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let wanted = &ctx.server.options().kubelet_preferred_address_types;
    let wanted: Vec<&str> =
        if wanted.is_empty() { ADDRESS_TYPES.to_vec() } else { wanted.iter().map(String::as_str).collect() };
    let host = wanted
        .iter()
        .find_map(|t| addresses.iter().find(|a| field(a, "type") == *t))
        .map(|a| field(a, "address"));
    let Some(host) = host else {
        let known: Vec<String> =
            addresses.iter().map(|a| format!("{{{} {}}}", field(a, "type"), field(a, "address"))).collect();
        let text = format!("no preferred addresses found; known addresses: [{}]", known.join(" "));
        return Err(ApiError::new(500, "", text));
    };
    let port = obj::at(&node, "status.daemonEndpoints.kubeletEndpoint.Port").and_then(Value::as_u64);
    let port = port.and_then(|p| u16::try_from(p).ok()).filter(|p| *p > 0).unwrap_or(KUBELET_PORT);
    Ok(Target { host, port: Some(port), trust: Trust::Kubelet })
}

/// Go's `IsGlobalUnicast`: what proxies may reach.
fn reachable(address: &str) -> bool {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(a)) => {
            !(a.is_unspecified()
                || a.is_loopback()
                || a.is_multicast()
                || a.is_link_local()
                || a.is_broadcast())
        }
        Ok(IpAddr::V6(a)) => {
            !(a.is_unspecified() || a.is_loopback() || a.is_multicast() || a.is_unicast_link_local())
        }
        Err(_) => false,
    }
}

fn not_allowed() -> ApiError {
    ApiError::bad_request("address not allowed")
}

fn trust(scheme: &str) -> Trust {
    if scheme == "https" { Trust::Any } else { Trust::Plain }
}

fn number(port: &str) -> Result<u16, ApiError> {
    let bad = || {
        ApiError::new(
            503,
            "ServiceUnavailable",
            format!("error trying to reach service: dial tcp: lookup tcp/{port}: unknown port"),
        )
    };
    port.parse().map_err(|_| bad())
}

/// A pod's own server (`ResourceLocation`).
pub(super) async fn pod_proxy(ctx: &Ctx) -> Result<Target, ApiError> {
    let id = &ctx.info.name;
    let invalid = || ApiError::bad_request(format!("invalid pod request {}", api::field::go_quote(id)));
    let (scheme, name, port) = split_id(id).ok_or_else(invalid)?;
    let pod = pod(ctx, name).await?;
    let first = || {
        let containers = obj::at(&pod, "spec.containers").and_then(Value::as_array)?;
        let ports = containers.iter().find_map(|c| c.get("ports").and_then(Value::as_array)?.first())?;
        ports.get("containerPort").and_then(Value::as_u64).and_then(|p| u16::try_from(p).ok())
    };
    let port = if port.is_empty() { first() } else { Some(number(port)?) };
    let ips = obj::at(&pod, "status.podIPs").and_then(Value::as_array);
    let ip = ips.and_then(|l| l.first()).and_then(|i| i.get("ip")).and_then(Value::as_str);
    let ip = ip.or_else(|| obj::at(&pod, "status.podIP").and_then(Value::as_str)).unwrap_or_default();
    if !reachable(ip) {
        return Err(not_allowed());
    }
    Ok(Target { host: ip.to_owned(), port, trust: trust(scheme) })
}

/// A node's kubelet, or another server on the node.
pub(super) async fn node_proxy(ctx: &Ctx) -> Result<Target, ApiError> {
    let id = &ctx.info.name;
    let invalid = || ApiError::bad_request(format!("invalid node request {}", api::field::go_quote(id)));
    let (scheme, name, port) = split_id(id).ok_or_else(invalid)?;
    let kubelet = kubelet(ctx, name).await?;
    let resolved = tokio::net::lookup_host(kubelet.address()).await;
    let resolved: Vec<String> = resolved
        .map_err(|e| ApiError::bad_request(format!("lookup {}: {e}", kubelet.host)))?
        .map(|a| a.ip().to_string())
        .collect();
    if resolved.is_empty() {
        return Err(ApiError::bad_request("no addresses for hostname"));
    }
    if !resolved.iter().all(|a| reachable(a)) {
        return Err(not_allowed());
    }
    if port.is_empty() || kubelet.port.map(|p| p.to_string()).as_deref() == Some(port) {
        return Ok(kubelet);
    }
    Ok(Target { host: kubelet.host, port: Some(number(port)?), trust: trust(scheme) })
}

/// One of the pods behind a service.
pub(super) async fn service_proxy(ctx: &Ctx) -> Result<Target, ApiError> {
    let id = &ctx.info.name;
    let invalid = || ApiError::bad_request(format!("invalid service request {}", api::field::go_quote(id)));
    let (scheme, name, port) = split_id(id).ok_or_else(invalid)?;
    let unavailable = |text: String| ApiError::new(503, "ServiceUnavailable", text);
    let (server, namespace) = (&ctx.server, &ctx.info.namespace);
    let mut port_name = port.to_owned();
    if let Ok(number) = port.parse::<i64>() {
        let service = server.storage().need(&ctx.resource, namespace, name).await?.object;
        let ports = obj::at(&service, "spec.ports").and_then(Value::as_array).into_iter().flatten();
        let found = ports.into_iter().find(|p| p.get("port").and_then(Value::as_i64) == Some(number));
        let Some(found) = found else {
            return Err(unavailable(format!(
                "no service port {number} found for service {}",
                api::field::go_quote(name)
            )));
        };
        port_name = found.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    }
    let endpoints = server.registry().builtin("", "endpoints")?;
    let Some(found) = server.storage().get(&endpoints, namespace, name).await? else {
        return Err(ApiError::not_found(ctx.resource.group_resource(), name));
    };
    let none = |what: &str| {
        unavailable(format!("no endpoints available for service {}", api::field::go_quote(what)))
    };
    let subsets =
        found.object.get("subsets").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if subsets.is_empty() {
        return Err(none(name));
    }
    let start = usize::from(uuid::Uuid::new_v4().as_bytes()[0]);
    for at in 0..subsets.len() {
        let subset = &subsets[(start + at) % subsets.len()];
        let list = |field| subset.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let named = |p: &&Value| p.get("name").and_then(Value::as_str).unwrap_or_default() == port_name;
        let Some(port) = list("ports").iter().find(named) else { continue };
        let port = port.get("port").and_then(Value::as_u64).and_then(|p| u16::try_from(p).ok());
        let addresses: &[Value] = list("addresses");
        for at in 0..addresses.len() {
            let address = &addresses[(start + at) % addresses.len()];
            if let Some(host) = pod_address(ctx, address).await {
                return Ok(Target { host, port, trust: trust(scheme) });
            }
        }
    }
    Err(none(id))
}

/// The address of an endpoint, if it is really that of a pod in the same namespace (`isValidAddress`): endpoints can be
/// written by users, who must not reach other places through the server.
async fn pod_address(ctx: &Ctx, address: &Value) -> Option<String> {
    let ip = address.get("ip").and_then(Value::as_str)?;
    let reference = address.get("targetRef")?;
    if reference.get("namespace").and_then(Value::as_str) != Some(&ctx.info.namespace) {
        return None;
    }
    let pod = pod(ctx, reference.get("name").and_then(Value::as_str)?).await.ok()?;
    let ips = obj::at(&pod, "status.podIPs").and_then(Value::as_array);
    let listed = ips.into_iter().flatten().any(|i| i.get("ip").and_then(Value::as_str) == Some(ip));
    (listed || obj::text_at(&pod, "status.podIP") == ip).then(|| ip.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_may_name_scheme_and_port() {
        assert_eq!(split_id("web"), Some(("", "web", "")));
        assert_eq!(split_id("https:web:443"), Some(("https", "web", "443")));
        assert_eq!(split_id("ftp:web:21"), None);
        assert_eq!(split_id(":80"), None);
    }

    #[test]
    fn a_container_is_named_or_the_only_one() {
        let pod = |names: &[&str]| {
            let containers: Vec<Value> = names.iter().map(|n| json!({"name": n})).collect();
            json!({"metadata": {"name": "p"}, "spec": {"containers": containers, "initContainers": [{"name": "i"}]}})
        };
        assert_eq!(container(&pod(&["a"]), "").unwrap(), "a");
        assert_eq!(container(&pod(&["a"]), "i").unwrap(), "i");
        assert_eq!(
            container(&pod(&["a", "b"]), "").unwrap_err().message,
            "a container name must be specified for pod p, choose one of: [i a b]"
        );
        assert_eq!(container(&pod(&["a"]), "x").unwrap_err().message, "container x is not valid for pod p");
    }

    #[test]
    fn proxies_do_not_reach_the_server_itself() {
        assert!(reachable("10.5.0.2") && reachable("fd00::1"));
        for inner in ["127.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "fe80::1", "", "host"] {
            assert!(!reachable(inner), "{inner}");
        }
    }
}
