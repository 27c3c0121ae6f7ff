//! StorageObjectInUseProtection: volumes and claims stay while they are used.

use api::Value;
use api::status::ApiError;
use async_trait::async_trait;

use super::super::{Attributes, Plugin};
use crate::Server;

/// See the module.
pub struct StorageObjectInUseProtection;

#[async_trait]
impl Plugin for StorageObjectInUseProtection {
    fn name(&self) -> &'static str {
        "StorageObjectInUseProtection"
    }

    async fn admit(
        &self,
        _: &Server,
        attributes: &Attributes<'_>,
        object: &mut Value,
    ) -> Result<(), ApiError> {
        let plural = attributes.resource.plural.as_str();
        let core = ["persistentvolumes", "persistentvolumeclaims"].iter().any(|p| attributes.is("", p));
        if core || attributes.is("storage.k8s.io", "volumeattributesclasses") {
            admission::storage::protect(object, plural);
        }
        Ok(())
    }
}
