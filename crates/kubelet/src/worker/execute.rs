//! Carrying out a plan's steps.

use std::sync::Arc;
use std::time::Duration;

use client::events::EventType;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use super::stop::{Stopper, Target};
use super::{Wanted, Worker};
use crate::pod::env::Sources;
use crate::pod::observed::Observed;
use crate::pod::plan::Action;
use crate::pod::{create, spec};
use crate::runtime::State;
use crate::volumes::{self, Place};

/// Longest wait between two tries to make a sandbox or a volume.
const RETRY_SECONDS_MAX: i64 = 60;

impl Worker {
    /// `Ok(true)`: something changed. `Err`: not before that moment again.
    pub(super) async fn execute(
        &mut self,
        wanted: &Wanted,
        observed: &Observed,
        action: &Action,
    ) -> Result<bool, Timestamp> {
        let pod = &wanted.pod;
        let soon = || client::clock::now() + SignedDuration::from_secs(2);
        match action {
            Action::CreateSandbox { attempt, changed } => {
                if *changed {
                    let text = "Pod sandbox changed, it will be killed and re-created.";
                    self.context.say(pod, EventType::Normal, "SandboxChanged", text);
                }
                self.create_sandbox(pod, observed, *attempt).await.map(|()| true)
            }
            Action::StopSandbox(id) => {
                self.wired.remove(id);
                self.context.network.detach(id).await;
                if let Some(ip) = observed.sandboxes.iter().find(|s| s.id == *id).and_then(|s| s.ip) {
                    self.context.network.release(ip);
                }
                match self.context.runtime.kill(id, "SIGKILL").await {
                    Ok(()) => Ok(true),
                    Err(e) => {
                        tracing::warn!(pod = %self.id, "cannot stop sandbox: {e}");
                        Err(soon())
                    }
                }
            }
            Action::Start { name, restarts, after } => {
                self.start(wanted, observed, name, *restarts, *after).await
            }
            Action::Stop { id, name, message } => {
                self.stop(wanted, observed, id, name, message);
                Ok(false)
            }
            Action::Remove(id) => match self.context.runtime.remove(id).await {
                Ok(()) => {
                    self.memory.probes.remove(id);
                    Ok(true)
                }
                Err(e) => {
                    tracing::warn!(pod = %self.id, "cannot remove container {id}: {e}");
                    Err(soon())
                }
            },
            Action::Finish => Ok(false),
        }
    }

    fn stop(&mut self, wanted: &Wanted, observed: &Observed, id: &str, name: &str, message: &str) {
        // A pod whose object was removed by force does not get its full time.
        let seconds = if wanted.gone && wanted.pod.metadata.deletion_timestamp.is_none() {
            1
        } else {
            spec::grace_seconds(&wanted.pod)
        };
        let grace = Duration::from_secs(u64::try_from(seconds).unwrap_or(1));
        if let Some(stopper) = self.stoppers.get(id) {
            stopper.hurry(grace);
            return;
        }
        self.context.say_container(&wanted.pod, name, EventType::Normal, "Killing", message);
        let signal = observed
            .containers
            .iter()
            .find(|c| c.container.id == id)
            .map(|c| c.container.stop_signal.clone());
        let target = Target {
            pod: wanted.pod.clone(),
            name: name.to_owned(),
            id: id.to_owned(),
            signal: signal.unwrap_or_else(|| "SIGTERM".into()),
            ip: observed.ip().map(|ip| ip.to_string()).unwrap_or_else(|| self.context.node_ip.to_string()),
        };
        self.memory.stopping.insert(id.to_owned());
        self.stoppers.insert(id.to_owned(), Stopper::start(self.context.clone(), target, grace));
    }

    /// What environments and volumes refer to, objects aside.
    pub(super) fn facts(&self, observed: &Observed) -> Sources {
        Sources {
            pod_ip: observed.ip(),
            host_ip: self.context.node_ip.to_string(),
            node_cpu_milli: self.context.capacity.cpu_milli,
            node_memory: self.context.capacity.memory,
            ..Sources::default()
        }
    }

    pub(super) async fn set_up_volumes(
        &mut self,
        pod: &Arc<Pod>,
        observed: &Observed,
    ) -> Result<(), volumes::Error> {
        let facts = self.facts(observed);
        let places = self.context.volumes.set_up(pod, &facts).await?;
        self.places = Some(places);
        Ok(())
    }

    /// Volumes first, as upstream: a pod whose volumes cannot be had does not get a sandbox.
    pub(super) async fn ensure_volumes(
        &mut self,
        pod: &Arc<Pod>,
        observed: &Observed,
    ) -> Result<(), Timestamp> {
        if self.places.is_some() {
            return Ok(());
        }
        match self.set_up_volumes(pod, observed).await {
            Ok(()) => Ok(()),
            Err(e) => {
                self.context.say(pod, EventType::Warning, "FailedMount", e.to_string());
                Err(self.later())
            }
        }
    }

    /// 1, 2, 4 … seconds.
    fn later(&mut self) -> Timestamp {
        let seconds = (1_i64 << self.sandbox_failures.min(6)).min(RETRY_SECONDS_MAX);
        self.sandbox_failures += 1;
        let retry_at = client::clock::now() + SignedDuration::from_secs(seconds);
        self.memory.sandbox_after = Some(retry_at);
        retry_at
    }

    async fn create_sandbox(
        &mut self,
        pod: &Arc<Pod>,
        observed: &Observed,
        attempt: u32,
    ) -> Result<(), Timestamp> {
        self.say_missing_dns(pod);
        if !spec::host_network(pod)
            && let Err(why) = self.context.network.ready()
        {
            self.context.say(
                pod,
                EventType::Warning,
                "NetworkNotReady",
                format!("network is not ready: {why}"),
            );
            let mut changes = self.context.network.changes();
            let wake = self.wake.clone();
            // Flannel may come at any moment.
            tokio::spawn(async move {
                if tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.is_ok() {
                    wake.notify_one();
                }
            });
            return Err(client::clock::now() + SignedDuration::from_secs(5));
        }
        self.ensure_volumes(pod, observed).await?;
        match self.make_sandbox(pod, attempt).await {
            Ok(()) => {
                self.sandbox_failures = 0;
                self.memory.sandbox_after = None;
                Ok(())
            }
            Err(why) => {
                let text = format!("Failed to create pod sandbox: {why}");
                self.context.say(pod, EventType::Warning, "FailedCreatePodSandBox", text);
                Err(self.later())
            }
        }
    }

    async fn make_sandbox(&mut self, pod: &Arc<Pod>, attempt: u32) -> Result<(), String> {
        let context = self.context.clone();
        let image = &context.infra_image;
        let network = if spec::host_network(pod) { context.host_network.clone()? } else { "none".to_owned() };
        let ip = match network.as_str() {
            "none" => Some(context.network.reserve().map_err(|e| e.to_string())?),
            _ => None,
        };
        let text = ip.map(|ip| ip.to_string());
        let domain = if context.config.cluster_domain.is_empty() {
            "cluster.local"
        } else {
            &context.config.cluster_domain
        };
        // Holding a memory-backed volume keeps its content over restarts of the containers that use it.
        let held = self.places.iter().flatten().filter_map(|(name, place)| match place {
            Place::Docker(volume) => Some(format!("{volume}:/volumes/{name}")),
            _ => None,
        });
        let circumstances = create::SandboxCircumstances {
            owner: &context.owner,
            attempt,
            image,
            network: &network,
            ip: text.as_deref(),
            domain,
            volumes: held.collect(),
        };
        let mut wanted = create::sandbox(pod, circumstances);
        let score = wanted.oom_score_adj.unwrap_or_default();
        wanted.oom_score_adj = Some(context.oom_score_adj(score));
        let made = self.bring_up(&mut wanted, ip).await;
        if made.is_err()
            && let Some(ip) = ip
        {
            context.network.release(ip);
        }
        made
    }

    async fn bring_up(
        &mut self,
        wanted: &mut crate::runtime::Create,
        ip: Option<std::net::Ipv4Addr>,
    ) -> Result<(), String> {
        let context = self.context.clone();
        let runtime = &context.runtime;
        let mut first = true;
        let id = loop {
            let id = match runtime.create(wanted).await {
                Ok(id) => id,
                Err(crate::runtime::Error::NotFound(_)) if first => {
                    first = false;
                    runtime
                        .pull(&wanted.image, None)
                        .await
                        .map_err(|e| format!("failed pulling image {:?}: {e}", wanted.image))?;
                    continue;
                }
                // A container of the same name is left of a killed kubelet; the uid in it makes it ours.
                Err(crate::runtime::Error::Conflict(_)) if first => {
                    first = false;
                    runtime.remove(&wanted.name).await.map_err(|e| e.to_string())?;
                    continue;
                }
                Err(e) => return Err(format!("failed to create a sandbox for pod {:?}: {e}", self.id.name)),
            };
            match runtime.start(&id).await {
                Ok(()) => break id,
                Err(e) => {
                    let again = wanted.oom_score_adj.is_some_and(|s| s < 0)
                        && context.note_oom_refusal(&e.to_string());
                    let _ = runtime.remove(&id).await;
                    if !again {
                        return Err(format!(
                            "failed to start sandbox container for pod {:?}: {e}",
                            self.id.name
                        ));
                    }
                    wanted.oom_score_adj = Some(context.oom_score_adj(0));
                }
            }
        };
        let Some(ip) = ip else { return Ok(()) };
        let container = runtime.inspect(&id).await.map_err(|e| e.to_string())?;
        let wired = if container.state == State::Running {
            context.network.attach(&id, container.pid, ip).await.map_err(|e| e.to_string())
        } else {
            Err(format!("the sandbox ended at once, exit code {}", container.exit_code))
        };
        if let Err(why) = wired {
            let _ = runtime.remove(&id).await;
            return Err(format!(
                "failed to set up sandbox container {id:?} network for pod {:?}: {why}",
                self.id.name
            ));
        }
        self.wired.insert(id);
        Ok(())
    }
}
