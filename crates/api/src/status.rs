//! Refusals: upstream's `Status` objects (`k8s.io/apimachinery/pkg/api/errors`).

use std::collections::HashSet;

use serde_json::json;

use crate::field::ErrorList;
use crate::{Object, Value};

/// A request that was refused, with everything that the client is told.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The HTTP status code.
    pub code: u16,
    /// Upstream's machine-readable reason; empty where upstream sends none.
    pub reason: &'static str,
    /// What people read.
    pub message: String,
    /// `details`: name, group, kind, uid, causes, retryAfterSeconds. Empty when absent.
    pub details: Object,
    /// `metadata.continue`: where a list may go on, when the token for that expired.
    pub continue_token: Option<String>,
}

/// The name of a resource or kind with its group, as messages print it: `deployments.apps`, `pods`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupName<'a> {
    /// The API group, empty for the core group.
    pub group: &'a str,
    /// A plural resource name or a kind.
    pub name: &'a str,
}

impl std::fmt::Display for GroupName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.group.is_empty() { f.write_str(self.name) } else { write!(f, "{}.{}", self.name, self.group) }
    }
}

fn details(name: &str, of: GroupName<'_>) -> Object {
    let mut d = Object::new();
    if !name.is_empty() {
        d.insert("name".into(), name.into());
    }
    if !of.group.is_empty() {
        d.insert("group".into(), of.group.into());
    }
    if !of.name.is_empty() {
        d.insert("kind".into(), of.name.into());
    }
    d
}

impl ApiError {
    /// An error without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { code, reason, message: message.into(), details: Object::new(), continue_token: None }
    }

    /// 404: no object of that name.
    pub fn not_found(resource: GroupName<'_>, name: &str) -> ApiError {
        let message = format!("{resource} {} not found", crate::field::go_quote(name));
        ApiError {
            code: 404,
            reason: "NotFound",
            message,
            details: details(name, resource),
            continue_token: None,
        }
    }

    /// 404: no such path. Upstream's text for an unknown resource below a known group version.
    pub fn no_such_resource() -> ApiError {
        ApiError::new(404, "NotFound", "the server could not find the requested resource")
    }

    /// 409: the name is taken.
    pub fn already_exists(resource: GroupName<'_>, name: &str) -> ApiError {
        let message = format!("{resource} \"{name}\" already exists");
        ApiError {
            code: 409,
            reason: "AlreadyExists",
            message,
            details: details(name, resource),
            continue_token: None,
        }
    }

    /// 409: the object changed meanwhile, or a precondition does not hold.
    pub fn conflict(resource: GroupName<'_>, name: &str, why: &str) -> ApiError {
        let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
        ApiError {
            code: 409,
            reason: "Conflict",
            message,
            details: details(name, resource),
            continue_token: None,
        }
    }

    /// 422: validation found errors. `kind` carries the group and the kind (not the resource).
    pub fn invalid(kind: GroupName<'_>, name: &str, errors: &ErrorList) -> ApiError {
        let mut d = details(name, kind);
        let causes: Vec<Value> = errors
            .iter()
            .map(|e| json!({"reason": e.kind.cause(), "message": e.body(), "field": e.field}))
            .collect();
        let mut seen = HashSet::with_capacity(errors.len());
        let texts = errors.iter().map(ToString::to_string);
        let texts: Vec<String> = texts.filter(|text| seen.insert(text.clone())).collect();
        let list = match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        if !causes.is_empty() {
            d.insert("causes".into(), causes.into());
        }
        ApiError {
            code: 422,
            reason: "Invalid",
            message: format!("{kind} \"{name}\" is invalid: {list}"),
            details: d,
            continue_token: None,
        }
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> ApiError {
        ApiError::new(400, "BadRequest", message)
    }

    /// 403: the request is understood and refused.
    pub fn forbidden(resource: GroupName<'_>, name: &str, why: &str) -> ApiError {
        let message = if name.is_empty() {
            format!("{resource} is forbidden: {why}")
        } else {
            format!("{resource} \"{name}\" is forbidden: {why}")
        };
        ApiError {
            code: 403,
            reason: "Forbidden",
            message,
            details: details(name, resource),
            continue_token: None,
        }
    }

    /// 405: the resource lacks this verb.
    pub fn method_not_supported(resource: GroupName<'_>, verb: &str) -> ApiError {
        let message = format!("{verb} is not supported on resources of kind \"{resource}\"");
        ApiError {
            code: 405,
            reason: "MethodNotAllowed",
            message,
            details: details("", resource),
            continue_token: None,
        }
    }

    /// 410: a resource version or continue token is too old.
    pub fn gone(message: impl Into<String>) -> ApiError {
        ApiError::new(410, "Expired", message)
    }

    /// 413: the body is over the limit.
    pub fn too_large(limit_bytes: usize) -> ApiError {
        ApiError::new(
            413,
            "RequestEntityTooLarge",
            format!("Request entity too large: limit is {limit_bytes}"),
        )
    }

    /// 415: a content type that the server does not read.
    pub fn unsupported_media_type(accepted: &[&str]) -> ApiError {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        ApiError::new(415, "UnsupportedMediaType", message)
    }

    /// 406: no acceptable answer format.
    pub fn not_acceptable(offered: &[&str]) -> ApiError {
        let message = format!("only the following media types are accepted: {}", offered.join(", "));
        ApiError::new(406, "NotAcceptable", message)
    }

    /// 429 with `Retry-After`.
    pub fn too_many_requests(message: impl Into<String>, retry_after_s: u32) -> ApiError {
        let mut e = ApiError::new(429, "TooManyRequests", message);
        if retry_after_s > 0 {
            e.details.insert("retryAfterSeconds".into(), retry_after_s.into());
        }
        e
    }

    /// 500.
    pub fn internal(message: impl std::fmt::Display) -> ApiError {
        let message = message.to_string();
        let mut e = ApiError::new(500, "InternalError", format!("Internal error occurred: {message}"));
        e.details.insert("causes".into(), json!([{"message": message}]));
        e
    }

    /// 504: the store did not answer in time.
    pub fn timeout(message: impl Into<String>) -> ApiError {
        ApiError::new(504, "Timeout", format!("Timeout: {}", message.into()))
    }

    /// The `Status` object that goes over the wire.
    pub fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if let Value::Object(fields) = &mut status {
            if !self.reason.is_empty() {
                fields.insert("reason".into(), self.reason.into());
            }
            if !self.details.is_empty() {
                fields.insert("details".into(), Value::Object(self.details.clone()));
            }
            if let Some(token) = &self.continue_token {
                fields.insert("metadata".into(), json!({"continue": token}));
            }
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{Error, Path};

    #[test]
    fn invalid_lists_every_cause_once_in_the_message() {
        let kind = GroupName { group: "apps", name: "Deployment" };
        let path = Path::new("spec.replicas");
        let error = Error::invalid(&path, &Value::from(-1), "must be greater than or equal to 0");
        let one = ApiError::invalid(kind, "web", &vec![error.clone()]);
        assert_eq!(
            one.message,
            "Deployment.apps \"web\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0"
        );
        let two = ApiError::invalid(kind, "web", &vec![error, Error::required(&path, "")]);
        assert!(two.message.ends_with("is invalid: [spec.replicas: Invalid value: -1: must be greater than or equal to 0, spec.replicas: Required value]"));
        assert_eq!(two.to_status()["details"]["causes"].as_array().map(Vec::len), Some(2));
    }
}
