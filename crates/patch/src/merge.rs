//! Merge patches (RFC 7386).

use api::{Object, Value};

/// Merges `patch` into `current`: null removes, objects merge, everything else replaces.
pub fn apply(current: &mut Value, patch: Value) {
    match (current, patch) {
        (Value::Object(current), Value::Object(patch)) => apply_object(current, patch),
        (current, patch) => *current = without_nulls(patch),
    }
}

/// Merges the fields of `patch` into `current`.
pub fn apply_object(current: &mut Object, patch: Object) {
    for (key, value) in patch {
        match (current.get_mut(&key), value) {
            (_, Value::Null) => {
                current.remove(&key);
            }
            (Some(field), value) => apply(field, value),
            (None, value) => {
                current.insert(key, without_nulls(value));
            }
        }
    }
}

/// A removal of what is not there leaves nothing behind.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, without_nulls(v))).collect(),
        ),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merges_as_the_rfc_says() {
        let mut object = json!({"a": {"b": 1, "c": 2}, "list": [1], "gone": true});
        apply(
            &mut object,
            json!({"a": {"b": null, "d": {"e": null, "f": 1}}, "list": [2, null], "gone": null}),
        );
        assert_eq!(object, json!({"a": {"c": 2, "d": {"f": 1}}, "list": [2, null]}));
    }
}
