//! What can go wrong, and how v1.10 says it (upstream: `pkg/kubectl/cmd/util/helpers.go`).

use std::io::Write;

use serde_json::Value;

use crate::value::Json;

/// The result of everything in this crate that can fail.
pub(crate) type Result<T = ()> = std::result::Result<T, Error>;

/// A failure, with what is needed to print it as v1.10 does.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Error {
    /// Printed after `error: `.
    #[error("{0}")]
    Message(String),
    /// Printed as it is.
    #[error("{0}")]
    Plain(String),
    /// Wrong use of a command: printed with a hint to its help.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// `kubectl get`: the command whose help is named.
        path: String,
    },
    /// A flag error: printed around the help text.
    #[error("{message}")]
    Flag {
        /// What is wrong.
        message: String,
        /// The help or usage text in between.
        help: String,
    },
    /// The server's answer, a `Status`; the prefix says during what it came.
    #[error("{}", status_text(status, prefix))]
    Status {
        /// `error when creating "x.yaml": ` or nothing.
        prefix: String,
        /// The Status object.
        status: Box<Value>,
    },
    /// Several failures, printed one per line.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Many(Vec<Error>),
    /// Everything has been said already; only the exit code is left.
    #[error("exit {0}")]
    Exit(u8),
}

impl From<String> for Error {
    fn from(s: String) -> Self {
        Error::Message(s)
    }
}

impl From<&str> for Error {
    fn from(s: &str) -> Self {
        Error::Message(s.to_string())
    }
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        // `kubectl get … | head` is no failure worth a message.
        if e.kind() == std::io::ErrorKind::BrokenPipe {
            return Error::Exit(1);
        }
        Error::Message(e.to_string())
    }
}

impl Error {
    /// A usage error of the command at `path`.
    pub(crate) fn usage(path: &str, message: impl Into<String>) -> Self {
        Error::Usage { message: message.into(), path: path.to_string() }
    }

    /// One error out of many: none is success, one stands for itself.
    pub(crate) fn collect(mut errors: Vec<Error>) -> Result {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Error::Many(errors)),
        }
    }

    /// Is this the server's answer with the given `reason`?
    pub(crate) fn is_reason(&self, reason: &str) -> bool {
        matches!(self, Error::Status { status, .. } if status.s("reason") == reason)
    }

    /// Did the server say that the object is not there?
    pub(crate) fn is_not_found(&self) -> bool {
        self.is_reason("NotFound")
    }

    /// The same error, saying during what it came.
    pub(crate) fn during(self, what: &str) -> Self {
        match self {
            Error::Status { prefix, status } => Error::Status { prefix: format!("{prefix}{what}: "), status },
            Error::Message(m) => Error::Message(format!("{what}: {m}")),
            other => other,
        }
    }

    /// The text for people, without a final newline.
    pub(crate) fn text(&self) -> String {
        match self {
            Error::Message(m) if m.starts_with("error: ") => m.clone(),
            Error::Message(m) => format!("error: {m}"),
            Error::Plain(m) => m.clone(),
            Error::Usage { message, path } => {
                format!("error: {message}\nSee '{path} -h' for help and examples.")
            }
            Error::Flag { message, help } => format!("Error: {message}\n{help}\n{message}"),
            Error::Status { prefix, status } => status_text(status, prefix),
            // In company, plain messages lose their prefix in v1.10.
            Error::Many(errors) => errors
                .iter()
                .map(|e| match e {
                    Error::Message(m) => m.clone() + "\n",
                    e => e.text() + "\n",
                })
                .collect(),
            Error::Exit(_) => String::new(),
        }
    }

    /// Prints the text and returns the exit code.
    pub(crate) fn report(&self, err: &mut dyn Write) -> u8 {
        if let Error::Exit(code) = self {
            return *code;
        }
        let mut text = self.text();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        // Standard error may be closed; nothing is left to tell then.
        let _ = err.write_all(text.as_bytes());
        1
    }
}

/// The message of a Status for people (upstream: `StandardErrorMessage`, `checkErr`).
fn status_text(status: &Value, prefix: &str) -> String {
    let reason = status.s("reason");
    let message = format!("{prefix}{}", status.s("message"));
    match reason {
        "Invalid" if status.has("details") => {
            let head =
                format!("The {} \"{}\" is invalid", status.s("details.kind"), status.s("details.name"));
            let mut causes: Vec<String> = Vec::new();
            for c in status.list("details.causes") {
                let line = match c.s("field") {
                    "" => c.s("message").to_string(),
                    f => format!("{f}: {}", c.s("message")),
                };
                if !causes.contains(&line) {
                    causes.push(line);
                }
            }
            match causes.as_slice() {
                [] => head,
                [one] => format!("{head}: {one}"),
                many => {
                    let lines: String = many.iter().map(|c| format!("* {c}\n")).collect();
                    format!("{head}: \n{lines}")
                }
            }
        }
        "Unauthorized" => format!("error: You must be logged in to the server ({message})"),
        "" => format!("Error from server: {message}"),
        _ => format!("Error from server ({reason}): {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_are_those_of_v1_10() {
        let not_found = Error::Status {
            prefix: String::new(),
            status: Box::new(json!({"reason": "NotFound", "message": "namespaces \"nope\" not found"})),
        };
        assert_eq!(not_found.text(), "Error from server (NotFound): namespaces \"nope\" not found");
        assert_eq!(
            not_found.during("error when creating \"x\"").text(),
            "Error from server (NotFound): error when creating \"x\": namespaces \"nope\" not found"
        );
        let invalid = Error::Status {
            prefix: String::new(),
            status: Box::new(json!({"reason": "Invalid", "message": "…", "details": {
                "kind": "Service", "name": "web",
                "causes": [{"field": "spec.type", "message": "Unsupported value"}]}})),
        };
        assert_eq!(invalid.text(), "The Service \"web\" is invalid: spec.type: Unsupported value");
    }
}
