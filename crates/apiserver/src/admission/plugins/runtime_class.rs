//! RuntimeClass: pods take overhead and scheduling from their runtime class.

use api::Value;
use api::status::ApiError;
use async_trait::async_trait;

use super::super::{Attributes, Plugin};
use super::{forbidden, lookup};
use crate::Server;
use crate::registry::obj;

/// See the module.
pub struct RuntimeClass;

#[async_trait]
impl Plugin for RuntimeClass {
    fn name(&self) -> &'static str {
        "RuntimeClass"
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
        let class = match obj::at(pod, "spec.runtimeClassName").and_then(Value::as_str) {
            Some(name) => lookup::find(server, "node.k8s.io", "runtimeclasses", "", name).await?,
            None => None,
        };
        let decided = admission::pods::runtime_class(pod, class.as_ref());
        decided.map_err(|why| forbidden(attributes, Some(pod), &why))
    }
}
