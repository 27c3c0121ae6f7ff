//! Kinds that extend or guard the API: admission, access, certificates, fairness, devices.

use api::Value;
use jiff::{SignedDuration, Timestamp};

use super::{cells, deleting, name};
use crate::age::{age, human_duration};
use crate::value::{at, condition, count, int, list, text, text_or};

pub(super) fn webhook_configuration(o: &Value, now: Timestamp) -> Vec<Value> {
    cells![name(o), count(o, &["webhooks"]), age(o, now)]
}

fn parameter_kind(o: &Value) -> String {
    match at(o, &["spec", "paramKind"]) {
        Value::Null => "<unset>".to_owned(),
        kind => format!("{}/{}", text(kind, &["apiVersion"]), text(kind, &["kind"])),
    }
}

pub(super) fn validating_policy(o: &Value, now: Timestamp) -> Vec<Value> {
    cells![name(o), count(o, &["spec", "validations"]), parameter_kind(o), age(o, now)]
}

pub(super) fn mutating_policy(o: &Value, now: Timestamp) -> Vec<Value> {
    cells![name(o), count(o, &["spec", "mutations"]), parameter_kind(o), age(o, now)]
}

pub(super) fn policy_binding(o: &Value, now: Timestamp) -> Vec<Value> {
    let reference = at(o, &["spec", "paramRef"]);
    let parameter = match (text(reference, &["name"]), at(reference, &["selector"])) {
        ("", Value::Null) => "<unset>".to_owned(),
        ("", selector) => go_selector(selector),
        // Whether the parameter is namespaced cannot be told from here.
        (name, _) => format!("{}/{name}", text_or(reference, &["namespace"], "*")),
    };
    cells![name(o), text(o, &["spec", "policyName"]), parameter, age(o, now)]
}

/// A selector as its generated Go type prints itself.
fn go_selector(selector: &Value) -> String {
    let labels: Vec<String> = at(selector, &["matchLabels"])
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}: {},", v.as_str().unwrap_or_default()))
        .collect();
    let expressions: Vec<String> = list(selector, &["matchExpressions"])
        .iter()
        .map(|e| {
            let values: Vec<&str> = list(e, &["values"]).iter().filter_map(Value::as_str).collect();
            format!(
                "LabelSelectorRequirement{{Key:{},Operator:{},Values:[{}],}},",
                text(e, &["key"]),
                text(e, &["operator"]),
                values.join(" ")
            )
        })
        .collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{}}},MatchExpressions:[]LabelSelectorRequirement{{{}}},}}",
        labels.concat(),
        expressions.concat()
    )
}

/// The kube-aggregator's own table.
pub(super) fn api_service(o: &Value, now: Timestamp) -> Vec<Value> {
    let service = match at(o, &["spec", "service"]) {
        Value::Null => "Local".to_owned(),
        service => format!("{}/{}", text(service, &["namespace"]), text(service, &["name"])),
    };
    let available = match condition(list(o, &["status", "conditions"]), "Available") {
        None => "Unknown".to_owned(),
        Some(c) => match (text(c, &["status"]), text(c, &["reason"])) {
            ("True", _) => "True".to_owned(),
            (status, "") => status.to_owned(),
            (status, reason) => format!("{status} ({reason})"),
        },
    };
    cells![name(o), service, available, age(o, now)]
}

pub(super) fn role_binding(o: &Value, now: Timestamp) -> Vec<Value> {
    let role = at(o, &["roleRef"]);
    let subjects = |kind: &str| {
        let of_kind = list(o, &["subjects"]).iter().filter(|s| text(s, &["kind"]) == kind);
        of_kind
            .map(|s| match kind {
                "ServiceAccount" => format!("{}/{}", text(s, &["namespace"]), text(s, &["name"])),
                _ => text(s, &["name"]).to_owned(),
            })
            .collect::<Vec<_>>()
            .join(", ")
    };
    cells![
        name(o),
        format!("{}/{}", text(role, &["kind"]), text(role, &["name"])),
        age(o, now),
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
}

pub(super) fn certificate_signing_request(o: &Value, now: Timestamp) -> Vec<Value> {
    let has = |kind: &str| condition(list(o, &["status", "conditions"]), kind).is_some();
    let mut status = if has("Denied") {
        "Denied"
    } else if has("Approved") {
        "Approved"
    } else {
        "Pending"
    }
    .to_owned();
    if has("Failed") {
        status.push_str(",Failed");
    }
    if !text(o, &["status", "certificate"]).is_empty() {
        status.push_str(",Issued");
    }
    let requested = match at(o, &["spec", "expirationSeconds"]).as_i64() {
        Some(seconds) => human_duration(SignedDuration::from_secs(seconds)),
        None => "<none>".to_owned(),
    };
    let signer = text_or(o, &["spec", "signerName"], "<none>");
    cells![name(o), age(o, now), signer, text(o, &["spec", "username"]), requested, status]
}

pub(super) fn flow_schema(o: &Value, now: Timestamp) -> Vec<Value> {
    let dangling =
        condition(list(o, &["status", "conditions"]), "Dangling").map_or("?", |c| text(c, &["status"]));
    cells![
        name(o),
        text(o, &["spec", "priorityLevelConfiguration", "name"]),
        int(o, &["spec", "matchingPrecedence"]),
        text_or(o, &["spec", "distinguisherMethod", "type"], "<none>"),
        age(o, now),
        dangling,
    ]
}

pub(super) fn priority_level(o: &Value, now: Timestamp) -> Vec<Value> {
    let limited = at(o, &["spec", "limited"]);
    let queuing = at(limited, &["limitResponse", "queuing"]);
    let number = |of: &Value, field: &str| {
        if of.is_null() { Value::from("<none>") } else { Value::from(int(of, &[field])) }
    };
    cells![
        name(o),
        text(o, &["spec", "type"]),
        number(limited, "nominalConcurrencyShares"),
        number(queuing, "queues"),
        number(queuing, "handSize"),
        number(queuing, "queueLengthLimit"),
        age(o, now),
    ]
}

pub(super) fn resource_claim(o: &Value, now: Timestamp) -> Vec<Value> {
    let mut states = Vec::new();
    if deleting(o) {
        states.push("deleted");
    }
    if !at(o, &["status", "allocation"]).is_null() {
        states.push("allocated");
        if !list(o, &["status", "reservedFor"]).is_empty() {
            states.push("reserved");
        }
    } else if !deleting(o) {
        states.push("pending");
    }
    cells![name(o), states.join(","), age(o, now)]
}

pub(super) fn resource_slice(o: &Value, now: Timestamp) -> Vec<Value> {
    let spec = at(o, &["spec"]);
    cells![
        name(o),
        text(spec, &["nodeName"]),
        text(spec, &["driver"]),
        text(spec, &["pool", "name"]),
        age(o, now)
    ]
}
