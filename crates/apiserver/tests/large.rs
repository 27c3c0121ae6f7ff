//! Objects with twenty thousand entries in one list: what compares entries must not compare all pairs, or else a test
//! takes minutes instead of seconds (in a build that is not optimized).

// A test may panic; clippy knows that of the tests themselves, not of what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::Cluster;
use http::Method;
use serde_json::{Value, json};

const MANY: usize = 20_000;

fn many(entry: impl Fn(usize) -> Value) -> Value {
    (0..MANY).map(entry).collect()
}

fn turned(mut list: Value) -> Value {
    list.as_array_mut().unwrap().reverse();
    list
}

/// Sends a request; gives the code.
async fn code(cluster: &Cluster, method: Method, path: &str, content_type: &str, body: &Value) -> u16 {
    cluster.send(method, path, &[("content-type", content_type)], body).await.code
}

/// Creates an object, changes it, applies over it and deletes it; gives the codes.
async fn life(cluster: &Cluster, collection: &str, object: Value, changed: Value) -> Vec<u16> {
    let path = format!("{collection}/{}", object["metadata"]["name"].as_str().unwrap());
    let (json, apply) = ("application/json", "application/apply-patch+yaml");
    let mut codes = vec![code(cluster, Method::POST, collection, json, &object).await];
    codes.push(code(cluster, Method::PUT, &path, json, &changed).await);
    for (manager, config) in [("one", &object), ("two", &changed)] {
        let applied = format!("{path}?fieldManager={manager}&force=true");
        codes.push(code(cluster, Method::PATCH, &applied, apply, config).await);
    }
    codes.push(code(cluster, Method::DELETE, &path, json, &Value::Null).await);
    codes
}

fn map(metadata: Value) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
    object["metadata"]["name"] = "m".into();
    object
}

#[tokio::test]
async fn metadata() {
    let cluster = Cluster::start().await;
    let maps = "/api/v1/namespaces/default/configmaps";
    let finalizers = many(|n| format!("a.b/f{n}").into());
    let changed = map(json!({"finalizers": turned(finalizers.clone())}));
    let codes = life(&cluster, maps, map(json!({"finalizers": finalizers})), changed).await;
    assert_eq!(codes, [201, 200, 200, 200, 200]);
    let gone = json!({"metadata": {"finalizers": null}});
    let merge = "application/merge-patch+json";
    assert_eq!(code(&cluster, Method::PATCH, &format!("{maps}/m"), merge, &gone).await, 200);
    let fields = many(|n| {
        json!({"manager": format!("m{n}"), "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {format!("f:k{n}"): {}}}})
    });
    let changed = map(json!({"managedFields": turned(fields.clone())}));
    let codes = life(&cluster, maps, map(json!({"managedFields": fields})), changed).await;
    assert_eq!(codes, [201, 200, 400, 400, 200], "a configuration says nothing about managers");
}

#[tokio::test]
async fn pods() {
    let cluster = Cluster::start().await;
    let pods = "/api/v1/namespaces/default/pods";
    let pod = |field: &str, list: &Value| {
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "image": "i"}]}});
        pod["spec"][field] = list.clone();
        pod
    };
    let lists = [
        ("containers", many(|n| json!({"name": format!("c{n}"), "image": "i"})), 422),
        ("tolerations", many(|n| json!({"key": format!("k{n}"), "operator": "Exists"})), 200),
    ];
    for (field, list, update) in lists {
        let codes = life(&cluster, pods, pod(field, &list), pod(field, &turned(list.clone()))).await;
        assert_eq!((codes[0], codes[1]), (201, update), "{field}");
    }
}

#[tokio::test]
async fn services_and_endpoints() {
    let cluster = Cluster::start().await;
    let address = |n: usize| format!("10.1.{}.{}", n / 250, n % 250 + 1);
    let ranges = many(|n| format!("{}/32", address(n)).into());
    let service = |ranges: &Value| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"type": "LoadBalancer",
            "ports": [{"port": 1}], "loadBalancerSourceRanges": ranges}})
    };
    let (object, changed) = (service(&ranges), service(&turned(ranges)));
    let codes = life(&cluster, "/api/v1/namespaces/default/services", object, changed).await;
    assert_eq!(codes, [201, 200, 200, 200, 200]);
    let addresses = many(|n| json!({"ip": address(n)}));
    let endpoints = |addresses: &Value| {
        json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "e"},
            "subsets": [{"addresses": addresses, "ports": [{"port": 1}]}]})
    };
    let (object, changed) = (endpoints(&addresses), endpoints(&turned(addresses)));
    let codes = life(&cluster, "/api/v1/namespaces/default/endpoints", object, changed).await;
    assert_eq!(codes, [201, 200, 200, 200, 200]);
}

/// Each of ten thousand errors quoted the whole list.
#[tokio::test]
async fn errors_that_quote_the_list() {
    let cluster = Cluster::start().await;
    let keys = many(|n| format!("k{n}").into());
    let list = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys,
        "items": {"type": "object", "properties": {"k": {"type": "string"}}}});
    let schema =
        json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"l": list}}}});
    let crd = json!({"metadata": {"name": "foos.x.io"}, "spec": {"group": "x.io", "scope": "Cluster",
        "names": {"plural": "foos", "kind": "Foo"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]}});
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    assert_eq!(code(&cluster, Method::POST, definitions, "application/json", &crd).await, 422);
}
