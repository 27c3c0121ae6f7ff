//! DefaultStorageClass and DefaultIngressClass: claims and ingresses that name no class get the default one.

use api::Value;
use api::status::ApiError;
use async_trait::async_trait;

use super::super::{Attributes, Plugin};
use super::lookup;
use crate::Server;

/// A plug-in that fills in the default class of new objects.
pub struct DefaultClass {
    name: &'static str,
    /// Group and resource of the objects.
    of: (&'static str, &'static str),
    /// Group and resource of the classes.
    classes: (&'static str, &'static str),
    decide: fn(&mut Value, &[Value]),
}

/// See [`admission::storage::default_storage_class`].
pub const STORAGE: DefaultClass = DefaultClass {
    name: "DefaultStorageClass",
    of: ("", "persistentvolumeclaims"),
    classes: ("storage.k8s.io", "storageclasses"),
    decide: admission::storage::default_storage_class,
};

/// See [`admission::defaults::ingress_class`]. Upstream asks for the group of the request: an ingress of
/// extensions/v1beta1 keeps its way of 2018.
pub const INGRESS: DefaultClass = DefaultClass {
    name: "DefaultIngressClass",
    of: ("networking.k8s.io", "ingresses"),
    classes: ("networking.k8s.io", "ingressclasses"),
    decide: admission::defaults::ingress_class,
};

#[async_trait]
impl Plugin for DefaultClass {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn admit(
        &self,
        server: &Server,
        attributes: &Attributes<'_>,
        object: &mut Value,
    ) -> Result<(), ApiError> {
        if attributes.is(self.of.0, self.of.1) {
            let classes = lookup::all(server, self.classes.0, self.classes.1, "").await?;
            (self.decide)(object, &classes);
        }
        Ok(())
    }
}
