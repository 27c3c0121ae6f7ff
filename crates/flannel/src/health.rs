//! `GET /healthz`, answered as upstream's flanneld does.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Error, options::Options};

/// Listens if the flags say so, and serves until `stop`.
pub(crate) async fn serve(options: &Options, stop: CancellationToken) -> Result<(), Error> {
    if options.healthz_port == 0 {
        return Ok(());
    }
    let ip = options.healthz_ip.parse().map_err(|_| Error::Flag {
        flag: "healthz-ip",
        message: format!("{:?} is no IP address", options.healthz_ip),
    })?;
    let addr = SocketAddr::new(ip, options.healthz_port);
    let listener =
        TcpListener::bind(addr).await.map_err(|source| Error::Healthz { addr: addr.to_string(), source })?;
    tracing::info!("Start healthz server on {addr}");
    tokio::spawn(async move {
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(err) => {
                        tracing::error!("healthz server: {err}");
                        // Out of file descriptors, most likely: let connections end first.
                        tokio::task::yield_now().await;
                        continue;
                    }
                },
                () = stop.cancelled() => return,
            };
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(std::time::Duration::from_secs(10))
                .serve_connection(TokioIo::new(stream), service_fn(answer));
            let stop = stop.clone();
            tokio::spawn(async move {
                tokio::select! {
                    // A peer that hangs up is no news.
                    _ = connection => {}
                    () = stop.cancelled() => {}
                }
            });
        }
    });
    Ok(())
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, text) = if request.uri().path() == "/healthz" {
        (200, "flanneld is running")
    } else {
        (404, "404 page not found\n")
    };
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(
        hyper::header::CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    Ok(response)
}
