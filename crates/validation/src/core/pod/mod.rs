//! Pods and pod templates (`ValidatePodSpec`, `ValidatePodTemplateSpec`, `ValidatePodCreate`).

use std::collections::HashSet;

pub(crate) mod affinity;
pub(crate) mod container;
mod devices;
pub(crate) mod env;
mod options;
pub(crate) mod probe;
pub(crate) mod resources;
mod security;
mod status;
mod update;

use api::Value;
use api::field::{ErrorList, Path, go_quote};

pub(crate) use options::Options;
pub(crate) use status::status_update;
pub(crate) use update::{ephemeral_containers_update, pod_update, qos_class, resize_update};

use crate::Context;
use crate::core::volume;
use crate::errs::Errs;
use crate::meta::{self, METADATA};
use crate::names;
use crate::net;
use crate::value::Get;

const MIRROR: &str = "kubernetes.io/config.mirror";
const SPEC: Path<'static> = Path::new("spec");

/// Calls `visit` for every container of a pod with its path: init, regular, ephemeral.
pub(crate) fn visit_containers(spec: &Value, path: &Path<'_>, visit: &mut dyn FnMut(&Value, &Path<'_>)) {
    for kind in ["initContainers", "containers", "ephemeralContainers"] {
        let list = path.child(kind);
        for (i, container) in spec.list(kind).iter().enumerate() {
            visit(container, &list.index(i));
        }
    }
}

/// `ValidatePodCreate`.
pub(crate) fn pod_create(pod: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    let opts = Options::for_pod(None, ctx);
    metadata_and_spec(pod, &opts, errs);
    let spec = pod.sub("spec");
    if !spec.list("ephemeralContainers").is_empty() {
        errs.forbidden(&SPEC.child("ephemeralContainers"), "cannot be set on create");
    }
    if !spec.str("nodeName").is_empty() && !spec.list("schedulingGates").is_empty() {
        errs.forbidden(&SPEC.child("nodeName"), "cannot be set until all schedulingGates have been cleared");
    }
    annotations_match_fields(pod, spec, &SPEC, errs);
}

/// `validatePodMetadataAndSpec`.
fn metadata_and_spec(pod: &Value, opts: &Options, errs: &mut ErrorList) {
    meta::kube_object_meta(pod, true, names::subdomain, errs);
    let spec = pod.sub("spec");
    annotations(pod.sub("metadata"), spec, opts, &METADATA.child("annotations"), errs);
    pod_spec(spec, Some(pod.sub("metadata")), opts, &SPEC, errs);
    if spec.str("serviceAccountName").is_empty() {
        let volumes = SPEC.child("volumes");
        for (i, v) in spec.list("volumes").iter().enumerate() {
            for (j, source) in v.sub("projected").list("sources").iter().enumerate() {
                if source.at("serviceAccountToken").is_some() {
                    errs.forbidden(
                        &volumes
                            .index(i)
                            .child("projected")
                            .child("sources")
                            .index(j)
                            .child("serviceAccountToken"),
                        "must not be specified when serviceAccountName is not set",
                    );
                }
            }
        }
    }
    for kind in ["containers", "initContainers"] {
        let list = SPEC.child(kind);
        for (i, c) in spec.list(kind).iter().enumerate() {
            container::image_whitespace(c, &list.index(i), errs);
        }
    }
}

/// `ValidatePodSpecificAnnotations`.
pub(crate) fn annotations(
    metadata: &Value,
    spec: &Value,
    opts: &Options,
    path: &Path<'_>,
    errs: &mut ErrorList,
) {
    const COST: &str = "controller.kubernetes.io/pod-deletion-cost";
    let Some(annotations) = metadata.at("annotations") else { return };
    if let Some(value) = annotations.opt_str(MIRROR)
        && spec.str("nodeName").is_empty()
    {
        errs.invalid(&path.key(MIRROR), value, "must set spec.nodeName if mirror pod annotation is set");
    }
    if let Some(cost) = annotations.opt_str(COST)
        && !opts.any_deletion_cost
        && !is_deletion_cost(cost)
    {
        errs.invalid(&path.key(COST), cost, "must be a 32bit integer");
    }
    for (key, value) in annotations.pairs() {
        let value = value.text();
        let pod_wide = key == "seccomp.security.alpha.kubernetes.io/pod";
        if pod_wide || key.starts_with("container.seccomp.security.alpha.kubernetes.io/") {
            seccomp_annotation(value, &path.child(key), errs);
        }
        if let Some(name) = key.strip_prefix(APP_ARMOR) {
            app_armor_annotation(key, name, value, spec, path, errs);
        }
    }
}

const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// `GetDeletionCostFromPodAnnotations`.
fn is_deletion_cost(text: &str) -> bool {
    let first = text == "0" || text.starts_with('-') || text.starts_with(|c: char| ('1'..='9').contains(&c));
    first && text.parse::<i32>().is_ok()
}

fn seccomp_annotation(profile: &str, path: &Path<'_>, errs: &mut ErrorList) {
    match profile {
        "runtime/default" | "docker/default" | "unconfined" => {}
        other => match other.strip_prefix("localhost/") {
            Some(local) => volume::descending_path(local, path, errs),
            None => errs.invalid(path, other, "must be a valid seccomp profile"),
        },
    }
}

fn app_armor_annotation(
    key: &str,
    name: &str,
    profile: &str,
    spec: &Value,
    path: &Path<'_>,
    errs: &mut ErrorList,
) {
    let known = ["initContainers", "containers", "ephemeralContainers"]
        .iter()
        .flat_map(|kind| spec.list(kind))
        .any(|c| c.str("name") == name);
    if !known {
        errs.invalid(&path.key(key), name, "container not found");
    }
    let good = matches!(profile, "" | "runtime/default" | "unconfined") || profile.starts_with("localhost/");
    if !good {
        errs.invalid(
            &path.key(key),
            profile,
            format!("invalid AppArmor profile name: {}", go_quote(profile)),
        );
    }
}

/// `validateSeccompAnnotationsAndFields`, `validateAppArmorAnnotationsAndFieldsMatchOnCreate`.
fn annotations_match_fields(object: &Value, spec: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let Some(annotations) = object.sub("metadata").at("annotations") else { return };
    let pod_context = spec.sub("securityContext");
    if let Some(text) = annotations.opt_str("seccomp.security.alpha.kubernetes.io/pod") {
        let context = path.child("securityContext");
        let profile = pod_context.sub("seccompProfile");
        profiles_match(text, profile, "seccomp", &context.child("seccompProfile"), errs);
    }
    visit_containers(spec, path, &mut |container, path| {
        let key = format!("container.seccomp.security.alpha.kubernetes.io/{}", container.str("name"));
        if let Some(text) = annotations.opt_str(&key) {
            let context = path.child("securityContext");
            let profile = container.sub("securityContext").sub("seccompProfile");
            profiles_match(text, profile, "seccomp", &context.child("seccompProfile"), errs);
        }
    });
    if spec.sub("os").str("name") == "windows" {
        return;
    }
    visit_containers(spec, path, &mut |container, path| {
        let key = format!("{APP_ARMOR}{}", container.str("name"));
        if let Some(text) = annotations.opt_str(&key) {
            let own = container.sub("securityContext").at("appArmorProfile");
            let profile = own.unwrap_or_else(|| pod_context.sub("appArmorProfile"));
            let context = path.child("securityContext");
            profiles_match(text, profile, "apparmor", &context.child("appArmorProfile"), errs);
        }
    });
}

fn profiles_match(text: &str, profile: &Value, what: &str, path: &Path<'_>, errs: &mut ErrorList) {
    let agrees = match profile.str("type") {
        "Unconfined" => text == "unconfined",
        "RuntimeDefault" => text == "runtime/default" || (what == "seccomp" && text == "docker/default"),
        "Localhost" => match text.strip_prefix("localhost/") {
            None => false,
            Some(local) => {
                if profile.opt_str("localhostProfile") != Some(local) {
                    errs.forbidden(
                        &path.child("localhostProfile"),
                        format!("{what} profile in annotation and field must match"),
                    );
                }
                true
            }
        },
        _ => true,
    };
    if !agrees {
        errs.forbidden(&path.child("type"), format!("{what} type in annotation and field must match"));
    }
}

/// `ValidatePodTemplateSpec`.
pub(crate) fn template_spec(template: &Value, opts: &Options, path: &Path<'_>, errs: &mut ErrorList) {
    let (metadata, spec) = (template.sub("metadata"), template.sub("spec"));
    meta::labels(metadata.entries("labels"), &path.child("labels"), errs);
    meta::annotations(metadata.entries("annotations"), &path.child("annotations"), errs);
    annotations(metadata, spec, opts, &path.child("annotations"), errs);
    let spec_path = path.child("spec");
    pod_spec(spec, None, opts, &spec_path, errs);
    annotations_match_fields(template, spec, &spec_path, errs);
    if !spec.list("ephemeralContainers").is_empty() {
        errs.forbidden(
            &spec_path.child("ephemeralContainers"),
            "ephemeral containers not allowed in pod template",
        );
    }
}

/// `ValidatePodSpec`.
pub(crate) fn pod_spec(
    spec: &Value,
    metadata: Option<&Value>,
    opts: &Options,
    path: &Path<'_>,
    errs: &mut ErrorList,
) {
    let grace = spec.opt_int("terminationGracePeriodSeconds");
    if grace.is_none() {
        errs.required(&path.child("terminationGracePeriodSeconds"), "");
    }
    let volumes = volumes(spec, metadata, opts, &path.child("volumes"), errs);
    let claims: Vec<&str> =
        spec.list("resourceClaims").iter().map(|c| c.str("name")).filter(|n| !n.is_empty()).collect();
    let mirror = metadata.is_some_and(|m| m.sub("annotations").at(MIRROR).is_some());
    resources::pod_claims(spec, mirror, &path.child("resourceClaims"), errs);
    let volumes = volumes.into_iter().map(|v| (v.str("name"), v)).collect();
    let around = container::Around { spec, volumes, claims, grace, opts };
    container::containers(&around, &path.child("containers"), errs);
    container::init_containers(&around, &path.child("initContainers"), errs);
    container::ephemeral_containers(&around, &path.child("ephemeralContainers"), errs);
    resources::pod(spec, &around.claims, opts, path, errs);
    host_network_ports(spec, opts, path, errs);
    one_of_required(spec, "restartPolicy", &["Always", "OnFailure", "Never"], path, errs);
    const DNS: &[&str] = &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    one_of_required(spec, "dnsPolicy", DNS, path, errs);
    meta::labels(spec.entries("nodeSelector"), &path.child("nodeSelector"), errs);
    security::pod(spec, opts, &path.child("securityContext"), errs);
    if let Some(v) = spec.at("affinity") {
        affinity::affinity(v, opts, &path.child("affinity"), errs);
    }
    dns_config(spec, &path.child("dnsConfig"), errs);
    gates(spec, path, errs);
    let spread = spec.list("topologySpreadConstraints");
    affinity::topology_spread(spread, opts, &path.child("topologySpreadConstraints"), errs);
    security::host_process(spec, opts, path, errs);
    security::host_users(spec, opts, path, errs);
    host_name_override(spec, path, errs);
    names_of_things(spec, path, errs);
    let comparison = opts.comparison_tolerations;
    affinity::tolerations(spec.list("tolerations"), comparison, &path.child("tolerations"), errs);
    host_aliases(spec.list("hostAliases"), &path.child("hostAliases"), errs);
    let priority_class = spec.str("priorityClassName");
    if !priority_class.is_empty() {
        errs.invalid_each(
            &path.child("priorityClassName"),
            priority_class,
            names::is_dns1123_subdomain(priority_class),
        );
    }
    if let Some(class) = spec.opt_str("runtimeClassName") {
        errs.invalid_each(&path.child("runtimeClassName"), class, names::is_dns1123_subdomain(class));
    }
    if spec.at("preemptionPolicy").is_some() {
        one_of_required(spec, "preemptionPolicy", &["PreemptLowerPriority", "Never"], path, errs);
    }
    if let Some(overhead) = spec.at("overhead") {
        resources::overhead(overhead, opts, &path.child("overhead"), errs);
    }
    security::os(spec, path, errs);
    if let Some(group) = spec.at("schedulingGroup") {
        let path = path.child("schedulingGroup");
        match group.opt_str("podGroupName") {
            None => {
                errs.invalid(&path.child("podGroupName"), None::<&str>, "must specify one of: `podGroupName`")
            }
            Some(name) => {
                errs.invalid_each(&path.child("podGroupName"), name, names::is_dns1123_subdomain(name));
            }
        }
    }
    env::file_key_volumes(spec, path, errs);
}

/// `ValidateVolumes`. Gives the volumes without errors.
fn volumes<'a>(
    spec: &'a Value,
    metadata: Option<&Value>,
    opts: &Options,
    path: &Path<'_>,
    errs: &mut ErrorList,
) -> Vec<&'a Value> {
    let list = spec.list("volumes");
    let mut good: Vec<&Value> = Vec::with_capacity(list.len());
    let mut names: HashSet<&str> = HashSet::with_capacity(list.len());
    let owner_name = metadata.map_or("", |m| m.str("name"));
    let ephemeral = list.iter().filter(|o| o.at("ephemeral").is_some());
    let created: HashSet<String> = ephemeral.map(|o| format!("{owner_name}-{}", o.str("name"))).collect();
    for (i, v) in list.iter().enumerate() {
        let path = path.index(i);
        let (name, name_path) = (v.str("name"), path.child("name"));
        let before = errs.len();
        let about = volume::About { volume_name: name, owner_name, nodes_given: false, opts };
        volume::pod_volume_source(v, &path, &about, errs);
        if name.is_empty() {
            errs.required(&name_path, "");
        } else {
            errs.invalid_each(&name_path, name, names::is_dns1123_label(name));
        }
        if names.contains(name) {
            errs.duplicate(&name_path, name);
        }
        if errs.len() == before {
            good.push(v);
            names.insert(name);
        }
        let claim = v.sub("persistentVolumeClaim").str("claimName");
        if !claim.is_empty() && !owner_name.is_empty() && created.contains(claim) {
            errs.invalid(
                &path.child("persistentVolumeClaim").child("claimName"),
                claim,
                "must not reference a PVC that gets created for an ephemeral volume",
            );
        }
    }
    good
}

fn one_of_required(v: &Value, field: &str, allowed: &[&str], path: &Path<'_>, errs: &mut ErrorList) {
    let value = v.str(field);
    if value.is_empty() {
        errs.required(&path.child(field), "");
    } else if !allowed.contains(&value) {
        errs.not_supported(&path.child(field), value, allowed);
    }
}

/// `validatePodHostNetworkDeps`.
fn host_network_ports(spec: &Value, opts: &Options, path: &Path<'_>, errs: &mut ErrorList) {
    if !spec.flag("hostNetwork") {
        return;
    }
    let containers = path.child("containers");
    for (i, container) in spec.list("containers").iter().enumerate() {
        let item = containers.index(i);
        let ports = item.child("ports");
        for (j, port) in container.list("ports").iter().enumerate() {
            let host = port.int("hostPort");
            if (opts.is_pod || host != 0) && host != port.int("containerPort") {
                errs.invalid(
                    &ports.index(j).child("hostPort"),
                    host,
                    "must match `containerPort` when `hostNetwork` is true",
                );
            }
        }
    }
}

/// `validatePodDNSConfig`.
fn dns_config(spec: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let config = spec.at("dnsConfig");
    if spec.str("dnsPolicy") == "None" {
        match config {
            None => errs.required(path, "must provide `dnsConfig` when `dnsPolicy` is None"),
            Some(c) if c.list("nameservers").is_empty() => errs.required(
                &path.child("nameservers"),
                "must provide at least one DNS nameserver when `dnsPolicy` is None",
            ),
            Some(_) => {}
        }
    }
    let Some(config) = config else { return };
    let (servers, searches) = (config.strs("nameservers"), config.strs("searches"));
    if spec.str("dnsPolicy") == "None" && servers.is_empty() {
        return;
    }
    let servers_path = path.child("nameservers");
    if servers.len() > 3 {
        errs.invalid(&servers_path, config.sub("nameservers"), "must not have more than 3 nameservers");
    }
    for (i, server) in servers.iter().enumerate() {
        net::valid_ip(&servers_path.index(i), server, &net::Before::default(), errs);
    }
    let searches_path = path.child("searches");
    if searches.len() > 32 {
        errs.invalid(&searches_path, config.sub("searches"), "must not have more than 32 search paths");
    }
    if searches.iter().map(|s| s.len() + 1).sum::<usize>() > 2048 + 1 {
        errs.invalid(
            &searches_path,
            config.sub("searches"),
            "must not have more than 2048 characters (including spaces) in the search list",
        );
    }
    for (i, search) in searches.iter().enumerate() {
        if *search != "." {
            let search = search.strip_suffix('.').unwrap_or(search);
            errs.invalid_each(&searches_path.index(i), search, names::is_subdomain_with_underscore(search));
        }
    }
    let options = path.child("options");
    for (i, option) in config.list("options").iter().enumerate() {
        if option.str("name").is_empty() {
            errs.required(&options.index(i), "must not be empty");
        }
    }
}

fn gates(spec: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let readiness = path.child("readinessGates");
    for (i, gate) in spec.list("readinessGates").iter().enumerate() {
        let kind = gate.str("conditionType");
        let item = readiness.index(i);
        errs.invalid_each(&item.child("conditionType"), kind, names::is_qualified_name(kind));
    }
    let scheduling = path.child("schedulingGates");
    let mut seen: HashSet<&str> = HashSet::new();
    for (i, gate) in spec.list("schedulingGates").iter().enumerate() {
        let (name, item) = (gate.str("name"), scheduling.index(i));
        errs.invalid_each(&item, name, names::is_qualified_name(name));
        if seen.contains(&name) {
            errs.duplicate(&item, name);
        }
        seen.insert(name);
    }
}

/// `validatePodHostName`.
fn host_name_override(spec: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let Some(name) = spec.opt_str("hostnameOverride") else { return };
    let path = path.child("hostnameOverride");
    if spec.flag("setHostnameAsFQDN") {
        errs.forbidden(&path, "may not be specified when setHostnameAsFQDN is true");
    }
    if spec.flag("hostNetwork") {
        errs.forbidden(&path, "may not be specified when hostNetwork is true");
    }
    if name.len() > 64 {
        errs.too_long(&path, 64);
    }
    errs.invalid_each(&path, name, names::is_dns1123_subdomain(name));
}

fn names_of_things(spec: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    for field in ["serviceAccountName", "nodeName"] {
        let name = spec.str(field);
        if !name.is_empty() {
            errs.invalid_each(&path.child(field), name, names::is_dns1123_subdomain(name));
        }
    }
    if let Some(seconds) = spec.opt_int("activeDeadlineSeconds") {
        for message in names::in_range(seconds, 1, i64::from(i32::MAX)) {
            errs.invalid(&path.child("activeDeadlineSeconds"), seconds, message);
        }
    }
    for field in ["hostname", "subdomain"] {
        let name = spec.str(field);
        if !name.is_empty() {
            errs.invalid_each(&path.child(field), name, names::is_dns1123_label(name));
        }
    }
}

fn host_aliases(list: &[Value], path: &Path<'_>, errs: &mut ErrorList) {
    for (i, alias) in list.iter().enumerate() {
        let path = path.index(i);
        net::valid_ip(&path.child("ip"), alias.str("ip"), &net::Before::default(), errs);
        let hosts = path.child("hostnames");
        for (j, host) in alias.strs("hostnames").into_iter().enumerate() {
            errs.invalid_each(&hosts.index(j), host, names::is_dns1123_subdomain(host));
        }
    }
}

/// `ValidatePodTemplate`.
pub(crate) fn pod_template_create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    let opts = Options::for_template(None, ctx);
    template_spec(object.sub("template"), &opts, &Path::new("template"), errs);
}

/// `ValidatePodTemplateUpdate`.
pub(crate) fn pod_template_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    let opts = Options::for_template(Some(old.sub("template")), ctx);
    template_spec(new.sub("template"), &opts, &Path::new("template"), errs);
}

#[cfg(test)]
mod tests;
