//! Jobs: pods that run to their end (upstream's `pkg/controller/job`).
//!
//! A finished pod may be deleted at any time, and still must count once. So every pod carries a finalizer, and counting
//! takes three steps, each safe to repeat:
//!
//! ```text
//! pod finished, has finalizer ─► uid in status.uncountedTerminatedPods ─► finalizer removed ─► counter +1, uid out
//! ```

mod plan;
pub mod ttl;

use std::sync::Arc;

use client::controller::Outcome;
use client::events::{EventType, Recorder};
use client::informer::Event;
use client::queue::WorkQueue;
use client::{ErrorExt, ObjectKey, Store};
use k8s_openapi::api::batch::v1::JobCondition;
use kube::{Client, Error};
use serde_json::{Value, json};

use crate::context::Context;
use crate::expectations::Expectations;
use crate::freshness::Freshness;
use crate::labels::{self, Labels};
use crate::views::{Job, JobStatus, Pod};
use crate::{api, owners, pods, wiring};
use plan::{End, FINALIZER};

const COMPONENT: &str = "job-controller";

/// Whether a condition of this type is true.
pub fn has_condition(job: &Job, kind: &str) -> bool {
    job.status.conditions.iter().any(|condition| condition.type_ == kind && condition.status == "True")
}

/// Complete or failed.
pub fn is_finished(job: &Job) -> bool {
    has_condition(job, "Complete") || has_condition(job, "Failed")
}

/// Runs the controller until stopped.
pub async fn run(context: Context) {
    let queue = WorkQueue::<ObjectKey>::new();
    let expectations = Arc::new(Expectations::default());
    let e = expectations.clone();
    let selects = |job: &Job, l: Option<&Labels>| {
        !labels::is_empty(&job.spec.selector) && labels::matches(&job.spec.selector, l)
    };
    let seen = move |key: &ObjectKey, event: &Event<Pod>| {
        let pod = event.object();
        match event {
            Event::Added(_) if pod.metadata.deletion_timestamp.is_none() => e.created(key),
            _ if matches!(event, Event::Deleted(_)) || pod.metadata.deletion_timestamp.is_some() => {
                e.deleted(key, pod.metadata.uid.as_deref().unwrap_or_default());
            }
            _ => {}
        }
    };
    let followed = wiring::follow_pods::<Job>(&context, &queue, selects, seen).await;
    let Some((jobs, pods)) = followed else { return };
    // Pods of jobs that are gone still wait for their finalizer to go.
    let q = queue.clone();
    pods.add_handler(move |event| {
        let meta = &event.object().metadata;
        let owner = owners::controller_of(meta).filter(|owner| owner.kind == "Job");
        if let Some(owner) = owner.filter(|_| plan::is_tracked(event.object())) {
            q.add(ObjectKey::new(meta.namespace.clone().unwrap_or_default(), owner.name.clone()));
        }
    });
    let controller = Arc::new(Controller {
        client: context.client.clone(),
        recorder: context.recorder.as_component(COMPONENT),
        jobs: jobs.store().clone(),
        pods: pods.store().clone(),
        expectations,
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
    jobs: Store<Job>,
    pods: Store<Pod>,
    expectations: Arc<Expectations>,
    freshness: Freshness,
}

impl Controller {
    async fn sync(&self, key: &ObjectKey) -> Result<Outcome, Error> {
        let job = self.jobs.get(key);
        self.free_orphans(key, job.as_deref()).await?;
        let Some(job) = job else {
            self.expectations.forget(key);
            return Ok(Outcome::Done);
        };
        let foreign =
            job.spec.managed_by.as_deref().is_some_and(|name| name != "kubernetes.io/job-controller");
        if foreign || job.metadata.deletion_timestamp.is_some() {
            return Ok(Outcome::Done);
        }
        if self.freshness.is_stale(&job.metadata) {
            return Ok(Outcome::Done);
        }
        let settled = self.expectations.satisfied(key);
        let uid = job.metadata.uid.as_deref();
        let fits = |pod: &Pod| labels::matches(&job.spec.selector, pod.metadata.labels.as_ref());
        let mut candidates = self.pods.in_namespace(&key.namespace);
        candidates.retain(|pod| {
            owners::is_controlled_by(&pod.metadata, uid)
                || owners::controller_of(&pod.metadata).is_none() && fits(pod)
        });
        let all = owners::claim_all(&self.client, &*job, candidates, fits).await?;
        if is_finished(&job) {
            for pod in &all {
                self.release(pod).await?;
            }
            return Ok(Outcome::Done);
        }
        let now = client::clock::now();
        let mut status = plan::count(&job, &all, now);
        let end = plan::end(&job, &status, &all, now);
        let mut failed = None;
        let mut again = Outcome::Done;
        let suspended = job.spec.suspend == Some(true);
        self.note_suspension(&job, &mut status, suspended && end.is_none());
        if settled {
            let (wanted, limit) =
                if end.is_some() || suspended { (0, None) } else { plan::wanted(&job, &status, &all, now) };
            if let Some(wait) = limit {
                again = Outcome::After(wait);
            }
            failed = self.manage(key, &job, &all, wanted, limit.is_none(), &mut status).await;
        }
        if let Some(end) = end {
            self.finish(&job, &mut status, &end, &all);
        } else if let Some(left) = plan::deadline_in(&job, &status, now) {
            again = match again {
                Outcome::After(wait) => Outcome::After(wait.min(left)),
                Outcome::Done => Outcome::After(left),
            };
        }
        self.write_status(&job, &status).await?;
        let uncounted = plan::uncounted(&status);
        for pod in
            all.iter().filter(|pod| pod.metadata.uid.as_ref().is_some_and(|uid| uncounted.contains(uid)))
        {
            self.release(pod).await?;
        }
        match failed {
            Some(err) => Err(err),
            None => Ok(again),
        }
    }

    /// Takes the finalizer off pods whose job does not exist any more.
    async fn free_orphans(&self, key: &ObjectKey, job: Option<&Job>) -> Result<(), Error> {
        let living = job
            .filter(|job| job.metadata.deletion_timestamp.is_none())
            .and_then(|job| job.metadata.uid.as_deref());
        for pod in self.pods.in_namespace(&key.namespace) {
            let owner = owners::controller_of(&pod.metadata);
            let theirs = owner.is_some_and(|owner| {
                owner.kind == "Job" && owner.name == key.name && Some(&*owner.uid) != living
            });
            if theirs && plan::is_tracked(&pod) {
                self.release(&pod).await?;
            }
        }
        Ok(())
    }

    async fn release(&self, pod: &Pod) -> Result<(), Error> {
        if !plan::is_tracked(pod) {
            return Ok(());
        }
        let rest: Vec<&String> =
            pod.metadata.finalizers.iter().flatten().filter(|name| *name != FINALIZER).collect();
        match api::patch::<Pod>(&self.client, &pod.metadata, json!({ "metadata": { "finalizers": rest } }))
            .await
        {
            Ok(_) => Ok(()),
            Err(err) if err.is_not_found() => Ok(()),
            Err(err) => Err(err),
        }
    }

    fn note_suspension(&self, job: &Job, status: &mut JobStatus, suspended: bool) {
        let was = has_condition(job, "Suspended");
        if suspended == was {
            return;
        }
        let (value, reason, text) = if suspended {
            ("True", "JobSuspended", "Job suspended")
        } else {
            ("False", "JobResumed", "Job resumed")
        };
        status.conditions.retain(|condition| condition.type_ != "Suspended");
        status.conditions.push(condition("Suspended", value, reason, text));
        status.start_time = if suspended { None } else { Some(client::clock::time()) };
        self.recorder.event(job, EventType::Normal, if suspended { "Suspended" } else { "Resumed" }, text);
    }

    /// Creates or deletes pods until as many run as wanted.
    async fn manage(
        &self,
        key: &ObjectKey,
        job: &Job,
        all: &[Arc<Pod>],
        wanted: usize,
        may_create: bool,
        status: &mut JobStatus,
    ) -> Option<Error> {
        let mut active: Vec<Arc<Pod>> = all.iter().filter(|pod| pods::is_active(pod)).cloned().collect();
        if active.len() > wanted {
            pods::sort_for_deletion(&mut active);
            let victims = &active[..active.len() - wanted];
            self.expectations
                .expect_deletions(key, victims.iter().filter_map(|pod| pod.metadata.uid.clone()));
            let mut failed = None;
            for pod in victims {
                match pods::delete(&self.client, &self.recorder, job, pod).await {
                    Ok(()) => status.active = Some(status.active.unwrap_or(0) - 1),
                    Err(err) => {
                        self.expectations.deleted(key, pod.metadata.uid.as_deref().unwrap_or_default());
                        failed = Some(err);
                    }
                }
            }
            return failed;
        }
        let missing = wanted - active.len();
        if missing == 0 || !may_create {
            return None;
        }
        let pods = plan::new_pods(job, status, &active, missing);
        self.expectations.expect_creations(key, pods.len());
        let tried = std::sync::atomic::AtomicUsize::new(0);
        let (made, err) = pods::slow_start(pods.len(), |at| {
            let pod = pods[at].clone();
            tried.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async move {
                let result = pods::create(&self.client, &self.recorder, job, pod).await;
                if result.is_err() {
                    self.expectations.created(key);
                }
                match result {
                    Err(err) if !err.is_namespace_terminating() => Err(err),
                    _ => Ok(()),
                }
            }
        })
        .await;
        for _ in tried.into_inner()..pods.len() {
            self.expectations.created(key);
        }
        status.active = Some(status.active.unwrap_or(0) + made as i32);
        err
    }

    /// The job is over: says so at once as a criterion, and for good when no pod runs and all are counted.
    fn finish(&self, job: &Job, status: &mut JobStatus, end: &End, all: &[Arc<Pod>]) {
        let (target, last) = match end {
            End::Complete { .. } => ("SuccessCriteriaMet", "Complete"),
            End::Failed { .. } => ("FailureTarget", "Failed"),
        };
        let (reason, text) = end.words();
        if !status.conditions.iter().any(|condition| condition.type_ == target) {
            status.conditions.push(condition(target, "True", reason, text));
        }
        let running = all.iter().any(|pod| !pods::is_terminal(pod));
        if running || !plan::uncounted(status).is_empty() {
            return;
        }
        status.conditions.push(condition(last, "True", reason, text));
        status.active = None;
        match end {
            End::Complete { .. } => {
                status.completion_time = Some(client::clock::time());
                self.recorder.event(job, EventType::Normal, "Completed", "Job completed");
            }
            End::Failed { .. } => self.recorder.event(job, EventType::Warning, reason, text),
        }
    }

    async fn write_status(&self, job: &Job, new: &JobStatus) -> Result<(), Error> {
        if *new == job.status {
            return Ok(());
        }
        let count = |n: Option<i32>| n.filter(|n| *n != 0).map_or(Value::Null, Value::from);
        let uncounted = new.uncounted_terminated_pods.clone().unwrap_or_default();
        let patch = json!({
            "conditions": if new.conditions.is_empty() { Value::Null } else { json!(new.conditions) },
            "startTime": new.start_time,
            "completionTime": new.completion_time,
            "active": count(new.active),
            "ready": new.ready.unwrap_or(0),
            "terminating": new.terminating.unwrap_or(0),
            "succeeded": count(new.succeeded),
            "failed": count(new.failed),
            "completedIndexes": new.completed_indexes,
            "uncountedTerminatedPods": {
                "succeeded": uncounted.succeeded.filter(|uids| !uids.is_empty()),
                "failed": uncounted.failed.filter(|uids| !uids.is_empty()),
            },
        });
        match api::patch_status::<Job>(&self.client, &job.metadata, patch).await {
            Ok(stored) => {
                self.freshness.wrote(&stored.metadata);
                Ok(())
            }
            Err(err) if err.is_not_found() => Ok(()),
            Err(err) => Err(err),
        }
    }
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> JobCondition {
    let now = Some(client::clock::time());
    JobCondition {
        type_: kind.into(),
        status: status.into(),
        reason: Some(reason.into()),
        message: Some(message.into()),
        last_probe_time: now.clone(),
        last_transition_time: now,
    }
}
