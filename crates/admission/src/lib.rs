//! What the built-in admission plug-ins decide, as pure functions from objects to changes or refusals.
//!
//! Upstream has one package per plug-in under `plugin/pkg/admission`; the API server's `admission` module brings each the
//! objects that it needs. All objects are of the hub version.
//!
//! - [`pods`] — DefaultTolerationSeconds, Priority, RuntimeClass;
//! - [`limits`] — LimitRanger;
//! - [`pod_security`] — PodSecurity;
//! - [`quota`] — ResourceQuota;
//! - [`storage`] — DefaultStorageClass, StorageObjectInUseProtection, PersistentVolumeClaimResize;
//! - [`defaults`] — DefaultIngressClass, TaintNodesByCondition;
//! - [`resources`] — lists of quantities, and what a pod asks for in all.
//!
//! A refusal is the text behind `… is forbidden: `.

pub mod defaults;
pub mod limits;
pub mod pod_security;
pub mod pods;
pub mod quota;
pub mod resources;
pub mod storage;

use api::Value;

/// Why an object is refused.
pub type Refusal = String;

/// A text of an object by its path; empty when it is not there.
fn text<'a>(object: &'a Value, path: &[&str]) -> &'a str {
    at(object, path).and_then(Value::as_str).unwrap_or_default()
}

fn at<'a>(object: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| value.get(step)).filter(|v| !v.is_null())
}

fn items<'a>(object: &'a Value, path: &[&str]) -> &'a [Value] {
    at(object, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The object at a path, made where it is missing; `None` when something else stands in the way.
fn object_mut<'a>(value: &'a mut Value, path: &[&str]) -> Option<&'a mut api::Object> {
    let mut value = value;
    for step in path {
        let fields = value.as_object_mut()?;
        value = fields.entry(*step).or_insert_with(|| Value::Object(api::Object::new()));
        if value.is_null() {
            *value = Value::Object(api::Object::new());
        }
    }
    value.as_object_mut()
}
