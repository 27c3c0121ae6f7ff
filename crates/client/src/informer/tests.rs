use std::sync::atomic::{AtomicUsize, Ordering};

use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use futures::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::client::Body;

use super::*;

/// Answers the n-th request with the n-th script entry; records the URLs.
#[derive(Clone, Default)]
struct Script {
    urls: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<std::collections::VecDeque<Answer>>>,
    calls: Arc<AtomicUsize>,
}

/// Status code and lines of the body.
type Answer = (u16, Vec<String>);
type Reply = Response<BoxBody<Bytes, std::convert::Infallible>>;

impl Script {
    fn new(answers: &[(u16, &[&str])]) -> Self {
        let script = Self::default();
        *script.answers.lock() = answers
            .iter()
            .map(|(code, lines)| (*code, lines.iter().map(|line| (*line).to_owned()).collect()))
            .collect();
        script
    }

    fn client(&self) -> Client {
        let script = self.clone();
        crate::in_process(tower::service_fn(move |request: Request<Body>| {
            let script = script.clone();
            async move { Ok::<_, std::convert::Infallible>(script.answer(request.uri().to_string()).await) }
        }))
    }

    async fn answer(&self, url: String) -> Reply {
        self.urls.lock().push(url);
        self.calls.fetch_add(1, Ordering::SeqCst);
        let next = self.answers.lock().pop_front();
        let Some((code, lines)) = next else {
            // The script is over: hang, as an idle watch does.
            std::future::pending::<()>().await;
            unreachable!()
        };
        let frames = lines.into_iter().map(|line| Ok(Frame::data(Bytes::from(line + "\n"))));
        let mut response = Response::new(BodyExt::boxed(StreamBody::new(stream::iter(frames))));
        *response.status_mut() = StatusCode::from_u16(code).unwrap();
        response
    }
}

fn object(name: &str, uid: &str, version: u32) -> String {
    format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"d","uid":"{uid}","resourceVersion":"{version}"}}}}"#
    )
}

fn event(kind: &str, object: &str) -> String {
    format!(r#"{{"type":"{kind}","object":{object}}}"#)
}

fn list(version: u32, items: &[String]) -> String {
    format!(
        r#"{{"kind":"ConfigMapList","metadata":{{"resourceVersion":"{version}"}},"items":[{}]}}"#,
        items.join(",")
    )
}

fn note(event: &Event<ConfigMap>) -> String {
    let name = event.object().metadata.name.clone().unwrap();
    match event {
        Event::Added(_) => format!("+{name}"),
        Event::Updated { old, new } => format!(
            "~{name} {}-{}",
            old.metadata.resource_version.as_deref().unwrap(),
            new.metadata.resource_version.as_deref().unwrap()
        ),
        Event::Deleted(_) => format!("-{name}"),
    }
}

#[tokio::test(start_paused = true)]
async fn lists_watches_resumes_and_survives_410_and_failures() {
    let gone = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version","reason":"Expired","code":410}"#;
    let script = Script::new(&[
        (503, &["busy"]),
        (200, &[&list(5, &[object("a", "1", 3), object("b", "2", 4)])]),
        (
            200,
            &[
                &event("MODIFIED", &object("a", "1", 6)),
                &event("BOOKMARK", r#"{"kind":"ConfigMap","metadata":{"resourceVersion":"9"}}"#),
            ],
        ),
        (200, &[&event("ADDED", &object("c", "3", 10)), &event("ERROR", gone)]),
        // b was deleted, c replaced, a is unchanged.
        (200, &[&list(20, &[object("a", "1", 6), object("c", "4", 19)])]),
        (200, &[&event("DELETED", &object("a", "1", 21))]),
    ]);
    let informer = Informer::<ConfigMap>::new(script.client(), InformerOptions::default());
    let mut events = informer.subscribe();
    let stop = CancellationToken::new();
    let task = informer.spawn(stop.clone());
    informer.synced().await;
    let mut seen = Vec::new();
    for _ in 0..8 {
        seen.push(note(&events.recv().await.unwrap()));
    }
    assert_eq!(seen, ["+a", "+b", "~a 3-6", "+c", "-c", "+c", "-b", "-a"]);
    assert_eq!(informer.store().len(), 1);
    while script.calls.load(Ordering::SeqCst) < 7 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let urls = script.urls.lock().clone();
    assert_eq!(urls[1], "/api/v1/configmaps?resourceVersion=0");
    assert!(
        urls[2].contains("watch=true&allowWatchBookmarks=true&resourceVersion=5&timeoutSeconds="),
        "{}",
        urls[2]
    );
    assert!(urls[3].contains("resourceVersion=9&"), "resumes from the bookmark: {}", urls[3]);
    assert_eq!(urls[4], "/api/v1/configmaps?resourceVersion=", "asks for the newest after 410");
    assert!(urls[6].contains("resourceVersion=21&"));
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn selectors_and_late_handlers() {
    let script = Script::new(&[(200, &[&list(5, &[object("a", "1", 3)])])]);
    let options = InformerOptions {
        namespace: Some("d".into()),
        field_selector: Some("spec.nodeName=n1,status.phase!=Failed".into()),
        ..Default::default()
    };
    let informer = Informer::<ConfigMap>::new(script.client(), options);
    let stop = CancellationToken::new();
    let task = informer.spawn(stop.clone());
    informer.synced().await;
    assert_eq!(
        script.urls.lock()[0],
        "/api/v1/namespaces/d/configmaps?resourceVersion=0&fieldSelector=spec.nodeName%3Dn1%2Cstatus.phase%21%3DFailed"
    );
    assert_eq!(note(&informer.subscribe().recv().await.unwrap()), "+a");
    stop.cancel();
    task.await.unwrap();
}
