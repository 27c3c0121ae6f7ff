//! Which numbered pods come and go next.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::views::{Pod, StatefulSet, StatefulSetStatus};
use crate::{history, owners, pods};

const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// The names of the two revisions of a rollout.
pub(super) struct Revisions {
    pub(super) current: String,
    pub(super) update: String,
}

/// One write.
#[derive(Debug)]
pub(super) enum Action {
    Create {
        ordinal: i32,
        update: bool,
    },
    Delete(Arc<Pod>),
    /// The pod waits; its claims may be missing.
    Claims(Arc<Pod>),
}

/// The number in a pod's name, when the rest is the set's name.
pub(super) fn ordinal(parent: &str, pod: &Pod) -> Option<i32> {
    let number = pod.metadata.name.as_deref()?.strip_prefix(parent)?.strip_prefix('-')?;
    number.parse().ok().filter(|n: &i32| *n >= 0 && n.to_string() == number)
}

/// The name of the revision that a pod was made from.
pub(super) fn revision_of(pod: &Pod) -> Option<&String> {
    pod.metadata.labels.as_ref()?.get(history::LABEL)
}

fn wanted(set: &StatefulSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

fn min_ready(set: &StatefulSet) -> Duration {
    Duration::from_secs(set.spec.min_ready_seconds.unwrap_or(0).max(0) as u64)
}

fn is_running(pod: &Pod) -> bool {
    pods::phase(pod) == "Running"
}

/// The writes that may be made now. In order (the default) that is one at most; in parallel, all at once.
pub(super) fn actions(set: &StatefulSet, all: &[Arc<Pod>], names: &Revisions, now: Timestamp) -> Vec<Action> {
    let parent = set.metadata.name.as_deref().unwrap_or_default();
    let start = set.spec.ordinals.as_ref().map_or(0, |ordinals| ordinals.start.unwrap_or(0));
    let ordered = set.spec.pod_management_policy.as_deref() != Some("Parallel");
    let range = start..start + wanted(set);
    let find = |number: i32| all.iter().find(|pod| ordinal(parent, pod) == Some(number));
    let going = |pod: &Pod| pod.metadata.deletion_timestamp.is_some();
    let available =
        |pod: &Pod| is_running(pod) && !going(pod) && pods::is_available(pod, min_ready(set), now);
    let partition =
        set.spec.update_strategy.rolling_update.as_ref().and_then(|rolling| rolling.partition).unwrap_or(0);
    // A missing pod comes back in the revision that it had, unless the rollout has passed it.
    let settled = set.status.current_replicas.unwrap_or(0);
    let rolling = set.spec.update_strategy.type_.as_deref() != Some("OnDelete");
    let with_update = |number: i32| {
        match set.spec.update_strategy.rolling_update {
            _ if !rolling => true,
            // Without a partition: those below the count of current pods are still to come.
            None => number >= start + settled,
            Some(_) => number >= start + partition,
        }
    };
    let mut actions = Vec::new();
    for number in range.clone() {
        let Some(pod) = find(number) else {
            actions.push(Action::Create {
                ordinal: number,
                update: names.current == names.update || with_update(number),
            });
            if ordered {
                return actions;
            }
            continue;
        };
        if pods::is_terminal(pod) {
            if !going(pod) {
                actions.push(Action::Delete(pod.clone()));
            }
            if ordered {
                return actions;
            }
            continue;
        }
        if pods::phase(pod) == "Pending" && !set.spec.volume_claim_templates.is_empty() {
            actions.push(Action::Claims(pod.clone()));
        }
        if ordered && !available(pod) {
            return actions;
        }
    }
    let mut condemned: Vec<&Arc<Pod>> = all
        .iter()
        .filter(|pod| ordinal(parent, pod).is_some_and(|number| !range.contains(&number)))
        .collect();
    condemned.sort_by_key(|pod| std::cmp::Reverse(ordinal(parent, pod)));
    let first_unavailable =
        condemned.iter().rev().find(|pod| !available(pod)).map(|pod| pod.metadata.uid.clone());
    let mut busy = false;
    for pod in &condemned {
        busy = true;
        if going(pod) {
            if ordered {
                return actions;
            }
            continue;
        }
        // Healthy pods wait until the unhealthy one is gone; it may go itself.
        if ordered && !available(pod) && first_unavailable.as_ref() != Some(&pod.metadata.uid) {
            return actions;
        }
        actions.push(Action::Delete(Arc::clone(pod)));
        if ordered {
            return actions;
        }
    }
    if !actions.is_empty() || busy && ordered || !rolling {
        return actions;
    }
    for number in (range.start + partition.max(0)..range.end).rev() {
        let Some(pod) = find(number) else { return actions };
        if revision_of(pod) != Some(&names.update) && !going(pod) {
            actions.push(Action::Delete(pod.clone()));
            return actions;
        }
        if !available(pod) {
            return actions;
        }
    }
    actions
}

/// The counts.
pub(super) fn status(
    set: &StatefulSet,
    all: &[Arc<Pod>],
    names: &Revisions,
    now: Timestamp,
) -> StatefulSetStatus {
    let created = |pod: &&Arc<Pod>| !pods::phase(pod).is_empty();
    let count =
        |test: &dyn Fn(&Pod) -> bool| all.iter().filter(created).filter(|pod| test(pod)).count() as i32;
    let living = |pod: &Pod| pod.metadata.deletion_timestamp.is_none();
    let some = |n: i32| (n != 0).then_some(n);
    let ready = |pod: &Pod| is_running(pod) && pods::is_ready(pod);
    StatefulSetStatus {
        replicas: count(&|_| true),
        ready_replicas: some(count(&ready)),
        available_replicas: Some(count(&|pod| ready(pod) && pods::is_available(pod, min_ready(set), now))),
        current_replicas: some(count(&|pod| living(pod) && revision_of(pod) == Some(&names.current))),
        updated_replicas: some(count(&|pod| living(pod) && revision_of(pod) == Some(&names.update))),
        current_revision: Some(names.current.clone()),
        update_revision: Some(names.update.clone()),
        observed_generation: set.metadata.generation,
        collision_count: Some(set.status.collision_count.unwrap_or(0)),
    }
}

/// When all pods are new, the update revision is the current one.
pub(super) fn complete(set: &StatefulSet, status: &mut StatefulSetStatus) {
    let wanted = wanted(set);
    let n = |count: Option<i32>| count.unwrap_or(0);
    let rolling = set.spec.update_strategy.type_.as_deref() != Some("OnDelete");
    if rolling
        && n(status.updated_replicas) == wanted
        && n(status.ready_replicas) == wanted
        && status.replicas == wanted
    {
        status.current_replicas = status.updated_replicas;
        status.current_revision.clone_from(&status.update_revision);
    }
}

fn claim_name(template: &Value, pod: &str) -> String {
    format!("{}-{pod}", template.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default())
}

/// The claims that a pod needs.
pub(super) fn claims(set: &StatefulSet, pod: &str) -> Vec<Value> {
    let claim = |template: &Value| {
        let mut labels = template.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}));
        for (key, value) in set.spec.selector.match_labels.iter().flatten() {
            labels[key] = value.clone().into();
        }
        json!({
            "metadata": {
                "name": claim_name(template, pod),
                "namespace": set.metadata.namespace,
                "labels": labels,
                "annotations": template.pointer("/metadata/annotations"),
            },
            "spec": template.get("spec"),
        })
    };
    set.spec.volume_claim_templates.iter().map(claim).collect()
}

/// The pod of a number.
pub(super) fn pod(set: &StatefulSet, template: &Value, revision: &str, number: i32) -> Value {
    let name = format!("{}-{number}", set.metadata.name.as_deref().unwrap_or_default());
    let mut pod = pods::from_template(set, template, Some(&name));
    pod["metadata"]["ownerReferences"] = json!([owners::reference(set)]);
    let labels = &mut pod["metadata"]["labels"];
    labels[POD_NAME] = name.as_str().into();
    labels[POD_INDEX] = number.to_string().into();
    labels[history::LABEL] = revision.into();
    pod["spec"]["hostname"] = name.as_str().into();
    if let Some(service) = set.spec.service_name.as_ref().filter(|service| !service.is_empty()) {
        pod["spec"]["subdomain"] = service.as_str().into();
    }
    let mut volumes: Vec<Value> = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
    for template in &set.spec.volume_claim_templates {
        let volume = template.pointer("/metadata/name").cloned().unwrap_or_default();
        volumes.retain(|other| other["name"] != volume);
        volumes.push(json!({
            "name": volume,
            "persistentVolumeClaim": { "claimName": claim_name(template, &name), "readOnly": false },
        }));
    }
    if !volumes.is_empty() {
        pod["spec"]["volumes"] = volumes.into();
    }
    pod
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(replicas: i32, policy: &str) -> StatefulSet {
        serde_json::from_value(json!({"metadata": {"name": "db", "namespace": "d"}, "spec": {"replicas": replicas, "podManagementPolicy": policy,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}, "serviceName": "db",
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]}}))
        .unwrap()
    }

    fn existing(number: i32, revision: &str, ready: bool) -> Arc<Pod> {
        let status = if ready { "True" } else { "False" };
        Arc::new(serde_json::from_value(json!({"metadata": {"name": format!("db-{number}"), "uid": number.to_string(), "labels": {history::LABEL: revision}},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": status, "lastTransitionTime": "2020-01-01T00:00:00Z"}]}})).unwrap())
    }

    fn steps(set: &StatefulSet, pods: &[Arc<Pod>], update: &str) -> Vec<String> {
        let names = Revisions { current: "r1".into(), update: update.into() };
        let text = |action: &Action| match action {
            Action::Create { ordinal, update } => format!("+{ordinal}{}", if *update { "u" } else { "c" }),
            Action::Delete(pod) => format!("-{}", ordinal("db", pod).unwrap()),
            Action::Claims(pod) => format!("claims {}", ordinal("db", pod).unwrap()),
        };
        actions(set, pods, &names, client::clock::now()).iter().map(text).collect()
    }

    #[test]
    fn pods_come_in_order_and_go_in_reverse() {
        let ordered = set(3, "OrderedReady");
        assert_eq!(steps(&ordered, &[], "r1"), ["+0u"]);
        assert!(steps(&ordered, &[existing(0, "r1", false)], "r1").is_empty());
        assert_eq!(steps(&ordered, &[existing(0, "r1", true)], "r1"), ["+1u"]);
        let three: Vec<_> = (0..3).map(|n| existing(n, "r1", true)).collect();
        assert_eq!(steps(&set(1, "OrderedReady"), &three, "r1"), ["-2"]);
        assert_eq!(steps(&set(3, "Parallel"), &[], "r1"), ["+0u", "+1u", "+2u"]);
    }

    #[test]
    fn updates_go_from_the_last_to_the_first() {
        let ordered = set(3, "OrderedReady");
        let mut pods: Vec<_> = (0..3).map(|n| existing(n, "r1", true)).collect();
        assert_eq!(steps(&ordered, &pods, "r2"), ["-2"]);
        pods[2] = existing(2, "r2", true);
        assert_eq!(steps(&ordered, &pods, "r2"), ["-1"]);
        pods.iter_mut().enumerate().for_each(|(n, pod)| *pod = existing(n as i32, "r2", true));
        assert!(steps(&ordered, &pods, "r2").is_empty());
        let names = Revisions { current: "r1".into(), update: "r2".into() };
        let mut counts = status(&ordered, &pods, &names, client::clock::now());
        complete(&ordered, &mut counts);
        assert_eq!(counts.current_revision.as_deref(), Some("r2"));
    }

    #[test]
    fn pods_carry_their_identity_and_claims() {
        let made = pod(&set(1, ""), &json!({"metadata": {"labels": {"a": "b"}}, "spec": {}}), "r1", 2);
        assert_eq!(made["metadata"]["name"], "db-2");
        assert_eq!((&made["spec"]["hostname"], &made["spec"]["subdomain"]), (&json!("db-2"), &json!("db")));
        assert_eq!(made["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"], "data-db-2");
        assert_eq!(claims(&set(1, ""), "db-2")[0]["metadata"]["name"], "data-db-2");
    }
}
