//! Media types of headers, as strict as Go's `mime.ParseMediaType` reads them.

/// A media type in lower case without its parameters; `None` for what is none, or has parameters that are none.
pub(super) fn essence(value: &str) -> Option<String> {
    let (name, mut rest) = value.split_at(value.find(';').unwrap_or(value.len()));
    let name = name.trim().to_lowercase();
    let mut words = name.split('/');
    let whole = words.by_ref().take(2).all(is_token) && words.next().is_none();
    if !whole {
        return None;
    }
    let mut seen: Vec<(String, String)> = Vec::new();
    loop {
        rest = rest.trim_start();
        // A semicolon at the end is forgiven.
        if rest.is_empty() || rest.trim() == ";" {
            return Some(name);
        }
        let (key, value, behind) = parameter(rest)?;
        if seen.iter().any(|(k, v)| *k == key && *v != value) {
            return None;
        }
        seen.push((key, value));
        rest = behind;
    }
}

fn token_char(c: char) -> bool {
    matches!(c, '!'..='~') && !"()<>@,;:\\\"/[]?=".contains(c)
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(token_char)
}

/// What begins with a token, cut behind it.
fn token(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c| !token_char(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// One `; key=value`, and what follows it.
fn parameter(text: &str) -> Option<(String, String, &str)> {
    let (key, rest) = token(text.strip_prefix(';')?.trim_start())?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let (value, rest) = match rest.strip_prefix('"') {
        Some(quoted) => unquoted(quoted)?,
        None => token(rest).map(|(value, rest)| (value.to_owned(), rest))?,
    };
    Some((key.to_lowercase(), value, rest))
}

/// A quoted value up to its closing quote.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\r' | '\n' => return None,
            '\\' => match text[at + 1..].chars().next() {
                // Only what would end a token needs a backslash; before anything else it stands for itself.
                Some(next) if !token_char(next) && next.is_ascii_graphic() => {
                    value.push(next);
                    chars.next();
                }
                _ => value.push('\\'),
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::essence;

    #[test]
    fn parameters_must_be_parameters() {
        let json = Some("application/json".to_owned());
        for fine in [
            "application/json",
            " Application/JSON ; charset=utf-8",
            "application/json;",
            "application/json;a=\"b;\\\"c\"",
            "application/json;a=b;a=b",
        ] {
            assert_eq!(essence(fine), json, "{fine}");
        }
        for bad in
            ["application/json;;", "application/json; charset", "application/json;=x", "a/b/c", "a/", ""]
        {
            assert_eq!(essence(bad), None, "{bad}");
        }
        assert_eq!(essence("application/json;a=b;a=c"), None);
        assert_eq!(essence("application/json;a=\"b"), None);
    }
}
