//! How many pods may be evicted now (upstream's `pkg/controller/disruption`). The API server's eviction reads it.

use std::sync::Arc;
use std::time::Duration;

use client::controller::Outcome;
use client::events::{EventType, Recorder};
use client::queue::WorkQueue;
use client::{GoError, ObjectKey, Store};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{Client, Error};
use serde_json::json;

use crate::context::{Context, synced};
use crate::deployment::sizes;
use crate::views::{
    Deployment, Pod, PodDisruptionBudget, PodDisruptionBudgetStatus, ReplicaSet, ReplicationController,
    StatefulSet,
};
use crate::{api, labels, owners, pods};

const COMPONENT: &str = "controllermanager";
/// An eviction that did not delete its pod within this time was none (upstream's `DeletionTimeout`).
const EVICTION_TIMEOUT: Duration = Duration::from_secs(120);

/// Runs the controller until stopped.
pub async fn run(context: Context) {
    let budgets = context.informers.of::<PodDisruptionBudget>();
    let pods = context.informers.of::<Pod>();
    let scales = Scales {
        deployments: context.informers.of::<Deployment>().store().clone(),
        sets: context.informers.of::<ReplicaSet>().store().clone(),
        controllers: context.informers.of::<ReplicationController>().store().clone(),
        stateful: context.informers.of::<StatefulSet>().store().clone(),
    };
    let queue = WorkQueue::<ObjectKey>::new();
    let q = queue.clone();
    budgets.add_handler(move |event| q.add(ObjectKey::of(&event.object().metadata)));
    if !synced(&context.stop, &[&budgets]).await {
        return;
    }
    let (q, store) = (queue.clone(), budgets.store().clone());
    pods.add_handler(move |event| {
        let pod = event.object();
        for budget in store.in_namespace(pod.metadata.namespace.as_deref().unwrap_or_default()) {
            if selects(&budget, pod) {
                q.add(ObjectKey::of(&budget.metadata));
            }
        }
    });
    let i = &context.informers;
    let owners: [&dyn crate::context::HasSynced; 5] = [
        &pods,
        &i.of::<Deployment>(),
        &i.of::<ReplicaSet>(),
        &i.of::<ReplicationController>(),
        &i.of::<StatefulSet>(),
    ];
    if !synced(&context.stop, &owners).await {
        return;
    }
    let controller = Arc::new(Controller {
        client: context.client.clone(),
        recorder: context.recorder.as_component(COMPONENT),
        budgets: budgets.store().clone(),
        pods: pods.store().clone(),
        scales,
    });
    client::controller::run("disruption-controller", queue, 1, context.stop, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}

fn selects(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    budget
        .spec
        .selector
        .as_ref()
        .is_some_and(|selector| labels::matches(selector, pod.metadata.labels.as_ref()))
}

/// Where the sizes of owners are found.
struct Scales {
    deployments: Store<Deployment>,
    sets: Store<ReplicaSet>,
    controllers: Store<ReplicationController>,
    stateful: Store<StatefulSet>,
}

impl Scales {
    /// The uid and size of what finally decides how many such pods there are.
    fn of(&self, pod: &Pod) -> Result<Option<(String, i32)>, String> {
        let Some(owner) = owners::controller_of(&pod.metadata) else { return Ok(None) };
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let key = ObjectKey::new(namespace, owner.name.as_str());
        let found = match owner.kind.as_str() {
            "ReplicaSet" => self.sets.get(&key).map(|set| {
                let parent =
                    owners::controller_of(&set.metadata).filter(|parent| parent.kind == "Deployment");
                let deployment = parent.and_then(|parent| {
                    self.deployments.get(&ObjectKey::new(namespace, parent.name.as_str()))
                });
                match deployment {
                    Some(deployment) => (deployment.metadata.uid.clone(), sizes::wanted(&deployment)),
                    None => (set.metadata.uid.clone(), sizes::size(&set)),
                }
            }),
            "ReplicationController" => {
                self.controllers.get(&key).map(|rc| (rc.metadata.uid.clone(), rc.spec.replicas.unwrap_or(1)))
            }
            "StatefulSet" => {
                self.stateful.get(&key).map(|set| (set.metadata.uid.clone(), set.spec.replicas.unwrap_or(1)))
            }
            other => return Err(format!("{other} does not implement the scale subresource")),
        };
        Ok(found.map(|(uid, size)| (uid.unwrap_or_default(), size)))
    }
}

/// Uid and size of a pod's final owner; `None` without one; an error when its kind has no size.
type ScaleOf<'a> = dyn Fn(&Pod) -> Result<Option<(String, i32)>, String> + 'a;

/// Expected pods, and how many of them must be healthy.
fn expectation(
    budget: &PodDisruptionBudget,
    pods: &[Arc<Pod>],
    scales: &ScaleOf<'_>,
) -> Result<(i32, i32), String> {
    let total = pods.len() as i32;
    let by_owners = || {
        let mut owners = std::collections::BTreeMap::new();
        for pod in pods {
            match scales(pod)? {
                Some((uid, size)) => owners.insert(uid, size),
                None => {
                    let name = pod.metadata.name.as_deref().unwrap_or_default();
                    return Err(format!("found no controllers for pod {name:?}"));
                }
            };
        }
        Ok(owners.values().sum::<i32>())
    };
    match (&budget.spec.max_unavailable, &budget.spec.min_available) {
        (Some(limit), _) => {
            let expected = by_owners()?;
            let unavailable = sizes::scaled(Some(limit), expected, true).unwrap_or(0);
            Ok((expected, (expected - unavailable).max(0)))
        }
        (None, Some(IntOrString::Int(number))) => Ok((total, *number)),
        (None, Some(percentage)) => {
            let expected = by_owners()?;
            Ok((expected, sizes::scaled(Some(percentage), expected, true).unwrap_or(0)))
        }
        // Neither is set: one pod must stay, as the API's default says.
        (None, None) => Ok((total, 1)),
    }
}

/// The status, and when to look again because an eviction may have been none.
fn status(
    budget: &PodDisruptionBudget,
    pods: &[Arc<Pod>],
    expected: i32,
    desired: i32,
    now: jiff::Timestamp,
) -> (PodDisruptionBudgetStatus, Option<Duration>) {
    let mut again: Option<Duration> = None;
    let mut disrupted = budget.status.disrupted_pods.clone();
    disrupted.retain(|name, at| {
        let Some(pod) = pods.iter().find(|pod| pod.metadata.name.as_ref() == Some(name)) else {
            return false;
        };
        let left =
            EVICTION_TIMEOUT.saturating_sub(Duration::try_from(now.duration_since(at.0)).unwrap_or_default());
        if pod.metadata.deletion_timestamp.is_some() || left.is_zero() {
            return false;
        }
        again = Some(again.map_or(left, |soonest| soonest.min(left)));
        true
    });
    let healthy = pods.iter().filter(|pod| {
        let evicted = pod.metadata.name.as_ref().is_some_and(|name| disrupted.contains_key(name));
        pod.metadata.deletion_timestamp.is_none() && !evicted && pods::is_ready(pod)
    });
    let healthy = healthy.count() as i32;
    let allowed = if expected <= 0 { 0 } else { (healthy - desired).max(0) };
    let mut new = PodDisruptionBudgetStatus {
        observed_generation: budget.metadata.generation,
        disrupted_pods: disrupted,
        disruptions_allowed: allowed,
        current_healthy: healthy,
        desired_healthy: desired,
        expected_pods: expected,
        conditions: budget.status.conditions.clone(),
    };
    let (value, reason) =
        if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    set_condition(&mut new, budget, value, reason, String::new(), now);
    (new, again)
}

fn set_condition(
    status: &mut PodDisruptionBudgetStatus,
    budget: &PodDisruptionBudget,
    value: &str,
    reason: &str,
    message: String,
    now: jiff::Timestamp,
) {
    let old = status.conditions.iter().find(|condition| condition.type_ == "DisruptionAllowed").cloned();
    let since = old.filter(|old| old.status == value).map_or(Time(now), |old| old.last_transition_time);
    status.conditions.retain(|condition| condition.type_ != "DisruptionAllowed");
    status.conditions.push(Condition {
        type_: "DisruptionAllowed".into(),
        status: value.into(),
        reason: reason.into(),
        message,
        observed_generation: budget.metadata.generation,
        last_transition_time: since,
    });
}

struct Controller {
    client: Client,
    recorder: Recorder,
    budgets: Store<PodDisruptionBudget>,
    pods: Store<Pod>,
    scales: Scales,
}

impl Controller {
    async fn sync(&self, key: &ObjectKey) -> Result<Outcome, Error> {
        let Some(budget) = self.budgets.get(key) else { return Ok(Outcome::Done) };
        let mut pods = self.pods.in_namespace(&key.namespace);
        pods.retain(|pod| selects(&budget, pod) && !pods::is_terminal(pod));
        if pods.is_empty() {
            self.recorder.event(&*budget, EventType::Normal, "NoPods", "No matching pods found");
        }
        let now = client::clock::time().0;
        let (new, again) = match expectation(&budget, &pods, &|pod| self.scales.of(pod)) {
            Ok((expected, desired)) => status(&budget, &pods, expected, desired, now),
            Err(text) => {
                // Fail safe: nothing may be evicted.
                let text = format!("Failed to calculate the number of expected pods: {text}");
                self.recorder.event(
                    &*budget,
                    EventType::Warning,
                    "CalculateExpectedPodCountFailed",
                    text.clone(),
                );
                let mut failed =
                    PodDisruptionBudgetStatus { disruptions_allowed: 0, ..budget.status.clone() };
                failed.observed_generation = budget.metadata.generation;
                set_condition(&mut failed, &budget, "False", "SyncFailed", text, now);
                (failed, None)
            }
        };
        if new != budget.status {
            let gone =
                budget.status.disrupted_pods.keys().filter(|name| !new.disrupted_pods.contains_key(*name));
            let mut disrupted = json!(new.disrupted_pods);
            gone.for_each(|name| disrupted[name] = serde_json::Value::Null);
            let patch = json!({
                "observedGeneration": new.observed_generation,
                "disruptedPods": disrupted,
                "disruptionsAllowed": new.disruptions_allowed,
                "currentHealthy": new.current_healthy,
                "desiredHealthy": new.desired_healthy,
                "expectedPods": new.expected_pods,
                "conditions": new.conditions,
            });
            api::patch_status::<PodDisruptionBudget>(&self.client, &budget.metadata, patch)
                .await
                .inspect_err(|err| {
                    tracing::debug!("disruption budget {key}: {}", GoError(err));
                })?;
        }
        Ok(again.map_or(Outcome::Done, |left| Outcome::After(left + Duration::from_secs(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn budget(spec: Value) -> PodDisruptionBudget {
        serde_json::from_value(json!({"spec": spec})).unwrap()
    }

    fn pods(ready: &[bool]) -> Vec<Arc<Pod>> {
        let pod = |(n, ready): (usize, &bool)| {
            let status = if *ready { "True" } else { "False" };
            json!({"metadata": {"name": n.to_string()}, "status": {"conditions": [{"type": "Ready", "status": status}]}})
        };
        ready.iter().enumerate().map(|p| Arc::new(serde_json::from_value(pod(p)).unwrap())).collect()
    }

    #[test]
    fn allowed_disruptions() {
        let owner = |_: &Pod| Ok(Some(("d".to_owned(), 4)));
        let now = client::clock::now();
        let three = pods(&[true, true, true, false]);
        let of = |spec: Value| {
            let budget = budget(spec);
            let (expected, desired) = expectation(&budget, &three, &owner).unwrap();
            status(&budget, &three, expected, desired, now).0.disruptions_allowed
        };
        assert_eq!(of(json!({"minAvailable": 2})), 1);
        assert_eq!(of(json!({"minAvailable": "50%"})), 1);
        assert_eq!(of(json!({"maxUnavailable": 1})), 0);
        assert_eq!(of(json!({"maxUnavailable": "50%"})), 1);
        assert!(expectation(&budget(json!({"maxUnavailable": 1})), &three, &|_| Ok(None)).is_err());
    }

    #[test]
    fn an_evicted_pod_counts_as_gone_until_it_is() {
        let mut budget = budget(json!({"minAvailable": 1}));
        let now = client::clock::now();
        budget.status.disrupted_pods.insert("0".into(), Time(now));
        let (status, again) = status(&budget, &pods(&[true, true]), 2, 1, now);
        assert_eq!((status.current_healthy, status.disruptions_allowed), (1, 0));
        assert!(again.is_some());
    }
}
