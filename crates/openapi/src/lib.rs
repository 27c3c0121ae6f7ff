//! The API described for clients: `/openapi/v2` (JSON, and protobuf for kubectl) and `/openapi/v3`.
//!
//! Everything comes from [`api::kinds`] and [`api::schema`]; nothing is written by hand per kind. A document is written
//! piece by piece, straight into the compressor, and only the compressed bytes are kept: the v2 document of all versions
//! since 2018 would be megabytes as a value, and is some hundred kilobytes here.
//!
//! - [`definitions`]: a type as a JSON schema, in both dialects; [`custom`]: that of a custom resource;
//! - [`descriptions`]: what types and fields are for;
//! - [`Page`]: which documents there are; `paths`: the operations of a resource;
//! - [`v2`], [`v3`]: the documents; [`gnostic`]: v2 in protobuf.

pub mod custom;
pub mod definitions;
pub mod descriptions;
mod document;
pub mod gnostic;
mod names;
mod operation;
mod pages;
mod paths;
mod sources;
pub mod v2;
pub mod v3;

pub use custom::Published;
pub use descriptions::Table;
pub use document::Document;
pub use pages::Page;
pub use sources::Source;
