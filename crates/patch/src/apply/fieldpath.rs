//! Sets of field paths (`structured-merge-diff/fieldpath`).

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use api::field::go_quote;
use api::json::MAX_VALUE_DEPTH;
use api::{Object, Value};

/// How many elements below the first a path has at most: entries lie four levels deep in an object, which must be read again.
const DEPTH_MAX: usize = MAX_VALUE_DEPTH - 6;

/// A scalar with upstream's order: numbers, then strings, then booleans, then null.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar<'a>(pub Cow<'a, Value>);

impl Eq for Scalar<'_> {}

impl Ord for Scalar<'_> {
    fn cmp(&self, other: &Scalar<'_>) -> Ordering {
        let rank = |v: &Value| match v {
            Value::Number(_) => 0,
            Value::String(_) => 1,
            Value::Bool(_) => 2,
            Value::Array(_) => 3,
            Value::Object(_) => 4,
            Value::Null => 5,
        };
        match (&*self.0, &*other.0) {
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

impl PartialOrd for Scalar<'_> {
    fn partial_cmp(&self, other: &Scalar<'_>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |value| Scalar(Cow::Borrowed(value)).to_string();
        match &*self.0 {
            Value::String(text) => f.write_str(&go_quote(text)),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(part).collect();
                write!(f, "[{}]", items.join(","))
            }
            // Upstream puts nothing around or between them.
            Value::Object(fields) => {
                fields.iter().try_for_each(|(name, value)| write!(f, "{name}={}", part(value)))
            }
            other => write!(f, "{other}"),
        }
    }
}

/// One step of a path. The order of the variants is upstream's. Names and values are mostly those of an object or of its
/// entries, which are there longer: copying them took as long as all else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element<'a> {
    /// A field of an object: `.name`.
    Field(Cow<'a, str>),
    /// An item of a list of type map, by its keys in order of name: `[name="c"]`.
    Key(Vec<(Cow<'a, str>, Scalar<'a>)>),
    /// An item of a list of type set: `[="value"]`.
    Value(Scalar<'a>),
    /// An item of a list, by position.
    Index(usize),
}

impl<'a> Element<'a> {
    /// A field of an object.
    pub fn field(name: &'a str) -> Element<'a> {
        Element::Field(Cow::Borrowed(name))
    }

    /// The same with everything of its own.
    pub fn into_owned(self) -> Element<'static> {
        let text = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        let scalar = |scalar: Scalar<'a>| Scalar(Cow::Owned(scalar.0.into_owned()));
        match self {
            Element::Field(name) => Element::Field(text(name)),
            Element::Key(keys) => Element::Key(keys.into_iter().map(|(k, v)| (text(k), scalar(v))).collect()),
            Element::Value(value) => Element::Value(scalar(value)),
            Element::Index(index) => Element::Index(index),
        }
    }

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
                    push_json(&mut out, &*value.0);
                }
                out.push('}');
                out
            }
            Element::Value(value) => format!("v:{}", value.0),
            Element::Index(index) => format!("i:{index}"),
        }
    }

    fn decode(text: &'a str) -> Option<Element<'a>> {
        let (kind, rest) = text.split_once(':')?;
        let scalar = |value| Scalar(Cow::Owned(value));
        match kind {
            "f" => Some(Element::field(rest)),
            "k" => {
                let fields: Object = serde_json::from_str(rest).ok()?;
                Some(Element::Key(fields.into_iter().map(|(k, v)| (Cow::Owned(k), scalar(v))).collect()))
            }
            "v" => Some(Element::Value(scalar(serde_json::from_str(rest).ok()?))),
            "i" => Some(Element::Index(rest.parse().ok()?)),
            _ => None,
        }
    }
}

impl fmt::Display for Element<'_> {
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

/// A set of paths: those that end here, and those that go on below an element. Both are sorted lists, as upstream has them:
/// most sets are small and are made in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Set<'a> {
    /// Paths of one element.
    members: Vec<Element<'a>>,
    /// Longer paths, by their first element; never an empty set.
    children: Vec<(Element<'a>, Set<'a>)>,
}

/// Where an element stands in a sorted list, or belongs.
fn place<T>(list: &[T], element: &Element<'_>, of: impl Fn(&T) -> &Element<'_>) -> Result<usize, usize> {
    match list.last() {
        // What comes in order comes last.
        Some(last) if of(last) < element => Err(list.len()),
        None => Err(0),
        _ => list.binary_search_by(|item| of(item).cmp(element)),
    }
}

impl<'a> Set<'a> {
    /// A set of these paths, in whichever order.
    pub fn new(mut members: Vec<Element<'a>>, mut children: Vec<(Element<'a>, Set<'a>)>) -> Set<'a> {
        members.sort();
        members.dedup();
        children.sort_by(|(a, _), (b, _)| a.cmp(b));
        if children.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Set { members, children };
        }
        // Those below the same element become one set, all at once.
        let mut together: Vec<(Element<'a>, Vec<Set<'a>>)> = Vec::new();
        for (element, below) in children {
            match together.last_mut() {
                Some((last, sets)) if *last == element => sets.push(below),
                _ => together.push((element, vec![below])),
            }
        }
        let children = together.into_iter().map(|(element, sets)| (element, Set::of_all(sets))).collect();
        Set { members, children }
    }

    /// The paths of all these sets. An object may have tens of thousands of managers: one after the other would take their
    /// number squared.
    pub fn of_all(sets: impl IntoIterator<Item = Set<'a>>) -> Set<'a> {
        let mut sets = sets.into_iter();
        let Set { mut members, mut children } = sets.next().unwrap_or_default();
        let Some(second) = sets.next() else { return Set { members, children } };
        for set in std::iter::once(second).chain(sets) {
            members.extend(set.members);
            children.extend(set.children);
        }
        // Sorting finds that these are sorted lists.
        Set::new(members, children)
    }

    /// Adds a path; the empty path is nothing.
    pub fn insert(&mut self, path: &[Element<'a>]) {
        match path {
            [] => {}
            [last] => self.add(last.clone()),
            [first, rest @ ..] => {
                let mut below = Set::default();
                below.insert(rest);
                self.merge_below(first.clone(), below);
            }
        }
    }

    /// Adds a path of one element.
    pub fn add(&mut self, element: Element<'a>) {
        if let Err(at) = self.member(&element) {
            self.members.insert(at, element);
        }
    }

    /// Adds the paths of a set below an element.
    fn merge_below(&mut self, element: Element<'a>, below: Set<'a>) {
        match self.child(&element) {
            Ok(at) => self.children[at].1.extend(below),
            Err(at) => self.children.insert(at, (element, below)),
        }
    }

    fn member(&self, element: &Element<'_>) -> Result<usize, usize> {
        place(&self.members, element, |member| member)
    }

    fn child(&self, element: &Element<'_>) -> Result<usize, usize> {
        place(&self.children, element, |(child, _)| child)
    }

    /// Whether no path is in the set.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.iter().all(|(_, below)| below.is_empty())
    }

    /// Whether this very path is in the set.
    pub fn has(&self, element: &Element<'_>) -> bool {
        self.member(element).is_ok()
    }

    /// The paths below an element, if there are any.
    pub fn below(&self, element: &Element<'_>) -> Option<&Set<'a>> {
        let at = self.child(element).ok()?;
        Some(&self.children[at].1).filter(|below| !below.is_empty())
    }

    /// The elements that are paths by themselves.
    pub fn members(&self) -> &[Element<'a>] {
        &self.members
    }

    /// The elements that paths go on below, with those paths.
    pub fn children(&self) -> &[(Element<'a>, Set<'a>)] {
        &self.children
    }

    /// Whether the other set has all paths of this one.
    pub fn within(&self, other: &Set<'_>) -> bool {
        self.members.iter().all(|member| other.has(member))
            && self.children.iter().all(|(e, c)| c.is_empty() || other.below(e).is_some_and(|o| c.within(o)))
    }

    /// Puts an element in, itself or what is below it; it was not there before.
    pub(crate) fn attach(&mut self, element: Element<'a>, itself: bool, below: Set<'a>) {
        if below.is_empty() {
            if itself {
                self.add(element);
            }
            return;
        }
        if itself {
            self.add(element.clone());
        }
        self.merge_below(element, below);
    }

    /// Adds the paths of another set.
    pub fn extend(&mut self, other: Set<'a>) {
        *self = Set::of_all([std::mem::take(self), other]);
    }

    /// Takes out the paths that the other set has.
    pub fn subtract(&mut self, other: &Set<'_>) {
        self.take_out(other, false);
    }

    /// As [`Set::subtract`], and a member of the other takes everything below it along.
    pub fn subtract_recursive(&mut self, other: &Set<'_>) {
        self.take_out(other, true);
    }

    fn take_out(&mut self, other: &Set<'_>, recursive: bool) {
        if !other.members.is_empty() {
            self.members.retain(|member| !other.has(member));
        }
        if recursive && !other.members.is_empty() {
            self.children.retain(|(element, _)| !other.has(element));
        }
        if !other.children.is_empty() {
            self.children.retain_mut(|(element, own)| match other.below(element) {
                Some(below) => {
                    own.take_out(below, recursive);
                    !own.is_empty()
                }
                None => true,
            });
        }
    }

    /// The paths of either set.
    #[must_use]
    pub fn union(&self, other: &Set<'a>) -> Set<'a> {
        let mut result = self.clone();
        result.extend(other.clone());
        result
    }

    /// The paths of both sets.
    #[must_use]
    pub fn intersection(&self, other: &Set<'_>) -> Set<'a> {
        let children = self
            .children
            .iter()
            .filter_map(|(e, c)| Some((e.clone(), c.intersection(other.below(e)?))))
            .filter(|(_, c)| !c.is_empty())
            .collect();
        Set { members: self.members.iter().filter(|m| other.has(m)).cloned().collect(), children }
    }

    /// The paths of this set that the other lacks.
    #[must_use]
    pub fn difference(&self, other: &Set<'_>) -> Set<'a> {
        let mut result = self.clone();
        result.subtract(other);
        result
    }

    /// As [`Set::difference`], and a member of the other takes everything below it along.
    #[must_use]
    pub fn recursive_difference(&self, other: &Set<'_>) -> Set<'a> {
        let mut result = self.clone();
        result.subtract_recursive(other);
        result
    }

    /// The same set with everything of its own.
    #[must_use]
    pub fn into_owned(self) -> Set<'static> {
        Set {
            members: self.members.into_iter().map(Element::into_owned).collect(),
            children: self.children.into_iter().map(|(e, c)| (e.into_owned(), c.into_owned())).collect(),
        }
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
        Value::Object(self.encode_fields(DEPTH_MAX, false))
    }

    /// `itself`: the path to this set is owned, too.
    fn encode_fields(&self, depth: usize, itself: bool) -> Object {
        let none = || Value::Object(Object::new());
        let mut fields = Vec::with_capacity(self.members.len() + self.children.len() + 1);
        fields.extend(itself.then(|| (".".to_owned(), none())));
        let mut members = self.members.iter().peekable();
        for (element, child) in &self.children {
            while let Some(member) = members.next_if(|member| *member < element) {
                fields.push((member.encode(), none()));
            }
            let itself = members.next_if(|member| *member == element).is_some();
            let deeper = depth.checked_sub(1);
            let below = deeper.map_or_else(Object::new, |depth| child.encode_fields(depth, itself));
            fields.push((element.encode(), Value::Object(below)));
        }
        fields.extend(members.map(|member| (member.encode(), none())));
        fields.into_iter().collect()
    }

    /// Reads `FieldsV1`; `None` when it is malformed.
    pub fn decode(fields: &'a Object) -> Option<Set<'a>> {
        let (mut members, mut children) = (Vec::new(), Vec::new());
        for (key, below) in fields.iter().filter(|(key, _)| *key != ".") {
            let element = Element::decode(key)?;
            let below = below.as_object()?;
            if below.is_empty() || below.contains_key(".") {
                members.push(element.clone());
            }
            let below = Set::decode(below)?;
            if !below.is_empty() {
                children.push((element, below));
            }
        }
        Some(Set::new(members, children))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(fields: Value) -> Set<'static> {
        Set::decode(fields.as_object().unwrap()).unwrap().into_owned()
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
    fn sets_are_put_together_at_all_depths() {
        let sets = (0..1000).rev().map(|i| {
            let name = format!("f:{}", i % 500);
            set(json!({"f:metadata": {"f:labels": {name.clone(): {}}}, "f:spec": {}, name: {".": {}, "f:a": {}}}))
        });
        let all = Set::of_all(sets);
        assert_eq!(all.paths().len(), 500 + 1 + 2 * 500);
        assert_eq!(Set::decode(all.encode().as_object().unwrap()), Some(all.clone()));
        let mut again = all.clone();
        again.extend(all.clone());
        assert_eq!(again, all);
    }

    #[test]
    fn a_recursive_difference_takes_whole_branches() {
        let all = set(json!({"f:spec": {"f:a": {}}, "f:status": {"f:b": {}}}));
        let status = set(json!({"f:status": {}}));
        assert_eq!(all.recursive_difference(&status), set(json!({"f:spec": {"f:a": {}}})));
        assert_eq!(all.difference(&status), all);
    }
}
