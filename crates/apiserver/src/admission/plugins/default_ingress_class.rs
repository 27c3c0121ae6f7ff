//! DefaultIngressClass: ingresses that name no class get the default one.

use api::Value;
use api::status::ApiError;
use async_trait::async_trait;

use super::super::{Attributes, Operation, Plugin};
use super::lookup;
use crate::Server;

/// See the module.
pub struct DefaultIngressClass;

#[async_trait]
impl Plugin for DefaultIngressClass {
    fn name(&self) -> &'static str {
        "DefaultIngressClass"
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    async fn admit(
        &self,
        server: &Server,
        attributes: &Attributes<'_>,
        ingress: &mut Value,
    ) -> Result<(), ApiError> {
        // Upstream asks for the group of the request: an ingress of extensions/v1beta1 keeps its way of 2018.
        if attributes.is("networking.k8s.io", "ingresses") {
            let classes = lookup::all(server, "networking.k8s.io", "ingressclasses", "").await?;
            admission::defaults::ingress_class(ingress, &classes);
        }
        Ok(())
    }
}
