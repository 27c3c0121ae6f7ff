//! Merging an applied configuration into an object (`typed/merge.go`).

use std::collections::{BTreeMap, BTreeSet};

use api::{Object, Value};

use super::{Atom, KeyField, Shape, TypeSchema, atom, child, item_element};
use crate::apply::fieldpath::Element;

/// The object with everything that the configuration sets.
pub fn merge<S: TypeSchema>(object: &Object, config: &Object, schema: &S) -> Object {
    let mut merged = object.clone();
    for (name, value) in config {
        let current = object.get(name);
        match merge_value(current, Some(value), child(schema, name)) {
            Some(value) => merged.insert(name.clone(), value),
            None => merged.remove(name),
        };
    }
    merged
}

fn merge_value<S: TypeSchema>(old: Option<&Value>, new: Option<&Value>, schema: Option<S>) -> Option<Value> {
    let (Some(old), Some(new)) = (old, new) else { return new.or(old).cloned() };
    let Some(schema) = schema else { return Some(new.clone()) };
    match (atom(&schema, Some(new)), old, new) {
        // Null is an object or a list without anything in it: what others have there stays.
        (Atom::Leaf, Value::Object(fields), Value::Null)
            if matches!(schema.shape(), Shape::Map | Shape::Deduced) && !fields.is_empty() =>
        {
            Some(old.clone())
        }
        (Atom::Leaf, Value::Array(items), Value::Null)
            if matches!(schema.shape(), Shape::SetList | Shape::MapList(_)) && !items.is_empty() =>
        {
            Some(old.clone())
        }
        (Atom::Map, Value::Object(old), Value::Object(new)) => {
            Some(Value::Object(if old.is_empty() && new.is_empty() {
                new.clone()
            } else {
                merge(old, new, &schema)
            }))
        }
        (Atom::List(keys), Value::Array(old), Value::Array(new)) => {
            if old.is_empty() && new.is_empty() {
                return Some(Value::Array(new.clone()));
            }
            Some(Value::Array(merge_items(old, new, keys.as_deref(), &schema)))
        }
        _ => Some(new.clone()),
    }
}

/// Items keep the configuration's order where they are shared; what only the object has stays where it stands.
fn merge_items<'a, S: TypeSchema>(
    old: &'a [Value],
    new: &'a [Value],
    keys: Option<&[KeyField<'_>]>,
    schema: &S,
) -> Vec<Value> {
    let index = |items: &'a [Value]| -> Vec<(Element<'a>, usize)> {
        items.iter().enumerate().filter_map(|(i, v)| Some((item_element(keys, v).ok()?, i))).collect()
    };
    let (old_items, new_items) = (index(old), index(new));
    // An element that stands twice in the object has no single value to merge with.
    let mut old_at: BTreeMap<&Element<'_>, Option<usize>> = BTreeMap::new();
    for (element, i) in &old_items {
        old_at.entry(element).and_modify(|at| *at = None).or_insert(Some(*i));
    }
    let new_at: BTreeMap<&Element<'_>, usize> = new_items.iter().map(|(e, i)| (e, *i)).collect();
    let mut shared = new_items.iter().map(|(e, _)| e).filter(|e| old_at.contains_key(e)).peekable();
    let both = |element: &Element<'_>| -> Option<Value> {
        let old = old_at.get(element).copied().flatten().map(|i| &old[i]);
        merge_value(old, new_at.get(element).map(|i| &new[*i]), schema.element())
    };
    let mut merged = Vec::with_capacity(old.len() + new.len());
    let mut done: BTreeSet<&Element<'_>> = BTreeSet::new();
    let (mut l, mut r) = (0, 0);
    while l < old_items.len() || r < new_items.len() {
        if let (Some((left, _)), Some((right, _))) = (old_items.get(l), new_items.get(r)) {
            if left == right {
                done.insert(left);
                merged.extend(both(left));
                l += 1;
                r += 1;
                shared.next();
                continue;
            }
            if new_at.contains_key(left) && shared.peek().is_some_and(|next| *next != left) {
                // It comes later in the configuration's order.
                l += 1;
                continue;
            }
        }
        if let Some((left, at)) = old_items.get(l) {
            if !new_at.contains_key(left) {
                merged.push(old[*at].clone());
                l += 1;
                continue;
            }
            if done.contains(left) {
                l += 1;
            }
        }
        if let Some((right, _)) = new_items.get(r) {
            done.insert(right);
            merged.extend(both(right));
            r += 1;
            shared.next_if(|next| *next == right);
        }
    }
    merged
}
