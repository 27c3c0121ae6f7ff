//! Streams over a WebSocket: the first byte of each message says which stream it belongs to
//! (`v4.channel.k8s.io`, `v5.channel.k8s.io` and their base64 forms).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role};
use tokio_util::task::AbortOnDropHandle;

use super::Reply;
use super::body::{full, text};
use super::stream::{Carrier, FromClient, ToClient, Wants, resize};

/// Known protocols, the best first.
const PROTOCOLS: [&str; 6] = [
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
    "",
];

/// Keeps connections through idle-killing middle boxes.
const PING: Duration = Duration::from_secs(30);

/// An accepted WebSocket.
pub(super) type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// Does the request ask for a WebSocket?
pub(super) fn is_wanted<B>(request: &Request<B>) -> bool {
    contains(request.headers(), header::UPGRADE, "websocket")
}

fn contains(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|v| v.split(',')).any(|t| t.trim().eq_ignore_ascii_case(token))
}

/// The 101 answer and the socket to come; `Err` refuses.
pub(super) fn handshake(
    mut request: Request<Incoming>,
    known: &[&'static str],
) -> Result<(Reply, &'static str, impl Future<Output = Option<Socket>> + use<>), Reply> {
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).cloned();
    let Some(key) = key else {
        return Err(text(StatusCode::BAD_REQUEST, "missing Sec-WebSocket-Key"));
    };
    let offered: Vec<String> = request
        .headers()
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .into_iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(',').map(|t| t.trim().to_owned()))
        .collect();
    let chosen = if offered.is_empty() {
        known.iter().find(|k| k.is_empty())
    } else {
        known.iter().find(|k| offered.iter().any(|o| o == *k))
    };
    let Some(chosen) = chosen.copied() else {
        let message = format!("unable to upgrade: none of the subprotocols {offered:?} is supported");
        return Err(text(StatusCode::BAD_REQUEST, message));
    };
    let mut reply = Response::new(full(Bytes::new()));
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = reply.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if !chosen.is_empty() {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(chosen));
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let socket = async move {
        let io = TokioIo::new(upgrade.await.ok()?);
        Some(WebSocketStream::from_raw_socket(io, Role::Server, None).await)
    };
    Ok((reply, chosen, socket))
}

/// Carries a remote command.
pub(super) fn upgrade(request: Request<Incoming>, wants: Wants, carrier: Carrier) -> Result<Reply, Reply> {
    let (reply, protocol, socket) = handshake(request, &PROTOCOLS)?;
    tokio::spawn(async move {
        if let Some(socket) = socket.await {
            carry(socket, protocol, wants, carrier).await;
        }
    });
    Ok(reply)
}

/// Channel numbers.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// v5: the channel in the next byte is closed.
const CLOSE: u8 = 255;

async fn carry(socket: Socket, protocol: &str, wants: Wants, carrier: Carrier) {
    let base64 = protocol.contains("base64");
    let statuses = protocol.starts_with('v');
    let frame = |channel: u8, bytes: &[u8]| -> Message {
        if base64 {
            return Message::text(format!("{channel}{}", STANDARD.encode(bytes)));
        }
        let mut message = BytesMut::with_capacity(bytes.len() + 1);
        message.extend_from_slice(&[channel]);
        message.extend_from_slice(bytes);
        Message::Binary(message.freeze())
    };
    let (mut sink, mut stream) = socket.split();
    let Carrier { from, mut to } = carrier;
    // Upstream opens each output channel with an empty message.
    for (channel, wanted) in [(STDOUT, wants.stdout), (STDERR, wants.stderr), (ERROR, true)] {
        if wanted && sink.send(frame(channel, b"")).await.is_err() {
            return;
        }
    }
    let reader = AbortOnDropHandle::new(tokio::spawn(async move {
        while let Some(Ok(message)) = stream.next().await {
            let (channel, bytes) = match message {
                Message::Binary(bytes) if !bytes.is_empty() => (bytes[0], bytes.slice(1..)),
                Message::Text(text) if base64 => match (text.as_bytes().first(), text.get(1..)) {
                    (Some(digit), Some(rest)) => {
                        (digit.wrapping_sub(b'0'), STANDARD.decode(rest).unwrap_or_default().into())
                    }
                    _ => continue,
                },
                Message::Text(text) => match text.as_bytes().split_first() {
                    Some((first, rest)) => (*first, Bytes::copy_from_slice(rest)),
                    None => continue,
                },
                Message::Close(_) => break,
                _ => continue,
            };
            let message = match channel {
                STDIN if !wants.stdin || bytes.is_empty() => continue,
                STDIN => FromClient::Stdin(bytes),
                RESIZE => match resize(&bytes) {
                    Some(size) => size,
                    None => continue,
                },
                CLOSE if bytes.first() == Some(&STDIN) => FromClient::StdinEnd,
                _ => continue,
            };
            // The process has ended: only the client's close is of interest now.
            let _ = from.send(message).await;
        }
    }));
    let mut pings = tokio::time::interval(PING);
    pings.reset();
    loop {
        let message = tokio::select! {
            message = to.recv() => match message {
                None => break,
                Some(ToClient::Stdout(bytes)) => frame(STDOUT, &bytes),
                Some(ToClient::Stderr(bytes)) => frame(STDERR, &bytes),
                Some(ToClient::Status(status)) if statuses => frame(ERROR, status.to_string().as_bytes()),
                // The oldest protocols tell failures in words only.
                Some(ToClient::Status(status)) => match status["message"].as_str() {
                    Some(message) => frame(ERROR, message.as_bytes()),
                    None => continue,
                },
            },
            _ = pings.tick() => Message::Ping(Bytes::new()),
        };
        if sink.send(message).await.is_err() {
            break;
        }
    }
    // Anything but a normal end is an error to clients.
    let _ = sink.send(normal_end()).await;
    let _ = sink.flush().await;
    // The client answers with its own close; cutting it off before could lose what is under way.
    let _ = tokio::time::timeout(CLOSE_WITHIN, reader).await;
}

/// How long a client may take to read the rest.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// The close message of a stream that ended well.
pub(super) fn normal_end() -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))
}
