//! Jobs and cron jobs.

use serde_json::Value;

use super::{Describer, Writer, annotations, bool_text, controlled_by, head, labels, template};
use crate::error::Result;
use crate::time::rfc1123z;
use crate::value::{Json, format_selector};

/// Describes a job.
pub(super) fn describe(d: &mut Describer<'_>, w: &mut Writer, o: &Value) -> Result {
    head(w, o);
    w.field("Selector", &format_selector(o.at("spec.selector")));
    labels(w, "Labels", &o.strings("metadata.labels"));
    annotations(w, o);
    let controller = controlled_by(o);
    if !controller.is_empty() {
        w.field("Controlled By", &controller);
    }
    w.field("Parallelism", &o.i_or("spec.parallelism", 1).to_string());
    w.field("Completions", &number_or(o, "spec.completions", "<unset>"));
    if o.has("status.startTime") {
        w.field("Start Time", &rfc1123z(o.s("status.startTime")));
    }
    if o.has("spec.activeDeadlineSeconds") {
        w.field("Active Deadline Seconds", &format!("{}s", o.i("spec.activeDeadlineSeconds")));
    }
    w.field(
        "Pods Statuses",
        &format!(
            "{} Running / {} Succeeded / {} Failed",
            o.i("status.active"),
            o.i("status.succeeded"),
            o.i("status.failed")
        ),
    );
    template::write(w, o.at("spec.template"));
    d.events(w, o)
}

/// Describes a cron job. (v1.10's kubectl asked for it in a version that its own server lacked.)
pub(super) fn describe_cron(d: &mut Describer<'_>, w: &mut Writer, o: &Value) -> Result {
    head(w, o);
    labels(w, "Labels", &o.strings("metadata.labels"));
    annotations(w, o);
    w.field("Schedule", o.s("spec.schedule"));
    w.field("Concurrency Policy", o.s("spec.concurrencyPolicy"));
    w.field("Suspend", bool_text(o.b("spec.suspend")));
    w.field(
        "Starting Deadline Seconds",
        &match o.has("spec.startingDeadlineSeconds") {
            true => format!("{}s", o.i("spec.startingDeadlineSeconds")),
            false => "<unset>".into(),
        },
    );
    let job = o.at("spec.jobTemplate.spec").unwrap_or(&Value::Null);
    w.field(
        "Selector",
        &match job.has("selector") {
            true => format_selector(job.at("selector")),
            false => "<unset>".into(),
        },
    );
    w.field("Parallelism", &number_or(job, "parallelism", "<unset>"));
    w.field("Completions", &number_or(job, "completions", "<unset>"));
    if job.has("activeDeadlineSeconds") {
        w.field("Active Deadline Seconds", &format!("{}s", job.i("activeDeadlineSeconds")));
    }
    template::write(w, job.at("template"));
    w.field(
        "Last Schedule Time",
        &match o.has("status.lastScheduleTime") {
            true => rfc1123z(o.s("status.lastScheduleTime")),
            false => "<unset>".into(),
        },
    );
    let active: Vec<&str> = o.list("status.active").iter().map(|a| a.s("name")).collect();
    w.field("Active Jobs", &if active.is_empty() { "<none>".into() } else { active.join(", ") });
    d.events(w, o)
}

fn number_or(o: &Value, path: &str, default: &str) -> String {
    if o.has(path) { o.i(path).to_string() } else { default.to_string() }
}
