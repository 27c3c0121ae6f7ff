//! Daemon sets.

use serde_json::Value;

use super::{Describer, Writer, annotations, labels, template};
use crate::error::Result;
use crate::value::{Json, format_selector, join_labels};

/// Describes a daemon set.
pub(super) fn describe(d: &mut Describer<'_>, w: &mut Writer, o: &Value) -> Result {
    let selector = format_selector(o.at("spec.selector"));
    w.field("Name", o.s("metadata.name"));
    w.field("Selector", &selector);
    w.field("Node-Selector", &join_labels(&o.strings("spec.template.spec.nodeSelector"), "<none>"));
    labels(w, "Labels", &o.strings("metadata.labels"));
    annotations(w, o);
    for (title, path) in [
        ("Desired Number of Nodes Scheduled", "status.desiredNumberScheduled"),
        ("Current Number of Nodes Scheduled", "status.currentNumberScheduled"),
        ("Number of Nodes Scheduled with Up-to-date Pods", "status.updatedNumberScheduled"),
        ("Number of Nodes Scheduled with Available Pods", "status.numberAvailable"),
        ("Number of Nodes Misscheduled", "status.numberMisscheduled"),
    ] {
        w.line(0, &format!("{title}: {}", o.i(path)));
    }
    let pods = d.pods_status(o, &selector)?;
    w.field("Pods Status", &pods);
    template::write(w, o.at("spec.template"));
    d.events(w, o)
}
