//! A pod's phase from its containers' statuses (upstream's `getPhase`).

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};

use super::spec;

/// What counts of one status.
enum Is {
    Unknown,
    Waiting,
    Running { started: bool },
    Ended { code: i32, again: bool },
}

fn look(pod: &Pod, container: &Container, statuses: &[ContainerStatus]) -> Is {
    let Some(status) = statuses.iter().find(|s| s.name == container.name) else { return Is::Unknown };
    let state = status.state.clone().unwrap_or_default();
    let last = status.last_state.clone().unwrap_or_default().terminated;
    let ended = |code: i32| Is::Ended { code, again: spec::restarts(pod, container, code) };
    match (state.running, state.terminated, state.waiting, last) {
        (Some(_), ..) => Is::Running { started: status.started.unwrap_or_default() },
        (_, Some(t), ..) => ended(t.exit_code),
        (_, _, Some(_), Some(t)) => ended(t.exit_code),
        (_, _, Some(_), None) => Is::Waiting,
        _ => Is::Unknown,
    }
}

/// `terminal`: nothing will be started again, whatever the restart policy says.
pub fn phase(
    pod: &Pod,
    init: &[ContainerStatus],
    regular: &[ContainerStatus],
    terminal: bool,
    was_initialized: bool,
) -> &'static str {
    let (mut pending_init, mut pending_sidecars) = (0, 0);
    let (mut unknown, mut running, mut waiting) = (0, 0, 0);
    for container in spec::init_containers(pod) {
        let is = look(pod, container, init);
        if spec::is_sidecar(container) {
            match is {
                Is::Unknown => unknown += 1,
                Is::Waiting => {
                    pending_sidecars += 1;
                    waiting += 1;
                }
                Is::Running { started } => {
                    pending_sidecars += usize::from(!started);
                    running += 1;
                }
                Is::Ended { .. } => {}
            }
            continue;
        }
        match is {
            Is::Unknown | Is::Waiting | Is::Running { .. } => pending_init += 1,
            Is::Ended { code, again } if code != 0 && !again => return "Failed",
            Is::Ended { .. } => {}
        }
    }
    let (mut stopped, mut for_good, mut succeeded) = (0, 0, 0);
    for container in &spec::of(pod).containers {
        match look(pod, container, regular) {
            Is::Unknown => unknown += 1,
            Is::Waiting => waiting += 1,
            Is::Running { .. } => running += 1,
            Is::Ended { code, again } => {
                stopped += 1;
                for_good += usize::from(!again);
                succeeded += usize::from(code == 0);
            }
        }
    }
    let ended = if stopped == succeeded { "Succeeded" } else { "Failed" };
    if pending_init > 0 || (pending_sidecars > 0 && !was_initialized) || waiting > 0 {
        "Pending"
    } else if running > 0 && unknown == 0 {
        "Running"
    } else if running == 0 && stopped > 0 && unknown == 0 {
        if terminal || stopped == for_good { ended } else { "Running" }
    } else {
        "Pending"
    }
}
