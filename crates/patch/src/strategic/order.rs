//! The order of a merged list: what the patch names stands in the patch's order, what only the server has keeps its
//! place relative to its neighbours (`normalizeElementOrder`).

use std::collections::HashMap;

use api::status::ApiError;
use api::{Object, Value};

use super::{DIRECTIVE, Lookup, SET_ELEMENT_ORDER, bad_type, drop_directives, go_print, list, unexpected};

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
        let order = match patch.remove(&directive) {
            Some(Value::Array(order)) => order,
            other => return Err(bad_type(LIST, &other.unwrap_or_default())),
        };
        let before = as_list(original.get(name))?;
        let change = as_list(patch.get(name))?;
        let Some(meta) = schema.field(name) else { return Err(super::no_such_field(name, schema)) };
        let key = meta.merge_key.as_deref();
        check_order(change.as_deref().unwrap_or_default(), &order, key)?;
        let merged = match (&before, change) {
            (None, None) => continue,
            (Some(before), None) => before.clone(),
            (None, Some(mut change)) => {
                change.retain_mut(drop_directives);
                change
            }
            (Some(before), Some(mut change)) if meta.merge => {
                list::merge(before.clone(), &mut change, &meta, false)?
            }
            (Some(_), Some(change)) => change,
        };
        if let Some(key) = key {
            check_items(&merged, &order, key)?;
        }
        if list::objects(before.as_deref().unwrap_or_default(), patch.get(name))?
            && let Some(key) = key
        {
            order.iter().try_for_each(|item| key_of(item, key).map(|_| ()))?;
        }
        let ordered = by_patch(merged, &order, before.as_deref().unwrap_or_default(), key);
        original.insert(name.to_owned(), Value::Array(ordered));
        patch.remove(name);
    }
    Ok(())
}

/// What messages call a list and an object.
const LIST: &str = "[]interface {}";
const MAP: &str = "map[string]interface {}";

fn as_list(value: Option<&Value>) -> Result<Option<Vec<Value>>, ApiError> {
    match value {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items.clone())),
        Some(other) => Err(bad_type(LIST, other)),
    }
}

/// `partitionMapsByPresentInList`: what is ordered by a key has it.
fn check_items(merged: &[Value], order: &[Value], key: &str) -> Result<(), ApiError> {
    for item in merged {
        let id = key_of(item, key)?;
        for (at, other) in order.iter().enumerate() {
            match other {
                Value::Object(fields) if fields.get(key) == Some(id) => break,
                Value::Object(_) => {}
                _ => return Err(unexpected(format!("value for key {at} is not a map"))),
            }
        }
    }
    Ok(())
}

fn key_of<'a>(item: &'a Value, key: &str) -> Result<&'a Value, ApiError> {
    let Value::Object(fields) = item else { return Err(bad_type(MAP, item)) };
    fields.get(key).ok_or_else(|| {
        unexpected(format!("map: {} does not contain declared merge key: {key}", go_print(item)))
    })
}

/// `validatePatchWithSetOrderList`: the patch's items must be among the ordered ones, in that order.
fn check_order(patch: &[Value], order: &[Value], key: Option<&str>) -> Result<(), ApiError> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    if key.is_some()
        && let Some(item) = patch.iter().find(|i| !i.is_object())
    {
        return Err(bad_type(MAP, item));
    }
    let mut items = patch.iter().filter(|i| i.get(DIRECTIVE).is_none()).peekable();
    for other in order {
        let Some(item) = items.peek() else { return Ok(()) };
        let equal = match key {
            None => *item == other,
            Some(key) => {
                for side in [*item, other] {
                    if !side.is_object() {
                        return Err(bad_type(MAP, side));
                    }
                }
                key_of(item, key)? == key_of(other, key)?
            }
        };
        if equal {
            items.next();
        }
    }
    if items.peek().is_none() {
        return Ok(());
    }
    Err(unexpected(format!(
        "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
        go_print(&Value::Array(patch.to_vec())),
        go_print(&Value::Array(order.to_vec())),
    )))
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
