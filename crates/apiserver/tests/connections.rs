//! Connections whose clients break the rules of HTTP, or stop in the middle: the others do not notice.

// A test may panic; clippy knows that of the tests themselves, not of what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::tcp::{Cluster, HANG, LIMIT, MAPS};
use http::Request;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn bodies_end_at_the_limit() {
    let c = Cluster::start().await;
    let too_large = "Request entity too large: limit is 3145728";
    let head =
        format!("POST {MAPS} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n");
    let sized = |size: usize| {
        let mut bytes = format!("{head}content-length: {size}\r\n\r\n").into_bytes();
        bytes.resize(bytes.len() + size, b' ');
        bytes
    };
    let answer = c.raw(&sized(LIMIT + 1)).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains(too_large), "{answer}");
    let answer = c.raw(&sized(LIMIT)).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "as long as allowed, but no JSON: {answer}");
    let mut chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n", LIMIT + 1).into_bytes();
    chunked.resize(chunked.len() + LIMIT + 1, b' ');
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    let answer = c.raw(&chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains(too_large), "{answer}");
    // A length that nobody could hold is not believed.
    let answer = c.raw(format!("{head}content-length: 18446744073709551615\r\n\r\n{{}}").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    c.alive().await;
}

#[tokio::test]
async fn broken_messages_end_their_connection_only() {
    let c = Cluster::start().await;
    let head = "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: x\r\n";
    let long = "x".repeat(70_000);
    let many: String = (0..2000).map(|i| format!("x-{i}: y\r\n")).collect();
    for (what, bytes) in [
        ("no HTTP", "\0\u{1}\u{2}\r\n\r\n".to_owned()),
        ("a method that is none", "G\u{7f}T / HTTP/1.1\r\n\r\n".to_owned()),
        ("a version that is none", "GET / HTTP/9.9\r\n\r\n".to_owned()),
        ("a path without a slash", "GET pods HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned()),
        ("a star", "OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned()),
        ("an authority", "CONNECT x:1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned()),
        ("a whole URL", "GET http://x/api?watch HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned()),
        ("a chunk that is none", format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n")),
        ("a chunk of all memory", format!("{head}transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nx")),
        ("a chunk that breaks off", format!("{head}transfer-encoding: chunked\r\n\r\n5\r\n{{")),
        ("a body that breaks off", format!("{head}content-length: 100\r\n\r\n{{")),
        ("two lengths", format!("{head}content-length: 1\r\ncontent-length: 2\r\n\r\n{{}}")),
        ("a negative length", format!("{head}content-length: -1\r\n\r\n{{}}")),
        ("both framings", format!("{head}content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("too many headers", format!("GET / HTTP/1.1\r\n{many}\r\n")),
        ("a long target", format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n")),
        ("a header that is no text", "GET / HTTP/1.1\r\nhost: x\r\naccept: \u{0}\r\n\r\n".to_owned()),
        ("a preface alone", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{9}\0\0\0\0\0".to_owned()),
    ] {
        let mut stream = TcpStream::connect(c.address).await.unwrap();
        let _ = stream.write_all(bytes.as_bytes()).await;
        let _ = stream.shutdown().await;
        let mut answer = String::new();
        let _ = tokio::time::timeout(HANG, stream.read_to_string(&mut answer)).await.expect("an end");
        let code = answer.split(' ').nth(1).unwrap_or_default();
        assert!(!code.starts_with('5'), "{what}: {answer}");
    }
    c.alive().await;
}

#[tokio::test]
async fn headers_beyond_the_limit_are_refused() {
    let c = Cluster::start().await;
    let mut bytes = b"GET /version HTTP/1.1\r\nhost: x\r\nx: ".to_vec();
    bytes.resize(bytes.len() + (1 << 20) + 4096, b'y');
    bytes.extend_from_slice(b"\r\n\r\n");
    let answer = c.raw(&bytes).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{}", &answer[..answer.len().min(200)]);
    c.alive().await;
}

#[tokio::test]
async fn streams_that_are_reset_at_once_harm_nobody() {
    let c = Cluster::start().await;
    let stream = TcpStream::connect(c.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    for i in 0..5000 {
        if sender.ready().await.is_err() {
            break;
        }
        let request =
            Request::get(format!("http://x{MAPS}?watch=1&x={i}")).body(Full::<Bytes>::default()).unwrap();
        // Dropping the answer's future resets the stream.
        let asked = sender.send_request(request);
        let _ = tokio::time::timeout(Duration::ZERO, asked).await;
    }
    drop(sender);
    let _ = tokio::time::timeout(HANG, connection).await.expect("the connection ends");
    c.alive().await;
}

#[tokio::test]
async fn one_connection_has_a_hundred_streams() {
    let c = Cluster::start().await;
    let stream = TcpStream::connect(c.address).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut open = Vec::new();
    for _ in 0..100 {
        let mut sender = sender.clone();
        sender.ready().await.unwrap();
        let request = Request::get(format!("http://x{MAPS}?watch=1")).body(Full::<Bytes>::default()).unwrap();
        let response =
            tokio::time::timeout(HANG, sender.send_request(request)).await.expect("an answer").unwrap();
        assert_eq!(response.status(), 200);
        open.push(response);
    }
    let mut sender = sender.clone();
    let request = Request::get("http://x/version").body(Full::<Bytes>::default()).unwrap();
    let mut waits = Box::pin(async {
        sender.ready().await.unwrap();
        sender.send_request(request).await.unwrap().status()
    });
    assert!(futures::poll!(&mut waits).is_pending());
    open.pop();
    assert_eq!(tokio::time::timeout(HANG, waits).await.expect("an answer"), 200);
}

#[tokio::test]
async fn websockets_that_speak_nonsense_are_closed() {
    let c = Cluster::start().await;
    let head =
        format!("GET {MAPS}?watch=1 HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n");
    let answer = c.raw(format!("{head}connection: close\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "a handshake without a key: {answer}");
    let key = "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for junk in [
        &b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        // A frame of all memory, one without a mask, a ping that is too long.
        b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0x",
        b"\x81\x05hello",
        b"\x89\xfe\xff\xff\0\0\0\0",
    ] {
        let mut bytes = format!("{head}{key}").into_bytes();
        bytes.extend_from_slice(junk);
        let answer = c.raw(&bytes).await;
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    }
    // Another protocol is no protocol.
    for protocol in ["h2c", "SPDY/3.1", "x"] {
        let request = format!(
            "GET /version HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: {protocol}\r\n\r\n"
        );
        let answer = c.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{protocol}: {answer}");
    }
    c.alive().await;
}

/// A client that sends its whole body before it reads: the answer came early, and the next request goes the same way.
#[tokio::test]
async fn answers_that_come_early_leave_the_connection() {
    let c = Cluster::start().await;
    let mut stream = TcpStream::connect(c.address).await.unwrap();
    for (path, code) in [("/nope", 404), (MAPS, 415)] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: text/x\r\ncontent-length: 200000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server has its head before there is more.
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(&[b' '; 200_000]).await.unwrap();
        let answer = answer(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code}")), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
}

/// Too much to be read for nothing: the answer says that it is the last, and arrives though the client still sends.
#[tokio::test]
async fn long_bodies_that_nobody_wants_end_the_connection_behind_the_answer() {
    let c = Cluster::start().await;
    for (path, code) in [("/nope", 404), (MAPS, 413)] {
        let mut bytes = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            10 * LIMIT
        )
        .into_bytes();
        bytes.resize(bytes.len() + 10 * LIMIT, b' ');
        let answer = c.raw(&bytes).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code}")), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    // Nobody sends what nobody asked for.
    let answer =
        c.raw(b"POST /nope HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn heads_that_break_the_rules_are_refused_as_by_go() {
    let c = Cluster::start().await;
    let put =
        format!("PUT {MAPS}/a HTTP/1.1\r\nhost: x\r\nexpect: miracles\r\ncontent-length: 2\r\n\r\n{{}}");
    for (head, answers) in [
        ("GET /version HTTP/1.1\r\n\r\n", "400 Bad Request: missing required Host header"),
        ("GET /version HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", "400 Bad Request"),
        ("GET /version HTTP/1.1\r\nhost: a b\r\n\r\n", "400 Bad Request: malformed Host header"),
        ("GET /version HTTP/1.1\r\nhost: [::1]:6443\r\nconnection: close\r\n\r\n", "gitVersion"),
        ("GET /version HTTP/1.0\r\n\r\n", "gitVersion"),
        (&put, "HTTP/1.1 417 Expectation Failed"),
        ("OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "HTTP/1.1 200 OK"),
    ] {
        let answer = c.raw(head.as_bytes()).await;
        assert!(answer.contains(answers), "{head}: {answer}");
    }
}

/// One answer of a connection that goes on.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let read = async {
        loop {
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap();
                if body.len() >= length.parse().unwrap() {
                    return text;
                }
            }
            let mut buf = [0; 4096];
            let n = stream.read(&mut buf).await.unwrap();
            assert!(n > 0, "the connection ended: {text}");
            text.push_str(std::str::from_utf8(&buf[..n]).unwrap());
        }
    };
    tokio::time::timeout(HANG, read).await.expect("an answer")
}
