//! The group apps: deployments, replica sets, daemon sets, stateful sets, controller revisions.

pub(crate) mod daemon_set;
pub(crate) mod deployment;
pub(crate) mod revision;
pub(crate) mod stateful_set;

use api::Value;
use api::field::{ErrorList, Path};

use crate::core::pod;
use crate::errs::Errs;
use crate::golang;
use crate::meta;
use crate::names;
use crate::selector;
use crate::value::Get;

const SPEC: Path<'static> = Path::new("spec");
const STATUS: Path<'static> = Path::new("status");

/// An int-or-string that is a count or a percentage (`ValidatePositiveIntOrPercent`).
pub(crate) fn count_or_percent(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    match v.as_str() {
        Some(text) => {
            for message in names::is_percent(text) {
                errs.invalid(path, golang::shown("x", v), message);
            }
        }
        None => meta::non_negative(v.as_i64().unwrap_or(0), path, errs),
    }
}

/// The number of a percentage (`getPercentValue`).
fn percent(v: &Value) -> Option<i64> {
    let text = v.as_str().filter(|t| names::is_percent(t).is_empty())?;
    // More digits than fit saturate, as Go's Atoi does.
    Some(text.trim_end_matches('%').parse().unwrap_or(i64::MAX))
}

/// `getIntOrPercentValue`: a text that is no percentage counts as its number.
fn number(v: &Value) -> i64 {
    percent(v).unwrap_or_else(|| match v.as_str() {
        Some(text) => text.parse().unwrap_or(0),
        None => v.as_i64().unwrap_or(0),
    })
}

/// `IsNotMoreThan100Percent`.
pub(crate) fn at_most_100_percent(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    if percent(v).is_some_and(|p| p > 100) {
        errs.invalid(path, golang::shown("x", v), "must not be greater than 100%");
    }
}

/// A selector that a workload must have and that must select something.
fn required_selector(spec: &Value, kind: &str, errs: &mut ErrorList) {
    let path = SPEC.child("selector");
    match spec.at("selector") {
        None => errs.required(&path, ""),
        Some(s) => {
            selector::label_selector(s, false, &path, errs);
            if selector::is_empty(s) {
                errs.invalid(&path, quoted(s), format!("empty selector is invalid for {kind}"));
            }
        }
    }
}

fn quoted(selector: &Value) -> golang::Typed<'_> {
    golang::shown("*metav1.LabelSelector", selector)
}

/// Whether the template's labels are what the selector selects (upstream: an empty selector always fits).
fn labels_fit(spec: &Value, errs: &mut ErrorList) {
    let (s, labels) = (spec.sub("selector"), template_labels(spec));
    if s.is_null() || (!selector::is_empty(s) && !selector::matches(s, labels)) {
        let template = SPEC.child("template");
        let metadata = template.child("metadata");
        let labels = golang::shown("{s", labels);
        errs.invalid(&metadata.child("labels"), labels, "`selector` does not match template `labels`");
    }
}

fn template_labels(spec: &Value) -> &Value {
    spec.sub("template").sub("metadata").sub("labels")
}

/// Workloads keep pods running: restart always, no deadline.
fn runs_forever(spec: &Value, kind: &str, errs: &mut ErrorList) {
    let template = SPEC.child("template");
    let path = template.child("spec");
    let pod = spec.sub("template").sub("spec");
    if pod.str("restartPolicy") != "Always" {
        errs.not_supported(&path.child("restartPolicy"), pod.str("restartPolicy"), &["Always"]);
    }
    if pod.at("activeDeadlineSeconds").is_some() {
        errs.forbidden(
            &path.child("activeDeadlineSeconds"),
            format!("activeDeadlineSeconds in {kind} is not Supported"),
        );
    }
}

fn template(spec: &Value, opts: &pod::Options, errs: &mut ErrorList) {
    pod::template_spec(spec.sub("template"), opts, &SPEC.child("template"), errs);
}

/// The collision count only grows.
fn collisions_grow(new: &Value, old: &Value, errs: &mut ErrorList) {
    let of = |o: &Value| o.sub("status").opt_int("collisionCount");
    let fell = match (of(new), of(old)) {
        (None, Some(_)) => true,
        (Some(now), Some(before)) => now < before,
        _ => false,
    };
    if fell {
        errs.invalid(&STATUS.child("collisionCount"), of(new).unwrap_or(0), "cannot be decremented");
    }
}
