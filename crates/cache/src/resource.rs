//! One kind's objects: what they are now, their last changes, and who watches them.
//!
//! Two locks. `dispatch` is held while a change is made known, so that a new watch begins exactly between two changes;
//! `current` only while the map is read or changed, so that reads do not wait for the watchers. Lock order: dispatch,
//! then current.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use store::{Revision, Store};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Error;
use crate::backlog;
use crate::event::Change;
use crate::history::History;
use crate::item::{Fields, Item, ItemForm, Shape};
use crate::list::Saved;
use crate::pages::Pages;
use crate::predicate::Predicate;
use crate::watcher::Watcher;
use crate::watchers::{Drawer, Watchers};

/// The first bookmark of a quiet watch comes after this time.
const FIRST_BOOKMARK: Duration = Duration::from_secs(60);

/// One kind, as the cache needs to know it.
#[derive(Clone)]
pub struct Config {
    /// The store's key prefix, with the last slash: `/registry/pods/`.
    pub prefix: String,
    /// Whether keys are `namespace/name`.
    pub namespaced: bool,
    /// Whether list items carry their type.
    pub form: ItemForm,
    /// The selectable fields.
    pub fields: Fields,
    /// The field that watchers and lists are indexed by: `spec.nodeName` for pods.
    pub index: Option<String>,
}

/// What the kind looks like now.
#[derive(Default)]
pub(crate) struct Current {
    pub(crate) pages: Pages,
    /// The last revision that changed something here.
    pub(crate) applied: Revision,
    /// The items by their index field's value, in key order; those without a value are not here.
    pub(crate) index: HashMap<Box<str>, Vec<Arc<Item>>>,
}

struct Dispatch {
    history: History,
    watchers: Watchers,
    /// While the kind is read from the store: the changes that the feed told meanwhile.
    waiting: Option<Vec<store::Event>>,
}

/// One kind's part of the cache.
pub struct Resource {
    pub(crate) prefix: String,
    pub(crate) shape: Arc<Shape>,
    pub(crate) index_field: Option<usize>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) current: RwLock<Current>,
    dispatch: Mutex<Dispatch>,
    pub(crate) saved: Mutex<VecDeque<Saved>>,
    loaded: watch::Sender<bool>,
    pub(crate) published: watch::Receiver<Revision>,
}

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Behind this revision.
    After(Revision),
    /// With every object there is, as if just added.
    InitialObjects {
        /// Whether a bookmark tells that these were all.
        end_bookmark: bool,
    },
}

impl Resource {
    pub(crate) fn new(
        config: Config,
        store: Arc<dyn Store>,
        published: watch::Receiver<Revision>,
    ) -> Arc<Resource> {
        let index_field =
            config.index.as_ref().and_then(|index| config.fields.names.iter().position(|n| n == index));
        let shape = Shape::new(config.form, config.fields, config.namespaced);
        Arc::new(Resource {
            prefix: config.prefix,
            shape: Arc::new(shape),
            index_field,
            store,
            current: RwLock::default(),
            dispatch: Mutex::new(Dispatch {
                history: History::new(0),
                watchers: Watchers::new(index_field),
                waiting: Some(Vec::new()),
            }),
            saved: Mutex::default(),
            loaded: watch::Sender::new(false),
            published,
        })
    }

    /// The store's key prefix.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.current.read().pages.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The revision that a list would have now.
    pub fn revision(&self) -> Revision {
        let current = self.current.read();
        current.applied.max(*self.published.borrow())
    }

    /// How many watches are open.
    pub fn watches(&self) -> usize {
        self.dispatch.lock().watchers.len()
    }

    /// Waits until the kind's objects are loaded for the first time. Before that it looks empty.
    pub async fn loaded(&self, timeout: Duration) -> Result<(), Error> {
        let mut loaded = self.loaded.subscribe();
        match tokio::time::timeout(timeout, loaded.wait_for(|l| *l)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Error::NotReady(self.prefix.clone())),
        }
    }

    /// One object by `namespace/name` or `name`.
    pub fn get(&self, key: &str) -> Option<Arc<Item>> {
        self.current.read().pages.get(key).cloned()
    }

    /// Opens a watch.
    pub fn watch(
        self: &Arc<Self>,
        predicate: Predicate,
        start: Start,
        bookmarks: bool,
    ) -> Result<Watcher, Error> {
        if !*self.loaded.borrow() {
            return Err(Error::NotReady(self.prefix.clone()));
        }
        let mut dispatch = self.dispatch.lock();
        let mut initial = Vec::new();
        let mut initial_end = None;
        let mut replay = VecDeque::new();
        let after = match start {
            Start::After(requested) => {
                let oldest = dispatch.history.start();
                if requested < oldest {
                    return Err(Error::TooOld { requested, oldest });
                }
                for change in dispatch.history.after(requested) {
                    if let Some(event_type) = predicate.event_type(change, self.index_field) {
                        replay.push_back((event_type, crate::Event::new(change.clone())));
                    }
                }
                requested
            }
            Start::InitialObjects { end_bookmark } => {
                let list = self.select_now(&predicate, 0, None);
                initial = list.items;
                initial_end = end_bookmark.then_some(list.revision);
                list.revision
            }
        };
        let (to, live) = backlog::new();
        let filed = dispatch.watchers.add(predicate, after, to);
        Ok(Watcher {
            initial: initial.into_iter(),
            initial_end,
            replay,
            live,
            next_bookmark: bookmarks.then(|| Instant::now() + FIRST_BOOKMARK),
            deadline: None,
            published: self.published.clone(),
            after,
            resource: Arc::downgrade(self),
            filed,
        })
    }

    pub(crate) fn unwatch(&self, filed: &(Drawer, u64)) {
        self.dispatch.lock().watchers.remove(&filed.0, filed.1);
    }

    /// Ends every watch: the kind is removed.
    pub(crate) fn close(&self) {
        self.dispatch.lock().watchers.clear();
    }

    /// Drops what is only kept for a while.
    pub(crate) fn trim(&self) {
        self.dispatch.lock().history.trim();
        self.forget_saved();
    }

    /// From now on changes wait until [`Resource::install`].
    pub(crate) fn begin_load(&self) {
        self.dispatch.lock().waiting = Some(Vec::new());
    }

    /// Makes an item of a stored value; what is no object of ours is skipped with a line in the log.
    pub(crate) fn item(&self, full_key: &str, revision: Revision, value: &[u8]) -> Option<Arc<Item>> {
        let key = full_key.strip_prefix(self.prefix.as_str())?;
        match Item::build(&self.shape, key, revision, value) {
            Ok(item) => Some(item),
            Err(why) => {
                tracing::warn!(
                    key = full_key,
                    revision,
                    why,
                    "the store holds something that is no object; skipped"
                );
                None
            }
        }
    }

    /// Makes one change known.
    pub(crate) fn apply(&self, event: store::Event) {
        let mut dispatch = self.dispatch.lock();
        match dispatch.waiting.as_mut() {
            Some(waiting) => waiting.push(event),
            None => self.apply_locked(&mut dispatch, &event),
        }
    }

    fn apply_locked(&self, dispatch: &mut Dispatch, event: &store::Event) {
        if event.mod_revision <= self.current.read().applied {
            return;
        }
        let Some(key) = event.key.strip_prefix(self.prefix.as_str()) else { return };
        let new = match &event.value {
            None => None,
            Some(value) => match self.item(&event.key, event.mod_revision, value) {
                Some(item) => Some(item),
                None => return,
            },
        };
        self.commit(dispatch, key, event.mod_revision, new);
    }

    /// The one place where the map, the history and the watchers move on.
    fn commit(&self, dispatch: &mut Dispatch, key: &str, revision: Revision, new: Option<Arc<Item>>) {
        let old = {
            let mut current = self.current.write();
            let current = &mut *current;
            current.applied = current.applied.max(revision);
            let old = match &new {
                Some(item) => current.pages.insert(item.clone()),
                None => current.pages.remove(key),
            };
            if let Some(field) = self.index_field {
                reindex(&mut current.index, field, old.as_ref(), new.as_ref());
            }
            old
        };
        match &old {
            Some(old) => self.supersede(old),
            None if new.is_none() => return,
            None => {}
        }
        let change = Arc::new(Change { revision, old, new });
        dispatch.history.push(change.clone());
        dispatch.watchers.tell(&change);
    }

    /// Takes over what was read from the store at `revision`: at first as it is, later by its difference to what is
    /// known. `items` are in key order, each with the revision of its creation.
    pub(crate) fn install(&self, items: Vec<(Arc<Item>, Revision)>, revision: Revision) {
        let mut dispatch = self.dispatch.lock();
        let dispatch = &mut *dispatch;
        let known = *self.loaded.borrow();
        let went_back = revision < self.current.read().applied;
        if !known || went_back {
            // A store that went back was restored or made anew: nothing that a watcher knows holds any more.
            dispatch.watchers.clear();
            dispatch.history = History::new(revision);
            self.saved.lock().clear();
            let mut current = self.current.write();
            let items: Vec<Arc<Item>> = items.into_iter().map(|(item, _)| item).collect();
            current.index.clear();
            if let Some(field) = self.index_field {
                for item in &items {
                    reindex(&mut current.index, field, None, Some(item));
                }
            }
            current.pages = Pages::from_sorted(items);
            current.applied = revision;
        } else {
            for (at, key, new) in self.difference(items, revision) {
                self.commit(dispatch, &key, at, new);
            }
            let mut current = self.current.write();
            current.applied = current.applied.max(revision);
        }
        for event in dispatch.waiting.take().into_iter().flatten() {
            self.apply_locked(dispatch, &event);
        }
        self.loaded.send_replace(true);
    }

    /// What must have happened between what is known and what was read, in order.
    fn difference(
        &self,
        items: Vec<(Arc<Item>, Revision)>,
        revision: Revision,
    ) -> Vec<(Revision, Box<str>, Option<Arc<Item>>)> {
        let before = self.current.read().pages.clone();
        let mut changes = Vec::new();
        let mut read = items.into_iter().peekable();
        for old in before.range("", "") {
            while let Some((item, _)) = read.next_if(|(item, _)| item.key() < old.key()) {
                changes.push((item.revision(), Box::from(item.key()), Some(item)));
            }
            match read.next_if(|(item, _)| item.key() == old.key()) {
                None => changes.push((revision, Box::from(old.key()), None)),
                Some((item, _)) if item.revision() == old.revision() => {}
                Some((item, created)) => {
                    if created > old.revision() {
                        // Another object of the same name: the old one went first.
                        changes.push((created, Box::from(old.key()), None));
                    }
                    changes.push((item.revision(), Box::from(item.key()), Some(item)));
                }
            }
        }
        changes.extend(read.map(|(item, _)| (item.revision(), Box::from(item.key()), Some(item))));
        // Stable: a deletion stays before the creation that has the same revision.
        changes.sort_by_key(|(at, _, _)| *at);
        changes
    }
}

fn reindex(
    index: &mut HashMap<Box<str>, Vec<Arc<Item>>>,
    field: usize,
    old: Option<&Arc<Item>>,
    new: Option<&Arc<Item>>,
) {
    let value = |item: Option<&Arc<Item>>| item.and_then(|i| i.field_at(field).map(Box::<str>::from));
    let place = |items: &[Arc<Item>], key: &str| items.binary_search_by(|i| i.key().cmp(key));
    let (old_value, new_value) = (value(old), value(new));
    if let (Some(value), Some(old)) = (&old_value, old)
        && old_value != new_value
        && let Some(items) = index.get_mut(value)
    {
        if let Ok(at) = place(items, old.key()) {
            items.remove(at);
        }
        if items.is_empty() {
            index.remove(value);
        }
    }
    if let (Some(value), Some(new)) = (new_value, new)
        && !value.is_empty()
    {
        let items = index.entry(value).or_default();
        match place(items, new.key()) {
            Ok(at) => items[at] = new.clone(),
            Err(at) => items.insert(at, new.clone()),
        }
    }
}
