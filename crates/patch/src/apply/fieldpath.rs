//! Sets of field paths (`structured-merge-diff/fieldpath`).

use std::cmp::Ordering;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use api::field::go_quote;
use api::json::MAX_VALUE_DEPTH;
use api::{Object, Value};

/// How many elements below the first a path has at most: entries lie four levels deep in an object, which must be read again.
const DEPTH_MAX: usize = MAX_VALUE_DEPTH - 6;

/// A scalar with upstream's order: numbers, then strings, then booleans, then null.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar(pub Value);

impl Eq for Scalar {}

impl Ord for Scalar {
    fn cmp(&self, other: &Scalar) -> Ordering {
        let rank = |v: &Value| match v {
            Value::Number(_) => 0,
            Value::String(_) => 1,
            Value::Bool(_) => 2,
            Value::Array(_) => 3,
            Value::Object(_) => 4,
            Value::Null => 5,
        };
        match (&self.0, &other.0) {
            (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default()),
            },
            (Value::String(a), Value::String(b)) => a.cmp(b),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (a, b) => rank(a).cmp(&rank(b)),
        }
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Scalar) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Value::String(text) => f.write_str(&go_quote(text)),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|i| Scalar(i.clone()).to_string()).collect();
                write!(f, "[{}]", items.join(","))
            }
            // Upstream puts nothing around or between them.
            Value::Object(fields) => {
                fields.iter().try_for_each(|(name, value)| write!(f, "{name}={}", Scalar(value.clone())))
            }
            other => write!(f, "{other}"),
        }
    }
}

/// One step of a path. The order of the variants is upstream's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// A field of an object: `.name`.
    Field(String),
    /// An item of a list of type map, by its keys in order of name: `[name="c"]`.
    Key(Vec<(String, Scalar)>),
    /// An item of a list of type set: `[="value"]`.
    Value(Scalar),
    /// An item of a list, by position.
    Index(usize),
}

impl Element {
    /// The key of this element in `FieldsV1`: `f:name`, `k:{"name":"c"}`, `v:"x"`, `i:0`.
    fn encode(&self) -> String {
        match self {
            Element::Field(name) => ["f:", name].concat(),
            Element::Key(keys) => {
                let mut out = "k:{".to_owned();
                for (i, (key, value)) in keys.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    push_json(&mut out, key);
                    out.push(':');
                    push_json(&mut out, &value.0);
                }
                out.push('}');
                out
            }
            Element::Value(value) => format!("v:{}", value.0),
            Element::Index(index) => format!("i:{index}"),
        }
    }

    fn decode(text: &str) -> Option<Element> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "f" => Some(Element::Field(rest.to_owned())),
            "k" => {
                let fields: Object = serde_json::from_str(rest).ok()?;
                Some(Element::Key(fields.into_iter().map(|(k, v)| (k, Scalar(v))).collect()))
            }
            "v" => Some(Element::Value(Scalar(serde_json::from_str(rest).ok()?))),
            "i" => Some(Element::Index(rest.parse().ok()?)),
            _ => None,
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Field(name) => write!(f, ".{name}"),
            Element::Key(keys) => {
                let list: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={v}")).collect();
                write!(f, "[{}]", list.join(","))
            }
            Element::Value(value) => write!(f, "[={value}]"),
            Element::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// Appends JSON; texts and scalars always have some.
fn push_json<T: serde::Serialize + ?Sized>(out: &mut String, value: &T) {
    out.push_str(&serde_json::to_string(value).unwrap_or_default());
}

/// A set of paths: those that end here, and those that go on below an element.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Set {
    /// Paths of one element.
    pub members: BTreeSet<Element>,
    /// Longer paths, by their first element; never an empty set.
    pub children: BTreeMap<Element, Set>,
}

impl Set {
    /// Adds a path; the empty path is nothing.
    pub fn insert(&mut self, path: &[Element]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Whether no path is in the set.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Set::is_empty)
    }

    /// Whether this very path is in the set.
    pub fn has(&self, element: &Element) -> bool {
        self.members.contains(element)
    }

    /// Whether the other set has all paths of this one.
    pub fn within(&self, other: &Set) -> bool {
        self.members.is_subset(&other.members)
            && self
                .children
                .iter()
                .all(|(e, c)| c.is_empty() || other.children.get(e).is_some_and(|o| c.within(o)))
    }

    /// Puts an element in, itself or what is below it; it was not there before.
    pub(crate) fn attach(&mut self, element: Element, itself: bool, below: Set) {
        if below.is_empty() {
            if itself {
                self.members.insert(element);
            }
            return;
        }
        if itself {
            self.members.insert(element.clone());
        }
        self.children.insert(element, below);
    }

    /// Adds the paths of another set.
    pub fn extend(&mut self, other: Set) {
        if self.members.is_empty() {
            self.members = other.members;
        } else {
            self.members.extend(other.members);
        }
        for (element, child) in other.children {
            match self.children.entry(element) {
                Entry::Vacant(free) => {
                    free.insert(child);
                }
                Entry::Occupied(mut own) => own.get_mut().extend(child),
            }
        }
    }

    /// Takes out the paths that the other set has.
    pub fn subtract(&mut self, other: &Set) {
        for member in &other.members {
            self.members.remove(member);
        }
        for (element, child) in &other.children {
            self.below(element, |own| own.subtract(child));
        }
    }

    /// As [`Set::subtract`], and a member of the other takes everything below it along.
    pub fn subtract_recursive(&mut self, other: &Set) {
        for member in &other.members {
            self.members.remove(member);
            self.children.remove(member);
        }
        for (element, child) in &other.children {
            self.below(element, |own| own.subtract_recursive(child));
        }
    }

    /// Changes what is below an element.
    fn below(&mut self, element: &Element, change: impl FnOnce(&mut Set)) {
        if let Some(own) = self.children.get_mut(element) {
            change(own);
            if own.is_empty() {
                self.children.remove(element);
            }
        }
    }

    /// The paths of either set.
    pub fn union(&self, other: &Set) -> Set {
        let mut result = self.clone();
        result.extend(other.clone());
        result
    }

    /// The paths of both sets.
    pub fn intersection(&self, other: &Set) -> Set {
        let children = self
            .children
            .iter()
            .filter_map(|(e, c)| Some((e.clone(), c.intersection(other.children.get(e)?))))
            .filter(|(_, c)| !c.is_empty())
            .collect();
        Set { members: self.members.intersection(&other.members).cloned().collect(), children }
    }

    /// The paths of this set that the other lacks.
    pub fn difference(&self, other: &Set) -> Set {
        let mut result = self.clone();
        result.subtract(other);
        result
    }

    /// As [`Set::difference`], and a member of the other takes everything below it along.
    pub fn recursive_difference(&self, other: &Set) -> Set {
        let mut result = self.clone();
        result.subtract_recursive(other);
        result
    }

    /// Every path as text, members before what is below them, as upstream's messages list them.
    pub fn paths(&self) -> Vec<String> {
        let mut list = Vec::new();
        self.collect_paths("", &mut list);
        list
    }

    fn collect_paths(&self, prefix: &str, list: &mut Vec<String>) {
        list.extend(self.members.iter().map(|m| format!("{prefix}{m}")));
        for (element, child) in &self.children {
            child.collect_paths(&format!("{prefix}{element}"), list);
        }
    }

    /// The set as `FieldsV1`. What lies deeper than [`DEPTH_MAX`] is owned as a whole.
    pub fn encode(&self) -> Value {
        Value::Object(self.encode_fields(DEPTH_MAX))
    }

    fn encode_fields(&self, depth: usize) -> Object {
        let none = || Value::Object(Object::new());
        let mut fields = Object::new();
        for member in &self.members {
            if !self.children.contains_key(member) {
                fields.insert(member.encode(), none());
            }
        }
        for (element, child) in &self.children {
            let Some(depth) = depth.checked_sub(1) else {
                fields.insert(element.encode(), none());
                continue;
            };
            let mut below = child.encode_fields(depth);
            if self.members.contains(element) {
                below.insert(".".to_owned(), none());
            }
            fields.insert(element.encode(), Value::Object(below));
        }
        fields
    }

    /// Reads `FieldsV1`; `None` when it is malformed.
    pub fn decode(fields: &Object) -> Option<Set> {
        let mut set = Set::default();
        for (key, below) in fields {
            if key == "." {
                continue;
            }
            let element = Element::decode(key)?;
            let below = below.as_object()?;
            if below.is_empty() || below.contains_key(".") {
                set.members.insert(element.clone());
            }
            let child = Set::decode(below)?;
            if !child.is_empty() {
                set.children.insert(element, child);
            }
        }
        Some(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(fields: Value) -> Set {
        Set::decode(fields.as_object().unwrap()).unwrap()
    }

    #[test]
    fn fields_v1_reads_back_as_it_was_written() {
        let fields = json!({"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}}},
            "f:finalizers": {"v:\"a\"": {}}}});
        assert_eq!(set(fields.clone()).encode(), fields);
        assert!(Set::decode(json!({"nonsense": {}}).as_object().unwrap()).is_none());
    }

    #[test]
    fn paths_print_as_upstream() {
        let fields = json!({"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}}}}});
        assert_eq!(
            set(fields).paths(),
            [r#".spec.containers[name="c"]"#, r#".spec.containers[name="c"].image"#]
        );
    }

    #[test]
    fn a_set_is_within_another_that_has_all_its_paths() {
        let small = set(json!({"f:spec": {"f:list": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}}}}}));
        let large = set(
            json!({"f:spec": {"f:a": {}, "f:list": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:b": {}}}}}),
        );
        assert!(small.within(&large) && small.within(&small) && Set::default().within(&small));
        assert!(!large.within(&small));
        assert!(
            !set(json!({"f:spec": {}})).within(&small),
            "the path itself is another than what is below it"
        );
    }

    #[test]
    fn a_recursive_difference_takes_whole_branches() {
        let all = set(json!({"f:spec": {"f:a": {}}, "f:status": {"f:b": {}}}));
        let status = set(json!({"f:status": {}}));
        assert_eq!(all.recursive_difference(&status), set(json!({"f:spec": {"f:a": {}}})));
        assert_eq!(all.difference(&status), all);
    }
}
