//! Requests that end with their head: what RFC 9112 and RFC 9110 have a server refuse, and hyper lets through.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Version, header};

use super::{Body, Response};

/// The answer to a request of HTTP/1 that no handler may see, in the words of Go's server (`net/http/server.go`).
pub fn refused(head: &http::request::Parts) -> Option<Response> {
    // HTTP/2 has them among its own.
    if head.version >= Version::HTTP_2 {
        return None;
    }
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if host.is_none() && head.version == Version::HTTP_11 && head.method != Method::CONNECT {
        return Some(bad_request("400 Bad Request: missing required Host header"));
    }
    if hosts.next().is_some() {
        return Some(bad_request("400 Bad Request"));
    }
    if host.is_some_and(|host| !is_host(host.as_bytes())) {
        return Some(bad_request("400 Bad Request: malformed Host header"));
    }
    if head.headers.get(header::EXPECT).is_some_and(|e| !e.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Some(last(StatusCode::EXPECTATION_FAILED, Body::empty()));
    }
    if head.uri == "*" && head.method == Method::OPTIONS {
        return Some(Response::new(Body::empty()));
    }
    None
}

/// The bytes that a host and its port may have (`httpguts.ValidHostHeader`).
fn is_host(host: &[u8]) -> bool {
    host.iter().all(|b| b.is_ascii_alphanumeric() || b"!$%&'()*+,-.:;=[]_~".contains(b))
}

fn bad_request(text: &'static str) -> Response {
    let mut response = last(StatusCode::BAD_REQUEST, Body::Full(Bytes::from_static(text.as_bytes())));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// An answer behind which the connection ends: what follows in it may be anything.
fn last(code: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
