//! A pod's status (`ValidatePodStatusUpdate`).

use std::collections::{HashMap, HashSet};

use api::Value;
use api::field::{ErrorList, Path};

use super::{Options, devices, update::annotations_update};
use crate::Context;
use crate::errs::Errs;
use crate::golang;
use crate::meta;
use crate::names;
use crate::net;
use crate::value::Get;

const STATUS: Path<'static> = Path::new("status");

/// `ValidatePodStatusUpdate`.
pub(crate) fn status_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    let opts = Options::for_pod(Some(old), ctx);
    meta::kube_object_meta_update(new, old, errs);
    annotations_update(new, old, &opts, errs);
    let (status, before) = (new.sub("status"), old.sub("status"));
    let (spec, old_spec) = (new.sub("spec"), old.sub("spec"));
    conditions(status.list("conditions"), &STATUS.child("conditions"), errs);
    if spec.str("nodeName") != old_spec.str("nodeName") {
        errs.forbidden(&STATUS.child("nodeName"), "may not be changed directly");
    }
    let nominated = status.str("nominatedNodeName");
    if nominated != before.str("nominatedNodeName") && !nominated.is_empty() {
        let path = STATUS.child("nominatedNodeName");
        errs.invalid_each(&path, nominated, names::is_dns1123_subdomain(nominated));
        if !old_spec.str("nodeName").is_empty() {
            errs.forbidden(&path, "may not be set on pods that are already bound to a node");
        }
    }
    observed_generation(status, &STATUS, errs);
    if status.str("qosClass") != before.str("qosClass") {
        errs.invalid(&STATUS.child("qosClass"), status.str("qosClass"), meta::IMMUTABLE);
    }
    for (field, kind) in [("containerStatuses", "containers"), ("initContainerStatuses", "initContainers")] {
        transitions(status, before, field, Some((old_spec, kind)), errs);
    }
    transitions(status, before, "ephemeralContainerStatuses", None, errs);
    claim_statuses(status, spec, errs);
    if let Some(claim) = status.at("extendedResourceClaimStatus") {
        extended_claim(claim, spec, &STATUS.child("extendedResourceClaimStatus"), errs);
    }
    pod_ips(status, before, errs);
    host_ips(status, before, errs);
    for field in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
        users(status.list(field), spec, &STATUS.child(field), errs);
    }
    for (field, kind) in [("containerStatuses", "containers"), ("initContainerStatuses", "initContainers")] {
        devices::allocated(status.list(field), spec.list(kind), &STATUS.child(field), errs);
    }
    let ephemeral = "ephemeralContainerStatuses";
    devices::none_allocated(status.list(ephemeral), &STATUS.child(ephemeral), errs);
}

fn observed_generation(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let generation = v.int("observedGeneration");
    if generation < 0 {
        errs.invalid(&path.child("observedGeneration"), generation, "must be a non-negative integer");
    }
}

fn conditions(list: &[Value], path: &Path<'_>, errs: &mut ErrorList) {
    for (i, condition) in list.iter().enumerate() {
        let path = path.index(i);
        observed_generation(condition, &path, errs);
        let kind = condition.str("type");
        if !matches!(kind, "PodScheduled" | "Ready" | "Initialized") {
            errs.invalid_each(&path.child("Type"), kind, names::is_qualified_name(kind));
        }
    }
}

/// Whether a container that ended with a code is started again (`ContainerShouldRestart`).
fn restarts(container: &Value, spec: &Value, code: i64) -> bool {
    for rule in container.list("restartPolicyRules") {
        let codes = rule.sub("exitCodes");
        let listed = codes.list("values").iter().any(|v| v.as_i64() == Some(code));
        if listed == (codes.str("operator") == "In") {
            return true;
        }
    }
    let policy = container.opt_str("restartPolicy").unwrap_or_else(|| spec.str("restartPolicy"));
    match policy {
        "Always" => true,
        "OnFailure" => code != 0,
        _ => false,
    }
}

/// The items of a list by their names; the first of equal ones.
pub(super) fn by_name(list: &[Value]) -> HashMap<&str, &Value> {
    let mut items = HashMap::with_capacity(list.len());
    for item in list {
        items.entry(item.str("name")).or_insert(item);
    }
    items
}

/// `Validate…ContainerStateTransition`: what has ended stays ended, unless it may be restarted.
fn transitions(now: &Value, before: &Value, field: &str, of: Option<(&Value, &str)>, errs: &mut ErrorList) {
    const REFUSED: &str = "may not be transitioned to non-terminated state";
    let path = STATUS.child(field);
    let restart_all = of.is_some_and(|(spec, _)| {
        ["containers", "initContainers"]
            .iter()
            .flat_map(|k| spec.list(k))
            .flat_map(|c| c.list("restartPolicyRules"))
            .any(|r| r.str("action") == "RestartAllContainers")
    });
    if restart_all {
        return;
    }
    let states = by_name(now.list(field));
    let containers = of.map(|(spec, kind)| by_name(spec.list(kind))).unwrap_or_default();
    for (i, old) in before.list(field).iter().enumerate() {
        let Some(ended) = old.sub("state").at("terminated") else { continue };
        let name = old.str("name");
        let Some(new) = states.get(name) else { continue };
        if new.sub("state").at("terminated").is_some() {
            continue;
        }
        let container = of.zip(containers.get(name));
        let allowed = container.is_some_and(|((spec, _), c)| restarts(c, spec, ended.int("exitCode")));
        if !allowed {
            errs.forbidden(&path.index(i).child("state"), REFUSED);
        }
    }
}

fn claim_statuses(status: &Value, spec: &Value, errs: &mut ErrorList) {
    let path = STATUS.child("resourceClaimStatuses");
    let claims: HashSet<&str> = spec.list("resourceClaims").iter().map(|c| c.str("name")).collect();
    let mut seen: HashSet<&str> = HashSet::new();
    for (i, claim) in status.list("resourceClaimStatuses").iter().enumerate() {
        let path = path.index(i);
        let name = claim.str("name");
        if !claims.contains(name) {
            errs.invalid(
                &path.child("name"),
                name,
                "must match the name of an entry in `spec.resourceClaims`",
            );
        }
        if seen.contains(&name) {
            errs.duplicate(&path.child("name"), name);
        }
        seen.insert(name);
        if let Some(name) = claim.opt_str("resourceClaimName") {
            errs.invalid_each(&path.child("resourceClaimName"), name, names::is_dns1123_subdomain(name));
        }
    }
}

/// `validatePodExtendedResourceClaimStatus`.
fn extended_claim(status: &Value, spec: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let mappings = path.child("requestMappings");
    if status.list("requestMappings").is_empty() {
        errs.required(&mappings, "at least one request mapping is required");
    }
    let containers = || spec.list("initContainers").iter().chain(spec.list("containers"));
    let mut seen: HashSet<[&str; 3]> = HashSet::new();
    for (i, mapping) in status.list("requestMappings").iter().enumerate() {
        let item = mappings.index(i);
        const FIELDS: [&str; 3] = ["containerName", "resourceName", "requestName"];
        let key @ [container, resource, request] = FIELDS.map(|field| mapping.str(field));
        // Of containers with one name the last counts.
        match containers().rfind(|c| c.str("name") == container) {
            Some(found) if found.sub("resources").sub("requests").at(resource).is_some() => {}
            Some(_) => errs.invalid(
                &item.child("resourceName"),
                resource,
                "must match the extended resource name of an entry in spec.initContainers.resources.requests or \
                 spec.containers.resources.requests",
            ),
            None => errs.invalid(
                &item.child("containerName"),
                container,
                "must match the name of an entry in spec.initContainers.name or spec.containers.name",
            ),
        }
        errs.invalid_each(&path.child("requestName"), request, names::is_dns1123_label(request));
        if !seen.insert(key) {
            FIELDS.iter().zip(key).for_each(|(field, text)| errs.duplicate(&item.child(field), text));
        }
    }
    let name = status.str("resourceClaimName");
    if name.is_empty() {
        errs.required(&path.child("resourceClaimName"), "");
    } else {
        errs.invalid_each(&path.child("resourceClaimName"), name, names::is_dns1123_subdomain(name));
    }
}

fn ips<'a>(v: &'a Value, field: &str) -> Vec<&'a str> {
    v.list(field).iter().map(|ip| ip.str("ip")).collect()
}

fn address_list(status: &Value, before: &Value, field: &str, kind: &str, errs: &mut ErrorList) {
    let path = STATUS.child(field);
    let list = ips(status, field);
    let old = ips(before, field).into_iter().collect();
    for (i, ip) in list.iter().enumerate() {
        net::valid_ip(&path.index(i), ip, &old, errs);
    }
    if list.len() > 1 {
        let dual = net::is_dual_stack(&list);
        if dual.is_none() {
            let bad = list.iter().position(|ip| net::parse_ip_sloppy(ip).is_none()).unwrap_or(0);
            errs.internal(
                &path,
                format!("failed to check for dual stack with error:invalid IP[{bad}]: {}", list[bad]),
            );
        }
        if dual != Some(true) || list.len() > 2 {
            let shown = golang::shown(kind, status.sub(field));
            errs.invalid(&path, shown, "may specify no more than one IP for each IP family");
        }
    }
}

fn pod_ips(status: &Value, before: &Value, errs: &mut ErrorList) {
    address_list(status, before, "podIPs", "[core.PodIP", errs);
}

fn host_ips(status: &Value, before: &Value, errs: &mut ErrorList) {
    let list = ips(status, "hostIPs");
    let Some(first) = list.first() else { return };
    if status.str("hostIP") != *first {
        let path = STATUS.child("hostIPs");
        errs.invalid(&path.index(0).child("ip"), *first, "must be equal to `hostIP`");
    }
    address_list(status, before, "hostIPs", "[core.HostIP", errs);
}

fn users(list: &[Value], spec: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let windows = spec.sub("os").str("name") == "windows";
    for (i, container) in list.iter().enumerate() {
        let Some(linux) = container.sub("user").at("linux") else { continue };
        let item = path.index(i);
        let user = item.child("user");
        let path = user.child("linux");
        if windows {
            errs.forbidden(&path, "cannot be set for a windows pod");
            continue;
        }
        for field in ["uid", "gid"] {
            for message in names::is_user_id(linux.int(field)) {
                errs.invalid(&path.child(field), linux.int(field), message);
            }
        }
        let groups = path.child("supplementalGroups");
        for (j, group) in linux.list("supplementalGroups").iter().enumerate() {
            let id = group.as_i64().unwrap_or(0);
            for message in names::is_user_id(id) {
                errs.invalid(&groups.index(j), id, message);
            }
        }
    }
}
