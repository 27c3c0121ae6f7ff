//! Runs the binary against a canned server and compares with what v1.10 printed (data/golden.txt).
//!
//! The server is a thread that answers GETs from data/world.json: by path, by `TABLE path` when a table
//! is accepted, by `EVENTS kind` for the events of an object. `@-17m` stands for 17 minutes ago.

// Helpers of tests may panic as tests do.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use serde_json::Value;

const WORLD: &str = include_str!("data/world.json");
const GOLDEN: &str = include_str!("data/golden.txt");

/// Replaces `@-17m` by a time half a minute before that, so that a slow test sees the same age.
fn set_clock(v: &mut Value, now: jiff::Timestamp) {
    match v {
        Value::String(s) => {
            if let Some(minutes) = s.strip_prefix("@-").and_then(|m| m.strip_suffix('m')) {
                let seconds = now.as_second() - minutes.parse::<i64>().unwrap() * 60 - 20;
                *s = jiff::Timestamp::from_second(seconds).unwrap().to_string();
            }
        }
        Value::Array(a) => a.iter_mut().for_each(|v| set_clock(v, now)),
        Value::Object(m) => m.values_mut().for_each(|v| set_clock(v, now)),
        _ => {}
    }
}

fn answer(world: &Value, stream: TcpStream) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut table) = (String::new(), false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        table |= line.to_lowercase().starts_with("accept:") && line.contains("as=Table");
        if head.is_empty() {
            head = line;
        }
    }
    let target = head.split(' ').nth(1).unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let kind = query.split("involvedObject.kind%3D").nth(1).and_then(|k| k.split('%').next());
    let body = match kind {
        Some(k) => world.get(format!("EVENTS {k}")),
        None if table => world.get(format!("TABLE {path}")),
        None => world.get(path),
    };
    let (code, body) = match body {
        Some(b) => ("200 OK", b.to_string()),
        None => ("404 Not Found", "404 page not found\n".to_string()),
    };
    let text = format!(
        "HTTP/1.1 {code}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = reader.into_inner().write_all(text.as_bytes());
}

struct Case {
    arguments: String,
    stdout: String,
    stderr: String,
    exit: i32,
}

fn cases() -> Vec<Case> {
    let mut all: Vec<Case> = Vec::new();
    for line in GOLDEN.lines() {
        if let Some(a) = line.strip_prefix("$ ") {
            all.push(Case { arguments: a.into(), stdout: String::new(), stderr: String::new(), exit: 0 });
        } else if let Some(c) = all.last_mut() {
            if let Some(e) = line.strip_prefix("!! ") {
                c.stderr.push_str(&format!("{e}\n"));
            } else if let Some(e) = line.strip_prefix("= ") {
                c.exit = e.parse().unwrap();
            } else {
                c.stdout.push_str(&format!("{line}\n"));
            }
        }
    }
    all
}

#[test]
fn outputs_are_those_of_v1_10() {
    let mut world: Value = serde_json::from_str(WORLD).unwrap();
    set_clock(&mut world, jiff::Timestamp::now());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(&world, stream);
        }
    });
    let home = std::env::temp_dir().join(format!("kubectl-golden-{}", std::process::id()));
    let cases = cases();
    assert!(cases.len() > 15);
    for c in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_kubectl"))
            .args(["-s", &server])
            .args(c.arguments.split(' '))
            .env("HOME", &home)
            .env_remove("KUBECONFIG")
            .output()
            .unwrap();
        let got = (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
            output.status.code(),
        );
        assert_eq!(got.0, c.stdout, "standard output of {}; standard error: {}", c.arguments, got.1);
        assert_eq!((got.1, got.2), (c.stderr, Some(c.exit)), "standard error of {}", c.arguments);
    }
}
