//! Types of custom resources with the parts of the built-in ones: for OpenAPI and for server-side apply.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use api::kinds::Kinds;
use api::schema::{
    Extras, Field, GroupVersionKind, List, ListType, Map, Name, Schemas, Struct, StructId, Type, builtin,
};

use openapi::{Published, Source};

use crate::definition::Version;
use crate::schema::Schema;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// The kinds that a definition brings, with their types.
#[derive(Clone, Debug)]
pub struct Types {
    /// One kind with its served versions.
    pub kinds: Kinds,
    /// The types of its versions, and the built-in ones that they use.
    pub schemas: Arc<Schemas>,
    /// What OpenAPI says of the served versions.
    pub published: Vec<Published>,
}

impl Types {
    /// These types as a source of OpenAPI documents.
    pub fn source(&self) -> Source<'_> {
        Source { kinds: &self.kinds, schemas: &self.schemas, published: &self.published }
    }
}

/// Types of all versions of a definition.
pub(crate) struct Built {
    /// The types.
    pub(crate) schemas: Schemas,
    /// The root of each version.
    pub(crate) roots: Vec<StructId>,
    /// `autoscaling/v1` `Scale`.
    pub(crate) scale: StructId,
}

struct Builder {
    schemas: Schemas,
    /// A schema around keeps unknown fields, which those inside it do then, too.
    keeps: bool,
    /// Built-in types that were taken over.
    taken: HashMap<StructId, StructId>,
}

/// Builds the types of all versions.
pub(crate) fn build(group: &str, kind: &str, list_kind: &str, versions: &[Version]) -> Built {
    let mut builder = Builder { schemas: Schemas::new(), keeps: false, taken: HashMap::new() };
    let meta = builder.named(&format!("{META}.ObjectMeta"));
    let list_meta = builder.named(&format!("{META}.ListMeta"));
    for name in ["DeleteOptions", "Status", "Patch", "WatchEvent"] {
        builder.named(&format!("{META}.{name}"));
    }
    let scale = builder.named("io.k8s.api.autoscaling.v1.Scale");
    let mut parts: Vec<&str> = group.split('.').collect();
    parts.reverse();
    let package = parts.join(".");
    let roots = versions
        .iter()
        .map(|version| {
            let gvk = |kind: &str| GroupVersionKind {
                group: Name::Owned(group.to_owned()),
                version: Name::Owned(version.name.clone()),
                kind: Name::Owned(kind.to_owned()),
            };
            let empty = Schema { preserve_unknown: true, ..Schema::default() };
            let schema = version.schema.as_ref().unwrap_or(&empty);
            let mut fields = vec![
                Field::new("apiVersion", Type::String(Name::Borrowed(""))),
                Field::new("kind", Type::String(Name::Borrowed(""))),
                Field::new("metadata", Type::Struct(meta)),
            ];
            builder.keeps = schema.preserve_unknown;
            let own = schema.properties.iter();
            let own = own.filter(|(name, _)| !matches!(name.as_str(), "apiVersion" | "kind" | "metadata"));
            let required: HashSet<&String> = schema.required.iter().collect();
            fields.extend(own.map(|(name, property)| builder.field(name, property, required.contains(name))));
            let mut root = Struct::new(format!("{package}.{}.{kind}", version.name), fields);
            root.preserve_unknown = schema.preserve_unknown;
            root.kinds = vec![gvk(kind)];
            let root = builder.schemas.add(root);
            let mut items = Field::new("items", list(Type::Struct(root), ListType::Atomic, false));
            items.required = true;
            let fields = vec![
                Field::new("apiVersion", Type::String(Name::Borrowed(""))),
                items,
                Field::new("kind", Type::String(Name::Borrowed(""))),
                Field::new("metadata", Type::Struct(list_meta)),
            ];
            let mut all = Struct::new(format!("{package}.{}.{list_kind}", version.name), fields);
            all.kinds = vec![gvk(list_kind)];
            builder.schemas.add(all);
            root
        })
        .collect();
    Built { schemas: builder.schemas, roots, scale }
}

fn list(item: Type, kind: ListType, declared: bool) -> Type {
    Type::List(Box::new(List { item, kind, declared, go_type: None }))
}

impl Builder {
    /// Takes over a built-in type.
    fn named(&mut self, name: &str) -> StructId {
        match builtin().by_name(name) {
            Some(id) => self.take(id),
            None => self.schemas.add(Struct::new(name.to_owned(), Vec::new())),
        }
    }

    fn take(&mut self, id: StructId) -> StructId {
        if let Some(taken) = self.taken.get(&id) {
            return *taken;
        }
        let source = builtin().get(id);
        // First a place, then its fields: types may contain themselves.
        let mut copy = source.clone();
        copy.set_fields(Vec::new());
        let own = self.schemas.add(copy);
        self.taken.insert(id, own);
        let fields = source.fields.iter().map(|f| {
            let mut own = f.clone();
            own.ty = self.take_type(&f.ty);
            own
        });
        let fields = fields.collect();
        if let Some(s) = self.schemas.get_mut(own) {
            s.set_fields(fields);
        }
        own
    }

    fn take_type(&mut self, ty: &Type) -> Type {
        match ty {
            Type::Struct(id) => Type::Struct(self.take(*id)),
            Type::List(l) => {
                Type::List(Box::new(List { item: self.take_type(&l.item), ..l.as_ref().clone() }))
            }
            Type::Map(m) => {
                Type::Map(Box::new(Map { value: self.take_type(&m.value), ..m.as_ref().clone() }))
            }
            other => other.clone(),
        }
    }

    fn field(&mut self, name: &str, schema: &Schema, required: bool) -> Field {
        let mut field = Field::new(name.to_owned(), self.ty(schema));
        field.required = required;
        field.nullable = schema.nullable;
        let texts = schema.allowed.iter().filter_map(|v| v.as_str().map(|s| Name::Owned(s.to_owned())));
        field.set_extras(Extras {
            default: schema.default.as_ref().map(|d| Name::Owned(d.to_string())),
            enum_values: texts.collect(),
            ..Extras::default()
        });
        field
    }

    /// As upstream's converter of schemas sees it (`kube-openapi/pkg/schemaconv`).
    fn ty(&mut self, schema: &Schema) -> Type {
        let before = self.keeps;
        self.keeps |= schema.preserve_unknown;
        let found = self.inner(schema);
        self.keeps = before;
        found
    }

    fn inner(&mut self, schema: &Schema) -> Type {
        if schema.int_or_string {
            // It has no type of its own.
            return Type::Any;
        }
        match schema.types.first().map_or("", String::as_str) {
            "string" if schema.format == "byte" => Type::Bytes,
            // Texts of a format are scalars of any kind.
            "string" if schema.has_format => Type::IntOrString,
            "string" => Type::String(Name::Borrowed("")),
            "integer" if schema.format == "int32" => Type::Int32,
            "integer" => Type::Int64,
            "number" => Type::Number,
            "boolean" => Type::Boolean,
            "array" => {
                let item = schema.items.as_deref().map_or(Type::Any, |i| self.ty(i));
                let kind = match schema.list_type.as_deref() {
                    Some("set") => ListType::Set,
                    Some("map") => {
                        ListType::Map(schema.list_map_keys.iter().map(|k| Name::Owned(k.clone())).collect())
                    }
                    _ => ListType::Atomic,
                };
                list(item, kind, schema.list_type.is_some())
            }
            "object" => self.object(schema),
            _ => Type::Any,
        }
    }

    fn object(&mut self, schema: &Schema) -> Type {
        let atomic = schema.map_type.as_deref() == Some("atomic");
        if let Some(below) = schema.additional.as_ref().and_then(|a| a.schema.as_deref()) {
            let value = self.ty(below);
            return Type::Map(Box::new(Map {
                value,
                atomic,
                key_go_type: Name::Borrowed(""),
                go_type: None,
            }));
        }
        let mut fields: Vec<Field> = Vec::new();
        if schema.embedded {
            let meta = self.named(&format!("{META}.ObjectMeta"));
            fields.push(Field::new("apiVersion", Type::String(Name::Borrowed(""))));
            fields.push(Field::new("kind", Type::String(Name::Borrowed(""))));
            fields.push(Field::new("metadata", Type::Struct(meta)));
        }
        let own = fields.len();
        let required: HashSet<&String> = schema.required.iter().collect();
        for (name, property) in &schema.properties {
            if !fields[..own].iter().any(|f| f.name == *name) {
                fields.push(self.field(name, property, required.contains(name)));
            }
        }
        let mut s = Struct::new(Name::Borrowed(""), fields);
        s.atomic = atomic;
        // An object of which nothing is said has any fields.
        s.preserve_unknown = match &schema.additional {
            Some(additional) => additional.allows,
            None => self.keeps || (schema.properties.is_empty() && !schema.embedded),
        };
        s.embedded_resource = schema.embedded;
        Type::Struct(self.schemas.add(s))
    }
}
