//! The cache on the memory store, with faults put between them, on the test clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use store::{
    Change, Expect, Got, LeaseId, MemoryStore, Range, RangeRequest, Revision, Store, Watch, WatchRequest,
    Written,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Cache, Config, Error, Fields, Item, ItemForm, Predicate, Resource, Start, WatchItem, Watcher};

/// A memory store whose watches can be held back and cut.
#[derive(Clone, Default)]
struct Faulty {
    inner: MemoryStore,
    /// Changes are not told while this is set.
    deaf: Arc<AtomicBool>,
    /// Progress without events is not told, as etcd does.
    no_progress: Arc<AtomicBool>,
    cut: Arc<tokio::sync::Notify>,
    revisions_asked: Arc<AtomicUsize>,
}

#[async_trait]
impl Store for Faulty {
    async fn get(&self, key: &str) -> Result<Got, store::Error> {
        self.inner.get(key).await
    }
    async fn range(&self, request: RangeRequest<'_>) -> Result<Range, store::Error> {
        self.inner.range(request).await
    }
    async fn write(&self, key: &str, expect: Expect, change: Change) -> Result<Written, store::Error> {
        self.inner.write(key, expect, change).await
    }
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, store::Error> {
        self.inner.grant(ttl).await
    }
    async fn watch(&self, request: WatchRequest<'_>) -> Result<Watch, store::Error> {
        let inner = self.inner.watch(request).await?;
        let (deaf, quiet) = (self.deaf.clone(), self.no_progress.clone());
        let told = inner.filter(move |item| {
            let empty = item.as_ref().is_ok_and(|b| b.events.is_empty());
            let held = deaf.load(Ordering::SeqCst) || (empty && quiet.load(Ordering::SeqCst));
            std::future::ready(!held)
        });
        let cut = self.cut.clone();
        let end = futures::stream::once(async move {
            cut.notified().await;
            Err(store::Error::Compacted { compact_revision: 0 })
        });
        Ok(Box::pin(futures::stream::select(told, end)))
    }
    async fn revision(&self) -> Result<Revision, store::Error> {
        self.revisions_asked.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.inner.revision().await
    }
    async fn compact(&self, revision: Revision) -> Result<(), store::Error> {
        self.inner.compact(revision).await
    }
}

const SECOND: Duration = Duration::from_secs(1);

struct Lab {
    store: Faulty,
    cache: Arc<Cache>,
    pods: Arc<Resource>,
    stop: CancellationToken,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn pods() -> Config {
    let read = |v: &api::Value| vec![v["spec"]["nodeName"].as_str().unwrap_or_default().to_owned()];
    Config {
        prefix: "/registry/pods/".into(),
        namespaced: true,
        form: ItemForm::BuiltIn,
        fields: Fields {
            names: Arc::from(["spec.nodeName".to_owned()]),
            paths: vec!["spec.nodeName".to_owned()],
            read: Arc::new(read),
        },
        index: Some("spec.nodeName".into()),
    }
}

async fn lab() -> Lab {
    let store = Faulty::default();
    let cache = Cache::new(Arc::new(store.clone()), "/registry/");
    let pods = cache.register(pods());
    let stop = CancellationToken::new();
    tokio::spawn({
        let (cache, stop) = (cache.clone(), stop.clone());
        async move { cache.run(stop).await }
    });
    cache.loaded(SECOND).await.unwrap();
    Lab { store, cache, pods, stop }
}

impl Lab {
    async fn put(&self, key: &str, app: &str, node: &str) -> Revision {
        let (namespace, name) = key.split_once('/').unwrap();
        let object = serde_json::json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": {"app": app}},
            "spec": {"nodeName": node},
        });
        self.write(key, Change::put(serde_json::to_vec(&object).unwrap())).await
    }
    async fn delete(&self, key: &str) -> Revision {
        self.write(key, Change::Delete).await
    }
    async fn write(&self, key: &str, change: Change) -> Revision {
        match self.store.write(&format!("/registry/pods/{key}"), Expect::Any, change).await.unwrap() {
            Written::Done(revision) => revision,
            conflict => panic!("{conflict:?}"),
        }
    }
    async fn fresh(&self) -> Revision {
        self.cache.consistent(SECOND).await.unwrap()
    }
    fn watch(&self, predicate: Predicate, start: Start) -> Watcher {
        self.pods.watch(predicate, start, false).unwrap()
    }
}

fn label(app: &'static str) -> Predicate {
    let filter = move |item: &Item| item.label("app") == Some(app);
    Predicate { filter: Some(Arc::new(filter)), ..Predicate::default() }
}

fn whole(item: &Item, out: &mut Vec<u8>) -> Result<(), std::convert::Infallible> {
    out.extend_from_slice(br#"{"kind":"Pod","apiVersion":"v1","#);
    out.extend_from_slice(&item.bytes()[1..]);
    Ok(())
}

/// `ADDED default/web@5`; the object's own resource version must be the event's.
fn show(item: &WatchItem) -> String {
    match item {
        WatchItem::Event(event_type, event) => {
            let frame = event.frame(*event_type, 0, whole).unwrap();
            let json: api::Value = serde_json::from_slice(&frame).unwrap();
            let meta = &json["object"]["metadata"];
            let text = |v: &api::Value| v.as_str().unwrap_or_default().to_owned();
            assert_eq!(text(&meta["resourceVersion"]), event.revision().to_string());
            format!(
                "{} {}/{}@{}",
                text(&json["type"]),
                text(&meta["namespace"]),
                text(&meta["name"]),
                event.revision()
            )
        }
        WatchItem::Bookmark { revision, initial_events_end } => {
            format!("BOOKMARK {revision}{}", if *initial_events_end { " end" } else { "" })
        }
    }
}

async fn told(watcher: &mut Watcher, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..count {
        let item = tokio::time::timeout(SECOND, watcher.next()).await.expect("something to tell");
        lines.push(show(&item.expect("the watch goes on")));
    }
    lines
}

#[tokio::test(start_paused = true)]
async fn lists_are_consistent_selected_and_paged_from_one_snapshot() {
    let lab = lab().await;
    for name in ["a/1", "a/2", "b/1", "b/2", "b/3"] {
        lab.put(name, if name.ends_with('2') { "two" } else { "one" }, "n1").await;
    }
    let revision = lab.fresh().await;
    let names = |l: &crate::List| l.items.iter().map(|i| i.key().to_owned()).collect::<Vec<_>>();
    let all = lab.pods.list(&Predicate::default(), 0, None);
    assert_eq!(
        (names(&all), all.revision),
        (vec!["a/1".into(), "a/2".into(), "b/1".into(), "b/2".into(), "b/3".into()], revision)
    );
    assert_eq!(names(&lab.pods.list(&label("two"), 0, None)), ["a/2", "b/2"]);
    let in_b = Predicate { namespace: Some("b".into()), ..Predicate::default() };
    let page = lab.pods.list(&in_b, 2, None);
    assert_eq!((names(&page), page.remaining), (vec!["b/1".into(), "b/2".into()], Some(1)));

    lab.delete("b/3").await;
    lab.put("b/4", "one", "n2").await;
    lab.fresh().await;
    let next = page.next.as_deref();
    let rest = lab.pods.list_at(page.revision, &in_b, 2, next).await.unwrap();
    assert_eq!((names(&rest), rest.next, rest.revision), (vec!["b/3".into()], None, revision));
    let on_n2 = Predicate { index: Some("n2".into()), ..Predicate::default() };
    assert_eq!(names(&lab.pods.list(&on_n2, 0, None)), ["b/4"]);

    // The snapshot is forgotten: the store still knows.
    tokio::time::sleep(Duration::from_secs(300)).await;
    let rest = lab.pods.list_at(page.revision, &in_b, 1, None).await.unwrap();
    assert_eq!((names(&rest), rest.remaining), (vec!["b/1".into()], Some(2)));
    lab.store.compact(lab.fresh().await).await.unwrap();
    assert!(matches!(lab.pods.list_at(page.revision, &in_b, 1, next).await, Err(Error::Compacted)));
}

/// A list of 3,000 pods that stopped at its first page kept all of them alive for two minutes after they were deleted.
#[tokio::test(start_paused = true)]
async fn a_snapshot_goes_when_what_it_alone_holds_is_large() {
    let lab = lab().await;
    lab.put("a/1", "one", &"n".repeat(1 << 19)).await;
    lab.put("a/2", "one", "n1").await;
    let revision = lab.fresh().await;
    let page = lab.pods.list(&Predicate::default(), 1, None);
    for _ in 0..3 {
        lab.put("a/1", "two", &"n".repeat(1 << 19)).await;
        lab.fresh().await;
        assert_eq!(lab.pods.saved.lock().len(), 1);
    }
    lab.put("a/1", "two", "n1").await;
    lab.fresh().await;
    assert_eq!(lab.pods.saved.lock().len(), 0);
    // The list goes on all the same.
    let rest = lab.pods.list_at(revision, &Predicate::default(), 0, page.next.as_deref()).await.unwrap();
    assert_eq!(rest.items.iter().map(|i| i.key()).collect::<Vec<_>>(), ["a/2"]);
}

#[tokio::test(start_paused = true)]
async fn a_selector_watch_sees_objects_come_and_go() {
    let lab = lab().await;
    let mut web = lab.watch(label("web"), Start::After(lab.cache.revision()));
    let on = |node: &str| Predicate { index: Some(node.into()), ..Predicate::default() };
    let mut n1 = lab.watch(on("n1"), Start::After(lab.cache.revision()));
    let named = Predicate { name: Some("p".into()), ..Predicate::default() };
    let mut p = lab.watch(named, Start::After(lab.cache.revision()));
    let r = lab.put("d/p", "web", "").await;
    lab.put("d/q", "db", "n1").await;
    lab.put("d/p", "web", "n1").await;
    lab.put("d/p", "db", "n1").await;
    lab.put("d/p", "db", "n2").await;
    lab.delete("d/p").await;
    let at = |kind: &str, name: &str, n: i64| format!("{kind} d/{name}@{}", r + n);
    assert_eq!(told(&mut web, 3).await, [at("ADDED", "p", 0), at("MODIFIED", "p", 2), at("DELETED", "p", 3)]);
    assert_eq!(
        told(&mut n1, 4).await,
        [at("ADDED", "q", 1), at("ADDED", "p", 2), at("MODIFIED", "p", 3), at("DELETED", "p", 4)]
    );
    assert_eq!(told(&mut p, 5).await.last(), Some(&at("DELETED", "p", 5)));
    assert!(p.try_next().is_err());
}

#[tokio::test(start_paused = true)]
async fn frames_are_made_once_for_all_watchers_of_a_representation() {
    let lab = lab().await;
    let mut watchers: Vec<_> =
        (0..3).map(|_| lab.watch(Predicate::default(), Start::After(lab.cache.revision()))).collect();
    lab.put("d/p", "web", "").await;
    let mut made = 0;
    let mut frames = Vec::new();
    for watcher in &mut watchers {
        let Some(WatchItem::Event(kind, event)) = watcher.next().await else { panic!("an event") };
        for representation in [0, 7] {
            let encode = |item: &Item, out: &mut Vec<u8>| {
                made += 1;
                whole(item, out)
            };
            frames.push(event.frame(kind, representation, encode).unwrap());
        }
    }
    assert_eq!(made, 2);
    assert!(frames.iter().step_by(2).all(|f| f.as_ptr() == frames[0].as_ptr()));
    assert!(frames[0].starts_with(
        br#"{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"#
    ));
    assert!(frames[0].ends_with(b"}}\n"));
}

#[tokio::test(start_paused = true)]
async fn a_watch_resumes_from_history_or_is_told_that_it_is_too_old() {
    let lab = lab().await;
    let start = lab.cache.revision();
    let first = lab.put("d/p", "web", "").await;
    lab.put("d/p", "web", "n1").await;
    lab.fresh().await;
    let mut resumed = lab.watch(Predicate::default(), Start::After(first));
    lab.delete("d/p").await;
    assert_eq!(
        told(&mut resumed, 2).await,
        [format!("MODIFIED d/p@{}", first + 1), format!("DELETED d/p@{}", first + 2)]
    );

    let old = lab.pods.watch(Predicate::default(), Start::After(start - 1), false).unwrap_err();
    assert_eq!(old.to_string(), format!("too old resource version: {} ({start})", start - 1));
    // Far more than history keeps.
    let big = "x".repeat(10_000);
    for _ in 0..1000 {
        lab.put("d/p", &big, "").await;
    }
    lab.fresh().await;
    assert!(matches!(
        lab.pods.watch(Predicate::default(), Start::After(first), false),
        Err(Error::TooOld { requested, oldest }) if requested == first && oldest > first
    ));
}

#[tokio::test(start_paused = true)]
async fn initial_objects_end_with_a_bookmark_and_quiet_watches_get_more() {
    let lab = lab().await;
    let first = lab.put("d/a", "web", "").await;
    lab.put("d/b", "db", "").await;
    let revision = lab.fresh().await;
    let mut watcher =
        lab.pods.watch(label("web"), Start::InitialObjects { end_bookmark: true }, true).unwrap();
    assert_eq!(
        told(&mut watcher, 2).await,
        [format!("ADDED d/a@{first}"), format!("BOOKMARK {revision} end")]
    );
    let other = lab.put("d/c", "db", "").await;
    let Some(bookmark) = watcher.next().await else { panic!("a bookmark") };
    assert_eq!(show(&bookmark), format!("BOOKMARK {other}"));

    // No version is told twice, and a last bookmark comes before the end.
    let end = Instant::now() + Duration::from_secs(90);
    let mut watcher = watcher.until(end);
    let quiet = tokio::time::timeout(Duration::from_secs(70), watcher.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    let last = lab.put("d/c", "db", "").await;
    let Some(bookmark) = watcher.next().await else { panic!("a last bookmark") };
    assert_eq!(show(&bookmark), format!("BOOKMARK {last}"));
    assert_eq!(Instant::now(), end - Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_slow_watcher_is_cut_off_alone() {
    let lab = lab().await;
    let mut slow = lab.watch(Predicate::default(), Start::After(lab.cache.revision()));
    let mut quick = lab.watch(Predicate::default(), Start::After(lab.cache.revision()));
    for _ in 0..90 {
        for _ in 0..100 {
            lab.put("d/p", "web", "").await;
        }
        told(&mut quick, 100).await;
    }
    assert_eq!(lab.pods.watches(), 1);
    let mut seen = 0;
    while slow.next().await.is_some() {
        seen += 1;
    }
    assert!(seen < 9000 && seen > 1000, "{seen}");
    drop(quick);
    assert_eq!(lab.pods.watches(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_watcher_of_large_objects_is_cut_off_by_their_bytes() {
    let lab = lab().await;
    let mut slow = lab.watch(Predicate::default(), Start::After(lab.cache.revision()));
    let mut quick = lab.watch(Predicate::default(), Start::After(lab.cache.revision()));
    let mut small = lab.watch(label("small"), Start::After(lab.cache.revision()));
    let big = "x".repeat(1 << 20);
    for _ in 0..100 {
        lab.put("d/big", &big, "").await;
        lab.put("d/small", "small", "").await;
        told(&mut quick, 2).await;
    }
    assert_eq!(lab.pods.watches(), 2, "the quick one, and the one that large objects do not concern");
    let mut bytes = 0;
    while let Some(WatchItem::Event(_, event)) = slow.next().await {
        bytes += event.cost();
    }
    assert!(bytes <= 64 << 20 && bytes > 60 << 20, "{bytes}");
    assert_eq!(told(&mut small, 100).await.len(), 100);
}

#[tokio::test(start_paused = true)]
async fn compacted_history_costs_no_event() {
    let lab = lab().await;
    for key in ["d/deleted", "d/kept", "d/changed", "d/replaced"] {
        lab.put(key, "web", "n1").await;
    }
    let before = lab.fresh().await;
    let mut watcher = lab.watch(Predicate::default(), Start::After(before));
    lab.store.deaf.store(true, Ordering::SeqCst);
    let changed = lab.put("d/changed", "db", "n2").await;
    lab.delete("d/replaced").await;
    let replaced = lab.put("d/replaced", "new", "n1").await;
    lab.put("d/shortlived", "web", "n1").await;
    lab.delete("d/shortlived").await;
    let last = lab.delete("d/deleted").await;
    // The test clock only moves when everyone waits: the feed has dropped all of it now.
    tokio::time::sleep(SECOND).await;
    lab.store.deaf.store(false, Ordering::SeqCst);
    lab.store.cut.notify_one();
    assert_eq!(
        told(&mut watcher, 4).await,
        [
            format!("MODIFIED d/changed@{changed}"),
            format!("DELETED d/replaced@{replaced}"),
            format!("ADDED d/replaced@{replaced}"),
            format!("DELETED d/deleted@{last}"),
        ]
    );
    assert_eq!(lab.fresh().await, last);
    let after = lab.put("d/kept", "web", "n1").await;
    assert_eq!(told(&mut watcher, 1).await, [format!("MODIFIED d/kept@{after}")]);
    let on_n1 = Predicate { index: Some("n1".into()), ..Predicate::default() };
    assert_eq!(lab.pods.list(&on_n1, 0, None).items.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn consistent_reads_share_questions_and_do_not_wait_for_foreign_keys() {
    let lab = lab().await;
    lab.put("d/p", "web", "").await;
    let asked = lab.store.revisions_asked.load(Ordering::SeqCst);
    let reads = (0..64).map(|_| lab.cache.consistent(SECOND));
    for read in futures::future::join_all(reads).await {
        read.unwrap();
    }
    assert!(lab.store.revisions_asked.load(Ordering::SeqCst) - asked <= 2);
    assert!(lab.pods.get("d/p").is_some());

    lab.store.no_progress.store(true, Ordering::SeqCst);
    lab.store.write("/coreos.com/network/x", Expect::Any, Change::put("flannel")).await.unwrap();
    let revision = lab.store.inner.revision().await.unwrap();
    let reads = (0..64).map(|_| lab.cache.consistent(SECOND));
    for read in futures::future::join_all(reads).await {
        read.unwrap();
    }
    assert_eq!(lab.store.inner.revision().await.unwrap(), revision + 1, "one write for all who waited");
}

#[tokio::test(start_paused = true)]
async fn kinds_come_and_go_while_objects_change() {
    let lab = lab().await;
    let config = || Config {
        prefix: "/registry/x.io/foos/".into(),
        namespaced: false,
        form: ItemForm::Custom,
        fields: Fields::default(),
        index: None,
    };
    let put = |name: &str| {
        let key = format!("/registry/x.io/foos/{name}");
        let value =
            Bytes::from(format!(r#"{{"apiVersion":"x.io/v1","kind":"Foo","metadata":{{"name":"{name}"}}}}"#));
        let store = lab.store.clone();
        async move { store.write(&key, Expect::Any, Change::put(value)).await.unwrap() }
    };
    put("before").await;
    let foos = lab.cache.register(config());
    put("during").await;
    foos.loaded(SECOND).await.unwrap();
    put("after").await;
    lab.fresh().await;
    assert_eq!(foos.list(&Predicate::default(), 0, None).items.len(), 3);
    let mut watcher = foos.watch(Predicate::default(), Start::After(lab.cache.revision()), false).unwrap();
    lab.cache.unregister("/registry/x.io/foos/");
    assert!(watcher.next().await.is_none());
    assert!(lab.cache.resource("/registry/x.io/foos/").is_none());
}
