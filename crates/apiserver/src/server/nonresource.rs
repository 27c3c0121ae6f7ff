//! Paths that are no resources: discovery, version, health, metrics, OpenAPI, the list of paths.

use api::status::ApiError;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, header};

use super::Server;
use crate::http::Response;
use crate::negotiate::encode;
use crate::request::Query;
use crate::{discovery, health, metrics};

/// Answers, or says that there is nothing.
pub(super) async fn answer(server: &Server, parts: &Parts, query: &Query) -> Result<Response, ApiError> {
    let path = parts.uri.path();
    let trimmed = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    let get = parts.method == Method::GET;
    if let Some((_, rest)) = health::split(trimmed) {
        if !get && parts.method != Method::HEAD {
            return Err(not_allowed());
        }
        return Ok(health::answer(server, trimmed, rest, query).await);
    }
    if path.contains("//") && path.len() > 1 && !path.starts_with("/apis/") {
        return Ok(not_found());
    }
    match trimmed {
        "/" => method(get, || Ok(discovery::paths(server))),
        "/version" => method(get, || discovery::version(server, parts, query)),
        "/metrics" => method(get, || Ok(encode::text(200, metrics::render(server)))),
        "/api" | "/apis" => method(get, || discovery::root(server, parts, query, trimmed)),
        JWKS => method(get, || Ok(openid(&server.keys().jwks(), "application/jwk-set+json"))),
        "/.well-known/openid-configuration" => method(get, || {
            let own = || format!("https://{}{JWKS}", server.advertised());
            let uri = server.options().service_account_jwks_uri.clone().unwrap_or_else(own);
            Ok(openid(&server.keys().discovery(&uri), "application/json"))
        }),
        _ => {
            if let Some(response) = crate::openapi::answer(server, parts, query).await {
                return response;
            }
            if let Some(response) = discovery::group(server, parts, query, trimmed) {
                return if get { response } else { Err(not_allowed()) };
            }
            Ok(not_found())
        }
    }
}

/// Where others find the keys that check service account tokens.
const JWKS: &str = "/openid/v1/jwks";

/// An answer that others may keep for an hour.
fn openid(value: &api::Value, content_type: &'static str) -> Response {
    let mut response = encode::whole(200, Bytes::from(value.to_string()), content_type, false);
    let kept = HeaderValue::from_static("public, max-age=3600");
    response.headers_mut().insert(header::CACHE_CONTROL, kept);
    response
}

fn not_found() -> Response {
    encode::text(404, "404 page not found\n")
}

fn not_allowed() -> ApiError {
    crate::handlers::method_not_allowed()
}

fn method(get: bool, answer: impl FnOnce() -> Result<Response, ApiError>) -> Result<Response, ApiError> {
    if get { answer() } else { Err(not_allowed()) }
}
