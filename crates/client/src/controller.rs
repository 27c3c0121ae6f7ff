//! The loop that all controllers share: key from the queue, reconcile, retry or forget.

use std::fmt::Display;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::error::GoError;
use crate::queue::WorkQueue;

/// What a successful reconcile wants next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing, until something changes.
    #[default]
    Done,
    /// To run again after this time, whatever changes.
    After(Duration),
}

/// Works on the keys of `queue` with `workers` tasks at once, until `stop`. An error is logged and the key retried
/// later and later; keys are independent of each other.
pub async fn run<K, F, Fut, E>(
    name: &'static str,
    queue: WorkQueue<K>,
    workers: usize,
    stop: CancellationToken,
    reconcile: F,
) where
    K: Clone + Eq + Hash + Display + Send + Sync + 'static,
    F: Fn(K) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Outcome, E>> + Send,
    E: std::error::Error + Send + 'static,
{
    let reconcile = Arc::new(reconcile);
    let mut tasks = JoinSet::new();
    for _ in 0..workers.max(1) {
        let (queue, reconcile) = (queue.clone(), reconcile.clone());
        tasks.spawn(async move {
            while let Some(key) = queue.get().await {
                match reconcile(key.clone()).await {
                    Ok(outcome) => {
                        queue.forget(&key);
                        if let Outcome::After(delay) = outcome {
                            queue.add_after(key.clone(), delay);
                        }
                    }
                    Err(err) => {
                        // The first failures are mostly conflicts with others' writes.
                        let text = explain(&err);
                        if queue.failures(&key) < 3 {
                            tracing::debug!("{name}: error syncing {key}, retrying: {text}");
                        } else {
                            tracing::warn!("{name}: error syncing {key}, retrying: {text}");
                        }
                        queue.add_rate_limited(key.clone());
                    }
                }
                queue.done(&key);
            }
        });
    }
    tokio::select! {
        () = stop.cancelled() => {}
        // Tasks end only when the queue is closed by someone else.
        () = async { while tasks.join_next().await.is_some() {} } => {}
    }
    queue.close();
    tasks.shutdown().await;
}

fn explain(err: &(dyn std::error::Error + 'static)) -> String {
    match err.downcast_ref::<kube::Error>() {
        Some(err) => GoError(err).to_string(),
        None => err.to_string(),
    }
}
