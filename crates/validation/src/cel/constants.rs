//! Constants that functions refuse (`ValidateDurationLiterals` and its like of `cel-go/cel`).

use super::Mistake;
use super::lex::Kind;
use super::parse::{Node, What};

/// Finds them in an expression that is right otherwise.
pub(super) fn check(node: &Node<'_>, mistakes: &mut Vec<Mistake>) {
    let What::Call(of, name, arguments) = &node.what else {
        return node.inner().into_iter().for_each(|inner| check(inner, mistakes));
    };
    arguments.iter().for_each(|argument| check(argument, mistakes));
    let constant = match (of, *name, &arguments[..]) {
        (None, "duration", [text]) => Some((text, is_duration as fn(&str) -> bool)),
        (None, "timestamp", [text]) => Some((text, is_timestamp as _)),
        (Some(_), "matches", [text]) | (None, "matches", [_, text]) => Some((text, is_pattern as _)),
        _ => None,
    };
    if let Some((text, is_right)) = constant
        && let What::Literal(Kind::Text, quoted) = text.what
        && plain(quoted).is_some_and(|text| !is_right(text))
    {
        mistakes.push(Mistake { at: text.at, what: format!("invalid {name} argument") });
    }
    of.iter().for_each(|of| check(of, mistakes));
}

fn is_duration(text: &str) -> bool {
    api::decode::parse_duration(text).is_some()
}

fn is_timestamp(text: &str) -> bool {
    api::time::parse(text).is_ok()
}

fn is_pattern(text: &str) -> bool {
    apiextensions::pattern::problem(text).is_none()
}

/// The text between quotes; `None` where it has escapes.
fn plain(quoted: &str) -> Option<&str> {
    let raw = quoted.strip_prefix(['r', 'R']);
    let text = raw.unwrap_or(quoted);
    if raw.is_none() && text.contains('\\') {
        return None;
    }
    let long = ["\"\"\"", "'''"].into_iter().find(|quote| text.len() >= 6 && text.starts_with(quote));
    let width = if long.is_some() { 3 } else { 1 };
    text.get(width..text.len().checked_sub(width)?)
}
