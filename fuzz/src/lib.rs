//! What the targets share: inputs that are nearly right.
//!
//! Random bytes hardly ever make a Pod. So most targets read their bytes as decisions: which kind, which of its fields,
//! and for each of them a value of the field's type from a list of words that validation cares about, or an odd one.

pub mod words;

use api::kinds::Resource;
use api::schema::{Schemas, StructId, Type};
use api::{Object, Value};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use serde_json::json;

/// How deep generated values nest.
const DEPTH_MAX: usize = 12;

/// A built-in resource that has a type.
pub fn resource<'a>(u: &mut Unstructured<'_>) -> Result<&'a Resource> {
    static ALL: std::sync::OnceLock<Vec<Resource>> = std::sync::OnceLock::new();
    let all = ALL.get_or_init(|| {
        let kinds = api::kinds::builtin();
        let groups = kinds.groups().iter();
        let versions = groups.flat_map(|(group, versions)| versions.iter().map(move |v| (group, v)));
        let found = versions.flat_map(|(g, v)| kinds.in_version(g, v).iter());
        found.filter(|r| r.ty.is_some()).cloned().collect()
    });
    u.choose(all)
}

/// A text: mostly a word that means something somewhere.
pub fn text(u: &mut Unstructured<'_>) -> Result<String> {
    Ok(match u.int_in_range(0..=15)? {
        0 => u.arbitrary::<&str>()?.to_owned(),
        1 => word(u)?.repeat(usize::from(u.int_in_range(0..=80u8)?)),
        2 => format!("{}{}", word(u)?, word(u)?),
        3 => format!("{}/{}", word(u)?, word(u)?),
        4 => u.arbitrary::<i64>()?.to_string(),
        _ => word(u)?.to_owned(),
    })
}

fn word(u: &mut Unstructured<'_>) -> Result<&'static str> {
    u.choose(words::WORDS).copied()
}

/// A number: small ones and the ends of the ranges.
pub fn number(u: &mut Unstructured<'_>) -> Result<Value> {
    const ENDS: [i64; 12] = [
        0,
        1,
        -1,
        65535,
        65536,
        i32::MAX as i64,
        i32::MIN as i64,
        i32::MAX as i64 + 1,
        i64::MAX,
        i64::MIN,
        1_000_000_000,
        30_000,
    ];
    Ok(match u.int_in_range(0..=4)? {
        0 => (*u.choose(&ENDS)?).into(),
        1 => u.arbitrary::<i32>()?.into(),
        2 => u.arbitrary::<f64>()?.into(),
        _ => i64::from(u.int_in_range(0..=20u8)?).into(),
    })
}

/// Any JSON value.
pub fn any(u: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    let kinds = if depth >= DEPTH_MAX || u.is_empty() { 3 } else { 6 };
    Ok(match u.int_in_range(0..=kinds)? {
        0 => Value::Null,
        1 => u.arbitrary::<bool>()?.into(),
        2 => number(u)?,
        3 => text(u)?.into(),
        4 => {
            let mut list = Vec::new();
            for _ in 0..u.int_in_range(0..=4u8)? {
                list.push(any(u, depth + 1)?);
            }
            list.into()
        }
        _ => {
            let mut map = Object::new();
            for _ in 0..u.int_in_range(0..=4u8)? {
                map.insert(text(u)?, any(u, depth + 1)?);
            }
            map.into()
        }
    })
}

/// A value of a type, with something wrong now and then.
pub fn typed(u: &mut Unstructured<'_>, schemas: &Schemas, ty: &Type, depth: usize) -> Result<Value> {
    if depth >= DEPTH_MAX || u.int_in_range(0..=63u8)? == 63 {
        return any(u, depth);
    }
    Ok(match ty {
        Type::Any | Type::RawExtension => any(u, depth)?,
        Type::String(_) => text(u)?.into(),
        Type::Bytes => u.choose(&["", "YQ==", "YWJj", "*"])?.to_string().into(),
        Type::Int32 | Type::Int64 | Type::Number => number(u)?,
        Type::Boolean => u.arbitrary::<bool>()?.into(),
        Type::IntOrString if u.arbitrary()? => number(u)?,
        Type::IntOrString => text(u)?.into(),
        Type::Quantity => u.choose(words::QUANTITIES)?.to_string().into(),
        Type::Time | Type::MicroTime => u.choose(words::TIMES)?.to_string().into(),
        Type::Duration => u.choose(words::DURATIONS)?.to_string().into(),
        Type::Struct(id) => structure(u, schemas, *id, depth)?,
        Type::SchemaOrBool(_) if u.arbitrary()? => u.arbitrary::<bool>()?.into(),
        Type::SchemaOrArray(id) if u.arbitrary()? => {
            json!([structure(u, schemas, *id, depth + 1)?])
        }
        Type::SchemaOrStrings(_) if u.arbitrary()? => json!([text(u)?]),
        Type::SchemaOrBool(id) | Type::SchemaOrArray(id) | Type::SchemaOrStrings(id) => {
            structure(u, schemas, *id, depth)?
        }
        Type::List(list) => {
            let mut out = Vec::new();
            for _ in 0..u.int_in_range(0..=3u8)? {
                out.push(typed(u, schemas, &list.item, depth + 1)?);
            }
            out.into()
        }
        Type::Map(map) => {
            let mut out = Object::new();
            for _ in 0..u.int_in_range(0..=3u8)? {
                out.insert(text(u)?, typed(u, schemas, &map.value, depth + 1)?);
            }
            out.into()
        }
    })
}

fn structure(u: &mut Unstructured<'_>, schemas: &Schemas, id: StructId, depth: usize) -> Result<Value> {
    let of = schemas.get(id);
    let mut out = Object::new();
    if of.fields.is_empty() {
        return any(u, depth);
    }
    let most = if depth == 0 { 6 } else { 8 };
    for _ in 0..u.int_in_range(0..=most)? {
        let field = u.choose(&of.fields)?;
        out.insert(field.name.to_string(), typed(u, schemas, &field.ty, depth + 1)?);
    }
    Ok(out.into())
}

/// An object of a resource, with the head that a client would send.
pub fn object(u: &mut Unstructured<'_>, of: &Resource) -> Result<Value> {
    let Some(ty) = of.ty else { return Ok(json!({})) };
    let mut object = structure(u, api::schema::builtin(), ty, 0)?;
    let Some(fields) = object.as_object_mut() else { return Ok(json!({})) };
    fields.insert("apiVersion".into(), of.group_version().into());
    fields.insert("kind".into(), of.kind.kind.to_string().into());
    // Most of what a kind is, is below spec; without it hardly a rule is asked.
    for name in ["spec", "metadata"] {
        let field = api::schema::builtin().get(ty).field(name);
        if let Some(field) = field.filter(|_| !fields.contains_key(name)) {
            let value = typed(u, api::schema::builtin(), &field.ty, 1)?;
            fields.insert(name.into(), value);
        }
    }
    Ok(object)
}

/// A changed copy: some parts removed, replaced, or taken from elsewhere.
pub fn mutated(u: &mut Unstructured<'_>, value: &Value) -> Result<Value> {
    let mut out = value.clone();
    for _ in 0..u.int_in_range(1..=4u8)? {
        let levels = u.int_in_range(0..=8u8)?;
        replace_below(u, &mut out, levels)?;
    }
    Ok(out)
}

fn replace_below(u: &mut Unstructured<'_>, at: &mut Value, levels: u8) -> Result<()> {
    if let Some(below) = child(u, at)?.filter(|_| levels > 0) {
        return replace_below(u, below, levels - 1);
    }
    *at = any(u, 6)?;
    Ok(())
}

/// One of the values inside a value.
pub fn child<'a>(u: &mut Unstructured<'_>, of: &'a mut Value) -> Result<Option<&'a mut Value>> {
    Ok(match of {
        Value::Object(map) if !map.is_empty() => {
            let n = u.choose_index(map.len())?;
            map.values_mut().nth(n)
        }
        Value::Array(list) if !list.is_empty() => {
            let n = u.choose_index(list.len())?;
            list.get_mut(n)
        }
        _ => None,
    })
}

/// An object as a request would bring it: encoded, decoded against its kind, defaulted. `None` where that is refused.
pub fn received(of: &Resource, object: &Value) -> Option<Value> {
    let target = api::decode::Target::of(of)?;
    let text = serde_json::to_vec(object).ok()?;
    let decoded = api::decode::decode(&target, &text, api::decode::FieldValidation::Ignore).ok()?;
    let mut object = decoded.object;
    api::defaults::apply(of, &mut object);
    Some(object)
}
