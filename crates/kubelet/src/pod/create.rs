//! From a pod's specification to what the runtime is asked to create.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};

use super::expand::expand;
use super::resources::{self, Limits};
use super::security::Security;
use super::{dns, spec};
use crate::labels::{self, Owner, PodRef, SANDBOX_NAME};
use crate::runtime::Create;

/// Where a container's files come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mounts {
    /// `source:target[:options]`.
    pub binds: Vec<String>,
    /// Directory → options.
    pub tmpfs: BTreeMap<String, String>,
}

/// What a sandbox's creation depends on beside the pod.
pub struct SandboxCircumstances<'a> {
    /// Whose it is.
    pub owner: &'a Owner,
    /// Counts from 0.
    pub attempt: u32,
    /// The pause image.
    pub image: &'a str,
    /// `none`, or the host's mode.
    pub network: &'a str,
    /// The pod's address, `None` on the host's network.
    pub ip: Option<&'a str>,
    /// The cluster's domain.
    pub domain: &'a str,
    /// Volumes to hold.
    pub volumes: Vec<String>,
}

/// The sandbox.
pub fn sandbox(pod: &Pod, with: SandboxCircumstances<'_>) -> Create {
    let own_network = with.network == "none";
    let sysctls = spec::of(pod).security_context.as_ref().and_then(|c| c.sysctls.as_ref());
    Create {
        name: labels::container_name(SANDBOX_NAME, &PodRef::of(pod), with.attempt),
        image: with.image.to_owned(),
        // Docker refuses a host name of one's own on somebody else's network.
        hostname: own_network.then(|| dns::hostname(pod, with.domain).0),
        labels: labels::sandbox_labels(pod, with.owner, with.attempt, with.ip),
        network: with.network.to_owned(),
        ipc: Some(if spec::of(pod).host_ipc == Some(true) { "host" } else { "shareable" }.to_owned()),
        pid: (spec::of(pod).host_pid == Some(true)).then(|| "host".to_owned()),
        sysctls: sysctls.into_iter().flatten().map(|s| (s.name.clone(), s.value.clone())).collect(),
        cpu_shares: 2,
        oom_score_adj: Some(resources::SANDBOX_OOM_SCORE_ADJ),
        security_opt: vec!["seccomp=unconfined".into()],
        binds: with.volumes,
        ..Create::default()
    }
}

/// What a container's creation depends on beside its specification.
pub struct Circumstances<'a> {
    /// Whose it is.
    pub owner: &'a Owner,
    /// Its sandbox.
    pub sandbox: &'a str,
    /// How often it was restarted before.
    pub restarts: u32,
    /// The environment.
    pub env: &'a [(String, String)],
    /// Files.
    pub mounts: Mounts,
    /// Limits.
    pub limits: Limits,
    /// Security.
    pub security: Security,
    /// Most processes, 0 for no limit.
    pub pids_limit: i64,
}

/// A container.
pub fn container(pod: &Pod, container: &Container, with: Circumstances<'_>) -> Create {
    let expanded = |list: &Option<Vec<String>>| {
        let lookup = |name: &str| with.env.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let list: Vec<String> = list.iter().flatten().map(|text| expand(text, lookup)).collect();
        (!list.is_empty()).then_some(list)
    };
    let share = format!("container:{}", with.sandbox);
    let pid = match (spec::of(pod).host_pid, spec::of(pod).share_process_namespace) {
        (Some(true), _) => Some("host".to_owned()),
        (_, Some(true)) => Some(share.clone()),
        _ => None,
    };
    let ipc = if spec::of(pod).host_ipc == Some(true) { "host".to_owned() } else { share.clone() };
    Create {
        name: labels::container_name(&container.name, &PodRef::of(pod), with.restarts),
        image: container.image.clone().unwrap_or_default(),
        hostname: None,
        user: with.security.user,
        env: with.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        entrypoint: expanded(&container.command),
        cmd: expanded(&container.args),
        working_dir: container.working_dir.clone().filter(|d| !d.is_empty()),
        labels: labels::container_labels(pod, container, with.owner, with.restarts, with.sandbox),
        tty: container.tty.unwrap_or_default(),
        stdin: container.stdin.unwrap_or_default(),
        stdin_once: container.stdin_once.unwrap_or_default(),
        binds: with.mounts.binds,
        tmpfs: with.mounts.tmpfs,
        network: share,
        ipc: Some(ipc),
        pid,
        privileged: with.security.privileged,
        cap_add: with.security.cap_add,
        cap_drop: with.security.cap_drop,
        read_only: with.security.read_only,
        security_opt: with.security.options,
        groups: with.security.groups,
        sysctls: BTreeMap::new(),
        cpu_shares: with.limits.cpu_shares,
        cpu_quota: with.limits.cpu_quota,
        memory: with.limits.memory,
        pids_limit: with.pids_limit,
        oom_score_adj: Some(with.limits.oom_score_adj),
        shm_size: 0,
        stop_signal: container.lifecycle.as_ref().and_then(|l| l.stop_signal.clone()),
    }
}
