//! TaintNodesByCondition: a new node takes no pods before it was seen ready.

use api::Value;
use api::status::ApiError;
use async_trait::async_trait;

use super::super::{Attributes, Plugin};
use crate::Server;

/// See the module.
pub struct TaintNodesByCondition;

#[async_trait]
impl Plugin for TaintNodesByCondition {
    fn name(&self) -> &'static str {
        "TaintNodesByCondition"
    }

    async fn admit(&self, _: &Server, attributes: &Attributes<'_>, node: &mut Value) -> Result<(), ApiError> {
        if attributes.is("", "nodes") {
            admission::defaults::not_ready_taint(node);
        }
        Ok(())
    }
}
