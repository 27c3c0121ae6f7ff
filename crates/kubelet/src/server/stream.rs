//! One end of a remote command, whatever carries it: WebSocket and SPDY turn into these.

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Messages that may wait in each direction: a slow end slows the other down.
pub(super) const QUEUED_MAX: usize = 16;

/// From the client.
#[derive(Debug)]
pub(super) enum FromClient {
    /// Input.
    Stdin(Bytes),
    /// No more input.
    StdinEnd,
    /// A new size of its terminal.
    Resize {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
}

/// To the client.
#[derive(Debug)]
pub(super) enum ToClient {
    /// Output.
    Stdout(Bytes),
    /// Error output.
    Stderr(Bytes),
    /// How it ended; the last message.
    Status(Value),
}

/// The kubelet's end.
pub(super) struct Remote {
    /// Ends when the client is gone.
    pub(super) from: mpsc::Receiver<FromClient>,
    /// Fails when the client is gone.
    pub(super) to: mpsc::Sender<ToClient>,
}

/// The carrier's end.
pub(super) struct Carrier {
    pub(super) from: mpsc::Sender<FromClient>,
    pub(super) to: mpsc::Receiver<ToClient>,
}

/// Both ends.
pub(super) fn pair() -> (Remote, Carrier) {
    let (from_sender, from) = mpsc::channel(QUEUED_MAX);
    let (to, to_receiver) = mpsc::channel(QUEUED_MAX);
    (Remote { from, to }, Carrier { from: from_sender, to: to_receiver })
}

/// What the client asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wants {
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    pub(super) tty: bool,
}

/// Upstream's status of a command that ended.
pub(super) fn exit_status(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: command terminated with exit code {code}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

/// A command that could not be run.
pub(super) fn error_status(message: &str) -> Value {
    json!({
        "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
        "message": format!("Internal error occurred: {message}"),
        "details": {"causes": [{"message": message}]},
    })
}

/// `{"Width":80,"Height":24}`
pub(super) fn resize(bytes: &[u8]) -> Option<FromClient> {
    let size: Value = serde_json::from_slice(bytes).ok()?;
    let side = |name: &str| size[name].as_u64().and_then(|n| u16::try_from(n).ok());
    Some(FromClient::Resize { width: side("Width")?, height: side("Height")? })
}
