//! Which events are sent, counted up, folded together or dropped (client-go's `events_cache.go`).

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use k8s_openapi::api::core::v1::Event;
use tokio::time::Instant;

/// Entries per table; the older half goes when it is full.
const ENTRIES_MAX: usize = 4096;
/// More similar events than this within the interval become one.
const SIMILAR_MAX: usize = 10;
const SIMILAR_INTERVAL: Duration = Duration::from_secs(600);
/// One source may say this much about one object, and then one event per refill time.
const BURST: f64 = 25.0;
const REFILL: Duration = Duration::from_secs(300);

/// What to do with an event.
pub(super) enum Verdict {
    Drop,
    Send {
        event: Box<Event>,
        /// It is stored already: only count it up.
        repeated: bool,
    },
}

/// The memory of one recorder.
#[derive(Default)]
pub(super) struct Correlator {
    hasher: RandomState,
    similar: Table<Similar>,
    seen: Table<Seen>,
    buckets: Table<Bucket>,
}

#[derive(Default)]
struct Similar {
    messages: HashSet<u64>,
    last: Option<Instant>,
}

struct Seen {
    count: i32,
    first: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>,
    name: String,
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Correlator {
    /// Judges one new event.
    pub(super) fn judge(&mut self, mut event: Event) -> Verdict {
        let key = self.fold(&mut event);
        let now = Instant::now();
        let repeated = match self.seen.get(key, now) {
            Some(seen) => {
                seen.count += 1;
                event.metadata.name = Some(seen.name.clone());
                event.first_timestamp.clone_from(&seen.first);
                event.count = Some(seen.count);
                true
            }
            None => {
                let name = event.metadata.name.clone().unwrap_or_default();
                self.seen.put(key, Seen { count: 1, first: event.first_timestamp.clone(), name }, now);
                false
            }
        };
        if self.flood(&event, now) {
            return Verdict::Drop;
        }
        Verdict::Send { event: Box::new(event), repeated }
    }

    /// The server may have named the event anew.
    pub(super) fn stored(&mut self, sent: &Event, stored: &Event) {
        if sent.metadata.name != stored.metadata.name {
            let key = self.hasher.hash_one((about(sent), &sent.reason, &sent.message));
            if let (Some(seen), Some(name)) = (self.seen.get(key, Instant::now()), &stored.metadata.name) {
                seen.name.clone_from(name);
            }
        }
    }

    /// The key under which the event is counted. Too many events that differ only in their message become one.
    fn fold(&mut self, event: &mut Event) -> u64 {
        let now = Instant::now();
        let whole = self.hasher.hash_one((about(event), &event.reason, &event.message));
        let group = self.hasher.hash_one((about(event), &event.reason, "group"));
        if self.similar.get(group, now).is_none() {
            self.similar.put(group, Similar::default(), now);
        }
        let Some(similar) = self.similar.get(group, now) else { return whole };
        if similar.last.is_some_and(|last| now - last > SIMILAR_INTERVAL) {
            similar.messages.clear();
        }
        similar.last = Some(now);
        similar.messages.insert(self.hasher.hash_one(&event.message));
        if similar.messages.len() < SIMILAR_MAX {
            return whole;
        }
        if let Some(any) = similar.messages.iter().next().copied() {
            similar.messages.remove(&any);
        }
        let message = event.message.take().unwrap_or_default();
        event.message = Some(format!("(combined from similar events): {message}"));
        group
    }

    fn flood(&mut self, event: &Event, now: Instant) -> bool {
        let key = self.hasher.hash_one(about(event));
        if self.buckets.get(key, now).is_none() {
            self.buckets.put(key, Bucket { tokens: BURST, at: now }, now);
        }
        let Some(bucket) = self.buckets.get(key, now) else { return false };
        let refilled = (now - bucket.at).as_secs_f64() / REFILL.as_secs_f64();
        bucket.tokens = (bucket.tokens + refilled).min(BURST);
        bucket.at = now;
        if bucket.tokens < 1.0 {
            return true;
        }
        bucket.tokens -= 1.0;
        false
    }
}

/// Who speaks about what.
fn about(event: &Event) -> impl Hash {
    let object = &event.involved_object;
    let source = event.source.clone().unwrap_or_default();
    (
        (source.component, source.host, event.type_.clone()),
        (object.kind.clone(), object.namespace.clone(), object.name.clone(), object.field_path.clone()),
        (object.uid.clone(), object.api_version.clone()),
    )
}

/// A map that forgets what was not used for long.
struct Table<V> {
    entries: HashMap<u64, (V, Instant)>,
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self { entries: HashMap::new() }
    }
}

impl<V> Table<V> {
    fn get(&mut self, key: u64, now: Instant) -> Option<&mut V> {
        let (value, used) = self.entries.get_mut(&key)?;
        *used = now;
        Some(value)
    }

    fn put(&mut self, key: u64, value: V, now: Instant) {
        if self.entries.len() >= ENTRIES_MAX {
            let mut times: Vec<Instant> = self.entries.values().map(|(_, used)| *used).collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            let median = *median;
            self.entries.retain(|_, (_, used)| *used > median);
        }
        self.entries.insert(key, (value, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{EventType, Recorder};
    use k8s_openapi::api::core::v1::ObjectReference;

    fn event(message: &str) -> Event {
        let (recorder, mut events) = Recorder::for_tests("kubelet");
        let about =
            ObjectReference { name: Some("p".into()), kind: Some("Pod".into()), ..Default::default() };
        recorder.event_ref(&about, EventType::Warning, "BackOff", message);
        events.try_recv().unwrap()
    }

    fn sent(verdict: Verdict) -> Option<(Box<Event>, bool)> {
        match verdict {
            Verdict::Drop => None,
            Verdict::Send { event, repeated } => Some((event, repeated)),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn repeated_events_are_counted_until_they_are_a_flood() {
        let mut correlator = Correlator::default();
        let (first, repeated) = sent(correlator.judge(event("same"))).unwrap();
        assert!(!repeated);
        for count in 2..=25 {
            let (again, repeated) = sent(correlator.judge(event("same"))).unwrap();
            assert!(repeated);
            assert_eq!((again.count, &again.metadata.name), (Some(count), &first.metadata.name));
        }
        assert!(sent(correlator.judge(event("same"))).is_none());
        tokio::time::advance(REFILL).await;
        assert!(sent(correlator.judge(event("same"))).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn similar_events_are_combined() {
        let mut correlator = Correlator::default();
        for n in 0..9 {
            assert!(!sent(correlator.judge(event(&format!("try {n}")))).unwrap().1);
        }
        let (tenth, repeated) = sent(correlator.judge(event("try 9"))).unwrap();
        assert_eq!(tenth.message.as_deref(), Some("(combined from similar events): try 9"));
        assert!(!repeated);
        let (more, repeated) = sent(correlator.judge(event("try 10"))).unwrap();
        assert!(repeated && more.count == Some(2));
    }
}
