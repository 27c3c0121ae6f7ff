//! What becomes of requests whose store fails, or whose own code panics, at one particular step.

// A test may panic; clippy knows that of the tests themselves, not of what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use common::Cluster;
use http::Method;
use serde_json::json;
use store::{
    Change, Error, Expect, Got, LeaseId, MemoryStore, Range, RangeRequest, Revision, Store, Watch,
    WatchRequest, Written,
};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// A store that fails at one step, and panics when something named `boom` is written.
#[derive(Default)]
struct Broken {
    inner: MemoryStore,
    /// So many requests until the one that fails; none at zero.
    fails_in: AtomicUsize,
}

impl Broken {
    fn step(&self) -> Result<(), Error> {
        let next = |n: usize| n.checked_sub(1);
        match self.fails_in.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next) {
            Ok(1) => Err(Error::Unavailable("this step fails".into())),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Store for Broken {
    async fn get(&self, key: &str) -> Result<Got, Error> {
        self.step()?;
        self.inner.get(key).await
    }
    async fn range(&self, request: RangeRequest<'_>) -> Result<Range, Error> {
        self.step()?;
        self.inner.range(request).await
    }
    async fn write(&self, key: &str, expect: Expect, change: Change) -> Result<Written, Error> {
        self.step()?;
        assert!(!key.ends_with("/boom"), "boom");
        self.inner.write(key, expect, change).await
    }
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, Error> {
        self.inner.grant(ttl).await
    }
    async fn watch(&self, request: WatchRequest<'_>) -> Result<Watch, Error> {
        self.inner.watch(request).await
    }
    async fn revision(&self) -> Result<Revision, Error> {
        self.step()?;
        self.inner.revision().await
    }
    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        self.inner.compact(revision).await
    }
}

#[tokio::test]
async fn a_request_that_panics_ends_alone() {
    let cluster = Cluster::start_on(Arc::new(Broken::default()), Cluster::options()).await;
    let map = |name: &str| json!({"metadata": {"name": name}});
    let begin = cluster.get(MAPS).await.json()["metadata"]["resourceVersion"].clone();
    let watch = format!("{MAPS}?watch=true&resourceVersion={}", begin.as_str().unwrap());
    let watch = cluster.open(Method::GET, &watch, &[], bytes::Bytes::new()).await;
    let mut events = common::events::Events::new(watch.into_body());
    let answer = cluster.post(MAPS, &map("boom")).await;
    assert_eq!(
        (answer.code, &answer.headers["content-type"]),
        (500, &"text/plain; charset=utf-8".parse().unwrap())
    );
    assert_eq!(&answer.bytes[..], b"This request caused apiserver to panic. Look in the logs for details.\n");
    assert_eq!(cluster.post(MAPS, &map("next")).await.code, 201);
    assert_eq!(events.next().await.unwrap()["object"]["metadata"]["name"], "next");
    // Its place among the requests that run at once is free again.
    for _ in 0..300 {
        assert_eq!(cluster.post(MAPS, &map("boom")).await.code, 500);
    }
    assert_eq!(cluster.post(MAPS, &map("last")).await.code, 201);
}

/// It never was: the next look took it for decided.
#[tokio::test(start_paused = true)]
async fn a_definition_is_served_though_the_store_failed_while_it_was_decided() {
    let store = Arc::new(Broken::default());
    let cluster = Cluster::start_on(store.clone(), Cluster::options()).await;
    for fails_in in 1..12 {
        let name = format!("foo{fails_in}s");
        let crd = json!({"metadata": {"name": format!("{name}.x.io")}, "spec": {
            "group": "x.io", "scope": "Cluster", "names": {"plural": name, "kind": format!("Foo{fails_in}")},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        }});
        store.fails_in.store(fails_in, Ordering::SeqCst);
        let made = cluster.post(DEFINITIONS, &crd).await;
        store.fails_in.store(0, Ordering::SeqCst);
        if made.code != 201 {
            assert_eq!(cluster.post(DEFINITIONS, &crd).await.code, 201, "{}", made.json());
        }
        let path = format!("/apis/x.io/v1/{name}");
        let served = async {
            while cluster.get(&path).await.code != 200 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let served = tokio::time::timeout(Duration::from_secs(30), served).await;
        assert!(served.is_ok(), "step {fails_in}: {}", cluster.get(DEFINITIONS).await.json());
    }
}
