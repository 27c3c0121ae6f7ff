//! Custom resources: what a definition says about them, as pure functions and values (`k8s.io/apiextensions-apiserver`).
//!
//! - [`definition`]: a definition, read once; [`types`]: its types for OpenAPI and server-side apply;
//! - [`names`]: who gets which names, and the conditions that say so;
//! - [`schema`]: a version's schema; [`pattern`]: its regular expressions, which are Go's; [`prune`]: what it does not know goes away, and defaults;
//! - [`validate`], [`list_types`], [`metadata`]: what is wrong with a resource; [`resource`] has them all in order;
//! - [`check`]: what is wrong with a definition.

pub mod check;
pub mod definition;
mod formats;
pub mod list_types;
pub mod metadata;
pub mod names;
pub mod pattern;
pub mod prune;
pub mod resource;
pub mod schema;
pub mod types;
pub mod validate;
#[cfg(test)]
mod validate_tests;

pub use definition::{Definition, Version};
pub use formats::unrecognized;
pub use types::Types;
