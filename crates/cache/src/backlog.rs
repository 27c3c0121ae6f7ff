//! What waits for one watcher: a queue with two limits, on events and on the bytes that they keep alive.
//!
//! Frames are shared by all who wait for the same event, and objects that are current are held anyway. So an event costs
//! what only a backlog keeps: the object that it superseded, and one frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::error::{TryRecvError, TrySendError};
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::event::{Event, EventType};

/// So many changes may wait for one watcher. Behind that it is cut off, alone; it will list again or resume.
const EVENTS_MAX: usize = 8192;
/// They may keep so many bytes alive: as many as 8,192 changes of ordinary pods do, or twenty of the largest objects.
const BYTES_MAX: usize = 64 << 20;

/// What goes to one watcher.
pub(crate) type Message = (EventType, Arc<Event>);

/// Why nothing more goes to a watcher.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is gone.
    Closed,
    /// It does not keep up.
    TooSlow,
}

/// The feed's end.
pub(crate) struct Inlet {
    to: Sender<Message>,
    bytes: Arc<AtomicUsize>,
}

/// The watcher's end.
pub(crate) struct Outlet {
    from: Receiver<Message>,
    bytes: Arc<AtomicUsize>,
}

/// An empty backlog.
pub(crate) fn new() -> (Inlet, Outlet) {
    let (to, from) = mpsc::channel(EVENTS_MAX);
    let bytes = Arc::new(AtomicUsize::new(0));
    (Inlet { to, bytes: bytes.clone() }, Outlet { from, bytes })
}

impl Inlet {
    pub(crate) fn push(&self, event_type: EventType, event: &Arc<Event>) -> Result<(), Refused> {
        // Only one feed adds. A watcher that takes at the same time makes the sum too large for a moment, by what it took.
        if self.bytes.load(Ordering::Relaxed) + event.cost() > BYTES_MAX {
            return Err(if self.to.is_closed() { Refused::Closed } else { Refused::TooSlow });
        }
        self.bytes.fetch_add(event.cost(), Ordering::Relaxed);
        self.to.try_send((event_type, event.clone())).map_err(|e| match e {
            TrySendError::Closed(_) => Refused::Closed,
            TrySendError::Full(_) => Refused::TooSlow,
        })
    }
}

impl Outlet {
    /// The next message; none when the feed has let go of the watcher. Dropping the future loses nothing.
    pub(crate) async fn recv(&mut self) -> Option<Message> {
        let message = self.from.recv().await?;
        Some(self.taken(message))
    }

    pub(crate) fn try_recv(&mut self) -> Result<Message, TryRecvError> {
        let message = self.from.try_recv()?;
        Ok(self.taken(message))
    }

    fn taken(&self, message: Message) -> Message {
        self.bytes.fetch_sub(message.1.cost(), Ordering::Relaxed);
        message
    }
}
