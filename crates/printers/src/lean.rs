//! Parsing only what a printer looks at. A pod of 3 KB has some 200 values, its row needs 20.

use std::fmt;

use api::{Object, Value};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Fields that no printer reads, wherever they stand.
const NEVER: &[&str] = &["managedFields"];

/// Fields that a pod's row does not need, wherever they stand.
const NOT_FOR_PODS: &[&str] = &[
    "affinity",
    "allocatedResources",
    "annotations",
    "args",
    "command",
    "containerID",
    "env",
    "envFrom",
    "image",
    "imageID",
    "imagePullPolicy",
    "labels",
    "lifecycle",
    "livenessProbe",
    "managedFields",
    "message",
    "ownerReferences",
    "ports",
    "readinessProbe",
    "resources",
    "securityContext",
    "startupProbe",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tolerations",
    "topologySpreadConstraints",
    "user",
    "volumeMounts",
    "volumes",
];

/// Which fields are left out.
#[derive(Clone, Copy)]
pub(crate) struct Skip(&'static [&'static str]);

impl Skip {
    pub(crate) fn of(resource: &str) -> Skip {
        Skip(if resource == "pods" { NOT_FOR_PODS } else { NEVER })
    }
}

/// Parses an object without the fields to be skipped.
pub(crate) fn parse(json: &[u8], skip: Skip) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = skip.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

impl<'de> DeserializeSeed<'de> for Skip {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }
    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(v.into())
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
        while let Some(key) = map.next_key::<String>()? {
            if self.0.binary_search(&key.as_str()).is_ok() {
                map.next_value::<IgnoredAny>()?;
            } else {
                let value = map.next_value_seed(self)?;
                fields.insert(key, value);
            }
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_skipped_fields_are_sorted() {
        assert!(NOT_FOR_PODS.is_sorted() && NEVER.is_sorted());
    }
}
