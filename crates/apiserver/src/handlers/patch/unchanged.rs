//! What a patch left as it was is not read again: most patches change a label or a status, and most of an object is its spec.

use std::sync::atomic::Ordering;

use api::decode::{Target, Typed};
use api::schema::Type;
use api::{Object, Value};

use super::kinds::PatchType;
use super::{restore, shown};
use crate::handlers::Ctx;
use crate::registry::obj;
use crate::registry::resource::group_version;

/// Parts of an object that are as they were.
struct Parts {
    fields: Object,
    managed: Option<Value>,
}

impl Parts {
    /// Takes them out of a patched object.
    fn take(changed: &mut Value, stored: &Value) -> Parts {
        let managers = obj::managed_fields(changed);
        let same = managers.is_some() && managers == obj::managed_fields(stored);
        let managed = same.then(|| obj::metadata_mut(changed).remove("managedFields")).flatten();
        let Value::Object(all) = changed else { return Parts { fields: Object::new(), managed } };
        let (fields, rest) = std::mem::take(all).into_iter().partition(|(name, value)| {
            !matches!(name.as_str(), "metadata" | "kind" | "apiVersion") && stored.get(name) == Some(value)
        });
        *all = rest;
        Parts { fields, managed }
    }

    fn put(self, object: &mut Value) {
        if let Some(managed) = self.managed {
            obj::metadata_mut(object).insert("managedFields".to_owned(), managed);
        }
        if let Some(all) = object.as_object_mut() {
            all.extend(self.fields);
        }
    }
}

/// The patched object as its type has it, if all that changed is just as that would have it; `stored` is what was patched,
/// in the same version. Otherwise `changed` is as it came: who says what is wrong wants to see all of it.
pub(super) fn typed(
    ctx: &Ctx,
    target: &Target<'_>,
    patch_type: PatchType,
    changed: &mut Value,
    stored: &Value,
) -> Option<Value> {
    let is = |name: &str, wanted: &str| changed.get(name).and_then(Value::as_str) == Some(wanted);
    if !is("kind", target.kind) || !is("apiVersion", &group_version(target.group, target.version)) {
        return None;
    }
    let parts = Parts::take(changed, stored);
    let Some(typed) = rest(target, patch_type, changed) else {
        parts.put(changed);
        return None;
    };
    if typed.empties {
        ctx.empties.store(true, Ordering::Relaxed);
    }
    let mut object = typed.value;
    parts.put(&mut object);
    Some(object)
}

/// What is left, unless something is wrong with it.
fn rest(target: &Target<'_>, patch_type: PatchType, changed: &mut Value) -> Option<Typed> {
    let ty = Type::Struct(target.ty);
    if patch_type == PatchType::Strategic {
        if restore::misfit(changed, &ty).is_some() {
            return None;
        }
        restore::cut(changed, &ty);
    }
    let typed = shown::decode(target, changed, &api::json::to_vec(changed), true).ok()?;
    typed.strict.is_empty().then_some(typed)
}
