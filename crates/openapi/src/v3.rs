//! `/openapi/v3`: an index, and one document per [`Page`].

use std::io::{self, Write};

use api::{Object, Value};
use serde_json::json;

use crate::definitions::Dialect;
use crate::descriptions::Descriptions;
use crate::document::Fields;
use crate::pages::Page;
use crate::sources::{Source, Sources};

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

/// Writes the document of a page; custom resource definitions of one group version share it.
///
/// # Errors
/// Those of `out`.
pub fn json(
    out: &mut dyn Write,
    sources: &[Source<'_>],
    descriptions: &Descriptions<'_>,
    page: Page<'_>,
    release: &str,
) -> io::Result<()> {
    let mut parts = Sources::new(sources, descriptions, Dialect::V3);
    out.write_all(br#"{"openapi":"3.0.0","info":"#)?;
    serde_json::to_writer(&mut *out, &json!({"title": "Kubernetes", "version": release}))?;
    out.write_all(br#","paths":"#)?;
    let mut fields = Fields::begin(out)?;
    parts.each_path(Some(page), |path, item| fields.field(path, item))?;
    fields.end()?;
    out.write_all(br#","components":{"schemas":"#)?;
    let mut fields = Fields::begin(out)?;
    parts.each_definition(|name, definition| fields.field(name, definition))?;
    fields.end()?;
    // How to say who one is.
    let token = json!({"BearerToken": {
        "type": "apiKey", "description": "Bearer Token authentication", "name": "authorization", "in": "header",
    }});
    out.write_all(br#","securitySchemes":"#)?;
    serde_json::to_writer(&mut *out, &token)?;
    out.write_all(b"}}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptions::Table;

    #[test]
    fn a_group_versions_document_is_complete() {
        let table = Table::unpack().unwrap();
        let mut document = Vec::new();
        let sources = [Source::builtin()];
        json(&mut document, &sources, &table.descriptions(), Page::Version("apps", "v1"), "v1.36.0").unwrap();
        let value: Value = serde_json::from_slice(&document).unwrap();
        let schemas = value["components"]["schemas"].as_object().unwrap();
        assert!(schemas.contains_key("io.k8s.api.core.v1.PodSpec"));
        assert!(!schemas.contains_key("io.k8s.api.batch.v1.Job"));
        assert!(value["paths"].as_object().unwrap().keys().all(|path| path.starts_with("/apis/apps/v1/")));
    }
}
