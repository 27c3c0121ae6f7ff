//! Pod disruption budgets.

use api::Value;
use api::field::{ErrorList, Path};

use crate::Context;
use crate::apps::{at_most_100_percent, count_or_percent};
use crate::errs::Errs;
use crate::golang;
use crate::meta;
use crate::selector;
use crate::value::Get;

const SPEC: Path<'static> = Path::new("spec");
const STATUS: Path<'static> = Path::new("status");

/// `ValidatePodDisruptionBudget`.
pub(crate) fn create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    // Servers of v1beta1 did not look at the values of selectors.
    spec(object.sub("spec"), ctx.is_old(), errs);
}

/// The strategy's `ValidateUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    let any_value = ctx.is_old() || selector::has_invalid_value(old.sub("spec").sub("selector"));
    spec(new.sub("spec"), any_value, errs);
}

fn spec(spec: &Value, any_value: bool, errs: &mut ErrorList) {
    let fields = ["minAvailable", "maxUnavailable"];
    if fields.iter().all(|f| spec.at(f).is_some()) {
        let shown = golang::shown("policy.PodDisruptionBudgetSpec", spec);
        errs.invalid(&SPEC, shown, "minAvailable and maxUnavailable cannot be both set");
    }
    for field in fields {
        if let Some(v) = spec.at(field) {
            let path = SPEC.child(field);
            count_or_percent(v, &path, errs);
            at_most_100_percent(v, &path, errs);
        }
    }
    selector::label_selector(spec.sub("selector"), any_value, &SPEC.child("selector"), errs);
    if let Some(policy) = spec.opt_str("unhealthyPodEvictionPolicy")
        && !matches!(policy, "AlwaysAllow" | "IfHealthyBudget")
    {
        errs.not_supported(
            &SPEC.child("unhealthyPodEvictionPolicy"),
            policy,
            &["AlwaysAllow", "IfHealthyBudget"],
        );
    }
}

/// `ValidatePodDisruptionBudgetStatusUpdate`.
pub(crate) fn status_update(new: &Value, _: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    let status = new.sub("status");
    meta::conditions(status.list("conditions"), &STATUS.child("conditions"), errs);
    if ctx.version != "v1beta1" {
        const COUNTS: &[&str] = &["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"];
        meta::non_negative_fields(status, &STATUS, COUNTS, errs);
    }
}
