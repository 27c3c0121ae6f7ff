//! What Docker has of one pod.

use std::net::Ipv4Addr;

use crate::labels;
use crate::runtime::{Container, State};

/// A pod's sandboxes and containers, the newest first.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Sandboxes.
    pub sandboxes: Vec<Sandbox>,
    /// Containers of all attempts.
    pub containers: Vec<Seen>,
}

/// A sandbox.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// Docker's id.
    pub id: String,
    /// Counts from 0.
    pub attempt: u32,
    /// Its process is there.
    pub running: bool,
    /// Its process.
    pub pid: u32,
    /// The pod's address, `None` on the host's network.
    pub ip: Option<Ipv4Addr>,
    /// The address is wired, or none is needed.
    pub wired: bool,
}

/// A container.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its name in the pod.
    pub name: String,
    /// How often it was restarted before.
    pub restarts: u32,
    /// What it was made from.
    pub hash: String,
    /// The sandbox it was made for.
    pub sandbox: String,
    /// The rest.
    pub container: Container,
}

impl Seen {
    /// Is its process there?
    pub fn running(&self) -> bool {
        self.container.state == State::Running
    }
}

impl Observed {
    /// Sorts out what the runtime found. `wired` says whether a sandbox's address still works.
    pub fn new(found: Vec<Container>, wired: impl Fn(&Container, Option<Ipv4Addr>) -> bool) -> Self {
        let mut observed = Observed::default();
        for container in found {
            let label = |name: &str| container.labels.get(name).cloned().unwrap_or_default();
            if label(labels::TYPE) == "podsandbox" {
                let ip = container.labels.get(labels::POD_IP).and_then(|ip| ip.parse().ok());
                observed.sandboxes.push(Sandbox {
                    id: container.id.clone(),
                    attempt: label(labels::ATTEMPT).parse().unwrap_or_default(),
                    running: container.state == State::Running,
                    pid: container.pid,
                    ip,
                    wired: wired(&container, ip),
                });
            } else {
                observed.containers.push(Seen {
                    name: label(labels::CONTAINER_NAME),
                    restarts: label(labels::RESTART_COUNT).parse().unwrap_or_default(),
                    hash: label(labels::HASH),
                    sandbox: label(labels::SANDBOX_ID),
                    container,
                });
            }
        }
        observed.sandboxes.sort_by_key(|s| std::cmp::Reverse(s.attempt));
        observed.containers.sort_by_key(|c| std::cmp::Reverse((c.restarts, c.container.created_at)));
        observed
    }

    /// The sandbox that containers may be started in.
    pub fn ready_sandbox(&self) -> Option<&Sandbox> {
        self.sandboxes.first().filter(|s| s.running && s.wired)
    }

    /// The newest container of that name.
    pub fn newest(&self, name: &str) -> Option<&Seen> {
        self.containers.iter().find(|c| c.name == name)
    }

    /// The newest container of that name in this sandbox.
    pub fn newest_in(&self, name: &str, sandbox: &str) -> Option<&Seen> {
        self.containers.iter().find(|c| c.name == name && c.sandbox == sandbox)
    }

    /// Is any process of the pod, its sandbox aside, there?
    pub fn any_running(&self) -> bool {
        self.containers.iter().any(Seen::running)
    }

    /// The pod's address.
    pub fn ip(&self) -> Option<Ipv4Addr> {
        self.sandboxes.first().filter(|s| s.running).and_then(|s| s.ip)
    }
}
