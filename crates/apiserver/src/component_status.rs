//! componentstatuses: asks scheduler, controller manager and etcd how they are (`pkg/registry/core/componentstatus`).

use std::time::Duration;

use api::Value;
use api::status::{ApiError, GroupName};
use futures::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Server;
use crate::handlers::Ctx;
use crate::http::Response;
use crate::negotiate::encode;
use crate::negotiate::table;

/// Upstream's probe timeout.
const TIMEOUT: Duration = Duration::from_secs(20);

struct Probe {
    name: String,
    url: String,
    address: String,
    path: &'static str,
}

fn probes(server: &Server) -> Vec<Probe> {
    let mut probes: Vec<Probe> = [("controller-manager", 10252), ("scheduler", 10251)]
        .into_iter()
        .map(|(name, port)| Probe {
            name: name.into(),
            url: format!("http://127.0.0.1:{port}/healthz"),
            address: format!("127.0.0.1:{port}"),
            path: "/healthz",
        })
        .collect();
    for (i, url) in server.options().etcd_servers.iter().enumerate() {
        let url = url.trim_end_matches('/');
        let address = url.split_once("://").map_or(url, |(_, rest)| rest).to_owned();
        probes.push(Probe {
            name: format!("etcd-{i}"),
            url: format!("{url}/health"),
            address,
            path: "/health",
        });
    }
    probes
}

/// One HTTP request, no more than a probe needs.
async fn fetch(probe: &Probe) -> Result<(u16, String), String> {
    let mut stream = TcpStream::connect(&probe.address).await.map_err(|e| {
        let why = match e.kind() {
            std::io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
            _ => e.to_string(),
        };
        format!("Get \"{}\": dial tcp {}: {why}", probe.url, probe.address)
    })?;
    let request = format!("GET {} HTTP/1.0\r\nHost: {}\r\n\r\n", probe.path, probe.address);
    stream.write_all(request.as_bytes()).await.map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut bytes).await.map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").ok_or("malformed HTTP response")?;
    let code =
        head.split_whitespace().nth(1).and_then(|c| c.parse().ok()).ok_or("malformed HTTP response")?;
    Ok((code, body.to_owned()))
}

async fn status(server: &Server, probe: &Probe) -> Value {
    let etcd_tls = probe.url.starts_with("https://");
    let result = if etcd_tls {
        server
            .storage()
            .store
            .revision()
            .await
            .map(|_| (200, "{\"health\":\"true\"}".to_owned()))
            .map_err(|e| e.to_string())
    } else {
        tokio::time::timeout(TIMEOUT, fetch(probe))
            .await
            .unwrap_or_else(|_| Err("context deadline exceeded".into()))
    };
    let condition = match result {
        Ok((code, body)) if (200..400).contains(&code) => {
            let healthy = probe.path != "/health"
                || body.contains("\"health\":\"true\"")
                || body.contains("\"health\":true");
            if healthy {
                json!({"type": "Healthy", "status": "True", "message": body.trim_end()})
            } else {
                json!({"type": "Healthy", "status": "False", "message": body, "error": "Unhealthy"})
            }
        }
        Ok((code, body)) => json!({
            "type": "Healthy", "status": "False", "message": body,
            "error": format!("HTTP probe failed with statuscode: {code}"),
        }),
        Err(why) => json!({"type": "Healthy", "status": "False", "message": why}),
    };
    json!({
        "metadata": {"name": probe.name}, "conditions": [condition],
    })
}

fn typed(mut object: Value) -> Value {
    object["kind"] = "ComponentStatus".into();
    object["apiVersion"] = "v1".into();
    object
}

/// Answers GET of one and of all.
pub async fn answer(ctx: &Ctx) -> Result<Response, ApiError> {
    let accept = ctx.accept()?;
    let probes = probes(&ctx.server);
    if !ctx.info.name.is_empty() {
        let Some(probe) = probes.iter().find(|p| p.name == ctx.info.name) else {
            let kind = GroupName { group: "", name: "componentstatus" };
            return Err(ApiError::not_found(kind, &ctx.info.name));
        };
        let object = typed(status(&ctx.server, probe).await);
        return ctx.asked(200, &accept, object);
    }
    let items = join_all(probes.iter().map(|p| status(&ctx.server, p))).await;
    if let Some(convert) = &accept.convert {
        let typed: Vec<Value> = items.into_iter().map(typed).collect();
        let value = table::values(ctx, convert, json!({}), typed)?;
        return Ok(encode::value(200, &value, &accept));
    }
    let value = json!({"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": items});
    Ok(encode::value(200, &value, &accept))
}
