//! Leases shared by many keys, as upstream's `storage/etcd3/lease_manager.go`: thousands of events an hour would
//! otherwise need as many leases.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::{Error, LeaseId, Store};

/// A lease is given to further keys for this long at most.
const REUSE_MAX: Duration = Duration::from_secs(60);
/// A lease is given to this many keys at most: when it ends the store removes them all in one go.
const KEYS_PER_LEASE_MAX: usize = 1000;

struct Current {
    id: LeaseId,
    ttl: Duration,
    reuse_until: Instant,
    keys: usize,
}

/// Hands out leases for a time to live, the same one again while it is fresh.
#[derive(Default)]
pub struct LeasePool {
    current: Mutex<Option<Current>>,
}

impl LeasePool {
    /// An empty pool.
    pub fn new() -> LeasePool {
        LeasePool::default()
    }

    /// A lease that lives at least `ttl` from now, and at most 5 % or a minute longer.
    pub async fn lease(&self, store: &dyn Store, ttl: Duration) -> Result<LeaseId, Error> {
        let mut current = self.current.lock().await;
        let now = Instant::now();
        if let Some(lease) = current.as_mut()
            && lease.ttl == ttl
            && now < lease.reuse_until
            && lease.keys < KEYS_PER_LEASE_MAX
        {
            lease.keys += 1;
            return Ok(lease.id);
        }
        let reuse = (ttl / 20).min(REUSE_MAX);
        let id = store.grant(ttl + reuse).await?;
        *current = Some(Current { id, ttl, reuse_until: now + reuse, keys: 1 });
        Ok(id)
    }

    /// Forgets the current lease: the store said that it is gone.
    pub async fn forget(&self, id: LeaseId) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|c| c.id == id) {
            *current = None;
        }
    }
}
