//! CEL's tokens.

use super::Mistake;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Name,
    /// A name between backticks.
    Quoted,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Sign,
    End,
}

/// A token and where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl Token<'_> {
    /// Where it ends; the end of the text has no length.
    pub(super) fn end(&self) -> usize {
        match self.kind {
            Kind::End => self.at,
            Kind::Quoted => self.at + self.text.len() + 2,
            _ => self.at + self.text.len(),
        }
    }
}

const SIGNS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",", "(", ")",
    "[", "]", "{", "}",
];

/// All tokens of a text, with one for its end, and what is between them that is none.
pub(super) fn tokens(text: &str) -> (Vec<Token<'_>>, Vec<Mistake>) {
    let (mut found, mut mistakes) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{c}') {
            at += 1;
            continue;
        }
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        if let Some(length) = escaped_name(rest) {
            found.push(Token { kind: Kind::Quoted, text: &rest[1..length - 1], at });
            at += length;
            continue;
        }
        let (kind, length) = match quoted(rest) {
            Quoted::Whole(kind, length) => (kind, length),
            Quoted::Broken(length) => {
                mistakes.push(unrecognized(at, &rest[..length]));
                at += length;
                continue;
            }
            Quoted::No
                if c.is_ascii_digit()
                    || (c == '.' && rest[1..].starts_with(|d: char| d.is_ascii_digit())) =>
            {
                number(rest)
            }
            Quoted::No if c.is_ascii_alphabetic() || c == '_' => {
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                (Kind::Name, rest.find(|c| !is_name(c)).unwrap_or(rest.len()))
            }
            Quoted::No => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => (Kind::Sign, sign.len()),
                None => {
                    // The second character of what could have been an operator goes with the first.
                    let count = if matches!(c, '=' | '&' | '|') { 2 } else { 1 };
                    let bad: usize = rest.chars().take(count).map(char::len_utf8).sum();
                    mistakes.push(unrecognized(at, &rest[..bad]));
                    at += bad;
                    continue;
                }
            },
        };
        found.push(Token { kind, text: &rest[..length], at });
        at += length;
    }
    found.push(Token { kind: Kind::End, text: "<EOF>", at: text.len() });
    (found, mistakes)
}

fn unrecognized(at: usize, bad: &str) -> Mistake {
    let bad = bad.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t");
    Mistake { at, what: format!("Syntax error: token recognition error at: '{bad}'") }
}

/// The length of a name between backticks.
fn escaped_name(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('`')?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ' ');
    let length = inner.find(|c| !is_part(c))?;
    (length > 0 && inner[length..].starts_with('`')).then_some(length + 2)
}

enum Quoted {
    /// A text or bytes: `'a'`, `r"""b"""`, `b'c'`.
    Whole(Kind, usize),
    /// It does not end; this much of it was read in vain.
    Broken(usize),
    /// Nothing quoted begins here.
    No,
}

fn quoted(rest: &str) -> Quoted {
    // Two letters may stand before the quote: to look further for every token would read the text once per token.
    let Some(prefix) = rest.bytes().take(3).position(|b| matches!(b, b'\'' | b'"')) else {
        return Quoted::No;
    };
    let (mut raw, mut bytes) = (false, false);
    for c in rest[..prefix].chars() {
        match c {
            'r' | 'R' if !raw => raw = true,
            'b' | 'B' if !bytes => bytes = true,
            _ => return Quoted::No,
        }
    }
    let kind = if bytes { Kind::Bytes } else { Kind::Text };
    let body = &rest[prefix..];
    let one = &body[..1];
    let three = one.repeat(3);
    if body.starts_with(&three) {
        return match closed(body, &three, raw) {
            Ok(length) => Quoted::Whole(kind, prefix + length),
            // Then it is an empty one, and another begins.
            Err(_) => Quoted::Whole(kind, prefix + 2),
        };
    }
    match closed(body, one, raw) {
        Ok(length) => Quoted::Whole(kind, prefix + length),
        // The letters before it are a name.
        Err(_) if prefix > 0 => Quoted::No,
        Err(length) => Quoted::Broken(length),
    }
}

/// The length with both quotes, or up to the character that cannot be.
fn closed(body: &str, quote: &str, raw: bool) -> Result<usize, usize> {
    let mut at = quote.len();
    while let Some(c) = body[at..].chars().next() {
        if body[at..].starts_with(quote) {
            return Ok(at + quote.len());
        }
        let next = at + c.len_utf8();
        if matches!(c, '\n' | '\r') && quote.len() == 1 {
            return Err(next);
        }
        at = if c == '\\' && !raw { next + escape(&body[next..]).map_err(|bad| next + bad)? } else { next };
    }
    Err(body.len())
}

/// The length of what follows a backslash, or up to the character that cannot be.
fn escape(rest: &str) -> Result<usize, usize> {
    let Some(c) = rest.chars().next() else { return Err(0) };
    let digits = |from: usize, count: usize, radix: u32| {
        for (i, d) in rest[from..].chars().take(count).enumerate() {
            if !d.is_digit(radix) {
                return Err(from + i + d.len_utf8());
            }
        }
        if rest.len() < from + count { Err(rest.len()) } else { Ok(from + count) }
    };
    match c {
        'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '"' | '\'' | '\\' | '?' | '`' => Ok(1),
        'x' | 'X' => digits(1, 2, 16),
        'u' => digits(1, 4, 16),
        'U' => digits(1, 8, 16),
        '0'..='3' => digits(1, 2, 8),
        other => Err(other.len_utf8()),
    }
}

fn number(rest: &str) -> (Kind, usize) {
    let digits = |from: usize| rest[from..].bytes().take_while(u8::is_ascii_digit).count();
    let unsigned = |end: usize| {
        if rest[end..].starts_with(['u', 'U']) { (Kind::Uint, end + 1) } else { (Kind::Int, end) }
    };
    let hex = rest.strip_prefix("0x").map_or(0, |hex| hex.bytes().take_while(u8::is_ascii_hexdigit).count());
    if hex > 0 {
        return unsigned(2 + hex);
    }
    let mut end = digits(0);
    let mut is_double = false;
    if rest[end..].starts_with('.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
        is_double = true;
    }
    if rest[end..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
        if digits(end + 1 + sign) > 0 {
            end += 1 + sign + digits(end + 1 + sign);
            is_double = true;
        }
    }
    if is_double { (Kind::Double, end) } else { unsigned(end) }
}
