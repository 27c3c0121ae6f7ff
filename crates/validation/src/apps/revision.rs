//! Controller revisions.

use api::Value;
use api::field::{ErrorList, Path};

use crate::Context;
use crate::errs::Errs;
use crate::meta;
use crate::names;
use crate::value::Get;

const DATA: Path<'static> = Path::new("data");

fn common(object: &Value, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    meta::non_negative(object.int("revision"), &Path::new("revision"), errs);
}

/// `ValidateControllerRevisionCreate`.
pub(crate) fn create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    common(object, errs);
    match object.at("data") {
        None => errs.required(&DATA, "data is mandatory"),
        Some(Value::Object(_)) => {}
        Some(_) => errs.required(&DATA, "data must be a valid JSON object"),
    }
}

/// `ValidateControllerRevisionUpdate`.
pub(crate) fn update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    common(new, errs);
    if new.sub("data") != old.sub("data") {
        errs.invalid(&DATA, new.sub("data"), meta::IMMUTABLE);
    }
}
