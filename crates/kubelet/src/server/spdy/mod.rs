//! SPDY/3.1, the little of it that `kubectl exec`, `attach` and `port-forward` speak: the client opens streams, their
//! headers say what each is for (upstream's `httpstream/spdy` on `moby/spdystream`).

mod connection;
mod frame;
mod headers;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use super::Reply;
use super::body::{full, text};
use super::stream::{Carrier, FromClient, ToClient, Wants, resize};
pub(super) use connection::{Connection, Event, Writer};

/// Protocols of remote commands, the best first.
const PROTOCOLS: [&str; 4] =
    ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"];
/// Upstream's `DefaultStreamCreationTimeout`.
const STREAMS_WITHIN: Duration = Duration::from_secs(30);

/// The 101 answer and the connection to come.
pub(super) fn handshake(
    mut request: Request<Incoming>,
    known: &[&'static str],
) -> Result<(Reply, &'static str, impl Future<Output = Option<Connection>> + use<>), Reply> {
    let wanted = request.headers().get(header::UPGRADE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !wanted.eq_ignore_ascii_case("SPDY/3.1") {
        let message = "unable to upgrade: missing upgrade headers in request";
        return Err(text(StatusCode::BAD_REQUEST, message));
    }
    let offered: Vec<String> = request
        .headers()
        .get_all("x-stream-protocol-version")
        .into_iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(',').map(|t| t.trim().to_owned()))
        .collect();
    let chosen = if offered.is_empty() {
        known.last()
    } else {
        known.iter().find(|k| offered.iter().any(|o| o == *k))
    };
    let Some(chosen) = chosen.copied() else {
        let message = format!(
            "unable to upgrade: unable to negotiate protocol: client supports {offered:?}, server accepts {known:?}"
        );
        return Err(text(StatusCode::FORBIDDEN, message));
    };
    let mut reply = Response::new(full(Bytes::new()));
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = reply.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("SPDY/3.1"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert("x-stream-protocol-version", HeaderValue::from_static(chosen));
    let upgrade = hyper::upgrade::on(&mut request);
    let connection = async move { upgrade.await.ok().map(Connection::start) };
    Ok((reply, chosen, connection))
}

/// Carries a remote command.
pub(super) fn upgrade(request: Request<Incoming>, wants: Wants, carrier: Carrier) -> Result<Reply, Reply> {
    let (reply, protocol, connection) = handshake(request, &PROTOCOLS)?;
    let statuses = protocol == "v4.channel.k8s.io";
    let resizes = matches!(protocol, "v4.channel.k8s.io" | "v3.channel.k8s.io");
    tokio::spawn(async move {
        if let Some(connection) = connection.await {
            carry(connection, wants, statuses, resizes && wants.tty, carrier).await;
        }
    });
    Ok(reply)
}

#[derive(Default)]
struct Streams {
    error: Option<u32>,
    stdin: Option<u32>,
    stdout: Option<u32>,
    stderr: Option<u32>,
    resize: Option<u32>,
}

impl Streams {
    fn complete(&self, wants: Wants, resizes: bool) -> bool {
        self.error.is_some()
            && self.stdin.is_some() >= wants.stdin
            && self.stdout.is_some() >= wants.stdout
            && self.stderr.is_some() >= wants.stderr
            && self.resize.is_some() >= resizes
    }
}

async fn carry(mut connection: Connection, wants: Wants, statuses: bool, resizes: bool, carrier: Carrier) {
    let Carrier { from, mut to } = carrier;
    let writer = connection.writer();
    let mut streams = Streams::default();
    let opening = async {
        while !streams.complete(wants, resizes) {
            match connection.next().await {
                Some(Event::Open { id, headers }) => {
                    let kind = headers.iter().find(|(n, _)| n == "streamtype").map(|(_, v)| v.as_str());
                    let slot = match kind {
                        Some("error") => &mut streams.error,
                        Some("stdin") => &mut streams.stdin,
                        Some("stdout") => &mut streams.stdout,
                        Some("stderr") => &mut streams.stderr,
                        Some("resize") => &mut streams.resize,
                        _ => continue,
                    };
                    *slot = Some(id);
                    writer.reply(id).await;
                }
                Some(_) => {}
                None => return false,
            }
        }
        true
    };
    match tokio::time::timeout(STREAMS_WITHIN, opening).await {
        Ok(true) => {}
        _ => return,
    }
    let input = streams.stdin;
    let sizes = streams.resize;
    let reader = async move {
        // The size may come in pieces; each is one line of JSON.
        let mut line = Vec::new();
        while let Some(event) = connection.next().await {
            let sent = match event {
                Event::Data { id, bytes, last } if Some(id) == input => {
                    let data = bytes.is_empty() || from.send(FromClient::Stdin(bytes)).await.is_ok();
                    data && (!last || from.send(FromClient::StdinEnd).await.is_ok())
                }
                Event::Data { id, bytes, .. } if Some(id) == sizes => {
                    line.extend_from_slice(&bytes);
                    let mut sent = true;
                    while let Some(end) = line.iter().position(|b| *b == b'\n' || *b == b'}') {
                        let one: Vec<u8> = line.drain(..=end).collect();
                        if let Some(size) = resize(&one) {
                            sent = from.send(size).await.is_ok();
                        }
                    }
                    sent
                }
                _ => true,
            };
            if !sent {
                // The process has ended; go on reading so that the client's frames do not pile up.
                continue;
            }
        }
    };
    let writing = async {
        while let Some(message) = to.recv().await {
            match message {
                ToClient::Stdout(bytes) => {
                    if let Some(id) = streams.stdout {
                        writer.data(id, bytes).await;
                    }
                }
                ToClient::Stderr(bytes) => {
                    if let Some(id) = streams.stderr {
                        writer.data(id, bytes).await;
                    }
                }
                ToClient::Status(status) => {
                    let body = if statuses {
                        status.to_string()
                    } else {
                        status["message"].as_str().unwrap_or_default().to_owned()
                    };
                    if let (Some(id), false) = (streams.error, body.is_empty()) {
                        writer.data(id, Bytes::from(body)).await;
                    }
                    break;
                }
            }
        }
        let all = [streams.stdout, streams.stderr, streams.error, streams.resize, streams.stdin];
        for id in all.into_iter().flatten() {
            writer.finish(id).await;
        }
        writer.flush().await;
    };
    let reader = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(reader));
    writing.await;
    // The client closes when it has read everything.
    let _ = tokio::time::timeout(Duration::from_secs(5), reader).await;
}
