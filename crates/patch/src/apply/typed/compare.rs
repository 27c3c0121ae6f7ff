//! The differences of two objects as field sets (`typed/compare.go`).

use api::{Object, Value};

use super::{Atom, TypeSchema, atom, child, item_element};
use crate::apply::fieldpath::{Element, Set};

/// Which fields differ.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Only in the old object.
    pub removed: Set,
    /// In both, with other values.
    pub modified: Set,
    /// Only in the new object.
    pub added: Set,
}

impl Comparison {
    /// Without the fields below `ignored`.
    #[must_use]
    pub fn exclude(mut self, ignored: &Set) -> Comparison {
        if !ignored.is_empty() {
            self.removed = self.removed.recursive_difference(ignored);
            self.modified = self.modified.recursive_difference(ignored);
            self.added = self.added.recursive_difference(ignored);
        }
        self
    }

    /// Added or modified fields.
    pub fn changed(&self) -> Set {
        self.modified.union(&self.added)
    }
}

/// Compares two objects of one type.
pub fn compare<S: TypeSchema>(old: &Object, new: &Object, schema: &S) -> Comparison {
    let mut comparison = Comparison::default();
    let mut path = Vec::new();
    compare_fields(old, new, schema, &mut path, &mut comparison);
    comparison
}

fn leaf(old: Option<&Value>, new: Option<&Value>, path: &[Element], result: &mut Comparison) {
    match (old, new) {
        (None, _) => result.added.insert(path),
        (_, None) => result.removed.insert(path),
        (Some(old), Some(new)) if old != new => result.modified.insert(path),
        _ => {}
    }
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn walk<S: TypeSchema>(
    old: Option<&Value>,
    new: Option<&Value>,
    schema: Option<S>,
    path: &mut Vec<Element>,
    result: &mut Comparison,
) {
    // Equal branches are the rule: an update touches few fields.
    if old == new {
        return;
    }
    let Some(schema) = schema else { return leaf(old, new, path, result) };
    let (a, b) = (atom(&schema, old.filter(|v| !v.is_null())), atom(&schema, new.filter(|v| !v.is_null())));
    match (a, b) {
        (Atom::Map, Atom::Map) => {
            let none = Object::new();
            let o = old.and_then(Value::as_object).unwrap_or(&none);
            let n = new.and_then(Value::as_object).unwrap_or(&none);
            if o.is_empty() && n.is_empty() {
                return leaf(old, new, path, result);
            }
            compare_fields(o, n, &schema, path, result);
        }
        (Atom::List(keys), Atom::List(_)) => {
            let (o, n) = (items(old), items(new));
            if o.is_empty() && n.is_empty() {
                return leaf(old, new, path, result);
            }
            compare_items(o, n, keys.as_deref(), &schema, path, result);
        }
        _ => return leaf(old, new, path, result),
    }
    if old.is_none() {
        result.added.insert(path);
    } else if new.is_none() {
        result.removed.insert(path);
    }
}

fn compare_fields<S: TypeSchema>(
    old: &Object,
    new: &Object,
    schema: &S,
    path: &mut Vec<Element>,
    result: &mut Comparison,
) {
    let added = new.keys().filter(|k| !old.contains_key(*k));
    for name in old.keys().chain(added) {
        let (a, b) = (old.get(name), new.get(name));
        if a == b {
            continue;
        }
        path.push(Element::Field(name.clone()));
        walk(a, b, child(schema, name), path, result);
        path.pop();
    }
}

fn compare_items<S: TypeSchema>(
    old: &[Value],
    new: &[Value],
    keys: Option<&[(String, Option<Value>)]>,
    schema: &S,
    path: &mut Vec<Element>,
    result: &mut Comparison,
) {
    let index = |items: &[Value]| -> Vec<(Element, usize)> {
        items.iter().enumerate().filter_map(|(i, v)| Some((item_element(keys, v).ok()?, i))).collect()
    };
    let (old_index, new_index) = (index(old), index(new));
    let mut elements: Vec<&Element> = Vec::new();
    for (element, _) in old_index.iter().chain(&new_index) {
        if !elements.contains(&element) {
            elements.push(element);
        }
    }
    for element in elements {
        let at = |index: &[(Element, usize)]| -> Vec<usize> {
            index.iter().filter(|(e, _)| e == element).map(|(_, i)| *i).collect()
        };
        let (o, n) = (at(&old_index), at(&new_index));
        path.push(element.clone());
        match (o.as_slice(), n.as_slice()) {
            ([] | [_], [] | [_]) => {
                let (a, b) = (o.first().map(|i| &old[*i]), n.first().map(|i| &new[*i]));
                walk(a, b, schema.element(), path, result);
            }
            // An item that occurs twice is owned as a whole.
            ([_, _, ..], [_, _, ..]) => {
                let same = o.len() == n.len() && o.iter().zip(&n).all(|(a, b)| old[*a] == new[*b]);
                if !same {
                    result.modified.insert(path);
                }
            }
            ([_, _, ..], n) => {
                if let Some(i) = n.first() {
                    walk(None, Some(&new[*i]), schema.element(), path, result);
                }
                result.removed.insert(path);
            }
            (o, _) => {
                if let Some(i) = o.first() {
                    walk(Some(&old[*i]), None, schema.element(), path, result);
                }
                result.added.insert(path);
            }
        }
        path.pop();
    }
}
