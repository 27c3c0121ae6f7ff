//! Odd requests and what reads have in common: a server on the memory store, asked as a tower service.

// A test may panic; clippy knows that of the tests themselves, not of what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use common::Cluster;
use futures::StreamExt;
use http::Method;
use http_body_util::BodyExt;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

async fn map(server: &Cluster, name: &str, labels: Value) {
    let made = server.post(MAPS, json!({"metadata": {"name": name, "labels": labels}})).await;
    assert_eq!(made.code, 201);
}

/// Sends a request and gives the code and the message, or else the text.
async fn told(server: &Cluster, method: Method, path: &str) -> (u16, String) {
    let answer = server.send(method, path, &[], Value::Null).await;
    let message = answer.json()["message"].as_str().map(str::to_owned);
    (answer.code, message.unwrap_or_else(|| String::from_utf8_lossy(&answer.bytes).into_owned()))
}

/// Upstream's router takes empty segments for names, looks at methods before handlers do, and sees decoded paths.
#[tokio::test]
async fn paths_are_what_upstreams_router_takes_them_for() {
    let server = Cluster::start().await;
    let nothing = "the server could not find the requested resource";
    let method = "the server does not allow this method on the requested resource";
    for (verb, path, code, said) in [
        ("GET", "/api/v1/namespaces//configmaps/", 200, ""),
        ("GET", "/ap%69/v1/%6eodes", 200, ""),
        ("PATCH", "/he%61lthz", 200, "ok"),
        ("GET", "/api/v1/%zz", 400, "400 Bad Request"),
        ("GET", "//api/v1/nodes", 404, "404 page not found\n"),
        ("GET", "/apis//v1/nodes", 404, "404 page not found\n"),
        ("GET", "/api//v1/nodes", 404, nothing),
        ("GET", "/api/v1/namespaces/%2F/pods/x/status", 404, nothing),
        ("POST", "/api/v1/watch/nodes", 405, method),
        ("DELETE", "/api/v1/watch/nodes/x", 405, method),
        ("GET", "/api/v1/watch/namespaces/x/pods/y/status", 404, nothing),
        ("GET", "/apis/apps/v1/namespaces/x/deployments/y/scale/z", 404, nothing),
        ("PUT", "/api/v1/namespaces/x/pods/y/exec?dryRun=All", 405, method),
        ("POST", "/api/v1/namespaces/x/pods/y/exec?dryRun=All", 400, "dryRun is not supported"),
        ("GET", "/api/v1/nodes//status", 400, "name must be provided"),
        ("GET", "/api/v1/namespaces//pods/x", 400, "Namespace parameter required."),
        ("DELETE", "/api/v1/namespaces//pods", 400, "Namespace parameter required."),
        (
            "GET",
            "/apis/apps/v1/namespaces/x/deployments/%25/scale",
            400,
            "Name parameter invalid: \"%\": may not contain '%'",
        ),
        ("GET", "/api/v1/namespaces/../pods/x", 500, "invalid key: \"/pods/../x\""),
        ("PATCH", "/apis/apiregistration.k8s.io", 405, method),
        ("PATCH", "/apis/apps/v1/namespaces/x/deployments/y", 415, "415: Unsupported Media Type"),
    ] {
        let (got, message) = told(&server, verb.parse().unwrap(), path).await;
        assert_eq!(got, code, "{verb} {path}: {message}");
        assert!(code == 200 || message == said, "{verb} {path}: {message}");
    }
    let (code, message) = told(&server, Method::GET, "/api/v1/watch?a=1&b=2").await;
    assert_eq!(code, 500);
    assert!(message.starts_with("Internal Server Error: \"/api/v1/watch?a=1&amp;b=2\": "), "{message}");
}

/// A client that takes no answer gets refusals indented; a watch has no lists and no YAML.
#[tokio::test]
async fn refusals_and_watches_have_their_own_encodings() {
    let server = Cluster::start().await;
    map(&server, "m", json!({})).await;
    let headers = [("accept", TABLE)];
    let refused = server.send(Method::GET, &format!("{MAPS}/nope"), &headers, Value::Null).await;
    let text = String::from_utf8(refused.bytes.to_vec()).unwrap();
    assert!(text.starts_with("{\n  \"kind\": \"Status\",\n") && text.ends_with("\n}"), "{text}");
    let watch = format!("{MAPS}?watch=1&timeoutSeconds=1");
    let ask = |accept: &'static str, path: String| {
        let server = &server;
        async move { server.send(Method::GET, &path, &[("accept", accept)], Value::Null).await }
    };
    assert_eq!(ask("application/yaml", watch.clone()).await.code, 406);
    let lists = ask("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", watch.clone()).await;
    assert_eq!((lists.code, lists.bytes.len()), (200, 0));
    let stream = ask("application/json;stream=watch", watch.clone()).await;
    assert_eq!(stream.headers["content-type"], "application/json");
    let bad = ask(TABLE, format!("{MAPS}?includeObject=x")).await.json();
    let why = "Unable to convert to Table as requested: includeObject: Invalid value: \"x\": must be 'Metadata', \
               'Object', 'None', or empty";
    assert_eq!(bad["message"], why);
    let bookmarks = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let last = ask(TABLE, format!("{watch}{bookmarks}&includeObject=None")).await;
    let last: Value = serde_json::from_slice(last.bytes.split(|b| *b == b'\n').nth(1).unwrap()).unwrap();
    let shown = &last["object"]["rows"][0]["object"]["metadata"]["annotations"];
    assert_eq!(shown["k8s.io/initial-events-end"], "true", "{last}");
}

/// A list of any version is whole; a page says that there is more without looking whether it is wanted.
#[tokio::test]
async fn pages_end_where_upstreams_do() {
    let server = Cluster::start().await;
    for (name, labels) in [("a", json!({"n": "1"})), ("b", json!({"n": "1"})), ("c", json!({}))] {
        map(&server, name, labels).await;
    }
    let list = |query: &'static str| {
        let server = &server;
        async move { server.get(&format!("{MAPS}?labelSelector=n%3D1&{query}")).await.json() }
    };
    assert_eq!(list("limit=1&resourceVersion=0").await["items"].as_array().unwrap().len(), 2);
    let page = list("limit=2").await;
    assert!(page["metadata"]["continue"].is_string(), "{page}");
    assert_eq!(list("").await["metadata"].get("continue"), None);
}

/// A pod that goes at once is marked first: watchers see both.
#[tokio::test]
async fn a_deleted_pod_is_marked_first() {
    let server = Cluster::start().await;
    let path = "/api/v1/namespaces/default/pods";
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let made = server.post(path, pod).await.json();
    let version = made["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    assert_eq!(server.send(Method::DELETE, &format!("{path}/p"), &[], Value::Null).await.code, 200);
    let seen = server.get(&format!("{path}?watch=1&timeoutSeconds=1&resourceVersion={version}")).await;
    let events: Vec<Value> = seen
        .bytes
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    let types: Vec<&Value> = events.iter().map(|e| &e["type"]).collect();
    assert_eq!(types, ["MODIFIED", "DELETED"]);
    assert_eq!(events[1]["object"]["metadata"]["generation"], 2);
    assert!(events[1]["object"]["metadata"]["deletionTimestamp"].is_string());
}

/// The internal type of daemon sets has a field where the stored one has an annotation.
#[tokio::test]
async fn metadata_alone_has_no_annotation_that_stands_for_a_field() {
    let server = Cluster::start().await;
    let path = "/apis/apps/v1/namespaces/default/daemonsets";
    let set = json!({"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    let made = server.post(path, set).await.json();
    assert_eq!(made["metadata"]["annotations"]["deprecated.daemonset.template.generation"], "1");
    let one = format!("{path}/d");
    for (path, at) in [(&one, "/rows/0/object/metadata"), (&path.to_owned(), "/rows/0/object/metadata")] {
        let table = server.send(Method::GET, path, &[("accept", TABLE)], Value::Null).await.json();
        assert_eq!(table.pointer(at).unwrap().get("annotations"), None, "{table}");
    }
}

/// An applied configuration goes through upstream's converter of untyped maps; options of deletes through their scheme.
#[tokio::test]
async fn what_does_not_convert_is_refused_in_upstreams_words() {
    let server = Cluster::start().await;
    let apply = |body: Value| {
        let server = &server;
        async move {
            let path = format!("{MAPS}/m?fieldManager=x");
            server.ask(Method::PATCH, &path, "application/apply-patch+yaml", body).await
        }
    };
    let named = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}});
    let mut bytes = named.clone();
    bytes["binaryData"] = json!({"b": "x"});
    let (code, refused) = apply(bytes).await;
    let why = "failed to convert new object (/m; /v1, Kind=ConfigMap) to proper version: unable to convert unstructured \
               object to /v1, Kind=ConfigMap: error decoding from json: illegal base64 data at input byte 0";
    assert_eq!((code, refused["message"].as_str()), (500, Some(why)));
    let mut managed = named;
    managed["metadata"]["managedFields"] = json!("x");
    let (code, refused) = apply(managed).await;
    assert!(code == 500 && refused["message"].as_str().unwrap().contains("expected list"), "{refused}");

    let delete = |body: Value| {
        let server = &server;
        async move { server.send(Method::DELETE, &format!("{MAPS}/nope"), &[], body).await.parts() }
    };
    assert_eq!(delete(json!({"apiVersion": "apps/v1"})).await.0, 404);
    let (code, refused) = delete(json!({"apiVersion": "apps/v1", "kind": "Deployment"})).await;
    let message = refused["message"].as_str().unwrap();
    assert!(code == 400 && message.starts_with("no kind \"Deployment\" is registered for"), "{message}");
    let (_, refused) = delete(json!({"apiVersion": "x.io/v1", "kind": "Status"})).await;
    assert_eq!(refused["message"], "converting (v1.Status) to (v1.DeleteOptions): unknown conversion");
}

/// What a pod's status leaves out stays as it is.
#[tokio::test]
async fn a_pods_class_stays() {
    let server = Cluster::start().await;
    let path = "/api/v1/namespaces/default/pods";
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    server.post(path, pod.clone()).await;
    let answer = server.send(Method::PUT, &format!("{path}/p/status"), &[], pod).await;
    assert_eq!((answer.code, answer.json()["status"]["qosClass"].as_str()), (200, Some("BestEffort")));
}

/// Nothing that a dry run writes would show that the cache was behind.
#[tokio::test]
async fn a_dry_run_sees_what_was_written() {
    let server = Cluster::start().await;
    map(&server, "m", json!({})).await;
    let one = format!("{MAPS}/m");
    for n in 0..50 {
        let text = n.to_string();
        assert_eq!(server.merge(&one, json!({"data": {"n": text}})).await.code, 200);
        let test = json!([{"op": "test", "path": "/data/n", "value": text}]);
        let path = format!("{one}?dryRun=All");
        let (code, answer) = server.ask(Method::PATCH, &path, "application/json-patch+json", test).await;
        assert_eq!(code, 200, "{answer}");
        assert_eq!(server.get(&format!("{one}?resourceVersion=0")).await.json()["data"]["n"], text);
    }
}

/// Reported: kubectl 1.36 creates deployments, asks what it may do and deletes in protobuf, and was refused with 415. The
/// bodies are what client-go's encoder makes of the objects.
#[tokio::test]
async fn typed_clients_of_today_send_protobuf() {
    const DEPLOYMENT: &str = "azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50EtkBChsKA3dlYhIAGgAiACoAMgA4AEIAWgYKAWESAWISqwESCAoGCgFhEgFi\
        GoEBChgKABIAGgAiACoAMgA4AEIAWgYKAWESAWISZQoQCgFkEgsSCQoAEgUKAzFHaRI1CgFjEgVuZ2lueCoAOgYKAUUSATFCDwoNCgNjcHUSBgoEMTAwbWoA\
        cgCAAQCIAQCQAQCiAQAaADIAQgBKAFIAWABgAGgAggEAigEAmgEAwgEAIhcKABITCgYIABABGgASCQgBEAAaAzUwJSgAOAAaDAgAEAAYACAAKAA4ABoAIgA=";
    const DELETE_OPTIONS: &str = "azhzAAoTCgJ2MRINRGVsZXRlT3B0aW9ucxIKCAAiBk9ycGhhbhoAIgA=";
    const REVIEW: &str = "azhzAAoyChdhdXRob3JpemF0aW9uLms4cy5pby92MRIXU2VsZlN1YmplY3RBY2Nlc3NSZXZpZXcSNQoQCgASABoAIgAqADIAOABCABIX\
        ChUKABIDZ2V0GgAiACoEcG9kczIAOgAaCAgAEgAaACAAGgAiAA==";
    let server = Cluster::start().await;
    let media = "application/vnd.kubernetes.protobuf";
    let headers =
        [("content-type", media), ("accept", "application/vnd.kubernetes.protobuf,application/json")];
    let ask = async |method, path: &str, body: &str| {
        let body = STANDARD.decode(body).unwrap().into();
        let (parts, body) = server.open(method, path, &headers, body).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), serde_json::from_slice::<Value>(&bytes).unwrap())
    };
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let (code, mut made) = ask(Method::POST, path, DEPLOYMENT).await;
    assert_eq!(code, 201, "{made}");
    // The same as JSON makes the same.
    let sent = json!({"metadata": {"name": "other", "labels": {"a": "b"}}, "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "strategy": {"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 1}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {
            "containers": [{"name": "c", "image": "nginx", "resources": {"limits": {"cpu": "100m"}},
                "env": [{"name": "E", "value": "1"}]}],
            "volumes": [{"name": "d", "emptyDir": {"sizeLimit": "1Gi"}}]}}}});
    let mut other = server.post(path, sent).await.json();
    assert_eq!(made["spec"], other["spec"]);
    let fields = |of: &mut Value| of["metadata"]["managedFields"][0]["fieldsV1"].take();
    assert_eq!(fields(&mut made), fields(&mut other));

    let (code, gone) = ask(Method::DELETE, &format!("{path}/web"), DELETE_OPTIONS).await;
    assert_eq!((code, &gone["metadata"]["finalizers"]), (200, &json!(["orphan"])), "{gone}");
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let (code, review) = ask(Method::POST, reviews, REVIEW).await;
    assert_eq!((code, &review["status"]["allowed"]), (201, &json!(true)), "{review}");
}

/// Upstream asks the namespace's lifecycle before it looks at the eviction.
#[tokio::test]
async fn nothing_is_evicted_from_a_namespace_that_is_not_there() {
    let server = Cluster::start().await;
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "other"}});
    let answer = server.post("/api/v1/namespaces/nowhere/pods/a/eviction", eviction).await;
    assert_eq!(answer.code, 404);
    assert_eq!(answer.json()["message"], "namespaces \"nowhere\" not found");
}

/// Reported: `kubectl get apiservices` showed the groups of custom resources on upstream's servers only.
#[tokio::test]
async fn groups_of_custom_resources_have_api_services() {
    let server = Cluster::start().await;
    let path = "/apis/apiregistration.k8s.io/v1/apiservices";
    let watched = format!("{path}?watch=true&timeoutSeconds=30&fieldSelector=metadata.name%3Dv1.example.com");
    let watch = server.open(Method::GET, &watched, &[], Bytes::new()).await;
    let mut events = watch.into_body().into_data_stream();
    let version = json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}});
    let definition = json!({"metadata": {"name": "widgets.example.com"}, "spec": {
        "group": "example.com", "scope": "Cluster", "names": {"plural": "widgets", "kind": "Widget"}, "versions": [version]}});
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    assert_eq!(server.post(definitions, definition).await.code, 201);
    let mut next = async || serde_json::from_slice::<Value>(&events.next().await.unwrap().unwrap()).unwrap();
    let added = next().await;
    assert_eq!(added["type"], "ADDED");
    assert_eq!(
        added["object"]["spec"],
        json!({"group": "example.com", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 100})
    );
    let answer =
        server.send(Method::DELETE, &format!("{definitions}/widgets.example.com"), &[], Value::Null).await;
    assert_eq!(answer.code, 200);
    assert_eq!(next().await["type"], "DELETED");
}

/// What is stored and what is answered was JSON in other words than those of Go's encoder.
#[tokio::test]
async fn texts_are_safe_in_html_as_gos_encoder_has_it() {
    let server = Cluster::start().await;
    let data = json!({"metadata": {"name": "a"}, "data": {"b": "1 & 2 <> \u{2028}é"}});
    let written = r#""data":{"b":"1 \u0026 2 \u003c\u003e \u2028é"}"#;
    let one = format!("{MAPS}/a");
    let asked = [
        (Method::POST, MAPS, data.clone()),
        (Method::GET, MAPS, Value::Null),
        (Method::GET, &one, Value::Null),
    ];
    for (method, path, body) in asked {
        let answer = server.send(method, path, &[], body).await;
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(text.contains(written), "{path}: {text}");
        assert!(!text.contains(['<', '>', '&']));
    }
    let refused = server.post(MAPS, json!({"metadata": {"name": "<a>"}})).await;
    let text = String::from_utf8_lossy(&refused.bytes).into_owned();
    assert!(refused.code == 422 && text.contains(r#"ConfigMap \"\u003ca\u003e\" is invalid"#), "{text}");
}

/// Parts that a patch leaves alone are not read again: the others are, and defaults, empty lists and mistakes are as ever.
#[tokio::test]
async fn a_patch_is_judged_by_what_it_changes() {
    let server = Cluster::start().await;
    let name = "/apis/apps/v1/namespaces/default/deployments";
    let template =
        json!({"metadata": {"labels": {"a": "1"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let spec = json!({"selector": {"matchLabels": {"a": "1"}}, "template": template});
    let made = server.post(name, json!({"metadata": {"name": "web"}, "spec": spec})).await.json();
    let path = format!("{name}/web");
    let strategic = [("content-type", "application/strategic-merge-patch+json")];
    let patch = async |query: &str, body: Value| {
        server.send(Method::PATCH, &format!("{path}{query}"), &strategic, body).await
    };
    let labelled = patch("", json!({"metadata": {"labels": {"x": "1"}}})).await.json();
    assert_eq!(labelled["spec"], made["spec"]);
    assert_eq!(labelled["metadata"]["labels"], json!({"x": "1"}));
    assert_eq!(labelled["metadata"]["generation"], 1);
    let scaled = patch("", json!({"spec": {"replicas": 3, "minReadySeconds": null}})).await.json();
    assert_eq!((&scaled["spec"]["replicas"], &scaled["metadata"]["generation"]), (&json!(3), &json!(2)));
    assert_eq!(scaled["spec"]["template"], made["spec"]["template"]);
    let unknown =
        patch("?fieldValidation=Strict", json!({"metadata": {"labels": {"x": "2"}}, "spek": 1})).await;
    assert_eq!(unknown.code, 422, "{}", unknown.json());
    let wrong = patch("", json!({"metadata": {"labels": {"x": 1}}})).await;
    let message = wrong.json()["message"].as_str().unwrap().to_owned();
    assert!(wrong.code == 422 && message.contains("cannot convert int64 to string"), "{message}");
    let now = server.send(Method::GET, &path, &[], Value::Null).await.json();
    assert_eq!(now["metadata"]["labels"], json!({"x": "1"}));
}
