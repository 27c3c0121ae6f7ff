//! List, watch, cache, tell: one resource kept up to date (client-go's Reflector and SharedInformer).
//!
//! ```text
//!            ┌────────── 410 Gone, or the list is too old ─────────┐
//!            ▼                                                     │
//! start ─► list at rv 0 ─► diff with the store ─► watch from rv ───┤ each event: store, then handlers
//!            ▲    │ fails         (synced)           │ ends, fails │
//!            └────┘ back-off                         └─► watch again from the last rv (back-off when it failed)
//! ```
//! After an expired version the list asks for the newest state (`resourceVersion=""`), so that time never runs backwards.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::{Client, Error, Resource};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::{ErrorExt, GoError};
use crate::http::{self, WatchEvent};
use crate::queue::Backoff;
use crate::store::{ObjectKey, Store};

/// Retries after failures: client-go starts at 800 ms and ends at 30 s. We stay quicker, because a restarted API server
/// shall be followed within seconds.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(3);
/// The server ends a watch after 5 to 10 minutes (client-go's `minWatchTimeout`).
const WATCH_TIMEOUT_SECONDS: u64 = 300;
/// How long after that we stop waiting for a server that does not end it.
const WATCH_GRACE: Duration = Duration::from_secs(30);

/// Lines about an unreachable API server, per process.
static QUIET: Quiet = Quiet { last: Mutex::new(None) };
const QUIET_TIME: Duration = Duration::from_secs(10);

struct Quiet {
    last: Mutex<Option<Instant>>,
}

impl Quiet {
    /// Whether the last line is long enough ago; the caller writes one then.
    fn is_over(&self) -> bool {
        let mut last = self.last.lock();
        let over = last.is_none_or(|last| last.elapsed() >= QUIET_TIME);
        if over {
            *last = Some(Instant::now());
        }
        over
    }
}

/// What an informer can cache: any k8s-openapi type, or a lean view struct that implements [`kube::Resource`].
pub trait Object: Resource + DeserializeOwned + Send + Sync + 'static {}
impl<K: Resource + DeserializeOwned + Send + Sync + 'static> Object for K {}

/// A change, told after the store has it.
pub enum Event<K> {
    /// The object is new (or new to us).
    Added(Arc<K>),
    /// The object changed.
    Updated {
        /// As the store had it.
        old: Arc<K>,
        /// As it is now.
        new: Arc<K>,
    },
    /// The object is gone; its last known state.
    Deleted(Arc<K>),
}

impl<K> Clone for Event<K> {
    fn clone(&self) -> Self {
        match self {
            Event::Added(new) => Event::Added(new.clone()),
            Event::Updated { old, new } => Event::Updated { old: old.clone(), new: new.clone() },
            Event::Deleted(old) => Event::Deleted(old.clone()),
        }
    }
}

impl<K> Event<K> {
    /// The newest state that this event carries.
    pub fn object(&self) -> &Arc<K> {
        match self {
            Event::Added(new) | Event::Updated { new, .. } => new,
            Event::Deleted(old) => old,
        }
    }
}

/// Which objects to follow, and how.
pub struct InformerOptions<K> {
    /// Only this namespace.
    pub namespace: Option<String>,
    /// Only objects with these labels.
    pub label_selector: Option<String>,
    /// Only objects with these fields, as `spec.nodeName=n1`.
    pub field_selector: Option<String>,
    /// Changes each object before it is stored, to drop what nobody reads. Managed fields are always dropped.
    pub transform: Option<fn(&mut K)>,
    /// Ask for the metadata only (for [`kube::core::PartialObjectMeta`]).
    pub metadata_only: bool,
}

impl<K> Default for InformerOptions<K> {
    fn default() -> Self {
        Self {
            namespace: None,
            label_selector: None,
            field_selector: None,
            transform: None,
            metadata_only: false,
        }
    }
}

type Handler<K> = Box<dyn Fn(&Event<K>) + Send + Sync>;

/// A cache of one resource. Clones share everything. It does nothing until [`Informer::spawn`].
pub struct Informer<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    client: Client,
    path: String,
    options: InformerOptions<K>,
    store: Store<K>,
    // Held while an event is stored and told, so that a new handler sees each object exactly once.
    handlers: Mutex<Vec<Handler<K>>>,
    synced: watch::Sender<bool>,
}

impl<K> Clone for Informer<K> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<K: Object> Informer<K>
where
    K::DynamicType: Default,
{
    /// An informer for `K`.
    pub fn new(client: Client, options: InformerOptions<K>) -> Self {
        Self::dynamic(client, &K::DynamicType::default(), options)
    }
}

impl<K: Object> Informer<K> {
    /// An informer for a resource that is known at run time.
    pub fn dynamic(client: Client, kind: &K::DynamicType, options: InformerOptions<K>) -> Self {
        let path = K::url_path(kind, options.namespace.as_deref());
        let shared = Shared {
            client,
            path,
            options,
            store: Store::default(),
            handlers: Mutex::new(Vec::new()),
            synced: watch::Sender::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The objects. Empty until synced.
    pub fn store(&self) -> &Store<K> {
        &self.shared.store
    }

    /// Calls `handler` for each change, in the informer's own task: it must be quick (put a key into a queue).
    /// Objects that are here already are told as added, before this returns.
    pub fn add_handler(&self, handler: impl Fn(&Event<K>) + Send + Sync + 'static) {
        let mut handlers = self.shared.handlers.lock();
        for object in self.shared.store.list() {
            handler(&Event::Added(object));
        }
        handlers.push(Box::new(handler));
    }

    /// The changes as a channel, beginning with the objects that are here already.
    pub fn subscribe(&self) -> mpsc::UnboundedReceiver<Event<K>> {
        let (tx, rx) = mpsc::unbounded_channel();
        // A receiver that was dropped only costs a failed send per event.
        self.add_handler(move |event| {
            let _ = tx.send(event.clone());
        });
        rx
    }

    /// Whether the first list is in the store.
    pub fn has_synced(&self) -> bool {
        *self.shared.synced.borrow()
    }

    /// Waits until [`Informer::has_synced`]. Never ends when the API server never answers: select with a stop token.
    pub async fn synced(&self) {
        let mut synced = self.shared.synced.subscribe();
        let _ = synced.wait_for(|synced| *synced).await;
    }

    /// Runs [`Informer::run`] in a task.
    pub fn spawn(&self, stop: CancellationToken) -> tokio::task::JoinHandle<()> {
        let informer = self.clone();
        tokio::spawn(async move { informer.run(stop).await })
    }

    /// Lists and watches until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let backoff = Backoff::new(BACKOFF_MIN, BACKOFF_MAX);
        let mut reflector = Reflector { shared: &self.shared, version: None, expired: false, backoff };
        tokio::select! {
            () = stop.cancelled() => {}
            () = reflector.run() => {}
        }
    }

    /// Stores one change that the caller knows by other means and tells it (used by tests and hollow nodes).
    pub fn inject(&self, object: K) {
        self.shared.put(object);
    }
}

struct Reflector<'a, K> {
    shared: &'a Shared<K>,
    /// Where to watch from; `None` means list first.
    version: Option<String>,
    /// The cache behind the server may be older than what we know: ask for the newest.
    expired: bool,
    backoff: Backoff,
}

impl<K: Object> Reflector<'_, K> {
    async fn run(&mut self) {
        loop {
            let end = match self.version.clone() {
                None => self.list().await,
                Some(version) => self.watch(version).await,
            };
            let Err(err) = end else { continue };
            if err.is_expired() {
                tracing::debug!("{}: version expired, listing again", self.shared.path);
                (self.version, self.expired) = (None, true);
            } else {
                let doing = if self.version.is_some() { "watch" } else { "list" };
                let text = format!("failed to {doing} {}: {}", self.shared.path, GoError(&err));
                // When the API server is away, all informers fail together: one line says it for all.
                if err.code().is_some() || QUIET.is_over() {
                    tracing::warn!("{text}");
                } else {
                    tracing::debug!("{text}");
                }
            }
            tokio::time::sleep(self.backoff.next()).await;
        }
    }

    async fn list(&mut self) -> Result<(), Error> {
        let version = if self.expired { "" } else { "0" };
        let url = self.shared.url(&[("resourceVersion", version)]);
        let list = http::list::<K>(&self.shared.client, &url, self.shared.accept("List")).await?;
        self.shared.replace(list.items);
        self.version = list.metadata.resource_version;
        self.expired = false;
        Ok(())
    }

    async fn watch(&mut self, version: String) -> Result<(), Error> {
        let seconds = WATCH_TIMEOUT_SECONDS + component_base::rand::u64() % WATCH_TIMEOUT_SECONDS;
        let limit = Instant::now() + Duration::from_secs(seconds) + WATCH_GRACE;
        let seconds = seconds.to_string();
        let url = self.shared.url(&[
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", &version),
            ("timeoutSeconds", &seconds),
        ]);
        let mut useful = false;
        let started = Instant::now();
        let asked = tokio::time::timeout(
            WATCH_GRACE,
            http::watch::<K>(&self.shared.client, &url, self.shared.accept("")),
        );
        let Ok(asked) = asked.await else { return Ok(()) };
        let mut events = asked?;
        while let Ok(Some(event)) = tokio::time::timeout_at(limit, events.next()).await {
            match event? {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    self.seen(object.meta().resource_version.clone());
                    self.shared.put(object);
                }
                WatchEvent::Deleted(object) => {
                    self.seen(object.meta().resource_version.clone());
                    self.shared.delete(object);
                }
                WatchEvent::Bookmark(version) => self.seen(Some(version)),
                WatchEvent::Error(status) => return Err(Error::Api(status)),
            }
            if !useful {
                useful = true;
                self.backoff.reset();
            }
        }
        // A watch that ends at once, again and again, must not become a busy loop.
        if !useful && started.elapsed() < Duration::from_secs(1) {
            tokio::time::sleep(self.backoff.next()).await;
        }
        Ok(())
    }

    fn seen(&mut self, version: Option<String>) {
        if version.as_ref().is_some_and(|version| !version.is_empty()) {
            self.version = version;
        }
    }
}

impl<K: Object> Shared<K> {
    fn url(&self, parameters: &[(&str, &str)]) -> String {
        let mut url = format!("{}?", self.path);
        let selectors = [
            ("labelSelector", &self.options.label_selector),
            ("fieldSelector", &self.options.field_selector),
        ];
        let selectors = selectors.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
        for (name, value) in parameters.iter().copied().chain(selectors) {
            if !url.ends_with('?') {
                url.push('&');
            }
            url.push_str(name);
            url.push('=');
            escape(value, &mut url);
        }
        url
    }

    fn accept(&self, list: &str) -> &'static str {
        match (self.options.metadata_only, list) {
            (false, _) => "application/json",
            (true, "List") => {
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
            }
            (true, _) => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
        }
    }

    /// Makes the store equal to a list, and tells the differences.
    fn replace(&self, items: Vec<K>) {
        let handlers = self.handlers.lock();
        let mut gone: std::collections::BTreeSet<ObjectKey> = self.store.keys().into_iter().collect();
        for item in items {
            gone.remove(&ObjectKey::of(item.meta()));
            self.put_locked(&handlers, item);
        }
        for key in gone {
            self.remove_locked(&handlers, &key);
        }
        drop(handlers);
        self.synced.send_replace(true);
    }

    fn put(&self, object: K) {
        self.put_locked(&self.handlers.lock(), object);
    }

    fn put_locked(&self, handlers: &[Handler<K>], mut object: K) {
        object.meta_mut().managed_fields = None;
        if let Some(transform) = self.options.transform {
            transform(&mut object);
        }
        let key = ObjectKey::of(object.meta());
        let new = Arc::new(object);
        let Some(old) = self.store.insert(key.clone(), new.clone()) else {
            return tell(handlers, &Event::Added(new));
        };
        let (before, after) = (old.meta(), new.meta());
        if before.uid != after.uid {
            // Deleted and created again while we did not look.
            tell(handlers, &Event::Deleted(old));
            tell(handlers, &Event::Added(new));
        } else if before.resource_version != after.resource_version || after.resource_version.is_none() {
            tell(handlers, &Event::Updated { old, new });
        }
    }

    fn delete(&self, object: K) {
        let handlers = self.handlers.lock();
        let key = ObjectKey::of(object.meta());
        if self.store.remove(&key).is_some() {
            // The event's own object is the newest state (it may have got a deletion timestamp since).
            let mut object = object;
            object.meta_mut().managed_fields = None;
            if let Some(transform) = self.options.transform {
                transform(&mut object);
            }
            tell(&handlers, &Event::Deleted(Arc::new(object)));
        }
    }

    fn remove_locked(&self, handlers: &[Handler<K>], key: &ObjectKey) {
        if let Some(old) = self.store.remove(key) {
            tell(handlers, &Event::Deleted(old));
        }
    }
}

fn tell<K>(handlers: &[Handler<K>], event: &Event<K>) {
    for handler in handlers {
        handler(event);
    }
}

/// Percent-encodes a query value.
fn escape(value: &str, into: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => into.push(byte as char),
            _ => into.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests;
