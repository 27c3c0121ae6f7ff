//! What every controller gets.

use client::events::Recorder;
use client::informer::{Informer, Object};
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::informers::Informers;
use crate::options::Options;

/// Client, caches and the stop token of the process.
#[derive(Clone)]
pub struct Context {
    /// Talks to the API server.
    pub client: Client,
    /// The shared caches.
    pub informers: Informers,
    /// Cancelled when leadership ends or the process stops.
    pub stop: CancellationToken,
    /// Records events; controllers take it [`Recorder::as_component`].
    pub recorder: Recorder,
    /// The flags.
    pub options: std::sync::Arc<Options>,
}

/// Waits for the first lists of all caches. False: stopped before.
pub async fn synced(stop: &CancellationToken, waits: &[&dyn HasSynced]) -> bool {
    for wait in waits {
        tokio::select! {
            () = stop.cancelled() => return false,
            () = wait.wait() => {}
        }
    }
    true
}

/// An informer of any kind, to wait for.
pub trait HasSynced: Sync {
    /// Ends with the first list.
    fn wait(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl<K: Object> HasSynced for Informer<K> {
    fn wait(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.synced())
    }
}
