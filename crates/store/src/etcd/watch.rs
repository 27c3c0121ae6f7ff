//! A watch that survives broken connections.
//!
//! ```text
//!            open                     events, progress
//!  Closed ──────────► Open(stream) ───────────────────► (told = last revision)
//!    ▲                     │
//!    └── pause, back-off ──┤ error, end, cancelled
//!                          └ compacted, store went back ──► Ended (told as the last item)
//! ```

use std::time::Duration;

use bytes::Bytes;
use etcd_client::{EventType, WatchOptions, WatchResponse, WatchStream};

use super::error::{Cause, classify};
use super::{Backoff, EtcdStore, header};
use crate::{Batch, Error, Event, Revision, Store, Watch};

/// A watch must be open within this time, else it is tried anew.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

struct Cursor {
    store: EtcdStore,
    prefix: String,
    previous: bool,
    told: Revision,
    open: Option<WatchStream>,
    backoff: Backoff,
    ended: bool,
}

pub(super) fn stream(store: EtcdStore, prefix: &str, after: Revision, previous: bool) -> Watch {
    let cursor = Cursor {
        store,
        prefix: prefix.to_owned(),
        previous,
        told: after,
        open: None,
        backoff: Backoff::new(),
        ended: false,
    };
    Box::pin(futures::stream::unfold(cursor, |mut cursor| async move {
        if cursor.ended {
            return None;
        }
        let item = cursor.next().await;
        cursor.ended = item.is_err();
        Some((item, cursor))
    }))
}

impl Cursor {
    async fn next(&mut self) -> Result<Batch, Error> {
        loop {
            let Some(stream) = self.open.as_mut() else {
                match self.connect().await {
                    Ok(stream) => self.open = Some(stream),
                    Err(why) => self.pause(&why).await,
                }
                continue;
            };
            let response = match stream.message().await {
                Ok(Some(response)) => response,
                Ok(None) => {
                    self.lost("the stream ended").await;
                    continue;
                }
                Err(error) => match classify(&error) {
                    Cause::Refused(Error::Compacted { compact_revision }) => {
                        return Err(Error::Compacted { compact_revision });
                    }
                    Cause::Refused(error) => {
                        self.lost(&error.to_string()).await;
                        continue;
                    }
                    Cause::NotSent(why) | Cause::Unavailable(why) => {
                        self.lost(&why).await;
                        continue;
                    }
                },
            };
            if response.canceled() {
                if response.compact_revision() > 0 {
                    return Err(Error::Compacted { compact_revision: response.compact_revision() });
                }
                let why = format!("etcd cancelled the watch: {}", response.cancel_reason());
                self.lost(&why).await;
                continue;
            }
            if response.created() && header(response.header()) < self.told {
                match self.went_back().await {
                    Ok(false) => continue,
                    Ok(true) => return Err(Error::Compacted { compact_revision: 0 }),
                    Err(error) => {
                        self.lost(&error.to_string()).await;
                        continue;
                    }
                }
            }
            self.backoff = Backoff::new();
            if let Some(batch) = self.batch(&response)? {
                self.told = batch.revision;
                return Ok(batch);
            }
        }
    }

    /// Whether the store is behind what it told us: it was restored from a backup or made anew, and only reading everything
    /// again helps. A member alone may be behind for a moment, after its leader died above all: the majority knows.
    async fn went_back(&self) -> Result<bool, Error> {
        Ok(self.store.revision().await? < self.told)
    }

    fn batch(&self, response: &WatchResponse) -> Result<Option<Batch>, Error> {
        if response.created() {
            return Ok(None);
        }
        let events = response.events().iter().filter_map(|e| event(e).transpose());
        let events = events.collect::<Result<Vec<Event>, Error>>()?;
        // Without events this is a progress notification: etcd sends it in order with the events.
        let revision = events.last().map_or_else(|| header(response.header()), |last| last.mod_revision);
        Ok((revision > self.told || !events.is_empty()).then_some(Batch { events, revision }))
    }

    async fn connect(&mut self) -> Result<WatchStream, String> {
        let mut options = WatchOptions::new().with_start_revision(self.told + 1).with_progress_notify();
        options = if self.prefix.is_empty() { options.with_all_keys() } else { options.with_prefix() };
        if self.previous {
            options = options.with_prev_key();
        }
        let opened = self.store.watch.watch(self.prefix.as_str(), Some(options));
        match tokio::time::timeout(OPEN_TIMEOUT, opened).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(match classify(&error) {
                Cause::NotSent(why) | Cause::Unavailable(why) => why,
                Cause::Refused(error) => error.to_string(),
            }),
            Err(_) => Err(format!("no answer within {OPEN_TIMEOUT:?}")),
        }
    }

    async fn lost(&mut self, why: &str) {
        self.open = None;
        self.pause(why).await;
    }

    async fn pause(&mut self, why: &str) {
        tracing::warn!(prefix = self.prefix, after = self.told, why, "the etcd watch broke; watching again");
        tokio::time::sleep(self.backoff.next()).await;
    }
}

fn event(event: &etcd_client::Event) -> Result<Option<Event>, Error> {
    let Some(kv) = event.kv() else { return Ok(None) };
    let key = kv.key_str().map_err(|e| Error::Other(format!("a key is not UTF-8: {e}")))?;
    let deleted = event.event_type() == EventType::Delete;
    Ok(Some(Event {
        key: key.to_owned(),
        value: (!deleted).then(|| Bytes::copy_from_slice(kv.value())),
        previous: event.prev_kv().map(|p| Bytes::copy_from_slice(p.value())),
        create_revision: kv.create_revision(),
        mod_revision: kv.mod_revision(),
    }))
}
