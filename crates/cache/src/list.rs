//! Lists: now, or at a revision in the past.
//!
//! The pages of a list that goes on (limit and continue) all come from one snapshot. It is kept for a while; later, or
//! after a restart, the store is asked for that revision.

use std::sync::Arc;
use std::time::Duration;

use store::{RangeRequest, Revision};
use tokio::time::Instant;

use crate::Error;
use crate::item::Item;
use crate::pages::Pages;
use crate::predicate::Predicate;
use crate::resource::Resource;

/// Snapshots for lists that go on: so many, so long, and as long as the objects that nothing else may hold any more
/// stay below a size. Without its snapshot a list goes on from the store.
const SAVED_MAX: usize = 16;
const SAVED_FOR: Duration = Duration::from_secs(120);
const SUPERSEDED_MAX: usize = 4 << 20;

/// So many entries are asked of the store at once.
const STORE_PAGE: usize = 500;

/// The objects of a list.
#[derive(Debug)]
pub struct List {
    /// In key order.
    pub items: Vec<Arc<Item>>,
    /// The list's resource version: a watch may begin behind it.
    pub revision: Revision,
    /// Where the next page starts, when the limit cut the list off.
    pub next: Option<String>,
    /// How many objects follow, when that is known without looking at them.
    pub remaining: Option<usize>,
}

/// A snapshot that a list may go on from.
pub(crate) struct Saved {
    revision: Revision,
    pages: Pages,
    at: Instant,
    /// The size of the objects that were replaced or deleted since.
    superseded: usize,
}

impl Resource {
    /// Lists what is there now. `limit` zero is no limit; `start` is an earlier page's [`List::next`].
    pub fn list(&self, predicate: &Predicate, limit: usize, start: Option<&str>) -> List {
        let list = self.select_now(predicate, limit, start);
        if list.next.is_some() {
            self.save(list.revision);
        }
        list
    }

    pub(crate) fn select_now(&self, predicate: &Predicate, limit: usize, start: Option<&str>) -> List {
        let current = self.current.read();
        // Under the lock: what is published was applied before.
        let revision = current.applied.max(*self.published.borrow());
        if let Some(value) = predicate.index.as_deref().filter(|v| !v.is_empty())
            && self.index_field.is_some()
        {
            let items = current.index.get(value).map(Vec::as_slice).unwrap_or_default();
            let from = items.partition_point(|i| i.key() < start.unwrap_or_default());
            return self.collect(items[from..].iter(), predicate, limit, revision);
        }
        self.select(&current.pages, predicate, limit, start, revision)
    }

    /// Lists what was there at a revision.
    pub async fn list_at(
        &self,
        revision: Revision,
        predicate: &Predicate,
        limit: usize,
        start: Option<&str>,
    ) -> Result<List, Error> {
        let kept = self.saved.lock().iter().find(|s| s.revision == revision).map(|s| s.pages.clone());
        if let Some(pages) = kept {
            return Ok(self.select(&pages, predicate, limit, start, revision));
        }
        {
            let current = self.current.read();
            // Nothing changed since: now is then.
            if current.applied <= revision && revision <= *self.published.borrow() {
                let list = self.select(&current.pages, predicate, limit, start, revision);
                drop(current);
                if list.next.is_some() {
                    self.save(revision);
                }
                return Ok(list);
            }
        }
        self.list_stored(revision, predicate, limit, start).await
    }

    fn select(
        &self,
        pages: &Pages,
        predicate: &Predicate,
        limit: usize,
        start: Option<&str>,
        revision: Revision,
    ) -> List {
        let prefix = self.key_prefix(predicate);
        let start = start.unwrap_or_default();
        if let (Some(name), true) = (&predicate.name, predicate.namespace.is_some() || !self.shape.namespaced)
        {
            let key = format!("{prefix}{name}");
            let found = pages.get(&key).filter(|_| key.as_str() >= start);
            return self.collect(found.into_iter(), predicate, limit, revision);
        }
        let mut list = self.collect(pages.range(&prefix, start), predicate, limit, revision);
        let unfiltered = predicate.filter.is_none() && predicate.index.is_none() && predicate.name.is_none();
        if let (Some(next), true) = (&list.next, unfiltered) {
            let end = match prefix.strip_suffix('/') {
                // What sorts behind every key of the namespace.
                Some(namespace) => pages.rank(&format!("{namespace}0")),
                None => pages.len(),
            };
            list.remaining = Some(end - pages.rank(next));
        }
        list
    }

    /// Namespaced keys are `namespace/name`.
    fn key_prefix(&self, predicate: &Predicate) -> String {
        match &predicate.namespace {
            Some(namespace) if self.shape.namespaced => format!("{namespace}/"),
            _ => String::new(),
        }
    }

    fn collect<'a>(
        &self,
        items: impl Iterator<Item = &'a Arc<Item>>,
        predicate: &Predicate,
        limit: usize,
        revision: Revision,
    ) -> List {
        let mut list = List { items: Vec::new(), revision, next: None, remaining: None };
        // Upstream does not look whether what follows is wanted: the last page may be empty.
        for item in items.filter(|i| predicate.reaches(i, self.index_field)) {
            if limit > 0 && list.items.len() == limit {
                list.next = list.items.last().map(|last| after_key(last.key()));
                break;
            }
            if predicate.matches(item, self.index_field) {
                list.items.push(item.clone());
            }
        }
        list
    }

    /// Keeps the snapshot of a revision, if that is still what is there.
    fn save(&self, revision: Revision) {
        let current = self.current.read();
        if current.applied > revision {
            return;
        }
        let pages = current.pages.clone();
        drop(current);
        let mut saved = self.saved.lock();
        if saved.iter().any(|s| s.revision == revision) {
            return;
        }
        while saved.len() >= SAVED_MAX {
            saved.pop_front();
        }
        saved.push_back(Saved { revision, pages, at: Instant::now(), superseded: 0 });
    }

    /// Counts an object that was replaced or deleted.
    pub(crate) fn supersede(&self, old: &Item) {
        self.saved.lock().retain_mut(|s| {
            s.superseded += old.size();
            s.superseded <= SUPERSEDED_MAX
        });
    }

    pub(crate) fn forget_saved(&self) {
        let now = Instant::now();
        self.saved.lock().retain(|s| now.duration_since(s.at) < SAVED_FOR);
    }

    async fn list_stored(
        &self,
        revision: Revision,
        predicate: &Predicate,
        limit: usize,
        start: Option<&str>,
    ) -> Result<List, Error> {
        let prefix = format!("{}{}", self.prefix, self.key_prefix(predicate));
        let mut from = start.map(|s| format!("{}{s}", self.prefix));
        let mut list = List { items: Vec::new(), revision, next: None, remaining: None };
        let unfiltered = predicate.filter.is_none() && predicate.index.is_none() && predicate.name.is_none();
        loop {
            let request = RangeRequest {
                prefix: &prefix,
                start: from.as_deref(),
                limit: STORE_PAGE,
                revision,
                keys_only: false,
            };
            let range = self.store.range(request).await.map_err(|e| match e {
                store::Error::Compacted { .. } => Error::Compacted,
                store::Error::FutureRevision => {
                    let requested = revision.unsigned_abs();
                    Error::TooLarge { requested, current: *self.published.borrow() }
                }
                other => Error::Store(other),
            })?;
            let total = range.count;
            for (number, entry) in range.entries.iter().enumerate() {
                let Some(item) = self.item(&entry.key, entry.mod_revision, &entry.value) else { continue };
                if limit > 0 && list.items.len() == limit {
                    list.next = list.items.last().map(|last| after_key(last.key()));
                    list.remaining = unfiltered.then_some(total - number);
                    return Ok(list);
                }
                if predicate.matches(&item, self.index_field) {
                    list.items.push(item);
                }
            }
            match range.entries.last() {
                Some(last) if range.more => from = Some(after_key(&last.key)),
                _ => return Ok(list),
            }
        }
    }
}

/// The first key that sorts behind this one.
fn after_key(key: &str) -> String {
    format!("{key}\0")
}
