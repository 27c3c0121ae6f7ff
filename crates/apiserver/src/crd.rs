//! Custom resources: definitions become resources of this server while it runs (`apiextensions-apiserver/pkg/apiserver`).
//!
//! ```text
//!  definition written ──► refresh: names and conditions decided and stored
//!                                  established ones ──► registry, cache, OpenAPI
//!                                  deleted ones     ──► their objects go, then the definition
//!  watch of definitions ──► refresh, then an API service for each group version
//! ```
//! A server refreshes before it answers a write of a definition, so that clients can go on at once; what other servers
//! write comes through the watch of [`run`].

pub mod custom;
mod finalizer;
mod registration;

use std::collections::{BTreeMap, BTreeSet, HashSet};
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

/// How long to wait after a failure, before the next try.
const RETRY: Duration = Duration::from_secs(1);

/// The definitions that are served.
#[derive(Default)]
pub struct Definitions {
    book: tokio::sync::Mutex<Book>,
    /// Those whose objects are being deleted.
    ending: parking_lot::Mutex<BTreeSet<String>>,
}

/// What is known of all definitions. A refresh may end anywhere (the store fails, the client of the request leaves, something
/// panics): what it did not come to is left to the next one.
#[derive(Default)]
struct Book {
    /// By name.
    known: BTreeMap<String, Known>,
    /// Groups with definitions that changed since they were last decided.
    unsettled: BTreeSet<String>,
    /// What is not served any more, and still has its part of the cache.
    ended: Vec<Served>,
    /// Whether registry and OpenAPI are to be told.
    changed: bool,
}

/// One definition.
struct Known {
    /// The revision that it was read at.
    revision: i64,
    /// All of it but its versions, which are most of it.
    lean: Value,
    /// What is served of it, as long as it is established.
    served: Option<Served>,
}

/// What is served of a definition.
struct Served {
    seen: Seen,
    definition: Arc<Definition>,
    /// The stored version first.
    resources: Vec<Resource>,
}

/// What the served form of a definition depends on.
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

fn lean(crd: &Value) -> Value {
    let mut lean = crd.clone();
    if let Some(spec) = lean.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("versions");
    }
    obj::metadata_mut(&mut lean).remove("managedFields");
    obj::metadata_mut(&mut lean).remove("annotations");
    lean
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
        registration::register(server, &served(server).await).await?;
    }
    Ok(())
}

/// The group versions of custom resources that are served.
async fn served(server: &Server) -> BTreeSet<(String, String)> {
    let book = server.definitions().book.lock().await;
    let all = book.known.values().filter_map(|known| known.served.as_ref());
    let open = all.flat_map(|s| s.definition.versions.iter().filter(|v| v.served).map(move |v| (s, v)));
    open.map(|(s, v)| (s.definition.group.clone(), v.name.clone())).collect()
}

/// Decides names and conditions, and serves what is established. Only definitions that changed are looked at, and those
/// of their groups, which may get a name that became free.
async fn refresh(server: &Server) -> Result<(), ApiError> {
    let resource = definitions(server)?;
    let mut book = server.definitions().book.lock().await;
    let kind =
        crate::admission::plugins::fresh(server, "apiextensions.k8s.io", "customresourcedefinitions").await?;
    let items = kind.list(&Predicate::default(), 0, None).items;
    let Book { known: book, unsettled, ended, changed } = &mut *book;
    let names: HashSet<&str> = items.iter().map(|i| i.name()).collect();
    book.retain(|name, known| {
        let stays = names.contains(name.as_str());
        if !stays {
            unsettled.insert(obj::text_at(&known.lean, "spec.group").to_owned());
            *changed |= known.served.is_some();
            ended.extend(known.served.take());
        }
        stays
    });
    for item in &items {
        if book.get(item.name()).is_some_and(|k| k.revision == item.revision()) {
            continue;
        }
        let crd = item.value().map_err(ApiError::internal)?;
        let (revision, lean) = (item.revision(), lean(&crd));
        unsettled.insert(obj::text_at(&crd, "spec.group").to_owned());
        match book.get_mut(item.name()) {
            Some(known) => (known.revision, known.lean) = (revision, lean),
            None => {
                book.insert(item.name().to_owned(), Known { revision, lean, served: None });
            }
        }
    }
    for group in unsettled.iter() {
        decide(server, &resource, book, group).await?;
    }
    for known in book.values_mut().filter(|k| unsettled.contains(obj::text_at(&k.lean, "spec.group"))) {
        let established = apiextensions::definition::is_true(&known.lean, "Established");
        let seen = Seen::of(&known.lean);
        if established && known.served.as_ref().is_some_and(|s| s.seen == seen) {
            continue;
        }
        let name = obj::name(&known.lean).to_owned();
        let fresh = if established { read(server, &resource, &name).await? } else { None };
        *changed |= fresh.is_some() || known.served.is_some();
        let old = std::mem::replace(&mut known.served, fresh);
        match (old, &known.served) {
            // Its objects stay in the cache where they are.
            (Some(old), Some(new)) if same_cache(&old.definition, &new.definition) => {}
            (old, new) => {
                ended.extend(old);
                if let Some(hub) = new.as_ref().and_then(|n| n.resources.first()) {
                    ended.drain(..).for_each(|s| uncache(server, &s));
                    server.cache_resource(hub);
                }
            }
        }
    }
    ended.drain(..).for_each(|s| uncache(server, &s));
    if *changed {
        let served = || book.values().filter_map(|k| k.served.as_ref());
        let open = |s: &Served, r: &Resource| s.definition.version(&r.version).is_some_and(|v| v.served);
        let resources = served().flat_map(|s| s.resources.iter().filter(|r| open(s, r)).cloned());
        server.registry().set_custom(resources);
        server.openapi().set_custom(served().map(|s| Arc::clone(&s.definition.types)).collect());
        *changed = false;
    }
    unsettled.clear();
    for known in book.values().filter(|k| obj::deleting(&k.lean)) {
        finalizer::start(server, &known.lean);
    }
    Ok(())
}

fn uncache(server: &Server, served: &Served) {
    if let Some(hub) = served.resources.first() {
        server.uncache_resource(hub);
    }
}

/// Gives the definitions of a group their names and conditions.
async fn decide(
    server: &Server,
    resource: &Resource,
    book: &mut BTreeMap<String, Known>,
    group: &str,
) -> Result<(), ApiError> {
    let of_group = |book: &BTreeMap<String, Known>| -> Vec<Value> {
        let mut all: Vec<Value> = book
            .values()
            .filter(|k| obj::text_at(&k.lean, "spec.group") == group)
            .map(|k| k.lean.clone())
            .collect();
        all.sort_by_cached_key(|c| {
            (obj::meta_text(c, "creationTimestamp").to_owned(), obj::name(c).to_owned())
        });
        all
    };
    // A definition may free a name for another: two rounds settle that.
    for _ in 0..2 {
        for crd in of_group(book) {
            if obj::deleting(&crd) {
                continue;
            }
            let Some(status) = names::decide(&crd, &of_group(book), &obj::now()) else { continue };
            let name = obj::name(&crd);
            let Some(mut stored) = server.storage().get(resource, "", name).await? else { continue };
            if stored.revision.to_string() != obj::resource_version(&crd) {
                // It changed meanwhile: the cache will tell.
                continue;
            }
            stored.object["status"] = status;
            let key = server.storage().key(resource, "", name);
            let written =
                server.storage().update(resource, &key, stored.revision, &mut stored.object).await?;
            if written.is_ok()
                && let Some(known) = book.get_mut(name)
            {
                known.lean = lean(&stored.object);
                known.revision = obj::resource_version(&stored.object).parse().unwrap_or(0);
            }
        }
    }
    Ok(())
}

/// Reads a definition as it is served.
async fn read(server: &Server, resource: &Resource, name: &str) -> Result<Option<Served>, ApiError> {
    let Some(stored) = server.storage().get(resource, "", name).await? else { return Ok(None) };
    // It may be newer than what was asked for; the cache tells of that later.
    let seen = Seen::of(&stored.object);
    match Definition::parse(&stored.object) {
        Ok(definition) => {
            let definition = Arc::new(definition);
            let resources = Custom::resources(&definition);
            Ok(Some(Served { seen, definition, resources }))
        }
        Err(why) => {
            tracing::warn!(name, why, "a custom resource definition cannot be served");
            Ok(None)
        }
    }
}

/// Whether the cache keeps the objects of two readings of a definition in the same way.
fn same_cache(a: &Definition, b: &Definition) -> bool {
    a.uid == b.uid && a.row.etcd_prefix == b.row.etcd_prefix && custom::selectable(a) == custom::selectable(b)
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

/// Whether the objects of a resource's definition are being deleted because it is: new ones are refused.
pub fn is_ending(server: &Server, resource: &Resource) -> bool {
    let Some(custom) = &resource.definition else { return false };
    server.definitions().ending.lock().contains(&custom.definition.name)
}
