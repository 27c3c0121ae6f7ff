//! Secrets and config maps.

use base64::Engine as _;
use serde_json::Value;

use super::{Describer, Writer, annotations, annotations_for_people, head, labels};
use crate::error::Result;
use crate::value::Json;

/// Describes a secret: sizes only, apart from service account tokens.
pub(super) fn describe_secret(w: &mut Writer, o: &Value) {
    head(w, o);
    labels(w, "Labels", &o.strings("metadata.labels"));
    annotations_for_people(w, o);
    w.line(0, "");
    w.field("Type", o.s("type"));
    w.line(0, "");
    w.line(0, "Data");
    w.line(0, "====");
    for (k, v) in o.strings("data") {
        let bytes = base64::engine::general_purpose::STANDARD.decode(v).unwrap_or_default();
        if k == "token" && o.s("type") == "kubernetes.io/service-account-token" {
            w.field(k, &String::from_utf8_lossy(&bytes));
        } else {
            w.field(k, &format!("{} bytes", bytes.len()));
        }
    }
}

/// Describes a config map.
pub(super) fn describe_config_map(d: &mut Describer<'_>, w: &mut Writer, o: &Value) -> Result {
    head(w, o);
    labels(w, "Labels", &o.strings("metadata.labels"));
    annotations(w, o);
    w.line(0, "");
    w.line(0, "Data");
    w.line(0, "====");
    for (k, v) in o.strings("data") {
        w.line(0, &format!("{k}:"));
        w.line(0, "----");
        w.line(0, v);
    }
    d.events(w, o)
}
