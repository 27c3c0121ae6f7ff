//! `kubectl proxy`: a plain HTTP server on loopback that passes requests on with the user's credentials.

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use tokio::net::TcpListener;

use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};

/// Runs `proxy`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, _: &[String]) -> Result {
    let http = ctx.http()?;
    let client = http.client().clone();
    let prefix = flags.str("api-prefix").trim_end_matches('/').to_string();
    http.block_on(async {
        let address = format!("{}:{}", flags.str("address"), flags.int("port"));
        let listener = TcpListener::bind(&address).await.map_err(|e| format!("listen tcp {address}: {e}"))?;
        crate::print::out(&format!("Starting to serve on {}\n", listener.local_addr()?))?;
        let serve = async {
            loop {
                let (connection, _) = listener.accept().await?;
                let (client, prefix) = (client.clone(), prefix.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |r| forward(client.clone(), prefix.clone(), r));
                    // A client that hangs up is no failure of ours.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(connection), service)
                        .await;
                });
            }
        };
        tokio::select! {
            r = serve => r,
            r = tokio::signal::ctrl_c() => r.map_err(Error::from),
        }
    })
}

async fn forward(
    client: kube::Client,
    prefix: String,
    request: Request<Incoming>,
) -> std::result::Result<Response<Body>, kube::Error> {
    let (mut parts, body) = request.into_parts();
    // Names other than loopback may be a web page's attempt to reach the cluster (DNS rebinding).
    let host = parts.headers.get(http::header::HOST).and_then(|h| h.to_str().ok()).unwrap_or("");
    let host = host.rsplit_once(':').map_or(host, |(h, _)| h);
    if !["localhost", "127.0.0.1", "[::1]"].contains(&host) {
        let mut refused = Response::new(Body::from(b"<h3>Unauthorized</h3>".to_vec()));
        *refused.status_mut() = http::StatusCode::FORBIDDEN;
        return Ok(refused);
    }
    let target = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    let target = target.strip_prefix(prefix.as_str()).unwrap_or(target);
    if let Ok(uri) = target.parse() {
        parts.uri = uri;
    }
    for h in ["host", "connection", "authorization", "transfer-encoding", "content-length"] {
        parts.headers.remove(h);
    }
    let bytes = body.collect().await.map_err(kube::Error::HyperError)?.to_bytes();
    client.send(Request::from_parts(parts, Body::from(bytes))).await
}
