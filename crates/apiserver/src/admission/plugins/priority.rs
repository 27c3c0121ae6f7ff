//! Priority: classes become numbers in pods, and only one class is the default.

use api::Value;
use api::status::ApiError;
use async_trait::async_trait;

use super::super::{Attributes, Operation, Plugin};
use super::{forbidden, lookup};
use crate::Server;

/// See the module.
pub struct Priority;

#[async_trait]
impl Plugin for Priority {
    fn name(&self) -> &'static str {
        "Priority"
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
        if !attributes.is("", "pods") {
            return Ok(());
        }
        if let Some(old) = attributes.old {
            admission::pods::keep_priority(pod, old);
            return Ok(());
        }
        let classes = lookup::all(server, "scheduling.k8s.io", "priorityclasses", "").await?;
        let decided = admission::pods::priority(pod, &classes);
        decided.map_err(|why| forbidden(attributes, Some(pod), &why))
    }

    async fn validate(
        &self,
        server: &Server,
        attributes: &Attributes<'_>,
        class: Option<&Value>,
    ) -> Result<(), ApiError> {
        let (true, Some(class)) = (attributes.is("scheduling.k8s.io", "priorityclasses"), class) else {
            return Ok(());
        };
        let classes = lookup::all(server, "scheduling.k8s.io", "priorityclasses", "").await?;
        let create = attributes.operation == Operation::Create;
        let decided = admission::pods::priority_class(class, &classes, create);
        decided.map_err(|why| forbidden(attributes, Some(class), &why))
    }
}
