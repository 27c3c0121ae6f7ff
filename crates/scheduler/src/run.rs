//! kube-scheduler from start to stop.

use std::net::SocketAddr;

use client::{
    ConnectOptions,
    events::Recorder,
    informer::{Event, Informer, InformerOptions, Object},
    leader::{Elector, ElectorOptions, Identity},
};
use component_base::healthz::{self, Check};
use kube::{Client, Resource};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    engine::{Change, Engine},
    options::Options,
    views::{Claim, Namespace, Node, PersistentVolume, Pod, StorageClass, slim},
};

/// Pods that are through need no node and take no room.
const LIVE_PODS: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// Why kube-scheduler stops.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration file cannot be used.
    #[error("--config: {0}")]
    Config(String),
    /// No way to the API server can be made out of the flags.
    #[error(transparent)]
    Connect(#[from] client::ConnectError),
    /// The health server could not listen.
    #[error(transparent)]
    Healthz(#[from] healthz::Error),
    /// Another instance may lead now.
    #[error(transparent)]
    Lost(#[from] client::leader::Lost),
}

/// `KubeSchedulerConfiguration`, the fields that we read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    kind: String,
    client_connection: ClientConnection,
    leader_election: LeaderElection,
    profiles: Vec<Profile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ClientConnection {
    kubeconfig: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LeaderElection {
    leader_elect: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Profile {
    scheduler_name: String,
}

/// Runs kube-scheduler until `stop`.
pub async fn run(mut options: Options, stop: CancellationToken) -> Result<(), Error> {
    if let Some(path) = options.config.clone() {
        let text = std::fs::read_to_string(&path)
            .map_err(|err| Error::Config(format!("cannot read {}: {err}", path.display())))?;
        apply(&mut options, &text)?;
    }
    let connect = ConnectOptions {
        master: options.master.clone().filter(|master| !master.is_empty()),
        kubeconfig: options.kubeconfig.clone().filter(|path| !path.as_os_str().is_empty()),
        user_agent: component_base::version::user_agent("kube-scheduler"),
    };
    let client = client::connect(&connect).await?;
    run_with(client, options, stop).await
}

fn apply(options: &mut Options, text: &str) -> Result<(), Error> {
    let file: File = serde_saphyr::from_str(text).map_err(|err| Error::Config(err.to_string()))?;
    if file.kind != "KubeSchedulerConfiguration" {
        return Err(Error::Config(format!("kind: {:?} is not KubeSchedulerConfiguration", file.kind)));
    }
    if !file.client_connection.kubeconfig.is_empty() {
        options.kubeconfig = Some(file.client_connection.kubeconfig.into());
    }
    if let Some(elect) = file.leader_election.leader_elect {
        options.leader_elect = elect;
    }
    match file.profiles.as_slice() {
        [] => {}
        [profile] if profile.scheduler_name.is_empty() => {}
        [profile] => options.scheduler_name.clone_from(&profile.scheduler_name),
        _ => return Err(Error::Config("profiles: only one is supported".into())),
    }
    Ok(())
}

/// Runs kube-scheduler with a client that the caller made (in-process, over memory).
pub async fn run_with(client: Client, options: Options, stop: CancellationToken) -> Result<(), Error> {
    if options.port > 0 {
        let addr = SocketAddr::new(options.address, options.port);
        healthz::serve(addr, vec![Check::ping()], stop.clone()).await?;
    }
    // Events of pods come from the scheduler's name, as upstream's profile does it.
    let recorder = Recorder::new(client.clone(), &options.scheduler_name, "");
    if !options.leader_elect {
        work(client, recorder, options, stop).await;
        return Ok(());
    }
    let identity = Identity::of("kube-scheduler");
    let election = ElectorOptions {
        namespace: options.leader_elect_resource_namespace.clone(),
        name: options.leader_elect_resource_name.clone(),
        identity: identity.name().to_owned(),
        lease_duration: options.leader_elect_lease_duration,
        renew_deadline: options.leader_elect_renew_deadline,
        retry_period: options.leader_elect_retry_period,
    };
    let elector = Elector::new(client.clone(), election, Some(recorder.clone()));
    elector.run(stop, |leading| work(client, recorder, options, leading)).await?;
    Ok(())
}

async fn work(client: Client, recorder: Recorder, options: Options, stop: CancellationToken) {
    // Whatever ends this must end the informers too.
    let stop = stop.child_token();
    let _guard = stop.clone().drop_guard();
    let (changes, seen) = mpsc::unbounded_channel();
    let pods = follow::<Pod>(&client, &changes, Change::Pod, Some(LIVE_PODS), &stop);
    let nodes = follow::<Node>(&client, &changes, Change::Node, None, &stop);
    let namespaces = follow::<Namespace>(&client, &changes, Change::Namespace, None, &stop);
    let claims = follow::<Claim>(&client, &changes, Change::Claim, None, &stop);
    let volumes = follow::<PersistentVolume>(&client, &changes, Change::Volume, None, &stop);
    let classes = follow::<StorageClass>(&client, &changes, Change::Class, None, &stop);
    tokio::select! {
        _ = async {
            tokio::join!(
                pods.synced(), nodes.synced(), namespaces.synced(), claims.synced(), volumes.synced(), classes.synced()
            )
        } => {}
        () = stop.cancelled() => return,
    }
    tracing::info!(nodes = nodes.store().len(), pods = pods.store().len(), "Scheduling");
    Engine::new(client, recorder, options.scheduler_name).run(seen, stop).await;
}

fn follow<K: Object + Resource<DynamicType = ()>>(
    client: &Client,
    changes: &mpsc::UnboundedSender<Change>,
    wrap: fn(Event<K>) -> Change,
    field_selector: Option<&str>,
    stop: &CancellationToken,
) -> Informer<K> {
    let informer = Informer::new(
        client.clone(),
        InformerOptions {
            field_selector: field_selector.map(str::to_owned),
            transform: Some(|object: &mut K| slim(object.meta_mut())),
            ..InformerOptions::default()
        },
    );
    let changes = changes.clone();
    informer.add_handler(move |event: &Event<K>| {
        // The receiver is gone only when the scheduler has stopped.
        let _ = changes.send(wrap(event.clone()));
    });
    informer.spawn(stop.clone());
    informer
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn configuration_file() {
        let mut options = Options::try_parse_from(["kube-scheduler"]).unwrap();
        assert!(options.leader_elect && options.port == 10251);
        apply(
            &mut options,
            "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n\
             leaderElection:\n  leaderElect: false\nprofiles:\n- schedulerName: mine\n",
        )
        .unwrap();
        assert_eq!((options.leader_elect, options.scheduler_name.as_str()), (false, "mine"));
        assert!(apply(&mut options, "kind: Other").unwrap_err().to_string().contains("kind"));
    }
}
