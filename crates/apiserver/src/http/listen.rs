//! Listeners: plain HTTP and HTTPS, HTTP/1.1 and HTTP/2, until stopped; open requests may finish.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use component_base::panics;
use http::{HeaderValue, StatusCode, Version, header};
use hyper::body::{Body as _, Incoming as NetBody};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::head;
use super::stall::{Leftover, Patience, Stalling};
use super::unread::watched;
use super::{Request, Response};
use crate::Server;

/// How long a stop waits for requests that are being answered.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a client may take for its TLS handshake or its request's headers (upstream's `ReadHeaderTimeout`).
const HEADER_TIMEOUT: Duration = Duration::from_secs(32);
/// How long a connection may be without a request (upstream's `IdleTimeout`).
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// How long a client may take nothing of what it asked for.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Upstream's `MaxHeaderBytes`.
const HEADER_MAX_BYTES: usize = 1 << 20;
/// How many requests one HTTP/2 connection may have open, unless a flag says otherwise (upstream's default).
const STREAMS_MAX: u32 = 100;
/// Seconds until a silent connection is asked for a sign of life, and between these questions (Go's defaults).
const KEEP_ALIVE_SECONDS: u32 = 15;

/// What is known about the connection that a request came on.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The client's address.
    pub address: SocketAddr,
    /// True on the port that knows no authentication.
    pub insecure: bool,
    /// The verified client certificate, in DER.
    pub certificate: Option<Arc<[u8]>>,
    /// Whether the connection may stand still.
    pub patience: Patience,
}

/// Which requests of a connection are open.
struct Activity {
    open: AtomicUsize,
    last: Mutex<Instant>,
    /// How long there may be none.
    limit: Mutex<Duration>,
}

/// An open request.
struct Open(Arc<Activity>);

impl Activity {
    fn new() -> Arc<Activity> {
        let (last, limit) = (Mutex::new(Instant::now()), Mutex::new(HEADER_TIMEOUT));
        Arc::new(Activity { open: AtomicUsize::new(0), last, limit })
    }

    fn enter(self: &Arc<Activity>) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        *self.limit.lock() = IDLE_TIMEOUT;
        Open(self.clone())
    }

    /// Returns when there was no request for too long.
    async fn idle(&self) {
        loop {
            let until = *self.last.lock() + *self.limit.lock();
            let open = self.open.load(Ordering::Relaxed) > 0;
            if !open && until <= Instant::now() {
                return;
            }
            let wake = if open { Instant::now() + IDLE_TIMEOUT } else { until };
            tokio::time::sleep_until(wake).await;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        *self.0.last.lock() = Instant::now();
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A client whose machine is gone is noticed though nothing is sent: it holds its watches no longer than that.
fn keep_alive(stream: &TcpStream) -> nix::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt};
    setsockopt(stream, sockopt::KeepAlive, &true)?;
    setsockopt(stream, sockopt::TcpKeepIdle, &KEEP_ALIVE_SECONDS)?;
    setsockopt(stream, sockopt::TcpKeepInterval, &KEEP_ALIVE_SECONDS)
}

/// Serves connections of `listener` until `stop`.
pub async fn serve(server: Server, listener: TcpListener, tls: Option<TlsAcceptor>, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let (server, tls, stop) = (server.clone(), tls.clone(), stop.clone());
                tasks.spawn(panics::contain(connection(server, stream, address, tls, stop)));
            }
            // Out of file descriptors: give connections a moment to end.
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    let _ = tokio::time::timeout(DRAIN, tasks.wait()).await;
}

async fn connection(
    server: Server,
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let _ = keep_alive(&stream);
    let patience = Patience::default();
    let Some(acceptor) = tls else {
        let peer = Peer { address, insecure: true, certificate: None, patience };
        return http(server, stream, peer, stop).await;
    };
    match tokio::time::timeout(HEADER_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let certificate = stream.get_ref().1.peer_certificates().and_then(|c| c.first());
            let certificate = certificate.map(|c| Arc::from(c.as_ref()));
            http(server, stream, Peer { address, insecure: false, certificate, patience }, stop).await;
        }
        Ok(Err(error)) => tracing::debug!(%address, %error, "TLS handshake error"),
        Err(_) => tracing::debug!(%address, "TLS handshake timed out"),
    }
}

/// Spawns the streams of HTTP/2.
#[derive(Clone)]
struct Streams;

impl<F: Future + Send + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, stream: F) {
        panics::spawn(stream);
    }
}

/// One answer. Behind it, the connection is at the request's end, or the answer says that it is the last.
async fn answer(
    server: &Server,
    request: http::Request<NetBody>,
    peer: Peer,
    leftover: &Leftover,
) -> Response {
    let (mut head, body) = request.into_parts();
    head.extensions.insert(peer);
    if let Some(refused) = head::refused(&head) {
        leftover.expect();
        return refused;
    }
    // The streams of HTTP/2 end each for itself.
    if head.version >= Version::HTTP_2 || body.is_end_stream() {
        return server.handle(Request::from_parts(head, super::body::incoming(body))).await;
    }
    let client_waits = head.headers.contains_key(header::EXPECT);
    let (body, unread) = watched(body);
    let mut response = server.handle(Request::from_parts(head, super::body::incoming(body))).await;
    // As upstream: nothing follows a body that was too large, however short its rest.
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE || !unread.read(client_waits).await {
        leftover.expect();
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn http<S>(server: Server, stream: S, peer: Peer, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Activity::new();
    let leftover = Leftover::default();
    let stream = Stalling::new(stream, STALL_TIMEOUT, peer.patience.clone(), leftover.clone());
    let streams = match server.options().http2_max_streams_per_connection {
        0 => STREAMS_MAX,
        n => n,
    };
    let counted = activity.clone();
    let service = service_fn(move |request: http::Request<NetBody>| {
        let server = server.clone();
        let (open, peer, leftover) = (counted.enter(), peer.clone(), leftover.clone());
        async move {
            let response = answer(&server, request, peer, &leftover).await;
            // What is all there needs no request any more; a watch is one until its end.
            let response = response.map(|body| match body.len() {
                None => body.held(None, open),
                Some(_) => body,
            });
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let mut builder = auto::Builder::new(Streams);
    let timer = TokioTimer::new;
    builder.http1().timer(timer()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(HEADER_MAX_BYTES);
    let mut http2 = builder.http2();
    http2.timer(timer()).max_concurrent_streams(streams).max_header_list_size(HEADER_MAX_BYTES as u32);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
        () = activity.idle() => {
            connection.as_mut().graceful_shutdown();
            let ended = tokio::time::timeout(DRAIN, connection.as_mut()).await;
            ended.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
