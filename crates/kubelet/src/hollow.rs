//! A hollow node: a whole kubelet on a runtime and a network that only pretend (upstream's kubemark). For clusters in one
//! process, and for many nodes on one machine.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;
use client::events::Recorder;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::context::{Capacity, Context};
use crate::images::Images;
use crate::labels::Owner;
use crate::manager::{self, Pods};
use crate::network::FakeNetwork;
use crate::network::subnet::Subnet;
use crate::node::{self, Registration};
use crate::runtime::Runtime;
use crate::runtime::fake::FakeRuntime;
use crate::volumes::Volumes;
use crate::volumes::objects::Objects;
use crate::{Error, Options};

/// What a hollow node is like.
#[derive(Clone, Debug)]
pub struct HollowNode {
    /// Its name.
    pub name: String,
    /// Its address.
    pub ip: Ipv4Addr,
    /// Pods get addresses from here.
    pub subnet: Subnet,
    /// Pods' volumes are really written, below this directory.
    pub root_dir: PathBuf,
    /// CPUs.
    pub cpus: i64,
    /// Bytes of memory.
    pub memory: i64,
    /// Labels of the Node.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// Runs the node until `stop`. The runtime is given, so that tests can make containers fail.
pub async fn run(
    client: kube::Client,
    hollow: HollowNode,
    runtime: FakeRuntime,
    stop: CancellationToken,
) -> Result<(), Error> {
    let options = Options::try_parse_from(["kubelet"]).map_err(|e| Error::Config(e.to_string()))?;
    let config = Config::load(&options)?;
    std::fs::create_dir_all(hollow.root_dir.join("pods")).map_err(|e| Error::Config(e.to_string()))?;
    let runtime: Arc<dyn Runtime> = Arc::new(runtime);
    let objects = Arc::new(Objects::new(client.clone()));
    let capacity = Capacity { cpu_milli: hollow.cpus * 1000, memory: hollow.memory, storage: 100 << 30 };
    let context = Arc::new(Context {
        owner: Owner { node: hollow.name.clone(), cluster: "hollow".into() },
        config,
        infra_image: "pause".into(),
        node_ip: IpAddr::V4(hollow.ip),
        host_network: Ok("host".into()),
        network: Arc::new(FakeNetwork::new(hollow.subnet)),
        images: Images::new(runtime.clone()),
        volumes: Volumes::new(&hollow.root_dir, objects.clone(), runtime.clone()),
        runtime,
        objects,
        recorder: Recorder::new(client.clone(), "kubelet", &hollow.name),
        client,
        capacity,
        oom_refused: AtomicBool::new(false),
        root_dir: hollow.root_dir,
    });
    let (well, is_well) = watch::channel(true);
    let lost = watch::channel(0).0;
    let registration = Registration { labels: hollow.labels, taints: Vec::new() };
    let node = tokio::spawn(node::run(context.clone(), registration, is_well, lost.clone(), stop.clone()));
    manager::run(context, Arc::new(Pods::default()), well, lost.subscribe(), stop).await;
    let _ = node.await;
    Ok(())
}
