//! Which probes should run, and what their verdicts mean.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use super::Worker;
use crate::pod::observed::Observed;
use crate::pod::plan::{End, Probed};
use crate::pod::spec;
use crate::probe::prober::{self, Kind, Report, Target};

impl Worker {
    pub(super) fn note(&mut self, report: &Report) {
        let probed = self.memory.probes.entry(report.id.clone()).or_default();
        match report.kind {
            Kind::Startup if report.success => probed.started = true,
            Kind::Startup => probed.not_started = true,
            Kind::Readiness => probed.ready = report.success,
            Kind::Liveness => probed.unhealthy = !report.success,
        }
    }

    /// Starts the probes of running containers and drops those of others.
    pub(super) fn steer_probes(&mut self, pod: &Arc<Pod>, observed: &Observed, end: Option<End>) {
        self.probers.retain(|(id, kind), _| {
            let running = observed.containers.iter().any(|c| c.container.id == *id && c.running());
            // Traffic is drained while the pod ends; it is not restarted any more.
            running && (end.is_none() || *kind == Kind::Readiness)
        });
        if end.is_some() {
            return;
        }
        let ip = match observed.ip() {
            Some(ip) => ip.to_string(),
            None => self.context.node_ip.to_string(),
        };
        for seen in observed.containers.iter().filter(|c| c.running()) {
            let Some(container) = spec::container(pod, &seen.name) else { continue };
            let id = &seen.container.id;
            if !self.memory.probes.contains_key(id) {
                let known = before(pod, id);
                self.memory.probes.insert(id.clone(), known);
            }
            let probed = self.memory.probes.get(id).copied().unwrap_or_default();
            let started = container.startup_probe.is_none() || probed.started;
            for kind in [Kind::Startup, Kind::Readiness, Kind::Liveness] {
                let due = if kind == Kind::Startup { !started && !probed.not_started } else { started };
                let decided = kind == Kind::Liveness && probed.unhealthy;
                let key = (id.clone(), kind);
                if kind.of(container).is_none() || !due || decided || self.probers.contains_key(&key) {
                    continue;
                }
                let age = seen.container.started_at.map(|start| client::clock::now().duration_since(start));
                let target = Target {
                    pod: pod.clone(),
                    name: seen.name.clone(),
                    id: id.clone(),
                    ip: ip.clone(),
                    age: age.and_then(|a| Duration::try_from(a).ok()).unwrap_or_default(),
                };
                let task = prober::spawn(self.context.clone(), target, kind, self.reports.0.clone());
                self.probers.insert(key, task);
            }
        }
    }
}

/// A restarted kubelet believes its own last report until a probe says otherwise: traffic goes on.
fn before(pod: &Pod, id: &str) -> Probed {
    let statuses = pod
        .status
        .iter()
        .flat_map(|s| s.container_statuses.iter().chain(&s.init_container_statuses))
        .flatten();
    let wanted = format!("docker://{id}");
    let found = statuses.into_iter().find(|s| s.container_id.as_deref() == Some(&wanted));
    found.map_or_else(Probed::default, |s| Probed {
        started: s.started.unwrap_or_default(),
        ready: s.ready,
        ..Probed::default()
    })
}
