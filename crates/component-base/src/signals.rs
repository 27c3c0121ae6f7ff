//! SIGTERM and SIGINT as a token to wait for (upstream's `server.SetupSignalHandler`).

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGTERM or SIGINT. A second one ends the process at once.
/// Must be called inside a tokio runtime.
pub fn stop_token() -> CancellationToken {
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    let (mut term, mut int) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(term), Ok(int)) => (term, int),
        (Err(err), _) | (_, Err(err)) => {
            tracing::warn!("cannot listen to signals: {err}");
            return stop;
        }
    };
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            if cancelled.is_cancelled() {
                std::process::exit(1);
            }
            tracing::info!("signal received, shutting down");
            cancelled.cancel();
        }
    });
    stop
}
