//! Hands news to the pods' workers: objects from the API server, events from Docker. Finds containers whose pod is gone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Api;
use kube::runtime::watcher::{self, Event};
use parking_lot::RwLock;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::labels::{self, PodRef};
use crate::worker::{self, Handle, Wanted};

/// The pods of this node, for the server's questions.
#[derive(Default)]
pub struct Pods {
    handles: RwLock<HashMap<String, Handle>>,
}

impl Pods {
    /// All pods.
    pub fn all(&self) -> Vec<Arc<Pod>> {
        self.handles.read().values().map(Handle::pod).collect()
    }

    /// One pod by name, the uid decides when given.
    pub fn find(&self, namespace: &str, name: &str, uid: Option<&str>) -> Option<Arc<Pod>> {
        let handles = self.handles.read();
        if let Some(uid) = uid {
            return handles.get(uid).map(Handle::pod);
        }
        let is_it = |pod: &Arc<Pod>| {
            pod.metadata.namespace.as_deref() == Some(namespace) && pod.metadata.name.as_deref() == Some(name)
        };
        let mut found: Vec<_> = handles.values().map(Handle::pod).filter(is_it).collect();
        // Of two with one name, the one that is not going away.
        found.sort_by_key(|p| p.metadata.deletion_timestamp.is_some());
        found.into_iter().next()
    }

    fn wake_all(&self) {
        self.handles.read().values().for_each(Handle::wake);
    }
}

/// Runs until `stop`. `runtime_well` tells whether Docker answers; `lost` changes when the Node was found missing.
pub async fn run(
    context: Arc<Context>,
    pods: Arc<Pods>,
    runtime_well: watch::Sender<bool>,
    mut lost: watch::Receiver<u64>,
    stop: CancellationToken,
) {
    adopt_addresses(&context, &stop).await;
    let events = tokio::spawn(follow_runtime(context.clone(), pods.clone(), runtime_well, stop.clone()));
    let (ended, mut ended_uids) = mpsc::unbounded_channel();
    let mut manager = Manager { context: context.clone(), pods, ended, listing: None };
    let mut news = watch_pods(&context);
    let mut pauses = Pauses::default();
    let mut pause = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
    let mut paused = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = &mut pause, if paused => paused = false,
            Some(uid) = ended_uids.recv() => drop(manager.pods.handles.write().remove(&uid)),
            event = news.next(), if !paused => match event {
                Some(Ok(event)) => {
                    // The beginning of a list shows nothing yet.
                    if !matches!(event, Event::Init) {
                        pauses.reset();
                    }
                    manager.note(event).await;
                }
                Some(Err(e)) => {
                    let wait = pauses.next(&e);
                    pause.as_mut().reset(tokio::time::Instant::now() + wait);
                    paused = true;
                }
                None => break,
            },
            // The cluster may be a new one, whose history knows nothing of our watch.
            Ok(()) = lost.changed() => news = watch_pods(&context),
        }
    }
    manager.pods.handles.write().clear();
    let _ = events.await;
}

type News = std::pin::Pin<Box<dyn futures::Stream<Item = Result<Event<Pod>, watcher::Error>> + Send>>;

fn watch_pods(context: &Context) -> News {
    let api: Api<Pod> = Api::all(context.client.clone());
    let config = watcher::Config::default().fields(&format!("spec.nodeName={}", context.owner.node));
    Box::pin(watcher::watcher(api, config))
}

/// Waits between tries to watch: an API server that comes back should be noticed within seconds.
#[derive(Default)]
struct Pauses {
    failures: u32,
}

impl Pauses {
    /// Says why, but not for ever.
    fn next(&mut self, error: &watcher::Error) -> Duration {
        if self.failures < 3 || self.failures.is_multiple_of(16) {
            tracing::warn!("cannot watch pods, trying again: {error}");
        }
        self.failures = self.failures.saturating_add(1);
        component_base::rand::jitter(Duration::from_millis(100 << self.failures.min(5)), 0.2)
    }

    fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Addresses of living sandboxes must not be given out again. Docker answered a moment ago; it may need another try.
async fn adopt_addresses(context: &Context, stop: &CancellationToken) {
    loop {
        match context.runtime.list(None).await {
            Ok(found) => {
                let running = found.iter().filter(|c| c.running);
                for ip in running.filter_map(|c| c.labels.get(labels::POD_IP)?.parse().ok()) {
                    context.network.adopt(ip);
                }
                return;
            }
            Err(e) => tracing::warn!("{e}"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

async fn follow_runtime(
    context: Arc<Context>,
    pods: Arc<Pods>,
    well: watch::Sender<bool>,
    stop: CancellationToken,
) {
    let mut pause = Duration::from_millis(200);
    loop {
        let opened = context.runtime.events().await;
        // The event stream opens lazily: only an answer shows that Docker is there.
        let alive = context.runtime.info().await;
        match (opened, alive) {
            (Ok(mut events), Ok(_)) => {
                pause = Duration::from_millis(200);
                well.send_if_modified(|now| !std::mem::replace(now, true));
                pods.wake_all();
                loop {
                    let event = tokio::select! {
                        () = stop.cancelled() => return,
                        event = events.next() => event,
                    };
                    match event {
                        Some(Ok(event)) => {
                            tracing::debug!(
                                id = event.container_id,
                                action = event.action,
                                "container event"
                            );
                            if let Some(handle) = pods.handles.read().get(&event.pod_uid) {
                                handle.wake();
                            }
                        }
                        Some(Err(e)) => {
                            tracing::warn!("lost Docker's events: {e}");
                            break;
                        }
                        None => break,
                    }
                }
            }
            (Err(e), _) | (_, Err(e)) => {
                well.send_if_modified(|now| std::mem::replace(now, false));
                tracing::warn!("{e}");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(10)),
        }
    }
}

struct Manager {
    context: Arc<Context>,
    pods: Arc<Pods>,
    ended: mpsc::UnboundedSender<String>,
    /// Uids of a list that is under way.
    listing: Option<HashSet<String>>,
}

impl Manager {
    async fn note(&mut self, event: Event<Pod>) {
        match event {
            Event::Init => self.listing = Some(HashSet::new()),
            Event::InitApply(pod) => {
                let uid = self.apply(pod);
                if let Some(listing) = &mut self.listing {
                    listing.insert(uid);
                }
            }
            Event::InitDone => {
                let listed = self.listing.take().unwrap_or_default();
                for (_, handle) in self.pods.handles.read().iter().filter(|(uid, _)| !listed.contains(*uid)) {
                    handle.gone();
                }
                self.find_orphans().await;
            }
            Event::Apply(pod) => drop(self.apply(pod)),
            Event::Delete(pod) => {
                let uid = PodRef::of(&pod).uid;
                if let Some(handle) = self.pods.handles.read().get(&uid) {
                    handle.gone();
                }
            }
        }
    }

    fn apply(&self, mut pod: Pod) -> String {
        // Nobody here reads them, and they are the larger half of many objects.
        pod.metadata.managed_fields = None;
        let uid = PodRef::of(&pod).uid;
        self.put(&uid, Wanted { pod: Arc::new(pod), gone: false });
        uid
    }

    fn put(&self, uid: &str, wanted: Wanted) {
        let mut handles = self.pods.handles.write();
        match handles.get(uid) {
            Some(handle) => handle.update(wanted),
            None => {
                tracing::info!(pod = %PodRef::of(&wanted.pod), gone = wanted.gone, "SyncLoop ADD");
                let handle = worker::spawn(self.context.clone(), wanted, self.ended.clone());
                handles.insert(uid.to_owned(), handle);
            }
        }
    }

    /// Containers of pods that were removed while we were away.
    async fn find_orphans(&self) {
        let found = match self.context.runtime.list(None).await {
            Ok(found) => found,
            Err(e) => {
                tracing::warn!("{e}");
                return;
            }
        };
        let mut orphans: BTreeMap<PodRef, i64> = BTreeMap::new();
        for container in &found {
            let Some(id) = PodRef::from_labels(&container.labels) else { continue };
            if self.pods.handles.read().contains_key(&id.uid) {
                continue;
            }
            let grace = container.labels.get(labels::GRACE_PERIOD).and_then(|g| g.parse().ok());
            let entry = orphans.entry(id).or_insert(1);
            *entry = grace.unwrap_or(1).max(*entry);
        }
        for (id, grace) in orphans {
            tracing::info!(pod = %id, "containers without a pod: they will be removed");
            let uid = id.uid.clone();
            self.put(&uid, Wanted { pod: Arc::new(remembered(id, grace)), gone: true });
        }
        let handles = self.pods.handles.read();
        self.context.volumes.clean(|uid| handles.contains_key(uid));
    }
}

/// What labels remember of a pod: enough to end it.
fn remembered(id: PodRef, grace: i64) -> Pod {
    Pod {
        metadata: ObjectMeta {
            name: Some(id.name),
            namespace: Some(id.namespace),
            uid: Some(id.uid),
            deletion_timestamp: Some(Time(jiff::Timestamp::now())),
            deletion_grace_period_seconds: Some(grace),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec { containers: vec![Container::default()], ..PodSpec::default() }),
        status: None,
    }
}
