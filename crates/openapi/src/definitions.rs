//! A type as a JSON schema.
//!
//! The two documents speak two dialects: v3 wraps references (`allOf`) so that a default can stand beside them, and says
//! exactly what scalars of several types may be.

use api::schema::{Field, ListType, Schemas, Struct, StructId, Type};
use api::{Object, Value};
use serde_json::json;

use crate::descriptions::Descriptions;

/// Which document a schema is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `/openapi/v2`.
    V2,
    /// `/openapi/v3`.
    V3,
}

/// Types that OpenAPI knows by name although they are scalars here.
pub const SCALARS: [(&str, Type); 5] = [
    ("io.k8s.apimachinery.pkg.api.resource.Quantity", Type::Quantity),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", Type::MicroTime),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", Type::Time),
    ("io.k8s.apimachinery.pkg.runtime.RawExtension", Type::RawExtension),
    ("io.k8s.apimachinery.pkg.util.intstr.IntOrString", Type::IntOrString),
];

impl Dialect {
    /// `#/definitions/NAME`, or where v3 keeps its schemas.
    pub fn reference(self, name: &str) -> Value {
        match self {
            Dialect::V2 => json!({"$ref": format!("#/definitions/{name}")}),
            Dialect::V3 => json!({"$ref": format!("#/components/schemas/{name}")}),
        }
    }
}

/// An object of any form, in OpenAPI's own words its fields in a managed fields entry.
const FIELDS_V1: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1";

/// Anything at all, beside the schemas of custom resource definitions.
const ANYTHING: [&str; 4] =
    ["JSON", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray"];

/// The definition of a named scalar.
pub fn scalar(ty: &Type, dialect: Dialect) -> Value {
    match (ty, dialect) {
        (Type::Quantity, Dialect::V2) => json!({"type": "string"}),
        (Type::Quantity, Dialect::V3) => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        (Type::IntOrString, Dialect::V2) => json!({"type": "string", "format": "int-or-string"}),
        (Type::IntOrString, Dialect::V3) => {
            json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
        }
        (Type::Time | Type::MicroTime, _) => json!({"type": "string", "format": "date-time"}),
        (Type::RawExtension, _) => json!({"type": "object"}),
        _ => json!({}),
    }
}

/// Writes the types of a source in a dialect.
#[derive(Clone, Copy, Debug)]
pub struct Definitions<'a> {
    /// The types.
    pub schemas: &'a Schemas,
    /// What they are for.
    pub descriptions: &'a Descriptions<'a>,
    /// Which document they are for.
    pub dialect: Dialect,
}

impl Definitions<'_> {
    /// A definition by its name.
    pub fn by_name(&self, name: &str) -> Option<Value> {
        let mut definition = match SCALARS.iter().find(|(n, _)| *n == name) {
            Some((_, ty)) => scalar(ty, self.dialect),
            None if name == FIELDS_V1 => json!({"type": "object"}),
            None if name.rsplit('.').next().is_some_and(|last| ANYTHING.contains(&last)) => json!({}),
            None => self.of_struct(self.schemas.get(self.schemas.by_name(name)?)),
        };
        describe(&mut definition, self.descriptions.of(name));
        Some(definition)
    }

    /// The definition of an object type.
    pub fn of_struct(&self, s: &Struct) -> Value {
        let mut definition = Object::new();
        definition.insert("type".into(), "object".into());
        let required: Vec<&str> = s.fields.iter().filter(|f| f.required).map(|f| &*f.name).collect();
        if !required.is_empty() {
            definition.insert("required".into(), required.into());
        }
        let properties: Object = s.fields.iter().map(|f| (f.name.to_string(), self.of_field(s, f))).collect();
        if !properties.is_empty() {
            definition.insert("properties".into(), properties.into());
        }
        if !s.kinds.is_empty() {
            let kinds: Vec<Value> = s
                .kinds
                .iter()
                .map(|k| json!({"group": k.group, "kind": k.kind, "version": k.version}))
                .collect();
            definition.insert("x-kubernetes-group-version-kind".into(), kinds.into());
        }
        if s.atomic {
            definition.insert("x-kubernetes-map-type".into(), "atomic".into());
        }
        if let Some(unions) = s.unions.as_deref().and_then(|u| serde_json::from_str::<Value>(u).ok()) {
            definition.insert("x-kubernetes-unions".into(), unions);
        }
        definition.into()
    }

    fn of_field(&self, of: &Struct, field: &Field) -> Value {
        let mut schema = self.of_type(of, &field.ty);
        if self.dialect == Dialect::V3
            && let Some(reference) = schema.as_object_mut().and_then(|o| o.remove("$ref"))
        {
            schema = json!({"allOf": [{"$ref": reference}]});
            // What upstream's Go types hold by value is there even when nobody sets it.
            if !field.pointer && matches!(field.ty, Type::Struct(_)) {
                schema["default"] = json!({});
            }
        }
        describe(&mut schema, self.descriptions.of_field(of, &field.name));
        let Some(fields) = schema.as_object_mut() else { return schema };
        let extras = field.extras();
        if let Some(default) = extras.default.as_deref().and_then(|d| serde_json::from_str::<Value>(d).ok())
            && self.dialect == Dialect::V3
        {
            fields.insert("default".into(), default);
        } else if self.dialect == Dialect::V3 && !field.omit_empty && !field.pointer {
            // What Go always writes has its zero value as default.
            let zero = match &field.ty {
                Type::String(_) => Some(Value::from("")),
                Type::Int32 | Type::Int64 | Type::Number => Some(0.into()),
                Type::Boolean => Some(false.into()),
                _ => None,
            };
            if let Some(zero) = zero {
                fields.insert("default".into(), zero);
            }
        }
        if !extras.enum_values.is_empty() {
            let values: Value = extras.enum_values.iter().map(|v| Value::from(&**v)).collect();
            let below = match &field.ty {
                Type::List(_) => fields.get_mut("items"),
                Type::Map(_) => fields.get_mut("additionalProperties"),
                _ => None,
            };
            match below.and_then(Value::as_object_mut) {
                Some(of_each) => of_each.insert("enum".into(), values),
                None => fields.insert("enum".into(), values),
            };
        }
        if let Type::List(list) = &field.ty
            && list.declared
        {
            let kind = match &list.kind {
                ListType::Atomic => "atomic",
                ListType::Set => "set",
                ListType::Map(_) => "map",
            };
            fields.insert("x-kubernetes-list-type".into(), kind.into());
            if let ListType::Map(keys) = &list.kind {
                let keys: Vec<&str> = keys.iter().map(|k| &**k).collect();
                fields.insert("x-kubernetes-list-map-keys".into(), keys.into());
            }
        }
        if field.atomic || matches!(&field.ty, Type::Map(map) if map.atomic) {
            fields.insert("x-kubernetes-map-type".into(), "atomic".into());
        } else if field.granular {
            fields.insert("x-kubernetes-map-type".into(), "granular".into());
        }
        if let Some(key) = &extras.patch_merge_key {
            fields.insert("x-kubernetes-patch-merge-key".into(), (**key).into());
        }
        let said = field.patch_strategy;
        let words = [(said.merge, "merge"), (said.replace, "replace"), (said.retain_keys, "retainKeys")];
        let words: Vec<&str> = words.into_iter().filter(|(said, _)| *said).map(|(_, word)| word).collect();
        if !words.is_empty() {
            fields.insert("x-kubernetes-patch-strategy".into(), words.join(",").into());
        }
        schema
    }

    fn of_type(&self, of: &Struct, ty: &Type) -> Value {
        let suffixed = |id: &StructId, suffix: &str| {
            self.dialect.reference(&format!("{}{suffix}", self.schemas.get(*id).name))
        };
        match ty {
            Type::Any => match of.name.strip_suffix("JSONSchemaProps") {
                Some(package) => self.dialect.reference(&format!("{package}JSON")),
                None => self.dialect.reference(FIELDS_V1),
            },
            Type::String(_) | Type::Duration => json!({"type": "string"}),
            Type::Bytes => json!({"type": "string", "format": "byte"}),
            Type::Int32 => json!({"type": "integer", "format": "int32"}),
            Type::Int64 => json!({"type": "integer", "format": "int64"}),
            Type::Number => json!({"type": "number", "format": "double"}),
            Type::Boolean => json!({"type": "boolean"}),
            Type::Quantity | Type::IntOrString | Type::Time | Type::MicroTime | Type::RawExtension => {
                match SCALARS.iter().find(|(_, t)| t == ty) {
                    Some((name, _)) => self.dialect.reference(name),
                    None => json!({}),
                }
            }
            Type::Struct(id) => self.dialect.reference(&self.schemas.get(*id).name),
            Type::List(list) => json!({"type": "array", "items": self.of_type(of, &list.item)}),
            Type::Map(map) => {
                json!({"type": "object", "additionalProperties": self.of_type(of, &map.value)})
            }
            Type::SchemaOrBool(id) => suffixed(id, "OrBool"),
            Type::SchemaOrArray(id) => suffixed(id, "OrArray"),
            Type::SchemaOrStrings(id) => suffixed(id, "OrStringArray"),
        }
    }
}

/// Adds a description, where there is one.
pub(crate) fn describe(schema: &mut Value, text: Option<&str>) {
    if let (Some(schema), Some(text)) = (schema.as_object_mut(), text) {
        schema.insert("description".into(), text.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptions::Table;

    fn definitions<'a>(descriptions: &'a Descriptions<'a>, dialect: Dialect) -> Definitions<'a> {
        Definitions { schemas: api::schema::builtin(), descriptions, dialect }
    }

    fn without_prose(schema: &mut Value) {
        if let Value::Object(fields) = schema {
            if fields.get("description").is_some_and(Value::is_string) {
                fields.remove("description");
            }
            fields.values_mut().for_each(without_prose);
        }
    }

    fn builtin(name: &str, dialect: Dialect) -> Value {
        let table = Table::unpack().unwrap();
        let descriptions = table.descriptions();
        let mut found = definitions(&descriptions, dialect).by_name(name).unwrap();
        without_prose(&mut found);
        found
    }

    #[test]
    fn v3_wraps_references_and_says_what_is_there_by_value() {
        let deployment = builtin("io.k8s.api.apps.v1.Deployment", Dialect::V3);
        assert_eq!(
            deployment["properties"]["spec"],
            json!({"default": {}, "allOf": [{"$ref": "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"}]})
        );
        let pod = builtin("io.k8s.api.core.v1.PodSpec", Dialect::V3);
        assert_eq!(
            pod["properties"]["affinity"],
            json!({"allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.Affinity"}]})
        );
        assert_eq!(pod["properties"]["volumes"]["x-kubernetes-patch-strategy"], json!("merge,retainKeys"));
    }

    #[test]
    fn types_and_fields_say_what_they_are_for() {
        let table = Table::unpack().unwrap();
        let descriptions = table.descriptions();
        for dialect in [Dialect::V2, Dialect::V3] {
            let pod = definitions(&descriptions, dialect).by_name("io.k8s.api.core.v1.Pod").unwrap();
            assert!(pod["description"].as_str().unwrap().starts_with("Pod is a collection"), "{pod}");
            let spec = pod["properties"]["spec"]["description"].as_str().unwrap();
            assert!(spec.starts_with("Specification of the desired behavior"), "{spec}");
        }
    }
}
