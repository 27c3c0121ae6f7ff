//! What a schema makes of an object (`structured-merge-diff/typed`): validation, field sets, comparison, merging and
//! removal of fields.

use std::borrow::Cow;

use api::{Object, Value};

use super::fieldpath::{Element, Scalar, Set};

mod compare;
mod merge;
mod remove;
mod validate;

pub use compare::{Comparison, compare};
pub use merge::merge;
pub use remove::{ensure_named_fields, is_rooted, remove};
pub use validate::{Twins, validate};

/// How the values of a type are owned.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape<'s> {
    /// A scalar, checked to be of this kind.
    Scalar(ScalarKind),
    /// A list that is owned as a whole.
    AtomicList,
    /// A list of scalars, each owned by itself.
    SetList,
    /// A list of objects, each owned by itself under these keys; a key may have a default.
    MapList(Vec<KeyField<'s>>),
    /// An object that is owned as a whole.
    AtomicMap,
    /// An object whose fields are owned one by one.
    Map,
    /// Anything, owned as a whole.
    Opaque,
    /// The schema says nothing: scalars are scalars, lists are atomic, objects are not.
    Deduced,
}

/// A field that tells the items of a list apart.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyField<'s> {
    /// Its name.
    pub name: &'s str,
    /// Its value where an item lacks it.
    pub default: Option<Value>,
}

/// What a scalar may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarKind {
    /// A text.
    String,
    /// An integer or a float.
    Numeric,
    /// True or false.
    Boolean,
    /// Any scalar (quantities, int-or-string).
    Any,
}

/// A type, as server-side apply asks for it.
pub trait TypeSchema: Clone {
    /// How its values are owned.
    fn shape(&self) -> Shape<'_>;
    /// The type of an object's field that the schema declares.
    fn field(&self, name: &str) -> Option<Self>;
    /// The type of a list's items, or of the entries of an object without declared fields.
    fn element(&self) -> Option<Self>;
}

/// The type of an object's field, declared or not.
fn child<S: TypeSchema>(schema: &S, name: &str) -> Option<S> {
    schema.field(name).or_else(|| schema.element())
}

/// What to do with a value, the schema's shape and the value's own type taken together.
enum Atom<'s> {
    Leaf,
    List(Option<Vec<KeyField<'s>>>),
    Map,
}

fn atom<'s, S: TypeSchema>(schema: &'s S, value: Option<&Value>) -> Atom<'s> {
    match (schema.shape(), value) {
        (Shape::SetList, Some(Value::Array(_)) | None) => Atom::List(None),
        (Shape::MapList(keys), Some(Value::Array(_)) | None) => Atom::List(Some(keys)),
        (Shape::Map, Some(Value::Object(_)) | None) | (Shape::Deduced, Some(Value::Object(_))) => Atom::Map,
        _ => Atom::Leaf,
    }
}

/// The path element of a list item; the text says why it has none.
fn item_element<'a>(keys: Option<&[KeyField<'_>]>, item: &'a Value) -> Result<Element<'a>, String> {
    let Some(keys) = keys else {
        return match item {
            Value::Object(_) => {
                Err("associative list without keys has an element that's a map type".to_owned())
            }
            Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
            Value::Null => {
                Err("associative list without keys has an element that's an explicit null".to_owned())
            }
            scalar => Ok(Element::Value(Scalar(Cow::Borrowed(scalar)))),
        };
    };
    let Value::Object(fields) = item else {
        return Err(if item.is_null() {
            "associative list with keys may not have a null element".to_owned()
        } else {
            "associative list with keys may not have non-map elements".to_owned()
        });
    };
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let own = fields.get_key_value(key.name).map(|(name, value)| (name.into(), Cow::Borrowed(value)));
        let default = || Some((key.name.to_owned().into(), Cow::Owned(key.default.clone()?)));
        found.extend(own.or_else(default).map(|(name, value)| (name, Scalar(value))));
    }
    if found.is_empty() {
        let names: Vec<String> = keys.iter().map(|key| api::field::go_quote(key.name)).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
            names.join(" ")
        ));
    }
    found.sort();
    Ok(Element::Key(found))
}

/// The items of a list by their elements, in the order of those: each with its first item, and whether there are more.
/// Items without an element are left out; the other value says that there are none such.
fn by_element<'a>(
    items: &'a [Value],
    keys: Option<&[KeyField<'_>]>,
) -> (impl Iterator<Item = (Element<'a>, &'a Value, bool)>, bool) {
    let mut elements: Vec<(Element<'a>, &Value)> =
        items.iter().filter_map(|item| Some((item_element(keys, item).ok()?, item))).collect();
    elements.sort_by(|(a, _), (b, _)| a.cmp(b));
    let complete = elements.len() == items.len();
    let mut elements = elements.into_iter().peekable();
    let grouped = std::iter::from_fn(move || {
        let (element, item) = elements.next()?;
        let mut again = false;
        while elements.next_if(|(next, _)| *next == element).is_some() {
            again = true;
        }
        Some((element, item, again))
    });
    (grouped, complete)
}

/// The fields that an object sets.
pub fn field_set<'a, S: TypeSchema>(object: &'a Object, schema: &S) -> Set<'a> {
    let mut set = Set::default();
    collect_fields(object, schema, &mut set);
    set
}

/// Collects what is set below a value; gives whether its own path is set, too.
fn collect<'a, S: TypeSchema>(value: &'a Value, schema: Option<S>, below: &mut Set<'a>) -> bool {
    let Some(schema) = schema else { return true };
    match (atom(&schema, Some(value)), value) {
        (Atom::Map, Value::Object(fields)) => {
            collect_fields(fields, &schema, below);
            false
        }
        (Atom::List(keys), Value::Array(items)) => {
            for (element, item, again) in by_element(items, keys.as_deref()).0 {
                let mut inside = Set::default();
                if !again {
                    collect(item, schema.element(), &mut inside);
                }
                below.attach(element, true, inside);
            }
            false
        }
        // A null list or object sets nothing below it; its own path is up to the parent.
        (Atom::Leaf, Value::Null)
            if !matches!(
                schema.shape(),
                Shape::Scalar(_) | Shape::AtomicList | Shape::AtomicMap | Shape::Opaque
            ) =>
        {
            false
        }
        _ => true,
    }
}

fn collect_fields<'a, S: TypeSchema>(fields: &'a Object, schema: &S, set: &mut Set<'a>) {
    for (name, value) in fields {
        let mut below = Set::default();
        let itself = collect(value, child(schema, name), &mut below);
        let empty = value.is_null() || value.as_object().is_some_and(Object::is_empty);
        let itself = itself || empty || schema.field(name).is_none();
        set.attach(Element::field(name), itself, below);
    }
}
