//! Parsing only what a printer looks at. A pod of 3 KB has some 200 values, its row needs 20.

use std::fmt;
use std::sync::LazyLock;

use api::json::Wanted;
use api::{Object, Value};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The field of `metadata` that no printer reads.
const NEVER: &str = "managedFields";

/// What a pod's row is made of.
static POD: LazyLock<Wanted> = LazyLock::new(|| {
    Wanted::of([
        "metadata.creationTimestamp",
        "metadata.deletionTimestamp",
        "metadata.name",
        "spec.containers.name",
        "spec.initContainers.name",
        "spec.initContainers.restartPolicy",
        "spec.nodeName",
        "spec.readinessGates.conditionType",
        "status.conditions.reason",
        "status.conditions.status",
        "status.conditions.type",
        "status.containerStatuses.lastState.terminated.finishedAt",
        "status.containerStatuses.ready",
        "status.containerStatuses.restartCount",
        "status.containerStatuses.state",
        "status.initContainerStatuses.lastState.terminated.finishedAt",
        "status.initContainerStatuses.name",
        "status.initContainerStatuses.ready",
        "status.initContainerStatuses.restartCount",
        "status.initContainerStatuses.started",
        "status.initContainerStatuses.state",
        "status.nominatedNodeName",
        "status.phase",
        "status.podIP",
        "status.podIPs.ip",
        "status.reason",
    ])
});

/// Parses what the row of a resource is made of: for pods, of which there are many, nothing else.
pub(crate) fn parse(json: &[u8], resource: &str) -> Result<Value, serde_json::Error> {
    if resource == "pods" {
        return POD.parse(json);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = Skip::Root.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Everything but the field that no printer reads. Elsewhere its name may be a user's: a key of a config map's data.
#[derive(Clone, Copy, PartialEq)]
enum Skip {
    Root,
    Metadata,
    Nothing,
}

impl Skip {
    fn below(self, field: &str) -> Skip {
        if self == Skip::Root && field == "metadata" { Skip::Metadata } else { Skip::Nothing }
    }
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
            if self == Skip::Metadata && key == NEVER {
                map.next_value::<IgnoredAny>()?;
            } else {
                let value = map.next_value_seed(self.below(&key))?;
                fields.insert(key, value);
            }
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A config map whose data had such a key was shown with one entry less.
    #[test]
    fn a_users_own_key_is_no_managed_field() {
        let text = br#"{"metadata": {"name": "a", "managedFields": []}, "data": {"managedFields": "1"}}"#;
        let read = parse(text, "configmaps").unwrap();
        assert_eq!(read, serde_json::json!({"metadata": {"name": "a"}, "data": {"managedFields": "1"}}));
    }
}
