//! Defaults: upstream's `SetDefaults_*` functions and `+default` markers, applied by walking the schema.
//!
//! A type's own function runs before those of the types below it, as in upstream's generated defaulters. Which
//! types have defaults anywhere below them is computed once; the walk goes nowhere else.

mod apps;
mod core;
mod gates;
mod image;
mod internal;
mod object;
mod others;
mod pod;

use std::sync::OnceLock;

use crate::kinds::Resource;
use crate::quantity::Quantity;
use crate::schema::{self, Schemas, StructId, Type};
use crate::{Object, Value};

/// A `SetDefaults_*` function.
type Hook = fn(&mut Object);

/// What one struct needs.
#[derive(Default)]
struct Plan {
    hooks: Vec<Hook>,
    /// Fields with a declared default.
    declared: Vec<(String, Value)>,
    /// Fields to descend into, in the order of the Go type.
    descend: Vec<usize>,
}

/// Applies the defaults of the version that the object is in.
pub fn apply(resource: &Resource, object: &mut Value) {
    if let (Some(ty), Some(fields)) = (resource.ty, object.as_object_mut()) {
        walk(plans(), ty, fields);
    }
}

/// Applies the defaults of a built-in type.
pub fn apply_type(ty: StructId, object: &mut Value) {
    if let Some(fields) = object.as_object_mut() {
        walk(plans(), ty, fields);
    }
}

/// Drops what only features use that are off (`dropDisabledFields`), from an object of a built-in type. Upstream's
/// strategies do so: who set such a field is noted before.
pub fn drop_disabled(ty: StructId, object: &mut Value) {
    static PLANS: OnceLock<Vec<Plan>> = OnceLock::new();
    let plans = PLANS.get_or_init(|| {
        let of = |s: &schema::Struct| Plan {
            hooks: named(&s.name).and_then(|(group, _, kind)| gates::hook(group, kind)).into_iter().collect(),
            ..Plan::default()
        };
        build(schema::builtin(), of, |_| false)
    });
    if let Some(fields) = object.as_object_mut() {
        walk(plans, ty, fields);
    }
}

fn plans() -> &'static [Plan] {
    static PLANS: OnceLock<Vec<Plan>> = OnceLock::new();
    PLANS.get_or_init(|| {
        let of =
            |s: &schema::Struct| Plan { hooks: hooks(&s.name), declared: declared(s), descend: Vec::new() };
        build(schema::builtin(), of, is_resource_list)
    })
}

/// What each struct needs; `own`: which other types need something.
fn build(schemas: &Schemas, of: impl Fn(&schema::Struct) -> Plan, own: fn(&Type) -> bool) -> Vec<Plan> {
    let mut plans: Vec<Plan> = schemas.iter().map(|(_, s)| of(s)).collect();
    // A struct needs the walk when it, or anything below it, has defaults: repeat until nothing changes.
    let mut needed: Vec<bool> = plans.iter().map(|p| !p.hooks.is_empty() || !p.declared.is_empty()).collect();
    loop {
        let mut changed = false;
        for (id, s) in schemas.iter() {
            let at = id.0 as usize;
            if !needed[at] && s.fields.iter().any(|f| needs(&f.ty, &needed, own)) {
                needed[at] = true;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    for (id, s) in schemas.iter() {
        // The group of runtime classes has no defaulter that would call core's.
        if s.name.starts_with("io.k8s.api.node.") {
            continue;
        }
        let fields = s.fields.iter().enumerate();
        plans[id.0 as usize].descend =
            fields.filter(|(_, f)| needs(&f.ty, &needed, own)).map(|(i, _)| i).collect();
    }
    plans
}

fn is_resource_list(ty: &Type) -> bool {
    matches!(ty, Type::Map(map) if map.go_type.as_deref() == Some("v1.ResourceList"))
}

fn needs(ty: &Type, needed: &[bool], own: fn(&Type) -> bool) -> bool {
    match ty {
        Type::Struct(id) => needed.get(id.0 as usize).copied().unwrap_or_default(),
        Type::List(list) => needs(&list.item, needed, own),
        Type::Map(map) => own(ty) || needs(&map.value, needed, own),
        _ => false,
    }
}

/// Declared defaults that change something: a zero for a field that is no pointer does not.
fn declared(s: &schema::Struct) -> Vec<(String, Value)> {
    let defaults = s.fields.iter().filter_map(|f| {
        let value: Value = serde_json::from_str(f.extras().default.as_deref()?).ok()?;
        let zero = match &value {
            Value::String(text) => text.is_empty(),
            Value::Bool(set) => !set,
            Value::Number(n) => n.as_f64() == Some(0.0),
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        (f.pointer || !zero).then(|| (f.name.to_string(), value))
    });
    defaults.collect()
}

/// Group, version and kind of a definition's name.
fn named(name: &str) -> Option<(&str, &str, &str)> {
    const API: &str = "io.k8s.api.";
    let short = name.strip_prefix(API).unwrap_or(name);
    let parts: Vec<&str> = short.rsplitn(3, '.').collect();
    let [kind, version, group] = parts.as_slice() else { return None };
    Some((group.rsplit('.').next().unwrap_or_default(), version, kind))
}

/// The functions of a type, by its definition name.
fn hooks(name: &str) -> Vec<Hook> {
    let Some((group, version, kind)) = named(name) else { return Vec::new() };
    let one = match group {
        "core" => core::hook(kind),
        "apps" | "extensions" => apps::hook(group, version, kind),
        _ => others::hook(group, version, kind),
    };
    one.into_iter().chain(internal::hook(group, version, kind)).collect()
}

fn walk(plans: &[Plan], id: StructId, object: &mut Object) {
    let Some(plan) = plans.get(id.0 as usize) else { return };
    for hook in &plan.hooks {
        hook(object);
    }
    for (name, value) in &plan.declared {
        if !object::is_set(object, name) {
            object.insert(name.clone(), value.clone());
        }
    }
    let of = schema::builtin().get(id);
    for at in &plan.descend {
        let field = &of.fields[*at];
        if let Some(value) = object.get_mut(field.name.as_ref()) {
            descend(plans, &field.ty, value);
        }
    }
}

fn descend(plans: &[Plan], ty: &Type, value: &mut Value) {
    match (ty, value) {
        (Type::Struct(id), Value::Object(fields)) => walk(plans, *id, fields),
        (Type::List(list), Value::Array(items)) => {
            items.iter_mut().for_each(|item| descend(plans, &list.item, item))
        }
        (Type::Map(_), Value::Object(entries)) if is_resource_list(ty) => {
            entries.values_mut().for_each(round_up_to_milli);
        }
        (Type::Map(map), Value::Object(entries)) => {
            entries.values_mut().for_each(|entry| descend(plans, &map.value, entry));
        }
        _ => {}
    }
}

/// `SetDefaults_ResourceList`: amounts below a thousandth are rounded up. Canonical texts show whether one is.
fn round_up_to_milli(value: &mut Value) {
    let Some(text) = value.as_str() else { return };
    let fine = text.ends_with(['n', 'u']) || text.contains(['.', 'e']);
    if fine && let Ok(mut quantity) = Quantity::parse(text) {
        quantity.round_up_to_milli();
        *value = quantity.to_string().into();
    }
}

#[cfg(test)]
mod tests;
