//! Stateful sets: numbered pods with their own claims, one after another (upstream's `pkg/controller/statefulset`).

mod plan;

use std::sync::Arc;
use std::time::Duration;

use client::controller::Outcome;
use client::events::{EventType, Recorder};
use client::queue::WorkQueue;
use client::{ErrorExt, GoError, ObjectKey, Store};
use kube::{Client, Error};
use serde_json::{Value, json};

use crate::context::{Context, synced};
use crate::freshness::Freshness;
use crate::history::{self, Ensured};
use crate::labels::Labels;
use crate::views::{ControllerRevision, PersistentVolumeClaim, Pod, StatefulSet, StatefulSetStatus};
use crate::{api, labels, owners, wiring};
use plan::Action;

const COMPONENT: &str = "statefulset-controller";

/// Runs the controller until stopped.
pub async fn run(context: Context) {
    let queue = WorkQueue::<ObjectKey>::new();
    let revisions = context.informers.of::<ControllerRevision>();
    if !synced(&context.stop, &[&revisions]).await {
        return;
    }
    let selects = |set: &StatefulSet, l: Option<&Labels>| {
        !labels::is_empty(&set.spec.selector) && labels::matches(&set.spec.selector, l)
    };
    let followed = wiring::follow_pods::<StatefulSet>(&context, &queue, selects, |_, _| {}).await;
    let Some((sets, pods)) = followed else { return };
    let controller = Arc::new(Controller {
        client: context.client.clone(),
        recorder: context.recorder.as_component(COMPONENT),
        sets: sets.store().clone(),
        pods: pods.store().clone(),
        revisions: revisions.store().clone(),
        freshness: Freshness::default(),
    });
    client::controller::run(COMPONENT, queue, 5, context.stop, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}

struct Controller {
    client: Client,
    recorder: Recorder,
    sets: Store<StatefulSet>,
    pods: Store<Pod>,
    revisions: Store<ControllerRevision>,
    freshness: Freshness,
}

impl Controller {
    async fn sync(&self, key: &ObjectKey) -> Result<Outcome, Error> {
        let Some(set) = self.sets.get(key) else { return Ok(Outcome::Done) };
        if self.freshness.is_stale(&set.metadata) {
            return Ok(Outcome::Done);
        }
        let uid = set.metadata.uid.as_deref();
        let parent = set.metadata.name.as_deref().unwrap_or_default();
        let fits = |pod: &Pod| {
            labels::matches(&set.spec.selector, pod.metadata.labels.as_ref())
                && plan::ordinal(parent, pod).is_some()
        };
        let mut candidates = self.pods.in_namespace(&key.namespace);
        candidates.retain(|pod| {
            owners::is_controlled_by(&pod.metadata, uid)
                || owners::controller_of(&pod.metadata).is_none() && fits(pod)
        });
        let pods = owners::claim_all(&self.client, &*set, candidates, fits).await?;
        let revisions = history::of(&self.revisions, &*set);
        let collisions = set.status.collision_count.unwrap_or(0);
        let ensured =
            history::ensure(&self.client, &*set, &set.spec.template, &revisions, collisions, &Labels::new())
                .await?;
        let Ensured::Current(update) = ensured else {
            let status = json!({ "collisionCount": collisions + 1 });
            api::patch_status::<StatefulSet>(&self.client, &set.metadata, status).await?;
            return Ok(Outcome::Done);
        };
        let named = |name: &str| {
            revisions.iter().find(|revision| revision.metadata.name.as_deref() == Some(name)).cloned()
        };
        let current =
            set.status.current_revision.as_deref().and_then(named).unwrap_or_else(|| update.clone());
        let revision_name =
            |revision: &ControllerRevision| revision.metadata.name.clone().unwrap_or_default();
        let names = plan::Revisions { current: revision_name(&current), update: revision_name(&update) };
        let now = client::clock::now();
        let mut failed = None;
        if set.metadata.deletion_timestamp.is_none() {
            for action in plan::actions(&set, &pods, &names, now) {
                if let Err(err) = self.act(&set, &current, &update, action).await {
                    failed = Some(err);
                    break;
                }
            }
        }
        let mut status = plan::status(&set, &pods, &names, now);
        plan::complete(&set, &mut status);
        self.write_status(&set, &status).await?;
        if let Some(err) = failed {
            return Err(err);
        }
        let used = |revision: &ControllerRevision| {
            let name = revision_name(revision);
            name == names.current
                || name == names.update
                || pods.iter().any(|pod| plan::revision_of(pod) == Some(&name))
        };
        history::prune(&self.client, &revisions, used, set.spec.revision_history_limit.unwrap_or(10)).await?;
        let wait = set.spec.min_ready_seconds.unwrap_or(0);
        let waiting = wait > 0 && status.ready_replicas != status.available_replicas;
        if waiting { Ok(Outcome::After(Duration::from_secs(wait as u64))) } else { Ok(Outcome::Done) }
    }

    async fn act(
        &self,
        set: &StatefulSet,
        current: &ControllerRevision,
        update: &ControllerRevision,
        action: Action,
    ) -> Result<(), Error> {
        match action {
            Action::Create { ordinal, update: newest } => {
                let revision = if newest { update } else { current };
                let template = history::template(revision);
                let name = revision.metadata.name.as_deref().unwrap_or_default();
                self.create(set, &plan::pod(set, &template, name, ordinal)).await
            }
            Action::Delete(pod) => {
                let result = api::delete::<Pod>(&self.client, &pod.metadata).await;
                self.tell(
                    "Delete",
                    set,
                    pod.metadata.name.as_deref().unwrap_or_default(),
                    result.as_ref().err(),
                );
                result
            }
            Action::Claims(pod) => {
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                self.ensure_claims(set, name).await
            }
        }
    }

    async fn create(&self, set: &StatefulSet, pod: &Value) -> Result<(), Error> {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        self.ensure_claims(set, name).await?;
        match api::create::<Pod>(&self.client, set.metadata.namespace.as_deref(), pod.clone()).await {
            Ok(_) => {
                self.tell("Create", set, name, None);
                Ok(())
            }
            // The cache was late.
            Err(err) if err.is_already_exists() || err.is_namespace_terminating() => Err(err),
            Err(err) => {
                self.tell("Create", set, name, Some(&err));
                Err(err)
            }
        }
    }

    async fn ensure_claims(&self, set: &StatefulSet, pod: &str) -> Result<(), Error> {
        let namespace = set.metadata.namespace.as_deref();
        let parent = set.metadata.name.as_deref().unwrap_or_default();
        for claim in plan::claims(set, pod) {
            let name = claim["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            if api::get::<PersistentVolumeClaim>(&self.client, namespace, &name).await?.is_some() {
                continue;
            }
            match api::create::<PersistentVolumeClaim>(&self.client, namespace, claim).await {
                Ok(_) => {
                    let text = format!("Create Claim {name} Pod {pod} in StatefulSet {parent} success");
                    self.recorder.event(set, EventType::Normal, "SuccessfulCreate", text);
                }
                Err(err) if err.is_already_exists() => {}
                Err(err) => {
                    let text = format!(
                        "Create Claim {name} for Pod {pod} in StatefulSet {parent} failed error: {}",
                        GoError(&err)
                    );
                    self.recorder.event(set, EventType::Warning, "FailedCreate", text);
                    return Err(err);
                }
            }
        }
        Ok(())
    }

    fn tell(&self, verb: &str, set: &StatefulSet, pod: &str, err: Option<&Error>) {
        let parent = set.metadata.name.as_deref().unwrap_or_default();
        match err {
            None => {
                let text = format!("{verb} Pod {pod} in StatefulSet {parent} successful");
                self.recorder.event(set, EventType::Normal, &format!("Successful{verb}"), text);
            }
            Some(err) => {
                let text = format!("{verb} Pod {pod} in StatefulSet {parent} failed error: {}", GoError(err));
                self.recorder.event(set, EventType::Warning, &format!("Failed{verb}"), text);
            }
        }
    }

    async fn write_status(&self, set: &StatefulSet, new: &StatefulSetStatus) -> Result<(), Error> {
        if *new == set.status {
            return Ok(());
        }
        let count = |n: Option<i32>| n.filter(|n| *n != 0).map_or(Value::Null, Value::from);
        let patch = json!({
            "replicas": new.replicas,
            "readyReplicas": count(new.ready_replicas),
            "currentReplicas": count(new.current_replicas),
            "updatedReplicas": count(new.updated_replicas),
            "availableReplicas": new.available_replicas.unwrap_or(0),
            "currentRevision": new.current_revision,
            "updateRevision": new.update_revision,
            "observedGeneration": new.observed_generation,
            "collisionCount": new.collision_count,
        });
        let stored = api::patch_status::<StatefulSet>(&self.client, &set.metadata, patch).await?;
        self.freshness.wrote(&stored.metadata);
        Ok(())
    }
}
