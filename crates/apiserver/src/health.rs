//! `/healthz`, `/livez`, `/readyz`: all checks, or one by its path.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use crate::Server;
use crate::http::Response;
use crate::negotiate::encode;
use crate::request::Query;

const ROOTS: [&str; 3] = ["/healthz", "/livez", "/readyz"];

/// How long a check may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The checks that all three begin with, in upstream's order.
const FIRST: [&str; 2] = ["ping", "log"];

const INFORMERS: &str = "informer-sync";
const SHUTDOWN: &str = "shutdown";

/// The checks of start hooks: they hold once the server answers at all.
const HOOKS: [&str; 30] = [
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/priority-and-fairness-config-consumer",
    "poststarthook/priority-and-fairness-filter",
    "poststarthook/storage-object-count-tracker-hook",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/peer-endpoint-reconciler-controller",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-kube-apiserver-identity-lease-controller",
    "poststarthook/start-kube-apiserver-identity-lease-garbage-collector",
    "poststarthook/storage-readiness",
    "poststarthook/start-legacy-token-tracking-controller",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/bootstrap-controller",
    "poststarthook/start-kubernetes-service-cidr-controller",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-wait-for-first-sync",
    "poststarthook/apiservice-discovery-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
];

fn checks(root: &str) -> Vec<&'static str> {
    if root == "/readyz" {
        return [&FIRST[..], &["etcd", "etcd-readiness", INFORMERS], &HOOKS, &[SHUTDOWN]].concat();
    }
    [&FIRST[..], &["loopback-serving-certificate", "etcd"], &HOOKS].concat()
}

/// The root and the check of a health path.
pub fn split(path: &str) -> Option<(&'static str, &str)> {
    ROOTS.into_iter().find_map(|root| {
        let rest = path.strip_prefix(root)?;
        (rest.is_empty() || (rest.starts_with('/') && rest.len() > 1))
            .then(|| (root, rest.trim_start_matches('/')))
    })
}

async fn check(server: &Server, name: &str) -> Result<(), String> {
    match name {
        "etcd" | "etcd-readiness" => {
            match tokio::time::timeout(TIMEOUT, server.storage().store.revision()).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(format!("error getting data from etcd: {error}")),
                Err(_) => Err("etcd failed: context deadline exceeded".into()),
            }
        }
        INFORMERS => server.cache().loaded(Duration::from_millis(10)).await.map_err(|e| e.to_string()),
        SHUTDOWN if server.stopping().is_cancelled() => Err("process is shutting down".into()),
        _ => Ok(()),
    }
}

/// `/metrics/slis`: how each check ends now, in Prometheus' text form.
pub async fn indicators(server: &Server) -> String {
    let mut series: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    let mut known: BTreeMap<&str, bool> = BTreeMap::new();
    for root in ROOTS {
        for name in checks(root) {
            let good = match known.get(name) {
                Some(good) => *good,
                None => check(server, name).await.is_ok(),
            };
            known.insert(name, good);
            series.insert((name, root.trim_start_matches('/')), good);
        }
    }
    let mut out = String::from("# TYPE kubernetes_healthcheck gauge\n");
    for ((name, of), good) in series {
        let _ = writeln!(out, "kubernetes_healthcheck{{name={name:?},type={of:?}}} {}", u8::from(good));
    }
    out
}

/// Answers a health request.
pub async fn answer(server: &Server, root: &str, one: &str, query: &Query) -> Response {
    let names = checks(root);
    let root = root.trim_start_matches('/');
    if !one.is_empty() {
        if !names.contains(&one) {
            return encode::text(404, "404 page not found\n");
        }
        return match check(server, one).await {
            Ok(()) => encode::whole(200, "ok".into(), "text/plain; charset=utf-8", false),
            Err(why) => encode::text(500, format!("internal server error: {why}\n")),
        };
    }
    let excluded: Vec<&str> = query.all("exclude").collect();
    let (mut lines, mut failed) = (String::new(), Vec::new());
    for &name in &names {
        if excluded.contains(&name) {
            lines.push_str(&format!("[+]{name} excluded: ok\n"));
            continue;
        }
        match check(server, name).await {
            Ok(()) => lines.push_str(&format!("[+]{name} ok\n")),
            Err(why) => {
                tracing::debug!(name, why, "health check failed");
                lines.push_str(&format!("[-]{name} failed: reason withheld\n"));
                failed.push(name);
            }
        }
    }
    let unknown: BTreeSet<String> =
        excluded.iter().filter(|e| !names.contains(e)).map(|e| format!("{e:?}")).collect();
    if !unknown.is_empty() {
        lines.push_str(&format!(
            "warn: some health checks cannot be excluded: no matches for {}\n",
            unknown.into_iter().collect::<Vec<_>>().join(",")
        ));
    }
    if !failed.is_empty() {
        return encode::text(500, format!("{lines}{root} check failed\n"));
    }
    if query.get("verbose").is_none() {
        return encode::text(200, "ok");
    }
    encode::text(200, format!("{lines}{root} check passed\n"))
}
