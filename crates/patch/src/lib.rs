//! The patches of the Kubernetes API, as pure functions from an object and a patch to an object.
//!
//! - [`json`]: a list of operations (RFC 6902);
//! - [`merge`]: a partial object (RFC 7386);
//! - [`strategic`]: a partial object whose lists merge by key, as the schema says;
//! - [`apply`]: server-side apply and managed fields.

pub mod apply;
pub mod json;
pub mod merge;
pub mod schema;
pub mod strategic;
