//! Which paths there are, which methods each answers to, what it takes and gives: what upstream's installer tells its
//! router, which looks at all that before any handler is asked (`endpoints/installer.go`).

use api::status::ApiError;
use http::Method;

use super::{Ctx, method_not_allowed};
use crate::negotiate;
use crate::registry::resource::{Resource, Subresource};
use crate::request::info::method_verb;

/// Whether there is such a path, with such a method, and both sides speak a common language.
pub fn check(ctx: &Ctx) -> Result<(), ApiError> {
    if ctx.resource.custom {
        return custom(ctx);
    }
    let info = &ctx.info;
    // Namespaced objects are below their namespace, others are not. A list of all namespaces has no namespace either.
    let everywhere = ctx.resource.namespaced && !info.scoped;
    if info.scoped && !ctx.resource.namespaced || everywhere && info.depth > 1 {
        return Err(ApiError::no_such_resource());
    }
    let verbs: Vec<&str> = match info.depth {
        1 => collection(&ctx.resource, info.watch_path, everywhere),
        2 => named(&ctx.resource, info.watch_path),
        _ => return below(ctx),
    };
    if verbs.is_empty() {
        return Err(ApiError::no_such_resource());
    }
    allowed(&verbs, &ctx.parts.method, info.depth == 1)?;
    media(ctx)
}

/// The verbs of the path of a collection; a path without any is none.
fn collection(resource: &Resource, watch: bool, everywhere: bool) -> Vec<&'static str> {
    let lists = resource.allows("list");
    match (watch, everywhere) {
        (true, _) => ["list"].into_iter().filter(|_| lists && resource.allows("watch")).collect(),
        (false, true) => ["list"].into_iter().filter(|_| lists).collect(),
        (false, false) => {
            ["list", "create", "deletecollection"].into_iter().filter(|v| resource.allows(v)).collect()
        }
    }
}

/// The verbs of the path of an object.
fn named(resource: &Resource, watch: bool) -> Vec<&'static str> {
    if watch {
        return ["get"].into_iter().filter(|_| resource.allows("watch")).collect();
    }
    ["get", "update", "patch", "delete"].into_iter().filter(|v| resource.allows(v)).collect()
}

fn allowed(verbs: &[&str], method: &Method, of_collection: bool) -> Result<(), ApiError> {
    let verb = match (method_verb(method), of_collection) {
        ("get", true) => "list",
        ("delete", true) => "deletecollection",
        (verb, _) => verb,
    };
    if verbs.contains(&verb) { Ok(()) } else { Err(method_not_allowed()) }
}

/// What lies below an object.
fn below(ctx: &Ctx) -> Result<(), ApiError> {
    let info = &ctx.info;
    let found = ctx.resource.subresource(&info.subresource).filter(|_| !info.watch_path);
    let sub = found.ok_or_else(ApiError::no_such_resource)?;
    // Only proxies know paths of their own.
    if info.depth > 3 && sub.name != "proxy" {
        return Err(ApiError::no_such_resource());
    }
    if connects(sub) {
        let method = ctx.parts.method.as_str();
        let taken: &[&str] = match sub.name.as_str() {
            "proxy" => &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
            "log" => &["GET"],
            _ => &["GET", "POST"],
        };
        if !taken.contains(&method) {
            return Err(method_not_allowed());
        }
    } else {
        let verbs: Vec<&str> = sub.verbs.iter().map(String::as_str).collect();
        allowed(&verbs, &ctx.parts.method, false)?;
    }
    media(ctx)?;
    if info.name.is_empty() {
        return Err(ApiError::bad_request("name must be provided"));
    }
    Ok(())
}

/// Whether requests are passed on to somebody else.
fn connects(sub: &Subresource) -> bool {
    matches!(sub.name.as_str(), "proxy" | "exec" | "attach" | "portforward" | "log")
}

/// Custom resources are not routed: their handler goes by what a request is about.
fn custom(ctx: &Ctx) -> Result<(), ApiError> {
    let (info, resource) = (&ctx.info, &ctx.resource);
    let everywhere = resource.namespaced && !info.scoped;
    if !resource.namespaced && info.scoped || everywhere && !info.name.is_empty() {
        return Err(ApiError::no_such_resource());
    }
    if info.subresource.is_empty() {
        let misplaced = if info.name.is_empty() {
            matches!(info.verb, "update" | "patch")
        } else {
            info.verb == "create"
        };
        let elsewhere = everywhere && !matches!(info.verb, "list" | "watch");
        let fits = resource.allows(info.verb) && !misplaced && !elsewhere;
        return if fits { Ok(()) } else { Err(method_not_allowed()) };
    }
    let Some(sub) = resource.subresource(&info.subresource) else {
        // Upstream has these paths for every custom resource, and finds nothing there.
        return Err(match info.subresource.as_str() {
            "status" | "scale" => ApiError::not_found(resource.group_resource(), &info.name),
            _ => ApiError::no_such_resource(),
        });
    };
    if info.name.is_empty() || !info.rest.is_empty() {
        return Err(ApiError::no_such_resource());
    }
    if sub.verbs.iter().any(|v| v == info.verb) { Ok(()) } else { Err(method_not_allowed()) }
}

/// What the routes take and give: patches of four types, answers in all encodings.
fn media(ctx: &Ctx) -> Result<(), ApiError> {
    let (info, headers) = (&ctx.info, &ctx.parts.headers);
    if info.verb == "patch" && ctx.resource.subresource(&info.subresource).is_none_or(|s| !connects(s)) {
        super::patch::kinds::check_type(headers)?;
    }
    match info.subresource.as_str() {
        "proxy" | "exec" | "attach" | "portforward" => Ok(()),
        "log" => negotiate::produces(headers, &[&["text/plain"], &negotiate::OFFERED[..]].concat()),
        "" if matches!(info.verb, "list" | "watch") => {
            negotiate::produces(headers, &[&negotiate::OFFERED[..], &negotiate::STREAMED].concat())
        }
        _ => negotiate::produces(headers, &negotiate::OFFERED),
    }
}
