//! `Status` objects on the wire, in the field order of upstream's type.

use api::json::escape_html;
use api::status::ApiError;
use api::{Object, Value};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: Metadata<'a>,
    status: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    code: u16,
}

#[derive(Default, Serialize)]
struct Metadata<'a> {
    #[serde(rename = "continue", skip_serializing_if = "Option::is_none")]
    continue_token: Option<&'a str>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Details<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<Cause<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<&'a Value>,
}

#[derive(Serialize)]
struct Cause<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a Value>,
}

// Serde hands the field over by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_zero(code: &u16) -> bool {
    *code == 0
}

fn details(of: &Object) -> Details<'_> {
    let causes = of.get("causes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Details {
        name: of.get("name"),
        group: of.get("group"),
        kind: of.get("kind"),
        uid: of.get("uid"),
        causes: causes
            .iter()
            .map(|c| Cause { reason: c.get("reason"), message: c.get("message"), field: c.get("field") })
            .collect(),
        retry_after_seconds: of.get("retryAfterSeconds"),
    }
}

/// Upstream's generic answers (`NewGenericServerResponse`) carry details, even when there is nothing in them.
fn generic(error: &ApiError) -> bool {
    matches!(
        (error.code, error.message.as_str()),
        (404, "the server could not find the requested resource")
            | (405, "the server does not allow this method on the requested resource")
            | (422, "the server rejected our request due to an error in our request")
            | (415, "415: Unsupported Media Type")
    ) || (error.code == 406 && error.message.starts_with("406: "))
}

/// A refusal as JSON.
pub fn failure(error: &ApiError) -> Vec<u8> {
    encode(&refused(error))
}

/// The same for people: indented, and without an end of the line.
pub fn failure_indented(error: &ApiError) -> Vec<u8> {
    escape_html(serde_json::to_string_pretty(&refused(error)).unwrap_or_default()).into_bytes()
}

fn refused(error: &ApiError) -> Status<'_> {
    let empty = error.details.is_empty();
    Status {
        kind: "Status",
        api_version: "v1",
        metadata: Metadata { continue_token: error.continue_token.as_deref() },
        status: "Failure",
        message: &error.message,
        reason: error.reason,
        details: (!empty || generic(error)).then(|| details(&error.details)),
        code: error.code,
    }
}

/// The answer to a successful delete: `details` names what is gone.
pub fn success(of: &Object, code: u16) -> Vec<u8> {
    encode(&Status {
        kind: "Status",
        api_version: "v1",
        metadata: Metadata::default(),
        status: "Success",
        message: "",
        reason: "",
        details: (!of.is_empty()).then(|| details(of)),
        code,
    })
}

fn encode(status: &Status<'_>) -> Vec<u8> {
    let mut bytes = escape_html(serde_json::to_string(status).unwrap_or_default()).into_bytes();
    bytes.push(b'\n');
    bytes
}
