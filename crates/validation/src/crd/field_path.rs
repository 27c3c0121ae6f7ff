//! JSON paths to fields of a schema: `.spec.color`, `.spec['a.b']` (`cel.ValidFieldPath`).

use api::Value;

use crate::value::Get;

/// The field that a path names (as upstream prints it) and its schema, or what is wrong with the path.
pub(super) fn resolve<'a>(
    path: &str,
    schema: &'a Value,
    brackets: bool,
) -> Result<(String, &'a Value), String> {
    const END: &str = "unexpected end of JSON path";
    let mut tokens = Tokens(path);
    let (mut found, mut at) = (String::new(), schema);
    while let Some(token) = tokens.next() {
        let (name, bracket) = match token {
            "[" if !brackets => return Err("array notation is not allowed".to_owned()),
            "[" => {
                let token = tokens.next().ok_or(END)?;
                let inner = token.strip_prefix('\'').and_then(|t| t.strip_suffix('\''));
                let inner = inner.ok_or_else(|| format!("expected single quoted string but got {token}"))?;
                (unescaped(inner).map_err(|why| format!("invalid string literal: {why}"))?, true)
            }
            "." => (tokens.next().ok_or(END)?.to_owned(), false),
            other => return Err(format!("expected [ or . but got: {other}")),
        };
        const UNKNOWN: &str = "does not refer to a valid field";
        if at.entries("properties").next().is_some() {
            at = at.sub("properties").at(&name).ok_or(UNKNOWN)?;
            if !found.is_empty() {
                found.push('.');
            }
            found.push_str(&name);
        } else if at.at("additionalProperties").is_some() {
            at = at.sub("additionalProperties");
            found.push_str(&format!("[{name}]"));
        } else {
            return Err(UNKNOWN.to_owned());
        }
        if bracket {
            match tokens.next() {
                Some("]") => {}
                Some(other) => return Err(format!("expected ] but got {other}")),
                None => return Err(END.to_owned()),
            }
        }
    }
    Ok((found, at))
}

/// Dots, brackets, quoted texts, and what stands between them.
struct Tokens<'a>(&'a str);

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.0;
        let first = text.chars().next()?;
        let end = match first {
            '.' | '[' | ']' => 1,
            '\'' => {
                let bytes = text.as_bytes();
                let close = (1..bytes.len()).find(|i| bytes[*i] == b'\'' && bytes[i - 1] != b'\\');
                close.map_or(text.len(), |i| i + 1)
            }
            _ => text.find(['.', '[', ']']).unwrap_or(text.len()),
        };
        let (token, rest) = text.split_at(end);
        self.0 = rest;
        Some(token)
    }
}

fn unescaped(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next() {
            Some('a') => '\u{7}',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\u{b}',
            Some(c @ ('\'' | '\\')) => c,
            Some(other) => return Err(format!("invalid escape char \\{other}")),
            None => '\\',
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn fields_are_found() {
        let schema = serde_json::json!({"properties": {"a.b": {"properties": {"c": {"type": "string"}}}, "m": {
            "additionalProperties": {"type": "integer"}}}});
        assert_eq!(resolve("['a.b'].c", &schema, true).unwrap().1["type"], "string");
        assert_eq!(resolve(".m.x", &schema, false).unwrap().0, "m[x]");
        assert_eq!(resolve(".m.x.y", &schema, false).unwrap_err(), "does not refer to a valid field");
        assert_eq!(resolve("a b", &schema, false).unwrap_err(), "expected [ or . but got: a b");
        assert_eq!(resolve(".", &schema, false).unwrap_err(), "unexpected end of JSON path");
    }
}
