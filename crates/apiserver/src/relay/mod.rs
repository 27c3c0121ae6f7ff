//! What only a kubelet, a pod or a service can answer, passed on: logs, exec, attach, port forwarding, proxies
//! (`pkg/registry/core/pod/rest`, `apimachinery/pkg/util/proxy`).
//!
//! - [`target`]: where a request goes; [`connect`]: how to get there;
//! - [`log`], [`stream`] (exec, attach, portforward), [`proxy`]: the requests.
//!
//! Upgraded connections (SPDY, WebSocket) are not looked into: bytes pass both ways until one side ends.

mod connect;
mod log;
mod proxy;
mod stream;
mod target;

use std::sync::Arc;

use api::status::ApiError;

use crate::handlers::{Ctx, check_segment, method_not_allowed};
use crate::http::{Incoming, Response};

pub use connect::Connector;

/// Whether a subresource is relayed.
pub fn serves(ctx: &Ctx) -> bool {
    let resource = &ctx.resource;
    match ctx.info.subresource.as_str() {
        "log" | "exec" | "attach" | "portforward" => resource.is("", "pods"),
        "proxy" => ["pods", "services", "nodes"].iter().any(|p| resource.is("", p)),
        _ => false,
    }
}

/// Relays a request.
pub async fn answer(ctx: &Arc<Ctx>, body: Incoming) -> Result<Response, ApiError> {
    let sub = ctx.info.subresource.as_str();
    if sub != "log" && ctx.query.get("dryRun").is_some() {
        return Err(ApiError::bad_request("dryRun is not supported"));
    }
    check_segment(&ctx.info.name)?;
    match sub {
        "log" => log::answer(ctx).await,
        "exec" | "attach" | "portforward" => stream::answer(ctx, body).await,
        "proxy" => proxy::answer(ctx, body).await,
        _ => Err(method_not_allowed()),
    }
}
