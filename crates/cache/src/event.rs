//! One change and the frames that watchers are sent.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;
use store::Revision;

use crate::Item;

/// What a change is for one watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// The object is new to the watcher: it was created, or it begins to match.
    Added,
    /// The object matched before and still does.
    Modified,
    /// The object is gone for the watcher: it was deleted, or it stopped matching.
    Deleted,
}

impl EventType {
    /// As it stands in a watch frame.
    pub fn name(self) -> &'static str {
        match self {
            EventType::Added => "ADDED",
            EventType::Modified => "MODIFIED",
            EventType::Deleted => "DELETED",
        }
    }
}

/// A change of one object as history keeps it.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) revision: Revision,
    pub(crate) old: Option<Arc<Item>>,
    pub(crate) new: Option<Arc<Item>>,
}

/// In which form a watcher wants objects: a version's number, a table, metadata only. The API server numbers them; two
/// watchers of a kind with the same number get the same bytes.
pub type Representation = u32;

/// A change on its way to watchers. It lives until the last of them has sent it; its frames are made once.
pub struct Event {
    change: Arc<Change>,
    cost: usize,
    /// The old object at the change's revision, for those who see it go.
    gone: OnceLock<Arc<Item>>,
    frames: Mutex<Vec<(Representation, EventType, Bytes)>>,
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.change.fmt(f)
    }
}

/// The superseded object, one frame, and what a deletion's frame is made of.
fn cost(change: &Change) -> usize {
    let size = |item: &Option<Arc<Item>>| item.as_ref().map_or(0, |i| i.size());
    let (old, new) = (size(&change.old), size(&change.new));
    let frame = if change.new.is_some() { new } else { 2 * old };
    size_of::<Event>() + size_of::<Change>() + old + frame
}

impl Event {
    pub(crate) fn new(change: Arc<Change>) -> Arc<Event> {
        let cost = cost(&change);
        Arc::new(Event { change, cost, gone: OnceLock::new(), frames: Mutex::new(Vec::new()) })
    }

    /// What the event costs as long as somebody has not sent it.
    pub(crate) fn cost(&self) -> usize {
        self.cost
    }

    /// An object that is told to one new watcher.
    pub(crate) fn initial(item: Arc<Item>) -> Arc<Event> {
        Event::new(Arc::new(Change { revision: item.revision(), old: None, new: Some(item) }))
    }

    pub(crate) fn change(&self) -> &Change {
        &self.change
    }

    /// The revision of the change.
    pub fn revision(&self) -> Revision {
        self.change.revision
    }

    /// The object as this event type shows it: the new one, or for [`EventType::Deleted`] the last that was seen, with
    /// the change's resource version.
    pub fn item(&self, event_type: EventType) -> Option<&Arc<Item>> {
        match (event_type, &self.change.new, &self.change.old) {
            (EventType::Added | EventType::Modified, new, _) => new.as_ref(),
            (EventType::Deleted, _, Some(old)) => {
                Some(self.gone.get_or_init(|| old.at_revision(self.change.revision)))
            }
            (EventType::Deleted, _, None) => None,
        }
    }

    /// The frame `{"type":"ADDED","object":…}` and a newline, made once per representation and type. `encode` appends
    /// the whole object, `kind` and `apiVersion` included.
    pub fn frame<E>(
        &self,
        event_type: EventType,
        representation: Representation,
        encode: impl FnOnce(&Item, &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        let mut frames = self.frames.lock();
        if let Some((_, _, made)) = frames.iter().find(|(r, t, _)| (*r, *t) == (representation, event_type)) {
            return Ok(made.clone());
        }
        let Some(item) = self.item(event_type) else { return Ok(Bytes::new()) };
        let mut frame = Vec::with_capacity(item.bytes().len() + 96);
        frame.extend_from_slice(br#"{"type":""#);
        frame.extend_from_slice(event_type.name().as_bytes());
        frame.extend_from_slice(br#"","object":"#);
        encode(item, &mut frame)?;
        frame.extend_from_slice(b"}\n");
        let frame = Bytes::from(frame);
        frames.push((representation, event_type, frame.clone()));
        Ok(frame)
    }
}
