//! The container runtime as the kubelet sees it: a trait, Docker behind it, and a fake for hollow nodes and tests.

pub mod docker;
mod docker_streams;
pub mod fake;

use std::collections::BTreeMap;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use jiff::Timestamp;
use tokio::io::AsyncWrite;

/// Why the runtime did not do what it was asked for.
#[derive(Debug, thiserror::Error, Clone)]
pub enum Error {
    /// The runtime does not answer.
    #[error("Cannot connect to the Docker daemon at {endpoint}. Is the docker daemon running? ({message})")]
    Unreachable {
        /// Where it was looked for.
        endpoint: String,
        /// The transport's words.
        message: String,
    },
    /// No such container, image or exec.
    #[error("{0}")]
    NotFound(String),
    /// A name is taken.
    #[error("{0}")]
    Conflict(String),
    /// Anything else that the runtime said.
    #[error("Error response from daemon: {0}")]
    Refused(String),
}

/// The result of asking the runtime.
pub type Result<T> = std::result::Result<T, Error>;

/// Where a container stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Made, not started.
    Created,
    /// Running (or paused: somebody's debugging).
    Running,
    /// Ended, or its start failed.
    Exited,
}

/// One container as it is now.
#[derive(Clone, Debug)]
pub struct Container {
    /// Docker's id.
    pub id: String,
    /// All labels.
    pub labels: BTreeMap<String, String>,
    /// The image's name as the container was created with.
    pub image: String,
    /// The image's id.
    pub image_id: String,
    /// Where it stands.
    pub state: State,
    /// First process, 0 when not running.
    pub pid: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Its exit code.
    pub exit_code: i32,
    /// `Completed`, `Error`, `OOMKilled`, `ContainerCannotRun`: upstream's reason of an ended container.
    pub reason: &'static str,
    /// The runtime's words about a failed start.
    pub message: String,
    /// The image's stop signal.
    pub stop_signal: String,
    /// Has a terminal.
    pub tty: bool,
}

/// What to create. Runtime-neutral only in name: the words are Docker's.
#[derive(Clone, Debug, Default)]
pub struct Create {
    /// Container name.
    pub name: String,
    /// Image to run.
    pub image: String,
    /// Host name, sandboxes only.
    pub hostname: Option<String>,
    /// `uid[:gid]`, the image's when absent.
    pub user: Option<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Entry point, the image's when absent.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments, the image's when absent.
    pub cmd: Option<Vec<String>>,
    /// Working directory, the image's when absent.
    pub working_dir: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Give it a terminal.
    pub tty: bool,
    /// Keep stdin open.
    pub stdin: bool,
    /// Close stdin after the first attach.
    pub stdin_once: bool,
    /// `source:target[:options]`.
    pub binds: Vec<String>,
    /// Directory → mount options of memory-backed directories.
    pub tmpfs: BTreeMap<String, String>,
    /// `none`, `host`, `container:<id>`.
    pub network: String,
    /// `shareable`, `host`, `container:<id>`.
    pub ipc: Option<String>,
    /// `host`, `container:<id>`.
    pub pid: Option<String>,
    /// All capabilities and devices.
    pub privileged: bool,
    /// Capabilities to add.
    pub cap_add: Vec<String>,
    /// Capabilities to drop.
    pub cap_drop: Vec<String>,
    /// No writes outside volumes.
    pub read_only: bool,
    /// `no-new-privileges`, `seccomp=…`.
    pub security_opt: Vec<String>,
    /// Additional groups.
    pub groups: Vec<String>,
    /// Kernel settings of the sandbox's namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Relative weight.
    pub cpu_shares: i64,
    /// Microseconds per period, 0 for no limit.
    pub cpu_quota: i64,
    /// Bytes, 0 for no limit.
    pub memory: i64,
    /// Processes, 0 for no limit.
    pub pids_limit: i64,
    /// Who is killed first when memory runs out.
    pub oom_score_adj: Option<i64>,
    /// Bytes of /dev/shm, 0 for the default.
    pub shm_size: i64,
    /// Docker's `--init`-less stop signal.
    pub stop_signal: Option<String>,
}

/// What happened to a container of ours.
#[derive(Clone, Debug)]
pub struct Event {
    /// The pod's uid.
    pub pod_uid: String,
    /// The container.
    pub container_id: String,
    /// `start`, `die`, `oom`, `destroy`.
    pub action: String,
}

/// An image that is present.
#[derive(Clone, Debug)]
pub struct Image {
    /// `sha256:…`.
    pub id: String,
    /// `name@sha256:…` when it came from a registry.
    pub repo_digests: Vec<String>,
    /// Its user, as `uid`, `name` or `uid:gid`.
    pub user: String,
    /// Bytes.
    pub size: i64,
}

/// An image with the names it has, for the Node's status.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageSummary {
    /// Tags and digests.
    pub names: Vec<String>,
    /// Bytes.
    pub size: i64,
}

/// User and password for a registry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegistryAuth {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
    /// Token in place of the two.
    pub identity_token: String,
    /// Registry's address.
    pub server: String,
}

/// Versions and cgroup driver.
#[derive(Clone, Debug, Default)]
pub struct Info {
    /// The engine's version, `20.10.24+dfsg1`.
    pub version: String,
    /// API version spoken.
    pub api_version: String,
    /// `cgroupfs`, `systemd`, `none`.
    pub cgroup_driver: String,
    /// The host's system, `Debian GNU/Linux 12 (bookworm)`.
    pub operating_system: String,
}

/// Which lines of a log are wanted.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// Go on with what comes.
    pub follow: bool,
    /// Only the last lines.
    pub tail: Option<i64>,
    /// Only lines after this moment, seconds.
    pub since: Option<i64>,
    /// Put the time before each line.
    pub timestamps: bool,
    /// Only one stream.
    pub stream: Option<Channel>,
}

/// Which of a process's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Output as it comes.
pub type Output = Pin<Box<dyn Stream<Item = Result<(Channel, Bytes)>> + Send>>;

/// A process one is connected to.
pub struct Session {
    /// The exec's id; the container's for attach.
    pub id: String,
    /// Its standard input, when asked for.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// Its output.
    pub output: Output,
}

/// How to run a command in a container.
#[derive(Clone, Debug, Default)]
pub struct Exec {
    /// The command.
    pub command: Vec<String>,
    /// With a terminal.
    pub tty: bool,
    /// Connect stdin.
    pub stdin: bool,
    /// Connect stdout.
    pub stdout: bool,
    /// Connect stderr.
    pub stderr: bool,
}

/// Resource use of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// CPU time used so far, nanoseconds.
    pub cpu_ns: u64,
    /// Memory in use without droppable cache, bytes.
    pub working_set: u64,
    /// All memory in use, bytes.
    pub memory: u64,
}

/// A container runtime.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// Versions; also the question whether it is there.
    async fn info(&self) -> Result<Info>;
    /// All our containers, one pod's when named, in any state. Only id and labels are sure.
    async fn list(&self, pod_uid: Option<&str>) -> Result<Vec<Listed>>;
    /// One container.
    async fn inspect(&self, id: &str) -> Result<Container>;
    /// Makes one; its id.
    async fn create(&self, create: &Create) -> Result<String>;
    /// Starts one.
    async fn start(&self, id: &str) -> Result<()>;
    /// Sends a signal. A container that is not running is no error.
    async fn kill(&self, id: &str, signal: &str) -> Result<()>;
    /// Removes one, running or not. A container that is gone is no error.
    async fn remove(&self, id: &str) -> Result<()>;
    /// The image when present.
    async fn image(&self, name: &str) -> Result<Option<Image>>;
    /// All images.
    async fn images(&self) -> Result<Vec<ImageSummary>>;
    /// Pulls an image.
    async fn pull(&self, name: &str, auth: Option<&RegistryAuth>) -> Result<()>;
    /// Makes a memory-backed volume that containers can share; nothing happens when it is there.
    async fn create_memory_volume(&self, name: &str, size: Option<i64>) -> Result<()>;
    /// Removes a volume. One that is gone is no error.
    async fn remove_volume(&self, name: &str) -> Result<()>;
    /// What happens to our containers from now on. Ends with an error or when the runtime goes away.
    async fn events(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Event>> + Send>>>;
    /// A container's log.
    async fn logs(&self, id: &str, options: &LogOptions) -> Result<Output>;
    /// Runs a command and connects to it.
    async fn exec(&self, id: &str, exec: &Exec) -> Result<Session>;
    /// The exit code of an exec that has ended.
    async fn exec_exit_code(&self, exec_id: &str) -> Result<i32>;
    /// New size of an exec's terminal.
    async fn exec_resize(&self, exec_id: &str, width: u16, height: u16) -> Result<()>;
    /// Connects to the first process.
    async fn attach(&self, id: &str, stdin: bool) -> Result<Session>;
    /// New size of the first process's terminal.
    async fn resize(&self, id: &str, width: u16, height: u16) -> Result<()>;
    /// Resource use now.
    async fn usage(&self, id: &str) -> Result<Usage>;
}

/// An entry of [`Runtime::list`].
#[derive(Clone, Debug)]
pub struct Listed {
    /// Docker's id.
    pub id: String,
    /// All labels.
    pub labels: BTreeMap<String, String>,
    /// Running.
    pub running: bool,
}

/// Runs a command to its end: its output (at most `limit` bytes) and exit code. `exec` probes and hooks use it.
pub async fn run(
    runtime: &dyn Runtime,
    id: &str,
    command: Vec<String>,
    limit: usize,
) -> Result<(Vec<u8>, i32)> {
    use futures::StreamExt;
    let exec = Exec { command, stdout: true, stderr: true, ..Default::default() };
    let mut session = runtime.exec(id, &exec).await?;
    let mut output = Vec::new();
    while let Some(chunk) = session.output.next().await {
        let (_, bytes) = chunk?;
        let room = limit.saturating_sub(output.len());
        output.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
    let code = runtime.exec_exit_code(&session.id).await?;
    Ok((output, code))
}
