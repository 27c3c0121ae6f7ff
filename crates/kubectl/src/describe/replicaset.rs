//! Replica sets and replication controllers.

use serde_json::Value;

use super::{Describer, Writer, annotations, controlled_by, head, labels, template};
use crate::error::Result;
use crate::value::{Json, format_selector, join_labels};

/// Describes a replica set or a replication controller.
pub(super) fn describe(d: &mut Describer<'_>, w: &mut Writer, rs: &Value) -> Result {
    let selector = if rs.s("kind") == "ReplicationController" {
        join_labels(&rs.strings("spec.selector"), "<none>")
    } else {
        format_selector(rs.at("spec.selector"))
    };
    head(w, rs);
    w.field("Selector", &selector);
    labels(w, "Labels", &rs.strings("metadata.labels"));
    annotations(w, rs);
    let controller = controlled_by(rs);
    if !controller.is_empty() {
        w.field("Controlled By", &controller);
    }
    let (now, wanted) = (rs.i("status.replicas"), rs.i_or("spec.replicas", 1));
    w.field("Replicas", &format!("{now} current / {wanted} desired"));
    let pods = d.pods_status(rs, &selector)?;
    w.field("Pods Status", &pods);
    template::write(w, rs.at("spec.template"));
    conditions(w, rs);
    d.events(w, rs)
}

/// The Conditions section of controllers.
pub(super) fn conditions(w: &mut Writer, object: &Value) {
    let conditions = object.list("status.conditions");
    if conditions.is_empty() {
        return;
    }
    w.line(0, "Conditions:");
    w.line(1, "Type\tStatus\tReason");
    w.line(1, "----\t------\t------");
    for c in conditions {
        w.line(1, &format!("{} \t{}\t{}", c.s("type"), c.s("status"), c.s("reason")));
    }
}
