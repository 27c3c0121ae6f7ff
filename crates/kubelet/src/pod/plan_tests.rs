use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::labels::{self, Owner};
use crate::runtime;

fn pod(spec: serde_json::Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": spec}))
        .unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 - seconds).unwrap()
}

/// A world that is built up step by step.
#[derive(Default)]
struct World {
    found: Vec<runtime::Container>,
    memory: Memory,
}

impl World {
    fn put(&mut self, labels: BTreeMap<String, String>, id: &str, state: State, exit_code: i32) -> &mut Self {
        self.found.push(runtime::Container {
            id: id.into(),
            labels,
            image: String::new(),
            image_id: String::new(),
            state,
            pid: 1,
            created_at: ago(100),
            started_at: Some(ago(100)),
            finished_at: (state == State::Exited).then(|| ago(5)),
            exit_code,
            reason: "",
            message: String::new(),
            stop_signal: "SIGTERM".into(),
            tty: false,
        });
        self
    }

    fn sandbox(&mut self, pod: &Pod, attempt: u32, state: State) -> &mut Self {
        let owner = Owner { node: "n".into(), cluster: "c".into() };
        self.put(labels::sandbox_labels(pod, &owner, attempt, None), &format!("sb{attempt}"), state, 0)
    }

    fn container(&mut self, pod: &Pod, name: &str, restarts: u32, state: State, exit_code: i32) -> &mut Self {
        let owner = Owner { node: "n".into(), cluster: "c".into() };
        let labels =
            labels::container_labels(pod, spec::container(pod, name).unwrap(), &owner, restarts, "sb0");
        self.put(labels, &format!("{name}{restarts}"), state, exit_code)
    }

    fn plan(&self, pod: &Pod, end: Option<End>) -> Plan {
        let observed = Observed::new(self.found.clone(), |_, _| true);
        plan(&View { pod, observed: &observed, memory: &self.memory, end, now: now() })
    }

    fn actions(&self, pod: &Pod) -> Vec<Action> {
        self.plan(pod, None).actions
    }
}

fn start(name: &str, restarts: u32, after: Option<Timestamp>) -> Action {
    Action::Start { name: name.into(), restarts, after }
}

#[test]
fn a_new_pod_gets_a_sandbox_then_its_containers() {
    let pod = pod(json!({"containers": [{"name": "a"}, {"name": "b"}]}));
    let mut world = World::default();
    assert_eq!(world.actions(&pod), [Action::CreateSandbox { attempt: 0, changed: false }]);
    world.sandbox(&pod, 0, State::Running);
    assert_eq!(world.actions(&pod), [start("a", 0, None), start("b", 0, None)]);
    world.container(&pod, "a", 0, State::Running, 0).container(&pod, "b", 0, State::Running, 0);
    assert_eq!(world.actions(&pod), []);
}

#[test]
fn init_containers_run_one_after_the_other() {
    let pod = pod(json!({"initContainers": [{"name": "i"}, {"name": "j"}], "containers": [{"name": "a"}]}));
    let mut world = World::default();
    world.sandbox(&pod, 0, State::Running);
    assert_eq!(world.actions(&pod), [start("i", 0, None)]);
    world.container(&pod, "i", 0, State::Exited, 0);
    assert_eq!(world.actions(&pod), [start("j", 0, None)]);
    world.container(&pod, "j", 0, State::Exited, 1);
    assert_eq!(world.actions(&pod), [start("j", 1, Some(ago(5)))]);
    world.container(&pod, "j", 1, State::Exited, 0);
    assert_eq!(world.actions(&pod), [start("a", 0, None)]);
}

#[test]
fn a_failed_init_container_fails_a_pod_that_never_restarts() {
    let spec =
        json!({"restartPolicy": "Never", "initContainers": [{"name": "i"}], "containers": [{"name": "a"}]});
    let pod = pod(spec);
    let mut world = World::default();
    world.sandbox(&pod, 0, State::Running).container(&pod, "i", 0, State::Exited, 1);
    let plan = world.plan(&pod, None);
    assert!(plan.finished);
    assert_eq!(plan.actions, [Action::StopSandbox("sb0".into())]);
}

#[test]
fn sidecars_start_in_order_and_stop_last() {
    let spec =
        json!({"initContainers": [{"name": "s", "restartPolicy": "Always"}], "containers": [{"name": "a"}]});
    let pod = pod(spec);
    let mut world = World::default();
    world.sandbox(&pod, 0, State::Running);
    assert_eq!(world.actions(&pod), [start("s", 0, None)]);
    world.container(&pod, "s", 0, State::Running, 0);
    assert_eq!(world.actions(&pod), [start("a", 0, None)]);
    world.container(&pod, "a", 0, State::Running, 0);
    let stops = |world: &World| -> Vec<String> {
        let actions = world.plan(&pod, Some(End::Deleted)).actions;
        actions
            .into_iter()
            .filter_map(|a| if let Action::Stop { name, .. } = a { Some(name) } else { None })
            .collect()
    };
    assert_eq!(stops(&world), ["a"]);
    let _ = world.found.pop();
    world.container(&pod, "a", 0, State::Exited, 0);
    assert_eq!(stops(&world), ["s"]);
}

#[test]
fn a_crashing_container_waits_longer_each_time() {
    let pod = pod(json!({"containers": [{"name": "a"}]}));
    let mut world = World::default();
    world.sandbox(&pod, 0, State::Running).container(&pod, "a", 0, State::Exited, 1);
    assert_eq!(world.actions(&pod), [start("a", 1, Some(ago(5)))]);
    world.memory.backoff.next("a", ago(20));
    let plan = world.plan(&pod, None);
    assert_eq!(plan.actions, []);
    assert_eq!(plan.crash_loops["a"].0.as_secs(), 10);
    assert_eq!(plan.wake_at, Some(ago(-5)));
}

#[test]
fn restart_policies_are_kept() {
    let with = |policy: &str| pod(json!({"restartPolicy": policy, "containers": [{"name": "a"}]}));
    let finished = |policy: &str, code: i32| {
        let pod = with(policy);
        let mut world = World::default();
        world.sandbox(&pod, 0, State::Running).container(&pod, "a", 0, State::Exited, code);
        world.plan(&pod, None).finished
    };
    assert!(!finished("Always", 0));
    assert!(finished("OnFailure", 0) && !finished("OnFailure", 1));
    assert!(finished("Never", 0) && finished("Never", 1));
}

#[test]
fn a_lost_sandbox_is_made_anew_and_its_containers_follow() {
    let pod = pod(json!({"containers": [{"name": "a"}]}));
    let mut world = World::default();
    world.sandbox(&pod, 0, State::Exited).container(&pod, "a", 0, State::Running, 0);
    assert!(matches!(world.actions(&pod)[..], [Action::Stop { .. }]));
    world.found[1].state = State::Exited;
    let expected = [Action::Remove("sb0".into()), Action::CreateSandbox { attempt: 1, changed: true }];
    assert_eq!(world.actions(&pod), expected);
    world.sandbox(&pod, 1, State::Running);
    assert_eq!(world.actions(&pod).last(), Some(&start("a", 1, None)));
}

#[test]
fn a_finished_pod_gets_no_new_sandbox() {
    let pod = pod(json!({"restartPolicy": "Never", "containers": [{"name": "a"}]}));
    let mut world = World::default();
    world.sandbox(&pod, 0, State::Exited).container(&pod, "a", 0, State::Exited, 0);
    let plan = world.plan(&pod, None);
    assert!(plan.finished && plan.actions.is_empty());
}

#[test]
fn an_unhealthy_container_is_stopped() {
    let pod = pod(json!({"containers": [{"name": "a"}]}));
    let mut world = World::default();
    world.sandbox(&pod, 0, State::Running).container(&pod, "a", 0, State::Running, 0);
    world.memory.probes.insert("a0".into(), Probed { unhealthy: true, ..Probed::default() });
    let message = "Container a failed liveness probe, will be restarted".to_owned();
    assert_eq!(world.actions(&pod), [Action::Stop { id: "a0".into(), name: "a".into(), message }]);
}

#[test]
fn deletion_leaves_nothing() {
    let pod = pod(json!({"containers": [{"name": "a"}]}));
    let mut world = World::default();
    world.sandbox(&pod, 0, State::Running).container(&pod, "a", 0, State::Exited, 0);
    let remove = |id: &str| Action::Remove(id.into());
    let expected = [Action::StopSandbox("sb0".into()), remove("a0"), remove("sb0"), Action::Finish];
    assert_eq!(world.plan(&pod, Some(End::Deleted)).actions, expected);
    assert_eq!(World::default().plan(&pod, Some(End::Deleted)).actions, [Action::Finish]);
}

#[test]
fn a_container_that_was_made_and_never_started_is_made_again() {
    let pod = pod(json!({"containers": [{"name": "a"}]}));
    let mut world = World::default();
    world.sandbox(&pod, 0, State::Running).container(&pod, "a", 2, State::Created, 0);
    assert_eq!(world.actions(&pod), [Action::Remove("a2".into()), start("a", 2, None)]);
}
