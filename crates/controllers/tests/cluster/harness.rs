//! A cluster in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apiserver::{InProcess, Server};
use client::informer::{Event, Informer, InformerOptions};
use controllers::views::Pod;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// What is put between the controllers and the API server.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Faults {
    None,
    /// Every third request of the controllers is answered with 500 (the server may have done it or not).
    EveryThird,
}

pub(crate) struct Cluster {
    api: InProcess,
}

/// The objects of a list.
pub(crate) fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Whether a list has none.
pub(crate) fn is_empty(list: &Value) -> bool {
    items(list).is_empty()
}

impl Cluster {
    /// An API server and the controllers.
    pub(crate) async fn start(faults: Faults) -> Self {
        let api = InProcess::start(InProcess::options()).await.unwrap();
        let cluster = Self { api };
        let mut options = controllers::Options::default();
        options.port = 0;
        tokio::spawn(controllers::run_with(cluster.client(faults), options, cluster.api.stop().clone()));
        cluster
    }

    fn client(&self, faults: Faults) -> Client {
        let (server, count) = (self.api.server().clone(), Arc::new(AtomicUsize::new(0)));
        client::in_process_as(
            tower::service_fn(move |request: Request<Body>| {
                let (server, turn) = (server.clone(), count.fetch_add(1, Ordering::Relaxed));
                async move {
                    let fails = faults == Faults::EveryThird && turn % 3 == 2;
                    // Half of the failures lose only the answer.
                    if fails && turn % 2 == 0 {
                        return Ok(refuse());
                    }
                    let response = server.oneshot(request).await?;
                    Ok::<_, <Server as tower::Service<Request<Body>>>::Error>(if fails {
                        refuse()
                    } else {
                        response.map(Either::Left)
                    })
                }
            }),
            "kube-controller-manager",
        )
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: Option<Value>) -> (StatusCode, Value) {
        let bytes = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder().method(method).uri(path).header("content-type", kind);
        let request = request.body(Full::new(bytes::Bytes::from(bytes))).unwrap();
        let response = self.api.server().clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, "application/json", None).await.1
    }

    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        items(&self.get(path).await).to_vec()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) {
        let (status, answer) = self.send(Method::POST, path, "application/json", Some(body)).await;
        assert!(status.is_success(), "{path}: {answer}");
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) {
        let kind = "application/strategic-merge-patch+json";
        let (status, answer) = self.send(Method::PATCH, path, kind, Some(body)).await;
        assert!(status.is_success(), "{path}: {answer}");
    }

    pub(crate) async fn delete(&self, path: &str, policy: &str) {
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy});
        let (status, answer) = self.send(Method::DELETE, path, "application/json", Some(options)).await;
        assert!(status.is_success(), "{path}: {answer}");
    }

    /// Waits (in simulated time) until what `path` shows is as wanted.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) {
        let mut last = Value::Null;
        for _ in 0..2400 {
            last = self.get(path).await;
            if wanted(&last) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        unreachable!("{path} never became as wanted: {last}");
    }

    pub(crate) async fn gone(&self, path: &str) {
        self.until(path, |object| object["code"] == 404).await;
    }

    /// Waits until a deployment is rolled out as `kubectl rollout status` understands it.
    pub(crate) async fn ready(&self, name: &str, replicas: u32) {
        let path = format!("/apis/apps/v1/namespaces/default/deployments/{name}");
        self.until(&path, |deployment| {
            let status = &deployment["status"];
            status["observedGeneration"] == deployment["metadata"]["generation"]
                && ["replicas", "updatedReplicas", "availableReplicas"]
                    .iter()
                    .all(|field| status[*field] == replicas)
        })
        .await;
    }

    /// A hollow node: it takes every pod that has no node, says that it runs (or ended, when its command is `true`),
    /// and lets go of it when it is deleted.
    pub(crate) async fn node(&self, name: &str) -> Node {
        let stop = self.api.stop().child_token();
        self.post("/api/v1/nodes", json!({"metadata": {"name": name}})).await;
        let pods = Informer::<Pod>::new(self.client(Faults::None), InformerOptions::default());
        let mut events = pods.subscribe();
        pods.spawn(stop.clone());
        let kubelet = Kubelet { server: self.api.server().clone(), name: name.to_owned() };
        kubelet.beat().await;
        let stopped = stop.clone();
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_secs(10));
            loop {
                tokio::select! {
                    () = stopped.cancelled() => return,
                    _ = tick.tick() => kubelet.beat().await,
                    event = events.recv() => match event {
                        Some(Event::Deleted(_)) => {}
                        Some(event) => kubelet.sync(event.object()).await,
                        None => return,
                    },
                }
            }
        });
        Node { stop }
    }
}

fn refuse<B>() -> Response<Either<B, Full<bytes::Bytes>>> {
    let status = json!({"kind": "Status", "status": "Failure", "reason": "InternalError", "message": "injected", "code": 500});
    let mut response = Response::new(Either::Right(Full::new(bytes::Bytes::from(status.to_string()))));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

pub(crate) struct Node {
    stop: CancellationToken,
}

impl Node {
    /// Pulls the plug.
    pub(crate) fn die(&self) {
        self.stop.cancel();
    }
}

struct Kubelet {
    server: Server,
    name: String,
}

impl Kubelet {
    async fn send(&self, method: Method, path: &str, body: Value) {
        let request = Request::builder().method(method).uri(path).header(
            "content-type",
            match body["status"].is_object() {
                true => "application/strategic-merge-patch+json",
                false => "application/json",
            },
        );
        let request = request.body(Full::new(bytes::Bytes::from(body.to_string()))).unwrap();
        // Refusals come of races with the controllers; the next event makes them good.
        let _ = self.server.clone().oneshot(request).await;
    }

    async fn beat(&self) {
        let now = client::clock::time();
        let ready =
            json!({"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now});
        self.send(
            Method::PATCH,
            &format!("/api/v1/nodes/{}/status", self.name),
            json!({"status": {"conditions": [ready]}}),
        )
        .await;
    }

    async fn sync(&self, pod: &Pod) {
        let meta = &pod.metadata;
        let (namespace, name) = (meta.namespace.as_deref().unwrap(), meta.name.as_deref().unwrap());
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
        match pod.spec.node_name.as_deref() {
            None => {
                let target =
                    json!({"metadata": {"name": name}, "target": {"kind": "Node", "name": self.name}});
                // Daemon pods say where they belong.
                let wanted =
                    pod.spec.affinity.as_ref().map(|affinity| serde_json::to_string(affinity).unwrap());
                if wanted.is_none_or(|wanted| wanted.contains(&self.name)) {
                    self.send(Method::POST, &format!("{path}/binding"), target).await;
                }
            }
            Some(node) if node != self.name => {}
            Some(_) if meta.deletion_timestamp.is_some() => {
                self.send(
                    Method::DELETE,
                    &path,
                    json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}),
                )
                .await;
            }
            Some(_) if pod.status.phase.as_deref() == Some("Pending") => {
                let ends = name.starts_with("tick");
                let (phase, ready) = if ends { ("Succeeded", "False") } else { ("Running", "True") };
                let ip = format!("10.5.{}.{}", name.len() % 250, component_base::rand::u64() % 250 + 1);
                let conditions =
                    json!([{"type": "Ready", "status": ready, "lastTransitionTime": client::clock::time()}]);
                let status =
                    json!({"phase": phase, "podIP": ip, "podIPs": [{"ip": ip}], "conditions": conditions});
                self.send(Method::PATCH, &format!("{path}/status"), json!({"status": status})).await;
            }
            Some(_) => {}
        }
    }
}
