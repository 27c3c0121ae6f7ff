//! The watchers of one kind, found by what they ask for.
//!
//! Of 5,000 kubelets that each watch the pods of their node, a pod's change concerns one: the others are not looked at.

use std::collections::HashMap;
use std::sync::Arc;

use store::Revision;

use crate::Item;
use crate::backlog::{Inlet, Refused};
use crate::event::{Change, Event};
use crate::predicate::Predicate;

/// The feed's end of one watcher.
struct Sink {
    id: u64,
    predicate: Predicate,
    /// Changes up to this revision are not told.
    after: Revision,
    to: Inlet,
}

/// Where a watcher is filed: under the most telling part of its predicate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Drawer {
    All,
    Namespace(String),
    Index(String),
    Name(String),
}

impl Drawer {
    fn of(predicate: &Predicate) -> Drawer {
        match predicate {
            Predicate { name: Some(name), .. } => Drawer::Name(name.clone()),
            Predicate { index: Some(value), .. } => Drawer::Index(value.clone()),
            Predicate { namespace: Some(namespace), .. } => Drawer::Namespace(namespace.clone()),
            _ => Drawer::All,
        }
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct Watchers {
    drawers: HashMap<Drawer, Vec<Sink>>,
    len: usize,
    next_id: u64,
    index_field: Option<usize>,
}

impl Watchers {
    pub(crate) fn new(index_field: Option<usize>) -> Watchers {
        Watchers { index_field, ..Watchers::default() }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Files a watcher; gives what [`Watchers::remove`] needs.
    pub(crate) fn add(&mut self, predicate: Predicate, after: Revision, to: Inlet) -> (Drawer, u64) {
        let drawer = Drawer::of(&predicate);
        self.next_id += 1;
        self.len += 1;
        let sink = Sink { id: self.next_id, predicate, after, to };
        self.drawers.entry(drawer.clone()).or_default().push(sink);
        (drawer, self.next_id)
    }

    /// Takes a watcher out, if it was not cut off already.
    pub(crate) fn remove(&mut self, drawer: &Drawer, id: u64) {
        let Some(sinks) = self.drawers.get_mut(drawer) else { return };
        if let Some(at) = sinks.iter().position(|s| s.id == id) {
            sinks.swap_remove(at);
            self.len -= 1;
        }
        if sinks.is_empty() {
            self.drawers.remove(drawer);
        }
    }

    /// Ends every watch.
    pub(crate) fn clear(&mut self) {
        self.drawers.clear();
        self.len = 0;
    }

    /// Tells a change to all whom it concerns. Who does not keep up is cut off.
    pub(crate) fn tell(&mut self, change: &Arc<Change>) {
        if self.len == 0 {
            return;
        }
        let event = Event::new(change.clone());
        let index_field = self.index_field;
        let index_of = |item: &Option<Arc<Item>>| {
            let value = item.as_ref()?.field_at(index_field?)?;
            Some(value.to_owned())
        };
        let any = change.new.as_ref().or(change.old.as_ref());
        self.tell_drawer(&Drawer::All, &event);
        if let Some(item) = any {
            self.tell_drawer(&Drawer::Name(item.name().to_owned()), &event);
            if !item.namespace().is_empty() {
                self.tell_drawer(&Drawer::Namespace(item.namespace().to_owned()), &event);
            }
        }
        let (old, new) = (index_of(&change.old), index_of(&change.new));
        if new != old
            && let Some(value) = old
        {
            self.tell_drawer(&Drawer::Index(value), &event);
        }
        if let Some(value) = new {
            self.tell_drawer(&Drawer::Index(value), &event);
        }
    }

    fn tell_drawer(&mut self, drawer: &Drawer, event: &Arc<Event>) {
        let Some(sinks) = self.drawers.get_mut(drawer) else { return };
        let index_field = self.index_field;
        let before = sinks.len();
        sinks.retain(|sink| {
            if event.revision() <= sink.after {
                return true;
            }
            let Some(event_type) = sink.predicate.event_type(event.change(), index_field) else { return true };
            match sink.to.push(event_type, event) {
                Ok(()) => true,
                Err(Refused::Closed) => false,
                Err(Refused::TooSlow) => {
                    tracing::info!(drawer = ?drawer, revision = event.revision(), "a watcher is too slow; ending its watch");
                    false
                }
            }
        });
        self.len -= before - sinks.len();
        if sinks.is_empty() {
            self.drawers.remove(drawer);
        }
    }
}
