//! What a controller has asked for and not yet seen in its cache (upstream's `ControllerExpectations`).
//!
//! Without it, a cache that is a moment late makes a controller create the same pods twice.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use client::ObjectKey;
use parking_lot::Mutex;
use tokio::time::Instant;

/// After this time an expectation counts as met: something was lost on the way, and reality decides.
const TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Expectations by the key of the owner.
#[derive(Default)]
pub struct Expectations {
    entries: Mutex<HashMap<ObjectKey, Entry>>,
}

struct Entry {
    creations: usize,
    deletions: HashSet<String>,
    since: Instant,
}

impl Expectations {
    /// Whether everything that was asked for showed up.
    pub fn satisfied(&self, key: &ObjectKey) -> bool {
        match self.entries.lock().get(key) {
            Some(entry) => {
                entry.creations == 0 && entry.deletions.is_empty() || entry.since.elapsed() > TIMEOUT
            }
            None => true,
        }
    }

    /// `count` objects are about to be created. Replaces what was expected before.
    pub fn expect_creations(&self, key: &ObjectKey, count: usize) {
        let entry = Entry { creations: count, deletions: HashSet::new(), since: Instant::now() };
        self.entries.lock().insert(key.clone(), entry);
    }

    /// The objects with these uids are about to be deleted. Replaces what was expected before.
    pub fn expect_deletions(&self, key: &ObjectKey, uids: impl IntoIterator<Item = String>) {
        let entry = Entry { creations: 0, deletions: uids.into_iter().collect(), since: Instant::now() };
        self.entries.lock().insert(key.clone(), entry);
    }

    /// One created object showed up, or its creation failed.
    pub fn created(&self, key: &ObjectKey) {
        if let Some(entry) = self.entries.lock().get_mut(key) {
            entry.creations = entry.creations.saturating_sub(1);
        }
    }

    /// An object is being deleted, or its deletion failed.
    pub fn deleted(&self, key: &ObjectKey, uid: &str) {
        if let Some(entry) = self.entries.lock().get_mut(key) {
            entry.deletions.remove(uid);
        }
    }

    /// The owner is gone.
    pub fn forget(&self, key: &ObjectKey) {
        self.entries.lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn met_or_timed_out() {
        let expectations = Expectations::default();
        let key = ObjectKey::new("d", "rs");
        assert!(expectations.satisfied(&key));
        expectations.expect_creations(&key, 2);
        expectations.created(&key);
        assert!(!expectations.satisfied(&key));
        expectations.created(&key);
        assert!(expectations.satisfied(&key));
        expectations.expect_deletions(&key, ["u".to_owned()]);
        assert!(!expectations.satisfied(&key));
        tokio::time::advance(TIMEOUT + Duration::from_secs(1)).await;
        assert!(expectations.satisfied(&key));
    }
}
