//! Kubernetes protobuf: four bytes, then `runtime.Unknown` around an object (`runtime/serializer/protobuf`).
//!
//! Built-in objects are read ([`api::protobuf`]): clients of today send theirs so, and take JSON for an answer. An envelope
//! whose object is JSON is taken as well. Objects are not written yet, refusals are, so that clients that read nothing
//! else are told why.

use std::borrow::Cow;

use api::Value;
use api::decode::unrecognized;
use api::field::go_quote;
use api::kinds::split_api_version;
use api::protobuf::{self, Wire, fields};
use api::status::ApiError;
use bytes::{BufMut, Bytes, BytesMut};

use super::{Codec, Text};

pub(super) struct Protobuf;

const PREFIX: [u8; 4] = [0x6b, 0x38, 0x73, 0];
const JSON: &[u8] = b"application/json";

impl Codec for Protobuf {
    fn media_type(&self) -> &'static str {
        "application/vnd.kubernetes.protobuf"
    }

    fn writes_all_kinds(&self) -> bool {
        false
    }

    fn read<'a>(&self, body: &'a [u8], expected: &str) -> Result<Text<'a>, ApiError> {
        let refuse = |why: &str| unrecognized(expected, why, body);
        if body.is_empty() {
            return Err(refuse("empty data"));
        }
        let Some(message) = body.strip_prefix(&PREFIX) else {
            let why =
                "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]";
            return Err(refuse(why));
        };
        if message.is_empty() {
            return Err(refuse("empty body"));
        }
        let unknown = Unknown::parse(message).map_err(|why| refuse(&why))?;
        if unknown.content_type == JSON && unknown.content_encoding.is_empty() {
            return Ok(Text { json: Cow::Borrowed(unknown.raw), strict: Vec::new() });
        }
        let (group, version) = split_api_version(&unknown.api_version);
        let known = protobuf::type_of(group, version, &unknown.kind);
        let (Some(ty), b"") = (known, unknown.content_encoding) else {
            let why = format!(
                "the body of the request was a {expected} in protobuf, which this server does not read - accepted media \
                 types include: application/json, application/yaml"
            );
            return Err(ApiError::new(415, "UnsupportedMediaType", why));
        };
        let mut object = protobuf::read(ty, unknown.raw).map_err(|why| {
            let (kind, version) = (&unknown.kind, go_quote(version));
            ApiError::bad_request(format!(
                "{kind} in version {version} cannot be handled as a {expected}: {why}"
            ))
        })?;
        object.insert("apiVersion".to_owned(), unknown.api_version.into());
        object.insert("kind".to_owned(), unknown.kind.into());
        Ok(Text { json: Cow::Owned(Value::Object(object).to_string().into_bytes()), strict: Vec::new() })
    }

    fn write(&self, object: &Value, _: bool) -> Bytes {
        let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut meta = BytesMut::new();
        put_text(&mut meta, 1, text("apiVersion"));
        put_text(&mut meta, 2, text("kind"));
        let mut out = BytesMut::from(&PREFIX[..]);
        put_bytes(&mut out, 1, &meta);
        put_bytes(&mut out, 2, &status(object));
        // Upstream's encoder writes these two though they are empty.
        put_bytes(&mut out, 3, b"");
        put_bytes(&mut out, 4, b"");
        out.freeze()
    }
}

/// The envelope.
#[derive(Debug, Default, PartialEq)]
struct Unknown<'a> {
    api_version: String,
    kind: String,
    raw: &'a [u8],
    content_encoding: &'a [u8],
    content_type: &'a [u8],
}

impl<'a> Unknown<'a> {
    /// Reads the message; the error is that of Go's generated code.
    fn parse(message: &'a [u8]) -> Result<Unknown<'a>, String> {
        let mut unknown = Unknown::default();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        fields(message, |number, wire| {
            let Wire::Bytes(value) = wire else { return Ok(()) };
            match number {
                1 => {
                    return fields(value, |number, wire| {
                        match (number, wire) {
                            (1, Wire::Bytes(value)) => unknown.api_version = text(value),
                            (2, Wire::Bytes(value)) => unknown.kind = text(value),
                            _ => {}
                        }
                        Ok(())
                    });
                }
                2 => unknown.raw = value,
                3 => unknown.content_encoding = value,
                4 => unknown.content_type = value,
                _ => {}
            }
            Ok(())
        })?;
        Ok(unknown)
    }
}

fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        // The low seven bits fit.
        out.put_u8(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.put_u8(u8::try_from(value).unwrap_or(0));
}

fn put_bytes(out: &mut BytesMut, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.put_slice(bytes);
}

fn put_text(out: &mut BytesMut, field: u64, text: &str) {
    put_bytes(out, field, text.as_bytes());
}

fn put_number(out: &mut BytesMut, field: u64, number: Option<&Value>) {
    put_varint(out, field << 3);
    put_varint(out, number.and_then(Value::as_u64).unwrap_or(0));
}

/// `meta/v1` `Status`: upstream writes all of its texts, set or not.
fn status(object: &Value) -> BytesMut {
    let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut out = BytesMut::new();
    let mut list_meta = BytesMut::new();
    for field in 1..=3 {
        put_text(&mut list_meta, field, "");
    }
    put_bytes(&mut out, 1, &list_meta);
    put_text(&mut out, 2, &text(object, "status"));
    put_text(&mut out, 3, &text(object, "message"));
    put_text(&mut out, 4, &text(object, "reason"));
    if let Some(details) = object.get("details").filter(|d| !d.is_null()) {
        let mut inner = BytesMut::new();
        put_text(&mut inner, 1, &text(details, "name"));
        put_text(&mut inner, 2, &text(details, "group"));
        put_text(&mut inner, 3, &text(details, "kind"));
        for cause in details.get("causes").and_then(Value::as_array).into_iter().flatten() {
            let mut one = BytesMut::new();
            put_text(&mut one, 1, &text(cause, "reason"));
            put_text(&mut one, 2, &text(cause, "message"));
            put_text(&mut one, 3, &text(cause, "field"));
            put_bytes(&mut inner, 4, &one);
        }
        put_number(&mut inner, 5, details.get("retryAfterSeconds"));
        put_text(&mut inner, 6, &text(details, "uid"));
        put_bytes(&mut out, 5, &inner);
    }
    put_number(&mut out, 6, object.get("code"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn envelope(raw: &[u8], content_type: &str) -> Vec<u8> {
        let mut out = BytesMut::from(&PREFIX[..]);
        put_bytes(&mut out, 1, b"\x0a\x02v1\x12\x09ConfigMap");
        put_bytes(&mut out, 2, raw);
        put_text(&mut out, 4, content_type);
        out.to_vec()
    }

    #[test]
    fn an_envelope_around_json_is_read_and_others_are_refused() {
        let body = envelope(b"{}", "application/json");
        assert_eq!(&*Protobuf.read(&body, "ConfigMap").unwrap().json, b"{}");
        let body = envelope(b"\x0a\x03\x0a\x01x\x12\x06\x0a\x01a\x12\x01b", "");
        assert_eq!(
            std::str::from_utf8(&Protobuf.read(&body, "ConfigMap").unwrap().json).unwrap(),
            r#"{"apiVersion":"v1","data":{"a":"b"},"kind":"ConfigMap","metadata":{"name":"x"}}"#
        );
        let custom = b"k8s\0\x0a\x06\x0a\x01x\x12\x01y\x12\x00";
        assert_eq!(Protobuf.read(custom, "Widget").unwrap_err().code, 415);
        let cut = envelope(b"\x0a\x05\x0a", "");
        assert_eq!(
            Protobuf.read(&cut, "ConfigMap").unwrap_err().message,
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: unexpected EOF"
        );
        let error = |body: &[u8]| Protobuf.read(body, "ConfigMap").unwrap_err().message;
        assert_eq!(
            error(b"garbage"),
            "the object provided is unrecognized (must be of type ConfigMap): provided data does not appear to be a \
             protobuf message, expected prefix [107 56 115 0] (67617262616765)"
        );
        assert!(error(b"k8s\0").contains("empty body"));
        assert!(error(b"k8s\0\x12\xff").contains("unexpected EOF"));
        assert!(error(b"").contains("empty data (<empty>)"));
    }

    #[test]
    fn a_refusal_has_upstreams_bytes() {
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "m", "reason": "NotFound", "code": 404});
        let bytes = Protobuf.write(&status, false);
        let unknown = Unknown::parse(&bytes[4..]).unwrap();
        assert_eq!(
            unknown.raw,
            b"\x0a\x06\x0a\x00\x12\x00\x1a\x00\x12\x07Failure\x1a\x01m\x22\x08NotFound\x30\x94\x03"
        );
        assert!(bytes.starts_with(b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Status\x12"));
    }
}
