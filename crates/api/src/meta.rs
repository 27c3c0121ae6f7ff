//! Accessors for object metadata on a [`Value`] (upstream's `meta.Accessor`).

use crate::{Object, Value};

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    metadata(object).and_then(|m| m.get(key)).and_then(Value::as_str).unwrap_or_default()
}

/// `metadata`.
pub fn metadata(object: &Value) -> Option<&Object> {
    object.get("metadata").and_then(Value::as_object)
}

/// `metadata` to write to; made when it is missing. `None` when the object is no JSON object.
pub fn metadata_mut(object: &mut Value) -> Option<&mut Object> {
    let fields = object.as_object_mut()?;
    let meta = fields.entry("metadata").or_insert_with(|| Value::Object(Object::new()));
    if !meta.is_object() {
        *meta = Value::Object(Object::new());
    }
    meta.as_object_mut()
}

/// `metadata.name`, empty when absent.
pub fn name(object: &Value) -> &str {
    text(object, "name")
}

/// `metadata.generateName`, empty when absent.
pub fn generate_name(object: &Value) -> &str {
    text(object, "generateName")
}

/// `metadata.namespace`, empty when absent.
pub fn namespace(object: &Value) -> &str {
    text(object, "namespace")
}

/// `metadata.uid`, empty when absent.
pub fn uid(object: &Value) -> &str {
    text(object, "uid")
}

/// `metadata.resourceVersion`, empty when absent.
pub fn resource_version(object: &Value) -> &str {
    text(object, "resourceVersion")
}

/// `metadata.creationTimestamp`, empty when absent.
pub fn creation_timestamp(object: &Value) -> &str {
    text(object, "creationTimestamp")
}

/// `metadata.deletionTimestamp`.
pub fn deletion_timestamp(object: &Value) -> Option<&str> {
    metadata(object)?.get("deletionTimestamp")?.as_str()
}

/// `metadata.deletionGracePeriodSeconds`.
pub fn deletion_grace_period_seconds(object: &Value) -> Option<i64> {
    metadata(object)?.get("deletionGracePeriodSeconds")?.as_i64()
}

/// `metadata.generation`, 0 when absent.
pub fn generation(object: &Value) -> i64 {
    metadata(object).and_then(|m| m.get("generation")).and_then(Value::as_i64).unwrap_or_default()
}

/// `metadata.labels`.
pub fn labels(object: &Value) -> Option<&Object> {
    metadata(object)?.get("labels")?.as_object()
}

/// `metadata.annotations`.
pub fn annotations(object: &Value) -> Option<&Object> {
    metadata(object)?.get("annotations")?.as_object()
}

/// One annotation.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    annotations(object)?.get(key)?.as_str()
}

/// `metadata.finalizers`.
pub fn finalizers(object: &Value) -> Vec<&str> {
    let list = metadata(object).and_then(|m| m.get("finalizers")).and_then(Value::as_array);
    list.map(|l| l.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// `metadata.ownerReferences`.
pub fn owner_references(object: &Value) -> &[Value] {
    let list = metadata(object).and_then(|m| m.get("ownerReferences")).and_then(Value::as_array);
    list.map(Vec::as_slice).unwrap_or_default()
}

/// `apiVersion`, empty when absent.
pub fn api_version(object: &Value) -> &str {
    object.get("apiVersion").and_then(Value::as_str).unwrap_or_default()
}

/// `kind`, empty when absent.
pub fn kind(object: &Value) -> &str {
    object.get("kind").and_then(Value::as_str).unwrap_or_default()
}

/// Sets a field of `metadata`; an empty text removes it.
pub fn set_text(object: &mut Value, key: &str, value: &str) {
    if let Some(meta) = metadata_mut(object) {
        if value.is_empty() {
            meta.remove(key);
        } else {
            meta.insert(key.to_owned(), value.into());
        }
    }
}

/// Sets a field of `metadata`, or removes it.
pub fn set(object: &mut Value, key: &str, value: Option<Value>) {
    if let Some(meta) = metadata_mut(object) {
        match value {
            Some(value) => meta.insert(key.to_owned(), value),
            None => meta.remove(key),
        };
    }
}

/// Sets or removes an annotation; the map goes away with its last entry.
pub fn set_annotation(object: &mut Value, key: &str, value: Option<&str>) {
    let Some(meta) = metadata_mut(object) else { return };
    match value {
        Some(value) => {
            let map = meta.entry("annotations").or_insert_with(|| Value::Object(Object::new()));
            if let Some(map) = map.as_object_mut() {
                map.insert(key.to_owned(), value.into());
            }
        }
        None => {
            let emptied = meta.get_mut("annotations").and_then(Value::as_object_mut).is_some_and(|map| {
                map.remove(key);
                map.is_empty()
            });
            if emptied {
                meta.remove("annotations");
            }
        }
    }
}
