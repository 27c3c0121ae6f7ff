//! `/openapi/v2` and `/openapi/v3`, with the older spellings that old clients ask (`kube-openapi/pkg/handler`,
//! `handler3`).

mod documents;

use std::sync::Arc;

use api::status::ApiError;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use openapi::Document;

use crate::Server;
use crate::http::{Body, Response};
use crate::request::Query;

pub use documents::Documents;
use documents::Generation;

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// How v1.10 spells it.
const PROTOBUF_OLD: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
const TEXT: &str = "text/plain; charset=utf-8";
const V3_ROOT: &str = "/openapi/v3";

/// Answers a path of a document; `None` when it is none.
pub async fn answer(server: &Server, parts: &Parts, query: &Query) -> Option<Result<Response, ApiError>> {
    let path = parts.uri.path();
    if path != "/openapi/v2" && !path.starts_with("/swagger") && !path.starts_with(V3_ROOT) {
        return None;
    }
    let generation = server.openapi().now();
    Some(match path {
        "/openapi/v2" => v2(&generation, &parts.headers).await,
        "/swagger-2.0.0.pb-v1" => {
            generation.v2(true).await.map(|d| document(d, &parts.headers, PROTOBUF_OLD))
        }
        // The path says that it is compressed: the client does not have to.
        "/swagger-2.0.0.pb-v1.gz" => generation
            .v2(true)
            .await
            .map(|d| content(Body::Full(d.gzip.clone()), &d.hash, &parts.headers, "application/x-gzip")),
        "/swagger.json" | "/swagger-2.0.0.json" => {
            generation.v2(false).await.map(|d| document(d, &parts.headers, JSON))
        }
        // Upstream says nothing of its type, and Go takes JSON for text.
        V3_ROOT => generation
            .index()
            .await
            .map(|i| content(Body::Full(i.json.clone()), &i.hash, &parts.headers, TEXT)),
        _ => match path.strip_prefix("/openapi/v3/") {
            Some(name) => v3(&generation, name, parts, query).await,
            None => return None,
        },
    })
}

async fn v2(generation: &Arc<Generation>, headers: &HeaderMap) -> Result<Response, ApiError> {
    let offered = [(JSON, false, JSON), (PROTOBUF_OLD, true, PROTOBUF), (PROTOBUF, true, PROTOBUF)];
    let Some((protobuf, returned)) = choose(headers, &offered) else {
        let mut response = empty(StatusCode::NOT_ACCEPTABLE);
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
        return Ok(response);
    };
    let found = generation.v2(protobuf).await?;
    let mut response = document(found, headers, returned);
    // Upstream says first that it may compress, whoever asks.
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

async fn v3(
    generation: &Arc<Generation>,
    name: &str,
    parts: &Parts,
    query: &Query,
) -> Result<Response, ApiError> {
    let Some(found) = generation.v3(name).await? else { return Ok(empty(StatusCode::NOT_FOUND)) };
    if choose(&parts.headers, &[(JSON, false, JSON)]).is_none() {
        let mut response = empty(StatusCode::NOT_ACCEPTABLE);
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
        return Ok(response);
    }
    let asked = query.get("hash").unwrap_or_default();
    if !asked.is_empty() && asked != found.hash {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
        let to = HeaderValue::from_str(&format!("{V3_ROOT}/{name}?hash={}", found.hash));
        response.headers_mut().insert(header::LOCATION, to.map_err(ApiError::internal)?);
        return Ok(response);
    }
    let mut response = document(&found, &parts.headers, JSON);
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Accept"));
    if !asked.is_empty() {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
        let expires = jiff::Timestamp::now().as_second().saturating_add(365 * 24 * 3600);
        let expires = jiff::Timestamp::from_second(expires).map_err(ApiError::internal)?;
        let text = expires.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        headers.insert(header::EXPIRES, HeaderValue::from_str(&text).map_err(ApiError::internal)?);
    }
    Ok(response)
}

/// The first type of `Accept` (by weight) that is offered: what it means, and how the answer is labelled.
fn choose(headers: &HeaderMap, offered: &[(&str, bool, &'static str)]) -> Option<(bool, &'static str)> {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).filter(|a| !a.is_empty());
    let mut clauses: Vec<(f32, &str)> = Vec::new();
    for clause in accept.unwrap_or("*/*").split(',') {
        let mut parts = clause.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let weight = parts.find_map(|p| p.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
        clauses.push((weight, media));
    }
    clauses.sort_by(|a, b| b.0.total_cmp(&a.0));
    clauses.iter().find_map(|(_, media)| {
        let matches = |name: &str| *media == name || matches!(*media, "*/*" | "*" | "application/*");
        offered.iter().find(|(name, ..)| matches(name)).map(|(_, what, returned)| (*what, *returned))
    })
}

/// A refusal without words.
fn empty(code: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = code;
    let kept = HeaderValue::from_static("no-cache, private");
    response.headers_mut().insert(header::CACHE_CONTROL, kept);
    response
}

/// A kept document: as it is for clients that take gzip, unpacked for others.
fn document(document: &Document, headers: &HeaderMap, content_type: &'static str) -> Response {
    let takes_gzip = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.split(',').any(|e| e.split(';').next().is_some_and(|e| e.trim() == "gzip")));
    if takes_gzip {
        let mut response = content(Body::Full(document.gzip.clone()), &document.hash, headers, content_type);
        if response.status() == StatusCode::OK {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        return response;
    }
    let plain = Body::pieces(document.plain(), document.length);
    content(plain, &document.hash, headers, content_type)
}

fn content(body: Body, hash: &str, headers: &HeaderMap, content_type: &'static str) -> Response {
    let etag = format!("\"{hash}\"");
    let known = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()).is_some_and(|v| {
        v.split(',').any(|e| matches!(e.trim().trim_start_matches("W/"), t if t == etag || t == "*"))
    });
    let mut response = if known {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &'static str) -> Option<(bool, &'static str)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(value));
        let offered = [(JSON, false, JSON), (PROTOBUF_OLD, true, PROTOBUF), (PROTOBUF, true, PROTOBUF)];
        choose(&headers, &offered)
    }

    #[test]
    fn old_and_new_kubectls_get_protobuf_and_others_json() {
        assert_eq!(accept(PROTOBUF_OLD), Some((true, PROTOBUF)));
        assert_eq!(
            accept("application/com.github.proto-openapi.spec.v2.v1.0+protobuf, */*"),
            Some((true, PROTOBUF))
        );
        assert_eq!(accept("*/*"), Some((false, JSON)));
        assert_eq!(accept("text/html"), None);
    }
}
