//! Starts everything: one client, one set of caches, one task per controller.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use client::ConnectOptions;
use client::events::Recorder;
use client::leader::{Elector, ElectorOptions, Identity};
use component_base::healthz::{self, Check};
use futures::FutureExt;
use futures::future::BoxFuture;
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::informers::Informers;
use crate::options::Options;
use crate::serviceaccount::jwt::{KeyError, Signer};
use crate::serviceaccount::tokens::TokenOptions;
use crate::views::{ReplicaSet, ReplicationController};

/// The name in the leader record and the user agent.
const NAME: &str = "kube-controller-manager";

/// Why the controllers do not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No way to the API server is configured.
    #[error("{0}")]
    Connect(#[from] client::ConnectError),
    /// A file from a flag cannot be read.
    #[error("--{flag}: cannot read {path:?}: {source}")]
    File {
        /// The flag.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The signing key is none.
    #[error(
        "--service-account-private-key-file: error reading key for service account token controller: {0}"
    )]
    Key(#[from] KeyError),
    /// The certificates are none.
    #[error(
        "--root-ca-file: error parsing root-ca-file at {0:?}: data does not contain any valid RSA or ECDSA certificates"
    )]
    RootCa(PathBuf),
    /// The health port is taken.
    #[error("{0}")]
    Healthz(#[from] healthz::Error),
}

/// kube-controller-manager as a process: connects and serves /healthz.
pub async fn run(options: Options, stop: CancellationToken) -> Result<(), Error> {
    let connect = ConnectOptions {
        master: options.master.clone(),
        kubeconfig: options.kubeconfig.clone(),
        user_agent: NAME.into(),
    };
    let client = client::connect(&connect).await?;
    run_with(client, options, stop).await
}

/// The controllers on a client that exists, for servers that run them in their own process.
pub async fn run_with(client: Client, options: Options, stop: CancellationToken) -> Result<(), Error> {
    // Wrong flags end the process before anyone sees it lead.
    let secrets = Secrets::load(&options)?;
    if options.port != 0 {
        let addr = (options.address, options.port).into();
        healthz::serve(addr, vec![Check::ping()], stop.clone()).await?;
    }
    let recorder = Recorder::new(client.clone(), "controller-manager", "");
    let lead = |leading: CancellationToken| {
        let context = Context {
            client: client.clone(),
            informers: Informers::new(client.clone(), leading.clone()),
            stop: leading,
            recorder: recorder.clone(),
            options: Arc::new(options.clone()),
        };
        run_controllers(context, secrets.clone())
    };
    if !options.leader_elect {
        lead(stop.child_token()).await;
        return Ok(());
    }
    let identity = Identity::of(NAME);
    let elector = ElectorOptions {
        lease_duration: options.leader_elect_lease_duration,
        renew_deadline: options.leader_elect_renew_deadline,
        retry_period: options.leader_elect_retry_period,
        ..ElectorOptions::new(NAME, identity.name().to_owned())
    };
    // Upstream ends the process here and leaves the restart to others. Nothing of the lost term is kept either way.
    while !stop.is_cancelled() {
        let elector = Elector::new(client.clone(), elector.clone(), Some(recorder.clone()));
        if let Err(lost) = elector.run(stop.clone(), &lead).await {
            tracing::error!("{lost}; standing for election again");
        }
    }
    Ok(())
}

/// What the flags' files hold.
#[derive(Clone)]
struct Secrets {
    tokens: Option<TokenOptions>,
    root_ca: Option<String>,
}

impl Secrets {
    fn load(options: &Options) -> Result<Self, Error> {
        let root_ca = match &options.root_ca_file {
            Some(path) => {
                let pem = read("root-ca-file", path)?;
                let text = String::from_utf8_lossy(&pem).into_owned();
                if !text.contains("-----BEGIN CERTIFICATE-----") {
                    return Err(Error::RootCa(path.clone()));
                }
                Some(text)
            }
            None => None,
        };
        let tokens = match &options.service_account_private_key_file {
            Some(path) => {
                let signer = Signer::from_pem(&read("service-account-private-key-file", path)?)?;
                Some(TokenOptions { signer, root_ca: root_ca.clone().map(String::into_bytes) })
            }
            None => None,
        };
        Ok(Self { tokens, root_ca })
    }
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::File { flag, path: path.to_owned(), source })
}

type Controller = (&'static str, BoxFuture<'static, ()>);

/// All controllers by upstream's names.
fn controllers(context: &Context, secrets: Secrets) -> Vec<Controller> {
    let c = || context.clone();
    let mut all: Vec<Controller> = vec![
        ("serviceaccount", crate::serviceaccount::accounts::run(c()).boxed()),
        ("deployment", crate::deployment::run(c()).boxed()),
        ("replicaset", crate::replicaset::run::<ReplicaSet>(c()).boxed()),
        ("replicationcontroller", crate::replicaset::run::<ReplicationController>(c()).boxed()),
        ("daemonset", crate::daemonset::run(c()).boxed()),
        ("statefulset", crate::statefulset::run(c()).boxed()),
        ("job", crate::job::run(c()).boxed()),
        ("cronjob", crate::cronjob::run(c()).boxed()),
        ("ttl-after-finished", crate::job::ttl::run(c()).boxed()),
        ("disruption", crate::disruption::run(c()).boxed()),
        ("resourcequota", crate::quota::run(c()).boxed()),
        ("namespace", crate::namespace::run(c()).boxed()),
        ("pvc-protection", crate::protection::run_claims(c()).boxed()),
        ("pv-protection", crate::protection::run_volumes(c()).boxed()),
        ("volumeattributesclass-protection", crate::protection::run_classes(c()).boxed()),
        ("endpoint", crate::endpoints::run(c()).boxed()),
        ("endpointslice", crate::endpoints::run_slices(c()).boxed()),
        ("endpointslicemirroring", crate::endpoints::run_mirroring(c()).boxed()),
        ("nodelifecycle", crate::node::health::run(c()).boxed()),
        ("taint-eviction", crate::node::eviction::run(c()).boxed()),
        ("podgc", crate::node::podgc::run(c()).boxed()),
    ];
    if context.options.enable_garbage_collector {
        all.push(("garbagecollector", crate::garbage::run(c()).boxed()));
    }
    match secrets.tokens {
        Some(tokens) => {
            all.push(("serviceaccount-token", crate::serviceaccount::tokens::run(c(), tokens).boxed()))
        }
        None => tracing::warn!("\"serviceaccount-token\" is disabled because there is no private key"),
    }
    if let Some(ca) = secrets.root_ca {
        all.push(("root-ca-cert-publisher", crate::serviceaccount::root_ca::run(c(), ca).boxed()));
    }
    all
}

async fn run_controllers(context: Context, secrets: Secrets) {
    let mut tasks = tokio::task::JoinSet::new();
    for (name, controller) in controllers(&context, secrets) {
        if !context.options.enables(name) {
            tracing::warn!("{name:?} is disabled");
            continue;
        }
        tracing::info!("Started {name:?}");
        tasks.spawn(controller);
    }
    while let Some(result) = tasks.join_next().await {
        if let Err(err) = result
            && err.is_panic()
        {
            // A controller never ends by itself. Better start all anew than run without it.
            tracing::error!("a controller failed: {err}");
            context.stop.cancel();
        }
    }
}
