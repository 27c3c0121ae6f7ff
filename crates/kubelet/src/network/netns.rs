//! Work inside another network namespace. A namespace belongs to a thread: the work gets a thread of its own, which
//! ends with it, so that no other task can ever run in the wrong place.

use std::fs::File;
use std::future::Future;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use super::Error;

/// The network namespace of a process, held open.
pub struct Netns {
    file: File,
}

impl Netns {
    /// Of process `pid` (we see the host's processes).
    pub fn of_pid(pid: u32) -> Result<Self, Error> {
        let path = format!("/proc/{pid}/ns/net");
        let file = File::open(&path)
            .map_err(|e| Error::Kernel { what: format!("open {path}"), why: e.to_string() })?;
        Ok(Self { file })
    }

    /// The descriptor, for moving links into the namespace.
    pub fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Runs `work` inside: its sockets belong to the namespace.
    pub async fn run<T, F, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>>,
        W: FnOnce() -> F + Send + 'static,
    {
        let kernel = |what: &str, why: String| Error::Kernel { what: what.into(), why };
        let file = self.file.try_clone().map_err(|e| kernel("dup", e.to_string()))?;
        let (send, receive) = tokio::sync::oneshot::channel();
        let body = move || {
            let entered = nix::sched::setns(file.as_fd(), nix::sched::CloneFlags::CLONE_NEWNET)
                .map_err(|e| kernel("enter the pod's network namespace", e.to_string()));
            let result = entered.and_then(|()| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
                runtime.map_err(|e| kernel("start a runtime", e.to_string()))?.block_on(work())
            });
            let _ = send.send(result);
        };
        std::thread::Builder::new()
            .name("netns".into())
            .stack_size(256 * 1024)
            .spawn(body)
            .map_err(|e| Error::Kernel { what: "start a thread".into(), why: e.to_string() })?;
        receive.await.unwrap_or_else(|_| {
            Err(Error::Kernel { what: "netns thread".into(), why: "it ended early".into() })
        })
    }
}
