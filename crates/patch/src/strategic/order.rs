//! The order of a merged list: what the patch names stands in the patch's order, what only the server has keeps its
//! place relative to its neighbours (`normalizeElementOrder`).

use std::collections::HashMap;

use api::status::ApiError;
use api::{Object, Value};

use super::{
    DIRECTIVE, Lookup, SET_ELEMENT_ORDER, bad_format, go_print, list, unexpected, without_directives,
};

/// Merges every list that comes with a `$setElementOrder`, and takes both out of the patch.
pub(super) fn merge_ordered_lists<L: Lookup>(
    original: &mut Object,
    patch: &mut Object,
    schema: &L,
) -> Result<(), ApiError> {
    let directives: Vec<String> =
        patch.keys().filter(|k| k.starts_with(SET_ELEMENT_ORDER)).cloned().collect();
    for directive in directives {
        let name = &directive[SET_ELEMENT_ORDER.len()..];
        let Some(Value::Array(order)) = patch.remove(&directive) else {
            return Err(bad_format(SET_ELEMENT_ORDER));
        };
        let before = as_list(original.get(name))?;
        let change = as_list(patch.get(name))?;
        let Some(meta) = schema.field(name) else { return Err(super::no_such_field(name, schema)) };
        let key = meta.merge_key.as_deref();
        check_order(change.as_deref().unwrap_or_default(), &order, key)?;
        let merged = match (&before, change) {
            (None, None) => continue,
            (Some(before), None) => before.clone(),
            (None, Some(change)) => change.into_iter().filter_map(without_directives).collect(),
            (Some(before), Some(change)) if meta.merge => list::merge(before.clone(), change, &meta)?,
            (Some(_), Some(change)) => change,
        };
        if let Some(key) = key
            && let Some(lost) = merged.iter().find(|m| m.get(key).is_none())
        {
            let item = go_print(lost);
            return Err(unexpected(format!("map: {item} does not contain declared merge key: {key}")));
        }
        let ordered = by_patch(merged, &order, before.as_deref().unwrap_or_default(), key);
        original.insert(name.to_owned(), Value::Array(ordered));
        patch.remove(name);
    }
    Ok(())
}

fn as_list(value: Option<&Value>) -> Result<Option<Vec<Value>>, ApiError> {
    match value {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items.clone())),
        Some(other) => Err(unexpected(format!("expected a list, but received a {}", go_print(other)))),
    }
}

/// `validatePatchWithSetOrderList`: the patch's items must be among the ordered ones, in that order.
fn check_order(patch: &[Value], order: &[Value], key: Option<&str>) -> Result<(), ApiError> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut rest = order.iter();
    for item in patch.iter().filter(|i| i.get(DIRECTIVE).is_none()) {
        if !rest.any(|o| same(o, item, key)) {
            return Err(unexpected(format!(
                "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                go_print(&Value::Array(patch.to_vec())),
                go_print(&Value::Array(order.to_vec())),
            )));
        }
    }
    Ok(())
}

/// Are these the same list item: equal scalars, or objects with an equal key?
fn same(a: &Value, b: &Value, key: Option<&str>) -> bool {
    match key {
        None => a == b,
        Some(key) => a.get(key).is_some() && a.get(key) == b.get(key),
    }
}

/// What tells a list item from others.
fn identity<'a>(item: &'a Value, key: Option<&str>) -> Option<&'a Value> {
    key.map_or(Some(item), |key| item.get(key))
}

/// Where each item first stands.
fn places<'a>(list: &'a [Value], key: Option<&str>) -> HashMap<&'a Value, usize> {
    let mut places = HashMap::with_capacity(list.len());
    for (at, item) in list.iter().enumerate() {
        if let Some(id) = identity(item, key) {
            places.entry(id).or_insert(at);
        }
    }
    places
}

/// Orders a merged list by `order`; items that `order` lacks keep their place as in `server`.
pub(super) fn by_patch(
    merged: Vec<Value>,
    order: &[Value],
    server: &[Value],
    key: Option<&str>,
) -> Vec<Value> {
    let (in_order, on_server) = (places(order, key), places(server, key));
    let place =
        |of: &HashMap<&Value, usize>, item: &Value| identity(item, key).and_then(|id| of.get(id).copied());
    let (mut patched, mut rest): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| place(&in_order, item).is_some());
    patched.sort_by_key(|item| place(&in_order, item));
    rest.sort_by_key(|item| place(&on_server, item));
    // `mergeSortedSlice`: an item that only the server has goes before the first patched item that the server has
    // behind it.
    let mut result = Vec::with_capacity(patched.len() + rest.len());
    let mut rest = rest.into_iter().peekable();
    for item in patched {
        if let Some(at) = place(&on_server, &item) {
            while let Some(other) = rest.next_if(|o| place(&on_server, o).is_some_and(|o| o < at)) {
                result.push(other);
            }
        }
        result.push(item);
    }
    result.extend(rest);
    result
}
