//! A metadata watch per deletable resource, following discovery.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use client::informer::{Event, Informer, InformerOptions};
use client::{GoError, ObjectKey};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use parking_lot::RwLock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Collector;
use super::graph::{Identity, Uid};
use crate::discovery::{self, Resource};
use crate::metadata::{self, Object};

/// Discovery is asked again when a definition changes, and this often in any case.
const REFRESH: Duration = Duration::from_secs(300);
/// A new definition takes a moment to be served.
const SETTLE: Duration = Duration::from_secs(1);

/// What is not needed to know who owns whom.
fn slim(object: &mut Object) {
    let mut meta = std::mem::take(&mut object.metadata);
    object.metadata = ObjectMeta {
        owner_references: meta.owner_references.take(),
        deletion_timestamp: meta.deletion_timestamp.take(),
        finalizers: meta.finalizers.take(),
        ..metadata::identity(meta)
    };
}

/// The resources by group and kind.
#[derive(Default)]
pub(super) struct Kinds {
    known: RwLock<HashMap<(String, String), Resource>>,
}

impl Kinds {
    /// The resource of a kind.
    pub(super) fn find(&self, group: &str, kind: &str) -> Option<Resource> {
        self.known.read().get(&(group.to_owned(), kind.to_owned())).cloned()
    }

    /// Where the owner that a reference names would be: in the dependent's namespace, unless its kind has none.
    pub(super) fn owner(&self, reference: &OwnerReference, namespace: &str) -> Identity {
        let group = reference.api_version.split_once('/').map_or("", |(group, _)| group);
        let namespaced = self.find(group, &reference.kind).is_none_or(|resource| resource.namespaced);
        let namespace = if namespaced { namespace } else { "" };
        Identity {
            group: group.into(),
            kind: reference.kind.as_str().into(),
            key: ObjectKey::new(namespace, reference.name.as_str()),
            uid: Uid::from(reference.uid.as_str()),
        }
    }
}

/// Events have no owners and come by the thousand; `extensions` shows what other groups show too.
fn is_watched(resource: &Resource) -> bool {
    resource.plural != "events"
        && resource.group != "extensions"
        && ["delete", "list", "watch"].iter().all(|verb| resource.can(verb))
}

/// Keeps the watches as discovery says, until stopped.
pub(super) async fn run(collector: Arc<Collector>, stop: CancellationToken) {
    let mut running: HashMap<Resource, (Informer<Object>, CancellationToken)> = HashMap::new();
    let changed = Arc::new(Notify::new());
    let mut wait = Duration::ZERO;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
            () = async { changed.notified().await; tokio::time::sleep(SETTLE).await; } => {}
        }
        let (resources, failed) = match discovery::resources(&collector.client).await {
            Ok(found) => found,
            Err(err) => {
                tracing::warn!("garbage collector: discovery failed: {}", GoError(&err));
                wait = Duration::from_secs(2);
                continue;
            }
        };
        wait = if failed.is_some() { Duration::from_secs(10) } else { REFRESH };
        let kinds = resources
            .iter()
            .map(|resource| ((resource.group.clone(), resource.kind.clone()), resource.clone()));
        // What could not be discovered just now is not gone.
        let mut known = collector.kinds.known.write();
        if failed.is_none() {
            known.clear();
        }
        known.extend(kinds);
        drop(known);
        let wanted: Vec<Resource> = resources.into_iter().filter(is_watched).collect();
        if failed.is_none() {
            running.retain(|resource, (informer, token)| {
                let keep = wanted.contains(resource);
                if !keep {
                    token.cancel();
                    for object in informer.store().list() {
                        gone(&collector, &object);
                    }
                }
                keep
            });
        }
        for resource in wanted {
            if running.contains_key(&resource) {
                continue;
            }
            let token = stop.child_token();
            let informer = watch(&collector, &resource, &changed);
            informer.spawn(token.clone());
            running.insert(resource, (informer, token));
        }
    }
}

fn watch(collector: &Arc<Collector>, resource: &Resource, changed: &Arc<Notify>) -> Informer<Object> {
    let options = InformerOptions {
        transform: Some(slim as fn(&mut Object)),
        metadata_only: true,
        ..Default::default()
    };
    let informer = Informer::dynamic(collector.client.clone(), resource, options);
    let (group, kind): (Arc<str>, Arc<str>) = (resource.group.as_str().into(), resource.kind.as_str().into());
    let defines = matches!(&*resource.kind, "CustomResourceDefinition" | "APIService");
    let (collector, changed) = (collector.clone(), changed.clone());
    informer.add_handler(move |event| {
        let object = event.object();
        if defines {
            changed.notify_one();
        }
        if let Event::Deleted(_) = event {
            return gone(&collector, object);
        }
        let meta = &object.metadata;
        let Some(uid) = meta.uid.as_deref() else { return };
        let identity =
            Identity { group: group.clone(), kind: kind.clone(), key: ObjectKey::of(meta), uid: uid.into() };
        let namespace = identity.key.namespace.clone();
        let identify = |reference: &OwnerReference| collector.kinds.owner(reference, &namespace);
        let suspects = collector.graph.lock().observed(identity, meta, identify);
        collector.raise(suspects);
    });
    informer
}

fn gone(collector: &Collector, object: &Object) {
    if let Some(uid) = object.metadata.uid.as_deref() {
        let suspects = collector.graph.lock().removed(&uid.into());
        collector.raise(suspects);
    }
}
