//! From what a pod should be and what Docker has of it to the next steps. Pure; called again after each change.
//!
//! ```text
//!                      pod bound to this node
//!                               │
//!                               ▼              error: FailedCreatePodSandBox, later again
//!        sandbox gone   ┌───────────────┐ ◄─────────────┐
//!      ┌──────────────► │   SANDBOX     │ create + wire ┘
//!      │                └──────┬────────┘
//!      │                       ▼
//!      │                ┌───────────────┐  one after the other; sidecars stay
//!      ├────────────────┤   INIT        │  exit ≠ 0 ──► back-off and again │ Never: FINISHED (Failed)
//!      │                └──────┬────────┘
//!      │                       ▼
//!      │                ┌───────────────┐  probe failed, image changed ──► stop
//!      └────────────────┤   RUN         │  exited ──► restart policy ──► back-off and again
//!                       └──────┬────────┘
//!                              ▼ nothing may be restarted │ deadline exceeded │ phase is terminal
//!                       ┌───────────────┐
//!                       │   FINISHED    │ sandbox stopped, containers kept for their logs
//!                       └──────┬────────┘
//!   deleted (in any state)     ▼
//!  ──────────────────►  ┌───────────────┐  stop containers, sidecars last; stop the sandbox;
//!                       │  TERMINATING  │  remove all; volumes; then the object itself
//!                       └───────────────┘
//! ```

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Pod};

use super::backoff::Backoff;
use super::observed::{Observed, Sandbox, Seen};
use super::spec;
use crate::labels;
use crate::runtime::State;

/// One step. They are done in order; the first that fails ends the round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make and wire a sandbox.
    CreateSandbox {
        /// Its attempt.
        attempt: u32,
        /// There was one before: say that it changed.
        changed: bool,
    },
    /// End a sandbox's process and unwire it.
    StopSandbox(String),
    /// Pull, create and start a container.
    Start {
        /// Its name.
        name: String,
        /// How often it was restarted before.
        restarts: u32,
        /// When the one before ended: the back-off counts from there.
        after: Option<Timestamp>,
    },
    /// Ask a container to end, and kill it after the grace period. Does not wait.
    Stop {
        /// Docker's id.
        id: String,
        /// Its name.
        name: String,
        /// Why, as people will read it.
        message: String,
    },
    /// Remove a container or sandbox that is not running.
    Remove(String),
    /// Nothing is left of the pod: let its object go.
    Finish,
}

/// Why a pod must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its object is being deleted or is gone.
    Deleted,
    /// It has failed or succeeded for good; its containers are kept.
    Terminal,
}

/// What the worker remembers between two plans.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Probe results by container id.
    pub probes: HashMap<String, Probed>,
    /// Containers that could not be started, by name.
    pub waiting: BTreeMap<String, Waiting>,
    /// Restart delays by container name.
    pub backoff: Backoff,
    /// Containers being stopped.
    pub stopping: HashSet<String>,
    /// Not before this moment a new sandbox.
    pub sandbox_after: Option<Timestamp>,
    /// The pod was failed by the kubelet: reason and message.
    pub failed: Option<(String, String)>,
}

/// What probes found about one container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probed {
    /// The startup probe succeeded.
    pub started: bool,
    /// The readiness probe's last verdict.
    pub ready: bool,
    /// Liveness gave up on it.
    pub unhealthy: bool,
    /// The startup probe gave up on it.
    pub not_started: bool,
}

/// Why a container is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// `ImagePullBackOff` …
    pub reason: String,
    /// Details.
    pub message: String,
    /// When to try again.
    pub retry_at: Timestamp,
}

/// The next steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// In order.
    pub actions: Vec<Action>,
    /// Containers that wait for their restart: name → (delay, since when it may start).
    pub crash_loops: BTreeMap<String, (SignedDuration, Timestamp)>,
    /// Look again then, even without news.
    pub wake_at: Option<Timestamp>,
    /// Nothing will ever be started again.
    pub finished: bool,
}

/// Everything a plan depends on.
pub struct View<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// What is there.
    pub observed: &'a Observed,
    /// What is remembered.
    pub memory: &'a Memory,
    /// Why it must end, if it must.
    pub end: Option<End>,
    /// The time.
    pub now: Timestamp,
}

/// The plan.
pub fn plan(view: &View<'_>) -> Plan {
    let mut plan = match view.end {
        Some(end) => terminate(view, end),
        None => run(view),
    };
    if view.end.is_none()
        && let Some(end) = deadline(view.pod)
    {
        plan.wake(end);
    }
    plan
}

/// When the pod has run for too long (`activeDeadlineSeconds`).
pub fn deadline(pod: &Pod) -> Option<Timestamp> {
    let seconds = spec::of(pod).active_deadline_seconds?;
    let start = pod.status.as_ref()?.start_time.as_ref()?;
    start.0.checked_add(SignedDuration::from_secs(seconds)).ok()
}

impl Plan {
    fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |before| before.min(at)));
    }
}

/// TERMINATING and FINISHED.
fn terminate(view: &View<'_>, end: End) -> Plan {
    let mut plan = Plan { finished: true, ..Plan::default() };
    let running: Vec<&Seen> = view.observed.containers.iter().filter(|c| c.running()).collect();
    if !running.is_empty() {
        let sidecar = |seen: &Seen| spec::container(view.pod, &seen.name).is_some_and(spec::is_sidecar);
        // Sidecars serve the others to the end; they stop after them, the last started first.
        let only_sidecars = running.iter().all(|c| sidecar(c));
        let order = |c: &&Seen| spec::init_containers(view.pod).iter().position(|i| i.name == c.name);
        let last_sidecar = running.iter().copied().max_by_key(order);
        for seen in running {
            let turn = if only_sidecars {
                last_sidecar.is_some_and(|l| l.name == seen.name)
            } else {
                !sidecar(seen)
            };
            if turn {
                plan.actions.push(stop(seen, format!("Stopping container {}", seen.name)));
            }
        }
        return plan;
    }
    for sandbox in view.observed.sandboxes.iter().filter(|s| s.running) {
        plan.actions.push(Action::StopSandbox(sandbox.id.clone()));
    }
    if end == End::Deleted {
        let containers = view.observed.containers.iter().map(|c| &c.container.id);
        let sandboxes = view.observed.sandboxes.iter().map(|s| &s.id);
        plan.actions.extend(containers.chain(sandboxes).cloned().map(Action::Remove));
        plan.actions.push(Action::Finish);
    }
    plan
}

fn stop(seen: &Seen, message: String) -> Action {
    Action::Stop { id: seen.container.id.clone(), name: seen.name.clone(), message }
}

/// SANDBOX, INIT and RUN.
fn run(view: &View<'_>) -> Plan {
    let mut plan = Plan::default();
    let Some(sandbox) = view.observed.ready_sandbox() else {
        return make_sandbox(view);
    };
    // Whatever still runs in an older sandbox has lost its network.
    for seen in view.observed.containers.iter().filter(|c| c.running() && c.sandbox != sandbox.id) {
        plan.actions.push(stop(seen, format!("Stopping container {}", seen.name)));
    }
    remove_leftovers(view, sandbox, &mut plan);
    if initialize(view, sandbox, &mut plan) {
        for container in &spec::of(view.pod).containers {
            keep(view, sandbox, container, &mut plan);
        }
    }
    plan.finished = has_finished(view);
    if plan.finished {
        return terminate(view, End::Terminal);
    }
    plan
}

/// Nothing runs and nothing may be started: the pod has succeeded or failed.
fn has_finished(view: &View<'_>) -> bool {
    let done = |c: &Container| {
        let newest = view.observed.newest(&c.name);
        newest.is_some_and(|s| {
            s.container.state == State::Exited && !spec::restarts(view.pod, c, s.container.exit_code)
        })
    };
    let failed_init = spec::init_containers(view.pod)
        .iter()
        .filter(|c| !spec::is_sidecar(c))
        .any(|c| done(c) && view.observed.newest(&c.name).is_some_and(|s| s.container.exit_code != 0));
    failed_init || spec::of(view.pod).containers.iter().all(done)
}

fn make_sandbox(view: &View<'_>) -> Plan {
    let mut plan = Plan::default();
    if has_finished(view) {
        return terminate(view, End::Terminal);
    }
    let old = view.observed.sandboxes.first();
    let running: Vec<_> = view.observed.containers.iter().filter(|c| c.running()).collect();
    for seen in &running {
        plan.actions.push(stop(seen, format!("Stopping container {}", seen.name)));
    }
    if !running.is_empty() {
        return plan;
    }
    for sandbox in view.observed.sandboxes.iter().filter(|s| s.running) {
        plan.actions.push(Action::StopSandbox(sandbox.id.clone()));
    }
    if let Some(after) = view.memory.sandbox_after
        && view.now < after
    {
        plan.wake(after);
        return plan;
    }
    plan.actions.extend(view.observed.sandboxes.iter().map(|s| Action::Remove(s.id.clone())));
    let attempt = old.map_or(0, |s| s.attempt + 1);
    plan.actions.push(Action::CreateSandbox { attempt, changed: old.is_some() });
    plan
}

/// Old sandboxes, and all but the last dead container of each name.
fn remove_leftovers(view: &View<'_>, sandbox: &Sandbox, plan: &mut Plan) {
    for old in view.observed.sandboxes.iter().filter(|s| s.id != sandbox.id) {
        if old.running {
            plan.actions.push(Action::StopSandbox(old.id.clone()));
        }
        plan.actions.push(Action::Remove(old.id.clone()));
    }
    let mut seen_before: HashMap<&str, u32> = HashMap::new();
    for seen in &view.observed.containers {
        let count = seen_before.entry(&seen.name).or_default();
        *count += 1;
        // The newest is its present, the next its last state; the rest is history.
        if *count > 2 && !seen.running() {
            plan.actions.push(Action::Remove(seen.container.id.clone()));
        }
    }
}

/// Is the pod initialized? If not, does the next step towards it.
fn initialize(view: &View<'_>, sandbox: &Sandbox, plan: &mut Plan) -> bool {
    let regular = &spec::of(view.pod).containers;
    let initialized = regular.iter().any(|c| view.observed.newest_in(&c.name, &sandbox.id).is_some());
    for container in spec::init_containers(view.pod) {
        if spec::is_sidecar(container) {
            keep(view, sandbox, container, plan);
            let seen = view.observed.newest_in(&container.name, &sandbox.id);
            let started = seen.is_some_and(|s| s.running() && is_started(view, container, s));
            if !started && !initialized {
                return false;
            }
            continue;
        }
        if initialized {
            continue;
        }
        let done = view
            .observed
            .newest_in(&container.name, &sandbox.id)
            .is_some_and(|s| s.container.state == State::Exited && s.container.exit_code == 0);
        if !done {
            keep(view, sandbox, container, plan);
            return false;
        }
    }
    true
}

fn is_started(view: &View<'_>, container: &Container, seen: &Seen) -> bool {
    container.startup_probe.is_none() || view.memory.probes.get(&seen.container.id).is_some_and(|p| p.started)
}

/// Starts, restarts or stops one container as its state demands.
fn keep(view: &View<'_>, sandbox: &Sandbox, container: &Container, plan: &mut Plan) {
    let newest = view.observed.newest(&container.name);
    let Some(seen) = newest else {
        return start(view, container, before_this_kubelet(view.pod, &container.name), None, plan);
    };
    let init = if spec::is_sidecar(container) { "Init container" } else { "Container" };
    match seen.container.state {
        // Running in an old sandbox: it is being stopped.
        State::Running if seen.sandbox != sandbox.id => {}
        State::Running => {
            let probed = view.memory.probes.get(&seen.container.id).copied().unwrap_or_default();
            let why = if seen.hash != labels::hash(container) {
                format!("{init} {} definition changed", container.name)
            } else if probed.unhealthy {
                format!("{init} {} failed liveness probe", container.name)
            } else if probed.not_started {
                format!("{init} {} failed startup probe", container.name)
            } else {
                return;
            };
            let again = if spec::restarts(view.pod, container, 137) { ", will be restarted" } else { "" };
            plan.actions.push(stop(seen, format!("{why}{again}")));
        }
        // Made and never started: the kubelet was killed in between.
        State::Created => {
            plan.actions.push(Action::Remove(seen.container.id.clone()));
            start(view, container, seen.restarts, None, plan);
        }
        State::Exited => {
            let init_done = seen.sandbox != sandbox.id
                && spec::init_containers(view.pod).iter().any(|c| c.name == seen.name);
            if init_done || spec::restarts(view.pod, container, seen.container.exit_code) {
                start(view, container, seen.restarts + 1, seen.container.finished_at, plan);
            }
        }
    }
}

/// The restart count when Docker has lost the containers but the object remembers them.
fn before_this_kubelet(pod: &Pod, name: &str) -> u32 {
    let status = pod.status.as_ref();
    let all =
        status.iter().flat_map(|s| s.container_statuses.iter().chain(&s.init_container_statuses)).flatten();
    let Some(status) = all.into_iter().find(|s| s.name == name) else { return 0 };
    let ran = status.container_id.as_ref().is_some_and(|id| !id.is_empty());
    u32::try_from(status.restart_count).unwrap_or_default() + u32::from(ran)
}

fn start(view: &View<'_>, container: &Container, restarts: u32, after: Option<Timestamp>, plan: &mut Plan) {
    if let Some(waiting) = view.memory.waiting.get(&container.name)
        && view.now < waiting.retry_at
    {
        plan.wake(waiting.retry_at);
        return;
    }
    if let Some(after) = after
        && let Some((delay, end)) = view.memory.backoff.holds(&container.name, after, view.now)
    {
        plan.crash_loops.insert(container.name.clone(), (delay, end));
        plan.wake(end);
        return;
    }
    plan.actions.push(Action::Start { name: container.name.clone(), restarts, after });
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
