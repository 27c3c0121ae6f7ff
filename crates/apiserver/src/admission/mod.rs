//! Admission: what may change or refuse a write between its decoding and its storing.
//!
//! Plug-ins see objects in their hub version. All mutating plug-ins run first, in upstream's order, then validation,
//! then the validating plug-ins.

pub mod chain;
pub mod namespace_lifecycle;
pub mod plugins;
pub mod pod_security;
pub mod service_account;

use api::Value;
use api::status::ApiError;
use async_trait::async_trait;
use parking_lot::Mutex;

use crate::Server;
use crate::authn::User;
use crate::registry::resource::Resource;

pub use chain::Chain;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A new object.
    Create,
    /// A change of an object.
    Update,
    /// A removal.
    Delete,
    /// exec, attach, portforward, proxy.
    Connect,
}

/// The request that is to be admitted.
#[derive(Clone, Copy)]
pub struct Attributes<'a> {
    /// What it does.
    pub operation: Operation,
    /// To which resource.
    pub resource: &'a Resource,
    /// To which subresource; empty for the object itself.
    pub subresource: &'a str,
    /// In which namespace.
    pub namespace: &'a str,
    /// The object's name; empty when it will be generated.
    pub name: &'a str,
    /// The object before the change.
    pub old: Option<&'a Value>,
    /// Who asks.
    pub user: &'a User,
    /// Nothing will be stored.
    pub dry_run: bool,
    /// Where warnings for the client go.
    pub warnings: &'a Mutex<Vec<String>>,
}

impl Attributes<'_> {
    /// Tells the client something, once.
    pub fn warn(&self, text: String) {
        let mut warnings = self.warnings.lock();
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// Whether the request is for this resource (of any version), the object itself.
    pub fn is(&self, group: &str, plural: &str) -> bool {
        self.resource.group == group && self.resource.plural == plural && self.subresource.is_empty()
    }

    /// A refusal in upstream's form (`admission.NewForbidden`).
    pub fn forbidden(&self, why: &str) -> ApiError {
        let name = if self.name.is_empty() { "Unknown" } else { self.name };
        ApiError::forbidden(self.resource.group_resource(), name, why)
    }
}

/// One admission plug-in.
#[async_trait]
pub trait Plugin: Send + Sync {
    /// The name that flags use.
    fn name(&self) -> &'static str;

    /// Whether it looks at such requests at all; most look at new objects only.
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    /// Changes or refuses an object.
    async fn admit(&self, _: &Server, _: &Attributes<'_>, _: &mut Value) -> Result<(), ApiError> {
        Ok(())
    }

    /// Refuses an object as it would be stored (`None` for a removal).
    async fn validate(&self, _: &Server, _: &Attributes<'_>, _: Option<&Value>) -> Result<(), ApiError> {
        Ok(())
    }

    /// Told when a write that [`Plugin::validate`] let through was not stored after all.
    async fn rollback(&self, _: &Server, _: &Attributes<'_>, _: Option<&Value>) {}
}
