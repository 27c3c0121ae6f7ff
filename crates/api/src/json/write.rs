//! JSON as Go writes structs: fields in the order of the Go type, maps sorted, HTML characters escaped.

use std::fmt::Write as _;

use crate::schema::{Schemas, Type};
use crate::{Object, Value};

/// The compact text of a value of a type.
pub fn go_json(schemas: &Schemas, ty: &Type, value: &Value) -> String {
    let mut out = String::new();
    write(schemas, ty, value, &mut out);
    out
}

fn write(schemas: &Schemas, ty: &Type, value: &Value, out: &mut String) {
    match (ty, value) {
        (Type::Struct(id), Value::Object(fields)) => {
            let of = schemas.get(*id);
            let known =
                of.fields.iter().filter_map(|f| Some((f.name.as_ref(), &f.ty, fields.get(f.name.as_ref())?)));
            let unknown = fields.iter().filter(|(name, _)| of.position(name).is_none());
            let all = known.chain(unknown.map(|(name, v)| (name.as_str(), &Type::Any, v)));
            object(schemas, all, out);
        }
        (Type::SchemaOrBool(id) | Type::SchemaOrArray(id) | Type::SchemaOrStrings(id), Value::Object(_)) => {
            write(schemas, &Type::Struct(*id), value, out);
        }
        (Type::SchemaOrArray(id), Value::Array(items)) => list(schemas, &Type::Struct(*id), items, out),
        (Type::List(of), Value::Array(items)) => list(schemas, &of.item, items, out),
        (Type::Map(of), Value::Object(entries)) => map(schemas, &of.value, entries, out),
        (_, Value::Object(entries)) => map(schemas, &Type::Any, entries, out),
        (_, Value::Array(items)) => list(schemas, &Type::Any, items, out),
        (_, Value::String(text)) => string(text, out),
        (_, other) => {
            let _ = write!(out, "{other}");
        }
    }
}

fn map(schemas: &Schemas, ty: &Type, entries: &Object, out: &mut String) {
    object(schemas, entries.iter().map(|(name, v)| (name.as_str(), ty, v)), out);
}

fn object<'a>(
    schemas: &Schemas,
    fields: impl Iterator<Item = (&'a str, &'a Type, &'a Value)>,
    out: &mut String,
) {
    out.push('{');
    for (i, (name, ty, value)) in fields.enumerate() {
        if i > 0 {
            out.push(',');
        }
        string(name, out);
        out.push(':');
        write(schemas, ty, value, out);
    }
    out.push('}');
}

fn list(schemas: &Schemas, ty: &Type, items: &[Value], out: &mut String) {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(schemas, ty, item, out);
    }
    out.push(']');
}

/// A text as `encoding/json` writes it.
pub fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
