//! Parsing only what is looked at: of a pod's 200 values, selectors know a dozen, its row in a table twenty.

use std::ops::Range;

use super::{Malformed, Reader};
use crate::{Object, Value};

/// The fields that are wanted, as a tree of names. Lists are passed through: below them are the names of their items.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Also what `below` does not name.
    rest: bool,
    /// Few: they are found faster one after the other than in a map.
    below: Vec<(Box<str>, Wanted)>,
}

static ALL: Wanted = Wanted { rest: true, below: Vec::new() };

impl Wanted {
    /// The fields at these paths (`spec.nodeName`), each with everything below it.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Wanted {
        let mut wanted = Wanted::default();
        for path in paths {
            path.split('.').fold(&mut wanted, |at, name| at.named(name, false)).rest = true;
        }
        wanted
    }

    /// Everything but the field at this path.
    pub fn all_but(path: &str) -> Wanted {
        let mut wanted = ALL.clone();
        path.split('.').fold(&mut wanted, |at, name| at.named(name, true)).rest = false;
        wanted
    }

    fn named(&mut self, name: &str, rest: bool) -> &mut Wanted {
        let known = self.below.iter().position(|(n, _)| **n == *name);
        let at = known.unwrap_or_else(|| {
            self.below.push((name.into(), Wanted { rest, ..Wanted::default() }));
            self.below.len() - 1
        });
        &mut self.below[at].1
    }

    /// What is wanted of the value of a field; none when it is not looked at.
    pub fn field(&self, name: &str) -> Option<&Wanted> {
        self.find(name.as_bytes())
    }

    fn find(&self, name: &[u8]) -> Option<&Wanted> {
        match self.below.iter().find(|(n, _)| n.as_bytes() == name) {
            Some((_, below)) => (below.rest || !below.below.is_empty()).then_some(below),
            None => self.rest.then_some(&ALL),
        }
    }

    /// The wanted fields of an object; all of it is checked to be JSON.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn parse(&self, json: &[u8]) -> Result<Value, Malformed> {
        self.parse_past(json, 0..0)
    }

    /// As [`Wanted::parse`], of a text in which one value is not wanted and is known to be JSON.
    ///
    /// # Errors
    /// The rest is no JSON.
    pub fn parse_past(&self, json: &[u8], known: Range<usize>) -> Result<Value, Malformed> {
        let mut reader = Reader::knowing(json, known);
        let value = self.read(&mut reader)?;
        reader.end()?;
        Ok(value)
    }

    /// Reads the next value, of which only the wanted fields are kept. What is no object where one was expected has none
    /// of them.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn read(&self, reader: &mut Reader<'_>) -> Result<Value, Malformed> {
        self.read_at(reader, 0)
    }

    fn read_at(&self, reader: &mut Reader<'_>, depth: usize) -> Result<Value, Malformed> {
        if self.rest && self.below.is_empty() {
            return reader.value(depth);
        }
        match reader.peek()? {
            b'{' => {
                reader.expect(b'{')?;
                let (mut fields, mut first) = (Object::new(), true);
                while reader.more(first, b'}')? {
                    first = false;
                    let name = reader.key_bytes()?;
                    match self.find(&name) {
                        Some(wanted) => {
                            let value = wanted.read_at(reader, depth + 1)?;
                            fields.insert(String::from_utf8_lossy(&name).into_owned(), value);
                        }
                        None => reader.skip()?,
                    }
                }
                Ok(Value::Object(fields))
            }
            b'[' => {
                if depth > super::MAX_VALUE_DEPTH {
                    return Err(Malformed);
                }
                reader.expect(b'[')?;
                let mut items = Vec::new();
                while reader.more(items.is_empty(), b']')? {
                    items.push(self.read_at(reader, depth + 1)?);
                }
                Ok(Value::Array(items))
            }
            _ if self.rest => reader.value(depth),
            _ => reader.skip().map(|()| Value::Null),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_wanted_fields_are_kept_and_all_is_checked() {
        let wanted = Wanted::of(["metadata.labels", "spec.nodeName", "type"]);
        let text = br#"{"metadata":{"name":"a","labels":{"a":"1"}},"spec":{"x":[1],"nodeName":"n"},"type":[2],"z":{}}"#;
        let expected = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"nodeName": "n"}, "type": [2]});
        assert_eq!(wanted.parse(text).unwrap(), expected);
        let odd = wanted.parse(br#"{"metadata":[{"x":1,"labels":2},3],"spec":"x"}"#).unwrap();
        assert_eq!(odd, json!({"metadata": [{"labels": 2}, null], "spec": null}));
        assert!(wanted.parse(br#"{"z":{]}"#).is_err() && wanted.parse(b"{} {}").is_err());
    }

    #[test]
    fn all_but_one_field_is_all_else() {
        let wanted = Wanted::all_but("metadata.managedFields");
        let text =
            br#"{"metadata":{"name":"a","managedFields":[{"x":1}]},"managedFields":[2,{"metadata":3}]}"#;
        let expected = json!({"metadata": {"name": "a"}, "managedFields": [2, {"metadata": 3}]});
        assert_eq!(wanted.parse(text).unwrap(), expected);
        assert_eq!(wanted.parse(br#"{"metadata":"x"}"#).unwrap(), json!({"metadata": "x"}));
    }

    #[test]
    fn a_known_value_is_not_looked_at() {
        let text = br#"{"a":1,"k\u0065y":[}{],"b":2}"#;
        let wanted = Wanted::of(["a", "b"]);
        assert!(wanted.parse(text).is_err());
        let at = text.iter().position(|b| *b == b'[').unwrap();
        assert_eq!(wanted.parse_past(text, at..at + 4).unwrap(), json!({"a": 1, "b": 2}));
    }

    #[test]
    fn lists_that_nest_without_end_are_refused() {
        let wanted = Wanted::of(["a.b"]);
        let deep = [br#"{"a":"#.to_vec(), b"[".repeat(5_000), b"]".repeat(5_000), b"}".to_vec()].concat();
        assert!(wanted.parse(&deep).is_err());
    }
}
