//! What every [`Store`] promises. Each test runs on the memory store and on a real etcd.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;

use crate::lease::LeasePool;
use crate::testing::Etcd;
use crate::{
    Batch, Change, Entry, Error, Expect, MemoryStore, RangeRequest, Revision, Store, Watch, WatchRequest,
    Written, compactor,
};

/// Makes an empty store: memory, then etcd when its binary is there.
async fn on_every_store<F, Fut>(name: &str, test: F)
where
    F: Fn(Arc<dyn Store>) -> Fut,
    Fut: Future<Output = ()>,
{
    test(Arc::new(MemoryStore::new())).await;
    match Etcd::start(1).await {
        Ok(etcd) => test(Arc::new(etcd.store().await.unwrap())).await,
        Err(why) => println!("SKIPPED {name} on etcd: {why}"),
    }
}

async fn put(store: &dyn Store, key: &str, value: &'static str) -> Revision {
    match store.write(key, Expect::Any, Change::put(value)).await.unwrap() {
        Written::Done(revision) => revision,
        conflict => panic!("{conflict:?}"),
    }
}

async fn delete(store: &dyn Store, key: &str) -> Revision {
    match store.write(key, Expect::Any, Change::Delete).await.unwrap() {
        Written::Done(revision) => revision,
        conflict => panic!("{conflict:?}"),
    }
}

fn keys(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|e| e.key.as_str()).collect()
}

/// The next batch with events.
async fn next(watch: &mut Watch) -> Result<Batch, Error> {
    loop {
        let item = tokio::time::timeout(Duration::from_secs(20), watch.next()).await.expect("an event");
        match item.expect("the stream goes on") {
            Ok(batch) if batch.events.is_empty() => {}
            other => return other,
        }
    }
}

#[tokio::test]
async fn a_write_happens_only_as_expected() {
    on_every_store("compare and write", |store| async move {
        let Written::Done(created) =
            store.write("/r/a", Expect::Absent, Change::put("1")).await.unwrap()
        else {
            panic!("a new key can be created")
        };
        let Written::Conflict(Some(there)) =
            store.write("/r/a", Expect::Absent, Change::put("2")).await.unwrap()
        else {
            panic!("a key cannot be created twice")
        };
        assert_eq!((there.value.as_ref(), there.mod_revision), (&b"1"[..], created));

        let Written::Done(updated) =
            store.write("/r/a", Expect::At(created), Change::put("2")).await.unwrap()
        else {
            panic!("updated at its revision")
        };
        assert_eq!(updated, created + 1);
        let stale = store.write("/r/a", Expect::At(created), Change::Delete).await.unwrap();
        assert!(matches!(stale, Written::Conflict(Some(e)) if e.mod_revision == updated && e.create_revision == created));
        let absent = store.write("/r/none", Expect::At(created), Change::put("x")).await.unwrap();
        assert_eq!(absent, Written::Conflict(None));

        let Written::Done(deleted) = store.write("/r/a", Expect::At(updated), Change::Delete).await.unwrap()
        else {
            panic!("deleted at its revision")
        };
        assert_eq!(deleted, updated + 1);
        let got = store.get("/r/a").await.unwrap();
        assert_eq!((got.entry, got.revision), (None, deleted));
        assert_eq!(store.revision().await.unwrap(), deleted);
        // Nothing there to delete: nothing changes.
        assert_eq!(delete(store.as_ref(), "/r/a").await, deleted);
    })
    .await;
}

#[tokio::test]
async fn a_range_is_ordered_limited_and_repeatable_in_the_past() {
    on_every_store("range", |store| async move {
        for key in ["/r/b", "/r/a", "/r/c", "/s/x"] {
            put(store.as_ref(), key, "1").await;
        }
        let then = store.revision().await.unwrap();
        let page = store.range(RangeRequest { prefix: "/r/", limit: 2, ..Default::default() }).await.unwrap();
        assert_eq!((keys(&page.entries), page.more, page.count), (vec!["/r/a", "/r/b"], true, 3));
        assert_eq!(page.revision, then);

        put(store.as_ref(), "/r/b", "2").await;
        delete(store.as_ref(), "/r/c").await;
        put(store.as_ref(), "/r/d", "1").await;
        let old = RangeRequest { prefix: "/r/", start: Some("/r/b"), revision: then, ..Default::default() };
        let rest = store.range(old.clone()).await.unwrap();
        assert_eq!((keys(&rest.entries), rest.more, rest.revision), (vec!["/r/b", "/r/c"], false, then));
        assert_eq!(rest.entries[0].value, Bytes::from("1"));
        let now = store.range(RangeRequest { revision: 0, keys_only: true, ..old.clone() }).await.unwrap();
        assert_eq!(keys(&now.entries), ["/r/b", "/r/d"]);
        assert!(now.entries[0].value.is_empty());

        let head = store.revision().await.unwrap();
        let future = store.range(RangeRequest { revision: head + 10, ..old.clone() }).await;
        assert_eq!(future, Err(Error::FutureRevision));
        store.compact(head).await.unwrap();
        assert!(matches!(store.range(old).await, Err(Error::Compacted { .. })));
        assert_eq!(store.range(RangeRequest { prefix: "/r/", ..Default::default() }).await.unwrap().count, 3);
        assert!(matches!(store.compact(head).await, Err(Error::Compacted { .. })));
    })
    .await;
}

#[tokio::test]
async fn a_watch_tells_every_change_once_and_in_order() {
    on_every_store("watch", |store| async move {
        let before = put(store.as_ref(), "/r/a", "1").await;
        put(store.as_ref(), "/other", "1").await;
        put(store.as_ref(), "/r/a", "2").await;
        let request = WatchRequest { prefix: "/r/", after: before, previous: true };
        let mut watch = store.watch(request).await.unwrap();
        let mut from_now = store.watch(WatchRequest { prefix: "/r/", ..Default::default() }).await.unwrap();
        delete(store.as_ref(), "/r/a").await;
        let recreated = put(store.as_ref(), "/r/a", "3").await;

        let mut seen = Vec::new();
        while seen.len() < 3 {
            seen.extend(next(&mut watch).await.unwrap().events);
        }
        let text = |b: &Option<Bytes>| b.as_ref().map(|b| String::from_utf8_lossy(b).into_owned());
        let seen: Vec<_> = seen
            .iter()
            .map(|e| (text(&e.value), text(&e.previous), e.create_revision, e.mod_revision))
            .collect();
        let some = |s: &str| Some(s.to_owned());
        assert_eq!(seen[0], (some("2"), some("1"), before, before + 2));
        assert_eq!(seen[1], (None, some("2"), 0, before + 3));
        assert_eq!(seen[2], (some("3"), None, recreated, recreated));

        let first = next(&mut from_now).await.unwrap();
        assert_eq!(first.events[0].mod_revision, before + 3);
        assert_eq!(first.events[0].previous, None);
    })
    .await;
}

#[tokio::test]
async fn a_watch_from_compacted_history_says_so() {
    on_every_store("compacted watch", |store| async move {
        let first = put(store.as_ref(), "/r/a", "1").await;
        for _ in 0..3 {
            put(store.as_ref(), "/r/a", "2").await;
        }
        let head = store.revision().await.unwrap();
        store.compact(head).await.unwrap();
        let request = WatchRequest { prefix: "/r/", after: first, previous: false };
        let mut old = store.watch(request).await.unwrap();
        let error = next(&mut old).await.unwrap_err();
        assert!(
            matches!(error, Error::Compacted { compact_revision } if compact_revision == head),
            "{error:?}"
        );
        assert!(old.next().await.is_none());

        let mut fine =
            store.watch(WatchRequest { prefix: "/r/", after: head, previous: false }).await.unwrap();
        put(store.as_ref(), "/r/b", "1").await;
        assert_eq!(next(&mut fine).await.unwrap().events[0].key, "/r/b");
    })
    .await;
}

#[tokio::test]
async fn keys_end_with_their_lease() {
    on_every_store("leases", |store| async move {
        let pool = LeasePool::new();
        let ttl = Duration::from_secs(2);
        let lease = pool.lease(store.as_ref(), ttl).await.unwrap();
        assert_eq!(pool.lease(store.as_ref(), ttl).await.unwrap(), lease, "fresh leases are shared");
        let Written::Done(at) = store
            .write("/r/event", Expect::Absent, Change::Put { value: Bytes::from("1"), lease })
            .await
            .unwrap()
        else {
            panic!("created")
        };
        put(store.as_ref(), "/r/stays", "1").await;
        assert_eq!(store.get("/r/event").await.unwrap().entry.unwrap().lease, lease);
        let mut watch =
            store.watch(WatchRequest { prefix: "/r/event", after: at, previous: true }).await.unwrap();
        let gone = next(&mut watch).await.unwrap();
        assert_eq!(
            (gone.events[0].value.as_ref(), gone.events[0].previous.as_deref()),
            (None, Some(&b"1"[..]))
        );
        assert_eq!(store.get("/r/event").await.unwrap().entry, None);
        assert!(store.get("/r/stays").await.unwrap().entry.is_some());
        let late = store.write("/r/x", Expect::Any, Change::Put { value: Bytes::from("1"), lease }).await;
        assert_eq!(late, Err(Error::LeaseNotFound));
    })
    .await;
}

#[tokio::test]
async fn compaction_lags_one_round_behind() {
    on_every_store("compactor", |store| async move {
        let old = put(store.as_ref(), "/r/a", "1").await;
        put(store.as_ref(), "/r/a", "2").await;
        let at = |revision| RangeRequest { prefix: "/r/", revision, ..Default::default() };
        let first = compactor::round(store.as_ref(), compactor::State::default()).await.unwrap();
        assert!(store.range(at(old)).await.is_ok());
        // A second server starts: it only looks.
        let other = compactor::round(store.as_ref(), compactor::State::default()).await.unwrap();
        assert!(store.range(at(old)).await.is_ok());
        compactor::round(store.as_ref(), first).await.unwrap();
        assert!(matches!(store.range(at(old)).await, Err(Error::Compacted { .. })));
        // The second server finds that the first did the work.
        compactor::round(store.as_ref(), other).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_unreachable_etcd_is_unavailable_and_a_restart_loses_no_event() {
    let mut etcd = match Etcd::start(1).await {
        Ok(etcd) => etcd,
        Err(why) => return println!("SKIPPED restart of etcd: {why}"),
    };
    let store = etcd.store().await.unwrap();
    let start = put(&store, "/r/a", "1").await;
    let mut watch = store.watch(WatchRequest { prefix: "/r/", after: start, previous: false }).await.unwrap();
    put(&store, "/r/a", "2").await;
    assert_eq!(next(&mut watch).await.unwrap().events[0].value, Some(Bytes::from("2")));

    etcd.kill(0).await;
    let refused = store.write("/r/a", Expect::Any, Change::put("lost")).await.unwrap_err();
    assert!(matches!(&refused, Error::Unavailable(why) if why.contains("http://127.0.0.1:")), "{refused:?}");
    assert!(matches!(store.get("/r/a").await, Err(Error::Unavailable(_))));

    etcd.run(0).unwrap();
    etcd.ready().await.unwrap();
    put(&store, "/r/a", "3").await;
    let batch = next(&mut watch).await.unwrap();
    assert_eq!((batch.events.len(), batch.events[0].value.as_deref()), (1, Some(&b"3"[..])));
}

#[tokio::test]
async fn a_cluster_serves_through_the_loss_of_any_member() {
    let mut etcd = match Etcd::start(3).await {
        Ok(etcd) => etcd,
        Err(why) => return println!("SKIPPED cluster of three: {why}"),
    };
    let store = etcd.store().await.unwrap();
    let start = put(&store, "/r/a", "0").await;
    let mut watch = store.watch(WatchRequest { prefix: "/r/", after: start, previous: false }).await.unwrap();
    let mut written: Vec<Bytes> = Vec::new();
    // One of these is the leader, and one has our watch.
    for member in 0..3 {
        etcd.kill(member).await;
        for n in 0..5 {
            let value = Bytes::from(format!("{member}-{n}"));
            // A write that was under way when its connection broke may have happened: look, as the API server does.
            loop {
                match store.write("/r/a", Expect::Any, Change::put(value.clone())).await {
                    Ok(Written::Done(_)) => break,
                    Ok(conflict) => panic!("{conflict:?}"),
                    Err(Error::Unavailable(_) | Error::Timeout(_)) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
            written.push(value);
        }
        etcd.run(member).unwrap();
        etcd.ready().await.unwrap();
    }
    let mut seen: Vec<Bytes> = Vec::new();
    let mut revision = start;
    while seen.last() != written.last() {
        for event in next(&mut watch).await.unwrap().events {
            assert!(event.mod_revision > revision, "in order and once");
            revision = event.mod_revision;
            let value = event.value.unwrap();
            // A write without an answer was repeated: the first try may still happen, later than the second.
            if !seen.contains(&value) {
                seen.push(value);
            }
        }
    }
    assert_eq!(seen, written);
}

#[tokio::test(start_paused = true)]
async fn memory_leases_end_on_the_test_clock() {
    let store = MemoryStore::new();
    let lease = store.grant(Duration::from_secs(3600)).await.unwrap();
    store.write("/e", Expect::Any, Change::Put { value: Bytes::from("1"), lease }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3599)).await;
    assert!(store.get("/e").await.unwrap().entry.is_some());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(store.get("/e").await.unwrap().entry.is_none());
}
