//! The heartbeat: a lease in `kube-node-lease`, much lighter than a status (upstream's `component-helpers/apimachinery/lease`).

use std::sync::Arc;
use std::time::Duration;

use client::ErrorExt;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::context::Context;

const NAMESPACE: &str = "kube-node-lease";

/// Renews until `stop`. Counts up `lost` when the Node is not there: somebody deleted it, or the whole cluster is new.
pub async fn keep(context: Arc<Context>, lost: watch::Sender<u64>, stop: CancellationToken) {
    let api: Api<Lease> = Api::namespaced(context.client.clone(), NAMESPACE);
    let seconds = context.config.lease_seconds;
    let period = Duration::from_secs(u64::try_from(seconds).unwrap_or(40)).div_f32(4.0);
    let mut failed = false;
    loop {
        let pause = match renew(&api, &context, seconds).await {
            Ok(()) => {
                if std::mem::take(&mut failed) {
                    tracing::info!("node lease is renewed again");
                }
                component_base::rand::jitter(period, 0.04)
            }
            Err(e) if e.is_not_found() => {
                lost.send_modify(|n| *n += 1);
                Duration::from_secs(1).min(period)
            }
            Err(e) => {
                if !std::mem::replace(&mut failed, true) {
                    tracing::warn!("Failed to update lease, trying again: {}", client::GoError(&e));
                }
                Duration::from_secs(1).min(period)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn renew(api: &Api<Lease>, context: &Context, seconds: i32) -> Result<(), kube::Error> {
    let name = &context.owner.node;
    let now = MicroTime(client::clock::now());
    let patch = json!({"spec": {"holderIdentity": name, "leaseDurationSeconds": seconds, "renewTime": now}});
    match api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => return Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(e) => return Err(e),
    }
    // The lease goes with its node.
    let nodes: Api<Node> = Api::all(context.client.clone());
    let node = nodes.get(name).await?;
    let owner = OwnerReference {
        api_version: "v1".into(),
        kind: "Node".into(),
        name: name.clone(),
        uid: node.metadata.uid.unwrap_or_default(),
        ..OwnerReference::default()
    };
    let lease = Lease {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(NAMESPACE.into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(name.clone()),
            lease_duration_seconds: Some(seconds),
            renew_time: Some(now),
            ..LeaseSpec::default()
        }),
    };
    api.create(&PostParams::default(), &lease).await.map(|_| ())
}
