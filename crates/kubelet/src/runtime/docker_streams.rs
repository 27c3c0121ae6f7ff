//! Docker's long-lived answers: logs, exec, attach.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::query_parameters as query;
use futures::{Stream, StreamExt};

use super::docker::DockerRuntime;
use super::{Channel, Error, Exec, LogOptions, Output, Result, Session};

impl DockerRuntime {
    pub(super) async fn open_logs(&self, id: &str, options: &LogOptions) -> Result<Output> {
        let wants = |channel| options.stream.is_none_or(|only| only == channel);
        let options = query::LogsOptions {
            follow: options.follow,
            stdout: wants(Channel::Stdout),
            stderr: wants(Channel::Stderr),
            since: options.since.and_then(|s| i32::try_from(s).ok()).unwrap_or_default(),
            until: 0,
            timestamps: options.timestamps,
            tail: options.tail.map_or_else(|| "all".into(), |n| n.to_string()),
        };
        let docker = self.docker.clone();
        // The stream borrows nothing: the clone lives in it.
        Ok(self.output(docker.logs(id, Some(options))))
    }

    pub(super) async fn open_exec(&self, id: &str, exec: &Exec) -> Result<Session> {
        let options = CreateExecOptions {
            attach_stdin: Some(exec.stdin),
            attach_stdout: Some(exec.stdout),
            attach_stderr: Some(exec.stderr),
            tty: Some(exec.tty),
            cmd: Some(exec.command.clone()),
            ..Default::default()
        };
        let made = self.docker.create_exec(id, options).await.map_err(|e| self.error(e))?;
        let start = StartExecOptions { detach: false, tty: exec.tty, output_capacity: None };
        match self.docker.start_exec(&made.id, Some(start)).await.map_err(|e| self.error(e))? {
            StartExecResults::Attached { output, input } => {
                Ok(Session { id: made.id, input, output: self.output(output) })
            }
            StartExecResults::Detached => Err(Error::Refused("exec started detached".into())),
        }
    }

    /// The output may end a moment before Docker notes the exit code.
    pub(super) async fn wait_exec(&self, exec_id: &str) -> Result<i32> {
        for round in 0..100_u64 {
            let found = self.docker.inspect_exec(exec_id).await.map_err(|e| self.error(e))?;
            if !found.running.unwrap_or_default() {
                return Ok(found.exit_code.and_then(|c| i32::try_from(c).ok()).unwrap_or(-1));
            }
            tokio::time::sleep(Duration::from_millis((round * 5).min(200))).await;
        }
        Err(Error::Refused(format!("exec {exec_id} closed its output and goes on running")))
    }

    pub(super) async fn open_attach(&self, id: &str, stdin: bool) -> Result<Session> {
        let options = query::AttachContainerOptions {
            stream: true,
            stdin,
            stdout: true,
            stderr: true,
            ..Default::default()
        };
        let found = self.docker.attach_container(id, Some(options)).await.map_err(|e| self.error(e))?;
        Ok(Session { id: id.to_owned(), input: found.input, output: self.output(found.output) })
    }

    fn output<S>(&self, stream: S) -> Output
    where
        S: Stream<Item = std::result::Result<LogOutput, bollard::errors::Error>> + Send + 'static,
    {
        let endpoint = self.endpoint.clone();
        Box::pin(stream.map(move |item| match item {
            Ok(LogOutput::StdErr { message }) => Ok((Channel::Stderr, message)),
            Ok(other) => Ok((Channel::Stdout, other.into_bytes())),
            Err(bollard::errors::Error::DockerResponseServerError { message, .. }) => {
                Err(Error::Refused(message))
            }
            Err(e) => Err(Error::Unreachable { endpoint: endpoint.clone(), message: e.to_string() }),
        }))
    }
}
