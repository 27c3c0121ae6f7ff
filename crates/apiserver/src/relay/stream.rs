//! `pods/exec`, `pods/attach`, `pods/portforward`: connections that are upgraded.

use std::sync::Arc;

use api::status::ApiError;

use super::{proxy, target};
use crate::handlers::Ctx;
use crate::http::{Incoming, Response};
use crate::registry::obj;
use crate::request::Query;

/// Query parameters being written.
#[derive(Default)]
pub(super) struct Params(String);

impl Params {
    /// Adds a parameter.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    self.0.push(char::from(byte))
                }
                _ => self.0.push_str(&format!("%{byte:02X}")),
            }
        }
    }

    /// What was written.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// Relays one of these.
pub(super) async fn answer(ctx: &Arc<Ctx>, body: Incoming) -> Result<Response, ApiError> {
    let (subresource, name) = (ctx.info.subresource.as_str(), ctx.info.name.as_str());
    let pod = target::pod(ctx, name).await?;
    let container = match subresource {
        "portforward" => None,
        _ => Some(target::container(&pod, ctx.query.text("container"))?),
    };
    let node = obj::text_at(&pod, "spec.nodeName");
    if node.is_empty() {
        return Err(ApiError::bad_request(format!("pod {name} does not have a host assigned")));
    }
    let kubelet = target::kubelet(ctx, node).await?;
    let namespace = &ctx.info.namespace;
    let path = match &container {
        None => format!("/portForward/{namespace}/{name}"),
        Some(container) => format!("/{subresource}/{namespace}/{name}/{container}"),
    };
    let params = params(&ctx.query, subresource);
    let path = if params.is_empty() { path } else { format!("{path}?{params}") };
    if !proxy::wants_upgrade(&ctx.parts.headers) {
        return Err(ApiError::bad_request("Upgrade request required"));
    }
    proxy::upgrade(ctx, &kubelet, &path, body).await
}

/// `streamParams`: the kubelet has names of its own for the streams.
fn params(query: &Query, subresource: &str) -> String {
    let mut out = Params::default();
    if subresource == "portforward" {
        let ports: Vec<&str> = query.all("ports").collect();
        if !ports.is_empty() {
            out.add("port", &ports.join(","));
        }
        return out.into_text();
    }
    for (theirs, ours) in [("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")] {
        if query.flag(theirs) {
            out.add(ours, "1");
        }
    }
    if subresource == "exec" {
        for part in query.all("command") {
            out.add("command", part);
        }
    }
    out.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_get_the_kubelets_names() {
        let query =
            Query::parse(Some("command=sh&command=-c&command=echo+a%26b&stdin=true&stdout=1&tty=false"));
        assert_eq!(params(&query, "exec"), "input=1&output=1&command=sh&command=-c&command=echo%20a%26b");
        let query = Query::parse(Some("ports=80&ports=443"));
        assert_eq!(params(&query, "portforward"), "port=80%2C443");
    }
}
