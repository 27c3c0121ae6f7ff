//! Leases.

use api::Value;
use api::field::{ErrorList, Path};

use crate::Context;
use crate::errs::Errs;
use crate::meta;
use crate::names;
use crate::value::Get;

const SPEC: Path<'static> = Path::new("spec");

/// `ValidateLease`.
pub(crate) fn create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::object_meta(object, true, names::subdomain, errs);
    spec(object.sub("spec"), errs);
}

/// `ValidateLeaseUpdate`.
pub(crate) fn update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::object_meta_update(new, old, errs);
    spec(new.sub("spec"), errs);
}

fn spec(spec: &Value, errs: &mut ErrorList) {
    if let Some(n) = spec.opt_int("leaseDurationSeconds").filter(|n| *n <= 0) {
        errs.invalid(&SPEC.child("leaseDurationSeconds"), n, "must be greater than 0");
    }
    meta::non_negative_fields(spec, &SPEC, &["leaseTransitions"], errs);
    let strategy = spec.opt_str("strategy");
    if let Some(strategy) = strategy {
        let path = SPEC.child("strategy");
        let path = path.child("strategy");
        if strategy.contains('/') {
            errs.invalid_each(&path, strategy, names::is_qualified_name(strategy));
        } else if strategy != "OldestEmulationVersion" {
            errs.not_supported(&path, strategy, &["OldestEmulationVersion"]);
        }
    }
    if !spec.str("preferredHolder").is_empty() && strategy.unwrap_or("").is_empty() {
        errs.forbidden(&SPEC.child("preferredHolder"), "may only be specified if `strategy` is defined");
    }
}
