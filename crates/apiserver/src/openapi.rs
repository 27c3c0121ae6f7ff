//! `/openapi/v2` and `/openapi/v3`, with the older spellings that old clients ask (`kube-openapi/pkg/handler`,
//! `handler3`).
//!
//! Documents are made when somebody first asks, kept compressed, and dropped when custom resource definitions change.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::status::ApiError;
use apiextensions::Types;
use bytes::Bytes;
use component_base::version::GIT_VERSION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use openapi::{Document, Source};
use parking_lot::RwLock;
use tokio::sync::OnceCell;

use crate::Server;
use crate::http::{Body, Response};
use crate::request::Query;

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// How v1.10 spells it.
const PROTOBUF_OLD: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
const V3_ROOT: &str = "/openapi/v3";

/// The documents of built-in group versions; they never change.
type BuiltIn = Arc<OnceCell<BTreeMap<String, Document>>>;

/// The documents as long as the same kinds are served.
#[derive(Default)]
struct Generation {
    custom: Vec<Arc<Types>>,
    json: OnceCell<Document>,
    protobuf: OnceCell<Document>,
    builtin: BuiltIn,
    v3: OnceCell<BTreeMap<String, Document>>,
    index: OnceCell<(Bytes, String)>,
}

/// All documents.
#[derive(Default)]
pub struct Documents(RwLock<Arc<Generation>>);

impl Documents {
    /// From now on these custom resources are served.
    pub fn set_custom(&self, custom: Vec<Arc<Types>>) {
        let builtin = self.0.read().builtin.clone();
        *self.0.write() = Arc::new(Generation { custom, builtin, ..Generation::default() });
    }

    fn now(&self) -> Arc<Generation> {
        self.0.read().clone()
    }
}

/// Runs what takes a while off the threads that answer requests.
async fn make<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)?;
    done.map_err(ApiError::internal)
}

fn with_sources<T>(custom: &[Arc<Types>], work: impl FnOnce(&[Source<'_>]) -> T) -> T {
    let mut sources: Vec<Source<'_>> = vec![Source::builtin()];
    sources.extend(custom.iter().map(|t| Source { kinds: &t.kinds, schemas: &t.schemas }));
    work(&sources)
}

impl Generation {
    async fn v2(self: &Arc<Self>, protobuf: bool) -> Result<&Document, ApiError> {
        let cell = if protobuf { &self.protobuf } else { &self.json };
        cell.get_or_try_init(|| {
            let custom = self.custom.clone();
            make(move || {
                with_sources(&custom, |sources| {
                    let write = if protobuf { openapi::v2::protobuf } else { openapi::v2::json };
                    write(sources, GIT_VERSION)
                })
            })
        })
        .await
    }

    async fn v3(self: &Arc<Self>) -> Result<&BTreeMap<String, Document>, ApiError> {
        let built = self.builtin.get_or_try_init(|| make(|| of_source(&Source::builtin()))).await?;
        self.v3
            .get_or_try_init(|| async {
                let mut all = built.clone();
                let custom = self.custom.clone();
                let more = make(move || custom_documents(&custom)).await?;
                all.extend(more);
                Ok(all)
            })
            .await
    }

    async fn index(self: &Arc<Self>) -> Result<&(Bytes, String), ApiError> {
        let documents = self.v3().await?;
        self.index
            .get_or_try_init(|| async {
                let entries = documents.iter().map(|(name, d)| (name.clone(), d.hash.as_str()));
                let bytes = serde_json::to_vec(&openapi::v3::index(entries)).map_err(ApiError::internal)?;
                let hash = hash(&bytes);
                Ok((Bytes::from(bytes), hash))
            })
            .await
    }
}

fn hash(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|b| format!("{b:02X}")).collect()
}

/// A document for each group version of a source.
fn of_source(source: &Source<'_>) -> std::io::Result<BTreeMap<String, Document>> {
    let mut documents = BTreeMap::new();
    for (group, versions) in source.kinds.groups() {
        for version in versions {
            if let Some(document) = openapi::v3::document(source, group, version, GIT_VERSION)? {
                documents.insert(openapi::v3::name(group, version), document);
            }
        }
    }
    Ok(documents)
}

/// The documents of custom resources: definitions of one group version share one.
fn custom_documents(custom: &[Arc<Types>]) -> std::io::Result<BTreeMap<String, Document>> {
    let mut by_version: BTreeMap<(String, String), Vec<&Arc<Types>>> = BTreeMap::new();
    for types in custom {
        for (group, versions) in types.kinds.groups() {
            for version in versions {
                by_version.entry((group.to_string(), version.to_string())).or_default().push(types);
            }
        }
    }
    let mut documents = BTreeMap::new();
    for ((group, version), types) in by_version {
        let sources: Vec<Source<'_>> =
            types.iter().map(|t| Source { kinds: &t.kinds, schemas: &t.schemas }).collect();
        if let Some(document) = openapi::v3::document_of(&sources, &group, &version, GIT_VERSION)? {
            documents.insert(openapi::v3::name(&group, &version), document);
        }
    }
    Ok(documents)
}

/// Answers a path of a document; `None` when it is none.
pub async fn answer(server: &Server, parts: &Parts, query: &Query) -> Option<Result<Response, ApiError>> {
    let path = parts.uri.path().trim_end_matches('/');
    if path != "/openapi/v2" && !path.starts_with("/swagger") && !path.starts_with(V3_ROOT) {
        return None;
    }
    let get = parts.method == Method::GET || parts.method == Method::HEAD;
    let generation = server.openapi().now();
    Some(match path {
        _ if !get => Err(crate::handlers::method_not_allowed()),
        "/openapi/v2" => v2(&generation, &parts.headers).await,
        "/swagger-2.0.0.pb-v1" => {
            generation.v2(true).await.and_then(|d| document(d, &parts.headers, PROTOBUF_OLD))
        }
        // The path says that it is compressed: the client does not have to.
        "/swagger-2.0.0.pb-v1.gz" => generation
            .v2(true)
            .await
            .map(|d| content(d.gzip.clone(), &d.hash, &parts.headers, "application/x-gzip")),
        "/swagger.json" | "/swagger-2.0.0.json" => {
            generation.v2(false).await.and_then(|d| document(d, &parts.headers, JSON))
        }
        V3_ROOT => {
            generation.index().await.map(|(bytes, hash)| content(bytes.clone(), hash, &parts.headers, JSON))
        }
        _ => match path.strip_prefix("/openapi/v3/") {
            Some(name) => v3(&generation, name, parts, query).await,
            None => return None,
        },
    })
}

async fn v2(generation: &Arc<Generation>, headers: &HeaderMap) -> Result<Response, ApiError> {
    let offered = [(JSON, false, JSON), (PROTOBUF_OLD, true, PROTOBUF), (PROTOBUF, true, PROTOBUF)];
    let Some((protobuf, returned)) = choose(headers, &offered) else { return Ok(not_acceptable()) };
    let found = generation.v2(protobuf).await?;
    let mut response = document(found, headers, returned)?;
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

async fn v3(
    generation: &Arc<Generation>,
    name: &str,
    parts: &Parts,
    query: &Query,
) -> Result<Response, ApiError> {
    let Some(found) = generation.v3().await?.get(name) else {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    };
    if choose(&parts.headers, &[(JSON, false, JSON)]).is_none() {
        return Ok(not_acceptable());
    }
    let asked = query.get("hash").unwrap_or_default();
    if !asked.is_empty() && asked != found.hash {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
        let to = HeaderValue::from_str(&format!("{V3_ROOT}/{name}?hash={}", found.hash));
        response.headers_mut().insert(header::LOCATION, to.map_err(ApiError::internal)?);
        return Ok(response);
    }
    let mut response = document(found, &parts.headers, JSON)?;
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

fn not_acceptable() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_ACCEPTABLE;
    response
}

/// A kept document: as it is for clients that take gzip, unpacked for others.
fn document(
    document: &Document,
    headers: &HeaderMap,
    content_type: &'static str,
) -> Result<Response, ApiError> {
    let takes_gzip = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.split(',').any(|e| e.split(';').next().is_some_and(|e| e.trim() == "gzip")));
    if takes_gzip {
        let mut response = content(document.gzip.clone(), &document.hash, headers, content_type);
        if response.status() == StatusCode::OK {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        return Ok(response);
    }
    let plain = document.plain().map_err(ApiError::internal)?;
    Ok(content(plain, &document.hash, headers, content_type))
}

fn content(bytes: Bytes, hash: &str, headers: &HeaderMap, content_type: &'static str) -> Response {
    let etag = format!("\"{hash}\"");
    let known = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()).is_some_and(|v| {
        v.split(',').any(|e| matches!(e.trim().trim_start_matches("W/"), t if t == etag || t == "*"))
    });
    let mut response = if known {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let mut response = Response::new(Body::Full(bytes));
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
