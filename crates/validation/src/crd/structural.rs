//! Structural schemas: every field has a type, and the logical parts only restrict what the structure has
//! (`apiextensions-apiserver/pkg/apiserver/schema`).

use api::Value;
use api::field::{ErrorList, Path};

use crate::errs::Errs;
use crate::golang;
use crate::value::Get;

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    Item,
    Field,
}

/// What keeps a schema from being read as a structural one (`NewStructural`'s error).
pub(super) fn unsupported(schema: &Value) -> Option<String> {
    let has = |field: &str| match schema.sub(field) {
        Value::Object(map) => !map.is_empty() || field == "additionalItems",
        Value::String(text) => !text.is_empty(),
        Value::Null => false,
        _ => true,
    };
    for (field, shown) in [
        ("id", "id"),
        ("$schema", "schema"),
        ("$ref", "$ref"),
        ("patternProperties", "patternProperties"),
        ("dependencies", "dependencies"),
        ("additionalItems", "additionalItems"),
        ("definitions", "definitions"),
    ] {
        if has(field) {
            return Some(format!("OpenAPIV3Schema '{shown}' is not supported"));
        }
    }
    if let Some(problem) = schema.at("not").and_then(unsupported) {
        return Some(problem);
    }
    for field in ["allOf", "anyOf", "oneOf"] {
        if let Some(problem) = schema.list(field).iter().find_map(unsupported) {
            return Some(problem);
        }
    }
    if schema.opt_flag("x-kubernetes-preserve-unknown-fields") == Some(false) {
        let problem = "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined";
        return Some(problem.to_owned());
    }
    match schema.sub("items") {
        Value::Array(items) if !items.is_empty() => {
            return Some("OpenAPIV3Schema 'items' must be a schema, but is an array".to_owned());
        }
        Value::Null => {}
        items => {
            if let Some(problem) = unsupported(items) {
                return Some(problem);
            }
        }
    }
    let below = schema.entries("properties").map(|(_, s)| s);
    below.chain(schema.at("additionalProperties")).find_map(unsupported)
}

/// `ValidateStructural`.
pub(super) fn validate(schema: &Value, path: &Path<'_>) -> ErrorList {
    let mut errs = ErrorList::new();
    invariants(schema, Level::Root, path, &mut errs);
    complete(schema, Some(schema), path, path, &mut errs);
    errs.sort_by_cached_key(ToString::to_string);
    errs
}

fn invariants(s: &Value, level: Level, path: &Path<'_>, errs: &mut ErrorList) {
    let kind = s.str("type");
    match schema_of_items(s) {
        Some(items) => invariants(items, Level::Item, &path.child("items"), errs),
        None if kind == "array" => errs.required(&path.child("items"), "must be specified"),
        None => {}
    }
    let properties = path.child("properties");
    for (name, property) in s.entries("properties") {
        invariants(property, Level::Field, &properties.key(name), errs);
    }
    if let Some(more) = s.at("additionalProperties") {
        let path = path.child("additionalProperties");
        if level == Level::Root {
            errs.forbidden(&path, "must not be used at the root");
        }
        if more.is_object() {
            invariants(more, Level::Field, &path, errs);
        }
    }
    let embedded = s.flag("x-kubernetes-embedded-resource");
    let keeps_unknown = s.flag("x-kubernetes-preserve-unknown-fields");
    let int_or_string = s.flag("x-kubernetes-int-or-string");
    for (field, set) in [
        ("x-kubernetes-preserve-unknown-fields", keeps_unknown),
        ("x-kubernetes-embedded-resource", embedded),
    ] {
        if int_or_string && set {
            errs.invalid(&path.child(field), true, "must be false if x-kubernetes-int-or-string is true");
        }
    }
    let skip_any_of = is_int_or_string(s);
    let skip_first = s.list("allOf").first().is_some_and(is_int_or_string);
    values(s, skip_any_of, skip_first, level, path, errs);
    let type_path = path.child("type");
    if embedded && kind != "object" {
        const DETAIL: &str = "must be object if x-kubernetes-embedded-resource is true";
        if kind.is_empty() {
            errs.required(&type_path, DETAIL);
        } else {
            errs.invalid(&type_path, kind, DETAIL);
        }
    } else if kind.is_empty() && !int_or_string && !keeps_unknown {
        let detail = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        errs.required(&type_path, detail);
    }
    if embedded && s.at("additionalProperties").is_some() {
        let detail = "must not be used if x-kubernetes-embedded-resource is set";
        errs.forbidden(&path.child("additionalProperties"), detail);
    }
    if level == Level::Root && !kind.is_empty() && kind != "object" {
        errs.invalid(&type_path, kind, "must be object at the root");
    }
    let is_resource = level == Level::Root || embedded;
    for field in ["kind", "apiVersion"] {
        if let Some(property) = s.sub("properties").at(field)
            && is_resource
            && property.str("type") != "string"
        {
            errs.invalid(&properties.key(field).child("type"), property.str("type"), "must be string");
        }
    }
    if let Some(metadata) = s.sub("properties").at("metadata") {
        let path = properties.key("metadata");
        if is_resource && metadata.str("type") != "object" {
            errs.invalid(&path.child("type"), metadata.str("type"), "must be object");
        }
        if level == Level::Root && !is_plain_metadata(metadata) {
            errs.forbidden(
                &path,
                "must not specify anything other than name and generateName, but metadata is implicitly specified",
            );
        }
    }
    if embedded && !keeps_unknown && s.entries("properties").next().is_none() {
        errs.required(
            &properties,
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
        );
    }
}

/// An empty list of schemas is no schema.
fn schema_of_items(s: &Value) -> Option<&Value> {
    s.at("items").filter(|items| items.is_object())
}

/// Whether a schema sets nothing but these fields. A pointer to a zero value, an empty list and an empty map are set.
fn sets_only(s: &Value, fields: &[&str]) -> bool {
    s.pairs().filter(|(_, value)| !value.is_null()).all(|(name, value)| match name.as_str() {
        // Built again item by item, which leaves nothing of an empty list.
        "enum" | "allOf" | "anyOf" | "oneOf" => golang::is_zero(value),
        // Not part of a structure.
        "definitions" | "patternProperties" | "dependencies" | "$ref" => true,
        name => fields.contains(&name),
    })
}

fn is_plain_metadata(s: &Value) -> bool {
    let names_only =
        s.entries("properties").all(|(name, _)| matches!(name.as_str(), "name" | "generateName"));
    names_only && sets_only(s, &["type", "properties", "default"])
}

/// The one `anyOf` that is a structure: an integer or a string.
fn is_int_or_string(s: &Value) -> bool {
    let is_only = |s: &Value, kind: &str| {
        let more = s.at("additionalProperties").filter(|more| **more == Value::Bool(false));
        let fields: &[&str] = if more.is_some() { &["type", "additionalProperties"] } else { &["type"] };
        s.str("type") == kind && sets_only(s, fields)
    };
    matches!(s.list("anyOf"), [a, b] if is_only(a, "integer") && is_only(b, "string"))
}

/// `validateValueValidation`.
fn values(
    s: &Value,
    skip_any_of: bool,
    skip_first: bool,
    level: Level,
    path: &Path<'_>,
    errs: &mut ErrorList,
) {
    let all = |field: &str, errs: &mut ErrorList| {
        let list = path.child(field);
        for (i, part) in s.list(field).iter().enumerate() {
            let skip = field == "allOf" && skip_first && i == 0;
            nested(part, skip, level, &list.index(i), errs);
        }
    };
    if !skip_any_of {
        all("anyOf", errs);
    }
    all("allOf", errs);
    all("oneOf", errs);
    if let Some(not) = s.at("not") {
        nested(not, false, level, &path.child("not"), errs);
    }
    let text = s.str("pattern");
    if !text.is_empty()
        && let Some(problem) = apiextensions::pattern::problem(text)
    {
        let detail = format!("must be a valid regular expression, but isn't: {problem}");
        errs.invalid(&path.child("pattern"), text, detail);
    }
}

/// `validateNestedValueValidation`.
fn nested(s: &Value, skip_any_of: bool, level: Level, path: &Path<'_>, errs: &mut ErrorList) {
    values(s, skip_any_of, false, level, path, errs);
    if let Some(items) = schema_of_items(s) {
        nested(items, false, level, &path.child("items"), errs);
    }
    let properties = path.child("properties");
    for (name, property) in s.entries("properties") {
        nested(property, false, Level::Field, &properties.key(name), errs);
    }
    let mut forbid = |field: &str, detail: &str| {
        let value = s.sub(field);
        let is_unset = match field {
            "default" | "x-kubernetes-list-type" | "x-kubernetes-map-type" => value.is_null(),
            "additionalProperties" => !value.is_object() && value != &Value::Bool(true),
            _ => golang::is_zero(value),
        };
        if !is_unset {
            errs.forbidden(&path.child(field), detail);
        }
    };
    const EMPTY: &str = "must be empty to be structural";
    const UNDEFINED: &str = "must be undefined to be structural";
    const FALSE: &str = "must be false to be structural";
    for (field, detail) in [
        ("type", EMPTY),
        ("additionalProperties", UNDEFINED),
        ("default", UNDEFINED),
        ("title", EMPTY),
        ("description", EMPTY),
        ("nullable", FALSE),
        ("x-kubernetes-preserve-unknown-fields", FALSE),
        ("x-kubernetes-embedded-resource", FALSE),
        ("x-kubernetes-int-or-string", FALSE),
        ("x-kubernetes-list-map-keys", EMPTY),
        ("x-kubernetes-list-type", UNDEFINED),
        ("x-kubernetes-map-type", UNDEFINED),
        ("x-kubernetes-validations", EMPTY),
    ] {
        forbid(field, detail);
    }
    if s.sub("properties").get("metadata").is_some() {
        errs.forbidden(&properties.key("metadata"), "must not be specified in a nested context");
    }
}

/// `validateValueValidationCompleteness`: the logical parts of `v` only name what the structure `s` has.
fn complete(v: &Value, s: Option<&Value>, s_path: &Path<'_>, v_path: &Path<'_>, errs: &mut ErrorList) {
    if let Some(not) = v.at("not") {
        complete_nested(not, s, s_path, &v_path.child("not"), errs);
    }
    for field in ["allOf", "anyOf", "oneOf"] {
        let list = v_path.child(field);
        for (i, part) in v.list(field).iter().enumerate() {
            complete_nested(part, s, s_path, &list.index(i), errs);
        }
    }
}

fn complete_nested(v: &Value, s: Option<&Value>, s_path: &Path<'_>, v_path: &Path<'_>, errs: &mut ErrorList) {
    let Some(s) = s else {
        errs.required(s_path, format!("because it is defined in {v_path}"));
        return;
    };
    complete(v, Some(s), s_path, v_path, errs);
    if let Some(items) = schema_of_items(v) {
        complete_nested(items, schema_of_items(s), &s_path.child("items"), &v_path.child("items"), errs);
    }
    let (s_properties, v_properties) = (s_path.child("properties"), v_path.child("properties"));
    for (name, property) in v.entries("properties") {
        let field = s.sub("properties").get(name);
        complete_nested(property, field, &s_properties.key(name), &v_properties.key(name), errs);
    }
}
