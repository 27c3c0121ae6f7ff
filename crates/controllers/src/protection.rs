//! Keeps volumes, their claims and their classes while they are used (upstream's `pkg/controller/volume/pvcprotection`,
//! `pvprotection` and `vacprotection`). Admission gives new ones a finalizer; here it goes when the object may go.

mod users;

use std::sync::Arc;

use client::controller::Outcome;
use client::informer::{Event, Informer};
use client::queue::WorkQueue;
use client::{ErrorExt, ObjectKey};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Client, Error};
use serde_json::json;

use self::users::{is_class_used, is_shut_down, is_used};
use crate::api::{self, Kind};
use crate::context::{Context, synced};
use crate::pods;
use crate::views::{PersistentVolume, PersistentVolumeClaim, Pod, VolumeAttributesClass};

/// Runs the controller of claims until stopped.
pub async fn run_claims(context: Context) {
    let guard = Guard::new(&context, "pvc-protection-controller", "kubernetes.io/pvc-protection");
    let claims: &Informer<PersistentVolumeClaim> = &guard.objects;
    let pods = context.informers.of::<Pod>();
    if !synced(&context.stop, &[claims]).await {
        return;
    }
    let (waker, store) = (guard.waker(), claims.store().clone());
    pods.add_handler(move |event| {
        let pod = event.object();
        // Others cannot help to let go of a claim.
        if matches!(event, Event::Deleted(_)) || pods::is_terminal(pod) || is_shut_down(&pod.metadata) {
            waker.wake(store.in_namespace(pod.metadata.namespace.as_deref().unwrap_or_default()));
        }
    });
    if !synced(&context.stop, &[&pods]).await {
        return;
    }
    guard.run(context, |client, claim| async move { is_used(&client, &claim.metadata).await }).await;
}

/// Runs the controller of volumes until stopped.
pub async fn run_volumes(context: Context) {
    let guard = Guard::new(&context, "pv-protection-controller", "kubernetes.io/pv-protection");
    let volumes: &Informer<PersistentVolume> = &guard.objects;
    if !synced(&context.stop, &[volumes]).await {
        return;
    }
    guard.run(context, |_, volume| async move { Ok(volume.status.phase.as_deref() == Some("Bound")) }).await;
}

/// Runs the controller of volume attributes classes until stopped.
pub async fn run_classes(context: Context) {
    let guard = Guard::new(&context, "vac-protection-controller", "kubernetes.io/vac-protection");
    let classes: &Informer<VolumeAttributesClass> = &guard.objects;
    let claims = context.informers.of::<PersistentVolumeClaim>();
    let volumes = context.informers.of::<PersistentVolume>();
    if !synced(&context.stop, &[classes]).await {
        return;
    }
    // Which class a claim or volume had is not cached: there are few classes that are to go.
    let wake = {
        let (waker, store) = (guard.waker(), classes.store().clone());
        move |is_new: bool| {
            if !is_new {
                waker.wake(store.list());
            }
        }
    };
    let woken = wake.clone();
    claims.add_handler(move |event| woken(matches!(event, Event::Added(_))));
    volumes.add_handler(move |event| wake(matches!(event, Event::Added(_))));
    if !synced(&context.stop, &[&claims, &volumes]).await {
        return;
    }
    let is_used = |client: Client, class: Arc<VolumeAttributesClass>| async move {
        is_class_used(&client, class.metadata.name.as_deref().unwrap_or_default()).await
    };
    guard.run(context, is_used).await;
}

/// What the three controllers share: objects get the finalizer while they live, and lose it once nobody uses them.
struct Guard<K: Kind> {
    name: &'static str,
    objects: Informer<K>,
    waker: Waker,
}

/// Has objects looked at again.
#[derive(Clone)]
struct Waker {
    finalizer: &'static str,
    queue: WorkQueue<ObjectKey>,
}

impl<K: Kind> Guard<K> {
    fn new(context: &Context, name: &'static str, finalizer: &'static str) -> Self {
        let (objects, waker) = (context.informers.of::<K>(), Waker { finalizer, queue: WorkQueue::new() });
        let Waker { finalizer, queue } = waker.clone();
        objects.add_handler(move |event| {
            let meta = event.object().meta();
            if change(meta, finalizer).is_some() {
                queue.add(ObjectKey::of(meta));
            }
        });
        Self { name, objects, waker }
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Works until stopped. `is_used` is asked about objects that are to go.
    async fn run<F, Fut>(self, context: Context, is_used: F)
    where
        F: Fn(Client, Arc<K>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<bool, Error>> + Send,
    {
        let Waker { finalizer, queue } = self.waker;
        let (client, store) = (context.client, self.objects.store().clone());
        client::controller::run(self.name, queue, 1, context.stop, move |key| {
            let (client, store, is_used) = (client.clone(), store.clone(), is_used.clone());
            async move {
                let Some(object) = store.get(&key) else { return Ok(Outcome::Done) };
                let Some(change) = change(object.meta(), finalizer) else { return Ok(Outcome::Done) };
                if change == Change::Remove && is_used(client.clone(), object.clone()).await? {
                    return Ok(Outcome::Done);
                }
                write::<K>(&client, object.meta(), change, finalizer).await
            }
        })
        .await;
    }
}

impl Waker {
    /// Those of `objects` that are to go may no longer be used.
    fn wake<K: Kind>(&self, objects: Vec<Arc<K>>) {
        for object in objects {
            if change(object.meta(), self.finalizer) == Some(Change::Remove) {
                self.queue.add(ObjectKey::of(object.meta()));
            }
        }
    }
}

/// What is to be done about an object's finalizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// It lives and has none.
    Add,
    /// It is to go, if nobody uses it.
    Remove,
}

/// Upstream's `NeedToAddFinalizer` and `IsDeletionCandidate`.
fn change(meta: &ObjectMeta, finalizer: &str) -> Option<Change> {
    let has = meta.finalizers.iter().flatten().any(|own| own == finalizer);
    match (meta.deletion_timestamp.is_some(), has) {
        (false, false) => Some(Change::Add),
        (true, true) => Some(Change::Remove),
        _ => None,
    }
}

async fn write<K: Kind>(
    client: &Client,
    meta: &ObjectMeta,
    change: Change,
    finalizer: &str,
) -> Result<Outcome, Error> {
    let mut finalizers = meta.finalizers.clone().unwrap_or_default();
    match change {
        Change::Add => finalizers.push(finalizer.to_owned()),
        Change::Remove => finalizers.retain(|own| own != finalizer),
    }
    match api::patch::<K>(client, meta, json!({ "metadata": { "finalizers": finalizers } })).await {
        Ok(_) => Ok(Outcome::Done),
        Err(err) if err.is_not_found() => Ok(Outcome::Done),
        Err(err) => Err(err),
    }
}
