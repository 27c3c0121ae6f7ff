//! kube-apiserver as a process that can be killed, and clients of it over HTTP.

use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often a process is asked whether it is ready.
const POLL: Duration = Duration::from_millis(20);

#[derive(Clone)]
struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    root: String,
}

impl Http {
    /// The code and the body; none when nobody answers.
    async fn send(&self, method: Method, path: &str, body: &Value) -> Option<(u16, Value)> {
        let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = Request::builder().method(method).uri(format!("{}{path}", self.root));
        let request = request.header("content-type", "application/json").body(Full::new(bytes)).unwrap();
        let response = self.client.request(request).await.ok()?;
        let code = response.status().as_u16();
        let bytes = response.into_body().collect().await.ok()?.to_bytes();
        Some((code, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }
}

/// kube-apiserver on an etcd.
pub(crate) struct ApiServer {
    endpoints: Vec<String>,
    port: u16,
    process: Option<Child>,
    http: Http,
    up: Arc<watch::Sender<bool>>,
}

impl ApiServer {
    /// Starts it, and waits until it is ready.
    pub(crate) async fn start(endpoints: Vec<String>) -> ApiServer {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let http = Http { client, root: format!("http://127.0.0.1:{port}") };
        let mut api =
            ApiServer { endpoints, port, process: None, http, up: Arc::new(watch::Sender::new(false)) };
        api.run().await;
        api
    }

    /// Starts it again, after [`ApiServer::kill`].
    pub(crate) async fn run(&mut self) {
        let child = Command::new(env!("CARGO_BIN_EXE_kube-apiserver"))
            .arg(format!("--etcd-servers={}", self.endpoints.join(",")))
            .arg(format!("--insecure-port={}", self.port))
            .arg("--secure-port=0")
            .arg("--service-cluster-ip-range=10.0.0.0/23")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.process = Some(child);
        let ready = async {
            while self
                .http
                .send(Method::GET, "/readyz", &Value::Null)
                .await
                .is_none_or(|(code, _)| code != 200)
            {
                tokio::time::sleep(POLL).await;
            }
        };
        crate::soon("the server is ready", ready).await;
        self.up.send_replace(true);
    }

    /// Kills it with SIGKILL.
    pub(crate) async fn kill(&mut self) {
        self.up.send_replace(false);
        self.process.take().unwrap().kill().await.unwrap();
    }

    /// GET, which must succeed.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (code, body) = self.http.send(Method::GET, path, &Value::Null).await.unwrap();
        assert_eq!(code, 200, "{body}");
        body
    }
}

/// Clients that create services with node ports, delete some again, and remember what was acknowledged.
pub(crate) struct Services {
    stop: CancellationToken,
    turns: Arc<Semaphore>,
    wanted: usize,
    made: Arc<Mutex<Vec<String>>>,
    count: watch::Receiver<usize>,
    clients: Vec<JoinHandle<()>>,
}

impl Services {
    /// Starts so many clients. Each waits while the server is down.
    pub(crate) fn start(api: &ApiServer, clients: usize) -> Services {
        let stop = CancellationToken::new();
        let made: Arc<Mutex<Vec<String>>> = Arc::default();
        let (counter, count) = watch::channel(0);
        let counter = Arc::new(counter);
        let turns = Arc::new(Semaphore::new(0));
        let create = |_| {
            let (http, stop, mut up) = (api.http.clone(), stop.clone(), api.up.subscribe());
            let (made, counter, turns) = (made.clone(), counter.clone(), turns.clone());
            tokio::spawn(async move {
                let service = json!({
                    "metadata": {"generateName": "s-"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]},
                });
                let services = "/api/v1/namespaces/default/services";
                for n in 0.. {
                    let turn = tokio::select! {
                        () = stop.cancelled() => return,
                        turn = turns.acquire() => turn.unwrap(),
                    };
                    up.wait_for(|up| *up).await.unwrap();
                    let answer = http.send(Method::POST, services, &service).await;
                    if let Some((201, object)) = answer {
                        let name = object["metadata"]["name"].as_str().unwrap();
                        counter.send_modify(|n| *n += 1);
                        if n % 4 == 3 {
                            // What it had is given again, maybe by another server.
                            http.send(Method::DELETE, &format!("{services}/{name}"), &Value::Null).await;
                        } else {
                            made.lock().push(name.to_owned());
                        }
                        // A turn that failed is somebody's again.
                        turn.forget();
                    }
                }
            })
        };
        let clients = (0..clients).map(create).collect();
        Services { stop, turns, wanted: 0, made, count, clients }
    }

    /// Lets the clients make so many more, and waits until half of these are acknowledged: the others are under way.
    pub(crate) async fn more(&mut self, services: usize) {
        self.turns.add_permits(services);
        self.wanted += services;
        self.acknowledged(self.wanted - services / 2).await;
    }

    async fn acknowledged(&self, services: usize) {
        self.count.clone().wait_for(|n| *n >= services).await.unwrap();
    }

    /// Waits for all that were wanted; gives their names.
    pub(crate) async fn all(self) -> Vec<String> {
        self.acknowledged(self.wanted).await;
        self.stop.cancel();
        for client in self.clients {
            client.await.unwrap();
        }
        std::mem::take(&mut *self.made.lock())
    }
}
