//! Endpoints of services (upstream's `pkg/controller/endpoint` and the module `endpointslice`).
//!
//! Two writers share what pods are behind a service ([`members`]): [`subsets`] makes v1 Endpoints, [`slices`] makes
//! discovery.k8s.io/v1 EndpointSlices. A third one, [`mirror`], makes EndpointSlices from Endpoints that people write.

mod members;
mod mirror;
mod slices;
mod subsets;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::controller::Outcome;
use client::events::{EventType, Recorder};
use client::informer::Event;
use client::queue::WorkQueue;
use client::{ErrorExt, GoError, ObjectKey, Store};
use kube::{Client, Error};
use serde_json::{Value, json};

use crate::context::{Context, HasSynced, synced};
use crate::views::{EndpointSlice, Endpoints, Node, Pod, Service};
use crate::{api, labels, pods};

const ENDPOINTS: &str = "endpoint-controller";
const SLICES: &str = "endpoint-slice-controller";
const MIRRORING: &str = "endpoint-slice-mirroring-controller";
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const HEADLESS: &str = "service.kubernetes.io/headless";
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";

/// Wakes the services whose pods changed.
fn watch_services_and_pods(
    context: &Context,
    queue: &WorkQueue<ObjectKey>,
) -> (Store<Service>, Store<Pod>, Vec<Box<dyn HasSynced + Send>>) {
    let services = context.informers.of::<Service>();
    let pods = context.informers.of::<Pod>();
    let q = queue.clone();
    services.add_handler(move |event| q.add(ObjectKey::of(&event.object().metadata)));
    let (q, store) = (queue.clone(), services.store().clone());
    pods.add_handler(move |event| {
        let (old, new) = match event {
            Event::Updated { old, new } if !matters(old, new) => return,
            Event::Updated { old, new } => (Some(old), new),
            other => (None, other.object()),
        };
        let namespace = new.metadata.namespace.as_deref().unwrap_or_default();
        for service in store.in_namespace(namespace) {
            let selector = &service.spec.selector;
            let selects =
                |pod: &Pod| !selector.is_empty() && labels::contains(pod.metadata.labels.as_ref(), selector);
            if selects(new) || old.is_some_and(|old| selects(old)) {
                q.add(ObjectKey::of(&service.metadata));
            }
        }
    });
    let stores = (services.store().clone(), pods.store().clone());
    (stores.0, stores.1, vec![Box::new(services), Box::new(pods)])
}

/// Whether a change of a pod can change endpoints. Kubelets write statuses often.
fn matters(old: &Pod, new: &Pod) -> bool {
    old.metadata.labels != new.metadata.labels
        || old.metadata.deletion_timestamp.is_some() != new.metadata.deletion_timestamp.is_some()
        || old.status.pod_ip != new.status.pod_ip
        || old.status.pod_ips != new.status.pod_ips
        || old.spec.node_name != new.spec.node_name
        || pods::is_ready(old) != pods::is_ready(new)
        || pods::is_terminal(old) != pods::is_terminal(new)
}

async fn all_synced(context: &Context, waits: &[Box<dyn HasSynced + Send>]) -> bool {
    for wait in waits {
        if !synced(&context.stop, &[&**wait]).await {
            return false;
        }
    }
    true
}

/// The pods that a service selects.
fn selected(service: &Service, pods: &Store<Pod>) -> Vec<Arc<Pod>> {
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    let mut pods = pods.in_namespace(namespace);
    pods.retain(|pod| labels::contains(pod.metadata.labels.as_ref(), &service.spec.selector));
    pods
}

/// Whether endpoints are ours to write.
fn is_ours(service: &Service) -> bool {
    !service.spec.selector.is_empty() && service.spec.type_.as_deref() != Some("ExternalName")
}

/// Runs the controller of v1 Endpoints until stopped.
pub async fn run(context: Context) {
    let queue = WorkQueue::new();
    let endpoints = context.informers.of::<Endpoints>();
    let (services, pods, waits) = watch_services_and_pods(&context, &queue);
    if !all_synced(&context, &waits).await || !synced(&context.stop, &[&endpoints]).await {
        return;
    }
    // Endpoints whose service was deleted while nobody looked; leader records are not services'.
    for left in endpoints.store().list() {
        let record =
            left.metadata.annotations.as_ref().is_some_and(|a| a.contains_key(client::leader::ANNOTATION));
        if !record {
            queue.add(ObjectKey::of(&left.metadata));
        }
    }
    // Someone changed or deleted ours.
    let q = queue.clone();
    let known = services.clone();
    endpoints.add_handler(move |event| {
        let key = ObjectKey::of(&event.object().metadata);
        if known.get(&key).is_some_and(|service| is_ours(&service)) {
            q.add(key);
        }
    });
    let client = context.client.clone();
    let recorder = context.recorder.as_component(ENDPOINTS);
    let store = endpoints.store().clone();
    client::controller::run(ENDPOINTS, queue, 5, context.stop, move |key| {
        let (client, recorder) = (client.clone(), recorder.clone());
        let (services, pods, store) = (services.clone(), pods.clone(), store.clone());
        async move {
            let current = store.get(&key);
            match services.get(&key) {
                Some(service) if is_ours(&service) => {
                    let subsets = subsets::of(&service, &selected(&service, &pods));
                    write(&client, &recorder, &service, current.as_deref(), subsets).await
                }
                Some(_) => Ok(Outcome::Done),
                None => match current {
                    Some(endpoints) => {
                        api::delete::<Endpoints>(&client, &endpoints.metadata).await.map(|()| Outcome::Done)
                    }
                    None => Ok(Outcome::Done),
                },
            }
        }
    })
    .await;
}

async fn write(
    client: &Client,
    recorder: &Recorder,
    service: &Service,
    current: Option<&Endpoints>,
    mut subsets: Vec<subsets::Subset>,
) -> Result<Outcome, Error> {
    let truncated = subsets::truncate(&mut subsets);
    let mut wanted: BTreeMap<String, String> = service.metadata.labels.clone().unwrap_or_default();
    wanted.insert(MANAGED_BY.into(), ENDPOINTS.into());
    let headless = service.spec.cluster_ip.as_deref().is_none_or(|ip| ip.is_empty() || ip == "None");
    if headless {
        wanted.insert(HEADLESS.into(), String::new());
    } else {
        wanted.remove(HEADLESS);
    }
    let list = if subsets.is_empty() { Value::Null } else { json!(subsets) };
    let name = service.metadata.name.clone().unwrap_or_default();
    let namespace = service.metadata.namespace.clone().unwrap_or_default();
    let capacity = if truncated { json!("truncated") } else { Value::Null };
    let result = match current {
        Some(current) => {
            let have = current.metadata.labels.clone().unwrap_or_default();
            let noted = current.metadata.annotations.as_ref().is_some_and(|a| a.contains_key(OVER_CAPACITY));
            if subsets::same(&current.subsets, &subsets) && have == wanted && noted == truncated {
                return Ok(Outcome::Done);
            }
            let mut change = json!({ "metadata": { "labels": wanted }, "subsets": list });
            for gone in have.keys().filter(|key| !wanted.contains_key(*key)) {
                change["metadata"]["labels"][gone] = Value::Null;
            }
            if noted != truncated {
                change["metadata"]["annotations"] = json!({ OVER_CAPACITY: capacity });
            }
            api::patch::<Endpoints>(client, &current.metadata, change).await
        }
        None => {
            let mut object = json!({ "metadata": { "name": name, "namespace": namespace, "labels": wanted }, "subsets": list });
            if truncated {
                object["metadata"]["annotations"] = json!({ OVER_CAPACITY: capacity });
            }
            api::create::<Endpoints>(client, Some(&namespace), object).await
        }
    };
    match result {
        Ok(_) => Ok(Outcome::Done),
        Err(err) if err.is_namespace_terminating() => Ok(Outcome::Done),
        // Another write was faster; the next try sees it.
        Err(err) if err.is_conflict() || err.is_already_exists() => Err(err),
        Err(err) => {
            let about = match current {
                Some(current) => client::events::reference(current),
                None => client::events::reference(&Endpoints {
                    metadata: service.metadata.clone(),
                    ..Default::default()
                }),
            };
            let (reason, text) = match current {
                None => (
                    "FailedToCreateEndpoint",
                    format!("Failed to create endpoint for service {namespace}/{name}: {}", GoError(&err)),
                ),
                Some(_) => (
                    "FailedToUpdateEndpoint",
                    format!("Failed to update endpoint {namespace}/{name}: {}", GoError(&err)),
                ),
            };
            recorder.event_ref(&about, EventType::Warning, reason, text);
            Err(err)
        }
    }
}

/// Runs the controller of EndpointSlices until stopped.
pub async fn run_slices(context: Context) {
    let queue = WorkQueue::new();
    let (services, pods, waits) = watch_services_and_pods(&context, &queue);
    let existing = context.informers.of::<EndpointSlice>();
    let nodes = context.informers.of::<Node>();
    existing.store().add_index(slices::BY_SERVICE, |slice: &EndpointSlice| {
        slices::service_of(slice).into_iter().collect()
    });
    let q = queue.clone();
    existing.add_handler(move |event| {
        let slice = event.object();
        if let Some(name) = slices::owned_service(slice) {
            q.add(ObjectKey::new(slice.metadata.namespace.clone().unwrap_or_default(), name));
        }
    });
    if !all_synced(&context, &waits).await || !synced(&context.stop, &[&existing, &nodes]).await {
        return;
    }
    let client = context.client.clone();
    let recorder = context.recorder.as_component(SLICES);
    let stop = context.stop.clone();
    client::controller::run(SLICES, queue, 5, stop, move |key| {
        let (client, recorder) = (client.clone(), recorder.clone());
        let (services, pods) = (services.clone(), pods.clone());
        let (existing, nodes) = (existing.store().clone(), nodes.store().clone());
        async move {
            let Some(service) = services.get(&key) else {
                // Slices go with their owner; the garbage collector sees to it.
                return Ok(Outcome::Done);
            };
            if !is_ours(&service) || service.metadata.deletion_timestamp.is_some() {
                return Ok(Outcome::Done);
            }
            let zone = |node: &str| {
                let node = nodes.get(&ObjectKey::cluster(node))?;
                node.metadata.labels.as_ref()?.get("topology.kubernetes.io/zone").cloned()
            };
            let desired = slices::desired(&service, &selected(&service, &pods), &zone);
            let have = existing.by_index(slices::BY_SERVICE, &key.to_string());
            let plan = |have: &[Arc<EndpointSlice>]| slices::plan(&service, desired.clone(), have);
            let selector = slices::selector(&key.name);
            match slices::reconcile(&client, &key.namespace, &selector, &have, plan).await {
                Ok(()) => Ok(Outcome::Done),
                Err(err) if err.is_namespace_terminating() => Ok(Outcome::Done),
                Err(err) if err.is_conflict() || err.is_not_found() => {
                    Ok(Outcome::After(Duration::from_millis(50)))
                }
                Err(err) => {
                    let text = format!("Error updating Endpoint Slices for Service {key}: {}", GoError(&err));
                    recorder.event(&*service, EventType::Warning, "FailedToUpdateEndpointSlices", text);
                    Err(err)
                }
            }
        }
    })
    .await;
}

/// Runs the controller that mirrors hand-written Endpoints until stopped (upstream's `endpointslicemirroring`).
pub async fn run_mirroring(context: Context) {
    let queue = WorkQueue::new();
    let services = context.informers.of::<Service>();
    let endpoints = context.informers.of::<Endpoints>();
    let existing = context.informers.of::<EndpointSlice>();
    existing.store().add_index(mirror::BY_SERVICE, |slice: &EndpointSlice| {
        mirror::service_of(slice).into_iter().collect()
    });
    let q = queue.clone();
    services.add_handler(move |event| {
        let selects = |service: &Service| !service.spec.selector.is_empty();
        let matters = match event {
            Event::Updated { old, new } => selects(old) != selects(new),
            other => !selects(other.object()),
        };
        if matters {
            q.add(ObjectKey::of(&event.object().metadata));
        }
    });
    let q = queue.clone();
    endpoints.add_handler(move |event| {
        let before = matches!(event, Event::Updated { old, .. } if mirror::wanted(&old.metadata));
        if before || mirror::wanted(&event.object().metadata) {
            q.add(ObjectKey::of(&event.object().metadata));
        }
    });
    let q = queue.clone();
    existing.add_handler(move |event| {
        // Someone may have taken our labels off, or written another service's name.
        if let Event::Updated { old, .. } = event {
            mirror::key_of(old).into_iter().for_each(|key| q.add(key));
        }
        mirror::key_of(event.object()).into_iter().for_each(|key| q.add(key));
    });
    if !synced(&context.stop, &[&services, &endpoints, &existing]).await {
        return;
    }
    let client = context.client.clone();
    let recorder = context.recorder.as_component(MIRRORING);
    client::controller::run(MIRRORING, queue, 5, context.stop, move |key| {
        let (client, recorder) = (client.clone(), recorder.clone());
        let service = services.store().get(&key);
        let endpoints = endpoints.store().get(&key);
        let have = existing.store().by_index(mirror::BY_SERVICE, &key.to_string());
        async move {
            let without_selector = service.is_some_and(|service| service.spec.selector.is_empty());
            let source = endpoints.filter(|e| without_selector && mirror::wanted(&e.metadata));
            match write_mirror(&client, &recorder, &key, source.as_deref(), have).await {
                Ok(()) => Ok(Outcome::Done),
                Err(err) if err.is_namespace_terminating() => Ok(Outcome::Done),
                Err(err) if err.is_conflict() || err.is_not_found() => {
                    Ok(Outcome::After(Duration::from_millis(50)))
                }
                Err(err) => Err(err),
            }
        }
    })
    .await;
}

async fn write_mirror(
    client: &Client,
    recorder: &Recorder,
    key: &ObjectKey,
    source: Option<&Endpoints>,
    have: Vec<Arc<EndpointSlice>>,
) -> Result<(), Error> {
    let Some(source) = source else {
        let gone = have.into_iter().map(slices::Action::Delete).collect();
        return slices::apply(client, &key.namespace, gone).await;
    };
    let mirrored = mirror::desired(&source.subsets);
    for (reason, text) in mirrored.complaints() {
        recorder.event(source, EventType::Warning, reason, text);
    }
    let plan = |have: &[Arc<EndpointSlice>]| mirror::plan(source, &mirrored.groups, have);
    slices::reconcile(client, &key.namespace, &mirror::selector(&key.name), &have, plan).await
}
