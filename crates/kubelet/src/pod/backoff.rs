//! Upstream's `flowcontrol.Backoff`: 10 s, doubled up to 5 min, forgotten after twice the maximum without failure.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

/// First delay.
pub const INITIAL: SignedDuration = SignedDuration::from_secs(10);
/// Longest delay.
pub const MAX: SignedDuration = SignedDuration::from_secs(300);

#[derive(Clone, Copy, Debug)]
struct Entry {
    delay: SignedDuration,
    since: Timestamp,
}

/// Delays by key.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    entries: HashMap<String, Entry>,
}

impl Backoff {
    /// Notes a failure at `moment` that is going to be retried: the next one will have to wait longer.
    pub fn next(&mut self, key: &str, moment: Timestamp) {
        let delay = match self.entries.get(key) {
            Some(entry) if !expired(entry, moment) => (entry.delay * 2).min(MAX),
            _ => INITIAL,
        };
        self.entries.insert(key.to_owned(), Entry { delay, since: moment });
    }

    /// The delay in force for a failure at `failed`, and when it ends; `None` when it may be retried at `now`.
    pub fn holds(&self, key: &str, failed: Timestamp, now: Timestamp) -> Option<(SignedDuration, Timestamp)> {
        let entry = self.entries.get(key)?;
        if expired(entry, failed) {
            return None;
        }
        let end = failed.checked_add(entry.delay).ok()?;
        (now < end).then_some((entry.delay, end))
    }

    /// The delay in force counted from the last [`Backoff::next`].
    pub fn holds_since_update(&self, key: &str, now: Timestamp) -> Option<(SignedDuration, Timestamp)> {
        let since = self.entries.get(key)?.since;
        self.holds(key, since, now)
    }
}

fn expired(entry: &Entry, moment: Timestamp) -> bool {
    moment.duration_since(entry.since) > MAX * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_and_are_forgotten() {
        let t = |s: i64| Timestamp::from_second(s).unwrap();
        let mut backoff = Backoff::default();
        assert!(backoff.holds("a", t(0), t(0)).is_none());
        backoff.next("a", t(0));
        assert_eq!(backoff.holds("a", t(5), t(6)).unwrap(), (INITIAL, t(15)));
        assert!(backoff.holds("a", t(5), t(15)).is_none());
        backoff.next("a", t(15));
        assert_eq!(backoff.holds("a", t(20), t(21)).unwrap().0.as_secs(), 20);
        for i in 0..6 {
            backoff.next("a", t(30 + i));
        }
        assert_eq!(backoff.holds("a", t(40), t(40)).unwrap().0, MAX);
        assert!(backoff.holds("a", t(2000), t(2000)).is_none());
        backoff.next("a", t(2000));
        assert_eq!(backoff.holds("a", t(2000), t(2000)).unwrap().0, INITIAL);
    }
}
