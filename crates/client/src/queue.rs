//! Keys to work on (client-go's `workqueue`): each key once, never twice at the same time, retried with growing delays.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Growing delays with jitter.
#[derive(Clone, Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// Delays from `min`, doubling up to `max`, each up to half longer at random.
    pub fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, failures: 0 }
    }

    /// The next delay.
    #[expect(clippy::should_implement_trait, reason = "an endless sequence; no iterator is wanted")]
    pub fn next(&mut self) -> Duration {
        let delay = exponential(self.min, self.max, self.failures);
        self.failures = self.failures.saturating_add(1);
        component_base::rand::jitter(delay, 0.5)
    }

    /// Begins with the smallest delay again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

fn exponential(min: Duration, max: Duration, failures: u32) -> Duration {
    min.saturating_mul(1_u32.checked_shl(failures.min(31)).unwrap_or(u32::MAX)).min(max)
}

/// First delay of a failing key, as upstream's default rate limiter has it.
const RETRY_MIN: Duration = Duration::from_millis(5);
/// Longest delay of a failing key. Upstream waits up to 1,000 s; a key that failed because a server was away shall be
/// retried soon after it is back.
const RETRY_MAX: Duration = Duration::from_secs(15);

/// A queue of keys. Clones share it.
pub struct WorkQueue<K> {
    inner: Arc<Inner<K>>,
}

struct Inner<K> {
    state: Mutex<State<K>>,
    changed: Notify,
    retry_max: Duration,
}

struct State<K> {
    ready: VecDeque<K>,
    /// Keys that need work: those in `ready`, and those that changed while being worked on.
    dirty: HashSet<K>,
    working: HashSet<K>,
    failures: HashMap<K, u32>,
    waiting: BTreeMap<(Instant, u64), K>,
    due: HashMap<K, (Instant, u64)>,
    sequence: u64,
    closed: bool,
}

impl<K> Clone for WorkQueue<K> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<K: Clone + Eq + Hash> Default for WorkQueue<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Clone + Eq + Hash> WorkQueue<K> {
    /// An empty queue.
    pub fn new() -> Self {
        Self::with_retry_max(RETRY_MAX)
    }

    /// An empty queue whose failing keys wait at most `retry_max`.
    pub fn with_retry_max(retry_max: Duration) -> Self {
        let state = State {
            ready: VecDeque::new(),
            dirty: HashSet::new(),
            working: HashSet::new(),
            failures: HashMap::new(),
            waiting: BTreeMap::new(),
            due: HashMap::new(),
            sequence: 0,
            closed: false,
        };
        Self { inner: Arc::new(Inner { state: Mutex::new(state), changed: Notify::new(), retry_max }) }
    }

    /// Wants `key` worked on. A key that is queued already stays where it is; one that is being worked on comes again
    /// when that is done.
    pub fn add(&self, key: K) {
        let mut state = self.inner.state.lock();
        state.add(key);
        drop(state);
        self.inner.changed.notify_one();
    }

    /// [`WorkQueue::add`] after `delay`. Of several delays of one key the earliest counts.
    pub fn add_after(&self, key: K, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        let mut state = self.inner.state.lock();
        let at = Instant::now() + delay;
        if let Some(old) = state.due.get(&key).copied() {
            if old.0 <= at {
                return;
            }
            state.waiting.remove(&old);
        }
        state.sequence += 1;
        let slot = (at, state.sequence);
        state.waiting.insert(slot, key.clone());
        state.due.insert(key, slot);
        drop(state);
        self.inner.changed.notify_one();
    }

    /// Wants a key worked on again after a failure: later each time, until [`WorkQueue::forget`].
    pub fn add_rate_limited(&self, key: K) {
        let failures = {
            let mut state = self.inner.state.lock();
            let failures = state.failures.entry(key.clone()).or_default();
            *failures = failures.saturating_add(1);
            *failures
        };
        self.add_after(key, exponential(RETRY_MIN, self.inner.retry_max, failures - 1));
    }

    /// How often a key failed since it was last forgotten.
    pub fn failures(&self, key: &K) -> u32 {
        self.inner.state.lock().failures.get(key).copied().unwrap_or_default()
    }

    /// The key succeeded: its next failure waits the shortest delay.
    pub fn forget(&self, key: &K) {
        self.inner.state.lock().failures.remove(key);
    }

    /// The next key to work on; call [`WorkQueue::done`] with it afterwards. `None` when the queue was closed.
    pub async fn get(&self) -> Option<K> {
        loop {
            let changed = self.inner.changed.notified();
            let next = {
                let mut state = self.inner.state.lock();
                if state.closed {
                    drop(state);
                    // Wake the next worker too.
                    self.inner.changed.notify_one();
                    return None;
                }
                state.ripen(Instant::now());
                if let Some(key) = state.ready.pop_front() {
                    state.dirty.remove(&key);
                    state.working.insert(key.clone());
                    if !state.ready.is_empty() || !state.waiting.is_empty() {
                        self.inner.changed.notify_one();
                    }
                    return Some(key);
                }
                state.waiting.keys().next().map(|(at, _)| *at)
            };
            match next {
                Some(at) => {
                    let _ = tokio::time::timeout_at(at, changed).await;
                }
                None => changed.await,
            }
        }
    }

    /// A key from [`WorkQueue::get`] is not being worked on any more.
    pub fn done(&self, key: &K) {
        let mut state = self.inner.state.lock();
        state.working.remove(key);
        if state.dirty.contains(key) {
            state.ready.push_back(key.clone());
            drop(state);
            self.inner.changed.notify_one();
        }
    }

    /// Ends all [`WorkQueue::get`] calls, now and later.
    pub fn close(&self) {
        self.inner.state.lock().closed = true;
        self.inner.changed.notify_one();
    }

    /// How many keys are ready to be worked on.
    pub fn len(&self) -> usize {
        self.inner.state.lock().ready.len()
    }

    /// Whether no key is ready.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn add(&mut self, key: K) {
        if !self.dirty.insert(key.clone()) || self.working.contains(&key) {
            return;
        }
        self.ready.push_back(key);
    }

    fn ripen(&mut self, now: Instant) {
        while let Some(entry) = self.waiting.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let key = entry.remove();
            self.due.remove(&key);
            self.add(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_is_worked_on_once_at_a_time() {
        let queue = WorkQueue::new();
        queue.add("a");
        queue.add("a");
        assert_eq!(queue.get().await, Some("a"));
        queue.add("a");
        assert!(queue.is_empty());
        queue.done(&"a");
        assert_eq!(queue.get().await, Some("a"));
        queue.done(&"a");
        assert!(queue.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_wait_longer_each_time() {
        let queue = WorkQueue::new();
        let start = Instant::now();
        for expected in [5, 15, 35, 75] {
            queue.add_rate_limited(1);
            assert_eq!(queue.get().await, Some(1));
            queue.done(&1);
            // Timers have millisecond resolution.
            let at = start.elapsed().as_millis();
            assert!((expected..expected + 5).contains(&at), "{at} {expected}");
        }
        queue.forget(&1);
        assert_eq!(queue.failures(&1), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_delay_counts_and_closing_ends_all_workers() {
        let queue = WorkQueue::new();
        let start = Instant::now();
        queue.add_after(1, Duration::from_secs(60));
        queue.add_after(1, Duration::from_secs(10));
        queue.add_after(1, Duration::from_secs(30));
        assert_eq!(queue.get().await, Some(1));
        assert_eq!(start.elapsed().as_secs(), 10);
        let workers: Vec<_> = (0..3)
            .map(|_| {
                tokio::spawn({
                    let queue = queue.clone();
                    async move { queue.get().await }
                })
            })
            .collect();
        queue.close();
        for worker in workers {
            assert_eq!(worker.await.unwrap(), None);
        }
    }
}
