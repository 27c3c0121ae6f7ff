//! A server on the memory store, asked as a tower service: no sockets.

// A test may panic; clippy knows that of the tests themselves, not of what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use apiserver::Options;
use common::Cluster;
use http::Method;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

const JSON: &str = "application/json";

async fn get(c: &Cluster, path: &str) -> (u16, Value) {
    c.get(path).await.parts()
}

async fn post(c: &Cluster, path: &str, body: Value) -> (u16, Value) {
    c.post(path, body).await.parts()
}

#[tokio::test]
async fn an_object_goes_through_its_life() {
    let c = Cluster::start().await;
    let (status, made) = post(&c, MAPS, json!({"metadata": {"name": "a"}, "data": {"k": "1"}})).await;
    assert_eq!(status, 201, "{made}");
    let version = made["metadata"]["resourceVersion"].as_str().unwrap();
    let (_, watched) =
        get(&c, &format!("{MAPS}?watch=true&resourceVersion={version}&timeoutSeconds=1")).await;
    assert_eq!(watched, Value::Null, "nothing happened since");
    let (status, patched) = c
        .ask(
            Method::PATCH,
            &format!("{MAPS}/a"),
            "application/merge-patch+json",
            json!({"data": {"k": null, "l": "2"}}),
        )
        .await;
    assert_eq!((status, &patched["data"]), (200, &json!({"l": "2"})));
    let mut stale = made.clone();
    stale["data"] = json!({});
    let (status, refused) = c.ask(Method::PUT, &format!("{MAPS}/a"), JSON, stale).await;
    assert_eq!((status, refused["reason"].as_str()), (409, Some("Conflict")));
    let (_, list) = get(&c, &format!("{MAPS}?fieldSelector=metadata.name=a")).await;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    let (status, _) = c.ask(Method::DELETE, &format!("{MAPS}/a"), JSON, Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(get(&c, &format!("{MAPS}/a")).await.0, 404);
}

#[tokio::test]
async fn versions_of_a_kind_show_the_same_object() {
    let c = Cluster::start().await;
    let pod =
        json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let (status, made) = post(
        &c,
        "/apis/extensions/v1beta1/namespaces/default/deployments",
        json!({"metadata": {"name": "old"}, "spec": {"template": pod}}),
    )
    .await;
    assert_eq!(status, 201, "{made}");
    let (status, seen) = get(&c, "/apis/apps/v1/namespaces/default/deployments/old").await;
    assert_eq!(status, 200);
    assert_eq!(seen["apiVersion"], "apps/v1");
    assert_eq!(seen["spec"]["selector"], json!({"matchLabels": {"app": "a"}}));
}

#[tokio::test]
async fn addresses_are_never_given_twice() {
    let c = Cluster::start().await;
    let path = "/api/v1/namespaces/default/services";
    let service = |i: usize| json!({"metadata": {"name": format!("s{i}")}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}});
    let made = futures::future::join_all((0..60).map(|i| post(&c, path, service(i)))).await;
    let mut addresses: Vec<String> = Vec::new();
    let mut ports: Vec<u64> = Vec::new();
    for (status, service) in made {
        assert_eq!(status, 201, "{service}");
        addresses.push(service["spec"]["clusterIP"].as_str().unwrap().to_owned());
        ports.push(service["spec"]["ports"][0]["nodePort"].as_u64().unwrap());
    }
    addresses.push("10.0.0.1".into());
    addresses.sort();
    addresses.dedup();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!((addresses.len(), ports.len()), (61, 60));
}

#[tokio::test]
async fn a_pod_on_a_node_ends_gracefully() {
    let c = Cluster::start().await;
    let path = "/api/v1/namespaces/default/pods";
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    assert_eq!(post(&c, path, pod).await.0, 201);
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}});
    assert_eq!(post(&c, &format!("{path}/p/binding"), binding).await.0, 201);
    let (_, list) = get(&c, &format!("{path}?fieldSelector=spec.nodeName=n1")).await;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    let (status, ending) = c.ask(Method::DELETE, &format!("{path}/p"), JSON, Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(ending["metadata"]["deletionGracePeriodSeconds"], 30);
    let now = json!({"gracePeriodSeconds": 0});
    let (status, _) = c.ask(Method::DELETE, &format!("{path}/p"), JSON, now).await;
    assert_eq!(status, 200);
    assert_eq!(get(&c, &format!("{path}/p")).await.0, 404);
}

#[tokio::test]
async fn every_listed_resource_answers() {
    let c = Cluster::start().await;
    let (_, groups) = get(&c, "/apis").await;
    let mut paths = vec!["/api/v1".to_owned()];
    for group in groups["groups"].as_array().unwrap() {
        for version in group["versions"].as_array().unwrap() {
            paths.push(format!("/apis/{}", version["groupVersion"].as_str().unwrap()));
        }
    }
    for path in paths {
        let (status, list) = get(&c, &path).await;
        assert_eq!(status, 200, "{path}");
        for resource in list["resources"].as_array().unwrap() {
            let verbs = resource["verbs"].as_array().unwrap();
            if !verbs.contains(&json!("list")) {
                continue;
            }
            let name = resource["name"].as_str().unwrap();
            let (status, body) = get(&c, &format!("{path}/{name}")).await;
            assert_eq!(status, 200, "{path}/{name}: {body}");
            assert!(body["kind"].as_str().unwrap().ends_with("List"), "{path}/{name}");
        }
    }
}

/// `/apis` has every version that some client may name, a group's own document those of today's upstream.
#[tokio::test]
async fn old_versions_are_found_where_clients_look_for_them() {
    let c = Cluster::start().await;
    let versions = |group: &Value| -> Vec<String> {
        let all = group["versions"].as_array().unwrap().iter();
        all.map(|v| v["version"].as_str().unwrap().to_owned()).collect()
    };
    let (_, apis) = get(&c, "/apis").await;
    let all =
        |name: &str| versions(apis["groups"].as_array().unwrap().iter().find(|g| g["name"] == name).unwrap());
    for (group, listed, own) in
        [("apps", &["v1", "v1beta2", "v1beta1"][..], &["v1"][..]), ("extensions", &["v1beta1"], &["v1beta1"])]
    {
        assert_eq!(all(group), listed);
        let (_, document) = get(&c, &format!("/apis/{group}")).await;
        assert_eq!(versions(&document), own);
        assert_eq!(document["preferredVersion"]["version"], own[0]);
    }
}

/// What `--runtime-config` turns off is nowhere, though objects are still stored in it.
#[tokio::test]
async fn versions_that_are_off_are_nowhere() {
    let off = ["apps/v1=false", "apps/v1beta1/statefulsets=false"].map(str::to_owned).to_vec();
    let c = Cluster::start_with(Options { runtime_config: off, ..Cluster::options() }).await;
    let deployment = json!({"metadata": {"name": "d"}, "spec": {"template": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    let (status, made) = post(&c, "/apis/apps/v1beta1/namespaces/default/deployments", deployment).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(get(&c, "/apis/extensions/v1beta1/namespaces/default/deployments/d").await.0, 200);
    assert_eq!(get(&c, "/apis/apps/v1/namespaces/default/deployments/d").await.0, 404);
    assert_eq!(get(&c, "/apis/apps/v1beta1/namespaces/default/statefulsets").await.0, 404);

    assert_eq!(get(&c, "/apis/apps").await.1["preferredVersion"]["version"], "v1beta2");
    let (_, resources) = get(&c, "/apis/apps/v1beta1").await;
    let resources = resources["resources"].as_array().unwrap();
    assert!(resources.iter().all(|r| !r["name"].as_str().unwrap().starts_with("statefulsets")));
    let (_, index) = get(&c, "/openapi/v3").await;
    assert!(
        index["paths"].get("apis/apps/v1beta1").is_some() && index["paths"].get("apis/apps/v1").is_none()
    );
    assert_eq!(get(&c, "/openapi/v3/apis/apps/v1").await.0, 404);
    let (_, v2) = get(&c, "/openapi/v2").await;
    assert!(v2["definitions"].get("io.k8s.api.apps.v1beta1.Deployment").is_some());
    assert!(v2["definitions"].get("io.k8s.api.apps.v1.Deployment").is_none());
}

#[tokio::test]
async fn bookmarks_have_the_shape_of_objects() {
    let c = Cluster::start().await;
    let watch = "/api/v1/namespaces/default/pods?watch=true&timeoutSeconds=1&allowWatchBookmarks=true\
                 &sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    let plain = c.get(watch).await.json();
    let version = &plain["object"]["metadata"]["resourceVersion"];
    let metadata = json!({"resourceVersion": version, "annotations": {"k8s.io/initial-events-end": "true"}});
    let pod = json!({
        "kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {"containers": null}, "status": {},
    });
    assert_eq!(plain, json!({"type": "BOOKMARK", "object": pod}));

    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = c.send(Method::GET, watch, &table, Value::Null).await.json();
    let object =
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata});
    let none = "<none>";
    let cells = json!(["", "0/0", "", "0", "<unknown>", none, none, none, none]);
    assert_eq!(table["object"]["rows"], json!([{"cells": cells, "object": object}]));
    assert_eq!(table["object"]["metadata"], json!({"resourceVersion": version}));
    assert_eq!(table["object"]["columnDefinitions"][0]["name"], "Name");
}

#[tokio::test]
async fn what_has_no_columns_is_shown_in_no_table() {
    let c = Cluster::start().await;
    let review = json!({
        "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
        "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}},
    });
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    assert_eq!(c.send(Method::POST, reviews, &table, &review).await.code, 406);
    let metadata = [("accept", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")];
    assert_eq!(c.send(Method::POST, reviews, &metadata, &review).await.code, 201);
    let namespace = c.get("/api/v1/namespaces/default").await.json();
    let finalize = "/api/v1/namespaces/default/finalize";
    assert_eq!(c.send(Method::PUT, finalize, &table, &namespace).await.code, 406);
    assert_eq!(c.send(Method::GET, "/api/v1/namespaces/default/status", &table, Value::Null).await.code, 200);
}

#[tokio::test]
async fn health_names_upstreams_checks() {
    let c = Cluster::start().await;
    let text = |answer: common::Answer| String::from_utf8(answer.bytes.to_vec()).unwrap();
    for (path, own) in
        [("healthz", "etcd"), ("livez", "loopback-serving-certificate"), ("readyz", "informer-sync")]
    {
        let all = text(c.get(&format!("/{path}?verbose")).await);
        for name in
            ["ping", own, "poststarthook/crd-informer-synced", "poststarthook/apiservice-openapi-controller"]
        {
            assert!(all.contains(&format!("[+]{name} ok\n")), "{path}: {all}");
        }
        assert!(all.ends_with(&format!("{path} check passed\n")), "{all}");
    }
    let less = text(c.get("/livez?verbose&exclude=b&exclude=etcd&exclude=a").await);
    assert!(less.contains("[+]etcd excluded: ok\n"), "{less}");
    assert!(less.contains("cannot be excluded: no matches for \"a\",\"b\"\n"), "{less}");
    assert_eq!(c.get("/livez/poststarthook/storage-readiness").await.code, 200);
    assert_eq!(c.get("/livez/informer-sync").await.code, 404);
}
