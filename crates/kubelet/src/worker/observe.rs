//! Looking at a pod's containers.

use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;

use super::Worker;
use crate::labels;
use crate::pod::observed::Observed;
use crate::pod::spec;
use crate::runtime::{self, LogOptions, State};

/// Upstream's `MaxContainerTerminationMessageLogLength` and `…MessageLength`.
const WORDS_FROM_LOG_BYTES_MAX: usize = 2048;
const WORDS_BYTES_MAX: usize = 4096;

impl Worker {
    /// What Docker has, with the wiring of running sandboxes checked once per process.
    pub(super) async fn observe(&mut self, pod: &Arc<Pod>) -> Result<Observed, runtime::Error> {
        let listed = self.context.runtime.list(Some(&self.id.uid)).await?;
        let mut found = Vec::with_capacity(listed.len());
        for entry in listed {
            match self.context.runtime.inspect(&entry.id).await {
                Ok(container) => found.push(container),
                Err(runtime::Error::NotFound(_)) => {}
                Err(e) => return Err(e),
            }
        }
        for sandbox in found.iter().filter(|c| is_sandbox(c) && c.state == State::Running) {
            let Some(ip) = sandbox.labels.get(labels::POD_IP).and_then(|ip| ip.parse().ok()) else {
                continue;
            };
            if self.wired.contains(&sandbox.id) || !self.context.network.belongs(ip) {
                continue;
            }
            match self.context.network.attach(&sandbox.id, sandbox.pid, ip).await {
                Ok(()) => {
                    self.wired.insert(sandbox.id.clone());
                }
                Err(e) => tracing::debug!(pod = %self.id, "sandbox {}: {e}", sandbox.id),
            }
        }
        let network = &self.context.network;
        let wired = &self.wired;
        Ok(Observed::new(found, |container, ip| match ip {
            None => spec::host_network(pod),
            // While flannel is away, what runs is left alone.
            Some(ip) => network.belongs(ip) && (wired.contains(&container.id) || network.ready().is_err()),
        }))
    }

    /// Cleans up after containers that have ended, and reads their last words.
    pub(super) async fn note_exits(&mut self, observed: &Observed) {
        let present = |id: &String| observed.containers.iter().any(|c| c.container.id == *id);
        self.last_words.retain(|id, _| present(id));
        self.memory.probes.retain(|id, _| present(id));
        for seen in &observed.containers {
            let id = &seen.container.id;
            if !self.image_refs.contains_key(&seen.container.image_id)
                && let Ok(Some(image)) = self.context.runtime.image(&seen.container.image_id).await
            {
                self.image_refs.insert(seen.container.image_id.clone(), crate::images::image_ref(&image));
            }
            if seen.running() {
                continue;
            }
            self.memory.stopping.remove(id);
            self.stoppers.remove(id);
            if seen.container.state == State::Exited && !self.last_words.contains_key(id) {
                let words = self.words_of(seen).await;
                self.last_words.insert(id.clone(), words);
            }
        }
        self.stoppers.retain(|id, _| observed.containers.iter().any(|c| c.container.id == *id));
        let lost: Vec<_> = observed.sandboxes.iter().filter(|s| !s.running).collect();
        for sandbox in lost {
            // Its namespace is gone with its process.
            if self.wired.remove(&sandbox.id) {
                self.context.network.detach(&sandbox.id).await;
                if let Some(ip) = sandbox.ip {
                    self.context.network.release(ip);
                }
                tracing::info!(pod = %self.id, "sandbox {} has ended", sandbox.id);
            }
        }
    }

    async fn words_of(&self, seen: &crate::pod::observed::Seen) -> String {
        let file = self.termination_file(&seen.name, seen.restarts);
        let mut words = std::fs::read(file).unwrap_or_default();
        words.truncate(WORDS_BYTES_MAX);
        let policy = seen.container.labels.get(labels::TERMINATION_POLICY);
        let from_log = words.is_empty() && seen.container.exit_code != 0;
        if from_log && policy.is_some_and(|p| p == "FallbackToLogsOnError") {
            let options = LogOptions { tail: Some(80), ..LogOptions::default() };
            if let Ok(mut output) = self.context.runtime.logs(&seen.container.id, &options).await {
                while let Some(Ok((_, bytes))) = output.next().await {
                    words.extend_from_slice(&bytes);
                }
            }
            let start = words.len().saturating_sub(WORDS_FROM_LOG_BYTES_MAX);
            words.drain(..start);
        }
        String::from_utf8_lossy(&words).into_owned()
    }
}

fn is_sandbox(container: &runtime::Container) -> bool {
    container.labels.get(labels::TYPE).is_some_and(|t| t == "podsandbox")
}
