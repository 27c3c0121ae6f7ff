//! JSON as Go reads it: the same syntax, the same error texts, the same limits.
//!
//! [`Reader`] is a fast pull reader that only knows "wrong"; [`check`] says what is wrong in Go's words. The slow
//! one only runs when the fast one has failed. [`Wanted`] reads a few fields of an object, [`encode()`] writes one.

mod check;
mod encode;
mod lanes;
mod reader;
mod skip;
mod wanted;
mod write;

pub use check::check;
pub use encode::{encode, encode_object, escape_html, to_vec};
pub use reader::{MAX_DUPLICATES, Malformed, Reader};
pub use reader::{float, fold_floats};
pub use wanted::Wanted;
pub use write::{go_json, go_string};

/// Go's `maxNestingDepth`, for values that are skipped.
pub const MAX_DEPTH: usize = 10_000;
/// How deep values that become a [`crate::Value`] may nest: recursion on them must stay within a thread's stack, and what
/// is stored of them within the 127 levels that `serde_json` reads.
pub const MAX_VALUE_DEPTH: usize = 120;
