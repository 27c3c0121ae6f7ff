//! The config map `kube-root-ca.crt` in every namespace (upstream's `rootcacertpublisher`).

use client::controller::Outcome;
use client::queue::WorkQueue;
use client::{ErrorExt, ObjectKey};
use serde_json::json;

use super::accounts::is_active;
use crate::api;
use crate::context::{Context, synced};
use crate::views::{ConfigMap, Namespace};

const NAME: &str = "kube-root-ca.crt";
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

/// Runs the controller until stopped; `ca` is the PEM text.
pub async fn run(context: Context, ca: String) {
    let namespaces = context.informers.of::<Namespace>();
    let maps = context.informers.of::<ConfigMap>();
    let queue = WorkQueue::<ObjectKey>::new();
    let q = queue.clone();
    namespaces.add_handler(move |event| {
        q.add(ObjectKey::cluster(event.object().metadata.name.clone().unwrap_or_default()))
    });
    let q = queue.clone();
    maps.add_handler(move |event| {
        let meta = &event.object().metadata;
        if meta.name.as_deref() == Some(NAME) {
            q.add(ObjectKey::cluster(meta.namespace.clone().unwrap_or_default()));
        }
    });
    if !synced(&context.stop, &[&namespaces, &maps]).await {
        return;
    }
    let client = context.client.clone();
    client::controller::run("root-ca-certificate-publisher-controller", queue, 1, context.stop, move |key| {
        let (client, namespaces, maps, ca) =
            (client.clone(), namespaces.store().clone(), maps.store().clone(), ca.clone());
        async move {
            if !namespaces.get(&key).is_some_and(|namespace| is_active(&namespace)) {
                return Ok(Outcome::Done);
            }
            let map = json!({
                "metadata": {
                    "name": NAME, "namespace": key.name, "annotations": { "kubernetes.io/description": DESCRIPTION },
                },
                "data": { "ca.crt": ca },
            });
            let result = match maps.get(&ObjectKey::new(&*key.name, NAME)) {
                Some(old) if old.data.len() == 1 && old.data.get("ca.crt") == Some(&ca) => return Ok(Outcome::Done),
                Some(old) => api::patch::<ConfigMap>(&client, &old.metadata, map).await,
                None => api::create::<ConfigMap>(&client, Some(&key.name), map).await,
            };
            match result {
                Ok(_) => Ok(Outcome::Done),
                Err(err) if err.is_already_exists() || err.is_namespace_terminating() || err.is_not_found() => Ok(Outcome::Done),
                Err(err) => Err(err),
            }
        }
    })
    .await;
}
