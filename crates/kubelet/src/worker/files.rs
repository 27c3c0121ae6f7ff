//! Files that the kubelet itself puts into a pod's containers.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::{Container, Pod};

use super::Worker;
use crate::pod::dns::{self, Cluster};
use crate::pod::observed::Observed;
use crate::pod::spec;
use crate::volumes::mounts::covers;

impl Worker {
    fn container_dir(&self, name: &str) -> PathBuf {
        self.context.volumes.pod_dir(&self.id.uid).join("containers").join(name)
    }

    /// Where a container leaves its last words.
    pub(super) fn termination_file(&self, name: &str, restarts: u32) -> PathBuf {
        self.container_dir(name).join(restarts.to_string())
    }

    /// `hosts`, `resolv.conf` and the file for last words, as binds.
    pub(super) fn own_files(
        &self,
        pod: &Pod,
        container: &Container,
        observed: &Observed,
        restarts: u32,
    ) -> std::io::Result<Vec<String>> {
        let dir = self.context.volumes.pod_dir(&self.id.uid);
        std::fs::create_dir_all(&dir)?;
        let mut binds = Vec::new();
        let config = &self.context.config;
        if !covers(container, "/etc/hosts") {
            let ip = observed.ip().map(|ip| ip.to_string());
            let host =
                if spec::host_network(pod) { std::fs::read_to_string("/etc/hosts")? } else { String::new() };
            let domain =
                if config.cluster_domain.is_empty() { "cluster.local" } else { &config.cluster_domain };
            let text = dns::hosts(pod, ip.as_deref(), domain, &host);
            binds.push(self.put(&dir, "etc-hosts", &text, "/etc/hosts")?);
        }
        if !covers(container, "/etc/resolv.conf") {
            let host = std::fs::read_to_string(&config.resolv_conf).unwrap_or_default();
            let cluster = Cluster { servers: &config.cluster_dns, domain: &config.cluster_domain };
            let text = dns::resolv_conf(pod, &dns::parse(&host), &cluster);
            binds.push(self.put(&dir, "resolv.conf", &text, "/etc/resolv.conf")?);
        }
        let path = container.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
        if !path.is_empty() && !covers(container, path) {
            std::fs::create_dir_all(self.container_dir(&container.name))?;
            let file = self.termination_file(&container.name, restarts);
            std::fs::write(&file, b"")?;
            // The container may run as any user.
            std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
            binds.push(format!("{}:{path}", file.display()));
        }
        Ok(binds)
    }

    /// Writes in place: a bound file must keep its inode.
    fn put(&self, dir: &std::path::Path, name: &str, text: &str, target: &str) -> std::io::Result<String> {
        let file = dir.join(name);
        if std::fs::read_to_string(&file).ok().as_deref() != Some(text) {
            std::fs::write(&file, text)?;
        }
        Ok(format!("{}:{target}", file.display()))
    }
}
