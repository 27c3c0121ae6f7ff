//! Taking fields out of an object (`typed/remove.go`).

use api::{Object, Value};

use super::{Atom, TypeSchema, atom, child, item_element};
use crate::apply::fieldpath::{Element, Set};

/// The object without the fields of the set; what becomes empty by that stays, empty.
pub fn remove<S: TypeSchema>(object: &Object, gone: &Set<'_>, schema: &S) -> Object {
    let mut left = Object::new();
    for (name, value) in object {
        let element = Element::field(name);
        if gone.has(&element) {
            continue;
        }
        let value = match gone.below(&element) {
            Some(below) => remove_below(value, below, child(schema, name)),
            None => value.clone(),
        };
        left.insert(name.clone(), value);
    }
    left
}

fn remove_below<S: TypeSchema>(value: &Value, gone: &Set<'_>, schema: Option<S>) -> Value {
    let Some(schema) = schema else { return value.clone() };
    match (atom(&schema, Some(value)), value) {
        (Atom::Map, Value::Object(fields)) => Value::Object(remove(fields, gone, &schema)),
        (Atom::List(keys), Value::Array(items)) => {
            let mut left = Vec::with_capacity(items.len());
            for item in items {
                let Ok(element) = item_element(keys.as_deref(), item) else {
                    left.push(item.clone());
                    continue;
                };
                if gone.has(&element) {
                    continue;
                }
                left.push(match gone.below(&element) {
                    Some(below) => remove_below(item, below, schema.element()),
                    None => item.clone(),
                });
            }
            Value::Array(left)
        }
        // An atomic value goes or stays as a whole, and its own path was not in the set.
        (_, Value::Object(_)) => Value::Object(Object::new()),
        (_, Value::Array(_)) => Value::Array(Vec::new()),
        _ => value.clone(),
    }
}

/// Whether every item and every entry on the way to a path is in the set as well, as in what [`super::field_set`] gives.
pub fn is_rooted<S: TypeSchema>(set: &Set<'_>, schema: &S) -> bool {
    set.children().iter().all(|(element, below)| {
        let (declared, next) = match element {
            Element::Field(name) => (schema.field(name).is_some(), child(schema, name)),
            _ => (false, schema.element()),
        };
        (declared || set.has(element)) && next.is_some_and(|s| is_rooted(below, &s))
    })
}

/// The set with every declared field on the way to a path as a member of its own: who owns `.spec.a` wants `.spec`.
pub fn ensure_named_fields<'a, S: TypeSchema>(set: &Set<'a>, schema: &S) -> Set<'a> {
    let mut members = set.members().to_vec();
    let mut children = Vec::with_capacity(set.children().len());
    for (element, below) in set.children() {
        let next = match element {
            Element::Field(name) => {
                if schema.field(name).is_some() {
                    members.push(element.clone());
                }
                child(schema, name)
            }
            _ => schema.element(),
        };
        let below = next.map_or_else(|| below.clone(), |s| ensure_named_fields(below, &s));
        children.push((element.clone(), below));
    }
    Set::new(members, children)
}
