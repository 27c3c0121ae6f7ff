//! Stateful sets.

use std::collections::HashSet;

use api::field::{ErrorList, Path};
use api::{Object, Value};

use super::{SPEC, STATUS, at_most_100_percent, collisions_grow, count_or_percent, labels_fit, number};
use super::{quoted, required_selector, runs_forever};
use crate::Context;
use crate::core::claim;
use crate::core::pod::{self, Options};
use crate::core::replication_controller::at_most_replicas;
use crate::errs::Errs;
use crate::golang;
use crate::meta;
use crate::names;
use crate::selector;
use crate::value::{Get, same};

#[derive(Default)]
struct Tolerate {
    service_name: bool,
    template: bool,
    claims: bool,
}

/// `ValidateStatefulSet`.
pub(crate) fn create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::label, errs);
    spec(object.sub("spec"), &Options::for_template(None, ctx), &Tolerate::default(), errs);
}

/// `ValidateStatefulSetUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    let (now, before) = (new.sub("spec"), old.sub("spec"));
    let opts = Options::for_template(before.at("template"), ctx);
    let mut tolerate = Tolerate { service_name: true, template: false, claims: true };
    let mut old_errs = ErrorList::new();
    spec(before, &opts, &tolerate, &mut old_errs);
    tolerate.template = !old_errs.is_empty();
    spec(now, &opts, &tolerate, errs);
    const MUTABLE: &[&str] = &[
        "replicas",
        "template",
        "updateStrategy",
        "minReadySeconds",
        "ordinals",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
    ];
    let fixed = |spec: &Value| -> Value {
        let fields = spec.as_object().into_iter().flatten();
        let kept: Object = fields
            .filter(|(k, _)| !MUTABLE.contains(&k.as_str()))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        Value::Object(kept)
    };
    if !same(&fixed(now), &fixed(before)) {
        errs.forbidden(&SPEC, "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
    }
}

fn spec(spec: &Value, opts: &Options, tolerate: &Tolerate, errs: &mut ErrorList) {
    let management = spec.str("podManagementPolicy");
    let path = SPEC.child("podManagementPolicy");
    match management {
        "" => errs.required(&path, ""),
        "OrderedReady" | "Parallel" => {}
        other => errs.invalid(&path, other, "must be 'OrderedReady' or 'Parallel'"),
    }
    update_strategy(spec.sub("updateStrategy"), errs);
    if let Some(policy) = spec.at("persistentVolumeClaimRetentionPolicy") {
        let path = SPEC.child("persistentVolumeClaimRetentionPolicy");
        for field in ["whenDeleted", "whenScaled"] {
            let value = policy.str(field);
            if !matches!(value, "Retain" | "Delete") {
                errs.not_supported(&path.child(field), value, &["Retain", "Delete"]);
            }
        }
    }
    if !tolerate.claims {
        let list = SPEC.child("volumeClaimTemplates");
        for (i, template) in spec.list("volumeClaimTemplates").iter().enumerate() {
            claim::claim_spec(template.sub("spec"), &list.index(i).child("spec"), errs);
        }
    }
    meta::non_negative_fields(spec, &SPEC, &["replicas", "minReadySeconds"], errs);
    meta::non_negative(spec.sub("ordinals").int("start"), &SPEC.child("ordinals.start"), errs);
    let service = spec.str("serviceName");
    if !tolerate.service_name && !service.is_empty() {
        errs.invalid_each(&SPEC.child("serviceName"), service, names::is_dns1123_label(service));
    }
    required_selector(spec, "statefulset", errs);
    let s = spec.sub("selector");
    if selector::is_usable(s) {
        labels_fit(spec, errs);
        template(spec, opts, tolerate, errs);
    } else {
        errs.invalid(&SPEC.child("selector"), quoted(s), "");
    }
    runs_forever(spec, "StatefulSet", errs);
}

/// The template as its pods will be: host name and subdomain are set by the controller, a volume per claim.
fn template(spec: &Value, opts: &Options, tolerate: &Tolerate, errs: &mut ErrorList) {
    let path = SPEC.child("template");
    let own = spec.sub("template");
    let claims = spec.list("volumeClaimTemplates");
    let adapted = adapted_template(own, claims);
    let template = adapted.as_ref().unwrap_or(own);
    if !tolerate.template {
        pod::template_spec(template, opts, &path, errs);
    }
    let metadata = template.sub("metadata");
    meta::labels(metadata.entries("labels"), &path.child("labels"), errs);
    meta::annotations(metadata.entries("annotations"), &path.child("annotations"), errs);
    pod::annotations(metadata, template.sub("spec"), opts, &path.child("annotations"), errs);
}

fn adapted_template(template: &Value, claims: &[Value]) -> Option<Value> {
    let pod = template.sub("spec");
    if claims.is_empty() && pod.str("subdomain").is_empty() && pod.str("hostname").is_empty() {
        return None;
    }
    let mut spec = pod.as_object().cloned().unwrap_or_default();
    spec.remove("subdomain");
    spec.remove("hostname");
    if !claims.is_empty() {
        let names: HashSet<&str> = claims.iter().map(|c| c.sub("metadata").str("name")).collect();
        let mut volumes: Vec<Value> = names
            .iter()
            .map(|name| serde_json::json!({"name": name, "persistentVolumeClaim": {"claimName": name}}))
            .collect();
        volumes.extend(pod.list("volumes").iter().filter(|v| !names.contains(&v.str("name"))).cloned());
        spec.insert("volumes".to_owned(), Value::Array(volumes));
    }
    let mut adapted = template.as_object().cloned().unwrap_or_default();
    adapted.insert("spec".to_owned(), Value::Object(spec));
    Some(Value::Object(adapted))
}

fn update_strategy(v: &Value, errs: &mut ErrorList) {
    let path = SPEC.child("updateStrategy");
    let rolling_path = path.child("rollingUpdate");
    let rolling = v.at("rollingUpdate");
    match v.str("type") {
        "" => errs.required(&path, ""),
        "OnDelete" => {
            if let Some(r) = rolling {
                let shown = golang::shown("apps.RollingUpdateStatefulSetStrategy", r);
                errs.invalid(&rolling_path, shown, "only allowed for updateStrategy 'RollingUpdate'");
            }
        }
        "RollingUpdate" => {
            if let Some(r) = rolling {
                rolling_update(r, &rolling_path, errs);
            }
        }
        _ => {
            let shown = golang::shown("apps.StatefulSetUpdateStrategy", v);
            errs.invalid(&path, shown, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
}

fn rolling_update(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    meta::non_negative_fields(v, path, &["partition"], errs);
    if let Some(unavailable) = v.at("maxUnavailable") {
        let path = path.child("maxUnavailable");
        count_or_percent(unavailable, &path, errs);
        if number(unavailable) == 0 {
            errs.invalid(&path, unavailable, "cannot be 0");
        }
        at_most_100_percent(unavailable, &path, errs);
    }
}

/// `ValidateStatefulSetStatusUpdate`.
pub(crate) fn status_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    const COUNTS: &[&str] = &[
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        "observedGeneration",
        "collisionCount",
    ];
    let status = new.sub("status");
    meta::non_negative_fields(status, &STATUS, COUNTS, errs);
    at_most_replicas(
        status,
        &["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"],
        "status.readyReplicas",
        errs,
    );
    meta::kube_object_meta_update(new, old, errs);
    collisions_grow(new, old, errs);
}
