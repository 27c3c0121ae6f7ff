//! Counting, ending and wanting of a job's pods.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::pods;
use crate::views::{Job, JobStatus, Pod};

/// Keeps a pod until it is counted.
pub(super) const FINALIZER: &str = "batch.kubernetes.io/job-tracking";
const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// The first pause after a failure, and the longest.
const BACKOFF_MIN: Duration = Duration::from_secs(10);
const BACKOFF_MAX: Duration = Duration::from_secs(600);

/// How a job ends.
#[derive(Debug, PartialEq)]
pub(super) enum End {
    Complete { reason: &'static str, text: &'static str },
    Failed { reason: &'static str, text: &'static str },
}

impl End {
    pub(super) fn words(&self) -> (&'static str, &'static str) {
        match self {
            End::Complete { reason, text } | End::Failed { reason, text } => (reason, text),
        }
    }
}

pub(super) fn is_tracked(pod: &Pod) -> bool {
    pod.metadata.finalizers.iter().flatten().any(|name| name == FINALIZER)
}

fn is_indexed(job: &Job) -> bool {
    job.spec.completion_mode.as_deref() == Some("Indexed")
}

fn index_of(pod: &Pod) -> Option<i32> {
    pod.metadata.annotations.as_ref()?.get(INDEX)?.parse().ok()
}

fn succeeded(pod: &Pod) -> bool {
    pods::phase(pod) == "Succeeded"
}

/// A pod that is being deleted will be replaced now, so it counts as failed now.
fn failed(pod: &Pod) -> bool {
    pods::phase(pod) == "Failed" || pod.metadata.deletion_timestamp.is_some() && !succeeded(pod)
}

/// The uids that are noted and not counted.
pub(super) fn uncounted(status: &JobStatus) -> BTreeSet<String> {
    let noted = status.uncounted_terminated_pods.iter();
    noted
        .flat_map(|pods| pods.succeeded.iter().flatten().chain(pods.failed.iter().flatten()))
        .cloned()
        .collect()
}

/// `1,3-5,7` as numbers. Invalid parts are left out.
fn parse_indexes(text: Option<&str>) -> BTreeSet<i32> {
    let parts = text.unwrap_or_default().split(',').filter(|part| !part.is_empty());
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.parse::<i32>().ok()?..=to.parse::<i32>().ok()?)
    };
    parts.filter_map(range).flatten().collect()
}

fn format_indexes(indexes: &BTreeSet<i32>) -> Option<String> {
    let mut parts: Vec<(i32, i32)> = Vec::new();
    for index in indexes {
        match parts.last_mut() {
            Some((_, to)) if *to + 1 == *index => *to = *index,
            _ => parts.push((*index, *index)),
        }
    }
    let text = |(from, to): &(i32, i32)| match to - from {
        0 => from.to_string(),
        1 => format!("{from},{to}"),
        _ => format!("{from}-{to}"),
    };
    (!parts.is_empty()).then(|| parts.iter().map(text).collect::<Vec<_>>().join(","))
}

/// The status with what the pods show: finished pods noted, released ones counted.
pub(super) fn count(job: &Job, all: &[Arc<Pod>], _now: Timestamp) -> JobStatus {
    let mut status = job.status.clone();
    if status.start_time.is_none() && job.spec.suspend != Some(true) {
        status.start_time = Some(client::clock::time());
    }
    let mut noted = status.uncounted_terminated_pods.take().unwrap_or_default();
    let held = |uid: &String| all.iter().any(|pod| pod.metadata.uid.as_ref() == Some(uid) && is_tracked(pod));
    let (mut good, mut bad) =
        (noted.succeeded.take().unwrap_or_default(), noted.failed.take().unwrap_or_default());
    let settle = |uids: &mut Vec<String>| {
        let before = uids.len();
        uids.retain(held);
        (before - uids.len()) as i32
    };
    let (settled_good, settled_bad) = (settle(&mut good), settle(&mut bad));
    if !is_indexed(job) {
        status.succeeded = Some(status.succeeded.unwrap_or(0) + settled_good);
    }
    status.failed = Some(status.failed.unwrap_or(0) + settled_bad);
    let mut done = parse_indexes(status.completed_indexes.as_deref());
    for pod in all.iter().filter(|pod| is_tracked(pod)) {
        let Some(uid) = pod.metadata.uid.clone() else { continue };
        if good.contains(&uid) || bad.contains(&uid) {
            continue;
        }
        if succeeded(pod) {
            done.extend(index_of(pod).filter(|_| is_indexed(job)));
            good.push(uid);
        } else if failed(pod) {
            bad.push(uid);
        }
    }
    if is_indexed(job) {
        status.completed_indexes = format_indexes(&done);
        status.succeeded = Some(done.len() as i32);
    }
    noted.succeeded = Some(good).filter(|uids| !uids.is_empty());
    noted.failed = Some(bad).filter(|uids| !uids.is_empty());
    status.uncounted_terminated_pods = Some(noted);
    let some = |n: usize| Some(n as i32);
    status.active = some(all.iter().filter(|pod| pods::is_active(pod)).count());
    status.ready = some(all.iter().filter(|pod| pods::is_active(pod) && pods::is_ready(pod)).count());
    status.terminating =
        some(all.iter().filter(|pod| !pods::is_terminal(pod) && !pods::is_active(pod)).count());
    normalize(&mut status);
    status
}

/// Zero and nothing are the same.
fn normalize(status: &mut JobStatus) {
    for count in [&mut status.active, &mut status.succeeded, &mut status.failed] {
        *count = count.filter(|n| *n != 0);
    }
}

fn totals(job: &Job, status: &JobStatus) -> (i32, i32) {
    let noted = status.uncounted_terminated_pods.as_ref();
    let len = |list: Option<&Vec<String>>| list.map_or(0, Vec::len) as i32;
    let good = len(noted.and_then(|pods| pods.succeeded.as_ref()));
    let bad = len(noted.and_then(|pods| pods.failed.as_ref()));
    let good = if is_indexed(job) { 0 } else { good };
    (status.succeeded.unwrap_or(0) + good, status.failed.unwrap_or(0) + bad)
}

/// Whether and how the job ends now.
pub(super) fn end(job: &Job, status: &JobStatus, all: &[Arc<Pod>], now: Timestamp) -> Option<End> {
    // What was decided stays decided.
    let met = |kind: &str| {
        status.conditions.iter().any(|condition| condition.type_ == kind && condition.status == "True")
    };
    let complete =
        End::Complete { reason: "CompletionsReached", text: "Reached expected number of succeeded pods" };
    if met("SuccessCriteriaMet") {
        return Some(complete);
    }
    let limit =
        End::Failed { reason: "BackoffLimitExceeded", text: "Job has reached the specified backoff limit" };
    let deadline =
        End::Failed { reason: "DeadlineExceeded", text: "Job was active longer than specified deadline" };
    if met("FailureTarget") {
        let late = status
            .conditions
            .iter()
            .any(|c| c.type_ == "FailureTarget" && c.reason.as_deref() == Some("DeadlineExceeded"));
        return Some(if late { deadline } else { limit });
    }
    let (good, bad) = totals(job, status);
    let backoff_limit = job.spec.backoff_limit.unwrap_or(6);
    let restarts: i32 = all
        .iter()
        .filter(|pod| matches!(pods::phase(pod), "Running" | "Pending"))
        .flat_map(|pod| pod.status.container_statuses.iter().map(|status| status.restart_count))
        .sum();
    let on_failure =
        job.spec.template.pointer("/spec/restartPolicy").and_then(Value::as_str) == Some("OnFailure");
    let too_many_restarts = on_failure && restarts > 0 && restarts >= backoff_limit.max(1);
    if bad > backoff_limit || too_many_restarts {
        return Some(limit);
    }
    if deadline_in(job, status, now).is_some_and(|left| left.is_zero()) {
        return Some(deadline);
    }
    let active = status.active.unwrap_or(0);
    let all_done = match job.spec.completions {
        // A work queue: one success says that there is no more work.
        None => good > 0 && active == 0,
        Some(completions) => good >= completions,
    };
    all_done.then_some(complete)
}

/// Time until the deadline.
pub(super) fn deadline_in(job: &Job, status: &JobStatus, now: Timestamp) -> Option<Duration> {
    let deadline = job.spec.active_deadline_seconds.filter(|_| job.spec.suspend != Some(true))?;
    let since = status.start_time.as_ref()?.0;
    let passed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    Some(Duration::from_secs(deadline.max(0) as u64).saturating_sub(passed))
}

/// How many pods shall run, and how long to wait before new ones are made after failures.
pub(super) fn wanted(
    job: &Job,
    status: &JobStatus,
    all: &[Arc<Pod>],
    now: Timestamp,
) -> (usize, Option<Duration>) {
    let (good, _) = totals(job, status);
    let parallelism = job.spec.parallelism.unwrap_or(1).max(0);
    let active = status.active.unwrap_or(0);
    let wanted = match job.spec.completions {
        None if good > 0 => active.min(parallelism),
        None => parallelism,
        Some(completions) => (completions - good).max(0).min(parallelism),
    };
    (wanted as usize, pause(all, now).filter(|_| wanted > active))
}

/// The pause after the latest failures: 10 s, 20 s, 40 s, …
fn pause(all: &[Arc<Pod>], now: Timestamp) -> Option<Duration> {
    let finished = |pod: &Pod| {
        let states = pod
            .status
            .container_statuses
            .iter()
            .filter_map(|status| status.state.as_ref()?.terminated.as_ref());
        let ends = states.filter_map(|state| state.finished_at.as_ref().map(|time| time.0)).max();
        let ready = pods::condition(pod, "Ready")
            .and_then(|ready| ready.last_transition_time.as_ref().map(|time| time.0));
        ends.or(ready).or(pod.metadata.creation_timestamp.as_ref().map(|time| time.0))
    };
    let last_success = all.iter().filter(|pod| succeeded(pod)).filter_map(|pod| finished(pod)).max();
    let failures: Vec<Timestamp> = all
        .iter()
        .filter(|pod| pods::phase(pod) == "Failed")
        .filter_map(|pod| finished(pod))
        .filter(|time| last_success.is_none_or(|success| *time > success))
        .collect();
    let last = failures.iter().max()?;
    let doublings = u32::try_from(failures.len() - 1).unwrap_or(u32::MAX).min(16);
    let pause = BACKOFF_MIN.saturating_mul(1 << doublings).min(BACKOFF_MAX);
    let passed = Duration::try_from(now.duration_since(*last)).unwrap_or_default();
    Some(pause.saturating_sub(passed)).filter(|left| !left.is_zero())
}

/// The pods to make.
pub(super) fn new_pods(job: &Job, status: &JobStatus, active: &[Arc<Pod>], missing: usize) -> Vec<Value> {
    let base = || {
        let mut pod = pods::from_template(job, &job.spec.template, None);
        let mut finalizers = pod["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        finalizers.push(FINALIZER.into());
        pod["metadata"]["finalizers"] = finalizers.into();
        pod
    };
    if !is_indexed(job) {
        return (0..missing).map(|_| base()).collect();
    }
    let mut taken = parse_indexes(status.completed_indexes.as_deref());
    taken.extend(active.iter().filter_map(|pod| index_of(pod)));
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let free = (0..job.spec.completions.unwrap_or(0)).filter(|index| !taken.contains(index));
    let indexed = |index: i32| {
        let mut pod = base();
        let text = index.to_string();
        pod["metadata"]["generateName"] = format!("{name}-{index}-").into();
        pod["metadata"]["annotations"][INDEX] = text.clone().into();
        pod["metadata"]["labels"][INDEX] = text.into();
        pod["spec"]["hostname"] = format!("{name}-{index}").into();
        let variable = json!({ "name": "JOB_COMPLETION_INDEX",
            "valueFrom": { "fieldRef": { "fieldPath": format!("metadata.labels['{INDEX}']") } } });
        for list in ["containers", "initContainers"] {
            for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
                let mut env = container["env"].as_array().cloned().unwrap_or_default();
                if !env.iter().any(|entry| entry["name"] == "JOB_COMPLETION_INDEX") {
                    env.push(variable.clone());
                    container["env"] = env.into();
                }
            }
            if pod["spec"][list].is_null()
                && let Some(spec) = pod["spec"].as_object_mut()
            {
                spec.remove(list);
            }
        }
        pod
    };
    free.take(missing).map(indexed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(spec: Value) -> Job {
        serde_json::from_value(json!({"metadata": {"name": "j", "uid": "j"}, "spec": spec})).unwrap()
    }

    fn pod(uid: &str, phase: &str, tracked: bool) -> Arc<Pod> {
        let finalizers = if tracked { json!([FINALIZER]) } else { json!([]) };
        Arc::new(serde_json::from_value(json!({"metadata": {"uid": uid, "finalizers": finalizers, "creationTimestamp": "2020-01-01T00:00:00Z"},
            "status": {"phase": phase}})).unwrap())
    }

    #[test]
    fn every_pod_counts_once() {
        let now = client::clock::now();
        let mut job = job(json!({"completions": 2, "parallelism": 1}));
        let status = count(&job, &[pod("a", "Succeeded", true)], now);
        assert_eq!((status.succeeded, uncounted(&status).len()), (None, 1));
        assert_eq!(wanted(&job, &status, &[], now).0, 1);
        job.status = status;
        // Still held: nothing changes.
        assert_eq!(count(&job, &[pod("a", "Succeeded", true)], now), job.status);
        job.status = count(&job, &[pod("a", "Succeeded", false)], now);
        assert_eq!((job.status.succeeded, uncounted(&job.status).len()), (Some(1), 0));
        assert!(end(&job, &job.status, &[], now).is_none());
        let both = count(&job, &[pod("b", "Succeeded", true)], now);
        assert!(matches!(end(&job, &both, &[], now), Some(End::Complete { .. })));
    }

    #[test]
    fn failures_pause_and_end_a_job() {
        let now: Timestamp = "2020-01-01T00:00:05Z".parse().unwrap();
        let job = job(json!({"completions": 1, "backoffLimit": 1}));
        let one = [pod("a", "Failed", true)];
        let status = count(&job, &one, now);
        assert_eq!(wanted(&job, &status, &one, now), (1, Some(Duration::from_secs(5))));
        assert!(end(&job, &status, &one, now).is_none());
        let two = [pod("a", "Failed", true), pod("b", "Failed", true)];
        let status = count(&job, &two, now);
        assert_eq!(end(&job, &status, &two, now).unwrap().words().0, "BackoffLimitExceeded");
    }

    #[test]
    fn indexes() {
        assert_eq!(format_indexes(&parse_indexes(Some("0,2-4,9"))).as_deref(), Some("0,2-4,9"));
        let job = job(
            json!({"completionMode": "Indexed", "completions": 4, "template": {"spec": {"containers": [{"name": "c"}]}}}),
        );
        let status = JobStatus { completed_indexes: Some("0".into()), ..Default::default() };
        let pods = new_pods(&job, &status, &[], 2);
        assert_eq!(pods[1]["metadata"]["annotations"][INDEX], "2");
        assert_eq!(pods[0]["spec"]["containers"][0]["env"][0]["name"], "JOB_COMPLETION_INDEX");
        assert!(pods[0]["spec"].get("initContainers").is_none());
    }
}
