//! Why the cache could not answer.

use store::Revision;

/// Why the cache could not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A watch from a revision whose successors are no longer all known: 410, upstream's text.
    #[error("too old resource version: {requested} ({oldest})")]
    TooOld {
        /// What was asked for.
        requested: Revision,
        /// The oldest revision that a watch may start from.
        oldest: Revision,
    },
    /// A list at a revision that the store has compacted: 410, upstream's text.
    #[error("The provided resource version is too old")]
    Compacted,
    /// A revision that has not happened yet: 504 with the cause `ResourceVersionTooLarge`, upstream's text.
    #[error("Too large resource version: {requested}, current: {current}")]
    TooLarge {
        /// What was asked for: clients may ask for more than there are revisions.
        requested: u64,
        /// Where the cache is.
        current: Revision,
    },
    /// The kind's objects are not loaded yet, within the time given.
    #[error("the watch cache of {0} is not loaded yet")]
    NotReady(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}
