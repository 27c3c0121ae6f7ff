//! Deletes what its owners left behind (upstream's `pkg/controller/garbagecollector`).
//!
//! ```text
//! watches of all kinds (metadata only) ─► graph of owners and dependents ─► suspects ─► ask the API server ─► delete,
//!                                                                                        drop references, finalizers
//! ```
//! The [`graph`] only raises suspicion; every decision is made on what the API server says at that moment
//! ([`decide`]), so a late cache never deletes anything.

mod decide;
mod graph;
mod monitors;

use std::fmt;
use std::sync::Arc;

use client::ErrorExt;
use client::controller::Outcome;
use client::queue::WorkQueue;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Preconditions, PropagationPolicy};
use kube::core::request::Request as Requests;
use kube::{Client, Error};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::context::Context;
use decide::{FOREGROUND, ORPHAN, OwnerState, Verdict};
use graph::{Graph, Identity, Suspect, Uid};
use monitors::Kinds;

const COMPONENT: &str = "garbage-collector-controller";

impl fmt::Display for Suspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Suspect::Delete(uid) => write!(f, "{uid}"),
            Suspect::Orphan(uid) => write!(f, "dependents of {uid}"),
        }
    }
}

/// The parts that watches and workers share.
struct Collector {
    client: Client,
    graph: Mutex<Graph>,
    kinds: Kinds,
    queue: WorkQueue<Suspect>,
}

/// Runs the controller until stopped.
pub async fn run(context: Context) {
    let collector = Arc::new(Collector {
        client: context.client.clone(),
        graph: Mutex::default(),
        kinds: Kinds::default(),
        queue: WorkQueue::new(),
    });
    let watching = monitors::run(collector.clone(), context.stop.clone());
    let c = collector.clone();
    let working = client::controller::run(
        COMPONENT,
        collector.queue.clone(),
        8,
        context.stop.clone(),
        move |suspect| {
            let collector = c.clone();
            async move {
                match suspect {
                    Suspect::Delete(uid) => collector.attempt_delete(&uid).await,
                    Suspect::Orphan(uid) => collector.attempt_orphan(&uid).await,
                }
            }
        },
    );
    tokio::join!(watching, working);
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    metadata: ObjectMeta,
}

const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

impl Collector {
    fn raise(&self, suspects: Vec<Suspect>) {
        for suspect in suspects {
            self.queue.add(suspect);
        }
    }

    /// What the API server says about an object now; `None` when it (this very one) does not exist.
    async fn live(&self, identity: &Identity) -> Result<Option<ObjectMeta>, Error> {
        let Some(resource) = self.kinds.find(&identity.group, &identity.kind) else {
            // No such kind (any more, or not yet): nothing can be said about its objects.
            return Err(Error::Api(Box::new(no_kind(identity))));
        };
        let path = resource.path(Some(&identity.key.namespace));
        let request = http::Request::get(format!("{path}/{}", identity.key.name))
            .header(http::header::ACCEPT, METADATA_ONLY)
            .body(Vec::new())
            .map_err(Error::HttpError)?;
        match self.client.request::<Meta>(request).await {
            Ok(object) => {
                Ok(Some(object.metadata).filter(|meta| meta.uid.as_deref() == Some(&*identity.uid)))
            }
            Err(err) if err.is_not_found() => Ok(None),
            Err(err) => Err(err),
        }
    }

    async fn patch(&self, identity: &Identity, meta: &ObjectMeta, mut change: Value) -> Result<(), Error> {
        let Some(resource) = self.kinds.find(&identity.group, &identity.kind) else { return Ok(()) };
        change["metadata"]["resourceVersion"] = meta.resource_version.clone().into();
        change["metadata"]["uid"] = meta.uid.clone().into();
        let path = format!("{}/{}", resource.path(Some(&identity.key.namespace)), identity.key.name);
        let request = http::Request::patch(path)
            .header(http::header::ACCEPT, METADATA_ONLY)
            .header(http::header::CONTENT_TYPE, "application/merge-patch+json")
            .body(serde_json::to_vec(&change).map_err(Error::SerdeError)?)
            .map_err(Error::HttpError)?;
        match self.client.request_text(request).await {
            Ok(_) => Ok(()),
            Err(err) if err.is_not_found() => Ok(()),
            Err(err) => Err(err),
        }
    }

    async fn delete(&self, identity: &Identity, policy: PropagationPolicy) -> Result<(), Error> {
        let Some(resource) = self.kinds.find(&identity.group, &identity.kind) else { return Ok(()) };
        let params = DeleteParams {
            propagation_policy: Some(policy),
            preconditions: Some(Preconditions { uid: Some(identity.uid.to_string()), ..Default::default() }),
            ..Default::default()
        };
        let requests = Requests::new(resource.path(Some(&identity.key.namespace)));
        let request = requests.delete(&identity.key.name, &params).map_err(Error::BuildRequest)?;
        match self.client.request_text(request).await {
            Ok(_) => Ok(()),
            Err(err) if err.is_not_found() || err.is_conflict() => Ok(()),
            Err(err) => Err(err),
        }
    }

    /// The object with this uid may have to go (upstream's `attemptToDeleteItem`).
    async fn attempt_delete(&self, uid: &Uid) -> Result<Outcome, Error> {
        let Some((identity, deleting_dependents)) = self.graph.lock().node(uid) else {
            return Ok(Outcome::Done);
        };
        let live = match self.live(&identity).await {
            Ok(live) => live,
            Err(err) if err.reason() == NO_KIND => {
                tracing::debug!("garbage collector: no resource for {}/{}", identity.group, identity.kind);
                return Ok(Outcome::After(UNKNOWN_KIND_PAUSE));
            }
            Err(err) => return Err(err),
        };
        let Some(meta) = live else {
            // Its dependents must hear of it, whether or not we ever saw it.
            let suspects = self.graph.lock().removed(uid);
            self.raise(suspects);
            return Ok(Outcome::Done);
        };
        if meta.deletion_timestamp.is_some() && !deleting_dependents {
            return Ok(Outcome::Done);
        }
        if deleting_dependents {
            return self.wait_for_dependents(&identity, &meta).await;
        }
        let references = meta.owner_references.clone().unwrap_or_default();
        if references.is_empty() {
            return Ok(Outcome::Done);
        }
        let mut states = Vec::new();
        for reference in &references {
            let namespace = identity.key.namespace.as_str();
            let owner = self.kinds.owner(reference, namespace);
            let state = match self.live(&owner).await {
                Ok(None) => OwnerState::Absent,
                Ok(Some(owner)) if decide::waits_for_dependents(&owner) => OwnerState::Waiting,
                Ok(Some(_)) => OwnerState::Solid,
                // A kind that cannot be asked is no proof that the owner is gone, nor that it lives: discovery may have
                // failed for its group.
                Err(err) if err.reason() == NO_KIND => return Ok(Outcome::After(UNKNOWN_KIND_PAUSE)),
                Err(err) => return Err(err),
            };
            states.push((reference.clone(), state));
        }
        let dependents = self.graph.lock().dependents(uid);
        match decide::verdict(&meta, &states, !dependents.is_empty()) {
            Verdict::Keep => {}
            Verdict::DropReferences(rest) => {
                let rest = if rest.is_empty() { Value::Null } else { json!(rest) };
                self.patch(&identity, &meta, json!({ "metadata": { "ownerReferences": rest } })).await?;
            }
            Verdict::Delete { policy, unblock } => {
                if let Some(references) = unblock.filter(|_| self.any_deletes_dependents(&dependents)) {
                    self.patch(&identity, &meta, json!({ "metadata": { "ownerReferences": references } }))
                        .await?;
                }
                tracing::debug!(
                    "garbage collector: deleting {} {} ({policy:?})",
                    identity.kind,
                    identity.key
                );
                self.delete(&identity, policy).await?;
            }
        }
        Ok(Outcome::Done)
    }

    fn any_deletes_dependents(&self, uids: &[Uid]) -> bool {
        let graph = self.graph.lock();
        uids.iter().any(|uid| graph.node(uid).is_some_and(|(_, deleting)| deleting))
    }

    /// The object is being deleted in the foreground: it goes when the dependents that block it are gone.
    async fn wait_for_dependents(&self, identity: &Identity, meta: &ObjectMeta) -> Result<Outcome, Error> {
        let blocking = self.graph.lock().blocking_dependents(&identity.uid);
        if blocking.is_empty() {
            self.drop_finalizer(identity, meta, FOREGROUND).await?;
        } else {
            let graph = self.graph.lock();
            let idle =
                blocking.into_iter().filter(|uid| graph.node(uid).is_some_and(|(_, deleting)| !deleting));
            let suspects = idle.map(Suspect::Delete).collect();
            drop(graph);
            self.raise(suspects);
        }
        Ok(Outcome::Done)
    }

    async fn drop_finalizer(
        &self,
        identity: &Identity,
        meta: &ObjectMeta,
        finalizer: &str,
    ) -> Result<(), Error> {
        let finalizers = meta.finalizers.as_deref().unwrap_or_default();
        if !finalizers.iter().any(|name| name == finalizer) {
            return Ok(());
        }
        let rest: Vec<&String> = finalizers.iter().filter(|name| *name != finalizer).collect();
        self.patch(identity, meta, json!({ "metadata": { "finalizers": rest } })).await
    }

    /// The owner is being deleted and its dependents shall stay (upstream's `attemptToOrphanWorker`).
    async fn attempt_orphan(&self, uid: &Uid) -> Result<Outcome, Error> {
        let Some((owner, _)) = self.graph.lock().node(uid) else { return Ok(Outcome::Done) };
        let dependents = self.graph.lock().dependents(uid);
        for dependent in dependents {
            let Some((identity, _)) = self.graph.lock().node(&dependent) else { continue };
            let Some(meta) = self.live(&identity).await? else { continue };
            let references = meta.owner_references.clone().unwrap_or_default();
            let rest: Vec<_> = references.iter().filter(|reference| reference.uid != **uid).collect();
            if rest.len() != references.len() {
                let rest = if rest.is_empty() { Value::Null } else { json!(rest) };
                self.patch(&identity, &meta, json!({ "metadata": { "ownerReferences": rest } })).await?;
            }
        }
        if let Some(meta) = self.live(&owner).await? {
            self.drop_finalizer(&owner, &meta, ORPHAN).await?;
        }
        Ok(Outcome::Done)
    }
}

/// When to ask again for an object whose kind discovery does not show.
const UNKNOWN_KIND_PAUSE: std::time::Duration = std::time::Duration::from_secs(30);
const NO_KIND: &str = "NoKindMatch";

fn no_kind(identity: &Identity) -> kube::core::Status {
    let mut status =
        kube::core::Status::failure(&format!("no matches for kind {:?}", identity.kind), NO_KIND);
    status.code = 0;
    status
}
