//! DefaultStorageClass: claims that name no class get the default one.

use api::Value;
use api::status::ApiError;
use async_trait::async_trait;

use super::super::{Attributes, Operation, Plugin};
use super::lookup;
use crate::Server;

/// See the module.
pub struct DefaultStorageClass;

#[async_trait]
impl Plugin for DefaultStorageClass {
    fn name(&self) -> &'static str {
        "DefaultStorageClass"
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    async fn admit(
        &self,
        server: &Server,
        attributes: &Attributes<'_>,
        claim: &mut Value,
    ) -> Result<(), ApiError> {
        if attributes.is("", "persistentvolumeclaims") {
            let classes = lookup::all(server, "storage.k8s.io", "storageclasses", "").await?;
            admission::storage::default_storage_class(claim, &classes);
        }
        Ok(())
    }
}
