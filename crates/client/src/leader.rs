//! One active instance of a component (client-go's `leaderelection` with v1.10's Endpoints lock).
//!
//! The record is an annotation of `endpoints/<namespace>/<name>`. Instances compare times only with their own clock: a
//! lease is over when the record did not change for its duration since *we* saw it change.

use std::future::Future;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::Duration;

use k8s_openapi::api::core::v1::Endpoints;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, PostParams};
use kube::{Client, Error};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::error::{ErrorExt, GoError};
use crate::events::{EventType, Recorder, reference};

/// Where the record lives.
pub const ANNOTATION: &str = "control-plane.alpha.kubernetes.io/leader";

/// Upstream's `LeaderElectionRecord`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// Who leads; empty when the last leader stepped down.
    pub holder_identity: String,
    /// How long others must leave an unchanged record alone.
    pub lease_duration_seconds: u64,
    /// Since when this holder leads.
    pub acquire_time: Option<Time>,
    /// When the holder last showed life.
    pub renew_time: Option<Time>,
    /// How often the holder changed.
    pub leader_transitions: u64,
}

/// The names and times of an election.
#[derive(Clone, Debug)]
pub struct ElectorOptions {
    /// Namespace of the lock, `kube-system`.
    pub namespace: String,
    /// Name of the lock, the component's.
    pub name: String,
    /// Our name in the record.
    pub identity: String,
    /// Upstream's `--leader-elect-lease-duration`.
    pub lease_duration: Duration,
    /// Upstream's `--leader-elect-renew-deadline`.
    pub renew_deadline: Duration,
    /// Upstream's `--leader-elect-retry-period`.
    pub retry_period: Duration,
}

impl ElectorOptions {
    /// Upstream's defaults: 15 s, 10 s, 2 s.
    pub fn new(component: &str, identity: String) -> Self {
        Self {
            namespace: "kube-system".into(),
            name: component.into(),
            identity,
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// The lease could not be renewed in time: someone else may lead now.
#[derive(Debug, thiserror::Error)]
#[error("leaderelection lost")]
pub struct Lost;

/// A candidate.
pub struct Elector {
    api: Api<Endpoints>,
    options: ElectorOptions,
    recorder: Option<Recorder>,
    /// The lock as last seen, and when its record last changed.
    observed: Option<(Endpoints, Record, Instant)>,
}

impl Elector {
    /// A candidate; the recorder tells who became leader.
    pub fn new(client: Client, options: ElectorOptions, recorder: Option<Recorder>) -> Self {
        let api = Api::namespaced(client, &options.namespace);
        Self { api, options, recorder, observed: None }
    }

    /// Waits to become leader, then runs `lead` until it ends, `stop` is cancelled or the lease is lost. The token that
    /// `lead` gets is cancelled in the latter two cases; `lead` must end then.
    pub async fn run<F, Fut>(mut self, stop: CancellationToken, lead: F) -> Result<(), Lost>
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = ()>,
    {
        tracing::info!(
            "Attempting to acquire leader lease {}/{}...",
            self.options.namespace,
            self.options.name
        );
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = self.acquire() => {}
        }
        tracing::info!("Successfully acquired lease {}/{}", self.options.namespace, self.options.name);
        self.tell("became leader");
        let leading = stop.child_token();
        let leader = lead(leading.clone());
        tokio::pin!(leader);
        // The leader may end by itself: as soon as `stop` is told, or because it has nothing more to do.
        let (ended, lost) = tokio::select! {
            () = &mut leader => (true, false),
            () = self.renew() => (false, true),
            () = stop.cancelled() => (false, false),
        };
        leading.cancel();
        if !ended {
            leader.await;
        }
        if lost {
            self.tell("stopped leading");
            return Err(Lost);
        }
        // Stepping down lets the next one start at once.
        let _ = tokio::time::timeout(self.options.retry_period, self.release()).await;
        Ok(())
    }

    fn tell(&self, what: &str) {
        let (Some(recorder), Some((lock, ..))) = (&self.recorder, &self.observed) else { return };
        let message = format!("{} {what}", self.options.identity);
        recorder.event_ref(&reference(lock), EventType::Normal, "LeaderElection", message);
    }

    async fn acquire(&mut self) {
        loop {
            match self.try_lead().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(err) => tracing::warn!(
                    "error retrieving or writing the leader lock {}: {}",
                    self.options.name,
                    GoError(&err)
                ),
            }
            tokio::time::sleep(component_base::rand::jitter(self.options.retry_period, 0.2)).await;
        }
    }

    /// Returns when the lease is lost.
    async fn renew(&mut self) {
        let mut renewed = Instant::now();
        let mut pause = self.options.retry_period;
        loop {
            let deadline = renewed + self.options.renew_deadline;
            tokio::time::sleep_until((Instant::now() + pause).min(deadline)).await;
            // Failing, we try more often: the deadline comes near.
            pause = self.options.retry_period / 4;
            match tokio::time::timeout_at(deadline, self.try_lead()).await {
                Ok(Ok(true)) => {
                    renewed = Instant::now();
                    pause = self.options.retry_period;
                }
                Ok(Ok(false)) => tracing::warn!("the leader lock {} is held by another", self.options.name),
                Ok(Err(err)) => {
                    tracing::debug!(
                        "failed to renew the leader lock {}: {}",
                        self.options.name,
                        GoError(&err)
                    );
                }
                Err(_) => {}
            }
            if Instant::now() >= deadline {
                tracing::error!(
                    "failed to renew lease {}/{}: timed out",
                    self.options.namespace,
                    self.options.name
                );
                return;
            }
        }
    }

    async fn release(&mut self) -> Result<(), Error> {
        let Some((lock, record, _)) = self.observed.take() else { return Ok(()) };
        if record.holder_identity != self.options.identity {
            return Ok(());
        }
        let record = Record { holder_identity: String::new(), lease_duration_seconds: 1, ..record };
        self.write(lock, record).await
    }

    /// Takes or renews the lease; false when another holds it.
    async fn try_lead(&mut self) -> Result<bool, Error> {
        // The fast path: nobody wrote since we did.
        if let Some((lock, record, _)) = &self.observed
            && record.holder_identity == self.options.identity
        {
            let (lock, record) = (lock.clone(), self.record(record, true));
            match self.write(lock, record).await {
                Ok(()) => return Ok(true),
                Err(err) if err.is_conflict() || err.is_not_found() => {}
                Err(err) => return Err(err),
            }
        }
        let Some(lock) = self.api.get_opt(&self.options.name).await? else {
            let record = self.record(&Record::default(), false);
            let mut lock = Endpoints {
                metadata: ObjectMeta { name: Some(self.options.name.clone()), ..Default::default() },
                ..Default::default()
            };
            annotate(&mut lock, &Record { leader_transitions: 0, ..record.clone() })?;
            let lock = self.api.create(&PostParams::default(), &lock).await?;
            self.observed = Some((lock, Record { leader_transitions: 0, ..record }, Instant::now()));
            return Ok(true);
        };
        let record = read(&lock);
        let since = match &self.observed {
            Some((_, seen, since)) if *seen == record => *since,
            _ => Instant::now(),
        };
        self.observed = Some((lock.clone(), record.clone(), since));
        let ours = record.holder_identity == self.options.identity;
        let over = record.holder_identity.is_empty()
            || since.elapsed() >= Duration::from_secs(record.lease_duration_seconds);
        if !ours && !over {
            tracing::debug!(
                "lock {} is held by {} and has not yet expired",
                self.options.name,
                record.holder_identity
            );
            return Ok(false);
        }
        match self.write(lock, self.record(&record, ours)).await {
            Ok(()) => Ok(true),
            Err(err) if err.is_conflict() => Ok(false),
            Err(err) => Err(err),
        }
    }

    fn record(&self, old: &Record, ours: bool) -> Record {
        let now = Some(clock::time());
        Record {
            holder_identity: self.options.identity.clone(),
            lease_duration_seconds: self.options.lease_duration.as_secs(),
            acquire_time: if ours { old.acquire_time.clone() } else { now.clone() },
            renew_time: now,
            leader_transitions: old.leader_transitions + u64::from(!ours),
        }
    }

    async fn write(&mut self, mut lock: Endpoints, record: Record) -> Result<(), Error> {
        annotate(&mut lock, &record)?;
        let lock = self.api.replace(&self.options.name, &PostParams::default(), &lock).await?;
        self.observed = Some((lock, record, Instant::now()));
        Ok(())
    }
}

fn read(lock: &Endpoints) -> Record {
    let text = lock.metadata.annotations.as_ref().and_then(|annotations| annotations.get(ANNOTATION));
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn annotate(lock: &mut Endpoints, record: &Record) -> Result<(), Error> {
    let text = serde_json::to_string(record).map_err(Error::SerdeError)?;
    lock.metadata.annotations.get_or_insert_default().insert(ANNOTATION.into(), text);
    Ok(())
}

/// A candidate's name: `<hostname>_<uuid>`.
///
/// A process that was killed cannot step down, and its successor would wait for the lease to end. So the uuid is made
/// from the machine, the host name and the network interface, and an abstract socket, which the kernel closes with the
/// process, makes sure that only one process at a time has that name. Any other process gets a random one.
pub struct Identity {
    name: String,
    _guard: Option<UnixListener>,
}

impl Identity {
    /// The name for an instance of `component` on this host.
    pub fn of(component: &str) -> Self {
        let host = hostname();
        if let Some(seed) = machine() {
            let hash = |part: u8| {
                let hasher = BuildHasherDefault::<DefaultHasher>::default();
                hasher.hash_one((component, &host, &seed, part))
            };
            let uuid = format_uuid(hash(0), hash(1));
            let socket = SocketAddr::from_abstract_name(format!("skiff-{component}-{uuid}"));
            if let Ok(guard) = socket.and_then(|addr| UnixListener::bind_addr(&addr)) {
                return Self { name: format!("{host}_{uuid}"), _guard: Some(guard) };
            }
        }
        let uuid = format_uuid(component_base::rand::u64(), component_base::rand::u64());
        Self { name: format!("{host}_{uuid}"), _guard: None }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn hostname() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let text = text.trim();
    if text.is_empty() { "localhost".into() } else { text.to_lowercase() }
}

/// What tells this machine and network namespace from all others.
fn machine() -> Option<(String, String)> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let routes = std::fs::read_to_string("/proc/net/route").ok()?;
    let mut columns = routes.lines().skip(1).map(|line| line.split_whitespace());
    let interface = columns.find_map(|mut line| {
        let (interface, destination) = (line.next()?, line.next()?);
        (destination == "00000000").then_some(interface)
    })?;
    let address = std::fs::read_to_string(format!("/sys/class/net/{interface}/address")).ok()?;
    Some((boot, address))
}

fn format_uuid(a: u64, b: u64) -> String {
    // Version 4, variant 1: what upstream's random ones look like.
    let (a, b) = (a & !0xf000 | 0x4000, b & !(0b11 << 62) | 1 << 63);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xffff,
        b >> 48,
        b & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests;
