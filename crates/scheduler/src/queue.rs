//! Pods that wait (upstream's `backend/queue`).
//!
//! ```text
//!             ┌────────── an event that could help, back-off over ──────────┐
//!             ▼                                                             │
//!  new ──► active ──► tried ──► no node ──► unschedulable ── an event ──► backoff
//!             ▲                   error ─────────────────────────────────►  │
//!             └────────────────────── back-off over ────────────────────────┘
//! ```

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use client::ObjectKey;
use tokio::time::Instant;

use crate::{plugins::Plugin, pod::PodInfo};

const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// Pods that no event has helped are tried again after this (upstream's `podMaxInUnschedulablePodsDuration`).
const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);

/// A pod and how often it was tried.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) pod: Arc<PodInfo>,
    pub(crate) attempts: u32,
    rejected_by: BTreeSet<Plugin>,
    failed_at: Instant,
}

/// What happened in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// A node came or offers something else than before.
    Node,
    /// A pod left a node.
    PodRemoved,
    /// A pod came to a node.
    PodPlaced,
    /// A claim, volume or storage class changed.
    Volume,
    /// A namespace's labels changed.
    Namespace,
}

impl Wake {
    /// Whether it could help a pod that these plugins rejected.
    fn helps(self, rejected_by: &BTreeSet<Plugin>) -> bool {
        use Plugin::*;
        let any = |plugins: &[Plugin]| plugins.iter().any(|plugin| rejected_by.contains(plugin));
        match self {
            Self::Node => true,
            Self::PodRemoved => any(&[NodePorts, NodeResourcesFit, PodTopologySpread, InterPodAffinity]),
            Self::PodPlaced => any(&[PodTopologySpread, InterPodAffinity]),
            Self::Volume => any(&[VolumeBinding]),
            Self::Namespace => any(&[InterPodAffinity]),
        }
    }
}

/// Higher priority first, then who came first.
type Turn = (i64, u64);

enum Place {
    Active(Turn),
    Backoff((Instant, u64)),
    Unschedulable,
}

/// The queue.
#[derive(Default)]
pub(crate) struct Queue {
    active: BTreeMap<Turn, Entry>,
    backoff: BTreeMap<(Instant, u64), Entry>,
    unschedulable: HashMap<ObjectKey, Entry>,
    places: HashMap<ObjectKey, Place>,
    counter: u64,
}

impl Queue {
    /// A pod needs a node; or one that waits has changed, which may be all it needed.
    pub(crate) fn add(&mut self, pod: Arc<PodInfo>, now: Instant) {
        let key = pod.pod.key();
        match self.places.get(&key) {
            Some(Place::Active(turn)) => {
                if let Some(entry) = self.active.get_mut(turn) {
                    entry.pod = pod;
                }
            }
            Some(Place::Backoff(at)) => {
                if let Some(entry) = self.backoff.get_mut(at) {
                    entry.pod = pod;
                }
            }
            Some(Place::Unschedulable) => {
                let Some(mut entry) = self.unschedulable.remove(&key) else { return };
                // Our own notes in its status change nothing.
                let changed = entry.pod.pod.metadata.labels != pod.pod.metadata.labels
                    || entry.pod.requests != pod.requests
                    || entry.pod.pod.spec.tolerations != pod.pod.spec.tolerations;
                entry.pod = pod;
                if changed {
                    self.awake(entry, now);
                } else {
                    self.unschedulable.insert(key, entry);
                }
            }
            None => {
                let entry = Entry { pod, attempts: 0, rejected_by: BTreeSet::new(), failed_at: now };
                self.activate(entry);
            }
        }
    }

    /// A pod is gone or has a node.
    pub(crate) fn remove(&mut self, key: &ObjectKey) {
        match self.places.remove(key) {
            Some(Place::Active(turn)) => drop(self.active.remove(&turn)),
            Some(Place::Backoff(at)) => drop(self.backoff.remove(&at)),
            Some(Place::Unschedulable) => drop(self.unschedulable.remove(key)),
            None => {}
        }
    }

    /// Whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        let (_, mut entry) = self.active.pop_first()?;
        self.places.remove(&entry.pod.pod.key());
        entry.attempts += 1;
        Some(entry)
    }

    /// No node fits: wait for an event that concerns these plugins.
    pub(crate) fn rejected(&mut self, mut entry: Entry, rejected_by: BTreeSet<Plugin>, now: Instant) {
        entry.rejected_by = rejected_by;
        entry.failed_at = now;
        let key = entry.pod.pod.key();
        self.places.insert(key.clone(), Place::Unschedulable);
        self.unschedulable.insert(key, entry);
    }

    /// Something went wrong: try again a little later.
    pub(crate) fn failed(&mut self, mut entry: Entry, now: Instant) {
        entry.failed_at = now;
        self.awake(entry, now);
    }

    /// Something happened.
    pub(crate) fn wake(&mut self, wake: Wake, now: Instant) {
        let keys: Vec<ObjectKey> = self
            .unschedulable
            .iter()
            .filter(|(_, entry)| wake.helps(&entry.rejected_by))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            if let Some(entry) = self.unschedulable.remove(&key) {
                self.awake(entry, now);
            }
        }
    }

    /// Moves pods whose waiting is over.
    pub(crate) fn flush(&mut self, now: Instant) {
        while let Some(first) = self.backoff.first_entry().filter(|first| first.key().0 <= now) {
            let entry = first.remove();
            self.activate(entry);
        }
        let forgotten: Vec<ObjectKey> = self
            .unschedulable
            .iter()
            .filter(|(_, entry)| now.duration_since(entry.failed_at) > FORGOTTEN_AFTER)
            .map(|(key, _)| key.clone())
            .collect();
        for key in forgotten {
            if let Some(entry) = self.unschedulable.remove(&key) {
                self.awake(entry, now);
            }
        }
    }

    /// When there will be something to do without an event.
    pub(crate) fn next_flush(&self) -> Option<Instant> {
        let backoff = self.backoff.keys().next().map(|(at, _)| *at);
        let forgotten = self.unschedulable.values().map(|entry| entry.failed_at + FORGOTTEN_AFTER).min();
        // A little later than forgotten, so that it is.
        backoff.into_iter().chain(forgotten.map(|at| at + Duration::from_secs(1))).min()
    }

    /// Whether somebody's turn has come.
    pub(crate) fn has_active(&self) -> bool {
        !self.active.is_empty()
    }

    fn awake(&mut self, entry: Entry, now: Instant) {
        let until = entry.failed_at + backoff(entry.attempts);
        if until <= now {
            return self.activate(entry);
        }
        self.counter += 1;
        let at = (until, self.counter);
        self.places.insert(entry.pod.pod.key(), Place::Backoff(at));
        self.backoff.insert(at, entry);
    }

    fn activate(&mut self, entry: Entry) {
        self.counter += 1;
        let turn = (-i64::from(entry.pod.pod.priority()), self.counter);
        self.places.insert(entry.pod.pod.key(), Place::Active(turn));
        self.active.insert(turn, entry);
    }
}

/// One second, doubled with each attempt, at most ten.
fn backoff(attempts: u32) -> Duration {
    if attempts == 0 {
        return Duration::ZERO;
    }
    BACKOFF_FIRST.saturating_mul(1 << (attempts - 1).min(8)).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::Pod;

    fn pod(name: &str, priority: i32) -> Arc<PodInfo> {
        let mut pod = Pod::default();
        pod.metadata.name = Some(name.into());
        pod.spec.priority = Some(priority);
        Arc::new(PodInfo::new(Arc::new(pod)))
    }

    fn name(entry: &Entry) -> &str {
        entry.pod.pod.metadata.name.as_deref().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn priority_then_order() {
        let mut queue = Queue::default();
        for (name, priority) in [("a", 0), ("b", 5), ("c", 0)] {
            queue.add(pod(name, priority), Instant::now());
        }
        queue.remove(&pod("a", 0).pod.key());
        let order: Vec<String> =
            std::iter::from_fn(|| queue.pop()).map(|entry| name(&entry).to_owned()).collect();
        assert_eq!(order, ["b", "c"]);
    }

    #[tokio::test(start_paused = true)]
    async fn only_events_that_could_help_wake_and_not_before_the_backoff() {
        let mut queue = Queue::default();
        let start = Instant::now();
        queue.add(pod("a", 0), start);
        let entry = queue.pop().unwrap();
        queue.rejected(entry, BTreeSet::from([Plugin::NodeResourcesFit]), start);
        queue.wake(Wake::PodPlaced, start);
        assert!(queue.next_flush().unwrap() > start + FORGOTTEN_AFTER, "a pod that came does not make room");
        queue.wake(Wake::PodRemoved, start);
        assert!(!queue.has_active());
        assert_eq!(queue.next_flush(), Some(start + Duration::from_secs(1)));
        queue.flush(start + Duration::from_secs(1));
        let entry = queue.pop().unwrap();
        assert_eq!(entry.attempts, 2);
        queue.failed(entry, start);
        assert_eq!(queue.next_flush(), Some(start + Duration::from_secs(2)));
        assert_eq!(backoff(9), BACKOFF_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_forgotten_pod_is_tried_again() {
        let mut queue = Queue::default();
        let start = Instant::now();
        queue.add(pod("a", 0), start);
        let entry = queue.pop().unwrap();
        queue.rejected(entry, BTreeSet::new(), start);
        queue.flush(start + FORGOTTEN_AFTER);
        assert!(!queue.has_active());
        queue.flush(start + FORGOTTEN_AFTER + Duration::from_secs(1));
        assert!(queue.has_active());
    }
}
