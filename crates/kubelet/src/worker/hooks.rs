//! postStart and preStop (upstream's `pkg/kubelet/lifecycle`).

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};

use crate::context::Context;
use crate::probe::{self, Verdict};

/// Hooks have no timeout of their own; a start waits for its hook, a stop gives it the grace period.
const HOOK_SECONDS_MAX: u64 = 3600;

/// Runs a handler; the error is for the log, upstream keeps it out of events.
pub(super) async fn run(
    context: &Context,
    handler: &LifecycleHandler,
    container: &Container,
    id: &str,
    ip: &str,
) -> Result<(), String> {
    let timeout = Duration::from_secs(HOOK_SECONDS_MAX);
    let verdict = if let Some(action) = &handler.exec {
        probe::exec(context.runtime.as_ref(), id, action, timeout).await
    } else if let Some(action) = &handler.http_get {
        probe::http_get(action, container, ip, timeout).await
    } else if let Some(sleep) = &handler.sleep {
        tokio::time::sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or_default())).await;
        Verdict::Success
    } else {
        Verdict::Success
    };
    match verdict {
        Verdict::Success => Ok(()),
        Verdict::Failure(why) | Verdict::Error(why) => Err(why),
    }
}
