//! Where objects live: a key-value store with revisions, as etcd has them.
//!
//! A reader finds
//! - [`Store`]: what the API server needs from a store, object safe (`Arc<dyn Store>`);
//! - [`memory`]: a store in this process, for tests and the in-process cluster;
//! - [`etcd`]: the real one;
//! - [`lease`]: leases shared by many short-lived keys (events);
//! - [`compactor`]: history is dropped every few minutes, by one of several servers.
//!
//! What both stores promise stands as tests in `contract`.
//!
//! Every change of the store raises its revision by one. A key's `mod_revision` is what Kubernetes calls
//! `resourceVersion`. Nothing is acknowledged before the store has acknowledged it.

use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;

pub mod compactor;
#[cfg(test)]
mod contract;
pub mod etcd;
pub mod lease;
pub mod memory;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use etcd::EtcdStore;
pub use memory::MemoryStore;

/// A revision of the store; the first change of an empty store gets 2 in etcd.
pub type Revision = i64;

/// A lease as the store numbers it. Zero is no lease.
pub type LeaseId = i64;

/// Why a store could not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No store endpoint can be reached, or it has no leader. A write may or may not have happened.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The store did not answer in time. A write may or may not have happened.
    #[error("the store did not answer within {0:?}")]
    Timeout(Duration),
    /// The revision asked for is no longer kept.
    #[error("required revision has been compacted (compact revision {compact_revision})")]
    Compacted {
        /// The oldest revision that a read may name; zero when the store did not say.
        compact_revision: Revision,
    },
    /// The revision asked for has not happened yet.
    #[error("required revision is a future revision")]
    FutureRevision,
    /// The lease asked for does not exist (it expired, most likely).
    #[error("requested lease not found")]
    LeaseNotFound,
    /// The value is over the store's size limit.
    #[error("the value is too large for the store: {0}")]
    TooLarge(String),
    /// Anything else, in the store's words.
    #[error("the store refused: {0}")]
    Other(String),
}

/// One key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Bytes,
    /// When the key was created (since it was last deleted).
    pub create_revision: Revision,
    /// When the key was last changed.
    pub mod_revision: Revision,
    /// The lease that the key hangs on; zero for none.
    pub lease: LeaseId,
}

/// What [`Store::get`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got {
    /// The entry, if the key exists.
    pub entry: Option<Entry>,
    /// The store's revision when it was read.
    pub revision: Revision,
}

/// What [`Store::range`] is asked.
#[derive(Clone, Debug, Default)]
pub struct RangeRequest<'a> {
    /// Keys with this prefix.
    pub prefix: &'a str,
    /// Only keys that are equal to this one or come after it.
    pub start: Option<&'a str>,
    /// At most that many entries; zero for all.
    pub limit: usize,
    /// As the store was at this revision; zero for now.
    pub revision: Revision,
    /// Leave the values out.
    pub keys_only: bool,
}

/// What [`Store::range`] found, in key order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Whether the limit cut some off.
    pub more: bool,
    /// How many keys match from `start` on, the limit aside.
    pub count: usize,
    /// The revision read: the one asked for, or the store's.
    pub revision: Revision,
}

/// What must hold for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The key does not exist.
    Absent,
    /// The key exists and was last changed at this revision.
    At(Revision),
    /// Whatever is there.
    Any,
}

/// What a write does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Set the value, bound to a lease unless that is zero.
    Put {
        /// The new value.
        value: Bytes,
        /// Zero for none.
        lease: LeaseId,
    },
    /// Remove the key.
    Delete,
}

impl Change {
    /// A value that stays.
    pub fn put(value: impl Into<Bytes>) -> Change {
        Change::Put { value: value.into(), lease: 0 }
    }
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It happened, at this revision. (Deleting a key that is absent with [`Expect::Any`] changes nothing and
    /// gives the store's revision.)
    Done(Revision),
    /// It did not: the key is like this now.
    Conflict(Option<Entry>),
}

/// What [`Store::watch`] is asked.
#[derive(Clone, Debug, Default)]
pub struct WatchRequest<'a> {
    /// Keys with this prefix.
    pub prefix: &'a str,
    /// Changes after this revision; zero for those from now on.
    pub after: Revision,
    /// Whether events carry the value before the change.
    pub previous: bool,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The key.
    pub key: String,
    /// The new value; none when the key was deleted.
    pub value: Option<Bytes>,
    /// The value before, when asked for, known and not compacted.
    pub previous: Option<Bytes>,
    /// When the key was created; zero when it was deleted.
    pub create_revision: Revision,
    /// The revision of this change.
    pub mod_revision: Revision,
}

/// Changes that belong together: all of one or several whole revisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The changes in order; empty for a progress notification.
    pub events: Vec<Event>,
    /// Every change up to this revision (of the prefix) has been told.
    pub revision: Revision,
}

/// A stream of changes. It ends with the first error; [`Error::Compacted`] means: read everything anew.
///
/// Broken connections do not end it: the implementation connects again, with back-off, and goes on behind the last
/// revision it told.
pub type Watch = Pin<Box<dyn Stream<Item = Result<Batch, Error>> + Send>>;

/// What the API server needs from a store.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Reads one key, linearizably.
    async fn get(&self, key: &str) -> Result<Got, Error>;

    /// Reads the keys below a prefix in order, linearizably when no revision is given.
    async fn range(&self, request: RangeRequest<'_>) -> Result<Range, Error>;

    /// Changes one key if it is as expected.
    async fn write(&self, key: &str, expect: Expect, change: Change) -> Result<Written, Error>;

    /// Makes a lease that ends, with all keys bound to it, after `ttl` (whole seconds, at least one).
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, Error>;

    /// Watches the keys below a prefix. A revision that is already compacted is told by the stream's first item.
    async fn watch(&self, request: WatchRequest<'_>) -> Result<Watch, Error>;

    /// The store's revision now, linearizably.
    async fn revision(&self) -> Result<Revision, Error>;

    /// Forgets the history before this revision.
    async fn compact(&self, revision: Revision) -> Result<(), Error>;
}
