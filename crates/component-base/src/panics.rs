//! What a panic ends: the request or connection that it happened in, or else the whole process.
//!
//! Upstream recovers in each request (`apiserver/pkg/server/filters/wrap.go`) and lets everything else crash. The same
//! here, the other way round: a panic ends the process unless it happens in what was given to [`contain`], [`caught`] or
//! [`spawn`]. A task in the background cannot die alone and leave the rest half alive, whoever spawned it.

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;

use tokio::task::JoinHandle;

thread_local! {
    /// Whether somebody below on this thread's stack catches a panic.
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Something panicked; what and where is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("panicked")]
pub struct Panicked;

/// From now on panics are logged with their stack, and those that nobody contains end the process.
pub fn end_the_process() {
    std::panic::set_hook(Box::new(|info| {
        tracing::error!("Observed a panic: {info}\n{}", Backtrace::force_capture());
        if !CONTAINED.try_with(Cell::get).unwrap_or(false) {
            std::process::abort();
        }
    }));
}

/// Does something that may panic without consequences: nothing that others see is left half changed.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    let outer = CONTAINED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(outer);
    done.map_err(|_| Panicked)
}

/// A future that may panic without consequences, as [`caught`].
pub async fn contain<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    poll_fn(|cx| match caught(|| future.as_mut().poll(cx)) {
        Ok(polled) => polled.map(Ok),
        Err(panicked) => Err(panicked).into(),
    })
    .await
}

/// Spawns what belongs to one request or connection: if it panics, it ends alone.
pub fn spawn<F>(future: F) -> JoinHandle<()>
where
    F: Future + Send + 'static,
{
    tokio::spawn(async move {
        let _ = contain(future).await;
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    #[tokio::test]
    async fn what_is_contained_ends_alone() {
        assert_eq!(caught(|| 5), Ok(5));
        let panicking = async {
            tokio::task::yield_now().await;
            let inner = contain(async { panic!("inner") }).await;
            assert_eq!(inner, Err::<(), _>(Panicked));
            assert!(CONTAINED.get(), "the outer one still catches");
            panic!("outer")
        };
        assert_eq!(contain(panicking).await, Err::<(), _>(Panicked));
        assert!(!CONTAINED.get());
        spawn(async { panic!("spawned") }).await.unwrap();
    }

    /// Run by the test below, in a process of its own.
    #[test]
    #[ignore = "ends the process"]
    fn as_a_daemon() {
        crate::logs::init(0);
        end_the_process();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(async {
            spawn(async { panic!("a request") }).await.unwrap();
            eprintln!("it goes on");
            let _ = tokio::spawn(async { panic!("in the background") }).await;
            eprintln!("half dead");
        });
    }

    #[test]
    fn what_is_not_contained_ends_the_process() {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let child = child.args(["--exact", "panics::tests::as_a_daemon", "--ignored", "--nocapture"]);
        let ended = child.output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.signal(), Some(nix::libc::SIGABRT), "{said}");
        let has = |text: &str| said.contains(text);
        assert!(has("a request") && has("it goes on") && has("in the background"), "{said}");
        assert!(!has("half dead"), "{said}");
    }
}
