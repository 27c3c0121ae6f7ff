//! Defaults of the other groups.

use serde_json::json;

use super::Hook;
use super::apps::policy_types;
use super::object::{absent, child, empty, has_entries, is_set, items, make, text, zero};
use crate::{Object, Value, time};

/// The function of a type, by group (the last part of its package), version and name.
pub(super) fn hook(group: &str, version: &str, kind: &str) -> Option<Hook> {
    match group {
        "batch" => batch(kind),
        "autoscaling" => autoscaling(version, kind),
        "rbac" => rbac(version, kind),
        "storage" => storage(kind),
        "resource" => resource(kind),
        "flowcontrol" => flow_control(kind),
        "admissionregistration" => admission(version, kind),
        "apiextensions" => extensions(version, kind),
        "networking" => networking(version, kind),
        "certificates" => certificates(version, kind),
        _ => small(group, kind),
    }
}

fn small(group: &str, kind: &str) -> Option<Hook> {
    Some(match (group, kind) {
        ("discovery", "EndpointPort") => |o| {
            absent(o, "name", "");
            absent(o, "protocol", "TCP");
        },
        ("scheduling", "PriorityClass") => |o| absent(o, "preemptionPolicy", "PreemptLowerPriority"),
        ("policy", "PodSecurityPolicySpec") => |o| absent(o, "allowPrivilegeEscalation", true),
        ("authentication", "TokenRequestSpec") => |o| absent(o, "expirationSeconds", 3600),
        ("apiregistration", "ServiceReference") => |o| absent(o, "port", 443),
        _ => return None,
    })
}

fn networking(version: &str, kind: &str) -> Option<Hook> {
    Some(match (version, kind) {
        (_, "NetworkPolicyPort") => |o| absent(o, "protocol", "TCP"),
        (_, "NetworkPolicy") => policy_types,
        (_, "IngressClassParametersReference") => |o| absent(o, "scope", "Cluster"),
        // Only v1beta1 defaults it; in v1 the field is required and validation speaks up.
        ("v1beta1", "HTTPIngressPath") => |o| absent(o, "pathType", "ImplementationSpecific"),
        _ => return None,
    })
}

fn batch(kind: &str) -> Option<Hook> {
    Some(match kind {
        "Job" => |o| {
            job_spec(o);
            if let Some(labels) = super::core::template_labels(o) {
                super::core::labels_from_template(o, &labels);
            }
        },
        "CronJobSpec" => |o| {
            empty(o, "concurrencyPolicy", "Allow");
            absent(o, "suspend", false);
            absent(o, "successfulJobsHistoryLimit", 3);
            absent(o, "failedJobsHistoryLimit", 1);
        },
        "PodFailurePolicyOnPodConditionsPattern" => |o| empty(o, "status", "True"),
        _ => return None,
    })
}

fn job_spec(o: &mut Object) {
    let Some(spec) = make(o, "spec") else { return };
    if !is_set(spec, "completions") && !is_set(spec, "parallelism") {
        absent(spec, "completions", 1);
    }
    absent(spec, "parallelism", 1);
    let backoff = if is_set(spec, "backoffLimitPerIndex") { i32::MAX } else { 6 };
    absent(spec, "backoffLimit", backoff);
    absent(spec, "completionMode", "NonIndexed");
    absent(spec, "suspend", false);
    let replace = if is_set(spec, "podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    absent(spec, "podReplacementPolicy", replace);
    absent(spec, "manualSelector", false);
}

fn autoscaling(version: &str, kind: &str) -> Option<Hook> {
    Some(match (version, kind) {
        ("v1", "HorizontalPodAutoscalerSpec") => |o| absent(o, "minReplicas", 1),
        ("v2beta1", "HorizontalPodAutoscalerSpec") => |o| {
            absent(o, "minReplicas", 1);
            if !has_entries(o, "metrics") {
                let metric = json!([{"type": "Resource", "resource": {"name": "cpu", "targetAverageUtilization": 80}}]);
                o.insert("metrics".to_owned(), metric);
            }
        },
        (_, "HorizontalPodAutoscalerSpec") => |o| {
            absent(o, "minReplicas", 1);
            if !has_entries(o, "metrics") {
                let target = json!({"type": "Utilization", "averageUtilization": 80});
                let metric = json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]);
                o.insert("metrics".to_owned(), metric);
            }
            if let Some(behavior) = child(o, "behavior") {
                behavior_defaults(behavior);
            }
        },
        _ => return None,
    })
}

/// `GenerateHPAScaleUpRules`, `GenerateHPAScaleDownRules`
pub(crate) fn behavior_defaults(behavior: &mut Object) {
    if let Some(up) = make(behavior, "scaleUp") {
        absent(up, "stabilizationWindowSeconds", 0);
        let pods = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
        rules(up, json!([pods, {"type": "Percent", "value": 100, "periodSeconds": 15}]));
    }
    if let Some(down) = make(behavior, "scaleDown") {
        rules(down, json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]));
    }
}

fn rules(rules: &mut Object, policies: Value) {
    absent(rules, "selectPolicy", "Max");
    absent(rules, "policies", policies);
}

fn rbac(version: &str, kind: &str) -> Option<Hook> {
    const GROUP: &str = "rbac.authorization.k8s.io";
    Some(match (version, kind) {
        (_, "ClusterRoleBinding" | "RoleBinding") => |o| {
            if let Some(role) = make(o, "roleRef") {
                empty(role, "apiGroup", GROUP);
            }
        },
        ("v1alpha1", "Subject") => |o| match text(o, "kind") {
            "ServiceAccount" => empty(o, "apiVersion", "v1"),
            "User" | "Group" => empty(o, "apiVersion", "rbac.authorization.k8s.io/v1alpha1"),
            _ => {}
        },
        (_, "Subject") => |o| {
            if matches!(text(o, "kind"), "User" | "Group") {
                empty(o, "apiGroup", GROUP);
            }
        },
        _ => return None,
    })
}

fn storage(kind: &str) -> Option<Hook> {
    Some(match kind {
        "StorageClass" => |o| {
            absent(o, "reclaimPolicy", "Delete");
            absent(o, "volumeBindingMode", "Immediate");
        },
        "CSIDriverSpec" => |o| {
            absent(o, "attachRequired", true);
            for flag in ["podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"] {
                absent(o, flag, false);
            }
            absent(o, "fsGroupPolicy", "ReadWriteOnceWithFSType");
            if !has_entries(o, "volumeLifecycleModes") {
                o.insert("volumeLifecycleModes".to_owned(), json!(["Persistent"]));
            }
        },
        _ => return None,
    })
}

fn resource(kind: &str) -> Option<Hook> {
    Some(match kind {
        "ExactDeviceRequest" | "DeviceSubRequest" => |o| {
            empty(o, "allocationMode", "ExactCount");
            if text(o, "allocationMode") == "ExactCount" {
                zero(o, "count", 1);
            }
        },
        "DeviceTaint" => |o| {
            let now = time::Timestamp::from_system(std::time::SystemTime::now());
            absent(o, "timeAdded", now.to_rfc3339());
        },
        "NodeAllocatableResourceMapping" => |o| absent(o, "allocationMultiplier", "1"),
        _ => return None,
    })
}

fn flow_control(kind: &str) -> Option<Hook> {
    Some(match kind {
        "FlowSchemaSpec" => |o| zero(o, "matchingPrecedence", 1000),
        "ExemptPriorityLevelConfiguration" => |o| {
            absent(o, "nominalConcurrencyShares", 0);
            absent(o, "lendablePercent", 0);
        },
        "LimitedPriorityLevelConfiguration" => |o| {
            absent(o, "nominalConcurrencyShares", 30);
            absent(o, "lendablePercent", 0);
        },
        "QueuingConfiguration" => |o| {
            zero(o, "handSize", 8);
            zero(o, "queues", 64);
            zero(o, "queueLengthLimit", 50);
        },
        _ => return None,
    })
}

fn admission(version: &str, kind: &str) -> Option<Hook> {
    Some(match (version, kind) {
        ("v1", "ValidatingWebhook") => |o| webhook(o, "Fail", "Equivalent", 10),
        ("v1", "MutatingWebhook") => |o| {
            webhook(o, "Fail", "Equivalent", 10);
            absent(o, "reinvocationPolicy", "Never");
        },
        ("v1beta1", "ValidatingWebhook") => old_webhook,
        ("v1beta1", "MutatingWebhook") => |o| {
            old_webhook(o);
            absent(o, "reinvocationPolicy", "Never");
        },
        ("v1", "RuleWithOperations" | "NamedRuleWithOperations") => |o| absent(o, "scope", "*"),
        ("v1beta1", "RuleWithOperations" | "NamedRuleWithOperations") => |o| absent(o, "scope", "*"),
        (_, "ServiceReference") => |o| absent(o, "port", 443),
        (_, "ValidatingAdmissionPolicySpec" | "MutatingAdmissionPolicySpec") => |o| {
            absent(o, "failurePolicy", "Fail");
        },
        (_, "MatchResources") => |o| {
            absent(o, "matchPolicy", "Equivalent");
            absent(o, "namespaceSelector", json!({}));
            absent(o, "objectSelector", json!({}));
        },
        _ => return None,
    })
}

fn webhook(o: &mut Object, failure: &str, matching: &str, timeout_s: i64) {
    absent(o, "failurePolicy", failure);
    absent(o, "matchPolicy", matching);
    absent(o, "namespaceSelector", json!({}));
    absent(o, "objectSelector", json!({}));
    absent(o, "timeoutSeconds", timeout_s);
}

fn old_webhook(o: &mut Object) {
    webhook(o, "Ignore", "Exact", 30);
    absent(o, "sideEffects", "Unknown");
    if !has_entries(o, "admissionReviewVersions") {
        o.insert("admissionReviewVersions".to_owned(), json!(["v1beta1"]));
    }
}

fn extensions(version: &str, kind: &str) -> Option<Hook> {
    Some(match (version, kind) {
        ("v1", "CustomResourceDefinition") => |o| {
            crd_names(o);
            stored_versions(o);
        },
        ("v1beta1", "CustomResourceDefinition") => |o| {
            crd_old_spec(o);
            crd_names(o);
            stored_versions(o);
        },
        (_, "ServiceReference") => |o| absent(o, "port", 443),
        _ => return None,
    })
}

fn crd_names(o: &mut Object) {
    let Some(spec) = make(o, "spec") else { return };
    if let Some(names) = make(spec, "names") {
        let kind = text(names, "kind").to_owned();
        if !kind.is_empty() {
            empty(names, "singular", &kind.to_lowercase());
            empty(names, "listKind", &format!("{kind}List"));
        }
    }
    absent(spec, "conversion", json!({"strategy": "None"}));
}

fn crd_old_spec(o: &mut Object) {
    let Some(spec) = make(o, "spec") else { return };
    empty(spec, "scope", "Namespaced");
    let version = text(spec, "version").to_owned();
    if !has_entries(spec, "versions") && !version.is_empty() {
        spec.insert("versions".to_owned(), json!([{"name": version, "served": true, "storage": true}]));
    }
    if version.is_empty() {
        let first = items(spec, "versions").next().map(|v| text(v, "name").to_owned());
        if let Some(first) = first.filter(|name| !name.is_empty()) {
            spec.insert("version".to_owned(), first.into());
        }
    }
    absent(spec, "conversion", json!({"strategy": "None"}));
    if let Some(conversion) = child(spec, "conversion")
        && text(conversion, "strategy") == "Webhook"
        && !has_entries(conversion, "conversionReviewVersions")
    {
        conversion.insert("conversionReviewVersions".to_owned(), json!(["v1beta1"]));
    }
    absent(spec, "preserveUnknownFields", true);
}

fn stored_versions(o: &mut Object) {
    let storage = child(o, "spec").and_then(|spec| {
        let found = items(spec, "versions").find(|v| v.get("storage").and_then(Value::as_bool) == Some(true));
        found.map(|v| text(v, "name").to_owned())
    });
    let Some(storage) = storage else { return };
    if let Some(status) = make(o, "status")
        && !has_entries(status, "storedVersions")
    {
        status.insert("storedVersions".to_owned(), json!([storage]));
    }
}

fn certificates(version: &str, kind: &str) -> Option<Hook> {
    Some(match (version, kind) {
        ("v1beta1", "CertificateSigningRequestSpec") => |o| {
            absent(o, "usages", json!(["digital signature", "key encipherment"]));
            // Upstream looks into the request for kubelets' certificates; others get this name.
            absent(o, "signerName", "kubernetes.io/legacy-unknown");
        },
        ("v1beta1", "CertificateSigningRequestCondition") => |o| empty(o, "status", "True"),
        _ => return None,
    })
}
