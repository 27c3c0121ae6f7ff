//! A real etcd for one test: a temporary directory, free ports, gone with the value.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::{EtcdStore, Store, etcd::EtcdOptions};

pub(super) struct Etcd {
    directory: tempfile::TempDir,
    client: String,
    peer: String,
    process: Option<Child>,
}

impl Etcd {
    /// Starts one, or says why not.
    pub(super) async fn start() -> Result<Etcd, String> {
        let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
        // Held together so that they differ.
        let ports = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let [client, peer] = ports.each_ref().map(|l| format!("http://{}", l.local_addr().unwrap()));
        drop(ports);
        let mut etcd = Etcd { directory, client, peer, process: None };
        etcd.run().await?;
        Ok(etcd)
    }

    /// Runs the process on its directory, again after a kill, and waits until it answers.
    pub(super) async fn run(&mut self) -> Result<(), String> {
        let child = Command::new("etcd")
            .arg(format!("--data-dir={}", self.directory.path().display()))
            .arg(format!("--listen-client-urls={}", self.client))
            .arg(format!("--advertise-client-urls={}", self.client))
            .arg(format!("--listen-peer-urls={}", self.peer))
            .arg(format!("--initial-advertise-peer-urls={}", self.peer))
            .arg(format!("--initial-cluster=default={}", self.peer))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| format!("etcd cannot be started: {e}"))?;
        self.process = Some(child);
        let mut options = EtcdOptions::new([self.client.clone()]);
        options.request_timeout = Duration::from_secs(20);
        let store = EtcdStore::connect(options).await.map_err(|e| e.to_string())?;
        store.revision().await.map_err(|e| format!("etcd does not come up: {e}"))?;
        Ok(())
    }

    pub(super) async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await.unwrap();
        }
    }

    pub(super) async fn store(&self) -> EtcdStore {
        let mut options = EtcdOptions::new([self.client.clone()]);
        options.request_timeout = Duration::from_secs(3);
        EtcdStore::connect(options).await.unwrap()
    }
}
