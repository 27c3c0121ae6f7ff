//! Listeners: plain HTTP and HTTPS, HTTP/1.1 and HTTP/2, until stopped; open requests may finish.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming as NetBody;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Request;
use crate::Server;

/// How long a stop waits for requests that are being answered.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a client may take for its TLS handshake or its request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(32);

/// What is known about the connection that a request came on.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The client's address.
    pub address: SocketAddr,
    /// True on the port that knows no authentication.
    pub insecure: bool,
    /// The verified client certificate, in DER.
    pub certificate: Option<Arc<[u8]>>,
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
                tasks.spawn(async move { connection(server, stream, address, tls, stop).await });
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
    let Some(acceptor) = tls else {
        let peer = Peer { address, insecure: true, certificate: None };
        return http(server, stream, peer, stop).await;
    };
    match tokio::time::timeout(HEADER_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let certificate = stream.get_ref().1.peer_certificates().and_then(|c| c.first());
            let certificate = certificate.map(|c| Arc::from(c.as_ref()));
            http(server, stream, Peer { address, insecure: false, certificate }, stop).await;
        }
        Ok(Err(error)) => tracing::debug!(%address, %error, "TLS handshake error"),
        Err(_) => tracing::debug!(%address, "TLS handshake timed out"),
    }
}

async fn http<S>(server: Server, stream: S, peer: Peer, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: http::Request<NetBody>| {
        let server = server.clone();
        let mut request: Request = request.map(super::body::incoming);
        request.extensions_mut().insert(peer.clone());
        async move { Ok::<_, std::convert::Infallible>(server.handle(request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(1024 * 1024);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(250).max_header_list_size(1024 * 1024);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
