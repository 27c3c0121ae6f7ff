//! A version's JSON schema, read once and kept as values are checked against it
//! (`apiserver/schema.Structural` and `kube-openapi/validation/spec.Schema` in one).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use api::{Object, Value};
use regex::Regex;

use crate::{formats, pattern};

/// A pattern. It is compiled when a value first has to match it: definitions have many, few of which are ever asked.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As it was written.
    pub text: String,
    compiled: OnceLock<Result<Regex, String>>,
}

impl Pattern {
    /// The regular expression, or why it is none.
    pub fn regex(&self) -> Result<&Regex, &str> {
        self.compiled.get_or_init(|| pattern::compile(&self.text)).as_ref().map_err(String::as_str)
    }
}

/// `additionalProperties`.
#[derive(Clone, Debug)]
pub struct Additional {
    /// Whether other fields are allowed at all.
    pub allows: bool,
    /// What their values look like.
    pub schema: Option<Box<Schema>>,
}

/// A schema.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// The types that a value may have; empty for any.
    pub types: Vec<String>,
    /// `null` is a value too.
    pub nullable: bool,
    /// What an absent field counts as.
    pub default: Option<Value>,
    /// A known format; others are not checked.
    pub format: String,
    /// Whether it names a format, a known one or not.
    pub has_format: bool,
    /// The only values.
    pub allowed: Vec<Value>,
    /// Bounds of numbers, each with whether the bound itself is excluded.
    pub maximum: Option<(f64, bool)>,
    /// See `maximum`.
    pub minimum: Option<(f64, bool)>,
    /// Numbers are multiples of this one.
    pub multiple_of: Option<f64>,
    /// Characters of strings.
    pub max_length: Option<i64>,
    /// See `max_length`.
    pub min_length: Option<i64>,
    /// What strings match.
    pub pattern: Option<Pattern>,
    /// Items of lists.
    pub max_items: Option<i64>,
    /// See `max_items`.
    pub min_items: Option<i64>,
    /// Fields of objects.
    pub max_properties: Option<i64>,
    /// See `max_properties`.
    pub min_properties: Option<i64>,
    /// Fields that must be there.
    pub required: Vec<String>,
    /// Fields by name.
    pub properties: BTreeMap<String, Schema>,
    /// Other fields.
    pub additional: Option<Additional>,
    /// Items of lists.
    pub items: Option<Box<Schema>>,
    /// All of these hold.
    pub all_of: Vec<Schema>,
    /// At least one of these holds.
    pub any_of: Vec<Schema>,
    /// Exactly one of these holds.
    pub one_of: Vec<Schema>,
    /// This does not hold.
    pub not: Option<Box<Schema>>,
    /// `x-kubernetes-preserve-unknown-fields`.
    pub preserve_unknown: bool,
    /// `x-kubernetes-embedded-resource`.
    pub embedded: bool,
    /// `x-kubernetes-int-or-string`.
    pub int_or_string: bool,
    /// `x-kubernetes-list-type`.
    pub list_type: Option<String>,
    /// `x-kubernetes-list-map-keys`.
    pub list_map_keys: Vec<String>,
    /// `x-kubernetes-map-type`.
    pub map_type: Option<String>,
    /// Whether it or a schema inside it has `x-kubernetes-validations`.
    pub has_rules: bool,
}

fn flag(of: &Object, name: &str) -> bool {
    of.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn text(of: &Object, name: &str) -> Option<String> {
    of.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn texts(of: &Object, name: &str) -> Vec<String> {
    let list = of.get(name).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

/// What a schema is read for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    /// Resources: only known formats count.
    Resources,
    /// Defaults inside it: upstream looks at these with another form of it, which has all formats, and no types where it
    /// says int-or-string.
    Defaults,
}

fn list(of: &Object, name: &str, what: For) -> Vec<Schema> {
    let list = of.get(name).and_then(Value::as_array).into_iter().flatten();
    list.map(|v| Schema::read(v, what)).collect()
}

fn nested(of: &Object, name: &str, what: For) -> Option<Box<Schema>> {
    of.get(name).filter(|v| v.is_object()).map(|v| Box::new(Schema::read(v, what)))
}

impl Schema {
    /// Reads a `JSONSchemaProps`. What makes no sense was refused when the definition was written, and is left out.
    pub fn parse(value: &Value) -> Schema {
        Schema::read(value, For::Resources)
    }

    /// Reads it for the defaults inside it.
    pub(crate) fn parse_for_defaults(value: &Value) -> Schema {
        Schema::read(value, For::Defaults)
    }

    fn read(value: &Value, what: For) -> Schema {
        let Some(of) = value.as_object() else { return Schema::default() };
        let int_or_string = flag(of, "x-kubernetes-int-or-string");
        let types = match text(of, "type").filter(|t| !t.is_empty()) {
            _ if int_or_string && what == For::Defaults => Vec::new(),
            _ if int_or_string => vec!["integer".to_owned(), "string".to_owned()],
            Some(one) => vec![one],
            None => Vec::new(),
        };
        let number = |name: &str| of.get(name).and_then(Value::as_f64);
        let whole = |name: &str| of.get(name).and_then(Value::as_i64);
        let properties = of.get("properties").and_then(Value::as_object).into_iter().flatten();
        let additional = of.get("additionalProperties").and_then(|a| match a {
            Value::Bool(allows) => Some(Additional { allows: *allows, schema: None }),
            Value::Object(_) => {
                Some(Additional { allows: true, schema: Some(Box::new(Schema::read(a, what))) })
            }
            _ => None,
        });
        let pattern = text(of, "pattern").filter(|p| !p.is_empty());
        let mut schema = Schema {
            format: match (what, text(of, "format").unwrap_or_default()) {
                (For::Resources, format) => formats::supported(&types, &format),
                (For::Defaults, format) => format,
            },
            has_format: text(of, "format").is_some_and(|f| !f.is_empty()),
            types,
            nullable: flag(of, "nullable"),
            default: of.get("default").filter(|d| !d.is_null()).cloned(),
            allowed: of.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
            maximum: number("maximum").map(|m| (m, flag(of, "exclusiveMaximum"))),
            minimum: number("minimum").map(|m| (m, flag(of, "exclusiveMinimum"))),
            multiple_of: number("multipleOf"),
            max_length: whole("maxLength"),
            min_length: whole("minLength"),
            pattern: pattern.map(|text| Pattern { text, compiled: OnceLock::new() }),
            max_items: whole("maxItems"),
            min_items: whole("minItems"),
            max_properties: whole("maxProperties"),
            min_properties: whole("minProperties"),
            required: texts(of, "required"),
            properties: properties.map(|(k, v)| (k.clone(), Schema::read(v, what))).collect(),
            additional,
            items: nested(of, "items", what),
            all_of: list(of, "allOf", what),
            any_of: list(of, "anyOf", what),
            one_of: list(of, "oneOf", what),
            not: nested(of, "not", what),
            preserve_unknown: flag(of, "x-kubernetes-preserve-unknown-fields"),
            embedded: flag(of, "x-kubernetes-embedded-resource"),
            int_or_string,
            list_type: text(of, "x-kubernetes-list-type"),
            list_map_keys: texts(of, "x-kubernetes-list-map-keys"),
            map_type: text(of, "x-kubernetes-map-type"),
            has_rules: false,
        };
        let own = of.get("x-kubernetes-validations").and_then(Value::as_array);
        schema.has_rules = own.is_some_and(|rules| !rules.is_empty()) || schema.parts().any(|s| s.has_rules);
        schema
    }

    /// The schemas right inside this one, as far as values have their rules.
    fn parts(&self) -> impl Iterator<Item = &Schema> {
        let additional = self.additional.iter().filter_map(|a| a.schema.as_deref());
        let several = self.all_of.iter().chain(&self.any_of).chain(&self.one_of);
        self.properties
            .values()
            .chain(additional)
            .chain(self.items.as_deref())
            .chain(several)
            .chain(self.not.as_deref())
    }

    /// What a field's value looks like, if that is known.
    pub fn field(&self, name: &str) -> Option<&Schema> {
        self.properties.get(name).or_else(|| self.additional.as_ref()?.schema.as_deref())
    }

    /// Whether `null` does not count as a value here.
    pub(crate) fn refuses_null(&self) -> bool {
        !self.nullable
    }
}
