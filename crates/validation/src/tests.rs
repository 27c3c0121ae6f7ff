//! The rules through the public functions, one or two telling objects a kind.

use api::Value;
use serde_json::json;

use crate::{Context, validate_create, validate_update};

fn says(object: &Value) -> Vec<String> {
    let kind = object["kind"].as_str().unwrap();
    let (group, version) = object["apiVersion"].as_str().unwrap().rsplit_once('/').unwrap_or(("", "v1"));
    let ctx = Context { group, version, ..Context::default() };
    validate_create(group, kind, object, &ctx).iter().map(ToString::to_string).collect()
}

fn object(api_version: &str, kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "ns"}, "spec": spec})
}

fn cluster(api_version: &str, kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec})
}

#[test]
fn an_ingress_leads_somewhere() {
    let ingress = |spec| object("networking.k8s.io/v1", "Ingress", "web", spec);
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    assert!(says(&ingress(json!({"defaultBackend": backend}))).is_empty());
    assert_eq!(
        says(&ingress(json!({}))),
        ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"]
    );
    let rule =
        json!({"host": "a.b", "http": {"paths": [{"path": "x", "pathType": "Prefix", "backend": backend}]}});
    assert_eq!(
        says(&ingress(json!({"rules": [rule]}))),
        ["spec.rules[0].http.paths[0].path: Invalid value: \"x\": must be an absolute path"]
    );
}

#[test]
fn clients_of_old_ingresses_read_their_field_names() {
    let spec = json!({"defaultBackend": {"service": {"name": "", "port": {"number": 80}}}});
    assert_eq!(
        says(&object("networking.k8s.io/v1beta1", "Ingress", "web", spec)),
        ["spec.backend.serviceName: Required value"]
    );
}

#[test]
fn namespaced_roles_have_no_urls() {
    let mut role = object("rbac.authorization.k8s.io/v1", "Role", "r", json!(null));
    role["rules"] = json!([{"verbs": ["get"], "nonResourceURLs": ["/healthz"]}]);
    assert_eq!(
        says(&role),
        [
            "rules[0].nonResourceURLs: Invalid value: [\"/healthz\"]: namespaced rules cannot apply to non-resource URLs"
        ]
    );
}

#[test]
fn requests_for_devices_name_a_class() {
    let claim = |request: Value| {
        object("resource.k8s.io/v1", "ResourceClaim", "c", json!({"devices": {"requests": [request]}}))
    };
    let exactly = |expression: &str| {
        json!({"name": "r", "exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1,
            "selectors": [{"cel": {"expression": expression}}]}})
    };
    assert!(says(&claim(exactly("device.driver == 'gpu.example.com'"))).is_empty());
    assert_eq!(
        says(&claim(exactly("device.driver"))),
        [
            "spec.devices.requests[0].exactly.selectors[0].cel.expression: Invalid value: \"device.driver\": must evaluate to bool or the unknown type, not string"
        ]
    );
    assert_eq!(
        says(&claim(json!({"name": "r"}))),
        [
            "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required"
        ]
    );
}

#[test]
fn attributes_of_devices_have_one_value() {
    let slice = |attribute: Value| {
        cluster(
            "resource.k8s.io/v1",
            "ResourceSlice",
            "s",
            json!({"driver": "d.example.com", "nodeName": "n",
            "pool": {"name": "n", "resourceSliceCount": 1},
            "devices": [{"name": "a", "attributes": {"x": attribute}}]}),
        )
    };
    assert!(says(&slice(json!({"version": "1.2.3-rc.1+b"}))).is_empty());
    assert_eq!(
        says(&slice(json!({"version": "1.2"}))),
        [
            "spec.devices[0].attributes[x].version: Invalid value: \"1.2\": must be a string compatible with semver.org spec 2.0.0"
        ]
    );
    assert_eq!(
        says(&slice(json!({}))),
        ["spec.devices[0].attributes[x]: Invalid value: \"\": exactly one value must be specified"]
    );
}

fn definition(schema: Value) -> Value {
    let mut crd = cluster(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "foos.example.com",
        json!({
            "group": "example.com", "scope": "Namespaced", "conversion": {"strategy": "None"},
            "names": {"plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        }),
    );
    crd["status"] = json!({"storedVersions": ["v1"]});
    crd
}

#[test]
fn schemas_are_structural() {
    let spec = |spec: Value| definition(json!({"type": "object", "properties": {"spec": spec}}));
    let path = "spec.validation.openAPIV3Schema.properties[spec]";
    let fields = json!({"a": {"type": "string", "default": "x"}});
    assert!(says(&spec(json!({"type": "object", "properties": fields}))).is_empty());
    assert_eq!(
        says(&spec(json!({}))),
        [format!("{path}.type: Required value: must not be empty for specified object fields")]
    );
    let root = "spec.validation.openAPIV3Schema";
    assert_eq!(
        says(&definition(json!({"type": "object", "anyOf": [{"properties": {"a": {"minLength": 1}}}]}))),
        [format!(
            "{root}.properties[a]: Required value: because it is defined in {root}.anyOf[0].properties[a]"
        )]
    );
    let rule = json!({"rule": "self.a == 1"});
    let found =
        says(&spec(json!({"type": "object", "properties": fields, "x-kubernetes-validations": [rule]})));
    assert!(
        found[0].contains("found no matching overload for '_==_' applied to '(string, int)'"),
        "{found:?}"
    );
}

#[test]
fn the_name_of_a_definition_is_its_resource() {
    let mut crd = definition(json!({"type": "object"}));
    crd["metadata"]["name"] = "bars.example.com".into();
    assert_eq!(
        says(&crd),
        ["metadata.name: Invalid value: \"bars.example.com\": must be spec.names.plural+\".\"+spec.group"]
    );
}

#[test]
fn priorities_do_not_change() {
    let class = |value: i64| {
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": value,
            "metadata": {"name": "high", "uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}})
    };
    let found =
        validate_update("scheduling.k8s.io", "PriorityClass", &class(2), &class(1), &Context::default());
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["value: Forbidden: may not be changed in an update."]);
}
