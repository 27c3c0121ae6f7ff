//! Daemon sets: one pod on every node that fits (upstream's `pkg/controller/daemon`).
//!
//! - [`fit`]: on which nodes; [`plan`]: which pods come and go: pure.

mod fit;
mod plan;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use client::controller::Outcome;
use client::events::{EventType, Recorder};
use client::informer::Event;
use client::queue::WorkQueue;
use client::{ErrorExt, ObjectKey, Store};
use kube::{Client, Error};
use serde_json::{Value, json};

use crate::context::{Context, synced};
use crate::expectations::Expectations;
use crate::freshness::Freshness;
use crate::history::{self, Ensured};
use crate::views::{ControllerRevision, DaemonSet, DaemonSetStatus, Node, Pod};
use crate::{api, labels, owners, pods, wiring};

const COMPONENT: &str = "daemonset-controller";

/// Runs the controller until stopped.
pub async fn run(context: Context) {
    let queue = WorkQueue::<ObjectKey>::new();
    let expectations = Arc::new(Expectations::default());
    let nodes = context.informers.of::<Node>();
    let revisions = context.informers.of::<ControllerRevision>();
    if !synced(&context.stop, &[&nodes, &revisions]).await {
        return;
    }
    let e = expectations.clone();
    let selects = |set: &DaemonSet, l: Option<&labels::Labels>| {
        !labels::is_empty(&set.spec.selector) && labels::matches(&set.spec.selector, l)
    };
    let seen = move |key: &ObjectKey, event: &Event<Pod>| match event {
        Event::Added(pod) if pod.metadata.deletion_timestamp.is_none() => e.created(key),
        Event::Deleted(pod) => e.deleted(key, pod.metadata.uid.as_deref().unwrap_or_default()),
        other if other.object().metadata.deletion_timestamp.is_some() => {
            e.deleted(key, other.object().metadata.uid.as_deref().unwrap_or_default());
        }
        _ => {}
    };
    let Some((sets, pods)) = wiring::follow_pods::<DaemonSet>(&context, &queue, selects, seen).await else {
        return;
    };
    let (q, store) = (queue.clone(), sets.store().clone());
    nodes.add_handler(move |event| {
        let relevant = match event {
            Event::Updated { old, new } => old.metadata.labels != new.metadata.labels || old.spec != new.spec,
            _ => true,
        };
        if relevant {
            for key in store.keys() {
                q.add(key);
            }
        }
    });
    let controller = Arc::new(Controller {
        client: context.client.clone(),
        recorder: context.recorder.as_component(COMPONENT),
        sets: sets.store().clone(),
        pods: pods.store().clone(),
        nodes: nodes.store().clone(),
        revisions: revisions.store().clone(),
        expectations,
        freshness: Freshness::default(),
    });
    client::controller::run(COMPONENT, queue, 2, context.stop, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}

struct Controller {
    client: Client,
    recorder: Recorder,
    sets: Store<DaemonSet>,
    pods: Store<Pod>,
    nodes: Store<Node>,
    revisions: Store<ControllerRevision>,
    expectations: Arc<Expectations>,
    freshness: Freshness,
}

impl Controller {
    async fn sync(&self, key: &ObjectKey) -> Result<Outcome, Error> {
        let Some(set) = self.sets.get(key) else {
            self.expectations.forget(key);
            return Ok(Outcome::Done);
        };
        if labels::is_empty(&set.spec.selector) {
            let text = "This daemon set is selecting all pods. A non-empty selector is required.";
            self.recorder.event(&*set, EventType::Warning, "SelectingAll", text);
            return Ok(Outcome::Done);
        }
        if set.metadata.deletion_timestamp.is_some() || self.freshness.is_stale(&set.metadata) {
            return Ok(Outcome::Done);
        }
        let revisions = history::of(&self.revisions, &*set);
        let collisions = set.status.collision_count.unwrap_or(0);
        let template = &set.spec.template;
        let ensured =
            history::ensure(&self.client, &*set, template, &revisions, collisions, &BTreeMap::new()).await?;
        let Ensured::Current(current) = ensured else {
            let status = json!({ "collisionCount": collisions + 1 });
            api::patch_status::<DaemonSet>(&self.client, &set.metadata, status).await?;
            return Ok(Outcome::Done);
        };
        let hash =
            current.metadata.labels.as_ref().and_then(|l| l.get(history::LABEL)).cloned().unwrap_or_default();
        let settled = self.expectations.satisfied(key);
        let by_node = self.claim(&set).await?;
        let nodes = self.nodes.list();
        let fitness = fit::of(template);
        let now = client::clock::now();
        let mut failed = None;
        if settled {
            let mut plan = plan::manage(&nodes, &by_node, &fitness, now);
            let update = set.spec.update_strategy.type_.as_deref() != Some("OnDelete");
            if update && plan.create.is_empty() && plan.delete.is_empty() {
                plan.delete = plan::replace(&set, &nodes, &by_node, &fitness, &hash, now);
            }
            failed = self.apply(key, &set, plan, &hash).await;
        }
        let status = plan::status(&set, &nodes, &by_node, &fitness, &hash, now);
        self.write_status(&set, &status).await?;
        if let Some(err) = failed {
            return Err(err);
        }
        let used = |revision: &ControllerRevision| {
            let hash = revision.metadata.labels.as_ref().and_then(|l| l.get(history::LABEL));
            let running = by_node
                .values()
                .flatten()
                .filter_map(|pod| pod.metadata.labels.as_ref()?.get(history::LABEL));
            revision.metadata.uid == current.metadata.uid || running.clone().any(|h| Some(h) == hash)
        };
        history::prune(&self.client, &revisions, used, set.spec.revision_history_limit.unwrap_or(10)).await?;
        let wait = set.spec.min_ready_seconds.unwrap_or(0);
        let waiting = wait > 0 && status.number_ready != status.number_available.unwrap_or(0);
        if waiting { Ok(Outcome::After(Duration::from_secs(wait as u64))) } else { Ok(Outcome::Done) }
    }

    /// Our pods by the node that they are on or meant for.
    async fn claim(&self, set: &DaemonSet) -> Result<HashMap<String, Vec<Arc<Pod>>>, Error> {
        let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
        let fits = |pod: &Pod| labels::matches(&set.spec.selector, pod.metadata.labels.as_ref());
        let mut candidates = self.pods.in_namespace(namespace);
        candidates.retain(|pod| {
            owners::is_controlled_by(&pod.metadata, set.metadata.uid.as_deref())
                || owners::controller_of(&pod.metadata).is_none() && fits(pod)
        });
        let claimed = owners::claim_all(&self.client, set, candidates, fits).await?;
        let mut by_node: HashMap<String, Vec<Arc<Pod>>> = HashMap::new();
        for pod in claimed {
            if let Some(node) = fit::node_of(&pod) {
                by_node.entry(node).or_default().push(pod);
            }
        }
        Ok(by_node)
    }

    async fn apply(&self, key: &ObjectKey, set: &DaemonSet, plan: plan::Plan, hash: &str) -> Option<Error> {
        for (pod, node) in &plan.failed {
            let name = ObjectKey::of(&pod.metadata);
            let (kind, reason, text) = if pods::phase(pod) == "Failed" {
                (
                    EventType::Warning,
                    "FailedDaemonPod",
                    format!("Found failed daemon pod {name} on node {node}, will try to kill it"),
                )
            } else {
                (
                    EventType::Normal,
                    "SucceededDaemonPod",
                    format!("Found succeeded daemon pod {name} on node {node}, will try to delete it"),
                )
            };
            self.recorder.event(set, kind, reason, text);
        }
        if !plan.delete.is_empty() {
            let uids = plan.delete.iter().filter_map(|pod| pod.metadata.uid.clone());
            self.expectations.expect_deletions(key, uids);
        } else if !plan.create.is_empty() {
            self.expectations.expect_creations(key, plan.create.len());
        }
        let mut failed = None;
        for pod in &plan.delete {
            if let Err(err) = pods::delete(&self.client, &self.recorder, set, pod).await {
                self.expectations.deleted(key, pod.metadata.uid.as_deref().unwrap_or_default());
                failed = Some(err);
            }
        }
        if !plan.delete.is_empty() {
            // Creations come with the next sync: one kind of expectation at a time.
            return failed;
        }
        let create = |at: usize| {
            let node = plan.create[at].clone();
            async move {
                let pod = fit::pod_for(pods::from_template(set, &set.spec.template, None), &node, hash);
                match pods::create(&self.client, &self.recorder, set, pod).await {
                    Ok(_) => Ok(()),
                    Err(err) => {
                        self.expectations.created(key);
                        if err.is_namespace_terminating() { Ok(()) } else { Err(err) }
                    }
                }
            }
        };
        let tried = std::sync::atomic::AtomicUsize::new(0);
        let (_, err) = pods::slow_start(plan.create.len(), |at| {
            tried.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            create(at)
        })
        .await;
        for _ in tried.into_inner()..plan.create.len() {
            self.expectations.created(key);
        }
        err
    }

    async fn write_status(&self, set: &DaemonSet, new: &DaemonSetStatus) -> Result<(), Error> {
        if *new == set.status {
            return Ok(());
        }
        let count = |n: Option<i32>| n.filter(|n| *n != 0).map_or(Value::Null, Value::from);
        let patch = json!({
            "currentNumberScheduled": new.current_number_scheduled,
            "numberMisscheduled": new.number_misscheduled,
            "desiredNumberScheduled": new.desired_number_scheduled,
            "numberReady": new.number_ready,
            "updatedNumberScheduled": count(new.updated_number_scheduled),
            "numberAvailable": count(new.number_available),
            "numberUnavailable": count(new.number_unavailable),
            "observedGeneration": new.observed_generation,
        });
        let stored = api::patch_status::<DaemonSet>(&self.client, &set.metadata, patch).await?;
        self.freshness.wrote(&stored.metadata);
        Ok(())
    }
}
