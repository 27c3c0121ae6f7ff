//! PersistentVolumeClaimResize: claims grow only where their class allows it.

use api::Value;
use api::status::ApiError;
use async_trait::async_trait;

use super::super::{Attributes, Operation, Plugin};
use super::{forbidden, lookup};
use crate::Server;
use crate::registry::obj;

/// See the module.
pub struct PersistentVolumeClaimResize;

#[async_trait]
impl Plugin for PersistentVolumeClaimResize {
    fn name(&self) -> &'static str {
        "PersistentVolumeClaimResize"
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Update
    }

    async fn validate(
        &self,
        server: &Server,
        attributes: &Attributes<'_>,
        claim: Option<&Value>,
    ) -> Result<(), ApiError> {
        let (true, Some(claim), Some(old)) =
            (attributes.is("", "persistentvolumeclaims"), claim, attributes.old)
        else {
            return Ok(());
        };
        let classes = lookup::all(server, "storage.k8s.io", "storageclasses", "").await?;
        let find = |name: &str| classes.iter().find(|c| obj::name(c) == name).cloned();
        admission::storage::resize(claim, old, find).map_err(|why| forbidden(attributes, Some(claim), &why))
    }
}
