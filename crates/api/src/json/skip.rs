//! Skipping JSON values: checked in full, kept nowhere. Most of an object is skipped most of the time.

use super::MAX_DEPTH;
use super::lanes;

/// The first byte at or behind `at` that means something in a string: a quote, a backslash, a control character; the end
/// when there is none.
pub(super) fn plain(text: &[u8], mut at: usize) -> usize {
    while let Some(lanes) = text.get(at..).and_then(<[u8]>::first_chunk) {
        let found = lanes::meaning(lanes);
        at += found;
        if found < lanes.len() {
            return at;
        }
    }
    while !matches!(text.get(at), Some(b'"' | b'\\' | 0..0x20) | None) {
        at += 1;
    }
    at
}

/// The first byte at or behind `at` that is no space.
fn space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Behind the string whose quote is before `at`.
fn string(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = plain(text, at);
        match *text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => match *text.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                b'u' if text.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => at += 6,
                _ => return None,
            },
            _ => return None,
        }
    }
}

/// Behind a key and its colon.
fn key(text: &[u8], at: usize) -> Option<usize> {
    let at = space(text, at);
    if *text.get(at)? != b'"' {
        return None;
    }
    let at = space(text, string(text, at + 1)?);
    (*text.get(at)? == b':').then_some(at + 1)
}

/// Behind the digits at `at`, of which there must be one.
fn digits(text: &[u8], at: usize) -> Option<usize> {
    let count = text.get(at..)?.iter().take_while(|b| b.is_ascii_digit()).count();
    (count > 0).then_some(at + count)
}

/// Behind the number that begins at `at`.
pub(super) fn number(text: &[u8], mut at: usize) -> Option<usize> {
    if text.get(at) == Some(&b'-') {
        at += 1;
    }
    at = if text.get(at) == Some(&b'0') { at + 1 } else { digits(text, at)? };
    if text.get(at) == Some(&b'.') {
        at = digits(text, at + 1)?;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(text.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = digits(text, at)?;
    }
    Some(at)
}

/// The open brackets, a bit for each: whether it is a brace. Few objects nest deeper than there are bits.
#[derive(Default)]
struct Open {
    bits: u128,
    depth: usize,
    outer: Vec<u128>,
}

impl Open {
    fn push(&mut self, brace: bool) -> Option<()> {
        if self.depth > 0 && self.depth.is_multiple_of(128) {
            self.outer.push(self.bits);
        }
        self.depth += 1;
        self.bits = self.bits << 1 | u128::from(brace);
        (self.depth <= MAX_DEPTH).then_some(())
    }

    fn in_object(&self) -> bool {
        self.bits & 1 == 1
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.bits = match self.outer.pop_if(|_| self.depth > 0 && self.depth.is_multiple_of(128)) {
            Some(bits) => bits,
            None => self.bits >> 1,
        };
    }
}

/// Behind the value that begins at `at` or after spaces; nothing when that is no JSON, or deeper than [`MAX_DEPTH`].
pub(super) fn value(text: &[u8], mut at: usize) -> Option<usize> {
    let mut open = Open::default();
    loop {
        at = space(text, at);
        at = match *text.get(at)? {
            b'"' => string(text, at + 1)?,
            b'{' => {
                open.push(true)?;
                at = space(text, at + 1);
                if *text.get(at)? != b'}' {
                    at = key(text, at)?;
                    continue;
                }
                open.pop();
                at + 1
            }
            b'[' => {
                open.push(false)?;
                at = space(text, at + 1);
                if *text.get(at)? != b']' {
                    continue;
                }
                open.pop();
                at + 1
            }
            b't' => literal(text, at, b"true")?,
            b'f' => literal(text, at, b"false")?,
            b'n' => literal(text, at, b"null")?,
            _ => number(text, at)?,
        };
        // A value has ended, and maybe what holds it.
        while open.depth > 0 {
            at = space(text, at);
            match (*text.get(at)?, open.in_object()) {
                (b',', true) => {
                    at = key(text, at + 1)?;
                    break;
                }
                (b',', false) => {
                    at += 1;
                    break;
                }
                (b'}', true) | (b']', false) => {
                    at += 1;
                    open.pop();
                }
                _ => return None,
            }
        }
        if open.depth == 0 {
            return Some(at);
        }
    }
}

fn literal(text: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    text.get(at..)?.starts_with(word).then_some(at + word.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(text: &str) -> Option<&str> {
        value(text.as_bytes(), 0).map(|end| &text[end..])
    }

    #[test]
    fn a_value_ends_where_json_says() {
        for (text, rest) in [
            (r#" "a\"b\\" ,"#, " ,"),
            (r#"{"a" : [1, {"b]": "}"}, []], "c":{}}x"#, "x"),
            ("-1.5e+3]", "]"),
            ("true,", ","),
            ("[[[]],null]", ""),
            (r#""\u00e9é and more than eight""#, ""),
        ] {
            assert_eq!(skipped(text), Some(rest), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":1,}",
            "{a:1}",
            "{1:1}",
            "[}",
            "{]",
            "[1}",
            "{\"a\":1]",
            "]",
            "\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\u12",
            "\"\n\"",
            "tru",
            "-",
            "1.",
            "1e",
            ",",
            "{\"a\" 1}",
            "[1 2]",
        ] {
            assert_eq!(skipped(text), None, "{text}");
        }
    }

    #[test]
    fn deep_values_are_skipped_up_to_the_limit() {
        for depth in [127, 128, 129, 256, 257, 1000, MAX_DEPTH] {
            let open: String = (0..depth).map(|i| if i % 3 == 0 { "[" } else { "{\"a\":" }).collect();
            let close: String = (0..depth).rev().map(|i| if i % 3 == 0 { "]" } else { "}" }).collect();
            assert_eq!(skipped(&format!("{open}1{close}!")), Some("!"), "{depth}");
            let wrong = close.replacen(']', "}", 1);
            assert_eq!(skipped(&format!("{open}1{wrong}")), None, "{depth}");
        }
        assert_eq!(skipped(&format!("{}1", "[".repeat(MAX_DEPTH + 1))), None);
    }
}
