//! Real etcd members for tests: temporary directories, free ports, gone with the value. For this crate's tests and, with
//! the feature `testing`, for those of others.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::etcd::EtcdOptions;
use crate::{EtcdStore, Store};

/// How long a cluster may take to answer after its start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

struct Member {
    directory: tempfile::TempDir,
    client: String,
    peer: String,
    process: Option<Child>,
}

/// An etcd cluster of one or more members.
pub struct Etcd {
    members: Vec<Member>,
}

impl Etcd {
    /// Starts a cluster and waits until it answers; or says why that cannot be (no `etcd` binary, most likely).
    pub async fn start(members: usize) -> Result<Etcd, String> {
        let mut ports = Vec::new();
        for _ in 0..2 * members {
            // Held together so that they differ.
            ports.push(TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?);
        }
        let mut etcd = Etcd { members: Vec::new() };
        for pair in ports.chunks(2) {
            let url = |l: Option<&TcpListener>| {
                l.and_then(|l| l.local_addr().ok()).map(|a| format!("http://{a}")).unwrap_or_default()
            };
            etcd.members.push(Member {
                directory: tempfile::tempdir().map_err(|e| e.to_string())?,
                client: url(pair.first()),
                peer: url(pair.last()),
                process: None,
            });
        }
        drop(ports);
        for number in 0..members {
            etcd.run(number)?;
        }
        etcd.ready().await?;
        Ok(etcd)
    }

    /// The client URLs.
    pub fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(|m| m.client.clone()).collect()
    }

    /// Runs a member's process on its directory, again after [`Etcd::kill`].
    pub fn run(&mut self, number: usize) -> Result<(), String> {
        let cluster: Vec<String> =
            self.members.iter().enumerate().map(|(n, m)| format!("m{n}={}", m.peer)).collect();
        let member = self.members.get_mut(number).ok_or("no such member")?;
        let child = Command::new("etcd")
            .arg(format!("--name=m{number}"))
            .arg(format!("--data-dir={}", member.directory.path().display()))
            .arg(format!("--listen-client-urls={}", member.client))
            .arg(format!("--advertise-client-urls={}", member.client))
            .arg(format!("--listen-peer-urls={}", member.peer))
            .arg(format!("--initial-advertise-peer-urls={}", member.peer))
            .arg(format!("--initial-cluster={}", cluster.join(",")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| format!("etcd cannot be started: {e}"))?;
        member.process = Some(child);
        Ok(())
    }

    /// Waits until the cluster answers.
    pub async fn ready(&self) -> Result<(), String> {
        let mut options = EtcdOptions::new(self.endpoints());
        options.request_timeout = START_TIMEOUT;
        let store = EtcdStore::connect(options).await.map_err(|e| e.to_string())?;
        store.revision().await.map_err(|e| format!("etcd does not come up: {e}"))?;
        Ok(())
    }

    /// Kills a member's process with SIGKILL.
    pub async fn kill(&mut self, number: usize) {
        if let Some(mut process) = self.members.get_mut(number).and_then(|m| m.process.take()) {
            let _ = process.kill().await;
        }
    }

    /// Stops a member's process with SIGSTOP: it stands still with its connections open.
    pub fn stop(&self, number: usize) -> Result<(), String> {
        self.signal(number, Signal::SIGSTOP)
    }

    /// Lets a stopped member's process go on.
    pub fn go_on(&self, number: usize) -> Result<(), String> {
        self.signal(number, Signal::SIGCONT)
    }

    fn signal(&self, number: usize, signal: Signal) -> Result<(), String> {
        let id = self.members.get(number).and_then(|m| m.process.as_ref()).and_then(Child::id);
        let id = id.and_then(|id| i32::try_from(id).ok()).ok_or("no such process")?;
        kill(Pid::from_raw(id), signal).map_err(|e| e.to_string())
    }

    /// The member that leads, asked from those that answer; waits for an election to end.
    pub async fn leader(&self) -> Result<usize, String> {
        let found = async {
            loop {
                if let Some(number) = self.leader_now().await {
                    return number;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(START_TIMEOUT, found).await.map_err(|_| "no member leads".into())
    }

    async fn leader_now(&self) -> Option<usize> {
        let mut ids = Vec::new();
        let mut leaders = Vec::new();
        for member in &self.members {
            let options = etcd_client::ConnectOptions::new().with_timeout(Duration::from_secs(1));
            let status = match etcd_client::Client::connect([&member.client], Some(options)).await {
                Ok(mut client) => client.status().await.ok(),
                Err(_) => None,
            };
            ids.push(status.as_ref().and_then(|s| s.header()).map(etcd_client::ResponseHeader::member_id));
            leaders.extend(status.map(|s| s.leader()));
        }
        // All that answer must agree: a member that was cut off still names the old one.
        let leader = leaders.first().filter(|l| **l != 0 && leaders.iter().all(|other| other == *l))?;
        ids.iter().position(|id| id.as_ref() == Some(leader))
    }

    /// A store on this cluster.
    pub async fn store(&self) -> Result<EtcdStore, crate::Error> {
        let mut options = EtcdOptions::new(self.endpoints());
        options.request_timeout = Duration::from_secs(3);
        EtcdStore::connect(options).await
    }
}
