//! The fields that field selectors may name, for the cache.

use std::sync::Arc;

use api::Value;
use api::selector::{field_paths, selectable_field, supported_fields};
use cache::Fields;

use super::resource::Resource;

/// The field that lists and watches of a kind are indexed by.
pub fn index(resource: &Resource) -> Option<String> {
    resource.is("", "pods").then(|| "spec.nodeName".to_owned())
}

/// How the cache reads a kind's fields.
pub fn of(resource: &Resource) -> Fields {
    if let Some(custom) = &resource.definition {
        let names: Arc<[String]> = crate::crd::custom::selectable(&custom.definition).into();
        let (own, paths) = (names.clone(), names.to_vec());
        let read =
            move |object: &Value| own.iter().map(|p| crate::crd::custom::field_text(object, p)).collect();
        return Fields { names, paths, read: Arc::new(read) };
    }
    if resource.custom {
        return Fields::default();
    }
    let names = supported_fields(&resource.hub_group, &resource.plural);
    let read = move |object: &Value| names.iter().map(|n| selectable_field(object, n).into_owned()).collect();
    let paths = names.iter().flat_map(|n| field_paths(n)).map(ToString::to_string).collect();
    Fields { names: names.iter().map(|n| (*n).to_owned()).collect(), paths, read: Arc::new(read) }
}
