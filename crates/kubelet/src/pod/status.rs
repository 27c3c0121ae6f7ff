//! The status of a pod (upstream's `generateAPIPodStatus` and `convertToAPIContainerStatuses`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, HostIP, Pod, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::observed::{Observed, Seen};
use super::plan::{Memory, Plan};
use super::{conditions, phase, spec};
use crate::labels::PodRef;
use crate::runtime::State;

/// What a status depends on.
pub struct Facts<'a> {
    /// The pod, with its last status.
    pub pod: &'a Pod,
    /// The status last sent, which may be newer than the pod's.
    pub before: Option<&'a PodStatus>,
    /// What Docker has.
    pub observed: &'a Observed,
    /// What the worker remembers.
    pub memory: &'a Memory,
    /// What it is going to do.
    pub plan: &'a Plan,
    /// Last words by container id.
    pub last_words: &'a BTreeMap<String, String>,
    /// Image ids as upstream shows them, by Docker's image id.
    pub image_refs: &'a BTreeMap<String, String>,
    /// The node's address.
    pub host_ip: &'a str,
    /// The pod must end for good.
    pub terminal: bool,
    /// The time.
    pub now: Timestamp,
}

/// To whole seconds, as the API's times are.
fn seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

fn container_id(id: &str) -> String {
    format!("docker://{id}")
}

fn state(facts: &Facts<'_>, seen: &Seen) -> ContainerState {
    let container = &seen.container;
    let mut state = ContainerState::default();
    match container.state {
        State::Running => {
            state.running = Some(ContainerStateRunning { started_at: container.started_at.map(seconds) });
        }
        State::Created => state.waiting = Some(ContainerStateWaiting::default()),
        State::Exited => {
            let words = facts.last_words.get(&container.id).cloned().unwrap_or_default();
            let message = if container.message.is_empty() { words } else { container.message.clone() };
            state.terminated = Some(ContainerStateTerminated {
                container_id: Some(container_id(&container.id)),
                exit_code: container.exit_code,
                finished_at: container.finished_at.map(seconds),
                message: (!message.is_empty()).then_some(message),
                reason: (!container.reason.is_empty()).then(|| container.reason.to_owned()),
                signal: None,
                started_at: container.started_at.map(seconds),
            });
        }
    }
    state
}

fn waiting(reason: &str, message: &str) -> ContainerState {
    let text = |t: &str| (!t.is_empty()).then(|| t.to_owned());
    ContainerState {
        waiting: Some(ContainerStateWaiting { reason: text(reason), message: text(message) }),
        ..Default::default()
    }
}

/// Why the container waits, when its next start has been put off.
fn put_off(facts: &Facts<'_>, name: &str) -> Option<(String, String)> {
    if let Some((delay, _)) = facts.plan.crash_loops.get(name) {
        let pod = PodRef::of(facts.pod);
        let delay = go_duration(delay.as_secs());
        return Some((
            "CrashLoopBackOff".into(),
            format!("back-off {delay} restarting failed container={name} pod={pod}"),
        ));
    }
    facts.memory.waiting.get(name).map(|w| (w.reason.clone(), w.message.clone()))
}

/// Whole seconds as Go prints them: `10s`, `1m20s`, `5m0s`.
pub fn go_duration(seconds: i64) -> String {
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) }
}

fn one(
    facts: &Facts<'_>,
    container: &Container,
    old: Option<&ContainerStatus>,
    init: bool,
) -> ContainerStatus {
    let image = container.image.clone().unwrap_or_default();
    let mut status = ContainerStatus { name: container.name.clone(), image, ..Default::default() };
    status.state = Some(waiting(
        if spec::init_containers(facts.pod).is_empty() { "ContainerCreating" } else { "PodInitializing" },
        "",
    ));
    status.last_state = Some(ContainerState::default());
    let mut found = facts.observed.containers.iter().filter(|c| c.name == container.name);
    match found.next() {
        Some(seen) => {
            status.container_id = Some(container_id(&seen.container.id));
            status.image = seen.container.image.clone();
            let image_id = &seen.container.image_id;
            status.image_id =
                facts.image_refs.get(image_id).cloned().unwrap_or_else(|| container_id(image_id));
            status.restart_count = i32::try_from(seen.restarts).unwrap_or(i32::MAX);
            status.state = Some(state(facts, seen));
            if let Some(last) = found.next() {
                status.last_state = Some(state(facts, last));
            }
        }
        None => without_container(facts, old, &mut status),
    }
    let ended = status.state.as_ref().and_then(|s| s.terminated.as_ref()).map(|t| t.exit_code);
    let restarted = ended.is_none_or(|code| spec::restarts(facts.pod, container, code));
    let is_running = status.state.as_ref().is_some_and(|s| s.running.is_some());
    let init_done = init && !spec::is_sidecar(container) && ended == Some(0);
    let starts_again = !is_running && restarted && !facts.terminal && !init_done;
    if starts_again && let Some((reason, message)) = put_off(facts, &container.name) {
        if ended.is_some() {
            status.last_state = status.state.take();
        }
        status.state = Some(waiting(&reason, &message));
    }
    readiness(facts, container, init, &mut status);
    status
}

/// Docker has nothing: it was never started, or somebody removed it.
fn without_container(facts: &Facts<'_>, old: Option<&ContainerStatus>, status: &mut ContainerStatus) {
    let Some(old) = old else { return };
    let old_state = old.state.clone().unwrap_or_default();
    if old_state.terminated.is_some() {
        *status = old.clone();
        return;
    }
    status.restart_count = old.restart_count;
    status.last_state = old.last_state.clone();
    if old_state.running.is_some() && status.last_state.as_ref().is_none_or(|s| s.terminated.is_none()) {
        let lost = ContainerStateTerminated {
            reason: Some("ContainerStatusUnknown".into()),
            message: Some(
                "The container could not be located when the pod was deleted.  The container used to be Running".into(),
            ),
            exit_code: 137,
            ..Default::default()
        };
        status.last_state = Some(ContainerState { terminated: Some(lost), ..Default::default() });
        status.restart_count += i32::from(facts.pod.metadata.deletion_timestamp.is_none());
    }
}

/// `started` and `ready` (upstream's `prober.Manager.UpdatePodStatus`).
fn readiness(facts: &Facts<'_>, container: &Container, init: bool, status: &mut ContainerStatus) {
    let state = status.state.clone().unwrap_or_default();
    let id = status.container_id.as_deref().and_then(|id| id.strip_prefix("docker://")).unwrap_or_default();
    let probed = facts.memory.probes.get(id).copied().unwrap_or_default();
    let running = state.running.is_some();
    let started = running && (container.startup_probe.is_none() || probed.started);
    status.started = Some(started);
    if init && !spec::is_sidecar(container) {
        status.ready = state.terminated.is_some_and(|t| t.exit_code == 0);
        return;
    }
    status.ready = started && (container.readiness_probe.is_none() || probed.ready);
}

/// The whole status. Times of conditions that did not change are kept.
pub fn generate(facts: &Facts<'_>) -> PodStatus {
    let pod = facts.pod;
    let before = facts.before.or(pod.status.as_ref());
    let old = |init: bool, name: &str| -> Option<&ContainerStatus> {
        let list = before.and_then(|s| {
            if init { s.init_container_statuses.as_ref() } else { s.container_statuses.as_ref() }
        });
        list?.iter().find(|s| s.name == name)
    };
    let each = |containers: &[Container], init: bool| -> Vec<ContainerStatus> {
        containers.iter().map(|c| one(facts, c, old(init, &c.name), init)).collect()
    };
    let init = each(spec::init_containers(pod), true);
    let mut regular = each(&spec::of(pod).containers, false);
    regular.sort_by(|a, b| a.name.cmp(&b.name));

    let old_phase = before.and_then(|s| s.phase.as_deref());
    let was_initialized = before
        .and_then(|s| s.conditions.as_ref())
        .is_some_and(|list| list.iter().any(|c| c.type_ == "Initialized" && c.status == "True"));
    let mut phase =
        phase::phase(pod, &init, &regular, facts.terminal || facts.plan.finished, was_initialized);
    if facts.memory.failed.is_some() {
        phase = "Failed";
    }
    // A phase that is final stays.
    if let Some(old @ ("Succeeded" | "Failed")) = old_phase {
        phase = if old == "Succeeded" { "Succeeded" } else { "Failed" };
    }
    let all: Vec<&ContainerStatus> = init.iter().chain(&regular).collect();
    let generation = pod.metadata.generation;
    let mut conditions = conditions::conditions(pod, &all, phase, facts.observed.ready_sandbox().is_some());
    for condition in &mut conditions {
        condition.observed_generation = generation;
        let old = before.and_then(|s| s.conditions.as_ref()?.iter().find(|c| c.type_ == condition.type_));
        condition.last_transition_time = match old {
            Some(old) if old.status == condition.status => old.last_transition_time.clone(),
            _ => Some(seconds(facts.now)),
        };
    }

    let address = if spec::host_network(pod) {
        facts.observed.ready_sandbox().map(|_| facts.host_ip.to_owned())
    } else {
        facts.observed.ip().map(|ip| ip.to_string())
    };
    // A pod that has ended keeps the address it had.
    let address = address.or_else(|| before.and_then(|s| s.pod_ip.clone()));
    let (reason, message) = match &facts.memory.failed {
        Some((reason, message)) => (Some(reason.clone()), Some(message.clone())),
        None => before.map_or((None, None), |s| (s.reason.clone(), s.message.clone())),
    };
    PodStatus {
        phase: Some(phase.to_owned()),
        conditions: Some(conditions),
        host_ip: Some(facts.host_ip.to_owned()),
        host_ips: Some(vec![HostIP { ip: facts.host_ip.to_owned() }]),
        pod_ips: address.clone().map(|ip| vec![PodIP { ip }]),
        pod_ip: address,
        init_container_statuses: (!init.is_empty()).then_some(init),
        container_statuses: Some(regular),
        qos_class: Some(
            before.and_then(|s| s.qos_class.clone()).unwrap_or_else(|| spec::qos_class(pod).to_owned()),
        ),
        start_time: before.and_then(|s| s.start_time.clone()).or_else(|| Some(seconds(facts.now))),
        observed_generation: generation,
        reason,
        message,
        ..Default::default()
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
