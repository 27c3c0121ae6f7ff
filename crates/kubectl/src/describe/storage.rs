//! Persistent volumes, claims and storage classes.

use serde_json::Value;

use super::{Describer, Writer, annotations, head, labels, volumes};
use crate::error::Result;
use crate::value::{Json, join_labels, plain};

fn modes(modes: &[Value]) -> String {
    let short = |m: &Value| match m.as_str().unwrap_or("") {
        "ReadWriteOnce" => "RWO".to_string(),
        "ReadOnlyMany" => "ROX".to_string(),
        "ReadWriteMany" => "RWX".to_string(),
        "ReadWriteOncePod" => "RWOP".to_string(),
        other => other.to_string(),
    };
    modes.iter().map(short).collect::<Vec<_>>().join(",")
}

/// The class, in its old place or the new one.
fn class(o: &Value) -> String {
    let annotation = o
        .at("metadata.annotations")
        .and_then(|a| a.get("volume.beta.kubernetes.io/storage-class"))
        .and_then(Value::as_str);
    annotation.unwrap_or(o.s("spec.storageClassName")).to_string()
}

fn finalizers(o: &Value) -> String {
    let all: Vec<&str> = o.list("metadata.finalizers").iter().filter_map(Value::as_str).collect();
    format!("[{}]", all.join(" "))
}

/// Describes a persistent volume.
pub(super) fn describe_volume(d: &mut Describer<'_>, w: &mut Writer, o: &Value) -> Result {
    w.field("Name", o.s("metadata.name"));
    labels(w, "Labels", &o.strings("metadata.labels"));
    annotations(w, o);
    w.field("Finalizers", &finalizers(o));
    w.field("StorageClass", &class(o));
    w.field("Status", o.s("status.phase"));
    let claim = match o.at("spec.claimRef").filter(|c| !c.is_null()) {
        Some(c) => format!("{}/{}", c.s("namespace"), c.s("name")),
        None => String::new(),
    };
    w.field("Claim", &claim);
    w.field("Reclaim Policy", o.s("spec.persistentVolumeReclaimPolicy"));
    w.field("Access Modes", &modes(o.list("spec.accessModes")));
    w.field("Capacity", &o.at("spec.capacity.storage").map(plain).unwrap_or_default());
    let terms = o.list("spec.nodeAffinity.required.nodeSelectorTerms");
    if !o.has("spec.nodeAffinity") {
        w.field("Node Affinity", "<none>");
    } else if terms.is_empty() {
        w.line(0, "Node Affinity:");
        w.line(1, "Required Terms:\t<none>");
    } else {
        w.line(0, "Node Affinity:");
        w.line(1, "Required Terms:");
        for (i, t) in terms.iter().enumerate() {
            let expressions: Vec<String> = t
                .list("matchExpressions")
                .iter()
                .map(|e| {
                    let values: Vec<&str> = e.list("values").iter().filter_map(Value::as_str).collect();
                    format!("{} {} [{}]", e.s("key"), e.s("operator").to_lowercase(), values.join(", "))
                })
                .collect();
            for (j, e) in expressions.iter().enumerate() {
                let title = if j == 0 { format!("Term {i}:") } else { String::new() };
                w.line(2, &format!("{title}\t{e}"));
            }
        }
    }
    w.field("Message", o.s("status.message"));
    w.line(0, "Source:");
    volumes::source(w, o.at("spec").unwrap_or(&Value::Null));
    d.events(w, o)
}

/// Describes a claim.
pub(super) fn describe_claim(d: &mut Describer<'_>, w: &mut Writer, o: &Value) -> Result {
    head(w, o);
    w.field("StorageClass", &class(o));
    if o.has("metadata.deletionTimestamp") {
        let age = crate::time::age(o.s("metadata.deletionTimestamp"), crate::time::now());
        w.field("Status", &format!("Terminating (lasts {age})"));
    } else {
        w.field("Status", o.s("status.phase"));
    }
    w.field("Volume", o.s("spec.volumeName"));
    labels(w, "Labels", &o.strings("metadata.labels"));
    annotations(w, o);
    w.field("Finalizers", &finalizers(o));
    let bound = !o.s("spec.volumeName").is_empty();
    let capacity = o.at("status.capacity.storage").filter(|_| bound).map(plain).unwrap_or_default();
    w.field("Capacity", &capacity);
    w.field("Access Modes", &if bound { modes(o.list("status.accessModes")) } else { String::new() });
    d.events(w, o)
}

/// Describes a storage class.
pub(super) fn describe_class(d: &mut Describer<'_>, w: &mut Writer, o: &Value) -> Result {
    w.field("Name", o.s("metadata.name"));
    let default =
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"]
            .iter()
            .any(|k| {
                o.at("metadata.annotations").and_then(|a| a.get(*k)).and_then(Value::as_str) == Some("true")
            });
    w.field("IsDefaultClass", if default { "Yes" } else { "No" });
    w.field("Annotations", &join_labels(&o.strings("metadata.annotations"), "<none>"));
    w.field("Provisioner", o.s("provisioner"));
    w.field("Parameters", &join_labels(&o.strings("parameters"), "<none>"));
    w.field(
        "AllowVolumeExpansion",
        &o.at("allowVolumeExpansion")
            .map_or("<unset>".into(), |v| super::bool_text(v.as_bool().unwrap_or(false)).to_string()),
    );
    if o.list("mountOptions").is_empty() {
        w.field("MountOptions", "<none>");
    } else {
        w.line(0, "MountOptions:");
        for m in o.list("mountOptions").iter().filter_map(Value::as_str) {
            w.line(1, m);
        }
    }
    w.field("ReclaimPolicy", o.s("reclaimPolicy"));
    w.field("VolumeBindingMode", o.s("volumeBindingMode"));
    d.events(w, o)
}
