use serde_json::json;

use super::*;
use crate::kinds::builtin;

fn defaulted(group: &str, version: &str, plural: &str, mut object: Value) -> Value {
    apply(builtin().lookup(group, version, plural).unwrap(), &mut object);
    object
}

#[test]
fn a_pod_gets_upstreams_defaults() {
    let pod = json!({"spec": {"volumes": [{"name": "v"}, {"name": "s", "secret": {"secretName": "x"}}], "containers": [
        {"name": "c", "image": "nginx:1.13", "ports": [{"containerPort": 80}], "livenessProbe": {"httpGet": {"port": 80}},
         "resources": {"limits": {"cpu": "1"}}}]}});
    assert_eq!(
        defaulted("", "v1", "pods", pod),
        json!({"spec": {
            "volumes": [{"name": "v", "emptyDir": {}}, {"name": "s", "secret": {"secretName": "x", "defaultMode": 420}}],
            "containers": [{"name": "c", "image": "nginx:1.13", "imagePullPolicy": "IfNotPresent",
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "livenessProbe": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1,
                    "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
                "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}}],
            "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "securityContext": {}, "enableServiceLinks": true,
            "terminationGracePeriodSeconds": 30, "schedulerName": "default-scheduler"}})
    );
}

#[test]
fn deployments_differ_by_version() {
    let object = || json!({"metadata": {"name": "d"}, "spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {}}}});
    let old = defaulted("extensions", "v1beta1", "deployments", object());
    assert_eq!(old["spec"]["selector"], json!({"matchLabels": {"a": "b"}}));
    assert_eq!(old["metadata"]["labels"], json!({"a": "b"}));
    assert_eq!(old["spec"]["strategy"]["rollingUpdate"], json!({"maxSurge": 1, "maxUnavailable": 1}));
    assert_eq!(old["spec"]["progressDeadlineSeconds"], 600);
    let new = defaulted("apps", "v1", "deployments", object());
    assert!(new["spec"].get("selector").is_none());
    assert_eq!(new["spec"]["revisionHistoryLimit"], 10);
    assert_eq!(new["spec"]["strategy"]["rollingUpdate"]["maxSurge"], "25%");
}

#[test]
fn declared_defaults_and_rounding_apply_everywhere() {
    let rc = defaulted("", "v1", "replicationcontrollers", json!({"spec": {}}));
    assert_eq!(rc["spec"]["replicas"], 1);
    let quota =
        defaulted("", "v1", "resourcequotas", json!({"spec": {"hard": {"cpu": "100u", "pods": "10"}}}));
    assert_eq!(quota["spec"]["hard"], json!({"cpu": "1m", "pods": "10"}));
}

/// Old ingresses without a `pathType` were refused as if they were of v1.
#[test]
fn a_v1beta1_ingress_gets_a_path_type() {
    let object = || json!({"spec": {"rules": [{"http": {"paths": [{"path": "/"}]}}]}});
    let path_type = |version: &str| {
        let ingress = defaulted("networking.k8s.io", version, "ingresses", object());
        ingress["spec"]["rules"][0]["http"]["paths"][0].get("pathType").cloned()
    };
    assert_eq!(path_type("v1beta1"), Some(json!("ImplementationSpecific")));
    assert_eq!(path_type("v1"), None);
}

/// They went with the defaults, before anybody noted who had set them.
#[test]
fn fields_of_features_that_are_off_go_apart_from_the_defaults() {
    let lease = || json!({"spec": {"strategy": "x", "holderIdentity": "h"}});
    let mut read = defaulted("coordination.k8s.io", "v1", "leases", lease());
    assert_eq!(read, lease());
    let ty = crate::schema::builtin().by_name("io.k8s.api.coordination.v1.Lease").unwrap();
    drop_disabled(ty, &mut read);
    assert_eq!(read, json!({"spec": {"holderIdentity": "h"}}));
}
