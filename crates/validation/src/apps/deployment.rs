//! Deployments and replica sets.

use api::Value;
use api::field::{ErrorList, Path};

use super::{SPEC, STATUS, at_most_100_percent, collisions_grow, count_or_percent, labels_fit, number};
use super::{quoted, required_selector, runs_forever, template};
use crate::Context;
use crate::core::pod::Options;
use crate::core::replication_controller::{at_most_replicas, replica_status};
use crate::errs::Errs;
use crate::golang;
use crate::meta;
use crate::names;
use crate::selector;
use crate::value::Get;

/// `ValidateDeployment`.
pub(crate) fn create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    deployment_spec(object.sub("spec"), &Options::for_template(None, ctx), errs);
}

/// `ValidateDeploymentUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    let (spec, before) = (new.sub("spec"), old.sub("spec"));
    deployment_spec(spec, &Options::for_template(before.at("template"), ctx), errs);
    selector_stays(spec, before, ctx, errs);
}

/// A selector does not change, except through the versions that once allowed it.
pub(super) fn selector_stays(spec: &Value, before: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    if matches!((ctx.group, ctx.version), ("extensions", "v1beta1") | ("apps", "v1beta1")) {
        return;
    }
    meta::immutable(spec, before, "selector", "*metav1.LabelSelector", &SPEC.child("selector"), errs);
}

fn deployment_spec(spec: &Value, opts: &Options, errs: &mut ErrorList) {
    meta::non_negative_fields(spec, &SPEC, &["replicas"], errs);
    selector_and_template(spec, opts, errs);
    strategy(spec.sub("strategy"), &SPEC.child("strategy"), errs);
    meta::non_negative_fields(spec, &SPEC, &["minReadySeconds", "revisionHistoryLimit"], errs);
    if let Some(rollback) = spec.at("rollbackTo") {
        let path = SPEC.child("rollback");
        meta::non_negative(rollback.int("revision"), &path.child("version"), errs);
    }
    if let Some(seconds) = spec.opt_int("progressDeadlineSeconds") {
        let path = SPEC.child("progressDeadlineSeconds");
        meta::non_negative(seconds, &path, errs);
        if seconds <= spec.int("minReadySeconds") {
            errs.invalid(&path, seconds, "must be greater than minReadySeconds");
        }
    }
}

/// What deployments and replica sets say about their pods.
fn selector_and_template(spec: &Value, opts: &Options, errs: &mut ErrorList) {
    required_selector(spec, "deployment", errs);
    let s = spec.sub("selector");
    if selector::is_usable(s) {
        labels_fit(spec, errs);
        template(spec, opts, errs);
        runs_forever(spec, "ReplicaSet", errs);
    } else {
        errs.invalid(&SPEC.child("selector"), quoted(s), "invalid label selector");
    }
}

/// `ValidateDeploymentStrategy`.
fn strategy(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let rolling_path = path.child("rollingUpdate");
    let rolling = v.at("rollingUpdate");
    match v.str("type") {
        "Recreate" => {
            if rolling.is_some() {
                errs.forbidden(&rolling_path, "may not be specified when strategy `type` is 'Recreate'");
            }
        }
        "RollingUpdate" => match rolling {
            None => errs.required(&rolling_path, "this should be defaulted and never be nil"),
            Some(r) => rolling_update(r, &rolling_path, errs),
        },
        _ => {
            let shown = golang::shown("apps.DeploymentStrategy", v);
            errs.not_supported(path, shown, &["Recreate", "RollingUpdate"]);
        }
    }
}

fn rolling_update(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let (unavailable, surge) = (v.sub("maxUnavailable"), v.sub("maxSurge"));
    let unavailable_path = path.child("maxUnavailable");
    count_or_percent(unavailable, &unavailable_path, errs);
    count_or_percent(surge, &path.child("maxSurge"), errs);
    if number(unavailable) == 0 && number(surge) == 0 {
        let shown = golang::shown("x", unavailable);
        errs.invalid(&unavailable_path, shown, "may not be 0 when `maxSurge` is 0");
    }
    at_most_100_percent(unavailable, &unavailable_path, errs);
}

/// `ValidateDeploymentStatusUpdate`.
pub(crate) fn status_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    const COUNTS: &[&str] = &[
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    ];
    let status = new.sub("status");
    meta::non_negative_fields(status, &STATUS, COUNTS, errs);
    at_most_replicas(
        status,
        &["updatedReplicas", "readyReplicas", "availableReplicas"],
        "readyReplicas",
        errs,
    );
    collisions_grow(new, old, errs);
}

/// `ValidateReplicaSet`.
pub(crate) fn replica_set_create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    replica_set_spec(object.sub("spec"), &Options::for_template(None, ctx), errs);
}

fn replica_set_spec(spec: &Value, opts: &Options, errs: &mut ErrorList) {
    meta::non_negative_fields(spec, &SPEC, &["replicas", "minReadySeconds"], errs);
    selector_and_template(spec, opts, errs);
}

/// `ValidateReplicaSetUpdate`.
pub(crate) fn replica_set_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    let (spec, before) = (new.sub("spec"), old.sub("spec"));
    replica_set_spec(spec, &Options::for_template(before.at("template"), ctx), errs);
    selector_stays(spec, before, ctx, errs);
}

/// `ValidateReplicaSetStatusUpdate`.
pub(crate) fn replica_set_status_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    replica_status(new.sub("status"), errs);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn example() -> Value {
        json!({"metadata": {"name": "d", "namespace": "n", "resourceVersion": "1"}, "spec": {
            "replicas": 1, "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10,
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {
                "containers": [{"name": "c", "image": "i", "imagePullPolicy": "Always",
                    "terminationMessagePolicy": "File"}],
                "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst"}}}})
    }

    fn texts(object: &Value) -> Vec<String> {
        let mut errs = ErrorList::new();
        create(object, &Context::default(), &mut errs);
        errs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_selector_selects_the_template() {
        assert!(texts(&example()).is_empty());
        let mut d = example();
        d["spec"]["selector"]["matchLabels"]["app"] = json!("db");
        assert_eq!(
            texts(&d),
            [
                "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`"
            ]
        );
    }

    #[test]
    fn a_rolling_update_moves() {
        let mut d = example();
        d["spec"]["strategy"]["rollingUpdate"] = json!({"maxSurge": 0, "maxUnavailable": 0});
        assert_eq!(
            texts(&d),
            [
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"
            ]
        );
        d["spec"]["strategy"] = json!({"type": "X"});
        assert_eq!(
            texts(&d),
            [
                "spec.strategy: Unsupported value: {\"Type\":\"X\",\"RollingUpdate\":null}: supported values: \"Recreate\", \"RollingUpdate\""
            ]
        );
    }
}
