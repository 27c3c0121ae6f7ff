//! Stateful sets.

use serde_json::Value;

use super::{Describer, Writer, annotations, head, labels, template};
use crate::error::Result;
use crate::time::rfc1123z;
use crate::value::{Json, format_selector, plain};

/// Describes a stateful set.
pub(super) fn describe(d: &mut Describer<'_>, w: &mut Writer, o: &Value) -> Result {
    let selector = format_selector(o.at("spec.selector"));
    head(w, o);
    w.field("CreationTimestamp", &rfc1123z(o.s("metadata.creationTimestamp")));
    w.field("Selector", &selector);
    labels(w, "Labels", &o.strings("metadata.labels"));
    annotations(w, o);
    let (wanted, now) = (o.i_or("spec.replicas", 1), o.i("status.replicas"));
    w.field("Replicas", &format!("{wanted} desired | {now} total"));
    let pods = d.pods_status(o, &selector)?;
    w.field("Pods Status", &pods);
    template::write(w, o.at("spec.template"));
    let claims = o.list("spec.volumeClaimTemplates");
    if claims.is_empty() {
        w.field("Volume Claims", "<none>");
    } else {
        w.line(0, "Volume Claims:");
    }
    for c in claims {
        w.line(1, &format!("Name:\t{}", c.s("metadata.name")));
        w.line(1, &format!("StorageClass:\t{}", c.s("spec.storageClassName")));
        for (title, path) in [("Labels", "metadata.labels"), ("Annotations", "metadata.annotations")] {
            let mut pairs = c.strings(path);
            if pairs.is_empty() {
                w.line(1, &format!("{title}:\t<none>"));
            }
            for (i, (k, v)) in pairs.drain(..).enumerate() {
                w.line(1, &format!("{}\t{k}={v}", if i == 0 { format!("{title}:") } else { "  ".into() }));
            }
        }
        let size = c.at("spec.resources.requests.storage").map_or("<default>".into(), plain);
        w.line(1, &format!("Capacity:\t{size}"));
        let modes: Vec<&str> = c.list("spec.accessModes").iter().filter_map(Value::as_str).collect();
        w.line(1, &format!("Access Modes:\t[{}]", modes.join(" ")));
    }
    d.events(w, o)
}
