//! Requests passed on to pods, services and nodes, and connections that become something else on the way
//! (`UpgradeAwareHandler`).

use std::sync::Arc;

use api::status::ApiError;
use futures::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyStream;
use hyper::body::Incoming as NetBody;
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;

use super::target::{self, Target};
use crate::handlers::Ctx;
use crate::http::listen::Peer;
use crate::http::{Body, Incoming, Response};

const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];

/// Headers that concern one connection only (as Go's `ReverseProxy` has them), and the client's secrets.
const DROPPED: [&str; 11] = [
    "authorization",
    "connection",
    "impersonate-group",
    "impersonate-uid",
    "impersonate-user",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
];

/// A body on its way from a backend to a client, until the server stops.
pub(super) fn passed_on(body: NetBody, stop: CancellationToken) -> Body {
    let frames = BodyStream::new(body).take_until(stop.cancelled_owned());
    Body::stream(frames.filter_map(|frame| async { frame.ok()?.into_data().ok() }))
}

/// Whether a request asks for another protocol.
pub(super) fn wants_upgrade(headers: &HeaderMap) -> bool {
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|v| v.to_str().ok());
    named.flat_map(|v| v.split(',')).any(|t| t.trim().eq_ignore_ascii_case("upgrade"))
}

/// Relays a request to `…/proxy/…`.
pub(super) async fn answer(ctx: &Arc<Ctx>, body: Incoming) -> Result<Response, ApiError> {
    if !METHODS.contains(&ctx.parts.method) {
        return Err(crate::handlers::method_not_allowed());
    }
    let target = match ctx.resource.plural.as_str() {
        "pods" => target::pod_proxy(ctx).await?,
        "services" => target::service_proxy(ctx).await?,
        _ => target::node_proxy(ctx).await?,
    };
    let uri = &ctx.parts.uri;
    let (prefix, below) = split(uri.path(), ctx.resource.namespaced);
    let query = uri.query().map(|q| format!("?{q}")).unwrap_or_default();
    if wants_upgrade(&ctx.parts.headers) {
        let path = if below.is_empty() { "/" } else { below };
        return upgrade(ctx, &target, &format!("{path}{query}"), body).await;
    }
    if below.is_empty() && matches!(ctx.parts.method, Method::GET | Method::HEAD) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
        let to = HeaderValue::from_str(&format!("{}/{query}", uri.path())).map_err(ApiError::internal)?;
        response.headers_mut().insert(header::LOCATION, to);
        return Ok(response);
    }
    let path = if below.is_empty() { "/" } else { below };
    let mut request = http::Request::builder().method(&ctx.parts.method).uri(format!("{path}{query}"));
    if let Some(headers) = request.headers_mut() {
        *headers = forwarded(ctx, &target, false);
        let uri = HeaderValue::from_str(uri.path()).map_err(ApiError::internal)?;
        headers.insert("x-forwarded-uri", uri);
    }
    let request = request.body(body).map_err(ApiError::internal)?;
    let sent = ctx.server.relay().send(&target, request).await;
    let got = sent.map_err(|e| {
        ApiError::new(503, "ServiceUnavailable", format!("error trying to reach service: {e}"))
    })?;
    let (mut parts, body) = got.into_parts();
    drop_hop_headers(&mut parts.headers);
    if let Some(location) = parts.headers.get(header::LOCATION).and_then(|v| v.to_str().ok()) {
        let host = ctx.parts.headers.get(header::HOST).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if let Ok(value) = HeaderValue::from_str(&relocated(location, prefix, &target.address(), host)) {
            parts.headers.insert(header::LOCATION, value);
        }
    }
    let mut response = Response::new(passed_on(body, ctx.server.stopping()));
    *response.status_mut() = parts.status;
    *response.headers_mut() = parts.headers;
    Ok(response)
}

/// The path up to `/proxy`, and what lies below (with its slash).
fn split(path: &str, namespaced: bool) -> (&str, &str) {
    // "", api, v1, namespaces, ns, pods, name, proxy; nodes lack two of them.
    let segments = if namespaced { 8 } else { 6 };
    match path.match_indices('/').nth(segments - 1) {
        Some((at, _)) => path.split_at(at),
        None => (path, ""),
    }
}

/// Redirects within the backend lead through the server again (`Transport.rewriteURL`).
fn relocated(location: &str, prefix: &str, backend: &str, front: &str) -> String {
    let path = match location.split_once("://") {
        None => location,
        Some((_, rest)) => {
            let at = rest.find('/').unwrap_or(rest.len());
            let host = &rest[..at];
            let bare = backend.trim_end_matches(":80").trim_end_matches(":443");
            if host != backend && host != bare && host != front {
                return location.to_owned();
            }
            if at == rest.len() { "/" } else { &rest[at..] }
        }
    };
    if !path.starts_with('/') || path.starts_with("//") || path.starts_with(prefix) {
        return if path.starts_with(prefix) { path.to_owned() } else { location.to_owned() };
    }
    format!("{prefix}{path}")
}

fn drop_hop_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .filter_map(|n| n.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in DROPPED {
        headers.remove(name);
    }
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::UPGRADE);
}

/// The client's headers as the backend gets them.
fn forwarded(ctx: &Ctx, target: &Target, upgrade: bool) -> HeaderMap {
    let mut headers = ctx.parts.headers.clone();
    let kept = headers.get(header::UPGRADE).cloned();
    drop_hop_headers(&mut headers);
    if upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        if let Some(kept) = kept {
            headers.insert(header::UPGRADE, kept);
        }
    }
    // HTTP/2 requests have their host in the URI.
    if !headers.contains_key(header::HOST) {
        let host = ctx.parts.uri.authority().map_or_else(|| target.address(), ToString::to_string);
        if let Ok(host) = HeaderValue::from_str(&host) {
            headers.insert(header::HOST, host);
        }
    }
    if let Some(peer) = ctx.parts.extensions.get::<Peer>() {
        let before = headers.get("x-forwarded-for").and_then(|v| v.to_str().ok());
        let chain = match before {
            Some(before) => format!("{before}, {}", peer.address.ip()),
            None => peer.address.ip().to_string(),
        };
        if let Ok(chain) = HeaderValue::from_str(&chain) {
            headers.insert("x-forwarded-for", chain);
        }
    }
    headers
}

/// Passes a request for another protocol on, then the bytes of that protocol.
pub(super) async fn upgrade(
    ctx: &Arc<Ctx>,
    target: &Target,
    path: &str,
    body: Incoming,
) -> Result<Response, ApiError> {
    let mut request = http::Request::builder().method(&ctx.parts.method).uri(path);
    if let Some(headers) = request.headers_mut() {
        *headers = forwarded(ctx, target, true);
    }
    let request = request.body(body).map_err(ApiError::internal)?;
    let sent = ctx.server.relay().send(target, request).await;
    let mut got = sent.map_err(|e| ApiError::new(500, "", format!("error dialing backend: {e}")))?;
    let status = got.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        if status.as_u16() < 400 {
            let text = format!("invalid upgrade response: status code {}", status.as_u16());
            return Err(ApiError::new(500, "", text));
        }
        let (mut parts, body) = got.into_parts();
        drop_hop_headers(&mut parts.headers);
        let mut response = Response::new(passed_on(body, ctx.server.stopping()));
        *response.status_mut() = status;
        *response.headers_mut() = parts.headers;
        return Ok(response);
    }
    let backend = hyper::upgrade::on(&mut got);
    let Some(client) = ctx.server.take_upgrade(&ctx.parts) else {
        return Err(ApiError::new(500, "", "request connection cannot be hijacked"));
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    *response.headers_mut() = got.headers().clone();
    let stop = ctx.server.stopping();
    component_base::panics::spawn(async move {
        let (client, backend) = match tokio::try_join!(client, backend) {
            Ok(both) => both,
            Err(error) => {
                tracing::debug!(%error, "relayed upgrade");
                return;
            }
        };
        let (mut from_client, mut to_client) = tokio::io::split(TokioIo::new(client));
        let (mut from_backend, mut to_backend) = tokio::io::split(TokioIo::new(backend));
        // When one direction ends, so does the other, as upstream has it.
        tokio::select! {
            _ = tokio::io::copy(&mut from_client, &mut to_backend) => {}
            _ = tokio::io::copy(&mut from_backend, &mut to_client) => {}
            () = stop.cancelled() => {}
        }
        use tokio::io::AsyncWriteExt;
        let _ = tokio::join!(to_client.shutdown(), to_backend.shutdown());
    });
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_behind_proxy() {
        let path = "/api/v1/namespaces/default/pods/web:80/proxy/a//b/";
        assert_eq!(split(path, true), ("/api/v1/namespaces/default/pods/web:80/proxy", "/a//b/"));
        assert_eq!(split("/api/v1/nodes/n1/proxy", false), ("/api/v1/nodes/n1/proxy", ""));
        assert_eq!(split("/api/v1/nodes/n1/proxy/healthz", false).1, "/healthz");
    }

    #[test]
    fn redirects_come_back_through_the_server() {
        let prefix = "/api/v1/namespaces/d/pods/w/proxy";
        let to = |l: &str| relocated(l, prefix, "10.5.0.2:80", "server:8080");
        assert_eq!(to("/login"), format!("{prefix}/login"));
        assert_eq!(to("http://10.5.0.2/x"), format!("{prefix}/x"));
        assert_eq!(to("https://elsewhere/x"), "https://elsewhere/x");
        assert_eq!(to("next"), "next");
    }
}
