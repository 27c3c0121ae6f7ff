//! The server's OpenAPI document: what `explain` shows, and checking manifests before they are sent
//! (upstream v1.10: `pkg/kubectl/cmd/util/openapi`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::context::Context;
use crate::discovery::split_api_version;
use crate::error::{Error, Result};
use crate::http::JSON;
use crate::value::Json;

/// The document, as far as it is used.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Document {
    definitions: BTreeMap<String, Schema>,
    /// What the values of an object are of which nothing is said.
    #[serde(skip)]
    anything: Schema,
}

/// One definition or one field.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Schema {
    /// What it is for.
    pub(crate) description: Option<String>,
    /// Its fields.
    pub(crate) properties: BTreeMap<String, Schema>,
    /// The fields that must be there.
    pub(crate) required: Vec<String>,
    #[serde(rename = "$ref")]
    reference: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    items: Option<Box<Schema>>,
    #[serde(rename = "additionalProperties", deserialize_with = "schema_or_bool")]
    additional: Option<Box<Schema>>,
    #[serde(rename = "allOf")]
    all_of: Vec<Schema>,
    #[serde(rename = "x-kubernetes-group-version-kind")]
    kinds: Vec<GroupVersionKind>,
}

/// What a schema is, one step deep.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape<'a> {
    /// Another definition.
    Reference(&'a Schema),
    /// An object with fields.
    Kind,
    /// A list of these.
    Array(&'a Schema),
    /// An object whose values are these.
    Map(&'a Schema),
    /// A scalar of this type.
    Primitive(&'a str),
    /// Anything.
    Arbitrary,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GroupVersionKind {
    group: String,
    version: String,
    kind: String,
}

fn schema_or_bool<'de, D: serde::Deserializer<'de>>(
    d: D,
) -> std::result::Result<Option<Box<Schema>>, D::Error> {
    let v = Value::deserialize(d)?;
    if v.is_object() {
        return Schema::deserialize(v).map(|s| Some(Box::new(s))).map_err(serde::de::Error::custom);
    }
    Ok(None)
}

impl Document {
    /// Asks the server for it.
    pub(crate) fn fetch(ctx: &mut Context) -> Result<Self> {
        let answer = ctx.http()?.send(http::Method::GET, "/openapi/v2", JSON, None)?;
        serde_json::from_slice(&answer.body)
            .map_err(|e| Error::Message(format!("the server's OpenAPI document: {e}")))
    }

    /// The definition of a kind.
    pub(crate) fn of_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Schema> {
        let is = |k: &GroupVersionKind| k.group == group && k.version == version && k.kind == kind;
        self.definitions.values().find(|s| s.kinds.iter().any(is))
    }

    /// Follows references; the name is that of the last definition.
    fn resolve<'a>(&'a self, schema: &'a Schema) -> (&'a Schema, Option<&'a str>) {
        match self.definition(schema) {
            Some((name, s)) => (s, Some(name)),
            None => (schema, None),
        }
    }

    fn definition(&self, schema: &Schema) -> Option<(&str, &Schema)> {
        let reference = schema.reference.as_deref().or(match schema.all_of.as_slice() {
            [one] => one.reference.as_deref(),
            _ => None,
        });
        let name = reference?.rsplit('/').next()?;
        self.definitions.get_key_value(name).map(|(name, s)| (name.as_str(), s))
    }

    /// What a schema is (upstream: `kube-openapi/pkg/util/proto.Definitions.ParseSchema`).
    pub(crate) fn shape<'a>(&'a self, schema: &'a Schema) -> Shape<'a> {
        if let Some((_, definition)) = self.definition(schema) {
            return Shape::Reference(definition);
        }
        match schema.kind.as_deref() {
            Some("array") => schema.items.as_deref().map_or(Shape::Arbitrary, Shape::Array),
            Some("object") | None if !schema.properties.is_empty() => Shape::Kind,
            Some("object") => Shape::Map(schema.additional.as_deref().unwrap_or(&self.anything)),
            Some(name) => Shape::Primitive(name),
            None => Shape::Arbitrary,
        }
    }

    /// `Object`, `[]string`, `map[string]string`: the type as `explain` shows it; nothing for what may be anything.
    pub(crate) fn type_name(&self, schema: &Schema) -> String {
        match self.shape(schema) {
            Shape::Reference(inner) => self.type_name(inner),
            Shape::Array(item) => format!("[]{}", self.type_name(item)),
            Shape::Map(value) => format!("map[string]{}", self.type_name(value)),
            Shape::Kind => "Object".into(),
            Shape::Primitive(name) => name.into(),
            Shape::Arbitrary => String::new(),
        }
    }

    /// What is wrong with an object (upstream: `kube-openapi/pkg/util/proto/validation`).
    pub(crate) fn validate(&self, object: &Value) -> Vec<String> {
        let (group, version) = split_api_version(object.s("apiVersion"));
        let kind = object.s("kind");
        let mut errors = Vec::new();
        if let Some(schema) = self.of_kind(group, version, kind) {
            self.check(schema, "", object, kind, &mut errors);
        }
        errors
    }

    fn check(&self, schema: &Schema, field: &str, v: &Value, path: &str, errors: &mut Vec<String>) {
        if v.is_null() {
            return;
        }
        let (s, name) = self.resolve(schema);
        let name = name.or_else(|| self.name_of(s)).unwrap_or(field);
        let invalid = |expected: &str| {
            format!(
                "ValidationError({path}): invalid type for {name}: got \"{}\", expected \"{expected}\"",
                type_of(v)
            )
        };
        if !s.properties.is_empty() {
            let Value::Object(m) = v else {
                errors.push(invalid("map"));
                return;
            };
            for (k, inner) in m {
                match s.properties.get(k) {
                    Some(p) => self.check(p, &format!("{name}.{k}"), inner, &format!("{path}.{k}"), errors),
                    None => errors.push(format!("ValidationError({path}): unknown field \"{k}\" in {name}")),
                }
            }
            for r in s.required.iter().filter(|r| m.get(*r).is_none_or(Value::is_null)) {
                errors.push(format!("ValidationError({path}): missing required field \"{r}\" in {name}"));
            }
            return;
        }
        if let Some(items) = &s.items {
            let Value::Array(a) = v else {
                errors.push(invalid("array"));
                return;
            };
            for (i, inner) in a.iter().enumerate() {
                self.check(items, name, inner, &format!("{path}[{i}]"), errors);
            }
            return;
        }
        if let Some(additional) = &s.additional {
            let Value::Object(m) = v else {
                errors.push(invalid("map"));
                return;
            };
            for (k, inner) in m {
                self.check(additional, name, inner, &format!("{path}.{k}"), errors);
            }
            return;
        }
        let fits = match s.kind.as_deref() {
            Some("string") => !v.is_object() && !v.is_array(),
            Some("integer" | "number") => v.is_number(),
            Some("boolean") => v.is_boolean(),
            _ => true,
        };
        if !fits {
            errors.push(invalid(s.kind.as_deref().unwrap_or("")));
        }
    }

    fn name_of(&self, schema: &Schema) -> Option<&str> {
        self.definitions.iter().find(|(_, s)| std::ptr::eq(*s, schema)).map(|(n, _)| n.as_str())
    }
}

fn type_of(v: &Value) -> &'static str {
    match v {
        Value::Null => "nil",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "map",
    }
}

/// Checks an object of a file against the server's document; servers without one check by themselves.
pub(crate) fn validate(ctx: &mut Context, object: &Value) -> std::result::Result<(), Vec<String>> {
    for key in ["apiVersion", "kind"] {
        if object.s(key).is_empty() {
            return Err(vec![format!("{key} not set")]);
        }
    }
    let errors = match ctx.openapi() {
        Some(d) => d.validate(object),
        None => Vec::new(),
    };
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn errors_are_those_of_v1_10() {
        let d: Document = serde_json::from_value(json!({"definitions": {
            "v1.Pod": {"properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "spec": {"$ref": "#/definitions/v1.PodSpec"}},
                "x-kubernetes-group-version-kind": [{"group": "", "kind": "Pod", "version": "v1"}]},
            "v1.PodSpec": {"required": ["containers"], "properties": {
                "containers": {"type": "array", "items": {"$ref": "#/definitions/v1.Container"}}}},
            "v1.Container": {"required": ["name"], "properties": {"name": {"type": "string"}, "tty": {"type": "boolean"}}}}}))
        .unwrap();
        let check = |spec: Value| d.validate(&json!({"apiVersion": "v1", "kind": "Pod", "spec": spec}));
        assert_eq!(check(json!({"containers": [{"name": "a"}]})), Vec::<String>::new());
        assert_eq!(
            check(json!({"containers": [{"name": "a", "imagee": "x"}]})),
            ["ValidationError(Pod.spec.containers[0]): unknown field \"imagee\" in v1.Container"]
        );
        assert_eq!(
            check(json!({"containers": [{"tty": "x"}]})),
            [
                "ValidationError(Pod.spec.containers[0].tty): invalid type for v1.Container.tty: got \"string\", expected \"boolean\"",
                "ValidationError(Pod.spec.containers[0]): missing required field \"name\" in v1.Container"
            ]
        );
    }
}
