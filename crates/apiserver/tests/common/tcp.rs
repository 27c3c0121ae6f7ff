//! A server behind a real socket.

use std::net::SocketAddr;
use std::time::Duration;

use apiserver::http::listen;
use apiserver::{InProcess, Options, Server};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

pub(crate) const MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Upstream's limit for bodies.
pub(crate) const LIMIT: usize = 3 * 1024 * 1024;
/// Only an answer that never comes takes so long.
pub(crate) const HANG: Duration = Duration::from_secs(120);

/// A server that listens; it ends with the value.
pub(crate) struct Cluster {
    /// The server.
    pub(crate) server: Server,
    /// Where it listens, in plain HTTP.
    pub(crate) address: SocketAddr,
    _running: InProcess,
}

impl Cluster {
    pub(crate) async fn start() -> Cluster {
        Cluster::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Options)) -> Cluster {
        let mut options = InProcess::options();
        change(&mut options);
        let running = InProcess::start(options).await.unwrap();
        let server = running.server().clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(listen::serve(server.clone(), listener, None, running.stop().clone()));
        Cluster { server, address, _running: running }
    }

    /// Sends bytes as they are, and reads until the server closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may close before it has read all.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(HANG, stream.read_to_end(&mut answer)).await;
        let _ = read.expect("the connection ends");
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> (u16, Value) {
        let (code, text) = self.text(request).await;
        (code, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub(crate) async fn text(&self, request: Request<Full<Bytes>>) -> (u16, String) {
        let answer = async {
            let response = self.server.clone().oneshot(request).await.unwrap();
            let code = response.status().as_u16();
            (code, response.into_body().collect().await.unwrap().to_bytes())
        };
        let (code, bytes) = tokio::time::timeout(HANG, answer).await.expect("an answer");
        (code, String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(crate) async fn body(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: impl Into<Bytes>,
    ) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).header("content-type", content_type);
        self.send(request.body(Full::new(body.into())).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.body(Method::POST, path, "application/json", body.to_string()).await
    }

    pub(crate) async fn alive(&self) {
        let answer = self.raw(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}
