//! Stopping a container: preStop hook, its stop signal, SIGKILL at the end of the grace period. A task of its own, so
//! that the worker sees further news; the deadline can be moved forward.

use std::sync::Arc;
use std::time::Duration;

use client::events::EventType;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::hooks;
use crate::context::Context;
use crate::pod::spec;

/// After the hook a container gets at least this long (upstream's `minimumGracePeriodInSeconds`).
const AFTER_HOOK: Duration = Duration::from_secs(2);
/// SIGKILL is sent again until Docker says that the process is gone.
const KILL_AGAIN: Duration = Duration::from_secs(10);

/// A stop under way. Dropping it ends the task, not the container.
pub(super) struct Stopper {
    deadline: watch::Sender<Instant>,
    _task: AbortOnDropHandle<()>,
}

/// What is being stopped.
pub(super) struct Target {
    pub(super) pod: Arc<Pod>,
    pub(super) name: String,
    pub(super) id: String,
    pub(super) signal: String,
    pub(super) ip: String,
}

impl Stopper {
    pub(super) fn start(context: Arc<Context>, target: Target, grace: Duration) -> Self {
        let (deadline, watched) = watch::channel(Instant::now() + grace);
        let task = tokio::spawn(stop(context, target, watched));
        Self { deadline, _task: AbortOnDropHandle::new(task) }
    }

    /// A second deletion may shorten the grace period, never extend it.
    pub(super) fn hurry(&self, grace: Duration) {
        let sooner = Instant::now() + grace;
        self.deadline.send_if_modified(|now| {
            let modified = sooner < *now;
            if modified {
                *now = sooner;
            }
            modified
        });
    }
}

async fn until(deadline: &mut watch::Receiver<Instant>) {
    loop {
        let end = *deadline.borrow_and_update();
        tokio::select! {
            () = tokio::time::sleep_until(end) => return,
            changed = deadline.changed() => if changed.is_err() { return },
        }
    }
}

async fn stop(context: Arc<Context>, target: Target, mut deadline: watch::Receiver<Instant>) {
    let container = spec::container(&target.pod, &target.name);
    let hook = container.and_then(|c| c.lifecycle.as_ref()?.pre_stop.clone().map(|h| (c, h)));
    let mut earliest = Instant::now();
    if let Some((container, hook)) = hook {
        let mut watched = deadline.clone();
        tokio::select! {
            result = hooks::run(&context, &hook, container, &target.id, &target.ip) => if let Err(e) = result {
                tracing::warn!(container = target.name, "PreStop hook failed: {e}");
                context.say_container(&target.pod, &target.name, EventType::Warning, "FailedPreStopHook", "PreStopHook failed");
            },
            () = until(&mut watched) => tracing::info!(container = target.name, "PreStop hook took the whole grace period"),
        }
        earliest = Instant::now() + AFTER_HOOK;
    }
    if let Err(e) = context.runtime.kill(&target.id, &target.signal).await {
        tracing::warn!(container = target.name, "cannot send {}: {e}", target.signal);
    }
    until(&mut deadline).await;
    tokio::time::sleep_until(earliest).await;
    loop {
        if let Err(e) = context.runtime.kill(&target.id, "SIGKILL").await {
            tracing::warn!(container = target.name, "cannot kill: {e}");
        }
        tokio::time::sleep(KILL_AGAIN).await;
    }
}
