//! Objects that every cluster has from its first second (upstream's post-start hooks).

use api::status::ApiError;

use crate::Server;

/// Creates them.
pub async fn seed(_server: &Server) -> Result<(), ApiError> {
    Ok(())
}
