//! Scales: `autoscaling/v1` is the hub, old versions carry the selector as a map beside its text.

use serde_json::json;

use super::child;
use crate::decode::zero;
use crate::kinds;
use crate::schema::{self, Type};
use crate::selector::{LabelSelector, Operator};
use crate::{Object, Value};

fn finish(group: &str, version: &str, object: &mut Value) {
    let schemas = schema::builtin();
    let package = format!("io.k8s.api.{group}.{version}.Scale");
    if let Some(ty) = schemas.by_name(&package) {
        zero::normalise(schemas, &Type::Struct(ty), object);
    }
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".to_owned(), kinds::group_version(group, version).into());
        fields.insert("kind".to_owned(), "Scale".into());
    }
}

/// A `Scale` of `extensions/v1beta1`, `apps/v1beta1` or `apps/v1beta2` as one of `autoscaling/v1`.
pub fn scale_to_hub(mut scale: Value) -> Value {
    if let Some(status) = scale.as_object_mut().and_then(|o| child(o, "status"))
        && !status.get("selector").is_some_and(Value::is_string)
    {
        let map = status.remove("selector");
        let text = status.remove("targetSelector").and_then(|t| t.as_str().map(str::to_owned));
        let text = match (text.filter(|t| !t.is_empty()), map) {
            (Some(text), _) => text,
            (None, Some(Value::Object(map))) => LabelSelector::from_set(&map).to_string(),
            _ => String::new(),
        };
        status.insert("selector".to_owned(), text.into());
    }
    finish("autoscaling", "v1", &mut scale);
    scale
}

/// A `Scale` of `autoscaling/v1` in an old version.
pub fn scale_from_hub(group: &str, version: &str, mut scale: Value) -> Value {
    if group != "autoscaling"
        && let Some(status) = scale.as_object_mut().and_then(|o| child(o, "status"))
    {
        let text = match status.remove("selector") {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        if let Some(map) = as_map(&text) {
            status.insert("selector".to_owned(), map.into());
        }
        status.insert("targetSelector".to_owned(), json!(text));
    }
    finish(group, version, &mut scale);
    scale
}

/// The selector as a map, when it only asks for equality.
fn as_map(text: &str) -> Option<Object> {
    let selector = LabelSelector::parse(text).ok()?;
    let mut map = Object::new();
    for r in selector.requirements() {
        match (r.operator, r.values.as_slice()) {
            (Operator::Equals | Operator::DoubleEquals, [value]) => {
                map.insert(r.key.clone(), value.as_str().into());
            }
            _ => return None,
        }
    }
    Some(map)
}
