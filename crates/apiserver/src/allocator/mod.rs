//! Cluster addresses and node ports: taken from ranges that lie in the store, so that nothing is given twice,
//! whatever crashes when (`pkg/registry/core/service/{allocator,ipallocator,portallocator}`).

mod bitmap;
mod families;
mod ports;
mod service;

pub use bitmap::{Range, RangeError};

use std::collections::{BTreeSet, HashSet};
use std::net::Ipv4Addr;

use api::Value;
use api::status::ApiError;

use crate::handlers::Ctx;
use crate::registry::obj;
use crate::registry::storage::Storage;

/// What a write holds until it is stored: taken things to give back when it fails, and things to give back when it
/// succeeds.
#[derive(Default)]
pub struct Held {
    taken: Vec<Thing>,
    given_up: Vec<Thing>,
}

/// One thing of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Thing {
    Address(Ipv4Addr),
    Port(u16),
}

impl Held {
    /// The write is stored.
    pub async fn commit(self, ctx: &Ctx, dry_run: bool) {
        if !dry_run {
            ctx.server.allocators().give_back(ctx.server.storage(), &self.given_up).await;
        }
    }

    /// Nothing was written: everything goes back.
    pub async fn release(self, ctx: &Ctx) {
        ctx.server.allocators().give_back(ctx.server.storage(), &self.taken).await;
    }

    /// The write failed. When the store did not say no, it may have happened all the same: what was taken stays taken
    /// then, and a repair gives it back if nobody has it.
    pub async fn failed(self, ctx: &Ctx, why: &ApiError) {
        if why.code < 500 {
            self.release(ctx).await;
        }
    }
}

/// The two ranges.
pub struct Allocators {
    addresses: Range,
    ports: Range,
    network: Network,
    port_range: (u16, u16),
    repaired: tokio::sync::watch::Sender<bool>,
}

/// An IPv4 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: u32,
    bits: u8,
}

impl Network {
    /// `10.0.0.0/16`.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, bits) = text.split_once('/')?;
        let address: Ipv4Addr = address.parse().ok()?;
        let bits: u8 = bits.parse().ok().filter(|b| (8..=30).contains(b))?;
        let mask = u32::MAX << (32 - bits);
        Some(Network { base: u32::from(address) & mask, bits })
    }

    const fn size(self) -> u32 {
        1 << (32 - self.bits)
    }

    /// The `n`th address.
    pub fn nth(self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from(self.base + n)
    }

    /// Whether an address lies in it.
    pub fn offset(self, address: Ipv4Addr) -> Option<u32> {
        u32::from(address).checked_sub(self.base).filter(|n| *n < self.size())
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.bits)
    }
}

impl Allocators {
    /// The ranges that the flags name; an error names the flag.
    pub fn new(prefix: &str, addresses: &str, ports: &str) -> Result<Allocators, String> {
        let first = addresses.split(',').next().unwrap_or_default();
        let network = Network::parse(first).ok_or_else(|| {
            format!("service-cluster-ip-range: {first:?} is not an IPv4 network with 8 to 30 bits")
        })?;
        let port_range = ports
            .split_once('-')
            .and_then(|(a, b)| Some((a.trim().parse::<u16>().ok()?, b.trim().parse::<u16>().ok()?)))
            .filter(|(a, b)| *a > 0 && a <= b)
            .ok_or_else(|| format!("service-node-port-range: {ports:?} is not a port range"))?;
        // The network's own address and the broadcast address are never given.
        let count = network.size() - 2;
        let port_count = u32::from(port_range.1 - port_range.0) + 1;
        let range_text = format!("{}-{}", port_range.0, port_range.1);
        Ok(Allocators {
            addresses: Range::new(format!("{prefix}/ranges/serviceips"), network.to_string(), count),
            ports: Range::new(format!("{prefix}/ranges/servicenodeports"), range_text, port_count),
            network,
            port_range,
            repaired: tokio::sync::watch::Sender::new(false),
        })
    }

    /// The network that addresses come from.
    pub const fn network(&self) -> Network {
        self.network
    }

    /// The first address: the API server's own service has it.
    pub fn first_address(&self) -> Ipv4Addr {
        self.network.nth(1)
    }

    async fn give_back(&self, storage: &Storage, things: &[Thing]) {
        for thing in things {
            let result = match *thing {
                Thing::Address(address) => match self.address_offset(address) {
                    Some(n) => self.addresses.release(storage, n).await,
                    None => Ok(()),
                },
                Thing::Port(port) => match self.port_offset(port) {
                    Some(n) => self.ports.release(storage, n).await,
                    None => Ok(()),
                },
            };
            if let Err(error) = result {
                tracing::warn!(?thing, %error, "cannot give back; a repair will");
            }
        }
    }

    fn address_offset(&self, address: Ipv4Addr) -> Option<u32> {
        self.network.offset(address)?.checked_sub(1).filter(|n| *n < self.network.size() - 2)
    }

    fn port_offset(&self, port: u16) -> Option<u32> {
        let (first, last) = self.port_range;
        (first..=last).contains(&port).then(|| u32::from(port - first))
    }

    /// Everything that a service has.
    fn things(service: &Value) -> Vec<Thing> {
        let mut things = Vec::new();
        if let Ok(address) = obj::text_at(service, "spec.clusterIP").parse() {
            things.push(Thing::Address(address));
        }
        let port = |v: &Value| v.as_u64().and_then(|p| u16::try_from(p).ok()).filter(|p| *p > 0);
        let ports = obj::at(service, "spec.ports").and_then(Value::as_array).into_iter().flatten();
        let ports = ports.filter_map(|entry| entry.get("nodePort").and_then(port));
        let mut seen = HashSet::new();
        things.extend(ports.filter(|p| seen.insert(*p)).map(Thing::Port));
        if let Some(port) = obj::at(service, "spec.healthCheckNodePort").and_then(port) {
            things.push(Thing::Port(port));
        }
        things
    }

    /// A service is gone.
    pub async fn release_service(&self, storage: &Storage, service: &Value) {
        self.give_back(storage, &Allocators::things(service)).await;
    }

    /// Makes the ranges say what the services have; `services` reads them from the store. Until this was done once,
    /// nothing is given: a service that another process wrote may have what its range, left by a crash, does not say.
    pub async fn repair<F>(&self, storage: &Storage, services: impl FnOnce() -> F) -> Result<(), ApiError>
    where
        F: Future<Output = Result<Vec<Value>, ApiError>>,
    {
        // In this order: what a service has that came too late to be seen, was not taken either.
        let taken = (self.addresses.taken(storage).await?, self.ports.taken(storage).await?);
        let (mut addresses, mut ports) = (BTreeSet::new(), BTreeSet::new());
        for thing in services().await?.iter().flat_map(Allocators::things) {
            match thing {
                Thing::Address(a) => addresses.extend(self.address_offset(a)),
                Thing::Port(p) => ports.extend(self.port_offset(p)),
            }
        }
        self.addresses.repair(storage, &taken.0, &addresses).await?;
        self.ports.repair(storage, &taken.1, &ports).await?;
        self.repaired.send_replace(true);
        Ok(())
    }

    /// Waits until the ranges are repaired for the first time.
    async fn ready(&self) {
        // The sender lives as long as this.
        let _ = self.repaired.subscribe().wait_for(|repaired| *repaired).await;
    }
}
