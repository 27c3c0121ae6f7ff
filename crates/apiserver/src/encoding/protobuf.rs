//! Kubernetes protobuf: four bytes, then `runtime.Unknown` around an object (`runtime/serializer/protobuf`).
//!
//! The envelope is read and written, objects inside it are not yet: each kind has a form of its own. An envelope whose
//! object is JSON is taken, and refusals are written, so that clients that read nothing else are told why.

use std::borrow::Cow;

use api::Value;
use api::decode::unrecognized;
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
        let unknown = Unknown::parse(message).map_err(refuse)?;
        if unknown.content_type == JSON && unknown.content_encoding.is_empty() {
            return Ok(Text { json: Cow::Borrowed(unknown.raw), strict: Vec::new() });
        }
        Err(ApiError::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was a {expected} in protobuf, which this server does not read - accepted media \
                 types include: application/json, application/yaml"
            ),
        ))
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

/// The envelope; which kind the object is of stands in the object again where that is JSON.
#[derive(Debug, Default, PartialEq)]
struct Unknown<'a> {
    raw: &'a [u8],
    content_encoding: &'a [u8],
    content_type: &'a [u8],
}

impl<'a> Unknown<'a> {
    /// Reads the message; the error is that of Go's generated code.
    fn parse(mut rest: &'a [u8]) -> Result<Unknown<'a>, &'static str> {
        let mut unknown = Unknown::default();
        while !rest.is_empty() {
            let tag = varint(&mut rest)?;
            let value = match tag & 7 {
                0 => {
                    varint(&mut rest)?;
                    &[]
                }
                1 => take(&mut rest, 8)?,
                2 => {
                    let length = varint(&mut rest)?;
                    take(&mut rest, length)?
                }
                5 => take(&mut rest, 4)?,
                _ => return Err("proto: illegal wireType"),
            };
            match tag >> 3 {
                0 => return Err("proto: Unknown: illegal tag 0 (wire type 0)"),
                2 => unknown.raw = value,
                3 => unknown.content_encoding = value,
                4 => unknown.content_type = value,
                _ => {}
            }
        }
        Ok(unknown)
    }
}

const SHORT: &str = "unexpected EOF";

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], &'static str> {
    let length = usize::try_from(length).map_err(|_| SHORT)?;
    let (value, more) = rest.split_at_checked(length).ok_or(SHORT)?;
    *rest = more;
    Ok(value)
}

fn varint(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, more) = rest.split_first().ok_or(SHORT)?;
        *rest = more;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("proto: integer overflow")
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
        let body = envelope(b"\x0a\x00", "");
        assert_eq!(Protobuf.read(&body, "ConfigMap").unwrap_err().code, 415);
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
