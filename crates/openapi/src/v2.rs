//! `/openapi/v2`: every version of every kind in one document.

use std::io::{self, Write};

use serde_json::json;

use crate::definitions::Dialect;
use crate::descriptions::Descriptions;
use crate::document::Fields;
use crate::gnostic;
use crate::sources::{Source, Sources};

const TITLE: &str = "Kubernetes";

/// Writes the document in JSON.
///
/// # Errors
/// Those of `out`.
pub fn json(
    out: &mut dyn Write,
    sources: &[Source<'_>],
    descriptions: &Descriptions<'_>,
    release: &str,
) -> io::Result<()> {
    let mut parts = Sources::new(sources, descriptions, Dialect::V2);
    out.write_all(br#"{"swagger":"2.0","info":"#)?;
    serde_json::to_writer(&mut *out, &json!({"title": TITLE, "version": release}))?;
    out.write_all(br#","paths":"#)?;
    let mut fields = Fields::begin(out)?;
    parts.each_path(None, |path, item| fields.field(path, item))?;
    fields.end()?;
    out.write_all(br#","definitions":"#)?;
    let mut fields = Fields::begin(out)?;
    parts.each_definition(|name, definition| fields.field(name, definition))?;
    fields.end()?;
    // How clients say who they are, for every operation.
    let bearer = json!({"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header"}});
    let security = json!({"securityDefinitions": bearer, "security": [{"BearerToken": []}]});
    let text = security.to_string();
    out.write_all(b",")?;
    out.write_all(text.strip_prefix('{').unwrap_or(&text).as_bytes())
}

/// Writes the document in protobuf (`application/com.github.proto-openapi.spec.v2@v1.0+protobuf`), as kubectl asks for
/// it.
///
/// # Errors
/// Those of `out`.
pub fn protobuf(
    out: &mut dyn Write,
    sources: &[Source<'_>],
    descriptions: &Descriptions<'_>,
    release: &str,
) -> io::Result<()> {
    let mut parts = Sources::new(sources, descriptions, Dialect::V2);
    out.write_all(&gnostic::head(TITLE, release))?;
    parts.each_path(None, |path, item| out.write_all(&gnostic::path(path, item)))?;
    parts.each_definition(|name, definition| out.write_all(&gnostic::definition(name, definition)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptions::Table;

    #[test]
    fn every_reference_of_the_document_resolves() {
        let table = Table::unpack().unwrap();
        let mut document = Vec::new();
        json(&mut document, &[Source::builtin()], &table.descriptions(), "v1.36.0").unwrap();
        let value: api::Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(value["security"], json!([{"BearerToken": []}]));
        assert!(value["securityDefinitions"]["BearerToken"].is_object());
        let definitions = value["definitions"].as_object().unwrap();
        let mut open = vec![&value];
        let mut references = 0;
        while let Some(value) = open.pop() {
            match value {
                api::Value::Object(fields) => {
                    if let Some(reference) = fields.get("$ref").and_then(api::Value::as_str) {
                        references += 1;
                        let name = reference.trim_start_matches("#/definitions/");
                        assert!(definitions.contains_key(name), "{name}");
                    }
                    open.extend(fields.values());
                }
                api::Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
        assert!(references > 1000 && definitions.len() > 500);
    }
}
