//! The differences of two objects as field sets (`typed/compare.go`).

use api::{Object, Value};

use super::{Atom, KeyField, ScalarKind, Shape, TypeSchema, atom, by_element, child, item_element};
use crate::apply::fieldpath::{Element, Set};

/// Which fields differ.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison<'a> {
    /// Only in the old object.
    pub removed: Set<'a>,
    /// In both, with other values.
    pub modified: Set<'a>,
    /// Only in the new object.
    pub added: Set<'a>,
    /// A list has an item that nothing tells from the others: upstream cannot read the object as one of its type.
    pub misfit: bool,
}

impl<'a> Comparison<'a> {
    /// Without the fields below `ignored`.
    #[must_use]
    pub fn exclude(mut self, ignored: &Set<'_>) -> Comparison<'a> {
        self.removed.subtract_recursive(ignored);
        self.modified.subtract_recursive(ignored);
        self.added.subtract_recursive(ignored);
        self
    }

    /// Added or modified fields.
    pub fn changed(&self) -> Set<'a> {
        self.modified.union(&self.added)
    }

    /// [`Comparison::changed`] of a comparison that is not needed any more.
    pub fn into_changed(self) -> Set<'a> {
        let mut changed = self.added;
        changed.extend(self.modified);
        changed
    }

    /// The same with everything of its own.
    #[must_use]
    pub fn into_owned(self) -> Comparison<'static> {
        let Comparison { removed, modified, added, misfit } = self;
        Comparison {
            removed: removed.into_owned(),
            modified: modified.into_owned(),
            added: added.into_owned(),
            misfit,
        }
    }

    /// Takes over what differs at an element and below it.
    fn attach(&mut self, element: impl Fn() -> Element<'a>, found: Found<'a>) {
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
struct Found<'a> {
    itself: Itself,
    below: Comparison<'a>,
}

/// Compares two objects of one type.
pub fn compare<'a, S: TypeSchema>(old: &'a Object, new: &'a Object, schema: &S) -> Comparison<'a> {
    let mut comparison = Comparison::default();
    if old.is_empty() {
        comparison.misfit = !all_fields(new, schema, &mut comparison.added);
    } else {
        compare_fields(Some(old), Some(new), schema, &mut comparison);
    }
    comparison
}

/// Every path of an object whose other side has nothing. Says whether all of it fits.
fn all_fields<'a, S: TypeSchema>(fields: &'a Object, schema: &S, set: &mut Set<'a>) -> bool {
    let mut fits = true;
    for (name, value) in fields {
        let mut below = Set::default();
        fits &= all_below(value, child(schema, name), &mut below);
        set.attach(Element::field(name), true, below);
    }
    fits
}

/// Every path below a value whose other side is absent.
fn all_below<'a, S: TypeSchema>(value: &'a Value, schema: Option<S>, set: &mut Set<'a>) -> bool {
    let Some(schema) = schema else { return true };
    match (value, schema.shape()) {
        (Value::Object(fields), Shape::Map | Shape::Deduced) => all_fields(fields, &schema, set),
        (Value::Array(items), Shape::SetList) => all_items(items, None, &schema, set),
        (Value::Array(items), Shape::MapList(keys)) => all_items(items, Some(&keys), &schema, set),
        (value, shape) => fits(value, &shape),
    }
}

/// Every path of a list whose other side has no items.
fn all_items<'a, S: TypeSchema>(
    items: &'a [Value],
    keys: Option<&[KeyField<'_>]>,
    schema: &S,
    set: &mut Set<'a>,
) -> bool {
    let (elements, mut fits) = by_element(items, keys);
    for (element, item, again) in elements {
        let mut below = Set::default();
        // An item that occurs twice is owned as a whole.
        if !again {
            fits &= all_below(item, schema.element(), &mut below);
        }
        set.attach(element, true, below);
    }
    fits
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Compares two values; equal ones, the rule in an update, differ nowhere.
fn walk<'a, S: TypeSchema>(old: Option<&'a Value>, new: Option<&'a Value>, schema: Option<S>) -> Found<'a> {
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
            let (o, n) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
            if o.is_none_or(Object::is_empty) && n.is_none_or(Object::is_empty) {
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
fn fits(value: &Value, shape: &Shape<'_>) -> bool {
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

fn compare_fields<'a, S: TypeSchema>(
    old: Option<&'a Object>,
    new: Option<&'a Object>,
    schema: &S,
    result: &mut Comparison<'a>,
) {
    let mut old = old.into_iter().flatten().peekable();
    let mut new = new.into_iter().flatten().peekable();
    // Both are in the order of their names.
    while let Some(name) = match (old.peek(), new.peek()) {
        (Some((o, _)), Some((n, _))) => Some((*o).min(*n)),
        (o, n) => o.or(n).map(|(name, _)| *name),
    } {
        let value = |side: &mut std::iter::Peekable<_>| side.next_if(|(n, _)| *n == name).map(|(_, v)| v);
        let found = walk(value(&mut old), value(&mut new), child(schema, name));
        result.attach(|| Element::field(name), found);
    }
}

fn compare_items<'a, S: TypeSchema>(
    old: &'a [Value],
    new: &'a [Value],
    keys: Option<&[KeyField<'_>]>,
    schema: &S,
    result: &mut Comparison<'a>,
) {
    if old.is_empty() {
        result.misfit |= !all_items(new, keys, schema, &mut result.added);
        return;
    }
    /// An item, and whether it is of the new list.
    type Sided<'a> = (Element<'a>, bool, &'a Value);
    let mut all: Vec<Sided<'a>> = Vec::with_capacity(old.len() + new.len());
    for (is_new, list) in [(false, old), (true, new)] {
        all.extend(list.iter().filter_map(|item| Some((item_element(keys, item).ok()?, is_new, item))));
    }
    result.misfit |= all.len() < old.len() + new.len();
    all.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    for alike in all.chunk_by(|(a, ..), (b, ..)| a == b) {
        let (o, n) = alike.split_at(alike.partition_point(|(_, is_new, _)| !is_new));
        let first = |side: &[Sided<'a>]| side.first().map(|(.., item)| *item);
        let found = match (o, n) {
            ([] | [_], [] | [_]) => walk(first(o), first(n), schema.element()),
            // An item that occurs twice is owned as a whole.
            ([_, _, ..], [_, _, ..]) => {
                let same = o.len() == n.len() && o.iter().zip(n).all(|((.., a), (.., b))| a == b);
                Found { itself: Itself { modified: !same, ..Itself::default() }, ..Found::default() }
            }
            ([_, _, ..], n) => {
                let mut found = walk(None, first(n), schema.element());
                found.itself.removed = true;
                found
            }
            (o, _) => {
                let mut found = walk(first(o), None, schema.element());
                found.itself.added = true;
                found
            }
        };
        result.attach(|| alike[0].0.clone(), found);
    }
}
