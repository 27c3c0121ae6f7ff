//! Workloads and what scales and guards them.

use api::Value;
use jiff::Timestamp;

use super::{cells, deleting, name};
use crate::age::{age, human_duration, since, time};
use crate::labels::{format_labels, format_selector, selector_string};
use crate::value::{at, condition_true, count, int, list, scalar, text, text_or};

/// Names and images of a pod spec's containers.
fn containers(pod_spec: &Value) -> (String, String) {
    let column = |field: &str| {
        list(pod_spec, &["containers"]).iter().map(|c| text(c, &[field])).collect::<Vec<_>>().join(",")
    };
    (column("name"), column("image"))
}

pub(super) fn pod_template(o: &Value, _: Timestamp) -> Vec<Value> {
    let (names, images) = containers(at(o, &["template", "spec"]));
    cells![name(o), names, images, format_labels(at(o, &["template", "metadata", "labels"]))]
}

pub(super) fn pod_disruption_budget(o: &Value, now: Timestamp) -> Vec<Value> {
    let bound = |field: &str| match at(o, &["spec", field]) {
        Value::Null => "N/A".to_owned(),
        bound => scalar(bound),
    };
    let allowed = int(o, &["status", "disruptionsAllowed"]);
    cells![name(o), bound("minAvailable"), bound("maxUnavailable"), allowed, age(o, now)]
}

fn replicas(o: &Value, now: Timestamp, selector: String) -> Vec<Value> {
    let (names, images) = containers(at(o, &["spec", "template", "spec"]));
    let (desired, current) = (int(o, &["spec", "replicas"]), int(o, &["status", "replicas"]));
    let ready = int(o, &["status", "readyReplicas"]);
    cells![name(o), desired, current, ready, age(o, now), names, images, selector]
}

pub(super) fn replication_controller(o: &Value, now: Timestamp) -> Vec<Value> {
    replicas(o, now, format_labels(at(o, &["spec", "selector"])))
}

pub(super) fn replica_set(o: &Value, now: Timestamp) -> Vec<Value> {
    replicas(o, now, format_selector(at(o, &["spec", "selector"])))
}

pub(super) fn deployment(o: &Value, now: Timestamp) -> Vec<Value> {
    let (names, images) = containers(at(o, &["spec", "template", "spec"]));
    let selector = selector_string(at(o, &["spec", "selector"])).unwrap_or_else(|| "<invalid>".to_owned());
    cells![
        name(o),
        format!("{}/{}", int(o, &["status", "readyReplicas"]), int(o, &["spec", "replicas"])),
        int(o, &["status", "updatedReplicas"]),
        int(o, &["status", "availableReplicas"]),
        age(o, now),
        names,
        images,
        selector,
    ]
}

pub(super) fn stateful_set(o: &Value, now: Timestamp) -> Vec<Value> {
    let (names, images) = containers(at(o, &["spec", "template", "spec"]));
    let ready = format!("{}/{}", int(o, &["status", "readyReplicas"]), int(o, &["spec", "replicas"]));
    cells![name(o), ready, age(o, now), names, images]
}

pub(super) fn daemon_set(o: &Value, now: Timestamp) -> Vec<Value> {
    let (names, images) = containers(at(o, &["spec", "template", "spec"]));
    let status = at(o, &["status"]);
    cells![
        name(o),
        int(status, &["desiredNumberScheduled"]),
        int(status, &["currentNumberScheduled"]),
        int(status, &["numberReady"]),
        int(status, &["updatedNumberScheduled"]),
        int(status, &["numberAvailable"]),
        format_labels(at(o, &["spec", "template", "spec", "nodeSelector"])),
        age(o, now),
        names,
        images,
        format_selector(at(o, &["spec", "selector"])),
    ]
}

pub(super) fn job(o: &Value, now: Timestamp) -> Vec<Value> {
    let (names, images) = containers(at(o, &["spec", "template", "spec"]));
    let succeeded = int(o, &["status", "succeeded"]);
    let completions = match at(o, &["spec", "completions"]).as_i64() {
        Some(wanted) => format!("{succeeded}/{wanted}"),
        None => match int(o, &["spec", "parallelism"]) {
            parallelism @ 2.. => format!("{succeeded}/1 of {parallelism}"),
            _ => format!("{succeeded}/1"),
        },
    };
    let started = time(at(o, &["status", "startTime"]));
    let ended = time(at(o, &["status", "completionTime"])).unwrap_or(now);
    let took = started.map_or_else(String::new, |started| human_duration(ended.duration_since(started)));
    let is = |kind: &str| condition_true(list(o, &["status", "conditions"]), kind);
    let status = if is("Complete") {
        "Complete"
    } else if is("Failed") {
        "Failed"
    } else if deleting(o) {
        "Terminating"
    } else {
        ["Suspended", "FailureTarget", "SuccessCriteriaMet"].into_iter().find(|c| is(c)).unwrap_or("Running")
    };
    let selector = format_selector(at(o, &["spec", "selector"]));
    cells![name(o), status, completions, took, age(o, now), names, images, selector]
}

pub(super) fn cron_job(o: &Value, now: Timestamp) -> Vec<Value> {
    let template = at(o, &["spec", "jobTemplate", "spec"]);
    let (names, images) = containers(at(template, &["template", "spec"]));
    let last = match at(o, &["status", "lastScheduleTime"]) {
        Value::Null => "<none>".to_owned(),
        time => since(time, now),
    };
    let suspend = match at(o, &["spec", "suspend"]).as_bool() {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    };
    cells![
        name(o),
        text(o, &["spec", "schedule"]),
        text_or(o, &["spec", "timeZone"], "<none>"),
        suspend,
        count(o, &["status", "active"]),
        last,
        age(o, now),
        names,
        images,
        format_selector(at(template, &["selector"])),
    ]
}

pub(super) fn controller_revision(o: &Value, now: Timestamp) -> Vec<Value> {
    let owner = list(o, &["metadata", "ownerReferences"])
        .iter()
        .find(|r| at(r, &["controller"]).as_bool() == Some(true));
    let controller = owner.map_or_else(
        || "<none>".to_owned(),
        |owner| {
            let kind = text(owner, &["kind"]);
            let kind = match text(owner, &["apiVersion"]).split_once('/') {
                Some((group, _)) => format!("{kind}.{group}"),
                None => kind.to_owned(),
            };
            format!("{}/{}", kind.to_lowercase(), text(owner, &["name"]))
        },
    );
    cells![name(o), controller, int(o, &["revision"]), age(o, now)]
}

pub(super) fn scale(o: &Value, now: Timestamp) -> Vec<Value> {
    cells![name(o), int(o, &["spec", "replicas"]), int(o, &["status", "replicas"]), age(o, now)]
}

pub(super) fn horizontal_pod_autoscaler(o: &Value, now: Timestamp) -> Vec<Value> {
    let target = at(o, &["spec", "scaleTargetRef"]);
    let least = match at(o, &["spec", "minReplicas"]) {
        Value::Null => "<unset>".to_owned(),
        least => scalar(least),
    };
    cells![
        name(o),
        format!("{}/{}", text(target, &["kind"]), text(target, &["name"])),
        hpa_metrics(list(o, &["spec", "metrics"]), list(o, &["status", "currentMetrics"])),
        least,
        int(o, &["spec", "maxReplicas"]),
        int(o, &["status", "currentReplicas"]),
        age(o, now),
    ]
}

/// Upstream's `formatHPAMetrics`: current against target, two metrics at most.
fn hpa_metrics(specs: &[Value], statuses: &[Value]) -> String {
    const SHOWN_MAX: usize = 2;
    if specs.is_empty() {
        return "<none>".to_owned();
    }
    let shown: Vec<String> = specs
        .iter()
        .take(SHOWN_MAX)
        .enumerate()
        .map(|(i, spec)| hpa_metric(spec, statuses.get(i).unwrap_or(&Value::Null)))
        .collect();
    match specs.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} + {more} more...", shown.join(", ")),
    }
}

fn hpa_metric(spec: &Value, status: &Value) -> String {
    const UNKNOWN: &str = "<unknown>";
    let field = match text(spec, &["type"]) {
        "External" => "external",
        "Object" => "object",
        "Pods" => "pods",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return "<unknown type>".to_owned(),
    };
    let target = at(spec, &[field, "target"]);
    let source = at(status, &[field]);
    // An absent quantity prints as Go's nil pointer does.
    let quantity = |value: &Value| if value.is_null() { "<nil>".to_owned() } else { scalar(value) };
    let current = |name: &str, required: bool| match at(source, &["current", name]) {
        Value::Null if source.is_null() || required => UNKNOWN.to_owned(),
        value => quantity(value),
    };
    let average = at(target, &["averageValue"]);
    let resource = text(spec, &[field, "name"]);
    match field {
        "external" | "object" if !average.is_null() => {
            format!("{}/{} (avg)", current("averageValue", true), quantity(average))
        }
        "external" | "object" => format!("{}/{}", current("value", false), quantity(at(target, &["value"]))),
        "pods" => format!("{}/{}", current("averageValue", false), quantity(average)),
        _ if !average.is_null() => {
            format!("{resource}: {}/{}", current("averageValue", false), quantity(average))
        }
        _ => {
            let percent = |value: &Value, absent: &str| match value {
                Value::Null => absent.to_owned(),
                value => format!("{value}%"),
            };
            let current = percent(at(source, &["current", "averageUtilization"]), UNKNOWN);
            format!("{resource}: {current}/{}", percent(at(target, &["averageUtilization"]), "<auto>"))
        }
    }
}
