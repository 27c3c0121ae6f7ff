//! What clients are told about objects that are accepted: upstream's `WarningsOnCreate` and `WarningsOnUpdate`
//! (`pkg/api/pod/warnings.go` and the strategies).

mod pods;

use api::Value;

use super::obj;
use super::resource::Resource;

/// Where a kind keeps its pod template.
fn template(resource: &Resource) -> Option<&'static str> {
    match (resource.hub_group.as_str(), resource.plural.as_str()) {
        ("apps", "deployments" | "statefulsets" | "daemonsets" | "replicasets")
        | ("", "replicationcontrollers")
        | ("batch", "jobs") => Some("spec.template"),
        ("batch", "cronjobs") => Some("spec.jobTemplate.spec.template"),
        ("", "podtemplates") => Some("template"),
        _ => None,
    }
}

/// Warnings about a new object, or about a changed one.
pub fn of(resource: &Resource, object: &Value, old: Option<&Value>) -> Vec<String> {
    let mut out = Vec::new();
    if resource.custom {
        return out;
    }
    if crate::crd::is_definitions(resource) {
        return apiextensions::check::warnings(object);
    }
    if resource.is("", "pods") {
        pods::check(&mut out, "", object, old.is_some());
    }
    if let Some(path) = template(resource) {
        let generation = |v: &Value| obj::meta_number(v, "generation");
        let unchanged = old.is_some_and(|old| generation(object) == generation(old));
        let names_pods = matches!(
            resource.plural.as_str(),
            "deployments" | "replicasets" | "jobs" | "cronjobs" | "replicationcontrollers"
        );
        if names_pods && old.is_none() {
            name(&mut out, obj::name(object));
        }
        if let Some(template) = obj::at(object, path).filter(|_| !unchanged) {
            pods::check(&mut out, path, template, old.is_some());
        }
    }
    match (resource.hub_group.as_str(), resource.plural.as_str()) {
        ("apps", "statefulsets")
            if obj::number_at(object, "spec.revisionHistoryLimit").is_some_and(|n| n < 0) =>
        {
            out.push(
                "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
                    .into(),
            );
        }
        ("", "persistentvolumes") => persistent_volume(&mut out, object),
        ("", "persistentvolumeclaims") => {
            let key = "volume.beta.kubernetes.io/storage-class";
            if annotation(object, key) {
                out.push(format!("metadata.annotations[{key}]: deprecated since v1.8; use \"storageClassName\" attribute instead"));
            }
            storage_request(&mut out, "spec", object.get("spec"));
        }
        ("storage.k8s.io", "csidrivers") => {
            let tokens = obj::at(object, "spec.tokenRequests").and_then(Value::as_array);
            let unset = obj::at(object, "spec.serviceAccountTokenInSecrets").is_none();
            if unset && tokens.is_some_and(|t| !t.is_empty()) {
                out.push(
                    "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent \
                     possible logging of tokens in volume attributes"
                        .into(),
                );
            }
        }
        ("discovery.k8s.io", "endpointslices")
            if old.is_none() && object.get("addressType").and_then(Value::as_str) == Some("FQDN") =>
        {
            out.push("spec.addressType: FQDN endpoints are deprecated".into());
        }
        ("", "services") => service(&mut out, object),
        _ => {}
    }
    out
}

fn annotation(object: &Value, key: &str) -> bool {
    obj::at(object, "metadata.annotations").is_some_and(|a| a.get(key).is_some())
}

/// Names of controllers become host names.
fn name(out: &mut Vec<String>, name: &str) {
    let mut wrong = Vec::new();
    if name.len() > 63 {
        wrong.push("must be no more than 63 characters");
    }
    if name.contains('.') {
        wrong.push("must not contain dots");
    }
    if !wrong.is_empty() {
        out.push(format!(
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is \
             recommended: [{}]",
            wrong.join(" ")
        ));
    }
}

fn persistent_volume(out: &mut Vec<String>, object: &Value) {
    for (key, text) in [
        (
            "volume.beta.kubernetes.io/storage-class",
            "deprecated since v1.8; use \"storageClassName\" attribute instead",
        ),
        (
            "volume.beta.kubernetes.io/mount-options",
            "deprecated since v1.31; use \"mountOptions\" attribute instead",
        ),
    ] {
        if annotation(object, key) {
            out.push(format!("metadata.annotations[{key}]: {text}"));
        }
    }
    if obj::text_at(object, "spec.persistentVolumeReclaimPolicy") == "Recycle" {
        out.push(
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach \
             is to use dynamic provisioning."
                .into(),
        );
    }
    for (field, text) in [
        ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
        ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
        ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
        ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
        ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
        ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
    ] {
        if obj::at(object, "spec").is_some_and(|s| s.get(field).is_some()) {
            let field = if field == "storageos" { "storageOS" } else { field };
            out.push(format!("spec.{field}: {text}"));
        }
    }
}

fn service(out: &mut Vec<String>, object: &Value) {
    let kind = obj::text_at(object, "spec.type");
    let external =
        obj::at(object, "spec.externalIPs").and_then(Value::as_array).is_some_and(|l| !l.is_empty());
    if obj::text_at(object, "spec.clusterIP") == "None" {
        if !obj::text_at(object, "spec.loadBalancerIP").is_empty() {
            out.push("spec.loadBalancerIP is ignored for headless services".into());
        }
        if external {
            out.push("spec.externalIPs is ignored for headless services".into());
        }
        if obj::text_at(object, "spec.sessionAffinity") == "ClientIP" {
            out.push("spec.SessionAffinity is ignored for headless services".into());
        }
    }
    if external {
        out.push("spec.externalIPs is deprecated and may no longer be implemented in some clusters".into());
    }
    if kind == "ExternalName" && external {
        out.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".into());
    }
    if kind != "ExternalName" && !obj::text_at(object, "spec.externalName").is_empty() {
        out.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".into());
    }
    if obj::text_at(object, "spec.trafficDistribution") == "PreferClose" {
        out.push("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".into());
    }
}

/// Amounts of bytes that are no whole number.
fn fractional(out: &mut Vec<String>, path: &str, list: Option<&Value>, names: &[&str]) {
    for name in names {
        let Some(text) = list.and_then(|l| l.get(*name)).and_then(Value::as_str) else { continue };
        let milli = text.strip_suffix('m').and_then(|n| n.parse::<i64>().ok());
        if milli.is_some_and(|n| n % 1000 != 0) {
            out.push(format!(
                "{path}[{name}]: fractional byte value {text:?} is invalid, must be an integer"
            ));
        }
    }
}

fn storage_request(out: &mut Vec<String>, path: &str, spec: Option<&Value>) {
    let resources = spec.and_then(|s| s.get("resources"));
    for kind in ["requests", "limits"] {
        let list = resources.and_then(|r| r.get(kind));
        fractional(out, &format!("{path}.resources.{kind}"), list, &["storage"]);
    }
}
