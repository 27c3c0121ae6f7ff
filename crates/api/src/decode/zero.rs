//! Go's zero values, and which fields are written when they hold them.

use crate::schema::{Field, Schemas, Struct, Type};
use crate::{Object, Value};

/// The zero value of a type as Go writes it.
pub fn value(schemas: &Schemas, ty: &Type) -> Value {
    match ty {
        Type::String(_) => Value::String(String::new()),
        Type::Int32 | Type::Int64 | Type::Number | Type::IntOrString => 0.into(),
        Type::Boolean | Type::SchemaOrBool(_) => Value::Bool(false),
        Type::Quantity => "0".into(),
        Type::Duration => "0s".into(),
        Type::Struct(id) => {
            let mut out = Object::new();
            fill(schemas, schemas.get(*id), &mut out);
            Value::Object(out)
        }
        Type::Any
        | Type::RawExtension
        | Type::Bytes
        | Type::Time
        | Type::MicroTime
        | Type::List(_)
        | Type::Map(_)
        | Type::SchemaOrArray(_)
        | Type::SchemaOrStrings(_) => Value::Null,
    }
}

/// The zero value of a map's entry; nil bytes come back from the store as empty ones.
pub fn map_value(schemas: &Schemas, ty: &Type) -> Value {
    if *ty == Type::Bytes { Value::String(String::new()) } else { value(schemas, ty) }
}

/// Adds the fields that Go writes though they were not set.
pub fn fill(schemas: &Schemas, of: &Struct, out: &mut Object) {
    for field in of.always_written() {
        if !out.contains_key(field.name.as_ref()) {
            let zero = if field.pointer { Value::Null } else { value(schemas, &field.ty) };
            out.insert(field.name.to_string(), zero);
        }
    }
}

/// Makes a value what Go would write for the type: fields that the type lacks go away, empty ones are written or not
/// as their tags say. For values that were built by hand or come from another version.
pub fn normalise(schemas: &Schemas, ty: &Type, value: &mut Value) {
    normalise_with(schemas, ty, value, &is_written);
}

/// The same for a value that was not stored yet: lists and maps that are always written stay empty instead of missing.
pub fn normalise_unstored(schemas: &Schemas, ty: &Type, value: &mut Value) {
    let always = |field: &Field| !field.omit_empty && matches!(field.ty, Type::List(_) | Type::Map(_));
    normalise_with(schemas, ty, value, &|field, value| always(field) || is_written(field, value));
}

fn normalise_with(schemas: &Schemas, ty: &Type, value: &mut Value, written: &dyn Fn(&Field, &Value) -> bool) {
    match (ty, value) {
        (Type::Struct(id), Value::Object(fields)) => {
            let of = schemas.get(*id);
            for (name, value) in fields.iter_mut() {
                if let Some(field) = of.field(name) {
                    normalise_with(schemas, &field.ty, value, written);
                }
            }
            fields.retain(|name, value| match of.field(name) {
                Some(field) => !value.is_null() && written(field, value),
                None => of.preserve_unknown,
            });
            fill(schemas, of, fields);
        }
        (Type::List(list), Value::Array(items)) => {
            items.iter_mut().for_each(|item| normalise_with(schemas, &list.item, item, written));
        }
        (Type::Map(map), Value::Object(entries)) => {
            entries.values_mut().for_each(|entry| normalise_with(schemas, &map.value, entry, written));
        }
        (
            Type::SchemaOrBool(id) | Type::SchemaOrArray(id) | Type::SchemaOrStrings(id),
            value @ Value::Object(_),
        ) => normalise_with(schemas, &Type::Struct(*id), value, written),
        (Type::SchemaOrArray(id), Value::Array(items)) => {
            items.iter_mut().for_each(|item| normalise_with(schemas, &Type::Struct(*id), item, written));
        }
        _ => {}
    }
}

/// Whether Go writes a field that has this (set) value.
pub fn is_written(field: &Field, value: &Value) -> bool {
    if field.omit_zero && field.ty.is_go_struct() && !field.pointer {
        return !value.is_null() && value.as_object().is_none_or(|o| !o.is_empty());
    }
    if !field.omit_empty {
        // Upstream's store does not tell empty lists and maps from missing ones: they come back as null.
        return match (&field.ty, value) {
            (Type::List(_), Value::Array(list)) => !list.is_empty(),
            (Type::Map(_), Value::Object(map)) => !map.is_empty(),
            _ => true,
        };
    }
    match value {
        Value::Array(list) => {
            !list.is_empty()
                || matches!(
                    field.ty,
                    Type::SchemaOrArray(_) | Type::SchemaOrStrings(_) | Type::Any | Type::RawExtension
                )
        }
        Value::Object(map) => !map.is_empty() || !matches!(field.ty, Type::Map(_)),
        _ if field.pointer || field.ty.is_go_struct() => true,
        Value::String(text) => !text.is_empty(),
        Value::Bool(set) => *set,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::Null => false,
    }
}
