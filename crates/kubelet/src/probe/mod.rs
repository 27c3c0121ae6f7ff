//! Probes and what they share with lifecycle hooks: running a command, an HTTP GET, a TCP connection
//! (upstream's `pkg/kubelet/prober`, `pkg/probe`).

pub mod http;
pub mod prober;

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ExecAction, HTTPGetAction, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::runtime::{self, Runtime};

/// Longest output of a probe's command (upstream's `maxReadLength`).
const OUTPUT_BYTES_MAX: usize = 10 * 1024;

/// What one try found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Well.
    Success,
    /// Not well, and what was seen.
    Failure(String),
    /// It could not be found out.
    Error(String),
}

/// A port by number or by its name in the container.
pub fn port(wanted: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match wanted {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten().find(|p| p.name.as_deref() == Some(name));
            named.map(|p| p.container_port).or_else(|| name.parse().ok())
        }
    };
    let number = number.ok_or_else(|| match wanted {
        IntOrString::String(name) => format!("couldn't find port: {name}"),
        IntOrString::Int(number) => format!("invalid port number: {number}"),
    })?;
    u16::try_from(number).ok().filter(|p| *p > 0).ok_or_else(|| format!("invalid port number: {number}"))
}

/// Runs a command in the container; exit code 0 is success.
pub async fn exec(runtime: &dyn Runtime, id: &str, action: &ExecAction, timeout: Duration) -> Verdict {
    let command = action.command.clone().unwrap_or_default();
    let run = runtime::run(runtime, id, command, OUTPUT_BYTES_MAX);
    match tokio::time::timeout(timeout, run).await {
        Err(_) => Verdict::Failure(format!(
            "command timed out: {command:?} timed out after {}",
            seconds(timeout),
            command = action.command.as_deref().unwrap_or_default().join(" ")
        )),
        Ok(Err(e)) => Verdict::Error(e.to_string()),
        Ok(Ok((_, 0))) => Verdict::Success,
        Ok(Ok((output, _))) => Verdict::Failure(String::from_utf8_lossy(&output).into_owned()),
    }
}

fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}

/// GETs a page; 200 to 399 is success.
pub async fn http_get(
    action: &HTTPGetAction,
    container: &Container,
    pod_ip: &str,
    timeout: Duration,
) -> Verdict {
    let port = match port(&action.port, container) {
        Ok(port) => port,
        Err(e) => return Verdict::Error(e),
    };
    let host = action.host.as_deref().filter(|h| !h.is_empty()).unwrap_or(pod_ip);
    let tls = action.scheme.as_deref().is_some_and(|s| s.eq_ignore_ascii_case("https"));
    let path = action.path.as_deref().unwrap_or("/");
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let headers: Vec<(String, String)> =
        action.http_headers.iter().flatten().map(|h| (h.name.clone(), h.value.clone())).collect();
    let scheme = if tls { "https" } else { "http" };
    match http::get(host, port, &path, &headers, tls, timeout).await {
        Ok(status) if (200..400).contains(&status) => Verdict::Success,
        Ok(status) => Verdict::Failure(format!("HTTP probe failed with statuscode: {status}")),
        Err(e) => Verdict::Failure(format!("Get \"{scheme}://{host}:{port}{path}\": {e}")),
    }
}

/// Connects.
pub async fn tcp(
    action: &TCPSocketAction,
    container: &Container,
    pod_ip: &str,
    timeout: Duration,
) -> Verdict {
    let port = match port(&action.port, container) {
        Ok(port) => port,
        Err(e) => return Verdict::Error(e),
    };
    let host = action.host.as_deref().filter(|h| !h.is_empty()).unwrap_or(pod_ip);
    let connect = tokio::net::TcpStream::connect((host, port));
    match tokio::time::timeout(timeout, connect).await {
        Err(_) => Verdict::Failure(format!("dial tcp {host}:{port}: i/o timeout")),
        Ok(Ok(_)) => Verdict::Success,
        Ok(Err(e)) => Verdict::Failure(format!("dial tcp {host}:{port}: {}", dial_error(&e))),
    }
}

/// Go's words for a failed connect.
pub fn dial_error(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connect: connection refused".into(),
        std::io::ErrorKind::HostUnreachable => "connect: no route to host".into(),
        std::io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".into(),
        _ => error.to_string(),
    }
}
