//! Replica sets and replication controllers: as many pods as asked for (upstream's `pkg/controller/replicaset`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use client::controller::Outcome;
use client::events::Recorder;
use client::informer::{Event, Informer};
use client::queue::WorkQueue;
use client::{ErrorExt, GoError, ObjectKey};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSetCondition;
use kube::{Client, Error};
use serde_json::{Value, json};

use crate::api::{self, Kind};
use crate::context::{Context, synced};
use crate::expectations::Expectations;
use crate::freshness::Freshness;
use crate::labels::{self, Labels};
use crate::views::{Pod, ReplicaSet, ReplicaSetStatus, ReplicationController};
use crate::{owners, pods};

/// The most pods that one sync creates or deletes (upstream's `BurstReplicas`).
const BURST: usize = 500;

/// What replica sets and replication controllers have in common.
pub trait Replicas: Kind {
    /// Component of the events.
    const COMPONENT: &'static str;
    /// How many pods are wanted.
    fn replicas(&self) -> i32;
    /// Whether a pod with these labels is meant. An empty selector means none.
    fn selects(&self, labels: Option<&Labels>) -> bool;
    /// What pods are made from.
    fn template(&self) -> &Value;
    /// Seconds until a ready pod is available.
    fn min_ready(&self) -> Duration;
    /// The status.
    fn status(&self) -> &ReplicaSetStatus;
}

impl Replicas for ReplicaSet {
    const COMPONENT: &'static str = "replicaset-controller";
    fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }
    fn selects(&self, labels: Option<&Labels>) -> bool {
        !labels::is_empty(&self.spec.selector) && labels::matches(&self.spec.selector, labels)
    }
    fn template(&self) -> &Value {
        &self.spec.template
    }
    fn min_ready(&self) -> Duration {
        Duration::from_secs(self.spec.min_ready_seconds.unwrap_or(0).max(0) as u64)
    }
    fn status(&self) -> &ReplicaSetStatus {
        &self.status
    }
}

impl Replicas for ReplicationController {
    const COMPONENT: &'static str = "replication-controller";
    fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }
    fn selects(&self, labels: Option<&Labels>) -> bool {
        !self.spec.selector.is_empty() && labels::contains(labels, &self.spec.selector)
    }
    fn template(&self) -> &Value {
        &self.spec.template
    }
    fn min_ready(&self) -> Duration {
        Duration::from_secs(self.spec.min_ready_seconds.unwrap_or(0).max(0) as u64)
    }
    fn status(&self) -> &ReplicaSetStatus {
        &self.status
    }
}

/// What a sync does to the pods.
#[derive(Debug, PartialEq)]
pub enum Plan {
    /// As many as wanted.
    Nothing,
    /// This many are missing.
    Create(usize),
    /// Positions (in the given pods) of those that are too many.
    Delete(Vec<usize>),
}

/// Compares the active pods, sorted by [`pods::sort_for_deletion`], with what is wanted.
pub fn plan(active: usize, wanted: i32) -> Plan {
    let wanted = wanted.max(0) as usize;
    match active {
        _ if active < wanted => Plan::Create((wanted - active).min(BURST)),
        _ if active > wanted => Plan::Delete((0..(active - wanted).min(BURST)).collect()),
        _ => Plan::Nothing,
    }
}

/// The status that these pods make (upstream's `calculateStatus`).
pub fn status<R: Replicas>(
    owner: &R,
    pods: &[Arc<Pod>],
    failure: Option<&str>,
    failed: Option<&str>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let wanted = template_labels(owner.template());
    let count = |test: &dyn Fn(&Pod) -> bool| pods.iter().filter(|pod| test(pod)).count() as i32;
    let mut conditions = owner.status().conditions.clone();
    let existing = conditions.iter().any(|condition| condition.type_ == "ReplicaFailure");
    match failed {
        Some(reason) if !existing => conditions.push(ReplicaSetCondition {
            type_: "ReplicaFailure".into(),
            status: "True".into(),
            last_transition_time: Some(client::clock::time()),
            reason: Some(reason.to_owned()),
            message: failure.map(str::to_owned),
        }),
        Some(_) => {}
        None => conditions.retain(|condition| condition.type_ != "ReplicaFailure"),
    }
    ReplicaSetStatus {
        replicas: pods.len() as i32,
        fully_labeled_replicas: Some(count(&|pod| labels::contains(pod.metadata.labels.as_ref(), &wanted))),
        ready_replicas: Some(count(&pods::is_ready)),
        available_replicas: Some(count(&|pod| pods::is_available(pod, owner.min_ready(), now))),
        observed_generation: owner.meta().generation,
        conditions,
    }
}

/// The labels of a pod template.
pub fn template_labels(template: &Value) -> Labels {
    let labels = template.pointer("/metadata/labels").and_then(Value::as_object);
    let pairs = labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    pairs.collect()
}

fn same(a: &ReplicaSetStatus, b: &ReplicaSetStatus) -> bool {
    let numbers = |s: &ReplicaSetStatus| {
        (
            s.replicas,
            s.fully_labeled_replicas.unwrap_or(0),
            s.ready_replicas.unwrap_or(0),
            s.available_replicas.unwrap_or(0),
            s.observed_generation.unwrap_or(0),
        )
    };
    numbers(a) == numbers(b) && a.conditions == b.conditions
}

fn status_patch(status: &ReplicaSetStatus) -> Value {
    // Zero counts are absent in what upstream writes; a merge patch removes them with null.
    let count = |n: Option<i32>| n.filter(|n| *n != 0).map_or(Value::Null, Value::from);
    json!({
        "replicas": status.replicas,
        "fullyLabeledReplicas": count(status.fully_labeled_replicas),
        "readyReplicas": count(status.ready_replicas),
        "availableReplicas": count(status.available_replicas),
        "observedGeneration": status.observed_generation,
        "conditions": if status.conditions.is_empty() { Value::Null } else { json!(status.conditions) },
    })
}

/// Runs the controller for `R` until stopped.
pub async fn run<R: Replicas>(context: Context) {
    let owners = context.informers.of::<R>();
    let pods = context.informers.of::<Pod>();
    let controller = Arc::new(Controller {
        client: context.client.clone(),
        recorder: context.recorder.as_component(R::COMPONENT),
        owners: owners.clone(),
        pods: pods.clone(),
        queue: WorkQueue::new(),
        expectations: Expectations::default(),
        freshness: Freshness::default(),
    });
    let by_owner = |event: &Event<R>, controller: &Controller<R>| {
        let key = ObjectKey::of(event.object().meta());
        if let Event::Deleted(_) = event {
            controller.expectations.forget(&key);
        }
        controller.queue.add(key);
    };
    let c = controller.clone();
    owners.add_handler(move |event| by_owner(event, &c));
    // The pod's handlers look owners up: they must be there.
    if !synced(&context.stop, &[&owners]).await {
        return;
    }
    let c = controller.clone();
    pods.add_handler(move |event| c.pod_changed(event));
    if !synced(&context.stop, &[&pods]).await {
        return;
    }
    let queue = controller.queue.clone();
    client::controller::run(R::COMPONENT, queue, 5, context.stop, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}

struct Controller<R> {
    client: Client,
    recorder: Recorder,
    owners: Informer<R>,
    pods: Informer<Pod>,
    queue: WorkQueue<ObjectKey>,
    expectations: Expectations,
    freshness: Freshness,
}

impl<R: Replicas> Controller<R> {
    /// The key of the owner of a pod, if it is of our kind and lives.
    fn owner_of(&self, pod: &Pod) -> Option<ObjectKey> {
        let reference = owners::controller_of(&pod.metadata)?;
        if reference.kind != R::kind(&())
            || reference.api_version.split('/').next() != R::api_version(&()).split('/').next()
        {
            return None;
        }
        let key = ObjectKey::new(pod.metadata.namespace.clone()?, reference.name.clone());
        let owner = self.owners.store().get(&key)?;
        (owner.meta().uid.as_deref() == Some(&reference.uid)).then_some(key)
    }

    /// Wakes every owner that could adopt an orphan.
    fn offer(&self, pod: &Pod) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        for owner in self.owners.store().in_namespace(namespace) {
            if owner.selects(pod.metadata.labels.as_ref()) {
                self.queue.add(ObjectKey::of(owner.meta()));
            }
        }
    }

    fn pod_changed(&self, event: &Event<Pod>) {
        let uid = |pod: &Pod| pod.metadata.uid.clone().unwrap_or_default();
        match event {
            Event::Added(pod) if pod.metadata.deletion_timestamp.is_some() => {
                if let Some(key) = self.owner_of(pod) {
                    self.expectations.deleted(&key, &uid(pod));
                    self.queue.add(key);
                }
            }
            Event::Added(pod) => match self.owner_of(pod) {
                Some(key) => {
                    self.expectations.created(&key);
                    self.queue.add(key);
                }
                None if owners::controller_of(&pod.metadata).is_none() => self.offer(pod),
                None => {}
            },
            Event::Updated { old, new } => {
                let (before, after) = (self.owner_of(old), self.owner_of(new));
                if let Some(key) = &after
                    && new.metadata.deletion_timestamp.is_some()
                {
                    self.expectations.deleted(key, &uid(new));
                }
                if before != after
                    && let Some(key) = before
                {
                    self.queue.add(key);
                }
                match after {
                    Some(key) => {
                        // A pod that just got ready becomes available later, without any event.
                        if !pods::is_ready(old) && pods::is_ready(new) {
                            let wait = self.owners.store().get(&key).map(|owner| owner.min_ready());
                            if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
                                self.queue.add_after(key.clone(), wait + Duration::from_secs(1));
                            }
                        }
                        self.queue.add(key);
                    }
                    None if owners::controller_of(&new.metadata).is_none() => {
                        let labels_changed = old.metadata.labels != new.metadata.labels;
                        if labels_changed || owners::controller_of(&old.metadata).is_some() {
                            self.offer(new);
                        }
                    }
                    None => {}
                }
            }
            Event::Deleted(pod) => {
                if let Some(key) = self.owner_of(pod) {
                    self.expectations.deleted(&key, &uid(pod));
                    self.queue.add(key);
                }
            }
        }
    }

    async fn sync(&self, key: &ObjectKey) -> Result<Outcome, Error> {
        let Some(owner) = self.owners.store().get(key) else {
            self.expectations.forget(key);
            return Ok(Outcome::Done);
        };
        if self.freshness.is_stale(owner.meta()) {
            return Ok(Outcome::Done);
        }
        let settled = self.expectations.satisfied(key);
        let candidates = self.pods.store().in_namespace(&key.namespace);
        let candidates: Vec<_> = candidates
            .into_iter()
            .filter(|pod| !pods::is_terminal(pod) && pod.metadata.deletion_timestamp.is_none())
            .filter(|pod| {
                // Most pods of a namespace are others'; do not even ask.
                let ours = owners::is_controlled_by(&pod.metadata, owner.meta().uid.as_deref());
                ours || owners::controller_of(&pod.metadata).is_none()
                    && owner.selects(pod.metadata.labels.as_ref())
            })
            .collect();
        let fits = |pod: &Pod| owner.selects(pod.metadata.labels.as_ref());
        let active = owners::claim_all(&self.client, &*owner, candidates, fits).await?;
        let mut failed = None;
        if settled && owner.meta().deletion_timestamp.is_none() {
            failed = self.manage(key, &*owner, active.clone()).await;
        }
        let now = client::clock::now();
        let reason = failed.as_ref().map(|(reason, _)| *reason);
        let message = failed.as_ref().map(|(_, err)| GoError(err).to_string());
        let new = status(&*owner, &active, message.as_deref(), reason, now);
        let stored = self.write_status(&*owner, &new).await;
        if let Some((_, err)) = failed {
            return Err(err);
        }
        stored?;
        let waits = active.iter().filter_map(|pod| pods::available_in(pod, owner.min_ready(), now));
        match waits.filter(|wait| !wait.is_zero()).min() {
            Some(wait) => Ok(Outcome::After(wait + Duration::from_millis(100))),
            None => Ok(Outcome::Done),
        }
    }

    /// Creates or deletes pods; an error comes with the reason for the ReplicaFailure condition.
    async fn manage(
        &self,
        key: &ObjectKey,
        owner: &R,
        mut active: Vec<Arc<Pod>>,
    ) -> Option<(&'static str, Error)> {
        match plan(active.len(), owner.replicas()) {
            Plan::Nothing => None,
            Plan::Create(count) => {
                self.expectations.expect_creations(key, count);
                let pod = pods::from_template(owner, owner.template(), None);
                let tried = AtomicUsize::new(0);
                let (_, err) = pods::slow_start(count, |_| {
                    let pod = pod.clone();
                    tried.fetch_add(1, Ordering::Relaxed);
                    async {
                        match pods::create(&self.client, &self.recorder, owner, pod).await {
                            Ok(_) => Ok(()),
                            // Nothing can be created any more, and that is fine.
                            Err(err) if err.is_namespace_terminating() => {
                                self.expectations.created(key);
                                Ok(())
                            }
                            Err(err) => {
                                self.expectations.created(key);
                                Err(err)
                            }
                        }
                    }
                })
                .await;
                // Those that were never tried will not show up.
                for _ in tried.into_inner()..count {
                    self.expectations.created(key);
                }
                err.map(|err| ("FailedCreate", err))
            }
            Plan::Delete(positions) => {
                pods::sort_for_deletion(&mut active);
                let victims: Vec<_> = positions.iter().filter_map(|at| active.get(*at)).collect();
                let uids = victims.iter().filter_map(|pod| pod.metadata.uid.clone());
                self.expectations.expect_deletions(key, uids);
                let results = victims.iter().map(|pod| async {
                    let result = pods::delete(&self.client, &self.recorder, owner, pod).await;
                    if result.is_err() {
                        self.expectations.deleted(key, pod.metadata.uid.as_deref().unwrap_or_default());
                    }
                    result
                });
                let results = futures::future::join_all(results).await;
                results.into_iter().find_map(Result::err).map(|err| ("FailedDelete", err))
            }
        }
    }

    async fn write_status(&self, owner: &R, new: &ReplicaSetStatus) -> Result<(), Error> {
        if same(owner.status(), new) {
            return Ok(());
        }
        match api::patch_status::<R>(&self.client, owner.meta(), status_patch(new)).await {
            Ok(stored) => {
                self.freshness.wrote(stored.meta());
                Ok(())
            }
            // A newer version is on its way into the cache and brings us back.
            Err(err) if err.is_not_found() => Ok(()),
            Err(err) => Err(err),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        assert_eq!(plan(2, 2), Plan::Nothing);
        assert_eq!(plan(1, 3), Plan::Create(2));
        assert_eq!(plan(0, 5000), Plan::Create(BURST));
        assert_eq!(plan(3, 1), Plan::Delete(vec![0, 1]));
        assert_eq!(plan(2, -1), Plan::Delete(vec![0, 1]));
    }

    #[test]
    fn status_counts_and_keeps_the_first_failure() {
        let owner: ReplicaSet = serde_json::from_value(json!({
            "metadata": {"generation": 2},
            "spec": {"template": {"metadata": {"labels": {"a": "1"}}}},
        }))
        .unwrap();
        let pod = |labels: Value, ready: &str| {
            Arc::new(serde_json::from_value::<Pod>(json!({"metadata": {"labels": labels}, "status": {"conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2020-01-01T00:00:00Z"}]}})).unwrap())
        };
        let pods = [pod(json!({"a": "1"}), "True"), pod(json!({"b": "1"}), "False")];
        let now = client::clock::now();
        let new = status(&owner, &pods, Some("quota"), Some("FailedCreate"), now);
        assert_eq!((new.replicas, new.fully_labeled_replicas, new.ready_replicas), (2, Some(1), Some(1)));
        assert_eq!(new.conditions[0].message.as_deref(), Some("quota"));
        let owner = ReplicaSet { status: new, ..owner };
        assert!(same(&owner.status, &status(&owner, &pods, Some("other"), Some("FailedCreate"), now)));
        assert!(status(&owner, &pods, None, None, now).conditions.is_empty());
    }
}
