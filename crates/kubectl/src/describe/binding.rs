//! Role bindings and cluster role bindings.

use serde_json::Value;

use super::{Writer, annotations, labels};
use crate::value::Json;

/// Describes a binding.
pub(super) fn describe(w: &mut Writer, o: &Value) {
    w.field("Name", o.s("metadata.name"));
    labels(w, "Labels", &o.strings("metadata.labels"));
    annotations(w, o);
    w.line(0, "Role:");
    w.line(1, &format!("Kind:\t{}", o.s("roleRef.kind")));
    w.line(1, &format!("Name:\t{}", o.s("roleRef.name")));
    w.line(0, "Subjects:");
    w.line(1, "Kind\tName\tNamespace");
    w.line(1, "----\t----\t---------");
    for s in o.list("subjects") {
        w.line(1, &format!("{}\t{}\t{}", s.s("kind"), s.s("name"), s.s("namespace")));
    }
}
