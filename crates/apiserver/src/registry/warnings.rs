//! What clients are told about objects that are accepted: upstream's `WarningsOnCreate` and `WarningsOnUpdate`
//! (`pkg/api/pod/warnings.go` and the strategies).

mod addresses;
mod pods;
mod volumes;

use std::fmt;

use api::Value;

use super::obj;
use super::resource::Resource;

/// Where a kind keeps its pod template.
pub fn template(resource: &Resource) -> Option<&'static str> {
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
        return apiextensions::check::warnings(object, old);
    }
    if resource.is("", "pods") {
        // People do not change pods; upstream saves itself the work.
        if old.is_none() {
            name(&mut out, "the Pod's hostname", obj::name(object));
            pods::check(&mut out, "", object);
        }
        return out;
    }
    if let Some(path) = template(resource) {
        workload(&mut out, resource, path, object, old);
    }
    match (resource.hub_group.as_str(), resource.plural.as_str()) {
        ("apps", "statefulsets") => stateful_set(&mut out, object, old.is_some()),
        ("batch", "cronjobs") if old.is_some() && obj::text_at(object, "spec.schedule").contains("TZ") => {
            out.push(
                "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see \
                 https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
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
        ("", "secrets") => out.extend(validation::tls_secret_warning(object)),
        ("", "serviceaccounts") => {
            let key = "kubernetes.io/enforce-mountable-secrets";
            if annotation(object, key) && !old.is_some_and(|old| annotation(old, key)) {
                out.push(format!(
                    "metadata.annotations[{key}]: deprecated in v1.32+; prefer separate namespaces to isolate access to \
                     mounted secrets"
                ));
            }
        }
        ("", "resourcequotas") if old.is_none() => quota(&mut out, object),
        ("", "services") => service(&mut out, object),
        ("", "nodes") => node(&mut out, object),
        ("", "endpoints") => addresses::endpoints(&mut out, object),
        ("discovery.k8s.io", "endpointslices") => {
            if old.is_none() && object.get("addressType").and_then(Value::as_str) == Some("FQDN") {
                out.push("spec.addressType: FQDN endpoints are deprecated".into());
            }
            addresses::slice(&mut out, object);
        }
        ("networking.k8s.io", "networkpolicies") => addresses::policy(&mut out, object),
        ("networking.k8s.io", "ingresses") => {
            let key = "kubernetes.io/ingress.class";
            if old.is_none() && annotation(object, key) && obj::at(object, "spec.ingressClassName").is_none()
            {
                out.push(format!(
                    "annotation {key:?} is deprecated, please use 'spec.ingressClassName' instead"
                ));
            }
        }
        ("storage.k8s.io", "csidrivers") => {
            let requests = |v| obj::at(v, "spec.tokenRequests");
            let tokens = requests(object)
                .filter(|tokens| old.is_none_or(|old| requests(old) != Some(*tokens)))
                .and_then(Value::as_array);
            let unset = obj::at(object, "spec.serviceAccountTokenInSecrets").is_none();
            if unset && tokens.is_some_and(|t| !t.is_empty()) {
                out.push(
                    "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent \
                     possible logging of tokens in volume attributes"
                        .into(),
                );
            }
        }
        ("storage.k8s.io", "storageclasses") => storage_class(&mut out, object),
        ("storage.k8s.io", "csistoragecapacities") => node_topology(&mut out, object),
        ("node.k8s.io", "runtimeclasses") => {
            for why in old_node_labels(obj::at(object, "scheduling.nodeSelector")).map(|(_, why)| why) {
                out.push(format!("scheduling.nodeSelector: {why}"));
            }
        }
        ("resource.k8s.io", "resourceslices") if old.is_none() => {
            let driver = obj::text_at(object, "spec.driver");
            if driver.to_lowercase() != driver {
                out.push(format!(
                    "spec.driver: driver names should be lowercase; {driver:?} contains uppercase characters"
                ));
            }
        }
        _ => {}
    }
    out
}

/// What has a pod template: its name where pods are named after it, and the template unless it is as before.
fn workload(out: &mut Vec<String>, resource: &Resource, path: &str, object: &Value, old: Option<&Value>) {
    let names_pods = matches!(
        resource.plural.as_str(),
        "deployments" | "replicasets" | "jobs" | "cronjobs" | "replicationcontrollers"
    );
    if names_pods && old.is_none() {
        name(out, "Pod names and hostnames", obj::name(object));
    }
    let generation = |v: &Value| obj::meta_number(v, "generation");
    if old.is_some_and(|old| generation(object) == generation(old)) {
        return;
    }
    let job = path.strip_suffix(".template").filter(|_| resource.hub_group == "batch");
    if let Some((path, spec)) = job.and_then(|path| Some((path, obj::at(object, path)?)))
        && obj::text_at(spec, "completionMode") == "Indexed"
        && obj::number_at(spec, "completions").unwrap_or(0) > 100_000
        && obj::number_at(spec, "parallelism").unwrap_or(0) > 10_000
    {
        out.push(format!(
            "{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, \
             Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        ));
    }
    // Upstream takes the old template of a replication controller for the new one.
    let checked = old.filter(|_| resource.is("", "replicationcontrollers")).unwrap_or(object);
    if let Some(template) = obj::at(checked, path) {
        pods::check(out, path, template);
    }
}

/// A quota that lets more be asked for than be used.
fn quota(out: &mut Vec<String>, object: &Value) {
    let hard = obj::at(object, "spec.hard");
    let amount = |name: &str| {
        let text = hard?.get(name)?.as_str()?;
        Some((text.to_owned(), api::quantity::Quantity::parse(text).ok()?))
    };
    for name in ["cpu", "memory", "storage", "ephemeral-storage"] {
        let asked = format!("requests.{name}");
        let bare = matches!(name, "cpu" | "memory") && amount(&asked).is_none();
        let (asked, used) = (if bare { name.to_owned() } else { asked }, format!("limits.{name}"));
        let (Some((request, least)), Some((limit, most))) = (amount(&asked), amount(&used)) else { continue };
        if least > most {
            out.push(format!("ResourceQuota {asked} ({request}) should be less than {used} ({limit})"));
        }
    }
}

fn stateful_set(out: &mut Vec<String>, object: &Value, changed: bool) {
    let claims = obj::at(object, "spec.volumeClaimTemplates").and_then(Value::as_array);
    for (i, claim) in claims.into_iter().flatten().enumerate() {
        // Upstream's path is an odd one for updates.
        let below = if changed { ".Spec" } else { "" };
        storage_request(out, format_args!("spec.volumeClaimTemplates[{i}]{below}"), claim.get("spec"));
    }
    if obj::number_at(object, "spec.revisionHistoryLimit").is_some_and(|n| n < 0) {
        out.push(
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
                .into(),
        );
    }
}

fn node(out: &mut Vec<String>, object: &Value) {
    if obj::at(object, "spec.configSource").is_some() {
        out.push("spec.configSource: the feature is removed".into());
    }
    if !obj::text_at(object, "spec.externalID").is_empty() {
        out.push("spec.externalID: this field is deprecated, and is unused by Kubernetes".into());
    }
    for (i, range) in obj::strings(obj::at(object, "spec.podCIDRs")).iter().enumerate() {
        out.extend(validation::cidr_warnings(&format!("spec.podCIDRs[{i}]"), range));
    }
}

/// Labels of nodes that have new names, or none any more (`deprecatedNodeLabels`).
fn old_node_label(key: &str) -> Option<&'static str> {
    Some(match key {
        "beta.kubernetes.io/arch" => "deprecated since v1.14; use \"kubernetes.io/arch\" instead",
        "beta.kubernetes.io/os" => "deprecated since v1.14; use \"kubernetes.io/os\" instead",
        "failure-domain.beta.kubernetes.io/region" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"
        }
        "failure-domain.beta.kubernetes.io/zone" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"
        }
        "beta.kubernetes.io/instance-type" => {
            "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"
        }
        "app.kubernetes.io/created-by" => "deprecated since v1.9",
        "scheduler.alpha.kubernetes.io/preferAvoidPods" => {
            "deprecated since v1.22; use Taints and Tolerations instead"
        }
        "node-role.kubernetes.io/master" => "use \"node-role.kubernetes.io/control-plane\" instead",
        _ => return None,
    })
}

fn old_node_labels(map: Option<&Value>) -> impl Iterator<Item = (&String, &'static str)> {
    let keys = map.and_then(Value::as_object).into_iter().flat_map(api::Object::keys);
    keys.filter_map(|key| Some((key, old_node_label(key)?)))
}

/// `GetWarningsForNodeSelectorTerm`.
fn selector_term(out: &mut Vec<String>, path: &str, term: &Value, check_values: bool) {
    let list = term.get("matchExpressions").and_then(Value::as_array);
    for (i, expression) in list.into_iter().flatten().enumerate() {
        let key = expression.get("key").and_then(Value::as_str).unwrap_or_default();
        if let Some(why) = old_node_label(key) {
            out.push(format!("{path}.matchExpressions[{i}].key: {key} is {why}"));
        }
        if check_values {
            for (j, value) in obj::strings(expression.get("values")).iter().enumerate() {
                for why in api::names::label_value(value) {
                    out.push(format!("{path}.matchExpressions[{i}].values[{j}]: {value} is invalid, {why}"));
                }
            }
        }
    }
}

fn storage_class(out: &mut Vec<String>, object: &Value) {
    let terms = object.get("allowedTopologies").and_then(Value::as_array);
    for (i, term) in terms.into_iter().flatten().enumerate() {
        let list = term.get("matchLabelExpressions").and_then(Value::as_array);
        for (j, expression) in list.into_iter().flatten().enumerate() {
            let key = expression.get("key").and_then(Value::as_str).unwrap_or_default();
            if let Some(why) = old_node_label(key) {
                out.push(format!("allowedTopologies[{i}].matchLabelExpressions[{j}].key: {why}"));
            }
        }
    }
}

fn node_topology(out: &mut Vec<String>, object: &Value) {
    let Some(topology) = obj::at(object, "nodeTopology") else { return };
    selector_term(out, "nodeTopology", topology, false);
    for (key, why) in old_node_labels(topology.get("matchLabels")) {
        out.push(format!("nodeTopology.matchLabels.{key}: {why}"));
    }
}

fn annotation(object: &Value, key: &str) -> bool {
    obj::at(object, "metadata.annotations").is_some_and(|a| a.get(key).is_some())
}

/// Names of pods and of what makes them become host names.
fn name(out: &mut Vec<String>, used_in: &str, name: &str) {
    let wrong = validation::dns_label_faults(name);
    if !wrong.is_empty() {
        out.push(format!(
            "metadata.name: this is used in {used_in}, which can result in surprising behavior; a DNS label is \
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
    let terms = obj::at(object, "spec.nodeAffinity.required.nodeSelectorTerms").and_then(Value::as_array);
    for (i, term) in terms.into_iter().flatten().enumerate() {
        selector_term(out, &format!("spec.nodeAffinity.required.nodeSelectorTerms[{i}]"), term, false);
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
    let text = |path: &str| obj::text_at(object, path);
    let listed = |path: &str| obj::strings(obj::at(object, path));
    let (external, addresses) = (listed("spec.externalIPs"), listed("spec.clusterIPs"));
    let headless = text("spec.type") == "ClusterIP" && text("spec.clusterIP") == "None";
    let named = text("spec.type") == "ExternalName";
    if annotation(object, "service.kubernetes.io/topology-aware-hints") {
        out.push(
            "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use \
             service.kubernetes.io/topology-mode instead"
                .into(),
        );
    }
    for (i, address) in addresses.iter().enumerate().filter(|(_, a)| *a != "None") {
        out.extend(validation::ip_warning(&format!("spec.clusterIPs[{i}]"), address));
    }
    if headless {
        if !text("spec.loadBalancerIP").is_empty() {
            out.push("spec.loadBalancerIP is ignored for headless services".into());
        }
        if !external.is_empty() {
            out.push("spec.externalIPs is ignored for headless services".into());
        }
        if text("spec.sessionAffinity") != "None" {
            out.push("spec.SessionAffinity is ignored for headless services".into());
        }
    }
    for (i, address) in external.iter().enumerate() {
        out.extend(validation::ip_warning(&format!("spec.externalIPs[{i}]"), address));
    }
    if !external.is_empty() && !headless && !named {
        out.push("spec.externalIPs is deprecated and may no longer be implemented in some clusters".into());
    }
    if !text("spec.loadBalancerIP").is_empty() {
        out.extend(validation::ip_warning("spec.loadBalancerIP", text("spec.loadBalancerIP")));
    }
    for (i, range) in listed("spec.loadBalancerSourceRanges").iter().enumerate() {
        out.extend(validation::cidr_warnings(&format!("spec.loadBalancerSourceRanges[{i}]"), range));
    }
    if named && !external.is_empty() {
        out.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".into());
    }
    if !named && !text("spec.externalName").is_empty() {
        out.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".into());
    }
    if text("spec.trafficDistribution") == "PreferClose" {
        out.push("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".into());
    }
}

/// Amounts of bytes that are no whole number.
fn fractional(out: &mut Vec<String>, path: impl fmt::Display, list: Option<&Value>, names: &[&str]) {
    for name in names {
        let Some(text) = list.and_then(|l| l.get(*name)).and_then(Value::as_str) else { continue };
        let amount = api::quantity::Quantity::parse(text).ok();
        if amount.is_some_and(|amount| amount.milli_value() % 1000 != 0) {
            out.push(format!(
                "{path}[{name}]: fractional byte value {text:?} is invalid, must be an integer"
            ));
        }
    }
}

fn storage_request(out: &mut Vec<String>, path: impl fmt::Display, spec: Option<&Value>) {
    let resources = spec.and_then(|s| s.get("resources"));
    for kind in ["requests", "limits"] {
        let list = resources.and_then(|r| r.get(kind));
        fractional(out, format_args!("{path}.resources.{kind}"), list, &["storage"]);
    }
}
