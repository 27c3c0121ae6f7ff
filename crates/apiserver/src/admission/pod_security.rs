//! PodSecurity: the labels of namespaces must name policies that exist. Pods are not checked against policies yet
//! (`staging/src/k8s.io/pod-security-admission`).

use api::Value;
use api::status::{ApiError, GroupName};
use async_trait::async_trait;

use super::{Attributes, Operation, Plugin};
use crate::Server;
use crate::registry::obj;

/// See the module.
pub struct PodSecurity;

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
        _: &Server,
        attributes: &Attributes<'_>,
        object: Option<&Value>,
    ) -> Result<(), ApiError> {
        let Some(object) = object.filter(|_| attributes.is("", "namespaces")) else { return Ok(()) };
        let errors = validation::validate_pod_security_labels(object);
        if errors.is_empty() {
            return Ok(());
        }
        // A namespace that was wrong before may stay so.
        if attributes.old.is_some_and(|old| validation::validate_pod_security_labels(old) == errors) {
            return Ok(());
        }
        let kind = GroupName { group: "", name: "Namespace" };
        Err(ApiError::invalid(kind, obj::name(object), &errors))
    }
}
