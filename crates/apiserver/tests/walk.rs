//! A walk over everything that discovery lists: each resource of each version is created, read, listed, watched, patched
//! in every way, updated and deleted, alone and with others, read and written back through its other versions, and each
//! subresource is asked for what discovery says that it can. What discovery does not say is refused.
//!
//! Nothing here knows a resource; the smallest valid body of each kind stands in `walk/bodies.json`.

// A test may panic; clippy knows that of the tests themselves, not of what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "walk/discovery.rs"]
mod discovery;
#[path = "walk/walker.rs"]
mod walker;

use std::path::PathBuf;
use std::sync::Arc;

use common::Cluster;
use futures::StreamExt;
use serde_json::json;
use walker::Walker;

/// So many resources are walked over at once.
const WALKERS: usize = 8;

/// A custom resource with two versions and both subresources, so that the walk meets one too.
async fn define(cluster: &Cluster) {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let version = |name: &str, storage: bool| {
        json!({
            "name": name, "served": true, "storage": storage, "schema": schema,
            "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
        })
    };
    let definition = json!({
        "metadata": {"name": "walkers.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "walkers", "kind": "Walker"},
            "versions": [version("v1", true), version("v1beta1", false)],
        },
    });
    let made = cluster.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition).await;
    assert_eq!(made.code, 201, "{}", made.json());
}

/// A key for the tokens of service accounts.
fn signing_key() -> PathBuf {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("walk-signing.key");
    std::fs::write(&path, key.serialize_pem()).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_promises_what_works_and_nothing_else() {
    let options =
        apiserver::Options { service_account_signing_key_file: Some(signing_key()), ..Cluster::options() };
    let cluster = Arc::new(Cluster::start_with(options).await);
    define(&cluster).await;
    let entries = Arc::new(discovery::read(&cluster).await);
    assert!(entries.len() > 100, "discovery lists only {} resources", entries.len());
    let walks = (0..entries.len()).map(|number| {
        let walker = Walker::new(cluster.clone(), entries.clone(), number);
        tokio::spawn(async move { walker.walk().await })
    });
    let walked: Vec<_> = futures::stream::iter(walks).buffer_unordered(WALKERS).collect().await;
    let wrong: Vec<String> = walked.into_iter().flat_map(|w| w.unwrap()).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// kubectl of today showed each deployment twice in `get all`, and warned that `deploy` means two things.
#[tokio::test]
async fn a_short_name_means_one_thing_to_clients_of_today() {
    let cluster = Cluster::start_with(Cluster::options()).await;
    let accept = [("accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")];
    let list = cluster.send(http::Method::GET, "/apis", &accept, &serde_json::Value::Null).await.json();
    let groups = list["items"].as_array().unwrap().iter();
    let named = groups.filter(|group| {
        let versions = group["versions"].as_array().unwrap().iter();
        versions
            .flat_map(|v| v["resources"].as_array().unwrap())
            .any(|r| r["shortNames"] == json!(["deploy"]))
    });
    assert_eq!(named.map(|g| &g["metadata"]["name"]).collect::<Vec<_>>(), ["apps"]);
}
