//! Many watchers while patches land: how many events arrive, how late, and who was cut off.
//!
//! Every patch carries the moment at which it was sent, in an annotation; a watcher finds it in the event's text.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use memchr::memmem::Finder;
use serde_json::json;
use tokio::sync::Barrier;

use crate::http::Connection;
use crate::load::{Load, MakeRequest, micros};
use crate::report::Row;
use crate::{Error, pods};

/// A watcher that hears nothing for so long will hear nothing more.
const SILENCE: Duration = Duration::from_secs(20);

/// The annotation: nanoseconds since the phase began.
const SENT: &str = "bench/sent";

/// How the phase is run.
pub(crate) struct Plan {
    pub(crate) namespace: String,
    pub(crate) pods: usize,
    pub(crate) watchers: usize,
    pub(crate) patches: usize,
    pub(crate) clients: usize,
    /// The resource version that the watches begin behind.
    pub(crate) after: String,
}

#[derive(Default)]
struct Heard {
    latencies: Vec<u32>,
    bytes: u64,
    last: Option<Instant>,
}

/// Reads events until all are there, or none come any more.
async fn listen(
    mut connection: Connection,
    wanted: usize,
    began: Instant,
    heard_all: Arc<AtomicUsize>,
) -> Heard {
    let mark = format!("\"{SENT}\":\"");
    let finder = Finder::new(mark.as_bytes());
    let mut heard = Heard::default();
    let mut text = Vec::new();
    while heard.latencies.len() < wanted {
        match tokio::time::timeout(SILENCE, connection.chunk(&mut text)).await {
            Ok(Ok(true)) => {}
            _ => break,
        }
        let Some(end) = memchr::memrchr(b'\n', &text) else { continue };
        let now = began.elapsed();
        for event in text[..end].split(|b| *b == b'\n') {
            let Some(at) = finder.find(event) else { continue };
            let digits = event[at + mark.len()..].split(|b| *b == b'"').next().unwrap_or_default();
            let sent = std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok());
            let late = now.saturating_sub(Duration::from_nanos(sent.unwrap_or(0)));
            heard.latencies.push(micros(late));
        }
        heard.bytes += end as u64 + 1;
        heard.last = Some(Instant::now());
        text.drain(..=end);
    }
    if heard.latencies.len() >= wanted {
        heard_all.fetch_add(1, Ordering::Relaxed);
    }
    heard
}

/// Runs the phase: the row of the patches, then that of the events.
pub(crate) async fn run(load: &Load, plan: &Plan) -> Result<(Row, Row), Error> {
    let path = format!(
        "/api/v1/namespaces/{}/pods?watch=true&resourceVersion={}&timeoutSeconds=3600",
        plan.namespace, plan.after
    );
    let open = load.target.request("GET", &path, "application/json");
    let began = Instant::now();
    let heard_all = Arc::new(AtomicUsize::new(0));
    let ready = Arc::new(Barrier::new(plan.watchers + 1));
    let mut watchers = Vec::new();
    for _ in 0..plan.watchers {
        let mut connection = load.target.connect().await?;
        let (open, ready, all) = (open.clone(), ready.clone(), heard_all.clone());
        let wanted = plan.patches;
        watchers.push(tokio::spawn(async move {
            let opened = connection.open(&open).await;
            ready.wait().await;
            opened?;
            Ok::<_, Error>(listen(connection, wanted, began, all).await)
        }));
    }
    ready.wait().await;
    let usage = load.usage();
    let first = Instant::now();
    let make: MakeRequest = {
        let (target, namespace, pods) = (load.target.clone(), plan.namespace.clone(), plan.pods);
        Arc::new(move |number, out| {
            let path = format!("/api/v1/namespaces/{namespace}/pods/{}", pods::name(number % pods));
            let sent = began.elapsed().as_nanos().to_string();
            let body = json!({"metadata": {"annotations": {SENT: sent}}}).to_string();
            let kind = "application/strategic-merge-patch+json";
            *out = target.with_body("PATCH", &path, kind, body.as_bytes());
        })
    };
    let name = format!("patch, {} watchers", plan.watchers);
    let patches = load.run(&name, plan.clients, plan.patches, make).await?;
    let mut events = Row {
        name: format!("events to {} watchers", plan.watchers),
        clients: plan.watchers,
        ..Row::default()
    };
    let mut last = first;
    let mut failed = None;
    for watcher in watchers {
        match watcher.await.map_err(|e| Error::Usage(e.to_string()))? {
            Ok(heard) => {
                events.latencies.extend(&heard.latencies);
                events.bytes += heard.bytes;
                last = last.max(heard.last.unwrap_or(first));
            }
            Err(error) => failed = Some(error),
        }
    }
    if let Some(error) = failed {
        eprintln!("bench: {error}");
    }
    events.wall = last - first;
    events.ops = events.latencies.len();
    events.errors = (plan.watchers * (plan.patches - patches.errors)).saturating_sub(events.ops);
    events.latencies.sort_unstable();
    load.used(&mut events, usage);
    let cut_off = plan.watchers - heard_all.load(Ordering::Relaxed);
    if patches.errors == 0 {
        events.more.push(("watchersCutOff", cut_off.into()));
    }
    Ok((patches, events))
}
