//! The status and conditions of a deployment (upstream's `progress.go` and `sync.go`).

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DeploymentCondition;
use serde_json::{Value, json};

use super::sizes::{available, max_unavailable, size, wanted};
use crate::views::{Deployment, DeploymentStatus, ReplicaSet};

/// The condition that tells whether a rollout moves.
pub(super) const PROGRESSING: &str = "Progressing";
pub(super) const NEW_AVAILABLE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// A condition of now.
pub(super) fn condition(kind: &str, status: &str, reason: &str, message: String) -> DeploymentCondition {
    let now = Some(client::clock::time());
    DeploymentCondition {
        type_: kind.into(),
        status: status.into(),
        reason: Some(reason.into()),
        message: Some(message),
        last_update_time: now.clone(),
        last_transition_time: now,
    }
}

/// A condition by type.
pub(super) fn find<'a>(status: &'a DeploymentStatus, kind: &str) -> Option<&'a DeploymentCondition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

/// Puts a condition in; one that says the same stays as it was.
pub(super) fn set(status: &mut DeploymentStatus, mut new: DeploymentCondition) {
    if let Some(old) = find(status, &new.type_) {
        if old.status == new.status && old.reason == new.reason {
            return;
        }
        if old.status == new.status {
            new.last_transition_time.clone_from(&old.last_transition_time);
        }
    }
    remove(status, &new.type_);
    status.conditions.push(new);
}

/// Takes a condition out.
pub(super) fn remove(status: &mut DeploymentStatus, kind: &str) {
    status.conditions.retain(|condition| condition.type_ != kind);
}

/// Whether a progress deadline is set (the largest number means none).
pub(super) fn has_deadline(deployment: &Deployment) -> bool {
    deployment.spec.progress_deadline_seconds.is_some_and(|seconds| seconds != i32::MAX)
}

/// The counts, and the Available condition.
pub(super) fn calculate(
    deployment: &Deployment,
    all: &[&ReplicaSet],
    newest: Option<&ReplicaSet>,
) -> DeploymentStatus {
    let total: i32 = all.iter().map(|set| size(set)).sum();
    let ready: i32 = all.iter().map(|set| set.status.ready_replicas.unwrap_or(0)).sum();
    let available: i32 = all.iter().map(|set| available(set)).sum();
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: Some(all.iter().map(|set| set.status.replicas).sum()),
        updated_replicas: Some(newest.map_or(0, |set| set.status.replicas)),
        ready_replicas: Some(ready),
        available_replicas: Some(available),
        unavailable_replicas: Some((total - available).max(0)),
        conditions: deployment.status.conditions.clone(),
        collision_count: deployment.status.collision_count,
    };
    let enough = available >= wanted(deployment) - max_unavailable(deployment);
    let new = if enough {
        condition(
            "Available",
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.".into(),
        )
    } else {
        let text = "Deployment does not have minimum availability.";
        condition("Available", "False", "MinimumReplicasUnavailable", text.into())
    };
    set(&mut status, new);
    status
}

/// Whether all pods are new, available and no more than wanted.
pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = Some(wanted(deployment));
    status.updated_replicas == wanted
        && status.replicas == wanted
        && status.available_replicas == wanted
        && status.observed_generation >= deployment.metadata.generation
}

fn progressed(old: &DeploymentStatus, new: &DeploymentStatus) -> bool {
    let n = |count: Option<i32>| count.unwrap_or(0);
    let outdated = |status: &DeploymentStatus| n(status.replicas) - n(status.updated_replicas);
    n(new.updated_replicas) > n(old.updated_replicas)
        || outdated(new) < outdated(old)
        || n(new.ready_replicas) > n(old.ready_replicas)
        || n(new.available_replicas) > n(old.available_replicas)
}

/// Whether the rollout made no progress for the deadline.
pub(super) fn timed_out(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> bool {
    let Some(progress) = find(status, PROGRESSING) else { return false };
    match progress.reason.as_deref() {
        Some(NEW_AVAILABLE) => return false,
        Some(TIMED_OUT) => return true,
        _ => {}
    }
    let Some(deadline) = deployment.spec.progress_deadline_seconds else { return false };
    let since = progress.last_update_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    now.duration_since(since).as_secs() > i64::from(deadline)
}

/// The whole status of a rollout (upstream's `syncRolloutStatus`).
pub(super) fn rollout(
    deployment: &Deployment,
    all: &[&ReplicaSet],
    newest: Option<&ReplicaSet>,
    now: Timestamp,
) -> DeploymentStatus {
    let mut new = calculate(deployment, all, newest);
    if !has_deadline(deployment) {
        remove(&mut new, PROGRESSING);
    }
    let current = find(&deployment.status, PROGRESSING).cloned();
    let was_complete = new.replicas == new.updated_replicas
        && current.as_ref().is_some_and(|condition| condition.reason.as_deref() == Some(NEW_AVAILABLE));
    if has_deadline(deployment) && !was_complete {
        let what = match newest.and_then(|set| set.metadata.name.as_deref()) {
            Some(name) => format!("ReplicaSet {name:?}"),
            None => format!("Deployment {:?}", deployment.metadata.name.as_deref().unwrap_or_default()),
        };
        if is_complete(deployment, &new) {
            let text = format!("{what} has successfully progressed.");
            set(&mut new, condition(PROGRESSING, "True", NEW_AVAILABLE, text));
        } else if progressed(&deployment.status, &new) {
            // Progress restarts the deadline, so the condition is renewed even when it says the same.
            let mut renewed =
                condition(PROGRESSING, "True", "ReplicaSetUpdated", format!("{what} is progressing."));
            if let Some(current) = current.filter(|current| current.status == "True") {
                renewed.last_transition_time = current.last_transition_time;
            }
            remove(&mut new, PROGRESSING);
            new.conditions.push(renewed);
        } else if timed_out(deployment, &new, now) {
            let text = format!("{what} has timed out progressing.");
            set(&mut new, condition(PROGRESSING, "False", TIMED_OUT, text));
        }
    }
    match replica_failure(all, newest) {
        Some(failure) => set(&mut new, failure),
        None => remove(&mut new, "ReplicaFailure"),
    }
    new
}

fn replica_failure(all: &[&ReplicaSet], newest: Option<&ReplicaSet>) -> Option<DeploymentCondition> {
    let of = |set: &ReplicaSet| {
        let failure = set.status.conditions.iter().find(|condition| condition.type_ == "ReplicaFailure")?;
        Some(DeploymentCondition {
            type_: failure.type_.clone(),
            status: failure.status.clone(),
            reason: failure.reason.clone(),
            message: failure.message.clone(),
            last_transition_time: failure.last_transition_time.clone(),
            last_update_time: failure.last_transition_time.clone(),
        })
    };
    newest.and_then(of).or_else(|| all.iter().find_map(|set| of(set)))
}

/// Whether two statuses say the same.
pub(super) fn same(a: &DeploymentStatus, b: &DeploymentStatus) -> bool {
    let n = |count: Option<i32>| count.unwrap_or(0);
    let numbers = |s: &DeploymentStatus| {
        [
            n(s.replicas),
            n(s.updated_replicas),
            n(s.ready_replicas),
            n(s.available_replicas),
            n(s.unavailable_replicas),
        ]
    };
    numbers(a) == numbers(b)
        && a.conditions == b.conditions
        && a.observed_generation == b.observed_generation
        && a.collision_count == b.collision_count
}

/// The status as a merge patch.
pub(super) fn to_patch(status: &DeploymentStatus) -> Value {
    let count = |n: Option<i32>| n.filter(|n| *n != 0).map_or(Value::Null, Value::from);
    json!({
        "observedGeneration": status.observed_generation,
        "replicas": count(status.replicas),
        "updatedReplicas": count(status.updated_replicas),
        "readyReplicas": count(status.ready_replicas),
        "availableReplicas": count(status.available_replicas),
        "unavailableReplicas": count(status.unavailable_replicas),
        "collisionCount": status.collision_count,
        "conditions": if status.conditions.is_empty() { Value::Null } else { json!(status.conditions) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn deployment() -> Deployment {
        serde_json::from_value(json!({"metadata": {"name": "nginx", "generation": 1},
            "spec": {"replicas": 1, "progressDeadlineSeconds": 600, "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}}))
        .unwrap()
    }

    fn set_of(replicas: i32, available: i32) -> ReplicaSet {
        serde_json::from_value(json!({"metadata": {"name": "nginx-1"}, "spec": {"replicas": replicas},
            "status": {"replicas": replicas, "readyReplicas": available, "availableReplicas": available}}))
        .unwrap()
    }

    #[test]
    fn a_rollout_from_nothing_to_available_to_stuck() {
        let mut d = deployment();
        let now = client::clock::now();
        set(&mut d.status, condition(PROGRESSING, "True", "NewReplicaSetCreated", String::new()));
        let (a, b) = (set_of(1, 0), set_of(1, 1));
        let waiting = rollout(&d, &[&a], Some(&a), now);
        assert_eq!(find(&waiting, "Available").unwrap().status, "False");
        assert_eq!(find(&waiting, PROGRESSING).unwrap().reason.as_deref(), Some("ReplicaSetUpdated"));
        d.status = waiting;
        let late = now + Duration::from_secs(700);
        let stuck = rollout(&d, &[&a], Some(&a), late);
        let progress = find(&stuck, PROGRESSING).unwrap();
        assert_eq!(progress.message.as_deref(), Some("ReplicaSet \"nginx-1\" has timed out progressing."));
        d.status = stuck;
        let done = rollout(&d, &[&b], Some(&b), late);
        assert!(is_complete(&d, &done));
        assert_eq!(find(&done, PROGRESSING).unwrap().reason.as_deref(), Some(NEW_AVAILABLE));
        d.status = done.clone();
        assert!(same(&done, &rollout(&d, &[&b], Some(&b), late)));
    }
}
