//! What clients of old versions get: a server on the memory store, asked as a tower service.

// A test may panic; clippy knows that of the tests themselves, not of what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::Cluster;
use http::Method;
use serde_json::{Value, json};

async fn ask(cluster: &Cluster, method: Method, path: &str, body: Value) -> (u16, Value) {
    cluster.ask(method, path, "application/json", body).await
}

async fn merge(cluster: &Cluster, path: &str, body: Value) -> (u16, Value) {
    cluster.merge(path, body).await.parts()
}

const OLD: &str = "/apis/extensions/v1beta1/namespaces/default/deployments";
const NEW: &str = "/apis/apps/v1/namespaces/default/deployments";

fn deployment(name: &str) -> Value {
    json!({"apiVersion": "extensions/v1beta1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
}

#[tokio::test]
async fn a_deployment_of_2018_lives_in_every_version() {
    let cluster = Cluster::start().await;
    let (code, made) = ask(&cluster, Method::POST, OLD, deployment("d")).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["spec"]["selector"], json!({"matchLabels": {"app": "a"}}));
    assert_eq!(made["spec"]["template"]["metadata"]["creationTimestamp"], Value::Null);
    let (_, new) = ask(&cluster, Method::GET, &format!("{NEW}/d"), Value::Null).await;
    assert!(new["spec"]["template"]["metadata"].get("creationTimestamp").is_none());
    // Only the first two versions let the selector change.
    let change = json!({"spec": {"selector": {"matchLabels": {"app": "b"}},
        "template": {"metadata": {"labels": {"app": "b"}}}}});
    assert_eq!(merge(&cluster, &format!("{NEW}/d"), change.clone()).await.0, 422);
    let (code, changed) = merge(&cluster, &format!("{OLD}/d"), change).await;
    assert_eq!((code, &changed["metadata"]["generation"]), (200, &json!(2)));
}

/// Refusals named the wrong group and kind, and today's words.
#[tokio::test]
async fn refusals_of_old_versions_are_those_of_their_servers() {
    let cluster = Cluster::start().await;
    ask(&cluster, Method::POST, OLD, deployment("d")).await;
    let message =
        |answer: (u16, Value)| (answer.0, answer.1["message"].as_str().unwrap_or_default().to_owned());
    let missing = message(ask(&cluster, Method::GET, &format!("{OLD}/none/scale"), Value::Null).await);
    assert_eq!(missing, (404, "deployments/scale.extensions \"none\" not found".to_owned()));
    let (code, text) =
        message(merge(&cluster, &format!("{OLD}/d/scale"), json!({"spec": {"replicas": "3"}})).await);
    assert_eq!(code, 500);
    assert!(
        text.starts_with("v1beta1.Scale: Spec: v1beta1.ScaleSpec: Replicas: readUint32: unexpected"),
        "{text}"
    );
    // A text was taken for no replicas.
    assert_eq!(merge(&cluster, &format!("{NEW}/d/scale"), json!({"spec": {"replicas": "3"}})).await.0, 422);
    let rollback =
        json!({"apiVersion": "apps/v1", "kind": "DeploymentRollback", "name": "d", "rollbackTo": {}});
    let (_, text) = message(ask(&cluster, Method::POST, &format!("{OLD}/d/rollback"), rollback).await);
    assert!(text.ends_with("no kind \"DeploymentRollback\" is registered for version \"apps/v1\""), "{text}");
}

#[tokio::test]
async fn alpha_versions_share_the_objects_of_their_successors() {
    let cluster = Cluster::start().await;
    let bindings = "namespaces/default/rolebindings";
    let alpha = json!({"apiVersion": "rbac.authorization.k8s.io/v1alpha1", "kind": "RoleBinding",
        "metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "name": "jane"}]});
    let (code, made) =
        ask(&cluster, Method::POST, &format!("/apis/rbac.authorization.k8s.io/v1alpha1/{bindings}"), alpha)
            .await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["subjects"][0]["apiVersion"], "rbac.authorization.k8s.io/v1alpha1");
    let (_, now) =
        ask(&cluster, Method::GET, &format!("/apis/rbac.authorization.k8s.io/v1/{bindings}/b"), Value::Null)
            .await;
    assert_eq!(
        now["subjects"],
        json!([{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "jane"}])
    );
}

/// A version of a custom resource is not old because of its name.
#[tokio::test]
async fn beta_versions_of_custom_resources_are_of_today() {
    let cluster = Cluster::start().await;
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "ingresses.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"plural": "ingresses", "kind": "Ingress"},
            "versions": [{"name": "v1beta1", "served": true, "storage": true, "schema": schema}]}});
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    assert_eq!(ask(&cluster, Method::POST, path, definition).await.0, 201);
    let path = "/apis/example.com/v1beta1/namespaces/default/ingresses";
    let object = json!({"apiVersion": "example.com/v1beta1", "kind": "Ingress", "metadata": {"name": "i"}});
    assert_eq!(ask(&cluster, Method::POST, path, object.clone()).await.0, 201);
    let (_, refused) = ask(&cluster, Method::PUT, &format!("{path}/i"), object).await;
    assert_eq!(
        refused["message"],
        "ingresses.example.com \"i\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    );
}

/// Servers of old versions dropped what they did not know without a word; newer clients ask for one.
#[tokio::test]
async fn old_versions_warn_of_fields_only_when_asked() {
    let cluster = Cluster::start().await;
    let warned = async |path: String, version: &str| {
        let mut object = deployment("w");
        object["apiVersion"] = version.into();
        object["spec"]["selector"] = json!({"matchLabels": {"app": "a"}});
        object["spec"]["bogus"] = 1.into();
        let answer = cluster.post(&path, object).await;
        assert_eq!(answer.code, 201);
        answer.warnings().iter().any(|w| w.contains("bogus"))
    };
    assert!(warned(format!("{NEW}?dryRun=All"), "apps/v1").await);
    assert!(!warned(format!("{OLD}?dryRun=All"), "extensions/v1beta1").await);
    assert!(warned(format!("{OLD}?dryRun=All&fieldValidation=Warn"), "extensions/v1beta1").await);
}

/// Every kind of `extensions` was orphaned, and conflicts named the group that was asked.
#[tokio::test]
async fn deleted_ingresses_leave_nothing_behind() {
    let cluster = Cluster::start().await;
    let ingresses = "/apis/networking.k8s.io/v1beta1/namespaces/default/ingresses";
    let body =
        json!({"metadata": {"name": "i"}, "spec": {"backend": {"serviceName": "s", "servicePort": 80}}});
    assert_eq!(ask(&cluster, Method::POST, ingresses, body).await.0, 201);
    let stale = json!({"preconditions": {"uid": "x"}});
    let (code, refused) = ask(&cluster, Method::DELETE, &format!("{ingresses}/i"), stale).await;
    assert_eq!((code, &refused["details"]["group"]), (409, &json!("extensions")));
    let path = "/apis/extensions/v1beta1/namespaces/default/ingresses/i";
    let (code, gone) = ask(&cluster, Method::DELETE, path, Value::Null).await;
    assert_eq!((code, &gone["status"]), (200, &json!("Success")), "{gone}");
}

/// Reviews were not given the namespace of the request.
#[tokio::test]
async fn local_reviews_name_their_namespace() {
    let cluster = Cluster::start().await;
    let path = "/apis/authorization.k8s.io/v1beta1/namespaces/default/localsubjectaccessreviews";
    let review = |metadata: Value, namespace: &str| json!({"metadata": metadata, "spec": {"user": "u", "resourceAttributes": {"namespace": namespace}}});
    assert_eq!(ask(&cluster, Method::POST, path, review(json!({}), "default")).await.0, 422);
    let there = json!({"namespace": "default"});
    assert_eq!(ask(&cluster, Method::POST, path, review(there, "default")).await.0, 201);
    let (code, other) = ask(&cluster, Method::POST, path, review(json!({"namespace": "a"}), "a")).await;
    assert_eq!(
        (code, &other["message"]),
        (400, &json!("spec.resourceAttributes.namespace must match namespace: default"))
    );
}

#[tokio::test]
async fn what_strategies_of_old_versions_keep() {
    let cluster = Cluster::start().await;
    let slices = "/apis/discovery.k8s.io/v1beta1/namespaces/default/endpointslices";
    let slice = json!({"metadata": {"name": "s"}, "addressType": "IPv4", "endpoints": []});
    ask(&cluster, Method::POST, slices, slice).await;
    let labels = json!({"metadata": {"labels": {"a": "b"}}});
    let (_, labelled) = merge(&cluster, &format!("{slices}/s"), labels).await;
    assert_eq!(labelled["metadata"]["generation"], 1, "labels were not counted");
    let attachments = |version: &str| format!("/apis/storage.k8s.io/{version}/volumeattachments");
    for (version, attached) in [("v1alpha1", false), ("v1beta1", true)] {
        let body = json!({"metadata": {"name": version}, "status": {"attached": true},
            "spec": {"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "v"}}});
        let (_, made) = ask(&cluster, Method::POST, &attachments(version), body).await;
        assert_eq!(made["status"]["attached"], attached, "{version}");
    }
    let policy = json!({"metadata": {"name": "p"}, "spec": {"allowedProcMountTypes": ["Default"],
        "seLinux": {"rule": "RunAsAny"}, "runAsUser": {"rule": "RunAsAny"},
        "supplementalGroups": {"rule": "RunAsAny"}, "fsGroup": {"rule": "MayRunAs"}}});
    let (code, made) = ask(&cluster, Method::POST, "/apis/policy/v1beta1/podsecuritypolicies", policy).await;
    assert_eq!((code, made["spec"].get("allowedProcMountTypes")), (201, None));
    let class = json!({"metadata": {"name": "c"}, "spec": {"controller": "a/b", "parameters": {"kind": "K", "name": "n"}}});
    let (_, made) =
        ask(&cluster, Method::POST, "/apis/networking.k8s.io/v1beta1/ingressclasses", class).await;
    assert_eq!(made["spec"]["parameters"].get("apiGroup"), Some(&Value::Null));
}

/// Decisions about a certificate are no part of its status; v1beta1 ignores an attempt, v1 refuses it.
#[tokio::test]
async fn statuses_of_certificates_do_not_decide() {
    let cluster = Cluster::start().await;
    let bodies: Value = serde_json::from_str(include_str!("walk/bodies.json")).unwrap();
    let request = bodies["CertificateSigningRequest"]["spec"]["request"].clone();
    let path = |version: &str| format!("/apis/certificates.k8s.io/{version}/certificatesigningrequests");
    let body = json!({"metadata": {"name": "c"}, "spec": {"request": request, "usages": ["client auth"]}});
    let (code, mut made) = ask(&cluster, Method::POST, &path("v1beta1"), body).await;
    assert_eq!(code, 201, "{made}");
    made["status"] = json!({"conditions": [{"type": "Approved"}]});
    let (code, kept) = ask(&cluster, Method::PUT, &format!("{}/c/status", path("v1beta1")), made).await;
    assert_eq!((code, kept["status"].get("conditions")), (200, None), "{kept}");
}
