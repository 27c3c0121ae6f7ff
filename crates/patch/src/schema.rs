//! The API's schemas as patches ask for them: merge keys for strategic patches, ownership for server-side apply.

use api::Value;
use api::schema::{Field, ListType, Schemas, Type};

use crate::apply::typed::{KeyField, ScalarKind, Shape, TypeSchema};
use crate::strategic::{FieldMeta, Lookup};

/// A type of a set of schemas.
#[derive(Clone, Copy, Debug)]
pub struct Typed<'a> {
    schemas: &'a Schemas,
    ty: &'a Type,
    /// The field itself says that its object is owned as a whole.
    atomic: bool,
    /// It says the opposite, whatever the type says.
    granular: bool,
}

impl<'a> Typed<'a> {
    /// A type.
    pub fn new(schemas: &'a Schemas, ty: &'a Type) -> Typed<'a> {
        Typed { schemas, ty, atomic: false, granular: false }
    }

    fn declared(&self, name: &str) -> Option<&'a Field> {
        match self.ty {
            Type::Struct(id)
            | Type::SchemaOrBool(id)
            | Type::SchemaOrArray(id)
            | Type::SchemaOrStrings(id) => self.schemas.get(*id).field(name),
            _ => None,
        }
    }

    fn of(&self, field: &'a Field) -> Typed<'a> {
        Typed { schemas: self.schemas, ty: &field.ty, atomic: field.atomic, granular: field.granular }
    }
}

impl Lookup for Typed<'_> {
    fn field(&self, name: &str) -> Option<FieldMeta<Self>> {
        let plain = |schema| FieldMeta { schema, merge: false, replace: false, merge_key: None };
        match self.ty {
            Type::Map(map) => Some(plain(Typed::new(self.schemas, &map.value))),
            // Below what the schema does not know, a patch merges as RFC 7386 has it; upstream finds no fields in raw
            // extensions.
            Type::Any => Some(plain(*self)),
            _ => {
                let field = self.declared(name)?;
                let schema = match &field.ty {
                    Type::List(list) => Typed::new(self.schemas, &list.item),
                    _ => self.of(field),
                };
                Some(FieldMeta {
                    schema,
                    merge: field.patch_strategy.merge,
                    replace: field.patch_strategy.replace,
                    merge_key: field.extras().patch_merge_key.as_ref().map(ToString::to_string),
                })
            }
        }
    }

    fn name(&self) -> String {
        match self.ty {
            Type::Struct(id) => self.schemas.get(*id).go_name().to_owned(),
            Type::RawExtension => "RawExtension".to_owned(),
            ty => self.schemas.go_type(ty),
        }
    }
}

impl TypeSchema for Typed<'_> {
    fn shape(&self) -> Shape<'_> {
        match self.ty {
            Type::Any => Shape::Deduced,
            Type::RawExtension => Shape::Opaque,
            Type::String(_) | Type::Bytes | Type::Time | Type::MicroTime | Type::Duration => {
                Shape::Scalar(ScalarKind::String)
            }
            Type::Int32 | Type::Int64 | Type::Number => Shape::Scalar(ScalarKind::Numeric),
            Type::Boolean => Shape::Scalar(ScalarKind::Boolean),
            Type::IntOrString | Type::Quantity => Shape::Scalar(ScalarKind::Any),
            Type::Struct(id) => {
                if self.atomic || (self.schemas.get(*id).atomic && !self.granular) {
                    Shape::AtomicMap
                } else {
                    Shape::Map
                }
            }
            // JSON schemas inside custom resource definitions: upstream's schema leaves them open.
            Type::SchemaOrBool(_) | Type::SchemaOrArray(_) | Type::SchemaOrStrings(_) => Shape::Deduced,
            Type::Map(map) if self.atomic || map.atomic => Shape::AtomicMap,
            Type::Map(_) => Shape::Map,
            Type::List(list) => match &list.kind {
                ListType::Atomic => Shape::AtomicList,
                ListType::Set => Shape::SetList,
                ListType::Map(keys) => Shape::MapList(
                    keys.iter()
                        .map(|k| KeyField { name: k, default: self.key_default(&list.item, k) })
                        .collect(),
                ),
            },
        }
    }

    fn field(&self, name: &str) -> Option<Self> {
        match self.ty {
            Type::Struct(_) => self.declared(name).map(|f| self.of(f)),
            _ => None,
        }
    }

    fn element(&self) -> Option<Self> {
        let below = |ty| Some(Typed::new(self.schemas, ty));
        match self.ty {
            Type::List(list) => below(&list.item),
            Type::Map(map) => below(&map.value),
            Type::Struct(id) if self.schemas.get(*id).preserve_unknown => below(&Type::Any),
            Type::Any
            | Type::RawExtension
            | Type::SchemaOrBool(_)
            | Type::SchemaOrArray(_)
            | Type::SchemaOrStrings(_) => below(&Type::Any),
            _ => None,
        }
    }
}

impl Typed<'_> {
    /// The value of a key that an item lacks. Where Go always writes the field, upstream's schema gives it its zero
    /// value as default.
    fn key_default(&self, item: &Type, key: &str) -> Option<Value> {
        let Type::Struct(id) = item else { return None };
        let field = self.schemas.get(*id).field(key)?;
        match (&field.extras().default, &field.ty) {
            (Some(default), _) => serde_json::from_str(default).ok(),
            (None, _) if field.omit_empty || field.pointer => None,
            (None, Type::String(_)) => Some("".into()),
            (None, Type::Int32 | Type::Int64) => Some(0.into()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{apply, strategic};
    use serde_json::json;

    fn deployment() -> Type {
        Type::Struct(api::schema::builtin().by_name("io.k8s.api.apps.v1.Deployment").unwrap())
    }

    fn fields(value: Value) -> api::Object {
        value.as_object().unwrap().clone()
    }

    /// The data said so, but nobody asked it: a patched selector kept its old labels.
    #[test]
    fn a_strategic_patch_replaces_the_selector_of_a_disruption_budget() {
        let patched = |version: &str| {
            let name = format!("io.k8s.api.policy.{version}.PodDisruptionBudget");
            let ty = Type::Struct(api::schema::builtin().by_name(&name).unwrap());
            let of = |labels: Value| fields(json!({"spec": {"selector": {"matchLabels": labels}}}));
            let schema = Typed::new(api::schema::builtin(), &ty);
            let done = strategic::apply(of(json!({"a": "1"})), &mut of(json!({"b": "2"})), &schema).unwrap();
            done["spec"]["selector"]["matchLabels"].clone()
        };
        assert_eq!(patched("v1"), json!({"b": "2"}));
        assert_eq!(patched("v1beta1"), json!({"a": "1", "b": "2"}));
    }

    #[test]
    fn a_strategic_patch_of_a_deployment_merges_its_containers() {
        let ty = deployment();
        let schema = Typed::new(api::schema::builtin(), &ty);
        let template =
            |containers: Value| json!({"spec": {"template": {"spec": {"containers": containers}}}});
        let current =
            fields(template(json!([{"name": "a", "image": "1", "ports": [{"containerPort": 80}]}])));
        let mut patch = fields(template(json!([{"name": "a", "image": "2"}, {"name": "b", "image": "1"}])));
        assert_eq!(
            Value::Object(strategic::apply(current, &mut patch, &schema).unwrap()),
            template(
                json!([{"name": "a", "image": "2", "ports": [{"containerPort": 80}]}, {"name": "b", "image": "1"}])
            )
        );
    }

    #[test]
    fn a_deployments_fields_are_owned_as_upstream_has_it() {
        let ty = deployment();
        let schema = Typed::new(api::schema::builtin(), &ty);
        let config = fields(json!({"spec": {"selector": {"matchLabels": {"app": "w"}}, "template": {
            "metadata": {"labels": {"app": "w"}}, "spec": {"containers": [{"name": "c", "image": "a:1", "ports": [{"containerPort": 80}]}]}}}}));
        let set = apply::typed::field_set(&config, &schema).encode();
        assert_eq!(
            set,
            json!({"f:spec": {"f:selector": {}, "f:template": {"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": {
                "f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:name": {}, "f:ports": {
                    "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}}}})
        );
    }

    /// Such an apply was a 500; validation has to say that the name is missing.
    #[test]
    fn a_container_without_a_name_has_an_empty_key() {
        let ty = deployment();
        let schema = Typed::new(api::schema::builtin(), &ty);
        let config = fields(
            json!({"spec": {"template": {"spec": {"containers": [{"image": "a", "ports": [{"name": "p"}]}]}}}}),
        );
        let set = apply::typed::field_set(&config, &schema).encode();
        assert_eq!(
            set["f:spec"]["f:template"]["f:spec"]["f:containers"],
            json!({"k:{\"name\":\"\"}": {".": {}, "f:image": {}, "f:ports": {
                "k:{\"containerPort\":0,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}}}})
        );
    }
}
