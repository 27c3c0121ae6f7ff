use super::*;
use crate::kinds::builtin;
use serde_json::json;

fn pods() -> &'static Resource {
    builtin().lookup("", "v1", "pods").unwrap()
}

fn pod(body: &str, validation: FieldValidation) -> Result<Decoded, ApiError> {
    decode(&Target::of(pods()).unwrap(), body.as_bytes(), validation)
}

fn error(body: &str) -> String {
    pod(body, FieldValidation::Strict).unwrap_err().message
}

#[test]
fn objects_come_out_as_go_writes_them() {
    let body = r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","labels":{},"creationTimestamp":null},"spec":{
        "hostNetwork":false,"terminationGracePeriodSeconds":0,"nodeName":"","volumes":[],"restartPolicy":null,
        "containers":[{"name":"c","resources":{"limits":{"cpu":"1000m","memory":1024}},"ports":[{"containerPort":80,"hostPort":0}]}]}}"#;
    let mut decoded = pod(body, FieldValidation::Strict).unwrap();
    let ty = Type::Struct(schema::builtin().by_name("io.k8s.api.core.v1.Pod").unwrap());
    zero::normalise(schema::builtin(), &ty, &mut decoded.object);
    assert_eq!(
        decoded.object,
        json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}, "status": {}, "spec": {
            "terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "ports": [{"containerPort": 80}],
            "resources": {"limits": {"cpu": "1", "memory": "1024"}}}]}})
    );
    let empty = pod("{}", FieldValidation::Strict).unwrap().object;
    assert_eq!(
        empty,
        json!({"kind": "Pod", "apiVersion": "v1", "metadata": {}, "spec": {"containers": null}, "status": {}})
    );
}

#[test]
fn unknown_and_duplicate_fields_are_reported_in_order() {
    let body = r#"{"kind":"Pod","apiVersion":"v1","zz":1,"metadata":{"name":"a","name":"b","labels":{"x":"1","x":"2"}},
        "spec":{"containers":[{"name":"c","Image":"x"}]}}"#;
    let warn = pod(body, FieldValidation::Warn).unwrap();
    assert_eq!(
        warn.warnings,
        [
            "unknown field \"zz\"",
            "duplicate field \"metadata.name\"",
            "duplicate field \"metadata.labels.x\"",
            "unknown field \"spec.containers[0].Image\""
        ]
    );
    assert_eq!(warn.object["metadata"]["name"], "b");
    assert!(error(body).starts_with(
        "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \"zz\", duplicate"
    ));
    assert!(pod(body, FieldValidation::Ignore).unwrap().warnings.is_empty());
}

#[test]
fn type_errors_are_gos() {
    let wrong = |spec: &str| error(&format!(r#"{{"kind":"Pod","apiVersion":"v1","spec":{spec}}}"#));
    let frame = "Pod in version \"v1\" cannot be handled as a Pod: ";
    for (spec, text) in [
        ("[]", "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"),
        (
            r#"{"containers":[{"name":{}}]}"#,
            "json: cannot unmarshal object into Go struct field Container.spec.containers.name of type string",
        ),
        (
            r#"{"containers":[{"ports":{}}]}"#,
            "json: cannot unmarshal object into Go struct field Container.spec.containers.ports of type []v1.ContainerPort",
        ),
        (
            r#"{"activeDeadlineSeconds":1e2}"#,
            "json: cannot unmarshal number 1e2 into Go struct field PodSpec.spec.activeDeadlineSeconds of type int64",
        ),
        (
            r#"{"os":{"name":7}}"#,
            "json: cannot unmarshal number into Go struct field PodOS.spec.os.name of type v1.OSName",
        ),
        (
            r#"{"containers":[{"startupProbe":{"tcpSocket":{"host":{}}}}]}"#,
            "json: cannot unmarshal object into Go struct field TCPSocketAction.spec.containers.startupProbe.ProbeHandler.tcpSocket.host of type string",
        ),
        (
            r#"{"containers":[{"startupProbe":{"tcpSocket":{"port":1.5}}}]}"#,
            "json: cannot unmarshal number 1.5 into Go struct field TCPSocketAction.spec.containers.startupProbe.ProbeHandler.tcpSocket.port of type int32",
        ),
        (r#"{"overhead":{"cpu":"1e"}}"#, "unable to parse quantity's suffix"),
    ] {
        assert_eq!(wrong(spec), format!("{frame}{text}"), "{spec}");
    }
}

#[test]
fn bodies_of_another_kind_are_refused_as_upstream_does() {
    assert_eq!(
        error("[]"),
        "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" } (5b5d)"
    );
    assert_eq!(
        error(r#"{"apiVersion":"v1","kind":"ConfigMap""#),
        "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: unexpected end of JSON input ({\"apiVersion\":\"v1\",\"kind\":\"Con ...)"
    );
    assert_eq!(
        error(r#"{"apiVersion":"v1","kind":"Secret"}"#),
        "Secret in version \"v1\" cannot be handled as a Pod: converting (v1.Secret) to (core.Pod): unknown conversion"
    );
    assert!(
        error(r#"{"apiVersion":"v9","kind":"Pod"}"#)
            .contains("no kind \"Pod\" is registered for version \"v9\" in scheme")
    );
    let deployments = builtin().lookup("apps", "v1", "deployments").unwrap();
    let other = decode(
        &Target::of(deployments).unwrap(),
        br#"{"apiVersion":"apps/v1beta1","kind":"Deployment"}"#,
        FieldValidation::Strict,
    );
    assert_eq!(
        other.unwrap_err().message,
        "the API version in the data (apps/v1beta1) does not match the expected API version (apps/v1)"
    );
}

#[test]
fn base64_errors_name_gos_offset() {
    let secrets = builtin().lookup("", "v1", "secrets").unwrap();
    let decode = |data: &str| {
        let body = format!(r#"{{"apiVersion":"v1","kind":"Secret","data":{{"a":"{data}"}}}}"#);
        super::decode(&Target::of(secrets).unwrap(), body.as_bytes(), FieldValidation::Strict)
    };
    assert_eq!(decode("YWJj").unwrap().object["data"]["a"], "YWJj");
    assert!(decode("!").unwrap_err().message.ends_with("illegal base64 data at input byte 0"));
    assert!(decode("not base64!").unwrap_err().message.ends_with("illegal base64 data at input byte 3"));
    // The offset is that of the text with its line ends.
    assert!(decode("a\\nb").unwrap_err().message.ends_with("illegal base64 data at input byte 1"));
    assert!(decode("YW\\nE!").unwrap_err().message.ends_with("illegal base64 data at input byte 4"));
}

#[test]
fn a_schema_of_a_schema_is_read() {
    let crds = builtin().lookup("apiextensions.k8s.io", "v1", "customresourcedefinitions").unwrap();
    let body = r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","spec":{"versions":[{"name":"v1",
        "schema":{"openAPIV3Schema":{"type":"object","properties":{"a":{"minimum":1.0,"items":{"type":"string"},"default":{"x":[1]}}},
        "additionalProperties":false}}}]}}"#;
    let out = decode(&Target::of(crds).unwrap(), body.as_bytes(), FieldValidation::Strict).unwrap().object;
    let schema = &out["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    assert_eq!(
        *schema,
        json!({"type": "object", "additionalProperties": false, "properties":
            {"a": {"minimum": 1, "items": {"type": "string"}, "default": {"x": [1]}}}})
    );
}

#[test]
fn deep_nesting_is_refused_not_a_crash() {
    let deep = format!("{}1{}", "[".repeat(9_000), "]".repeat(9_000));
    assert!(pod(&format!(r#"{{"unknown":{deep}}}"#), FieldValidation::Ignore).is_ok());
    assert!(untyped(deep.as_bytes()).is_err());
    let mut schema = "{}".to_owned();
    for _ in 0..2000 {
        schema = format!(r#"{{"not":{schema}}}"#);
    }
    let crds = builtin().lookup("apiextensions.k8s.io", "v1", "customresourcedefinitions").unwrap();
    let body = format!(r#"{{"spec":{{"versions":[{{"schema":{{"openAPIV3Schema":{schema}}}}}]}}}}"#);
    assert!(decode(&Target::of(crds).unwrap(), body.as_bytes(), FieldValidation::Ignore).is_err());
}

#[test]
fn untyped_json_lists_duplicates_with_their_paths() {
    let read = untyped(br#"{"a":{"b":[1,{"c":1,"c":2}]},"a":3}"#).unwrap();
    assert_eq!(read.value, json!({"a": 3}));
    assert_eq!(read.strict, ["duplicate field \"a.b[1].c\"", "duplicate field \"a\""]);
}

/// Whole floats were integers at once: validation and comparisons could not tell `3.0` from `3`.
#[test]
fn floats_stay_floats_until_they_are_stored() {
    let mut value = untyped(br#"{"a":3.0,"b":1e2,"c":2.5,"d":-0.0,"e":1e30,"f":3}"#).unwrap().value;
    assert!(value["a"].is_f64() && value["b"].is_f64() && value["f"].is_i64());
    crate::json::fold_floats(&mut value);
    assert_eq!(value, json!({"a": 3, "b": 100, "c": 2.5, "d": 0, "e": 1e30, "f": 3}));
}

/// Found by fuzzing: the library reads long fractions a little off unless it is told not to (`float_roundtrip`), and what is
/// stored is read by it.
#[test]
fn fractions_are_read_as_they_were_written() {
    for text in ["-6.40666589718452e-145", "3.141592653589793", "0.30000000000000004"] {
        let exact: f64 = text.parse().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), json!(exact), "{text}");
    }
}

/// Reporting a duplicate once formatted its path at every level: quadratic in a hostile body.
#[test]
fn many_deep_duplicates_stay_cheap() {
    let inner = format!("{{{}}}", vec!["\"k\":1"; 100_000].join(","));
    let deep = format!("{}{inner}{}", "{\"a\":".repeat(100), "}".repeat(100));
    let start = std::time::Instant::now();
    assert_eq!(untyped(deep.as_bytes()).unwrap().strict.len(), 1);
    assert!(start.elapsed() < std::time::Duration::from_secs(5));
}

/// Empty lists and maps were dropped at once: defaults and validation could not tell them from missing ones.
#[test]
fn what_was_sent_empty_is_seen_until_it_is_stored() {
    let body = r#"{"apiVersion":"v1","kind":"Pod","spec":{"containers":[],"volumes":[],"nodeSelector":{}}}"#;
    let decoded = pod(body, FieldValidation::Strict).unwrap();
    assert!(decoded.empties);
    let mut object = decoded.object;
    assert_eq!(object["spec"]["volumes"], json!([]));
    let ty = schema::builtin().by_name("io.k8s.api.core.v1.Pod").unwrap();
    zero::normalise(schema::builtin(), &Type::Struct(ty), &mut object);
    assert_eq!(object["spec"], json!({"containers": null}));
    assert!(!pod(r#"{"apiVersion":"v1","kind":"Pod"}"#, FieldValidation::Strict).unwrap().empties);
}

#[test]
fn the_first_second_of_year_one_is_no_time() {
    let body = r#"{"kind":"Pod","apiVersion":"v1","metadata":{"creationTimestamp":"0001-01-01T00:00:00Z",
        "deletionTimestamp":"0001-01-01T01:00:00+01:00"}}"#;
    let pod = pod(body, FieldValidation::Strict).unwrap().object;
    assert_eq!(pod["metadata"], json!({"deletionTimestamp": null}));
}

#[test]
fn bytes_may_be_a_list_of_numbers() {
    let hooks =
        builtin().lookup("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations").unwrap();
    let read = |list: &str| {
        let body = format!(
            r#"{{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingWebhookConfiguration",
            "webhooks":[{{"clientConfig":{{"caBundle":{list}}}}}]}}"#
        );
        decode(&Target::of(hooks).unwrap(), body.as_bytes(), FieldValidation::Strict)
    };
    let out = read("[97,98]").unwrap().object;
    assert_eq!(out["webhooks"][0]["clientConfig"]["caBundle"], "YWI=");
    let error = read("[97,300]").unwrap_err().message;
    assert!(error.ends_with("cannot unmarshal number 300 into Go struct field WebhookClientConfig.webhooks.clientConfig.caBundle of type uint8"), "{error}");
}

#[test]
fn errors_inside_the_items_of_a_schema_name_the_whole_path() {
    let crds = builtin().lookup("apiextensions.k8s.io", "v1", "customresourcedefinitions").unwrap();
    let read = |schema: &str| {
        let body = format!(
            r#"{{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","spec":{{"versions":[{{"name":"v1",
            "schema":{{"openAPIV3Schema":{schema}}}}}]}}}}"#
        );
        decode(&Target::of(crds).unwrap(), body.as_bytes(), FieldValidation::Strict)
    };
    let error = read(r#"{"items":{"required":5}}"#).unwrap_err().message;
    assert!(
        error.ends_with(
            "cannot unmarshal number into Go struct field JSONSchemaProps.spec.versions.schema.openAPIV3Schema.items.required of type []string"
        ),
        "{error}"
    );
    assert!(read(r#"{"dependencies":{"a":5}}"#).is_ok());
}

/// A status of any group version was of an unknown kind.
#[test]
fn some_kinds_are_known_in_every_group_version() {
    let frame = "Status in version \"v1\" cannot be handled as a Pod: ";
    for version in ["v1", "apps/v1", "x/v1"] {
        let told = error(&format!(r#"{{"kind":"Status","apiVersion":"{version}"}}"#));
        assert_eq!(
            told,
            format!("{frame}converting (v1.Status) to (core.Pod): unknown conversion"),
            "{version}"
        );
    }
}
