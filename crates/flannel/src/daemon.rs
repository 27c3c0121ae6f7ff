//! flanneld from start to stop (upstream's `main.go`).
//!
//! ```text
//!  flags ─► etcd ─► config ─► interface ─► device ─► lease ─► iptables ─► subnet.env ─► follow leases, renew, look after
//!            └──── each waits, says why, and tries again ────┘
//! ```

use std::{os::linux::net::SocketAddrExt, time::Duration};

use netfilter::IpTables;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    backend::Backend,
    config::Config,
    health, iface,
    lease::{Lease, LeaseAttrs},
    link::Netlink,
    manager,
    net::Ipv4Net,
    options::Options,
    registry::{LEASE_TTL, Registry},
    rules::{self, Chain},
    subnet_file::{self, SubnetFile},
    table::{Change, Seen, Table},
    watch::{self, Backoff},
};

/// Between looks at the routes, as upstream's `routeCheckRetries`.
const ROUTE_CHECK: Duration = Duration::from_secs(10);
/// After a failed renewal; the margin leaves an hour of these.
const RENEW_RETRY: Duration = Duration::from_secs(60);

/// Runs flanneld until `stop`. Device, routes and rules stay behind.
pub async fn run(options: Options, stop: CancellationToken) -> Result<(), Error> {
    options.check()?;
    health::serve(&options, stop.clone()).await?;
    let Some(registry) = connect(&options, &stop).await? else { return Ok(()) };
    let previous = subnet_file::previous(&options.subnet_file);
    let name = previous.map_or_else(|| "None".to_owned(), |(_, subnet)| subnet.to_string());
    tracing::info!("Created subnet manager: Etcd Local Manager with Previous Subnet: {name}");

    let Some(config) = wait_for_config(&registry, &stop).await? else { return Ok(()) };
    tracing::info!("Found network config - Backend type: {}", config.backend.name());

    let netlink = Netlink::open()?;
    let external = iface::find(&netlink, &options).await?;
    let backend = Backend::prepare(netlink, external, &config).await?;
    let attrs = backend.lease_attrs(&config);
    let previous = previous.map(|(_, subnet)| subnet);
    let Some(lease) = acquire(&registry, &config, &attrs, previous, &stop).await? else { return Ok(()) };
    let renewed = Instant::now();
    backend.take(lease.subnet, config.network).await?;

    let chains = chains(&options, config.network, lease.subnet).await;
    write_subnet_file(&options, &config, lease.subnet, backend.mtu());
    notify_systemd();
    Node { options: &options, registry, config, backend, lease, chains }.follow(renewed, stop).await
}

async fn connect(options: &Options, stop: &CancellationToken) -> Result<Option<Registry>, Error> {
    let mut backoff = Backoff::new();
    loop {
        match Registry::connect(options).await {
            Ok(registry) => return Ok(Some(registry)),
            Err(Error::Etcd(message)) => {
                if !backoff.wait(&format!("Failed to create SubnetManager: {message}"), stop).await {
                    return Ok(None);
                }
            }
            Err(err) => return Err(err),
        }
    }
}

/// Waits until etcd answers and holds a configuration. One that cannot be used is an error: only a person can mend it.
async fn wait_for_config(registry: &Registry, stop: &CancellationToken) -> Result<Option<Config>, Error> {
    let mut backoff = Backoff::new();
    loop {
        let problem = match registry.config().await {
            Ok((Some(json), _)) => {
                let bad = |message| Error::Config { key: registry.config_key(), message };
                return Config::parse(&json).map(Some).map_err(bad);
            }
            Ok((None, revision)) => {
                tracing::error!(
                    "Couldn't fetch network config: flannel config not found in etcd store ({}). \
                     Did you create your config using etcdv3 API? Waiting for it",
                    registry.config_key()
                );
                tokio::select! {
                    written = config_written(registry, revision + 1) => match written {
                        Ok(()) => continue,
                        Err(err) => err,
                    },
                    () = stop.cancelled() => return Ok(None),
                }
            }
            Err(err) => err,
        };
        if !backoff.wait(&format!("Couldn't fetch network config: {problem}"), stop).await {
            return Ok(None);
        }
    }
}

/// Returns when anything happens to the configuration's key.
async fn config_written(registry: &Registry, revision: i64) -> Result<(), Error> {
    let mut stream = registry.watch_config(revision).await?;
    loop {
        match stream.message().await {
            Ok(Some(message)) if message.events().is_empty() && !message.canceled() => {}
            Ok(Some(_)) => return Ok(()),
            Ok(None) => return Err(Error::Etcd("the watch was closed".into())),
            Err(err) => return Err(Error::Etcd(crate::registry::explain(&err))),
        }
    }
}

async fn acquire(
    registry: &Registry,
    config: &Config,
    attrs: &LeaseAttrs,
    previous: Option<Ipv4Net>,
    stop: &CancellationToken,
) -> Result<Option<Lease>, Error> {
    let mut backoff = Backoff::new();
    loop {
        match manager::acquire(registry, config, attrs, previous).await {
            Ok(lease) => return Ok(Some(lease)),
            Err(err @ (Error::Etcd(_) | Error::Lease(_))) => {
                if !backoff.wait(&format!("failed to acquire lease: {err}"), stop).await {
                    return Ok(None);
                }
            }
            Err(err) => return Err(err),
        }
    }
}

/// Puts our iptables chains in. A host without iptables still gets its routes.
async fn chains(options: &Options, network: Ipv4Net, subnet: Ipv4Net) -> Option<(IpTables, Vec<Chain>)> {
    if !options.ip_masq && !options.iptables_forward_rules {
        return None;
    }
    let tables = match IpTables::detect().await {
        Ok(tables) => tables,
        Err(err) => {
            tracing::error!("Failed to setup IPTables: {err}");
            return None;
        }
    };
    let mut chains = Vec::new();
    if options.ip_masq {
        tracing::info!("Setting up masking rules");
        chains.push(rules::masquerade(network, subnet, tables.has_random_fully()));
    }
    if options.iptables_forward_rules {
        tracing::info!("Changing default FORWARD chain policy to ACCEPT");
        chains.push(rules::forward(network));
    }
    for chain in &chains {
        match chain.install(&tables).await {
            Ok(()) => tracing::info!("bootstrap done: {} ({})", chain.name, tables.mode()),
            Err(err) => tracing::error!("Failed to bootstrap IPTables: {err}"),
        }
    }
    Some((tables, chains))
}

fn write_subnet_file(options: &Options, config: &Config, subnet: Ipv4Net, mtu: u32) {
    let file = SubnetFile { network: config.network, subnet, mtu, ip_masq: options.ip_masq };
    let path = options.subnet_file.display();
    match file.write(&options.subnet_file) {
        Ok(()) => tracing::info!("Wrote subnet file to {path}"),
        Err(err) => tracing::warn!("Failed to write subnet file {path}: {err}"),
    }
}

/// Tells systemd that we are ready, when it asked to be told (`sd_notify(3)`).
fn notify_systemd() {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let sent = std::os::unix::net::UnixDatagram::unbound().and_then(|socket| {
        let name = name.to_string_lossy();
        match name.strip_prefix('@') {
            Some(name) => {
                let addr = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
                socket.send_to_addr(b"READY=1", &addr)
            }
            None => socket.send_to(b"READY=1", name.as_ref()),
        }
    });
    if let Err(err) = sent {
        tracing::error!("Failed to notify systemd the message READY=1: {err}");
    }
}

/// A host that has its subnet.
struct Node<'a> {
    options: &'a Options,
    registry: Registry,
    config: Config,
    backend: Backend,
    lease: Lease,
    chains: Option<(IpTables, Vec<Chain>)>,
}

impl Node<'_> {
    async fn follow(mut self, renewed: Instant, stop: CancellationToken) -> Result<(), Error> {
        tracing::info!("Running backend. Watching for new subnet leases");
        let mut table = Table::new(self.lease.subnet);
        let mut swept = false;
        let (sender, mut seen) = mpsc::channel(16);
        tokio::spawn(watch::run(self.registry.clone(), sender, stop.clone()));

        let mut renew_at = renewed + self.renew_after();
        let mut rules_check = tokio::time::interval(Duration::from_secs(self.options.iptables_resync));
        let mut route_check = tokio::time::interval(ROUTE_CHECK);
        rules_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        route_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    tracing::info!("Exiting cleanly...");
                    return Ok(());
                }
                Some(what) = seen.recv() => {
                    let whole = matches!(what, Seen::Snapshot(_));
                    let changes = table.update(what);
                    if changes.contains(&Change::OwnRemoved) {
                        self.reclaim(&stop).await?;
                        renew_at = Instant::now() + self.renew_after();
                    }
                    self.backend.apply(&changes).await;
                    if whole && !swept {
                        swept = true;
                        if let Err(err) = self.backend.sweep(&table).await {
                            tracing::warn!("{err}");
                        }
                    }
                }
                () = tokio::time::sleep_until(renew_at), if !self.lease.reserved => {
                    renew_at = match self.registry.renew(&self.lease).await {
                        Ok(()) => {
                            tracing::info!("Lease renewed");
                            Instant::now() + self.renew_after()
                        }
                        Err(err) => {
                            tracing::error!("Error renewing lease (trying again in 1 min): {err}");
                            Instant::now() + RENEW_RETRY
                        }
                    };
                }
                _ = rules_check.tick(), if self.chains.is_some() => self.check_rules().await,
                _ = route_check.tick() => {
                    if let Err(err) = self.backend.check_routes(&table).await {
                        tracing::error!("Error recovering routes: {err}");
                    }
                }
            }
        }
    }

    fn renew_after(&self) -> Duration {
        LEASE_TTL.saturating_sub(Duration::from_secs(60 * u64::from(self.options.subnet_lease_renew_margin)))
    }

    /// Our lease was deleted or etcd lost it. The pods of this host have their addresses: take the same subnet again.
    /// When somebody else was faster nothing here can stay as it is, and flanneld ends as upstream's does.
    async fn reclaim(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        tracing::error!("Lease has been revoked; taking {} again", self.lease.subnet);
        let attrs = &self.lease.attrs;
        let again = acquire(&self.registry, &self.config, attrs, Some(self.lease.subnet), stop).await?;
        match again {
            Some(lease) if lease.subnet != self.lease.subnet => Err(Error::Lease(format!(
                "lease of {} has been revoked and another host has it now; start again to use {}",
                self.lease.subnet, lease.subnet
            ))),
            _ => Ok(()),
        }
    }

    async fn check_rules(&self) {
        let Some((tables, chains)) = &self.chains else { return };
        for chain in chains {
            if chain.is_installed(tables).await {
                continue;
            }
            tracing::info!(
                "Some iptables rules are missing; deleting and recreating rules of {}",
                chain.name
            );
            if let Err(err) = chain.install(tables).await {
                tracing::error!("Failed to ensure iptables rules: {err}");
            }
        }
    }
}
