//! The small HTTP server behind `/healthz` (upstream's `k8s.io/apiserver/pkg/server/healthz`).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// One named question: is this part well? The error is the reason.
#[derive(Clone)]
pub struct Check {
    name: String,
    ask: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}

impl Check {
    /// A check that calls `ask` at each request.
    pub fn new(
        name: impl Into<String>,
        ask: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), ask: Arc::new(ask) }
    }

    /// The check that only shows that the process answers.
    pub fn ping() -> Self {
        Self::new("ping", || Ok(()))
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on {addr}: {source}")]
pub struct Error {
    addr: SocketAddr,
    source: std::io::Error,
}

/// Serves `/healthz`, `/livez`, `/readyz` and `/version` on `addr` until `stop`. Returns when listening has begun, with
/// the address (port 0 picks one); the server itself runs in its own task.
pub async fn serve(
    addr: SocketAddr,
    checks: Vec<Check>,
    stop: CancellationToken,
) -> Result<SocketAddr, Error> {
    let fail = |source| Error { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(fail)?;
    let local = listener.local_addr().map_err(fail)?;
    tokio::spawn(accept(listener, checks.into(), stop));
    Ok(local)
}

async fn accept(listener: TcpListener, checks: Arc<[Check]>, stop: CancellationToken) {
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(err) => {
                    // Out of descriptors, mostly: let other connections end first.
                    tracing::warn!("healthz: accept failed: {err}");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (checks, stop) = (checks.clone(), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let response = answer(request.method(), request.uri().path(), request.uri().query(), &checks);
                std::future::ready(Ok::<_, Infallible>(response))
            });
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                () = stop.cancelled() => {}
                _ = connection => {}
            }
        });
    }
}

/// The answer to one request, as upstream's `handleRootHealth` gives it.
pub fn answer(method: &Method, path: &str, query: Option<&str>, checks: &[Check]) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n".into());
    }
    let mut parts = path.trim_matches('/').splitn(2, '/');
    let root = parts.next().unwrap_or_default();
    match (root, parts.next()) {
        ("healthz" | "livez" | "readyz", None) => all(root, query.unwrap_or_default(), checks),
        ("healthz" | "livez" | "readyz", Some(name)) => {
            match checks.iter().find(|check| check.name == name) {
                Some(check) => match (check.ask)() {
                    Ok(()) => text(StatusCode::OK, "ok".into()),
                    Err(why) => {
                        text(StatusCode::INTERNAL_SERVER_ERROR, format!("internal server error: {why}\n"))
                    }
                },
                None => text(StatusCode::NOT_FOUND, "404 page not found\n".into()),
            }
        }
        _ => text(StatusCode::NOT_FOUND, "404 page not found\n".into()),
    }
}

fn all(root: &str, query: &str, checks: &[Check]) -> Response<Full<Bytes>> {
    let mut report = String::new();
    let mut failed = false;
    for check in checks {
        match (check.ask)() {
            Ok(()) => report.push_str(&format!("[+]{} ok\n", check.name)),
            Err(_) => {
                failed = true;
                report.push_str(&format!("[-]{} failed: reason withheld\n", check.name));
            }
        }
    }
    if failed {
        return text(StatusCode::INTERNAL_SERVER_ERROR, format!("{report}{root} check failed\n"));
    }
    if query.split('&').any(|pair| pair == "verbose" || pair.starts_with("verbose=")) {
        return text(StatusCode::OK, format!("{report}{root} check passed\n"));
    }
    text(StatusCode::OK, "ok".into())
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
        .headers_mut()
        .insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn body(response: Response<Full<Bytes>>) -> (u16, String) {
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn reports_like_upstream() {
        let good = [Check::ping()];
        let bad = [Check::ping(), Check::new("leader", || Err("lost".into()))];
        assert_eq!(body(answer(&Method::GET, "/healthz", None, &good)).await, (200, "ok".into()));
        let (status, text) = body(answer(&Method::GET, "/healthz", None, &bad)).await;
        assert_eq!(
            (status, text.as_str()),
            (500, "[+]ping ok\n[-]leader failed: reason withheld\nhealthz check failed\n")
        );
        let verbose = answer(&Method::GET, "/readyz", Some("verbose"), &good);
        assert_eq!(body(verbose).await.1, "[+]ping ok\nreadyz check passed\n");
        assert_eq!(body(answer(&Method::GET, "/healthz/leader", None, &bad)).await.0, 500);
        assert_eq!(body(answer(&Method::GET, "/nope", None, &good)).await.0, 404);
    }

    #[tokio::test]
    async fn serves_until_stopped() {
        let stop = CancellationToken::new();
        let addr = serve("127.0.0.1:0".parse().unwrap(), vec![Check::ping()], stop.clone()).await.unwrap();
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("\r\n\r\nok"));
        stop.cancel();
    }
}
