//! Clients that mean no good: whatever they send, they get an answer that upstream could give, and others do not notice.

// A test may panic; clippy knows that of the tests themselves, not of what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;

use apiserver::Options;
use apiserver::http::listen::Peer;
use bytes::Bytes;
use common::tcp::{Cluster, HANG, MAPS};
use futures::StreamExt;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use serde_json::{Value, json};
use tower::ServiceExt;

/// All readers say the same: upstream's text for its limit of ten thousand; ours is lower.
#[tokio::test]
async fn deep_bodies_are_refused() {
    let c = Cluster::start().await;
    let deep = |n: usize| format!("{}{}", r#"{"a":"#.repeat(n), "1") + &"}".repeat(n);
    let (code, _) = c.post(MAPS, &json!({"metadata": {"name": "a"}})).await;
    assert_eq!(code, 201);
    let object = format!("{MAPS}/a");
    for n in [130, 9_999, 10_001, 400_000] {
        let lists = "[".repeat(n);
        let closed = format!("{}{}", "[".repeat(n), "]".repeat(n));
        for text in [deep(n), lists, closed, r#"{"metadata":"#.repeat(n)] {
            for (method, path, kind) in [
                (Method::POST, MAPS, "application/json"),
                (Method::PUT, object.as_str(), "application/json"),
                (Method::PATCH, object.as_str(), "application/merge-patch+json"),
                (Method::PATCH, object.as_str(), "application/json-patch+json"),
                (Method::PATCH, object.as_str(), "application/strategic-merge-patch+json"),
                (Method::PATCH, object.as_str(), "application/apply-patch+yaml"),
                (Method::POST, MAPS, "application/yaml"),
                (Method::DELETE, object.as_str(), "application/json"),
            ] {
                let path = format!("{path}?fieldManager=m&dryRun=All");
                let (code, status) = c.body(method.clone(), &path, kind, text.clone()).await;
                // What no type has is skipped at any depth that Go reads.
                let skipped = method == Method::DELETE && code == 200;
                assert!((400..500).contains(&code) || skipped, "{method} {kind} {n}: {code} {status}");
                assert_eq!(status["kind"], "Status");
            }
        }
    }
    let (_, status) = c.body(Method::POST, MAPS, "application/json", deep(10_001)).await;
    assert!(status["message"].as_str().unwrap().contains("exceeded max depth"), "{status}");
}

/// What nests as deep as allowed is stored, read in every form and changed. It was stored, and then nobody could read it.
#[tokio::test]
async fn deep_objects_live() {
    let c = Cluster::start().await;
    let crd = json!({
        "metadata": {"name": "deeps.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "deeps", "kind": "Deep"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    });
    let (code, made) = c.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &crd).await;
    assert_eq!(code, 201, "{made}");
    let path = "/apis/example.com/v1/namespaces/default/deeps";
    let mut value = json!(1);
    for _ in 0..118 {
        value = json!({"a": value});
    }
    let object =
        json!({"apiVersion": "example.com/v1", "kind": "Deep", "metadata": {"name": "a"}, "spec": value});
    let (code, made) = c.post(path, &object).await;
    assert_eq!(code, 201, "{made}");
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    for accept in ["application/json", "application/yaml", table] {
        for target in [path.to_owned(), format!("{path}/a")] {
            let request = Request::get(&target).header("accept", accept).body(Full::default()).unwrap();
            let (code, text) = c.text(request).await;
            assert_eq!(code, 200, "{target} {accept}: {text}");
        }
    }
    let labels = json!({"metadata": {"labels": {"a": "b"}}}).to_string();
    let target = format!("{path}/a");
    let (code, changed) = c.body(Method::PATCH, &target, "application/merge-patch+json", labels).await;
    assert_eq!(code, 200, "{changed}");
    // Managed fields lie deeper than what they are about. What was read must be written back as it is.
    let (code, changed) = c.body(Method::PUT, &target, "application/json", changed.to_string()).await;
    assert_eq!(code, 200, "{changed}");
    let (code, gone) = c.body(Method::DELETE, &target, "application/json", "").await;
    assert_eq!(code, 200, "{gone}");
}

#[tokio::test]
async fn yaml_bombs_are_refused() {
    let c = Cluster::start().await;
    let mut aliases = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..30 {
        let item = format!("*a{}", i - 1);
        aliases.push_str(&format!("a{i}: &a{i} [{}]\n", vec![item; 10].join(", ")));
    }
    let merges = (1..40).fold("a0: &a0 {x: 1}\n".to_owned(), |text, i| {
        format!("{text}a{i}: &a{i}\n  <<: [*a{0}, *a{0}]\n  y{i}: *a{0}\n", i - 1)
    });
    let flow = "[".repeat(100_000);
    let block: String = (0..2000).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    let keys = "? ".repeat(100_000);
    let anchors: String = (0..100_000).map(|i| format!("a{i}: &b{i} x\n")).collect();
    for (what, text) in [
        ("aliases", aliases),
        ("merges", merges),
        ("flow", flow),
        ("block", block),
        ("keys", keys),
        ("anchors", anchors),
        ("an alias of itself", "a: &a [*a]".to_owned()),
        ("tags", "!!".repeat(100_000)),
        ("quotes", "\"".repeat(99_999)),
        ("documents", "---\n".repeat(100_000)),
    ] {
        for (method, path, kind) in [
            (Method::POST, MAPS.to_owned(), "application/yaml"),
            (Method::PATCH, format!("{MAPS}/a?fieldManager=m"), "application/apply-patch+yaml"),
        ] {
            let (code, status) = c.body(method, &path, kind, text.clone()).await;
            assert!((400..500).contains(&code), "{what} {kind}: {code} {status}");
        }
    }
}

/// Each of these added a number of the client's to a time, and ended the process.
#[tokio::test]
async fn huge_numbers_of_seconds_are_no_panic() {
    let c = Cluster::start().await;
    let pods = "/api/v1/namespaces/default/pods";
    let pod = |name: &str| json!({"metadata": {"name": name}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}});
    for (i, seconds) in [i64::MAX, i64::MIN, 9_999_999_999, 300_000_000_000].into_iter().enumerate() {
        let watch = format!("{pods}?watch=1&timeoutSeconds={seconds}");
        let request = Request::get(&watch).body(Full::<Bytes>::default()).unwrap();
        let response = c.server.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let name = format!("p{i}");
        assert_eq!(c.post(pods, &pod(&name)).await.0, 201);
        let path = format!("{pods}/{name}?gracePeriodSeconds={seconds}");
        let (code, status) = c.body(Method::DELETE, &path, "application/json", "").await;
        assert_eq!(code, 200, "{status}");
        let shorter = format!("{pods}/{name}?gracePeriodSeconds={}", seconds.saturating_sub(1));
        let (code, status) = c.body(Method::DELETE, &shorter, "application/json", "").await;
        assert!(code < 500, "{status}");
        let mut own = pod(&format!("q{i}"));
        own["spec"]["terminationGracePeriodSeconds"] = seconds.into();
        own["spec"]["activeDeadlineSeconds"] = seconds.into();
        let (code, status) = c.post(pods, &own).await;
        assert!(code < 500, "{status}");
        let (code, status) = c.body(Method::DELETE, &format!("{pods}/q{i}"), "application/json", "").await;
        assert!(code < 500, "{status}");
    }
    let (code, text) = c.body(Method::GET, &format!("{pods}?timeout=9999999999h"), "", "").await;
    assert_eq!(code, 400);
    assert_eq!(
        text["message"],
        "invalid timeout specified in the request URL - time: invalid duration \"9999999999h\""
    );
}

/// A list of twenty thousand items took minutes where each was compared with all others.
#[tokio::test]
async fn long_lists_take_no_minutes() {
    let c = Cluster::start().await;
    const N: usize = 20_000;
    let pods = "/api/v1/namespaces/default/pods?dryRun=All";
    let list = |make: &dyn Fn(usize) -> Value| (0..N).map(make).collect::<Value>();
    let named = |i: usize| json!({"name": format!("a{i}")});
    let container = |field: &str, value: Value| {
        let mut container = json!({"name": "c", "image": "i"});
        container[field] = value;
        json!({"containers": [container]})
    };
    let spec = |field: &str, value: Value| {
        let mut spec = json!({"containers": [{"name": "c", "image": "i"}]});
        spec[field] = value;
        spec
    };
    let spread = |i: usize| json!({"maxSkew": 1, "topologyKey": format!("k{i}"), "whenUnsatisfiable": "DoNotSchedule"});
    for spec in [
        container("env", list(&named)),
        container("ports", list(&|i| json!({"name": format!("a{i}"), "containerPort": 1 + i}))),
        container("volumeMounts", list(&|i| json!({"name": format!("a{i}"), "mountPath": format!("/{i}")}))),
        spec("volumes", list(&|i| json!({"name": format!("a{i}"), "emptyDir": {}}))),
        spec("imagePullSecrets", list(&named)),
        spec("topologySpreadConstraints", list(&spread)),
    ] {
        let (code, status) = c.post(pods, &json!({"metadata": {"name": "p"}, "spec": spec})).await;
        assert!(code < 500, "{}", status["message"]);
    }
    let pod = json!({"metadata": {"name": "p"}, "spec": container("env", list(&named))});
    assert_eq!(c.post("/api/v1/namespaces/default/pods", &pod).await.0, 201);
    let others = list(&|i| json!({"name": format!("b{i}"), "value": "1"}));
    let patch = json!({"spec": {"containers": [{"name": "c", "env": others}]}}).to_string();
    let path = "/api/v1/namespaces/default/pods/p?dryRun=All";
    let (code, status) = c.body(Method::PATCH, path, "application/strategic-merge-patch+json", patch).await;
    assert!(code < 500, "{}", status["message"]);
}

/// xorshift: the same requests in each run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).unwrap()
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.next(list.len())]
    }

    fn words(&mut self, most: usize, between: &str, list: &[&str]) -> String {
        let count = self.next(most + 1);
        (0..count).map(|_| self.pick(list)).collect::<Vec<_>>().join(between)
    }
}

#[tokio::test]
async fn random_requests_get_answers() {
    const STEPS: &[&str] = &[
        "api",
        "apis",
        "v1",
        "v2",
        "apps",
        "batch",
        "namespaces",
        "default",
        "pods",
        "configmaps",
        "deployments",
        "nodes",
        "events",
        "a",
        "status",
        "scale",
        "binding",
        "eviction",
        "watch",
        "proxy",
        "",
        "..",
        ".",
        "%2F",
        "%00",
        "%ff",
        "%",
        "openapi",
        "v3",
        "healthz",
        "livez",
        "etcd",
        "version",
        "metrics",
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        "serviceaccounts",
        "token",
        "finalize",
        "%C3%A9",
        "componentstatuses",
        "services",
        "bindings",
        "tokenreviews",
        "authentication.k8s.io",
        "ephemeralcontainers",
        "resize",
        "log",
    ];
    const QUERY: &[&str] = &[
        "watch=1",
        "watch=false",
        "limit=-1",
        "limit=x",
        "limit=1",
        "continue=e30",
        "continue=%00",
        "timeoutSeconds=1",
        "timeoutSeconds=x",
        "resourceVersion=0",
        "resourceVersion=-1",
        "resourceVersionMatch=Exact",
        "resourceVersionMatch=x",
        "sendInitialEvents=true",
        "sendInitialEvents=x",
        "allowWatchBookmarks=true",
        "labelSelector=a%20in%20(",
        "labelSelector=%21%21",
        "fieldSelector=a",
        "fieldSelector=metadata.name%3Da",
        "dryRun=All",
        "dryRun=x",
        "fieldValidation=Strict",
        "fieldValidation=x",
        "fieldManager=%01",
        "fieldManager=m",
        "force=true",
        "pretty=x",
        "gracePeriodSeconds=x",
        "propagationPolicy=x",
        "orphanDependents=1",
        "timeout=0",
        "timeout=x",
        "includeObject=x",
        "%",
        "=",
        "&&",
        ";",
        "tailLines=x",
        "container=",
    ];
    const TYPES: &[&str] = &[
        "application/json",
        "application/yaml",
        "application/vnd.kubernetes.protobuf",
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
        "*/*",
        "x",
        "/",
        "application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=x",
        "application/json;q=NaN",
        ";;;,,,",
        "text/html",
        "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    ];
    const BODIES: &[&str] = &[
        "",
        "{}",
        "[]",
        "null",
        "1",
        "\"x\"",
        "{",
        "{\"metadata\":{\"name\":\"a\"}}",
        "{\"metadata\":null}",
        "{\"metadata\":[]}",
        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\"}",
        "{\"kind\":1}",
        "[{\"op\":\"copy\",\"from\":\"\",\"path\":\"/a\"}]",
        "[{\"op\":\"add\",\"path\":\"/metadata\",\"value\":1}]",
        "a: b",
        "- a",
        "{\"spec\":{\"$patch\":\"x\"}}",
        "\0",
        "\u{feff}{}",
        "k8s\0\n\u{6}\n\u{2}v1",
        "{\"metadata\":{\"name\":\"a\",\"managedFields\":[{\"fieldsV1\":{\"x\":1}}]}}",
        "{\"spec\":{\"replicas\":-1}}",
        "{\"status\":{}}",
        "{\"metadata\":{\"generateName\":\"é\"}}",
    ];
    let c = Cluster::start().await;
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..4000 {
        let method = random
            .pick(&["GET", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW"]);
        let mut uri = format!("/{}", random.words(9, "/", STEPS));
        if random.next(2) == 0 {
            uri = format!("{uri}?{}", random.words(3, "&", QUERY));
        }
        // A watch that lasts is another test's.
        if uri.contains("watch") {
            uri = format!("{uri}{}timeoutSeconds=1", if uri.contains('?') { "&" } else { "?" });
        }
        let request = Request::builder()
            .method(method)
            .uri(&uri)
            .header("content-type", random.pick(TYPES))
            .header("accept", random.pick(TYPES))
            .body(Full::new(Bytes::from_static(random.pick(BODIES).as_bytes())))
            .unwrap();
        let shown = format!("{request:?}");
        let response = c.server.clone().oneshot(request).await.unwrap();
        let code = response.status().as_u16();
        if code == 200 && uri.contains("watch") {
            continue;
        }
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body);
        // Upstream's own 500s for clients' errors.
        let no_kind = code == 500 && text.contains("unable to determine kind and namespace from url");
        let recorded = no_kind
            || text.contains("resourceVersion: Invalid value")
            || text.contains("invalid key: ")
            || text.contains("failed to convert new object")
            || text.contains("target.")
            || text.contains("unknown patch type")
            || text.contains("field not declared in schema")
            || text.contains("merge key");
        assert!(code < 500 || recorded, "{shown}: {code} {text}");
        // What Go's HTTP server or its mux say, and nobody else is asked.
        let plain =
            no_kind || text == "400 Bad Request" || matches!(code, 404..=406) && !text.starts_with('{');
        if code >= 400
            && method != "HEAD"
            && !plain
            && !text.starts_with("apiVersion: v1\n")
            && !text.starts_with("k8s\0")
        {
            let status: Value = serde_json::from_str(&text).unwrap_or_default();
            assert_eq!(status["kind"], "Status", "{shown}: {code} {text}");
        }
    }
}

/// A body that never ends.
fn endless() -> impl http_body::Body<Data = Bytes, Error = std::io::Error> + Send + 'static {
    StreamBody::new(
        futures::stream::once(async { Ok(http_body::Frame::data(Bytes::from_static(b"{"))) })
            .chain(futures::stream::pending()),
    )
}

#[tokio::test]
async fn a_body_that_trickles_times_out() {
    let c = Cluster::with(|o| o.request_timeout = "1s".into()).await;
    let request = Request::post(MAPS).header("content-type", "application/json").body(endless()).unwrap();
    let response =
        tokio::time::timeout(HANG, c.server.clone().oneshot(request)).await.expect("an answer").unwrap();
    assert_eq!(response.status(), 504);
    // The client itself may allow less.
    let c = Cluster::start().await;
    let uri = format!("{MAPS}?timeout=10ms");
    let request = Request::post(uri).header("content-type", "application/json").body(endless()).unwrap();
    let response =
        tokio::time::timeout(HANG, c.server.clone().oneshot(request)).await.expect("an answer").unwrap();
    assert_eq!(response.status(), 504);
}

/// A user with the token `secret`, who is nobody special: requests of administrators are not counted.
fn know_a_user(options: &mut Options) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile-tokens.csv");
    std::fs::write(&file, "secret,someone,1").unwrap();
    options.token_auth_file = Some(file);
}

/// Upstream resets `--anonymous-auth` where everything is allowed.
#[tokio::test]
async fn who_may_do_everything_says_who_he_is() {
    let c = Cluster::with(know_a_user).await;
    let peer = Peer { address: c.address, insecure: false, certificate: None, patience: Default::default() };
    for (credentials, code) in
        [(None, 401), (Some("Basic YTpi"), 401), (Some("Bearer x"), 401), (Some("Bearer secret"), 200)]
    {
        let mut request =
            Request::get("/version").extension(peer.clone()).body(Full::<Bytes>::default()).unwrap();
        if let Some(credentials) = credentials {
            request.headers_mut().insert("authorization", credentials.parse().unwrap());
        }
        assert_eq!(c.send(request).await.0, code, "{credentials:?}");
    }
}

#[tokio::test]
async fn requests_beyond_the_limit_are_told_to_wait() {
    let c = Cluster::with(|o| {
        o.max_mutating_requests_inflight = 1;
        o.max_requests_inflight = 1;
        know_a_user(o);
    })
    .await;
    let peer = Peer { address: c.address, insecure: false, certificate: None, patience: Default::default() };
    let ask = |method: Method| {
        let builder = Request::builder().method(method).uri(MAPS).header("content-type", "application/json");
        builder.header("authorization", "Bearer secret").extension(peer.clone())
    };
    let slow = ask(Method::POST).body(endless()).unwrap();
    let slow = tokio::spawn(c.server.clone().oneshot(slow));
    let quick = || ask(Method::POST).body(Full::<Bytes>::default()).unwrap();
    // The first takes its place when it runs.
    let refused = loop {
        let response = c.server.clone().oneshot(quick()).await.unwrap();
        if response.status() == 429 {
            break response;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(refused.headers()["retry-after"], "1");
    let status: Value =
        serde_json::from_slice(&refused.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(status["message"], "Too many requests, please try again later.");
    // Reads have places of their own, and whoever may do everything always gets an answer.
    let read = ask(Method::GET).body(Full::<Bytes>::default()).unwrap();
    assert_eq!(c.server.clone().oneshot(read).await.unwrap().status(), 200);
    assert_eq!(c.post(MAPS, &json!({"metadata": {"name": "a"}})).await.0, 201);
    slow.abort();
    let _ = slow.await;
    let after = c.server.clone().oneshot(quick()).await.unwrap();
    assert_eq!(after.status(), 400, "the place is free again");
}

/// A large answer is running until the client has it: otherwise a client could ask for any number of them and read none.
#[tokio::test]
async fn a_large_answer_holds_its_place() {
    let c = Cluster::with(|o| {
        o.max_requests_inflight = 1;
        know_a_user(o);
    })
    .await;
    let large = json!({"metadata": {"name": "a"}, "data": {"k": "x".repeat(100_000)}});
    assert_eq!(c.post(MAPS, &large).await.0, 201);
    let peer = Peer { address: c.address, insecure: false, certificate: None, patience: Default::default() };
    let ask = || {
        let builder = Request::get(MAPS).header("authorization", "Bearer secret").extension(peer.clone());
        builder.body(Full::<Bytes>::default()).unwrap()
    };
    let unread = c.server.clone().oneshot(ask()).await.unwrap();
    assert_eq!(unread.status(), 200);
    assert_eq!(c.server.clone().oneshot(ask()).await.unwrap().status(), 429);
    drop(unread);
    let again = c.server.clone().oneshot(ask()).await.unwrap();
    assert_eq!(again.status(), 200);
    let text = again.into_body().collect().await.unwrap().to_bytes();
    assert!(text.len() > 100_000 && text.ends_with(b"]}\n"));
}

#[tokio::test]
async fn thousands_of_watches_all_hear() {
    let c = Cluster::start().await;
    let mut watches = Vec::new();
    for _ in 0..3000 {
        let request =
            Request::get(format!("{MAPS}?watch=1&resourceVersion=1")).body(Full::<Bytes>::default()).unwrap();
        watches.push(c.server.clone().oneshot(request).await.unwrap().into_body());
    }
    assert_eq!(c.post(MAPS, &json!({"metadata": {"name": "heard"}})).await.0, 201);
    for mut watch in watches {
        loop {
            let frame = tokio::time::timeout(HANG, watch.frame()).await.expect("an event").unwrap().unwrap();
            if frame.data_ref().unwrap().windows(7).any(|w| w == b"\"heard\"") {
                break;
            }
        }
    }
}
