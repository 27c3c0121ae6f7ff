//! Deletes finished jobs when their time is over (upstream's `ttlafterfinished`).

use std::time::Duration;

use client::controller::Outcome;
use client::queue::WorkQueue;
use client::{ErrorExt, ObjectKey};
use kube::api::{DeleteParams, PropagationPolicy};

use super::is_finished;
use crate::api;
use crate::context::{Context, synced};
use crate::views::Job;

/// Time until a finished job goes; `None` when it stays.
fn left(job: &Job, now: jiff::Timestamp) -> Option<Duration> {
    let seconds = job.spec.ttl_seconds_after_finished.filter(|_| is_finished(job))?;
    let ended = job
        .status
        .conditions
        .iter()
        .filter(|c| matches!(&*c.type_, "Complete" | "Failed") && c.status == "True");
    let ended =
        ended.filter_map(|condition| condition.last_transition_time.as_ref()).map(|time| time.0).next()?;
    let passed = Duration::try_from(now.duration_since(ended)).unwrap_or_default();
    Some(Duration::from_secs(seconds.max(0) as u64).saturating_sub(passed))
}

/// Runs the controller until stopped.
pub async fn run(context: Context) {
    let jobs = context.informers.of::<Job>();
    let queue = WorkQueue::<ObjectKey>::new();
    let q = queue.clone();
    jobs.add_handler(move |event| {
        let job = event.object();
        if job.spec.ttl_seconds_after_finished.is_some() && is_finished(job) {
            q.add(ObjectKey::of(&job.metadata));
        }
    });
    if !synced(&context.stop, &[&jobs]).await {
        return;
    }
    let client = context.client.clone();
    client::controller::run("ttl-after-finished-controller", queue, 2, context.stop, move |key| {
        let (client, store) = (client.clone(), jobs.store().clone());
        async move {
            let Some(job) = store.get(&key).filter(|job| job.metadata.deletion_timestamp.is_none()) else {
                return Ok(Outcome::Done);
            };
            match left(&job, client::clock::now()) {
                None => Ok(Outcome::Done),
                Some(left) if !left.is_zero() => Ok(Outcome::After(left)),
                Some(_) => {
                    let params = DeleteParams {
                        propagation_policy: Some(PropagationPolicy::Foreground),
                        ..Default::default()
                    };
                    match api::delete_with::<Job>(&client, &job.metadata, params).await {
                        Err(err) if !err.is_conflict() => Err(err),
                        _ => Ok(Outcome::Done),
                    }
                }
            }
        }
    })
    .await;
}
