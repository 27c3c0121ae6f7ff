//! What the watch cache costs, on ordinary pods of 3 KB: `scripts/bench micro`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that cannot run shall end")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache::{Cache, Config, Fields, Item, ItemForm, Predicate, Resource, Start, WatchItem};
use divan::{Bencher, counter::ItemsCount};
use store::{Change, Expect, MemoryStore, Store};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const STORED: &[u8] = include_bytes!("../../bench/data/stored-pod.json");
const PODS: usize = 1000;
const EVENTS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(10);

fn main() {
    divan::main();
}

struct Lab {
    runtime: Runtime,
    store: Arc<dyn Store>,
    cache: Arc<Cache>,
    pods: Arc<Resource>,
}

impl Lab {
    fn new() -> Lab {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let cache = Cache::new(store.clone(), "/registry/");
        let names = ["spec.nodeName", "status.phase"].map(str::to_owned);
        let read = |pod: &api::Value| {
            let text = |v: &api::Value| v.as_str().unwrap_or_default().to_owned();
            vec![text(&pod["spec"]["nodeName"]), text(&pod["status"]["phase"])]
        };
        let pods = cache.register(Config {
            prefix: "/registry/pods/".into(),
            namespaced: true,
            form: ItemForm::BuiltIn,
            fields: Fields { paths: names.to_vec(), names: names.into(), read: Arc::new(read) },
            index: Some("spec.nodeName".into()),
        });
        let lab = Lab { runtime, store, cache, pods };
        let cache = lab.cache.clone();
        lab.runtime.spawn(async move { cache.run(CancellationToken::new()).await });
        lab.runtime.block_on(lab.cache.loaded(PATIENCE)).unwrap();
        lab.put(PODS);
        lab
    }

    fn put(&self, count: usize) {
        self.runtime.block_on(async {
            for number in 0..count {
                let key = format!("/registry/pods/bench/web-{number:04}");
                self.store.write(&key, Expect::Any, Change::put(Bytes::from_static(STORED))).await.unwrap();
            }
            self.cache.consistent(PATIENCE).await.unwrap();
        });
    }
}

fn whole(item: &Item, out: &mut Vec<u8>) -> Result<(), std::convert::Infallible> {
    out.extend_from_slice(item.bytes());
    Ok(())
}

/// Writes, and makes each watcher's frames.
#[divan::bench(args = [0, 1, 10, 100, 1000], sample_count = 10)]
fn events_to_watchers(bencher: Bencher<'_, '_>, watchers: usize) {
    let lab = Lab::new();
    let mut open: Vec<_> = (0..watchers)
        .map(|_| lab.pods.watch(Predicate::default(), Start::After(lab.cache.revision()), false).unwrap())
        .collect();
    bencher.counter(ItemsCount::new(EVENTS * watchers.max(1))).bench_local(|| {
        lab.put(EVENTS);
        let mut bytes = 0;
        for watcher in &mut open {
            for _ in 0..EVENTS {
                if let WatchItem::Event(kind, event) = watcher.try_next().unwrap() {
                    bytes += event.frame(kind, 0, whole).unwrap().len();
                }
            }
        }
        bytes
    });
}

#[divan::bench]
fn list_all(bencher: Bencher<'_, '_>) {
    let lab = Lab::new();
    bencher.counter(ItemsCount::new(PODS)).bench_local(|| lab.pods.list(&Predicate::default(), 0, None));
}

#[divan::bench]
fn list_by_label(bencher: Bencher<'_, '_>) {
    let lab = Lab::new();
    let filter = Arc::new(|item: &Item| item.label("app") == Some("none"));
    let predicate = Predicate { filter: Some(filter), ..Predicate::default() };
    bencher.counter(ItemsCount::new(PODS)).bench_local(|| lab.pods.list(&predicate, 0, None));
}
