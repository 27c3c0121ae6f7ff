//! CEL expressions: whether upstream's compiler takes them, in its words.
//!
//! ```text
//! text ── lex ──► tokens ── parse ──► Node ── check ──► Type
//!                            └──► recover ──► all mistakes of the grammar
//! ```
//! [`declarations`] has the functions, [`macros`] what macros stand for, [`unify`] which types fit.

mod check;
mod constants;
mod declarations;
mod lex;
mod macros;
mod parse;
mod recover;
mod sets;
mod unify;

pub(crate) use parse::is_word_of_cel;

use std::fmt;
use std::sync::Arc;

/// The fields of an object type. They are shared: each mention of a variable has its type.
pub(crate) type Fields = Arc<[(String, Type)]>;

/// How many parts a type may have before it counts as anything: maps of maps of one variable double with each.
const PARTS_MAX: usize = 100;

/// A type of CEL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// Anything.
    Dyn,
    /// The type of what did not check.
    Error,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Duration,
    Timestamp,
    /// A type as a value.
    Kind(Box<Type>),
    /// A value that may be there.
    Optional(Box<Type>),
    /// A variable in place of a type that is not known yet.
    Param(u32),
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
    /// An object with these fields and no others.
    Object(String, Fields),
}

impl Type {
    pub(crate) fn list(of: Type) -> Type {
        Type::List(Box::new(of))
    }

    pub(crate) fn map(key: Type, value: Type) -> Type {
        Type::Map(Box::new(key), Box::new(value))
    }

    /// An object type that is only known by its name.
    pub(crate) fn named(name: &str) -> Type {
        Type::object(name, Vec::new())
    }

    /// An object type with fields.
    pub(crate) fn object(name: &str, fields: Vec<(String, Type)>) -> Type {
        Type::Object(name.to_owned(), fields.into())
    }

    fn or_any_if_large(self) -> Type {
        let mut parts = 0;
        let mut left = vec![&self];
        while let Some(part) = left.pop() {
            parts += 1;
            if parts > PARTS_MAX {
                return Type::Dyn;
            }
            match part {
                Type::List(of) | Type::Optional(of) | Type::Kind(of) => left.push(of),
                Type::Map(key, value) => left.extend([&**key, &**value]),
                _ => {}
            }
        }
        self
    }

    /// Such a type as a value.
    pub(crate) fn kind(name: &str) -> Type {
        Type::Kind(Box::new(Type::named(name)))
    }

    /// Whether nothing is known of the type.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Type::Dyn | Type::Error)
    }

    /// Whether a value of one type may stand where the other is asked.
    pub(crate) fn fits(&self, other: &Type) -> bool {
        match (self, other) {
            (a, b) if a.is_open() || b.is_open() => true,
            (Type::List(a), Type::List(b)) => a.fits(b),
            (Type::Map(a, b), Type::Map(c, d)) => a.fits(c) && b.fits(d),
            (Type::Object(a, _), Type::Object(b, _)) => a == b,
            (Type::Kind(_), Type::Kind(_)) => true,
            (Type::Optional(a), Type::Optional(b)) => a.fits(b),
            (Type::Null, Type::Object(..) | Type::Duration | Type::Timestamp)
            | (Type::Object(..) | Type::Duration | Type::Timestamp, Type::Null) => true,
            (a, b) => a == b,
        }
    }
}

/// As the compiler's messages name types.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Type::Dyn => "dyn",
            Type::Error => "!error!",
            Type::Null => "null",
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Uint => "uint",
            Type::Double => "double",
            Type::String => "string",
            Type::Bytes => "bytes",
            Type::Duration => "duration",
            Type::Timestamp => "timestamp",
            Type::Kind(of) if **of == Type::Dyn => "type",
            Type::Kind(of) => return write!(f, "type({of})"),
            Type::Optional(of) => return write!(f, "optional_type({of})"),
            Type::Param(id) => return write!(f, "_var{id}"),
            Type::Object(name, _) => name,
            Type::List(of) => return write!(f, "list({of})"),
            Type::Map(key, value) => return write!(f, "map({key}, {value})"),
        };
        f.write_str(word)
    }
}

/// The variables that an expression may use.
pub(crate) type Variables = Vec<(String, Type)>;

/// Variables without known fields.
pub(crate) fn dynamic(names: &[&str]) -> Variables {
    names.iter().map(|name| ((*name).to_owned(), Type::Dyn)).collect()
}

/// A mistake at a byte of the text.
#[derive(Debug)]
struct Mistake {
    at: usize,
    what: String,
}

/// How many mistakes are told of one expression (cel-go's `common/errors.go`).
const MISTAKES_MAX: usize = 100;

/// The type of an expression, or upstream's text about why it has none.
pub(crate) fn compile(text: &str, variables: &Variables) -> Result<Type, String> {
    let (found, mut mistakes) = match parse::parse(text) {
        Ok(node) => check::check(&node, text.len(), variables),
        Err(mistakes) => (Type::Error, mistakes),
    };
    if mistakes.is_empty() {
        return Ok(found);
    }
    // Each is shown with its whole line: the first ones are enough.
    let more = mistakes.len().saturating_sub(MISTAKES_MAX);
    mistakes.truncate(MISTAKES_MAX);
    mistakes.sort_by_key(|m| m.at);
    let mut shown: Vec<String> = mistakes.iter().map(|m| display(text, m)).collect();
    if more > 0 {
        shown.push(format!("{more} more errors were truncated"));
    }
    Err(format!("compilation failed: {}", shown.join("\n")))
}

/// Whether an expression that compiles looks at a variable.
pub(crate) fn uses(text: &str, variable: &str) -> bool {
    parse::parse(text).is_ok_and(|node| names(&node, variable))
}

fn names(node: &parse::Node<'_>, variable: &str) -> bool {
    match &node.what {
        parse::What::Name(name) => name.trim_start_matches('.') == variable,
        _ => node.inner().into_iter().any(|inner| names(inner, variable)),
    }
}

/// What is wrong with an expression that has to give one of these types.
pub(crate) fn problem(text: &str, variables: &Variables, wanted: &[Type]) -> Option<String> {
    let found = match compile(text, variables) {
        Ok(found) => found,
        Err(problem) => return Some(problem),
    };
    if wanted.iter().any(|wanted| found.fits(wanted)) {
        return None;
    }
    let name = |of: &Type| match of {
        Type::Null => "null_type".to_owned(),
        Type::Duration => "google.protobuf.Duration".to_owned(),
        Type::Timestamp => "google.protobuf.Timestamp".to_owned(),
        other => other.to_string(),
    };
    let names: Vec<String> = wanted.iter().map(name).collect();
    let wanted = match &names[..] {
        [one] => one.clone(),
        several => format!("one of [{}]", several.join(" ")),
    };
    Some(format!("must evaluate to {wanted} but got {}", name(&found)))
}

/// The mistake with the line that it is in.
fn display(text: &str, mistake: &Mistake) -> String {
    if text.is_empty() {
        return format!("ERROR: <input>:1:0: {}", mistake.what);
    }
    let before = &text[..mistake.at];
    let line = before.matches('\n').count();
    let before = before.rsplit('\n').next().unwrap_or("");
    let source = text.split('\n').nth(line).unwrap_or("");
    // Below a wide character stands a wide mark.
    let dots: String = before.chars().map(|c| if c.is_ascii() { '.' } else { '．' }).collect();
    let wide = source[before.len()..].chars().next().is_some_and(|c| !c.is_ascii());
    let mark = if wide { '＾' } else { '^' };
    let column = before.chars().count() + 1;
    format!("ERROR: <input>:{}:{column}: {}\n | {source}\n | {dots}{mark}", line + 1, mistake.what)
}

#[cfg(test)]
mod tests {
    use super::{Type, Variables, compile, dynamic};

    fn variables() -> Variables {
        let mut all = dynamic(&["object"]);
        all.push(("self".into(), Type::object("T", vec![("a".into(), Type::String)])));
        all.push(("variables".into(), Type::named("kubernetes.variables")));
        all
    }

    #[test]
    fn expressions_have_types() {
        for (text, expected) in [
            ("1 + 2", Type::Int),
            ("object.spec.replicas <= 5 && !has(object.x)", Type::Bool),
            ("self.a.startsWith('x') ? 'y' : r'\\d'", Type::String),
            ("[1, 2].all(x, x > 0) || 'a' in {'a': 1}", Type::Bool),
            ("object.containers.map(c, c.name)", Type::list(Type::Dyn)),
            ("size(self.a) > 1 // and so on", Type::Bool),
        ] {
            assert_eq!(compile(text, &variables()).unwrap(), expected, "{text}");
        }
    }

    /// What functions give was mostly taken for anything.
    #[test]
    fn calls_are_checked_against_the_declarations() {
        let first = |text: &str| match compile(text, &variables()) {
            Ok(found) => found.to_string(),
            Err(why) => {
                why.lines().next().unwrap_or_default().split(": ").skip(3).collect::<Vec<_>>().join(": ")
            }
        };
        for (text, expected) in [
            ("[1, 2].map(x, string(x))", "list(string)"),
            ("[].filter(x, true)", "list(dyn)"),
            ("self.?a.orValue('x')", "string"),
            ("optional.of(1).optMap(x, x + 1)", "optional_type(int)"),
            ("{'a': [1]}.transformMap(k, v, size(v))", "map(string, int)"),
            ("url(self.a).getQuery()", "map(string, list(string))"),
            ("url(self.a).host", "unexpected failed resolution of 'kubernetes.URL'"),
            ("variables.v", "undefined field 'v'"),
            ("dyn(self.a) == 1", "bool"),
            ("type(1) == int", "bool"),
            (
                "optional.of(1).orValue('x')",
                "found no matching overload for 'orValue' applied to 'optional_type(int).(string)'",
            ),
            (
                "[1].exists_one(x, 'a')",
                "found no matching overload for '_?_:_' applied to '(string, int, int)'",
            ),
            ("[1].all(x, 'a')", "expected type 'bool' but found 'string'"),
            ("[1, 'a']", "expected type 'int' but found 'string'"),
            ("[?self.a]", "expected type 'optional_type(string)' but found 'string'"),
            ("[1].map(1, 2)", "argument is not an identifier"),
            ("'a'.reverse()", "found no matching overload for 'reverse' applied to 'string.()'"),
            (
                "quantity('1').sign()",
                "found no matching overload for 'sign' applied to 'kubernetes.Quantity.()'",
            ),
            ("timestamp('a') == timestamp(self.a)", "invalid timestamp argument"),
            ("duration('x') == duration('1h')", "invalid duration argument"),
            ("self.a.matches('[')", "invalid matches argument"),
            ("math.abs(1)", "undeclared reference to 'math' (in container '')"),
        ] {
            assert_eq!(first(text), expected, "{text}");
        }
    }

    /// Forty links of a chain took the machine's memory, or the better part of a day.
    #[test]
    fn types_do_not_grow_without_bounds() {
        let chain = |first: &str, link: &str| format!("{first}{}", link.repeat(60));
        for text in [
            chain("[1]", ".map(a, {a: a})"),
            chain("[[]]", ".map(a, {a: a})"),
            chain("optional.of(1)", ".optMap(a, a)"),
            chain("optional.of([])", ".optMap(a, {a: a})"),
        ] {
            let _ = compile(&text, &variables());
        }
    }

    /// Five thousand mistakes in one line were an answer of 400 MB.
    #[test]
    fn a_hundred_mistakes_are_enough() {
        let names: Vec<String> = (0..150).map(|i| format!("b{i}")).collect();
        let found = compile(&names.join(" && "), &variables()).unwrap_err();
        assert_eq!(found.matches("undeclared reference").count(), 100);
        assert!(found.ends_with("\n50 more errors were truncated"), "{found}");
    }

    #[test]
    fn mistakes_are_shown_as_upstream_shows_them() {
        for (text, expected) in [
            (
                "self.",
                "ERROR: <input>:1:6: Syntax error: no viable alternative at input '.'\n | self.\n | .....^",
            ),
            (
                "Bogus!",
                "ERROR: <input>:1:6: Syntax error: extraneous input '!' expecting <EOF>\n | Bogus!\n | .....^",
            ),
            (
                "true-x",
                "ERROR: <input>:1:5: found no matching overload for '_-_' applied to '(bool, !error!)'\n | true-x\n | ....^\nERROR: <input>:1:6: undeclared reference to 'x' (in container '')\n | true-x\n | .....^",
            ),
            ("self.b", "ERROR: <input>:1:5: undefined field 'b'\n | self.b\n | ....^"),
        ] {
            let found = compile(text, &variables()).unwrap_err();
            assert_eq!(found, format!("compilation failed: {expected}"), "{text}");
        }
    }
}
