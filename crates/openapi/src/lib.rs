//! The API described for clients: `/openapi/v2` (JSON, and protobuf for kubectl) and `/openapi/v3`.
//!
//! Everything comes from [`api::kinds`] and [`api::schema`]; nothing is written by hand per kind. A document is written
//! piece by piece, straight into the compressor, and only the compressed bytes are kept: the v2 document of all versions
//! since 2018 would be megabytes as a value, and is some hundred kilobytes here.
//!
//! - [`definitions`]: a type as a JSON schema, in both dialects;
//! - [`paths`]: the operations of a resource;
//! - [`v2`], [`v3`]: the documents; [`gnostic`]: v2 in protobuf.
//!
//! Descriptions are left out: they would be most of the bytes.

pub mod definitions;
mod document;
pub mod gnostic;
pub mod paths;
pub mod v2;
pub mod v3;

pub use document::Document;

use api::kinds::Kinds;
use api::schema::Schemas;

/// A set of kinds with the schemas that their types are in: the built-in ones, or those of one custom resource group.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The kinds.
    pub kinds: &'a Kinds,
    /// Their types.
    pub schemas: &'a Schemas,
}

impl Source<'static> {
    /// What the binary ships.
    pub fn builtin() -> Source<'static> {
        Source { kinds: api::kinds::builtin(), schemas: api::schema::builtin() }
    }
}
