//! Conversion between the served versions of a kind, through its hub: upstream's `pkg/apis/*/v*/conversion.go`.
//!
//! Most versions of a kind differ only in `apiVersion`; those that differ in shape have a function here. The result
//! is then made what Go would write for its type, so that a function only has to move things.

mod apps;
mod autoscaling;
mod crd;
mod events;
mod networking;
mod old;
mod others;
mod rbac;
mod scale;

pub use apps::hide_template_generation;
pub use scale::{scale_from_hub, scale_to_hub};

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::decode::{cannot_be_handled, zero};
use crate::kinds::{self, Resource};
use crate::schema::{self, StructId, Type};
use crate::status::ApiError;
use crate::{Object, Value};

/// Moves fields of an object into or out of the hub's shape.
type Step = fn(&mut Object) -> Result<(), String>;

/// The two directions for one version.
#[derive(Clone, Copy)]
struct Steps {
    to_hub: Step,
    from_hub: Step,
}

/// An object of a served version in the hub's version. Free when it is that already.
pub fn to_hub(resource: &Resource, object: Value) -> Result<Value, ApiError> {
    try_to_hub(resource, object)
        .map_err(|why| cannot_be_handled(&resource.kind.kind, &resource.version, &resource.kind.kind, &why))
}

/// The same; what stands in the way is given in upstream's bare words.
pub fn try_to_hub(resource: &Resource, mut object: Value) -> Result<Value, String> {
    if let (Some(steps), Some(fields)) = (steps(resource), object.as_object_mut()) {
        (steps.to_hub)(fields)?;
    }
    if !resource.is_hub() {
        relabel(resource, 0, &mut object);
    }
    Ok(object)
}

/// A hub object in a served version. Free when that is the hub's.
pub fn from_hub(resource: &Resource, mut object: Value) -> Value {
    if resource.is_hub() {
        return object;
    }
    if let (Some(steps), Some(fields)) = (steps(resource), object.as_object_mut()) {
        // Hub objects have been validated: what cannot be said in the old version is left away.
        let _ = (steps.from_hub)(fields);
    }
    relabel(resource, resource.index, &mut object);
    if let Some(fields) = object.as_object_mut().filter(|_| old::is_old(resource)) {
        old::as_written_then(resource, fields);
    }
    object
}

/// Whether objects only change their `apiVersion` to be served in this version: bytes of the hub can be served after
/// replacing that one text.
pub fn is_relabel_only(resource: &Resource) -> bool {
    let moves = !resource.is_hub() && (steps(resource).is_some() || old::has_templates(resource));
    !moves && same_shape(resource.ty, resource.hub().ty)
}

/// Whether two types write the same fields in the same way.
fn same_shape(a: Option<StructId>, b: Option<StructId>) -> bool {
    static KNOWN: Mutex<BTreeMap<(StructId, StructId), bool>> = Mutex::new(BTreeMap::new());
    let (Some(a), Some(b)) = (a, b) else { return false };
    if a == b {
        return true;
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(same) = known.get(&(a, b)) {
        return *same;
    }
    let same = same_structs(a, b, &mut Vec::new());
    known.insert((a, b), same);
    same
}

fn same_structs(a: StructId, b: StructId, above: &mut Vec<(StructId, StructId)>) -> bool {
    if a == b || above.contains(&(a, b)) {
        return true;
    }
    above.push((a, b));
    let schemas = schema::builtin();
    let (left, right) = (&schemas.get(a).fields, &schemas.get(b).fields);
    let same = left.len() == right.len()
        && left.iter().all(|f| {
            schemas.get(b).field(&f.name).is_some_and(|g| {
                (f.omit_empty, f.omit_zero, f.pointer) == (g.omit_empty, g.omit_zero, g.pointer)
                    && same_types(&f.ty, &g.ty, above)
            })
        });
    above.pop();
    same
}

fn same_types(a: &Type, b: &Type, above: &mut Vec<(StructId, StructId)>) -> bool {
    match (a, b) {
        (Type::Struct(a), Type::Struct(b)) => same_structs(*a, *b, above),
        (Type::List(a), Type::List(b)) => same_types(&a.item, &b.item, above),
        (Type::Map(a), Type::Map(b)) => same_types(&a.value, &b.value, above),
        (Type::String(_), Type::String(_)) => true,
        (a, b) => a == b,
    }
}

/// Names the version and leaves the fields that its type has.
fn relabel(resource: &Resource, index: usize, object: &mut Value) {
    let served = &resource.kind.served[index];
    if let Some(ty) = served.ty
        && !is_relabel_only(resource)
    {
        zero::normalise(schema::builtin(), &Type::Struct(ty), object);
    }
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".to_owned(), kinds::group_version(&served.group, &served.version).into());
        fields.insert("kind".to_owned(), served.kind.as_ref().into());
    }
}

/// Whether objects of this version are moved into another shape on their way to the hub.
pub fn has_steps(resource: &Resource) -> bool {
    steps(resource).is_some()
}

/// The functions of a version, if its shape differs from the hub's. Hub versions may have one too: it runs on the way
/// in, for what upstream's internal types do to objects of the newest version.
fn steps(resource: &Resource) -> Option<Steps> {
    match (resource.group.as_ref(), resource.version.as_ref(), resource.kind.kind.as_ref()) {
        ("extensions" | "apps", version, kind) if resource.kind.group == "apps" => {
            apps::steps(&resource.group, version, kind)
        }
        ("autoscaling", version, "HorizontalPodAutoscaler") => autoscaling::steps(version),
        (_, "v1beta1", "Ingress") => Some(networking::INGRESS),
        (_, "v1beta1" | "v1alpha1", "EndpointSlice") => Some(networking::ENDPOINT_SLICE),
        (_, "v1alpha1", "RoleBinding" | "ClusterRoleBinding") => Some(rbac::SUBJECTS),
        ("node.k8s.io", "v1alpha1", "RuntimeClass") => Some(others::RUNTIME_CLASS),
        ("events.k8s.io", _, "Event") => Some(events::EVENT),
        ("policy", version, "PodDisruptionBudget") => others::disruption_budget(version),
        ("authorization.k8s.io", "v1beta1", _) => Some(others::ACCESS_REVIEW),
        ("apiextensions.k8s.io", "v1beta1", "CustomResourceDefinition") => Some(crd::OLD),
        _ => None,
    }
}

/// Moves a field to another name; absent and null fields stay away.
fn rename(object: &mut Object, from: &str, to: &str) {
    if let Some(value) = object.remove(from).filter(|v| !v.is_null()) {
        object.insert(to.to_owned(), value);
    }
}

/// An object field.
fn child<'a>(object: &'a mut Object, key: &str) -> Option<&'a mut Object> {
    object.get_mut(key)?.as_object_mut()
}

/// A string field; empty when absent.
fn text<'a>(object: &'a Object, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a list field that are objects.
fn items<'a>(object: &'a mut Object, key: &str) -> impl Iterator<Item = &'a mut Object> {
    object.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

/// `metadata.annotations`, made when missing.
fn annotations(object: &mut Object) -> Option<&mut Object> {
    let meta = object.entry("metadata").or_insert_with(|| Value::Object(Object::new())).as_object_mut()?;
    let map = meta.entry("annotations").or_insert_with(|| Value::Object(Object::new()));
    if map.is_null() {
        *map = Value::Object(Object::new());
    }
    map.as_object_mut()
}

/// Removes an annotation; the map goes with its last entry.
fn take_annotation(object: &mut Object, key: &str) -> Option<String> {
    let meta = child(object, "metadata")?;
    let map = child(meta, "annotations")?;
    let value = map.remove(key)?.as_str().map(str::to_owned);
    if map.is_empty() {
        meta.remove("annotations");
    }
    value
}

#[cfg(test)]
mod tests;
