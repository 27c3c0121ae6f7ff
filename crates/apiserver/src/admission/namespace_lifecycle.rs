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
        if let Some(why) = no_name(attributes.namespace) {
            return Err(ApiError::internal(why));
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

/// Why upstream's client refuses to ask for a namespace of this name.
fn no_name(namespace: &str) -> Option<String> {
    let whys: Vec<String> = if matches!(namespace, "." | "..") {
        vec![format!("may not be '{namespace}'")]
    } else {
        ["/", "%"]
            .iter()
            .filter(|c| namespace.contains(**c))
            .map(|c| format!("may not contain '{c}'"))
            .collect()
    };
    let quoted = api::field::go_quote(namespace);
    (!whys.is_empty()).then(|| format!("invalid resource name {quoted}: [{}]", whys.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::no_name;

    #[test]
    fn names_that_are_no_path_segments_are_not_looked_up() {
        assert_eq!(no_name("default"), None);
        assert_eq!(no_name("..").as_deref(), Some("invalid resource name \"..\": [may not be '..']"));
        assert_eq!(no_name("a%").as_deref(), Some("invalid resource name \"a%\": [may not contain '%']"));
    }
}
