//! The pod network: what a CNI plugin would be, built in.
//!
//! ```text
//!   sandbox's namespace            the kubelet's (the node's) namespace
//!   ┌────────────────────┐         ┌───────────────────────────────┐
//!   │ eth0 10.5.34.2/24 ─┼── veth ─┼─ vethXXXX ── cni0 10.5.34.1/24 │── flannel's routes
//!   │ default via .1     │         │             (hairpin on ports) │
//!   └────────────────────┘         └───────────────────────────────┘
//! ```
//!
//! Addresses are remembered by Docker: each sandbox carries its own in a label.

pub mod bridge;
pub mod host;
pub mod ipam;
pub mod netns;
pub mod subnet;

use std::net::Ipv4Addr;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;

use bridge::Bridge;
use ipam::Ipam;
use subnet::Subnet;

/// Why a pod has no network.
#[derive(Debug, thiserror::Error, Clone)]
pub enum Error {
    /// Flannel has not written its file yet.
    #[error("{0}")]
    NotReady(String),
    /// The subnet is full.
    #[error("failed to allocate for range 0: no IP addresses available in range set: {0}")]
    Exhausted(Subnet),
    /// The kernel refused.
    #[error("{what}: {why}")]
    Kernel {
        /// What was being done.
        what: String,
        /// Its words.
        why: String,
    },
}

/// How pods get addresses.
#[async_trait]
pub trait Network: Send + Sync {
    /// `Err` with upstream's condition message while pods cannot be wired.
    fn ready(&self) -> Result<(), String>;
    /// Changes when [`Network::ready`] may have.
    fn changes(&self) -> watch::Receiver<u64>;
    /// Takes an address out of the pool.
    fn reserve(&self) -> Result<Ipv4Addr, Error>;
    /// Marks an address as in use (found on a sandbox after a restart).
    fn adopt(&self, address: Ipv4Addr);
    /// Gives an address back.
    fn release(&self, address: Ipv4Addr);
    /// Does this address belong to the node's present subnet?
    fn belongs(&self, address: Ipv4Addr) -> bool;
    /// Wires the sandbox whose first process is `pid`; does nothing when it is wired already.
    async fn attach(&self, sandbox: &str, pid: u32, address: Ipv4Addr) -> Result<(), Error>;
    /// Removes what is left of a sandbox's wiring in the node's namespace.
    async fn detach(&self, sandbox: &str);
}

/// The bridge network.
pub struct BridgeNetwork {
    bridge: Bridge,
    state: Mutex<Option<(Subnet, Ipam)>>,
    early: Mutex<Vec<Ipv4Addr>>,
    changed: watch::Sender<u64>,
}

impl BridgeNetwork {
    /// Watches flannel's file from now on.
    pub fn start(
        bridge_name: &str,
        subnet_file: &std::path::Path,
        stop: tokio_util::sync::CancellationToken,
    ) -> Arc<Self> {
        let network = Arc::new(Self {
            bridge: Bridge::new(bridge_name),
            state: Mutex::default(),
            early: Mutex::default(),
            changed: watch::channel(0).0,
        });
        let watched = network.clone();
        let file = subnet_file.to_owned();
        tokio::spawn(async move { subnet::watch(&file, stop, |subnet| watched.set(subnet)).await });
        network
    }

    fn set(&self, subnet: Option<Subnet>) {
        let mut state = self.state.lock();
        if state.as_ref().map(|(s, _)| *s) == subnet {
            return;
        }
        match subnet {
            None => tracing::info!("waiting for flannel: no subnet file"),
            Some(subnet) => tracing::info!(subnet = %subnet, mtu = subnet.mtu, "pod network"),
        }
        let mut used = std::mem::take(&mut *self.early.lock());
        used.extend(state.iter().flat_map(|(_, ipam)| ipam.used()));
        *state = subnet.map(|subnet| {
            let mut ipam = Ipam::new(subnet);
            used.iter().for_each(|address| ipam.adopt(*address));
            (subnet, ipam)
        });
        drop(state);
        self.changed.send_modify(|n| *n += 1);
    }

    fn subnet(&self) -> Result<Subnet, Error> {
        self.state.lock().as_ref().map(|(s, _)| *s).ok_or_else(|| Error::NotReady(NOT_READY.into()))
    }
}

/// Upstream's words (dockershim's CNI plugin) while there is no network configuration.
pub const NOT_READY: &str = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:docker: network plugin is not ready: cni config uninitialized";

#[async_trait]
impl Network for BridgeNetwork {
    fn ready(&self) -> Result<(), String> {
        self.subnet().map(|_| ()).map_err(|e| e.to_string())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn reserve(&self) -> Result<Ipv4Addr, Error> {
        match self.state.lock().as_mut() {
            None => Err(Error::NotReady(NOT_READY.into())),
            Some((subnet, ipam)) => ipam.reserve().ok_or(Error::Exhausted(*subnet)),
        }
    }

    fn adopt(&self, address: Ipv4Addr) {
        match self.state.lock().as_mut() {
            None => self.early.lock().push(address),
            Some((_, ipam)) => ipam.adopt(address),
        }
    }

    fn release(&self, address: Ipv4Addr) {
        match self.state.lock().as_mut() {
            None => self.early.lock().retain(|a| *a != address),
            Some((_, ipam)) => ipam.release(address),
        }
    }

    fn belongs(&self, address: Ipv4Addr) -> bool {
        // While flannel is away nothing is known, and nothing is taken down.
        self.state.lock().as_ref().is_none_or(|(subnet, _)| subnet.contains(address))
    }

    async fn attach(&self, sandbox: &str, pid: u32, address: Ipv4Addr) -> Result<(), Error> {
        let subnet = self.subnet()?;
        self.bridge.attach(sandbox, pid, address, subnet).await
    }

    async fn detach(&self, sandbox: &str) {
        self.bridge.detach(sandbox).await;
    }
}

/// Addresses without wires, for hollow nodes and tests.
pub struct FakeNetwork {
    ipam: Mutex<Ipam>,
    changed: watch::Sender<u64>,
}

impl FakeNetwork {
    /// Addresses out of `subnet`.
    pub fn new(subnet: Subnet) -> Self {
        Self { ipam: Mutex::new(Ipam::new(subnet)), changed: watch::channel(0).0 }
    }
}

#[async_trait]
impl Network for FakeNetwork {
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn reserve(&self) -> Result<Ipv4Addr, Error> {
        let mut ipam = self.ipam.lock();
        let subnet = ipam.subnet();
        ipam.reserve().ok_or(Error::Exhausted(subnet))
    }

    fn adopt(&self, address: Ipv4Addr) {
        self.ipam.lock().adopt(address);
    }

    fn release(&self, address: Ipv4Addr) {
        self.ipam.lock().release(address);
    }

    fn belongs(&self, _: Ipv4Addr) -> bool {
        true
    }

    async fn attach(&self, _: &str, _: u32, _: Ipv4Addr) -> Result<(), Error> {
        Ok(())
    }

    async fn detach(&self, _: &str) {}
}
