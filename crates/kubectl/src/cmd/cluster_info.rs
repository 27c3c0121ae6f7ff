//! `kubectl cluster-info` (upstream v1.10: `pkg/kubectl/cmd/clusterinfo.go`).

use std::io::IsTerminal;

use crate::cli::Flags;
use crate::context::Context;
use crate::error::Result;
use crate::http::with_query;
use crate::print::out;
use crate::value::Json;

/// Runs `cluster-info`.
pub(crate) fn run(ctx: &mut Context, _: &Flags, _: &[String]) -> Result {
    let http = ctx.http()?;
    let path = with_query(
        "/api/v1/namespaces/kube-system/services",
        &[("labelSelector", "kubernetes.io/cluster-service=true")],
    );
    let services = http.get(&path)?;
    say("Kubernetes master", &http.server)?;
    for s in services.list("items") {
        let name = s
            .at("metadata.labels")
            .and_then(|l| l.get("kubernetes.io/name"))
            .and_then(serde_json::Value::as_str)
            .unwrap_or(s.s("metadata.name"));
        let ingress = s.list("status.loadBalancer.ingress");
        let link = if ingress.is_empty() {
            let mut target = s.s("metadata.name").to_string();
            if let Some(p) = s.list("spec.ports").first() {
                let scheme = if p.s("name") == "https" || p.i("port") == 443 { "https:" } else { "" };
                if !scheme.is_empty() || !p.s("name").is_empty() {
                    target = format!("{scheme}{target}:{}", p.s("name"));
                }
            }
            format!("{}/api/v1/namespaces/{}/services/{target}/proxy", http.server, s.s("metadata.namespace"))
        } else {
            ingress
                .iter()
                .map(|i| format!("http://{}", if i.s("ip").is_empty() { i.s("hostname") } else { i.s("ip") }))
                .collect::<Vec<_>>()
                .join(" ")
        };
        say(name, &link)?;
    }
    out("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n")
}

/// v1.10 colours for terminals.
fn say(name: &str, link: &str) -> Result {
    if std::io::stdout().is_terminal() {
        out(&format!("\x1b[0;32m{name}\x1b[0m is running at \x1b[0;33m{link}\x1b[0m\n"))
    } else {
        out(&format!("{name} is running at {link}\n"))
    }
}
