//! Writers and watchers that go on through faults, and what they saw.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::common::Cluster;
use crate::common::events::Events;

/// The object whose creation ends every follower.
pub(crate) const END: &str = "zz-end";

/// The resource version of an object or a list.
pub(crate) fn version_of(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok()).unwrap_or(0)
}

/// Writers that create and change objects, and remember what was acknowledged.
pub(crate) struct Load {
    stop: CancellationToken,
    written: Arc<Mutex<Vec<u64>>>,
    count: watch::Receiver<usize>,
    writers: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts writers with these numbers.
    pub(crate) fn start(cluster: &Arc<Cluster>, collection: &'static str, writers: Range<usize>) -> Load {
        let stop = CancellationToken::new();
        let written = Arc::new(Mutex::new(Vec::new()));
        let (counter, count) = watch::channel(0);
        let counter = Arc::new(counter);
        let write = |number: usize| {
            let (cluster, stop) = (cluster.clone(), stop.clone());
            let (written, counter) = (written.clone(), counter.clone());
            tokio::spawn(async move {
                let note = |object: &Value| {
                    written.lock().push(version_of(object));
                    counter.send_modify(|n| *n += 1);
                };
                for n in 0.. {
                    if stop.is_cancelled() {
                        return;
                    }
                    let name = format!("w{number}-{n}");
                    let made = cluster.post(collection, &json!({"metadata": {"name": name}})).await;
                    if made.code != 201 {
                        // It may have happened or not.
                        crate::refused(&made);
                        continue;
                    }
                    note(&made.json());
                    let headers = [("content-type", "application/merge-patch+json")];
                    let change = json!({"data": {"n": name}});
                    let path = format!("{collection}/{name}");
                    let changed = cluster.send(Method::PATCH, &path, &headers, &change).await;
                    match changed.code {
                        200 => note(&changed.json()),
                        _ => crate::refused(&changed),
                    }
                }
            })
        };
        let writers = writers.map(write).collect();
        Load { stop, written, count, writers }
    }

    /// Waits until so many more writes are acknowledged.
    pub(crate) async fn more(&self, writes: usize) {
        let mut count = self.count.clone();
        let wanted = *count.borrow() + writes;
        count.wait_for(|n| *n >= wanted).await.unwrap();
    }

    /// Stops the writers; gives the versions of all that was acknowledged.
    pub(crate) async fn stop(self) -> Vec<u64> {
        self.stop.cancel();
        for writer in self.writers {
            writer.await.unwrap();
        }
        std::mem::take(&mut *self.written.lock())
    }
}

/// What a follower saw, event by event.
pub(crate) struct Seen(Vec<Value>);

impl Seen {
    /// Every event is newer than the one before; together they lead to the list, over all that was acknowledged.
    pub(crate) fn check(&self, list: &Value, written: &[u64]) {
        let mut last = 0;
        let mut objects = BTreeMap::new();
        let mut versions = std::collections::BTreeSet::new();
        for event in &self.0 {
            let object = &event["object"];
            let (name, version) = (object["metadata"]["name"].as_str().unwrap(), version_of(object));
            assert!(version > last, "{version} after {last}: {event}");
            last = version;
            versions.insert(version);
            let known = objects.contains_key(name);
            match event["type"].as_str().unwrap() {
                "ADDED" if !known => objects.insert(name, version),
                "MODIFIED" if known => objects.insert(name, version),
                "DELETED" if known => objects.remove(name),
                other => panic!("{other} of {name}, which is known: {known}"),
            };
        }
        for version in written {
            assert!(versions.contains(version), "the write {version} was acknowledged and never told");
        }
        let first = self.0.first().map_or(u64::MAX, |e| version_of(&e["object"]));
        let there = list["items"].as_array().unwrap().iter();
        let there: BTreeMap<&str, u64> = there
            .map(|object| (object["metadata"]["name"].as_str().unwrap(), version_of(object)))
            // What was there before the watch is not told.
            .filter(|(_, version)| *version >= first)
            .collect();
        assert_eq!(objects, there, "what was told is not what is there");
    }
}

/// A watch that is opened again where it ends.
pub(crate) struct Follower(JoinHandle<Seen>);

impl Follower {
    /// Follows a collection from a version on.
    pub(crate) fn start(cluster: Arc<Cluster>, collection: &'static str, after: u64) -> Follower {
        Follower(tokio::spawn(follow(cluster, collection, after)))
    }

    /// Everything until [`END`] was created.
    pub(crate) async fn seen(self) -> Seen {
        self.0.await.unwrap()
    }
}

async fn follow(cluster: Arc<Cluster>, collection: &str, mut after: u64) -> Seen {
    let mut seen = Vec::new();
    loop {
        let path = format!("{collection}?watch=true&resourceVersion={after}&timeoutSeconds=300");
        let answer = cluster.open(Method::GET, &path, &[], Bytes::new()).await;
        assert_eq!(answer.status(), 200, "a watch from {after}");
        let mut events = Events::new(answer.into_body());
        while let Some(event) = events.next_or_end().await {
            assert_ne!(event["type"], "ERROR", "{event}");
            after = version_of(&event["object"]);
            let end = event["object"]["metadata"]["name"] == END;
            seen.push(event);
            if end {
                return Seen(seen);
            }
        }
    }
}
