//! Whether an applied configuration fits its type (`typed/validate.go`).

use std::collections::BTreeSet;

use api::printf::{go_print, go_syntax, go_type};
use api::{Object, Value};

use super::{ScalarKind, Shape, TypeSchema, item_element};
use crate::apply::fieldpath::Element;

/// Every mistake as upstream words it: `.spec.x: field not declared in schema`.
pub fn validate<S: TypeSchema>(object: &Object, schema: &S) -> Vec<String> {
    let mut errors = Vec::new();
    validate_fields(object, schema, "", &mut errors);
    errors
}

fn walk<S: TypeSchema>(value: &Value, schema: &S, path: &str, errors: &mut Vec<String>) {
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

fn validate_fields<S: TypeSchema>(fields: &Object, schema: &S, path: &str, errors: &mut Vec<String>) {
    for (name, value) in fields {
        match super::child(schema, name) {
            Some(schema) => walk(value, &schema, &format!("{path}.{name}"), errors),
            None if schema.shape() == Shape::Deduced => {}
            None => errors.push(format!("{path}.{name}: field not declared in schema")),
        }
    }
}

fn validate_items<S: TypeSchema>(
    items: &[Value],
    shape: &Shape,
    schema: &S,
    path: &str,
    errors: &mut Vec<String>,
) {
    let mut seen: BTreeSet<Element> = BTreeSet::new();
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
                if seen.contains(&element) {
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
