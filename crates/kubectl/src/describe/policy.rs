//! Pod disruption budgets.

use serde_json::Value;

use super::{Describer, Writer, head};
use crate::error::Result;
use crate::value::{Json, format_selector, plain};

/// Describes a budget.
pub(super) fn describe(d: &mut Describer<'_>, w: &mut Writer, o: &Value) -> Result {
    head(w, o);
    if let Some(v) = o.at("spec.minAvailable") {
        w.field("Min available", &plain(v));
    } else if let Some(v) = o.at("spec.maxUnavailable") {
        w.field("Max unavailable", &plain(v));
    }
    w.field(
        "Selector",
        &match o.has("spec.selector") {
            true => format_selector(o.at("spec.selector")),
            false => "<unset>".into(),
        },
    );
    w.line(0, "Status:");
    for (title, path) in [
        ("Allowed disruptions", "status.disruptionsAllowed"),
        ("Current", "status.currentHealthy"),
        ("Desired", "status.desiredHealthy"),
        ("Total", "status.expectedPods"),
    ] {
        w.line(2, &format!("{title}:\t{}", o.i(path)));
    }
    d.events(w, o)
}
