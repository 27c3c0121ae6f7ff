//! Parsing only what is looked at: of a pod's 200 values, selectors know a dozen, its row in a table twenty.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::{Object, Value};

/// The fields that are wanted, as a tree of names. Lists are passed through: below them are the names of their items.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Also what `below` does not name.
    rest: bool,
    below: BTreeMap<Box<str>, Wanted>,
}

impl Wanted {
    /// The fields at these paths (`spec.nodeName`), each with everything below it.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Wanted {
        let mut wanted = Wanted::default();
        paths.into_iter().for_each(|path| wanted.at(path).rest = true);
        wanted
    }

    /// Everything but the field at this path.
    pub fn all_but(path: &str) -> Wanted {
        let mut wanted = Wanted { rest: true, ..Wanted::default() };
        let mut at = &mut wanted;
        for name in path.split('.') {
            at = at.below.entry(name.into()).or_insert(Wanted { rest: true, ..Wanted::default() });
        }
        at.rest = false;
        wanted
    }

    fn at(&mut self, path: &str) -> &mut Wanted {
        path.split('.').fold(self, |at, name| at.below.entry(name.into()).or_default())
    }

    fn is_nothing(&self) -> bool {
        !self.rest && self.below.is_empty()
    }

    /// The wanted fields of an object; all of it is checked to be JSON.
    pub fn parse(&self, json: &[u8]) -> Result<Value, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let value = self.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(value)
    }

    /// What is no object where one was expected has none of the fields.
    fn scalar(&self, value: impl Into<Value>) -> Value {
        if self.rest { value.into() } else { Value::Null }
    }
}

impl<'de> DeserializeSeed<'de> for &Wanted {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.rest && self.below.is_empty() {
            return serde::Deserialize::deserialize(deserializer);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &Wanted {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }
    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(self.scalar(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(self.scalar(v))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(self.scalar(v))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(self.scalar(v))
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(self.scalar(v))
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Object::new();
        while let Some(found) = map.next_key_seed(Key(self))? {
            match found {
                Found::Named(name, below) => {
                    let value = map.next_value_seed(below)?;
                    fields.insert(name.to_owned(), value);
                }
                Found::Rest(name) => {
                    let value = map.next_value()?;
                    fields.insert(name, value);
                }
                Found::Nothing => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Value::Object(fields))
    }
}

/// Looks a key up without copying it, unless it is wanted as part of the rest.
struct Key<'a>(&'a Wanted);

enum Found<'a> {
    Named(&'a str, &'a Wanted),
    Rest(String),
    Nothing,
}

impl<'de, 'a> DeserializeSeed<'de> for Key<'a> {
    type Value = Found<'a>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Key<'a> {
    type Value = Found<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(match self.0.below.get_key_value(key) {
            Some((_, below)) if below.is_nothing() => Found::Nothing,
            Some((name, below)) => Found::Named(name, below),
            None if self.0.rest => Found::Rest(key.to_owned()),
            None => Found::Nothing,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_wanted_fields_are_kept_and_all_is_checked() {
        let mut wanted = Wanted::of(["metadata.labels", "spec.nodeName", "type"]);
        let text = br#"{"metadata":{"name":"a","labels":{"a":"1"}},"spec":{"x":[1],"nodeName":"n"},"type":[2],"z":{}}"#;
        let expected = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"nodeName": "n"}, "type": [2]});
        assert_eq!(wanted.parse(text).unwrap(), expected);
        let odd = wanted.parse(br#"{"metadata":[{"x":1,"labels":2},3],"spec":"x"}"#).unwrap();
        assert_eq!(odd, json!({"metadata": [{"labels": 2}, null], "spec": null}));
        assert!(wanted.parse(br#"{"z":{]}"#).is_err() && wanted.parse(b"{} {}").is_err());
        wanted.at("spec").rest = true;
        assert_eq!(wanted.parse(br#"{"spec":{"x":1}}"#).unwrap(), json!({"spec": {"x": 1}}));
    }
}
