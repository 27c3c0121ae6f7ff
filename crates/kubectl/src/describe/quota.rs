//! Resource quotas and limit ranges.

use serde_json::Value;

use super::{Writer, head};
use crate::value::{Json, plain};

/// Describes a quota.
pub(super) fn describe_quota(w: &mut Writer, o: &Value) {
    head(w, o);
    let scopes: Vec<&str> = o.list("spec.scopes").iter().filter_map(Value::as_str).collect();
    if !scopes.is_empty() {
        w.field("Scopes", &scopes.join(", "));
        for s in scopes {
            let help = match s {
                "Terminating" => {
                    "Matches all pods that have an active deadline. These pods have a limited lifespan on a node before being actively terminated by the system."
                }
                "NotTerminating" => {
                    "Matches all pods that do not have an active deadline. These pods usually include long running pods whose container command is not expected to terminate."
                }
                "BestEffort" => {
                    "Matches all pods that do not have resource requirements set. These pods have a best effort quality of service."
                }
                "NotBestEffort" => {
                    "Matches all pods that have at least one resource requirement set. These pods have a burstable or guaranteed quality of service."
                }
                _ => continue,
            };
            w.line(0, &format!(" * {help}"));
        }
    }
    table(w, o, "");
}

/// Used and hard amounts.
pub(super) fn table(w: &mut Writer, o: &Value, indent: &str) {
    w.line(0, &format!("{indent}Resource\tUsed\tHard"));
    w.line(0, &format!("{indent}--------\t{0}\t{0}", if indent.is_empty() { "----" } else { "---" }));
    for (k, hard) in o.pairs("status.hard") {
        let used = o.at("status.used").and_then(|u| u.get(k)).map(plain).unwrap_or_default();
        w.line(0, &format!("{indent}{k}\t{used}\t{}", plain(hard)));
    }
}

/// Describes a limit range.
pub(super) fn describe_limits(w: &mut Writer, o: &Value) {
    head(w, o);
    limits_header(w, "");
    limits_rows(w, o, "");
}

/// The header of the table of limits.
pub(super) fn limits_header(w: &mut Writer, indent: &str) {
    w.line(
        0,
        &format!("{indent}Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio"),
    );
    w.line(
        0,
        &format!("{indent}----\t--------\t---\t---\t---------------\t-------------\t-----------------------"),
    );
}

/// The rows of the table of limits.
pub(super) fn limits_rows(w: &mut Writer, o: &Value, indent: &str) {
    const FIELDS: [&str; 5] = ["min", "max", "defaultRequest", "default", "maxLimitRequestRatio"];
    for l in o.list("spec.limits") {
        let mut names: Vec<&String> = FIELDS.iter().flat_map(|f| l.pairs(f)).map(|(k, _)| k).collect();
        names.sort();
        names.dedup();
        for n in names {
            let cells: Vec<String> =
                FIELDS.iter().map(|f| l.get(*f).and_then(|m| m.get(n)).map_or("-".into(), plain)).collect();
            w.line(0, &format!("{indent}{}\t{n}\t{}", l.s("type"), cells.join("\t")));
        }
    }
}
