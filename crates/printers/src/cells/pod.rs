//! The pod's row: what its containers are up to, in one word.

use api::Value;
use jiff::Timestamp;

use super::{cells, deleting, name};
use crate::age::{age, human_duration, time};
use crate::value::{at, condition, condition_true, flag, int, list, text, text_or};

/// Restarts of some containers and when the last one was.
#[derive(Clone, Copy, Default)]
struct Restarts {
    count: i64,
    last: Option<Timestamp>,
}

impl Restarts {
    fn add(&mut self, container: &Value) {
        self.count += int(container, &["restartCount"]);
        self.last = self.last.max(time(at(container, &["lastState", "terminated", "finishedAt"])));
    }

    fn show(self, now: Timestamp) -> String {
        match self.last {
            Some(last) if self.count != 0 => {
                format!("{} ({} ago)", self.count, human_duration(now.duration_since(last)))
            }
            _ => self.count.to_string(),
        }
    }
}

/// What came of the init containers.
struct Init {
    /// The status word while they are not done.
    reason: Option<String>,
    restarts: Restarts,
    /// Of those that keep running beside the containers (sidecars).
    sidecar_restarts: Restarts,
    ready_sidecars: usize,
}

/// Upstream's `printPod`.
pub(super) fn pod(pod: &Value, now: Timestamp) -> Vec<Value> {
    let status = at(pod, &["status"]);
    let conditions = list(status, &["conditions"]);
    let phase = text(status, &["phase"]);
    let mut reason = text_or(status, &["reason"], phase).to_owned();
    if conditions
        .iter()
        .any(|c| text(c, &["type"]) == "PodScheduled" && text(c, &["reason"]) == "SchedulingGated")
    {
        reason = "SchedulingGated".to_owned();
    }

    let sidecars: Vec<&str> = list(pod, &["spec", "initContainers"])
        .iter()
        .filter(|c| text(c, &["restartPolicy"]) == "Always")
        .map(|c| text(c, &["name"]))
        .collect();
    let total = list(pod, &["spec", "containers"]).len() + sidecars.len();
    let init = init_containers(pod, &sidecars);
    let mut ready = init.ready_sidecars;
    let mut restarts = init.restarts;
    let initializing = init.reason.is_some();
    if let Some(word) = init.reason {
        reason = word;
    }
    if !initializing || condition_true(conditions, "Initialized") {
        restarts = init.sidecar_restarts;
        let mut running = false;
        let mut error = None;
        // Backwards: the first container's word wins.
        for container in list(status, &["containerStatuses"]).iter().rev() {
            restarts.add(container);
            let state = at(container, &["state"]);
            let waiting = text(state, &["waiting", "reason"]);
            let terminated = at(state, &["terminated"]);
            if !waiting.is_empty() {
                reason = waiting.to_owned();
            } else if !terminated.is_null() {
                reason = ended(terminated);
                if int(terminated, &["exitCode"]) != 0 {
                    error = Some(reason.clone());
                }
            } else if flag(container, &["ready"]) && !at(state, &["running"]).is_null() {
                running = true;
                ready += 1;
            }
        }
        if reason == "Completed" {
            // Some are done, others may still run or have failed.
            if running && condition_true(conditions, "Ready") {
                reason = "Running".to_owned();
            } else if let Some(error) = error {
                reason = error;
            } else if running {
                reason = "NotReady".to_owned();
            }
        }
    }

    if deleting(pod) && text(status, &["reason"]) == "NodeLost" {
        reason = "Unknown".to_owned();
    } else if deleting(pod) && !matches!(phase, "Failed" | "Succeeded") {
        reason = "Terminating".to_owned();
    }

    let ip =
        list(status, &["podIPs"]).first().map_or_else(|| text(status, &["podIP"]), |ip| text(ip, &["ip"]));
    cells![
        name(pod),
        format!("{ready}/{total}"),
        reason,
        restarts.show(now),
        age(pod, now),
        if ip.is_empty() { "<none>" } else { ip },
        text_or(pod, &["spec", "nodeName"], "<none>"),
        text_or(status, &["nominatedNodeName"], "<none>"),
        readiness_gates(pod, conditions),
    ]
}

fn init_containers(pod: &Value, sidecars: &[&str]) -> Init {
    let mut init = Init {
        reason: None,
        restarts: Restarts::default(),
        sidecar_restarts: Restarts::default(),
        ready_sidecars: 0,
    };
    for (number, container) in list(pod, &["status", "initContainerStatuses"]).iter().enumerate() {
        let sidecar = sidecars.contains(&text(container, &["name"]));
        init.restarts.add(container);
        if sidecar {
            init.sidecar_restarts.add(container);
        }
        let terminated = at(container, &["state", "terminated"]);
        let waiting = text(container, &["state", "waiting", "reason"]);
        if !terminated.is_null() && int(terminated, &["exitCode"]) == 0 {
            continue;
        }
        if sidecar && flag(container, &["started"]) {
            init.ready_sidecars += usize::from(flag(container, &["ready"]));
            continue;
        }
        init.reason = Some(if !terminated.is_null() {
            format!("Init:{}", ended(terminated))
        } else if !matches!(waiting, "" | "PodInitializing") {
            format!("Init:{waiting}")
        } else {
            format!("Init:{number}/{}", list(pod, &["spec", "initContainers"]).len())
        });
        break;
    }
    init
}

/// How a container ended.
fn ended(terminated: &Value) -> String {
    match (text(terminated, &["reason"]), int(terminated, &["signal"])) {
        ("", 0) => format!("ExitCode:{}", int(terminated, &["exitCode"])),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn readiness_gates(pod: &Value, conditions: &[Value]) -> String {
    let gates = list(pod, &["spec", "readinessGates"]);
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let open = gates.iter().filter(|gate| {
        condition(conditions, text(gate, &["conditionType"])).is_some_and(|c| text(c, &["status"]) == "True")
    });
    format!("{}/{}", open.count(), gates.len())
}

/// What a finished pod's row says beside its cells.
pub(crate) fn conditions(pod: &Value) -> Option<Value> {
    let (reason, message) = match text(pod, &["status", "phase"]) {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(serde_json::json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]))
}
