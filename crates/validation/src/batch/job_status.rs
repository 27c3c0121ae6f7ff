//! A job's status (`ValidateJobStatusUpdate`). What is checked depends on what changes.

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path};

use super::job::differs;
use super::job_policy::{count_indexes, overlap};
use crate::errs::Errs;
use crate::golang;
use crate::meta;
use crate::value::Get;

const STATUS: Path<'static> = Path::new("status");

fn is_true(job: &Value, kind: &str) -> bool {
    has_condition(job, kind, "True")
}

fn has_condition(job: &Value, kind: &str, status: &str) -> bool {
    let conditions = job.sub("status").list("conditions");
    conditions.iter().any(|c| c.str("type") == kind && c.str("status") == status)
}

fn is_finished(job: &Value) -> bool {
    is_true(job, "Complete") || is_true(job, "Failed")
}

/// The checks of a status update, metadata aside.
pub(super) fn status(new: &Value, old: &Value, errs: &mut ErrorList) {
    let (status, before) = (new.sub("status"), old.sub("status"));
    meta::non_negative_fields(
        status,
        &STATUS,
        &["active", "succeeded", "failed", "ready", "terminating"],
        errs,
    );
    uncounted(status, errs);
    let flipped = |kind: &str| is_true(new, kind) != is_true(old, kind);
    let changed = |field: &str| differs(new, old, field);
    let conditions = STATUS.child("conditions");
    let (complete, failed) = (is_true(new, "Complete"), is_true(new, "Failed"));
    let (met, target) = (is_true(new, "SuccessCriteriaMet"), is_true(new, "FailureTarget"));
    if (flipped("Complete") || flipped("Failed")) && complete && failed {
        errs.invalid_bare(&conditions, "cannot set Complete=True and Failed=true conditions");
    }
    if (flipped("Complete") || flipped("FailureTarget")) && complete && target {
        errs.invalid_bare(&conditions, "cannot set Complete=True and FailureTarget=true conditions");
    }
    times(new, old, errs);
    if (flipped("Failed") || changed("failedIndexes")) && failed && !target {
        errs.invalid_bare(
            &conditions,
            "cannot set Failed=True condition without the FailureTarget=true condition",
        );
    }
    if (flipped("Complete") || flipped("SuccessCriteriaMet")) && complete && !met {
        errs.invalid_bare(
            &conditions,
            "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        );
    }
    finished(new, old, errs);
    indexes(new, old, errs);
    let ready = status.opt_int("ready");
    if (changed("terminating") || is_finished(new) != is_finished(old))
        && status.int("terminating") > 0
        && is_finished(new)
    {
        errs.invalid(
            &STATUS.child("terminating"),
            status.int("terminating"),
            "terminating>0 is invalid for finished job",
        );
    }
    if (changed("ready") || changed("active")) && ready.is_some_and(|r| r > status.int("active")) {
        errs.invalid(&STATUS.child("ready"), ready, "cannot set more ready pods than active");
    }
    if met && failed {
        errs.invalid_bare(&conditions, "cannot set SuccessCriteriaMet=True and Failed=true conditions");
    }
    if met && target {
        errs.invalid_bare(
            &conditions,
            "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
        );
    }
    if new.sub("spec").at("successPolicy").is_some() && !met && complete {
        errs.invalid_bare(
            &conditions,
            "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
        );
    }
    for kind in ["Failed", "Complete", "FailureTarget"] {
        if is_true(old, kind) && !is_true(new, kind) {
            errs.invalid_bare(&conditions, format!("cannot disable the terminal {kind}=True condition"));
        }
    }
    counters(new, old, errs);
    if before.at("completionTime").is_some()
        && status.at("completionTime").is_some()
        && changed("completionTime")
    {
        errs.invalid(&STATUS.child("completionTime"), status.sub("completionTime"), meta::IMMUTABLE);
    }
    let resuming = has_condition(old, "Suspended", "True") && has_condition(new, "Suspended", "False");
    if changed("startTime")
        && !resuming
        && before.at("startTime").is_some()
        && !new.sub("spec").flag("suspend")
    {
        errs.invalid(
            &STATUS.child("startTime"),
            status.sub("startTime"),
            "field is immutable for unsuspended job once set",
        );
    }
    if is_true(old, "SuccessCriteriaMet") && !met {
        errs.invalid_bare(&conditions, "cannot disable the SuccessCriteriaMet=True condition");
    }
    if is_true(old, "Complete") && !is_true(old, "SuccessCriteriaMet") && met {
        errs.invalid_bare(
            &conditions,
            "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions",
        );
    }
}

fn uncounted(status: &Value, errs: &mut ErrorList) {
    let pods = status.sub("uncountedTerminatedPods");
    let path = STATUS.child("uncountedTerminatedPods");
    let mut seen: HashSet<&str> = HashSet::new();
    for kind in ["succeeded", "failed"] {
        let list = path.child(kind);
        for (i, uid) in pods.strs(kind).into_iter().enumerate() {
            if uid.is_empty() {
                errs.invalid(&list.index(i), uid, "must not be empty");
            } else if seen.contains(&uid) {
                errs.duplicate(&list.index(i), uid);
            } else {
                seen.insert(uid);
            }
        }
    }
}

fn times(new: &Value, old: &Value, errs: &mut ErrorList) {
    let status = new.sub("status");
    let (complete, was) = (is_true(new, "Complete"), is_true(old, "Complete"));
    let (start, end) = (status.opt_str("startTime"), status.opt_str("completionTime"));
    let path = STATUS.child("completionTime");
    if complete != was || differs(new, old, "completionTime") {
        if end.is_some() && !complete {
            errs.invalid(&path, end, "cannot set completionTime when there is no Complete=True condition");
        }
        if end.is_none() && complete {
            errs.required(&path, "completionTime is required for Complete jobs");
        }
    }
    // RFC 3339 times in UTC compare as texts.
    if (differs(new, old, "startTime") || differs(new, old, "completionTime"))
        && let (Some(s), Some(e)) = (start, end)
        && e < s
    {
        errs.invalid(&path, end, "must be equal to or after `startTime`");
    }
}

fn finished(new: &Value, old: &Value, errs: &mut ErrorList) {
    if !is_finished(new) {
        return;
    }
    let status = new.sub("status");
    let just = !is_finished(old);
    if (just || differs(new, old, "active")) && status.int("active") > 0 {
        errs.invalid(&STATUS.child("active"), status.int("active"), "active>0 is invalid for finished job");
    }
    let spec = new.sub("spec");
    let nothing_to_do = spec.flag("suspend") && spec.opt_int("completions") == Some(0);
    if (just || differs(new, old, "startTime")) && !nothing_to_do && status.at("startTime").is_none() {
        errs.required(&STATUS.child("startTime"), "startTime is required for finished job");
    }
    let pods = status.sub("uncountedTerminatedPods");
    if (just || differs(new, old, "uncountedTerminatedPods"))
        && pods.list("failed").len() + pods.list("succeeded").len() > 0
    {
        let shown = golang::shown("batch.UncountedTerminatedPods", pods);
        errs.invalid(&STATUS.child("uncountedTerminatedPods"), shown, "must be empty for finished job");
    }
}

fn indexes(new: &Value, old: &Value, errs: &mut ErrorList) {
    let (spec, status) = (new.sub("spec"), new.sub("status"));
    let completions = spec.opt_int("completions");
    let (completed, failed) = (status.str("completedIndexes"), status.opt_str("failedIndexes"));
    let (completed_path, failed_path) = (STATUS.child("completedIndexes"), STATUS.child("failedIndexes"));
    let completed_changed = differs(new, old, "completedIndexes");
    let failed_changed = differs(new, old, "failedIndexes");
    if completed_changed
        && let Some(n) = completions
        && let Err(why) = count_indexes(completed, n)
    {
        errs.invalid(&completed_path, completed, format!("error parsing completedIndexes: {why}"));
    }
    let per_index = spec.at("backoffLimitPerIndex").is_some();
    if failed_changed
        && per_index
        && let (Some(n), Some(text)) = (completions, failed)
        && let Err(why) = count_indexes(text, n)
    {
        errs.invalid(&failed_path, failed, format!("error parsing failedIndexes: {why}"));
    }
    if completed_changed && !completed.is_empty() && spec.str("completionMode") != "Indexed" {
        errs.invalid(
            &completed_path,
            completed,
            "cannot set non-empty completedIndexes when non-indexed completion mode",
        );
    }
    if failed_changed && !per_index && failed.is_some() {
        errs.invalid(
            &failed_path,
            failed,
            "cannot set non-null failedIndexes when backoffLimitPerIndex is null",
        );
    }
    if (failed_changed || completed_changed)
        && let (Some(n), Some(text)) = (completions, failed)
        && let Some(index) = overlap(completed, text, n)
    {
        errs.invalid(
            &failed_path,
            text,
            format!("failedIndexes and completedIndexes overlap at index: {index}"),
        );
    }
}

fn counters(new: &Value, old: &Value, errs: &mut ErrorList) {
    let (status, before, spec) = (new.sub("status"), old.sub("status"), new.sub("spec"));
    if status.int("failed") < before.int("failed") {
        errs.invalid(&STATUS.child("failed"), status.int("failed"), "cannot decrease the failed counter");
    }
    let elastic =
        spec.str("completionMode") == "Indexed" && spec.opt_int("completions") == spec.opt_int("parallelism");
    if !elastic && status.int("succeeded") < before.int("succeeded") {
        errs.invalid(
            &STATUS.child("succeeded"),
            status.int("succeeded"),
            "cannot decrease the succeeded counter",
        );
    }
}
