//! LimitRanger: defaults and bounds of pods and claims from the namespace.

use api::Value;
use api::status::ApiError;
use async_trait::async_trait;

use super::super::{Attributes, Operation, Plugin};
use super::{forbidden, lookup};
use crate::Server;
use crate::registry::obj;

/// See the module.
pub struct LimitRanger;

#[async_trait]
impl Plugin for LimitRanger {
    fn name(&self) -> &'static str {
        "LimitRanger"
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    async fn admit(
        &self,
        server: &Server,
        attributes: &Attributes<'_>,
        pod: &mut Value,
    ) -> Result<(), ApiError> {
        if is_pod(attributes) && attributes.subresource.is_empty() {
            for range in ranges(server, attributes).await? {
                admission::limits::default_pod(pod, &range);
            }
        }
        Ok(())
    }

    async fn validate(
        &self,
        server: &Server,
        attributes: &Attributes<'_>,
        object: Option<&Value>,
    ) -> Result<(), ApiError> {
        let (pod, claim) = (is_pod(attributes), attributes.is("", "persistentvolumeclaims"));
        let (true, Some(object)) = (pod || claim, object) else { return Ok(()) };
        for range in ranges(server, attributes).await? {
            let check = if pod { admission::limits::check_pod } else { admission::limits::check_claim };
            if let Some(why) = admission::limits::aggregate(&check(object, &range)) {
                return Err(forbidden(attributes, Some(object), &why));
            }
        }
        Ok(())
    }
}

/// New pods, and pods whose containers change their size; other updates cannot change what is limited.
fn is_pod(attributes: &Attributes<'_>) -> bool {
    attributes.resource.is("", "pods")
        && match attributes.operation {
            Operation::Create => attributes.subresource.is_empty(),
            Operation::Update => attributes.subresource == "resize",
            _ => false,
        }
}

/// The namespace's limit ranges; none for objects that are on their way out.
async fn ranges(server: &Server, attributes: &Attributes<'_>) -> Result<Vec<Value>, ApiError> {
    if attributes.old.is_some_and(obj::deleting) {
        return Ok(Vec::new());
    }
    lookup::all(server, "", "limitranges", attributes.namespace).await
}
