//! Containers of all three kinds (`validateContainers`, `validateInitContainers`,
//! `validateEphemeralContainers`).

use std::collections::{HashMap, HashSet};

use api::Value;
use api::field::{ErrorList, Path};

use super::{Options, env, probe, resources, security};
use crate::core::volume;
use crate::errs::Errs;
use crate::golang;
use crate::names;
use crate::value::Get;

/// What containers refer to in their pod.
pub(super) struct Around<'a> {
    pub(super) spec: &'a Value,
    /// The volumes that are valid themselves, by name.
    pub(super) volumes: HashMap<&'a str, &'a Value>,
    pub(super) claims: Vec<&'a str>,
    pub(super) grace: Option<i64>,
    pub(super) opts: &'a Options,
}

impl Around<'_> {
    fn os(&self) -> &Value {
        self.spec.sub("os")
    }
}

/// `validateContainers`.
pub(super) fn containers(around: &Around<'_>, path: &Path<'_>, errs: &mut ErrorList) {
    let list = around.spec.list("containers");
    if list.is_empty() {
        errs.required(path, "");
        return;
    }
    let mut seen: HashSet<&str> = HashSet::with_capacity(list.len());
    for (i, container) in list.iter().enumerate() {
        let path = path.index(i);
        common(container, around, &path, errs);
        unique_name(container.str("name"), &mut seen, &path, errs);
        if let Some(lifecycle) = container.at("lifecycle") {
            probe::lifecycle(lifecycle, around.grace, around.os(), &path.child("lifecycle"), errs);
        }
        probe::probes(container, around.grace, &path, errs);
        restart_policy(container, &path, errs);
    }
    host_port_conflicts(list, path, errs);
}

/// `validateInitContainers`.
pub(super) fn init_containers(around: &Around<'_>, path: &Path<'_>, errs: &mut ErrorList) {
    const NOT_ALWAYS: &str = "may not be set for init containers without restartPolicy=Always";
    let mut seen: HashSet<&str> = around.spec.list("containers").iter().map(|c| c.str("name")).collect();
    for (i, container) in around.spec.list("initContainers").iter().enumerate() {
        let item = path.index(i);
        common(container, around, &item, errs);
        let always = container.str("restartPolicy") == "Always";
        if container.at("restartPolicy").is_some() || !container.list("restartPolicyRules").is_empty() {
            init_restart_policy(container, &item, errs);
        }
        let name = container.str("name");
        if seen.contains(&name) {
            errs.duplicate(&item.child("name"), name);
        } else if !name.is_empty() {
            seen.insert(name);
        }
        host_port_conflicts(std::slice::from_ref(container), path, errs);
        if always {
            if let Some(lifecycle) = container.at("lifecycle") {
                probe::lifecycle(lifecycle, around.grace, around.os(), &item.child("lifecycle"), errs);
            }
            probe::probes(container, around.grace, &item, errs);
        } else {
            for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
                if container.at(field).is_some() {
                    errs.forbidden(&item.child(field), NOT_ALWAYS);
                }
            }
            if !around.opts.init_resize_restart {
                let list = item.child("resizePolicy");
                for (j, policy) in container.list("resizePolicy").iter().enumerate() {
                    if policy.str("restartPolicy") == "RestartContainer" {
                        errs.invalid(
                            &list.index(j).child("restartPolicy"),
                            "RestartContainer",
                            "must not be set to 'RestartContainer' for non-sidecar initContainers",
                        );
                    }
                }
            }
        }
    }
}

/// `validateEphemeralContainers`.
pub(super) fn ephemeral_containers(around: &Around<'_>, path: &Path<'_>, errs: &mut ErrorList) {
    const REFUSED: &str = "cannot be set for an Ephemeral Container";
    let list = around.spec.list("ephemeralContainers");
    if list.is_empty() {
        return;
    }
    let others: HashSet<&str> = ["containers", "initContainers"]
        .iter()
        .flat_map(|kind| around.spec.list(kind))
        .map(|c| c.str("name"))
        .collect();
    let mut seen = others.clone();
    for (i, container) in list.iter().enumerate() {
        let path = path.index(i);
        common(container, around, &path, errs);
        image_whitespace(container, &path, errs);
        unique_name(container.str("name"), &mut seen, &path, errs);
        let target = container.str("targetContainerName");
        if !target.is_empty() && !others.contains(target) {
            errs.not_found(&path.child("targetContainerName"), target);
        }
        const FIELDS: &[&str] = &[
            "ports",
            "resources",
            "resizePolicy",
            "restartPolicy",
            "restartPolicyRules",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
            "lifecycle",
        ];
        for field in FIELDS {
            let set = container.at(field).is_some_and(|v| match v {
                // All of them are pointers but this one.
                Value::Object(o) => *field != "resources" || !o.is_empty(),
                _ => true,
            });
            if set {
                errs.forbidden(&path.child(field), REFUSED);
            }
        }
        let mounts = path.child("volumeMounts");
        for (j, mount) in container.list("volumeMounts").iter().enumerate() {
            for field in ["subPath", "subPathExpr"] {
                if !mount.str(field).is_empty() {
                    errs.forbidden(&mounts.index(j).child(field), REFUSED);
                }
            }
        }
    }
}

fn unique_name<'a>(name: &'a str, seen: &mut HashSet<&'a str>, path: &Path<'_>, errs: &mut ErrorList) {
    if seen.contains(&name) {
        errs.duplicate(&path.child("name"), name);
    } else {
        seen.insert(name);
    }
}

/// `validateContainerOnlyForPod`.
pub(super) fn image_whitespace(container: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let image = container.str("image");
    if image.trim().len() != image.len() {
        errs.invalid(&path.child("image"), image, "must not have leading or trailing whitespace");
    }
}

/// `validateContainerCommon`.
fn common(container: &Value, around: &Around<'_>, path: &Path<'_>, errs: &mut ErrorList) {
    let name = container.str("name");
    if name.is_empty() {
        errs.required(&path.child("name"), "");
    } else {
        errs.invalid_each(&path.child("name"), name, names::is_dns1123_label(name));
    }
    if container.str("image").is_empty() {
        errs.required(&path.child("image"), "");
    }
    let message_policy = path.child("terminationMessagePolicy");
    match container.str("terminationMessagePolicy") {
        "File" | "FallbackToLogsOnError" => {}
        "" => errs.required(&message_policy, ""),
        other => errs.not_supported(&message_policy, other, &["File", "FallbackToLogsOnError"]),
    }
    ports(container.list("ports"), &path.child("ports"), errs);
    env::env(container.list("env"), &path.child("env"), errs);
    env::env_from(container.list("envFrom"), &path.child("envFrom"), errs);
    volume_mounts(container, around, &path.child("volumeMounts"), errs);
    volume_devices(container, around, &path.child("volumeDevices"), errs);
    pull_policy(container.str("imagePullPolicy"), &path.child("imagePullPolicy"), errs);
    if let Some(r) = container.at("resources") {
        resources::container(r, &around.claims, around.opts, &path.child("resources"), errs);
    }
    resize_policy(container, around.spec.str("restartPolicy"), &path.child("resizePolicy"), errs);
    if let Some(context) = container.at("securityContext") {
        let host_users = around.spec.opt_flag("hostUsers") != Some(false);
        security::container(context, host_users, around.opts, &path.child("securityContext"), errs);
    }
}

/// `validatePullPolicy`.
pub(crate) fn pull_policy(policy: &str, path: &Path<'_>, errs: &mut ErrorList) {
    match policy {
        "Always" | "IfNotPresent" | "Never" => {}
        "" => errs.required(path, ""),
        other => errs.not_supported(path, other, &["Always", "IfNotPresent", "Never"]),
    }
}

pub(crate) const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

/// A protocol that must be given.
pub(crate) fn protocol(protocol: &str, path: &Path<'_>, errs: &mut ErrorList) {
    if protocol.is_empty() {
        errs.required(path, "");
    } else if !PROTOCOLS.contains(&protocol) {
        errs.not_supported(path, protocol, PROTOCOLS);
    }
}

fn ports(list: &[Value], path: &Path<'_>, errs: &mut ErrorList) {
    let mut seen: HashSet<&str> = HashSet::new();
    for (i, port) in list.iter().enumerate() {
        let path = path.index(i);
        let name = port.str("name");
        if !name.is_empty() {
            let messages = names::is_port_name(name);
            if !messages.is_empty() {
                errs.invalid_each(&path.child("name"), name, messages);
            } else if seen.contains(&name) {
                errs.duplicate(&path.child("name"), name);
            } else {
                seen.insert(name);
            }
        }
        let number = port.int("containerPort");
        if number == 0 {
            errs.required(&path.child("containerPort"), "");
        } else {
            for message in names::is_port_number(number) {
                errs.invalid(&path.child("containerPort"), number, message);
            }
        }
        let host = port.int("hostPort");
        if host != 0 {
            for message in names::is_port_number(host) {
                errs.invalid(&path.child("hostPort"), host, message);
            }
        }
        protocol(port.str("protocol"), &path.child("protocol"), errs);
    }
}

fn host_port_conflicts(containers: &[Value], path: &Path<'_>, errs: &mut ErrorList) {
    let mut seen: HashSet<(&str, &str, i64)> = HashSet::new();
    for (i, container) in containers.iter().enumerate() {
        let item = path.index(i);
        let list = item.child("ports");
        for (j, port) in container.list("ports").iter().enumerate() {
            let key = (port.str("protocol"), port.str("hostIP"), port.int("hostPort"));
            if key.2 == 0 {
                continue;
            }
            if seen.contains(&key) {
                let text = format!("{}/{}/{}", key.0, key.1, key.2);
                errs.duplicate(&list.index(j).child("hostPort"), &text);
            } else {
                seen.insert(key);
            }
        }
    }
}

fn volume_mounts(container: &Value, around: &Around<'_>, path: &Path<'_>, errs: &mut ErrorList) {
    let devices = container.list("volumeDevices");
    let device_names: HashSet<&str> = devices.iter().map(|d| d.str("name")).collect();
    let device_paths: HashSet<&str> = devices.iter().map(|d| d.str("devicePath")).collect();
    let mut seen: HashSet<&str> = HashSet::new();
    for (i, mount) in container.list("volumeMounts").iter().enumerate() {
        let item = path.index(i);
        let (name, at) = (mount.str("name"), mount.str("mountPath"));
        if name.is_empty() {
            errs.required(&item.child("name"), "");
        }
        if !around.volumes.contains_key(name) {
            errs.not_found(&item.child("name"), name);
        }
        if at.is_empty() {
            errs.required(&item.child("mountPath"), "");
        }
        if seen.contains(&at) {
            errs.invalid(&item.child("mountPath"), at, "must be unique");
        }
        seen.insert(at);
        if device_names.contains(name) {
            errs.invalid(&item.child("name"), name, "must not already exist in volumeDevices");
        }
        if device_paths.contains(at) {
            errs.invalid(&item.child("mountPath"), at, "must not already exist as a path in volumeDevices");
        }
        let (sub_path, expression) = (mount.str("subPath"), mount.str("subPathExpr"));
        if !sub_path.is_empty() {
            volume::descending_path(sub_path, &path.child("subPath"), errs);
        }
        if !expression.is_empty() {
            if !sub_path.is_empty() {
                errs.invalid(
                    &item.child("subPathExpr"),
                    expression,
                    "subPathExpr and subPath are mutually exclusive",
                );
            }
            volume::descending_path(expression, &path.child("subPathExpr"), errs);
        }
        mount_modes(mount, container, path, errs);
    }
}

fn mount_modes(mount: &Value, container: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let propagation = mount.opt_str("mountPropagation");
    if let Some(mode) = propagation {
        const MODES: &[&str] = &["Bidirectional", "HostToContainer", "None"];
        let path = path.child("mountPropagation");
        if !MODES.contains(&mode) {
            errs.not_supported(&path, mode, MODES);
        }
        if mode == "Bidirectional" && !container.sub("securityContext").flag("privileged") {
            errs.forbidden(
                &path,
                "Bidirectional mount propagation is available only to privileged containers",
            );
        }
    }
    let path = path.child("recursiveReadOnly");
    match mount.opt_str("recursiveReadOnly") {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if !mount.flag("readOnly") {
                errs.forbidden(&path, "may only be specified when readOnly is true");
            }
            if propagation.is_some_and(|p| p != "None") {
                errs.forbidden(&path, "may only be specified when mountPropagation is None or not specified");
            }
        }
        Some(other) => errs.not_supported(&path, other, &["Disabled", "Enabled", "IfPossible"]),
    }
}

fn volume_devices(container: &Value, around: &Around<'_>, path: &Path<'_>, errs: &mut ErrorList) {
    let mounts = container.list("volumeMounts");
    let (mut paths, mut seen): (HashSet<&str>, HashSet<&str>) = (HashSet::new(), HashSet::new());
    let mounted: HashSet<&str> = mounts.iter().map(|m| m.str("name")).collect();
    let mount_paths: HashSet<&str> = mounts.iter().map(|m| m.str("mountPath")).collect();
    for (i, device) in container.list("volumeDevices").iter().enumerate() {
        let item = path.index(i);
        let (name, at) = (device.str("name"), device.str("devicePath"));
        let (name_path, at_path) = (item.child("name"), item.child("devicePath"));
        let source = around.volumes.get(name).copied();
        if name.is_empty() {
            errs.required(&name_path, "");
        }
        if seen.contains(&name) {
            errs.invalid(&name_path, name, "must be unique");
        }
        match source {
            None => errs.not_found(&name_path, name),
            Some(v) if v.at("persistentVolumeClaim").is_none() && v.at("ephemeral").is_none() => {
                errs.invalid(
                    &name_path,
                    name,
                    "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
                );
            }
            Some(_) => {}
        }
        if at.is_empty() {
            errs.required(&at_path, "");
        }
        if paths.contains(&at) {
            errs.invalid(&at_path, at, "must be unique");
        }
        if at.split('/').any(|part| part == "..") {
            errs.invalid(&at_path, at, "can not contain backsteps ('..')");
        } else {
            paths.insert(at);
        }
        if mounted.contains(name) {
            errs.invalid(&name_path, name, "must not already exist in volumeMounts");
        }
        if mount_paths.contains(at) {
            errs.invalid(&at_path, at, "must not already exist as a path in volumeMounts");
        }
        if !name.is_empty() {
            seen.insert(name);
        }
    }
}

fn resize_policy(container: &Value, pod_restart: &str, path: &Path<'_>, errs: &mut ErrorList) {
    let mut seen: HashSet<&str> = HashSet::new();
    for (i, policy) in container.list("resizePolicy").iter().enumerate() {
        let (resource, restart) = (policy.str("resourceName"), policy.str("restartPolicy"));
        if seen.contains(&resource) {
            errs.duplicate(&path.index(i), resource);
        }
        seen.insert(resource);
        match resource {
            "cpu" | "memory" => {}
            "" => errs.required(path, ""),
            other => errs.not_supported(path, other, &["cpu", "memory"]),
        }
        match restart {
            "NotRequired" | "RestartContainer" => {}
            "" => errs.required(path, ""),
            other => errs.not_supported(path, other, &["NotRequired", "RestartContainer"]),
        }
        if pod_restart == "Never" && restart != "NotRequired" {
            errs.invalid(path, restart, "must be 'NotRequired' when pod `restartPolicy` is 'Never'");
        }
    }
}

fn init_restart_policy(container: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    if container.at("restartPolicy").is_none() {
        errs.required(&path.child("restartPolicy"), "must specify restartPolicy when restart rules are used");
        return;
    }
    restart_policy(container, path, errs);
}

/// `validateContainerRestartPolicy`.
fn restart_policy(container: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    const POLICIES: &[&str] = &["Always", "Never", "OnFailure"];
    const ACTIONS: &[&str] = &["Restart", "RestartAllContainers"];
    let rules = container.list("restartPolicyRules");
    let policy_path = path.child("restartPolicy");
    match container.opt_str("restartPolicy") {
        None if rules.is_empty() => return,
        None => errs.required(&policy_path, "must specify restartPolicy when restart rules are used"),
        Some(policy) if !POLICIES.contains(&policy) => {
            errs.not_supported(&policy_path, policy, POLICIES);
        }
        Some(_) => {}
    }
    let list = path.child("restartPolicyRules");
    if rules.len() > 20 {
        errs.too_many(&list, rules.len(), 20);
    }
    for (i, rule) in rules.iter().enumerate() {
        let path = list.index(i);
        let action = rule.str("action");
        if !ACTIONS.contains(&action) {
            errs.not_supported(&path.child("action"), action, ACTIONS);
        }
        let codes_path = path.child("exitCodes");
        let Some(codes) = rule.at("exitCodes") else {
            errs.required(&codes_path, "must be specified");
            continue;
        };
        let operator = codes.str("operator");
        if !matches!(operator, "In" | "NotIn") {
            errs.not_supported(&codes_path.child("operator"), operator, &["In", "NotIn"]);
        }
        let values = codes.list("values");
        if values.len() > 255 {
            errs.too_many(&codes_path.child("values"), values.len(), 255);
        }
    }
}

/// The part of a security context that upstream quotes whole.
pub(super) fn quoted_security_context(context: &Value) -> golang::Typed<'_> {
    golang::shown("core.SecurityContext", context)
}
