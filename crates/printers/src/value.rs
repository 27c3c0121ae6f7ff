//! Reading fields of an object that may lack them: as Go's typed objects, a missing field is the zero value.

use api::Value;

static NULL: Value = Value::Null;

/// The value at a path of field names; null when any of them is missing.
pub(crate) fn at<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(value, |v, name| v.get(name).unwrap_or(&NULL))
}

/// The string at a path, empty when missing.
pub(crate) fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    at(value, path).as_str().unwrap_or_default()
}

/// The string at a path, or another when it is missing or empty.
pub(crate) fn text_or<'a>(value: &'a Value, path: &[&str], other: &'a str) -> &'a str {
    match text(value, path) {
        "" => other,
        found => found,
    }
}

/// The number at a path, zero when missing.
pub(crate) fn int(value: &Value, path: &[&str]) -> i64 {
    let v = at(value, path);
    v.as_i64().or_else(|| v.as_f64().map(|f| f as i64)).unwrap_or_default()
}

/// The boolean at a path, false when missing.
pub(crate) fn flag(value: &Value, path: &[&str]) -> bool {
    at(value, path).as_bool().unwrap_or_default()
}

/// The list at a path, empty when missing.
pub(crate) fn list<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    at(value, path).as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The strings of the list at a path.
pub(crate) fn texts<'a>(value: &'a Value, path: &[&str]) -> Vec<&'a str> {
    list(value, path).iter().filter_map(Value::as_str).collect()
}

/// How many entries the object or list at a path has.
pub(crate) fn count(value: &Value, path: &[&str]) -> i64 {
    let len = match at(value, path) {
        Value::Object(fields) => fields.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    };
    i64::try_from(len).unwrap_or(i64::MAX)
}

/// A string or a number as Go prints it (an IntOrString, a quantity).
pub(crate) fn scalar(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A quantity; a missing one is `0`.
pub(crate) fn quantity(value: &Value) -> String {
    if value.is_null() { "0".to_owned() } else { scalar(value) }
}

/// The entry of a list whose `type` is this one.
pub(crate) fn condition<'a>(conditions: &'a [Value], kind: &str) -> Option<&'a Value> {
    conditions.iter().find(|c| text(c, &["type"]) == kind)
}

/// Whether a condition is there and true.
pub(crate) fn condition_true(conditions: &[Value], kind: &str) -> bool {
    condition(conditions, kind).is_some_and(|c| text(c, &["status"]) == "True")
}

/// Joined with commas, or another text when there is nothing.
pub(crate) fn joined(parts: &[&str], empty: &str) -> String {
    if parts.is_empty() { empty.to_owned() } else { parts.join(",") }
}
