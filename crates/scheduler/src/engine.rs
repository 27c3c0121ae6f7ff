//! The loop that owns cluster and queue.

use std::{collections::HashMap, sync::Arc, time::Duration};

use client::{
    ErrorExt, GoError, ObjectKey,
    events::{EventType, Recorder},
    informer::Event,
};
use k8s_openapi::api::core::v1::{ObjectReference, PersistentVolumeClaim};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::Cluster,
    plugins::volumes,
    pod::PodInfo,
    preempt::{NoPlan, Plan, preempt},
    queue::{Entry, Queue, Wake},
    schedule::{Chance, Placement, Reasons, schedule},
    views::{Claim, Namespace, Node, PersistentVolume, Pod, StorageClass},
};

/// How many bindings may be on their way; more would only wait in the API server.
const BINDINGS_MAX: usize = 256;
/// How long a provisioner may take to make a pod's volumes (upstream's `bindTimeoutSeconds`).
const PROVISION_TIMEOUT: Duration = Duration::from_secs(600);
/// Tells provisioners where a volume is wanted.
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// After so many pods others get a turn on this thread.
const PODS_PER_TURN: usize = 8;

/// What the informers saw.
pub(crate) enum Change {
    Pod(Event<Pod>),
    Node(Event<Node>),
    Namespace(Event<Namespace>),
    Claim(Event<Claim>),
    Volume(Event<PersistentVolume>),
    Class(Event<StorageClass>),
}

/// How a binding ended.
struct Bound {
    entry: Entry,
    result: Result<(), kube::Error>,
}

/// A pod that has its node and waits for its volumes.
struct Provisioning {
    entry: Entry,
    node: String,
    until: Instant,
}

struct OnNode {
    node: String,
    /// We decided so; the API server has not told us yet.
    assumed: bool,
}

/// The scheduler's state.
pub(crate) struct Engine {
    client: Client,
    recorder: Recorder,
    scheduler_name: String,
    cluster: Cluster,
    queue: Queue,
    /// Pods with a node, by uid.
    on_nodes: HashMap<String, OnNode>,
    next_start: usize,
    binding: usize,
    provisioning: Vec<Provisioning>,
    bound: (mpsc::UnboundedSender<Bound>, mpsc::UnboundedReceiver<Bound>),
}

impl Engine {
    pub(crate) fn new(client: Client, recorder: Recorder, scheduler_name: String) -> Self {
        Self {
            client,
            recorder,
            scheduler_name,
            cluster: Cluster::default(),
            queue: Queue::default(),
            on_nodes: HashMap::new(),
            next_start: 0,
            binding: 0,
            provisioning: Vec::new(),
            bound: mpsc::unbounded_channel(),
        }
    }

    /// Schedules until `stop`. `changes` begins with everything that exists.
    pub(crate) async fn run(mut self, mut changes: mpsc::UnboundedReceiver<Change>, stop: CancellationToken) {
        let mut in_a_row = 0;
        while !stop.is_cancelled() {
            while let Ok(change) = changes.try_recv() {
                self.apply(change);
            }
            while let Ok(bound) = self.bound.1.try_recv() {
                self.finish(bound);
            }
            self.queue.flush(Instant::now());
            self.give_up_provisioning();
            if self.binding < BINDINGS_MAX
                && let Some(entry) = self.queue.pop()
            {
                self.schedule_one(entry);
                in_a_row += 1;
                if in_a_row % PODS_PER_TURN == 0 {
                    tokio::task::yield_now().await;
                }
                continue;
            }
            let next = self.queue.next_flush().filter(|_| !self.queue.has_active());
            let next = next.into_iter().chain(self.provisioning.iter().map(|waiting| waiting.until)).min();
            let pause = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                change = changes.recv() => match change {
                    Some(change) => self.apply(change),
                    None => return,
                },
                Some(bound) = self.bound.1.recv() => self.finish(bound),
                () = pause => {}
                () = stop.cancelled() => return,
            }
        }
    }

    fn apply(&mut self, change: Change) {
        let now = Instant::now();
        match change {
            Change::Pod(Event::Deleted(pod)) => self.pod_gone(&pod),
            Change::Pod(event) => self.pod_seen(event.object().clone()),
            Change::Node(Event::Deleted(node)) => {
                self.cluster.remove_node(node.metadata.name.as_deref().unwrap_or_default());
            }
            Change::Node(event) => {
                if self.cluster.set_node(event.object()) {
                    self.queue.wake(Wake::Node, now);
                }
            }
            Change::Namespace(event) => {
                let namespace = event.object();
                let name = namespace.metadata.name.clone().unwrap_or_default();
                if matches!(event, Event::Deleted(_)) {
                    self.cluster.namespaces.remove(&name);
                } else {
                    let labels = namespace.metadata.labels.clone().unwrap_or_default();
                    if self.cluster.namespaces.insert(name, labels.clone()) != Some(labels) {
                        self.queue.wake(Wake::Namespace, now);
                    }
                }
            }
            Change::Claim(event) => {
                let key = ObjectKey::of(&event.object().metadata).to_string();
                put(&mut self.cluster.claims, key, &event);
                self.queue.wake(Wake::Volume, now);
                self.bind_provisioned();
            }
            Change::Volume(event) => {
                let key = event.object().metadata.name.clone().unwrap_or_default();
                put(&mut self.cluster.volumes, key, &event);
                self.queue.wake(Wake::Volume, now);
            }
            Change::Class(event) => {
                let key = event.object().metadata.name.clone().unwrap_or_default();
                put(&mut self.cluster.classes, key, &event);
                self.queue.wake(Wake::Volume, now);
            }
        }
    }

    fn pod_seen(&mut self, pod: Arc<Pod>) {
        let now = Instant::now();
        if matches!(pod.status.phase.as_str(), "Succeeded" | "Failed") {
            return self.pod_gone(&pod);
        }
        let known = self.on_nodes.get(pod.uid());
        let node = pod.spec.node_name.clone();
        if node.is_empty() {
            let ours = pod.spec.scheduler_name == self.scheduler_name
                || (pod.spec.scheduler_name.is_empty() && self.scheduler_name == "default-scheduler");
            let waiting = pod.metadata.deletion_timestamp.is_some() || !pod.spec.scheduling_gates.is_empty();
            if !ours || waiting {
                self.queue.remove(&pod.key());
                self.no_longer_nominated(&pod);
            } else if known.is_none() {
                let info = Arc::new(PodInfo::new(pod));
                self.cluster.nominated.seen(&info);
                self.queue.add(info, now);
            }
            return;
        }
        let arrived = known.is_none();
        if let Some(known) = known {
            self.cluster.remove_pod(&known.node.clone(), pod.uid());
        }
        self.queue.remove(&pod.key());
        self.cluster.nominated.remove(pod.uid());
        self.on_nodes.insert(pod.uid().to_owned(), OnNode { node: node.clone(), assumed: false });
        self.cluster.add_pod(&node, Arc::new(PodInfo::new(pod)));
        if arrived {
            self.queue.wake(Wake::PodPlaced, now);
        }
    }

    /// Others may have the room that was kept for a pod.
    fn no_longer_nominated(&mut self, pod: &Pod) {
        if self.cluster.nominated.remove(pod.uid()) {
            self.queue.wake(Wake::PodRemoved, Instant::now());
        }
    }

    fn pod_gone(&mut self, pod: &Pod) {
        self.queue.remove(&pod.key());
        self.no_longer_nominated(pod);
        self.provisioning.retain(|waiting| waiting.entry.pod.pod.uid() != pod.uid());
        if let Some(known) = self.on_nodes.remove(pod.uid()) {
            self.cluster.remove_pod(&known.node, pod.uid());
            self.queue.wake(Wake::PodRemoved, Instant::now());
        }
    }

    fn schedule_one(&mut self, entry: Entry) {
        let chance = Chance { start: self.next_start, random: component_base::rand::u64() };
        match schedule(&entry.pod, &self.cluster, chance) {
            Ok(placement) => self.bind(entry, placement),
            Err(reasons) => self.reject(entry, &reasons),
        }
    }

    /// The pod takes its place at once, so that the next decision counts it; the API server hears of it meanwhile.
    fn bind(&mut self, entry: Entry, placement: Placement) {
        let nodes = self.cluster.nodes.len().max(1);
        self.next_start = (self.next_start + placement.evaluated) % nodes;
        let pod = entry.pod.clone();
        self.cluster.nominated.remove(pod.pod.uid());
        self.cluster.add_pod(&placement.node, pod.clone());
        self.on_nodes
            .insert(pod.pod.uid().to_owned(), OnNode { node: placement.node.clone(), assumed: true });
        self.queue.wake(Wake::PodPlaced, Instant::now());
        let unbound = volumes::unbound(&pod, &self.cluster);
        if unbound.is_empty() {
            return self.send_binding(entry, placement.node);
        }
        for claim in unbound {
            let (client, pod, node) = (self.client.clone(), pod.clone(), placement.node.clone());
            tokio::spawn(async move {
                let api: Api<PersistentVolumeClaim> = Api::namespaced(client, pod.namespace());
                let patch = serde_json::json!({"metadata": {"annotations": {SELECTED_NODE: node}}});
                let patched = api.patch(&claim, &PatchParams::default(), &Patch::Merge(&patch)).await;
                if let Err(err) = patched {
                    tracing::error!(
                        "Failed to annotate claim {}/{claim}: {}",
                        pod.namespace(),
                        GoError(&err)
                    );
                }
            });
        }
        let until = Instant::now() + PROVISION_TIMEOUT;
        self.provisioning.push(Provisioning { entry, node: placement.node, until });
    }

    fn send_binding(&mut self, entry: Entry, node: String) {
        self.binding += 1;
        let (client, recorder, done) = (self.client.clone(), self.recorder.clone(), self.bound.0.clone());
        tokio::spawn(async move {
            let pod = &entry.pod.pod;
            let result = bind(&client, pod, &node).await;
            if result.is_ok() {
                let text = format!("Successfully assigned {} to {node}", pod.key());
                recorder.event_ref(&reference(pod), EventType::Normal, "Scheduled", text);
            }
            // The receiver is gone only when the scheduler has stopped.
            let _ = done.send(Bound { entry, result });
        });
    }

    /// Binds the pods whose volumes have been made.
    fn bind_provisioned(&mut self) {
        let (ready, waiting) = std::mem::take(&mut self.provisioning)
            .into_iter()
            .partition(|waiting| volumes::unbound(&waiting.entry.pod, &self.cluster).is_empty());
        self.provisioning = waiting;
        let ready: Vec<Provisioning> = ready;
        for Provisioning { entry, node, .. } in ready {
            self.send_binding(entry, node);
        }
    }

    fn give_up_provisioning(&mut self) {
        let now = Instant::now();
        while let Some(index) = self.provisioning.iter().position(|waiting| waiting.until <= now) {
            let Provisioning { entry, .. } = self.provisioning.swap_remove(index);
            let text = "running PreBind plugin \"VolumeBinding\": binding volumes: context deadline exceeded";
            self.forget(entry, text.to_owned());
        }
    }

    fn finish(&mut self, bound: Bound) {
        self.binding = self.binding.saturating_sub(1);
        let Bound { entry, result } = bound;
        let Err(err) = result else { return };
        let pod = &entry.pod.pod;
        // The answer may have been lost, and the informer knows better.
        if !self.on_nodes.get(pod.uid()).is_some_and(|known| known.assumed) {
            return;
        }
        if err.is_not_found() {
            tracing::info!("pod {} was deleted before it could be bound", pod.key());
            let pod = pod.clone();
            return self.pod_gone(&pod);
        }
        let text = format!("binding rejected: {}", GoError(&err));
        self.forget(entry, text);
    }

    /// The pod does not get its place after all, and is tried again.
    fn forget(&mut self, entry: Entry, why: String) {
        let pod = &entry.pod.pod;
        if let Some(known) = self.on_nodes.remove(pod.uid()) {
            self.cluster.remove_pod(&known.node, pod.uid());
        }
        tracing::error!("Error scheduling pod {}; retrying: {why}", pod.key());
        self.recorder.event_ref(&reference(pod), EventType::Warning, "FailedScheduling", why);
        let now = Instant::now();
        self.queue.wake(Wake::PodRemoved, now);
        self.queue.failed(entry, now);
    }

    fn reject(&mut self, entry: Entry, reasons: &Reasons) {
        let pod = entry.pod.clone();
        let mut nominated = None;
        let mut told = String::new();
        if reasons.nodes > 0 {
            match preempt(&pod, &self.cluster, reasons) {
                Ok(plan) => {
                    nominated = Some(plan.node.clone());
                    self.give_way(&pod, &plan.node);
                    self.cluster.nominated.add(pod.clone(), &plan.node);
                    self.evict(&pod.pod, plan);
                }
                Err(NoPlan { told: why, hopeless }) => {
                    if hopeless && self.cluster.nominated.remove(pod.pod.uid()) {
                        nominated = Some(String::new());
                    }
                    told = why;
                }
            }
        }
        let message = reasons.message(&told);
        tracing::debug!("Unable to schedule pod {}; waiting: {message}", pod.pod.key());
        self.recorder.event_ref(
            &reference(&pod.pod),
            EventType::Warning,
            "FailedScheduling",
            message.clone(),
        );
        self.note(&pod.pod, message, nominated);
        self.queue.rejected(entry, reasons.plugins.clone(), Instant::now());
    }

    /// Less important pods that waited for the node look for another one.
    fn give_way(&mut self, to: &PodInfo, node: &str) {
        let less = |other: &&Arc<PodInfo>| other.pod.priority() < to.pod.priority();
        let losers: Vec<Arc<Pod>> =
            self.cluster.nominated.on(node).iter().filter(less).map(|other| other.pod.clone()).collect();
        for pod in losers {
            self.cluster.nominated.remove(pod.uid());
            self.write_status(&pod, serde_json::json!({ "nominatedNodeName": null }));
        }
    }

    /// Writes the PodScheduled condition (and the nominated node, empty for none any more) when they are not there already.
    fn note(&self, pod: &Arc<Pod>, message: String, nominated: Option<String>) {
        let before = pod.condition("PodScheduled");
        let same = before
            .is_some_and(|c| c.status == "False" && c.reason == "Unschedulable" && c.message == message);
        if same && nominated.is_none() {
            return;
        }
        let mut condition = serde_json::json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            "lastProbeTime": null,
        });
        if before.is_none_or(|condition| condition.status != "False") {
            condition["lastTransitionTime"] = serde_json::json!(client::clock::time());
        }
        if let Some(generation) = pod.metadata.generation {
            condition["observedGeneration"] = generation.into();
        }
        let mut status = serde_json::json!({ "conditions": [condition] });
        if let Some(node) = nominated {
            let node = Some(node).filter(|node| !node.is_empty());
            status["nominatedNodeName"] = node.into();
        }
        self.write_status(pod, status);
    }

    fn write_status(&self, pod: &Arc<Pod>, status: serde_json::Value) {
        let (client, pod) = (self.client.clone(), pod.clone());
        tokio::spawn(async move {
            if let Err(err) = patch_status(&client, &pod, status).await
                && !err.is_not_found()
            {
                tracing::error!("Failed to update the status of pod {}: {}", pod.key(), GoError(&err));
            }
        });
    }

    /// Deletes the pods that have to make room.
    fn evict(&self, pod: &Arc<Pod>, plan: Plan) {
        tracing::info!("preempting {} pods on {} for {}", plan.victims.len(), plan.node, pod.key());
        for victim in plan.victims {
            let (client, recorder) = (self.client.clone(), self.recorder.clone());
            let (pod, node) = (pod.clone(), plan.node.clone());
            tokio::spawn(async move {
                let victim = &victim.pod;
                let message =
                    format!("{}: preempting to accommodate a higher priority pod", pod.spec.scheduler_name);
                let status = serde_json::json!({"conditions": [{
                    "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
                    "message": message, "lastProbeTime": null, "lastTransitionTime": client::clock::time(),
                }]});
                let api: Api<k8s_openapi::api::core::v1::Pod> =
                    Api::namespaced(client.clone(), victim.metadata.namespace.as_deref().unwrap_or_default());
                let name = victim.metadata.name.as_deref().unwrap_or_default();
                let deleted = async {
                    patch_status(&client, victim, status).await?;
                    api.delete(name, &kube::api::DeleteParams::default()).await.map(drop)
                };
                match deleted.await {
                    Ok(()) => {
                        let text = format!("Preempted by pod {} on node {node}", pod.uid());
                        recorder.event_ref(&reference(victim), EventType::Normal, "Preempted", text);
                    }
                    Err(err) if err.is_not_found() => {}
                    Err(err) => tracing::error!("Could not preempt pod {}: {}", victim.key(), GoError(&err)),
                }
            });
        }
    }
}

fn put<K>(map: &mut HashMap<String, Arc<K>>, key: String, event: &Event<K>) {
    if matches!(event, Event::Deleted(_)) {
        map.remove(&key);
    } else {
        map.insert(key, event.object().clone());
    }
}

fn reference(pod: &Pod) -> ObjectReference {
    client::events::reference(pod)
}

async fn bind(client: &Client, pod: &Pod, node: &str) -> Result<(), kube::Error> {
    let (namespace, name) =
        (pod.metadata.namespace.as_deref().unwrap_or_default(), pod.metadata.name.as_deref());
    let name = name.unwrap_or_default();
    let body = serde_json::json!({
        "apiVersion": "v1", "kind": "Binding",
        "metadata": {"name": name, "namespace": namespace, "uid": pod.uid()},
        "target": {"kind": "Node", "name": node},
    });
    let request = http::Request::post(format!("/api/v1/namespaces/{namespace}/pods/{name}/binding"))
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into_bytes())
        .map_err(kube::Error::HttpError)?;
    client.request_text(request).await.map(drop)
}

async fn patch_status(client: &Client, pod: &Pod, status: serde_json::Value) -> Result<(), kube::Error> {
    let (namespace, name) =
        (pod.metadata.namespace.as_deref().unwrap_or_default(), pod.metadata.name.as_deref());
    let name = name.unwrap_or_default();
    let body = serde_json::json!({ "metadata": {"uid": pod.uid()}, "status": status });
    let request = http::Request::patch(format!("/api/v1/namespaces/{namespace}/pods/{name}/status"))
        .header(http::header::CONTENT_TYPE, "application/strategic-merge-patch+json")
        .body(body.to_string().into_bytes())
        .map_err(kube::Error::HttpError)?;
    client.request_text(request).await.map(drop)
}
