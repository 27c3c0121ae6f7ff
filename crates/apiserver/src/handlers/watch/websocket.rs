//! Watches over WebSocket: each frame of the watch is one text message.

use api::status::ApiError;
use base64::Engine;
use futures::{SinkExt, StreamExt};
use http::{HeaderValue, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::{Form, frames};
use crate::handlers::Ctx;
use crate::http::{Body, Response};

fn text<'a>(ctx: &'a Ctx, name: &header::HeaderName) -> &'a str {
    ctx.parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

/// Whether the request asks for a WebSocket.
pub(super) fn wanted(ctx: &Ctx) -> bool {
    text(ctx, &header::CONNECTION).to_ascii_lowercase().contains("upgrade")
        && text(ctx, &header::UPGRADE).eq_ignore_ascii_case("websocket")
}

/// What a client sends is not looked at: no more than this is kept of it.
fn config() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(16 * 1024)).max_frame_size(Some(16 * 1024))
}

/// Answers 101 and goes on in the background.
pub(super) fn upgrade(
    ctx: &Ctx,
    watcher: cache::Watcher,
    form: Form,
    deadline: Instant,
) -> Result<Response, ApiError> {
    let key = text(ctx, &header::SEC_WEBSOCKET_KEY);
    let Some(upgrade) = ctx.server.take_upgrade(&ctx.parts).filter(|_| !key.is_empty()) else {
        return Err(ApiError::bad_request("websocket: the connection cannot be upgraded"));
    };
    let protocols = text(ctx, &header::SEC_WEBSOCKET_PROTOCOL);
    let wanted: Vec<&str> = protocols.split(',').map(str::trim).collect();
    let chosen = ["binary.k8s.io", "base64.binary.k8s.io"].into_iter().find(|p| wanted.contains(p));
    let encoded = chosen == Some("base64.binary.k8s.io");
    let binary = chosen == Some("binary.k8s.io");
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(protocol) = chosen {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    }
    let stop = ctx.server.stopping();
    component_base::panics::spawn(async move {
        let Ok(io) = upgrade.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(io), Role::Server, Some(config())).await;
        let (mut to, mut from) = socket.split();
        let frames = frames(watcher, form, deadline, stop);
        tokio::pin!(frames);
        loop {
            let frame = tokio::select! {
                frame = frames.next() => frame,
                got = from.next() => match got {
                    Some(Ok(message)) if !message.is_close() => continue,
                    _ => break,
                },
            };
            let Some(frame) = frame else { break };
            let message = if encoded {
                Message::text(base64::engine::general_purpose::STANDARD.encode(&frame))
            } else if binary {
                Message::binary(frame)
            } else {
                Message::text(String::from_utf8_lossy(frame.trim_ascii_end()).into_owned())
            };
            if to.send(message).await.is_err() {
                break;
            }
        }
        let _ = to.close().await;
    });
    Ok(response)
}
