//! The rules through the public functions, one or two telling objects a kind.

use api::Value;
use api::kinds::Era;
use serde_json::json;

use crate::{Context, validate_create, validate_update};

mod old;

fn says(object: &Value) -> Vec<String> {
    let kind = object["kind"].as_str().unwrap();
    let (group, version) = object["apiVersion"].as_str().unwrap().rsplit_once('/').unwrap_or(("", "v1"));
    let era = if version.contains("beta") { Era::Betas } else { Era::Now };
    let ctx = Context { group, version, era, ..Context::default() };
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

/// Rules that look at what was before were let through where nobody can tell what that was.
#[test]
fn rules_know_the_value_of_before_where_it_can_be_found() {
    let of = |schema: Value| {
        says(&definition(json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "list": schema}}}})))
    };
    let item = |rule: Value| json!({"type": "string", "maxLength": 9, "x-kubernetes-validations": [rule]});
    let list = |rule: Value| json!({"type": "array", "maxItems": 9, "items": item(rule)});
    let path = "spec.validation.openAPIV3Schema.properties[spec].properties[list]";
    assert_eq!(
        of(list(json!({"rule": "self == oldSelf"}))),
        [format!(
            "{path}.items.x-kubernetes-validations[0].rule: Invalid value: \"self == oldSelf\": oldSelf cannot be used on \
             the uncorrelatable portion of the schema within {path}"
        )]
    );
    assert!(of(item(json!({"rule": "self == oldSelf"}))).is_empty());
    assert!(of(item(json!({"rule": "oldSelf.hasValue()", "optionalOldSelf": true}))).is_empty());
    assert_eq!(
        of(item(json!({"rule": "self == 'a'", "optionalOldSelf": true}))),
        [format!(
            "{path}.x-kubernetes-validations[0].optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used \
             in rule"
        )]
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

/// Old versions got today's rules and words.
#[test]
fn old_versions_have_the_rules_of_their_servers() {
    let webhook = json!({"name": "a.example.com", "clientConfig": {"url": "https://h/x"}, "sideEffects": "Unknown",
        "admissionReviewVersions": ["v1beta1"]});
    let configuration = |version: &str| {
        let mut object = cluster(
            &format!("admissionregistration.k8s.io/{version}"),
            "ValidatingWebhookConfiguration",
            "w",
            json!({}),
        );
        object["webhooks"] = json!([webhook.clone()]);
        object
    };
    assert!(says(&configuration("v1beta1")).is_empty());
    assert_eq!(says(&configuration("v1")).len(), 1);
    let budget = |version: &str| {
        let spec = json!({"minAvailable": "200%", "selector": {}});
        says(&object(&format!("policy/{version}"), "PodDisruptionBudget", "b", spec))
    };
    assert_eq!(budget("v1"), ["spec.minAvailable: Invalid value: \"200%\": must not be greater than 100%"]);
    assert_eq!(
        budget("v1beta1"),
        [
            "spec.minAvailable: Invalid value: intstr.IntOrString{Type:1, IntVal:0, StrVal:\"200%\"}: must not be greater than 100%"
        ]
    );
}

/// Deployments of `extensions/v1beta1` and `apps/v1beta1` could not be given another selector.
#[test]
fn the_first_versions_let_the_selector_change() {
    let of = |label: &str| {
        let container = json!({"name": "c", "image": "i", "imagePullPolicy": "Always",
            "terminationMessagePolicy": "File"});
        let pod = json!({"containers": [container], "restartPolicy": "Always", "dnsPolicy": "ClusterFirst",
            "terminationGracePeriodSeconds": 30});
        let mut d = object(
            "apps/v1",
            "Deployment",
            "d",
            json!({"replicas": 1, "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": {"app": label}}, "strategy": {"type": "Recreate"},
            "template": {"metadata": {"labels": {"app": label}}, "spec": pod}}),
        );
        d["metadata"]["resourceVersion"] = json!("1");
        d
    };
    let errors = |group, version, era| {
        let ctx = Context { group, version, era, ..Context::default() };
        validate_update("apps", "Deployment", &of("b"), &of("a"), &ctx).len()
    };
    assert_eq!(errors("apps", "v1", Era::Now), 1);
    assert_eq!(errors("apps", "v1beta2", Era::Early), 1);
    assert_eq!(errors("apps", "v1beta1", Era::Early), 0);
    assert_eq!(errors("extensions", "v1beta1", Era::Early), 0);
}

/// What is said of a definition whose `spec` field has this schema.
fn said_of_schema(spec: Value) -> Vec<String> {
    let schema = json!({"type": "object", "properties": {"spec": spec}});
    let spec = json!({"group": "example.com", "scope": "Namespaced", "names": {"plural": "foos", "singular": "foo",
        "kind": "Foo", "listKind": "FooList"}, "conversion": {"strategy": "None"}, "versions": [
        {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}},
        {"name": "v2", "served": true, "storage": false, "schema": {"openAPIV3Schema": {"type": "object"}}}]});
    let mut object = cluster("apiextensions.k8s.io/v1", "CustomResourceDefinition", "foos.example.com", spec);
    object["status"] = json!({"storedVersions": ["v1"]});
    says(&object)
}

const SPEC: &str = "spec.versions[0].schema.openAPIV3Schema.properties[spec]";

#[test]
fn an_integer_or_string_is_only_that() {
    let one_of =
        |first: Value| json!({"x-kubernetes-int-or-string": true, "anyOf": [first, {"type": "string"}]});
    assert!(said_of_schema(one_of(json!({"type": "integer", "enum": []}))).is_empty());
    assert_eq!(
        said_of_schema(one_of(json!({"type": "integer", "not": {}}))),
        [0, 1].map(|i| format!("{SPEC}.anyOf[{i}].type: Forbidden: must be empty to be structural"))
    );
}

#[test]
fn alternatives_allow_no_further_properties() {
    let with = |more: Value| json!({"type": "object", "not": {"additionalProperties": more}});
    assert!(said_of_schema(with(json!(false))).is_empty());
    assert_eq!(
        said_of_schema(with(json!({}))),
        [format!("{SPEC}.not.additionalProperties: Forbidden: must be undefined to be structural")]
    );
}

#[test]
fn expressions_are_checked_beside_a_broken_schema() {
    let rule = json!([{"rule": "self.a == 'x'", "optionalOldSelf": false}]);
    let spec = json!({"type": "object", "properties": {
        "good": {"type": "object", "properties": {"a": {"type": "string"}}, "x-kubernetes-validations": rule},
        "bad": {"type": "object", "properties": {"a": {"type": "string", "x-kubernetes-map-type": "granular"}},
            "x-kubernetes-validations": rule}}});
    assert_eq!(
        said_of_schema(spec),
        [
            format!(
                "{SPEC}.properties[bad].properties[a].type: Invalid value: \"string\": must be object if \
                 x-kubernetes-map-type is specified"
            ),
            format!(
                "{SPEC}.properties[good].x-kubernetes-validations[0].optionalOldSelf: Invalid value: false: may not \
                 be set if oldSelf is not used in rule"
            )
        ]
    );
}

#[test]
fn topologies_differ_from_each_other_and_from_nothing() {
    let class = |topologies: Value| {
        let mut class = cluster("storage.k8s.io/v1", "StorageClass", "c", json!(null));
        class["provisioner"] = json!("example.com/p");
        class["reclaimPolicy"] = json!("Delete");
        class["volumeBindingMode"] = json!("Immediate");
        class["allowedTopologies"] = topologies;
        says(&class)
    };
    let zone = json!({"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]});
    let twice = |i: usize| format!("allowedTopologies[{i}].matchLabelExpressions: Duplicate value: \"\"");
    assert_eq!(class(json!([zone, zone, zone])), [twice(1), twice(2), twice(2)]);
    assert_eq!(class(json!([{}])), [twice(0)]);
}
