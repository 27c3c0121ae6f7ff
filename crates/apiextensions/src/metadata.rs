//! `metadata` of resources, at their root and where they are embedded (`apiserver/schema/objectmeta`).

use api::field::{Error, ErrorList, Path};
use api::schema::{Type, builtin};
use api::{Object, Value};

use crate::schema::Schema;

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// Reads metadata as Go's `ObjectMeta`; gives it with the unknown fields.
fn typed(metadata: &Value) -> Result<(Value, Vec<String>), String> {
    let Some(ty) = builtin().by_name(OBJECT_META) else { return Ok((metadata.clone(), Vec::new())) };
    let text = serde_json::to_vec(metadata).map_err(|e| e.to_string())?;
    let read = api::decode::typed(builtin(), &Type::Struct(ty), &text, true)?;
    let mut value = read.value;
    if read.empties {
        api::decode::zero::normalise(builtin(), &Type::Struct(ty), &mut value);
    }
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, value| name != "creationTimestamp" || !value.is_null());
    }
    Ok((value, read.strict))
}

/// `unknown field "x"` → `x`.
fn field_of(strict: &str) -> &str {
    strict.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"')).map_or(strict, |(name, _)| name)
}

/// Makes `metadata` of a whole resource what Go would write; gives the paths of unknown fields.
///
/// # Errors
/// A field of the wrong type, in Go's words.
pub fn coerce_root(object: &mut Value) -> Result<Vec<String>, String> {
    let Some(metadata) = object.get_mut("metadata") else { return Ok(Vec::new()) };
    let (value, strict) = typed(metadata)?;
    *metadata = value;
    Ok(strict.iter().map(|s| format!("metadata.{}", field_of(s))).collect())
}

/// Does the same for embedded resources; their wrong types are refusals.
///
/// # Errors
/// The first that is wrong.
pub fn coerce_embedded(
    value: &mut Value,
    schema: &Schema,
    path: &Path<'_>,
    unknown: &mut Vec<String>,
) -> Result<(), Error> {
    match value {
        Value::Object(fields) => {
            if schema.embedded {
                coerce_resource(fields, path, unknown)?;
            }
            for (name, value) in fields {
                if let Some(property) = schema.properties.get(name) {
                    coerce_embedded(value, property, &path.child(name), unknown)?;
                } else if let Some(below) = schema.additional.as_ref().and_then(|a| a.schema.as_deref()) {
                    coerce_embedded(value, below, &path.key(name), unknown)?;
                }
            }
        }
        Value::Array(items) => {
            let Some(below) = &schema.items else { return Ok(()) };
            for (index, item) in items.iter_mut().enumerate() {
                coerce_embedded(item, below, &path.index(index), unknown)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn coerce_resource(fields: &mut Object, path: &Path<'_>, unknown: &mut Vec<String>) -> Result<(), Error> {
    for name in ["apiVersion", "kind"] {
        if let Some(value) = fields.get(name).filter(|v| !v.is_string()) {
            return Err(Error::invalid(&path.child(name), value, "must be a string"));
        }
    }
    if let Some(metadata) = fields.get_mut("metadata") {
        let place = path.child("metadata");
        let (value, strict) = typed(metadata).map_err(|why| Error::invalid(&place, metadata, why))?;
        *metadata = value;
        unknown.extend(strict.iter().map(|s| format!("{place}.{}", field_of(s))));
    }
    Ok(())
}

/// What is wrong with the metadata of an object; its paths begin with `metadata`. The rules are those of all objects,
/// which the crate `validation` has.
pub type MetadataRule = fn(&Value) -> ErrorList;

/// What is wrong with embedded resources.
pub fn validate(value: &Value, schema: &Schema, path: &Path<'_>, rule: MetadataRule, errors: &mut ErrorList) {
    match value {
        Value::Object(fields) => {
            if schema.embedded {
                resource(fields, path, rule, errors);
            }
            for (name, value) in fields {
                if let Some(property) = schema.properties.get(name) {
                    validate(value, property, &path.child(name), rule, errors);
                } else if let Some(below) = schema.additional.as_ref().and_then(|a| a.schema.as_deref()) {
                    validate(value, below, &path.key(name), rule, errors);
                }
            }
        }
        Value::Array(items) => {
            let Some(below) = &schema.items else { return };
            for (index, item) in items.iter().enumerate() {
                validate(item, below, &path.index(index), rule, errors);
            }
        }
        _ => {}
    }
}

fn resource(fields: &Object, path: &Path<'_>, rule: MetadataRule, errors: &mut ErrorList) {
    for name in ["apiVersion", "kind"] {
        if !fields.contains_key(name) {
            errors.push(Error::required(&path.child(name), ""));
        }
    }
    for (name, value) in fields.iter().filter(|(n, _)| matches!(n.as_str(), "apiVersion" | "kind")) {
        let place = path.child(name);
        let Some(text) = value.as_str() else {
            errors.push(Error::invalid(&place, value, "must be a string"));
            continue;
        };
        if text.is_empty() {
            errors.push(Error::invalid(&place, value, "must not be empty"));
        } else if name == "apiVersion" {
            if text.matches('/').count() > 1 {
                let why = format!("unexpected GroupVersion string: {text}");
                errors.push(Error::invalid(&place, value, why));
            }
        } else {
            let bad = api::names::dns1035_label(&text.to_lowercase());
            if !bad.is_empty() {
                let why = format!("may have mixed case, but should otherwise match: {}", bad.join(","));
                errors.push(Error::invalid(&place, value, why));
            }
        }
    }
    if let Some(metadata) = fields.get("metadata") {
        let mut object = Object::from_iter([("metadata".to_owned(), metadata.clone())]);
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            // Embedded resources need no name.
            metadata.entry("name").or_insert_with(|| "fakename".into());
        }
        errors.extend(rule(&Value::Object(object)).into_iter().map(|mut error| {
            error.field = format!("{path}.{}", error.field);
            error
        }));
    }
}
