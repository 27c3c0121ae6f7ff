//! Server-side apply: who owns which field, and what an applied configuration does to an object.
//!
//! Upstream splits this between `sigs.k8s.io/structured-merge-diff` and `apimachinery/pkg/util/managedfields`; the rules
//! here are theirs.
//!
//! - [`fieldpath`]: sets of field paths, and their `FieldsV1` form;
//! - [`typed`]: what a schema says about an object: its field set, differences, merging, removal;
//! - [`managed`]: `metadata.managedFields` as managers with their sets;
//! - [`manager`]: the two operations, [`manager::update`] (a create, update or patch) and [`manager::apply`];
//! - [`scale`]: what a write through `/scale` does to the managers of the object.

pub mod fieldpath;
pub mod managed;
pub mod manager;
pub mod scale;
pub mod typed;
