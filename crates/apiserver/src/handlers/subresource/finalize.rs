//! `namespaces/finalize`: takes the namespace's own finalizers away; an empty namespace that is being deleted goes.

use api::status::ApiError;

use super::status;
use crate::handlers::Ctx;
use crate::http::{Incoming, Response};

/// Answers PUT.
pub async fn answer(ctx: &Ctx, body: Incoming) -> Result<Response, ApiError> {
    status::update(ctx, body, "finalize").await
}
