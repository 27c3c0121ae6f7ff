//! CEL's tokens.

use super::Mistake;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Name,
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

const SIGNS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",", "(", ")",
    "[", "]", "{", "}",
];

/// All tokens of a text, with one for its end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Mistake> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        // Names of fields may be quoted.
        if let Some(inner) = rest.strip_prefix('`')
            && let Some(length) = inner.find('`')
        {
            found.push(Token { kind: Kind::Name, text: &inner[..length], at });
            at += length + 2;
            continue;
        }
        let (kind, length) = if let Some((kind, length)) = quoted(rest) {
            (kind, length)
        } else if c.is_ascii_digit() || (c == '.' && rest[1..].starts_with(|d: char| d.is_ascii_digit())) {
            number(rest)
        } else if c.is_ascii_alphabetic() || c == '_' {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            (Kind::Name, rest.find(|c| !is_name(c)).unwrap_or(rest.len()))
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (Kind::Sign, sign.len())
        } else {
            let bad = &rest[..c.len_utf8()];
            return Err(Mistake { at, what: format!("Syntax error: token recognition error at: '{bad}'") });
        };
        found.push(Token { kind, text: &rest[..length], at });
        at += length;
    }
    found.push(Token { kind: Kind::End, text: "<EOF>", at: text.len() });
    Ok(found)
}

/// A text or bytes: `'a'`, `r"""b"""`, `b'c'`.
fn quoted(rest: &str) -> Option<(Kind, usize)> {
    // Two letters may stand before the quote: to look further for every token would read the text once per token.
    let prefix = rest.bytes().take(3).position(|b| matches!(b, b'\'' | b'"'))?;
    let (mut raw, mut bytes) = (false, false);
    for c in rest[..prefix].chars() {
        match c {
            'r' | 'R' if !raw => raw = true,
            'b' | 'B' if !bytes => bytes = true,
            _ => return None,
        }
    }
    let body = &rest[prefix..];
    let one = &body[..1];
    let quote = if body.starts_with(&one.repeat(3)) { one.repeat(3) } else { one.to_owned() };
    let mut at = quote.len();
    while at < body.len() {
        if body[at..].starts_with(&quote) {
            let kind = if bytes { Kind::Bytes } else { Kind::Text };
            return Some((kind, prefix + at + quote.len()));
        }
        let c = body[at..].chars().next()?;
        if c == '\n' && quote.len() == 1 {
            return None;
        }
        at += c.len_utf8();
        if c == '\\' && !raw {
            at += body[at..].chars().next()?.len_utf8();
        }
    }
    None
}

fn number(rest: &str) -> (Kind, usize) {
    let digits = |from: usize| rest[from..].bytes().take_while(u8::is_ascii_digit).count();
    let unsigned = |end: usize| {
        if rest[end..].starts_with(['u', 'U']) { (Kind::Uint, end + 1) } else { (Kind::Int, end) }
    };
    if let Some(hex) = rest.strip_prefix("0x") {
        return unsigned(2 + hex.bytes().take_while(u8::is_ascii_hexdigit).count());
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
