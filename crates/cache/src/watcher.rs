//! A watcher's end: what it is still to be told, in order.
//!
//! ```text
//!  initial objects ──► initial bookmark ──► replayed history ──► live events and bookmarks ──► end
//! ```
//! Each part may be empty. The watch ends when its reader was too slow, when the kind is removed, or when the cache stops.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use store::Revision;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Item;
use crate::backlog::{Message, Outlet};
use crate::event::{Event, EventType};
use crate::resource::Resource;
use crate::watchers::Drawer;

/// How often a quiet watcher that wants bookmarks gets one: upstream's `defaultBookmarkFrequency`.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// A last bookmark comes this long before a watch ends, so that the next one starts near the present.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);

/// What a watcher is told.
#[derive(Clone, Debug)]
pub enum WatchItem {
    /// A change.
    Event(EventType, Arc<Event>),
    /// Everything up to this revision was told.
    Bookmark {
        /// Where the watcher may go on later.
        revision: Revision,
        /// Whether this ends the initial objects (`k8s.io/initial-events-end`).
        initial_events_end: bool,
    },
}

/// See the module. Dropping it ends the watch.
pub struct Watcher {
    pub(crate) initial: std::vec::IntoIter<Arc<Item>>,
    pub(crate) initial_end: Option<Revision>,
    pub(crate) replay: VecDeque<Message>,
    pub(crate) live: Outlet,
    pub(crate) next_bookmark: Option<Instant>,
    /// When the watch is going to end.
    pub(crate) deadline: Option<Instant>,
    /// The revision up to which every event has been handed out to the watchers' channels.
    pub(crate) published: watch::Receiver<Revision>,
    /// Where the watch began: a bookmark says no less.
    pub(crate) after: Revision,
    pub(crate) resource: Weak<Resource>,
    pub(crate) filed: (Drawer, u64),
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watcher({:?}, after {})", self.filed, self.after)
    }
}

impl Watcher {
    /// What is next; none at the end. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<WatchItem> {
        match self.try_next() {
            Ok(item) => return Some(item),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => {}
        }
        loop {
            let Some(at) = self.next_bookmark else {
                return self.live.recv().await.map(|m| self.told(m));
            };
            tokio::select! {
                biased;
                message = self.live.recv() => return message.map(|m| self.told(m)),
                () = tokio::time::sleep_until(at) => {}
            }
            self.next_bookmark = Some(self.bookmark_after(Instant::now()));
            // Read before the channel is looked at: what came meanwhile is above it.
            let revision = *self.published.borrow();
            match self.live.try_recv() {
                Ok(message) => return Some(self.told(message)),
                Err(TryRecvError::Disconnected) => return None,
                // No version is told twice.
                Err(TryRecvError::Empty) if revision <= self.after => {}
                Err(TryRecvError::Empty) => {
                    self.after = revision;
                    return Some(WatchItem::Bookmark { revision, initial_events_end: false });
                }
            }
        }
    }

    /// Says when the watch will end: shortly before, it gets a last bookmark.
    #[must_use]
    pub fn until(mut self, deadline: Instant) -> Watcher {
        self.deadline = Some(deadline);
        self.next_bookmark = self.next_bookmark.map(|_| self.bookmark_after(Instant::now()));
        self
    }

    /// Upstream's `nextBookmarkTime`.
    fn bookmark_after(&self, now: Instant) -> Instant {
        let regular = now + BOOKMARK_EVERY;
        let last = self.deadline.and_then(|deadline| deadline.checked_sub(LAST_BOOKMARK));
        last.filter(|last| *last > now && *last < regular).unwrap_or(regular)
    }

    /// What is there already, so that several frames can be sent in one go.
    pub fn try_next(&mut self) -> Result<WatchItem, TryRecvError> {
        if let Some(item) = self.initial.next() {
            return Ok(WatchItem::Event(EventType::Added, Event::initial(item)));
        }
        if let Some(revision) = self.initial_end.take() {
            return Ok(WatchItem::Bookmark { revision, initial_events_end: true });
        }
        if let Some(message) = self.replay.pop_front() {
            return Ok(self.told(message));
        }
        self.live.try_recv().map(|m| self.told(m))
    }

    fn told(&mut self, (event_type, event): Message) -> WatchItem {
        self.after = self.after.max(event.revision());
        WatchItem::Event(event_type, event)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(resource) = self.resource.upgrade() {
            resource.unwatch(&self.filed);
        }
    }
}
