//! Objects as upstream's JSON encoder writes them: compact, maps sorted, HTML characters escaped (`encoding/json`).

use super::eight;
use crate::{Object, Value};

/// A value as compact JSON.
pub fn to_vec(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    encode(&mut out, value);
    out
}

/// Appends a value as compact JSON.
pub fn encode(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Object(fields) => encode_fields(out, fields),
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                encode(out, item);
            }
            out.push(b']');
        }
        Value::String(text) => encode_text(out, text),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Null => out.extend_from_slice(b"null"),
        // Writing a number to memory does not fail.
        Value::Number(number) => drop(serde_json::to_writer(out, number)),
    }
}

fn encode_fields(out: &mut Vec<u8>, fields: &Object) {
    out.push(b'{');
    for (i, (name, value)) in fields.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        encode_text(out, name);
        out.push(b':');
        encode(out, value);
    }
    out.push(b'}');
}

/// Appends a text with its quotes.
pub fn encode_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let (mut done, mut at) = (0, 0);
    out.push(b'"');
    loop {
        at = next(bytes, at);
        let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else { break };
        let (escape, len): (&[u8], usize) = match rest {
            [b'"', ..] => (b"\\\"", 1),
            [b'\\', ..] => (b"\\\\", 1),
            [b'\n', ..] => (b"\\n", 1),
            [b'\r', ..] => (b"\\r", 1),
            [b'\t', ..] => (b"\\t", 1),
            [8, ..] => (b"\\b", 1),
            [12, ..] => (b"\\f", 1),
            // The two line ends that JavaScript does not take in a text.
            [0xE2, 0x80, 0xA8, ..] => (b"\\u2028", 3),
            [0xE2, 0x80, 0xA9, ..] => (b"\\u2029", 3),
            [0xE2, ..] => {
                at += 1;
                continue;
            }
            [c, ..] => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let digit = |n: u8| HEX[usize::from(n & 15)];
                out.extend_from_slice(&bytes[done..at]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(c >> 4), digit(*c)]);
                (b"", 1)
            }
            [] => break,
        };
        if !escape.is_empty() {
            out.extend_from_slice(&bytes[done..at]);
            out.extend_from_slice(escape);
        }
        at += len;
        done = at;
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}

/// Escapes the HTML characters of JSON that something else has written: they only stand in texts.
pub fn escape_html(json: Vec<u8>) -> Vec<u8> {
    if !json.iter().any(|b| matches!(b, b'<' | b'>' | b'&')) {
        return json;
    }
    let mut out = Vec::with_capacity(json.len() + 64);
    for byte in json {
        match byte {
            b'<' => out.extend_from_slice(b"\\u003c"),
            b'>' => out.extend_from_slice(b"\\u003e"),
            b'&' => out.extend_from_slice(b"\\u0026"),
            byte => out.push(byte),
        }
    }
    out
}

/// The first byte from `at` on that may not stand in a text as it is, or begins what may not.
fn next(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let chunk = u64::from_le_bytes(*chunk);
        let html = eight::equal(chunk, b'<') | eight::equal(chunk, b'>') | eight::equal(chunk, b'&');
        let found = (eight::meaning(chunk) | html | eight::equal(chunk, 0xE2)) & eight::HIGH;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let special = |b: &u8| matches!(b, b'"' | b'\\' | b'<' | b'>' | b'&' | 0xE2 | 0..0x20);
    bytes[at..].iter().position(special).map_or(bytes.len(), |more| at + more)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_written_as_go_writes_them() {
        for (text, written) in [
            ("", r#""""#),
            ("plain text that is longer than eight", r#""plain text that is longer than eight""#),
            (
                "a\"b\\c\n\r\t\u{8}\u{c}\u{1}\u{1f}\u{7f}",
                "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001\\u001f\u{7f}\"",
            ),
            ("12345678<9>&", r#""12345678\u003c9\u003e\u0026""#),
            ("é\u{2028}\u{2029}\u{2027}…ü", "\"é\\u2028\\u2029\u{2027}…ü\""),
        ] {
            let mut out = Vec::new();
            encode_text(&mut out, text);
            assert_eq!(String::from_utf8(out).unwrap(), written);
        }
    }

    #[test]
    fn html_is_escaped_afterwards() {
        assert_eq!(escape_html(br#"{"a":"<b>&"}"#.to_vec()), br#"{"a":"\u003cb\u003e\u0026"}"#);
        assert_eq!(escape_html(b"[1]".to_vec()), b"[1]");
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let value = json!({"a": [1, -2, 0.5, 1e300, null, true, false, {}], "b<": {"\u{0}é": "x\u{10ffff}y"}, "c": []});
        assert_eq!(serde_json::from_slice::<Value>(&to_vec(&value)).unwrap(), value);
        assert!(
            to_vec(&value).starts_with(br#"{"a":[1,-2,0.5,1e+300,null,true,false,{}],"b\u003c":{"\u0000"#)
        );
    }
}
