//! Defaults of the workloads in all their versions (`pkg/apis/apps/v*/defaults.go`, `extensions/v1beta1`).

use serde_json::json;

use super::Hook;
use super::core::{labels_from_template, template_labels};
use super::object::{absent, child, empty, has_entries, is_set, items, make, text};
use crate::{Object, Value};

/// The function of a type of `apps` or `extensions`.
pub(super) fn hook(group: &str, version: &str, kind: &str) -> Option<Hook> {
    Some(match (group, version, kind) {
        ("extensions", _, "Deployment") => |o| {
            from_template(o);
            deployment(o, json!(1), 10, 600, true);
        },
        ("apps", "v1beta1", "Deployment") => |o| {
            from_template(o);
            deployment(o, json!("25%"), 2, 600, false);
        },
        ("apps", _, "Deployment") => |o| deployment(o, json!("25%"), 10, 600, false),
        ("extensions", _, "DaemonSet") => |o| {
            from_template(o);
            daemon_set(o, "OnDelete");
        },
        ("apps", _, "DaemonSet") => |o| daemon_set(o, "RollingUpdate"),
        ("extensions", _, "ReplicaSet") => |o| {
            from_template(o);
            replicas(o);
        },
        ("apps", _, "ReplicaSet") => replicas,
        ("apps", "v1beta1", "StatefulSet") => |o| {
            from_template(o);
            stateful_set(o, false);
        },
        ("apps", _, "StatefulSet") => |o| stateful_set(o, true),
        ("extensions", _, "NetworkPolicy") => |o| {
            if let Some(spec) = make(o, "spec") {
                for port in items(spec, "ingress").flat_map(|rule| items(rule, "ports")) {
                    absent(port, "protocol", "TCP");
                }
            }
            policy_types(o);
        },
        ("extensions", _, "HTTPIngressPath") => |o| absent(o, "pathType", "ImplementationSpecific"),
        ("extensions", _, "PodSecurityPolicySpec") => |o| absent(o, "allowPrivilegeEscalation", true),
        _ => return None,
    })
}

/// `SetDefaults_NetworkPolicy`
pub(super) fn policy_types(o: &mut Object) {
    let Some(spec) = make(o, "spec") else { return };
    if !has_entries(spec, "policyTypes") {
        let types =
            if has_entries(spec, "egress") { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
        spec.insert("policyTypes".to_owned(), types);
    }
}

/// Old versions take selector and labels from the template.
fn from_template(o: &mut Object) {
    let Some(labels) = template_labels(o) else { return };
    if let Some(spec) = child(o, "spec") {
        absent(spec, "selector", json!({"matchLabels": labels}));
    }
    labels_from_template(o, &labels);
}

fn replicas(o: &mut Object) {
    if let Some(spec) = make(o, "spec") {
        absent(spec, "replicas", 1);
    }
}

fn deployment(o: &mut Object, step: Value, history: i64, deadline_s: i64, any_strategy: bool) {
    replicas(o);
    let Some(spec) = child(o, "spec") else { return };
    if let Some(strategy) = make(spec, "strategy") {
        empty(strategy, "type", "RollingUpdate");
        let rolling = text(strategy, "type") == "RollingUpdate";
        let wanted = rolling || (any_strategy && is_set(strategy, "rollingUpdate"));
        if wanted && let Some(update) = make(strategy, "rollingUpdate") {
            absent(update, "maxUnavailable", step.clone());
            absent(update, "maxSurge", step);
        }
    }
    absent(spec, "revisionHistoryLimit", history);
    absent(spec, "progressDeadlineSeconds", deadline_s);
}

fn daemon_set(o: &mut Object, strategy_type: &str) {
    let Some(spec) = make(o, "spec") else { return };
    if let Some(strategy) = make(spec, "updateStrategy") {
        empty(strategy, "type", strategy_type);
        if text(strategy, "type") == "RollingUpdate"
            && let Some(update) = make(strategy, "rollingUpdate")
        {
            absent(update, "maxUnavailable", 1);
            absent(update, "maxSurge", 0);
        }
    }
    absent(spec, "revisionHistoryLimit", 10);
}

fn stateful_set(o: &mut Object, rolling: bool) {
    replicas(o);
    let Some(spec) = child(o, "spec") else { return };
    empty(spec, "podManagementPolicy", "OrderedReady");
    if let Some(strategy) = make(spec, "updateStrategy") {
        if text(strategy, "type").is_empty() {
            let ty = if rolling { "RollingUpdate" } else { "OnDelete" };
            strategy.insert("type".to_owned(), ty.into());
            if rolling {
                absent(strategy, "rollingUpdate", json!({}));
            }
        }
        if text(strategy, "type") == "RollingUpdate"
            && let Some(update) = child(strategy, "rollingUpdate")
        {
            absent(update, "partition", 0);
        }
    }
    if let Some(policy) = make(spec, "persistentVolumeClaimRetentionPolicy") {
        empty(policy, "whenDeleted", "Retain");
        empty(policy, "whenScaled", "Retain");
    }
    absent(spec, "revisionHistoryLimit", 10);
}
