//! Custom resources: definitions become resources of this server while it runs (`apiextensions-apiserver/pkg/apiserver`).
//!
//! ```text
//!  definition written ──► refresh: names and conditions decided and stored
//!                                  established ones ──► registry, cache, OpenAPI
//!                                  deleted ones     ──► their objects go, then the definition
//! ```
//! A server refreshes before it answers a write of a definition, so that clients can go on at once; what other servers
//! write comes through the watch of [`run`].

pub mod custom;
mod finalizer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::Value;
use api::status::ApiError;
use apiextensions::{Definition, names};
use cache::Predicate;
use tokio_util::sync::CancellationToken;

use crate::Server;
use crate::registry::obj;
use crate::registry::resource::Resource;

pub use custom::{Columns, Custom};

const WAIT: Duration = Duration::from_secs(5);
/// How long to wait after a failure, before the next try.
const RETRY: Duration = Duration::from_secs(1);

/// The definitions that are served.
#[derive(Default)]
pub struct Definitions {
    /// By name, each with the uid, generation and names that it was read with.
    served: tokio::sync::Mutex<BTreeMap<String, (Seen, Arc<Definition>)>>,
    /// Those whose objects are being deleted.
    ending: parking_lot::Mutex<BTreeSet<String>>,
}

/// What a definition depends on.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    uid: String,
    generation: i64,
    names: Value,
}

impl Seen {
    fn of(crd: &Value) -> Seen {
        Seen {
            uid: obj::uid(crd).to_owned(),
            generation: obj::meta_number(crd, "generation").unwrap_or(0),
            names: obj::at(crd, "status.acceptedNames").cloned().unwrap_or_default(),
        }
    }
}

/// Whether the resource is that of definitions.
pub fn is_definitions(resource: &Resource) -> bool {
    !resource.custom && resource.is("apiextensions.k8s.io", "customresourcedefinitions")
}

fn definitions(server: &Server) -> Result<Arc<Resource>, ApiError> {
    server.registry().builtin("apiextensions.k8s.io", "customresourcedefinitions")
}

/// A definition was written through this server: it is served (or no longer) when this returns.
pub async fn written(server: &Server, resource: &Resource) {
    if !is_definitions(resource) {
        return;
    }
    if let Err(error) = refresh(server).await {
        tracing::warn!(error = error.message, "custom resource definitions are brought up to date later");
    }
}

/// Keeps up with definitions, whoever writes them, until `stop`.
pub async fn run(server: Server, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = follow(&server) => ended,
        };
        if let Err(error) = ended {
            tracing::debug!(error = error.message, "custom resource definitions");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn follow(server: &Server) -> Result<(), ApiError> {
    let kind = server.cached(&*definitions(server)?)?;
    kind.loaded(Duration::from_secs(60)).await.map_err(ApiError::internal)?;
    let start = cache::Start::InitialObjects { end_bookmark: true };
    let mut watch = kind.watch(Predicate::default(), start, false).map_err(ApiError::internal)?;
    while watch.next().await.is_some() {
        // One look for all that came together.
        while watch.try_next().is_ok() {}
        refresh(server).await?;
    }
    Ok(())
}

/// Decides names and conditions, and serves what is established.
async fn refresh(server: &Server) -> Result<(), ApiError> {
    let resource = definitions(server)?;
    let mut served = server.definitions().served.lock().await;
    let kind = server.cached(&resource)?;
    kind.loaded(WAIT).await.map_err(ApiError::internal)?;
    // What this server has just stored must be there.
    let stored = server.storage().all(&resource, "").await?;
    let mut all: Vec<Value> = stored.iter().map(|s| s.object.clone()).collect();
    all.sort_by(|a, b| {
        obj::meta_text(a, "creationTimestamp")
            .cmp(obj::meta_text(b, "creationTimestamp"))
            .then_with(|| obj::name(a).cmp(obj::name(b)))
    });
    // A definition may free a name for another: two rounds settle that.
    for _ in 0..2 {
        for at in 0..all.len() {
            let Some(status) = names::decide(&all[at], &all, &obj::now()) else { continue };
            if obj::deleting(&all[at]) {
                continue;
            }
            let mut changed = all[at].clone();
            changed["status"] = status;
            let key = server.storage().key(&resource, "", obj::name(&changed));
            let revision = obj::resource_version(&all[at]).parse().unwrap_or(0);
            if server.storage().update(&resource, &key, revision, &mut changed).await?.is_ok() {
                all[at] = changed;
            }
        }
    }
    let established = all.iter().filter(|c| apiextensions::definition::is_true(c, "Established"));
    let mut next: BTreeMap<String, (Seen, Arc<Definition>)> = BTreeMap::new();
    for crd in established {
        let (name, seen) = (obj::name(crd).to_owned(), Seen::of(crd));
        match served.get(&name).filter(|(old, _)| *old == seen) {
            Some(known) => {
                next.insert(name, known.clone());
            }
            None => match Definition::parse(crd) {
                Ok(definition) => {
                    next.insert(name, (seen, Arc::new(definition)));
                }
                Err(why) => tracing::warn!(name, why, "a custom resource definition cannot be served"),
            },
        }
    }
    let same = next.len() == served.len()
        && next.iter().all(|(n, (s, _))| served.get(n).is_some_and(|(o, _)| o == s));
    if !same {
        install(server, &served, &next);
        *served = next;
    }
    drop(served);
    for crd in all.iter().filter(|c| obj::deleting(c)) {
        finalizer::start(server, crd);
    }
    Ok(())
}

/// Puts the resources of definitions in place of those before.
fn install(
    server: &Server,
    old: &BTreeMap<String, (Seen, Arc<Definition>)>,
    new: &BTreeMap<String, (Seen, Arc<Definition>)>,
) {
    let hub = |definition: &Arc<Definition>| Custom::resources(definition).into_iter().next();
    for (name, (_, definition)) in old {
        let kept = new.get(name).is_some_and(|(_, n)| {
            n.row.etcd_prefix == definition.row.etcd_prefix && same_cache(n, definition)
        });
        if !kept && let Some(resource) = hub(definition) {
            server.uncache_resource(&resource);
        }
    }
    for (name, (_, definition)) in new {
        let kept = old.get(name).is_some_and(|(_, o)| {
            o.row.etcd_prefix == definition.row.etcd_prefix && same_cache(o, definition)
        });
        if !kept && let Some(resource) = hub(definition) {
            server.cache_resource(&resource);
        }
    }
    let mut resources: Vec<Resource> = Vec::new();
    for (_, definition) in new.values() {
        let served = |r: &Resource| definition.version(&r.version).is_some_and(|v| v.served);
        resources.extend(Custom::resources(definition).into_iter().filter(served));
    }
    server.registry().set_custom(resources);
    server.openapi().set_custom(new.values().map(|(_, d)| Arc::clone(&d.types)).collect());
}

/// Whether the cache keeps the objects of two readings of a definition in the same way.
fn same_cache(a: &Definition, b: &Definition) -> bool {
    a.uid == b.uid && custom::selectable(a) == custom::selectable(b)
}

/// A definition is about to be deleted: it waits for its objects (`registry/customresourcedefinition/etcd.go`).
/// True when it is marked, or was before: nothing else is to be done to it.
pub fn before_delete(resource: &Resource, crd: &mut Value) -> bool {
    if !is_definitions(resource) {
        return false;
    }
    if !obj::deleting(crd) {
        obj::metadata_mut(crd).insert("deletionTimestamp".into(), obj::now().into());
        names::terminate(crd, &obj::now());
    }
    true
}
