//! A small stand-in for the API server: pods of one node with watch, status patches and deletion; everything else is
//! accepted or not found. It exists so that the kubelet's own tests need nothing but Docker.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::broadcast;

type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// See the module.
#[derive(Clone)]
pub(crate) struct Api {
    state: Arc<Mutex<State>>,
    watch: broadcast::Sender<Value>,
}

#[derive(Default)]
struct State {
    version: u64,
    pods: BTreeMap<String, Value>,
    objects: BTreeMap<String, Value>,
    events: Vec<String>,
}

fn reply(code: StatusCode, body: &Value) -> Reply {
    let body = Full::new(Bytes::from(body.to_string())).boxed_unsync();
    let mut reply = Response::new(body);
    *reply.status_mut() = code;
    reply.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    reply
}

fn not_found() -> Reply {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
        "message": "not found", "metadata": {}});
    reply(StatusCode::NOT_FOUND, &status)
}

fn merge(into: &mut Value, patch: &Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}

#[allow(dead_code)]
impl Api {
    pub(crate) fn new() -> Self {
        Self { state: Arc::default(), watch: broadcast::channel(1024).0 }
    }

    pub(crate) fn client(&self) -> kube::Client {
        let api = self.clone();
        client::in_process(tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(api.answer(request).await) }
        }))
    }

    /// Binds a pod to the node.
    pub(crate) fn create(&self, name: &str, spec: Value) {
        let uid = format!("uid-{name}-{}", std::process::id());
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": spec, "status": {"phase": "Pending"},
            "metadata": {"name": name, "namespace": "default", "uid": uid, "labels": {"run": name}}});
        self.put(name, pod, "ADDED");
    }

    /// An object that the kubelet reads by path.
    pub(crate) fn object(&self, path: &str, value: Value) {
        self.state.lock().objects.insert(path.to_owned(), value);
    }

    /// Begins a graceful deletion.
    pub(crate) fn delete(&self, name: &str, grace: i64) {
        let Some(mut pod) = self.pod(name) else { return };
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        pod["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
        self.put(name, pod, "MODIFIED");
    }

    pub(crate) fn pod(&self, name: &str) -> Option<Value> {
        self.state.lock().pods.get(name).cloned()
    }

    /// `Reason message` of each event.
    pub(crate) fn events(&self) -> Vec<String> {
        self.state.lock().events.clone()
    }

    pub(crate) fn object_at(&self, path: &str) -> Option<Value> {
        self.state.lock().objects.get(path).cloned()
    }

    fn put(&self, name: &str, mut pod: Value, kind: &str) {
        let mut state = self.state.lock();
        state.version += 1;
        pod["metadata"]["resourceVersion"] = json!(state.version.to_string());
        state.pods.insert(name.to_owned(), pod.clone());
        let _ = self.watch.send(json!({"type": kind, "object": pod}));
    }

    /// Waits until `done` says so of the pod (`None`: gone).
    pub(crate) async fn until(&self, name: &str, what: &str, done: impl Fn(Option<&Value>) -> bool) {
        let started = std::time::Instant::now();
        while !done(self.pod(name).as_ref()) {
            if started.elapsed().as_secs() > 60 {
                panic!(
                    "{name} is not {what} after 60 s: {:#?}\nevents: {:#?}",
                    self.pod(name),
                    self.events()
                );
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    async fn answer(&self, request: Request<Body>) -> Reply {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let body = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if path == "/api/v1/pods" {
            return if query.contains("watch=") { self.watch() } else { self.list() };
        }
        if let Some(rest) = path.strip_prefix("/api/v1/namespaces/default/pods/") {
            return self.on_pod(&parts.method, rest, &body);
        }
        if path.ends_with("/events") && parts.method == Method::POST {
            let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
            self.state.lock().events.push(format!("{} {}", text("reason"), text("message")));
            return reply(StatusCode::CREATED, &body);
        }
        let known = self.state.lock().objects.get(&path).cloned();
        match (parts.method, known) {
            (Method::GET, Some(value)) => reply(StatusCode::OK, &value),
            (Method::GET, None) if path.ends_with("/services") => {
                let list = json!({"kind": "ServiceList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []});
                reply(StatusCode::OK, &list)
            }
            (Method::POST, _) => {
                let name = body["metadata"]["name"].as_str().unwrap_or_default();
                self.object(&format!("{path}/{name}"), body.clone());
                reply(StatusCode::CREATED, &body)
            }
            (Method::PATCH, Some(mut value)) => {
                merge(&mut value, &body);
                self.object(&path, value.clone());
                reply(StatusCode::OK, &value)
            }
            (Method::PATCH, None) if path.ends_with("/status") => {
                let of = path.trim_end_matches("/status").to_owned();
                let Some(mut value) = self.object_at(&of) else { return not_found() };
                merge(&mut value, &body);
                self.object(&of, value.clone());
                reply(StatusCode::OK, &value)
            }
            _ => not_found(),
        }
    }

    fn on_pod(&self, method: &Method, rest: &str, body: &Value) -> Reply {
        let name = rest.trim_end_matches("/status");
        let Some(mut pod) = self.pod(name) else { return not_found() };
        match *method {
            Method::PATCH => {
                merge(&mut pod, body);
                self.put(name, pod.clone(), "MODIFIED");
                reply(StatusCode::OK, &pod)
            }
            Method::DELETE => {
                let mut state = self.state.lock();
                state.pods.remove(name);
                let _ = self.watch.send(json!({"type": "DELETED", "object": pod}));
                reply(StatusCode::OK, &pod)
            }
            _ => reply(StatusCode::OK, &pod),
        }
    }

    fn list(&self) -> Reply {
        let state = self.state.lock();
        let items: Vec<&Value> = state.pods.values().collect();
        let meta = json!({"resourceVersion": state.version.max(1).to_string()});
        reply(
            StatusCode::OK,
            &json!({"kind": "PodList", "apiVersion": "v1", "metadata": meta, "items": items}),
        )
    }

    fn watch(&self) -> Reply {
        let events = tokio_stream::wrappers::BroadcastStream::new(self.watch.subscribe());
        let frames = events.filter_map(|event| async move {
            let line = format!("{}\n", event.ok()?);
            Some(Ok::<_, Infallible>(http_body::Frame::data(Bytes::from(line))))
        });
        Response::new(StreamBody::new(frames).boxed_unsync())
    }
}
