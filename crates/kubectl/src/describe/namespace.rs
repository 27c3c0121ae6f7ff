//! Namespaces.

use serde_json::Value;

use super::{Describer, Writer, annotations, labels, quota};
use crate::error::Result;
use crate::value::Json;

/// The label that servers since 1.21 put on each namespace; v1.10 knew none.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Describes a namespace with its quotas and limits.
pub(super) fn describe(d: &mut Describer<'_>, w: &mut Writer, o: &Value) -> Result {
    let name = o.s("metadata.name");
    w.field("Name", name);
    let pairs: Vec<(&str, &str)> =
        o.strings("metadata.labels").into_iter().filter(|(k, _)| *k != NAME_LABEL).collect();
    labels(w, "Labels", &pairs);
    annotations(w, o);
    w.field("Status", o.s("status.phase"));
    let quotas = d.list(&format!("/api/v1/namespaces/{name}/resourcequotas"), &[])?;
    w.line(0, "");
    if quotas.is_empty() {
        w.line(0, "No resource quota.");
    } else {
        w.line(0, "Resource Quotas");
        for q in &quotas {
            w.line(0, "");
            w.line(0, &format!(" Name:\t{}", q.s("metadata.name")));
            quota::table(w, q, " ");
        }
    }
    let limits = d.list(&format!("/api/v1/namespaces/{name}/limitranges"), &[])?;
    w.line(0, "");
    if limits.is_empty() {
        w.line(0, "No resource limits.");
    } else {
        w.line(0, "Resource Limits");
        quota::limits_header(w, " ");
        for l in &limits {
            quota::limits_rows(w, l, " ");
        }
    }
    Ok(())
}
