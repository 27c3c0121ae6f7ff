//! `/metrics` in Prometheus' text form, under upstream's names.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use parking_lot::Mutex;

use crate::Server;
use crate::request::Info;

/// Upper bounds of the latency buckets, in seconds.
const BUCKETS_S: [f64; 12] = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 10.0, 60.0];

/// What a request is counted under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels {
    verb: &'static str,
    group: String,
    version: String,
    resource: String,
    subresource: String,
}

impl Labels {
    /// Of a request.
    pub fn of(info: &Info) -> Labels {
        let verb = match info.verb {
            "get" => "GET",
            "list" => "LIST",
            "watch" => "WATCH",
            "create" => "POST",
            "update" => "PUT",
            "patch" => "PATCH",
            "delete" => "DELETE",
            "deletecollection" => "DELETECOLLECTION",
            _ => "other",
        };
        Labels {
            verb,
            group: info.group.clone(),
            version: info.version.clone(),
            resource: info.resource.clone(),
            subresource: info.subresource.clone(),
        }
    }
}

#[derive(Default)]
struct Latency {
    buckets: [u64; BUCKETS_S.len()],
    count: u64,
    sum: f64,
}

/// The requests of some labels.
#[derive(Default)]
struct Counts {
    codes: BTreeMap<u16, u64>,
    latency: Latency,
}

/// What has been counted.
#[derive(Default)]
pub struct Metrics(Mutex<BTreeMap<Labels, Counts>>);

/// Requests for things that do not exist must not fill the table.
const SERIES_MAX: usize = 20_000;

impl Metrics {
    /// Counts an answered request.
    pub fn count(&self, labels: Labels, code: u16, took: Duration) {
        let mut all = self.0.lock();
        if all.len() >= SERIES_MAX || code == 404 && labels.resource.len() > 63 {
            return;
        }
        let watch = labels.verb == "WATCH";
        let Counts { codes, latency } = all.entry(labels).or_default();
        *codes.entry(code).or_default() += 1;
        if watch {
            return;
        }
        let seconds = took.as_secs_f64();
        latency.count += 1;
        latency.sum += seconds;
        for (bound, bucket) in BUCKETS_S.iter().zip(&mut latency.buckets) {
            if seconds <= *bound {
                *bucket += 1;
            }
        }
    }
}

fn text(l: &Labels) -> String {
    let safe = |s: &str| s.replace(['"', '\\', '\n'], "_");
    format!(
        "verb=\"{}\",group=\"{}\",version=\"{}\",resource=\"{}\",subresource=\"{}\"",
        l.verb,
        safe(&l.group),
        safe(&l.version),
        safe(&l.resource),
        safe(&l.subresource)
    )
}

/// Everything as text.
pub fn render(server: &Server) -> String {
    let mut out = String::new();
    let counts = server.metrics().0.lock();
    out.push_str("# TYPE apiserver_request_total counter\n");
    for (labels, of) in counts.iter() {
        for (code, n) in &of.codes {
            let _ = writeln!(out, "apiserver_request_total{{{},code=\"{code}\"}} {n}", text(labels));
        }
    }
    out.push_str("# TYPE apiserver_request_duration_seconds histogram\n");
    for (labels, Counts { latency, .. }) in counts.iter().filter(|(labels, _)| labels.verb != "WATCH") {
        let labels = text(labels);
        for (bound, n) in BUCKETS_S.iter().zip(&latency.buckets) {
            let _ = writeln!(out, "apiserver_request_duration_seconds_bucket{{{labels},le=\"{bound}\"}} {n}");
        }
        let name = "apiserver_request_duration_seconds";
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", latency.count);
        let _ = writeln!(out, "{name}_sum{{{labels}}} {}", latency.sum);
        let _ = writeln!(out, "{name}_count{{{labels}}} {}", latency.count);
    }
    drop(counts);
    out.push_str("# TYPE apiserver_storage_objects gauge\n# TYPE apiserver_longrunning_requests gauge\n");
    let custom = server.registry().all().into_iter().filter(|r| r.custom && r.is_hub());
    for resource in server.registry().hubs().iter().cloned().chain(custom) {
        let Ok(part) = server.cached(&resource) else { continue };
        let name = resource.group_resource();
        let _ = writeln!(out, "apiserver_storage_objects{{resource=\"{name}\"}} {}", part.len());
        if part.watches() > 0 {
            let _ = writeln!(
                out,
                "apiserver_longrunning_requests{{verb=\"WATCH\",resource=\"{name}\"}} {}",
                part.watches()
            );
        }
    }
    out
}
