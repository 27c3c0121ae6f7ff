//! Endpoints.

use serde_json::Value;

use super::{Describer, Writer, annotations, head, labels};
use crate::error::Result;
use crate::value::Json;

/// Describes endpoints.
pub(super) fn describe(d: &mut Describer<'_>, w: &mut Writer, o: &Value) -> Result {
    head(w, o);
    labels(w, "Labels", &o.strings("metadata.labels"));
    annotations(w, o);
    w.line(0, "Subsets:");
    for s in o.list("subsets") {
        for (title, key) in [("Addresses", "addresses"), ("NotReadyAddresses", "notReadyAddresses")] {
            let all: Vec<&str> = s.list(key).iter().map(|a| a.s("ip")).collect();
            let text = if all.is_empty() { "<none>".to_string() } else { all.join(",") };
            w.line(1, &format!("{title}:\t{text}"));
        }
        let ports = s.list("ports");
        if !ports.is_empty() {
            w.line(1, "Ports:");
            w.line(2, "Name\tPort\tProtocol");
            w.line(2, "----\t----\t--------");
            for p in ports {
                let name = if p.s("name").is_empty() { "<unset>" } else { p.s("name") };
                w.line(2, &format!("{name}\t{}\t{}", p.i("port"), p.s("protocol")));
            }
        }
        w.line(0, "");
    }
    d.events(w, o)
}
