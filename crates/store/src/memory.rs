//! A store in this process: every version of every key since the last compaction, and a log of the changes.
//!
//! It behaves as etcd does where the contract tests look. Leases end on tokio's clock, so a test with paused time can
//! let hours pass.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    Batch, Change, Entry, Error, Event, Expect, Got, LeaseId, Range, RangeRequest, Revision, Store, Watch,
    WatchRequest, Written,
};

/// So many changes are told in one batch at most, as etcd does.
const BATCH_MAX: usize = 1000;

#[derive(Clone)]
struct Version {
    create_revision: Revision,
    mod_revision: Revision,
    /// None: the key was deleted here.
    value: Option<Bytes>,
    lease: LeaseId,
}

impl Version {
    fn entry(&self, key: &str, keys_only: bool) -> Option<Entry> {
        let value = self.value.as_ref()?;
        Some(Entry {
            key: key.to_owned(),
            value: if keys_only { Bytes::new() } else { value.clone() },
            create_revision: self.create_revision,
            mod_revision: self.mod_revision,
            lease: self.lease,
        })
    }
}

struct Logged {
    key: Arc<str>,
    version: Version,
    previous: Option<Bytes>,
}

struct State {
    revision: Revision,
    compacted: Revision,
    keys: BTreeMap<Arc<str>, Vec<Version>>,
    /// One change per revision; the first is that of `log_start`.
    log: VecDeque<Logged>,
    log_start: Revision,
    leases: HashMap<LeaseId, HashSet<Arc<str>>>,
    next_lease: LeaseId,
}

impl State {
    fn current(&self, key: &str) -> Option<&Version> {
        self.keys.get(key).and_then(|versions| versions.last()).filter(|v| v.value.is_some())
    }

    fn apply(&mut self, key: &str, value: Option<Bytes>, lease: LeaseId) -> Revision {
        self.revision += 1;
        let key: Arc<str> = match self.keys.get_key_value(key) {
            Some((known, _)) => known.clone(),
            None => Arc::from(key),
        };
        let before = self.current(&key).cloned();
        if let Some(old) = before.as_ref().filter(|v| v.lease != 0)
            && let Some(bound) = self.leases.get_mut(&old.lease)
        {
            bound.remove(&key);
        }
        if let Some(bound) = self.leases.get_mut(&lease) {
            bound.insert(key.clone());
        }
        let create_revision = match (&value, &before) {
            (None, _) => 0,
            (Some(_), Some(old)) => old.create_revision,
            (Some(_), None) => self.revision,
        };
        let version = Version { create_revision, mod_revision: self.revision, value, lease };
        self.keys.entry(key.clone()).or_default().push(version.clone());
        self.log.push_back(Logged { key, version, previous: before.and_then(|v| v.value) });
        self.revision
    }

    fn compact(&mut self, revision: Revision) {
        self.compacted = revision;
        while self.log_start < revision && self.log.pop_front().is_some() {
            self.log_start += 1;
        }
        self.keys.retain(|_, versions| {
            let keep_from = versions.iter().rposition(|v| v.mod_revision <= revision).unwrap_or(0);
            versions.drain(..keep_from);
            let dead = versions.len() == 1
                && versions.first().is_some_and(|v| v.value.is_none() && v.mod_revision <= revision);
            !dead
        });
    }
}

struct Shared {
    state: Mutex<State>,
    moved: watch::Sender<Revision>,
}

impl Shared {
    /// What happened below `prefix` after `after`; nothing when the store has not moved.
    fn events(&self, prefix: &str, after: Revision, previous: bool) -> Result<Option<Batch>, Error> {
        let state = self.state.lock();
        if after + 1 < state.compacted {
            return Err(Error::Compacted { compact_revision: state.compacted });
        }
        if after >= state.revision {
            return Ok(None);
        }
        let skip = usize::try_from(after + 1 - state.log_start).unwrap_or(0);
        let mut events = Vec::new();
        let mut revision = after;
        for logged in state.log.iter().skip(skip) {
            if events.len() == BATCH_MAX {
                break;
            }
            revision = logged.version.mod_revision;
            if logged.key.starts_with(prefix) {
                events.push(Event {
                    key: logged.key.to_string(),
                    value: logged.version.value.clone(),
                    previous: if previous { logged.previous.clone() } else { None },
                    create_revision: logged.version.create_revision,
                    mod_revision: revision,
                });
            }
        }
        Ok(Some(Batch { events, revision }))
    }

    fn expire(&self, lease: LeaseId) {
        let revision = {
            let mut state = self.state.lock();
            let mut keys: Vec<Arc<str>> = state.leases.remove(&lease).into_iter().flatten().collect();
            keys.sort();
            for key in keys {
                state.apply(&key, None, 0);
            }
            state.revision
        };
        self.announce(revision);
    }

    fn announce(&self, revision: Revision) {
        self.moved.send_if_modified(|told| {
            // Two writers may arrive here in either order.
            let newer = revision > *told;
            *told = revision.max(*told);
            newer
        });
    }
}

/// See the module.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        MemoryStore::new()
    }
}

impl MemoryStore {
    /// An empty store at revision 1, as a new etcd.
    pub fn new() -> MemoryStore {
        let state = State {
            revision: 1,
            compacted: 0,
            keys: BTreeMap::new(),
            log: VecDeque::new(),
            log_start: 2,
            leases: HashMap::new(),
            next_lease: 1,
        };
        let (moved, _) = watch::channel(1);
        MemoryStore { shared: Arc::new(Shared { state: Mutex::new(state), moved }) }
    }
}

async fn expire_later(shared: Weak<Shared>, lease: LeaseId, ttl: Duration) {
    tokio::time::sleep(ttl).await;
    if let Some(shared) = shared.upgrade() {
        shared.expire(lease);
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &str) -> Result<Got, Error> {
        let state = self.shared.state.lock();
        let entry = state.current(key).and_then(|v| v.entry(key, false));
        Ok(Got { entry, revision: state.revision })
    }

    async fn range(&self, request: RangeRequest<'_>) -> Result<Range, Error> {
        let state = self.shared.state.lock();
        let revision = match request.revision {
            0 => state.revision,
            r if r > state.revision => return Err(Error::FutureRevision),
            r if r < state.compacted => {
                return Err(Error::Compacted { compact_revision: state.compacted });
            }
            r => r,
        };
        let first = match request.start {
            Some(start) if start > request.prefix => start,
            _ => request.prefix,
        };
        let mut found = Range { entries: Vec::new(), more: false, count: 0, revision };
        for (key, versions) in state.keys.range::<str, _>((Bound::Included(first), Bound::Unbounded)) {
            if !key.starts_with(request.prefix) {
                break;
            }
            let version = versions.iter().rev().find(|v| v.mod_revision <= revision);
            let Some(entry) = version.and_then(|v| v.entry(key, request.keys_only)) else { continue };
            found.count += 1;
            if request.limit == 0 || found.entries.len() < request.limit {
                found.entries.push(entry);
            } else {
                found.more = true;
            }
        }
        Ok(found)
    }

    async fn write(&self, key: &str, expect: Expect, change: Change) -> Result<Written, Error> {
        let revision = {
            let mut state = self.shared.state.lock();
            let current = state.current(key);
            let holds = match expect {
                Expect::Any => true,
                Expect::Absent => current.is_none(),
                Expect::At(revision) => current.is_some_and(|v| v.mod_revision == revision),
            };
            if !holds {
                return Ok(Written::Conflict(current.and_then(|v| v.entry(key, false))));
            }
            match change {
                Change::Put { lease, .. } if lease != 0 && !state.leases.contains_key(&lease) => {
                    return Err(Error::LeaseNotFound);
                }
                Change::Put { value, lease } => state.apply(key, Some(value), lease),
                Change::Delete if current.is_none() => state.revision,
                Change::Delete => state.apply(key, None, 0),
            }
        };
        self.shared.announce(revision);
        Ok(Written::Done(revision))
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, Error> {
        let lease = {
            let mut state = self.shared.state.lock();
            let lease = state.next_lease;
            state.next_lease += 1;
            state.leases.insert(lease, HashSet::new());
            lease
        };
        tokio::spawn(expire_later(Arc::downgrade(&self.shared), lease, ttl));
        Ok(lease)
    }

    async fn watch(&self, request: WatchRequest<'_>) -> Result<Watch, Error> {
        struct Cursor {
            shared: Arc<Shared>,
            moved: watch::Receiver<Revision>,
            prefix: String,
            after: Revision,
            previous: bool,
            ended: bool,
        }
        let moved = self.shared.moved.subscribe();
        let after = if request.after == 0 { self.shared.state.lock().revision } else { request.after };
        let cursor = Cursor {
            shared: self.shared.clone(),
            moved,
            prefix: request.prefix.to_owned(),
            after,
            previous: request.previous,
            ended: false,
        };
        Ok(Box::pin(futures::stream::unfold(cursor, |mut cursor| async move {
            while !cursor.ended {
                // Seen before looked: a change between the two wakes us again.
                cursor.moved.mark_unchanged();
                match cursor.shared.events(&cursor.prefix, cursor.after, cursor.previous) {
                    Ok(Some(batch)) => {
                        cursor.after = batch.revision;
                        return Some((Ok(batch), cursor));
                    }
                    Ok(None) => cursor.ended = cursor.moved.changed().await.is_err(),
                    Err(error) => {
                        cursor.ended = true;
                        return Some((Err(error), cursor));
                    }
                }
            }
            None
        })))
    }

    async fn revision(&self) -> Result<Revision, Error> {
        Ok(self.shared.state.lock().revision)
    }

    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        let mut state = self.shared.state.lock();
        if revision <= state.compacted {
            return Err(Error::Compacted { compact_revision: state.compacted });
        }
        if revision > state.revision {
            return Err(Error::FutureRevision);
        }
        state.compact(revision);
        Ok(())
    }
}
