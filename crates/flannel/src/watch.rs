//! Following the leases in etcd: a snapshot, then events, and again from a snapshot after any interruption.
//!
//! ```text
//!  snapshot ──► watch from the next revision ──► events
//!     ▲                    │
//!     └── back-off ◄───────┘ compacted, connection lost, etcd restarted
//! ```

use std::time::Duration;

use etcd_client::EventType;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    lease::{Lease, parse_key},
    registry::{Registry, explain},
    table::Seen,
};

/// Waiting times after failures: long enough to be polite, short enough to be right again within five seconds.
pub(crate) struct Backoff {
    next: Duration,
    said: Option<(String, tokio::time::Instant)>,
}

const BACKOFF_FIRST: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(4);
/// A failure that stays the same is said again this often.
const REPEAT: Duration = Duration::from_secs(60);

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { next: BACKOFF_FIRST, said: None }
    }

    /// Says what failed (once, then now and then) and waits. False when it is time to stop.
    pub(crate) async fn wait(&mut self, what: &str, stop: &CancellationToken) -> bool {
        let now = tokio::time::Instant::now();
        if !matches!(&self.said, Some((text, at)) if text == what && now - *at < REPEAT) {
            tracing::error!("{what}; trying again");
            self.said = Some((what.to_owned(), now));
        }
        let wait = self.next;
        self.next = (self.next * 2).min(BACKOFF_MAX);
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            () = stop.cancelled() => false,
        }
    }

    pub(crate) fn reset(&mut self) {
        if self.said.is_some() {
            tracing::info!("etcd answers again");
        }
        *self = Self::new();
    }
}

/// Sends what happens to the leases until `stop` or until nobody listens.
pub(crate) async fn run(registry: Registry, seen: Sender<Seen>, stop: CancellationToken) {
    let mut backoff = Backoff::new();
    while !stop.is_cancelled() && !seen.is_closed() {
        let interrupted = tokio::select! {
            end = follow(&registry, &seen, &mut backoff) => end,
            () = stop.cancelled() => return,
        };
        match interrupted {
            Ok(End::NobodyListens) => return,
            Ok(End::Compacted) => {
                tracing::warn!("Watch of subnet leases failed because etcd index outside history window");
            }
            Err(err) => {
                if !backoff.wait(&format!("Watch subnets: {err}"), &stop).await {
                    return;
                }
            }
        }
    }
}

enum End {
    NobodyListens,
    Compacted,
}

async fn follow(registry: &Registry, seen: &Sender<Seen>, backoff: &mut Backoff) -> Result<End, Error> {
    let (leases, revision) = registry.leases().await?;
    let mut stream = registry.watch_leases(revision + 1).await?;
    backoff.reset();
    if seen.send(Seen::Snapshot(leases)).await.is_err() {
        return Ok(End::NobodyListens);
    }
    loop {
        let message = tokio::select! {
            message = stream.message() => message,
            () = seen.closed() => return Ok(End::NobodyListens),
        };
        let message = match message {
            Ok(Some(message)) => message,
            Ok(None) => return Err(Error::Etcd("the watch was closed".into())),
            Err(err) => return Err(Error::Etcd(explain(&err))),
        };
        if message.compact_revision() > 0 {
            return Ok(End::Compacted);
        }
        if message.canceled() {
            return Err(Error::Etcd(format!("the watch was cancelled: {}", message.cancel_reason())));
        }
        for event in message.events() {
            let Some(kv) = event.kv() else { continue };
            let what = match event.event_type() {
                EventType::Put => Lease::parse(kv.key(), kv.value(), kv.lease()).map(Seen::Put),
                EventType::Delete => parse_key(kv.key()).map(Seen::Delete),
            };
            match what {
                Ok(what) => {
                    if seen.send(what).await.is_err() {
                        return Ok(End::NobodyListens);
                    }
                }
                Err(err) => tracing::warn!("Ignoring bad subnet node: {err}"),
            }
        }
    }
}
