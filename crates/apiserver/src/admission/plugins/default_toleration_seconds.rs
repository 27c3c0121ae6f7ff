//! DefaultTolerationSeconds: pods tolerate nodes that are not ready for a while.

use api::Value;
use api::status::ApiError;
use async_trait::async_trait;

use super::super::{Attributes, Operation, Plugin};
use crate::Server;

/// See the module.
pub struct DefaultTolerationSeconds;

#[async_trait]
impl Plugin for DefaultTolerationSeconds {
    fn name(&self) -> &'static str {
        "DefaultTolerationSeconds"
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    async fn admit(&self, _: &Server, attributes: &Attributes<'_>, pod: &mut Value) -> Result<(), ApiError> {
        if attributes.is("", "pods") {
            admission::pods::default_tolerations(pod);
        }
        Ok(())
    }
}
