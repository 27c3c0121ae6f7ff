//! Resource requirements, resource names and resource claims.

use std::collections::{BTreeSet, HashMap, HashSet};

use api::Value;
use api::field::{ErrorList, Path};

use super::Options;
use crate::errs::Errs;
use crate::golang;
use crate::names;
use crate::quantity::{Quantity, QuantityField as _};
use crate::value::Get;

const STANDARD: &[&str] = &[
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
];

const INTEGER: &[&str] = &[
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

pub(crate) fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

fn is_quota_huge_page(name: &str) -> bool {
    is_huge_page(name) || name.starts_with("requests.hugepages-")
}

/// `IsNativeResource`.
pub(crate) fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// `IsOvercommitAllowed`.
pub(crate) fn is_overcommit_allowed(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

/// `IsExtendedResourceName`.
pub(crate) fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && names::is_qualified_name(&format!("requests.{name}")).is_empty()
}

/// `IsStandardQuotaResourceName`.
pub(crate) fn is_standard_quota(name: &str) -> bool {
    (STANDARD.contains(&name) && name != "storage") || is_quota_huge_page(name)
}

/// `validateResourceName`.
pub(crate) fn resource_name(name: &str, path: &Path<'_>, errs: &mut ErrorList) {
    let messages = names::is_qualified_name(name);
    if !messages.is_empty() {
        errs.invalid_each(path, name, messages);
    } else if !name.contains('/') && !STANDARD.contains(&name) && !is_quota_huge_page(name) {
        errs.invalid(path, name, "must be a standard resource type or fully qualified");
    }
}

/// `validateContainerResourceName`.
pub(crate) fn container_resource_name(name: &str, path: &Path<'_>, errs: &mut ErrorList) {
    resource_name(name, path, errs);
    if !name.contains('/') {
        if !matches!(name, "cpu" | "memory" | "ephemeral-storage") && !is_huge_page(name) {
            errs.invalid(path, name, "must be a standard resource for containers");
        }
    } else if !is_native(name) && !is_extended(name) {
        errs.invalid(path, name, "doesn't follow extended resource name standard");
    }
}

fn pod_resource_name(name: &str, path: &Path<'_>, errs: &mut ErrorList) {
    let before = errs.len();
    resource_name(name, path, errs);
    if errs.len() == before && !matches!(name, "cpu" | "memory") && !is_huge_page(name) {
        errs.not_supported(path, name, &["cpu", "hugepages-", "memory"]);
    }
}

/// `ValidateResourceQuantityValue`.
pub(crate) fn quantity_value(name: &str, value: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let quantity = Quantity::of(value);
    if quantity.sign() < 0 {
        errs.invalid(path, &Quantity::shown(value), "must be greater than or equal to 0");
    }
    let integer = INTEGER.contains(&name) || is_extended(name);
    if integer && quantity.milli_value() % 1000 != 0 {
        errs.invalid(path, &Quantity::shown(value), "must be an integer");
    }
}

/// `IsHugePageResourceValueDivisible`.
pub(super) fn is_divisible(name: &str, value: &Quantity) -> bool {
    let size = name.strip_prefix("hugepages-").and_then(|s| Quantity::parse(s).ok());
    size.is_some_and(|size| {
        size.sign() > 0 && size.milli_value() % 1000 == 0 && value.value() % size.value() == 0
    })
}

fn huge_page_value(name: &str, value: &Value, opts: &Options, path: &Path<'_>, errs: &mut ErrorList) {
    if is_huge_page(name) && !opts.indivisible_huge_pages && !is_divisible(name, &Quantity::of(value)) {
        let text = Quantity::shown(value);
        errs.invalid(path, &text, format!("{text} is not positive integer multiple of {name}"));
    }
}

/// `ValidateContainerResourceRequirements`.
pub(crate) fn container(r: &Value, claims: &[&str], opts: &Options, path: &Path<'_>, errs: &mut ErrorList) {
    requirements(r, container_resource_name, claims, opts, path, errs);
}

/// `validateOverhead`.
pub(crate) fn overhead(overhead: &Value, opts: &Options, path: &Path<'_>, errs: &mut ErrorList) {
    let limits = path.child("limits");
    limits_of(overhead, container_resource_name, opts, &limits, errs);
    let names = || overhead.pairs().map(|(name, _)| name.as_str());
    if names().any(is_huge_page) && !names().any(is_compute) {
        errs.forbidden(path, "HugePages require cpu or memory");
    }
}

fn is_compute(name: &str) -> bool {
    matches!(name, "cpu" | "memory")
}

type NameCheck = fn(&str, &Path<'_>, &mut ErrorList);

fn limits_of(limits: &Value, name_check: NameCheck, opts: &Options, path: &Path<'_>, errs: &mut ErrorList) {
    for (name, value) in limits.pairs() {
        let path = path.key(name);
        name_check(name, &path, errs);
        quantity_value(name, value, &path, errs);
        huge_page_value(name, value, opts, &path, errs);
    }
}

/// `validateResourceRequirements`.
fn requirements(
    r: &Value,
    name_check: NameCheck,
    claims: &[&str],
    opts: &Options,
    path: &Path<'_>,
    errs: &mut ErrorList,
) {
    let (limits_path, requests_path) = (path.child("limits"), path.child("requests"));
    let limits = r.sub("limits");
    limits_of(limits, name_check, opts, &limits_path, errs);
    for (name, value) in r.entries("requests") {
        let item = requests_path.key(name);
        name_check(name, &item, errs);
        quantity_value(name, value, &item, errs);
        let overcommit = is_overcommit_allowed(name);
        match limits.get(name) {
            Some(limit) => {
                let order = Quantity::of(value).cmp(&Quantity::of(limit));
                let text = if !overcommit && order.is_ne() {
                    Some("equal to")
                } else if order.is_gt() {
                    Some("less than or equal to")
                } else {
                    None
                };
                if let Some(relation) = text {
                    errs.invalid(
                        &requests_path,
                        &Quantity::shown(value),
                        format!("must be {relation} {name} limit of {}", Quantity::shown(limit)),
                    );
                }
            }
            None if !overcommit => {
                errs.required(&limits_path, "Limit must be set for non overcommitable resources");
            }
            None => {}
        }
        huge_page_value(name, value, opts, &item, errs);
    }
    let names = || limits.pairs().chain(r.entries("requests")).map(|(name, _)| name.as_str());
    if names().any(is_huge_page) && !names().any(is_compute) {
        errs.forbidden(path, "HugePages require cpu or memory");
    }
    claim_names(r.list("claims"), claims, &path.child("claims"), errs);
}

/// So many names are listed in an error: more would make the errors of a long list too long for everybody.
const NAMES_MAX: usize = 100;

fn claim_names(list: &[Value], pod_claims: &[&str], path: &Path<'_>, errs: &mut ErrorList) {
    let known: BTreeSet<&str> = pod_claims.iter().copied().collect();
    // Which claims and requests came, and which names came with a request: as often as that.
    let mut seen: HashSet<String> = HashSet::new();
    let mut requested: HashMap<&str, usize> = HashMap::new();
    for (i, claim) in list.iter().enumerate() {
        let path = path.index(i);
        let (name, request) = (claim.str("name"), claim.str("request"));
        if name.is_empty() {
            errs.required(&path, "");
            continue;
        }
        if seen.contains(name) {
            errs.duplicate(&path, name);
        } else {
            let mut key = name.to_owned();
            if !request.is_empty() {
                errs.invalid_each(&path.child("request"), request, names::is_dns1123_label(request));
                key = format!("{name}/{request}");
            }
            if seen.contains(&key) {
                errs.duplicate(&path, &key);
            } else if request.is_empty() {
                for _ in 0..requested.get(name).copied().unwrap_or(0) {
                    errs.duplicate(&path, name);
                }
            }
            if !request.is_empty() {
                *requested.entry(name).or_default() += 1;
            }
            seen.insert(key);
        }
        if !known.contains(name) {
            let detail = if known.is_empty() {
                "must be one of the names in pod.spec.resourceClaims which is empty".to_owned()
            } else {
                let names: Vec<&str> = known.iter().copied().take(NAMES_MAX).collect();
                format!("must be one of the names in pod.spec.resourceClaims: {}", names.join(", "))
            };
            errs.not_found_because(&path, name, detail);
        }
    }
}

/// `validatePodResourceClaims`.
pub(super) fn pod_claims(spec: &Value, is_mirror: bool, path: &Path<'_>, errs: &mut ErrorList) {
    let mut seen: HashSet<&str> = HashSet::new();
    for (i, claim) in spec.list("resourceClaims").iter().enumerate() {
        if is_mirror {
            errs.forbidden(&Path::new("[]"), "static pods do not support resource claims");
            continue;
        }
        let path = path.index(i);
        let name = claim.str("name");
        if name.is_empty() {
            errs.required(&path.child("name"), "");
        } else if seen.contains(&name) {
            errs.duplicate(&path.child("name"), name);
        } else {
            errs.invalid_each(&path.child("name"), name, names::is_dns1123_label(name));
            seen.insert(name);
        }
        let (by_name, by_template) =
            (claim.opt_str("resourceClaimName"), claim.opt_str("resourceClaimTemplateName"));
        let shown = || golang::shown("core.PodResourceClaim", claim);
        if by_name.is_some() && by_template.is_some() {
            errs.invalid(
                &path,
                shown(),
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
            );
        }
        if by_name.is_none() && by_template.is_none() {
            errs.invalid(
                &path,
                shown(),
                "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            );
        }
        for (field, value) in [("resourceClaimName", by_name), ("resourceClaimTemplateName", by_template)] {
            if let Some(value) = value {
                errs.invalid_each(&path.child(field), value, names::is_dns1123_subdomain(value));
            }
        }
    }
}

/// `validatePodResources`: requirements of the pod as a whole.
pub(super) fn pod(spec: &Value, claims: &[&str], opts: &Options, path: &Path<'_>, errs: &mut ErrorList) {
    let Some(r) = spec.at("resources") else { return };
    let path = path.child("resources");
    if spec.sub("os").str("name") == "windows" {
        errs.forbidden(&path, "may not be set for a windows pod");
        return;
    }
    if r.at("claims").is_some() {
        errs.forbidden(&path.child("claims"), "claims may not be set for Resources at pod-level");
    }
    requirements(r, pod_resource_name, claims, opts, &path, errs);
    pod_consistency(spec, r, &path, errs);
}

/// The sum that the containers ask for (`AggregateContainerRequests`, `…Limits`).
fn aggregate(spec: &Value, what: &str, name: &str) -> Option<Quantity> {
    let of = |c: &Value| c.sub("resources").sub(what).get(name).map(Quantity::of);
    let mut total = None;
    for container in spec.list("containers") {
        total = add(total, of(container));
    }
    // Sidecars run beside the containers; the other init containers run one by one before.
    let (mut sidecars, mut init_max) = (None, None);
    for container in spec.list("initContainers") {
        if container.str("restartPolicy") == "Always" {
            sidecars = add(sidecars, of(container));
            total = add(total, of(container));
            init_max = init_max.max(sidecars.clone());
        } else if let Some(own) = of(container) {
            init_max = init_max.max(add(sidecars.clone(), Some(own)));
        }
    }
    total.max(init_max)
}

fn add(a: Option<Quantity>, b: Option<Quantity>) -> Option<Quantity> {
    match (a, b) {
        (Some(mut x), Some(y)) => {
            x.add(&y);
            Some(x)
        }
        (x, y) => x.or(y),
    }
}

fn pod_consistency(spec: &Value, r: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let requests = path.child("requests");
    for (name, value) in r.entries("requests") {
        if let Some(sum) = aggregate(spec, "requests", name)
            && sum > Quantity::of(value)
        {
            errs.invalid(
                &requests.key(name),
                &Quantity::shown(value),
                format!("must be greater than or equal to aggregate container requests of {sum}"),
            );
        }
    }
    for (name, value) in r.entries("limits").filter(|(name, _)| is_huge_page(name)) {
        if let Some(sum) = aggregate(spec, "limits", name)
            && sum > Quantity::of(value)
        {
            errs.invalid(
                &path.child("limits").key(name),
                &Quantity::shown(value),
                format!("must be greater than or equal to aggregate container limits of {sum}"),
            );
        }
    }
    let containers = path.child("containers");
    for (i, container) in spec.list("containers").iter().enumerate() {
        for (name, value) in container.sub("resources").entries("limits") {
            if let Some(limit) = r.sub("limits").get(name)
                && Quantity::of(value) > Quantity::of(limit)
            {
                errs.invalid(
                    &containers.index(i).key(name).child("limits"),
                    &Quantity::shown(value),
                    format!("must be less than or equal to pod limits of {}", Quantity::shown(limit)),
                );
            }
        }
    }
}
