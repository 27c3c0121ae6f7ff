//! The cache on a real etcd: what the memory store cannot show.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use store::testing::Etcd;
use store::{Change, Expect, Store, Written};
use tokio_util::sync::CancellationToken;

use crate::{Cache, Config, Fields, ItemForm, Predicate, Start, WatchItem, Watcher};

const PATIENCE: Duration = Duration::from_secs(20);

async fn put(store: &dyn Store, key: &str) -> i64 {
    let value = Bytes::from_static(br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{}}"#);
    match store.write(key, Expect::Any, Change::put(value)).await.unwrap() {
        Written::Done(revision) => revision,
        conflict => panic!("{conflict:?}"),
    }
}

async fn next(watcher: &mut Watcher) -> (i64, String) {
    match tokio::time::timeout(PATIENCE, watcher.next()).await.unwrap() {
        Some(WatchItem::Event(kind, event)) => {
            (event.revision(), format!("{} {}", kind.name(), event.item(kind).unwrap().key()))
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_over_an_etcd_restart_and_compaction() {
    let mut etcd = match Etcd::start(1).await {
        Ok(etcd) => etcd,
        Err(why) => return println!("SKIPPED the cache on etcd: {why}"),
    };
    let store = Arc::new(etcd.store().await.unwrap());
    put(store.as_ref(), "/registry/configmaps/a/old").await;
    let cache = Cache::new(store.clone(), "/registry/");
    let maps = cache.register(Config {
        prefix: "/registry/configmaps/".into(),
        namespaced: true,
        form: ItemForm::BuiltIn,
        fields: Fields::default(),
        index: None,
    });
    let stop = CancellationToken::new();
    let feed = tokio::spawn({
        let (cache, stop) = (cache.clone(), stop.clone());
        async move { cache.run(stop).await }
    });
    cache.loaded(PATIENCE).await.unwrap();
    let mut watcher = maps.watch(Predicate::default(), Start::After(cache.revision()), false).unwrap();

    // A write is seen by the read after it, also when foreign keys moved the store on.
    for n in 0..50 {
        let name = format!("a/{n}");
        let revision = put(store.as_ref(), &format!("/registry/configmaps/{name}")).await;
        if n % 5 == 0 {
            put(store.as_ref(), "/coreos.com/network/subnets/x").await;
        }
        cache.consistent(PATIENCE).await.unwrap();
        assert_eq!(maps.get(&name).unwrap().revision(), revision);
        assert_eq!(next(&mut watcher).await, (revision, format!("ADDED {name}")));
    }

    etcd.kill(0).await;
    assert!(matches!(cache.consistent(Duration::from_millis(200)).await, Err(crate::Error::Store(_))));
    assert_eq!(maps.list(&Predicate::default(), 0, None).items.len(), 51, "memory still answers");
    etcd.run(0).unwrap();
    etcd.ready().await.unwrap();
    // Before our watch is back: a change, its removal from history, and another.
    let other = etcd.store().await.unwrap();
    let deleted = match other.write("/registry/configmaps/a/old", Expect::Any, Change::Delete).await.unwrap()
    {
        Written::Done(revision) => revision,
        conflict => panic!("{conflict:?}"),
    };
    let changed = put(&other, "/registry/configmaps/a/7").await;
    other.compact(changed).await.unwrap();
    cache.consistent(PATIENCE).await.unwrap();
    // Depending on who was first these are events or the difference of a new list.
    let mut seen = [next(&mut watcher).await, next(&mut watcher).await];
    seen.sort_by(|a, b| a.1.cmp(&b.1));
    assert_eq!(seen[0].1, "DELETED a/old");
    assert!(seen[0].0 >= deleted);
    assert_eq!(seen[1], (changed, "MODIFIED a/7".to_owned()));
    let last = put(&other, "/registry/configmaps/b/new").await;
    assert_eq!(next(&mut watcher).await, (last, "ADDED b/new".to_owned()));

    stop.cancel();
    feed.await.unwrap();
    assert!(watcher.next().await.is_none());
}

/// What a consistent read costs: `cargo test --release -p cache -- --ignored --nocapture consistent_reads`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn cost_of_consistent_reads() {
    let Ok(etcd) = Etcd::start(1).await else { return println!("SKIPPED: no etcd") };
    let store = Arc::new(etcd.store().await.unwrap());
    let cache = Cache::new(store, "/registry/");
    let stop = CancellationToken::new();
    let feed = tokio::spawn({
        let (cache, stop) = (cache.clone(), stop.clone());
        async move { cache.run(stop).await }
    });
    cache.loaded(PATIENCE).await.unwrap();
    for clients in [1, 16, 64] {
        let until = tokio::time::Instant::now() + Duration::from_secs(2);
        let clients_done: Vec<_> = (0..clients)
            .map(|_| {
                let cache = cache.clone();
                tokio::spawn(async move {
                    let mut reads = 0;
                    while tokio::time::Instant::now() < until {
                        cache.consistent(PATIENCE).await.unwrap();
                        reads += 1;
                    }
                    reads
                })
            })
            .collect();
        let mut reads = 0;
        for client in clients_done {
            reads += client.await.unwrap();
        }
        println!("{clients} clients: {} consistent reads/s", reads / 2);
    }
    stop.cancel();
    feed.await.unwrap();
}
