//! What client code asks about an error.

use std::fmt;

use kube::Error;

/// Questions about a [`kube::Error`], as `k8s.io/apimachinery/pkg/api/errors` answers them.
pub trait ErrorExt {
    /// The HTTP code of the API server's refusal, when it is one.
    fn code(&self) -> Option<u16>;
    /// The `reason` of the refusal, or an empty string.
    fn reason(&self) -> &str;

    /// The object does not exist (any more).
    fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }
    /// A precondition or the resource version did not hold.
    fn is_conflict(&self) -> bool {
        self.code() == Some(409) && self.reason() != "AlreadyExists"
    }
    /// An object of this name exists.
    fn is_already_exists(&self) -> bool {
        self.code() == Some(409) && self.reason() == "AlreadyExists"
    }
    /// The resource version is too old to list or watch from.
    fn is_expired(&self) -> bool {
        self.code() == Some(410)
    }
    /// The object is not acceptable.
    fn is_invalid(&self) -> bool {
        self.code() == Some(422)
    }
    /// Admission or authorization says no.
    fn is_forbidden(&self) -> bool {
        self.code() == Some(403)
    }
    /// The namespace of the object is being deleted, so that nothing can be created in it.
    fn is_namespace_terminating(&self) -> bool;
}

impl ErrorExt for Error {
    fn code(&self) -> Option<u16> {
        match self {
            Error::Api(status) => Some(status.code),
            _ => None,
        }
    }

    fn reason(&self) -> &str {
        match self {
            Error::Api(status) => &status.reason,
            _ => "",
        }
    }

    fn is_namespace_terminating(&self) -> bool {
        let Error::Api(status) = self else { return false };
        let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
        status.code == 403 && causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
    }
}

/// Shows an error the way Go programs do: an API refusal is its message alone; otherwise the chain of causes.
pub struct GoError<'a>(pub &'a Error);

impl fmt::Display for GoError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Error::Api(status) = self.0 {
            return f.write_str(&status.message);
        }
        // kube's names for its layers mean nothing to a reader.
        let text = self.0.to_string();
        let text = ["ServiceError: ", "HyperError: "]
            .iter()
            .fold(text.as_str(), |text, name| text.trim_start_matches(name));
        write!(f, "{text}")?;
        let mut last = self.0.to_string();
        let mut cause = std::error::Error::source(self.0);
        while let Some(err) = cause {
            let text = err.to_string();
            if !last.contains(&text) {
                write!(f, ": {text}")?;
            }
            last = text;
            cause = err.source();
        }
        Ok(())
    }
}
