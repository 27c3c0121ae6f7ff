//! Horizontal pod autoscalers in `autoscaling/v1`.

use serde_json::Value;

use super::{Describer, Writer, annotations, head, labels};
use crate::error::Result;
use crate::time::rfc1123z;
use crate::value::Json;

/// Describes an autoscaler.
pub(super) fn describe(d: &mut Describer<'_>, w: &mut Writer, o: &Value) -> Result {
    head(w, o);
    labels(w, "Labels", &o.strings("metadata.labels"));
    annotations(w, o);
    w.field("CreationTimestamp", &rfc1123z(o.s("metadata.creationTimestamp")));
    let (kind, name) = (o.s("spec.scaleTargetRef.kind"), o.s("spec.scaleTargetRef.name"));
    w.field("Reference", &format!("{kind}/{name}"));
    w.line(0, "Metrics:\t( current / target )");
    if o.has("spec.targetCPUUtilizationPercentage") {
        let target = o.i("spec.targetCPUUtilizationPercentage");
        let now = match o.has("status.currentCPUUtilizationPercentage") {
            true => format!("{}%", o.i("status.currentCPUUtilizationPercentage")),
            false => "<unknown>".into(),
        };
        w.line(1, &format!("resource cpu on pods  (as a percentage of request):\t{now} / {target}%"));
    }
    let min = if o.has("spec.minReplicas") { o.i("spec.minReplicas").to_string() } else { "<unset>".into() };
    w.field("Min replicas", &min);
    w.field("Max replicas", &o.i("spec.maxReplicas").to_string());
    d.events(w, o)
}
