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

use api::printf::{go_print, go_print_object, go_type};
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

/// Applies a decoded patch to an object of a version. As upstream's, it uses the patch up: directives that were obeyed
/// are gone from it, and so are nulls and directives of what was taken as it is. Messages show what is left.
///
/// # Errors
/// Upstream's: 400 for malformed directives, 422 for a field of the wrong shape, and (recorded as it is) 500 without
/// a reason for an unknown `$patch` or an item without its merge key.
pub fn apply<L: Lookup>(current: Object, patch: &mut Object, schema: &L) -> Result<Object, ApiError> {
    merge_object(current, patch, schema)
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
fn merge_object<L: Lookup>(mut original: Object, patch: &mut Object, schema: &L) -> Result<Object, ApiError> {
    if let Some(directive) = patch.get(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => {
                patch.remove(DIRECTIVE);
                Ok(patch.clone())
            }
            Some("delete") => Ok(Object::new()),
            _ => Err(unknown_directive(directive, patch)),
        };
    }
    retain_keys(&mut original, patch)?;
    order::merge_ordered_lists(&mut original, patch, schema)?;
    for (key, value) in patch.iter_mut() {
        let deleting = key.strip_prefix(DELETE_FROM_PRIMITIVE_LIST);
        let key = deleting.unwrap_or(key);
        if value.is_null() {
            original.remove(key);
            continue;
        }
        let Some(current) = original.get_mut(key) else {
            if deleting.is_none() {
                insert_new(&mut original, key, value);
            }
            continue;
        };
        // A list of what to delete has no effect on another type.
        let idle = deleting.is_some() && go_type(current) != go_type(value);
        match (current, &mut *value) {
            _ if idle => {}
            (Value::Object(current), Value::Object(value)) => match schema.field(key) {
                None => return Err(no_such_field(key, schema)),
                Some(meta) if meta.replace => *current = value.clone(),
                Some(meta) => *current = merge_object(std::mem::take(current), value, &meta.schema)?,
            },
            (Value::Array(current), Value::Array(value)) => match schema.field(key) {
                None => return Err(no_such_field(key, schema)),
                Some(meta) if meta.merge || deleting.is_some() => {
                    *current = list::merge(std::mem::take(current), value, &meta, deleting.is_some())?;
                }
                Some(_) => *current = value.clone(),
            },
            _ => insert_new(&mut original, key, value),
        }
    }
    Ok(original)
}

/// A value that the object did not have is taken without its nulls and without what carries a directive.
fn insert_new(original: &mut Object, key: &str, value: &mut Value) {
    drop_null_fields(value);
    let taken = match value {
        // The list itself is copied; only its items are used up.
        Value::Array(items) => {
            Some(items.iter_mut().filter_map(|item| drop_directives(item).then(|| item.clone())).collect())
        }
        value => drop_directives(value).then(|| value.clone()),
    };
    match taken {
        Some(taken) => original.insert(key.to_owned(), taken),
        None => original.remove(key),
    };
}

/// `discardNullValuesFromPatch`: null fields go, null list items stay.
fn drop_null_fields(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, v| !v.is_null());
            fields.values_mut().for_each(drop_null_fields);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_null_fields),
        _ => {}
    }
}

/// `removeDirectives`: an object that carries `$patch` goes as a whole. Says whether the value itself stays.
fn drop_directives(value: &mut Value) -> bool {
    match value {
        Value::Object(fields) if fields.contains_key(DIRECTIVE) => return false,
        Value::Object(fields) => fields.retain(|_, v| drop_directives(v)),
        Value::Array(items) => items.retain_mut(drop_directives),
        _ => {}
    }
    true
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

fn unknown_directive(directive: &Value, patch: &Object) -> ApiError {
    unexpected(format!("unknown patch type: {} in map: {}", go_text(directive), go_print_object(patch)))
}

fn no_such_field<L: Lookup>(key: &str, schema: &L) -> ApiError {
    unexpected(format!("unable to find api field in struct {} for the json field \"{key}\"", schema.name()))
}

/// Go's `%s`: what is no string says so.
fn go_text(value: &Value) -> String {
    match value {
        Value::Null => "%!s(<nil>)".to_owned(),
        Value::Array(items) => format!("[{}]", items.iter().map(go_text).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let list: Vec<String> = fields.iter().map(|(k, v)| format!("{k}:{}", go_text(v))).collect();
            format!("map[{}]", list.join(" "))
        }
        Value::String(text) => text.clone(),
        other => format!("%!s({}={})", go_type(other), go_print(other)),
    }
}

/// `ErrBadArgType`.
fn bad_type(expected: &str, got: &Value) -> ApiError {
    // Without a value there is no type that `%s` could print.
    let got = if got.is_null() { "%!s(<nil>)" } else { go_type(got) };
    unexpected(format!("expected a {expected}, but received a {got}"))
}

#[cfg(test)]
mod tests;
