//! Security contexts of containers and pods, and what an operating system rules out.

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path};

use super::{Options, container::quoted_security_context, visit_containers};
use crate::core::volume::descending_path;
use crate::errs::{Errs, Raw};
use crate::golang;
use crate::names;
use crate::value::Get;

/// `ValidateSecurityContext`.
pub(super) fn container(sc: &Value, host_users: bool, opts: &Options, path: &Path<'_>, errs: &mut ErrorList) {
    if sc.flag("privileged") && !opts.allow_privileged {
        errs.forbidden(&path.child("privileged"), "disallowed by cluster policy");
    }
    ids(sc, &["runAsUser", "runAsGroup"], path, errs);
    if let Some(mount) = sc.opt_str("procMount") {
        let path = path.child("procMount");
        if !matches!(mount, "Default" | "Unmasked") {
            errs.not_supported(&path, mount, &["Default", "Unmasked"]);
        }
        if host_users && mount == "Unmasked" {
            errs.invalid(&path, mount, "`hostUsers` must be false to use `Unmasked`");
        }
    }
    seccomp(sc.sub("seccompProfile"), &path.child("seccompProfile"), errs);
    if sc.opt_flag("allowPrivilegeEscalation") == Some(false) {
        if sc.flag("privileged") {
            errs.invalid(
                path,
                quoted_security_context(sc),
                "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
            );
        }
        if sc.sub("capabilities").list("add").iter().any(|c| c.text() == "CAP_SYS_ADMIN") {
            errs.invalid(
                path,
                quoted_security_context(sc),
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
            );
        }
    }
    windows_options(sc.sub("windowsOptions"), &path.child("windowsOptions"), errs);
    app_armor(sc.sub("appArmorProfile"), &path.child("appArmorProfile"), errs);
}

fn ids(sc: &Value, fields: &[&str], path: &Path<'_>, errs: &mut ErrorList) {
    for field in fields {
        if let Some(id) = sc.opt_int(field) {
            for message in names::is_user_id(id) {
                errs.invalid(&path.child(field), id, message);
            }
        }
    }
}

/// `validatePodSpecSecurityContext`.
pub(super) fn pod(spec: &Value, opts: &Options, path: &Path<'_>, errs: &mut ErrorList) {
    let sc = spec.sub("securityContext");
    ids(sc, &["fsGroup", "runAsUser", "runAsGroup"], path, errs);
    let groups = path.child("supplementalGroups");
    for (i, group) in sc.list("supplementalGroups").iter().enumerate() {
        let id = group.as_i64().unwrap_or(0);
        for message in names::is_user_id(id) {
            errs.invalid(&groups.index(i), id, message);
        }
    }
    if spec.flag("shareProcessNamespace") && spec.flag("hostPID") {
        errs.invalid(
            &path.child("shareProcessNamespace"),
            true,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        );
    }
    sysctls(spec, opts, &path.child("sysctls"), errs);
    one_of(sc, "fsGroupChangePolicy", &["Always", "OnRootMismatch"], path, errs);
    seccomp(sc.sub("seccompProfile"), &path.child("seccompProfile"), errs);
    windows_options(sc.sub("windowsOptions"), &path.child("windowsOptions"), errs);
    app_armor(sc.sub("appArmorProfile"), &path.child("appArmorProfile"), errs);
    one_of(sc, "supplementalGroupsPolicy", &["Merge", "Strict"], path, errs);
    let change: &[&str] =
        if opts.only_recursive_selinux { &["Recursive"] } else { &["MountOption", "Recursive"] };
    one_of(sc, "seLinuxChangePolicy", change, path, errs);
}

fn one_of(v: &Value, field: &str, allowed: &[&str], path: &Path<'_>, errs: &mut ErrorList) {
    if let Some(value) = v.opt_str(field)
        && !allowed.contains(&value)
    {
        errs.not_supported(&path.child(field), value, allowed);
    }
}

/// `IsValidSysctlName`
fn is_sysctl_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let segment = |s: &[u8]| match s {
        [] => false,
        [one] => good(*one),
        [first, middle @ .., last] => {
            good(*first) && good(*last) && middle.iter().all(|b| good(*b) || matches!(b, b'-' | b'_'))
        }
    };
    name.len() <= 253 && name.as_bytes().split(|b| matches!(b, b'.' | b'/')).all(segment)
}

fn sysctls(spec: &Value, opts: &Options, path: &Path<'_>, errs: &mut ErrorList) {
    let mut seen: HashSet<&str> = HashSet::new();
    for (i, sysctl) in spec.sub("securityContext").list("sysctls").iter().enumerate() {
        let item = path.index(i);
        let (name, path) = (sysctl.str("name"), item.child("name"));
        if name.is_empty() {
            errs.required(&path, "");
        } else if !is_sysctl_name(name) {
            errs.invalid(&path, name, "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$");
        } else if seen.contains(&name) {
            errs.duplicate(&path, name);
        }
        if !opts.host_sysctls
            && let Some(message) = host_sysctl(name, spec)
        {
            errs.invalid(&path, name, message);
        }
        seen.insert(name);
    }
}

/// `ValidateHostSysctl`.
pub(super) fn host_sysctl(name: &str, spec: &Value) -> Option<&'static str> {
    let name = normal_sysctl(name);
    if spec.flag("hostNetwork") && name.starts_with("net.") {
        return Some("may not be specified when 'hostNetwork' is true");
    }
    let ipc = ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|p| name.starts_with(p))
        || name == "kernel.sem";
    (spec.flag("hostIPC") && ipc).then_some("may not be specified when 'hostIPC' is true")
}

/// `NormalizeName`: a name whose first separator is a slash has dots and slashes swapped.
fn normal_sysctl(name: &str) -> std::borrow::Cow<'_, str> {
    match name.find(['.', '/']) {
        Some(i) if name.as_bytes()[i] == b'/' => name
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect::<String>()
            .into(),
        _ => name.into(),
    }
}

fn seccomp(profile: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    if profile.is_null() {
        return;
    }
    let kind = profile.str("type");
    match kind {
        "Localhost" | "RuntimeDefault" | "Unconfined" => {}
        "" => errs.required(&path.child("type"), "type is required when seccompProfile is set"),
        other => {
            errs.not_supported(&path.child("type"), other, &["Localhost", "RuntimeDefault", "Unconfined"])
        }
    }
    let local = path.child("localhostProfile");
    match (kind == "Localhost", profile.opt_str("localhostProfile")) {
        (true, None) => errs.required(&local, "must be set when seccomp type is Localhost"),
        (true, Some(p)) => descending_path(p, &local, errs),
        (false, Some(_)) => {
            let shown = golang::typed("core.SeccompProfile", profile);
            errs.invalid(&local, Raw(shown), "can only be set when seccomp type is Localhost");
        }
        (false, None) => {}
    }
}

/// `ValidateAppArmorProfileField`.
fn app_armor(profile: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    const NEEDED: &str = "must be set when AppArmor type is Localhost";
    if profile.is_null() {
        return;
    }
    let local = path.child("localhostProfile");
    let given = profile.opt_str("localhostProfile");
    match profile.str("type") {
        "Localhost" => match given {
            None => errs.required(&local, NEEDED),
            Some(p) => {
                if p.trim() != p {
                    errs.invalid(&local, p, "must not be padded with whitespace");
                } else if p.is_empty() {
                    errs.required(&local, NEEDED);
                }
                if p.len() > 4095 {
                    errs.too_long(&local, 4095);
                }
            }
        },
        "RuntimeDefault" | "Unconfined" => {
            if given.is_some() {
                errs.invalid(&local, given, "can only be set when AppArmor type is Localhost");
            }
        }
        "" => errs.required(&path.child("type"), "type is required when appArmorProfile is set"),
        other => {
            errs.not_supported(&path.child("type"), other, &["Localhost", "RuntimeDefault", "Unconfined"])
        }
    }
}

fn windows_options(options: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    if let Some(name) = options.opt_str("gmsaCredentialSpecName") {
        errs.invalid_each(&path.child("gmsaCredentialSpecName"), name, names::is_dns1123_subdomain(name));
    }
    if let Some(spec) = options.opt_str("gmsaCredentialSpec") {
        let path = path.child("gmsaCredentialSpec");
        if spec.is_empty() {
            errs.invalid(&path, spec, "gmsaCredentialSpec cannot be an empty string");
        } else if spec.len() > 64 * 1024 {
            errs.invalid(&path, spec, "gmsaCredentialSpec size must be under 64 KiB");
        }
    }
    if let Some(name) = options.opt_str("runAsUserName") {
        let path = path.child("runAsUserName");
        for message in windows_user(name) {
            errs.invalid(&path, name, message);
        }
    }
}

fn windows_user(name: &str) -> Vec<&'static str> {
    if name.is_empty() {
        return vec!["runAsUserName cannot be an empty string"];
    }
    if name.chars().any(|c| c.is_ascii_control()) {
        return vec!["runAsUserName cannot contain control characters"];
    }
    if name.matches('\\').count() > 1 {
        return vec!["runAsUserName cannot contain more than one backslash"];
    }
    let (domain, user) = match name.split_once('\\') {
        Some((domain, user)) => (Some(domain), user),
        None => (None, name),
    };
    let mut errs = Vec::new();
    if let Some(domain) = domain {
        if domain.len() >= 256 {
            errs.push("runAsUserName's Domain length must be under 256 characters");
        }
        if !is_net_bios(domain) && !is_windows_dns(domain) {
            errs.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
        }
    }
    if user.is_empty() {
        errs.push("runAsUserName's User cannot be empty");
    } else if user.len() > 104 {
        errs.push("runAsUserName's User length must not be longer than 104 characters");
    }
    if !user.is_empty() && user.bytes().all(|b| matches!(b, b'.' | b' ')) {
        errs.push("runAsUserName's User cannot contain only periods or spaces");
    }
    if user.contains(['"', '/', '\\', ':', ';', '|', '=', ',', '+', '*', '?', '<', '>', '@', '[', ']']) {
        errs.push("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
    }
    errs
}

fn is_net_bios(domain: &str) -> bool {
    let count = domain.chars().count();
    (1..=15).contains(&count)
        && !domain.starts_with('.')
        && !domain.contains(['\\', '/', ':', '*', '?', '"', '<', '>', '|'])
}

fn is_windows_dns(domain: &str) -> bool {
    domain.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

/// `validateWindowsHostProcessPod`.
pub(super) fn host_process(spec: &Value, opts: &Options, path: &Path<'_>, errs: &mut ErrorList) {
    let of = |v: &Value| v.sub("securityContext").sub("windowsOptions").opt_flag("hostProcess");
    let pod = of(spec);
    let (mut all, mut host) = (0, 0);
    visit_containers(spec, path, &mut |container, path| {
        all += 1;
        let own = of(container);
        if let (Some(p), Some(c)) = (pod, own)
            && p != c
        {
            errs.invalid(
                &path.child("securityContext.windowsOptions.hostProcess"),
                c,
                format!("pod hostProcess value must be identical if both are specified, was {p}"),
            );
        }
        if own.or(pod) == Some(true) {
            host += 1;
        }
    });
    if host == 0 {
        return;
    }
    if host != all {
        errs.invalid(
            path,
            "",
            "If pod contains any hostProcess containers then all containers must be HostProcess containers",
        );
    }
    if !spec.flag("hostNetwork") {
        errs.invalid(
            &path.child("hostNetwork"),
            false,
            "hostNetwork must be true if pod contains any hostProcess containers",
        );
    }
    if !opts.allow_privileged {
        errs.forbidden(path, "hostProcess containers are disallowed by cluster policy");
    }
}

/// `validateHostUsers`.
pub(super) fn host_users(spec: &Value, opts: &Options, path: &Path<'_>, errs: &mut ErrorList) {
    const WHEN: &str = "when `hostUsers` is false";
    if spec.opt_flag("hostUsers") != Some(false) {
        return;
    }
    if spec.flag("hostNetwork") && !opts.user_ns_host_network {
        errs.forbidden(&path.child("hostNetwork"), WHEN);
    }
    if spec.flag("hostPID") {
        errs.forbidden(&path.child("HostPID"), WHEN);
    }
    if spec.flag("hostIPC") {
        errs.forbidden(&path.child("HostIPC"), WHEN);
    }
    if !opts.user_ns_devices {
        visit_containers(spec, path, &mut |container, path| {
            if !container.list("volumeDevices").is_empty() {
                errs.forbidden(&path.child("volumeDevices"), WHEN);
            }
        });
    }
}

/// `validateOS` and what the operating system rules out.
pub(super) fn os(spec: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let Some(os) = spec.at("os") else { return };
    let os_path = path.child("os");
    match os.str("name") {
        "" => errs.required(&os_path.child("name"), ""),
        "linux" => linux(spec, path, errs),
        "windows" => windows(spec, path, errs),
        other => errs.not_supported(&os_path, other, &["linux", "windows"]),
    }
}

fn linux(spec: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    const REFUSED: &str = "windows options cannot be set for a linux pod";
    let set = |v: &Value| v.sub("securityContext").at("windowsOptions").is_some();
    if set(spec) {
        errs.forbidden(&path.child("securityContext").child("windowsOptions"), REFUSED);
    }
    visit_containers(spec, path, &mut |container, path| {
        if set(container) {
            errs.forbidden(&path.child("securityContext").child("windowsOptions"), REFUSED);
        }
    });
}

fn windows(spec: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    const REFUSED: &str = "cannot be set for a windows pod";
    /// Fields of the pod's security context or (second: true) of the pod itself, in upstream's order.
    const POD: &[(&str, bool)] = &[
        ("appArmorProfile", false),
        ("seLinuxOptions", false),
        ("hostUsers", true),
        ("hostPID", true),
        ("hostIPC", true),
        ("seccompProfile", false),
        ("fsGroup", false),
        ("fsGroupChangePolicy", false),
        ("sysctls", false),
        ("shareProcessNamespace", true),
        ("runAsUser", false),
        ("runAsGroup", false),
        ("supplementalGroups", false),
        ("supplementalGroupsPolicy", false),
        ("seLinuxChangePolicy", false),
    ];
    const CONTAINER: &[&str] = &[
        "appArmorProfile",
        "seLinuxOptions",
        "seccompProfile",
        "capabilities",
        "readOnlyRootFilesystem",
        "privileged",
        "allowPrivilegeEscalation",
        "procMount",
        "runAsUser",
        "runAsGroup",
    ];
    let context = path.child("securityContext");
    for (field, of_pod) in POD {
        let value = if *of_pod { spec.at(field) } else { spec.sub("securityContext").at(field) };
        let set = match *field {
            "hostPID" | "hostIPC" => value == Some(&Value::Bool(true)),
            "sysctls" => value.and_then(Value::as_array).is_some_and(|a| !a.is_empty()),
            _ => value.is_some(),
        };
        if set {
            errs.forbidden(&if *of_pod { path } else { &context }.child(field), REFUSED);
        }
    }
    visit_containers(spec, path, &mut |container, path| {
        for field in CONTAINER {
            if container.sub("securityContext").at(field).is_some() {
                errs.forbidden(&path.child("securityContext").child(field), REFUSED);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_user_names() {
        assert!(windows_user("NT AUTHORITY\\SYSTEM").is_empty());
        assert_eq!(windows_user("a\\b\\c"), ["runAsUserName cannot contain more than one backslash"]);
        assert_eq!(windows_user(".."), ["runAsUserName's User cannot contain only periods or spaces"]);
    }

    #[test]
    fn sysctl_names_have_two_spellings() {
        assert!(is_sysctl_name("net/ipv4/x"));
        assert_eq!(normal_sysctl("net/ipv4/conf.x"), "net.ipv4.conf/x");
        assert!(!is_sysctl_name("a..b"));
    }
}
