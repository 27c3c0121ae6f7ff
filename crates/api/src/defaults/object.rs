//! Small helpers to default fields of a JSON object.

use serde_json::json;

use crate::{Object, Value};

/// Whether a field holds something (null is nothing).
pub(super) fn is_set(object: &Object, key: &str) -> bool {
    object.get(key).is_some_and(|v| !v.is_null())
}

/// A string field; empty when absent.
pub(super) fn text<'a>(object: &'a Object, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Sets a field that is absent (a nil pointer in Go).
pub(super) fn absent(object: &mut Object, key: &str, value: impl Into<Value>) {
    if !is_set(object, key) {
        object.insert(key.to_owned(), value.into());
    }
}

/// Sets a string field that is absent or empty.
pub(super) fn empty(object: &mut Object, key: &str, value: &str) {
    if text(object, key).is_empty() {
        object.insert(key.to_owned(), value.into());
    }
}

/// Sets a number that is absent or zero.
pub(super) fn zero(object: &mut Object, key: &str, value: i64) {
    if object.get(key).and_then(Value::as_i64).unwrap_or_default() == 0 {
        object.insert(key.to_owned(), value.into());
    }
}

/// An object field, where it is set.
pub(super) fn child<'a>(object: &'a mut Object, key: &str) -> Option<&'a mut Object> {
    object.get_mut(key)?.as_object_mut()
}

/// An object field, made when it is absent.
pub(super) fn make<'a>(object: &'a mut Object, key: &str) -> Option<&'a mut Object> {
    absent(object, key, json!({}));
    child(object, key)
}

/// The items of a list field that are objects.
pub(super) fn items<'a>(object: &'a mut Object, key: &str) -> impl Iterator<Item = &'a mut Object> {
    let list = object.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Whether a list or map field has entries.
pub(super) fn has_entries(object: &Object, key: &str) -> bool {
    match object.get(key) {
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        _ => false,
    }
}
