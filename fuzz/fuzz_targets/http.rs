//! A whole server in memory: any method, path, query, headers and body. Every answer is one that upstream could give.
#![no_main]

use std::cell::RefCell;
use std::sync::Arc;

use apiserver::{Options, Server};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// So many requests one server answers, before a new one takes its place: inputs must not depend on long histories.
const REQUESTS_MAX: usize = 2000;

struct Running {
    runtime: Runtime,
    server: Server,
    stop: CancellationToken,
    left: usize,
}

impl Running {
    fn new() -> Running {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (stop, seeded) = (CancellationToken::new(), CancellationToken::new());
        let options = Options {
            service_cluster_ip_range: "10.0.0.0/24".into(),
            disable_admission_plugins: vec!["ServiceAccount".into()],
            cert_dir: "/nonexistent".into(),
            ..Options::default()
        };
        let server = runtime.block_on(async {
            let store = Arc::new(store::MemoryStore::new());
            let server = Server::new(options, store, stop.clone()).expect("a server");
            apiserver::start(&server, seeded.clone(), &stop);
            seeded.cancelled().await;
            server
        });
        Running { runtime, server, stop, left: REQUESTS_MAX }
    }
}

thread_local!(static RUNNING: RefCell<Option<Running>> = const { RefCell::new(None) });

fuzz_target!(|bytes: &[u8]| {
    RUNNING.with_borrow_mut(|running| {
        let mut now = running.take().filter(|r| r.left > 0).unwrap_or_else(Running::new);
        let mut u = Unstructured::new(bytes);
        while now.left > 0 && ask(&now, &mut u).is_ok() {
            now.left -= 1;
        }
        now.left = now.left.saturating_sub(1);
        if now.left == 0 {
            now.stop.cancel();
        }
        *running = Some(now);
    });
});

fn ask(now: &Running, u: &mut Unstructured<'_>) -> Result<()> {
    if u.is_empty() {
        return Err(libfuzzer_sys::arbitrary::Error::NotEnoughData);
    }
    let of = fuzz::resource(u)?;
    let method = u
        .choose(&[
            Method::GET,
            Method::POST,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::PATCH,
            Method::DELETE,
        ])?
        .clone();
    let mut path = if of.group.is_empty() {
        format!("/api/{}", of.version)
    } else {
        format!("/apis/{}/{}", of.group, of.version)
    };
    if of.kind.namespaced {
        path.push_str("/namespaces/default");
    }
    path.push('/');
    path.push_str(&of.kind.plural);
    let named = method != Method::POST && u.int_in_range(0..=7u8)? > 0;
    if named || u.int_in_range(0..=15u8)? == 0 {
        path.push_str("/a");
        if u.int_in_range(0..=5u8)? == 0 {
            let subs: Vec<&str> = of.subresources.iter().map(|s| s.name.as_ref()).collect();
            path.push('/');
            path.push_str(if subs.is_empty() { "status" } else { u.choose(&subs)? });
        }
    }
    if u.int_in_range(0..=31u8)? == 0 {
        path = u
            .choose(&[
                "/",
                "/api",
                "/apis",
                "/version",
                "/openapi/v2",
                "/openapi/v3",
                "/metrics",
                "/healthz",
                "/livez/x",
            ])?
            .to_string();
    }
    let query = u.choose(&[
        "",
        "",
        "",
        "",
        "dryRun=All",
        "fieldManager=m",
        "fieldManager=m&force=true",
        "fieldValidation=Strict",
        "limit=1",
        "labelSelector=a%20in%20(b)",
        "fieldSelector=metadata.name%3Da",
        "watch=1&timeoutSeconds=1",
        "resourceVersion=0",
        "resourceVersion=x",
        "continue=e30",
        "propagationPolicy=Foreground",
        "gracePeriodSeconds=-1",
        "limit=1&resourceVersion=3&resourceVersionMatch=Exact",
        "includeObject=Object",
    ])?;
    let content_type = match method {
        Method::PATCH => u.choose(&[
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
            "application/apply-patch+yaml",
        ])?,
        _ => {
            u.choose(&["application/json", "application/json", "application/json", "application/yaml", "x"])?
        }
    };
    let accept = u.choose(&[
        "application/json",
        "application/json",
        "application/yaml",
        "application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
        "*/*",
    ])?;
    let body = body(u, of, &method, content_type)?;
    let request = Request::builder()
        .method(&method)
        .uri(format!("{path}?{query}"))
        .header("content-type", *content_type)
        .header("accept", *accept)
        .body(Full::new(Bytes::from(body)));
    let Ok(request) = request else { return Ok(()) };
    // What is recorded of upstream as a 500, and what cannot be done without a kubelet.
    let (code, text) = now.runtime.block_on(async {
        let response = now.server.clone().oneshot(request).await.expect("an answer");
        let code = response.status().as_u16();
        let streams = query.contains("watch=1") && code == 200;
        let text = if streams {
            Bytes::new()
        } else {
            response.into_body().collect().await.expect("a body").to_bytes()
        };
        (code, String::from_utf8_lossy(&text).into_owned())
    });
    let known = [
        "unable to find api field",
        "unknown patch type",
        "merge key",
        "resourceVersion should not be set on objects to be created",
        "field not declared in schema",
        "expected ",
        "resourceVersion: Invalid value",
        "no kind is registered",
        "failed to create typed patch object",
        "failed to convert",
        // A name that cannot stand in a path.
        "invalid resource name",
        // A Binding to something that is no node.
        "target.name: ",
        "target.kind: ",
    ];
    let excused = path.ends_with("/proxy")
        || ["/log", "/exec", "/attach", "/portforward"].iter().any(|s| path.ends_with(s));
    if code >= 500 && !excused && !known.iter().any(|k| text.contains(k)) {
        panic!("{method} {path}?{query} {content_type}: {code} {text}");
    }
    Ok(())
}

fn body(
    u: &mut Unstructured<'_>,
    of: &api::kinds::Resource,
    method: &Method,
    content_type: &str,
) -> Result<Vec<u8>> {
    if u.int_in_range(0..=15u8)? == 0 {
        let length = u.int_in_range(0..=200usize)?.min(u.len());
        return Ok(u.bytes(length)?.to_vec());
    }
    let value = match (method.as_str(), content_type) {
        ("GET", _) => return Ok(Vec::new()),
        ("DELETE", _) => fuzz::any(u, 8)?,
        ("PATCH", "application/json-patch+json") => {
            let mut list = Vec::new();
            for _ in 0..u.int_in_range(0..=3u8)? {
                list.push(serde_json::json!({
                    "op": u.choose(&["add", "remove", "replace", "copy", "move", "test"])?,
                    "path": u.choose(&["/spec", "/metadata", "/metadata/labels", "/status", "/data", "", "/spec/template"])?,
                    "from": u.choose(&["/spec", "/metadata", "/status"])?,
                    "value": fuzz::any(u, 5)?,
                }));
            }
            list.into()
        }
        _ => {
            let mut object = fuzz::object(u, of)?;
            if u.int_in_range(0..=7u8)? > 0 {
                object["metadata"] = serde_json::json!({"name": "a"});
            }
            object
        }
    };
    Ok(if content_type.ends_with("yaml") {
        apiserver::encoding::yaml::write(&value).into_bytes()
    } else {
        serde_json::to_vec(&value).unwrap_or_default()
    })
}
