//! Service accounts.

use serde_json::Value;

use super::{Describer, Writer, annotations, head, labels};
use crate::error::Result;
use crate::value::Json;

/// Describes a service account with its token secrets.
pub(super) fn describe(d: &mut Describer<'_>, w: &mut Writer, o: &Value) -> Result {
    let namespace = o.s("metadata.namespace");
    let secrets = d.list(&format!("/api/v1/namespaces/{namespace}/secrets"), &[]).unwrap_or_default();
    let exists = |name: &str| secrets.iter().any(|s| s.s("metadata.name") == name);
    let tokens: Vec<&str> = secrets
        .iter()
        .filter(|s| s.s("type") == "kubernetes.io/service-account-token")
        .filter(|s| {
            let annotation = |k: &str| {
                s.at("metadata.annotations").and_then(|a| a.get(k)).and_then(Value::as_str).unwrap_or("")
            };
            annotation("kubernetes.io/service-account.name") == o.s("metadata.name")
                && annotation("kubernetes.io/service-account.uid") == o.s("metadata.uid")
        })
        .map(|s| s.s("metadata.name"))
        .collect();
    head(w, o);
    labels(w, "Labels", &o.strings("metadata.labels"));
    annotations(w, o);
    let names = |path: &str| -> Vec<&str> { o.list(path).iter().map(|s| s.s("name")).collect() };
    for (title, names) in [
        ("Image pull secrets", names("imagePullSecrets")),
        ("Mountable secrets", names("secrets")),
        ("Tokens", tokens),
    ] {
        if names.is_empty() {
            w.field(title, "<none>");
        }
        for (i, n) in names.iter().enumerate() {
            let title = if i == 0 { format!("{title}:") } else { String::new() };
            let missing = if exists(n) { "" } else { " (not found)" };
            w.line(0, &format!("{title}\t{n}{missing}"));
        }
    }
    d.events(w, o)
}
