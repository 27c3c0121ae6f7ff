//! Validation of whole objects: calls into `validation`.

use api::Value;
use api::field::ErrorList;

use super::resource::Resource;

/// What is wrong with a new object (of the hub version).
pub fn create(_resource: &Resource, _object: &Value) -> ErrorList {
    ErrorList::new()
}

/// What is wrong with a changed object. `subresource` is empty for the object itself.
pub fn update(_resource: &Resource, _subresource: &str, _object: &Value, _old: &Value) -> ErrorList {
    ErrorList::new()
}
