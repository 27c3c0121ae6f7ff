//! Pod conditions (upstream's `pkg/kubelet/status/generate.go`).

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};

use super::spec;

/// Reason and message of a condition that is not fulfilled.
type Lack = Option<(&'static str, String)>;

fn condition(kind: &str, lack: Lack) -> PodCondition {
    let (reason, message) = match &lack {
        None => (None, None),
        Some((reason, message)) => (
            (!reason.is_empty()).then(|| (*reason).to_owned()),
            (!message.is_empty()).then(|| message.clone()),
        ),
    };
    let status = if lack.is_none() { "True" } else { "False" };
    PodCondition { type_: kind.to_owned(), status: status.to_owned(), reason, message, ..Default::default() }
}

/// `[a b]`, as Go prints a list.
fn list(names: &[&str]) -> String {
    format!("[{}]", names.join(" "))
}

fn unready(unknown: &[&str], others: &[&str], word: &str) -> Option<String> {
    let mut parts = Vec::new();
    if !unknown.is_empty() {
        parts.push(format!("containers with unknown status: {}", list(unknown)));
    }
    if !others.is_empty() {
        parts.push(format!("containers with {word} status: {}", list(others)));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// All containers ready?
fn containers_ready(pod: &Pod, statuses: &[&ContainerStatus], phase: &str) -> Lack {
    let watched =
        spec::init_containers(pod).iter().filter(|c| spec::is_sidecar(c)).chain(&spec::of(pod).containers);
    let (mut unknown, mut not_ready) = (Vec::new(), Vec::new());
    for container in watched {
        match statuses.iter().find(|s| s.name == container.name) {
            None => unknown.push(container.name.as_str()),
            Some(status) if !status.ready => not_ready.push(container.name.as_str()),
            Some(_) => {}
        }
    }
    match phase {
        "Succeeded" if unknown.is_empty() => Some(("PodCompleted", String::new())),
        "Failed" => Some(("PodFailed", String::new())),
        _ => unready(&unknown, &not_ready, "unready").map(|message| ("ContainersNotReady", message)),
    }
}

fn pod_ready(pod: &Pod, containers: &Lack) -> Lack {
    if containers.is_some() {
        return containers.clone();
    }
    let present = pod.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    let mut lacks = Vec::new();
    for gate in spec::of(pod).readiness_gates.iter().flatten() {
        let kind = &gate.condition_type;
        match present.iter().find(|c| c.type_ == *kind) {
            None => {
                lacks.push(format!("corresponding condition of pod readiness gate {kind:?} does not exist."))
            }
            Some(c) if c.status != "True" => {
                lacks.push(format!(
                    "the status of pod readiness gate {kind:?} is not \"True\", but {}",
                    c.status
                ));
            }
            Some(_) => {}
        }
    }
    (!lacks.is_empty()).then(|| ("ReadinessGatesNotReady", lacks.join(", ")))
}

fn initialized(pod: &Pod, statuses: &[&ContainerStatus], phase: &str) -> Lack {
    let (mut unknown, mut incomplete) = (Vec::new(), Vec::new());
    for container in spec::init_containers(pod) {
        match statuses.iter().find(|s| s.name == container.name) {
            None => unknown.push(container.name.as_str()),
            Some(status) => {
                let done =
                    if spec::is_sidecar(container) { status.started == Some(true) } else { status.ready };
                if !done {
                    incomplete.push(container.name.as_str());
                }
            }
        }
    }
    if phase == "Succeeded" && unknown.is_empty() {
        return None;
    }
    let started = |s: &&&ContainerStatus| {
        let (state, last) = (s.state.clone().unwrap_or_default(), s.last_state.clone().unwrap_or_default());
        state.running.is_some() || state.terminated.is_some() || last.terminated.is_some()
    };
    let regular = |s: &&&ContainerStatus| spec::of(pod).containers.iter().any(|c| c.name == s.name);
    if statuses.iter().filter(regular).any(|s| started(&s)) {
        return None;
    }
    unready(&unknown, &incomplete, "incomplete").map(|message| ("ContainersNotInitialized", message))
}

/// The conditions that the kubelet owns, in upstream's order.
pub fn conditions(
    pod: &Pod,
    statuses: &[&ContainerStatus],
    phase: &str,
    sandbox_ready: bool,
) -> Vec<PodCondition> {
    let containers = containers_ready(pod, statuses, phase);
    let completed = phase == "Succeeded" && !spec::init_containers(pod).is_empty();
    let mut init = condition("Initialized", initialized(pod, statuses, phase));
    if completed || phase == "Succeeded" {
        init.reason = Some("PodCompleted".into());
    }
    vec![
        condition("PodReadyToStartContainers", (!sandbox_ready).then(|| ("", String::new()))),
        init,
        condition("Ready", pod_ready(pod, &containers)),
        condition("ContainersReady", containers),
        condition("PodScheduled", None),
    ]
}
