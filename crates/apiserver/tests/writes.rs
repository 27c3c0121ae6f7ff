//! Writes whose answers depend on more than one rule: a server on the memory store, asked as a tower service.

// A test may panic; clippy knows that of the tests themselves, not of what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::Cluster;
use http::Method;
use serde_json::{Value, json};

/// Sends an object (POST, PUT), a strategic patch (PATCH), a merge patch (MERGE) or an applied configuration (APPLY); gives
/// the code, the warnings and the object.
async fn send(server: &Cluster, method: &str, path: &str, body: Value) -> (u16, Vec<String>, Value) {
    let (method, media) = match method {
        "PATCH" => (Method::PATCH, "application/strategic-merge-patch+json"),
        "MERGE" => (Method::PATCH, "application/merge-patch+json"),
        "APPLY" => (Method::PATCH, "application/apply-patch+yaml"),
        other => (other.parse().unwrap(), "application/json"),
    };
    let answer = server.send(method, path, &[("content-type", media)], body).await;
    (answer.code, answer.warnings(), answer.json())
}

/// Reported: a daemon set's new image is refused (`templateGeneration: must be incremented`), and a deployment's comes
/// with the warning `unknown field "spec.template.spec.$setElementOrder/containers"`.
#[tokio::test]
async fn set_image_counts_the_template_and_warns_of_nothing() {
    let server = Cluster::start().await;
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
}

/// Reported: `$deleteFromPrimitiveList` does nothing. And `$patch: delete` of a whole object was a 422.
#[tokio::test]
async fn directives_reach_metadata_and_the_whole_object() {
    let server = Cluster::start().await;
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
}

const SERVICES: &str = "/api/v1/namespaces/default/services";

/// Two entries with one number were let through, and a dry run showed the same free port twice.
#[tokio::test]
async fn node_ports_of_one_service_are_shared_by_port_and_given_once() {
    let server = Cluster::start().await;
    let service = |name: &str, ports: Value| json!({"metadata": {"name": name}, "spec": {"type": "NodePort", "ports": ports}});
    let twice =
        json!([{"name": "a", "port": 80, "nodePort": 31101}, {"name": "b", "port": 81, "nodePort": 31101}]);
    for path in [SERVICES.to_owned(), format!("{SERVICES}?dryRun=All")] {
        let (code, _, status) = send(&server, "POST", &path, service("twice", twice.clone())).await;
        let text = status["message"].as_str().unwrap();
        assert_eq!(code, 422);
        assert!(
            text.contains("spec.ports[1].nodePort: Invalid value: 31101: provided port is already allocated"),
            "{text}"
        );
    }
    let both = json!([{"name": "t", "port": 53, "protocol": "TCP"}, {"name": "u", "port": 53, "protocol": "UDP"},
        {"name": "w", "port": 80}]);
    for path in [SERVICES.to_owned(), format!("{SERVICES}?dryRun=All")] {
        let (code, _, made) = send(&server, "POST", &path, service("both", both.clone())).await;
        assert_eq!(code, if path == SERVICES { 201 } else { 409 }, "{made}");
        if code == 201 {
            let ports = &made["spec"]["ports"];
            assert_eq!(ports[0]["nodePort"], ports[1]["nodePort"]);
            assert_ne!(ports[0]["nodePort"], ports[2]["nodePort"]);
        }
    }
}

/// A dry run took a real address for a moment, and two of one address stood in each other's way.
#[tokio::test]
async fn a_dry_run_takes_no_address() {
    let server = Cluster::start().await;
    let service = |name: &str, address: Value| {
        json!({"metadata": {"name": name},
        "spec": {"clusterIP": address, "ports": [{"port": 80}]}})
    };
    let (code, _, made) = send(&server, "POST", SERVICES, service("a", Value::Null)).await;
    assert_eq!(code, 201, "{made}");
    let taken = made["spec"]["clusterIP"].clone();
    let dry = format!("{SERVICES}?dryRun=All");
    let (code, _, shown) = send(&server, "POST", &dry, service("b", taken.clone())).await;
    assert_eq!((code, &shown["spec"]["clusterIPs"]), (201, &json!([taken])));
    let (code, _, shown) = send(&server, "POST", &dry, service("c", Value::Null)).await;
    assert_eq!(code, 201);
    assert!(shown["spec"]["clusterIP"].as_str().unwrap().ends_with(".0.0"), "{shown}");
    let (code, ..) = send(&server, "POST", SERVICES, service("d", taken)).await;
    assert_eq!(code, 422);
}

/// What is no number was refused as a resource version that a new object has.
#[tokio::test]
async fn a_new_object_may_bring_a_resource_version_that_is_no_number() {
    let server = Cluster::start().await;
    let path = "/api/v1/namespaces/default/configmaps";
    let map = |version: &str| json!({"metadata": {"name": "m", "resourceVersion": version}});
    let (code, ..) = send(&server, "POST", path, map("5")).await;
    assert_eq!(code, 500);
    let (code, _, made) = send(&server, "POST", path, map("x")).await;
    assert_eq!(code, 201);
    assert_ne!(made["metadata"]["resourceVersion"], "x");
}

/// An invalid overhead was refused as one that no class gives, and a class's name went into a path unseen.
#[tokio::test]
async fn a_runtime_class_is_asked_for_by_names_that_can_be_asked_for() {
    let server = Cluster::start().await;
    let pods = "/api/v1/namespaces/default/pods?dryRun=All";
    let pod = |field: &str, value: Value| {
        json!({"metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}], field: value}})
    };
    for (name, text) in [
        ("a/b", "invalid resource name \"a/b\": [may not contain '/']"),
        ("", "resource name may not be empty"),
    ] {
        let (code, _, status) = send(&server, "POST", pods, pod("runtimeClassName", name.into())).await;
        assert_eq!((code, status["message"].as_str()), (500, Some(text)));
    }
    let (code, ..) = send(&server, "POST", pods, pod("overhead", json!({"nonsense": "1"}))).await;
    assert_eq!(code, 422);
    let (code, ..) = send(&server, "POST", pods, pod("overhead", json!({"cpu": "1"}))).await;
    assert_eq!(code, 403);
}

/// Labels that are made for a job's template were validated in its own metadata too, which gets them afterwards.
#[tokio::test]
async fn a_job_has_its_templates_labels_once_it_is_stored() {
    let server = Cluster::start().await;
    let job = |name: &str| {
        json!({"metadata": {"name": name}, "spec": {"template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "c", "image": "i"}]}}}})
    };
    let path = "/apis/batch/v1/namespaces/default/jobs";
    let (_, _, status) = send(&server, "POST", path, job("-a")).await;
    assert!(!status["message"].as_str().unwrap().contains("metadata.labels:"), "{status}");
    let (_, _, made) = send(&server, "POST", path, job("a")).await;
    assert_eq!(made["metadata"]["labels"], made["spec"]["template"]["metadata"]["labels"]);
    assert_eq!(made["metadata"]["labels"]["job-name"], "a");
}

/// Reviews were answered without being looked at, and who manages what said that a new object's own fields were set.
#[tokio::test]
async fn reviews_are_validated_as_upstream_does() {
    let server = Cluster::start().await;
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let (code, _, status) =
        send(&server, "POST", path, json!({"metadata": {"name": "x"}, "spec": {"user": "a"}})).await;
    let text = status["message"].as_str().unwrap();
    assert_eq!(code, 422);
    assert!(text.starts_with(".authorization.k8s.io \"\" is invalid: [spec.resourceAttributes: "), "{text}");
    assert!(text.contains("\"fieldsV1\":{\"f:spec\":{\"f:user\":{}}}"), "{text}");
    let ask = json!({"spec": {"user": "a", "resourceAttributes": {"verb": "get", "resource": "pods"}}});
    let (code, _, answer) = send(&server, "POST", path, ask).await;
    assert_eq!((code, &answer["status"]), (201, &json!({"allowed": true})));
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let (_, _, answer) = send(&server, "POST", path, json!({"spec": {"token": "nobody's"}})).await;
    assert_eq!(answer["status"]["error"], "invalid bearer token");
}

/// An empty list is not a missing one: defaults leave it alone and validation shows it.
#[tokio::test]
async fn empty_lists_are_refused_as_such_and_stored_as_missing() {
    let server = Cluster::start().await;
    let path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
    let scaler = |policies: Value| {
        json!({"metadata": {"name": "x"}, "spec": {"maxReplicas": 3, "behavior": {"scaleUp": policies},
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}})
    };
    let (code, _, status) = send(&server, "POST", path, scaler(json!({"policies": []}))).await;
    assert_eq!(code, 422, "{status}");
    assert_eq!(send(&server, "POST", path, scaler(json!({}))).await.0, 201);
    let path = "/api/v1/namespaces/default/configmaps";
    let (_, _, made) =
        send(&server, "POST", path, json!({"metadata": {"name": "x", "labels": {}}, "data": {}})).await;
    assert!(made.get("data").is_none() && made["metadata"].get("labels").is_none(), "{made}");
    assert!(made["metadata"].get("managedFields").is_none(), "{made}");
}

/// Who owns `spec.replicas`, by name.
fn owners(object: &Value) -> Vec<&str> {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let owns = |e: &&Value| e["fieldsV1"]["f:spec"].get("f:replicas").is_some();
    let mut names: Vec<&str> = entries.iter().filter(owns).map(|e| e["manager"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

/// Managers of a scale were taken for managers of the object, and an applied scale was merged without anybody's asking.
#[tokio::test]
async fn the_number_of_replicas_changes_hands_through_scale() {
    let server = Cluster::start().await;
    for (path, group) in [
        ("/apis/apps/v1/namespaces/default/deployments/x", "apps/v1"),
        ("/apis/apps/v1/namespaces/default/statefulsets/x", "apps/v1"),
    ] {
        let kind = if path.contains("deployments") { "Deployment" } else { "StatefulSet" };
        let object = json!({"apiVersion": group, "kind": kind, "metadata": {"name": "x"}, "spec": {"replicas": 1,
            "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
        let scale = |n: u32| {
            json!({"apiVersion": "autoscaling/v1", "kind": "Scale",
            "metadata": {"name": "x", "namespace": "default"}, "spec": {"replicas": n}})
        };
        let own = |manager: &str| format!("{path}?fieldManager={manager}");
        let of_scale = |manager: &str| format!("{path}/scale?fieldManager={manager}");
        let steps: [(&str, String, Value, u16, &[&str]); 9] = [
            ("APPLY", own("applier"), object.clone(), 201, &["applier"]),
            ("MERGE", of_scale("scaler"), json!({"spec": {"replicas": 5}}), 200, &["scaler"]),
            ("APPLY", own("applier"), object.clone(), 409, &["scaler"]),
            ("APPLY", format!("{}&force=true", own("applier")), object.clone(), 200, &["applier"]),
            ("APPLY", of_scale("other"), scale(17), 409, &["applier"]),
            ("APPLY", format!("{}&force=true", of_scale("other")), scale(17), 200, &["other"]),
            ("PUT", of_scale("putter"), scale(7), 200, &["putter"]),
            ("APPLY", of_scale("both"), scale(7), 200, &["both", "putter"]),
            ("MERGE", of_scale("scaler"), json!({"spec": {"replicas": 5}}), 200, &["scaler"]),
        ];
        for (i, (method, path_of, body, code, wanted)) in steps.into_iter().enumerate() {
            let (got, _, answer) = send(&server, method, &path_of, body).await;
            assert_eq!(got, code, "step {i} of {kind}: {answer}");
            let (_, _, now) = send(&server, "GET", path, json!({})).await;
            assert_eq!(owners(&now), wanted, "step {i} of {kind}");
        }
        let (_, _, now) = send(&server, "GET", path, json!({})).await;
        let last =
            now["metadata"]["managedFields"].as_array().unwrap().iter().find(|e| e["subresource"] == "scale");
        let last = last.unwrap();
        assert_eq!((&last["apiVersion"], last.get("time")), (&json!(group), None), "{last}");
    }
}

/// Labels of namespaces were read, and nothing was done about pods.
#[tokio::test]
async fn pods_are_held_to_the_level_of_their_namespace() {
    let server = Cluster::start().await;
    let level = "pod-security.kubernetes.io/enforce";
    let space = json!({"metadata": {"name": "tight", "labels": {level: "baseline"}}});
    assert_eq!(send(&server, "POST", "/api/v1/namespaces", space).await.0, 201);
    let spec = |network: bool| json!({"hostNetwork": network, "containers": [{"name": "c", "image": "i"}]});
    let pods = "/api/v1/namespaces/tight/pods";
    let (code, _, status) =
        send(&server, "POST", pods, json!({"metadata": {"name": "x"}, "spec": spec(true)})).await;
    assert_eq!(
        (code, status["message"].as_str().unwrap()),
        (
            403,
            "pods \"x\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)"
        )
    );
    let (code, warnings, _) =
        send(&server, "POST", pods, json!({"metadata": {"name": "x"}, "spec": spec(false)})).await;
    assert_eq!((code, warnings.len()), (201, 0));
    let deployment = json!({"metadata": {"name": "x"}, "spec": {"selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": spec(true)}}});
    let (code, warnings, _) =
        send(&server, "POST", "/apis/apps/v1/namespaces/tight/deployments", deployment).await;
    assert_eq!(code, 201);
    assert!(
        warnings[0].contains("would violate PodSecurity \\\"baseline:latest\\\": host namespaces"),
        "{warnings:?}"
    );
    let patch = json!({"metadata": {"labels": {level: "restricted"}}});
    let (code, warnings, _) = send(&server, "MERGE", "/api/v1/namespaces/tight", patch).await;
    assert_eq!((code, warnings.len()), (200, 2), "{warnings:?}");
    assert!(
        warnings[1].contains("x: allowPrivilegeEscalation != false, unrestricted capabilities"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn a_bound_pod_knows_the_zone_of_its_node() {
    let server = Cluster::start().await;
    let zone = "topology.kubernetes.io/zone";
    let node = json!({"metadata": {"name": "n", "labels": {zone: "a", "other": "b"}}});
    assert_eq!(send(&server, "POST", "/api/v1/nodes", node).await.0, 201);
    let pods = "/api/v1/namespaces/default/pods";
    let pod = json!({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    assert_eq!(send(&server, "POST", pods, pod).await.0, 201);
    // The node may still be on its way into the cache.
    assert_eq!(send(&server, "GET", "/api/v1/nodes/n", json!({})).await.0, 200);
    let binding = json!({"metadata": {"name": "x"}, "target": {"kind": "Node", "name": "n"}});
    assert_eq!(send(&server, "POST", &format!("{pods}/x/binding"), binding).await.0, 201);
    let (_, _, pod) = send(&server, "GET", &format!("{pods}/x"), json!({})).await;
    assert_eq!(pod["metadata"]["labels"], json!({zone: "a"}));
}

#[tokio::test]
async fn only_labelled_namespaces_ask_for_devices_as_administrators() {
    let server = Cluster::start().await;
    let claim = json!({"metadata": {"name": "x"}, "spec": {"devices": {"requests": [
        {"name": "a", "exactly": {"deviceClassName": "c", "adminAccess": true}}]}}});
    let path = "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims";
    let (code, _, answer) = send(&server, "POST", path, claim.clone()).await;
    assert_eq!(code, 422);
    let text = answer["message"].as_str().unwrap();
    let wanted = "spec.devices.requests[0].adminAccess: Forbidden: admin access to devices requires the \
                  `resource.kubernetes.io/admin-access: true` label on the containing namespace";
    assert!(text.ends_with(wanted), "{text}");
    let label = json!({"metadata": {"labels": {"resource.kubernetes.io/admin-access": "true"}}});
    assert_eq!(send(&server, "MERGE", "/api/v1/namespaces/default", label).await.0, 200);
    assert_eq!(send(&server, "POST", path, claim).await.0, 201);
}

#[tokio::test]
async fn the_mandatory_schemas_stay_as_they_are() {
    let server = Cluster::start().await;
    let levels = "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations";
    let level = |shares: i32| {
        json!({"metadata": {"name": "catch-all"}, "spec": {"type": "Limited", "limited": {
            "nominalConcurrencyShares": shares, "limitResponse": {"type": "Reject"}}}})
    };
    let (code, _, answer) = send(&server, "POST", levels, level(6)).await;
    assert_eq!(code, 422);
    let text = answer["message"].as_str().unwrap();
    assert!(text.ends_with("spec of 'catch-all' must equal the fixed value"), "{text}");
    // The server makes both when it starts.
    let there = format!("{levels}/catch-all");
    assert_eq!(send(&server, "DELETE", &there, Value::Null).await.0, 200);
    let (code, _, answer) = send(&server, "POST", levels, level(5)).await;
    assert_eq!(code, 201, "{answer}");
    let schema = json!({"metadata": {"name": "catch-all"}, "spec": {
    "priorityLevelConfiguration": {"name": "catch-all"}, "matchingPrecedence": 10000,
    "distinguisherMethod": {"type": "ByUser"},
    "rules": [{
        "subjects": [{"kind": "Group", "group": {"name": "system:unauthenticated"}},
            {"kind": "Group", "group": {"name": "system:authenticated"}}],
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true,
            "namespaces": ["*"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    }]}});
    let schemas = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas";
    assert_eq!(send(&server, "DELETE", &format!("{schemas}/catch-all"), Value::Null).await.0, 200);
    let (code, _, answer) = send(&server, "POST", schemas, schema).await;
    assert_eq!(code, 201, "{answer}");
    let patch = json!({"spec": {"matchingPrecedence": 9999}});
    let (code, _, answer) = send(&server, "MERGE", &format!("{schemas}/catch-all"), patch).await;
    assert_eq!(code, 422);
    let text = answer["message"].as_str().unwrap();
    assert!(text.ends_with("spec of 'catch-all' must equal the fixed value"), "{text}");
}

#[tokio::test]
async fn namespaces_and_definitions_tell_of_preconditions_in_their_own_words() {
    let server = Cluster::start().await;
    let namespace = json!({"metadata": {"name": "there"}});
    assert_eq!(send(&server, "POST", "/api/v1/namespaces", namespace).await.0, 201);
    let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "other"}});
    let (code, _, answer) = send(&server, "DELETE", "/api/v1/namespaces/there", options).await;
    assert_eq!(code, 409);
    let text = answer["message"].as_str().unwrap();
    let wanted = "Operation cannot be fulfilled on namespaces \"there\": Precondition failed: UID in precondition: \
                  other, UID in object meta: ";
    assert!(text.starts_with(wanted), "{text}");
}

#[tokio::test]
async fn a_definition_that_ends_takes_no_new_objects() {
    let server = Cluster::start().await;
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let definition = json!({"metadata": {"name": "things.example.com"}, "spec": {
        "group": "example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
        "versions": [{"name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object"}}}]}});
    assert_eq!(send(&server, "POST", definitions, definition).await.0, 201);
    let things = "/apis/example.com/v1/namespaces/default/things";
    let thing = |name: &str| {
        json!({"kind": "Thing", "apiVersion": "example.com/v1",
            "metadata": {"name": name, "finalizers": ["example.com/stay"]}})
    };
    let mut code = 0;
    for _ in 0..100 {
        code = send(&server, "POST", things, thing("a")).await.0;
        if code == 201 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(code, 201);
    let one = format!("{definitions}/things.example.com");
    assert_eq!(send(&server, "DELETE", &one, Value::Null).await.0, 200);
    let mut last = (0, String::new());
    for i in 0..100 {
        let (code, _, answer) = send(&server, "POST", things, thing(&format!("b{i}"))).await;
        last = (code, answer["message"].as_str().unwrap_or_default().to_owned());
        if code == 403 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(last.0, 403, "{last:?}");
    assert!(
        last.1.ends_with("is forbidden: create not allowed while custom resource definition is terminating")
    );
}
