//! JSON as Go writes structs: fields in the order of the Go type, maps sorted, HTML characters escaped.

use super::encode::{encode, encode_list, encode_object, encode_text};
use crate::schema::{Schemas, Type};
use crate::{Object, Value};

/// The compact text of a value of a type.
pub fn go_json(schemas: &Schemas, ty: &Type, value: &Value) -> String {
    let mut out = Vec::new();
    write(schemas, ty, value, &mut out);
    text_of(out)
}

/// A text with its quotes.
pub fn go_string(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    encode_text(&mut out, text);
    text_of(out)
}

/// What was written of texts is UTF-8.
fn text_of(written: Vec<u8>) -> String {
    String::from_utf8(written).unwrap_or_default()
}

fn write(schemas: &Schemas, ty: &Type, value: &Value, out: &mut Vec<u8>) {
    match (ty, value) {
        (Type::Struct(id), Value::Object(fields)) => {
            let of = schemas.get(*id);
            let known = of
                .fields
                .iter()
                .filter_map(|f| Some((f.name.as_ref(), (&f.ty, fields.get(f.name.as_ref())?))));
            let unknown = fields.iter().filter(|(name, _)| of.position(name).is_none());
            let all = known.chain(unknown.map(|(name, v)| (name.as_str(), (&Type::Any, v))));
            encode_object(out, all, |out, _, (ty, value)| write(schemas, ty, value, out));
        }
        (Type::SchemaOrBool(id) | Type::SchemaOrArray(id) | Type::SchemaOrStrings(id), Value::Object(_)) => {
            write(schemas, &Type::Struct(*id), value, out);
        }
        (Type::SchemaOrArray(id), Value::Array(items)) => list(schemas, &Type::Struct(*id), items, out),
        (Type::List(of), Value::Array(items)) => list(schemas, &of.item, items, out),
        (Type::Map(of), Value::Object(entries)) => map(schemas, &of.value, entries, out),
        (_, other) => encode(out, other),
    }
}

fn map(schemas: &Schemas, ty: &Type, entries: &Object, out: &mut Vec<u8>) {
    encode_object(out, entries, |out, _, value| write(schemas, ty, value, out));
}

fn list(schemas: &Schemas, ty: &Type, items: &[Value], out: &mut Vec<u8>) {
    encode_list(out, items, |out, item| write(schemas, ty, item, out));
}
