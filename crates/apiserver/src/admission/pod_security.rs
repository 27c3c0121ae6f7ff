//! PodSecurity: a namespace's labels say what its pods may do. There is no audit log, so `audit` labels are only checked.

use admission::pod_security::{self, Policy};
use api::Value;
use api::status::{ApiError, GroupName};
use async_trait::async_trait;

use super::plugins::lookup;
use super::{Attributes, Operation, Plugin};
use crate::Server;
use crate::registry::obj;

/// See the module.
pub struct PodSecurity;

/// Subresources of pods that change nothing of what they may do.
const IGNORED: [&str; 8] = ["exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"];

#[async_trait]
impl Plugin for PodSecurity {
    fn name(&self) -> &'static str {
        "PodSecurity"
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    async fn validate(
        &self,
        server: &Server,
        attributes: &Attributes<'_>,
        object: Option<&Value>,
    ) -> Result<(), ApiError> {
        let Some(object) = object else { return Ok(()) };
        let resource = attributes.resource;
        if resource.is("", "namespaces") {
            return namespace(server, attributes, object).await;
        }
        if resource.is("", "pods") {
            let insignificant =
                || attributes.old.is_some_and(|old| !pod_security::is_significant(object, old));
            if IGNORED.contains(&attributes.subresource) || insignificant() {
                return Ok(());
            }
            return judge(server, attributes, object, true).await;
        }
        match crate::registry::warnings::template(resource).and_then(|path| obj::at(object, path)) {
            Some(template) if attributes.subresource.is_empty() => {
                judge(server, attributes, template, false).await
            }
            _ => Ok(()),
        }
    }
}

/// What a namespace's labels say.
fn policy_of(namespace: &Value) -> Policy {
    let labels = obj::metadata(namespace).and_then(|m| m.get("labels"));
    Policy::of(|key| labels?.get(key)?.as_str())
}

/// Labels must name policies that exist; who makes them stricter hears which pods would not come in any more.
async fn namespace(server: &Server, attributes: &Attributes<'_>, object: &Value) -> Result<(), ApiError> {
    if !attributes.subresource.is_empty() {
        return Ok(());
    }
    let errors = validation::validate_pod_security_labels(object);
    // A namespace that was wrong before may stay so.
    let was_wrong =
        || attributes.old.is_some_and(|old| validation::validate_pod_security_labels(old) == errors);
    if !errors.is_empty() && !was_wrong() {
        let kind = GroupName { group: "", name: "Namespace" };
        return Err(ApiError::invalid(kind, obj::name(object), &errors));
    }
    let Some(old) = attributes.old else { return Ok(()) };
    let (policy, before) = (policy_of(object), policy_of(old));
    if policy.tightens(&before) {
        let name = obj::name(object);
        let pods = server.storage().all(&*server.registry().builtin("", "pods")?, name).await?;
        let pods: Vec<Value> = pods.into_iter().map(|p| p.object).collect();
        for text in pod_security::namespace::warnings(name, &pods, policy.enforce) {
            attributes.warn(text);
        }
    }
    Ok(())
}

async fn judge(
    server: &Server,
    attributes: &Attributes<'_>,
    pod: &Value,
    enforce: bool,
) -> Result<(), ApiError> {
    let Some(policy) = policy(server, attributes.namespace).await? else {
        let why = format!("failed to lookup namespace {:?}", attributes.namespace);
        return if enforce { Err(ApiError::internal(why)) } else { Ok(()) };
    };
    if policy.is_open() {
        return Ok(());
    }
    let verdict = pod_security::judge(&policy, pod, enforce);
    if let Some(why) = verdict.refusal {
        return Err(ApiError::forbidden(attributes.resource.group_resource(), attributes.name, &why));
    }
    if let Some(text) = verdict.warning {
        attributes.warn(text);
    }
    Ok(())
}

/// The policy of a namespace; `None` when it is not there.
async fn policy(server: &Server, namespace: &str) -> Result<Option<Policy>, ApiError> {
    let cached = lookup::kind(server, "", "namespaces").await?.get(namespace);
    if let Some(item) = cached {
        return Ok(Some(Policy::of(|key| item.label(key))));
    }
    let found = lookup::find(server, "", "namespaces", "", namespace).await?;
    Ok(found.as_ref().map(policy_of))
}
