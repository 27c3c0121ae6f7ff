//! Writes answers: in the encoding that was agreed on, compressed.

use std::io::Write;

use api::Value;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use super::Accept;
use crate::http::{Body, Response};

/// Answers from this size on are compressed for clients that take gzip (upstream's threshold).
const GZIP_MIN_BYTES: usize = 128 * 1024;

/// A value as bytes.
pub fn to_bytes(value: &Value, accept: &Accept) -> Bytes {
    accept.media.codec().write(value, accept.pretty)
}

/// An answer from JSON bytes that are already there.
pub fn json_bytes(code: u16, bytes: Bytes, accept: &Accept) -> Response {
    let codec = accept.media.codec();
    whole(code, codec.pass(bytes, accept.pretty), codec.media_type(), accept.gzip)
}

/// An answer from a value.
pub fn value(code: u16, value: &Value, accept: &Accept) -> Response {
    whole(code, to_bytes(value, accept), accept.media.content_type(), accept.gzip)
}

/// An answer in pieces that are made when they are sent; `length` is that of all together.
pub fn pieces(
    pieces: impl Iterator<Item = Bytes> + Send + 'static,
    length: usize,
    content_type: &'static str,
    gzip: bool,
) -> Response {
    if gzip && length >= GZIP_MIN_BYTES {
        let all: Vec<Bytes> = pieces.collect();
        return whole(200, all.concat().into(), content_type, gzip);
    }
    let mut response = whole(200, Bytes::new(), content_type, false);
    *response.body_mut() = Body::pieces(pieces, length as u64);
    response
}

/// An answer whose bytes are all there.
pub fn whole(code: u16, bytes: Bytes, content_type: &'static str, gzip: bool) -> Response {
    let compress = gzip && bytes.len() >= GZIP_MIN_BYTES;
    let bytes = if compress { gzip_bytes(&bytes) } else { bytes };
    let mut response = Response::new(Body::Full(bytes));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    if compress {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    response
}

fn gzip_bytes(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.map_or_else(|_| Bytes::copy_from_slice(bytes), Bytes::from)
}

/// What Go's HTTP server says of a path that it cannot read, before anybody else sees the request.
pub fn unreadable_request() -> Response {
    let mut response = whole(400, Bytes::from_static(b"400 Bad Request"), "text/plain; charset=utf-8", false);
    let headers = response.headers_mut();
    headers.remove(header::CACHE_CONTROL);
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Plain text, as health checks and unknown paths answer.
pub fn text(code: u16, text: impl Into<Bytes>) -> Response {
    let mut response = whole(code, text.into(), "text/plain; charset=utf-8", false);
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}
