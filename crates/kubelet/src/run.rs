//! Putting the kubelet together.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use client::ConnectOptions;
use client::events::Recorder;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config};
use crate::context::Context;
use crate::images::Images;
use crate::labels::{self, Owner};
use crate::manager::{self, Pods};
use crate::network::BridgeNetwork;
use crate::node::{self, Registration, facts};
use crate::options::Options;
use crate::runtime::docker::DockerRuntime;
use crate::runtime::{Info, Runtime};
use crate::server;
use crate::volumes::Volumes;
use crate::volumes::objects::Objects;
use crate::{Error, network};

/// Runs the kubelet until `stop`. Only what cannot pass by waiting is an error.
pub async fn run(options: Options, stop: CancellationToken) -> Result<(), Error> {
    let config = Config::load(&options)?;
    config::check_swap(config.fail_swap_on, Path::new("/proc/swaps"))?;
    let registration = registration(&options)?;
    if options.kubeconfig.is_none() && options.master.is_none() {
        return Err(Error::Config("no API server: give --kubeconfig (or --master)".into()));
    }
    let connect = ConnectOptions {
        master: options.master.clone(),
        kubeconfig: options.kubeconfig.clone(),
        user_agent: component_base::version::user_agent("kubelet"),
    };
    let client = client::connect(&connect).await.map_err(|e| Error::Client(e.to_string()))?;
    let node_name = match &options.hostname_override {
        Some(name) => name.trim().to_lowercase(),
        None => facts::hostname()
            .ok_or_else(|| Error::Config("the host has no name: give --hostname-override".into()))?,
    };
    let root_dir = options.root_dir.clone();
    std::fs::create_dir_all(root_dir.join("pods"))
        .map_err(|e| Error::Config(format!("--root-dir {}: {e}", root_dir.display())))?;
    let owner = Owner {
        cluster: options.cluster_id.clone().unwrap_or_else(|| labels::default_cluster_id(&root_dir)),
        node: node_name.clone(),
    };
    let Some((docker, info)) = connect_docker(&options.docker_endpoint, &owner, &stop).await else {
        return Ok(());
    };
    check_cgroup_driver(&config, &info)?;
    tracing::info!(version = info.version, api = info.api_version, "Docker");

    let node_ip = options
        .node_ip
        .or_else(facts::default_ip)
        .ok_or_else(|| Error::Config("the node's address is not known: give --node-ip".into()))?;
    let host_network = network::host::network_mode(&docker).await;
    if let Err(why) = &host_network {
        tracing::warn!("pods with hostNetwork cannot run: {why}");
    }
    let docker = Arc::new(docker);
    let runtime: Arc<dyn Runtime> = docker;
    let objects = Arc::new(Objects::new(client.clone()));
    let network = BridgeNetwork::start(&options.bridge_name, &options.subnet_file, stop.clone());
    let context = Arc::new(Context {
        owner,
        infra_image: options.pod_infra_container_image.clone(),
        node_ip,
        host_network,
        runtime: runtime.clone(),
        network,
        images: Images::new(runtime.clone()),
        volumes: Volumes::new(&root_dir, objects.clone(), runtime),
        objects,
        recorder: Recorder::new(client.clone(), "kubelet", &node_name),
        client,
        capacity: facts::capacity(&root_dir),
        oom_refused: AtomicBool::new(false),
        config,
        root_dir,
    });
    check_forwarding();
    serve(context, &options, registration, stop).await
}

/// Starts the servers and the loops on a ready context; returns after `stop`.
async fn serve(
    context: Arc<Context>,
    options: &Options,
    registration: Registration,
    stop: CancellationToken,
) -> Result<(), Error> {
    let pods = Arc::new(Pods::default());
    if let Some(addr) = context.config.healthz {
        let checks = vec![component_base::healthz::Check::ping()];
        component_base::healthz::serve(addr, checks, stop.clone())
            .await
            .map_err(|e| Error::Server(e.to_string()))?;
    }
    server::start(context.clone(), pods.clone(), &options.cert_dir, stop.clone()).await?;
    let (well, is_well) = watch::channel(true);
    let lost = watch::channel(0).0;
    let node = tokio::spawn(node::run(context.clone(), registration, is_well, lost.clone(), stop.clone()));
    manager::run(context, pods, well, lost.subscribe(), stop).await;
    let _ = node.await;
    Ok(())
}

fn registration(options: &Options) -> Result<Registration, Error> {
    let labels = options
        .node_labels
        .iter()
        .filter(|l| !l.is_empty())
        .map(|l| node::parse_label(l))
        .collect::<Result<_, _>>();
    let taints = options
        .register_with_taints
        .iter()
        .filter(|t| !t.is_empty())
        .map(|t| node::parse_taint(t))
        .collect::<Result<_, _>>();
    Ok(Registration { labels: labels.map_err(Error::Config)?, taints: taints.map_err(Error::Config)? })
}

/// Waits for Docker; `None` when told to stop meanwhile.
async fn connect_docker(
    endpoint: &str,
    owner: &Owner,
    stop: &CancellationToken,
) -> Option<(DockerRuntime, Info)> {
    let mut pause = Duration::from_millis(500);
    loop {
        let tried = match DockerRuntime::connect(endpoint, owner.clone()).await {
            Ok(docker) => docker.info().await.map(|info| (docker, info)),
            Err(e) => Err(e),
        };
        match tried {
            Ok(found) => return Some(found),
            Err(e) => tracing::warn!("{e}; trying again in {pause:?}"),
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(10)),
        }
    }
}

fn check_cgroup_driver(config: &Config, info: &Info) -> Result<(), Error> {
    match &config.cgroup_driver {
        Some(wanted) if *wanted != info.cgroup_driver && !info.cgroup_driver.is_empty() => {
            Err(Error::CgroupDriver { kubelet: wanted.clone(), docker: info.cgroup_driver.clone() })
        }
        _ => Ok(()),
    }
}

/// Pods reach others only through a host that forwards. `/proc/sys` is read-only in most containers: then the one who
/// made the namespace has to set it.
fn check_forwarding() {
    let path = "/proc/sys/net/ipv4/ip_forward";
    if std::fs::read_to_string(path).is_ok_and(|v| v.trim() == "1") {
        return;
    }
    if let Err(e) = std::fs::write(path, "1") {
        tracing::warn!(
            "net.ipv4.ip_forward is off in this network namespace and cannot be set ({e}): pods will not reach other nodes"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_driver_mismatch_names_both() {
        let options =
            <Options as clap::Parser>::try_parse_from(["kubelet", "--cgroup-driver", "systemd"]).unwrap();
        let config = Config::load(&options).unwrap();
        let info = Info { cgroup_driver: "cgroupfs".into(), ..Info::default() };
        let text = check_cgroup_driver(&config, &info).unwrap_err().to_string();
        assert!(text.contains("\"systemd\" is different from docker cgroup driver: \"cgroupfs\""), "{text}");
    }
}
