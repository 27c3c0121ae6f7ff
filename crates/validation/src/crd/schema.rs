//! Schemas of versions (`ValidateCustomResourceDefinitionOpenAPISchema`).

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path};

use super::{View, definition, expressions, field_path, structural};
use crate::errs::Errs;
use crate::golang;
use crate::value::Get;

/// What is asked of schemas. An update may keep what its old version had.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) schema_required: bool,
    pub(super) structural: bool,
    pub(super) known_review_version: bool,
    /// Whether there may be default values.
    pub(super) defaults: bool,
    known_types: bool,
    atomic_sets: bool,
    map_keys: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            schema_required: true,
            structural: true,
            known_review_version: true,
            defaults: true,
            known_types: true,
            atomic_sets: true,
            map_keys: true,
        }
    }
}

impl Options {
    /// What is asked of a definition that is written through `v1beta1`.
    pub(super) fn beta() -> Options {
        Options {
            schema_required: false,
            structural: false,
            known_types: false,
            defaults: false,
            ..Options::default()
        }
    }

    /// What is asked of an update through `v1beta1`.
    pub(super) fn beta_given(old: &View<'_>) -> Options {
        Options { defaults: old.has_defaults(), ..Options::beta() }
    }

    /// What may be asked of an update of this definition.
    pub(super) fn given(old: &View<'_>) -> Options {
        let no_schema = |rule: &dyn Fn(&Value) -> bool| !old.schemas().any(|s| any(s, rule));
        let reviews = old.spec.sub("conversion").sub("webhook").strs("conversionReviewVersions");
        Options {
            schema_required: old.schemas().count() == old.versions.len(),
            structural: !old.schemas().any(|s| {
                structural::unsupported(s).is_some() || !structural::validate(s, &Path::new("")).is_empty()
            }),
            known_review_version: reviews.is_empty()
                || reviews.iter().any(|v| definition::is_known_review(v)),
            defaults: true,
            known_types: no_schema(&|s| !s.str("type").is_empty() && !TYPES.contains(&s.str("type"))),
            atomic_sets: no_schema(&|s| {
                let mut errs = ErrorList::new();
                set_items(s, &Path::new(""), &mut errs);
                !errs.is_empty()
            }),
            map_keys: no_schema(&|s| {
                let mut errs = ErrorList::new();
                list_keys(s, &Path::new(""), &mut errs);
                !errs.is_empty()
            }),
        }
    }
}

const TYPES: &[&str] = &["array", "boolean", "integer", "number", "object", "string"];

/// Whether a rule holds for a schema or for one inside it (`SchemaHas`).
pub(super) fn any(schema: &Value, rule: &dyn Fn(&Value) -> bool) -> bool {
    if !schema.is_object() {
        return false;
    }
    let all = |field: &str| schema.list(field).iter().any(|s| any(s, rule));
    let map = |field: &str| schema.entries(field).any(|(_, s)| any(s, rule));
    rule(schema)
        || all("items")
        || ["items", "not", "additionalProperties", "additionalItems"]
            .iter()
            .any(|f| any(schema.sub(f), rule))
        || ["allOf", "anyOf", "oneOf"].iter().any(|f| all(f))
        || ["properties", "patternProperties", "definitions", "dependencies"].iter().any(|f| map(f))
}

/// Go's fields of a schema in the order of its type, those that may stand at the root of one with a status.
const ROOT_FIELDS: &str = "Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations";

/// Why `v1beta1` has no default values.
const NO_DEFAULTS: &str =
    "(cannot set default values in apiextensions.k8s.io/v1beta1 CRDs, must use apiextensions.k8s.io/v1)";

/// `validateCustomResourceDefinitionValidation`.
pub(super) fn validation(
    v: &Value,
    has_status: bool,
    options: &Options,
    path: &Path<'_>,
    errs: &mut ErrorList,
) {
    let Some(schema) = v.at("openAPIV3Schema") else { return };
    let before = errs.len();
    let root = path.child("openAPIV3Schema");
    if has_status {
        root_fields(schema, path, errs);
    }
    if schema.flag("nullable") {
        errs.forbidden(&path.child("openAPIV3Schema.nullable"), "nullable cannot be true at the root");
    }
    let before_structure = errs.len();
    let mut unreadable = None;
    if options.structural {
        unreadable = structural::unsupported(schema);
        if unreadable.is_none() {
            errs.extend(structural::validate(schema, &root));
            if errs.len() == before_structure {
                errs.extend(defaults(schema, &root));
            }
        }
    }
    let is_structural = options.structural && unreadable.is_none() && errs.len() == before_structure;
    let defaults = if options.defaults { Ok(()) } else { Err(NO_DEFAULTS.to_owned()) };
    let at = At { root: true, in_metadata: false, defaults, expressions: is_structural, lost: None };
    let mut expressions = ErrorList::new();
    check(schema, &at, options, &root, &mut Found { schema: errs, expressions: &mut expressions });
    errs.append(&mut expressions);
    if let Some(problem) = unreadable
        && errs.len() == before
    {
        errs.invalid(&root, "", problem);
    }
}

/// `ValidateDefaults`: defaults are values of their schemas.
fn defaults(schema: &Value, root: &Path<'_>) -> ErrorList {
    if !any(schema, &|s| s.at("default").is_some()) {
        return ErrorList::new();
    }
    let alone = serde_json::json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": schema}}]}});
    let mut found = apiextensions::check::defaults(&alone, crate::validate_embedded_meta);
    for error in &mut found {
        if let Some(rest) = error.field.strip_prefix("spec.validation.openAPIV3Schema") {
            error.field = format!("{root}{rest}");
        }
    }
    found
}

fn root_fields(schema: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let allowed: Vec<&str> = ROOT_FIELDS.split(' ').collect();
    for (shown, key) in golang::fields_of("apiextensions.JSONSchemaProps") {
        // Pointers to zero values, empty lists and empty maps are not what Go takes for zero.
        if schema.at(key).is_none() {
            continue;
        }
        if shown == "Type" {
            if schema.str("type") != "object" {
                errs.invalid(
                    &path.child("openAPIV3Schema.type"),
                    schema.str("type"),
                    "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled",
                );
                return;
            }
        } else if !allowed.contains(&shown) {
            errs.invalid(
                &path.child("openAPIV3Schema"),
                golang::shown("apiextensions.JSONSchemaProps", schema),
                format!("only [{ROOT_FIELDS}] fields are allowed at the root of the schema if the status subresource is enabled"),
            );
            return;
        }
    }
}

/// Where in a schema we are.
#[derive(Clone)]
struct At {
    root: bool,
    in_metadata: bool,
    /// Whether there may be defaults, or why not.
    defaults: Result<(), String>,
    /// Whether expressions are looked at: not when the structure is broken, nor below `not` and the like.
    expressions: bool,
    /// From where on a value cannot be told to be that of before.
    lost: Option<String>,
}

impl At {
    /// Inside a schema that is no part of the structure.
    fn without_expressions(&self) -> At {
        At { expressions: false, ..self.clone() }
    }

    /// Inside a list or map whose items may not be known again, which lies at `path`.
    fn unless_known_again(&self, known: bool, path: &Path<'_>) -> At {
        let lost = self.lost.clone().or_else(|| (!known).then(|| path.to_string()));
        At { lost, ..self.clone() }
    }
}

/// What is wrong with the schemas, and, told behind it, with their expressions.
struct Found<'a> {
    schema: &'a mut ErrorList,
    expressions: &'a mut ErrorList,
}

fn check(s: &Value, at: &At, options: &Options, path: &Path<'_>, found: &mut Found<'_>) {
    if !s.is_object() {
        return;
    }
    let before = found.schema.len();
    standard(s, at, options, path, found.schema);
    if s.flag("uniqueItems") {
        found.schema.forbidden(
            &path.child("uniqueItems"),
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        );
    }
    below(s, at, options, path, found);
    if s.opt_flag("x-kubernetes-preserve-unknown-fields") == Some(false) {
        let path = path.child("x-kubernetes-preserve-unknown-fields");
        found.schema.invalid(&path, false, "must be true or undefined");
    }
    list_and_map_types(s, options, path, found.schema);
    rules(s, path, found.schema);
    // Expressions over a schema with mistakes would only say so again.
    if at.expressions && found.schema.len() == before {
        expressions::rules(s, at.root, at.lost.as_deref(), path, found.expressions);
    }
}

/// `specStandardValidatorV3`: parts of OpenAPI that are not supported.
fn standard(s: &Value, at: &At, options: &Options, path: &Path<'_>, errs: &mut ErrorList) {
    let kind = s.str("type");
    if options.known_types && !kind.is_empty() && !TYPES.contains(&kind) {
        errs.not_supported(&path.child("type"), kind, TYPES);
    }
    if s.at("default").is_some()
        && let Err(reason) = &at.defaults
    {
        errs.forbidden(&path.child("default"), format!("must not be set {reason}"));
    }
    for field in ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"] {
        let value = s.sub(field);
        let is_unset = match value {
            Value::Object(_) if field == "dependencies" || field == "additionalItems" => false,
            Value::String(_) if field == "$ref" => false,
            Value::Bool(_) => false,
            _ => golang::is_zero(value),
        };
        if !is_unset {
            errs.forbidden(&path.child(field), format!("{field} is not supported"));
        }
    }
    if kind == "null" {
        let detail = "type cannot be set to null, use nullable as an alternative";
        errs.forbidden(&path.child("type"), detail);
    }
    if !s.list("items").is_empty() {
        errs.forbidden(&path.child("items"), "items must be a schema object and not an array");
    }
    if at.in_metadata && s.flag("x-kubernetes-embedded-resource") {
        let path = path.child("x-kubernetes-embedded-resource");
        errs.forbidden(&path, "must not be used inside of resource meta");
    }
}

/// The schemas inside a schema.
fn below(s: &Value, at: &At, options: &Options, path: &Path<'_>, found: &mut Found<'_>) {
    let inside = At { root: false, ..at.clone() };
    if let Some(more) = s.at("additionalProperties") {
        let path = path.child("additionalProperties");
        if s.entries("properties").next().is_some() && more != &Value::Bool(true) {
            found.schema.forbidden(&path, "additionalProperties and properties are mutual exclusive");
        }
        let mut inside = inside.clone();
        if at.in_metadata {
            inside.defaults = Err("inside additionalProperties applying to object metadata".to_owned());
        }
        check(more, &inside, options, &path, found);
    }
    let properties = path.child("properties");
    let is_known_map = matches!(s.opt_str(MAP_TYPE), None | Some("granular" | "atomic"));
    let in_map = inside.unless_known_again(is_known_map, path);
    for (name, property) in s.entries("properties") {
        let mut inside = in_map.clone();
        if (at.root || s.flag("x-kubernetes-embedded-resource"))
            && matches!(name.as_str(), "metadata" | "kind" | "apiVersion")
        {
            inside.in_metadata = true;
            if at.root {
                inside.defaults = Err(format!("in top-level {name}"));
            }
        }
        check(property, &inside, options, &properties.key(name), found);
    }
    let unstructured = inside.without_expressions();
    check(s.sub("not"), &unstructured, options, &path.child("not"), found);
    for field in ["allOf", "oneOf", "anyOf"] {
        let list = path.child(field);
        for (i, part) in s.list(field).iter().enumerate() {
            check(part, &unstructured, options, &list.index(i), found);
        }
    }
    let definitions = path.child("definitions");
    for (name, part) in s.entries("definitions") {
        check(part, &unstructured, options, &definitions.key(name), found);
    }
    let items = path.child("items");
    let in_list = inside.unless_known_again(s.str(LIST_TYPE) == "map", path);
    check(s.sub("items"), &in_list, options, &items, found);
    for (i, item) in s.list("items").iter().enumerate() {
        check(item, &in_list, options, &items.index(i), found);
    }
    let dependencies = path.child("dependencies");
    for (name, part) in s.entries("dependencies") {
        check(part, &unstructured, options, &dependencies.key(name), found);
    }
}

const LIST_TYPE: &str = "x-kubernetes-list-type";
const MAP_TYPE: &str = "x-kubernetes-map-type";
const MAP_KEYS: &str = "x-kubernetes-list-map-keys";

fn list_and_map_types(s: &Value, options: &Options, path: &Path<'_>, errs: &mut ErrorList) {
    let kind = s.str("type");
    let must_be = |wanted: &str, because: &str, errs: &mut ErrorList| {
        let detail = format!("must be {wanted} if {because} is specified");
        if kind.is_empty() {
            errs.required(&path.child("type"), detail);
        } else {
            errs.invalid(&path.child("type"), kind, detail);
        }
    };
    if let Some(map_type) = s.opt_str(MAP_TYPE) {
        if kind != "object" {
            must_be("object", MAP_TYPE, errs);
        }
        if !matches!(map_type, "atomic" | "granular") {
            errs.not_supported(&path.child(MAP_TYPE), map_type, &["atomic", "granular"]);
        }
    }
    let list_type = s.opt_str(LIST_TYPE);
    if let Some(list_type) = list_type {
        if kind != "array" {
            must_be("array", LIST_TYPE, errs);
        } else if options.atomic_sets {
            set_items(s, path, errs);
        }
        if !matches!(list_type, "atomic" | "set" | "map") {
            errs.not_supported(&path.child(LIST_TYPE), list_type, &["atomic", "set", "map"]);
        }
    }
    if !s.list(MAP_KEYS).is_empty() {
        let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
        match list_type {
            None => errs.required(&path.child(LIST_TYPE), detail),
            Some("map") => {}
            Some(other) => errs.invalid(&path.child(LIST_TYPE), other, detail),
        }
    }
    if list_type == Some("map") {
        map_items(s, path, errs);
    }
    if options.map_keys {
        list_keys(s, path, errs);
    }
}

/// The items of a set have to be atomic.
fn set_items(s: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    if s.opt_str(LIST_TYPE) != Some("set") {
        return;
    }
    let items = s.sub("items");
    let list_type = golang::shown("*s", items.sub(LIST_TYPE));
    const DETAIL: &str = "must be atomic as item of a list with x-kubernetes-list-type=set";
    let path = path.child("items");
    match items.str("type") {
        "array" if !matches!(items.opt_str(LIST_TYPE), None | Some("atomic")) => {
            errs.invalid(&path.child(LIST_TYPE), list_type, DETAIL);
        }
        "object" if items.opt_str(MAP_TYPE) != Some("atomic") => {
            errs.invalid(&path.child(MAP_TYPE), list_type, DETAIL);
        }
        _ => {}
    }
}

/// The items of a map are objects with scalar keys.
fn map_items(s: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let keys = s.strs(MAP_KEYS);
    if keys.is_empty() {
        let detail = "must not be empty if x-kubernetes-list-type is map";
        errs.required(&path.child(MAP_KEYS), detail);
    }
    let items_path = path.child("items");
    let items = match s.at("items") {
        None => {
            errs.required(&items_path, "must have a schema if x-kubernetes-list-type is map");
            return;
        }
        Some(list @ Value::Array(_)) => {
            let shown = golang::shown("apiextensions.JSONSchemaPropsOrArray", list);
            errs.invalid(
                &items_path,
                shown,
                "must only have a single schema if x-kubernetes-list-type is map",
            );
            return;
        }
        Some(items) => items,
    };
    if items.str("type") != "object" {
        errs.invalid(
            &items_path.child("type"),
            items.str("type"),
            "must be object if parent array's x-kubernetes-list-type is map",
        );
        return;
    }
    let keys_path = path.child(MAP_KEYS);
    let mut seen = HashSet::new();
    for key in &keys {
        match items.sub("properties").at(key) {
            Some(property) if matches!(property.str("type"), "array" | "object") => {
                let properties = items_path.child("properties");
                let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                errs.invalid(&properties.key(key).child("type"), items.str("type"), detail);
            }
            Some(_) => {}
            None => {
                let detail = "entries must all be names of item properties";
                errs.invalid(&keys_path, s.sub(MAP_KEYS), detail);
            }
        }
        if !seen.insert(key) {
            errs.invalid(&keys_path, s.sub(MAP_KEYS), "must not contain duplicate entries");
        }
    }
}

/// `validateMapListKeysMapSet`: keys are always there.
fn list_keys(s: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let (items, list_type) = (s.sub("items"), s.str(LIST_TYPE));
    if !items.is_object() || !matches!(list_type, "set" | "map") {
        return;
    }
    let path = path.child("items");
    if items.flag("nullable") {
        let detail = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        errs.forbidden(&path.child("nullable"), detail);
    }
    if list_type == "set" {
        return;
    }
    let required: HashSet<&str> = items.strs("required").into_iter().collect();
    let properties = path.child("properties");
    for key in s.strs(MAP_KEYS) {
        let Some(property) = items.sub("properties").at(key) else { continue };
        if !required.contains(key) && property.at("default").is_none() {
            errs.required(
                &properties.key(key).child("default"),
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
            );
        }
        if property.flag("nullable") {
            errs.forbidden(
                &properties.key(key).child("nullable"),
                "this property is in x-kubernetes-list-map-keys, so it cannot be nullable",
            );
        }
    }
}

/// `x-kubernetes-validations`, all but the expressions themselves.
fn rules(s: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    const REASONS: &[&str] =
        &["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];
    let list = path.child("x-kubernetes-validations");
    let has_newline = |text: &str| text.contains(['\n', '\r']);
    for (i, rule) in s.list("x-kubernetes-validations").iter().enumerate() {
        let path = list.index(i);
        let (text, message) = (rule.str("rule").trim(), rule.str("message"));
        let expression = rule.str("messageExpression");
        if text.is_empty() {
            errs.required(&path.child("rule"), "rule is not specified");
        } else if !message.is_empty() && message.trim().is_empty() {
            errs.invalid(&path.child("message"), message, "must be non-empty if specified");
        } else if has_newline(message.trim()) {
            errs.invalid(&path.child("message"), message, "must not contain line breaks");
        } else if has_newline(text) && message.trim().is_empty() {
            let detail = "message must be specified if rule contains line breaks";
            errs.required(&path.child("message"), detail);
        }
        if !expression.is_empty() && expression.trim().is_empty() {
            let detail = "messageExpression must be non-empty if specified";
            errs.required(&path.child("messageExpression"), detail);
        }
        if let Some(reason) = rule.opt_str("reason")
            && !REASONS.contains(&reason)
        {
            errs.not_supported(&path.child("reason"), reason, REASONS);
        }
        let field = rule.str("fieldPath");
        if field.is_empty() {
            continue;
        }
        let path = path.child("fieldPath");
        if field.trim().is_empty() {
            errs.invalid(&path, field, "must be non-empty if specified");
        }
        if has_newline(field) {
            errs.invalid(&path, field, "must not contain line breaks");
        }
        if structural::unsupported(s).is_none() && field_path::resolve(field, s, true).is_err() {
            errs.invalid(&path, field, "must be a valid path");
        }
    }
}
