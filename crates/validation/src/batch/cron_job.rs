//! Cron jobs.

use api::Value;
use api::field::{ErrorList, Path};

use super::{cron, job};
use crate::Context;
use crate::core::pod::Options;
use crate::errs::Errs;
use crate::golang;
use crate::meta::{self, METADATA};
use crate::names;
use crate::value::Get;

const SPEC: Path<'static> = Path::new("spec");

fn template_of(spec: &Value) -> Option<&Value> {
    spec.sub("jobTemplate").sub("spec").at("template")
}

/// `ValidateCronJobCreate`.
pub(crate) fn create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    spec(object.sub("spec"), None, &Options::for_template(None, ctx), errs);
    // The controller appends 11 characters.
    let name = object.sub("metadata").str("name");
    if name.len() > names::LABEL_MAX - 11 {
        errs.invalid(&METADATA.child("name"), name, "must be no more than 52 characters");
    }
}

/// `ValidateCronJobUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    let before = old.sub("spec");
    let opts = Options::for_template(template_of(before), ctx);
    spec(new.sub("spec"), Some(before), &opts, errs);
}

/// A cron job's status is not checked.
pub(crate) fn status_update(_: &Value, _: &Value, _: &Context<'_>, _: &mut ErrorList) {}

fn spec(spec: &Value, old: Option<&Value>, opts: &Options, errs: &mut ErrorList) {
    let schedule = spec.str("schedule");
    let path = SPEC.child("schedule");
    if schedule.is_empty() {
        errs.required(&path, "");
    } else {
        if let Err(why) = cron::check(schedule) {
            errs.invalid(&path, schedule, why);
        }
        let had_zone = old.is_some_and(|o| o.str("schedule").contains("TZ"));
        if schedule.contains("TZ") {
            if !had_zone {
                errs.invalid(
                    &path,
                    schedule,
                    "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
                );
            } else if spec.at("timeZone").is_some() {
                errs.invalid(&path, schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule");
            }
        }
    }
    meta::non_negative_fields(spec, &SPEC, &["startingDeadlineSeconds"], errs);
    let zone = spec.opt_str("timeZone");
    if let Some(zone) = zone
        && old.is_none_or(|o| o.opt_str("timeZone") != Some(zone))
    {
        time_zone(zone, &SPEC.child("timeZone"), errs);
    }
    const POLICIES: &[&str] = &["Allow", "Forbid", "Replace"];
    let policy = spec.str("concurrencyPolicy");
    let path = SPEC.child("concurrencyPolicy");
    if policy.is_empty() {
        errs.required(&path, "");
    } else if !POLICIES.contains(&policy) {
        errs.not_supported(&path, policy, POLICIES);
    }
    job_template(spec.sub("jobTemplate").sub("spec"), opts, errs);
    meta::non_negative_fields(spec, &SPEC, &["successfulJobsHistoryLimit", "failedJobsHistoryLimit"], errs);
}

fn job_template(spec: &Value, opts: &Options, errs: &mut ErrorList) {
    let template = SPEC.child("jobTemplate");
    let path = template.child("spec");
    job::job_spec(spec, opts, &path, errs);
    if let Some(selector) = spec.at("selector") {
        let shown = golang::shown("*metav1.LabelSelector", selector);
        errs.invalid(&path.child("selector"), shown, "`selector` will be auto-generated");
    }
    if spec.flag("manualSelector") {
        errs.not_supported(&path.child("manualSelector"), true, &["nil", "false"]);
    }
}

/// Whether a time zone of this name exists.
pub(super) fn is_time_zone(name: &str) -> bool {
    matches!(name, "UTC" | "Local" | "")
        || jiff::tz::TimeZone::get(name).is_ok_and(|zone| zone.iana_name() == Some(name))
}

/// `validateTimeZone`.
fn time_zone(zone: &str, path: &Path<'_>, errs: &mut ErrorList) {
    if zone.is_empty() {
        errs.invalid(path, zone, "timeZone must be nil or non-empty string");
        return;
    }
    let part = |p: &str| {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+');
        !matches!(p, "." | "..") && !p.starts_with('-') && (1..=14).contains(&p.len()) && p.bytes().all(good)
    };
    let unknown = format!("unknown time zone {zone}");
    if !zone.split('/').all(part) {
        errs.invalid(path, zone, unknown);
        return;
    }
    if zone.eq_ignore_ascii_case("Local") {
        errs.invalid(
            path,
            zone,
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
        );
    }
    if !is_time_zone(zone) {
        errs.invalid(path, zone, unknown);
    }
}
