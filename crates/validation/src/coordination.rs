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
pub(crate) fn create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::object_meta(object, true, names::subdomain, errs);
    spec(object.sub("spec"), ctx, errs);
}

/// `ValidateLeaseUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::object_meta_update(new, old, errs);
    spec(new.sub("spec"), ctx, errs);
}

fn spec(spec: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    if let Some(n) = spec.opt_int("leaseDurationSeconds").filter(|n| *n <= 0) {
        errs.invalid(&SPEC.child("leaseDurationSeconds"), n, "must be greater than 0");
    }
    match spec.opt_int("leaseTransitions").filter(|n| *n < 0) {
        Some(n) if ctx.is_old() => {
            errs.invalid(&SPEC.child("leaseTransitions"), n, "must to greater or equal than 0");
        }
        _ => meta::non_negative_fields(spec, &SPEC, &["leaseTransitions"], errs),
    }
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
