//! Validation of whole objects: calls into `validation`.

use api::Value;
use api::field::ErrorList;
use validation::Context;

use super::resource::Resource;

fn context(resource: &Resource, allow_privileged: bool) -> Context<'_> {
    Context { group: &resource.group, version: &resource.version, era: resource.era(), allow_privileged }
}

/// What is wrong with a new object (of the hub version).
pub fn create(resource: &Resource, object: &Value, privileged: bool) -> ErrorList {
    if let Some(custom) = &resource.definition {
        return crate::crd::custom::validate_create(resource, custom, object);
    }
    let kind = &resource.api.kind.kind;
    validation::validate_create(&resource.hub_group, kind, object, &context(resource, privileged))
}

/// What is wrong with a changed object. `subresource` is empty for the object itself.
pub fn update(
    resource: &Resource,
    subresource: &str,
    object: &Value,
    old: &Value,
    privileged: bool,
) -> ErrorList {
    if let Some(custom) = &resource.definition {
        return crate::crd::custom::validate_update(resource, custom, subresource, object, old);
    }
    let (group, kind) = (&resource.hub_group, &resource.api.kind.kind);
    let context = context(resource, privileged);
    match subresource {
        "" | "scale" | "rollback" => validation::validate_update(group, kind, object, old, &context),
        "status" => validation::validate_status_update(group, kind, object, old, &context),
        other => validation::validate_subresource_update(group, kind, other, object, old, &context),
    }
}
