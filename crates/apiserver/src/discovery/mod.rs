//! Discovery: which groups, versions and resources there are, in the old form and the aggregated one.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::Value;
use api::kinds::Era;
use api::status::ApiError;
use http::HeaderValue;
use http::header;
use http::request::Parts;
use serde_json::json;

use crate::Server;
use crate::http::Response;
use crate::negotiate::{self, encode};
use crate::registry::kinds;
use crate::registry::resource::{Resource, group_version};
use crate::registry::runtime_config::Emulated;
use crate::request::Query;

/// `responseKind` of the aggregated form with a group of its own.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

fn plain(parts: &Parts, query: &Query) -> Result<negotiate::Accept, ApiError> {
    negotiate::negotiate(&parts.headers, query.get("pretty"), negotiate::Transforms::None)
}

/// Groups in order of preference, each with its versions, the preferred one first; custom groups follow.
fn groups(server: &Server) -> Vec<(String, Vec<String>)> {
    let registry = server.registry();
    let mut groups = registry.groups().to_vec();
    let all = registry.all();
    for resource in all.iter().filter(|r| r.custom) {
        let at = groups.iter().position(|(g, _)| *g == resource.group).unwrap_or_else(|| {
            groups.push((resource.group.clone(), Vec::new()));
            groups.len() - 1
        });
        if !groups[at].1.contains(&resource.version) {
            groups[at].1.push(resource.version.clone());
            groups[at].1.sort_by_key(|v| std::cmp::Reverse(api::kinds::version_rank(v)));
        }
    }
    groups
}

fn group_object(group: &str, versions: &[String]) -> Value {
    let version = |v: &String| json!({"groupVersion": group_version(group, v), "version": v});
    json!({
        "name": group, "versions": versions.iter().map(version).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(version),
    })
}

/// The versions in a group's own document: as today's upstream, whose document it is, lists them. Who reads it chooses one
/// of them; who looks for the version that an old manifest names reads `/apis`, which has all. All of them where today's
/// upstream knows none.
fn offered(server: &Server, group: &str, versions: Vec<String>) -> Vec<String> {
    let own = Emulated::own();
    let today =
        |version: &&String| of_version(server, group, version).iter().any(|r| r.custom || own.serves(&r.api));
    let offered: Vec<String> = versions.iter().filter(today).cloned().collect();
    if offered.is_empty() { versions } else { offered }
}

/// `/version`.
pub fn version(server: &Server) -> Result<Response, ApiError> {
    use component_base::version::{GIT_VERSION, MAJOR, MINOR, go_arch};
    let emulated = kinds::emulated(server.options()).ok().flatten();
    let emulated = emulated
        .map_or_else(|| (MAJOR.to_owned(), MINOR.to_owned()), |e| (e.major.to_string(), e.minor.to_string()));
    let value = json!({
        "major": MAJOR, "minor": MINOR, "emulationMajor": emulated.0, "emulationMinor": emulated.1,
        "minCompatibilityMajor": MAJOR, "minCompatibilityMinor": "35", "gitVersion": GIT_VERSION, "gitCommit": "",
        "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "rust", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, go_arch()),
    });
    // Upstream always indents this one.
    let accept = negotiate::Accept { pretty: true, ..negotiate::Accept::JSON };
    Ok(encode::value(200, &value, &accept))
}

/// `/api` and `/apis`.
pub fn root(server: &Server, parts: &Parts, query: &Query, path: &str) -> Result<Response, ApiError> {
    let header = parts.headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let accept = plain(parts, query)
        .or_else(|e| if wants_aggregated(header) { Ok(negotiate::Accept::JSON) } else { Err(e) })?;
    if wants_aggregated(header) {
        let value = aggregated(server, path == "/api");
        let bytes = encode::to_bytes(&value, &accept);
        let mut response = encode::whole(200, bytes, "application/json", accept.gzip);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(AGGREGATED));
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
        return Ok(response);
    }
    let value = if path == "/api" {
        let address = server.advertised();
        json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
        })
    } else {
        let groups: Vec<Value> =
            groups(server).iter().filter(|(g, _)| !g.is_empty()).map(|(g, v)| group_object(g, v)).collect();
        json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
    };
    Ok(encode::value(200, &value, &accept))
}

/// Whether the first type that is wanted is the aggregated form that is served.
fn wants_aggregated(header: &str) -> bool {
    header.split(',').any(|t| {
        let mut parts = t.split(';').map(str::trim);
        let json = parts.next() == Some("application/json");
        let parts: Vec<&str> = parts.collect();
        json && ["g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"]
            .iter()
            .all(|p| parts.contains(p))
    })
}

/// A document below `/api` or `/apis`.
pub struct Found {
    /// What is answered.
    pub answer: Result<Response, ApiError>,
    /// Whether upstream's router answers it, which knows methods and types.
    pub routed: bool,
}

/// `/apis/<group>` and the resources of a group version.
pub fn group(server: &Server, parts: &Parts, query: &Query, path: &str) -> Option<Found> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let served = |group: &str| server.registry().groups().iter().any(|(g, _)| g == group);
    let routed = match segments.as_slice() {
        ["api", _] => true,
        // Its own group is the only one that upstream's aggregator routes.
        ["apis", "apiregistration.k8s.io"] => true,
        ["apis", group, _] => served(group),
        _ => false,
    };
    let value = match segments.as_slice() {
        ["api", "v1"] => resources(server, "", "v1"),
        ["apis", group] => {
            let (group, versions) = groups(server).into_iter().find(|(g, _)| g == group && !g.is_empty())?;
            let mut value = group_object(&group, &offered(server, &group, versions));
            value["kind"] = "APIGroup".into();
            value["apiVersion"] = "v1".into();
            value
        }
        ["apis", group, version] if server.registry().has_version(group, version) && !group.is_empty() => {
            resources(server, group, version)
        }
        _ => return None,
    };
    let answer = plain(parts, query).map(|accept| encode::value(200, &value, &accept));
    Some(Found { answer, routed })
}

fn of_version(server: &Server, group: &str, version: &str) -> Vec<Arc<Resource>> {
    let all = server.registry().all();
    all.into_iter().filter(|r| r.group == group && r.version == version).collect()
}

fn resources(server: &Server, group: &str, version: &str) -> Value {
    let mut by_name = BTreeMap::new();
    for resource in of_version(server, group, version) {
        let mut entry = json!({
            "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": resource.verbs,
        });
        if !resource.short_names.is_empty() {
            entry["shortNames"] = resource.short_names.clone().into();
        }
        if !resource.categories.is_empty() {
            entry["categories"] = resource.categories.clone().into();
        }
        if !resource.storage_version_hash.is_empty() {
            entry["storageVersionHash"] = resource.storage_version_hash.as_str().into();
        }
        by_name.insert(resource.plural.clone(), entry);
        for (at, sub) in resource.subresources.iter().enumerate() {
            let name = format!("{}/{}", resource.plural, sub.name);
            let mut entry = json!({
                "name": name, "singularName": "", "namespaced": resource.namespaced, "kind": sub.kind,
                "verbs": sub.verbs,
            });
            if sub.foreign {
                entry["group"] = sub.group.as_str().into();
                entry["version"] = sub.version.as_str().into();
            }
            // Those of custom resources come in an order of their own.
            let key = if resource.custom { format!("{}/{at}", resource.plural) } else { name };
            by_name.insert(key, entry);
        }
    }
    let mut value = json!({
        "kind": "APIResourceList", "groupVersion": group_version(group, version),
        "resources": by_name.into_values().collect::<Vec<_>>(),
    });
    if !group.is_empty() {
        value["apiVersion"] = "v1".into();
    }
    value
}

fn aggregated(server: &Server, core: bool) -> Value {
    let items: Vec<Value> = groups(server)
        .iter()
        .filter(|(g, _)| g.is_empty() == core)
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|version| {
                    let resources: Vec<Value> =
                        of_version(server, group, version).iter().map(|r| aggregated_resource(r)).collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    })
}

fn aggregated_resource(resource: &Resource) -> Value {
    let own = |kind: &str| json!({"group": "", "version": "", "kind": kind});
    let scope = if resource.namespaced { "Namespaced" } else { "Cluster" };
    let mut entry = json!({
        "resource": resource.plural, "responseKind": own(&resource.kind), "scope": scope,
        "singularResource": resource.singular, "verbs": resource.verbs,
    });
    if resource.custom {
        entry["responseKind"] =
            json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    }
    // Who asks in this form comes from after the versions of old; through their short names and categories kubectl would
    // find everything twice.
    let now = resource.era() == Era::Now;
    if now && !resource.short_names.is_empty() {
        entry["shortNames"] = resource.short_names.clone().into();
    }
    if now && !resource.categories.is_empty() {
        entry["categories"] = resource.categories.clone().into();
    }
    let subs: Vec<Value> = resource
        .subresources
        .iter()
        .map(|s| {
            let kind = if s.foreign || resource.custom {
                json!({"group": s.group, "version": s.version, "kind": s.kind})
            } else {
                own(&s.kind)
            };
            json!({"subresource": s.name, "responseKind": kind, "verbs": s.verbs})
        })
        .collect();
    if !subs.is_empty() {
        entry["subresources"] = subs.into();
    }
    entry
}

/// `/`: every path.
pub fn paths(server: &Server) -> Response {
    let mut paths: Vec<String> = vec!["/api".into(), "/api/v1".into(), "/apis".into(), "/apis/".into()];
    for (group, versions) in groups(server).iter().filter(|(g, _)| !g.is_empty()) {
        paths.push(format!("/apis/{group}"));
        paths.extend(versions.iter().map(|v| format!("/apis/{group}/{v}")));
    }
    for path in [
        "/.well-known/openid-configuration",
        "/healthz",
        "/healthz/etcd",
        "/healthz/log",
        "/healthz/ping",
        "/livez",
        "/livez/etcd",
        "/livez/log",
        "/livez/ping",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/openid/v1/jwks",
        "/readyz",
        "/readyz/etcd",
        "/readyz/log",
        "/readyz/ping",
        "/swagger-2.0.0.pb-v1",
        "/version",
    ] {
        paths.push(path.to_owned());
    }
    paths.sort();
    let accept = negotiate::Accept { pretty: true, ..negotiate::Accept::JSON };
    encode::value(200, &json!({"paths": paths}), &accept)
}
