//! JSON patches (RFC 6902) as upstream's library reads them (`gopkg.in/evanphx/json-patch.v4`), with upstream's limits and
//! refusals (`jsonPatcher.applyJSPatch` in `apiserver/pkg/endpoints/handlers/patch.go`).
//!
//! The library is laxer than the RFC: a path begins at its first slash, negative indices count from the end, an absent
//! value is `null`, and what an object does not have reads as `null` (so `replace` sets it).

use api::json::MAX_VALUE_DEPTH;
use api::status::ApiError;
use api::{Object, Value};

/// How many operations one patch may have (upstream's `maxJSONPatchOperations`).
pub const OPERATIONS_MAX: usize = 10_000;
/// How many bytes the copies of one patch may have together (upstream's `JSONPatchMaxCopyBytes`).
const COPY_MAX_BYTES: usize = 3 * 1024 * 1024;
/// How many values one patch may move aside or look at: a patch of ten thousand operations on a long list would keep a
/// thread busy for minutes.
const STEPS_MAX: usize = 100_000_000;

/// Applies a decoded patch (a list of operations).
///
/// # Errors
/// 413 for too many operations, 422 for an operation that is malformed or does not fit the object.
pub fn apply(current: &Value, patch: &Value) -> Result<Value, ApiError> {
    let operations = patch.as_array().map(Vec::as_slice).unwrap_or_default();
    let count = operations.len();
    if count > OPERATIONS_MAX {
        return Err(ApiError::new(
            413,
            "RequestEntityTooLarge",
            format!(
                "Request entity too large: The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {count}"
            ),
        ));
    }
    let mut patching = Patching { document: current.clone(), copied: 0, steps: 0 };
    for operation in operations {
        patching.operate(operation).ok_or_else(rejected)?;
    }
    // Replacing the whole document by something that is no object cannot be an API object any more.
    if patching.document.is_object() { Ok(patching.document) } else { Err(rejected()) }
}

/// Upstream hides the reason behind its generic text for 422.
fn rejected() -> ApiError {
    ApiError::new(422, "Invalid", "the server rejected our request due to an error in our request")
}

struct Patching {
    document: Value,
    copied: usize,
    steps: usize,
}

/// A place in a document: the steps down to a container, and the key in it.
struct Place {
    parents: Vec<String>,
    key: String,
}

impl Place {
    /// What is before the first slash does not count; without a slash there is no place.
    fn read(path: &str) -> Option<Place> {
        let (_, path) = path.split_once('/')?;
        let mut parents: Vec<String> = path.split('/').map(unescape).collect();
        let key = parents.pop()?;
        Some(Place { parents, key })
    }

    /// How deep a value at this place lies.
    fn depth(&self) -> usize {
        self.parents.len() + 1
    }

    fn container<'a>(&self, document: &'a mut Value) -> Option<&'a mut Value> {
        let found = self.parents.iter().try_fold(document, |at, step| match at {
            Value::Object(fields) => fields.get_mut(step),
            Value::Array(items) => {
                let index = index(step, items.len())?;
                items.get_mut(index)
            }
            _ => None,
        })?;
        (found.is_object() || found.is_array()).then_some(found)
    }

    /// The value there; what an object does not have is null.
    fn get(&self, document: &mut Value) -> Option<Value> {
        match self.container(document)? {
            Value::Object(fields) => Some(fields.get(&self.key).cloned().unwrap_or_default()),
            Value::Array(items) => items.get(index(&self.key, items.len())?).cloned(),
            _ => None,
        }
    }
}

fn unescape(step: &str) -> String {
    // `~01` is `~1`: both escapes are undone at once.
    let mut out = String::with_capacity(step.len());
    let mut rest = step;
    while let Some(at) = rest.find('~') {
        out.push_str(&rest[..at]);
        let (c, length) = match rest.as_bytes().get(at + 1) {
            Some(b'0') => ('~', 2),
            Some(b'1') => ('/', 2),
            _ => ('~', 1),
        };
        out.push(c);
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    out
}

/// An index below `length` in Go's notation; negative ones count from the end.
fn index(step: &str, length: usize) -> Option<usize> {
    let number: i64 = step.parse().ok()?;
    let index = if number < 0 {
        length.checked_sub(usize::try_from(number.unsigned_abs()).ok()?)?
    } else {
        usize::try_from(number).ok()?
    };
    (index < length).then_some(index)
}

/// How deep a value nests; counts the values that it holds.
fn depth(value: &Value, steps: &mut usize) -> usize {
    *steps += 1;
    let deepest = |d: usize, v: &Value, steps: &mut usize| d.max(depth(v, steps));
    match value {
        Value::Object(fields) => 1 + fields.values().fold(0, |d, v| deepest(d, v, steps)),
        Value::Array(items) => 1 + items.iter().fold(0, |d, v| deepest(d, v, steps)),
        _ => 0,
    }
}

fn text<'a>(operation: &'a Object, name: &str) -> Option<&'a str> {
    operation.get(name).and_then(Value::as_str)
}

impl Patching {
    /// One operation. `None` when it does not fit.
    fn operate(&mut self, operation: &Value) -> Option<()> {
        let operation = operation.as_object()?;
        let value = || operation.get("value").cloned().unwrap_or_default();
        let path = text(operation, "path")?;
        let kind = text(operation, "op")?;
        match kind {
            "replace" if path.is_empty() => {
                self.document = Some(value()).filter(|v| v.is_object() || v.is_array())?;
                return Some(());
            }
            "test" if path.is_empty() => return (self.document == value()).then_some(()),
            _ => {}
        }
        let place = Place::read(path)?;
        match kind {
            "add" => self.add(&place, value()),
            "remove" => self.remove(&place).map(drop),
            "replace" => self.replace(&place, value()),
            "test" => (place.get(&mut self.document)? == value()).then_some(()),
            "move" => {
                let moved = self.remove(&Place::read(text(operation, "from")?)?)?;
                self.add(&place, moved)
            }
            "copy" => {
                let copy = Place::read(text(operation, "from")?)?.get(&mut self.document)?;
                self.copied += serde_json::to_vec(&copy).ok()?.len();
                if self.copied > COPY_MAX_BYTES {
                    return None;
                }
                self.add(&place, copy)
            }
            _ => None,
        }
    }

    fn add(&mut self, place: &Place, value: Value) -> Option<()> {
        self.fits(place, &value)?;
        match place.container(&mut self.document)? {
            Value::Object(fields) => {
                fields.insert(place.key.clone(), value);
            }
            Value::Array(items) if place.key == "-" => items.push(value),
            Value::Array(items) => {
                let at = index(&place.key, items.len() + 1)?;
                self.steps += items.len() - at;
                items.insert(at, value);
            }
            _ => return None,
        }
        Some(())
    }

    fn replace(&mut self, place: &Place, value: Value) -> Option<()> {
        self.fits(place, &value)?;
        match place.container(&mut self.document)? {
            Value::Object(fields) => {
                fields.insert(place.key.clone(), value);
            }
            Value::Array(items) => {
                let at = index(&place.key, items.len())?;
                items[at] = value;
            }
            _ => return None,
        }
        Some(())
    }

    fn remove(&mut self, place: &Place) -> Option<Value> {
        match place.container(&mut self.document)? {
            Value::Object(fields) => fields.remove(&place.key),
            Value::Array(items) => {
                let at = index(&place.key, items.len())?;
                self.steps += items.len() - at;
                Some(items.remove(at))
            }
            _ => None,
        }
    }

    /// The document stays within what the server reads, and the patch within its steps.
    fn fits(&mut self, place: &Place, value: &Value) -> Option<()> {
        let depth = depth(value, &mut self.steps);
        (place.depth() + depth <= MAX_VALUE_DEPTH && self.steps <= STEPS_MAX).then_some(())
    }
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

    /// The position that `-1` adds at is behind the last item; everywhere else it is the last item.
    #[test]
    fn a_negative_index_is_resolved_when_its_operation_runs() {
        let patch = json!([
            {"op": "add", "path": "/list/-1", "value": 3},
            {"op": "remove", "path": "/list/-3"},
            {"op": "test", "path": "/list/-1", "value": 3},
        ]);
        assert_eq!(apply(&json!({"list": [1, 2]}), &patch).unwrap(), json!({"list": [2, 3]}));
        let beyond = json!([{"op": "remove", "path": "/list/-3"}]);
        assert_eq!(apply(&json!({"list": [1, 2]}), &beyond).unwrap_err().code, 422);
    }

    #[test]
    fn what_an_object_does_not_have_is_null() {
        let object = json!({"a": {}});
        let patch = json!([
            {"op": "test", "path": "/a/b", "value": null},
            {"op": "replace", "path": "/a/c", "value": 1},
            {"op": "copy", "from": "/a/none", "path": "/a/d"},
        ]);
        assert_eq!(apply(&object, &patch).unwrap(), json!({"a": {"c": 1, "d": null}}));
        assert_eq!(
            apply(&object, &json!([{"op": "move", "from": "/a/none", "path": "/a/d"}])).unwrap_err().code,
            422
        );
    }

    #[test]
    fn escapes_are_undone_at_once() {
        let object = json!({"a/b": 1, "~1": 2, "~": 3, "~2": 4});
        let patch = json!([
            {"op": "test", "path": "/a~1b", "value": 1},
            {"op": "test", "path": "/~01", "value": 2},
            {"op": "test", "path": "/~", "value": 3},
            {"op": "test", "path": "/~2", "value": 4},
        ]);
        assert_eq!(apply(&object, &patch).unwrap(), object);
    }

    /// The library that this used before undid the operations after a failure, and panicked when it could not.
    #[test]
    fn a_failure_after_a_replaced_document_is_a_refusal() {
        let patch = json!([
            {"op": "add", "path": "/list/0", "value": {}},
            {"op": "replace", "path": "", "value": {"b": [1]}},
            {"op": "move", "from": "/b/0", "path": "/none/b"},
        ]);
        assert_eq!(apply(&json!({"list": []}), &patch).unwrap_err().code, 422);
    }

    /// Thirty copies of an object into itself were a billion values.
    #[test]
    fn copies_do_not_grow_without_limit() {
        let copies: Vec<_> =
            (0..40).map(|i| json!({"op": "copy", "from": "/a", "path": format!("/a/{i}")})).collect();
        assert_eq!(apply(&json!({"a": {"text": "x".repeat(1000)}}), &copies.into()).unwrap_err().code, 422);
    }

    /// A document that nests deeper than the server reads overflowed the stack when it was written or dropped.
    #[test]
    fn operations_do_not_nest_without_limit() {
        let mut path = String::from("/a");
        let mut patch = Vec::new();
        for _ in 0..1000 {
            patch.push(json!({"op": "add", "path": path, "value": {}}));
            path.push_str("/a");
        }
        assert_eq!(apply(&json!({}), &patch.into()).unwrap_err().code, 422);
        let doubled: Vec<_> = (0..20u32)
            .map(|i| json!({"op": "copy", "from": "/a", "path": "/a".repeat(2usize.pow(i) + 1)}))
            .collect();
        assert_eq!(apply(&json!({"a": {}}), &doubled.into()).unwrap_err().code, 422);
    }

    #[test]
    fn ten_thousand_insertions_into_a_long_list_are_refused() {
        let patch: Vec<_> = (0..10_000).map(|_| json!({"op": "add", "path": "/a/0", "value": 1})).collect();
        assert!(apply(&json!({"a": []}), &patch.clone().into()).is_ok_and(|v| v["a"][9_999] == 1));
        let long = json!({"a": vec![1; 20_000]});
        assert_eq!(apply(&long, &patch.into()).unwrap_err().code, 422);
    }
}
