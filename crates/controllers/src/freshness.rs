//! Do not decide on a cache that has not seen our own last write.
//!
//! Pods and their owners come through different watches. Right after a status was written, a pod's event may arrive
//! first, and the owner in the cache would still say what it said before: a job would count a pod twice or make one too
//! many. The event of the write will come and bring its key into the queue again, so skipping costs nothing.

use std::collections::HashMap;

use client::ObjectKey;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use parking_lot::Mutex;

/// The versions that we wrote last, by key.
#[derive(Default)]
pub struct Freshness {
    written: Mutex<HashMap<ObjectKey, (Option<String>, u64)>>,
}

fn version(meta: &ObjectMeta) -> Option<u64> {
    meta.resource_version.as_deref()?.parse().ok()
}

impl Freshness {
    /// We wrote the object, and this is what the API server answered.
    pub fn wrote(&self, meta: &ObjectMeta) {
        if let Some(version) = version(meta) {
            self.written.lock().insert(ObjectKey::of(meta), (meta.uid.clone(), version));
        }
    }

    /// Whether the cached object is older than our last write.
    pub fn is_stale(&self, meta: &ObjectMeta) -> bool {
        let key = ObjectKey::of(meta);
        let mut written = self.written.lock();
        let Some((uid, ours)) = written.get(&key) else { return false };
        let stale = *uid == meta.uid && version(meta).is_some_and(|cached| cached < *ours);
        if !stale {
            written.remove(&key);
        }
        stale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_before_our_write_are_stale() {
        let meta = |uid: &str, version: &str| ObjectMeta {
            uid: Some(uid.into()),
            resource_version: Some(version.into()),
            ..Default::default()
        };
        let freshness = Freshness::default();
        assert!(!freshness.is_stale(&meta("a", "5")));
        freshness.wrote(&meta("a", "7"));
        assert!(freshness.is_stale(&meta("a", "5")));
        assert!(!freshness.is_stale(&meta("a", "7")));
        freshness.wrote(&meta("a", "9"));
        assert!(!freshness.is_stale(&meta("b", "3")), "another object of that name");
    }
}
