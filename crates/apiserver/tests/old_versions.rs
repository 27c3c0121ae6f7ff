//! What clients of old versions get: a server on the memory store, asked as a tower service.

// A test may panic; clippy knows that of the tests themselves, not of what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use apiserver::{Options, Server};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use store::MemoryStore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

struct Cluster {
    server: Server,
    stop: CancellationToken,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Cluster {
    async fn start() -> Cluster {
        let stop = CancellationToken::new();
        let seeded = CancellationToken::new();
        let options = Options {
            disable_admission_plugins: vec!["ServiceAccount".into()],
            cert_dir: "/nonexistent".into(),
            ..Options::default()
        };
        let server = Server::new(options, Arc::new(MemoryStore::new()), stop.clone()).unwrap();
        apiserver::start(&server, seeded.clone(), &stop);
        seeded.cancelled().await;
        Cluster { server, stop }
    }

    async fn send(&self, method: Method, path: &str, media: &str, body: Value) -> (u16, Value) {
        let bytes = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder().method(method).uri(path).header("content-type", media);
        let request = request.body(Full::new(bytes.into())).unwrap();
        let response = self.server.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        self.send(method, path, "application/json", body).await
    }

    async fn merge(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(Method::PATCH, path, "application/merge-patch+json", body).await
    }
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
    let (code, made) = cluster.ask(Method::POST, OLD, deployment("d")).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["spec"]["selector"], json!({"matchLabels": {"app": "a"}}));
    assert_eq!(made["spec"]["template"]["metadata"]["creationTimestamp"], Value::Null);
    let (_, new) = cluster.ask(Method::GET, &format!("{NEW}/d"), Value::Null).await;
    assert!(new["spec"]["template"]["metadata"].get("creationTimestamp").is_none());
    // Only the first two versions let the selector change.
    let change = json!({"spec": {"selector": {"matchLabels": {"app": "b"}},
        "template": {"metadata": {"labels": {"app": "b"}}}}});
    assert_eq!(cluster.merge(&format!("{NEW}/d"), change.clone()).await.0, 422);
    let (code, changed) = cluster.merge(&format!("{OLD}/d"), change).await;
    assert_eq!((code, &changed["metadata"]["generation"]), (200, &json!(2)));
}

/// Refusals named the wrong group and kind, and today's words.
#[tokio::test]
async fn refusals_of_old_versions_are_those_of_their_servers() {
    let cluster = Cluster::start().await;
    cluster.ask(Method::POST, OLD, deployment("d")).await;
    let message =
        |answer: (u16, Value)| (answer.0, answer.1["message"].as_str().unwrap_or_default().to_owned());
    let missing = message(cluster.ask(Method::GET, &format!("{OLD}/none/scale"), Value::Null).await);
    assert_eq!(missing, (404, "deployments/scale.extensions \"none\" not found".to_owned()));
    let (code, text) =
        message(cluster.merge(&format!("{OLD}/d/scale"), json!({"spec": {"replicas": "3"}})).await);
    assert_eq!(code, 500);
    assert!(
        text.starts_with("v1beta1.Scale: Spec: v1beta1.ScaleSpec: Replicas: readUint32: unexpected"),
        "{text}"
    );
    // A text was taken for no replicas.
    assert_eq!(cluster.merge(&format!("{NEW}/d/scale"), json!({"spec": {"replicas": "3"}})).await.0, 422);
    let rollback =
        json!({"apiVersion": "apps/v1", "kind": "DeploymentRollback", "name": "d", "rollbackTo": {}});
    let (_, text) = message(cluster.ask(Method::POST, &format!("{OLD}/d/rollback"), rollback).await);
    assert!(text.ends_with("no kind \"DeploymentRollback\" is registered for version \"apps/v1\""), "{text}");
}

#[tokio::test]
async fn alpha_versions_share_the_objects_of_their_successors() {
    let cluster = Cluster::start().await;
    let bindings = "namespaces/default/rolebindings";
    let alpha = json!({"apiVersion": "rbac.authorization.k8s.io/v1alpha1", "kind": "RoleBinding",
        "metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "name": "jane"}]});
    let (code, made) = cluster
        .ask(Method::POST, &format!("/apis/rbac.authorization.k8s.io/v1alpha1/{bindings}"), alpha)
        .await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["subjects"][0]["apiVersion"], "rbac.authorization.k8s.io/v1alpha1");
    let (_, now) = cluster
        .ask(Method::GET, &format!("/apis/rbac.authorization.k8s.io/v1/{bindings}/b"), Value::Null)
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
    assert_eq!(cluster.ask(Method::POST, path, definition).await.0, 201);
    let path = "/apis/example.com/v1beta1/namespaces/default/ingresses";
    let object = json!({"apiVersion": "example.com/v1beta1", "kind": "Ingress", "metadata": {"name": "i"}});
    assert_eq!(cluster.ask(Method::POST, path, object.clone()).await.0, 201);
    let (_, refused) = cluster.ask(Method::PUT, &format!("{path}/i"), object).await;
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
        let request = Request::post(path).header("content-type", "application/json");
        let request = request.body(Full::new(object.to_string().into())).unwrap();
        let response = cluster.server.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 201);
        response.headers().get_all("warning").iter().any(|w| w.to_str().unwrap().contains("bogus"))
    };
    assert!(warned(format!("{NEW}?dryRun=All"), "apps/v1").await);
    assert!(!warned(format!("{OLD}?dryRun=All"), "extensions/v1beta1").await);
    assert!(warned(format!("{OLD}?dryRun=All&fieldValidation=Warn"), "extensions/v1beta1").await);
}
