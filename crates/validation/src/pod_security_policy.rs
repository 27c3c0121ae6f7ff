//! Pod security policies, which only old clients know (`pkg/apis/policy/validation` of v1.19; `extensions` as of v1.10).

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path, go_quote};
use api::kinds::Era;

use crate::Context;
use crate::core::volume::old_csi_driver_name;
use crate::errs::Errs;
use crate::golang;
use crate::meta;
use crate::names;
use crate::value::Get;

static SPEC: Path<'static> = Path::new("spec");

/// `GetAllFSTypesAsSet`, and the wildcard.
const VOLUMES: &[&str] = &[
    "*",
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephFS",
    "cinder",
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "hostPath",
    "iscsi",
    "nfs",
    "persistentVolumeClaim",
    "photonPersistentDisk",
    "portworxVolume",
    "projected",
    "quobyte",
    "rbd",
    "scaleIO",
    "secret",
    "storageos",
    "vsphereVolume",
];

/// `ValidatePodSecurityPolicy`.
pub(crate) fn create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, false, names::subdomain, errs);
    spec(object.sub("spec"), ctx, errs);
}

/// `ValidatePodSecurityPolicyUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    spec(new.sub("spec"), ctx, errs);
}

fn spec(v: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    let rules: &[&str] = &["MustRunAs", "RunAsAny"];
    let group_rules = if ctx.era == Era::Early { rules } else { &["MayRunAs", "MustRunAs", "RunAsAny"] };
    strategy(v, "runAsUser", &["MustRunAs", "MustRunAsNonRoot", "RunAsAny"], errs);
    run_as_group(v, errs);
    strategy(v, "seLinux", rules, errs);
    strategy(v, "supplementalGroups", group_rules, errs);
    strategy(v, "fsGroup", group_rules, errs);
    // Ephemeral volumes came with 1.19.
    let early = ctx.era == Era::Early;
    let volumes: Vec<&str> = VOLUMES.iter().copied().filter(|v| !early || *v != "ephemeral").collect();
    for volume in v.strs("volumes") {
        if !volumes.contains(&volume) {
            errs.not_supported(&SPEC.child("volumes"), volume, &volumes);
        }
    }
    capabilities(v, errs);
    if v.flag("defaultAllowPrivilegeEscalation") && v.opt_flag("allowPrivilegeEscalation") == Some(false) {
        errs.invalid(
            &SPEC.child("defaultAllowPrivilegeEscalation"),
            true,
            "Cannot set DefaultAllowPrivilegeEscalation to true without also setting AllowPrivilegeEscalation to true",
        );
    }
    host_paths(v.list("allowedHostPaths"), &SPEC.child("allowedHostPaths"), errs);
    let drivers_path = SPEC.child("allowedFlexVolumes");
    let drivers = drivers_path.child("allowedFlexVolumes");
    for (i, volume) in v.list("allowedFlexVolumes").iter().enumerate() {
        if volume.str("driver").is_empty() {
            errs.required(&drivers.index(i).child("driver"), "must specify a driver");
        }
    }
    let drivers_path = SPEC.child("allowedCSIDrivers");
    let drivers = drivers_path.child("allowedCSIDriver");
    for (i, driver) in v.list("allowedCSIDrivers").iter().enumerate() {
        old_csi_driver_name(driver.str("name"), &drivers.index(i).child("name"), errs);
    }
    let (allowed, forbidden) = (v.strs("allowedUnsafeSysctls"), v.strs("forbiddenSysctls"));
    sysctls(&allowed, &SPEC.child("allowedUnsafeSysctls"), errs);
    sysctls(&forbidden, &SPEC.child("forbiddenSysctls"), errs);
    overlaps(&allowed, &forbidden, errs);
    if let Some(classes) = v.at("runtimeClass") {
        runtime_classes(classes, &SPEC.child("runtimeClass"), errs);
    }
}

/// How one of the identities of a pod is chosen.
fn strategy(v: &Value, field: &str, rules: &[&str], errs: &mut ErrorList) {
    let (path, strategy) = (SPEC.child(field), v.sub(field));
    let rule = strategy.str("rule");
    if !rules.contains(&rule) {
        errs.not_supported(&path.child("rule"), rule, rules);
    }
    id_ranges(strategy, &path, errs);
}

fn id_ranges(strategy: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let list = path.child("ranges");
    for (i, range) in strategy.list("ranges").iter().enumerate() {
        id_range(range, &list.index(i), errs);
    }
}

/// `validatePSPRunAsGroup`.
fn run_as_group(v: &Value, errs: &mut ErrorList) {
    let Some(group) = v.at("runAsGroup") else { return };
    let path = SPEC.child("runAsGroup");
    let ranges = group.list("ranges");
    let shown = || golang::shown("[policy.IDRange", group.sub("ranges"));
    match group.str("rule") {
        "RunAsAny" => {
            if !ranges.is_empty() {
                errs.invalid(&path.child("ranges"), shown(), "Ranges must be empty");
            }
        }
        "MustRunAs" | "MayRunAs" => {
            if ranges.is_empty() {
                errs.invalid(&path.child("ranges"), shown(), "must provide at least one range");
            }
            id_ranges(group, &path, errs);
        }
        other => errs.not_supported(&path.child("rule"), other, &["MustRunAs", "RunAsAny", "MayRunAs"]),
    }
}

/// `validateRuntimeClassStrategy`.
fn runtime_classes(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let list = path.child("allowedRuntimeClassNames");
    let names = v.strs("allowedRuntimeClassNames");
    let mut allowed = HashSet::new();
    for (i, name) in names.iter().enumerate() {
        if *name != "*" {
            errs.invalid_each(&list.index(i), name, names::is_dns1123_subdomain(name));
        }
        if !allowed.insert(*name) {
            errs.duplicate(&list.index(i), *name);
        }
    }
    let any = allowed.contains("*");
    if let Some(default) = v.opt_str("defaultRuntimeClassName") {
        errs.invalid_each(
            &path.child("defaultRuntimeClassName"),
            default,
            names::is_dns1123_subdomain(default),
        );
        if !any && !allowed.contains(default) {
            errs.required(&list, format!("default {} must be allowed", go_quote(default)));
        }
    }
    if any && names.len() > 1 {
        errs.invalid(
            &list,
            v.sub("allowedRuntimeClassNames"),
            "if '*' is present, must not specify other RuntimeClass names",
        );
    }
}

/// `validateIDRanges`.
fn id_range(range: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let (min, max) = (range.int("min"), range.int("max"));
    if min < 0 {
        errs.invalid(&path.child("min"), min, "min cannot be negative");
    }
    if max < 0 {
        errs.invalid(&path.child("max"), max, "max cannot be negative");
    }
    if min > max {
        errs.invalid(&path.child("min"), min, "min cannot be greater than max");
    }
}

fn capabilities(v: &Value, errs: &mut ErrorList) {
    let dropped = v.strs("requiredDropCapabilities");
    if !dropped.is_empty() && v.strs("allowedCapabilities").contains(&"*") {
        errs.invalid(
            &Path::new("requiredDropCapabilities"),
            v.sub("requiredDropCapabilities"),
            "must be empty when all capabilities are allowed by a wildcard",
        );
    }
    for field in ["defaultAddCapabilities", "allowedCapabilities"] {
        for capability in v.strs(field) {
            if dropped.contains(&capability) {
                let detail = format!("capability is listed in {field} and requiredDropCapabilities");
                errs.invalid(&Path::new(field), capability, detail);
            }
        }
    }
}

/// `validatePSPAllowedHostPaths`.
fn host_paths(list: &[Value], path: &Path<'_>, errs: &mut ErrorList) {
    for (i, allowed) in list.iter().enumerate() {
        let prefix = allowed.str("pathPrefix");
        if prefix.is_empty() {
            errs.required(&path.index(i), "is required");
            return;
        }
        if prefix.split('/').any(|part| part == "..") {
            errs.invalid(&path.index(i), prefix, "must not contain '..'");
        }
    }
}

/// `validatePodSecurityPolicySysctls`.
fn sysctls(list: &[&str], path: &Path<'_>, errs: &mut ErrorList) {
    const PATTERN: &str = "([a-z0-9]([-_a-z0-9]*[a-z0-9])?\\.)*([a-z0-9][-_a-z0-9]*)?[a-z0-9*]";
    for (i, name) in list.iter().enumerate() {
        if name.is_empty() {
            errs.invalid(&path.index(i), "", "empty sysctl not allowed");
        } else if !is_sysctl_pattern(name) {
            let detail = format!("must have at most 253 characters and match regex {PATTERN}");
            errs.invalid(&path.index(i), *name, detail);
        }
    }
    if list.len() > 1 && list.iter().any(|name| name.starts_with('*')) {
        errs.forbidden(&path.child("items"), "if '*' is present, must not specify other sysctls");
    }
}

fn is_sysctl_pattern(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = |c: char| plain(c) || c == '-' || c == '_';
    let mut parts: Vec<&str> = name.split('.').collect();
    let Some(last) = parts.pop() else { return false };
    let last = last.strip_suffix('*').map_or((last, false), |head| (head, true));
    let last_fits = match last {
        ("", with_star) => with_star,
        (text, with_star) => {
            text.starts_with(plain) && text.chars().all(inner) && (with_star || text.ends_with(plain))
        }
    };
    name.len() <= 253
        && last_fits
        && parts
            .iter()
            .all(|part| part.starts_with(plain) && part.ends_with(plain) && part.chars().all(inner))
}

/// `validatePodSecurityPolicySysctlListsDoNotOverlap`.
fn overlaps(allowed: &[&str], forbidden: &[&str], errs: &mut ErrorList) {
    let (allowed_path, forbidden_path) = (SPEC.child("allowedUnsafeSysctls"), SPEC.child("forbiddenSysctls"));
    for (i, a) in allowed.iter().enumerate() {
        for (j, f) in forbidden.iter().enumerate() {
            let covers = |pattern: &str, name: &str| {
                pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
            };
            if covers(f, a.trim_end_matches('*')) || a == f {
                errs.invalid(&allowed_path.index(i), *a, format!("sysctl overlaps with {f}"));
            } else if covers(a, f.trim_end_matches('*')) {
                errs.invalid(&forbidden_path.index(j), *f, format!("sysctl overlaps with {a}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_sysctl_pattern;

    #[test]
    fn sysctl_patterns() {
        for good in ["kernel.shm_rmid_forced", "net.*", "*", "a.b-c*"] {
            assert!(is_sysctl_pattern(good), "{good}");
        }
        for bad in ["kernel.", "Net.x", ".a", "a..b", "a-"] {
            assert!(!is_sysctl_pattern(bad), "{bad}");
        }
    }
}
