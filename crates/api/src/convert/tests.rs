use serde_json::json;

use super::*;
use crate::kinds::builtin;

fn to(group: &str, version: &str, plural: &str, object: Value) -> Value {
    to_hub(builtin().lookup(group, version, plural).unwrap(), object).unwrap()
}

fn from(group: &str, version: &str, plural: &str, object: &Value) -> Value {
    from_hub(builtin().lookup(group, version, plural).unwrap(), object.clone())
}

#[test]
fn an_old_deployment_keeps_its_rollback_in_an_annotation() {
    let old = json!({"apiVersion": "extensions/v1beta1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"rollbackTo": {"revision": 3}, "template": {}}});
    let hub = to("extensions", "v1beta1", "deployments", old);
    assert_eq!(hub["apiVersion"], "apps/v1");
    // The annotation was once written under a name (`….rollback.revision`) that no controller looks for.
    assert_eq!(hub["metadata"]["annotations"], json!({"deprecated.deployment.rollback.to": "3"}));
    assert!(hub["spec"]["selector"].is_null() && hub["spec"].get("selector").is_some());
    let back = from("apps", "v1beta1", "deployments", &hub);
    assert_eq!(back["spec"]["rollbackTo"], json!({"revision": 3}));
    assert_eq!(back["metadata"], json!({"name": "d"}));
    assert!(back["spec"].get("selector").is_none());
}

#[test]
fn template_generation_is_a_field_or_an_annotation() {
    let hub = to("extensions", "v1beta1", "daemonsets", json!({"spec": {"templateGeneration": 2}}));
    assert_eq!(hub["metadata"]["annotations"]["deprecated.daemonset.template.generation"], "2");
    assert_eq!(from("extensions", "v1beta1", "daemonsets", &hub)["spec"]["templateGeneration"], 2);
}

#[test]
fn ingress_backends_change_shape() {
    let old = json!({"spec": {"backend": {"serviceName": "a", "servicePort": 80}, "rules": [{"http": {"paths": [
        {"path": "/", "backend": {"serviceName": "b", "servicePort": "http"}}]}}]}});
    let hub = to("extensions", "v1beta1", "ingresses", old.clone());
    assert_eq!(hub["spec"]["defaultBackend"]["service"], json!({"name": "a", "port": {"number": 80}}));
    assert_eq!(
        hub["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"],
        json!({"name": "b", "port": {"name": "http"}})
    );
    let back = from("networking.k8s.io", "v1beta1", "ingresses", &hub);
    assert_eq!(back["spec"], old["spec"]);
}

#[test]
fn autoscalers_keep_what_old_versions_lack_in_annotations() {
    let hub = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}, "spec": {
        "scaleTargetRef": {"kind": "Deployment", "name": "d"}, "maxReplicas": 3,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}},
            {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "1k"}}}],
        "behavior": {"scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]}}},
        "status": {"desiredReplicas": 0, "currentMetrics": null}});
    let v1 = from("autoscaling", "v1", "horizontalpodautoscalers", &hub);
    assert_eq!(v1["spec"]["targetCPUUtilizationPercentage"], 50);
    let annotations = &v1["metadata"]["annotations"];
    assert_eq!(
        annotations[&"autoscaling.alpha.kubernetes.io/metrics".to_owned()],
        r#"[{"type":"Pods","pods":{"metricName":"rps","targetAverageValue":"1k"}}]"#
    );
    assert_eq!(
        annotations[&"autoscaling.alpha.kubernetes.io/behavior".to_owned()],
        r#"{"ScaleUp":{"StabilizationWindowSeconds":0,"SelectPolicy":"Max","Policies":[{"Type":"Pods","Value":4,"PeriodSeconds":15}],"Tolerance":null},"ScaleDown":null}"#
    );
    let back = to("autoscaling", "v1", "horizontalpodautoscalers", v1);
    assert_eq!(back["spec"]["behavior"], hub["spec"]["behavior"]);
    assert_eq!(back["spec"]["metrics"][0], hub["spec"]["metrics"][1]);
    assert_eq!(back["spec"]["metrics"][1], hub["spec"]["metrics"][0]);
    let flat = from("autoscaling", "v2beta1", "horizontalpodautoscalers", &hub);
    // Servers of v2beta1 stored v1, which has the processor's utilization in a field of its own: it came last.
    assert_eq!(
        flat["spec"]["metrics"][1]["resource"],
        json!({"name": "cpu", "targetAverageUtilization": 50})
    );
}

#[test]
fn events_have_two_names_for_everything() {
    let core = json!({"metadata": {"name": "e"}, "involvedObject": {"name": "p"}, "message": "m", "count": 2,
        "reportingComponent": "kubelet", "source": {"host": "h"}});
    let new = from("events.k8s.io", "v1", "events", &core);
    assert_eq!(new["note"], "m");
    assert_eq!(new["regarding"], json!({"name": "p"}));
    assert_eq!(new["reportingController"], "kubelet");
    let back = to("events.k8s.io", "v1beta1", "events", new);
    assert_eq!(back["involvedObject"], core["involvedObject"]);
    assert_eq!((&back["count"], &back["source"]), (&json!(2), &json!({"host": "h"})));
}

#[test]
fn an_empty_budget_selector_keeps_its_meaning() {
    let hub = to("policy", "v1beta1", "poddisruptionbudgets", json!({"spec": {"selector": {}}}));
    assert_eq!(hub["spec"]["selector"]["matchExpressions"][0]["operator"], "Exists");
    assert_eq!(from("policy", "v1beta1", "poddisruptionbudgets", &hub)["spec"]["selector"], json!({}));
}

#[test]
fn definitions_share_or_split_their_schema() {
    let old = json!({"spec": {"group": "g", "version": "v1", "names": {"plural": "ps", "kind": "P"}, "scope": "Namespaced",
        "validation": {"openAPIV3Schema": {"type": "object"}}, "additionalPrinterColumns": [{"name": "A", "type": "string", "JSONPath": ".a"}]}});
    let hub = to("apiextensions.k8s.io", "v1beta1", "customresourcedefinitions", old);
    let version = &hub["spec"]["versions"][0];
    assert_eq!(version["schema"]["openAPIV3Schema"], json!({"type": "object"}));
    assert_eq!(version["additionalPrinterColumns"][0]["jsonPath"], ".a");
    assert!(hub["spec"].get("version").is_none());
    let back = from("apiextensions.k8s.io", "v1beta1", "customresourcedefinitions", &hub);
    assert_eq!(back["spec"]["validation"]["openAPIV3Schema"], json!({"type": "object"}));
    assert_eq!(back["spec"]["additionalPrinterColumns"][0]["JSONPath"], ".a");
}

#[test]
fn old_scales_carry_the_selector_as_a_map() {
    let hub = json!({"spec": {"replicas": 1}, "status": {"replicas": 1, "selector": "a=b"}});
    let old = scale_from_hub("extensions", "v1beta1", hub);
    assert_eq!(old["status"], json!({"replicas": 1, "selector": {"a": "b"}, "targetSelector": "a=b"}));
    assert_eq!(scale_to_hub(old)["status"]["selector"], "a=b");
}

#[test]
fn versions_of_one_shape_are_only_relabelled() {
    let one = |g, v, p| is_relabel_only(builtin().lookup(g, v, p).unwrap());
    assert!(one("apps", "v1", "deployments") && one("rbac.authorization.k8s.io", "v1beta1", "clusterroles"));
    assert!(!one("batch", "v1beta1", "cronjobs") && one("coordination.k8s.io", "v1beta1", "leases"));
    assert!(!one("extensions", "v1beta1", "deployments") && !one("events.k8s.io", "v1", "events"));
}

#[test]
fn alpha_subjects_name_a_version_instead_of_a_group() {
    let old = json!({"subjects": [{"kind": "User", "name": "*", "apiVersion": "rbac.authorization.k8s.io/v1alpha1"},
        {"kind": "ServiceAccount", "name": "s", "namespace": "n", "apiVersion": "v1"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}});
    let hub = to("rbac.authorization.k8s.io", "v1alpha1", "rolebindings", old);
    assert_eq!(
        hub["subjects"],
        json!([{"kind": "Group", "name": "system:authenticated", "apiGroup": "rbac.authorization.k8s.io"},
            {"kind": "ServiceAccount", "name": "s", "namespace": "n"}])
    );
    let back = from("rbac.authorization.k8s.io", "v1alpha1", "rolebindings", &hub);
    assert_eq!(back["subjects"][0]["apiVersion"], "rbac.authorization.k8s.io/v1alpha1");
    assert_eq!(back["subjects"][1]["apiVersion"], "v1");
    assert!(back["subjects"][0].get("apiGroup").is_none());
}

#[test]
fn alpha_runtime_classes_have_a_spec() {
    let old = json!({"metadata": {"name": "r"}, "spec": {"runtimeHandler": "h", "scheduling": {"nodeSelector": {"a": "b"}}}});
    let hub = to("node.k8s.io", "v1alpha1", "runtimeclasses", old.clone());
    assert_eq!((&hub["handler"], hub.get("spec")), (&json!("h"), None));
    assert_eq!(from("node.k8s.io", "v1alpha1", "runtimeclasses", &hub)["spec"], old["spec"]);
}

/// Old clients saw fields that their servers never sent.
#[test]
fn old_versions_show_what_their_servers_had() {
    let set =
        json!({"metadata": {"name": "s"}, "spec": {}, "status": {"replicas": 0, "availableReplicas": 0}});
    let old = from("apps", "v1beta1", "statefulsets", &set);
    assert_eq!(old["status"], json!({"replicas": 0, "observedGeneration": 0}));
    let job = json!({"metadata": {"name": "c", "generation": 1}, "spec": {"jobTemplate": {"metadata": {}}}});
    assert_eq!(from("batch", "v2alpha1", "cronjobs", &job)["metadata"], json!({"name": "c"}));
    let driver =
        json!({"metadata": {"name": "d"}, "spec": {"fsGroupPolicy": "File", "attachRequired": true}});
    assert!(from("storage.k8s.io", "v1beta1", "csidrivers", &driver)["spec"].get("fsGroupPolicy").is_none());
}
