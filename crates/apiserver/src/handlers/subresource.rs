//! What lies below an object: status, scale, binding, finalize and the rest.

pub mod binding;
pub mod eviction;
pub mod finalize;
pub mod review;
pub mod rollback;
pub mod scale;
pub mod status;
pub mod token;

use std::sync::Arc;

use api::Value;
use api::status::ApiError;

use super::options::WriteOptions;
use super::{Ctx, method_not_allowed};
use crate::admission::{Attributes, Operation};
use crate::http::{Incoming, Response};

/// Asks the admission plug-ins about an object that is posted to a subresource.
async fn admit(
    ctx: &Ctx,
    subresource: &str,
    object: &mut Value,
    options: &WriteOptions,
) -> Result<(), ApiError> {
    let attributes = Attributes {
        operation: Operation::Create,
        resource: &ctx.resource,
        subresource,
        namespace: &ctx.info.namespace,
        name: &ctx.info.name,
        old: None,
        user: &ctx.user,
        dry_run: options.dry_run,
        warnings: &ctx.warnings,
    };
    ctx.server.admission().admit(&ctx.server, &attributes, object).await
}

/// A request that the plain verbs do not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// `/status` and other parts that show the object itself: `/approval`, `/ephemeralcontainers`, `/resize`.
    Status,
    /// `pods/eviction`.
    Eviction,
    /// `deployments/rollback`.
    Rollback,
    /// `serviceaccounts/token`.
    Token,
    /// `/scale`.
    Scale,
    /// `pods/binding`, and POST to `bindings`.
    Binding,
    /// `namespaces/finalize`.
    Finalize,
    /// componentstatuses.
    ComponentStatus,
    /// Kinds that are only asked and never stored: reviews.
    Review,
    /// Everything else, by name.
    Other,
}

/// Whether a request is special.
pub fn special(ctx: &Ctx) -> Option<Special> {
    let resource = &ctx.resource;
    Some(match ctx.info.subresource.as_str() {
        "" if resource.is("", "bindings") => Special::Binding,
        "" if resource.is("", "componentstatuses") => Special::ComponentStatus,
        "" if resource.key_prefix.is_empty() => Special::Review,
        "" => return None,
        "status" | "approval" | "ephemeralcontainers" | "resize" => Special::Status,
        "eviction" => Special::Eviction,
        "rollback" => Special::Rollback,
        "token" => Special::Token,
        "scale" => Special::Scale,
        "binding" => Special::Binding,
        "finalize" => Special::Finalize,
        _ => Special::Other,
    })
}

/// Answers a special request.
pub async fn answer(ctx: &Arc<Ctx>, special: Special, body: Incoming) -> Result<Response, ApiError> {
    match special {
        Special::Other if crate::relay::serves(ctx) => crate::relay::answer(ctx, body).await,
        Special::Status => status::answer(ctx, body).await,
        Special::Scale => scale::answer(ctx, body).await,
        Special::Binding => binding::answer(ctx, body).await,
        Special::Finalize => finalize::answer(ctx, body).await,
        Special::ComponentStatus => crate::component_status::answer(ctx).await,
        Special::Eviction => eviction::answer(ctx, body).await,
        Special::Rollback => rollback::answer(ctx, body).await,
        Special::Token => token::answer(ctx, body).await,
        Special::Review => review::answer(ctx, body).await,
        Special::Other => Err(method_not_allowed()),
    }
}
