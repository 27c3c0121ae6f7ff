//! Paths that are no resources: discovery, version, health, metrics, OpenAPI, the list of paths.

use api::status::ApiError;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, header};

use super::Server;
use crate::http::Response;
use crate::negotiate::{self, encode};
use crate::request::Query;
use crate::{discovery, health, metrics};

/// Answers, or says that there is nothing. Upstream's mux takes any method where its router takes one.
pub(super) async fn answer(
    server: &Server,
    parts: &Parts,
    path: &str,
    query: &Query,
) -> Result<Response, ApiError> {
    if let Some((root, check)) = health::split(path) {
        return Ok(health::answer(server, root, check, query).await);
    }
    if let Some(response) = crate::openapi::answer(server, parts, query).await {
        return response;
    }
    let produced = |types: &[&str]| negotiate::produces(&parts.headers, types);
    match path {
        "/" | "/index.html" => return Ok(discovery::paths(server)),
        "/metrics" => {
            let text = Bytes::from(metrics::render(server));
            return Ok(encode::whole(200, text, PROMETHEUS, negotiate::takes_gzip(&parts.headers)));
        }
        "/metrics/slis" => {
            let text = Bytes::from(health::indicators(server).await);
            return Ok(encode::whole(200, text, PROMETHEUS, negotiate::takes_gzip(&parts.headers)));
        }
        "/statusz" => return super::zpages::statusz(server, &parts.headers),
        "/apis" | "/apis/" => return discovery::root(server, parts, query, "/apis"),
        _ => {}
    }
    let get = parts.method == Method::GET;
    match path.strip_suffix('/').unwrap_or(path) {
        "/version" => routed(get, || {
            produced(&["application/json"])?;
            discovery::version(server)
        }),
        "/api" => routed(get, || {
            produced(&negotiate::OFFERED)?;
            discovery::root(server, parts, query, "/api")
        }),
        JWKS => routed(get, || {
            produced(&[JWK_SET])?;
            Ok(openid(&server.keys().jwks(), JWK_SET))
        }),
        CONFIGURATION => routed(get, || {
            produced(&["application/json"])?;
            let own = || format!("https://{}{JWKS}", server.advertised());
            let uri = server.options().service_account_jwks_uri.clone().unwrap_or_else(own);
            Ok(openid(&server.keys().discovery(&uri), "application/json"))
        }),
        trimmed => match discovery::group(server, parts, query, trimmed) {
            Some(found) if found.routed => routed(get, || {
                produced(&negotiate::OFFERED)?;
                found.answer
            }),
            Some(found) => found.answer,
            None => unknown(server, path),
        },
    }
}

/// What nothing is found at. Upstream's router owns the paths below what it serves and refuses with a `Status`; elsewhere
/// it is plain text.
pub(super) fn unknown(server: &Server, path: &str) -> Result<Response, ApiError> {
    let owned =
        |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let group = path.strip_prefix("/apis/").and_then(|rest| rest.split('/').next());
    let served =
        |group: &str| !group.is_empty() && server.registry().groups().iter().any(|(g, _)| g == group);
    if ["/api", "/version", JWKS, CONFIGURATION].into_iter().any(owned) || group.is_some_and(served) {
        return Err(ApiError::no_such_resource());
    }
    Ok(encode::text(404, "404 page not found\n"))
}

/// How the text of the metrics is labelled.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// What upstream says of a path that it cannot read, ahead of everything else.
pub(super) fn unreadable(uri: &http::Uri) -> Response {
    let target = uri.path_and_query().map_or_else(|| uri.path(), http::uri::PathAndQuery::as_str);
    let why = format!(
        "Internal Server Error: {}: failed to create RequestInfo: unable to determine kind and namespace from url, {target}\n",
        api::field::go_quote(target)
    );
    let why = why.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut response = encode::text(500, why);
    response.headers_mut().remove(header::CACHE_CONTROL);
    response
}

const CONFIGURATION: &str = "/.well-known/openid-configuration";

/// Where others find the keys that check service account tokens.
const JWKS: &str = "/openid/v1/jwks";

/// How a set of keys is labelled.
const JWK_SET: &str = "application/jwk-set+json";

/// An answer that others may keep for an hour.
fn openid(value: &api::Value, content_type: &'static str) -> Response {
    let mut response = encode::whole(200, Bytes::from(value.to_string()), content_type, false);
    let kept = HeaderValue::from_static("public, max-age=3600");
    response.headers_mut().insert(header::CACHE_CONTROL, kept);
    response
}

fn routed(get: bool, answer: impl FnOnce() -> Result<Response, ApiError>) -> Result<Response, ApiError> {
    if get { answer() } else { Err(crate::handlers::method_not_allowed()) }
}
