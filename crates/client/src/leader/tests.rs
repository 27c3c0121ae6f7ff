use std::sync::Arc;

use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use parking_lot::Mutex;

use super::*;

/// One Endpoints object with optimistic locking.
#[derive(Clone, Default)]
struct Lock {
    object: Arc<Mutex<Option<(u64, serde_json::Value)>>>,
    down: Arc<Mutex<bool>>,
}

impl Lock {
    fn client(&self) -> Client {
        let lock = self.clone();
        crate::in_process(tower::service_fn(move |request: Request<Body>| {
            let lock = lock.clone();
            async move { lock.answer(request).await }
        }))
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<Full<bytes::Bytes>>, std::io::Error> {
        if *self.down.lock() {
            return Err(std::io::Error::other("connection refused"));
        }
        let method = request.method().clone();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let mut object = self.object.lock();
        let (code, answer) = match method {
            Method::GET => match &*object {
                Some((_, object)) => (200, object.clone()),
                None => (404, serde_json::json!({"kind": "Status", "reason": "NotFound", "code": 404})),
            },
            _ => {
                let mut new: serde_json::Value = serde_json::from_slice(&body).unwrap();
                let version = object.as_ref().map_or(0, |(version, _)| *version);
                let claimed = new["metadata"]["resourceVersion"].as_str().map(str::to_owned);
                if claimed.unwrap_or_else(|| "0".into()) == version.to_string() {
                    new["metadata"]["resourceVersion"] = (version + 1).to_string().into();
                    *object = Some((version + 1, new.clone()));
                    (200, new)
                } else {
                    (409, serde_json::json!({"kind": "Status", "reason": "Conflict", "code": 409}))
                }
            }
        };
        Ok(Response::builder().status(code).body(Full::new(answer.to_string().into())).unwrap())
    }

    fn record(&self) -> Record {
        let object = self.object.lock().as_ref().unwrap().1.clone();
        read(&serde_json::from_value(object).unwrap())
    }
}

fn candidate(lock: &Lock, name: &str) -> Elector {
    Elector::new(lock.client(), ElectorOptions::new("kube-thing", name.into()), None)
}

#[tokio::test(start_paused = true)]
async fn one_leads_the_other_follows_when_the_lease_is_over() {
    let lock = Lock::default();
    let mut a = candidate(&lock, "a");
    let mut b = candidate(&lock, "b");
    assert!(a.try_lead().await.unwrap());
    assert!(!b.try_lead().await.unwrap());
    tokio::time::advance(Duration::from_secs(14)).await;
    assert!(a.try_lead().await.unwrap());
    assert!(!b.try_lead().await.unwrap());
    tokio::time::advance(Duration::from_secs(14)).await;
    assert!(!b.try_lead().await.unwrap());
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(b.try_lead().await.unwrap());
    assert_eq!((lock.record().holder_identity.as_str(), lock.record().leader_transitions), ("b", 1));
    assert!(!a.try_lead().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn losing_the_server_ends_leadership_and_stopping_releases() {
    let lock = Lock::default();
    let stop = CancellationToken::new();
    let run = tokio::spawn(
        candidate(&lock, "a").run(stop.clone(), |leading| async move { leading.cancelled().await }),
    );
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(lock.record().holder_identity, "a");
    let started = Instant::now();
    *lock.down.lock() = true;
    assert!(run.await.unwrap().is_err());
    assert!(started.elapsed() <= Duration::from_secs(13), "{:?}", started.elapsed());
    *lock.down.lock() = false;
    // The same identity (a restart after kill -9) leads at once.
    let started = Instant::now();
    let run = tokio::spawn(
        candidate(&lock, "a").run(stop.clone(), |leading| async move { leading.cancelled().await }),
    );
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(started.elapsed() < Duration::from_secs(1));
    stop.cancel();
    assert!(run.await.unwrap().is_ok());
    assert_eq!(lock.record().holder_identity, "");
}

/// A leader that ended at the very moment of the stop was polled once more, which is a panic.
#[tokio::test(start_paused = true)]
async fn a_leader_that_ends_with_the_stop_is_not_awaited_twice() {
    for _ in 0..64 {
        let lock = Lock::default();
        let stop = CancellationToken::new();
        let run = tokio::spawn(
            candidate(&lock, "a").run(stop.clone(), |leading| async move { leading.cancelled().await }),
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
        assert!(run.await.unwrap().is_ok());
    }
}

#[test]
fn the_name_is_taken_once() {
    let first = Identity::of("test-component");
    let second = Identity::of("test-component");
    assert_ne!(first.name(), second.name());
    let stable = first._guard.is_some();
    let name = first.name().to_owned();
    drop(first);
    if stable {
        assert_eq!(Identity::of("test-component").name(), name);
    }
}
