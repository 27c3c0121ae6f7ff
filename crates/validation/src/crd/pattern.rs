//! Regular expressions of schemas: whether Go takes them, and what it says when not.

/// What is wrong with an expression, in the words of Go's `regexp.Compile`.
pub(super) fn problem(pattern: &str) -> Option<String> {
    if let Some(count) = bad_repeat(pattern) {
        return Some(format!("error parsing regexp: invalid repeat count: `{count}`"));
    }
    regex::Regex::new(pattern).err()?;
    let (what, part) = diagnosis(pattern);
    Some(format!("error parsing regexp: {what}: `{part}`"))
}

/// The first count that Go does not take: more than a thousand times, or at most fewer times than at least.
fn bad_repeat(pattern: &str) -> Option<&str> {
    const REPEAT_MAX: u64 = 1000;
    let mut in_class = false;
    let mut chars = pattern.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '[' => in_class = true,
            ']' => in_class = false,
            '{' if !in_class => {
                let Some(end) = pattern[i..].find('}') else { continue };
                let inner = &pattern[i + 1..i + end];
                let (least, most) = inner.split_once(',').unwrap_or((inner, inner));
                let is_count = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
                if least.is_empty() || !is_count(least) || !is_count(most) {
                    continue;
                }
                let least = least.parse().unwrap_or(u64::MAX);
                let most = if most.is_empty() { least } else { most.parse().unwrap_or(u64::MAX) };
                if least > REPEAT_MAX || most > REPEAT_MAX || most < least {
                    return Some(&pattern[i..=i + end]);
                }
            }
            _ => {}
        }
    }
    None
}

fn diagnosis(pattern: &str) -> (&'static str, &str) {
    let mut open = 0;
    let mut chars = pattern.char_indices().peekable();
    // Whether a repetition may follow.
    let mut is_atom = false;
    while let Some((i, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                None => return ("trailing backslash at end of expression", ""),
                Some((j, e)) if e.is_ascii_alphabetic() && !"AbBCdDfnpPQrsStvwWxz".contains(e) => {
                    return ("invalid escape sequence", &pattern[i..j + e.len_utf8()]);
                }
                Some(_) => is_atom = true,
            },
            '[' => {
                let start = i;
                let mut first = true;
                if chars.peek().is_some_and(|(_, c)| *c == '^') {
                    chars.next();
                }
                let closed = loop {
                    match chars.next() {
                        None => break false,
                        Some((_, ']')) if !first => break true,
                        Some((_, '\\')) => {
                            chars.next();
                        }
                        Some((j, low)) => {
                            let rest = &pattern[j + low.len_utf8()..];
                            if let Some(high) = rest.strip_prefix('-').and_then(|r| r.chars().next())
                                && high != ']'
                                && high < low
                            {
                                let end = j + low.len_utf8() + 1 + high.len_utf8();
                                return ("invalid character class range", &pattern[j..end]);
                            }
                        }
                    }
                    first = false;
                };
                if !closed {
                    return ("missing closing ]", &pattern[start..]);
                }
                is_atom = true;
            }
            '(' => {
                open += 1;
                is_atom = false;
                let rest = &pattern[i..];
                if ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|look| rest.starts_with(look)) {
                    let end = if rest.starts_with("(?<") { 4 } else { 3 };
                    return ("invalid or unsupported Perl syntax", &rest[..end]);
                }
                if rest.starts_with("(?") {
                    while chars.next_if(|(_, c)| !matches!(c, ':' | ')' | '>')).is_some() {}
                    chars.next();
                }
            }
            ')' => {
                if open == 0 {
                    return ("unexpected )", pattern);
                }
                open -= 1;
                is_atom = true;
            }
            '*' | '+' | '?' => {
                if !is_atom {
                    return ("missing argument to repetition operator", &pattern[i..i + 1]);
                }
                chars.next_if(|(_, c)| *c == '?');
                if let Some((j, '*' | '+' | '?')) = chars.peek().copied() {
                    return ("invalid nested repetition operator", &pattern[i..j + 1]);
                }
            }
            '|' => is_atom = false,
            _ => is_atom = true,
        }
    }
    if open > 0 { ("missing closing )", pattern) } else { ("invalid or unsupported Perl syntax", pattern) }
}

#[cfg(test)]
mod tests {
    use super::problem;

    #[test]
    fn mistakes_have_gos_names() {
        assert_eq!(problem("^[a-z]+$"), None);
        let says = |pattern| problem(pattern).unwrap();
        assert_eq!(says("a{1,2000}"), "error parsing regexp: invalid repeat count: `{1,2000}`");
        assert_eq!(problem("a{1,1000}[{1,2000}]"), None);
        assert_eq!(says("("), "error parsing regexp: missing closing ): `(`");
        assert_eq!(says("a)"), "error parsing regexp: unexpected ): `a)`");
        assert_eq!(says("x[a"), "error parsing regexp: missing closing ]: `[a`");
        assert_eq!(says("*a"), "error parsing regexp: missing argument to repetition operator: `*`");
        assert_eq!(says("[z-a]"), "error parsing regexp: invalid character class range: `z-a`");
        assert_eq!(says("(?!a)"), "error parsing regexp: invalid or unsupported Perl syntax: `(?!`");
    }
}
