//! Deployments.

use serde_json::Value;

use super::replicaset::conditions;
use super::{Describer, Writer, annotations, head, labels, template};
use crate::error::Result;
use crate::time::rfc1123z;
use crate::value::{Json, format_selector, plain};

/// Describes a deployment (upstream: `describeDeployment`).
pub(super) fn describe(d: &mut Describer<'_>, w: &mut Writer, o: &Value) -> Result {
    head(w, o);
    w.field("CreationTimestamp", &rfc1123z(o.s("metadata.creationTimestamp")));
    labels(w, "Labels", &o.strings("metadata.labels"));
    annotations(w, o);
    let selector = format_selector(o.at("spec.selector"));
    w.field("Selector", &selector);
    w.field(
        "Replicas",
        &format!(
            "{} desired | {} updated | {} total | {} available | {} unavailable",
            o.i_or("spec.replicas", 1),
            o.i("status.updatedReplicas"),
            o.i("status.replicas"),
            o.i("status.availableReplicas"),
            o.i("status.unavailableReplicas")
        ),
    );
    w.field("StrategyType", o.s("spec.strategy.type"));
    w.field("MinReadySeconds", &o.i("spec.minReadySeconds").to_string());
    if let Some(r) = o.at("spec.strategy.rollingUpdate").filter(|r| !r.is_null()) {
        let part = |k: &str| r.get(k).map(plain).unwrap_or_default();
        w.field(
            "RollingUpdateStrategy",
            &format!("{} max unavailable, {} max surge", part("maxUnavailable"), part("maxSurge")),
        );
    }
    template::write(w, o.at("spec.template"));
    conditions(w, o);
    let sets = owned_replica_sets(d, o, &selector)?;
    let new = new_replica_set(o, &sets);
    let old: Vec<&Value> = sets
        .iter()
        .filter(|s| {
            s.i("spec.replicas") > 0 && new.is_none_or(|n| n.s("metadata.uid") != s.s("metadata.uid"))
        })
        .collect();
    w.field("OldReplicaSets", &created(&old));
    w.field("NewReplicaSet", &created(&new.into_iter().collect::<Vec<_>>()));
    d.events(w, o)
}

/// The replica sets that a deployment owns, in its own API version.
fn owned_replica_sets(d: &mut Describer<'_>, o: &Value, selector: &str) -> Result<Vec<Value>> {
    let path = d.resource.collection(o.s("metadata.namespace")).replace("/deployments", "/replicasets");
    let sets = d.list(&path, &[("labelSelector", selector)])?;
    Ok(crate::cmd::rollout::owned_by(sets, o.s("metadata.uid")))
}

/// The replica set with the deployment's template: the oldest one, when there are several
/// (upstream: `FindNewReplicaSet`).
pub(crate) fn new_replica_set<'a>(deployment: &Value, sets: &'a [Value]) -> Option<&'a Value> {
    let wanted = deployment.at("spec.template").cloned().unwrap_or_default();
    let mut matching: Vec<&Value> = sets
        .iter()
        .filter(|s| {
            let mut t = s.at("spec.template").cloned().unwrap_or_default();
            crate::value::remove(&mut t, "metadata.labels.pod-template-hash");
            let same_labels = t.strings("metadata.labels") == wanted.strings("metadata.labels");
            same_labels
                && t.get("spec") == wanted.get("spec")
                && t.strings("metadata.annotations") == wanted.strings("metadata.annotations")
        })
        .collect();
    matching.sort_by_key(|s| s.s("metadata.creationTimestamp").to_string());
    matching.first().copied()
}

fn created(sets: &[&Value]) -> String {
    if sets.is_empty() {
        return "<none>".into();
    }
    sets.iter()
        .map(|s| {
            let (now, wanted) = (s.i("status.replicas"), s.i("spec.replicas"));
            format!("{} ({now}/{wanted} replicas created)", s.s("metadata.name"))
        })
        .collect::<Vec<_>>()
        .join(", ")
}
