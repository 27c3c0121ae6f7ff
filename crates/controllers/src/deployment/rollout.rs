//! The steps of a deployment.

use std::sync::Arc;
use std::time::Duration;

use client::controller::Outcome;
use client::events::{EventType, Recorder};
use client::{ErrorExt, GoError, ObjectKey, Store};
use kube::{Client, Error};
use serde_json::{Value, json};

use super::revisions::{self, Annotations};
use super::{hash, sizes, status};
use crate::freshness::Freshness;
use crate::views::{Deployment, DeploymentStatus, Pod, ReplicaSet};
use crate::{api, labels, owners, pods};

pub(super) struct Controller {
    pub(super) client: Client,
    pub(super) recorder: Recorder,
    pub(super) deployments: Store<Deployment>,
    pub(super) sets: Store<ReplicaSet>,
    pub(super) pods: Store<Pod>,
    pub(super) freshness: Freshness,
}

/// A deployment with its sets, as they are now (writes of this sync included).
struct Sets {
    newest: Option<Arc<ReplicaSet>>,
    old: Vec<Arc<ReplicaSet>>,
}

impl Sets {
    fn split(deployment: &Deployment, all: Vec<Arc<ReplicaSet>>) -> Self {
        let newest = revisions::newest(deployment, &all);
        let uid = newest.as_ref().and_then(|set| set.metadata.uid.clone());
        let mut old: Vec<_> =
            all.into_iter().filter(|set| uid.is_none() || set.metadata.uid != uid).collect();
        old.sort_by_key(|set| revisions::age(set));
        Self { newest, old }
    }

    fn all(&self) -> Vec<&ReplicaSet> {
        self.old.iter().chain(&self.newest).map(|set| &**set).collect()
    }

    fn active_old(&self) -> Vec<usize> {
        (0..self.old.len()).filter(|at| sizes::size(&self.old[*at]) > 0).collect()
    }

    fn total(&self) -> i32 {
        self.all().iter().map(|set| sizes::size(set)).sum()
    }
}

impl Controller {
    pub(super) async fn sync(&self, key: &ObjectKey) -> Result<Outcome, Error> {
        let Some(deployment) = self.deployments.get(key) else { return Ok(Outcome::Done) };
        if self.freshness.is_stale(&deployment.metadata) {
            return Ok(Outcome::Done);
        }
        let mut deployment = (*deployment).clone();
        if labels::is_empty(&deployment.spec.selector) {
            let text = "This deployment is selecting all pods. A non-empty selector is required.";
            self.recorder.event(&deployment, EventType::Warning, "SelectingAll", text);
            if deployment.status.observed_generation < deployment.metadata.generation {
                let status = json!({ "observedGeneration": deployment.metadata.generation });
                api::patch_status::<Deployment>(&self.client, &deployment.metadata, status).await?;
            }
            return Ok(Outcome::Done);
        }
        let candidates = self.sets.in_namespace(&key.namespace);
        let fits =
            |set: &ReplicaSet| labels::matches(&deployment.spec.selector, set.metadata.labels.as_ref());
        let all = owners::claim_all(&self.client, &deployment, candidates, fits).await?;
        let mut sets = Sets::split(&deployment, all);
        if deployment.metadata.deletion_timestamp.is_some() {
            return self.finish_calculated(&mut deployment, &sets).await;
        }
        self.note_pause(&mut deployment).await?;
        if deployment.spec.paused == Some(true) {
            return self.scale(&mut deployment, &mut sets).await;
        }
        if annotation(&deployment, revisions::ROLLBACK_TO).is_some() {
            return self.roll_back(&deployment, &sets).await;
        }
        let wanted = sizes::wanted(&deployment);
        let mut active = sets.all().into_iter().filter(|set| sizes::size(set) > 0);
        if active.any(|set| sizes::annotated(set, sizes::DESIRED).is_some_and(|desired| desired != wanted)) {
            return self.scale(&mut deployment, &mut sets).await;
        }
        if sizes::is_rolling(&deployment) {
            self.roll(&mut deployment, &mut sets).await
        } else {
            self.recreate(&mut deployment, &mut sets).await
        }
    }

    /// Tells in the Progressing condition that a person paused or resumed the rollout.
    async fn note_pause(&self, deployment: &mut Deployment) -> Result<(), Error> {
        if !status::has_deadline(deployment) {
            return Ok(());
        }
        let reason = status::find(&deployment.status, status::PROGRESSING).and_then(|c| c.reason.clone());
        if reason.as_deref() == Some("ProgressDeadlineExceeded") {
            return Ok(());
        }
        let noted = reason.as_deref() == Some("DeploymentPaused");
        let (reason, text) = match deployment.spec.paused == Some(true) {
            true if !noted => ("DeploymentPaused", "Deployment is paused"),
            false if noted => ("DeploymentResumed", "Deployment is resumed"),
            _ => return Ok(()),
        };
        let condition = status::condition(status::PROGRESSING, "Unknown", reason, text.into());
        status::set(&mut deployment.status, condition);
        self.write_status(deployment).await
    }

    /// Writes `deployment.status` and takes over the new version.
    async fn write_status(&self, deployment: &mut Deployment) -> Result<(), Error> {
        let patch = status::to_patch(&deployment.status);
        let stored = api::patch_status::<Deployment>(&self.client, &deployment.metadata, patch).await?;
        self.freshness.wrote(&stored.metadata);
        deployment.metadata = stored.metadata;
        Ok(())
    }

    async fn annotate(
        &self,
        deployment: &mut Deployment,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), Error> {
        let change = json!({ "metadata": { "annotations": { name: value } } });
        let stored = api::patch::<Deployment>(&self.client, &deployment.metadata, change).await?;
        self.freshness.wrote(&stored.metadata);
        deployment.metadata = stored.metadata;
        Ok(())
    }

    /// Finds the newest set, or makes it; numbers the revisions (upstream's `getNewReplicaSet`).
    async fn ensure_newest(
        &self,
        deployment: &mut Deployment,
        sets: &mut Sets,
        create: bool,
    ) -> Result<(), Error> {
        let revision = revisions::highest(&sets.old) + 1;
        let Some(set) = sets.newest.clone() else {
            if create {
                self.create_newest(deployment, sets, revision).await?;
            }
            return Ok(());
        };
        let annotations = revisions::annotations(deployment, Some(&set), revision);
        let min_ready = deployment.spec.min_ready_seconds.unwrap_or(0);
        let late = set.spec.min_ready_seconds.unwrap_or(0) != min_ready;
        if annotations.is_some() || late {
            let mut change = json!({ "spec": { "minReadySeconds": min_ready } });
            if let Some(annotations) = annotations {
                change["metadata"] = json!({ "annotations": annotations });
            }
            let set = api::patch::<ReplicaSet>(&self.client, &set.metadata, change).await?;
            sets.newest = Some(Arc::new(set));
        }
        let newest = sets.newest.as_deref().unwrap_or(&set);
        self.adopt_revision(deployment, newest).await?;
        if status::has_deadline(deployment) && status::find(&deployment.status, status::PROGRESSING).is_none()
        {
            let text =
                format!("Found new replica set {:?}", set.metadata.name.as_deref().unwrap_or_default());
            status::set(
                &mut deployment.status,
                status::condition(status::PROGRESSING, "True", "FoundNewReplicaSet", text),
            );
            self.write_status(deployment).await?;
        }
        Ok(())
    }

    /// The deployment carries the number of its newest set.
    async fn adopt_revision(&self, deployment: &mut Deployment, set: &ReplicaSet) -> Result<(), Error> {
        let number = set.metadata.annotations.as_ref().and_then(|a| a.get(revisions::REVISION)).cloned();
        if number.is_some() && annotation(deployment, revisions::REVISION) != number {
            self.annotate(deployment, revisions::REVISION, number.as_deref()).await?;
        }
        Ok(())
    }

    async fn create_newest(
        &self,
        deployment: &mut Deployment,
        sets: &mut Sets,
        revision: i64,
    ) -> Result<(), Error> {
        let collisions = deployment.status.collision_count.unwrap_or(0);
        let hash = hash::of(&deployment.spec.template, collisions);
        let name = format!("{}-{hash}", deployment.metadata.name.as_deref().unwrap_or_default());
        let size = sizes::new_size(deployment, 0, sets.total());
        let object = new_set(deployment, &name, &hash, size, revision);
        let namespace = deployment.metadata.namespace.clone();
        let created = match api::create::<ReplicaSet>(&self.client, namespace.as_deref(), object).await {
            Ok(set) => {
                if size > 0 {
                    let text = format!("Scaled up replica set {name} to {size}");
                    self.recorder.event(deployment, EventType::Normal, "ScalingReplicaSet", text);
                }
                set
            }
            Err(err) if err.is_already_exists() => {
                let existing = api::get::<ReplicaSet>(&self.client, namespace.as_deref(), &name).await?;
                let ours = existing.filter(|set| {
                    owners::is_controlled_by(&set.metadata, deployment.metadata.uid.as_deref())
                        && hash::equal(&set.spec.template, &deployment.spec.template)
                });
                match ours {
                    // The cache was late.
                    Some(set) => set,
                    None => {
                        // Another template has this hash. The next sync makes another name.
                        deployment.status.collision_count = Some(collisions + 1);
                        self.write_status(deployment).await?;
                        return Err(err);
                    }
                }
            }
            Err(err) if err.is_namespace_terminating() => return Err(err),
            Err(err) => {
                let text = format!("Failed to create new replica set {name:?}: {}", GoError(&err));
                if status::has_deadline(deployment) {
                    let condition = status::condition(
                        status::PROGRESSING,
                        "False",
                        "ReplicaSetCreateError",
                        text.clone(),
                    );
                    status::set(&mut deployment.status, condition);
                    self.write_status(deployment).await?;
                }
                self.recorder.event(deployment, EventType::Warning, "ReplicaSetCreateError", text);
                return Err(err);
            }
        };
        self.adopt_revision(deployment, &created).await?;
        sets.newest = Some(Arc::new(created));
        if status::has_deadline(deployment) {
            let text = format!("Created new replica set {name:?}");
            let before = deployment.status.clone();
            status::set(
                &mut deployment.status,
                status::condition(status::PROGRESSING, "True", "NewReplicaSetCreated", text),
            );
            if !status::same(&before, &deployment.status) {
                self.write_status(deployment).await?;
            }
        }
        Ok(())
    }

    /// Scales a set; its annotations remember what it was scaled for. Tells whether anything was written.
    async fn resize(
        &self,
        deployment: &Deployment,
        set: &mut Arc<ReplicaSet>,
        size: i32,
    ) -> Result<bool, Error> {
        let old = sizes::size(set);
        let wanted = sizes::wanted(deployment);
        let max = wanted + sizes::fenceposts(deployment).0;
        let noted = sizes::annotated(set, sizes::DESIRED) == Some(wanted)
            && sizes::annotated(set, sizes::MAX) == Some(max);
        if old == size && noted {
            return Ok(false);
        }
        let change = json!({
            "metadata": { "annotations": { sizes::DESIRED: wanted.to_string(), sizes::MAX: max.to_string() } },
            "spec": { "replicas": size },
        });
        *set = Arc::new(api::patch::<ReplicaSet>(&self.client, &set.metadata, change).await?);
        if old != size {
            let direction = if size > old { "up" } else { "down" };
            let name = set.metadata.name.as_deref().unwrap_or_default();
            let text = format!("Scaled {direction} replica set {name} to {size}");
            self.recorder.event(deployment, EventType::Normal, "ScalingReplicaSet", text);
        }
        Ok(old != size)
    }

    async fn roll(&self, deployment: &mut Deployment, sets: &mut Sets) -> Result<Outcome, Error> {
        self.ensure_newest(deployment, sets, true).await?;
        let total = sets.total();
        if let Some(newest) = &mut sets.newest {
            let current = sizes::size(newest);
            let wanted = sizes::wanted(deployment);
            let next = if current > wanted { wanted } else { sizes::new_size(deployment, current, total) };
            if current != wanted && self.resize(deployment, newest, next).await? {
                return self.finish_rollout(deployment, sets).await;
            }
        }
        let active = sets.active_old();
        let old: Vec<&ReplicaSet> = active.iter().map(|at| &*sets.old[*at]).collect();
        let next = sizes::shrink_old(deployment, &old, sets.newest.as_deref());
        let mut scaled = false;
        for (at, size) in active.into_iter().zip(next) {
            if size != sizes::size(&sets.old[at]) {
                scaled |= self.resize(deployment, &mut sets.old[at], size).await?;
            }
        }
        if !scaled {
            self.clean_up(deployment, sets).await?;
        }
        self.finish_rollout(deployment, sets).await
    }

    async fn recreate(&self, deployment: &mut Deployment, sets: &mut Sets) -> Result<Outcome, Error> {
        self.ensure_newest(deployment, sets, false).await?;
        let mut scaled = false;
        for at in sets.active_old() {
            scaled |= self.resize(deployment, &mut sets.old[at], 0).await?;
        }
        if scaled || self.old_pods_run(sets, deployment) {
            return self.finish_rollout(deployment, sets).await;
        }
        self.ensure_newest(deployment, sets, true).await?;
        if let Some(newest) = &mut sets.newest {
            self.resize(deployment, newest, sizes::wanted(deployment)).await?;
        }
        self.clean_up(deployment, sets).await?;
        self.finish_rollout(deployment, sets).await
    }

    /// Whether a pod of an older template still exists and is not over.
    fn old_pods_run(&self, sets: &Sets, deployment: &Deployment) -> bool {
        let namespace = deployment.metadata.namespace.as_deref().unwrap_or_default();
        let all = self.pods.in_namespace(namespace);
        sets.old.iter().any(|set| {
            let uid = set.metadata.uid.as_deref();
            all.iter().any(|pod| owners::is_controlled_by(&pod.metadata, uid) && !pods::is_terminal(pod))
        })
    }

    /// Follows a new number of replicas without rolling (upstream's `sync` and `scale`).
    async fn scale(&self, deployment: &mut Deployment, sets: &mut Sets) -> Result<Outcome, Error> {
        self.ensure_newest(deployment, sets, false).await?;
        let wanted = sizes::wanted(deployment);
        let active_old = sets.active_old();
        let newest_active = sets.newest.as_ref().is_some_and(|set| sizes::size(set) > 0);
        let saturated = sets.newest.as_ref().is_some_and(|set| {
            sizes::size(set) == wanted
                && sizes::annotated(set, sizes::DESIRED) == Some(wanted)
                && sizes::available(set) == wanted
        });
        match (newest_active, active_old.as_slice()) {
            // One set alone takes all.
            (true, []) | (false, []) => {
                let latest_old = sets.old.len().checked_sub(1);
                match (&mut sets.newest, latest_old) {
                    (Some(newest), _) => self.resize(deployment, newest, wanted).await?,
                    (None, Some(at)) => self.resize(deployment, &mut sets.old[at], wanted).await?,
                    (None, None) => false,
                };
            }
            (false, [only]) => {
                self.resize(deployment, &mut sets.old[*only], wanted).await?;
            }
            _ if saturated => {
                for at in active_old {
                    self.resize(deployment, &mut sets.old[at], 0).await?;
                }
            }
            _ if sizes::is_rolling(deployment) => {
                let mut active: Vec<&ReplicaSet> = active_old.iter().map(|at| &*sets.old[*at]).collect();
                active.extend(sets.newest.as_deref().filter(|_| newest_active));
                let next = sizes::proportional(deployment, &active);
                for (at, size) in active_old.iter().zip(&next) {
                    self.resize(deployment, &mut sets.old[*at], *size).await?;
                }
                if let (Some(newest), Some(size)) = (&mut sets.newest, next.get(active_old.len())) {
                    self.resize(deployment, newest, *size).await?;
                }
            }
            _ => {}
        }
        if deployment.spec.paused == Some(true) && annotation(deployment, revisions::ROLLBACK_TO).is_none() {
            self.clean_up(deployment, sets).await?;
        }
        self.finish_calculated(deployment, sets).await
    }

    /// Goes back to an older template (for clients that ask the API server to, as kubectl did until 1.15).
    async fn roll_back(&self, deployment: &Deployment, sets: &Sets) -> Result<Outcome, Error> {
        let mut deployment = deployment.clone();
        let asked = annotation(&deployment, revisions::ROLLBACK_TO).and_then(|text| text.parse::<i64>().ok());
        let mut numbers: Vec<i64> =
            sets.all().into_iter().map(revisions::revision).filter(|n| *n > 0).collect();
        numbers.sort_unstable();
        let target = match asked.unwrap_or(0) {
            0 => numbers.len().checked_sub(2).and_then(|at| numbers.get(at)).copied(),
            revision => Some(revision),
        };
        let set = sets.all().into_iter().find(|set| Some(revisions::revision(set)) == target);
        let mut change = json!({ "metadata": { "annotations": { revisions::ROLLBACK_TO: null } } });
        let name = deployment.metadata.name.clone().unwrap_or_default();
        let (kind, reason, text) = match (set, target) {
            (_, None) => (
                EventType::Warning,
                "DeploymentRollbackRevisionNotFound",
                "Unable to find last revision.".into(),
            ),
            (None, Some(_)) => (
                EventType::Warning,
                "DeploymentRollbackRevisionNotFound",
                "Unable to find the revision to rollback to.".into(),
            ),
            (Some(set), _) if hash::equal(&set.spec.template, &deployment.spec.template) => (
                EventType::Warning,
                "DeploymentRollbackTemplateUnchanged",
                format!("The rollback revision contains the same template as current deployment {name:?}"),
            ),
            (Some(set), Some(revision)) => {
                change["spec"] =
                    json!({ "template": template_change(&deployment.spec.template, &set.spec.template) });
                copy_annotations(set, &mut change);
                let text = format!("Rolled back deployment {name:?} to revision {revision}");
                (EventType::Normal, "DeploymentRollback", text)
            }
        };
        deployment = api::patch::<Deployment>(&self.client, &deployment.metadata, change).await?;
        self.recorder.event(&deployment, kind, reason, text);
        Ok(Outcome::Done)
    }

    /// Deletes the oldest sets beyond the history limit.
    async fn clean_up(&self, deployment: &Deployment, sets: &Sets) -> Result<(), Error> {
        let new = status::calculate(deployment, &sets.all(), sets.newest.as_deref());
        if deployment.spec.paused != Some(true) && !status::is_complete(deployment, &new) {
            return Ok(());
        }
        let Some(limit) = deployment.spec.revision_history_limit.filter(|limit| *limit != i32::MAX) else {
            return Ok(());
        };
        let mut old: Vec<_> =
            sets.old.iter().filter(|set| set.metadata.deletion_timestamp.is_none()).collect();
        let excess = old.len().saturating_sub(limit.max(0) as usize);
        old.sort_by_key(|set| revisions::revision(set));
        for set in &old[..excess] {
            let settled = set.metadata.generation.unwrap_or(0) <= set.status.observed_generation.unwrap_or(0);
            if set.status.replicas == 0 && sizes::size(set) == 0 && settled {
                api::delete::<ReplicaSet>(&self.client, &set.metadata).await?;
            }
        }
        Ok(())
    }

    async fn finish_calculated(&self, deployment: &mut Deployment, sets: &Sets) -> Result<Outcome, Error> {
        let new = status::calculate(deployment, &sets.all(), sets.newest.as_deref());
        self.finish(deployment, new).await
    }

    async fn finish_rollout(&self, deployment: &mut Deployment, sets: &Sets) -> Result<Outcome, Error> {
        let new = status::rollout(deployment, &sets.all(), sets.newest.as_deref(), client::clock::now());
        self.finish(deployment, new).await
    }

    async fn finish(&self, deployment: &mut Deployment, new: DeploymentStatus) -> Result<Outcome, Error> {
        if !status::same(&deployment.status, &new) {
            deployment.status = new;
            self.write_status(deployment).await?;
        }
        Ok(check_again(deployment))
    }
}

/// Nothing happens when a deadline passes: look again then (upstream's `requeueStuckDeployment`).
fn check_again(deployment: &Deployment) -> Outcome {
    let now = client::clock::now();
    let (true, Some(progress), Some(deadline)) = (
        status::has_deadline(deployment),
        status::find(&deployment.status, status::PROGRESSING),
        deployment.spec.progress_deadline_seconds,
    ) else {
        return Outcome::Done;
    };
    if status::is_complete(deployment, &deployment.status)
        || status::timed_out(deployment, &deployment.status, now)
    {
        return Outcome::Done;
    }
    let since = progress.last_update_time.as_ref().map_or(now, |time| time.0);
    let passed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    let left = Duration::from_secs(deadline.max(0) as u64).saturating_sub(passed);
    Outcome::After(left + Duration::from_secs(1))
}

fn annotation(deployment: &Deployment, name: &str) -> Option<String> {
    deployment.metadata.annotations.as_ref()?.get(name).cloned()
}

fn new_set(deployment: &Deployment, name: &str, hash: &str, size: i32, revision: i64) -> Value {
    let mut template = deployment.spec.template.clone();
    template["metadata"]["labels"][hash::LABEL] = hash.into();
    let mut selector = json!(deployment.spec.selector);
    selector["matchLabels"][hash::LABEL] = hash.into();
    let annotations: Annotations = revisions::annotations(deployment, None, revision).unwrap_or_default();
    json!({
        "metadata": {
            "name": name,
            "namespace": deployment.metadata.namespace,
            "labels": template.pointer("/metadata/labels"),
            "annotations": annotations,
            "ownerReferences": [owners::reference(deployment)],
        },
        "spec": {
            "replicas": size,
            "minReadySeconds": deployment.spec.min_ready_seconds.unwrap_or(0),
            "selector": selector,
            "template": template,
        },
    })
}

/// A merge patch that turns one template into another, the hash label aside.
fn template_change(from: &Value, to: &Value) -> Value {
    let mut to = to.clone();
    if let Some(labels) = to.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(hash::LABEL);
    }
    difference(from, &to)
}

fn difference(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else { return to.clone() };
    let mut change = serde_json::Map::new();
    for (key, value) in to {
        match from.get(key) {
            Some(old) if old == value => {}
            Some(old) => {
                change.insert(key.clone(), difference(old, value));
            }
            None => {
                change.insert(key.clone(), value.clone());
            }
        }
    }
    for key in from.keys().filter(|key| !to.contains_key(*key)) {
        change.insert(key.clone(), Value::Null);
    }
    Value::Object(change)
}

/// The change-cause and other notes of the older revision come back with it.
fn copy_annotations(set: &ReplicaSet, change: &mut Value) {
    for (key, value) in set.metadata.annotations.iter().flatten() {
        if !key.starts_with("deployment.kubernetes.io/")
            && key != "kubectl.kubernetes.io/last-applied-configuration"
        {
            change["metadata"]["annotations"][key] = value.clone().into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_patch_between_templates() {
        let from = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"x": 1, "y": {"z": [1]}}});
        let to =
            json!({"metadata": {"labels": {"a": "1", "pod-template-hash": "h"}}, "spec": {"y": {"z": [2]}}});
        assert_eq!(template_change(&from, &to), json!({"spec": {"x": null, "y": {"z": [2]}}}));
    }
}
