//! Cron jobs: jobs at times of day (upstream's `pkg/controller/cronjob`).

mod schedule;

use std::sync::Arc;
use std::time::Duration;

use client::controller::Outcome;
use client::events::{EventType, Recorder, reference};
use client::informer::Event;
use client::queue::WorkQueue;
use client::{ErrorExt, GoError, ObjectKey, Store};
use jiff::Timestamp;
use kube::{Client, Error};
use serde_json::{Value, json};

use crate::context::{Context, synced};
use crate::views::{CronJob, Job};
use crate::{api, job, owners};
use schedule::Schedule;

const COMPONENT: &str = "cronjob-controller";
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";
/// More missed times than this are told as an event.
const MISSED_MAX: usize = 100;
/// A start shall not be missed for a clock that is a little slow.
const SLACK: Duration = Duration::from_millis(100);

/// Runs the controller until stopped.
pub async fn run(context: Context) {
    let crons = context.informers.of::<CronJob>();
    let jobs = context.informers.of::<Job>();
    let queue = WorkQueue::<ObjectKey>::new();
    let q = queue.clone();
    crons.add_handler(move |event| q.add(ObjectKey::of(&event.object().metadata)));
    let q = queue.clone();
    jobs.add_handler(move |event| {
        let meta = &event.object().metadata;
        if let Some(owner) = owners::controller_of(meta).filter(|owner| owner.kind == "CronJob") {
            q.add(ObjectKey::new(meta.namespace.clone().unwrap_or_default(), owner.name.clone()));
        }
        let _: &Event<Job> = event;
    });
    if !synced(&context.stop, &[&crons, &jobs]).await {
        return;
    }
    let controller = Arc::new(Controller {
        client: context.client.clone(),
        recorder: context.recorder.as_component(COMPONENT),
        crons: crons.store().clone(),
        jobs: jobs.store().clone(),
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
    crons: Store<CronJob>,
    jobs: Store<Job>,
}

impl Controller {
    async fn sync(&self, key: &ObjectKey) -> Result<Outcome, Error> {
        let Some(cron) = self.crons.get(key) else { return Ok(Outcome::Done) };
        let mut jobs = self.jobs.in_namespace(&key.namespace);
        jobs.retain(|job| owners::is_controlled_by(&job.metadata, cron.metadata.uid.as_deref()));
        let mut cron = (*cron).clone();
        self.clean_up(&cron, &jobs).await?;
        self.note_ends(&mut cron, &jobs).await?;
        if cron.metadata.deletion_timestamp.is_some() || cron.spec.suspend == Some(true) {
            return Ok(Outcome::Done);
        }
        let schedule = match Schedule::parse(&cron.spec.schedule, cron.spec.time_zone.as_deref()) {
            Ok(schedule) => schedule,
            Err(err) => {
                let text = format!("unparseable schedule: {:?} : {err}", cron.spec.schedule);
                self.recorder.event(&cron, EventType::Warning, "UnparseableSchedule", text);
                return Ok(Outcome::Done);
            }
        };
        let now = client::clock::now();
        let again = |from: Timestamp| match schedule.next(from) {
            Some(next) => {
                Outcome::After(Duration::try_from(next.duration_since(now)).unwrap_or_default() + SLACK)
            }
            None => Outcome::Done,
        };
        let created = cron.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let last = cron.status.last_schedule_time.as_ref().map(|time| time.0);
        let mut earliest = last.or(created).unwrap_or(now);
        let deadline =
            cron.spec.starting_deadline_seconds.map(|seconds| Duration::from_secs(seconds.max(0) as u64));
        if let Some(window) = deadline.and_then(|deadline| now.checked_sub(deadline).ok()) {
            earliest = earliest.max(window);
        }
        let (due, missed) = schedule.latest(earliest, now);
        let Some(due) = due else { return Ok(again(now)) };
        if missed > MISSED_MAX {
            let text = format!(
                "too many missed start times: {missed}. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            );
            self.recorder.event(&cron, EventType::Warning, "TooManyMissedTimes", text);
        }
        if deadline.is_some_and(|deadline| {
            now.duration_since(due) > deadline.try_into().unwrap_or(jiff::SignedDuration::MAX)
        }) {
            let text = format!("Missed scheduled time to start a job: {due}");
            self.recorder.event(&cron, EventType::Warning, "MissSchedule", text);
            return Ok(again(now));
        }
        match cron.spec.concurrency_policy.as_deref() {
            Some("Forbid") if !cron.status.active.is_empty() => {
                let text =
                    "Not starting job because prior execution is running and concurrency policy is Forbid";
                self.recorder.event(&cron, EventType::Normal, "JobAlreadyActive", text);
                return Ok(again(now));
            }
            Some("Replace") => {
                for job in jobs.iter().filter(|job| !job::is_finished(job)) {
                    self.delete(&cron, job).await?;
                    cron.status.active.retain(|active| active.uid != job.metadata.uid);
                }
            }
            _ => {}
        }
        self.start(&mut cron, due).await?;
        Ok(again(now))
    }

    async fn start(&self, cron: &mut CronJob, due: Timestamp) -> Result<(), Error> {
        let namespace = cron.metadata.namespace.clone();
        let name = format!("{}-{}", cron.metadata.name.as_deref().unwrap_or_default(), due.as_second() / 60);
        let template = &cron.spec.job_template;
        let mut metadata =
            json!({ "name": name, "namespace": namespace, "ownerReferences": [owners::reference(cron)] });
        for field in ["labels", "annotations"] {
            if let Some(value) =
                template.pointer(&format!("/metadata/{field}")).filter(|value| !value.is_null())
            {
                metadata[field] = value.clone();
            }
        }
        metadata["annotations"][SCHEDULED] = schedule::rfc3339(due, cron.spec.time_zone.as_deref()).into();
        let object =
            json!({ "metadata": metadata, "spec": template.get("spec").cloned().unwrap_or_default() });
        let job = match api::create::<Job>(&self.client, namespace.as_deref(), object).await {
            Ok(job) => {
                self.recorder.event(
                    cron,
                    EventType::Normal,
                    "SuccessfulCreate",
                    format!("Created job {name}"),
                );
                job
            }
            Err(err) if err.is_already_exists() => {
                match api::get::<Job>(&self.client, namespace.as_deref(), &name).await? {
                    // Made by us just before a crash or a late cache.
                    Some(job) if owners::is_controlled_by(&job.metadata, cron.metadata.uid.as_deref()) => job,
                    _ => return Err(err),
                }
            }
            Err(err) if err.is_namespace_terminating() => return Ok(()),
            Err(err) => {
                let text = format!("Error creating job: {}", GoError(&err));
                self.recorder.event(cron, EventType::Warning, "FailedCreate", text);
                return Err(err);
            }
        };
        if !cron.status.active.iter().any(|active| active.uid == job.metadata.uid) {
            cron.status.active.push(reference(&job));
        }
        cron.status.last_schedule_time = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(due));
        self.write_status(cron).await
    }

    /// Jobs that ended leave the active list.
    async fn note_ends(&self, cron: &mut CronJob, jobs: &[Arc<Job>]) -> Result<(), Error> {
        let mut changed = false;
        for job in jobs {
            let listed = cron.status.active.iter().any(|active| active.uid == job.metadata.uid);
            if !job::is_finished(job) {
                if !listed {
                    let text = format!(
                        "Saw a job that the controller did not create or forgot: {}",
                        job.metadata.name.as_deref().unwrap_or_default()
                    );
                    tracing::debug!("{text}");
                    cron.status.active.push(reference(&**job));
                    changed = true;
                }
                continue;
            }
            if listed {
                cron.status.active.retain(|active| active.uid != job.metadata.uid);
                changed = true;
                let how = if job::has_condition(job, "Complete") { "Complete" } else { "Failed" };
                let text = format!(
                    "Saw completed job: {}, condition: {how}",
                    job.metadata.name.as_deref().unwrap_or_default()
                );
                self.recorder.event(cron, EventType::Normal, "SawCompletedJob", text);
            }
            let ended = job.status.completion_time.clone().filter(|_| job::has_condition(job, "Complete"));
            if ended.is_some() && ended > cron.status.last_successful_time {
                cron.status.last_successful_time = ended;
                changed = true;
            }
        }
        let before = cron.status.active.len();
        cron.status.active.retain(|active| jobs.iter().any(|job| job.metadata.uid == active.uid));
        if changed || before != cron.status.active.len() {
            self.write_status(cron).await?;
        }
        Ok(())
    }

    /// Deletes the oldest finished jobs beyond the limits.
    async fn clean_up(&self, cron: &CronJob, jobs: &[Arc<Job>]) -> Result<(), Error> {
        let limits = [
            ("Complete", cron.spec.successful_jobs_history_limit.unwrap_or(3)),
            ("Failed", cron.spec.failed_jobs_history_limit.unwrap_or(1)),
        ];
        for (kind, limit) in limits {
            let mut ended: Vec<_> = jobs.iter().filter(|job| job::has_condition(job, kind)).collect();
            ended.retain(|job| job.metadata.deletion_timestamp.is_none());
            ended.sort_by_key(|job| {
                (job.status.start_time.as_ref().map(|time| time.0), job.metadata.name.clone())
            });
            let excess = ended.len().saturating_sub(limit.max(0) as usize);
            for job in &ended[..excess] {
                self.delete(cron, job).await?;
            }
        }
        Ok(())
    }

    async fn delete(&self, cron: &CronJob, job: &Job) -> Result<(), Error> {
        api::delete::<Job>(&self.client, &job.metadata).await?;
        let text = format!("Deleted job {}", job.metadata.name.as_deref().unwrap_or_default());
        self.recorder.event(cron, EventType::Normal, "SuccessfulDelete", text);
        Ok(())
    }

    async fn write_status(&self, cron: &mut CronJob) -> Result<(), Error> {
        let active = &cron.status.active;
        let patch = json!({
            "active": if active.is_empty() { Value::Null } else { json!(active) },
            "lastScheduleTime": cron.status.last_schedule_time,
            "lastSuccessfulTime": cron.status.last_successful_time,
        });
        let stored = api::patch_status::<CronJob>(&self.client, &cron.metadata, patch).await?;
        cron.metadata = stored.metadata;
        Ok(())
    }
}
