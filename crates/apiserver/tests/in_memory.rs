//! A server on the memory store, asked as a tower service: no sockets.

// A test may panic; clippy knows that of the tests themselves, not of what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use apiserver::{Options, Server};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use store::MemoryStore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

struct Cluster {
    server: Server,
    stop: CancellationToken,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Cluster {
    async fn start() -> Cluster {
        Cluster::with(Options::default()).await
    }

    async fn with(options: Options) -> Cluster {
        let stop = CancellationToken::new();
        let seeded = CancellationToken::new();
        let options = Options {
            service_cluster_ip_range: "10.0.0.0/24".into(),
            disable_admission_plugins: vec!["ServiceAccount".into()],
            cert_dir: "/nonexistent".into(),
            ..options
        };
        let server = Server::new(options, Arc::new(MemoryStore::new()), stop.clone()).unwrap();
        apiserver::start(&server, seeded.clone(), &stop);
        seeded.cancelled().await;
        Cluster { server, stop }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let bytes = body.map_or_else(Bytes::new, |b| Bytes::from(b.to_string()));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .body(Full::new(bytes))
            .unwrap();
        let response = self.server.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.send(Method::GET, path, "application/json", None).await
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.send(Method::POST, path, "application/json", Some(body)).await
    }
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test]
async fn an_object_goes_through_its_life() {
    let c = Cluster::start().await;
    let (status, made) = c.post(MAPS, json!({"metadata": {"name": "a"}, "data": {"k": "1"}})).await;
    assert_eq!(status, 201, "{made}");
    let version = made["metadata"]["resourceVersion"].as_str().unwrap();
    let (_, watched) = c.get(&format!("{MAPS}?watch=true&resourceVersion={version}&timeoutSeconds=1")).await;
    assert_eq!(watched, Value::Null, "nothing happened since");
    let (status, patched) = c
        .send(
            Method::PATCH,
            &format!("{MAPS}/a"),
            "application/merge-patch+json",
            Some(json!({"data": {"k": null, "l": "2"}})),
        )
        .await;
    assert_eq!((status.as_u16(), &patched["data"]), (200, &json!({"l": "2"})));
    let mut stale = made.clone();
    stale["data"] = json!({});
    let (status, refused) = c.send(Method::PUT, &format!("{MAPS}/a"), "application/json", Some(stale)).await;
    assert_eq!((status.as_u16(), refused["reason"].as_str()), (409, Some("Conflict")));
    let (_, list) = c.get(&format!("{MAPS}?fieldSelector=metadata.name=a")).await;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    let (status, _) = c.send(Method::DELETE, &format!("{MAPS}/a"), "application/json", None).await;
    assert_eq!(status, 200);
    assert_eq!(c.get(&format!("{MAPS}/a")).await.0, 404);
}

#[tokio::test]
async fn versions_of_a_kind_show_the_same_object() {
    let c = Cluster::start().await;
    let pod =
        json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let (status, made) = c
        .post(
            "/apis/extensions/v1beta1/namespaces/default/deployments",
            json!({"metadata": {"name": "old"}, "spec": {"template": pod}}),
        )
        .await;
    assert_eq!(status, 201, "{made}");
    let (status, seen) = c.get("/apis/apps/v1/namespaces/default/deployments/old").await;
    assert_eq!(status, 200);
    assert_eq!(seen["apiVersion"], "apps/v1");
    assert_eq!(seen["spec"]["selector"], json!({"matchLabels": {"app": "a"}}));
}

#[tokio::test]
async fn addresses_are_never_given_twice() {
    let c = Cluster::start().await;
    let path = "/api/v1/namespaces/default/services";
    let service = |i: usize| json!({"metadata": {"name": format!("s{i}")}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}});
    let made = futures::future::join_all((0..60).map(|i| c.post(path, service(i)))).await;
    let mut addresses: Vec<String> = Vec::new();
    let mut ports: Vec<u64> = Vec::new();
    for (status, service) in made {
        assert_eq!(status, 201, "{service}");
        addresses.push(service["spec"]["clusterIP"].as_str().unwrap().to_owned());
        ports.push(service["spec"]["ports"][0]["nodePort"].as_u64().unwrap());
    }
    addresses.push("10.0.0.1".into());
    addresses.sort();
    addresses.dedup();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!((addresses.len(), ports.len()), (61, 60));
}

#[tokio::test]
async fn a_pod_on_a_node_ends_gracefully() {
    let c = Cluster::start().await;
    let path = "/api/v1/namespaces/default/pods";
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    assert_eq!(c.post(path, pod).await.0, 201);
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}});
    assert_eq!(c.post(&format!("{path}/p/binding"), binding).await.0, 201);
    let (_, list) = c.get(&format!("{path}?fieldSelector=spec.nodeName=n1")).await;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    let (status, ending) = c.send(Method::DELETE, &format!("{path}/p"), "application/json", None).await;
    assert_eq!(status, 200);
    assert_eq!(ending["metadata"]["deletionGracePeriodSeconds"], 30);
    let now = json!({"gracePeriodSeconds": 0});
    let (status, _) = c.send(Method::DELETE, &format!("{path}/p"), "application/json", Some(now)).await;
    assert_eq!(status, 200);
    assert_eq!(c.get(&format!("{path}/p")).await.0, 404);
}

#[tokio::test]
async fn every_listed_resource_answers() {
    let c = Cluster::start().await;
    let (_, groups) = c.get("/apis").await;
    let mut paths = vec!["/api/v1".to_owned()];
    for group in groups["groups"].as_array().unwrap() {
        for version in group["versions"].as_array().unwrap() {
            paths.push(format!("/apis/{}", version["groupVersion"].as_str().unwrap()));
        }
    }
    for path in paths {
        let (status, list) = c.get(&path).await;
        assert_eq!(status, 200, "{path}");
        for resource in list["resources"].as_array().unwrap() {
            let verbs = resource["verbs"].as_array().unwrap();
            if !verbs.contains(&json!("list")) {
                continue;
            }
            let name = resource["name"].as_str().unwrap();
            let (status, body) = c.get(&format!("{path}/{name}")).await;
            assert_eq!(status, 200, "{path}/{name}: {body}");
            assert!(body["kind"].as_str().unwrap().ends_with("List"), "{path}/{name}");
        }
    }
}

/// What `--runtime-config` turns off is nowhere, though objects are still stored in it.
#[tokio::test]
async fn versions_that_are_off_are_nowhere() {
    let off = ["apps/v1=false", "apps/v1beta1/statefulsets=false"].map(str::to_owned).to_vec();
    let c = Cluster::with(Options { runtime_config: off, ..Options::default() }).await;
    let deployment = json!({"metadata": {"name": "d"}, "spec": {"template": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    let (status, made) = c.post("/apis/apps/v1beta1/namespaces/default/deployments", deployment).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(c.get("/apis/extensions/v1beta1/namespaces/default/deployments/d").await.0, 200);
    assert_eq!(c.get("/apis/apps/v1/namespaces/default/deployments/d").await.0, 404);
    assert_eq!(c.get("/apis/apps/v1beta1/namespaces/default/statefulsets").await.0, 404);

    assert_eq!(c.get("/apis/apps").await.1["preferredVersion"]["version"], "v1beta2");
    let (_, resources) = c.get("/apis/apps/v1beta1").await;
    let resources = resources["resources"].as_array().unwrap();
    assert!(resources.iter().all(|r| !r["name"].as_str().unwrap().starts_with("statefulsets")));
    let (_, index) = c.get("/openapi/v3").await;
    assert!(
        index["paths"].get("apis/apps/v1beta1").is_some() && index["paths"].get("apis/apps/v1").is_none()
    );
    assert_eq!(c.get("/openapi/v3/apis/apps/v1").await.0, 404);
    let (_, v2) = c.get("/openapi/v2").await;
    assert!(v2["definitions"].get("io.k8s.api.apps.v1beta1.Deployment").is_some());
    assert!(v2["definitions"].get("io.k8s.api.apps.v1.Deployment").is_none());
}
