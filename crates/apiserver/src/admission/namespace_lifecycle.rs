//! NamespaceLifecycle: objects need their namespace, and one that is being deleted takes no new ones
//! (`apiserver/pkg/admission/plugin/namespace/lifecycle`).

use api::Value;
use api::status::{ApiError, GroupName};
use async_trait::async_trait;
use serde_json::json;

use super::plugins::lookup;
use super::{Attributes, Operation, Plugin};
use crate::Server;
use crate::registry::obj;

/// Namespaces that always stay.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// See the module.
pub struct NamespaceLifecycle;

#[async_trait]
impl Plugin for NamespaceLifecycle {
    fn name(&self) -> &'static str {
        "NamespaceLifecycle"
    }

    fn handles(&self, operation: Operation) -> bool {
        operation != Operation::Connect
    }

    async fn admit(
        &self,
        server: &Server,
        attributes: &Attributes<'_>,
        _: &mut Value,
    ) -> Result<(), ApiError> {
        self.validate(server, attributes, None).await
    }

    async fn validate(
        &self,
        server: &Server,
        attributes: &Attributes<'_>,
        _: Option<&Value>,
    ) -> Result<(), ApiError> {
        if attributes.is("", "namespaces") {
            let immortal = attributes.operation == Operation::Delete && IMMORTAL.contains(&attributes.name);
            return if immortal {
                Err(ApiError::forbidden(
                    attributes.resource.group_resource(),
                    attributes.name,
                    "this namespace may not be deleted",
                ))
            } else {
                Ok(())
            };
        }
        let review = attributes.resource.group == "authorization.k8s.io"
            && attributes.resource.plural == "localsubjectaccessreviews";
        if !attributes.resource.namespaced || attributes.namespace.is_empty() || review {
            return Ok(());
        }
        if attributes.operation != Operation::Create {
            return Ok(());
        }
        let cached = lookup::kind(server, "", "namespaces").await?.get(attributes.namespace);
        let phase = match cached.as_ref().and_then(|item| item.field("status.phase")) {
            Some(phase) => phase.to_owned(),
            None => match lookup::find(server, "", "namespaces", "", attributes.namespace).await? {
                Some(namespace) => obj::text_at(&namespace, "status.phase").to_owned(),
                None => {
                    let kind = GroupName { group: "", name: "namespaces" };
                    return Err(ApiError::not_found(kind, attributes.namespace));
                }
            },
        };
        if phase == "Terminating" {
            let why = format!(
                "unable to create new content in namespace {} because it is being terminated",
                attributes.namespace
            );
            let mut error = attributes.forbidden(&why);
            let message = format!("namespace {} is being terminated", attributes.namespace);
            error.details.insert(
                "causes".into(),
                json!([{"reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace"}]),
            );
            return Err(error);
        }
        Ok(())
    }
}
