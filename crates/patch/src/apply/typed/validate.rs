//! Whether an applied configuration fits its type (`typed/validate.go`).

use std::collections::BTreeSet;

use api::printf::{go_print, go_syntax, go_type};
use api::{Object, Value};

use super::{ScalarKind, Shape, TypeSchema, item_element};
use crate::apply::fieldpath::Element;

/// Whether two items of a list may go by one name. What lives may have such; a configuration may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twins {
    /// They are a mistake.
    Refused,
    /// They are let through.
    Allowed,
}

struct Errors {
    texts: Vec<String>,
    twins: Twins,
}

impl Errors {
    fn push(&mut self, text: String) {
        self.texts.push(text);
    }
}

/// Every mistake as upstream words it: `.spec.x: field not declared in schema`.
pub fn validate<S: TypeSchema>(object: &Object, schema: &S, twins: Twins) -> Vec<String> {
    let mut errors = Errors { texts: Vec::new(), twins };
    validate_fields(object, schema, "", &mut errors);
    errors.texts
}

fn walk<S: TypeSchema>(value: &Value, schema: &S, path: &str, errors: &mut Errors) {
    if value.is_null() {
        return;
    }
    match (schema.shape(), value) {
        (Shape::Scalar(kind), value) => {
            if let Some(text) = wrong_scalar(kind, value) {
                errors.push(format!("{path}: {text}"));
            }
        }
        (Shape::Map | Shape::AtomicMap, Value::Object(fields)) => {
            validate_fields(fields, schema, path, errors)
        }
        (Shape::Map | Shape::AtomicMap, other) => {
            errors.push(format!("{path}: expected map, got {}", go_value(other)))
        }
        (shape @ (Shape::AtomicList | Shape::SetList | Shape::MapList(_)), Value::Array(items)) => {
            validate_items(items, &shape, schema, path, errors);
        }
        (Shape::AtomicList | Shape::SetList | Shape::MapList(_), other) => {
            errors.push(format!("{path}: expected list, got {}", go_value(other)));
        }
        (Shape::Deduced | Shape::Opaque, _) => {}
    }
}

fn validate_fields<S: TypeSchema>(fields: &Object, schema: &S, path: &str, errors: &mut Errors) {
    for (name, value) in fields {
        match super::child(schema, name) {
            Some(schema) => walk(value, &schema, &format!("{path}.{name}"), errors),
            None if schema.shape() == Shape::Deduced => {}
            // Upstream looks no further, in an order that Go leaves open.
            None => return errors.push(format!("{path}.{name}: field not declared in schema")),
        }
    }
}

fn validate_items<S: TypeSchema>(
    items: &[Value],
    shape: &Shape<'_>,
    schema: &S,
    path: &str,
    errors: &mut Errors,
) {
    let mut seen: BTreeSet<Element<'_>> = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let element = match shape {
            Shape::SetList => item_element(None, item),
            Shape::MapList(keys) => item_element(Some(keys), item),
            _ => Ok(Element::Index(index)),
        };
        match element {
            // Without an element there is no path to report deeper mistakes under.
            Err(text) => return errors.push(format!("{path}: element {index}: {text}")),
            Ok(element) => {
                if errors.twins == Twins::Refused && seen.contains(&element) {
                    errors.push(format!("{path}: duplicate entries for key {element}"));
                }
                if let Some(schema) = schema.element() {
                    walk(item, &schema, &format!("{path}{element}"), errors);
                }
                seen.insert(element);
            }
        }
    }
}

fn wrong_scalar(kind: ScalarKind, value: &Value) -> Option<String> {
    match (kind, value) {
        (ScalarKind::String, Value::String(_))
        | (ScalarKind::Numeric, Value::Number(_))
        | (ScalarKind::Boolean, Value::Bool(_))
        | (ScalarKind::Any, Value::String(_) | Value::Number(_) | Value::Bool(_)) => None,
        (ScalarKind::String, v) => Some(format!(
            "expected string, got &value.valueUnstructured{{Value:{}}}",
            go_syntax(v, "map[string]interface {}")
        )),
        (ScalarKind::Numeric, v) => Some(format!("expected numeric (int or float), got {}", go_type(v))),
        (ScalarKind::Boolean, v) => Some(format!("expected boolean, got {}", go_value(v))),
        (ScalarKind::Any, v) => Some(format!("expected any scalar, got {}", go_value(v))),
    }
}

/// Go's `%v` of upstream's wrapper.
fn go_value(value: &Value) -> String {
    format!("&{{{}}}", go_print(value))
}
