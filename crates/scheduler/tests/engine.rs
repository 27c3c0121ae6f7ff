//! The whole scheduler against a small API server in memory.

#![allow(clippy::unwrap_used, clippy::panic)] // The helpers of a test fail as a test does.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use kube::client::Body;
use parking_lot::Mutex;
use scheduler::Options;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

type Reply = Response<BoxBody<Bytes, Infallible>>;

#[derive(Default)]
struct State {
    version: u64,
    objects: BTreeMap<(String, String), Value>,
    watchers: Vec<(String, mpsc::UnboundedSender<Value>)>,
    events: Vec<(String, String)>,
    bound: usize,
}

/// Pods and nodes in memory, with lists, watches, bindings and status patches.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<State>>);

impl Fake {
    fn put(&self, plural: &str, mut object: Value) {
        let mut state = self.0.lock();
        state.version += 1;
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        object["metadata"]["resourceVersion"] = state.version.to_string().into();
        object["metadata"]["uid"] = format!("uid-{name}").into();
        let before = state.objects.insert((plural.to_owned(), name), object.clone());
        let kind = if before.is_some() { "MODIFIED" } else { "ADDED" };
        let event = json!({ "type": kind, "object": object });
        state.watchers.retain(|(watched, watcher)| watched != plural || watcher.send(event.clone()).is_ok());
    }

    fn node(&self, name: &str, cpu: &str) {
        let labels = json!({ "kubernetes.io/hostname": name });
        self.put(
            "nodes",
            json!({"metadata": {"name": name, "labels": labels},
            "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"}}}),
        );
    }

    fn pod(&self, name: &str, cpu: &str) {
        self.put("pods", json!({"metadata": {"name": name, "namespace": "default"},
            "spec": {"schedulerName": "default-scheduler", "containers": [{"image": "x", "resources": {"requests": {"cpu": cpu}}}]}}));
    }

    fn get(&self, name: &str) -> Value {
        self.0.lock().objects[&("pods".to_owned(), name.to_owned())].clone()
    }

    fn events(&self, reason: &str) -> Vec<String> {
        let state = self.0.lock();
        state.events.iter().filter(|(found, _)| found == reason).map(|(_, message)| message.clone()).collect()
    }

    fn client(&self) -> kube::Client {
        let fake = self.clone();
        client::in_process(tower::service_fn(move |request: Request<Body>| {
            let fake = fake.clone();
            async move { Ok::<_, Infallible>(fake.answer(request).await) }
        }))
    }

    async fn answer(&self, request: Request<Body>) -> Reply {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let path: Vec<&str> = parts.uri.path().split('/').collect();
        let last = *path.last().unwrap();
        let watching = parts.uri.query().is_some_and(|query| query.contains("watch=true"));
        match (&parts.method, last) {
            (&Method::GET, plural) if watching => {
                let (sender, receiver) = mpsc::unbounded_channel();
                self.0.lock().watchers.push((plural.to_owned(), sender));
                let events =
                    tokio_stream(receiver).map(|event| Ok(Frame::data(Bytes::from(format!("{event}\n")))));
                Response::new(BodyExt::boxed(StreamBody::new(events)))
            }
            (&Method::GET, plural) => {
                let state = self.0.lock();
                let of = |(key, value): (&(String, String), &Value)| (key.0 == plural).then(|| value.clone());
                let items: Vec<Value> = state.objects.iter().filter_map(of).collect();
                reply(
                    200,
                    json!({"kind": "List", "apiVersion": "v1",
                    "metadata": {"resourceVersion": state.version.to_string()}, "items": items}),
                )
            }
            (&Method::POST, "binding") => {
                let body: Value = serde_json::from_slice(&body).unwrap();
                let mut pod = self.get(path[path.len() - 2]);
                pod["spec"]["nodeName"] = body["target"]["name"].clone();
                self.put("pods", pod);
                self.0.lock().bound += 1;
                reply(201, json!({"kind": "Status", "status": "Success"}))
            }
            (&Method::POST, "events") => {
                let event: Value = serde_json::from_slice(&body).unwrap();
                let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
                self.0.lock().events.push((text("reason"), text("message")));
                reply(201, event)
            }
            (&Method::PATCH, "status") => {
                let body: Value = serde_json::from_slice(&body).unwrap();
                let mut pod = self.get(path[path.len() - 2]);
                pod["status"]["conditions"] = body["status"]["conditions"].clone();
                self.put("pods", pod.clone());
                reply(200, pod)
            }
            (&Method::PATCH, name) => {
                let body: Value = serde_json::from_slice(&body).unwrap();
                let key = (path[path.len() - 2].to_owned(), name.to_owned());
                let mut object = self.0.lock().objects[&key].clone();
                object["metadata"]["annotations"] = body["metadata"]["annotations"].clone();
                self.put(&key.0, object.clone());
                reply(200, object)
            }
            _ => {
                reply(404, json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}))
            }
        }
    }
}

fn tokio_stream(receiver: mpsc::UnboundedReceiver<Value>) -> impl futures::Stream<Item = Value> {
    futures::stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

fn reply(code: u16, body: Value) -> Reply {
    let mut response = Response::new(BodyExt::boxed(Full::new(Bytes::from(body.to_string()))));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

fn start(fake: &Fake) -> (CancellationToken, tokio::task::JoinHandle<Result<(), scheduler::Error>>) {
    let args = ["--port=0", "--leader-elect=false"].map(std::ffi::OsString::from);
    let options: Options = component_base::flags::try_parse("kube-scheduler", args).unwrap();
    let stop = CancellationToken::new();
    (stop.clone(), tokio::spawn(scheduler::run_with(fake.client(), options, stop)))
}

/// The clock is paused: this costs no time.
async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

#[tokio::test(start_paused = true)]
async fn a_pod_gets_its_node_and_a_large_one_waits_for_a_larger() {
    let fake = Fake::default();
    fake.node("small", "1");
    let (stop, running) = start(&fake);
    fake.pod("a", "500m");
    fake.pod("b", "2");
    until("a is bound", || fake.get("a")["spec"]["nodeName"] == "small").await;
    until("the event", || !fake.events("Scheduled").is_empty()).await;
    assert_eq!(fake.events("Scheduled"), ["Successfully assigned default/a to small"]);
    until("b has a condition", || fake.get("b")["status"]["conditions"][0]["reason"] == "Unschedulable")
        .await;
    let message = "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: \
                   0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
    assert_eq!(fake.get("b")["status"]["conditions"][0]["message"], message);
    until("the event", || !fake.events("FailedScheduling").is_empty()).await;
    assert_eq!(fake.events("FailedScheduling"), [message]);
    fake.node("large", "4");
    until("b is bound", || fake.get("b")["spec"]["nodeName"] == "large").await;
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_made_where_the_pod_will_be() {
    let fake = Fake::default();
    fake.node("n1", "1");
    fake.put("storageclasses", json!({"metadata": {"name": "late"}, "provisioner": "example.org/p", "volumeBindingMode": "WaitForFirstConsumer"}));
    let claim = |volume: &str| json!({"metadata": {"name": "data", "namespace": "default"}, "spec": {"storageClassName": "late", "volumeName": volume}});
    fake.put("persistentvolumeclaims", claim(""));
    fake.put("pods", json!({"metadata": {"name": "a", "namespace": "default"}, "spec": {"schedulerName": "default-scheduler",
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}}));
    let (stop, running) = start(&fake);
    let selected = || {
        let key = ("persistentvolumeclaims".to_owned(), "data".to_owned());
        fake.0.lock().objects[&key]["metadata"]["annotations"]["volume.kubernetes.io/selected-node"].clone()
    };
    until("the claim names the node", || selected() == "n1").await;
    assert_eq!(fake.get("a")["spec"]["nodeName"], Value::Null, "not before the volume is there");
    fake.put("persistentvolumes", json!({"metadata": {"name": "pv"}, "spec": {}}));
    fake.put("persistentvolumeclaims", claim("pv"));
    until("a is bound", || fake.get("a")["spec"]["nodeName"] == "n1").await;
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo test -p scheduler --profile fast -- --ignored --nocapture"]
async fn pods_per_second_at_a_thousand_nodes() {
    let fake = Fake::default();
    let pods = 5000;
    for i in 0..1000 {
        fake.node(&format!("n{i}"), "8");
    }
    for i in 0..pods {
        fake.pod(&format!("p{i}"), "10m");
    }
    let begun = std::time::Instant::now();
    let (stop, running) = start(&fake);
    while fake.0.lock().bound < pods {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{:.0} pods/s ({pods} pods, 1,000 nodes, {seconds:.2} s)", pods as f64 / seconds);
    stop.cancel();
    running.await.unwrap().unwrap();
}
