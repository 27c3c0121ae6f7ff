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
        let class = class_of(server, pod).await?;
        let decided = admission::pods::runtime_class(pod, class.as_ref());
        decided.map_err(|why| forbidden(attributes, Some(pod), &why))
    }

    async fn validate(
        &self,
        server: &Server,
        attributes: &Attributes<'_>,
        pod: Option<&Value>,
    ) -> Result<(), ApiError> {
        let Some(pod) = pod.filter(|_| attributes.is("", "pods")) else { return Ok(()) };
        let class = class_of(server, pod).await?;
        let decided = admission::pods::runtime_class_overhead(pod, class.as_ref());
        decided.map_err(|why| forbidden(attributes, Some(pod), &why))
    }
}

/// The class that a pod names, if there is one.
async fn class_of(server: &Server, pod: &Value) -> Result<Option<Value>, ApiError> {
    let Some(name) = obj::at(pod, "spec.runtimeClassName").and_then(Value::as_str) else { return Ok(None) };
    // Upstream asks its own API, and its client does not send names that break a path.
    if name.is_empty() {
        return Err(ApiError::new(500, "", "resource name may not be empty"));
    }
    let faults = validation::path_segment_faults(name);
    if !faults.is_empty() {
        let text = format!("invalid resource name {}: [{}]", api::field::go_quote(name), faults.join(" "));
        return Err(ApiError::new(500, "", text));
    }
    lookup::find(server, "node.k8s.io", "runtimeclasses", "", name).await
}
