//! Merging two lists: `mergeSlice` and what it calls.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use api::Value;
use api::status::ApiError;

use super::{DIRECTIVE, FieldMeta, Lookup, go_print, merge_object, order, unexpected, unknown_directive};

/// Merges a patch's list into the object's: objects by merge key, scalars as a set, new items behind the old ones.
pub(super) fn merge<L: Lookup>(
    original: Vec<Value>,
    patch: Vec<Value>,
    meta: &FieldMeta<L>,
) -> Result<Vec<Value>, ApiError> {
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    if !same_kind(&original, &patch)? {
        return Ok(order::by_patch(dedup(original.iter().chain(&patch).cloned()), &patch, &original, None));
    }
    let Some(key) = meta.merge_key.as_deref() else {
        return Err(unexpected(format!("cannot merge lists without merge key for {}", meta.schema.name())));
    };
    let (original, patch) = apply_directives(original, patch, key)?;
    let mut merged = original.clone();
    // Where the first item with a key stands.
    let mut places: HashMap<Value, usize> = HashMap::with_capacity(merged.len());
    for (at, item) in merged.iter().enumerate() {
        if let Some(id) = item.get(key) {
            places.entry(id.clone()).or_insert(at);
        }
    }
    for item in &patch {
        let Value::Object(fields) = item else { continue };
        let Some(id) = fields.get(key) else { return Err(no_merge_key(item, key)) };
        match places.entry(id.clone()) {
            Entry::Occupied(place) => {
                let slot = &mut merged[*place.get()];
                let Value::Object(current) = slot.take() else { continue };
                *slot = Value::Object(merge_object(current, fields.clone(), &meta.schema)?);
                // An item merged with one that replaces or empties it may have lost its key.
                if slot.get(key) != Some(id) {
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
    Ok(order::by_patch(merged, &patch, &original, Some(key)))
}

/// `sliceElementType`: true for objects, false for scalars; mixed lists are refused.
fn same_kind(original: &[Value], patch: &[Value]) -> Result<bool, ApiError> {
    let mut kinds = original.iter().chain(patch).map(std::mem::discriminant);
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
fn apply_directives(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), ApiError> {
    let mut plain = Vec::with_capacity(patch.len());
    let mut replace = false;
    let mut gone: HashSet<Value> = HashSet::new();
    for item in patch {
        let Some(directive) = item.get(DIRECTIVE) else {
            plain.push(item);
            continue;
        };
        match (directive.as_str(), item.get(key), &item) {
            (Some("delete"), Some(id), _) => {
                gone.insert(id.clone());
            }
            (Some("delete"), None, _) => return Err(no_merge_key(&item, key)),
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
    Ok(if replace { (plain, Vec::new()) } else { (original, plain) })
}

fn no_merge_key(item: &Value, key: &str) -> ApiError {
    unexpected(format!("map: {} does not contain declared merge key: {key}", go_print(item)))
}

fn dedup(items: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut seen: HashSet<Value> = HashSet::new();
    items.filter(|item| seen.insert(item.clone())).collect()
}
