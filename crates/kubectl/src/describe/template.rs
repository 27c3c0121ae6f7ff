//! Pod templates.

use serde_json::Value;

use super::container::{self, Place};
use super::{Writer, annotations_at, labels_at, volumes};
use crate::value::Json;

/// Writes the template of a controller (upstream: `DescribePodTemplate`).
pub(crate) fn write(w: &mut Writer, template: Option<&Value>) {
    w.line(0, "Pod Template:");
    let Some(t) = template else {
        w.line(1, "<unset>");
        return;
    };
    labels_at(w, "  ", "Labels", &t.strings("metadata.labels"));
    let annotations = t.strings("metadata.annotations");
    if !annotations.is_empty() {
        annotations_at(w, "  ", &annotations);
    }
    if !t.s("spec.serviceAccountName").is_empty() {
        w.line(1, &format!("Service Account:\t{}", t.s("spec.serviceAccountName")));
    }
    let place = Place { indent: "  ", pod: None };
    if !t.list("spec.initContainers").is_empty() {
        container::write(w, "Init Containers", t.list("spec.initContainers"), &[], &place);
    }
    container::write(w, "Containers", t.list("spec.containers"), &[], &place);
    volumes::write(w, t.list("spec.volumes"), "  ");
}
