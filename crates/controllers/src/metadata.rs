//! Objects of any resource, of which only the metadata is of interest.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use crate::discovery::Resource;

/// The metadata of any object.
#[derive(Clone, Debug, Deserialize)]
pub struct Object {
    /// Standard metadata.
    pub metadata: ObjectMeta,
}

/// What tells an object from others, and its version; everything else is dropped.
pub fn identity(meta: ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: meta.name,
        namespace: meta.namespace,
        uid: meta.uid,
        resource_version: meta.resource_version,
        ..Default::default()
    }
}

impl kube::Resource for Object {
    type DynamicType = Resource;
    type Scope = kube::core::DynamicResourceScope;

    fn kind(resource: &Resource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }
    fn group(resource: &Resource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }
    fn version(resource: &Resource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }
    fn plural(resource: &Resource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
