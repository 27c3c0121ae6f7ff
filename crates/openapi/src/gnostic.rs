//! The v2 document in protobuf: the messages of `gnostic/openapiv2/OpenAPIv2.proto`, written by hand.
//!
//! A dozen messages of a schema that will not change any more do not earn a protobuf library and a code generator in
//! the server. Field numbers are the schema's. Only what [`crate::v2`] writes is encoded.
//!
//! kubectl asks for this form alone, back to v1.10. That one takes every `object` for a map, and refuses the whole document
//! for one without a schema of its values; fields make an object only where no type is said, as servers of its day wrote
//! it. Newer kubectls read both spellings as the same, so the old one is written here. The JSON form has upstream's.

use api::{Object, Value};

/// Length-delimited: strings, messages.
fn bytes(out: &mut Vec<u8>, field: u32, content: &[u8]) {
    varint(out, u64::from(field << 3 | 2));
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn text(out: &mut Vec<u8>, field: u32, content: &str) {
    if !content.is_empty() {
        bytes(out, field, content.as_bytes());
    }
}

fn boolean(out: &mut Vec<u8>, field: u32, value: bool) {
    if value {
        varint(out, u64::from(field << 3));
        varint(out, 1);
    }
}

fn message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    write(&mut content);
    bytes(out, field, &content);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn string_of<'a>(object: &'a Object, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn strings<'a>(object: &'a Object, key: &str) -> impl Iterator<Item = &'a str> {
    object.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The start of `Document`: swagger = 1, info = 2.
pub fn head(title: &str, version: &str) -> Vec<u8> {
    let mut out = Vec::new();
    text(&mut out, 1, "2.0");
    message(&mut out, 2, |info| {
        text(info, 1, title);
        text(info, 2, version);
    });
    out
}

/// `Document.paths = 8`, with one path. Readers of protobuf merge what they find of a message in several places, so that
/// neither paths nor definitions have to be held together, which is megabytes.
pub fn path(name: &str, item: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    message(&mut out, 8, |paths| named_path(paths, name, item));
    out
}

/// `Document.definitions = 9`, with one definition: `Definitions.additional_properties = 1`: NamedSchema.
pub fn definition(name: &str, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(value) = value.as_object() {
        message(&mut out, 9, |definitions| named_schema(definitions, 1, name, value));
    }
    out
}

/// `Paths.path = 2`: NamedPathItem.
fn named_path(out: &mut Vec<u8>, name: &str, item: &Value) {
    let Some(item) = item.as_object() else { return };
    message(out, 2, |named| {
        text(named, 1, name);
        message(named, 2, |out| {
            let methods = [
                ("get", 2),
                ("put", 3),
                ("post", 4),
                ("delete", 5),
                ("options", 6),
                ("head", 7),
                ("patch", 8),
            ];
            for (method, field) in methods {
                if let Some(Value::Object(operation)) = item.get(method) {
                    message(out, field, |out| write_operation(out, operation));
                }
            }
            parameters(out, 9, item);
        });
    });
}

/// `Operation`.
fn write_operation(out: &mut Vec<u8>, operation: &Object) {
    strings(operation, "tags").for_each(|t| text(out, 1, t));
    text(out, 5, string_of(operation, "operationId"));
    strings(operation, "produces").for_each(|t| text(out, 6, t));
    strings(operation, "consumes").for_each(|t| text(out, 7, t));
    parameters(out, 8, operation);
    if let Some(Value::Object(responses)) = operation.get("responses") {
        message(out, 9, |out| {
            for (code, response) in responses {
                // Responses.response_code = 1: NamedResponseValue { name, value: ResponseValue { response = 1 } }.
                message(out, 1, |named| {
                    text(named, 1, code);
                    message(named, 2, |value| {
                        message(value, 1, |out| {
                            text(
                                out,
                                1,
                                response.get("description").and_then(Value::as_str).unwrap_or_default(),
                            );
                            if let Some(Value::Object(s)) = response.get("schema") {
                                // Response.schema = 2: SchemaItem { schema = 1 }.
                                message(out, 2, |item| message(item, 1, |out| schema(out, s)));
                            }
                        });
                    });
                });
            }
        });
    }
    strings(operation, "schemes").for_each(|t| text(out, 10, t));
    extensions(out, 13, operation);
}

/// `repeated ParametersItem`: ParametersItem { parameter = 1: Parameter { body_parameter = 1 | non_body_parameter = 2 } }.
fn parameters(out: &mut Vec<u8>, field: u32, owner: &Object) {
    for parameter in owner.get("parameters").and_then(Value::as_array).into_iter().flatten() {
        let Some(parameter) = parameter.as_object() else { continue };
        let required = parameter.get("required") == Some(&Value::Bool(true));
        let (name, place) = (string_of(parameter, "name"), string_of(parameter, "in"));
        message(out, field, |item| {
            message(item, 1, |out| match place {
                "body" => message(out, 1, |body| {
                    text(body, 2, name);
                    text(body, 3, place);
                    boolean(body, 4, required);
                    if let Some(Value::Object(s)) = parameter.get("schema") {
                        message(body, 5, |out| schema(out, s));
                    }
                }),
                // NonBodyParameter: query = 3 (type = 6, unique_items = 20), path = 4 (type = 5, unique_items = 19).
                _ => message(out, 2, |out| {
                    let (which, ty, unique) = if place == "path" { (4, 5, 19) } else { (3, 6, 20) };
                    message(out, which, |out| {
                        boolean(out, 1, required);
                        text(out, 2, place);
                        text(out, 4, name);
                        text(out, ty, string_of(parameter, "type"));
                        boolean(out, unique, parameter.get("uniqueItems") == Some(&Value::Bool(true)));
                    });
                }),
            });
        });
    }
}

fn named_schema(out: &mut Vec<u8>, field: u32, name: &str, value: &Object) {
    message(out, field, |named| {
        text(named, 1, name);
        message(named, 2, |out| schema(out, value));
    });
}

/// `Schema`: _ref = 1, format = 2, title = 3, description = 4, default = 5, pattern = 13, required = 19, enum = 20, additional_properties = 21, type = 22,
/// items = 23, all_of = 24, properties = 25, vendor_extension = 31.
fn schema(out: &mut Vec<u8>, value: &Object) {
    text(out, 1, string_of(value, "$ref"));
    text(out, 2, string_of(value, "format"));
    text(out, 3, string_of(value, "title"));
    text(out, 4, string_of(value, "description"));
    if let Some(default) = value.get("default") {
        message(out, 5, |out| any(out, default));
    }
    bounds(out, value);
    strings(value, "required").for_each(|name| text(out, 19, name));
    for allowed in value.get("enum").and_then(Value::as_array).into_iter().flatten() {
        message(out, 20, |out| any(out, allowed));
    }
    let ty = string_of(value, "type");
    let fields = value.get("properties").and_then(Value::as_object).is_some_and(|p| !p.is_empty());
    match value.get("additionalProperties") {
        Some(Value::Object(s)) => message(out, 21, |out| message(out, 1, |out| schema(out, s))),
        // Values of any kind.
        _ if ty == "object" && !fields => message(out, 21, |out| bytes(out, 1, &[])),
        Some(Value::Bool(b)) => message(out, 21, |out| boolean(out, 2, *b)),
        _ => {}
    }
    if !(ty.is_empty() || ty == "object" && fields) {
        // TypeItem.value = 1.
        message(out, 22, |out| text(out, 1, ty));
    }
    if let Some(Value::Object(items)) = value.get("items") {
        message(out, 23, |out| message(out, 1, |out| schema(out, items)));
    }
    if let Some(Value::Object(properties)) = value.get("properties") {
        message(out, 25, |out| {
            for (name, property) in properties {
                if let Some(property) = property.as_object() {
                    named_schema(out, 1, name, property);
                }
            }
        });
    }
    extensions(out, 31, value);
}

/// What a custom resource definition says of a value.
fn bounds(out: &mut Vec<u8>, value: &Object) {
    for (field, name) in [(6, "multipleOf"), (7, "maximum"), (9, "minimum")] {
        if let Some(number) = value.get(name).and_then(Value::as_f64).filter(|n| *n != 0.0) {
            // A double: wire type 1.
            varint(out, field << 3 | 1);
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
    for (field, name) in [(8, "exclusiveMaximum"), (10, "exclusiveMinimum"), (16, "uniqueItems")] {
        boolean(out, field, value.get(name) == Some(&Value::Bool(true)));
    }
    let lengths = [
        (11, "maxLength"),
        (12, "minLength"),
        (14, "maxItems"),
        (15, "minItems"),
        (17, "maxProperties"),
        (18, "minProperties"),
    ];
    for (field, name) in lengths {
        if let Some(number) = value.get(name).and_then(Value::as_u64).filter(|n| *n != 0) {
            varint(out, field << 3);
            varint(out, number);
        }
    }
    text(out, 13, string_of(value, "pattern"));
}

/// `repeated NamedAny vendor_extension`: every `x-…` field.
fn extensions(out: &mut Vec<u8>, field: u32, owner: &Object) {
    for (name, value) in owner.iter().filter(|(name, _)| name.starts_with("x-")) {
        message(out, field, |named| {
            text(named, 1, name);
            message(named, 2, |out| any(out, value));
        });
    }
}

/// `Any.yaml = 2`: readers parse the YAML, of which JSON is a part.
fn any(out: &mut Vec<u8>, value: &Value) {
    text(out, 2, &format!("{value}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        schema(&mut out, value.as_object().unwrap());
        out
    }

    const OBJECT: &[u8] = &[0xb2, 0x01, 8, 0x0a, 6, b'o', b'b', b'j', b'e', b'c', b't']; // type = 22, TypeItem.value = 1

    #[test]
    fn a_schema_is_written_with_the_fields_of_the_proto() {
        let value = json!({"type": "object", "additionalProperties": {"type": "string"}, "required": ["b"], "x-k": [1]});
        let expected = [
            &[0x9a, 0x01, 1, b'b'][..],  // required = 19
            &[0xaa, 0x01, 13, 0x0a, 11], // additional_properties = 21, schema = 1
            &[0xb2, 0x01, 8, 0x0a, 6],   // type = 22
            b"string",
            OBJECT,
            &[0xfa, 0x01, 13, 0x0a, 3], // vendor_extension = 31, name = 1
            b"x-k",
            &[0x12, 6, 0x12, 4], // value = 2, yaml = 2
            b"[1]\n",
        ]
        .concat();
        assert_eq!(written(&value), expected);
        let length = expected.len() as u8;
        let head = [0x4a, length + 7, 0x0a, length + 5, 0x0a, 1, b'A', 0x12, length];
        assert_eq!(definition("A", &value), [&head, expected.as_slice()].concat());
    }

    /// v1.10's `create` and `apply` refused everything: `SchemaError(…): invalid object doesn't have additional properties`.
    #[test]
    fn v1_10_reads_every_object() {
        let with_fields = written(&json!({"type": "object", "properties": {"b": {"type": "string"}}}));
        assert!(!with_fields.windows(OBJECT.len()).any(|w| w == OBJECT));
        for bare in [json!({"type": "object"}), json!({"type": "object", "additionalProperties": true})] {
            assert_eq!(written(&bare), [&[0xaa, 0x01, 2, 0x0a, 0], OBJECT].concat());
        }
    }
}
