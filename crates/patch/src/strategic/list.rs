//! Merging two lists: `mergeSlice` and what it calls.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use api::Value;
use api::status::ApiError;

use super::{
    DIRECTIVE, FieldMeta, Lookup, go_print, go_type, merge_object, order, unexpected, unknown_directive,
};

/// Merges a patch's list into the object's: objects by merge key, scalars as a set, new items behind the old ones.
/// With `deleting` (`$deleteFromPrimitiveList`) the patch's scalars go instead.
pub(super) fn merge<L: Lookup>(
    original: Vec<Value>,
    patch: &mut [Value],
    meta: &FieldMeta<L>,
    deleting: bool,
) -> Result<Vec<Value>, ApiError> {
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    if !same_kind(&original, patch)? {
        if deleting {
            let gone: HashSet<&Value> = patch.iter().collect();
            return Ok(original.into_iter().filter(|item| !gone.contains(item)).collect());
        }
        let both = dedup(original.iter().chain(&*patch).cloned().collect());
        return Ok(order::by_patch(both, patch, &original, None));
    }
    let Some(key) = meta.merge_key.as_deref() else {
        return Err(unexpected("cannot merge lists without merge key for struct".to_owned()));
    };
    let (original, mut patch) = apply_directives(original, patch, key)?;
    let mut merged = original.clone();
    // Where the first item with a key stands.
    let mut places: HashMap<Value, usize> = HashMap::with_capacity(merged.len());
    for (at, item) in merged.iter().enumerate() {
        if let Some(id) = item.get(key) {
            places.entry(id.clone()).or_insert(at);
        }
    }
    for item in &mut patch {
        let Some(id) = item.get(key).cloned() else { return Err(no_merge_key(item, key)) };
        match places.entry(id.clone()) {
            Entry::Occupied(place) => {
                let slot = &mut merged[*place.get()];
                let (Value::Object(current), Some(fields)) = (slot.take(), item.as_object_mut()) else {
                    continue;
                };
                *slot = Value::Object(merge_object(current, fields, &meta.schema)?);
                // An item merged with one that replaces or empties it may have lost its key.
                if slot.get(key) != Some(&id) {
                    place.remove();
                }
            }
            Entry::Vacant(place) => {
                place.insert(merged.len());
                merged.push(item.clone());
            }
        }
    }
    if let Some(lost) = merged.iter().find(|m| m.get(key).is_none()) {
        return Err(no_merge_key(lost, key));
    }
    let patch: Vec<Value> = patch.into_iter().map(|item| item.clone()).collect();
    Ok(order::by_patch(merged, &patch, &original, Some(key)))
}

/// `sliceElementType` of lists of which one must have items.
pub(super) fn objects(original: &[Value], patch: Option<&Value>) -> Result<bool, ApiError> {
    let patch = patch.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if original.is_empty() && patch.is_empty() {
        return Err(unexpected("no elements in any of the given slices".to_owned()));
    }
    same_kind(original, patch)
}

/// `sliceElementType`: true for objects, false for scalars; mixed lists are refused.
fn same_kind(original: &[Value], patch: &[Value]) -> Result<bool, ApiError> {
    let mut kinds = original.iter().chain(patch).map(go_type);
    let first = kinds.next();
    if kinds.any(|k| Some(k) != first) {
        let lists = Value::Array(vec![Value::Array(original.to_vec()), Value::Array(patch.to_vec())]);
        return Err(unexpected(format!("list element types are not identical: {}", go_print(&lists))));
    }
    let item = original.first().or(patch.first());
    if item.is_some_and(Value::is_array) {
        return Err(ApiError::new(
            422,
            "Invalid",
            "the server rejected our request due to an error in our request",
        ));
    }
    Ok(item.is_some_and(Value::is_object))
}

/// `mergeSliceWithSpecialElements`: obeys `$patch` in list items; returns both lists without such items.
fn apply_directives<'a>(
    mut original: Vec<Value>,
    patch: &'a mut [Value],
    key: &str,
) -> Result<(Vec<Value>, Vec<&'a mut Value>), ApiError> {
    let mut plain = Vec::with_capacity(patch.len());
    let mut replace = false;
    let mut gone: HashSet<Value> = HashSet::new();
    for item in patch {
        let Some(directive) = item.get(DIRECTIVE) else {
            plain.push(item);
            continue;
        };
        match (directive.as_str(), item.get(key), &*item) {
            (Some("delete"), Some(id), _) => {
                gone.insert(id.clone());
            }
            (Some("delete"), None, _) => return Err(no_merge_key(item, key)),
            (Some("replace"), _, _) => replace = true,
            (Some("merge"), _, _) => {
                return Err(unexpected("merging lists cannot yet be specified in the patch".to_owned()));
            }
            (_, _, Value::Object(fields)) => return Err(unknown_directive(directive, fields)),
            _ => {}
        }
    }
    if !gone.is_empty() {
        original.retain(|o| o.get(key).is_none_or(|id| !gone.contains(id)));
    }
    Ok(if replace { (plain.into_iter().map(|v| v.clone()).collect(), Vec::new()) } else { (original, plain) })
}

fn no_merge_key(item: &Value, key: &str) -> ApiError {
    unexpected(format!("map: {} does not contain declared merge key: {key}", go_print(item)))
}

/// `deduplicateScalars`: the last item comes into the place of one that was there before.
fn dedup(mut items: Vec<Value>) -> Vec<Value> {
    let mut seen: HashSet<Value> = HashSet::with_capacity(items.len());
    let mut at = 0;
    while at < items.len() {
        if seen.insert(items[at].clone()) {
            at += 1;
        } else {
            items.swap_remove(at);
        }
    }
    items
}
