//! A custom resource on its way in, and what is wrong with it (`apiserver/customresource_handler.go`,
//! `registry/customresource`).

use api::Value;
use api::field::{Error, ErrorList, Path};

use crate::definition::{Definition, Scale, Version};
use crate::{list_types, metadata, prune, validate};

/// Brings a resource into the shape that its version has: fields that it does not know go, defaults come. Gives the
/// paths of unknown fields.
///
/// # Errors
/// Metadata of the wrong shape.
pub fn coerce(definition: &Definition, version: &Version, object: &mut Value) -> Result<Vec<String>, String> {
    let mut unknown = metadata::coerce_root(object)?;
    if let Some(schema) = &version.schema {
        if !definition.preserve_unknown {
            unknown.extend(prune::prune(object, schema));
            prune::drop_nulls(object, schema);
        }
        let mut embedded = Vec::new();
        metadata::coerce_embedded(object, schema, &Path::ROOT, &mut embedded).map_err(|e| e.to_string())?;
        embedded.sort();
        unknown.extend(embedded);
        prune::default(object, schema);
    }
    Ok(unknown)
}

/// The same for what is read from the store: silent.
pub fn coerce_stored(definition: &Definition, version: &Version, object: &mut Value) {
    if let Some(schema) = &version.schema {
        if !definition.preserve_unknown {
            prune::prune(object, schema);
            prune::drop_nulls(object, schema);
        }
        prune::default(object, schema);
    }
}

fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |value, step| value.get(step))
}

fn replicas(object: &Value, path: &str, errors: &mut ErrorList) {
    let dotted = format!(".{path}");
    let place = Path::new(&dotted);
    match at(object, path) {
        None => {}
        Some(value) => match value.as_i64() {
            Some(n) if n < 0 => {
                errors.push(Error::invalid(&place, value, "should be a non-negative integer"))
            }
            Some(n) if n > i64::from(i32::MAX) => {
                let why = format!("should be less than or equal to {}", i32::MAX);
                errors.push(Error::invalid(&place, value, why));
            }
            Some(_) => {}
            None => {
                let why = format!(
                    ".{path} accessor error: {} is of the type {}, expected int64",
                    go_text(value),
                    go_type(value)
                );
                errors.push(Error::invalid(&place, &Value::from(0), why));
            }
        },
    }
}

fn go_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

fn scale_status(scale: &Scale, object: &Value, errors: &mut ErrorList) {
    replicas(object, &scale.status, errors);
    if let Some(path) = &scale.selector
        && let Some(value) = at(object, path).filter(|v| !v.is_string())
    {
        let dotted = format!(".{path}");
        let why = format!(
            ".{path} accessor error: {} is of the type {}, expected string",
            go_text(value),
            go_type(value)
        );
        errors.push(Error::invalid(&Path::new(&dotted), &Value::from(""), why));
    }
}

/// What is wrong with a new or changed resource of a version, metadata aside.
pub fn validate(version: &Version, object: &Value, old: Option<&Value>) -> ErrorList {
    let mut errors = ErrorList::new();
    if let Some(schema) = &version.schema {
        errors.extend(validate::validate(schema, object, old, None));
    }
    if let Some(scale) = &version.scale {
        replicas(object, &scale.replicas, &mut errors);
        scale_status(scale, object, &mut errors);
    }
    let Some(schema) = &version.schema else { return errors };
    for property in schema.properties.keys() {
        if let (Some(value), Some(below)) = (object.get(property), schema.properties.get(property)) {
            metadata::validate(value, below, &Path::new(property), &mut errors);
        }
    }
    let had = old.is_some_and(|o| !list_types::validate(schema, o).is_empty());
    if !had {
        errors.extend(list_types::validate(schema, object));
    }
    errors
}

/// What is wrong with a changed status.
pub fn validate_status(version: &Version, object: &Value, old: &Value) -> ErrorList {
    let mut errors = ErrorList::new();
    let schema = version.schema.as_ref();
    if let (Some(status), Some(below)) =
        (object.get("status"), schema.and_then(|s| s.properties.get("status")))
    {
        errors.extend(validate::validate(below, status, old.get("status"), Some("status")));
    }
    if let Some(scale) = &version.scale {
        scale_status(scale, object, &mut errors);
    }
    if let Some(schema) = schema
        && list_types::validate(schema, old).is_empty()
    {
        errors.extend(list_types::validate(schema, object));
    }
    errors
}
