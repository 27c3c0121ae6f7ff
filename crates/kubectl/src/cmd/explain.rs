//! `kubectl explain` (upstream v1.10: `pkg/kubectl/explain`).

use crate::cli::Flags;
use crate::context::Context;
use crate::discovery::split_api_version;
use crate::error::{Error, Result};
use crate::openapi::{Document, Schema, Shape};
use crate::print::out;

/// Runs `explain`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let word = match words {
        [] => {
            eprintln!(
                "You must specify the type of resource to explain. Valid resource types include: {}",
                super::get::TYPES
            );
            return Err(flags.usage("Required resource not specified."));
        }
        [one] => one,
        _ => return Err(flags.usage("We accept only this format: explain RESOURCE")),
    };
    let mut parts = word.split('.');
    let kind = parts.next().unwrap_or("");
    let fields: Vec<&str> = parts.collect();
    let resource = ctx.mapper()?.resolve(kind).map_err(|e| Error::Plain(e.to_string()))?;
    let mut api_version = resource.api_version();
    if !flags.str("api-version").is_empty() {
        api_version = flags.str("api-version").to_string();
    }
    let document = Document::fetch(ctx)?;
    let (group, version) = split_api_version(&api_version);
    let Some(schema) = document.of_kind(group, version, &resource.kind) else {
        return Err(format!("Couldn't find resource for \"{api_version}, Kind={}\"", resource.kind).into());
    };
    out(&explain(&document, schema, &api_version, &resource.kind, &fields, flags.bool("recursive"))?)
}

fn explain(
    d: &Document,
    root: &Schema,
    version: &str,
    kind: &str,
    fields: &[&str],
    recursive: bool,
) -> Result<String> {
    let schema = find(d, root, fields)?;
    let mut text = format!("KIND:     {kind}\nVERSION:  {version}\n\n");
    let (last, descriptions) = descriptions(d, schema);
    let shape = d.shape(last);
    if let Some(name) = fields.last() {
        let of = d.type_name(schema);
        match shape {
            Shape::Kind => text.push_str(&format!("RESOURCE: {name} <{of}>\n\n")),
            Shape::Primitive(_) => text.push_str(&format!("FIELD:    {name} <{of}>\n\n")),
            _ => {}
        }
    }
    text.push_str("DESCRIPTION:\n");
    let known: Vec<_> = descriptions.iter().enumerate().filter(|(_, text)| !text.is_empty()).collect();
    for (at, description) in &known {
        if *at != 0 {
            text.push('\n');
        }
        text.push_str(&wrapped(description, 5));
    }
    if known.is_empty() {
        text.push_str(&wrapped("<empty>", 5));
    }
    if matches!(shape, Shape::Kind) {
        text.push_str("\nFIELDS:\n");
        if recursive {
            write_all(d, last, 3, &mut Vec::new(), &mut text);
        } else {
            write_fields(d, last, &mut text);
        }
    }
    Ok(text)
}

/// Walks along the fields; what has none ends the walk.
fn find<'a>(d: &'a Document, schema: &'a Schema, fields: &[&str]) -> Result<&'a Schema> {
    let Some((field, rest)) = fields.split_first() else { return Ok(schema) };
    match d.shape(schema) {
        Shape::Reference(inner) | Shape::Array(inner) | Shape::Map(inner) => find(d, inner, fields),
        Shape::Kind => match schema.properties.get(*field) {
            Some(below) => find(d, below, rest),
            None => Err(format!("field \"{field}\" does not exist").into()),
        },
        Shape::Primitive(_) | Shape::Arbitrary => Ok(schema),
    }
}

/// What a schema is in the end, behind references, lists and maps, and the descriptions on the way: a field says what it
/// is for, its type may say more.
fn descriptions<'a>(d: &'a Document, schema: &'a Schema) -> (&'a Schema, Vec<&'a str>) {
    let mut all = Vec::new();
    let mut last = schema;
    loop {
        all.push(last.description.as_deref().unwrap_or_default());
        last = match d.shape(last) {
            Shape::Reference(inner) | Shape::Array(inner) | Shape::Map(inner) => inner,
            _ => return (last, all),
        };
    }
}

fn write_fields(d: &Document, schema: &Schema, text: &mut String) {
    for (name, s) in &schema.properties {
        let required = if schema.required.contains(name) { " -required-" } else { "" };
        text.push_str(&format!("   {name}\t<{}>{required}\n", d.type_name(s)));
        text.push_str(&wrapped(s.description.as_deref().unwrap_or_default(), 5));
        text.push('\n');
    }
}

/// The fields and all that is below them.
fn write_all<'a>(
    d: &'a Document,
    schema: &'a Schema,
    indent: usize,
    above: &mut Vec<*const Schema>,
    text: &mut String,
) {
    match d.shape(schema) {
        Shape::Reference(inner) => {
            let here: *const Schema = inner;
            // Types that contain themselves are shown once.
            if !above.contains(&here) {
                above.push(here);
                write_all(d, inner, indent, above, text);
                above.pop();
            }
        }
        Shape::Array(inner) | Shape::Map(inner) => write_all(d, inner, indent, above, text),
        Shape::Kind => {
            for (name, s) in &schema.properties {
                text.push_str(&format!("{:indent$}{name}\t<{}>\n", "", d.type_name(s)));
                write_all(d, s, indent + 3, above, text);
            }
        }
        Shape::Primitive(_) | Shape::Arbitrary => {}
    }
}

/// Breaks text at column 80. v1.10 knows no paragraphs: line breaks are spaces.
fn wrapped(text: &str, indent: usize) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && indent + line.len() + 1 + word.len() > 80 {
            out.push_str(&format!("{:indent$}{line}\n", ""));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        out.push_str(&format!("{:indent$}{line}\n", ""));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document() -> Document {
        serde_json::from_value(json!({"definitions": {
            "Widget": {"type": "object", "description": "Widget is a part.", "required": ["spec"], "properties": {
                "anything": {"description": "Whatever."},
                "parts": {"type": "array", "items": {"$ref": "#/definitions/Part"}},
                "spec": {"type": "object", "additionalProperties": {"type": "string"}, "description": "Wanted.\n\nOr not."}},
                "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Widget"}]},
            "Part": {"type": "object", "description": "Part is one of many.", "properties": {
                "name": {"type": "string"}, "parts": {"type": "array", "items": {"$ref": "#/definitions/Part"}}}}}}))
        .unwrap()
    }

    fn shown(fields: &[&str], recursive: bool) -> String {
        let d = document();
        let root = d.of_kind("", "v1", "Widget").unwrap();
        explain(&d, root, "v1", "Widget", fields, recursive).unwrap()
    }

    #[test]
    fn a_kind_is_shown_with_its_fields() {
        assert_eq!(
            shown(&[], false),
            "KIND:     Widget\nVERSION:  v1\n\nDESCRIPTION:\n     Widget is a part.\n\nFIELDS:\n   anything\t<>\n     Whatever.\n\n   \
             parts\t<[]Object>\n\n   spec\t<map[string]string> -required-\n     Wanted. Or not.\n\n"
        );
        assert_eq!(
            shown(&[], true).split_once("FIELDS:\n").unwrap().1,
            "   anything\t<>\n   parts\t<[]Object>\n      name\t<string>\n      parts\t<[]Object>\n   spec\t<map[string]string>\n"
        );
    }

    /// A list without a description leaves its empty line, as upstream's does.
    #[test]
    fn a_field_is_shown_by_what_it_holds() {
        assert_eq!(
            shown(&["parts"], false),
            "KIND:     Widget\nVERSION:  v1\n\nRESOURCE: parts <[]Object>\n\nDESCRIPTION:\n\n     Part is one of many.\n\nFIELDS:\n   \
             name\t<string>\n\n   parts\t<[]Object>\n\n"
        );
        assert_eq!(
            shown(&["spec", "x"], false),
            "KIND:     Widget\nVERSION:  v1\n\nFIELD:    x <string>\n\nDESCRIPTION:\n     <empty>\n"
        );
        assert_eq!(
            shown(&["anything"], false),
            "KIND:     Widget\nVERSION:  v1\n\nDESCRIPTION:\n     Whatever.\n"
        );
    }

    #[test]
    fn text_ends_at_column_80() {
        let text = "word ".repeat(45);
        assert!(wrapped(&text, 5).lines().all(|line| line.len() <= 80 && line.len() > 74));
        assert_eq!(wrapped(&"x".repeat(100), 5).len(), 106);
    }
}
