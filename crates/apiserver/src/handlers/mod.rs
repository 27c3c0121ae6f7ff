//! One generic handler per verb, for every resource.

pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod managed;
pub mod options;
pub mod patch;
pub mod route;
pub mod subresource;
pub mod update;
pub mod watch;
pub mod write;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use api::Value;
use api::kinds::Era;
use api::status::ApiError;
use bytes::Bytes;
use http::request::Parts;
use http_body_util::{BodyExt, Limited};
use parking_lot::Mutex;

use crate::Server;
use crate::authn::User;
use crate::http::{Incoming, Response};
use crate::negotiate::{self, Accept, Transforms, encode};
use crate::registry::codec;
use crate::registry::resource::Resource;
use crate::request::{Info, Query};

/// Upstream's limit for request bodies.
pub const BODY_MAX_BYTES: usize = 3 * 1024 * 1024;

/// How many warnings are kept for one answer.
pub const WARNINGS_MAX: usize = 4096;

/// A request for a resource, with everything that was found out about it.
pub struct Ctx {
    /// The server.
    pub server: Server,
    /// What the path says.
    pub info: Info,
    /// What the query says.
    pub query: Query,
    /// Headers and extensions.
    pub parts: Parts,
    /// Who asks.
    pub user: User,
    /// The resource that is asked for.
    pub resource: Arc<Resource>,
    /// `Warning` headers of the answer.
    pub warnings: Mutex<Vec<String>>,
    /// Whether the body had empty lists or maps, which go away before the object is stored.
    pub empties: AtomicBool,
}

impl Ctx {
    /// Adds a warning unless it is there.
    pub fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        let mut warnings = self.warnings.lock();
        // More are never sent; a body can have a hundred thousand reasons to warn.
        if warnings.len() < WARNINGS_MAX && !text.is_empty() && !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// Adds a warning about what an object says. Servers of old versions knew none; clients that do ask for them.
    pub fn warn_of_object(&self, text: impl Into<String>) {
        if self.resource.era() == Era::Now || self.query.get("fieldValidation").is_some() {
            self.warn(text);
        }
    }

    /// Namespace and name of the object that the path names.
    pub fn named(&self) -> (&str, &str) {
        (&self.info.namespace, &self.info.name)
    }

    /// How to answer with objects.
    pub fn accept(&self) -> Result<Accept, ApiError> {
        let transforms = if self.resource.has_tables(&self.info.subresource) {
            Transforms::Objects
        } else {
            Transforms::Metadata
        };
        negotiate::negotiate(&self.parts.headers, self.query.get("pretty"), transforms)
    }

    /// How to answer where nothing can be converted.
    pub fn accept_plain(&self) -> Result<Accept, ApiError> {
        negotiate::negotiate(&self.parts.headers, self.query.get("pretty"), Transforms::None)
    }

    /// Answers with one object of the hub version.
    pub fn object(&self, code: u16, accept: &Accept, hub: Value) -> Result<Response, ApiError> {
        let object = codec::from_hub(&self.resource, hub)?;
        self.asked(code, accept, object)
    }

    /// Answers with an object that was stored: with the bytes that went into the store, where these are what is asked.
    pub fn saved(&self, code: u16, accept: &Accept, saved: write::Saved) -> Result<Response, ApiError> {
        let stored =
            accept.convert.is_none() && accept.is_plain() && self.resource.is_hub() && !self.resource.custom;
        match saved {
            write::Saved::Text(text) if stored => {
                Ok(encode::whole(code, text, accept.media.content_type(), accept.gzip))
            }
            saved => self.object(code, accept, saved.object()?),
        }
    }

    /// Answers with one object that already has the version that was asked.
    pub fn asked(&self, code: u16, accept: &Accept, object: Value) -> Result<Response, ApiError> {
        match &accept.convert {
            None => Ok(encode::value(code, &object, accept)),
            Some(convert) => {
                let shaped = negotiate::table::object(self, convert, object)?;
                Ok(encode::value(code, &shaped, accept))
            }
        }
    }

    /// What makes the cells of tables.
    pub fn printer(&self) -> crate::crd::Columns {
        let resource = &self.resource;
        if self.info.subresource == "scale" {
            return crate::crd::Columns::BuiltIn(printers::Printer::of("autoscaling", "scale"));
        }
        match &resource.definition {
            Some(custom) => crate::crd::Columns::Custom(custom.printer.clone()),
            None => {
                crate::crd::Columns::BuiltIn(printers::Printer::of(&resource.hub_group, &resource.plural))
            }
        }
    }

    /// Who owns fields when the request does not say (`managerOrUserAgent`).
    pub fn manager(&self, given: &str) -> String {
        if !given.is_empty() {
            return given.to_owned();
        }
        let agent = self.parts.headers.get(http::header::USER_AGENT).and_then(|v| v.to_str().ok());
        let agent = agent.unwrap_or_default().split('/').next().unwrap_or_default();
        let printable: String = agent.chars().filter(|c| !c.is_control()).take(128).collect();
        if printable.is_empty() { "unknown".into() } else { printable }
    }
}

/// Reads a request body, up to the limit.
pub async fn read_body(body: Incoming) -> Result<Bytes, ApiError> {
    match Limited::new(body, BODY_MAX_BYTES).collect().await {
        Ok(all) => Ok(all.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(ApiError::too_large(BODY_MAX_BYTES))
        }
        Err(error) => Err(ApiError::bad_request(error.to_string())),
    }
}

/// A name in a path must be able to be a part of a key (`path.IsValidPathSegmentName`).
pub fn check_segment(name: &str) -> Result<(), ApiError> {
    let why = match name {
        "." => "may not be '.'",
        ".." => "may not be '..'",
        name if name.contains('%') => "may not contain '%'",
        _ => return Ok(()),
    };
    let quoted = api::field::go_quote(name);
    Err(ApiError::bad_request(format!("Name parameter invalid: {quoted}: {why}")))
}

/// Upstream's answer to a verb that a path does not have.
pub fn method_not_allowed() -> ApiError {
    ApiError::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
}

/// Upstream's store wants a namespace for what has one, and refuses keys that look like a way up
/// (`NamespaceKeyFunc`, `storage.PrepareKey`).
pub fn check_key(ctx: &Ctx) -> Result<(), ApiError> {
    let (info, resource) = (&ctx.info, &ctx.resource);
    if !resource.namespaced || resource.key_prefix.is_empty() {
        return Ok(());
    }
    let one = !info.name.is_empty() || info.verb == "deletecollection";
    if info.namespace.is_empty() && one && !info.watch_path {
        return Err(ApiError::bad_request("Namespace parameter required."));
    }
    if !matches!(info.namespace.as_str(), "." | "..") {
        return Ok(());
    }
    check_segment(&info.name)?;
    let name = if info.name.is_empty() { String::new() } else { format!("/{}", info.name) };
    let key = format!("/{}/{}{name}", resource.key_prefix, info.namespace);
    Err(ApiError::new(500, "", format!("invalid key: {}", api::field::go_quote(&key))))
}

/// Answers a request for a resource.
pub async fn dispatch(ctx: Ctx, body: Incoming) -> (Result<Response, ApiError>, Vec<String>) {
    let ctx = Arc::new(ctx);
    let warn = || {
        if let Some(warning) = &ctx.resource.warning {
            ctx.warn(warning.clone());
        }
    };
    // Of custom resources it is told before anybody asks whether there is such a subresource.
    if ctx.resource.custom {
        warn();
    }
    let answer = async {
        route::check(&ctx)?;
        if !ctx.resource.custom {
            warn();
        }
        // Of what is written as a whole the body is looked at first.
        if !matches!(ctx.info.verb, "create" | "update") {
            check_key(&ctx)?;
        }
        verb(&ctx, body).await
    }
    .await;
    let warnings = std::mem::take(&mut *ctx.warnings.lock());
    (answer, warnings)
}

async fn verb(ctx: &Arc<Ctx>, body: Incoming) -> Result<Response, ApiError> {
    if let Some(special) = subresource::special(ctx) {
        return subresource::answer(ctx, special, body).await;
    }
    match ctx.info.verb {
        "get" => get::get(ctx).await,
        "list" => list::list(ctx).await,
        "watch" => watch::watch(ctx).await,
        "create" => create::create(ctx, body).await,
        "update" => update::update(ctx, body).await,
        "patch" => patch::patch(ctx, body).await,
        "delete" => delete::delete(ctx, body).await,
        "deletecollection" => delete::collection(ctx, body).await,
        _ => Err(method_not_allowed()),
    }
}
