//! Consistent reads from memory: ask the store where it is, wait until the cache is there too.
//!
//! Requests share their questions: all that arrive while one is under way are answered by the next one, which begins after
//! they came. So the store is asked at most twice per round trip, however many clients read.
//!
//! When other programs write to the store (flannel does), its revision moves without an event for us. etcd can be asked
//! for a watch's progress, but before 3.4.25 and 3.5.8 its answer may overtake events (etcd issue 15220), and Debian 12
//! has 3.4.23. So we change a key of our own below the watched prefix and wait for that event: right with every etcd, at
//! most one small write per foreign one.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use store::{Change, Error as StoreError, Expect, Revision, Store, Written};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Error;

/// Events are this late at most before we suspect that there are none to come.
const EVENTS_ARRIVE_WITHIN: Duration = Duration::from_millis(10);

type Question = Shared<BoxFuture<'static, Result<Revision, StoreError>>>;

/// See the module.
pub(crate) struct Freshness {
    store: Arc<dyn Store>,
    published: watch::Receiver<Revision>,
    progress_key: String,
    next: Mutex<Option<Question>>,
    asking: tokio::sync::Mutex<()>,
    /// The revision of our own last progress write.
    pushed: tokio::sync::Mutex<Revision>,
}

impl Freshness {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        published: watch::Receiver<Revision>,
        progress_key: String,
    ) -> Arc<Freshness> {
        Arc::new(Freshness {
            store,
            published,
            progress_key,
            next: Mutex::new(None),
            asking: tokio::sync::Mutex::new(()),
            pushed: tokio::sync::Mutex::new(0),
        })
    }

    /// The store's revision, asked after this call began.
    async fn store_revision(self: &Arc<Self>) -> Result<Revision, StoreError> {
        let question = {
            let mut next = self.next.lock();
            match next.as_ref() {
                Some(question) => question.clone(),
                None => {
                    let this = self.clone();
                    let question = async move {
                        let _one_at_a_time = this.asking.lock().await;
                        // Whoever comes from here on needs a later answer.
                        this.next.lock().take();
                        this.store.revision().await
                    };
                    let question = question.boxed().shared();
                    *next = Some(question.clone());
                    question
                }
            }
        };
        question.await
    }

    pub(crate) async fn reached(&self, revision: Revision, timeout: Duration) -> Result<(), Error> {
        let mut published = self.published.clone();
        match tokio::time::timeout(timeout, published.wait_for(|p| *p >= revision)).await {
            Ok(Ok(_)) => Ok(()),
            _ => {
                let requested = revision.unsigned_abs();
                Err(Error::TooLarge { requested, current: *self.published.borrow() })
            }
        }
    }

    pub(crate) async fn consistent(self: &Arc<Self>, timeout: Duration) -> Result<Revision, Error> {
        let deadline = Instant::now() + timeout;
        let revision = self.store_revision().await?;
        if *self.published.borrow() >= revision {
            return Ok(revision);
        }
        if self.reached(revision, EVENTS_ARRIVE_WITHIN.min(timeout)).await.is_err() {
            self.push(revision).await?;
            self.reached(revision, deadline.saturating_duration_since(Instant::now())).await?;
        }
        Ok(revision)
    }

    /// Makes the store tell an event at or behind this revision.
    async fn push(&self, revision: Revision) -> Result<(), Error> {
        let mut pushed = self.pushed.lock().await;
        if *pushed >= revision || *self.published.borrow() >= revision {
            return Ok(());
        }
        let value = revision.to_string();
        if let Written::Done(at) =
            self.store.write(&self.progress_key, Expect::Any, Change::put(value)).await?
        {
            *pushed = at;
        }
        Ok(())
    }
}
