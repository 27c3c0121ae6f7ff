//! A JSON patch once more, on an object whose keys have an order. Upstream's library takes apart only what a path leads
//! through: the keys of that are sorted afterwards, while everything else, moved or not, stays as it was written. Texts of
//! errors quote the outcome, and nothing else shows it.

use std::fmt;

use api::Value;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// JSON whose objects keep the order of their keys.
#[derive(Clone, Debug)]
enum Node {
    Scalar(Value),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// What the patch makes of an object (as text in the order of its Go types); `None` if it cannot be told.
pub(super) fn replay(before: &str, patch: &[u8]) -> Option<String> {
    let mut root: Node = serde_json::from_str(before).ok()?;
    let Node::List(operations) = serde_json::from_slice(patch).ok()? else { return None };
    root.open();
    for operation in &operations {
        root.run(operation)?;
    }
    let mut out = String::with_capacity(before.len());
    root.write(&mut out);
    Some(out)
}

fn steps(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|s| s.replace("~1", "/").replace("~0", "~")).collect()
}

/// Where in a list of so many places an index points; negative ones count from its end.
fn place(index: &str, places: usize) -> Option<usize> {
    let number: i64 = index.parse().ok()?;
    let at = if number < 0 { number.checked_add(i64::try_from(places).ok()?)? } else { number };
    usize::try_from(at).ok().filter(|at| *at < places)
}

impl Node {
    /// The library takes an object apart: its keys are sorted from now on.
    fn open(&mut self) {
        if let Node::Object(fields) = self {
            fields.sort_by(|a, b| a.0.cmp(&b.0));
        }
    }

    fn open_all(&mut self) {
        self.open();
        match self {
            Node::Scalar(_) => {}
            Node::List(items) => items.iter_mut().for_each(Node::open_all),
            Node::Object(fields) => fields.iter_mut().for_each(|(_, value)| value.open_all()),
        }
    }

    fn field(&self, name: &str) -> Option<&Node> {
        let Node::Object(fields) = self else { return None };
        fields.iter().rfind(|(key, _)| key == name).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.field(name)? {
            Node::Scalar(value) => value.as_str(),
            _ => None,
        }
    }

    fn at(&mut self, step: &str) -> Option<&mut Node> {
        match self {
            Node::Scalar(_) => None,
            Node::List(items) => {
                let at = place(step, items.len())?;
                items.get_mut(at)
            }
            Node::Object(fields) => fields.iter_mut().rfind(|(key, _)| key == step).map(|(_, value)| value),
        }
    }

    /// The container of what a pointer names, taken apart as all on the way to it, and the name in it.
    fn container(&mut self, pointer: &str) -> Option<(&mut Node, String)> {
        let mut steps = steps(pointer);
        let last = steps.pop()?;
        let mut at = self;
        for step in &steps {
            at = at.at(step)?;
            at.open();
        }
        Some((at, last))
    }

    fn add(&mut self, pointer: &str, value: Node) -> Option<()> {
        let (container, name) = self.container(pointer)?;
        match container {
            Node::Scalar(_) => return None,
            Node::List(items) if name == "-" => items.push(value),
            Node::List(items) => {
                let at = place(&name, items.len() + 1)?;
                items.insert(at, value);
            }
            Node::Object(fields) => match fields.binary_search_by(|(key, _)| key.as_str().cmp(&name)) {
                Ok(at) => fields[at].1 = value,
                Err(at) => fields.insert(at, (name, value)),
            },
        }
        Some(())
    }

    fn remove(&mut self, pointer: &str) -> Option<Node> {
        let (container, name) = self.container(pointer)?;
        match container {
            Node::Scalar(_) => None,
            Node::List(items) => {
                let at = place(&name, items.len())?;
                Some(items.remove(at))
            }
            Node::Object(fields) => {
                let at = fields.iter().position(|(key, _)| *key == name)?;
                Some(fields.remove(at).1)
            }
        }
    }

    fn run(&mut self, operation: &Node) -> Option<()> {
        let path = operation.text("path")?;
        let value = || operation.field("value").cloned().unwrap_or(Node::Scalar(Value::Null));
        match operation.text("op")? {
            "add" => self.add(path, value()),
            "replace" => {
                let (container, name) = self.container(path)?;
                *container.at(&name)? = value();
                Some(())
            }
            "remove" => self.remove(path).map(|_| ()),
            "move" => {
                let moved = self.remove(operation.text("from")?)?;
                self.add(path, moved)
            }
            "copy" => {
                let from = operation.text("from")?;
                self.container(from)?;
                // The way to the new place is taken apart before the copy is made.
                self.container(path)?;
                let (container, name) = self.container(from)?;
                let copied = container.at(&name)?.clone();
                self.add(path, copied)
            }
            "test" => {
                let (container, name) = self.container(path)?;
                // To compare, all of it is taken apart. What is not there equals null.
                if let Some(tested) = container.at(&name) {
                    tested.open_all();
                }
                Some(())
            }
            _ => None,
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Node::Scalar(value) => out.push_str(&value.to_string()),
            Node::List(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Node::Object(fields) => {
                out.push('{');
                for (i, (name, value)) in fields.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    out.push_str(&Value::from(name.as_str()).to_string());
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = access.next_entry()? {
            fields.push(field);
        }
        Ok(Node::Object(fields))
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::replay;

    const BEFORE: &str =
        r#"{"kind":"K","metadata":{"name":"n","labels":{"a":"b"}},"spec":{"z":{"y":1,"x":2},"b":[]}}"#;

    #[test]
    fn what_is_moved_keeps_its_order_and_the_way_to_it_is_sorted() {
        let moved = replay(BEFORE, br#"[{"op":"move","from":"/metadata","path":"/spec/b/0"}]"#);
        let expected = r#"{"kind":"K","spec":{"b":[{"name":"n","labels":{"a":"b"}}],"z":{"y":1,"x":2}}}"#;
        assert_eq!(moved.as_deref(), Some(expected));
        let opened = replay(
            BEFORE,
            br#"[{"op":"remove","path":"/metadata/labels/a"},{"op":"copy","from":"/metadata","path":"/spec/m"}]"#,
        );
        let copied = r#"{"labels":{},"name":"n"}"#;
        let expected = format!(
            r#"{{"kind":"K","metadata":{copied},"spec":{{"b":[],"m":{copied},"z":{{"y":1,"x":2}}}}}}"#
        );
        assert_eq!(opened, Some(expected));
    }

    #[test]
    fn what_is_copied_into_itself_is_sorted_as_far_as_the_way_goes() {
        let copied = replay(BEFORE, br#"[{"op":"copy","from":"/metadata","path":"/metadata/labels"}]"#);
        let expected = r#"{"kind":"K","metadata":{"labels":{"labels":{"a":"b"},"name":"n"},"name":"n"},"spec":{"z":{"y":1,"x":2},"b":[]}}"#;
        assert_eq!(copied.as_deref(), Some(expected));
    }

    #[test]
    fn added_values_stay_as_sent_and_tested_ones_are_sorted() {
        let patch = br#"[{"op":"test","path":"/spec/z","value":{"x":2,"y":1}},
            {"op":"add","path":"/spec/b/-","value":{"q":1,"p":2}},{"op":"replace","path":"/metadata/name","value":1}]"#;
        let expected = r#"{"kind":"K","metadata":{"labels":{"a":"b"},"name":1},"spec":{"b":[{"q":1,"p":2}],"z":{"x":2,"y":1}}}"#;
        assert_eq!(replay(BEFORE, patch).as_deref(), Some(expected));
        assert_eq!(replay(BEFORE, br#"[{"op":"remove","path":"/nowhere"}]"#), None);
    }
}
