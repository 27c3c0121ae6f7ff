//! Which objects a list or a watch wants.

use std::sync::Arc;

use crate::Item;
use crate::event::{Change, EventType};

/// A test on one item.
pub type Filter = Arc<dyn Fn(&Item) -> bool + Send + Sync>;

/// Which objects a list or a watch wants. All parts must hold; those with a name are found by index.
#[derive(Clone, Default)]
pub struct Predicate {
    /// Objects of this namespace.
    pub namespace: Option<String>,
    /// Objects with this name (`metadata.name=…`).
    pub name: Option<String>,
    /// Objects whose index field ([`crate::Config::index`]) has this value (`spec.nodeName=…`).
    pub index: Option<String>,
    /// Anything else: labels, further fields.
    pub filter: Option<Filter>,
}

impl Predicate {
    /// Whether the item is among those that are looked through for the ones that are wanted.
    pub(crate) fn reaches(&self, item: &Item, index_field: Option<usize>) -> bool {
        self.namespace.as_deref().is_none_or(|n| item.namespace() == n)
            && self.index.as_deref().is_none_or(|v| index_field.and_then(|i| item.field_at(i)) == Some(v))
    }

    /// Whether the item is wanted; `index_field` is the position of the kind's index field.
    pub(crate) fn matches(&self, item: &Item, index_field: Option<usize>) -> bool {
        self.reaches(item, index_field)
            && self.name.as_deref().is_none_or(|n| item.name() == n)
            && self.filter.as_ref().is_none_or(|f| f(item))
    }

    /// What a change is for whoever has this predicate, as upstream's `cache_watcher.go`, `convertToWatchEvent`.
    pub(crate) fn event_type(&self, change: &Change, index_field: Option<usize>) -> Option<EventType> {
        let matches = |item: &Option<Arc<Item>>| item.as_ref().is_some_and(|i| self.matches(i, index_field));
        match (matches(&change.old), matches(&change.new)) {
            (false, true) => Some(EventType::Added),
            (true, true) => Some(EventType::Modified),
            (true, false) => Some(EventType::Deleted),
            (false, false) => None,
        }
    }
}
