//! Drops history, as upstream's `storage/etcd3/compact.go`: every few minutes one of the servers on this store compacts
//! to where the store was one interval ago.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::{Change, Error, Expect, Revision, Store, Written};

/// The key through which servers agree who compacts; upstream's name, so that both kinds of server can share a store.
pub const COMPACT_REV_KEY: &str = "compact_rev_key";

/// Upstream's `--etcd-compaction-interval` default.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// What one server remembers between two rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The record's `mod_revision` when we last saw it; zero before the first round.
    record: Revision,
    /// The store's revision then: what the next round may compact to.
    revision: Revision,
}

/// One round. Whoever finds the record as it left it writes the next one and compacts; the others only look.
pub async fn round(store: &dyn Store, state: State) -> Result<State, Error> {
    let expect = if state.record == 0 { Expect::Absent } else { Expect::At(state.record) };
    let value = Bytes::from(state.revision.to_string());
    match store.write(COMPACT_REV_KEY, expect, Change::put(value)).await? {
        Written::Done(record) => {
            if state.revision > 0 {
                match store.compact(state.revision).await {
                    Ok(()) => tracing::debug!(revision = state.revision, "compacted the store"),
                    // Someone else was faster.
                    Err(Error::Compacted { .. }) => {}
                    Err(e) => return Err(e),
                }
            }
            Ok(State { record, revision: record })
        }
        Written::Conflict(Some(entry)) => {
            Ok(State { record: entry.mod_revision, revision: store.revision().await? })
        }
        Written::Conflict(None) => Ok(State::default()),
    }
}

/// Runs rounds until told to stop. A zero interval means never, as upstream's flag.
pub async fn run(store: Arc<dyn Store>, interval: Duration, stop: CancellationToken) {
    if interval.is_zero() {
        return;
    }
    let mut state = State::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
        match round(store.as_ref(), state).await {
            Ok(next) => state = next,
            Err(error) => tracing::warn!(%error, "could not compact the store; trying again later"),
        }
    }
}
