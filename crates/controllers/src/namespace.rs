//! Empties namespaces that are being deleted (upstream's `pkg/controller/namespace`).
//!
//! What there is to delete is asked from discovery each time: custom resources come and go.

use std::sync::Arc;
use std::time::Duration;

use client::controller::Outcome;
use client::informer::Event;
use client::queue::WorkQueue;
use client::{ErrorExt, GoError, ObjectKey};
use kube::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api;
use crate::context::{Context, synced};
use crate::discovery::{self, Resource};
use crate::views::{Namespace, Pod};

const FINALIZER: &str = "kubernetes";

/// The pauses between two looks at what is left in a namespace.
const LOOK_FIRST: Duration = Duration::from_millis(250);
const LOOK_MAX: Duration = Duration::from_secs(8);

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{}", GoError(.0))]
    Api(#[from] kube::Error),
    #[error("{0}")]
    Content(String),
}

/// Runs the controller until stopped.
pub async fn run(context: Context) {
    let namespaces = context.informers.of::<Namespace>();
    let queue = WorkQueue::<ObjectKey>::new();
    let q = queue.clone();
    namespaces.add_handler(move |event| {
        let meta = &event.object().metadata;
        if meta.deletion_timestamp.is_some() {
            q.add(ObjectKey::of(meta));
        }
    });
    if !synced(&context.stop, &[&namespaces]).await {
        return;
    }
    // Most wait for pods that end: the last one tells.
    let pods = context.informers.of::<Pod>();
    let (q, known, left) = (queue.clone(), namespaces.store().clone(), pods.store().clone());
    pods.add_handler(move |event| {
        let Event::Deleted(pod) = event else { return };
        let name = pod.metadata.namespace.as_deref().unwrap_or_default();
        let key = ObjectKey::cluster(name);
        let goes = |namespace: Arc<Namespace>| namespace.metadata.deletion_timestamp.is_some();
        if known.get(&key).is_some_and(goes) && left.in_namespace(name).is_empty() {
            q.add(key);
        }
    });
    let client = context.client.clone();
    client::controller::run("namespace-controller", queue, 5, context.stop, move |key| {
        let (client, store) = (client.clone(), namespaces.store().clone());
        async move {
            match store.get(&key) {
                Some(namespace) if namespace.metadata.deletion_timestamp.is_some() => {
                    sync(&client, &namespace).await
                }
                _ => Ok(Outcome::Done),
            }
        }
    })
    .await;
}

/// What is left of one resource.
struct Left {
    /// The resource and how many objects there are, in words.
    what: String,
    /// Finalizers that hold them.
    finalizers: Vec<String>,
}

async fn sync(client: &Client, cached: &Namespace) -> Result<Outcome, Error> {
    let name = cached.metadata.name.clone().unwrap_or_default();
    let Some(namespace) = api::get::<Namespace>(client, None, &name).await? else { return Ok(Outcome::Done) };
    if namespace.metadata.deletion_timestamp.is_none() || namespace.metadata.uid != cached.metadata.uid {
        return Ok(Outcome::Done);
    }
    if !namespace.spec.finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        return finish(client, &namespace).await;
    }
    let (resources, undiscovered) = discovery::resources(client).await?;
    // Pods go first, and all of them: what they need outlives them (upstream's `OrderedNamespaceDeletion`).
    let (pods, others): (Vec<_>, Vec<_>) = resources
        .iter()
        .filter(|resource| resource.namespaced && resource.can("delete") && resource.can("list"))
        .partition(|resource| resource.group.is_empty() && resource.plural == "pods");
    let mut content = Content::default();
    content.empty(client, &pods, &name).await;
    let told = if content.left.is_empty() {
        content.empty(client, &others, &name).await;
        content.left.as_slice()
    } else {
        // Upstream counts what remains only after it has looked at everything.
        &[]
    };
    write_conditions(client, &namespace, told, &content.failures, undiscovered.as_deref()).await?;
    if let Some(group) = undiscovered {
        return Err(Error::Content(format!("discovery failed for {group}")));
    }
    if !content.failures.is_empty() {
        return Err(Error::Content(content.failures.join("; ")));
    }
    if !content.left.is_empty() {
        // Upstream waits half the longest grace period, or for finalizers 8 s. Most need much less, and a namespace that
        // is stuck is not worth a look each second: the pauses grow with the time that it has waited.
        let waited = namespace.metadata.deletion_timestamp.as_ref().map(client::clock::since);
        return Ok(Outcome::After((waited.unwrap_or_default() / 4).clamp(LOOK_FIRST, LOOK_MAX)));
    }
    let finalizers: Vec<&String> = namespace.spec.finalizers.iter().filter(|f| *f != FINALIZER).collect();
    let body = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": name, "uid": namespace.metadata.uid },
        "spec": { "finalizers": finalizers },
    });
    let bytes = serde_json::to_vec(&body).map_err(kube::Error::SerdeError)?;
    let request = http::Request::put(format!("/api/v1/namespaces/{name}/finalize"))
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(bytes)
        .map_err(kube::Error::HttpError)?;
    match client.request_text(request).await {
        Ok(_) => {}
        Err(err) if err.is_not_found() => return Ok(Outcome::Done),
        Err(err) => return Err(err.into()),
    }
    match api::get::<Namespace>(client, None, &name).await? {
        Some(namespace) => finish(client, &namespace).await,
        None => Ok(Outcome::Done),
    }
}

/// What a round of deleting found.
#[derive(Default)]
struct Content {
    left: Vec<Left>,
    failures: Vec<String>,
}

impl Content {
    /// Deletes all objects of these resources.
    async fn empty(&mut self, client: &Client, resources: &[&Resource], namespace: &str) {
        for resource in resources {
            match empty(client, resource, namespace).await {
                Ok(rest) => self.left.extend(rest),
                // The resource went away with its definition.
                Err(err) if err.is_not_found() || err.code() == Some(405) => {}
                Err(err) => self.failures.push(format!("{}: {}", resource.plural, GoError(&err))),
            }
        }
    }
}

/// The last finalizer is gone: servers before 1.11 wait for another delete.
async fn finish(client: &Client, namespace: &Namespace) -> Result<Outcome, Error> {
    let held = !namespace.spec.finalizers.is_empty()
        || namespace.metadata.finalizers.iter().flatten().next().is_some();
    if held {
        return Ok(Outcome::Done);
    }
    match api::delete::<Namespace>(client, &namespace.metadata).await {
        Ok(()) => Ok(Outcome::Done),
        Err(err) if err.is_conflict() => Ok(Outcome::Done),
        Err(err) => Err(err.into()),
    }
}

#[derive(Deserialize)]
struct List {
    #[serde(default, deserialize_with = "crate::views::nullable")]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
}

const METADATA_ONLY: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// Deletes all objects of a resource, and tells what is still there.
async fn empty(client: &Client, resource: &Resource, namespace: &str) -> Result<Option<Left>, kube::Error> {
    let path = resource.path(Some(namespace));
    let list = || async {
        let request = http::Request::get(&path).header(http::header::ACCEPT, METADATA_ONLY);
        client.request::<List>(request.body(Vec::new()).map_err(kube::Error::HttpError)?).await
    };
    let before = list().await?;
    if before.items.iter().all(|item| item.metadata.deletion_timestamp.is_some()) {
        return Ok(left(resource, &before));
    }
    let options = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background" });
    let body = serde_json::to_vec(&options).map_err(kube::Error::SerdeError)?;
    let delete = |path: String| {
        let request = http::Request::delete(path).header(http::header::CONTENT_TYPE, "application/json");
        request.body(body.clone()).map_err(kube::Error::HttpError)
    };
    if resource.can("deletecollection") {
        client.request_text(delete(path.clone())?).await?;
    } else {
        for item in before.items.iter().filter(|item| item.metadata.deletion_timestamp.is_none()) {
            let name = item.metadata.name.as_deref().unwrap_or_default();
            match client.request_text(delete(format!("{path}/{name}"))?).await {
                Ok(_) => {}
                Err(err) if err.is_not_found() => {}
                Err(err) => return Err(err),
            }
        }
    }
    Ok(left(resource, &list().await?))
}

fn left(resource: &Resource, list: &List) -> Option<Left> {
    if list.items.is_empty() {
        return None;
    }
    let finalizers = list.items.iter().flat_map(|item| item.metadata.finalizers.clone().unwrap_or_default());
    Some(Left {
        // The core group's resources end in a dot, as upstream writes them.
        what: format!("{}.{} has {} resource instances", resource.plural, resource.group, list.items.len()),
        finalizers: finalizers.collect(),
    })
}

/// Tells in the namespace's status what hinders deletion (upstream's `NamespaceConditionUpdater`).
async fn write_conditions(
    client: &Client,
    namespace: &Namespace,
    left: &[Left],
    failures: &[String],
    undiscovered: Option<&str>,
) -> Result<(), kube::Error> {
    let mut whats: Vec<&str> = left.iter().map(|rest| rest.what.as_str()).collect();
    whats.sort_unstable();
    let mut finalizers: Vec<&str> =
        left.iter().flat_map(|rest| rest.finalizers.iter().map(String::as_str)).collect();
    finalizers.sort_unstable();
    let held: Vec<String> = finalizers
        .chunk_by(|a, b| a == b)
        .map(|same| format!("{} in {} resource instances", same[0], same.len()))
        .collect();
    let entries = [
        (
            "NamespaceDeletionDiscoveryFailure",
            undiscovered
                .map(|group| ("DiscoveryFailed", format!("Discovery failed for some groups: {group}"))),
            ("ResourcesDiscovered", "All resources successfully discovered"),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            None,
            ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
        ),
        (
            "NamespaceDeletionContentFailure",
            (!failures.is_empty()).then(|| {
                (
                    "ContentDeletionFailed",
                    format!(
                        "Failed to delete all resource types, {} remaining: {}",
                        failures.len(),
                        failures.join(", ")
                    ),
                )
            }),
            ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
        ),
        (
            "NamespaceContentRemaining",
            (!whats.is_empty()).then(|| {
                ("SomeResourcesRemain", format!("Some resources are remaining: {}", whats.join(", ")))
            }),
            ("ContentRemoved", "All content successfully removed"),
        ),
        (
            "NamespaceFinalizersRemaining",
            (!held.is_empty()).then(|| {
                (
                    "SomeFinalizersRemain",
                    format!("Some content in the namespace has finalizers remaining: {}", held.join(", ")),
                )
            }),
            ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
        ),
    ];
    let now = client::clock::time();
    let mut conditions: Vec<Value> = Vec::new();
    let mut changed = false;
    for (kind, problem, (good_reason, good_text)) in entries {
        let old = namespace.status.conditions.iter().find(|condition| condition.type_ == kind);
        let (status, reason, text) = match problem {
            Some((reason, text)) => ("True", reason, text),
            None => ("False", good_reason, good_text.to_owned()),
        };
        let same = old.is_some_and(|old| old.status == status && old.message.as_deref() == Some(&*text));
        let since = old.filter(|old| old.status == status).and_then(|old| old.last_transition_time.clone());
        changed |= !same;
        conditions.push(json!({
            "type": kind, "status": status, "reason": reason, "message": text,
            "lastTransitionTime": since.unwrap_or_else(|| now.clone()),
        }));
    }
    if !changed {
        return Ok(());
    }
    match api::patch_status::<Namespace>(client, &namespace.metadata, json!({ "conditions": conditions }))
        .await
    {
        Ok(_) => Ok(()),
        Err(err) if err.is_conflict() || err.is_not_found() => Ok(()),
        Err(err) => Err(err),
    }
}
