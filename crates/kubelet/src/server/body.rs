//! Bodies of answers.

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};

use crate::runtime;

/// An answer's body; a failing stream ends the connection.
pub(crate) type Body = UnsyncBoxBody<Bytes, runtime::Error>;

/// A whole body.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Plain text.
pub(crate) fn text(code: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    typed(code, "text/plain; charset=utf-8", text)
}

/// Any type.
pub(crate) fn typed(code: StatusCode, kind: &'static str, bytes: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(bytes));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

/// Bytes as they come.
pub(crate) fn streamed(
    stream: impl Stream<Item = runtime::Result<Bytes>> + Send + 'static,
) -> Response<Body> {
    let mut response =
        Response::new(StreamBody::new(stream.map(|r| r.map(http_body::Frame::data))).boxed_unsync());
    let kind = header::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
