//! Upstream's rules (`policy/check_*.go`): each with the releases that brought or changed it. Findings come in the order of
//! the rules' names, those of the baseline first.

use std::collections::BTreeSet;

use api::Value;

use super::{Finding, Level, LevelVersion, Version};
use crate::{at, items, text};

/// A pod or a template, as rules look at it.
#[derive(Clone, Copy)]
pub struct Pod<'a> {
    metadata: &'a Value,
    spec: &'a Value,
}

/// A rule: the finding, when a pod breaks it.
pub type Check = fn(&Pod<'_>) -> Option<Finding>;

/// A rule with its history.
struct Rule {
    id: &'static str,
    level: Level,
    /// What it became in which 1.x.
    since: &'static [(u32, Check)],
    /// The rule of the baseline that it takes the place of.
    instead_of: &'static str,
}

const fn baseline(id: &'static str, since: &'static [(u32, Check)]) -> Rule {
    Rule { id, level: Level::Baseline, since, instead_of: "" }
}

const fn restricted(id: &'static str, since: &'static [(u32, Check)], instead_of: &'static str) -> Rule {
    Rule { id, level: Level::Restricted, since, instead_of }
}

/// The release that changed a rule last: newer ones have its rules.
const NEWEST: u32 = 35;

static RULES: [Rule; 19] = [
    baseline("appArmorProfile", &[(0, app_armor)]),
    baseline("capabilities_baseline", &[(0, capabilities)]),
    baseline("hostNamespaces", &[(0, host_namespaces)]),
    baseline("hostPathVolumes", &[(0, host_path)]),
    baseline("hostPorts", &[(0, host_ports)]),
    baseline("hostProbesAndHostLifecycle", &[(34, host_probes)]),
    baseline("privileged", &[(0, privileged)]),
    baseline("procMount", &[(0, proc_mount), (35, |p| p.unless_user_namespace(proc_mount))]),
    baseline("seLinuxOptions", &[(0, |p| se_linux(p, &SE_LINUX[..4])), (31, |p| se_linux(p, &SE_LINUX))]),
    baseline("seccompProfile_baseline", &[(0, seccomp_annotations), (19, |p| seccomp(p, false))]),
    baseline(
        "sysctls",
        &[
            (0, |p| sysctls(p, &SYSCTLS[..5])),
            (27, |p| sysctls(p, &SYSCTLS[..6])),
            (29, |p| sysctls(p, &SYSCTLS[..10])),
            (32, |p| sysctls(p, &SYSCTLS)),
        ],
    ),
    baseline("windowsHostProcess", &[(0, host_process)]),
    restricted("allowPrivilegeEscalation", &[(8, escalation), (25, |p| p.unless_windows(escalation))], ""),
    restricted(
        "capabilities_restricted",
        &[(22, no_capabilities), (25, |p| p.unless_windows(no_capabilities))],
        "capabilities_baseline",
    ),
    restricted("procMount_restricted", &[(35, proc_mount)], "procMount"),
    restricted("restrictedVolumes", &[(0, volumes)], "hostPathVolumes"),
    restricted("runAsNonRoot", &[(0, non_root), (35, |p| p.unless_user_namespace(non_root))], ""),
    restricted("runAsUser", &[(23, no_user_zero), (35, |p| p.unless_user_namespace(no_user_zero))], ""),
    restricted(
        "seccompProfile_restricted",
        &[(19, |p| seccomp(p, true)), (25, |p| p.unless_windows(|p| seccomp(p, true)))],
        "seccompProfile_baseline",
    ),
];

/// The rules of a level.
pub fn of(level: LevelVersion) -> impl Iterator<Item = Check> {
    let minor = match level.version {
        Version::Minor(minor) => minor.min(NEWEST),
        Version::Latest => NEWEST,
    };
    let then = move |rule: &Rule| rule.since.iter().rev().find(|(since, _)| *since <= minor).map(|(_, c)| *c);
    let replaced = move |id: &str| {
        level.level == Level::Restricted && RULES.iter().any(|r| r.instead_of == id && then(r).is_some())
    };
    RULES.iter().filter(move |r| r.level <= level.level && !replaced(r.id)).filter_map(then)
}

impl<'a> Pod<'a> {
    /// A pod, or something else with `metadata` and `spec`.
    pub fn new(pod: &'a Value) -> Pod<'a> {
        let part = |name: &str| pod.get(name).unwrap_or(&Value::Null);
        Pod { metadata: part("metadata"), spec: part("spec") }
    }

    fn containers(&self) -> impl Iterator<Item = &'a Value> {
        let spec = self.spec;
        let lists = ["initContainers", "containers", "ephemeralContainers"];
        lists.into_iter().flat_map(move |list| items(spec, &[list]))
    }

    /// A field of the pod's own security context.
    fn context(&self, field: &str) -> Option<&'a Value> {
        at(self.spec, &["securityContext", field])
    }

    fn annotations(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = at(self.metadata, &["annotations"]).and_then(Value::as_object).into_iter().flatten();
        all.map(|(k, v)| (k.as_str(), v.as_str().unwrap_or_default()))
    }

    fn unless_windows(&self, check: Check) -> Option<Finding> {
        if text(self.spec, &["os", "name"]) == "windows" { None } else { check(self) }
    }

    /// Root in a user namespace is nobody outside.
    fn unless_user_namespace(&self, check: Check) -> Option<Finding> {
        let own = at(self.spec, &["hostUsers"]).and_then(Value::as_bool) == Some(false);
        if own { None } else { check(self) }
    }
}

/// A field of a container's security context.
fn context<'a>(container: &'a Value, field: &str) -> Option<&'a Value> {
    at(container, &["securityContext", field])
}

fn name(container: &Value) -> &str {
    text(container, &["name"])
}

fn quoted<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let list: Vec<String> = names.into_iter().map(|n| format!("\"{}\"", n.as_ref())).collect();
    list.join(", ")
}

const fn plural<'a>(one: &'a str, many: &'a str, count: usize) -> &'a str {
    if count == 1 { one } else { many }
}

fn containers(names: &[&str]) -> String {
    format!("{} {}", plural("container", "containers", names.len()), quoted(names))
}

/// Who sets something: the pod, containers, or both.
fn setters(pod: bool, names: &[&str]) -> Option<String> {
    let mut list = Vec::new();
    if pod {
        list.push("pod".to_owned());
    }
    if !names.is_empty() {
        list.push(containers(names));
    }
    (!list.is_empty()).then(|| list.join(" and "))
}

fn finding(reason: &'static str, detail: String) -> Option<Finding> {
    Some(Finding { reason, detail })
}

/// The names of the containers that break a rule.
fn bad<'a>(pod: &Pod<'a>, breaks: impl FnMut(&&'a Value) -> bool) -> Vec<&'a str> {
    pod.containers().filter(breaks).map(name).collect()
}

fn app_armor(pod: &Pod<'_>) -> Option<Finding> {
    const ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";
    let mut values = BTreeSet::new();
    let mut wrong = |profile: Option<&Value>| {
        let kind =
            profile.map(|p| text(p, &["type"])).filter(|t| !matches!(*t, "RuntimeDefault" | "Localhost"));
        kind.is_some_and(|k| {
            values.insert(k.to_owned());
            true
        })
    };
    let own = wrong(pod.context("appArmorProfile"));
    let names = bad(pod, |c| wrong(context(c, "appArmorProfile")));
    let good = |v: &str| v.is_empty() || v == "runtime/default" || v.starts_with("localhost/");
    let mut notes: Vec<String> = pod
        .annotations()
        .filter(|(k, v)| k.starts_with(ANNOTATION) && !good(v))
        .map(|(k, v)| format!("{k}={v:?}"))
        .collect();
    notes.sort();
    let mut by: Vec<String> = setters(own, &names).into_iter().collect();
    if !notes.is_empty() {
        by.push(plural("annotation", "annotations", notes.len()).to_owned());
    }
    if by.is_empty() {
        return None;
    }
    let values: Vec<String> = values.into_iter().chain(notes).collect();
    finding(
        plural("forbidden AppArmor profile", "forbidden AppArmor profiles", values.len()),
        format!("{} must not set AppArmor profile type to {}", by.join(" and "), quoted(&values)),
    )
}

const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// The containers that add other capabilities than these, and which.
fn adding<'a>(pod: &Pod<'a>, allowed: &[&str]) -> (Vec<&'a str>, BTreeSet<&'a str>) {
    let mut others = BTreeSet::new();
    let names = bad(pod, |c| {
        let added = items(c, &["securityContext", "capabilities", "add"]).iter().filter_map(Value::as_str);
        let before = added.clone().any(|a| !allowed.contains(&a));
        others.extend(added.filter(|a| !allowed.contains(a)));
        before
    });
    (names, others)
}

fn must_not_add(names: &[&str], others: &BTreeSet<&str>) -> String {
    format!("{} must not include {} in securityContext.capabilities.add", containers(names), quoted(others))
}

fn capabilities(pod: &Pod<'_>) -> Option<Finding> {
    let (names, others) = adding(pod, &CAPABILITIES);
    if names.is_empty() { None } else { finding("non-default capabilities", must_not_add(&names, &others)) }
}

fn no_capabilities(pod: &Pod<'_>) -> Option<Finding> {
    let drops = |c: &&Value| {
        let dropped = items(c, &["securityContext", "capabilities", "drop"]);
        !dropped.iter().any(|d| d.as_str() == Some("ALL"))
    };
    let keeping = bad(pod, drops);
    let (names, others) = adding(pod, &["NET_BIND_SERVICE"]);
    let mut details = Vec::new();
    if !keeping.is_empty() {
        details
            .push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", containers(&keeping)));
    }
    if !names.is_empty() {
        details.push(must_not_add(&names, &others));
    }
    if details.is_empty() { None } else { finding("unrestricted capabilities", details.join("; ")) }
}

fn host_namespaces(pod: &Pod<'_>) -> Option<Finding> {
    let set = |field: &&str| at(pod.spec, &[field]).and_then(Value::as_bool) == Some(true);
    let fields = ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(set);
    let list: Vec<String> = fields.map(|f| format!("{f}=true")).collect();
    if list.is_empty() { None } else { finding("host namespaces", list.join(", ")) }
}

fn host_path(pod: &Pod<'_>) -> Option<Finding> {
    let of_host = items(pod.spec, &["volumes"]).iter().filter(|v| at(v, &["hostPath"]).is_some());
    let names: Vec<&str> = of_host.map(name).collect();
    let what = plural("volume", "volumes", names.len());
    if names.is_empty() { None } else { finding("hostPath volumes", format!("{what} {}", quoted(&names))) }
}

fn host_ports(pod: &Pod<'_>) -> Option<Finding> {
    let mut ports = BTreeSet::new();
    let names = bad(pod, |c| {
        let all = items(c, &["ports"]).iter().filter_map(|p| at(p, &["hostPort"]).and_then(Value::as_i64));
        let taken: Vec<String> = all.filter(|p| *p != 0).map(|p| p.to_string()).collect();
        let any = !taken.is_empty();
        ports.extend(taken);
        any
    });
    if names.is_empty() {
        return None;
    }
    let list: Vec<String> = ports.iter().cloned().collect();
    finding(
        "hostPort",
        format!(
            "{} {} {} {}",
            containers(&names),
            plural("uses", "use", names.len()),
            plural("hostPort", "hostPorts", ports.len()),
            list.join(", ")
        ),
    )
}

fn host_probes(pod: &Pod<'_>) -> Option<Finding> {
    const HANDLERS: [&[&str]; 5] = [
        &["livenessProbe"],
        &["readinessProbe"],
        &["startupProbe"],
        &["lifecycle", "postStart"],
        &["lifecycle", "preStop"],
    ];
    let (mut names, mut hosts) = (BTreeSet::new(), BTreeSet::new());
    for container in pod.containers() {
        for handler in HANDLERS.iter().filter_map(|path| at(container, path)) {
            for kind in ["httpGet", "tcpSocket"] {
                let host = text(handler, &[kind, "host"]);
                if !host.is_empty() {
                    names.insert(name(container));
                    hosts.insert(host);
                }
            }
        }
    }
    if names.is_empty() {
        return None;
    }
    let names: Vec<&str> = names.into_iter().collect();
    finding(
        "probe or lifecycle host",
        format!(
            "{} {} {} {}",
            containers(&names),
            plural("uses", "use", names.len()),
            plural("probe or lifecycle host", "probe or lifecycle hosts", hosts.len()),
            quoted(&hosts)
        ),
    )
}

fn privileged(pod: &Pod<'_>) -> Option<Finding> {
    let names = bad(pod, |c| context(c, "privileged").and_then(Value::as_bool) == Some(true));
    let must_not = || format!("{} must not set securityContext.privileged=true", containers(&names));
    if names.is_empty() { None } else { finding("privileged", must_not()) }
}

fn proc_mount(pod: &Pod<'_>) -> Option<Finding> {
    let mut kinds = BTreeSet::new();
    let names = bad(pod, |c| {
        let kind = context(c, "procMount").and_then(Value::as_str).filter(|k| *k != "Default");
        kinds.extend(kind);
        kind.is_some()
    });
    let must_not =
        || format!("{} must not set securityContext.procMount to {}", containers(&names), quoted(&kinds));
    if names.is_empty() { None } else { finding("procMount", must_not()) }
}

const SE_LINUX: [&str; 5] = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

fn se_linux(pod: &Pod<'_>, allowed: &[&str]) -> Option<Finding> {
    let (mut types, mut user, mut role) = (BTreeSet::new(), false, false);
    let mut wrong = |options: Option<&Value>| {
        let Some(options) = options else { return false };
        let kind = text(options, &["type"]);
        let sets = |field: &str| !text(options, &[field]).is_empty();
        if !allowed.contains(&kind) {
            types.insert(kind.to_owned());
        }
        user |= sets("user");
        role |= sets("role");
        !allowed.contains(&kind) || sets("user") || sets("role")
    };
    let own = wrong(pod.context("seLinuxOptions"));
    let names = bad(pod, |c| wrong(context(c, "seLinuxOptions")));
    let by = setters(own, &names)?;
    let mut what = Vec::new();
    if !types.is_empty() {
        what.push(format!("{} {}", plural("type", "types", types.len()), quoted(&types)));
    }
    if user {
        what.push("user may not be set".to_owned());
    }
    if role {
        what.push("role may not be set".to_owned());
    }
    let detail = format!("{by} set forbidden securityContext.seLinuxOptions: {}", what.join("; "));
    finding("seLinuxOptions", detail)
}

fn seccomp_annotations(pod: &Pod<'_>) -> Option<Finding> {
    const OF_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
    const OF_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
    let good = |v: &str| v == "runtime/default" || v == "docker/default" || v.starts_with("localhost/");
    let counts = |key: &str| {
        key == OF_POD
            || key.strip_prefix(OF_CONTAINER).is_some_and(|of| pod.containers().any(|c| name(c) == of))
    };
    let wrong = pod.annotations().filter(|(k, v)| counts(k) && !good(v));
    let list: BTreeSet<String> = wrong.map(|(k, v)| format!("{k}={v:?}")).collect();
    let texts: Vec<String> = list.iter().cloned().collect();
    let what = plural("annotation", "annotations", list.len());
    if list.is_empty() {
        None
    } else {
        finding("seccompProfile", format!("forbidden {what} {}", texts.join(", ")))
    }
}

/// `required`: one must be set, for the pod or for each container.
fn seccomp(pod: &Pod<'_>, required: bool) -> Option<Finding> {
    let mut kinds = BTreeSet::new();
    let mut wrong = |profile: Option<&Value>| {
        let kind =
            profile.map(|p| text(p, &["type"])).filter(|t| !matches!(*t, "Localhost" | "RuntimeDefault"));
        kind.is_some_and(|k| {
            kinds.insert(k.to_owned());
            true
        })
    };
    let profile = pod.context("seccompProfile");
    let own = wrong(profile);
    let names = bad(pod, |c| wrong(context(c, "seccompProfile")));
    if let Some(by) = setters(own, &names) {
        let detail = format!("{by} must not set securityContext.seccompProfile.type to {}", quoted(&kinds));
        return finding("seccompProfile", detail);
    }
    if !required || profile.is_some() {
        return None;
    }
    let without = bad(pod, |c| context(c, "seccompProfile").is_none());
    let must = || {
        format!(
            "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
            containers(&without)
        )
    };
    if without.is_empty() { None } else { finding("seccompProfile", must()) }
}

/// In the order in which they came.
const SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
];

fn sysctls(pod: &Pod<'_>, allowed: &[&str]) -> Option<Finding> {
    let all = items(pod.spec, &["securityContext", "sysctls"]).iter().map(name);
    let others: Vec<&str> = all.filter(|n| !allowed.contains(n)).collect();
    if others.is_empty() { None } else { finding("forbidden sysctls", others.join(", ")) }
}

fn host_process(pod: &Pod<'_>) -> Option<Finding> {
    let set = |options: Option<&Value>| {
        options.and_then(|o| at(o, &["hostProcess"])).and_then(Value::as_bool) == Some(true)
    };
    let names = bad(pod, |c| set(context(c, "windowsOptions")));
    let by = setters(set(pod.context("windowsOptions")), &names)?;
    finding("hostProcess", format!("{by} must not set securityContext.windowsOptions.hostProcess=true"))
}

fn escalation(pod: &Pod<'_>) -> Option<Finding> {
    let may = |c: &&Value| context(c, "allowPrivilegeEscalation").and_then(Value::as_bool) != Some(false);
    let names = bad(pod, may);
    let must = || format!("{} must set securityContext.allowPrivilegeEscalation=false", containers(&names));
    if names.is_empty() { None } else { finding("allowPrivilegeEscalation != false", must()) }
}

/// Volumes that the restricted level allows.
const VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// Volumes that it does not, as messages name them.
const OTHER_VOLUMES: [&str; 21] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "nfs",
    "iscsi",
    "glusterfs",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "fc",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
];

fn volumes(pod: &Pod<'_>) -> Option<Finding> {
    let (mut names, mut kinds) = (Vec::new(), BTreeSet::new());
    for volume in items(pod.spec, &["volumes"]) {
        let has = |kind: &&&str| at(volume, &[kind]).is_some();
        if VOLUMES.iter().find(has).is_none() {
            names.push(name(volume));
            kinds.insert(OTHER_VOLUMES.iter().find(has).copied().unwrap_or("unknown"));
        }
    }
    if names.is_empty() {
        return None;
    }
    finding(
        "restricted volume types",
        format!(
            "{} {} {} {} {}",
            plural("volume", "volumes", names.len()),
            quoted(&names),
            plural("uses", "use", names.len()),
            plural("restricted volume type", "restricted volume types", kinds.len()),
            quoted(&kinds)
        ),
    )
}

fn non_root(pod: &Pod<'_>) -> Option<Finding> {
    let said = |of: Option<&Value>| of.and_then(Value::as_bool);
    let own = said(pod.context("runAsNonRoot"));
    let names = bad(pod, |c| said(context(c, "runAsNonRoot")) == Some(false));
    if let Some(by) = setters(own == Some(false), &names) {
        let detail = format!("{by} must not set securityContext.runAsNonRoot=false");
        return finding("runAsNonRoot != true", detail);
    }
    let open = bad(pod, |c| own != Some(true) && said(context(c, "runAsNonRoot")).is_none());
    let must = || format!("pod or {} must set securityContext.runAsNonRoot=true", containers(&open));
    if open.is_empty() { None } else { finding("runAsNonRoot != true", must()) }
}

fn no_user_zero(pod: &Pod<'_>) -> Option<Finding> {
    let zero = |of: Option<&Value>| of.and_then(Value::as_i64) == Some(0);
    let names = bad(pod, |c| zero(context(c, "runAsUser")));
    let by = setters(zero(pod.context("runAsUser")), &names)?;
    finding("runAsUser=0", format!("{by} must not set runAsUser=0"))
}
