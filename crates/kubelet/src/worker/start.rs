//! Starting a container: image, environment, files, create, start, postStart hook.

use std::sync::Arc;

use client::events::EventType;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Pod};

use super::{Wanted, Worker, hooks};
use crate::images::{self, NoImage};
use crate::pod::create::{self, Circumstances};
use crate::pod::env;
use crate::pod::observed::Observed;
use crate::pod::plan::Waiting;
use crate::pod::{resources, security, spec};
use crate::runtime::{self, Image, RegistryAuth};
use crate::volumes::mounts;
use crate::volumes::objects::Error as ObjectError;

/// Upstream's wait of a pod worker after an error.
const RETRY: SignedDuration = SignedDuration::from_secs(10);

/// Why a container was not started: a state's reason and message.
struct Refusal(&'static str, String);

impl Worker {
    pub(super) async fn start(
        &mut self,
        wanted: &Wanted,
        observed: &Observed,
        name: &str,
        restarts: u32,
        after: Option<Timestamp>,
    ) -> Result<bool, Timestamp> {
        let pod = wanted.pod.clone();
        let Some(container) = spec::container(&pod, name) else { return Ok(false) };
        self.ensure_volumes(&pod, observed).await?;
        let Some(image) = self.image(&pod, container).await else { return Ok(true) };
        let image = match image {
            Ok(image) => image,
            Err(no) => {
                self.wait_for(&pod, name, no.reason, no.message, no.retry_at);
                return Ok(false);
            }
        };
        match self.create_and_start(&pod, container, observed, &image, restarts).await {
            Ok(id) => {
                if let Some(after) = after {
                    self.memory.backoff.next(name, after);
                }
                self.memory.waiting.remove(name);
                self.image_refs.insert(image.id.clone(), images::image_ref(&image));
                self.post_start(&pod, container, observed, &id).await;
                Ok(true)
            }
            Err(Refusal(reason, message)) => {
                if let Some(after) = after {
                    self.memory.backoff.next(name, after);
                }
                self.context.say_container(
                    &pod,
                    name,
                    EventType::Warning,
                    "Failed",
                    format!("Error: {message}"),
                );
                self.wait_for(&pod, name, reason, message, client::clock::now() + RETRY);
                Ok(false)
            }
        }
    }

    fn wait_for(&mut self, pod: &Pod, name: &str, reason: &str, message: String, retry_at: Timestamp) {
        if reason == "ImagePullBackOff" {
            self.context.say_container(pod, name, EventType::Warning, "Failed", "Error: ImagePullBackOff");
        }
        self.memory.waiting.insert(name.to_owned(), Waiting { reason: reason.to_owned(), message, retry_at });
    }

    /// The image; `None` when the pod was deleted while it was being pulled.
    async fn image(&mut self, pod: &Arc<Pod>, container: &Container) -> Option<Result<Image, NoImage>> {
        let auth = self.registry_auth(pod, container).await;
        let context = self.context.clone();
        let say = |kind: EventType, reason: &str, text: String| {
            context.say_container(pod, &container.name, kind, reason, text);
        };
        let mut wanted = self.wanted.clone();
        let deleted = wanted.wait_for(|w| w.gone || w.pod.metadata.deletion_timestamp.is_some());
        tokio::select! {
            image = context.images.ensure(&self.id.uid, container, &auth, &say) => Some(image),
            _ = deleted => None,
        }
    }

    async fn registry_auth(&self, pod: &Pod, container: &Container) -> Vec<RegistryAuth> {
        let names = spec::of(pod).image_pull_secrets.iter().flatten().map(|s| s.name.clone());
        let image = container.image.clone().unwrap_or_default();
        let mut auth = Vec::new();
        let mut missing = Vec::new();
        for name in names.filter(|n| !n.is_empty()) {
            match self.context.objects.secret(&self.id.namespace, &name).await {
                Ok(secret) => auth.extend(images::credentials(&secret, &image)),
                Err(_) => missing.push(name),
            }
        }
        if !missing.is_empty() {
            let text = format!(
                "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
                missing.join(", ")
            );
            self.context.say(pod, EventType::Warning, "FailedToRetrieveImagePullSecret", text);
        }
        auth
    }

    /// The container's variables. While the API server is away, those of its last start serve.
    async fn environment(
        &mut self,
        pod: &Pod,
        container: &Container,
        observed: &Observed,
    ) -> Result<Vec<(String, String)>, Refusal> {
        let refuse = |message: String| Refusal("CreateContainerConfigError", message);
        let sources = match self.sources(pod, container, observed).await {
            Ok(sources) => sources,
            Err(e) => {
                return match self.environments.get(&container.name) {
                    Some(env) => Ok(env.clone()),
                    None => Err(refuse(e)),
                };
            }
        };
        let env = env::environment(pod, container, &sources).map_err(refuse)?;
        self.environments.insert(container.name.clone(), env.clone());
        Ok(env)
    }

    async fn sources(
        &self,
        pod: &Pod,
        container: &Container,
        observed: &Observed,
    ) -> Result<env::Sources, String> {
        let mut sources = self.facts(observed);
        let objects = &self.context.objects;
        let namespace = &self.id.namespace;
        let (maps, secrets) = env::references(container);
        for name in maps {
            match objects.config_map(namespace, &name).await {
                Ok(map) => drop(sources.config_maps.insert(name, map)),
                Err(ObjectError::NotFound(_)) => {}
                Err(e) => return Err(e.to_string()),
            }
        }
        for name in secrets {
            match objects.secret(namespace, &name).await {
                Ok(secret) => drop(sources.secrets.insert(name, secret)),
                Err(ObjectError::NotFound(_)) => {}
                Err(e) => return Err(e.to_string()),
            }
        }
        let links = spec::of(pod).enable_service_links.unwrap_or(true);
        sources.services = objects.services(namespace, links).await.map_err(|e| e.to_string())?;
        Ok(sources)
    }

    async fn create_and_start(
        &mut self,
        pod: &Arc<Pod>,
        container: &Container,
        observed: &Observed,
        image: &Image,
        restarts: u32,
    ) -> Result<String, Refusal> {
        let config_error = |message: String| Refusal("CreateContainerConfigError", message);
        let context = self.context.clone();
        let Some(sandbox) = observed.ready_sandbox() else {
            return Err(Refusal("CreateContainerError", "the sandbox has ended".into()));
        };
        let env = self.environment(pod, container, observed).await?;
        let security = security::security(pod, container, &image.user).map_err(config_error)?;
        let places = self.places.clone().unwrap_or_default();
        let mut files = mounts::mounts(pod, container, &places, &env).map_err(config_error)?;
        let own =
            self.own_files(pod, container, observed, restarts).map_err(|e| config_error(e.to_string()))?;
        files.binds.extend(own);
        let mut limits =
            resources::limits(pod, container, context.capacity.memory, context.config.cpu_cfs_quota);
        limits.oom_score_adj = context.oom_score_adj(limits.oom_score_adj);
        let circumstances = Circumstances {
            owner: &context.owner,
            sandbox: &sandbox.id,
            restarts,
            env: &env,
            mounts: files,
            limits,
            security,
            pids_limit: context.config.pod_pids_limit.max(0),
        };
        let mut wanted = create::container(pod, container, circumstances);
        let runtime = &context.runtime;
        let mut conflict = false;
        loop {
            let id = match runtime.create(&wanted).await {
                Ok(id) => id,
                // Left of a killed kubelet; the uid in the name makes it ours.
                Err(runtime::Error::Conflict(_)) if !conflict => {
                    conflict = true;
                    let _ = runtime.remove(&wanted.name).await;
                    continue;
                }
                Err(e) => return Err(Refusal("CreateContainerError", e.to_string())),
            };
            let refused = match runtime.start(&id).await {
                Ok(()) => {
                    let say = |reason: &str, text: &str| {
                        context.say_container(pod, &container.name, EventType::Normal, reason, text);
                    };
                    say("Created", "Container created");
                    say("Started", "Container started");
                    return Ok(id);
                }
                Err(e) => e.to_string(),
            };
            if wanted.oom_score_adj.is_some_and(|s| s < 0) && context.note_oom_refusal(&refused) {
                let _ = runtime.remove(&id).await;
                wanted.oom_score_adj = Some(context.oom_score_adj(0));
                continue;
            }
            context.say_container(pod, &container.name, EventType::Normal, "Created", "Container created");
            return Err(Refusal("RunContainerError", format!("failed to start container {id:?}: {refused}")));
        }
    }

    async fn post_start(&mut self, pod: &Arc<Pod>, container: &Container, observed: &Observed, id: &str) {
        let Some(hook) = container.lifecycle.as_ref().and_then(|l| l.post_start.clone()) else { return };
        let ip = observed.ip().map(|ip| ip.to_string()).unwrap_or_else(|| self.context.node_ip.to_string());
        let context = self.context.clone();
        let mut wanted = self.wanted.clone();
        let deleted = wanted.wait_for(|w| w.gone || w.pod.metadata.deletion_timestamp.is_some());
        let result = tokio::select! {
            result = hooks::run(&context, &hook, container, id, &ip) => result,
            _ = deleted => return,
        };
        if let Err(why) = result {
            tracing::warn!(pod = %self.id, container = container.name, "PostStart hook failed: {why}");
            context.say_container(
                pod,
                &container.name,
                EventType::Warning,
                "FailedPostStartHook",
                "PostStartHook failed",
            );
            context.say_container(pod, &container.name, EventType::Normal, "Killing", "FailedPostStartHook");
            if let Err(e) = context.runtime.kill(id, "SIGKILL").await {
                tracing::warn!(pod = %self.id, "cannot kill container {id}: {e}");
            }
        }
    }
}
