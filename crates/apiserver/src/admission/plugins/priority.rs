//! Priority: classes become numbers in pods, and only one class is the default.

use api::Value;
use api::status::ApiError;
use async_trait::async_trait;
use cache::Item;

use super::super::{Attributes, Operation, Plugin};
use super::{forbidden, lookup};
use crate::Server;
use crate::registry::obj;

/// Only a class that says so is the default.
fn may_be_default(class: &Item) -> bool {
    memchr::memmem::find(class.bytes(), b"globalDefault").is_some()
}

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
        let named = obj::text_at(pod, "spec.priorityClassName").to_owned();
        let wanted =
            |class: &Item| if named.is_empty() { may_be_default(class) } else { class.name() == named };
        let classes = lookup::chosen(server, "scheduling.k8s.io", "priorityclasses", "", wanted).await?;
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
