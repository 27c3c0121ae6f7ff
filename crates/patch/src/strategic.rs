//! Strategic merge patches: `k8s.io/apimachinery/pkg/util/strategicpatch`.
//!
//! A partial object, as in a merge patch, but lists whose items have a merge key merge item by item, and directives
//! say what a partial object cannot:
//!
//! | directive | effect |
//! |---|---|
//! | `$patch: replace` / `delete` | in an object: takes the patch alone / nothing; in a list item: of the whole list / that item |
//! | `$retainKeys: [a, b]` | other fields of the object go (unions: a volume's source) |
//! | `$setElementOrder/list: […]` | the order of the merged list |
//! | `$deleteFromPrimitiveList/list: […]` | takes these scalars out of the list |
//!
//! The schema is asked through [`Lookup`]: which fields merge, by which key.

use std::collections::HashSet;

use api::status::ApiError;
use api::{Object, Value};

mod list;
mod order;

/// The directive inside an object or a list item.
const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ELEMENT_ORDER: &str = "$setElementOrder/";
const DELETE_FROM_PRIMITIVE_LIST: &str = "$deleteFromPrimitiveList/";

/// How the schema wants one field merged.
#[derive(Clone, Debug)]
pub struct FieldMeta<L> {
    /// The schema of the object, or of the list's items.
    pub schema: L,
    /// `patchStrategy: merge`: a list merges instead of being replaced.
    pub merge: bool,
    /// `patchStrategy: replace`: an object is replaced instead of being merged.
    pub replace: bool,
    /// `patchMergeKey`: the field that identifies a list item; `None` for lists of scalars.
    pub merge_key: Option<String>,
}

/// What a strategic merge patch asks the schema of an object.
pub trait Lookup: Clone {
    /// The metadata of a field; `None` when the schema has no such field.
    fn field(&self, name: &str) -> Option<FieldMeta<Self>>;
    /// The Go-like name of the type, for error texts.
    fn name(&self) -> String;
}

/// Applies a decoded patch to an object of a version.
///
/// # Errors
/// Upstream's: 400 for malformed directives, 422 for a field of the wrong shape, and (recorded as it is) 500 without
/// a reason for an unknown `$patch` or an item without its merge key.
pub fn apply<L: Lookup>(current: &Object, patch: &Object, schema: &L) -> Result<Object, ApiError> {
    merge_object(current.clone(), patch.clone(), schema)
}

/// Upstream lets such errors through as they are: a 500 without reason or details.
fn unexpected(message: String) -> ApiError {
    ApiError::new(500, "", message)
}

fn bad_format(directive: &str) -> ApiError {
    ApiError::bad_request(match directive {
        RETAIN_KEYS => "invalid patch format of retainKeys",
        SET_ELEMENT_ORDER => "invalid patch format of setElementOrder list",
        _ => "invalid patch format of primitive list",
    })
}

/// `mergeMap`.
fn merge_object<L: Lookup>(mut original: Object, mut patch: Object, schema: &L) -> Result<Object, ApiError> {
    if let Some(directive) = patch.get(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => {
                patch.remove(DIRECTIVE);
                Ok(patch)
            }
            Some("delete") => Ok(Object::new()),
            _ => Err(unknown_directive(directive, &patch)),
        };
    }
    retain_keys(&mut original, &mut patch)?;
    order::merge_ordered_lists(&mut original, &mut patch, schema)?;
    for (key, value) in patch {
        if let Some(name) = key.strip_prefix(DELETE_FROM_PRIMITIVE_LIST) {
            delete_from_list(&mut original, name, value)?;
            continue;
        }
        if value.is_null() {
            original.remove(&key);
            continue;
        }
        let Some(current) = original.remove(&key) else {
            insert_new(&mut original, key, value);
            continue;
        };
        let merged = match (current, value) {
            (Value::Object(current), Value::Object(value)) => match schema.field(&key) {
                None => return Err(no_such_field(&key, schema)),
                Some(meta) if meta.replace => Value::Object(value),
                Some(meta) => Value::Object(merge_object(current, value, &meta.schema)?),
            },
            (Value::Array(current), Value::Array(value)) => match schema.field(&key) {
                None => return Err(no_such_field(&key, schema)),
                Some(meta) if meta.merge => Value::Array(list::merge(current, value, &meta)?),
                Some(_) => Value::Array(value),
            },
            (_, value) => {
                insert_new(&mut original, key, value);
                continue;
            }
        };
        original.insert(key, merged);
    }
    Ok(original)
}

/// A value that the object did not have is taken without its nulls and without what carries a directive.
fn insert_new(original: &mut Object, key: String, value: Value) {
    if let Some(value) = without_directives(without_null_fields(value)) {
        original.insert(key, value);
    }
}

/// `discardNullValuesFromPatch`: null fields go, null list items stay.
fn without_null_fields(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter(|(_, v)| !v.is_null())
                .map(|(k, v)| (k, without_null_fields(v)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_null_fields).collect()),
        other => other,
    }
}

/// `removeDirectives`: an object that carries `$patch` goes as a whole.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(fields) if fields.contains_key(DIRECTIVE) => None,
        Value::Object(fields) => Some(Value::Object(
            fields.into_iter().filter_map(|(k, v)| Some((k, without_directives(v)?))).collect(),
        )),
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(without_directives).collect())),
        other => Some(other),
    }
}

/// `$retainKeys`: fields of the object that the list does not name go; the patch may only set named ones.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), ApiError> {
    let Some(directive) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let Value::Array(names) = directive else { return Err(bad_format(RETAIN_KEYS)) };
    let names: HashSet<&str> = names.iter().filter_map(Value::as_str).collect();
    let named = |key: &str| names.contains(key);
    let stray = patch.iter().any(|(key, value)| {
        let parallel = key.starts_with(DELETE_FROM_PRIMITIVE_LIST) || key.starts_with(SET_ELEMENT_ORDER);
        !value.is_null() && !parallel && !named(key)
    });
    if stray {
        return Err(bad_format(RETAIN_KEYS));
    }
    original.retain(|key, _| named(key));
    Ok(())
}

/// `$deleteFromPrimitiveList/name`: takes scalars out of a list that is there.
fn delete_from_list(original: &mut Object, name: &str, gone: Value) -> Result<(), ApiError> {
    match (original.get_mut(name), gone) {
        (None, _) | (_, Value::Null) => Ok(()),
        (Some(Value::Array(list)), Value::Array(gone)) => {
            let gone: HashSet<Value> = gone.into_iter().collect();
            list.retain(|item| !gone.contains(item));
            Ok(())
        }
        // A directive of another type than the list has no effect upstream.
        (Some(_), _) => Ok(()),
    }
}

fn unknown_directive(directive: &Value, patch: &Object) -> ApiError {
    unexpected(format!("unknown patch type: {} in map: {}", go_print(directive), go_print_object(patch)))
}

fn no_such_field<L: Lookup>(key: &str, schema: &L) -> ApiError {
    unexpected(format!("unable to find api field in struct {} for the json field \"{key}\"", schema.name()))
}

/// Go's `%v`: `map[a:1 b:[x y]]`, keys sorted.
pub fn go_print(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(go_print).collect::<Vec<_>>().join(" "))
        }
        Value::Object(fields) => go_print_object(fields),
        other => other.to_string(),
    }
}

fn go_print_object(fields: &Object) -> String {
    let list: Vec<String> = fields.iter().map(|(k, v)| format!("{k}:{}", go_print(v))).collect();
    format!("map[{}]", list.join(" "))
}

#[cfg(test)]
mod tests;
