//! What a fresh cluster holds, and what is kept right afterwards: namespaces, ranges, API services, and the server's
//! own service with its endpoints.

use std::net::IpAddr;
use std::time::Duration;

use api::Value;
use api::status::ApiError;
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Server;
use crate::registry::obj;
use crate::registry::resource::Resource;
use crate::registry::storage::Encoded;
use crate::registry::strategy::api_services;

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// How many API services are made at once.
const CREATES_AT_ONCE: usize = 8;

/// How often the server looks after its own service (upstream's `EndpointInterval`).
const INTERVAL: Duration = Duration::from_secs(10);
/// When the ranges are looked at again, to give back what crashes lost: after the start, later than any write of another
/// server that was under way then; and from then on (upstream's `repairInterval`).
const REPAIR_SECOND: Duration = Duration::from_secs(70);
const REPAIR_INTERVAL: Duration = Duration::from_secs(180);
/// How often priority levels and flow schemas that somebody deleted come back.
const FLOWS_INTERVAL: Duration = Duration::from_secs(60);
/// The first and the longest pause after a failure.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Where the server is reached.
#[derive(Clone, Copy, Debug)]
pub struct Advertised {
    /// Its address.
    pub address: IpAddr,
    /// Its secure port.
    pub port: u16,
}

/// Who is noted to manage what a fresh cluster holds.
#[derive(Clone, Copy, Debug)]
pub struct Owners {
    /// Of all but the status.
    pub manager: &'static str,
    /// Of the one condition of the status, and whether the condition has a reason.
    pub status: Option<(&'static str, bool)>,
    /// Fields that nobody asked for: kinds fill them in.
    pub filled: &'static [(&'static str, &'static str)],
}

/// The server itself.
pub const SELF: Owners = Owners { manager: "kube-apiserver", status: None, filled: &[] };

/// Creates an object unless it is there; it is only made then.
pub async fn ensure(
    server: &Server,
    resource: &Resource,
    (namespace, name): (&str, &str),
    object: impl FnOnce() -> Value,
    owners: Owners,
) -> Result<(), ApiError> {
    // Most are there, most of the time.
    if server.at_hand(resource, namespace, name) {
        return Ok(());
    }
    let storage = server.storage();
    let mut object = object();
    let meta = obj::metadata_mut(&mut object);
    meta.insert("name".into(), name.into());
    if !namespace.is_empty() {
        meta.insert("namespace".into(), namespace.into());
    }
    meta.insert("uid".into(), uuid::Uuid::new_v4().to_string().into());
    meta.insert("creationTimestamp".into(), obj::now().into());
    object["apiVersion"] = resource.hub_group_version().into();
    object["kind"] = resource.kind.as_str().into();
    crate::handlers::managed::seed(resource, &mut object, owners);
    let key = storage.key(resource, namespace, name);
    // It may be there already: one question to the store tells.
    storage.create(resource, &key, &Encoded::of(&object)).await.map(|_| ())
}

async fn namespaces(server: &Server) -> Result<(), ApiError> {
    let resource = server.registry().builtin("", "namespaces")?;
    let all = NAMESPACES.map(|name| {
        let object = move || {
            json!({
                "metadata": {"labels": {"kubernetes.io/metadata.name": name}},
                "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
            })
        };
        let owners = Owners { filled: &[("spec", "finalizers")], ..SELF };
        ensure(server, &resource, ("", name), object, owners)
    });
    try_join_all(all).await.map(|_| ())
}

/// Upstream's priorities of an API group and of its first version; unknown ones come last.
fn priority(group: &str) -> (i64, i64) {
    match group {
        "" => (18000, 1),
        "extensions" => (17150, 1),
        "apps" => (17800, 15),
        "events.k8s.io" => (17750, 15),
        "authentication.k8s.io" => (17700, 15),
        "authorization.k8s.io" => (17600, 15),
        "autoscaling" => (17500, 30),
        "batch" => (17400, 15),
        "certificates.k8s.io" => (17300, 15),
        "networking.k8s.io" => (17200, 15),
        "policy" => (17100, 15),
        "rbac.authorization.k8s.io" => (17000, 15),
        "storage.k8s.io" => (16800, 15),
        "apiextensions.k8s.io" => (16700, 15),
        "admissionregistration.k8s.io" => (16700, 15),
        "scheduling.k8s.io" => (16600, 15),
        "coordination.k8s.io" => (16500, 15),
        "node.k8s.io" => (16300, 15),
        "discovery.k8s.io" => (16200, 15),
        "resource.k8s.io" => (16200, 21),
        "flowcontrol.apiserver.k8s.io" => (16100, 21),
        _ => (16000, 15),
    }
}

/// The priority of a version that does not come right after the one ahead of it.
fn later_priority(group: &str, version: &str) -> Option<i64> {
    match (group, version) {
        ("autoscaling", "v1") => Some(15),
        ("autoscaling", "v2beta1") => Some(9),
        ("autoscaling", "v2beta2") => Some(1),
        _ => None,
    }
}

async fn api_services(server: &Server) -> Result<(), ApiError> {
    let resource = server.registry().builtin("apiregistration.k8s.io", "apiservices")?;
    let mut all = Vec::new();
    for (group, versions) in server.registry().groups() {
        if group == "apiregistration.k8s.io" {
            continue;
        }
        for (rank, version) in versions.iter().enumerate() {
            let (group_priority, version_priority) = priority(group);
            let name = format!("{version}.{group}");
            let mut spec = json!({
                "groupPriorityMinimum": group_priority,
                "versionPriority": later_priority(group, version)
                    .unwrap_or_else(|| (version_priority - i64::try_from(rank).unwrap_or(0)).max(1)),
                "version": version,
            });
            if !group.is_empty() {
                spec["group"] = group.as_str().into();
            }
            let object = json!({
                "metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"}}, "spec": spec,
                "status": api_services::local_status(),
            });
            let resource = &resource;
            all.push(async move { ensure(server, resource, ("", &name), || object, SELF).await });
        }
    }
    // A few at a time: what each needs on its way is memory that a small server would keep.
    futures::stream::iter(all).buffer_unordered(CREATES_AT_ONCE).try_collect().await
}

async fn repair_ranges(server: &Server) -> Result<(), ApiError> {
    let resource = server.registry().builtin("", "services")?;
    let services = || async {
        let services = server.storage().all(&resource, "").await?;
        Ok(services.into_iter().map(|s| s.object).collect::<Vec<Value>>())
    };
    server.allocators().repair(server.storage(), services).await
}

/// default/kubernetes: the first address of the range, port 443 to the secure port.
async fn own_service(server: &Server, at: Advertised) -> Result<(), ApiError> {
    let resource = server.registry().builtin("", "services")?;
    let address = server.allocators().first_address().to_string();
    let object = || {
        json!({
            "metadata": {"labels": {"component": "apiserver", "provider": "kubernetes"}},
            "spec": {
                "type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
                "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": at.port}],
            },
            "status": {"loadBalancer": {}},
        })
    };
    let owners = Owners { filled: &[("spec", "clusterIPs"), ("spec", "ipFamilies")], ..SELF };
    ensure(server, &resource, ("default", "kubernetes"), object, owners).await
}

/// Creates the object, or brings a field of it to what it shall be.
async fn keep(
    server: &Server,
    resource: &Resource,
    name: &str,
    object: Value,
    fields: &[&str],
) -> Result<(), ApiError> {
    let storage = server.storage();
    let Some(old) = server.recent(resource, ("default", name), false).await? else {
        return ensure(server, resource, ("default", name), || object, SELF).await;
    };
    let mut changed = old.object.clone();
    for field in fields {
        if !obj::same(changed.get(*field), object.get(*field)) {
            obj::copy_field(&mut changed, &object, field);
        }
    }
    if changed != old.object {
        let key = storage.key(resource, "default", name);
        // Somebody else changed it meanwhile: the next round looks again.
        let _ = storage.update(resource, &key, old.revision, &mut changed).await?;
    }
    Ok(())
}

async fn own_endpoints(server: &Server, at: Advertised) -> Result<(), ApiError> {
    let endpoints = server.registry().builtin("", "endpoints")?;
    let address = at.address.to_string();
    let labels = json!({"endpointslice.kubernetes.io/skip-mirror": "true"});
    let object = json!({
        "metadata": {"labels": labels},
        "subsets": [{
            "addresses": [{"ip": address}], "ports": [{"name": "https", "port": at.port, "protocol": "TCP"}],
        }],
    });
    keep(server, &endpoints, "kubernetes", object, &["subsets"]).await?;
    // The group may be turned off.
    let Ok(slices) = server.registry().builtin("discovery.k8s.io", "endpointslices") else { return Ok(()) };
    let family = if at.address.is_ipv4() { "IPv4" } else { "IPv6" };
    let object = json!({
        "metadata": {"generation": 1, "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": family,
        "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": at.port, "protocol": "TCP"}],
    });
    keep(server, &slices, "kubernetes", object, &["endpoints", "ports"]).await
}

async fn seed(server: &Server, at: Advertised) -> Result<(), ApiError> {
    let service = async {
        own_service(server, at).await?;
        own_endpoints(server, at).await?;
        repair_ranges(server).await
    };
    let system = crate::registry::system::seed(server);
    let flows = crate::registry::flow_control::seed(server);
    tokio::try_join!(namespaces(server), api_services(server), service, system, flows).map(|_| ())
}

/// Seeds the store, retrying until it can be reached; then looks after the server's own service until `stop`.
pub async fn run(server: Server, at: Advertised, seeded: CancellationToken, stop: CancellationToken) {
    let mut pause = RETRY_FIRST;
    loop {
        match seed(&server, at).await {
            Ok(()) => break,
            Err(error) => tracing::warn!(%error, "cannot write what a cluster starts with; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(RETRY_MAX),
        }
    }
    seeded.cancel();
    let mut repair_at = Instant::now() + REPAIR_SECOND;
    let mut flows_at = Instant::now() + FLOWS_INTERVAL;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        let result = async {
            own_service(&server, at).await?;
            own_endpoints(&server, at).await?;
            namespaces(&server).await?;
            if Instant::now() >= repair_at {
                repair_at = Instant::now() + REPAIR_INTERVAL;
                repair_ranges(&server).await?;
            }
            if Instant::now() >= flows_at {
                flows_at = Instant::now() + FLOWS_INTERVAL;
                crate::registry::flow_control::seed(&server).await?;
            }
            Ok::<_, ApiError>(())
        }
        .await;
        if let Err(error) = result {
            tracing::warn!(%error, "cannot look after the service default/kubernetes");
        }
    }
}
