//! Events about objects, as client-go's `tools/record` makes them.
//!
//! [`Recorder::event`] never waits: a task sends events, counts repeated ones with a patch, folds many similar ones into
//! one and drops floods. Events that cannot be delivered are dropped after some tries; they are hints, not state.

mod correlator;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Error, Resource};
use tokio::sync::mpsc;

use crate::clock;
use crate::error::{ErrorExt, GoError};
use crate::queue::Backoff;

use correlator::{Correlator, Verdict};

/// Events that wait for their turn; more are dropped (upstream's `maxQueuedEvents`).
const QUEUED_MAX: usize = 1000;
/// Upstream's `maxTriesPerEvent`.
const TRIES_MAX: u32 = 12;

/// The severity of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// Something that is expected to happen.
    Normal,
    /// Something that a person may want to look at.
    Warning,
}

impl EventType {
    fn as_str(self) -> &'static str {
        match self {
            EventType::Normal => "Normal",
            EventType::Warning => "Warning",
        }
    }
}

/// Records events in the name of one component. Clones share the queue.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Event>,
    source: Arc<EventSource>,
}

impl Recorder {
    /// A recorder whose events carry `component` and `host` (empty when the component runs once per cluster).
    /// Starts its sending task; call it inside a tokio runtime.
    pub fn new(client: Client, component: &str, host: &str) -> Self {
        let (queue, events) = mpsc::channel(QUEUED_MAX);
        tokio::spawn(deliver(client, events));
        Self::to_channel(queue, component, host)
    }

    /// A recorder for tests: events come out of the receiver.
    pub fn for_tests(component: &str) -> (Self, mpsc::Receiver<Event>) {
        let (queue, events) = mpsc::channel(QUEUED_MAX);
        (Self::to_channel(queue, component, ""), events)
    }

    fn to_channel(queue: mpsc::Sender<Event>, component: &str, host: &str) -> Self {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let source = EventSource { component: text(component), host: text(host) };
        Self { queue, source: Arc::new(source) }
    }

    /// The same queue in the name of another component of this process.
    pub fn as_component(&self, component: &str) -> Self {
        let source = EventSource { component: Some(component.to_owned()), host: self.source.host.clone() };
        Self { queue: self.queue.clone(), source: Arc::new(source) }
    }

    /// Records an event about an object of a known type.
    pub fn event<K: Resource<DynamicType = ()>>(
        &self,
        about: &K,
        kind: EventType,
        reason: &str,
        message: impl Into<String>,
    ) {
        self.event_ref(&reference(about), kind, reason, message);
    }

    /// Records an event about whatever `about` names.
    pub fn event_ref(
        &self,
        about: &ObjectReference,
        kind: EventType,
        reason: &str,
        message: impl Into<String>,
    ) {
        let now = clock::now();
        let time = clock::time();
        let name = about.name.as_deref().unwrap_or_default();
        let namespace = about.namespace.as_deref().filter(|ns| !ns.is_empty()).unwrap_or("default");
        let event = Event {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{:x}", now.as_nanosecond())),
                namespace: Some(namespace.to_owned()),
                ..Default::default()
            },
            involved_object: about.clone(),
            reason: Some(reason.to_owned()),
            message: Some(message.into()),
            first_timestamp: Some(time.clone()),
            last_timestamp: Some(time),
            count: Some(1),
            type_: Some(kind.as_str().to_owned()),
            source: Some((*self.source).clone()),
            reporting_component: self.source.component.clone(),
            reporting_instance: self.source.host.clone(),
            ..Default::default()
        };
        let text = event.message.as_deref().unwrap_or_default();
        tracing::info!(object = %format_args!("{namespace}/{name}"), kind = about.kind.as_deref().unwrap_or_default(),
            type = kind.as_str(), reason, message = format!("Event occurred: {text}"));
        if self.queue.try_send(event).is_err() {
            tracing::warn!("unable to record event: too many queued events, dropped");
        }
    }
}

/// A reference to an object as events carry it (upstream's `reference.GetReference`).
pub fn reference<K: Resource<DynamicType = ()>>(object: &K) -> ObjectReference {
    let mut reference = object.object_ref(&());
    reference.resource_version.clone_from(&object.meta().resource_version);
    reference
}

async fn deliver(client: Client, mut events: mpsc::Receiver<Event>) {
    let mut correlator = Correlator::default();
    while let Some(event) = events.recv().await {
        let verdict = correlator.judge(event);
        let sent = match verdict {
            Verdict::Drop => continue,
            Verdict::Send { event, repeated } => (send(&client, &event, repeated).await, event),
        };
        match sent {
            (Ok(stored), event) => correlator.stored(&event, &stored),
            (Err(err), _) => tracing::warn!("event is not recorded: {}", GoError(&err)),
        }
    }
}

/// Writes one event; tries again while the API server cannot be reached.
async fn send(client: &Client, event: &Event, mut repeated: bool) -> Result<Event, Error> {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
    let namespace = event.metadata.namespace.as_deref().unwrap_or("default");
    let api = Api::<Event>::namespaced(client.clone(), namespace);
    let mut tries = 0;
    loop {
        tries += 1;
        let result = if repeated {
            let name = event.metadata.name.as_deref().unwrap_or_default();
            let patch = serde_json::json!({
                "count": event.count, "lastTimestamp": event.last_timestamp, "message": event.message,
            });
            api.patch(name, &PatchParams::default(), &Patch::Strategic(patch)).await
        } else {
            let mut fresh = event.clone();
            fresh.metadata.resource_version = None;
            api.create(&PostParams::default(), &fresh).await
        };
        match result {
            // It expired; begin anew.
            Err(err) if repeated && err.is_not_found() => repeated = false,
            Err(err) if err.code().is_some_and(|code| code < 500 && code != 429) || tries >= TRIES_MAX => {
                return Err(err);
            }
            Err(_) => tokio::time::sleep(backoff.next()).await,
            Ok(stored) => return Ok(stored),
        }
    }
}
