//! A runtime without containers: every process runs until it is told to end. For hollow nodes and tests.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::*;
use crate::labels::POD_UID;

/// See the module.
#[derive(Clone)]
pub struct FakeRuntime {
    inner: Arc<Mutex<Inner>>,
    events: broadcast::Sender<Event>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    containers: BTreeMap<String, Container>,
    created: Vec<Create>,
    missing_images: Vec<String>,
    /// Ignores SIGTERM, so that only SIGKILL ends a container.
    stubborn: bool,
}

impl Default for FakeRuntime {
    fn default() -> Self {
        Self { inner: Arc::default(), events: broadcast::channel(1024).0 }
    }
}

impl FakeRuntime {
    /// Pulling this image fails from now on.
    pub fn without_image(&self, name: &str) {
        self.inner.lock().missing_images.push(name.to_owned());
    }

    /// Containers ignore SIGTERM from now on.
    pub fn stubborn(&self) {
        self.inner.lock().stubborn = true;
    }

    /// All containers.
    pub fn containers(&self) -> Vec<Container> {
        self.inner.lock().containers.values().cloned().collect()
    }

    /// What was created, in order.
    pub fn created(&self) -> Vec<Create> {
        self.inner.lock().created.clone()
    }

    /// Ends the process of a container.
    pub fn exit(&self, id: &str, code: i32) {
        let mut inner = self.inner.lock();
        let Some(container) = inner.containers.get_mut(id) else { return };
        if container.state != State::Running {
            return;
        }
        container.state = State::Exited;
        container.exit_code = code;
        container.reason = if code == 0 { "Completed" } else { "Error" };
        container.finished_at = Some(client::clock::now());
        container.pid = 0;
        let event = event(container, "die");
        drop(inner);
        let _ = self.events.send(event);
    }
}

fn event(container: &Container, action: &str) -> Event {
    Event {
        pod_uid: container.labels.get(POD_UID).cloned().unwrap_or_default(),
        container_id: container.id.clone(),
        action: action.to_owned(),
    }
}

#[async_trait]
impl Runtime for FakeRuntime {
    async fn info(&self) -> Result<Info> {
        Ok(Info { version: "1.13.1".into(), api_version: "1.41".into(), ..Default::default() })
    }

    async fn list(&self, pod_uid: Option<&str>) -> Result<Vec<Listed>> {
        let inner = self.inner.lock();
        let ours = |c: &&Container| pod_uid.is_none_or(|uid| c.labels.get(POD_UID).is_some_and(|l| l == uid));
        Ok(inner
            .containers
            .values()
            .filter(ours)
            .map(|c| Listed {
                id: c.id.clone(),
                labels: c.labels.clone(),
                running: c.state == State::Running,
            })
            .collect())
    }

    async fn inspect(&self, id: &str) -> Result<Container> {
        let found = self.inner.lock().containers.get(id).cloned();
        found.ok_or_else(|| Error::NotFound(format!("No such container: {id}")))
    }

    async fn create(&self, create: &Create) -> Result<String> {
        let mut inner = self.inner.lock();
        inner.next += 1;
        let id = format!("{:064x}", inner.next);
        let container = Container {
            id: id.clone(),
            labels: create.labels.clone(),
            image: create.image.clone(),
            image_id: format!("sha256:{}", create.image),
            state: State::Created,
            pid: 0,
            created_at: client::clock::now(),
            started_at: None,
            finished_at: None,
            exit_code: 0,
            reason: "",
            message: String::new(),
            stop_signal: "SIGTERM".into(),
            tty: create.tty,
        };
        inner.containers.insert(id.clone(), container);
        inner.created.push(create.clone());
        Ok(id)
    }

    async fn start(&self, id: &str) -> Result<()> {
        let mut inner = self.inner.lock();
        let Some(container) = inner.containers.get_mut(id) else {
            return Err(Error::NotFound(format!("No such container: {id}")));
        };
        container.state = State::Running;
        container.started_at = Some(client::clock::now());
        container.pid = 1;
        let event = event(container, "start");
        drop(inner);
        let _ = self.events.send(event);
        Ok(())
    }

    async fn kill(&self, id: &str, signal: &str) -> Result<()> {
        if signal == "SIGKILL" || !self.inner.lock().stubborn {
            self.exit(id, if signal == "SIGKILL" { 137 } else { 0 });
        }
        Ok(())
    }

    async fn remove(&self, id: &str) -> Result<()> {
        let removed = self.inner.lock().containers.remove(id);
        if let Some(container) = removed {
            let _ = self.events.send(event(&container, "destroy"));
        }
        Ok(())
    }

    async fn image(&self, name: &str) -> Result<Option<Image>> {
        if self.inner.lock().missing_images.iter().any(|m| m == name) {
            return Ok(None);
        }
        let id = format!("sha256:{name}");
        Ok(Some(Image { id, repo_digests: Vec::new(), user: String::new(), size: 0 }))
    }

    async fn images(&self) -> Result<Vec<ImageSummary>> {
        Ok(Vec::new())
    }

    async fn pull(&self, name: &str, _: Option<&RegistryAuth>) -> Result<()> {
        if self.inner.lock().missing_images.iter().any(|m| m == name) {
            return Err(Error::Refused(format!("pull access denied for {name}, repository does not exist")));
        }
        Ok(())
    }

    async fn create_memory_volume(&self, _: &str, _: Option<i64>) -> Result<()> {
        Ok(())
    }

    async fn remove_volume(&self, _: &str) -> Result<()> {
        Ok(())
    }

    async fn events(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Event>> + Send>>> {
        let stream = tokio_stream::wrappers::BroadcastStream::new(self.events.subscribe());
        Ok(Box::pin(stream.filter_map(|item| async move { item.ok().map(Ok) })))
    }

    async fn logs(&self, _: &str, _: &LogOptions) -> Result<Output> {
        Ok(Box::pin(futures::stream::empty()))
    }

    async fn exec(&self, id: &str, exec: &Exec) -> Result<Session> {
        let line = Bytes::from(format!("{}\n", exec.command.join(" ")));
        let output = Box::pin(futures::stream::iter([Ok((Channel::Stdout, line))]));
        Ok(Session { id: id.to_owned(), input: Box::pin(tokio::io::sink()), output })
    }

    async fn exec_exit_code(&self, _: &str) -> Result<i32> {
        Ok(0)
    }

    async fn exec_resize(&self, _: &str, _: u16, _: u16) -> Result<()> {
        Ok(())
    }

    async fn attach(&self, id: &str, _: bool) -> Result<Session> {
        let output = Box::pin(futures::stream::pending());
        Ok(Session { id: id.to_owned(), input: Box::pin(tokio::io::sink()), output })
    }

    async fn resize(&self, _: &str, _: u16, _: u16) -> Result<()> {
        Ok(())
    }

    async fn usage(&self, _: &str) -> Result<Usage> {
        Ok(Usage::default())
    }
}
