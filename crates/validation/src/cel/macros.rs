//! The macros that go over lists, maps and optional values (`cel-go/parser/macro.go`, `cel-go/ext`).

use super::Mistake;
use super::parse::{Node, What};

/// What a loop gathers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loop {
    /// Whether a condition holds for all, or for some.
    All,
    /// Whether it holds for exactly one.
    One,
    List,
    Map,
    MapEntry,
}

/// A call that is a macro.
pub(super) enum Macro<'n, 'a> {
    /// Over the items of a list or the entries of a map; without a body the items stay as they are.
    Loop { variables: Vec<&'a str>, what: Loop, filter: Option<&'n Node<'a>>, body: Option<&'n Node<'a>> },
    /// Of a value that may be there.
    Optional { variable: &'a str, value: &'n Node<'a>, flat: bool },
}

/// How many variables a macro with that many arguments has.
fn variables(name: &str, arguments: usize) -> Option<usize> {
    match (name, arguments) {
        ("all" | "exists" | "exists_one" | "existsOne" | "filter" | "optMap" | "optFlatMap", 2) => Some(1),
        ("map", 2 | 3) => Some(1),
        ("all" | "exists" | "exists_one" | "existsOne", 3) => Some(2),
        ("transformList" | "transformMap" | "transformMapEntry", 3 | 4) => Some(2),
        _ => None,
    }
}

/// The macro that a call is, if it is one that makes sense.
pub(super) fn of<'n, 'a>(name: &str, arguments: &'n [Node<'a>]) -> Option<Macro<'n, 'a>> {
    let count = variables(name, arguments.len())?;
    let name_of = |node: &Node<'a>| if let What::Name(name) = node.what { Some(name) } else { None };
    let variables: Vec<&'a str> = arguments[..count].iter().map(name_of).collect::<Option<_>>()?;
    let (filter, body) = match &arguments[count..] {
        [body] => (None, body),
        [filter, body] => (Some(filter), body),
        _ => return None,
    };
    let what = match name {
        "optMap" | "optFlatMap" => {
            return Some(Macro::Optional {
                variable: variables.first()?,
                value: body,
                flat: name == "optFlatMap",
            });
        }
        "all" | "exists" => Loop::All,
        "exists_one" | "existsOne" => Loop::One,
        "transformMap" => Loop::Map,
        "transformMapEntry" => Loop::MapEntry,
        "filter" => return Some(Macro::Loop { variables, what: Loop::List, filter: Some(body), body: None }),
        _ => Loop::List,
    };
    Some(Macro::Loop { variables, what, filter, body: Some(body) })
}

/// What is wrong with the variables of a macro; upstream expands macros while it parses.
pub(super) fn mistakes(name: &str, arguments: &[Node<'_>]) -> Option<Mistake> {
    let count = variables(name, arguments.len())?;
    let wrong = arguments[..count].iter().find(|a| !matches!(a.what, What::Name(_)))?;
    let what = match (count, name) {
        (2, _) => "argument must be a simple name",
        (_, "optMap" | "optFlatMap") => &format!("{name}() variable name must be a simple identifier"),
        _ => "argument is not an identifier",
    };
    Some(Mistake { at: wrong.at, what: what.to_owned() })
}
