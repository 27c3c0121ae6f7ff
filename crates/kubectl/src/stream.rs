//! Sessions inside containers: exec and attach over WebSocket, with the terminal in raw mode.

use futures::SinkExt;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{AttachParams, AttachedProcess, TerminalSize};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::error::{Error, Result};
use crate::http::Http;

/// What a session connects.
pub(crate) struct Session<'a> {
    /// The pod's namespace.
    pub(crate) namespace: &'a str,
    /// The pod's name.
    pub(crate) pod: &'a str,
    /// The container, or the only one.
    pub(crate) container: Option<&'a str>,
    /// The command; None attaches to what runs already.
    pub(crate) command: Option<Vec<String>>,
    /// Connect standard input?
    pub(crate) stdin: bool,
    /// Is standard input a terminal?
    pub(crate) tty: bool,
}

/// The terminal as it was, put back when this goes away.
struct RawTerminal(Termios);

impl RawTerminal {
    fn enter() -> Option<Self> {
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(RawTerminal(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // Nothing is left to try when this fails.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// The pods of a namespace.
pub(crate) fn pods(http: &Http, namespace: &str) -> kube::Api<Pod> {
    kube::Api::namespaced(http.client().clone(), namespace)
}

/// The error of an upgrade.
pub(crate) fn upgrade_error(e: kube::Error) -> Error {
    match e {
        kube::Error::Api(s) => {
            let status = serde_json::json!({"reason": s.reason, "message": s.message, "code": s.code});
            Error::Status { prefix: String::new(), status: Box::new(status) }
        }
        e => Error::Message(format!("unable to upgrade connection: {e}")),
    }
}

async fn open(http: &Http, s: &Session<'_>) -> Result<AttachedProcess> {
    let mut params = AttachParams::default().stdin(s.stdin).stdout(true).stderr(!s.tty).tty(s.tty);
    if let Some(c) = s.container {
        params = params.container(c);
    }
    let api = pods(http, s.namespace);
    let opened = match &s.command {
        Some(c) => api.exec(s.pod, c.clone(), &params).await,
        None => api.attach(s.pod, &params).await,
    };
    opened.map_err(upgrade_error)
}

/// Copies until the end, flushing after each piece.
async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(n) = from.read(&mut buffer).await {
        if n == 0 || to.write_all(&buffer[..n]).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
}

/// Runs a session on this process's standard streams; a remote exit code becomes ours.
pub(crate) fn interactive(http: &Http, s: &Session<'_>) -> Result {
    http.block_on(async {
        let mut process = open(http, s).await?;
        let status = process.take_status();
        let raw = if s.tty { RawTerminal::enter() } else { None };
        if let Some(mut sizes) = process.terminal_size()
            && raw.is_some()
        {
            tokio::spawn(async move {
                let Ok(mut changes) =
                    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::window_change())
                else {
                    return;
                };
                while let Ok(w) = tcgetwinsize(std::io::stdout()) {
                    let size = TerminalSize { width: w.ws_col, height: w.ws_row };
                    if sizes.send(size).await.is_err() || changes.recv().await.is_none() {
                        return;
                    }
                }
            });
        }
        if let Some(mut input) = process.stdin() {
            tokio::spawn(async move {
                copy(tokio::io::stdin(), &mut input).await;
                // Tells the other side that no more comes.
                let _ = input.shutdown().await;
            });
        }
        let (stdout, stderr) = (process.stdout(), process.stderr());
        tokio::join!(
            async {
                if let Some(o) = stdout {
                    copy(o, tokio::io::stdout()).await;
                }
            },
            async {
                if let Some(e) = stderr {
                    copy(e, tokio::io::stderr()).await;
                }
            }
        );
        let end = match status {
            Some(s) => s.await,
            None => None,
        };
        drop(raw);
        finish(end)
    })
}

/// Runs a command with the given input; returns its output (for `cp`).
pub(crate) fn run(http: &Http, s: &Session<'_>, input: Option<Vec<u8>>) -> Result<Vec<u8>> {
    http.block_on(async {
        let mut process = open(http, s).await?;
        let status = process.take_status();
        let writer = process.stdin();
        let (stdout, stderr) = (process.stdout(), process.stderr());
        let mut output = Vec::new();
        tokio::join!(
            async {
                if let (Some(mut w), Some(bytes)) = (writer, input) {
                    let _ = w.write_all(&bytes).await;
                    let _ = w.shutdown().await;
                }
            },
            async {
                if let Some(mut o) = stdout {
                    let _ = o.read_to_end(&mut output).await;
                }
            },
            async {
                if let Some(e) = stderr {
                    copy(e, tokio::io::stderr()).await;
                }
            }
        );
        let end = match status {
            Some(s) => s.await,
            None => None,
        };
        finish(end).map(|()| output)
    })
}

/// What the Status at the end of a session means.
fn finish(status: Option<Status>) -> Result {
    let Some(s) = status.filter(|s| s.status.as_deref() == Some("Failure")) else { return Ok(()) };
    let causes = s.details.and_then(|d| d.causes).unwrap_or_default();
    let code =
        causes.iter().find(|c| c.reason.as_deref() == Some("ExitCode")).and_then(|c| c.message.clone());
    match code.and_then(|c| c.parse::<u8>().ok()) {
        Some(code) => {
            eprintln!("command terminated with exit code {code}");
            Err(Error::Exit(code))
        }
        None => Err(Error::Message(s.message.unwrap_or_default())),
    }
}
