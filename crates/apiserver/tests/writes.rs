//! Strategic patches as `kubectl set image` sends them: a server on the memory store, asked as a tower service.

// A test may panic; clippy knows that of the tests themselves, not of what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use apiserver::{Options, Server};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use store::MemoryStore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

async fn server(stop: &CancellationToken) -> Server {
    let seeded = CancellationToken::new();
    let options = Options {
        service_cluster_ip_range: "10.0.0.0/24".into(),
        disable_admission_plugins: vec!["ServiceAccount".into()],
        cert_dir: "/nonexistent".into(),
        ..Options::default()
    };
    let server = Server::new(options, Arc::new(MemoryStore::new()), stop.clone()).unwrap();
    apiserver::start(&server, seeded.clone(), stop);
    seeded.cancelled().await;
    server
}

/// Sends an object (POST) or a strategic patch (PATCH); gives the code, the warnings and the object.
async fn send(server: &Server, method: &str, path: &str, body: Value) -> (u16, Vec<String>, Value) {
    let content_type = match method {
        "PATCH" => "application/strategic-merge-patch+json",
        _ => "application/json",
    };
    let request = Request::builder().method(method).uri(path).header("content-type", content_type);
    let request = request.body(Full::new(Bytes::from(body.to_string()))).unwrap();
    let response = server.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let warnings = parts.headers.get_all("warning").iter().map(|v| v.to_str().unwrap().to_owned()).collect();
    let object = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap_or_default();
    (parts.status.as_u16(), warnings, object)
}

/// Reported: a daemon set's new image is refused (`templateGeneration: must be incremented`), and a deployment's comes
/// with the warning `unknown field "spec.template.spec.$setElementOrder/containers"`.
#[tokio::test]
async fn set_image_counts_the_template_and_warns_of_nothing() {
    let stop = CancellationToken::new();
    let server = server(&stop).await;
    let spec = json!({"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i:1"}]}}});
    for plural in ["daemonsets", "deployments"] {
        let path = format!("/apis/apps/v1/namespaces/default/{plural}");
        let made =
            send(&server, "POST", &path, json!({"metadata": {"name": "x"}, "spec": spec.clone()})).await.2;
        let patch = json!({"spec": {"template": {"spec": {
            "$setElementOrder/containers": [{"name": "c"}], "containers": [{"name": "c", "image": "i:2"}]}}}});
        let (code, warnings, object) = send(&server, "PATCH", &format!("{path}/x"), patch).await;
        assert_eq!((code, warnings), (200, vec![]), "{object}");
        assert_eq!(object["spec"]["template"]["spec"]["containers"][0]["image"], "i:2");
        if plural == "daemonsets" {
            let noted =
                |o: &Value| o["metadata"]["annotations"]["deprecated.daemonset.template.generation"].clone();
            assert_eq!((noted(&made), noted(&object)), (json!("1"), json!("2")));
        }
    }
    stop.cancel();
}

/// Reported: `$deleteFromPrimitiveList` does nothing. And `$patch: delete` of a whole object was a 422.
#[tokio::test]
async fn directives_reach_metadata_and_the_whole_object() {
    let stop = CancellationToken::new();
    let server = server(&stop).await;
    let path = "/api/v1/namespaces/default/configmaps";
    let map = json!({"metadata": {"name": "m", "finalizers": ["e.com/x", "e.com/y"]}});
    assert_eq!(send(&server, "POST", path, map).await.0, 201);
    let one = format!("{path}/m");
    let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["e.com/x"]}});
    let (code, warnings, object) = send(&server, "PATCH", &one, patch).await;
    assert_eq!((code, warnings), (200, vec![]));
    assert_eq!(object["metadata"]["finalizers"], json!(["e.com/y"]));
    let (code, _, status) = send(&server, "PATCH", &one, json!({"$patch": "delete"})).await;
    assert_eq!(code, 400);
    assert_eq!(
        status["message"],
        "the name of the object (m based on URL) was undeterminable: name must be provided"
    );
    stop.cancel();
}
