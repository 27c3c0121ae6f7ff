//! The type of a custom resource: its definition's own schema, as upstream publishes it
//! (`apiextensions-apiserver/pkg/controller/openapi`).

use std::io::{self, Read as _, Write as _};

use api::schema::GroupVersionKind;
use api::{Object, Value};
use bytes::Bytes;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde_json::json;

use crate::definitions::{Dialect, describe};
use crate::descriptions::Descriptions;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";

/// What one version of a definition publishes. Schemas are long and seldom asked for, so they are kept compressed.
#[derive(Clone, Debug)]
pub struct Published {
    /// The name of the definition in the documents.
    name: String,
    /// Group, version and kind.
    kind: GroupVersionKind,
    list_kind: String,
    plural: String,
    /// `openAPIV3Schema` in JSON, deflated; `null` where there is none.
    schema: Bytes,
    /// The paths of `selectableFields`, without their leading dots.
    selectable: Vec<String>,
    /// `spec.preserveUnknownFields`: nothing is said about fields in v2.
    preserve_unknown: bool,
}

/// The names of a custom resource.
#[derive(Clone, Debug)]
pub struct Names {
    /// Group, version and kind.
    pub kind: GroupVersionKind,
    /// The kind of lists.
    pub list_kind: String,
    /// The resource.
    pub plural: String,
}

impl Published {
    /// What is published of a version.
    ///
    /// # Errors
    /// Only if the compressor fails.
    pub fn new(
        names: Names,
        schema: &Value,
        selectable: Vec<String>,
        preserve_unknown: bool,
    ) -> io::Result<Published> {
        let Names { kind, list_kind, plural } = names;
        let mut out = DeflateEncoder::new(Vec::new(), Compression::default());
        out.write_all(schema.to_string().as_bytes())?;
        let name = format!("{}.{}", package(&kind), kind.kind);
        Ok(Published {
            name,
            kind,
            list_kind,
            plural,
            schema: out.finish()?.into(),
            selectable,
            preserve_unknown,
        })
    }

    fn schema(&self) -> io::Result<Value> {
        let mut json = String::new();
        DeflateDecoder::new(self.schema.as_ref()).read_to_string(&mut json)?;
        serde_json::from_str(&json).map_err(io::Error::from)
    }

    /// The definition of the kind or of its list, if `name` is one of theirs.
    pub(crate) fn by_name(
        &self,
        name: &str,
        dialect: Dialect,
        descriptions: &Descriptions<'_>,
    ) -> io::Result<Option<Value>> {
        let write = Writer { dialect, descriptions };
        let (mut definition, kind) = if name == self.name {
            (write.root(self.schema()?, self.preserve_unknown), &*self.kind.kind)
        } else if name == format!("{}.{}", package(&self.kind), self.list_kind) {
            (write.list(self), self.list_kind.as_str())
        } else {
            return Ok(None);
        };
        definition["x-kubernetes-group-version-kind"] =
            json!([{"group": self.kind.group, "kind": kind, "version": self.kind.version}]);
        if !self.selectable.is_empty() {
            let fields: Vec<Value> = self.selectable.iter().map(|path| json!({"fieldPath": path})).collect();
            definition["x-kubernetes-selectable-fields"] = fields.into();
        }
        Ok(Some(definition))
    }
}

/// `com.example.v1` for `example.com/v1`.
fn package(kind: &GroupVersionKind) -> String {
    let mut parts: Vec<&str> = kind.group.split('.').collect();
    parts.reverse();
    format!("{}.{}", parts.join("."), kind.version)
}

struct Writer<'a> {
    dialect: Dialect,
    descriptions: &'a Descriptions<'a>,
}

impl Writer<'_> {
    fn root(&self, schema: Value, preserve_unknown: bool) -> Value {
        let old = self.dialect == Dialect::V2;
        let open = old && (preserve_unknown || flag(schema.as_object(), PRESERVE));
        if open || !schema.is_object() {
            return json!({"type": "object"});
        }
        let mut root = schema;
        self.convert(&mut root);
        self.add_head(&mut root);
        root
    }

    fn list(&self, of: &Published) -> Value {
        let what = format!(
            "List of {}. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md",
            of.plural
        );
        json!({
            "description": format!("{} is a list of {}", of.list_kind, of.kind.kind),
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": self.text("apiVersion"),
                "items": {"description": what, "type": "array", "items": self.dialect.reference(&of.name)},
                "kind": self.text("kind"),
                "metadata": self.reference("ListMeta", self.descriptions.of(&format!("{META}.ListMeta"))),
            },
        })
    }

    /// `apiVersion`, `kind` and `metadata` are the API's own, whatever the definition says of them.
    fn add_head(&self, schema: &mut Value) {
        let metadata = self.reference("ObjectMeta", self.descriptions.of_any_kind("metadata"));
        schema["properties"]["apiVersion"] = self.text("apiVersion");
        schema["properties"]["kind"] = self.text("kind");
        schema["properties"]["metadata"] = metadata;
    }

    fn text(&self, field: &str) -> Value {
        let mut schema = json!({"type": "string"});
        describe(&mut schema, self.descriptions.of_any_kind(field));
        schema
    }

    fn reference(&self, ty: &str, text: Option<&str>) -> Value {
        let reference = self.dialect.reference(&format!("{META}.{ty}"));
        let mut schema = match self.dialect {
            Dialect::V2 => reference,
            Dialect::V3 => json!({"allOf": [reference]}),
        };
        describe(&mut schema, text);
        schema
    }

    /// Brings a schema and those of its parts into the dialect.
    fn convert(&self, value: &mut Value) {
        let Some(schema) = value.as_object_mut() else { return };
        match self.dialect {
            Dialect::V2 => simplify(schema),
            Dialect::V3 => unfold(schema),
        }
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            properties.values_mut().for_each(|p| self.convert(p));
        }
        for part in ["items", "additionalProperties"] {
            if let Some(below) = schema.get_mut(part) {
                self.convert(below);
            }
        }
        let embedded = flag(Some(schema), "x-kubernetes-embedded-resource");
        if embedded && !(self.dialect == Dialect::V2 && flag(Some(schema), PRESERVE)) {
            let required = schema.entry("required").or_insert_with(|| json!([]));
            for name in ["kind", "apiVersion"] {
                if let Some(names) = required.as_array_mut().filter(|names| !names.contains(&name.into())) {
                    names.push(name.into());
                }
            }
            self.add_head(value);
        }
    }
}

fn flag(schema: Option<&Object>, name: &str) -> bool {
    schema.and_then(|s| s.get(name)) == Some(&Value::Bool(true))
}

/// What OpenAPI v2 and kubectl cannot express goes away (`openapi/v2/conversion.go`).
fn simplify(schema: &mut Object) {
    for word in ["allOf", "anyOf", "oneOf", "not", "default"] {
        schema.remove(word);
    }
    let nullable = schema.remove("nullable") == Some(Value::Bool(true));
    let preserve = flag(Some(schema), PRESERVE);
    if nullable || preserve {
        schema.remove("items");
        schema.remove("properties");
    }
    let nullable_field = |name: &str, properties: Option<&Value>| {
        let field = properties.and_then(|p| p.get(name)).and_then(Value::as_object);
        flag(field, "nullable")
    };
    let properties = schema.get("properties").cloned();
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|name| !nullable_field(name.as_str().unwrap_or_default(), properties.as_ref()));
        if required.is_empty() {
            schema.remove("required");
        }
    }
    let is = |ty: &str| schema.get("type").and_then(Value::as_str) == Some(ty);
    if nullable || (is("array") && !schema.contains_key("items")) || (is("object") && preserve) {
        schema.remove("type");
    }
}

/// What `x-kubernetes-int-or-string` means is said in JSON schema's own words too, unless the definition does
/// (`apiserver/schema/unfold.go`).
fn unfold(schema: &mut Object) {
    if !flag(Some(schema), INT_OR_STRING) {
        return;
    }
    let either = json!([{"type": "integer"}, {"type": "string"}]);
    let first_of_all = schema.get("allOf").and_then(|all| all.get(0)).and_then(|first| first.get("anyOf"));
    match schema.get("anyOf") {
        Some(any) if *any == either => {}
        _ if first_of_all == Some(&either) => {}
        None => {
            schema.insert("anyOf".into(), either);
        }
        Some(_) => {
            let all = schema.entry("allOf").or_insert_with(|| json!([]));
            if let Some(all) = all.as_array_mut() {
                all.insert(0, json!({"anyOf": either}));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptions::Table;

    fn published(schema: &Value, dialect: Dialect) -> Value {
        let kind =
            GroupVersionKind { group: "example.com".into(), version: "v1".into(), kind: "Widget".into() };
        let names = Names { kind, list_kind: "WidgetList".into(), plural: "widgets".into() };
        let published = Published::new(names, schema, vec!["spec.color".into()], false).unwrap();
        let table = Table::unpack().unwrap();
        published.by_name("com.example.v1.Widget", dialect, &table.descriptions()).unwrap().unwrap()
    }

    #[test]
    fn a_definitions_own_words_are_published() {
        let schema = json!({"type": "object", "description": "Widget is a part.", "properties": {"spec": {
            "type": "object", "description": "What is wanted.", "required": ["size"],
            "properties": {"size": {"type": "integer", "minimum": 1, "default": 3, "description": "How large."}}}}});
        for dialect in [Dialect::V2, Dialect::V3] {
            let widget = published(&schema, dialect);
            assert_eq!(widget["description"], "Widget is a part.");
            let spec = &widget["properties"]["spec"];
            assert_eq!(
                (&spec["description"], &spec["required"]),
                (&"What is wanted.".into(), &json!(["size"]))
            );
            assert_eq!(spec["properties"]["size"]["description"], "How large.");
            assert_eq!(spec["properties"]["size"]["minimum"], 1);
            assert_eq!(spec["properties"]["size"].get("default").is_some(), dialect == Dialect::V3);
            let metadata = widget["properties"]["metadata"]["description"].as_str().unwrap();
            assert!(metadata.starts_with("Standard object's metadata"), "{metadata}");
            assert_eq!(widget["x-kubernetes-selectable-fields"], json!([{"fieldPath": "spec.color"}]));
        }
    }

    #[test]
    fn v2_says_nothing_that_kubectl_misreads() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["a", "b"], "properties": {
            "a": {"type": "object", "nullable": true, "properties": {"x": {"type": "string"}}},
            "b": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "c": {"type": "object"},
            "d": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"x": {"type": "string"}}},
            "e": {"type": "object", "additionalProperties": true},
            "f": {"type": "object", "additionalProperties": {"type": "string"}}}}}});
        let widget = published(&schema, Dialect::V2);
        assert_eq!(
            widget["properties"]["spec"],
            json!({"type": "object", "required": ["b"], "properties": {
                "a": {},
                "b": {"x-kubernetes-int-or-string": true},
                "c": {"type": "object"},
                "d": {"x-kubernetes-preserve-unknown-fields": true}, "e": {"type": "object", "additionalProperties": true},
                "f": {"type": "object", "additionalProperties": {"type": "string"}}}})
        );
        assert_eq!(published(&Value::Null, Dialect::V2)["type"], "object");
        assert_eq!(published(&Value::Null, Dialect::V3)["type"], "object");
    }

    #[test]
    fn v3_spells_out_int_or_string_once() {
        let either = json!([{"type": "integer"}, {"type": "string"}]);
        let schema = json!({"type": "object", "properties": {
            "plain": {"x-kubernetes-int-or-string": true},
            "spelled": {"x-kubernetes-int-or-string": true, "anyOf": either},
            "other": {"x-kubernetes-int-or-string": true, "anyOf": [{"minimum": 1}]}}});
        let properties = published(&schema, Dialect::V3)["properties"].clone();
        assert_eq!(properties["plain"]["anyOf"], either);
        assert_eq!(properties["spelled"]["anyOf"], either);
        assert_eq!(properties["spelled"].get("allOf"), None);
        assert_eq!(properties["other"]["allOf"], json!([{"anyOf": either}]));
    }
}
