//! `/portForward`: TCP connections into a pod's network namespace, carried by SPDY (a data and an error stream per
//! connection, upstream's `portforward.k8s.io`) or by a WebSocket (two channels per port, `v4.channel.k8s.io`).

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::body::text;
use super::spdy::{self, Event, Writer};
use super::{Reply, Server, query, websocket};
use crate::network::netns::Netns;

const CHUNK: usize = 32 * 1024;

/// Where a pod's ports are.
#[derive(Clone)]
struct Target {
    /// `None`: on the host's network.
    pid: Option<u32>,
    pod: String,
}

impl Target {
    /// A connection to the pod's loopback. The socket is made inside and stays there.
    async fn connect(&self, port: u16) -> Result<TcpStream, String> {
        let failed = |why: String| format!("error forwarding port {port} to pod {}: {why}", self.pod);
        let Some(pid) = self.pid else {
            return TcpStream::connect(("127.0.0.1", port)).await.map_err(|e| failed(e.to_string()));
        };
        let namespace = Netns::of_pid(pid).map_err(|e| failed(e.to_string()))?;
        let connect = move || async move {
            let refused = |e: std::io::Error| crate::network::Error::Kernel {
                what: format!("failed to connect to localhost:{port} inside the pod's namespace"),
                why: crate::probe::dial_error(&e),
            };
            let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map_err(refused)?;
            stream.into_std().map_err(refused)
        };
        let stream = namespace.run(connect).await.map_err(|e| failed(e.to_string()))?;
        TcpStream::from_std(stream).map_err(|e| failed(e.to_string()))
    }
}

/// Forwards ports of a pod.
pub(super) async fn forward(server: Arc<Server>, path: &[&str], request: Request<Incoming>) -> Reply {
    let (namespace, name, uid) = match path {
        [namespace, name] => (namespace, name, None),
        [namespace, name, uid] => (namespace, name, Some(*uid)),
        _ => return text(StatusCode::NOT_FOUND, "404 page not found\n"),
    };
    let Some(pod) = server.pods.find(namespace, name, uid) else {
        return text(StatusCode::NOT_FOUND, "pod does not exist");
    };
    let target = match server.running_sandbox(&pod).await {
        Ok(sandbox) => {
            let own = !crate::pod::spec::host_network(&pod);
            Target { pid: own.then_some(sandbox.pid), pod: format!("{name}_{namespace}") }
        }
        Err(why) => return text(StatusCode::INTERNAL_SERVER_ERROR, why),
    };
    if websocket::is_wanted(&request) {
        return over_websocket(target, request);
    }
    let (reply, _, connection) = match spdy::handshake(request, &["portforward.k8s.io"]) {
        Ok(accepted) => accepted,
        Err(reply) => return reply,
    };
    tokio::spawn(async move {
        if let Some(connection) = connection.await {
            serve(connection, target).await;
        }
    });
    reply
}

/// One forwarded connection of a SPDY client.
struct Forwarded {
    data: Option<u32>,
    error: Option<u32>,
    port: u16,
}

async fn serve(mut connection: spdy::Connection, target: Target) {
    let writer = connection.writer();
    let mut requests: HashMap<String, Forwarded> = HashMap::new();
    let mut inputs: HashMap<u32, mpsc::Sender<Bytes>> = HashMap::new();
    while let Some(event) = connection.next().await {
        match event {
            Event::Open { id, headers } => {
                let get = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
                let Some(port) = get("port").and_then(|p| p.parse().ok()) else {
                    writer.reset(id).await;
                    continue;
                };
                // Very old clients send no request id: their streams come in pairs.
                let request =
                    get("requestid").map_or_else(|| (id - 1).div_euclid(4).to_string(), str::to_owned);
                let entry =
                    requests.entry(request.clone()).or_insert(Forwarded { data: None, error: None, port });
                match get("streamtype") {
                    Some("data") => entry.data = Some(id),
                    Some("error") => entry.error = Some(id),
                    _ => {
                        writer.reset(id).await;
                        continue;
                    }
                }
                writer.reply(id).await;
                if let (Some(data), Some(error)) = (entry.data, entry.error) {
                    let port = entry.port;
                    requests.remove(&request);
                    let (sender, input) = mpsc::channel(super::stream::QUEUED_MAX);
                    inputs.insert(data, sender);
                    tokio::spawn(one(target.clone(), port, writer.clone(), data, error, input));
                }
            }
            Event::Data { id, bytes, last } => {
                let gone = match inputs.get(&id) {
                    Some(input) if !bytes.is_empty() => input.send(bytes).await.is_err(),
                    _ => false,
                };
                // Dropping the sender is the end of input.
                if gone || last {
                    inputs.remove(&id);
                }
            }
            Event::Reset { id } => drop(inputs.remove(&id)),
        }
    }
}

async fn one(
    target: Target,
    port: u16,
    writer: Writer,
    data: u32,
    error: u32,
    mut input: mpsc::Receiver<Bytes>,
) {
    let stream = match target.connect(port).await {
        Ok(stream) => stream,
        Err(why) => {
            writer.data(error, Bytes::from(why)).await;
            writer.finish(error).await;
            writer.reset(data).await;
            return;
        }
    };
    let (mut read, mut write) = stream.into_split();
    let upstream = async move {
        while let Some(bytes) = input.recv().await {
            if write.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = write.shutdown().await;
    };
    let downstream = async {
        let mut buffer = BytesMut::with_capacity(CHUNK);
        loop {
            buffer.reserve(CHUNK);
            match read.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(_) => writer.data(data, buffer.split().freeze()).await,
            }
        }
        writer.finish(data).await;
        writer.finish(error).await;
    };
    tokio::join!(upstream, downstream);
}

/// Ports are in the query; channel 2n carries data of port n, 2n+1 its errors; each opens with the port's number.
fn over_websocket(target: Target, request: Request<Incoming>) -> Reply {
    let query = query(request.uri());
    let texts = query.iter().filter(|(k, _)| k == "port" || k == "ports").flat_map(|(_, v)| v.split(','));
    let ports: Result<Vec<u16>, _> = texts.map(str::parse).collect();
    let ports = match ports {
        Ok(ports) if !ports.is_empty() && ports.len() <= 64 => ports,
        _ => return text(StatusCode::BAD_REQUEST, "query parameter \"port\" is required"),
    };
    let (reply, _, socket) = match websocket::handshake(request, &["v4.channel.k8s.io", ""]) {
        Ok(accepted) => accepted,
        Err(reply) => return reply,
    };
    tokio::spawn(async move {
        let Some(socket) = socket.await else { return };
        let (mut sink, mut stream) = socket.split();
        let (out, mut frames) = mpsc::channel::<Message>(super::stream::QUEUED_MAX);
        let mut inputs: Vec<Option<mpsc::Sender<Bytes>>> = Vec::new();
        for (at, port) in ports.into_iter().enumerate() {
            let channel = u8::try_from(at * 2).unwrap_or_default();
            let (sender, input) = mpsc::channel(super::stream::QUEUED_MAX);
            inputs.push(Some(sender));
            for channel in [channel, channel + 1] {
                let mut hello = BytesMut::new();
                hello.put_u8(channel);
                hello.put_u16_le(port);
                if sink.send(Message::Binary(hello.freeze())).await.is_err() {
                    return;
                }
            }
            tokio::spawn(channel_of(target.clone(), port, channel, out.clone(), input));
        }
        drop(out);
        loop {
            tokio::select! {
                frame = frames.recv() => match frame {
                    Some(frame) => if sink.send(frame).await.is_err() { return },
                    None => break,
                },
                message = stream.next() => match message {
                    Some(Ok(Message::Binary(bytes))) if bytes.len() > 1 => {
                        let slot = inputs.get_mut(usize::from(bytes[0] / 2));
                        if let Some(Some(input)) = slot.filter(|_| bytes[0].is_multiple_of(2)) {
                            let _ = input.send(bytes.slice(1..)).await;
                        }
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                },
            }
        }
        let _ = sink.send(websocket::normal_end()).await;
    });
    reply
}

async fn channel_of(
    target: Target,
    port: u16,
    channel: u8,
    out: mpsc::Sender<Message>,
    mut input: mpsc::Receiver<Bytes>,
) {
    let frame = |channel: u8, bytes: &[u8]| {
        let mut frame = BytesMut::with_capacity(bytes.len() + 1);
        frame.put_u8(channel);
        frame.put_slice(bytes);
        Message::Binary(frame.freeze())
    };
    let stream = match target.connect(port).await {
        Ok(stream) => stream,
        Err(why) => {
            let _ = out.send(frame(channel + 1, why.as_bytes())).await;
            return;
        }
    };
    let (mut read, mut write) = stream.into_split();
    let mut buffer = vec![0; CHUNK];
    loop {
        tokio::select! {
            read = read.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(n) => if out.send(frame(channel, &buffer[..n])).await.is_err() { return },
            },
            bytes = input.recv() => match bytes {
                Some(bytes) => if write.write_all(&bytes).await.is_err() { return },
                None => return,
            },
        }
    }
}
