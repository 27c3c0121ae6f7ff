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
        let Some(at) = self.next_bookmark else {
            return self.live.recv().await.map(|m| self.told(m));
        };
        tokio::select! {
            biased;
            message = self.live.recv() => message.map(|m| self.told(m)),
            () = tokio::time::sleep_until(at) => {
                // Read before the channel is looked at: what came meanwhile is above it.
                let revision = *self.published.borrow();
                match self.live.try_recv() {
                    Ok(message) => Some(self.told(message)),
                    Err(TryRecvError::Disconnected) => None,
                    Err(TryRecvError::Empty) => {
                        self.next_bookmark = Some(Instant::now() + BOOKMARK_EVERY);
                        let revision = revision.max(self.after);
                        Some(WatchItem::Bookmark { revision, initial_events_end: false })
                    }
                }
            }
        }
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

    /// A revision that this watcher was told everything up to, if it has nothing waiting: for a last bookmark before
    /// a watch ends.
    pub fn progress(&self) -> Option<Revision> {
        let revision = *self.published.borrow();
        let idle = self.initial.len() == 0 && self.replay.is_empty() && self.live.is_empty();
        (idle && self.initial_end.is_none()).then(|| revision.max(self.after))
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
