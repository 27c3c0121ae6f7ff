//! A metadata watch per resource that some quota counts, beside pods and services (upstream's `QuotaMonitor`): what
//! goes makes room at once.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use client::informer::{Event, Informer, InformerOptions};
use client::{GoError, Store};
use kube::Client;
use parking_lot::RwLock;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Waker, counted, is_measured};
use crate::discovery::{self, Resource};
use crate::metadata::{self, Object};
use crate::views::ResourceQuota;

/// Discovery is asked again this often, as upstream does: custom resources come and go.
const REFRESH: Duration = Duration::from_secs(30);

/// Resources by name and group.
type Names = BTreeSet<(String, String)>;

/// See the module.
pub(super) struct Monitors {
    client: Client,
    waker: Waker,
    changed: Notify,
    /// What discovery said of the resources that are watched.
    known: RwLock<Vec<Resource>>,
}

impl Monitors {
    pub(super) fn new(client: Client, waker: Waker) -> Monitors {
        Monitors { client, waker, changed: Notify::new(), known: RwLock::default() }
    }

    /// Quotas may count something else now.
    pub(super) fn quotas_changed(&self) {
        self.changed.notify_one();
    }

    /// A resource by name and group, when it is served.
    pub(super) async fn resource(&self, wanted: (&str, &str)) -> Result<Option<Resource>, kube::Error> {
        let is_it = |resource: &&Resource| named(resource) == wanted;
        if let Some(known) = self.known.read().iter().find(is_it) {
            return Ok(Some(known.clone()));
        }
        Ok(discovery::resources(&self.client).await?.0.iter().find(is_it).cloned())
    }

    /// Keeps the watches as quotas and discovery say, until stopped.
    pub(super) async fn run(&self, stop: CancellationToken) {
        let mut running = HashMap::new();
        let mut seen: Option<Names> = None;
        let mut refresh = Instant::now() + REFRESH;
        loop {
            let names = watched(&self.waker.quotas);
            if seen.as_ref() != Some(&names) {
                if let Err(err) = self.follow(&names, &mut running, &stop).await {
                    tracing::warn!("resource quota: discovery failed: {}", GoError(&err));
                }
                refresh = Instant::now() + REFRESH;
            }
            let any = !names.is_empty();
            seen = Some(names);
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified() => {}
                () = tokio::time::sleep_until(refresh), if any => seen = None,
            }
        }
    }

    /// Watches exactly the resources of these names.
    async fn follow(
        &self,
        names: &Names,
        running: &mut HashMap<Resource, CancellationToken>,
        stop: &CancellationToken,
    ) -> Result<(), kube::Error> {
        let (served, failed) = match names.is_empty() {
            true => (Vec::new(), None),
            false => discovery::resources(&self.client).await?,
        };
        let is_wanted = |resource: &Resource| {
            names.contains(&(resource.plural.clone(), resource.group.clone()))
                && ["list", "watch"].iter().all(|verb| resource.can(verb))
        };
        let wanted: Vec<Resource> = served.into_iter().filter(is_wanted).collect();
        running.retain(|resource, token| {
            // What could not be discovered just now is not gone.
            let keep = wanted.contains(resource) || (failed.is_some() && is_wanted(resource));
            if !keep {
                token.cancel();
            }
            keep
        });
        for resource in wanted {
            if let Entry::Vacant(entry) = running.entry(resource) {
                let token = stop.child_token();
                self.watch(entry.key(), token.clone());
                entry.insert(token);
            }
        }
        *self.known.write() = running.keys().cloned().collect();
        Ok(())
    }

    fn watch(&self, resource: &Resource, stop: CancellationToken) {
        let options = InformerOptions {
            transform: Some(slim as fn(&mut Object)),
            metadata_only: true,
            ..Default::default()
        };
        let informer = Informer::dynamic(self.client.clone(), resource, options);
        let (waker, own) = (self.waker.clone(), resource.clone());
        informer.add_handler(move |event| {
            // Admission charged for what is new.
            let wakes = match event {
                Event::Added(_) => false,
                Event::Updated { .. } => is_measured(named(&own)),
                Event::Deleted(_) => true,
            };
            if wakes {
                waker.wake(named(&own), event.object().metadata.namespace.as_deref());
            }
        });
        informer.spawn(stop.clone());
        // What went between the last count and the first event was not seen.
        let (waker, own) = (self.waker.clone(), resource.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = informer.synced() => waker.wake_all(named(&own)),
            }
        });
    }
}

fn named(resource: &Resource) -> (&str, &str) {
    (&resource.plural, &resource.group)
}

/// What quotas count, but for what is cached in any case.
fn watched(quotas: &Store<ResourceQuota>) -> Names {
    let mut names = Names::new();
    for quota in quotas.list() {
        for name in quota.spec.hard.iter().flatten().map(|(name, _)| counted(name)) {
            if !matches!(name, ("pods" | "services", "")) {
                names.insert((name.0.to_owned(), name.1.to_owned()));
            }
        }
    }
    names
}

/// Only who went, and from where, is of interest.
fn slim(object: &mut Object) {
    object.metadata = metadata::identity(std::mem::take(&mut object.metadata));
}
