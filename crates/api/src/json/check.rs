//! What is wrong with a JSON text, in the words of Go's `encoding/json` scanner.

use super::MAX_DEPTH;

/// Checks the whole text; the error is Go's (`invalid character 'x' looking for beginning of value`). Where the text ends too
/// early, Go looks at a space first, which words and numbers refuse by themselves.
pub fn check(text: &[u8]) -> Result<(), String> {
    scan(text).or_else(|why| if why == end() { scan(&[text, b" "].concat()) } else { Err(why) })
}

fn scan(text: &[u8]) -> Result<(), String> {
    let mut scanner = Scanner { text, at: 0 };
    let mut open: Vec<u8> = Vec::new();
    'value: loop {
        scanner.begin_value(&mut open)?;
        // A value (or an opening bracket) is read; decide what follows.
        loop {
            let Some(close) = open.last().copied() else {
                return match scanner.next() {
                    None => Ok(()),
                    Some(c) => Err(invalid(c, "after top-level value")),
                };
            };
            match (scanner.next().ok_or_else(end)?, close) {
                (c, close) if c == close => {
                    open.pop();
                }
                (b',', b'}') => {
                    scanner.key()?;
                    continue 'value;
                }
                (b',', _) => continue 'value,
                (c, b'}') => return Err(invalid(c, "after object key:value pair")),
                (c, _) => return Err(invalid(c, "after array element")),
            }
        }
    }
}

fn end() -> String {
    "unexpected end of JSON input".to_owned()
}

/// Go's `quoteChar` with its context.
fn invalid(c: u8, context: &str) -> String {
    let quoted = match c {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        c => {
            let text = crate::field::go_quote(&(c as char).to_string());
            format!("'{}'", &text[1..text.len() - 1])
        }
    };
    format!("invalid character {quoted} {context}")
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn byte(&mut self) -> Option<u8> {
        let b = self.text.get(self.at).copied();
        self.at += 1;
        b
    }

    /// The next byte that is no space.
    fn next(&mut self) -> Option<u8> {
        loop {
            match self.byte()? {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b => return Some(b),
            }
        }
    }

    /// One scalar, or all opening brackets up to the first scalar or empty container.
    fn begin_value(&mut self, open: &mut Vec<u8>) -> Result<(), String> {
        loop {
            let c = self.next().ok_or_else(end)?;
            match c {
                b'{' | b'[' => {
                    open.push(if c == b'{' { b'}' } else { b']' });
                    if open.len() > MAX_DEPTH {
                        return Err("exceeded max depth".to_owned());
                    }
                    let first = self.next().ok_or_else(end)?;
                    self.at -= 1;
                    if (c == b'{' && first == b'}') || (c == b'[' && first == b']') {
                        return Ok(());
                    }
                    if c == b'{' {
                        self.key()?;
                    }
                }
                b'"' => return self.string(),
                b't' => return self.word("true"),
                b'f' => return self.word("false"),
                b'n' => return self.word("null"),
                b'-' | b'0'..=b'9' => return self.number(c),
                c => return Err(invalid(c, "looking for beginning of value")),
            }
        }
    }

    fn key(&mut self) -> Result<(), String> {
        match self.next().ok_or_else(end)? {
            b'"' => self.string()?,
            c => return Err(invalid(c, "looking for beginning of object key string")),
        }
        match self.next().ok_or_else(end)? {
            b':' => Ok(()),
            c => Err(invalid(c, "after object key")),
        }
    }

    fn string(&mut self) -> Result<(), String> {
        loop {
            match self.byte().ok_or_else(end)? {
                b'"' => return Ok(()),
                b'\\' => match self.byte().ok_or_else(end)? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let c = self.byte().ok_or_else(end)?;
                            if !c.is_ascii_hexdigit() {
                                return Err(invalid(c, "in \\u hexadecimal character escape"));
                            }
                        }
                    }
                    c => return Err(invalid(c, "in string escape code")),
                },
                c if c < 0x20 => return Err(invalid(c, "in string literal")),
                _ => {}
            }
        }
    }

    fn word(&mut self, word: &str) -> Result<(), String> {
        for expected in word.bytes().skip(1) {
            let c = self.byte().ok_or_else(end)?;
            if c != expected {
                return Err(invalid(c, &format!("in literal {word} (expecting '{}')", expected as char)));
            }
        }
        Ok(())
    }

    fn number(&mut self, first: u8) -> Result<(), String> {
        let mut c = Some(first);
        if first == b'-' {
            c = self.byte();
            match c.ok_or_else(end)? {
                b'0'..=b'9' => {}
                c => return Err(invalid(c, "in numeric literal")),
            }
        }
        let zero = c == Some(b'0');
        c = self.byte();
        while !zero && matches!(c, Some(b'0'..=b'9')) {
            c = self.byte();
        }
        if c == Some(b'.') {
            c = self.byte();
            match c.ok_or_else(end)? {
                b'0'..=b'9' => {}
                c => return Err(invalid(c, "after decimal point in numeric literal")),
            }
            while matches!(c, Some(b'0'..=b'9')) {
                c = self.byte();
            }
        }
        if matches!(c, Some(b'e' | b'E')) {
            c = self.byte();
            if matches!(c, Some(b'+' | b'-')) {
                c = self.byte();
            }
            match c.ok_or_else(end)? {
                b'0'..=b'9' => {}
                c => return Err(invalid(c, "in exponent of numeric literal")),
            }
            while matches!(c, Some(b'0'..=b'9')) {
                c = self.byte();
            }
        }
        self.at -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::json::Reader;

    #[test]
    fn errors_are_gos() {
        for (text, error) in [
            ("", "unexpected end of JSON input"),
            ("{", "unexpected end of JSON input"),
            ("{\"a\":1", "unexpected end of JSON input"),
            ("a", "invalid character 'a' looking for beginning of value"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("{a:1}", "invalid character 'a' looking for beginning of object key string"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair"),
            ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("[1 2]", "invalid character '2' after array element"),
            ("\"\n\"", "invalid character '\\n' in string literal"),
            ("\"\\x\"", "invalid character 'x' in string escape code"),
            ("nul", "invalid character ' ' in literal null (expecting 'l')"),
            ("[1.", "invalid character ' ' after decimal point in numeric literal"),
            ("[1", "unexpected end of JSON input"),
            ("\"a", "unexpected end of JSON input"),
            ("nulx", "invalid character 'x' in literal null (expecting 'l')"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("01", "invalid character '1' after top-level value"),
        ] {
            assert_eq!(check(text.as_bytes()).unwrap_err(), error, "{text}");
            let mut reader = Reader::new(text.as_bytes());
            assert!(reader.skip().and_then(|()| reader.end()).is_err(), "{text}");
        }
    }

    #[test]
    fn both_readers_agree_on_what_is_json() {
        for text in [
            "{}",
            "[]",
            " [1, -0.5e+3, {\"a\": [null, true, false]}, \"\\u00e9\\n\"] ",
            "0",
            "\"x\"",
            "[[],{}]",
        ] {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
            let mut reader = Reader::new(text.as_bytes());
            assert!(reader.skip().and_then(|()| reader.end()).is_ok(), "{text}");
            let value = Reader::new(text.as_bytes()).value(0).unwrap();
            assert_eq!(
                value,
                serde_json::from_str::<crate::Value>(text)
                    .map(|v| match v {
                        // Go writes floats without a fraction as integers.
                        crate::Value::Array(mut list) if list.len() == 4 => {
                            list[1] = (-500).into();
                            crate::Value::Array(list)
                        }
                        v => v,
                    })
                    .unwrap(),
                "{text}"
            );
        }
        assert!(check("[".repeat(10_001).as_bytes()).unwrap_err().contains("max depth"));
    }
}
