//! `/exec`, `/attach` and `/run`.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use k8s_openapi::api::core::v1::Pod;
use tokio::io::AsyncWriteExt;

use super::body::text;
use super::stream::{FromClient, Remote, ToClient, Wants, error_status, exit_status, pair};
use super::{Reply, Server, flag, query, spdy, websocket};
use crate::pod::spec;
use crate::runtime::{self, Channel, Exec, Session};

/// Longest output of `/run`.
const RUN_BYTES_MAX: usize = 16 << 20;

/// Namespace, pod and container out of `<ns>/<pod>[/<uid>]/<container>`.
fn target(server: &Server, path: &[&str]) -> Result<(Arc<Pod>, String), Reply> {
    let (namespace, name, uid, container) = match path {
        [namespace, name, container] => (namespace, name, None, container),
        [namespace, name, uid, container] => (namespace, name, Some(*uid), container),
        _ => return Err(text(StatusCode::NOT_FOUND, "404 page not found\n")),
    };
    let Some(pod) = server.pods.find(namespace, name, uid) else {
        return Err(text(StatusCode::NOT_FOUND, "pod does not exist"));
    };
    if spec::container(&pod, container).is_none() {
        return Err(text(StatusCode::NOT_FOUND, format!("container not found ({container:?})")));
    }
    Ok((pod, (*container).to_owned()))
}

fn wants(query: &[(String, String)]) -> Wants {
    let tty = flag(query, &["tty"]);
    Wants {
        stdin: flag(query, &["input", "stdin"]),
        stdout: flag(query, &["output", "stdout"]),
        // A terminal has one output.
        stderr: flag(query, &["error", "stderr"]) && !tty,
        tty,
    }
}

/// Accepts the client's way of carrying streams, and answers with the upgrade; `Err` is a refusal.
fn accept(request: Request<Incoming>, wants: Wants) -> Result<(Reply, Remote), Reply> {
    if !wants.stdin && !wants.stdout && !wants.stderr && !wants.tty {
        return Err(text(StatusCode::BAD_REQUEST, "you must specify at least 1 of stdin, stdout, stderr"));
    }
    let (remote, carrier) = pair();
    let reply = if websocket::is_wanted(&request) {
        websocket::upgrade(request, wants, carrier)?
    } else {
        spdy::upgrade(request, wants, carrier)?
    };
    Ok((reply, remote))
}

/// Runs a command.
pub(super) async fn exec(server: Arc<Server>, path: &[&str], request: Request<Incoming>) -> Reply {
    let (pod, container) = match target(&server, path) {
        Ok(found) => found,
        Err(reply) => return reply,
    };
    let query = query(request.uri());
    let command: Vec<String> = query.iter().filter(|(k, _)| k == "command").map(|(_, v)| v.clone()).collect();
    if command.is_empty() {
        return text(StatusCode::BAD_REQUEST, "command is required");
    }
    let wants = wants(&query);
    let id = match server.running_container(&pod, &container).await {
        Ok(id) => id,
        Err(why) => return text(StatusCode::INTERNAL_SERVER_ERROR, why),
    };
    let (reply, remote) = match accept(request, wants) {
        Ok(accepted) => accepted,
        Err(reply) => return reply,
    };
    tokio::spawn(async move {
        let exec = Exec {
            command,
            tty: wants.tty,
            stdin: wants.stdin,
            stdout: wants.stdout || wants.tty,
            stderr: wants.stderr,
        };
        let runtime = server.context.runtime.clone();
        match runtime.exec(&id, &exec).await {
            Ok(session) => pump(&server, session, remote, Kind::Exec).await,
            Err(e) => drop(remote.to.send(ToClient::Status(error_status(&e.to_string()))).await),
        }
    });
    reply
}

/// Connects to a container's first process.
pub(super) async fn attach(server: Arc<Server>, path: &[&str], request: Request<Incoming>) -> Reply {
    let (pod, container) = match target(&server, path) {
        Ok(found) => found,
        Err(reply) => return reply,
    };
    let wants = wants(&query(request.uri()));
    let id = match server.running_container(&pod, &container).await {
        Ok(id) => id,
        Err(why) => return text(StatusCode::INTERNAL_SERVER_ERROR, why),
    };
    let (reply, remote) = match accept(request, wants) {
        Ok(accepted) => accepted,
        Err(reply) => return reply,
    };
    tokio::spawn(async move {
        match server.context.runtime.attach(&id, wants.stdin).await {
            Ok(session) => pump(&server, session, remote, Kind::Attach).await,
            Err(e) => drop(remote.to.send(ToClient::Status(error_status(&e.to_string()))).await),
        }
    });
    reply
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exec,
    Attach,
}

/// Moves bytes both ways until the process ends or the client is gone.
async fn pump(server: &Server, session: Session, mut remote: Remote, kind: Kind) {
    let runtime = &server.context.runtime;
    let Session { id, input, mut output } = session;
    let mut input = Some(input);
    let mut client_is_there = true;
    loop {
        tokio::select! {
            item = output.next() => {
                let message = match item {
                    None => break,
                    Some(Ok((Channel::Stdout, bytes))) => ToClient::Stdout(bytes),
                    Some(Ok((Channel::Stderr, bytes))) => ToClient::Stderr(bytes),
                    Some(Err(e)) => {
                        let _ = remote.to.send(ToClient::Status(error_status(&e.to_string()))).await;
                        return;
                    }
                };
                if remote.to.send(message).await.is_err() {
                    return;
                }
            }
            message = remote.from.recv(), if client_is_there => match message {
                Some(FromClient::Stdin(bytes)) => {
                    let written = match input.as_mut() {
                        Some(input) => write(input, &bytes).await,
                        None => Ok(()),
                    };
                    // The process does not read any more; its output still counts.
                    if written.is_err() {
                        input = None;
                    }
                }
                Some(FromClient::StdinEnd) => {
                    if let Some(mut input) = input.take() {
                        let _ = input.shutdown().await;
                    }
                }
                Some(FromClient::Resize { width, height }) => {
                    let resized = match kind {
                        Kind::Exec => runtime.exec_resize(&id, width, height).await,
                        Kind::Attach => runtime.resize(&id, width, height).await,
                    };
                    if let Err(e) = resized {
                        tracing::debug!("resize: {e}");
                    }
                }
                None => {
                    client_is_there = false;
                    input = None;
                    if remote.to.is_closed() {
                        return;
                    }
                }
            },
        }
    }
    let status = match kind {
        Kind::Attach => exit_status(0),
        Kind::Exec => match runtime.exec_exit_code(&id).await {
            Ok(code) => exit_status(code),
            Err(e) => error_status(&e.to_string()),
        },
    };
    let _ = remote.to.send(ToClient::Status(status)).await;
}

async fn write<W: tokio::io::AsyncWrite + Unpin>(input: &mut W, bytes: &Bytes) -> std::io::Result<()> {
    input.write_all(bytes).await?;
    input.flush().await
}

/// Runs a command and answers with its output.
pub(super) async fn run(server: &Server, path: &[&str], request: &Request<Incoming>) -> Reply {
    let (pod, container) = match target(server, path) {
        Ok(found) => found,
        Err(reply) => return reply,
    };
    let query = query(request.uri());
    let command = query.iter().find(|(k, _)| k == "cmd").map(|(_, v)| v.as_str()).unwrap_or_default();
    let command: Vec<String> = command.split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect();
    let id = match server.running_container(&pod, &container).await {
        Ok(id) => id,
        Err(why) => return text(StatusCode::INTERNAL_SERVER_ERROR, why),
    };
    match runtime::run(server.context.runtime.as_ref(), &id, command, RUN_BYTES_MAX).await {
        Ok((output, 0)) => text(StatusCode::OK, output),
        Ok((output, code)) => {
            let mut body = output;
            body.extend_from_slice(format!("command terminated with exit code {code}").as_bytes());
            text(StatusCode::INTERNAL_SERVER_ERROR, body)
        }
        Err(e) => text(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()),
    }
}
