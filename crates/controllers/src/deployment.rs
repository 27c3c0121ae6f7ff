//! Deployments: replica sets that replace each other (upstream's `pkg/controller/deployment`).
//!
//! One sync makes one step: it scales one kind of set, or writes the status, and the change it made wakes it again.
//!
//! - [`hash`] names templates, [`sizes`] decides how many replicas each set gets, [`status`] tells how it goes: pure;
//! - [`rollout`] makes the steps.

pub(crate) mod hash;
mod revisions;
mod rollout;
pub(crate) mod sizes;
mod status;

use std::sync::Arc;

use client::ObjectKey;
use client::informer::Event;
use client::queue::WorkQueue;

use crate::context::{Context, synced};
use crate::views::{Deployment, Pod, ReplicaSet};
use crate::{labels, owners};

/// Component of the events.
const COMPONENT: &str = "deployment-controller";

/// Runs the controller until stopped.
pub async fn run(context: Context) {
    let deployments = context.informers.of::<Deployment>();
    let sets = context.informers.of::<ReplicaSet>();
    let pods = context.informers.of::<Pod>();
    let queue = WorkQueue::<ObjectKey>::new();
    let q = queue.clone();
    deployments.add_handler(move |event| q.add(ObjectKey::of(&event.object().metadata)));
    if !synced(&context.stop, &[&deployments]).await {
        return;
    }
    let owner_of = |store: &client::Store<Deployment>, set: &ReplicaSet| {
        let reference =
            owners::controller_of(&set.metadata).filter(|reference| reference.kind == "Deployment")?;
        let key = ObjectKey::new(set.metadata.namespace.clone()?, reference.name.clone());
        store.get(&key).is_some_and(|d| d.metadata.uid.as_ref() == Some(&reference.uid)).then_some(key)
    };
    let (q, store) = (queue.clone(), deployments.store().clone());
    sets.add_handler(move |event| {
        let wake = |set: &ReplicaSet| match owner_of(&store, set) {
            Some(key) => q.add(key),
            None if owners::controller_of(&set.metadata).is_none() => {
                let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
                for deployment in store.in_namespace(namespace) {
                    let selector = &deployment.spec.selector;
                    if !labels::is_empty(selector) && labels::matches(selector, set.metadata.labels.as_ref())
                    {
                        q.add(ObjectKey::of(&deployment.metadata));
                    }
                }
            }
            None => {}
        };
        match event {
            Event::Updated { old, new } => {
                if owners::controller_of(&old.metadata) != owners::controller_of(&new.metadata) {
                    wake(old);
                }
                wake(new);
            }
            other => wake(other.object()),
        }
    });
    if !synced(&context.stop, &[&sets]).await {
        return;
    }
    // Recreate waits for the last old pod to go.
    let (q, set_store, store) = (queue.clone(), sets.store().clone(), deployments.store().clone());
    pods.add_handler(move |event| {
        let Event::Deleted(pod) = event else { return };
        let Some(reference) = owners::controller_of(&pod.metadata).filter(|owner| owner.kind == "ReplicaSet")
        else {
            return;
        };
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let set = set_store.get(&ObjectKey::new(namespace, reference.name.clone()));
        let Some(key) = set.and_then(|set| owner_of(&store, &set)) else { return };
        if store.get(&key).is_some_and(|deployment| !sizes::is_rolling(&deployment)) {
            q.add(key);
        }
    });
    if !synced(&context.stop, &[&pods]).await {
        return;
    }
    let controller = Arc::new(rollout::Controller {
        client: context.client.clone(),
        recorder: context.recorder.as_component(COMPONENT),
        deployments: deployments.store().clone(),
        sets: sets.store().clone(),
        pods: pods.store().clone(),
        freshness: crate::freshness::Freshness::default(),
    });
    client::controller::run(COMPONENT, queue, 5, context.stop, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}
