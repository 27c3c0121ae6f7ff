//! The cache of all kinds, and the one watch that feeds it.
//!
//! ```text
//!  ask revision R ─► watch after R ─► read every kind (changes wait) ─► follow
//!        ▲                                                               │
//!        └───────── history compacted, store went back, watch failed ────┘
//! ```
//! After the first time, reading a kind again tells watchers the difference: nothing is lost, nothing told twice.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use parking_lot::{Mutex, RwLock};
use store::{RangeRequest, Revision, Store, WatchRequest};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::fresh::Freshness;
use crate::item::Item;
use crate::resource::{Config, Resource};

/// So many kinds are read from the store at the same time, so many objects at once.
const LOADS_MAX: usize = 8;
const LOAD_PAGE: usize = 500;
/// How often old history is dropped.
const TRIM_EVERY: Duration = Duration::from_secs(30);
/// The pause after the store failed, doubled up to the second.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// The watch cache of one server.
pub struct Cache {
    store: Arc<dyn Store>,
    root: String,
    resources: RwLock<BTreeMap<String, Arc<Resource>>>,
    /// Every change up to this revision was applied to every kind.
    published: watch::Sender<Revision>,
    fresh: Arc<Freshness>,
    added: mpsc::UnboundedSender<Arc<Resource>>,
    /// Taken by the run loop.
    to_load: Mutex<Option<mpsc::UnboundedReceiver<Arc<Resource>>>>,
}

/// What a load found: the items with their creation, at a revision.
type Loaded = (Vec<(Arc<Item>, Revision)>, Revision);

impl Cache {
    /// A cache of what is below `root` (`/registry/`).
    pub fn new(store: Arc<dyn Store>, root: impl Into<String>) -> Arc<Cache> {
        let root = root.into();
        let published = watch::Sender::new(0);
        let fresh = Freshness::new(store.clone(), published.subscribe(), format!("{root}watch-progress"));
        let (added, to_load) = mpsc::unbounded_channel();
        Arc::new(Cache {
            store,
            root,
            resources: RwLock::default(),
            published,
            fresh,
            added,
            to_load: Mutex::new(Some(to_load)),
        })
    }

    /// Adds a kind, before the cache runs or later. A kind with the same prefix is replaced and its watches end.
    pub fn register(&self, config: Config) -> Arc<Resource> {
        let resource = Resource::new(config, self.store.clone(), self.published.subscribe());
        let replaced = self.resources.write().insert(resource.prefix().to_owned(), resource.clone());
        if let Some(old) = replaced {
            old.close();
        }
        // Nobody listens after the run loop ended, and then nobody reads either.
        let _ = self.added.send(resource.clone());
        resource
    }

    /// Removes a kind and ends its watches.
    pub fn unregister(&self, prefix: &str) {
        let removed = self.resources.write().remove(prefix);
        if let Some(resource) = removed {
            resource.close();
        }
    }

    /// The kind with this key prefix.
    pub fn resource(&self, prefix: &str) -> Option<Arc<Resource>> {
        self.resources.read().get(prefix).cloned()
    }

    /// The revision up to which everything was applied.
    pub fn revision(&self) -> Revision {
        *self.published.borrow()
    }

    /// Waits until every kind that is registered now is loaded.
    pub async fn loaded(&self, timeout: Duration) -> Result<(), Error> {
        let all: Vec<_> = self.resources.read().values().cloned().collect();
        let deadline = tokio::time::Instant::now() + timeout;
        for resource in all {
            resource.loaded(deadline.saturating_duration_since(tokio::time::Instant::now())).await?;
        }
        // The last kind is there a moment before the revision is published.
        let mut published = self.published.subscribe();
        match tokio::time::timeout_at(deadline, published.wait_for(|p| *p > 0)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Error::NotReady(self.root.clone())),
        }
    }

    /// Waits until the cache has reached a revision that someone already saw.
    pub async fn wait_until_fresh(&self, revision: Revision, timeout: Duration) -> Result<(), Error> {
        if self.revision() >= revision {
            return Ok(());
        }
        self.fresh.reached(revision, timeout).await
    }

    /// Waits until the cache shows everything that was written before this call, by whomever. Gives the revision that
    /// the store had.
    pub async fn consistent(&self, timeout: Duration) -> Result<Revision, Error> {
        self.fresh.consistent(timeout).await
    }

    /// Feeds the cache until told to stop. Store failures are waited out.
    pub async fn run(&self, stop: CancellationToken) {
        let Some(mut added) = self.to_load.lock().take() else { return };
        let mut pause = RETRY_FIRST;
        while !stop.is_cancelled() {
            let ended = tokio::select! {
                () = stop.cancelled() => break,
                ended = self.follow(&mut added, &mut pause) => ended,
            };
            match ended {
                store::Error::Compacted { .. } => {
                    tracing::warn!(
                        "the store's history was dropped under our watch; reading everything again"
                    );
                }
                error => {
                    tracing::warn!(%error, "the watch cache lost the store; trying again");
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep(pause) => pause = (pause * 2).min(RETRY_MAX),
                    }
                }
            }
        }
        for resource in self.resources.read().values() {
            resource.close();
        }
    }

    /// One round of the drawing above. Gives the reason why it ended.
    async fn follow(
        &self,
        added: &mut mpsc::UnboundedReceiver<Arc<Resource>>,
        pause: &mut Duration,
    ) -> store::Error {
        let started = async {
            let start = self.store.revision().await?;
            let request = WatchRequest { prefix: &self.root, after: start, previous: false };
            Ok::<_, store::Error>((start, self.store.watch(request).await?))
        };
        let (start, mut events) = match started.await {
            Ok(started) => started,
            Err(error) => return error,
        };
        *pause = RETRY_FIRST;
        // Whoever was added until here is among all.
        while added.try_recv().is_ok() {}
        let all: Vec<_> = self.resources.read().values().cloned().collect();
        let slots = Arc::new(Semaphore::new(LOADS_MAX));
        let mut loads = FuturesUnordered::new();
        // Nothing is published until all of these are done.
        let mut first_loads = all.len();
        for resource in all {
            resource.begin_load();
            loads.push(self.load(resource, slots.clone(), true).boxed());
        }
        if first_loads == 0 {
            self.published.send_replace(start);
        }
        let mut seen = start;
        let mut trim = tokio::time::interval(TRIM_EVERY);
        loop {
            tokio::select! {
                batch = events.next() => match batch {
                    Some(Ok(batch)) => {
                        for event in batch.events {
                            self.route(event);
                        }
                        seen = batch.revision;
                        if first_loads == 0 {
                            self.published.send_replace(seen);
                        }
                    }
                    Some(Err(error)) => return error,
                    None => return store::Error::Unavailable("the watch ended".into()),
                },
                Some((resource, first, (items, revision))) = loads.next(), if !loads.is_empty() => {
                    resource.install(items, revision);
                    if first {
                        first_loads -= 1;
                        if first_loads == 0 {
                            self.published.send_replace(seen);
                        }
                    }
                }
                Some(resource) = added.recv() => {
                    loads.push(self.load(resource, slots.clone(), false).boxed());
                }
                _ = trim.tick() => {
                    for resource in self.resources.read().values() {
                        resource.trim();
                    }
                }
            }
        }
    }

    /// Gives an event to the kind whose prefix its key has; keys of no kind are nobody's.
    fn route(&self, event: store::Event) {
        let resource = {
            let resources = self.resources.read();
            // No prefix is the beginning of another, so the last one that sorts before the key is the only candidate.
            resources
                .range::<str, _>((Bound::Unbounded, Bound::Included(event.key.as_str())))
                .next_back()
                .filter(|(prefix, _)| event.key.starts_with(prefix.as_str()))
                .map(|(_, resource)| resource.clone())
        };
        if let Some(resource) = resource {
            resource.apply(event);
        }
    }

    /// Reads one kind from the store, as often as it takes.
    async fn load(
        &self,
        resource: Arc<Resource>,
        slots: Arc<Semaphore>,
        first: bool,
    ) -> (Arc<Resource>, bool, Loaded) {
        // The semaphore is never closed.
        let _slot = slots.acquire().await;
        let mut pause = RETRY_FIRST;
        loop {
            match self.read(&resource).await {
                Ok(loaded) => return (resource, first, loaded),
                Err(error) => {
                    tracing::warn!(prefix = resource.prefix(), %error, "cannot read from the store; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MAX);
                }
            }
        }
    }

    async fn read(&self, resource: &Resource) -> Result<Loaded, store::Error> {
        let mut items = Vec::new();
        let mut start: Option<String> = None;
        let mut revision = 0;
        loop {
            let request = RangeRequest {
                prefix: resource.prefix(),
                start: start.as_deref(),
                limit: LOAD_PAGE,
                revision,
                keys_only: false,
            };
            let range = self.store.range(request).await?;
            revision = range.revision;
            for entry in &range.entries {
                if let Some(item) = resource.item(&entry.key, entry.mod_revision, &entry.value) {
                    items.push((item, entry.create_revision));
                }
            }
            match range.entries.last() {
                Some(last) if range.more => start = Some(format!("{}\0", last.key)),
                _ => return Ok((items, revision)),
            }
        }
    }
}
