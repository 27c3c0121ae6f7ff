//! JSON as Go prints it: four spaces, and `<`, `>`, `&` escaped.

use serde::Serialize;
use serde_json::Value;

/// The value over several lines, with a final newline.
pub(crate) fn to_string(v: &Value) -> String {
    indented(v, b"    ")
}

/// The value over several lines with the given indent, with a final newline.
pub(crate) fn indented(v: &Value, indent: &[u8]) -> String {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    if v.serialize(&mut serializer).is_err() {
        return String::new();
    }
    out.push(b'\n');
    escape_html(&String::from_utf8_lossy(&out))
}

/// The value on one line, without a newline.
pub(crate) fn compact(v: &Value) -> String {
    escape_html(&v.to_string())
}

/// `<`, `>`, `&` and the two line separators of Unicode only occur in strings, so a plain
/// replacement is enough.
fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out
}
