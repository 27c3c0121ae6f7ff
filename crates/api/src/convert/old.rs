//! Versions that upstream no longer serves, as the servers of their time wrote them.
//!
//! Fields that came later stay readable in old versions only when they say more than their default: so nothing is lost
//! between versions, and old clients see what they know.

use serde_json::json;

use super::{child, items};
use crate::kinds::{Era, Resource};
use crate::{Object, Value};

/// Whether only servers before 1.25 served this version.
pub(super) fn is_old(resource: &Resource) -> bool {
    resource.era() < Era::Now
}

/// Whether objects of this old version hold pod, job or claim templates, whose metadata then had a null in it.
pub(super) fn has_templates(resource: &Resource) -> bool {
    let kind = resource.kind.kind.as_ref();
    is_old(resource) && matches!(kind, "Deployment" | "DaemonSet" | "ReplicaSet" | "StatefulSet" | "CronJob")
}

/// Old servers wrote `creationTimestamp: null` where objects are embedded, and lacked some defaults.
pub(super) fn as_written_then(resource: &Resource, object: &mut Object) {
    match resource.kind.kind.as_ref() {
        // They did not count the changes of these.
        "CronJob" => {
            child(object, "metadata").and_then(|meta| meta.remove("generation"));
        }
        "StatefulSet" => {
            if let Some(status) = child(object, "status") {
                forget(status, "availableReplicas", &json!(0));
            }
        }
        // Behind gates that were off in 1.19, whose clients read this version.
        "CSIDriver" => {
            if let Some(spec) = child(object, "spec") {
                spec.remove("fsGroupPolicy");
                spec.remove("storageCapacity");
            }
        }
        _ => {}
    }
    if !resource.kind.is_stored() {
        // Reviews have no time of creation.
        object.entry("metadata").or_insert_with(|| json!({}));
        null_time(object);
    }
    let Some(spec) = child(object, "spec") else { return };
    for claim in items(spec, "volumeClaimTemplates") {
        null_time(claim);
        claim.remove("apiVersion");
        claim.remove("kind");
        if let Some(claim_spec) = child(claim, "spec") {
            forget(claim_spec, "volumeMode", &json!("Filesystem"));
        }
    }
    if let Some(template) = child(spec, "template") {
        null_time(template);
    }
    if let Some(job) = child(spec, "jobTemplate") {
        null_time(job);
        if let Some(template) = child(job, "spec").and_then(|s| child(s, "template")) {
            null_time(template);
        }
    }
    if let Some(update) = child(spec, "updateStrategy").and_then(|s| child(s, "rollingUpdate")) {
        forget(update, "maxSurge", &json!(0));
    }
    forget(
        spec,
        "persistentVolumeClaimRetentionPolicy",
        &json!({"whenDeleted": "Retain", "whenScaled": "Retain"}),
    );
    for flag in ["requiresRepublish", "seLinuxMount"] {
        forget(spec, flag, &json!(false));
    }
    if let Some(parameters) = child(spec, "parameters") {
        forget(parameters, "scope", &json!("Cluster"));
        // A `TypedLocalObjectReference`, which always writes it.
        parameters.entry("apiGroup").or_insert(Value::Null);
    }
}

fn forget(object: &mut Object, key: &str, default: &Value) {
    if object.get(key) == Some(default) {
        object.remove(key);
    }
}

fn null_time(object: &mut Object) {
    if let Some(meta) = child(object, "metadata") {
        meta.entry("creationTimestamp").or_insert(Value::Null);
    }
}
