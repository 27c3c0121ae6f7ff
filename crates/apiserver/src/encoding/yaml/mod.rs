//! YAML as Go's `sigs.k8s.io/yaml` reads and writes it.
//!
//! ```text
//!   text ── scan, scalars ──► tokens ── parse ──► nodes ── resolve ──► JSON        JSON ── write ──► text
//! ```

mod fault;
mod parse;
mod resolve;
mod scalars;
mod scan;
mod write;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use api::Value;
use api::decode::unrecognized;
use api::status::ApiError;
use bytes::Bytes;

use super::{Codec, Text};

/// How deep collections may lie in each other: no deeper than in JSON. Upstream's text names its own limit.
const DEPTH_MAX: usize = api::json::MAX_VALUE_DEPTH;
const TOO_DEEP: &str = "exceeded max depth of 10000";

pub(super) struct Yaml;

/// A YAML text as JSON.
#[derive(Debug)]
pub struct Document {
    /// The value; of equal keys the last one counts.
    pub value: Value,
    /// What a strict reader says of them: `line 7: key "a" already set in map`.
    pub twice: Vec<String>,
}

/// Reads the first document of a text; the error is that of Go's library.
pub fn read(text: &[u8]) -> Result<Document, String> {
    let tree = parse::parse(text).map_err(|e| e.to_string())?;
    let resolved = resolve::resolve(&tree).map_err(|e| e.to_string())?;
    Ok(Document { value: resolved.value, twice: resolved.twice })
}

/// Writes a value.
pub fn write(value: &Value) -> String {
    write::write(value)
}

impl Codec for Yaml {
    fn media_type(&self) -> &'static str {
        "application/yaml"
    }

    fn read<'a>(&self, body: &'a [u8], expected: &str) -> Result<Text<'a>, ApiError> {
        let document = read(body).map_err(|why| unrecognized(expected, &why, body))?;
        let json = serde_json::to_vec(&document.value).map_err(ApiError::internal)?;
        Ok(Text { json: Cow::Owned(json), strict: document.twice })
    }

    fn write(&self, object: &Value, _: bool) -> Bytes {
        Bytes::from(write(object))
    }
}
