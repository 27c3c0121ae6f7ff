//! The server itself: what all requests share, and the path that each of them takes.

mod inflight;
mod nonresource;
mod warnings;
pub(crate) mod zpages;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};
use std::time::Duration;

use api::Value;
use api::status::ApiError;
use bytes::Bytes;
use cache::Cache;
use component_base::panics;
use http::request::Parts;
use http::{HeaderValue, header};
use parking_lot::{Mutex, RwLock};
use store::Store;
use tokio_util::sync::CancellationToken;

use crate::admission::Chain;
use crate::allocator::Allocators;
use crate::authn::{self, User, keys::Keys, tokens::Tokens};
use crate::authz::{self, Authorizers};
use crate::handlers::{self, Ctx};
use crate::http::listen::Peer;
use crate::http::{Body, BoxError, Incoming, Request, Response, status};
use crate::metrics::Metrics;
use crate::negotiate::{self, Media, Transforms, encode};
use crate::options::{Options, parse_duration};
use crate::registry::resource::{Registry, Resource};
use crate::registry::storage::{Storage, Stored};
use crate::registry::{fields, kinds};
use crate::request::info::well_escaped;
use crate::request::{Info, Query};
use crate::run::Error;
use inflight::Inflight;

/// Answers from this size on count as running until the client has them: smaller ones are the connection's at once.
const HELD_MIN_BYTES: u64 = 16 * 1024;

/// What a request that panicked is answered.
const PANICKED: &str = "This request caused apiserver to panic. Look in the logs for details.\n";

struct Inner {
    options: Options,
    registry: Registry,
    storage: Storage,
    cache: Arc<Cache>,
    cached: RwLock<HashMap<String, Arc<cache::Resource>>>,
    admission: Chain,
    authorizers: Authorizers,
    request_timeout: Duration,
    allocators: Allocators,
    tokens: Tokens,
    keys: Keys,
    metrics: Metrics,
    inflight: Inflight,
    openapi: crate::openapi::Documents,
    relay: crate::relay::Connector,
    definitions: crate::crd::Definitions,
    stop: CancellationToken,
}

/// An API server in this process. Cheap to clone.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

fn read(flag: &str, path: &std::path::Path) -> Result<String, Error> {
    std::fs::read_to_string(path)
        .map_err(|e| Error::Flag(flag.to_owned(), format!("{}: {e}", path.display())))
}

impl Server {
    /// A server on a store. It answers as soon as its cache runs: see [`crate::start`].
    pub fn new(
        mut options: Options,
        store: Arc<dyn Store>,
        stop: CancellationToken,
    ) -> Result<Server, Error> {
        // As upstream (`ApplyAuthorization`): nobody may do everything without saying who he is.
        if options.anonymous_auth && options.authorization_mode.iter().any(|mode| mode == "AlwaysAllow") {
            tracing::warn!(
                "AnonymousAuth is not allowed with the AlwaysAllow authorizer. Resetting AnonymousAuth to false. You should use a different authorizer"
            );
            options.anonymous_auth = false;
        }
        let flag = |name: &str, why: String| Error::Flag(name.to_owned(), why);
        let ttl = parse_duration(&options.event_ttl)
            .ok_or_else(|| flag("event-ttl", format!("invalid duration {:?}", options.event_ttl)))?;
        let request_timeout = parse_duration(&options.request_timeout).ok_or_else(|| {
            flag("request-timeout", format!("invalid duration {:?}", options.request_timeout))
        })?;
        let storage = Storage::new(store.clone(), &options.etcd_prefix, ttl);
        let cache = Cache::new(store, format!("{}/", storage.prefix()));
        let registry = kinds::registry(&options).map_err(|(name, why)| flag(name, why))?;
        let authorizers =
            Authorizers::new(&options.authorization_mode).map_err(|e| flag("authorization-mode", e))?;
        let admission = Chain::new(&options).map_err(|e| flag("enable-admission-plugins", e))?;
        let allocators = Allocators::new(
            storage.prefix(),
            &options.service_cluster_ip_range,
            &options.service_node_port_range,
        )
        .map_err(|e| flag("service ranges", e))?;
        let tokens = match &options.token_auth_file {
            Some(path) => {
                Tokens::parse(&read("token-auth-file", path)?).map_err(|e| flag("token-auth-file", e))?
            }
            None => Tokens::default(),
        };
        let keys = keys(&options)?;
        let relay =
            crate::relay::Connector::new(&options).map_err(|e| flag("kubelet-client-certificate", e))?;
        let inflight = Inflight::new(options.max_requests_inflight, options.max_mutating_requests_inflight);
        let openapi = crate::openapi::Documents::new(registry.kinds().clone());
        let server = Server(Arc::new(Inner {
            options,
            registry,
            storage,
            cache,
            cached: RwLock::default(),
            admission,
            authorizers,
            request_timeout,
            allocators,
            tokens,
            keys,
            metrics: Metrics::default(),
            inflight,
            openapi,
            relay,
            definitions: crate::crd::Definitions::default(),
            stop,
        }));
        for hub in server.registry().hubs().iter().filter(|hub| !hub.key_prefix.is_empty()) {
            server.cache_resource(hub);
        }
        Ok(server)
    }

    /// Gives a resource its part of the cache.
    pub fn cache_resource(&self, resource: &Resource) {
        let config = cache::Config {
            prefix: self.storage().keys(resource, ""),
            namespaced: resource.namespaced,
            form: if resource.custom { cache::ItemForm::Custom } else { cache::ItemForm::BuiltIn },
            fields: fields::of(resource),
            index: fields::index(resource),
        };
        let part = self.0.cache.register(config);
        self.0.cached.write().insert(resource.key_prefix.clone(), part);
    }

    /// Takes a resource's part of the cache away.
    pub fn uncache_resource(&self, resource: &Resource) {
        self.0.cache.unregister(&self.storage().keys(resource, ""));
        self.0.cached.write().remove(&resource.key_prefix);
    }

    /// The flags.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// The resources.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// The objects in the store.
    pub fn storage(&self) -> &Storage {
        &self.0.storage
    }

    /// The watch cache.
    pub fn cache(&self) -> &Arc<Cache> {
        &self.0.cache
    }

    /// A resource's part of the watch cache.
    pub fn cached(&self, resource: &Resource) -> Result<Arc<cache::Resource>, ApiError> {
        let found = self.0.cached.read().get(&resource.key_prefix).cloned();
        found.ok_or_else(ApiError::no_such_resource)
    }

    /// An object as the cache has it, or else as the store has it: where a write begins
    /// (upstream's `GuaranteedUpdate` with a cached object). A dry run writes nothing that would show whether the cache
    /// was behind, and begins with the store's.
    pub async fn recent(
        &self,
        resource: &Resource,
        (namespace, name): (&str, &str),
        dry_run: bool,
    ) -> Result<Option<Stored>, ApiError> {
        let key = resource.cache_key(namespace, name);
        let cached = self.cached(resource).ok().filter(|_| !dry_run);
        let item = cached.and_then(|part| part.get(&key));
        let Some(item) = item else { return self.storage().get(resource, namespace, name).await };
        let mut object = item.value().map_err(ApiError::internal)?;
        object["apiVersion"] = resource.hub_group_version().into();
        object["kind"] = resource.api.hub().kind.to_string().into();
        Ok(Some(Stored { object, revision: item.revision(), fresh: false }))
    }

    /// Whether the cache has an object, without waiting for it. What was just deleted may still be there.
    pub fn at_hand(&self, resource: &Resource, namespace: &str, name: &str) -> bool {
        let key = resource.cache_key(namespace, name);
        self.cached(resource).is_ok_and(|part| part.get(&key).is_some())
    }

    /// The admission plug-ins.
    pub fn admission(&self) -> &Chain {
        &self.0.admission
    }

    /// Cluster addresses and node ports.
    pub fn allocators(&self) -> &Allocators {
        &self.0.allocators
    }

    /// Who may do what.
    pub fn authorizers(&self) -> &Authorizers {
        &self.0.authorizers
    }

    /// The static tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    /// The keys of service account tokens.
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// The custom resource definitions that are served.
    pub fn definitions(&self) -> &crate::crd::Definitions {
        &self.0.definitions
    }

    /// What connects to kubelets and pods.
    pub fn relay(&self) -> &crate::relay::Connector {
        &self.0.relay
    }

    /// The OpenAPI documents.
    pub fn openapi(&self) -> &crate::openapi::Documents {
        &self.0.openapi
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Where clients are told to find the secure port.
    pub fn advertised(&self) -> String {
        let at = crate::run::advertised(self.options());
        format!("{}:{}", at.address, at.port)
    }

    /// Cancelled when the server stops.
    pub fn stopping(&self) -> CancellationToken {
        self.0.stop.clone()
    }

    /// An object is gone from the store: what hung on it goes too.
    pub async fn deleted(&self, resource: &Resource, object: &Value) {
        if resource.is("", "services") {
            self.allocators().release_service(self.storage(), object).await;
        }
    }

    /// The connection under a request that asked for another protocol.
    pub fn take_upgrade(&self, parts: &Parts) -> Option<hyper::upgrade::OnUpgrade> {
        parts.extensions.get::<Upgrade>().and_then(|u| u.0.lock().take())
    }

    /// Answers one request. One that panics ends alone (`filters/wrap.go`).
    pub fn handle(&self, request: Request) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        let server = self.clone();
        Box::pin(async move {
            let (method, uri) = (request.method().clone(), request.uri().clone());
            panics::contain(server.answer(request)).await.unwrap_or_else(|_| {
                tracing::error!(%method, %uri, "apiserver panic'd");
                encode::text(500, PANICKED)
            })
        })
    }

    async fn answer(&self, mut request: Request) -> Response {
        if request.headers().contains_key(header::UPGRADE) {
            let upgrade = hyper::upgrade::on(&mut request);
            request.extensions_mut().insert(Upgrade(Arc::new(Mutex::new(Some(upgrade)))));
        }
        let started = std::time::Instant::now();
        if !well_escaped(request.uri().path()) {
            return encode::unreadable_request();
        }
        let (parts, body) = request.into_parts();
        let query = Query::parse(parts.uri.query());
        let info = Info::parse(&parts.method, parts.uri.path(), query.flag("watch"));
        let labels = crate::metrics::Labels::of(&info);
        let asked = Asked::of(&parts.headers, &query);
        let long = long_running(&info);
        if let Some(peer) = parts.extensions.get::<Peer>().filter(|_| parts.version < http::Version::HTTP_2) {
            peer.patience.set(long && info.verb != "watch");
        }
        let mut limit = self.0.request_timeout;
        let mut slot = None;
        let work = async {
            if !long && let Some(asked) = timeout(&query)? {
                limit = limit.min(asked);
            }
            let user;
            (user, slot) = self.enter(&parts, &info, long).await?;
            Ok((user, limit))
        };
        let (answer, warnings) = match work.await {
            Err(error) => (Err(error), Vec::new()),
            Ok((user, _)) if long => self.route(parts, info, query, user, body).await,
            Ok((user, limit)) => {
                let work = self.route(parts, info, query, user, body);
                tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
                    let why = "request did not complete within the allotted timeout";
                    (Err(ApiError::timeout(why)), Vec::new())
                })
            }
        };
        let mut response = answer.unwrap_or_else(|error| refusal(&error, asked));
        if !long && response.body().len().is_none_or(|n| n > HELD_MIN_BYTES) {
            let deadline = tokio::time::Instant::now() + limit;
            response = response.map(|body| body.held(Some(deadline), slot));
        }
        warnings::write(&warnings, response.headers_mut());
        self.metrics().count(labels, response.status().as_u16(), started.elapsed());
        response
    }

    /// Who asks, and whether there is room for them.
    async fn enter(
        &self,
        parts: &Parts,
        info: &Info,
        long: bool,
    ) -> Result<(User, Option<inflight::Slot>), ApiError> {
        let peer = parts.extensions.get::<Peer>();
        let user = authn::authenticate(self, peer, &parts.headers).await?;
        let user = authn::impersonate::user(&parts.headers)?.unwrap_or(user);
        let path = parts.uri.path();
        self.0.authorizers.check(&authz::Attributes { user: &user, verb: info.verb, info, path })?;
        if long {
            return Ok((user, None));
        }
        let slot = self.0.inflight.enter(matches!(info.verb, "get" | "list"));
        // Whoever may do everything always gets an answer.
        if slot.is_none() && !user.groups.iter().any(|g| g == authn::MASTERS) {
            return Err(ApiError::too_many_requests("Too many requests, please try again later.", 1));
        }
        Ok((user, slot))
    }

    async fn route(
        &self,
        parts: Parts,
        info: Info,
        query: Query,
        user: User,
        body: Incoming,
    ) -> (Result<Response, ApiError>, Vec<String>) {
        if info.unreadable {
            return (Ok(nonresource::unreadable(&parts.uri)), Vec::new());
        }
        if !info.is_resource {
            return (nonresource::answer(self, &parts, &info.path, &query).await, Vec::new());
        }
        let found = self.registry().find(&info.group, &info.version, &info.resource);
        let Some(resource) = found.filter(|_| info.rooted()) else {
            return (nonresource::unknown(self, &info.path), Vec::new());
        };
        let server = self.clone();
        let warnings = Mutex::default();
        let ctx =
            Ctx { server, info, query, parts, user, resource, warnings, empties: AtomicBool::new(false) };
        handlers::dispatch(ctx, body).await
    }
}

/// Requests that may last: no time limit, no place among those that are counted.
fn long_running(info: &Info) -> bool {
    info.verb == "watch"
        || matches!(info.subresource.as_str(), "log" | "exec" | "attach" | "portforward" | "proxy")
}

/// The upgrade of a connection, until somebody takes it.
#[derive(Clone)]
struct Upgrade(Arc<Mutex<Option<hyper::upgrade::OnUpgrade>>>);

/// What of a request says how it wants to be refused: most are not.
struct Asked {
    headers: [(http::HeaderName, Option<HeaderValue>); 2],
    pretty: Option<String>,
}

impl Asked {
    fn of(headers: &http::HeaderMap, query: &Query) -> Asked {
        let headers =
            [header::ACCEPT, header::USER_AGENT].map(|name| (name.clone(), headers.get(name).cloned()));
        Asked { headers, pretty: query.get("pretty").map(str::to_owned) }
    }

    /// The encoding, if the client takes one, and whether it is to be indented.
    fn form(self) -> (Option<Media>, bool) {
        let given = self.headers.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let headers = given.collect();
        let accept = negotiate::negotiate(&headers, self.pretty.as_deref(), Transforms::None);
        (negotiate::for_refusal(&headers), accept.is_ok_and(|a| a.pretty))
    }
}

/// A refusal as an answer.
fn refusal(error: &ApiError, asked: Asked) -> Response {
    let (media, pretty) = asked.form();
    let mut response = match media {
        Some(Media::Json) if !pretty => {
            encode::json_bytes(error.code, Bytes::from(status::failure(error)), &negotiate::Accept::JSON)
        }
        // A client that takes no such answer gets it all the same, in the form for people.
        Some(Media::Json) | None => {
            let json = Bytes::from(status::failure_indented(error));
            encode::json_bytes(error.code, json, &negotiate::Accept::JSON)
        }
        Some(media) => {
            let accept = negotiate::Accept { media, ..negotiate::Accept::JSON };
            encode::json_bytes(error.code, Bytes::from(status::failure(error)), &accept)
        }
    };
    if let Some(seconds) = error.details.get("retryAfterSeconds").and_then(Value::as_u64) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The `timeout` parameter (upstream's `parseTimeout`); zero is none.
fn timeout(query: &Query) -> Result<Option<Duration>, ApiError> {
    let text = query.text("timeout");
    if text.is_empty() {
        return Ok(None);
    }
    let nanos = api::decode::duration(text).map_err(|why| {
        ApiError::bad_request(format!("invalid timeout specified in the request URL - {why}"))
    })?;
    Ok(u64::try_from(nanos).ok().filter(|n| *n > 0).map(Duration::from_nanos))
}

fn keys(options: &Options) -> Result<Keys, Error> {
    let mut verify = Vec::new();
    for path in &options.service_account_key_file {
        verify.push(read("service-account-key-file", path)?);
    }
    // Upstream's default: the serving key.
    let serving =
        options.tls_private_key_file.clone().unwrap_or_else(|| options.cert_dir.join("apiserver.key"));
    let mut sign = match &options.service_account_signing_key_file {
        Some(path) => Some(read("service-account-signing-key-file", path)?),
        None => None,
    };
    if verify.is_empty() && serving.exists() {
        let key = read("tls-private-key-file", &serving)?;
        if sign.is_none() {
            sign = Some(key.clone());
        }
        verify.push(key);
    }
    Keys::new(&verify, sign.as_deref(), &options.service_account_issuer, &options.api_audiences)
        .map_err(|e| Error::Flag("service-account-key-file".into(), e))
}

impl<B> tower::Service<http::Request<B>> for Server
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let server = self.clone();
        let request = request.map(crate::http::body::incoming);
        Box::pin(async move { Ok(server.handle(request).await) })
    }
}
