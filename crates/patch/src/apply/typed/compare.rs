//! The differences of two objects as field sets (`typed/compare.go`).

use std::collections::BTreeMap;

use api::{Object, Value};

use super::{Atom, ScalarKind, Shape, TypeSchema, atom, child, item_element};
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
    /// A list has an item that nothing tells from the others: upstream cannot read the object as one of its type.
    pub misfit: bool,
}

impl Comparison {
    /// Without the fields below `ignored`.
    #[must_use]
    pub fn exclude(mut self, ignored: &Set) -> Comparison {
        self.removed.subtract_recursive(ignored);
        self.modified.subtract_recursive(ignored);
        self.added.subtract_recursive(ignored);
        self
    }

    /// Added or modified fields.
    pub fn changed(&self) -> Set {
        self.modified.union(&self.added)
    }

    /// [`Comparison::changed`] of a comparison that is not needed any more.
    pub fn into_changed(self) -> Set {
        let mut changed = self.added;
        changed.extend(self.modified);
        changed
    }

    /// Takes over what differs at an element and below it.
    fn attach(&mut self, element: impl Fn() -> Element, found: Found) {
        let Found { itself, below } = found;
        self.misfit |= below.misfit;
        for (set, itself, below) in [
            (&mut self.removed, itself.removed, below.removed),
            (&mut self.modified, itself.modified, below.modified),
            (&mut self.added, itself.added, below.added),
        ] {
            if itself || !below.is_empty() {
                set.attach(element(), itself, below);
            }
        }
    }
}

/// What became of one path itself.
#[derive(Default)]
struct Itself {
    removed: bool,
    modified: bool,
    added: bool,
}

/// What differs at a path and below it.
#[derive(Default)]
struct Found {
    itself: Itself,
    below: Comparison,
}

/// Compares two objects of one type.
pub fn compare<S: TypeSchema>(old: &Object, new: &Object, schema: &S) -> Comparison {
    let mut comparison = Comparison::default();
    if old.is_empty() {
        comparison.misfit = !all_fields(new, schema, &mut comparison.added);
    } else {
        compare_fields(old, new, schema, &mut comparison);
    }
    comparison
}

/// Every path of an object whose other side has nothing. Says whether all of it fits.
fn all_fields<S: TypeSchema>(fields: &Object, schema: &S, set: &mut Set) -> bool {
    let mut fits = true;
    for (name, value) in fields {
        let mut below = Set::default();
        fits &= all_below(value, child(schema, name), &mut below);
        set.attach(Element::Field(name.clone()), true, below);
    }
    fits
}

/// Every path below a value whose other side is absent.
fn all_below<S: TypeSchema>(value: &Value, schema: Option<S>, set: &mut Set) -> bool {
    let Some(schema) = schema else { return true };
    match (value, schema.shape()) {
        (Value::Object(fields), Shape::Map | Shape::Deduced) => all_fields(fields, &schema, set),
        (Value::Array(items), Shape::SetList) => all_items(items, None, &schema, set),
        (Value::Array(items), Shape::MapList(keys)) => all_items(items, Some(&keys), &schema, set),
        (value, shape) => fits(value, &shape),
    }
}

/// Every path of a list whose other side has no items.
fn all_items<S: TypeSchema>(
    items: &[Value],
    keys: Option<&[(String, Option<Value>)]>,
    schema: &S,
    set: &mut Set,
) -> bool {
    let elements: Vec<Option<Element>> = items.iter().map(|item| item_element(keys, item).ok()).collect();
    let mut counts: BTreeMap<&Element, usize> = BTreeMap::new();
    for element in elements.iter().flatten() {
        *counts.entry(element).or_default() += 1;
    }
    let mut fits = true;
    for (item, element) in items.iter().zip(&elements) {
        let Some(element) = element else {
            fits = false;
            continue;
        };
        let Some(count) = counts.remove(element) else { continue };
        let mut below = Set::default();
        // An item that occurs twice is owned as a whole.
        if count == 1 {
            fits &= all_below(item, schema.element(), &mut below);
        }
        set.attach(element.clone(), true, below);
    }
    fits
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Compares two values; equal ones, the rule in an update, differ nowhere.
fn walk<S: TypeSchema>(old: Option<&Value>, new: Option<&Value>, schema: Option<S>) -> Found {
    let mut found = Found::default();
    match (old, new) {
        (Some(old), Some(new)) if old == new => return found,
        (Some(_), Some(_)) => {}
        (None, None) => return found,
        (None, Some(new)) => {
            found.itself.added = true;
            found.below.misfit = !all_below(new, schema, &mut found.below.added);
            return found;
        }
        (Some(old), None) => {
            found.itself.removed = true;
            found.below.misfit = !all_below(old, schema, &mut found.below.removed);
            return found;
        }
    }
    let itself = Itself { modified: true, ..Itself::default() };
    let whole = Found { itself, below: Comparison::default() };
    let Some(schema) = schema else { return whole };
    let (a, b) = (atom(&schema, old.filter(|v| !v.is_null())), atom(&schema, new.filter(|v| !v.is_null())));
    match (a, b) {
        (Atom::Map, Atom::Map) => {
            let none = Object::new();
            let o = old.and_then(Value::as_object).unwrap_or(&none);
            let n = new.and_then(Value::as_object).unwrap_or(&none);
            if o.is_empty() && n.is_empty() {
                return whole;
            }
            compare_fields(o, n, &schema, &mut found.below);
        }
        (Atom::List(keys), Atom::List(_)) => {
            let (o, n) = (items(old), items(new));
            if o.is_empty() && n.is_empty() {
                return whole;
            }
            compare_items(o, n, keys.as_deref(), &schema, &mut found.below);
        }
        _ if schema.shape() == Shape::Deduced => {
            // Each side is looked at as what it is.
            let mut found = whole;
            all_below(old.unwrap_or(&Value::Null), Some(schema.clone()), &mut found.below.removed);
            all_below(new.unwrap_or(&Value::Null), Some(schema), &mut found.below.added);
            return found;
        }
        _ => {
            let fits = new.is_none_or(|new| fits(new, &schema.shape()));
            return Found { below: Comparison { misfit: !fits, ..Comparison::default() }, ..whole };
        }
    }
    found
}

/// Whether a value is of the kind that its type has. Only custom resources can have others, until they are validated.
fn fits(value: &Value, shape: &Shape) -> bool {
    match shape {
        Shape::Map | Shape::AtomicMap => value.is_object() || value.is_null(),
        Shape::AtomicList | Shape::SetList | Shape::MapList(_) => value.is_array() || value.is_null(),
        Shape::Scalar(ScalarKind::String) => value.is_string() || value.is_null(),
        Shape::Scalar(ScalarKind::Numeric) => value.is_number() || value.is_null(),
        Shape::Scalar(ScalarKind::Boolean) => value.is_boolean() || value.is_null(),
        Shape::Scalar(ScalarKind::Any) => !value.is_object() && !value.is_array(),
        Shape::Opaque | Shape::Deduced => true,
    }
}

fn compare_fields<S: TypeSchema>(old: &Object, new: &Object, schema: &S, result: &mut Comparison) {
    let added = new.keys().filter(|k| !old.contains_key(*k));
    for name in old.keys().chain(added) {
        let found = walk(old.get(name), new.get(name), child(schema, name));
        result.attach(|| Element::Field(name.clone()), found);
    }
}

fn compare_items<S: TypeSchema>(
    old: &[Value],
    new: &[Value],
    keys: Option<&[(String, Option<Value>)]>,
    schema: &S,
    result: &mut Comparison,
) {
    if old.is_empty() {
        result.misfit |= !all_items(new, keys, schema, &mut result.added);
        return;
    }
    // In the order of their first occurrence: where each stands in the old and in the new list.
    let mut order: Vec<&Element> = Vec::new();
    let index = |items: &[Value]| -> Vec<(Element, usize)> {
        items.iter().enumerate().filter_map(|(i, v)| Some((item_element(keys, v).ok()?, i))).collect()
    };
    let (old_index, new_index) = (index(old), index(new));
    result.misfit |= old_index.len() < old.len() || new_index.len() < new.len();
    let mut places: BTreeMap<&Element, [Vec<usize>; 2]> = BTreeMap::new();
    for (side, index) in [&old_index, &new_index].into_iter().enumerate() {
        for (element, at) in index {
            let place = places.entry(element).or_insert_with(|| {
                order.push(element);
                [Vec::new(), Vec::new()]
            });
            place[side].push(*at);
        }
    }
    for element in order {
        let [o, n] = places.remove(element).unwrap_or_default();
        let found = match (o.as_slice(), n.as_slice()) {
            ([] | [_], [] | [_]) => {
                let (a, b) = (o.first().map(|i| &old[*i]), n.first().map(|i| &new[*i]));
                walk(a, b, schema.element())
            }
            // An item that occurs twice is owned as a whole.
            ([_, _, ..], [_, _, ..]) => {
                let same = o.len() == n.len() && o.iter().zip(&n).all(|(a, b)| old[*a] == new[*b]);
                Found { itself: Itself { modified: !same, ..Itself::default() }, ..Found::default() }
            }
            ([_, _, ..], n) => {
                let mut found = match n.first() {
                    Some(i) => walk(None, Some(&new[*i]), schema.element()),
                    None => Found::default(),
                };
                found.itself.removed = true;
                found
            }
            (o, _) => {
                let mut found = match o.first() {
                    Some(i) => walk(Some(&old[*i]), None, schema.element()),
                    None => Found::default(),
                };
                found.itself.added = true;
                found
            }
        };
        result.attach(|| element.clone(), found);
    }
}
