//! Small accessors for objects as JSON.

use api::{Object, Value, json};

/// `metadata`, when it is an object.
pub fn metadata(object: &Value) -> Option<&Object> {
    object.get("metadata").and_then(Value::as_object)
}

/// `metadata`, made when it is absent.
pub fn metadata_mut(object: &mut Value) -> &mut Object {
    child_mut(object, "metadata")
}

/// A child object, made when it is absent or of another type.
pub fn child_mut<'a>(object: &'a mut Value, name: &str) -> &'a mut Object {
    if !object.is_object() {
        *object = Value::Object(Object::new());
    }
    let Value::Object(map) = object else { unreachable!("made an object above") };
    let child = map.entry(name).or_insert_with(|| Value::Object(Object::new()));
    if !child.is_object() {
        *child = Value::Object(Object::new());
    }
    match child {
        Value::Object(map) => map,
        _ => unreachable!("made an object above"),
    }
}

/// A text field of metadata; empty when absent.
pub fn meta_text<'a>(object: &'a Value, field: &str) -> &'a str {
    metadata(object).and_then(|m| m.get(field)).and_then(Value::as_str).unwrap_or_default()
}

/// A number field of metadata.
pub fn meta_number(object: &Value, field: &str) -> Option<i64> {
    metadata(object).and_then(|m| m.get(field)).and_then(Value::as_i64)
}

/// Who set which field.
pub fn managed_fields(object: &Value) -> Option<&Value> {
    metadata(object)?.get("managedFields")
}

/// Appends an object as JSON, without some fields of its metadata; gives where the text goes on behind the brace that
/// opens the metadata.
pub fn write_json(out: &mut Vec<u8>, object: &Value, left_out: &[&str]) -> usize {
    let mut metadata_at = 0;
    let Value::Object(fields) = object else {
        json::encode(out, object);
        return metadata_at;
    };
    json::encode_object(out, fields, |out, name, value| {
        let Some(metadata) = value.as_object().filter(|_| name == "metadata") else {
            return json::encode(out, value);
        };
        metadata_at = out.len() + 1;
        let kept = metadata.iter().filter(|(name, _)| !left_out.contains(&name.as_str()));
        json::encode_object(out, kept, |out, _, value| json::encode(out, value));
    });
    metadata_at
}

/// The object's name.
pub fn name(object: &Value) -> &str {
    meta_text(object, "name")
}

/// The object's namespace.
pub fn namespace(object: &Value) -> &str {
    meta_text(object, "namespace")
}

/// The object's uid.
pub fn uid(object: &Value) -> &str {
    meta_text(object, "uid")
}

/// The object's resource version as text.
pub fn resource_version(object: &Value) -> &str {
    meta_text(object, "resourceVersion")
}

/// Whether deletion has begun.
pub fn deleting(object: &Value) -> bool {
    metadata(object).and_then(|m| m.get("deletionTimestamp")).is_some_and(|v| !v.is_null())
}

/// The object's finalizers.
pub fn finalizers(object: &Value) -> Vec<String> {
    strings(metadata(object).and_then(|m| m.get("finalizers")))
}

/// Sets or removes finalizers.
pub fn set_finalizers(object: &mut Value, finalizers: &[String]) {
    let meta = metadata_mut(object);
    if finalizers.is_empty() {
        meta.remove("finalizers");
    } else {
        meta.insert("finalizers".into(), finalizers.into());
    }
}

/// The texts of a list.
pub fn strings(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

/// A value by its path (`spec.clusterIP`).
pub fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |value, step| value.get(step)).filter(|v| !v.is_null())
}

/// A text by its path; empty when absent.
pub fn text_at<'a>(object: &'a Value, path: &str) -> &'a str {
    at(object, path).and_then(Value::as_str).unwrap_or_default()
}

/// A number by its path.
pub fn number_at(object: &Value, path: &str) -> Option<i64> {
    at(object, path).and_then(Value::as_i64)
}

/// Takes the field `name` over from `from`, its absence too.
pub fn copy_field(to: &mut Value, from: &Value, name: &str) {
    let Value::Object(map) = to else { return };
    match from.get(name) {
        Some(value) => {
            map.insert(name.to_owned(), value.clone());
        }
        None => {
            map.remove(name);
        }
    }
}

/// Removes a top-level field.
pub fn remove_field(object: &mut Value, name: &str) {
    if let Value::Object(map) = object {
        map.remove(name);
    }
}

/// Semantic equality, as Go's `apiequality.Semantic.DeepEqual` sees it: absent, null and empty are the same.
pub fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    const fn empty(v: Option<&Value>) -> bool {
        matches!(v, None | Some(Value::Null))
    }
    match (a, b) {
        // Mostly they are the very same, which is told in one walk.
        (Some(Value::Object(a)), Some(Value::Object(b))) => a == b || same_but(a, b, &[]),
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(Some(a), Some(b)))
        }
        (Some(Value::Object(m)), other) | (other, Some(Value::Object(m))) if empty(other) => {
            m.values().all(|v| same(Some(v), None))
        }
        (Some(Value::Array(l)), other) | (other, Some(Value::Array(l))) if empty(other) => l.is_empty(),
        (a, b) => empty(a) && empty(b) || a == b,
    }
}

/// [`same`] of all fields but some.
pub fn same_but(a: &Object, b: &Object, but: &[&str]) -> bool {
    let counts = |name: &str| !but.contains(&name);
    a.iter().all(|(k, v)| !counts(k) || same(Some(v), b.get(k)))
        && b.iter().all(|(k, v)| !counts(k) || a.contains_key(k) || same(None, Some(v)))
}

/// The time now, in seconds, as metadata has it.
pub fn now() -> String {
    format_time(jiff::Timestamp::now())
}

/// A time in seconds, as metadata has it.
pub fn format_time(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
