//! The last changes of one kind, so that a watch can go on where an earlier one broke off.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use store::Revision;
use tokio::time::Instant;

use crate::event::Change;

/// A change is kept at most so long beyond need: upstream's `DefaultEventFreshDuration`.
const FRESH: Duration = Duration::from_secs(75);
/// So many changes are kept whatever their age.
const KEEP_MIN: usize = 100;
/// Superseded objects are kept up to this size; what is current is held anyway.
const BYTES_MAX: usize = 4 << 20;

/// See the module.
pub(crate) struct History {
    changes: VecDeque<(Arc<Change>, Instant)>,
    bytes: usize,
    /// Every change after this revision is here.
    start: Revision,
}

fn cost(change: &Change) -> usize {
    size_of::<Change>() + 32 + change.old.as_ref().map_or(0, |old| old.size())
}

impl History {
    pub(crate) fn new(start: Revision) -> History {
        History { changes: VecDeque::new(), bytes: 0, start }
    }

    /// The oldest revision that a watch may start after.
    pub(crate) fn start(&self) -> Revision {
        self.start
    }

    pub(crate) fn push(&mut self, change: Arc<Change>) {
        self.bytes += cost(&change);
        self.changes.push_back((change, Instant::now()));
        while self.bytes > BYTES_MAX && self.changes.len() > 1 {
            self.drop_first();
        }
    }

    /// Drops what is old. Called now and then.
    pub(crate) fn trim(&mut self) {
        let now = Instant::now();
        while self.changes.len() > KEEP_MIN
            && self.changes.front().is_some_and(|(_, at)| now.duration_since(*at) > FRESH)
        {
            self.drop_first();
        }
        if self.changes.capacity() > 4 * self.changes.len() {
            self.changes.shrink_to(2 * self.changes.len());
        }
    }

    fn drop_first(&mut self) {
        if let Some((change, _)) = self.changes.pop_front() {
            self.bytes -= cost(&change);
            self.start = change.revision;
        }
    }

    /// The changes after a revision, oldest first.
    pub(crate) fn after(&self, revision: Revision) -> impl Iterator<Item = &Arc<Change>> {
        let from = self.changes.partition_point(|(c, _)| c.revision <= revision);
        self.changes.range(from..).map(|(c, _)| c)
    }
}
