//! A type as a JSON schema.
//!
//! The two documents speak two dialects: v3 wraps references (`allOf`) so that a default can stand beside them, and says
//! exactly what scalars of several types may be. v2 is read by kubectls back to v1.10, which refuse the whole document for
//! an object without properties: such types are left open there (`{}`), which every version reads as "anything".

use api::schema::{Field, ListType, Schemas, Struct, Type};
use api::{Object, Value};
use serde_json::json;

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
        (Type::RawExtension, Dialect::V3) => json!({"type": "object"}),
        _ => json!({}),
    }
}

/// The definition of an object type.
pub fn of_struct(schemas: &Schemas, s: &Struct, dialect: Dialect) -> Value {
    let mut definition = Object::new();
    if !s.preserve_unknown || !s.fields.is_empty() || dialect == Dialect::V3 {
        definition.insert("type".into(), "object".into());
    }
    // Old kubectls take properties for all there is: where more is kept, v2 names none (`openapi/v2/conversion.go`).
    let fields = if s.preserve_unknown && dialect == Dialect::V2 { &[] } else { s.fields.as_slice() };
    let required: Vec<&str> = fields.iter().filter(|f| f.required).map(|f| &*f.name).collect();
    if !required.is_empty() {
        definition.insert("required".into(), required.into());
    }
    let properties: Object =
        fields.iter().map(|f| (f.name.to_string(), of_field(schemas, f, dialect))).collect();
    if !properties.is_empty() {
        definition.insert("properties".into(), properties.into());
    } else if dialect == Dialect::V2 {
        // An object without properties: see the module's head.
        definition.remove("type");
    }
    if !s.kinds.is_empty() {
        let kinds: Vec<Value> =
            s.kinds.iter().map(|k| json!({"group": k.group, "kind": k.kind, "version": k.version})).collect();
        definition.insert("x-kubernetes-group-version-kind".into(), kinds.into());
    }
    if s.atomic {
        definition.insert("x-kubernetes-map-type".into(), "atomic".into());
    }
    if s.preserve_unknown {
        definition.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
    }
    if let Some(unions) = s.unions.as_deref().and_then(|u| serde_json::from_str::<Value>(u).ok()) {
        definition.insert("x-kubernetes-unions".into(), unions);
    }
    definition.into()
}

fn of_field(schemas: &Schemas, field: &Field, dialect: Dialect) -> Value {
    let mut schema = of_type(schemas, &field.ty, dialect);
    if dialect == Dialect::V3
        && let Some(reference) = schema.as_object_mut().and_then(|o| o.remove("$ref"))
    {
        schema = json!({"allOf": [{"$ref": reference}]});
        // What upstream's Go types hold by value is there even when nobody sets it.
        if !field.pointer && matches!(field.ty, Type::Struct(_)) {
            schema["default"] = json!({});
        }
    }
    let Some(fields) = schema.as_object_mut() else { return schema };
    if let Some(default) = field.default.as_deref().and_then(|d| serde_json::from_str::<Value>(d).ok())
        && dialect == Dialect::V3
    {
        fields.insert("default".into(), default);
    }
    if !field.enum_values.is_empty() {
        fields.insert("enum".into(), field.enum_values.iter().map(|v| Value::from(&**v)).collect());
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
    }
    if let Some(key) = &field.patch_merge_key {
        fields.insert("x-kubernetes-patch-merge-key".into(), (**key).into());
    }
    let strategy = match (field.patch_strategy.merge, field.patch_strategy.retain_keys) {
        (true, true) => Some("merge,retainKeys"),
        (true, false) => Some("merge"),
        (false, true) => Some("retainKeys"),
        (false, false) => None,
    };
    if let Some(strategy) = strategy {
        fields.insert("x-kubernetes-patch-strategy".into(), strategy.into());
    }
    schema
}

fn of_type(schemas: &Schemas, ty: &Type, dialect: Dialect) -> Value {
    match ty {
        Type::Any => json!({}),
        Type::String(_) | Type::Duration => json!({"type": "string"}),
        Type::Bytes => json!({"type": "string", "format": "byte"}),
        Type::Int32 => json!({"type": "integer", "format": "int32"}),
        Type::Int64 => json!({"type": "integer", "format": "int64"}),
        Type::Number => json!({"type": "number", "format": "double"}),
        Type::Boolean => json!({"type": "boolean"}),
        Type::Quantity | Type::IntOrString | Type::Time | Type::MicroTime | Type::RawExtension => {
            match SCALARS.iter().find(|(_, t)| t == ty) {
                Some((name, _)) => dialect.reference(name),
                None => json!({}),
            }
        }
        Type::Struct(id) => {
            let s = schemas.get(*id);
            // Types of custom resources below their root have no name.
            if s.name.is_empty() { of_struct(schemas, s, dialect) } else { dialect.reference(&s.name) }
        }
        Type::List(list) => json!({"type": "array", "items": of_type(schemas, &list.item, dialect)}),
        Type::Map(map) => {
            json!({"type": "object", "additionalProperties": of_type(schemas, &map.value, dialect)})
        }
        // What is either a schema or something else has no JSON schema that old clients could read.
        Type::SchemaOrBool(_) | Type::SchemaOrArray(_) | Type::SchemaOrStrings(_) => json!({}),
    }
}

/// The names of the definitions that a type refers to, itself included, added to `names`.
pub fn collect(schemas: &Schemas, ty: &Type, names: &mut std::collections::BTreeSet<String>) {
    match ty {
        Type::Struct(id) => {
            let s = schemas.get(*id);
            if s.name.is_empty() || names.insert(s.name.to_string()) {
                s.fields.iter().for_each(|f| collect(schemas, &f.ty, names));
            }
        }
        Type::List(list) => collect(schemas, &list.item, names),
        Type::Map(map) => collect(schemas, &map.value, names),
        other => {
            if let Some((name, _)) = SCALARS.iter().find(|(_, t)| t == other) {
                names.insert((*name).to_owned());
            }
        }
    }
}

/// A definition by its name.
pub fn by_name(schemas: &Schemas, name: &str, dialect: Dialect) -> Option<Value> {
    if let Some((_, ty)) = SCALARS.iter().find(|(n, _)| *n == name) {
        return Some(scalar(ty, dialect));
    }
    let id = schemas.by_name(name)?;
    Some(of_struct(schemas, schemas.get(id), dialect))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builtin(name: &str, dialect: Dialect) -> Value {
        by_name(api::schema::builtin(), name, dialect).unwrap()
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

    /// kubectl v1.10 refuses the whole v2 document for one object schema without properties.
    #[test]
    fn v2_has_no_object_without_properties() {
        fn check(path: &str, schema: &Value) {
            if schema["type"] == "object" {
                let open = schema.get("additionalProperties").is_some() || schema.get("properties").is_some();
                assert!(open, "{path}: {schema}");
            }
            for part in ["properties", "items", "additionalProperties"] {
                match schema.get(part) {
                    Some(Value::Object(o)) if part == "properties" => o.iter().for_each(|(k, v)| check(k, v)),
                    Some(inner) => check(path, inner),
                    None => {}
                }
            }
        }
        let schemas = api::schema::builtin();
        for (_, s) in schemas.iter() {
            check(&s.name, &of_struct(schemas, s, Dialect::V2));
        }
    }
}
