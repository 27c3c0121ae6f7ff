//! Custom resources, quotas, OpenAPI and relayed logs: a server on the memory store, asked as a tower service.

// A test may panic; clippy knows that of the tests themselves, not of what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::Cluster;
use http::{Method, header};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const TABS: &str = "/apis/stable.example.com/v1/namespaces/default/crontabs";

fn definition() -> Value {
    let spec = json!({"type": "object", "required": ["cronSpec"], "properties": {
        "cronSpec": {"type": "string"}, "image": {"type": "string", "default": "nginx"},
        "replicas": {"type": "integer", "maximum": 10}}});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "crontabs.stable.example.com"},
        "spec": {"group": "stable.example.com", "scope": "Namespaced",
            "names": {"plural": "crontabs", "singular": "crontab", "kind": "CronTab", "shortNames": ["ct"]},
            "versions": [
                {"name": "v1", "served": true, "storage": true,
                 "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                 "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec,
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}},
                {"name": "v2", "served": true, "storage": false,
                 "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object",
                    "properties": {"cronSpec": {"type": "string"}}}}}}}]}})
}

#[tokio::test]
async fn a_definition_is_served_as_soon_as_it_is_written() {
    let c = Cluster::start().await;
    assert_eq!(c.get(TABS).await.code, 404);
    let made = c.post(DEFINITIONS, definition()).await;
    assert_eq!((made.code, &made.json()["status"]["storedVersions"]), (201, &json!(["v1"])));

    let tab = json!({"apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {"name": "a"},
        "spec": {"cronSpec": "* * * * *", "replicas": 2, "unknown": 1}});
    let made = c.post(TABS, tab.clone()).await;
    assert_eq!((made.code, &made.json()["spec"]["image"]), (201, &json!("nginx")));
    assert!(made.json()["spec"].get("unknown").is_none());
    assert_eq!(made.headers[header::WARNING], "299 - \"unknown field \\\"spec.unknown\\\"\"");

    let mut bad = tab;
    bad["spec"] = json!({"cronSpec": 1, "replicas": 11});
    let refused = c.post(TABS, bad).await;
    assert_eq!(refused.code, 422);
    assert!(
        refused.json()["message"].as_str().unwrap().contains("spec.cronSpec in body must be of type string")
    );

    let scaled = c.merge(&format!("{TABS}/a/scale"), json!({"spec": {"replicas": 5}})).await;
    assert_eq!((scaled.code, &scaled.json()["spec"]["replicas"]), (200, &json!(5)));
    let status =
        c.merge(&format!("{TABS}/a/status"), json!({"status": {"x": 1}, "spec": {"replicas": 9}})).await;
    assert_eq!((&status.json()["status"]["x"], &status.json()["spec"]["replicas"]), (&json!(1), &json!(5)));

    let other = c.get("/apis/stable.example.com/v2/namespaces/default/crontabs/a").await.json();
    assert_eq!(
        (&other["apiVersion"], &other["spec"]),
        (&json!("stable.example.com/v2"), &json!({"cronSpec": "* * * * *"}))
    );

    // Its objects go with it, and then its paths.
    let path = format!("{DEFINITIONS}/crontabs.stable.example.com");
    assert_eq!(c.send(Method::DELETE, &path, &[], Value::Null).await.code, 200);
    while c.get(&path).await.code != 404 {
        tokio::task::yield_now().await;
    }
    while c.get(TABS).await.code != 404 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn documents_follow_definitions() {
    let c = Cluster::start().await;
    let before = c.get("/openapi/v2").await;
    let tag = before.headers[header::ETAG].to_str().unwrap().to_owned();
    let same = c.send(Method::GET, "/openapi/v2", &[("if-none-match", &tag)], Value::Null).await;
    assert_eq!((same.code, same.bytes.len()), (304, 0));
    c.post(DEFINITIONS, definition()).await;
    let after = c.get("/openapi/v2").await;
    assert_ne!(after.headers[header::ETAG].to_str().unwrap(), tag);
    assert!(after.json()["definitions"].get("com.example.stable.v1.CronTab").is_some());
    let index = c.get("/openapi/v3").await.json();
    let path = index["paths"]["apis/stable.example.com/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    let document = c.get(&path).await;
    assert_eq!(document.headers[header::CACHE_CONTROL], "public, immutable");
    assert!(document.json()["components"]["schemas"].get("com.example.stable.v1.CronTab").is_some());
    let protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let old = c.send(Method::GET, "/openapi/v2", &[("accept", protobuf)], Value::Null).await;
    assert_eq!(
        old.headers[header::CONTENT_TYPE],
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    );
}

#[tokio::test]
async fn a_quota_is_never_exceeded_and_takes_back_what_was_not_stored() {
    let c = Cluster::start().await;
    let quotas = "/api/v1/namespaces/default/resourcequotas";
    let hard = json!({"configmaps": "3"});
    c.post(quotas, json!({"metadata": {"name": "q"}, "spec": {"hard": hard}})).await;
    let status = json!({"status": {"hard": hard, "used": {"configmaps": "0"}}});
    assert_eq!(c.merge(&format!("{quotas}/q/status"), status).await.code, 200);
    let maps = "/api/v1/namespaces/default/configmaps";
    let all = (0..10).map(|i| c.post(maps, json!({"metadata": {"name": format!("m{i}")}})));
    let codes: Vec<u16> = futures::future::join_all(all).await.iter().map(|a| a.code).collect();
    assert_eq!(codes.iter().filter(|c| **c == 201).count(), 3, "{codes:?}");
    let used = async || c.get(&format!("{quotas}/q")).await.json()["status"]["used"]["configmaps"].clone();
    assert_eq!(used().await, "3");

    // One more place, twice the same name: the second finds the first and pays nothing.
    let hard = json!({"configmaps": "5"});
    c.merge(&format!("{quotas}/q"), json!({"spec": {"hard": hard}})).await;
    c.merge(&format!("{quotas}/q/status"), json!({"status": {"hard": hard}})).await;
    assert_eq!(c.post(maps, json!({"metadata": {"name": "x"}})).await.code, 201);
    assert_eq!(c.post(maps, json!({"metadata": {"name": "x"}})).await.code, 409);
    assert_eq!(used().await, "4");
}

/// A kubelet that answers one request with a log in two pieces; gives the request's first line.
async fn kubelet() -> (u16, tokio::task::JoinHandle<String>) {
    let made = rcgen::generate_simple_self_signed(vec!["kubelet".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut tls = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(tls.read_u8().await.unwrap());
        }
        let answer =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n";
        tls.write_all(answer).await.unwrap();
        tls.shutdown().await.unwrap();
        String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned()
    });
    (port, task)
}

#[tokio::test]
async fn logs_come_from_the_pods_kubelet() {
    let c = Cluster::start().await;
    let (port, task) = kubelet().await;
    c.post("/api/v1/nodes", json!({"metadata": {"name": "n"}})).await;
    let status = json!({"status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}});
    assert_eq!(c.merge("/api/v1/nodes/n/status", status).await.code, 200);
    let pods = "/api/v1/namespaces/default/pods";
    let pod = |name: &str, node: &str| {
        json!({"metadata": {"name": name},
            "spec": {"nodeName": node, "containers": [{"name": "c", "image": "x"}]}})
    };
    assert_eq!(c.post(pods, pod("p", "n")).await.code, 201);
    let log = c.get(&format!("{pods}/p/log?follow=true&tailLines=5")).await;
    assert_eq!((log.code, &*log.bytes), (200, &b"one\ntwo\n"[..]));
    assert_eq!(task.await.unwrap(), "GET /containerLogs/default/p/c?follow=true&tailLines=5 HTTP/1.1");

    // The kubelet is gone.
    let gone = c.get(&format!("{pods}/p/log")).await;
    assert_eq!(gone.code, 500);
    assert!(gone.json()["message"].as_str().unwrap().ends_with("connect: connection refused"));
    assert_eq!(c.post(pods, pod("unscheduled", "")).await.code, 201);
    assert_eq!(c.get(&format!("{pods}/unscheduled/log")).await.code, 204);
}
