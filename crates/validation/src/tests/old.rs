//! What servers of old versions said, where today's say something else.

use super::*;

fn changes(old: &Value, new: &Value) -> Vec<String> {
    let kind = new["kind"].as_str().unwrap();
    let (group, version) = new["apiVersion"].as_str().unwrap().split_once('/').unwrap();
    let era = if version.contains("beta") { Era::Betas } else { Era::Now };
    let ctx = Context { group, version, era, ..Context::default() };
    let versioned = |object: &Value| {
        let mut object = object.clone();
        object["metadata"]["resourceVersion"] = json!("1");
        object
    };
    let errs = validate_update(group, kind, &versioned(new), &versioned(old), &ctx);
    errs.iter().map(ToString::to_string).collect()
}

#[test]
fn csi_drivers_and_nodes_were_checked_twice() {
    let spec = json!({"attachRequired": true, "podInfoOnMount": true, "storageCapacity": true, "seLinuxMount": false,
        "volumeLifecycleModes": ["Never"]});
    let mode = "spec.volumeLifecycleModes: Unsupported value: \"Never\": supported values: \"Persistent\", \"Ephemeral\"";
    assert_eq!(says(&cluster("storage.k8s.io/v1beta1", "CSIDriver", "d", spec.clone())), [mode, mode]);
    assert_eq!(says(&cluster("storage.k8s.io/v1", "CSIDriver", "d", spec)).len(), 1);
    let spec = json!({"drivers": [{"name": "d", "nodeID": "n", "topologyKeys": ["a b"]}]});
    let node = says(&cluster("storage.k8s.io/v1beta1", "CSINode", "n", spec));
    assert_eq!(node.len(), 2);
    assert!(node[0].starts_with("spec.drivers[0]: Invalid value: []string{\"a b\"}: name part"), "{node:?}");
}

/// Their names were no metadata.
#[test]
fn csi_drivers_had_short_names() {
    let spec = json!({"attachRequired": true, "podInfoOnMount": true, "storageCapacity": true, "seLinuxMount": false});
    let name = "x".repeat(64);
    let told = says(&cluster("storage.k8s.io/v1beta1", "CSIDriver", &name, spec));
    assert_eq!(told[0], "name: Too long: must have at most 63 bytes");
}

#[test]
fn changed_roles_were_checked_twice() {
    let role = |api_version: &str, verbs: Value| {
        let mut role = object(api_version, "Role", "r", Value::Null);
        role["rules"] = json!([{"verbs": verbs, "apiGroups": ["a"], "resources": ["b"]}]);
        role
    };
    let told = |v: &str| changes(&role(v, json!(["get"])), &role(v, json!([])));
    let missing = "rules[0].verbs: Required value: verbs must contain at least one value";
    assert_eq!(told("rbac.authorization.k8s.io/v1beta1"), [missing, missing]);
    assert_eq!(told("rbac.authorization.k8s.io/v1"), [missing]);
}

#[test]
fn security_policies_of_groups() {
    let policy = |spec: Value| {
        let mut all = json!({"seLinux": {"rule": "RunAsAny"}, "runAsUser": {"rule": "RunAsAny"},
            "supplementalGroups": {"rule": "MayRunAs"}, "fsGroup": {"rule": "MayRunAs"}});
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        cluster("policy/v1beta1", "PodSecurityPolicy", "p", all)
    };
    assert!(says(&policy(json!({"volumes": ["ephemeral"]}))).is_empty());
    assert_eq!(
        says(&policy(json!({"runAsGroup": {"rule": "MustRunAs", "ranges": []}}))),
        ["spec.runAsGroup.ranges: Invalid value: []policy.IDRange{}: must provide at least one range"]
    );
    assert_eq!(
        says(&policy(
            json!({"runtimeClass": {"allowedRuntimeClassNames": ["a", "*"], "defaultRuntimeClassName": "b"}})
        )),
        [
            "spec.runtimeClass.allowedRuntimeClassNames: Invalid value: []string{\"a\", \"*\"}: if '*' is present, must \
          not specify other RuntimeClass names"
        ]
    );
}

#[test]
fn services_behind_an_ingress_had_dns_1035_names() {
    let ingress = |version: &str| {
        let service = json!({"name": "1st", "port": {"name": "1"}});
        says(&object(version, "Ingress", "i", json!({"defaultBackend": {"service": service}})))
    };
    let told = ingress("networking.k8s.io/v1beta1");
    assert!(
        told[0].starts_with("spec.backend.serviceName: Invalid value: \"1st\": a DNS-1035 label"),
        "{told:?}"
    );
    assert!(told[1].ends_with("must contain at least one letter or number (a-z, 0-9)"), "{told:?}");
    assert_eq!(ingress("networking.k8s.io/v1").len(), 1);
}

#[test]
fn values_of_selectors_were_free() {
    let budget = |version: &str| {
        let selector = json!({"matchExpressions": [{"key": "k", "operator": "In", "values": ["a b"]}]});
        says(&object(version, "PodDisruptionBudget", "p", json!({"selector": selector}))).len()
    };
    assert_eq!((budget("policy/v1beta1"), budget("policy/v1")), (0, 1));
}

#[test]
fn names_that_were_said_twice_or_in_words() {
    let mut class = cluster("node.k8s.io/v1beta1", "RuntimeClass", "r", Value::Null);
    class["handler"] = json!("h");
    class["scheduling"] = json!({"tolerations": [{"key": "k", "operator": "Maybe"}]});
    assert!(says(&class)[0].starts_with("scheduling.tolerations.tolerations[0].operator: "));
    let spec = json!({"request": "", "usages": [], "signerName": ""});
    let told = says(&cluster("certificates.k8s.io/v1beta1", "CertificateSigningRequest", "c", spec));
    assert!(told.contains(&"spec.usages: Required value: usages must be provided".to_owned()), "{told:?}");
}

#[test]
fn events_of_the_default_namespace_named_it() {
    let event = |version: &str| {
        let mut event = object(version, "Event", "e", Value::Null);
        event["metadata"]["namespace"] = json!("default");
        for (field, value) in [
            ("eventTime", "2020-01-01T00:00:00.000000Z"),
            ("reportingComponent", "c"),
            ("reportingInstance", "i"),
            ("action", "a"),
            ("reason", "r"),
            ("type", "Normal"),
        ] {
            event[field] = json!(value);
        }
        let ctx = Context {
            group: "events.k8s.io",
            version,
            era: if version == "v1" { Era::Now } else { Era::Betas },
            ..Context::default()
        };
        validate_create("", "Event", &event, &ctx).len()
    };
    assert_eq!((event("v1beta1"), event("v1")), (1, 0));
}

/// Upstream compares each term with as many empty ones as there are.
#[test]
fn empty_terms_of_a_topology_are_duplicates() {
    let mut class = cluster("storage.k8s.io/v1", "StorageClass", "c", Value::Null);
    class["provisioner"] = json!("a/b");
    class["volumeBindingMode"] = json!("Immediate");
    class["allowedTopologies"] = json!([{}, {"matchLabelExpressions": [{"key": "k", "values": ["v"]}]}]);
    let twice = "allowedTopologies[0].matchLabelExpressions: Duplicate value: \"\"";
    assert_eq!(says(&class), [twice, twice]);
}

#[test]
fn definitions_of_v1beta1_had_no_defaults() {
    let definition = |version: &str, default: Value| {
        let mut a = json!({"type": "string"});
        if !default.is_null() {
            a["default"] = default;
        }
        let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"a": a}}});
        let names = json!({"plural": "cats", "singular": "cat", "kind": "Cat", "listKind": "CatList"});
        let mut crd = cluster(
            version,
            "CustomResourceDefinition",
            "cats.a.b",
            json!({"group": "a.b", "scope": "Namespaced", "names": names, "conversion": {"strategy": "None"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}),
        );
        crd["status"] = json!({"storedVersions": ["v1"]});
        crd
    };
    let beta = "apiextensions.k8s.io/v1beta1";
    let refused = "spec.validation.openAPIV3Schema.properties[a].default: Forbidden: must not be set \
                   (cannot set default values in apiextensions.k8s.io/v1beta1 CRDs, must use apiextensions.k8s.io/v1)";
    assert_eq!(says(&definition(beta, json!("x"))), [refused]);
    assert!(says(&definition("apiextensions.k8s.io/v1", json!("x"))).is_empty());
    // What is there may stay.
    assert!(changes(&definition(beta, json!("x")), &definition(beta, json!("y"))).is_empty());
}

#[test]
fn updates_of_slices_and_nodes() {
    let slice = |kind: &str| {
        let mut slice = object("discovery.k8s.io/v1beta1", "EndpointSlice", "s", Value::Null);
        slice["addressType"] = json!(kind);
        slice
    };
    let told = changes(&slice("IPv4"), &slice("Else"));
    assert!(told[0].ends_with("supported values: \"FQDN\", \"IP\", \"IPv4\", \"IPv6\""), "{told:?}");
    let node = |version: &str, count: i64| {
        let driver =
            json!({"name": "d", "nodeID": "n", "topologyKeys": null, "allocatable": {"count": count}});
        cluster(version, "CSINode", "n", json!({"drivers": [driver]}))
    };
    let capacity = |version: &str| changes(&node(version, 1), &node(version, 2)).len();
    assert_eq!((capacity("storage.k8s.io/v1beta1"), capacity("storage.k8s.io/v1")), (1, 0));
}
