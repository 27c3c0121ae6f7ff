//! Priority classes.

use api::Value;
use api::field::{ErrorList, Path};

use crate::Context;
use crate::errs::Errs;
use crate::meta::{self, METADATA};
use crate::names;
use crate::value::Get;

const HIGHEST_OF_USERS: i64 = 1_000_000_000;
const SYSTEM: [(&str, i64); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

/// `ValidatePriorityClass`.
pub(crate) fn create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, false, names::subdomain, errs);
    let (name, value) = (object.sub("metadata").str("name"), object.int("value"));
    if name.starts_with("system-") {
        let why = match SYSTEM.iter().find(|s| s.0 == name) {
            None => Some(format!("{name} is not a known system priority class")),
            Some((_, v)) if *v != value => Some(format!("value of {name} PriorityClass must be {v}")),
            Some(_) if object.flag("globalDefault") => {
                Some(format!("globalDefault of {name} PriorityClass must be false"))
            }
            Some(_) => None,
        };
        if let Some(why) = why {
            errs.forbidden(
                &METADATA.child("name"),
                format!("priority class names with 'system-' prefix are reserved for system use only. error: {why}"),
            );
        }
    } else if value > HIGHEST_OF_USERS {
        errs.forbidden(
            &Path::new("value"),
            format!("maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}"),
        );
    }
    let path = Path::new("preemptionPolicy");
    match object.opt_str("preemptionPolicy") {
        None | Some("PreemptLowerPriority" | "Never") => {}
        Some("") => errs.required(&path, ""),
        Some(other) => errs.not_supported(&path, other, &["PreemptLowerPriority", "Never"]),
    }
}

/// `ValidatePriorityClassUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    if new.int("value") != old.int("value") {
        let field = if ctx.is_old() { "Value" } else { "value" };
        errs.forbidden(&Path::new(field), "may not be changed in an update.");
    }
    meta::immutable(new, old, "preemptionPolicy", "*s", &Path::new("preemptionPolicy"), errs);
}
