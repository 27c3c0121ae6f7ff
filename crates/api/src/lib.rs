//! The Kubernetes API as data: kinds, schemas, and the pure functions that every verb needs.
//!
//! Nothing here does I/O. A reader finds
//! - [`kinds`]: which resources exist, in which versions, under which etcd keys;
//! - [`schema`]: the types of every group version (fields, list types, merge keys, defaults);
//! - [`meta`]: metadata of an object; [`names`]: what names may look like; [`selector`]: label and field selectors;
//! - [`quantity`] and [`time`]: amounts and times as texts;
//! - [`decode`]: request bodies to objects, pruned and normalised, with Go's errors; [`json`]: JSON as Go reads it;
//!   [`protobuf`]: messages as the JSON that says the same;
//! - [`defaults`]: what upstream fills in, per version; [`convert`]: between a kind's versions;
//! - [`status`]: refusals, as the `Status` objects that clients read;
//! - [`field`]: field paths and the errors of validation.

pub mod convert;
pub mod decode;
pub mod defaults;
pub mod field;
pub mod json;
pub mod kinds;
pub mod meta;
pub mod names;
pub mod printf;
pub mod protobuf;
pub mod quantity;
pub mod schema;
pub mod selector;
pub mod status;
pub mod time;

/// An API object (or a part of one) as JSON.
pub type Value = serde_json::Value;
/// The fields of a JSON object, in alphabetical order (as upstream's unstructured objects have them).
pub type Object = serde_json::Map<String, Value>;
