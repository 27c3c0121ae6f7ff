//! A server in this process, asked as a tower service: no sockets.

#![allow(dead_code, reason = "each test uses its part")]

pub(crate) mod events;
pub(crate) mod tcp;

use std::borrow::Borrow;
use std::sync::Arc;

use apiserver::{InProcess, Options, Server};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use store::{MemoryStore, Store};
use tower::ServiceExt;

/// A seeded server; it ends with the value.
pub(crate) struct Cluster {
    /// The server.
    pub(crate) server: Server,
    _running: InProcess,
}

/// A whole answer.
pub(crate) struct Answer {
    /// The status code.
    pub(crate) code: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) bytes: Bytes,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    /// The code and the body as JSON.
    pub(crate) fn parts(&self) -> (u16, Value) {
        (self.code, self.json())
    }

    /// The warnings, as the headers have them.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.headers.get_all(header::WARNING).iter().map(|v| v.to_str().unwrap().to_owned()).collect()
    }
}

impl Cluster {
    /// What the tests' servers are started with.
    pub(crate) fn options() -> Options {
        InProcess::options()
    }

    /// A server with these options on the memory store.
    pub(crate) async fn start() -> Cluster {
        Cluster::start_with(Cluster::options()).await
    }

    /// Starts a server on the memory store and waits until it is seeded.
    pub(crate) async fn start_with(options: Options) -> Cluster {
        Cluster::start_on(Arc::new(MemoryStore::new()), options).await
    }

    /// Starts a server on a store and waits until it is seeded.
    pub(crate) async fn start_on(store: Arc<dyn Store>, options: Options) -> Cluster {
        let running = InProcess::start_on(store, options).await.unwrap();
        Cluster { server: running.server().clone(), _running: running }
    }

    /// Sends a request and gives the answer as it begins.
    pub(crate) async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> http::Response<apiserver::http::Body> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.server.clone().oneshot(request.body(Full::new(body)).unwrap()).await.unwrap()
    }

    /// Sends a request; the body is JSON unless `content-type` says otherwise, and none when it is null.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Borrow<Value>,
    ) -> Answer {
        let body = body.borrow();
        let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let mut headers = headers.to_vec();
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            headers.push(("content-type", "application/json"));
        }
        let (parts, body) = self.open(method, path, &headers, bytes).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { code: parts.status.as_u16(), headers: parts.headers, bytes }
    }

    /// GET.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Value::Null).await
    }

    /// POST.
    pub(crate) async fn post(&self, path: &str, body: impl Borrow<Value>) -> Answer {
        self.send(Method::POST, path, &[], body).await
    }

    /// Sends a body of a media type; gives the code and the answer as JSON.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        media: &str,
        body: impl Borrow<Value>,
    ) -> (u16, Value) {
        self.send(method, path, &[("content-type", media)], body).await.parts()
    }

    /// A merge patch.
    pub(crate) async fn merge(&self, path: &str, body: impl Borrow<Value>) -> Answer {
        self.send(Method::PATCH, path, &[("content-type", "application/merge-patch+json")], body).await
    }
}
