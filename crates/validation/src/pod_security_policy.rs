//! Pod security policies, which only old clients know (`pkg/apis/policy/validation` of v1.10).

use api::Value;
use api::field::{ErrorList, Path};

use crate::Context;
use crate::core::volume::csi_driver_name;
use crate::errs::Errs;
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
pub(crate) fn create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, false, names::subdomain, errs);
    spec(object.sub("spec"), errs);
}

/// `ValidatePodSecurityPolicyUpdate`.
pub(crate) fn update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    spec(new.sub("spec"), errs);
}

fn spec(v: &Value, errs: &mut ErrorList) {
    const RULES: &[&str] = &["MustRunAs", "RunAsAny"];
    const USER_RULES: &[&str] = &["MustRunAs", "MustRunAsNonRoot", "RunAsAny"];
    for (field, rules) in
        [("runAsUser", USER_RULES), ("seLinux", RULES), ("supplementalGroups", RULES), ("fsGroup", RULES)]
    {
        let (path, strategy) = (SPEC.child(field), v.sub(field));
        let rule = strategy.str("rule");
        if !rules.contains(&rule) {
            errs.not_supported(&path.child("rule"), rule, rules);
        }
        let list = path.child("ranges");
        for (i, range) in strategy.list("ranges").iter().enumerate() {
            id_range(range, &list.index(i), errs);
        }
    }
    for volume in v.strs("volumes") {
        if !VOLUMES.contains(&volume) {
            errs.not_supported(&SPEC.child("volumes"), volume, VOLUMES);
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
        csi_driver_name(driver.str("name"), &drivers.index(i).child("name"), errs);
    }
    let (allowed, forbidden) = (v.strs("allowedUnsafeSysctls"), v.strs("forbiddenSysctls"));
    sysctls(&allowed, &SPEC.child("allowedUnsafeSysctls"), errs);
    sysctls(&forbidden, &SPEC.child("forbiddenSysctls"), errs);
    overlaps(&allowed, &forbidden, errs);
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
