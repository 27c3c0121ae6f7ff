//! Custom resources: what a definition says about them, as pure functions and values.
//!
//! Matches `k8s.io/apiextensions-apiserver`.

use api::kinds::Kinds;
use api::schema::Schemas;

/// The kinds that a definition brings, with their types.
#[derive(Clone, Debug)]
pub struct Types {
    /// One kind with its served versions.
    pub kinds: Kinds,
    /// The types of its versions.
    pub schemas: Schemas,
}
