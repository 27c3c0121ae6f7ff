//! JSON patches (RFC 6902), with upstream's limits and refusals
//! (`jsonPatcher.applyJSPatch` in `apiserver/pkg/endpoints/handlers/patch.go`).

use api::Value;
use api::status::ApiError;

/// How many operations one patch may have (upstream's `maxJSONPatchOperations`).
pub const OPERATIONS_MAX: usize = 10_000;

/// Applies a decoded patch (a list of operations).
///
/// # Errors
/// 413 for too many operations, 422 for an operation that is malformed or does not fit the object.
pub fn apply(current: &Value, patch: &Value) -> Result<Value, ApiError> {
    let count = patch.as_array().map_or(0, Vec::len);
    if count > OPERATIONS_MAX {
        return Err(ApiError::new(
            413,
            "RequestEntityTooLarge",
            format!(
                "Request entity too large: The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {count}"
            ),
        ));
    }
    let mut operations = patch.clone();
    operations.as_array_mut().into_iter().flatten().for_each(be_lenient);
    resolve_negative_indices(current, &mut operations);
    let operations: json_patch::Patch = serde_json::from_value(operations).map_err(|_| rejected())?;
    let mut patched = current.clone();
    json_patch::patch(&mut patched, &operations).map_err(|_| rejected())?;
    // Replacing the whole document by something that is no object cannot be an API object any more.
    if patched.is_object() { Ok(patched) } else { Err(rejected()) }
}

/// Upstream's library takes an operation without a value for one with `null`, and of a path only what is behind its
/// first slash.
fn be_lenient(operation: &mut Value) {
    let Value::Object(members) = operation else { return };
    if matches!(members.get("op").and_then(Value::as_str), Some("add" | "replace" | "test")) {
        members.entry("value").or_insert(Value::Null);
    }
    for name in ["path", "from"] {
        let Some(Value::String(path)) = members.get_mut(name) else { continue };
        if let Some(at) = path.find('/') {
            path.drain(..at);
        }
    }
}

/// Upstream's library counts `/list/-1` from the end, which the RFC does not know: such paths are rewritten against
/// the object as it is before the patch.
fn resolve_negative_indices(current: &Value, operations: &mut Value) {
    for operation in operations.as_array_mut().into_iter().flatten() {
        for member in ["path", "from"] {
            let Some(text) = operation.get(member).and_then(Value::as_str) else { continue };
            let Some((parent, last)) = text.rsplit_once('/') else { continue };
            let Some(back) = last.strip_prefix('-').and_then(|n| n.parse::<usize>().ok()) else { continue };
            let length = current.pointer(parent).and_then(Value::as_array).map(Vec::len);
            if let Some(index) = length.and_then(|l| l.checked_sub(back)) {
                operation[member] = format!("{parent}/{index}").into();
            }
        }
    }
}

/// Upstream hides the reason behind its generic text for 422.
fn rejected() -> ApiError {
    ApiError::new(422, "Invalid", "the server rejected our request due to an error in our request")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn operations_apply_in_order() {
        let object = json!({"data": {"a": "1"}, "list": [1, 2]});
        let patch = json!([
            {"op": "test", "path": "/data/a", "value": "1"},
            {"op": "move", "from": "/data/a", "path": "/data/b"},
            {"op": "add", "path": "/list/-", "value": 3},
            {"op": "remove", "path": "/list/0"},
        ]);
        assert_eq!(apply(&object, &patch).unwrap(), json!({"data": {"b": "1"}, "list": [2, 3]}));
    }

    #[test]
    fn a_negative_index_counts_from_the_end() {
        let patch = json!([{"op": "replace", "path": "/list/-1", "value": 9}]);
        assert_eq!(apply(&json!({"list": [1, 2]}), &patch).unwrap(), json!({"list": [1, 9]}));
    }

    /// Both were refused: an `add` without a value, a path that does not begin with a slash.
    #[test]
    fn a_missing_value_is_null_and_a_path_begins_at_its_first_slash() {
        let object = json!({"data": {"a": "1"}, "a": "2"});
        let patch =
            json!([{"op": "add", "path": "/data/a"}, {"op": "replace", "path": "data/a", "value": "x"}]);
        assert_eq!(apply(&object, &patch).unwrap(), json!({"data": {"a": null}, "a": "x"}));
        assert_eq!(apply(&object, &json!([{"op": "remove", "path": "data"}])).unwrap_err().code, 422);
        assert_eq!(apply(&object, &json!([{"op": "test", "path": "/data/a"}])).unwrap_err().code, 422);
    }

    #[test]
    fn what_does_not_fit_is_refused_as_a_whole() {
        let object = json!({"data": {}});
        for patch in [
            json!([{"op": "remove", "path": "/data/none"}]),
            json!([{"op": "add", "path": "/none/a", "value": 1}]),
            json!([{"path": "/data/a", "value": 1}]),
            json!([{"op": "replace", "path": "", "value": 1}]),
        ] {
            assert_eq!(apply(&object, &patch).unwrap_err().code, 422, "{patch}");
        }
    }
}
