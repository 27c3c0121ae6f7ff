//! Values as YAML: keys sorted, lists not indented, YAML 1.1 words quoted.

use api::Value;

/// Writes a value.
pub(super) fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => object(&mut out, map, 0),
        Value::Array(list) if !list.is_empty() => array(&mut out, list, 0),
        other => {
            scalar(&mut out, other, 0);
            out.push('\n');
        }
    }
    out
}

fn indent(out: &mut String, level: usize) {
    for _ in 0..level {
        out.push_str("  ");
    }
}

fn object(out: &mut String, map: &api::Object, level: usize) {
    for (i, (key, value)) in map.iter().enumerate() {
        if i > 0 {
            indent(out, level);
        }
        if simple_key(key) {
            string(out, key, level, false);
            out.push(':');
            entry(out, value, level, true);
        } else {
            out.push_str("? ");
            string(out, key, level + 1, true);
            out.push('\n');
            indent(out, level);
            out.push(':');
            entry(out, value, level, false);
        }
    }
}

fn array(out: &mut String, list: &[Value], level: usize) {
    for (i, item) in list.iter().enumerate() {
        if i > 0 {
            indent(out, level);
        }
        out.push('-');
        entry(out, item, level, false);
    }
}

/// Whether a key may stand before its colon; others are written behind a question mark.
fn simple_key(key: &str) -> bool {
    key.len() <= 128 && !key.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
}

/// What follows a simple key's colon, or a dash, or the colon of another key.
fn entry(out: &mut String, value: &Value, level: usize, of_map: bool) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            if of_map {
                out.push('\n');
                indent(out, level + 1);
            } else {
                out.push(' ');
            }
            object(out, map, level + 1);
        }
        Value::Array(list) if !list.is_empty() => {
            if of_map {
                out.push('\n');
                indent(out, level);
                array(out, list, level);
            } else {
                out.push(' ');
                array(out, list, level + 1);
            }
        }
        other => {
            out.push(' ');
            scalar(out, other, level + 1);
            out.push('\n');
        }
    }
}

fn scalar(out: &mut String, value: &Value, level: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => out.push_str(&n.to_string()),
        Value::String(s) => string(out, s, level, true),
        Value::Object(_) => out.push_str("{}"),
        Value::Array(_) => out.push_str("[]"),
    }
}

/// Writes a text; `breaks` says whether it may go on in the next line.
fn string(out: &mut String, text: &str, level: usize, breaks: bool) {
    let multi = text.contains('\n') && !text.trim_start_matches('\n').is_empty();
    // A reader takes the separators of Unicode for line breaks, and a byte order mark for none of the text.
    let escaped = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    // Tabs are escaped, too: next to a line break they would be lost.
    let printable = text.chars().all(|c| c == '\n' || !escaped(c));
    if multi && printable && !text.starts_with(' ') && !text.contains(" \n") {
        block(out, text, level);
    } else if !printable || text.contains('\n') {
        double_quoted(out, text, level, breaks);
    } else if plain(text) {
        folded(out, text, level, breaks);
    } else if resolves(text) {
        // A word that would read as another type.
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push('\'');
        folded(out, &text.replace('\'', "''"), level, breaks);
        out.push('\'');
    }
}

/// Lines longer than this go on in the next one, at a space (libyaml's `best_width`).
const WIDTH: usize = 80;

/// How many characters stand in the last line.
fn column(out: &str) -> usize {
    out.rsplit('\n').next().map_or(0, |line| line.chars().count())
}

/// Writes a text whose spaces may become line breaks. A break next to a space would be lost to readers.
fn folded(out: &mut String, text: &str, level: usize, breaks: bool) {
    let mut column = column(out);
    let mut behind_space = false;
    for (at, c) in text.char_indices() {
        let space = c == ' ';
        let next = text.get(at + 1..).filter(|_| space);
        let inside = at > 0 && next.is_some_and(|n| !n.is_empty() && !n.starts_with(' '));
        if breaks && space && !behind_space && inside && column > WIDTH {
            out.push('\n');
            indent(out, level);
            column = level * 2;
        } else {
            out.push(c);
            column += 1;
        }
        behind_space = space;
    }
}

fn block(out: &mut String, text: &str, level: usize) {
    out.push('|');
    if text.starts_with('\n') {
        out.push('2');
    }
    let body = text.strip_suffix('\n');
    match body {
        None => out.push('-'),
        Some(b) if b.ends_with('\n') => out.push('+'),
        Some(_) => {}
    }
    for line in body.unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            indent(out, level.max(1));
            out.push_str(line);
        }
    }
}

fn double_quoted(out: &mut String, text: &str, level: usize, breaks: bool) {
    use std::fmt::Write;
    out.push('"');
    // Where the line begins: a place in bytes, whatever stands in it.
    let mut start = out.rfind('\n').map_or(0, |end| end + 1);
    let mut behind_space = false;
    for (at, c) in text.char_indices() {
        let inside = at > 0 && at + c.len_utf8() < text.len();
        let fold = breaks && c == ' ' && !behind_space && inside && out[start..].chars().count() > WIDTH;
        behind_space = c == ' ';
        if fold {
            out.push('\n');
            start = out.len();
            indent(out, level);
            if text[at + 1..].starts_with(' ') {
                out.push('\\');
            }
            continue;
        }
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\0"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            '\x1b' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{feff}' => out.push_str("\\uFEFF"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            c if c.is_control() => {
                let _ = write!(out, "\\x{:02X}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Whether the text would read as something else than a string (YAML 1.1, as Go's library resolves it).
fn resolves(text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    let lower = text.to_ascii_lowercase();
    if matches!(
        lower.as_str(),
        "y" | "n"
            | "yes"
            | "no"
            | "on"
            | "off"
            | "true"
            | "false"
            | "null"
            | "~"
            | ".nan"
            | ".inf"
            | "-.inf"
            | "+.inf"
            | "<<"
    ) {
        return true;
    }
    number_like(text) || timestamp_like(text)
}

fn number_like(text: &str) -> bool {
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !bare.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let plain: String = bare.chars().filter(|c| *c != '_').collect();
    // Go takes the letter of a radix in both cases.
    let lower = plain.to_ascii_lowercase();
    let radix = |prefix: &str, digits: fn(&char) -> bool| {
        lower.strip_prefix(prefix).is_some_and(|d| !d.is_empty() && d.chars().all(|c| digits(&c)))
    };
    radix("0x", char::is_ascii_hexdigit)
        || radix("0b", |c| matches!(c, '0' | '1'))
        || radix("0o", |c| ('0'..='7').contains(c))
        || (plain.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'))
            && plain.parse::<f64>().is_ok())
        || (plain.contains(':')
            && plain.split(':').all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit())))
}

fn timestamp_like(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |r: std::ops::Range<usize>| bytes.get(r).is_some_and(|b| b.iter().all(u8::is_ascii_digit));
    bytes.len() >= 8 && digits(0..4) && bytes[4] == b'-' && {
        let date: Vec<&str> = text.splitn(3, '-').collect();
        date.len() == 3
            && date[1].len() <= 2
            && date[2].starts_with(|c: char| c.is_ascii_digit())
            && text
                .chars()
                .all(|c| c.is_ascii_digit() || matches!(c, '-' | ':' | 'T' | 't' | 'Z' | '.' | '+' | ' '))
    }
}

/// Whether the text may stand without quotes.
fn plain(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    if resolves(text) || text.starts_with(' ') || text.ends_with(' ') {
        return false;
    }
    let second_space = text[first.len_utf8()..].chars().next().is_none_or(|c| c == ' ' || c == '\t');
    let indicator = match first {
        '-' | '?' | ':' => second_space,
        ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
            true
        }
        _ => false,
    };
    !(indicator
        || text.contains(": ")
        || text.contains(" #")
        || text.ends_with(':')
        || text.contains('\t')
        || text.starts_with("---")
        || text.starts_with("..."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn as_go_writes_it() {
        let value = json!({
            "a": "1", "b": "yes", "c": {"x": [1, {"y": "z"}], "e": {}}, "d": "two\nlines\n", "e": "x: y",
            "t": "2020-01-01T00:00:00Z", "u": ""
        });
        assert_eq!(
            write(&value),
            "a: \"1\"\nb: \"yes\"\nc:\n  e: {}\n  x:\n  - 1\n  - \"y\": z\nd: |\n  two\n  lines\ne: 'x: y'\nt: \"2020-01-01T00:00:00Z\"\nu: \"\"\n"
        );
    }

    #[test]
    fn long_lines_are_folded() {
        let word = "x".repeat(39);
        let text = format!("{word} {word} {word}  y");
        let folded = |quote: &str| format!("a: {quote}{word} {word}\n  {word}  y{quote}\n");
        assert_eq!(write(&json!({"a": text})), folded(""));
        let quoted = format!("{word}: {word} {word}  y");
        assert_eq!(write(&json!({"a": quoted})), format!("a: '{word}: {word}\n  {word}  y'\n"));
        let tabbed = format!("{word}\u{1}{word} {word}");
        assert_eq!(write(&json!({"a": tabbed})), format!("a: \"{word}\\x01{word}\n  {word}\"\n"));
        assert_eq!(super::super::read(write(&json!({"a": text})).as_bytes()).unwrap().value["a"], text);
    }

    /// They were written as if they were words, and read as something else.
    #[test]
    fn keys_of_several_lines_and_long_ones_are_marked() {
        let long = "k".repeat(129);
        let value = json!({"a\nb": {"x": [1]}, &long: [{"y": 2}, 3]});
        let text = format!("? |-\n  a\n  b\n: x:\n  - 1\n? {long}\n: - \"y\": 2\n  - 3\n");
        assert_eq!(write(&value), text);
        let read = super::super::read(text.as_bytes()).unwrap();
        assert_eq!(read.value, value);
        assert!(read.twice.is_empty());
    }
}
