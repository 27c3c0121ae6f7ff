//! Runtime classes.

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path};

use crate::Context;
use crate::core::pod::{Options, affinity, resources};
use crate::errs::Errs;
use crate::golang;
use crate::meta;
use crate::names;
use crate::value::Get;

const HANDLER: Path<'static> = Path::new("handler");

/// `ValidateRuntimeClass`.
pub(crate) fn create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::object_meta(object, false, names::subdomain, errs);
    let handler = object.str("handler");
    if handler.is_empty() && !ctx.is_old() {
        errs.required(&HANDLER, "");
    } else {
        errs.invalid_each(&HANDLER, handler, names::is_dns1123_label(handler));
    }
    if let Some(overhead) = object.at("overhead") {
        let opts = Options::default();
        resources::overhead(overhead.sub("podFixed"), &opts, &Path::new("overhead"), errs);
    }
    if let Some(scheduling) = object.at("scheduling") {
        let path = Path::new("scheduling");
        meta::labels(scheduling.entries("nodeSelector"), &path.child("nodeSelector"), errs);
        let list = path.child("tolerations");
        let tolerations = scheduling.list("tolerations");
        if ctx.is_old() {
            // The name of the field was said twice.
            affinity::tolerations(tolerations, false, &list.child("tolerations"), errs);
        } else {
            affinity::tolerations(tolerations, false, &list, errs);
        }
        let mut seen = HashSet::new();
        for (i, t) in tolerations.iter().enumerate() {
            if !seen.insert(["key", "operator", "value", "effect"].map(|f| t.str(f))) {
                errs.duplicate(&list.index(i), golang::shown("core.Toleration", t));
            }
        }
    }
}

/// The strategy's `ValidateUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    create(new, ctx, errs);
    meta::object_meta_update(new, old, errs);
    meta::immutable(new, old, "handler", "s", &HANDLER, errs);
}
