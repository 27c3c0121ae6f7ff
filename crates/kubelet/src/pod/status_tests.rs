use serde_json::json;

use super::*;
use crate::labels::{Owner, container_labels, sandbox_labels};
use crate::runtime;

struct World {
    pod: Pod,
    found: Vec<runtime::Container>,
    memory: Memory,
    plan: Plan,
}

fn t(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

impl World {
    fn new(spec: serde_json::Value) -> Self {
        let object = json!({"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": spec});
        let pod: Pod = serde_json::from_value(object).unwrap();
        World { pod, found: Vec::new(), memory: Memory::default(), plan: Plan::default() }
    }

    fn put(&mut self, name: &str, restarts: u32, state: State, exit_code: i32) {
        let owner = Owner { node: "n".into(), cluster: "c".into() };
        let labels = match spec::container(&self.pod, name) {
            Some(container) => container_labels(&self.pod, container, &owner, restarts, "POD0"),
            None => sandbox_labels(&self.pod, &owner, restarts, Some("10.5.1.2")),
        };
        self.found.push(runtime::Container {
            id: format!("{name}{restarts}"),
            labels,
            image: "img".into(),
            image_id: "sha256:1".into(),
            state,
            pid: 1,
            created_at: t(10),
            started_at: Some(t(11)),
            finished_at: (state == State::Exited).then(|| t(12)),
            exit_code,
            reason: if exit_code == 0 { "Completed" } else { "Error" },
            message: String::new(),
            stop_signal: String::new(),
            tty: false,
        });
    }

    fn status(&self) -> PodStatus {
        let observed = Observed::new(self.found.clone(), |_, _| true);
        generate(&Facts {
            pod: &self.pod,
            before: None,
            observed: &observed,
            memory: &self.memory,
            plan: &self.plan,
            last_words: &BTreeMap::new(),
            image_refs: &BTreeMap::new(),
            host_ip: "10.0.0.9",
            terminal: false,
            now: t(20),
        })
    }
}

fn conditions(status: &PodStatus) -> Vec<String> {
    status.conditions.iter().flatten().map(|c| format!("{}={}", c.type_, c.status)).collect()
}

#[test]
fn a_new_pod_is_pending_and_creates() {
    let status = World::new(json!({"containers": [{"name": "a", "image": "img"}]})).status();
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    let one = &status.container_statuses.as_ref().unwrap()[0];
    let state = one.state.as_ref().unwrap();
    assert_eq!(state.waiting.as_ref().unwrap().reason.as_deref(), Some("ContainerCreating"));
    assert_eq!((one.image_id.as_str(), one.started), ("", Some(false)));
    let expected = [
        "PodReadyToStartContainers=False",
        "Initialized=True",
        "Ready=False",
        "ContainersReady=False",
        "PodScheduled=True",
    ];
    assert_eq!(conditions(&status), expected);
    let ready = &status.conditions.as_ref().unwrap()[2];
    assert_eq!(ready.message.as_deref(), Some("containers with unready status: [a]"));
}

#[test]
fn a_running_pod_is_ready_and_has_its_address() {
    let mut world = World::new(json!({"containers": [{"name": "a", "image": "img"}]}));
    world.put("POD", 0, State::Running, 0);
    world.put("a", 0, State::Running, 0);
    let status = world.status();
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(status.pod_ip.as_deref(), Some("10.5.1.2"));
    assert!(conditions(&status).iter().all(|c| c.ends_with("=True")));
    let one = &status.container_statuses.as_ref().unwrap()[0];
    assert_eq!(one.container_id.as_deref(), Some("docker://a0"));
    assert_eq!(one.image_id, "docker://sha256:1");
}

#[test]
fn a_crash_loop_shows_its_delay_and_its_last_end() {
    let mut world = World::new(json!({"containers": [{"name": "a", "image": "img"}]}));
    world.put("POD", 0, State::Running, 0);
    world.put("a", 1, State::Exited, 3);
    world.plan.crash_loops.insert("a".into(), (jiff::SignedDuration::from_secs(80), t(99)));
    let status = world.status();
    let one = &status.container_statuses.as_ref().unwrap()[0];
    let waiting = one.state.clone().unwrap().waiting.unwrap();
    assert_eq!(waiting.reason.as_deref(), Some("CrashLoopBackOff"));
    assert_eq!(waiting.message.as_deref(), Some("back-off 1m20s restarting failed container=a pod=p_ns(u)"));
    assert_eq!(one.last_state.clone().unwrap().terminated.unwrap().exit_code, 3);
    assert_eq!((one.restart_count, status.phase.as_deref()), (1, Some("Running")));
}

#[test]
fn a_finished_job_has_succeeded() {
    let mut world =
        World::new(json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "img"}]}));
    world.put("a", 0, State::Exited, 0);
    let status = world.status();
    assert_eq!(status.phase.as_deref(), Some("Succeeded"));
    let reasons: Vec<_> =
        status.conditions.iter().flatten().map(|c| c.reason.as_deref().unwrap_or("")).collect();
    assert_eq!(reasons, ["", "PodCompleted", "PodCompleted", "PodCompleted", ""]);
}

#[test]
fn readiness_follows_the_probe() {
    let probe = json!({"tcpSocket": {"port": 80}});
    let mut world =
        World::new(json!({"containers": [{"name": "a", "image": "img", "readinessProbe": probe}]}));
    world.put("POD", 0, State::Running, 0);
    world.put("a", 0, State::Running, 0);
    assert!(!world.status().container_statuses.unwrap()[0].ready);
    let probed = super::super::plan::Probed { ready: true, ..Default::default() };
    world.memory.probes.insert("a0".into(), probed);
    assert!(world.status().container_statuses.unwrap()[0].ready);
}
