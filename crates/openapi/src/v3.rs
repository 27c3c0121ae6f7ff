//! `/openapi/v3`: an index, and one document per group version.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use api::schema::Type;
use api::{Object, Value};
use serde_json::json;

use crate::definitions::{self, Dialect};
use crate::document::{Document, Fields, Writer};
use crate::{Source, paths};

/// `apis/apps/v1`, `api/v1`: the last part of a document's path.
pub fn name(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// The index: every document with the hash that makes its address change when it changes.
pub fn index<'a>(documents: impl IntoIterator<Item = (String, &'a str)>) -> Value {
    let paths: Object = documents
        .into_iter()
        .map(|(name, hash)| {
            let url = format!("/openapi/v3/{name}?hash={hash}");
            (name, json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({"paths": paths})
}

/// The document of a group version, `None` when nothing is served there.
///
/// # Errors
/// Only if the compressor fails.
pub fn document(
    source: &Source<'_>,
    group: &str,
    version: &str,
    release: &str,
) -> io::Result<Option<Document>> {
    document_of(std::slice::from_ref(source), group, version, release)
}

/// The same from several sources: custom resource definitions of one group version share its document.
///
/// # Errors
/// Only if the compressor fails.
pub fn document_of(
    sources: &[Source<'_>],
    group: &str,
    version: &str,
    release: &str,
) -> io::Result<Option<Document>> {
    if sources.iter().all(|s| s.kinds.in_version(group, version).is_empty()) {
        return Ok(None);
    }
    let mut out = Writer::new();
    io::Write::write_all(&mut out, br#"{"openapi":"3.0.0","info":"#)?;
    serde_json::to_writer(&mut out, &json!({"title": "Kubernetes", "version": release}))?;
    io::Write::write_all(&mut out, br#","paths":"#)?;
    let mut fields = Fields::begin(&mut out)?;
    let mut definitions = BTreeMap::new();
    for source in sources {
        let mut names = BTreeSet::new();
        for resource in source.kinds.in_version(group, version) {
            for (path, item) in paths::of_resource(resource, source.schemas, Dialect::V3) {
                collect_references(&item, &mut names);
                fields.field(&path, &item)?;
            }
        }
        let mut all = BTreeSet::new();
        for name in names {
            match source.schemas.by_name(&name) {
                Some(id) => definitions::collect(source.schemas, &Type::Struct(id), &mut all),
                None => {
                    all.insert(name);
                }
            }
        }
        definitions.extend(all.into_iter().map(|name| (name, source)));
    }
    fields.end()?;
    io::Write::write_all(&mut out, br#","components":{"schemas":"#)?;
    let mut fields = Fields::begin(&mut out)?;
    for (name, source) in &definitions {
        if let Some(definition) = definitions::by_name(source.schemas, name, Dialect::V3) {
            fields.field(name, &definition)?;
        }
    }
    fields.end()?;
    io::Write::write_all(&mut out, b"}}")?;
    out.finish().map(Some)
}

fn collect_references(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "$ref" => {
                        names.insert(text.trim_start_matches("#/components/schemas/").to_owned());
                    }
                    other => collect_references(other, names),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|i| collect_references(i, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_versions_document_is_complete() {
        let document = document(&Source::builtin(), "apps", "v1", "v1.36.0").unwrap().unwrap();
        let value: Value = serde_json::from_slice(&document.plain().unwrap()).unwrap();
        let mut names = BTreeSet::new();
        collect_references(&value, &mut names);
        let schemas = value["components"]["schemas"].as_object().unwrap();
        assert!(names.iter().all(|n| schemas.contains_key(n)));
        assert!(schemas.contains_key("io.k8s.api.core.v1.PodSpec"));
        assert!(super::document(&Source::builtin(), "nope", "v1", "").unwrap().is_none());
    }
}
