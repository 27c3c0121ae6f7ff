//! Objects as upstream's JSON encoder writes them: compact, maps sorted, HTML characters escaped (`encoding/json`).

use super::lanes::{self, Lanes};
use crate::Value;

/// A value as compact JSON.
pub fn to_vec(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    encode(&mut out, value);
    out
}

/// Appends a value as compact JSON.
pub fn encode(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Object(fields) => encode_object(out, fields, |out, _, value| encode(out, value)),
        Value::Array(items) => encode_list(out, items, encode),
        Value::String(text) => encode_text(out, text),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Null => out.extend_from_slice(b"null"),
        // Writing a number to memory does not fail.
        Value::Number(number) => drop(serde_json::to_writer(out, number)),
    }
}

/// Appends an object of these fields; `write` appends the value of a field, whose name it gets.
pub fn encode_object<N: AsRef<str>, T>(
    out: &mut Vec<u8>,
    fields: impl IntoIterator<Item = (N, T)>,
    mut write: impl FnMut(&mut Vec<u8>, &str, T),
) {
    out.push(b'{');
    for (i, (name, value)) in fields.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        encode_text(out, name.as_ref());
        out.push(b':');
        write(out, name.as_ref(), value);
    }
    out.push(b'}');
}

/// Appends a list of these items.
pub(super) fn encode_list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// Appends a text with its quotes.
pub(super) fn encode_text(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    if is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
    } else {
        escape(out, text);
    }
    out.push(b'"');
}

/// Whether a text is written as it is.
fn is_plain(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk() else {
        let mut lanes: Lanes = [b' '; _];
        lanes[..text.len()].copy_from_slice(text);
        return !lanes::escaped(&lanes);
    };
    let (all, _) = text.as_chunks();
    !all.iter().any(lanes::escaped) && !lanes::escaped(last)
}

fn escape(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for c in text.chars() {
        let short = match c {
            '"' => b'"',
            '\\' => b'\\',
            '\n' => b'n',
            '\r' => b'r',
            '\t' => b't',
            '\u{8}' => b'b',
            '\u{c}' => b'f',
            // The last two are line ends that JavaScript does not take in a text.
            '\0'..' ' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let digit = |shift| HEX[(u32::from(c) >> shift) as usize & 15];
                out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
                continue;
            }
            _ => {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
}

/// Escapes what is not safe in HTML in JSON that something else has written: it only stands in texts.
pub fn escape_html(mut json: String) -> String {
    const ESCAPED: [(char, &str); 5] = [
        ('<', "\\u003c"),
        ('>', "\\u003e"),
        ('&', "\\u0026"),
        ('\u{2028}', "\\u2028"),
        ('\u{2029}', "\\u2029"),
    ];
    for (character, escaped) in ESCAPED {
        if json.contains(character) {
            json = json.replace(character, escaped);
        }
    }
    json
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
        assert_eq!(escape_html("{\"a\":\"<b>&\u{2028}\"}".into()), r#"{"a":"\u003cb\u003e\u0026\u2028"}"#);
        assert_eq!(escape_html("[1]".into()), "[1]");
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
