//! `/openapi/v2`: every version of every kind in one document.

use std::collections::BTreeSet;
use std::io;

use api::schema::Type;
use serde_json::json;

use crate::definitions::{self, Dialect};
use crate::document::{Document, Fields, Writer};
use crate::{Source, gnostic, paths};

const TITLE: &str = "Kubernetes";

/// The document in JSON.
///
/// # Errors
/// Only if the compressor fails.
pub fn json(sources: &[Source<'_>], version: &str) -> io::Result<Document> {
    let mut out = Writer::new();
    io::Write::write_all(&mut out, br#"{"swagger":"2.0","info":"#)?;
    serde_json::to_writer(&mut out, &json!({"title": TITLE, "version": version}))?;
    io::Write::write_all(&mut out, br#","paths":"#)?;
    let mut fields = Fields::begin(&mut out)?;
    each_path(sources, |path, item| fields.field(path, item))?;
    fields.end()?;
    io::Write::write_all(&mut out, br#","definitions":"#)?;
    let mut fields = Fields::begin(&mut out)?;
    each_definition(sources, |name, definition| fields.field(name, definition))?;
    fields.end()?;
    io::Write::write_all(&mut out, b"}")?;
    out.finish()
}

/// The document in protobuf (`application/com.github.proto-openapi.spec.v2@v1.0+protobuf`), as kubectl asks for it.
///
/// # Errors
/// Only if the compressor fails.
pub fn protobuf(sources: &[Source<'_>], version: &str) -> io::Result<Document> {
    let mut paths = Vec::new();
    each_path(sources, |path, item| {
        gnostic::path(&mut paths, path, item);
        Ok(())
    })?;
    let mut definitions = Vec::new();
    each_definition(sources, |name, definition| {
        gnostic::definition(&mut definitions, name, definition);
        Ok(())
    })?;
    let mut out = Writer::new();
    io::Write::write_all(&mut out, &gnostic::document(TITLE, version, &paths, &definitions))?;
    out.finish()
}

fn each_path(
    sources: &[Source<'_>],
    mut visit: impl FnMut(&str, &api::Value) -> io::Result<()>,
) -> io::Result<()> {
    for source in sources {
        for (group, versions) in source.kinds.groups() {
            for version in versions {
                for resource in source.kinds.in_version(group, version) {
                    for (path, item) in paths::of_resource(resource, source.schemas, Dialect::V2) {
                        visit(&path, &item)?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn each_definition(
    sources: &[Source<'_>],
    mut visit: impl FnMut(&str, &api::Value) -> io::Result<()>,
) -> io::Result<()> {
    let mut done = BTreeSet::new();
    for source in sources {
        let mut names = BTreeSet::new();
        for (id, s) in source.schemas.iter() {
            if !s.name.is_empty() {
                definitions::collect(source.schemas, &Type::Struct(id), &mut names);
            }
        }
        for name in names {
            if done.contains(&name) {
                continue;
            }
            if let Some(definition) = definitions::by_name(source.schemas, &name, Dialect::V2) {
                visit(&name, &definition)?;
                done.insert(name);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_of_the_document_resolves() {
        let document = json(&[Source::builtin()], "v1.36.0").unwrap();
        let value: api::Value = serde_json::from_slice(&document.plain().unwrap()).unwrap();
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
