//! The Docker engine, through bollard. The API version is negotiated: Docker 29 refuses versions below 1.44, Debian's
//! engine speaks 1.41.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bollard::models::{ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum, HostConfig};
use bollard::query_parameters as query;
use bollard::{API_DEFAULT_VERSION, Docker};
use futures::{Stream, StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::*;
use crate::labels::{CLUSTER, NODE, Owner, POD_UID};

/// Bollard's limit for one request's answer to begin. Creating on a busy disk takes long.
const REQUEST_SECONDS_MAX: u64 = 120;

/// A Docker engine, and only the containers of one owner on it.
pub struct DockerRuntime {
    pub(super) docker: Docker,
    pub(super) endpoint: String,
    owner: Owner,
}

impl DockerRuntime {
    /// Connects and agrees on an API version.
    pub async fn connect(endpoint: &str, owner: Owner) -> Result<Self> {
        let unreachable = |e: bollard::errors::Error| Error::Unreachable {
            endpoint: endpoint.to_owned(),
            message: e.to_string(),
        };
        let path = endpoint.strip_prefix("unix://").unwrap_or(endpoint);
        let docker =
            Docker::connect_with_unix(path, REQUEST_SECONDS_MAX, API_DEFAULT_VERSION).map_err(unreachable)?;
        // A socket that accepts and does not answer must not hold the start for ever.
        let negotiated = tokio::time::timeout(Duration::from_secs(10), docker.negotiate_version()).await;
        let docker = match negotiated {
            Ok(result) => result.map_err(unreachable)?,
            Err(_) => {
                let message = "no answer within 10 s".into();
                return Err(Error::Unreachable { endpoint: endpoint.to_owned(), message });
            }
        };
        Ok(Self { docker, endpoint: endpoint.to_owned(), owner })
    }

    fn filters(&self, pod_uid: Option<&str>) -> HashMap<String, Vec<String>> {
        let mut labels =
            vec![format!("{NODE}={}", self.owner.node), format!("{CLUSTER}={}", self.owner.cluster)];
        labels.extend(pod_uid.map(|uid| format!("{POD_UID}={uid}")));
        HashMap::from([("label".to_owned(), labels)])
    }

    pub(super) fn error(&self, error: bollard::errors::Error) -> Error {
        use bollard::errors::Error as E;
        match error {
            E::DockerResponseServerError { status_code: 404, message } => Error::NotFound(message),
            E::DockerResponseServerError { status_code: 409, message } => Error::Conflict(message),
            E::DockerResponseServerError { message, .. } => Error::Refused(message),
            E::DockerStreamError { error } => Error::Refused(error),
            E::DockerContainerWaitError { error, .. } => Error::Refused(error),
            other => Error::Unreachable { endpoint: self.endpoint.clone(), message: other.to_string() },
        }
    }

    /// How the container with `id` is networked, for [`crate::network::host`]. Not limited to our own.
    pub async fn network_mode(&self, id: &str) -> Result<Option<String>> {
        let found = self.docker.inspect_container(id, None::<query::InspectContainerOptions>).await;
        match found.map_err(|e| self.error(e)) {
            Ok(found) => Ok(Some(found.host_config.and_then(|h| h.network_mode).unwrap_or_default())),
            Err(Error::NotFound(_)) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

#[async_trait]
impl Runtime for DockerRuntime {
    async fn info(&self) -> Result<Info> {
        let info = self.docker.info().await.map_err(|e| self.error(e))?;
        Ok(Info {
            version: info.server_version.unwrap_or_default(),
            api_version: self.docker.client_version().to_string(),
            cgroup_driver: info.cgroup_driver.map(|d| d.to_string()).unwrap_or_default(),
            operating_system: info.operating_system.unwrap_or_default(),
        })
    }

    async fn list(&self, pod_uid: Option<&str>) -> Result<Vec<Listed>> {
        let options = query::ListContainersOptions {
            all: true,
            filters: Some(self.filters(pod_uid)),
            ..Default::default()
        };
        let found = self.docker.list_containers(Some(options)).await.map_err(|e| self.error(e))?;
        Ok(found
            .into_iter()
            .map(|c| Listed {
                id: c.id.unwrap_or_default(),
                labels: c.labels.unwrap_or_default().into_iter().collect(),
                running: c.state.is_some_and(|s| s.to_string() == "running"),
            })
            .collect())
    }

    async fn inspect(&self, id: &str) -> Result<Container> {
        let found = self.docker.inspect_container(id, None::<query::InspectContainerOptions>).await;
        Ok(container(found.map_err(|e| self.error(e))?))
    }

    async fn create(&self, create: &Create) -> Result<String> {
        let options = query::CreateContainerOptions { name: Some(create.name.clone()), ..Default::default() };
        let made =
            self.docker.create_container(Some(options), body(create)).await.map_err(|e| self.error(e))?;
        for warning in made.warnings.iter().filter(|w| !w.is_empty()) {
            tracing::debug!(container = create.name, "docker: {warning}");
        }
        Ok(made.id)
    }

    async fn start(&self, id: &str) -> Result<()> {
        let started = self.docker.start_container(id, None::<query::StartContainerOptions>).await;
        started.map_err(|e| self.error(e))
    }

    async fn kill(&self, id: &str, signal: &str) -> Result<()> {
        let options = query::KillContainerOptions { signal: signal.to_owned() };
        match self.docker.kill_container(id, Some(options)).await.map_err(|e| self.error(e)) {
            // 409: it is not running any more.
            Err(Error::NotFound(_) | Error::Conflict(_)) => Ok(()),
            Err(Error::Refused(text)) if text.contains("is not running") => Ok(()),
            other => other,
        }
    }

    async fn remove(&self, id: &str) -> Result<()> {
        let options = query::RemoveContainerOptions { force: true, v: true, link: false };
        match self.docker.remove_container(id, Some(options)).await.map_err(|e| self.error(e)) {
            // 409: somebody else is removing it.
            Err(Error::NotFound(_) | Error::Conflict(_)) => Ok(()),
            other => other,
        }
    }

    async fn image(&self, name: &str) -> Result<Option<Image>> {
        let found = match self.docker.inspect_image(name).await.map_err(|e| self.error(e)) {
            Ok(found) => found,
            Err(Error::NotFound(_)) => return Ok(None),
            Err(e) => return Err(e),
        };
        Ok(Some(Image {
            id: found.id.unwrap_or_default(),
            repo_digests: found.repo_digests.unwrap_or_default(),
            user: found.config.and_then(|c| c.user).unwrap_or_default(),
            size: found.size.unwrap_or_default(),
        }))
    }

    async fn images(&self) -> Result<Vec<ImageSummary>> {
        let found =
            self.docker.list_images(None::<query::ListImagesOptions>).await.map_err(|e| self.error(e))?;
        Ok(found
            .into_iter()
            .map(|i| ImageSummary {
                names: i
                    .repo_digests
                    .into_iter()
                    .chain(i.repo_tags)
                    .filter(|n| !n.contains("<none>"))
                    .collect(),
                size: i.size,
            })
            .filter(|i| !i.names.is_empty())
            .collect())
    }

    async fn pull(&self, name: &str, auth: Option<&RegistryAuth>) -> Result<()> {
        let options = query::CreateImageOptions { from_image: Some(name.to_owned()), ..Default::default() };
        let auth = auth.map(|a| bollard::auth::DockerCredentials {
            username: (!a.username.is_empty()).then(|| a.username.clone()),
            password: (!a.password.is_empty()).then(|| a.password.clone()),
            identitytoken: (!a.identity_token.is_empty()).then(|| a.identity_token.clone()),
            serveraddress: Some(a.server.clone()),
            ..Default::default()
        });
        let mut progress = self.docker.create_image(Some(options), None, auth);
        while let Some(step) = progress.next().await {
            let step = step.map_err(|e| self.error(e))?;
            if let Some(error) = step.error_detail.and_then(|e| e.message) {
                return Err(Error::Refused(error));
            }
        }
        Ok(())
    }

    async fn create_memory_volume(&self, name: &str, size: Option<i64>) -> Result<()> {
        let pairs = |pairs: Vec<(&str, String)>| -> HashMap<String, String> {
            pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
        };
        let options = match size {
            Some(bytes) => format!("mode=1777,size={bytes}"),
            None => "mode=1777".to_owned(),
        };
        let request = bollard::models::VolumeCreateRequest {
            name: Some(name.to_owned()),
            driver: Some("local".into()),
            driver_opts: Some(pairs(vec![
                ("type", "tmpfs".into()),
                ("device", "tmpfs".into()),
                ("o", options),
            ])),
            labels: Some(pairs(vec![(NODE, self.owner.node.clone()), (CLUSTER, self.owner.cluster.clone())])),
            ..Default::default()
        };
        self.docker.create_volume(request).await.map(|_| ()).map_err(|e| self.error(e))
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        let options = query::RemoveVolumeOptions { force: true };
        match self.docker.remove_volume(name, Some(options)).await.map_err(|e| self.error(e)) {
            Err(Error::NotFound(_)) => Ok(()),
            other => other,
        }
    }

    async fn events(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Event>> + Send>>> {
        let mut filters = self.filters(None);
        filters.insert("type".into(), vec!["container".into()]);
        filters.insert("event".into(), ["start", "die", "oom", "destroy"].map(str::to_owned).to_vec());
        let options = query::EventsOptions { filters: Some(filters), ..Default::default() };
        let docker = self.docker.clone();
        let endpoint = self.endpoint.clone();
        let stream = docker
            .events(Some(options))
            .map_err(move |e| Error::Unreachable { endpoint: endpoint.clone(), message: e.to_string() })
            .try_filter_map(|message| async move {
                let Some(actor) = message.actor else { return Ok(None) };
                let attributes = actor.attributes.unwrap_or_default();
                Ok(attributes.get(POD_UID).map(|uid| Event {
                    pod_uid: uid.clone(),
                    container_id: actor.id.unwrap_or_default(),
                    action: message.action.unwrap_or_default(),
                }))
            });
        Ok(Box::pin(stream))
    }

    async fn logs(&self, id: &str, options: &LogOptions) -> Result<Output> {
        self.open_logs(id, options).await
    }

    async fn exec(&self, id: &str, exec: &Exec) -> Result<Session> {
        self.open_exec(id, exec).await
    }

    async fn exec_exit_code(&self, exec_id: &str) -> Result<i32> {
        self.wait_exec(exec_id).await
    }

    async fn exec_resize(&self, exec_id: &str, width: u16, height: u16) -> Result<()> {
        let size = bollard::exec::ResizeExecOptions { height, width };
        self.docker.resize_exec(exec_id, size).await.map_err(|e| self.error(e))
    }

    async fn attach(&self, id: &str, stdin: bool) -> Result<Session> {
        self.open_attach(id, stdin).await
    }

    async fn resize(&self, id: &str, width: u16, height: u16) -> Result<()> {
        let size = query::ResizeContainerTTYOptions { h: i32::from(height), w: i32::from(width) };
        self.docker.resize_container_tty(id, size).await.map_err(|e| self.error(e))
    }

    async fn usage(&self, id: &str) -> Result<Usage> {
        let options = query::StatsOptions { stream: false, one_shot: true };
        let mut stats = self.docker.stats(id, Some(options));
        let Some(stats) = stats.next().await else {
            return Err(Error::NotFound(format!("no statistics of container {id}")));
        };
        let stats = stats.map_err(|e| self.error(e))?;
        let memory = stats.memory_stats.unwrap_or_default();
        let used = memory.usage.unwrap_or_default();
        let inactive = memory
            .stats
            .as_ref()
            .and_then(|s| s.get("total_inactive_file").or_else(|| s.get("inactive_file")).copied());
        let cpu = stats.cpu_stats.and_then(|c| c.cpu_usage).and_then(|u| u.total_usage);
        Ok(Usage {
            cpu_ns: cpu.unwrap_or_default(),
            working_set: used.saturating_sub(inactive.unwrap_or_default()),
            memory: used,
        })
    }
}

/// Docker's answer as ours. A start that failed leaves a "created" container with an exit code: for us it has ended
/// (dockershim's `ContainerStatus`).
fn container(found: ContainerInspectResponse) -> Container {
    let state = found.state.unwrap_or_default();
    let config = found.config.unwrap_or_default();
    let moment = |text: &Option<String>| {
        let time: Option<Timestamp> = text.as_deref().and_then(|t| t.parse().ok());
        // Docker's zero is Go's: 0001-01-01.
        time.filter(|t| t.as_second() > 0)
    };
    let created_at = moment(&found.created).unwrap_or(Timestamp::UNIX_EPOCH);
    let running = state.running.unwrap_or_default();
    let exit_code = i32::try_from(state.exit_code.unwrap_or_default()).unwrap_or(-1);
    let never_started = matches!(state.status, Some(ContainerStateStatusEnum::CREATED));
    let failed_start = never_started && exit_code != 0;
    let (state_now, reason) = match (running, never_started) {
        (true, _) => (State::Running, ""),
        (false, true) if !failed_start => (State::Created, ""),
        (false, true) => (State::Exited, "ContainerCannotRun"),
        (false, false) if state.oom_killed.unwrap_or_default() => (State::Exited, "OOMKilled"),
        (false, false) if exit_code == 0 => (State::Exited, "Completed"),
        (false, false) => (State::Exited, "Error"),
    };
    Container {
        id: found.id.unwrap_or_default(),
        labels: config.labels.unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>(),
        image: config.image.unwrap_or_default(),
        image_id: found.image.unwrap_or_default(),
        state: state_now,
        pid: state.pid.and_then(|p| u32::try_from(p).ok()).unwrap_or_default(),
        created_at,
        started_at: moment(&state.started_at).or(failed_start.then_some(created_at)),
        finished_at: moment(&state.finished_at).or(failed_start.then_some(created_at)),
        exit_code,
        reason,
        message: state.error.unwrap_or_default(),
        stop_signal: config.stop_signal.unwrap_or_else(|| "SIGTERM".into()),
        tty: config.tty.unwrap_or_default(),
    }
}

fn body(create: &Create) -> ContainerCreateBody {
    let some = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    let positive = |n: i64| (n > 0).then_some(n);
    ContainerCreateBody {
        hostname: create.hostname.clone(),
        user: create.user.clone(),
        env: some(&create.env),
        entrypoint: create.entrypoint.clone(),
        cmd: create.cmd.clone(),
        image: Some(create.image.clone()),
        working_dir: create.working_dir.clone(),
        labels: Some(create.labels.clone().into_iter().collect()),
        tty: Some(create.tty),
        open_stdin: Some(create.stdin),
        stdin_once: Some(create.stdin_once),
        stop_signal: create.stop_signal.clone(),
        // Health checks are the pod's probes, not the image's.
        healthcheck: Some(bollard::models::HealthConfig {
            test: Some(vec!["NONE".into()]),
            ..Default::default()
        }),
        host_config: Some(HostConfig {
            binds: some(&create.binds),
            tmpfs: (!create.tmpfs.is_empty()).then(|| create.tmpfs.clone().into_iter().collect()),
            network_mode: Some(create.network.clone()),
            ipc_mode: create.ipc.clone(),
            pid_mode: create.pid.clone(),
            privileged: Some(create.privileged),
            cap_add: some(&create.cap_add),
            cap_drop: some(&create.cap_drop),
            readonly_rootfs: Some(create.read_only),
            security_opt: some(&create.security_opt),
            group_add: some(&create.groups),
            sysctls: (!create.sysctls.is_empty()).then(|| create.sysctls.clone().into_iter().collect()),
            cpu_shares: positive(create.cpu_shares),
            cpu_quota: positive(create.cpu_quota),
            cpu_period: positive(create.cpu_quota).map(|_| 100_000),
            memory: positive(create.memory),
            // As upstream: a limit on memory is one on memory and swap together.
            memory_swap: positive(create.memory),
            pids_limit: positive(create.pids_limit),
            oom_score_adj: create.oom_score_adj,
            shm_size: positive(create.shm_size),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::ContainerState;

    #[test]
    fn a_failed_start_is_an_exit() {
        let state = ContainerState {
            status: Some(ContainerStateStatusEnum::CREATED),
            running: Some(false),
            exit_code: Some(127),
            error: Some("executable file not found".into()),
            started_at: Some("0001-01-01T00:00:00Z".into()),
            finished_at: Some("0001-01-01T00:00:00Z".into()),
            ..Default::default()
        };
        let created = Some("2026-11-22T12:26:38.5Z".to_string());
        let found = ContainerInspectResponse { state: Some(state), created, ..Default::default() };
        let container = container(found);
        assert_eq!(container.state, State::Exited);
        assert_eq!(container.reason, "ContainerCannotRun");
        assert_eq!(container.finished_at, Some(container.created_at));
    }
}
