//! The kubelet's HTTPS server (upstream's `pkg/kubelet/server`): logs, exec, attach, port forwarding and what the API
//! server relays of them.

// A refusal is an answer like any other: it is moved once, to hyper.
#![allow(clippy::result_large_err)]

mod body;
mod exec;
mod logs;
mod pods;
mod portforward;
mod spdy;
mod stats;
mod stream;
mod tls;
mod websocket;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::context::Context;
use crate::manager::Pods;
use body::{Body, text};

/// A client that has not sent its request by then is cut off.
const HEADER_SECONDS_MAX: u64 = 15;

/// What the handlers share.
pub(crate) struct Server {
    context: Arc<Context>,
    pods: Arc<Pods>,
}

type Reply = Response<Body>;

/// Listens and serves until `stop`.
pub async fn start(
    context: Arc<Context>,
    pods: Arc<Pods>,
    cert_dir: &Path,
    stop: CancellationToken,
) -> Result<(), Error> {
    let names =
        vec![context.owner.node.clone(), context.node_ip.to_string(), "localhost".into(), "127.0.0.1".into()];
    let config = tls::config(context.config.tls_files.as_ref(), cert_dir, names)?;
    let address = SocketAddr::new(context.config.address, context.config.port);
    let listener = TcpListener::bind(address)
        .await
        .map_err(|e| Error::Server(format!("failed to listen on {address}: {e}")))?;
    let acceptor = tokio_rustls::TlsAcceptor::from(config);
    let server = Arc::new(Server { context, pods });
    tokio::spawn(accept(server, listener, acceptor, stop));
    Ok(())
}

async fn accept(
    server: Arc<Server>,
    listener: TcpListener,
    acceptor: tokio_rustls::TlsAcceptor,
    stop: CancellationToken,
) {
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(e) => {
                    // Out of descriptors, mostly: let other connections end first.
                    tracing::warn!("accept: {e}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (server, acceptor, stop) = (server.clone(), acceptor.clone(), stop.clone());
        tokio::spawn(async move {
            let handshake =
                tokio::time::timeout(Duration::from_secs(HEADER_SECONDS_MAX), acceptor.accept(stream));
            let Ok(Ok(stream)) = handshake.await else { return };
            let service = service_fn(move |request| {
                let server = server.clone();
                async move { Ok::<_, Infallible>(server.answer(request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(HEADER_SECONDS_MAX))
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            tokio::select! {
                () = stop.cancelled() => {}
                result = connection => if let Err(e) = result {
                    tracing::debug!("connection: {e}");
                },
            }
        });
    }
}

impl Server {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Reply {
        let path = request.uri().path().trim_end_matches('/').to_owned();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (request.method(), parts.as_slice()) {
            (_, ["healthz"] | ["healthz", "ping" | "log" | "syncloop"]) => text(StatusCode::OK, "ok"),
            (&Method::GET, ["pods"]) => pods::list(&self.pods.all()),
            (&Method::GET, ["runningpods"]) => pods::list(&self.running().await),
            (&Method::GET, ["stats", "summary"]) => stats::summary(&self).await,
            (&Method::GET, ["metrics"]) => stats::metrics(&self),
            (&Method::GET, ["configz"]) => pods::configz(&self.context),
            (&Method::GET, ["containerLogs", namespace, pod, container]) => {
                logs::logs(&self, namespace, pod, container, &request).await
            }
            (&Method::GET | &Method::POST, ["exec", rest @ ..]) => {
                exec::exec(self.clone(), rest, request).await
            }
            (&Method::GET | &Method::POST, ["attach", rest @ ..]) => {
                exec::attach(self.clone(), rest, request).await
            }
            (&Method::POST, ["run", rest @ ..]) => exec::run(&self, rest, &request).await,
            (&Method::GET | &Method::POST, ["portForward", rest @ ..]) => {
                portforward::forward(self.clone(), rest, request).await
            }
            _ => text(StatusCode::NOT_FOUND, "404 page not found\n"),
        }
    }

    async fn running(&self) -> Vec<Arc<k8s_openapi::api::core::v1::Pod>> {
        let listed = self.context.runtime.list(None).await.unwrap_or_default();
        let runs = |uid: &str| {
            listed.iter().any(|c| c.running && c.labels.get(crate::labels::POD_UID).is_some_and(|l| l == uid))
        };
        let all = self.pods.all().into_iter();
        all.filter(|p| p.metadata.uid.as_deref().is_some_and(runs)).collect()
    }
}

/// Query parameters, repeated ones kept.
pub(crate) fn query(uri: &http::Uri) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode(&text.replace('+', " "));
    let pairs = uri.query().unwrap_or_default().split('&').filter(|p| !p.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(k, v)| (decode(k), decode(v)))
        .collect()
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Is a boolean parameter set?
pub(crate) fn flag(query: &[(String, String)], names: &[&str]) -> bool {
    query.iter().any(|(k, v)| names.contains(&k.as_str()) && matches!(v.as_str(), "1" | "true" | "True" | ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let uri: http::Uri = "/exec/a/b/c?command=sh&command=-c&command=a%20b+c%2B&tty=1".parse().unwrap();
        let query = query(&uri);
        let commands: Vec<_> =
            query.iter().filter(|(k, _)| k == "command").map(|(_, v)| v.as_str()).collect();
        assert_eq!(commands, ["sh", "-c", "a b c+"]);
        assert!(flag(&query, &["tty"]) && !flag(&query, &["input"]));
    }
}
