//! How many requests run at once (upstream's `WithMaxInFlightLimit`).

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The two limits.
pub(super) struct Inflight {
    reads: Option<Arc<Semaphore>>,
    writes: Option<Arc<Semaphore>>,
}

/// A running request's place.
pub(super) struct Slot(#[allow(dead_code)] Option<OwnedSemaphorePermit>);

impl Inflight {
    /// Limits; zero is none.
    pub(super) fn new(reads: usize, writes: usize) -> Inflight {
        let limit = |n: usize| (n > 0).then(|| Arc::new(Semaphore::new(n)));
        Inflight { reads: limit(reads), writes: limit(writes) }
    }

    /// A place for a request, if there is one.
    pub(super) fn enter(&self, reads: bool) -> Option<Slot> {
        match if reads { &self.reads } else { &self.writes } {
            None => Some(Slot(None)),
            Some(limit) => limit.clone().try_acquire_owned().ok().map(|p| Slot(Some(p))),
        }
    }
}
