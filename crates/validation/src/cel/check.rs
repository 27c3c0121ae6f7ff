//! Types of expressions.

use super::lex::Kind;
use super::parse::{Node, What};
use super::{Mistake, Type, Variables};

/// The type of an expression and all mistakes in it.
pub(super) fn check(node: &Node<'_>, variables: &Variables) -> (Type, Vec<Mistake>) {
    let mut checker = Checker { variables, bound: Vec::new(), mistakes: Vec::new() };
    let found = checker.of(node);
    (found, checker.mistakes)
}

struct Checker<'a> {
    variables: &'a Variables,
    /// The variables of the macros around.
    bound: Vec<(String, Type)>,
    mistakes: Vec<Mistake>,
}

/// Names of types, which are values too.
const TYPES: [&str; 12] = [
    "bool",
    "bytes",
    "double",
    "duration",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "timestamp",
    "type",
    "uint",
];

/// Where functions live that have a name with a dot.
const NAMESPACES: [&str; 8] = ["optional", "sets", "strings", "cel", "lists", "format", "jsonpatch", "ip"];

/// Functions that are called without a receiver.
const FUNCTIONS: &str = "size int uint double string bytes bool duration timestamp type dyn has quantity isQuantity ip isIP ip.isCanonical cidr isCIDR url isURL semver isSemver";

/// Functions that are called on a value.
const METHODS: &str = "size contains startsWith endsWith matches getFullYear getMonth getDayOfYear getDayOfMonth getDate getDayOfWeek getHours getMinutes getSeconds getMilliseconds isSorted sum min max indexOf lastIndexOf find findAll getScheme getHost getHostname getPort getEscapedPath getQuery sign isInteger asInteger asApproximateFloat add sub isLessThan isGreaterThan compareTo family isUnspecified isLoopback isLinkLocalMulticast isLinkLocalUnicast isGlobalUnicast isCanonical containsIP containsCIDR ip masked prefixLength charAt lowerAscii upperAscii replace split substring trim join format reverse distinct flatten sort slice first last orValue or hasValue value optMap optFlatMap path group serviceAccount resource subresource namespace name check fieldSelector labelSelector allowed reason errored error validate major minor patch includes";

impl Checker<'_> {
    fn wrong(&mut self, at: usize, what: String) -> Type {
        self.mistakes.push(Mistake { at, what });
        Type::Error
    }

    fn lookup(&self, name: &str) -> Option<Type> {
        // A dot before it says that it is no part of a container, of which there is none.
        let name = name.strip_prefix('.').unwrap_or(name);
        let bound = self.bound.iter().rev().find(|(n, _)| n == name);
        bound.or_else(|| self.variables.iter().find(|(n, _)| n == name)).map(|(_, found)| found.clone())
    }

    fn of(&mut self, node: &Node<'_>) -> Type {
        match &node.what {
            What::True => Type::Bool,
            What::Null => Type::Null,
            What::Literal(kind) => match kind {
                Kind::Int => Type::Int,
                Kind::Uint => Type::Uint,
                Kind::Double => Type::Double,
                Kind::Bytes => Type::Bytes,
                _ => Type::String,
            },
            What::Name(name) => match self.lookup(name) {
                Some(found) => found,
                None if TYPES.contains(&name.trim_start_matches('.')) => Type::Kind,
                None => self.undeclared(node.at, name),
            },
            What::Operator("_&&_" | "_||_", operands) => {
                for operand in operands {
                    let found = self.of(operand);
                    if !found.fits(&Type::Bool) {
                        self.wrong(operand.at, format!("expected type 'bool' but found '{found}'"));
                    }
                }
                Type::Bool
            }
            What::Operator(function, operands) => {
                let types: Vec<Type> = operands.iter().map(|o| self.of(o)).collect();
                operator(function, &types).unwrap_or_else(|| self.no_overload(node.at, function, &types))
            }
            What::Select(of, field) => self.select(node.at, of, field),
            What::Call(of, name, arguments) => self.call(node.at, of.as_deref(), name, arguments),
            What::List(items) => {
                let types: Vec<Type> = items.iter().map(|item| self.of(item)).collect();
                Type::list(join(types))
            }
            What::Map(entries) => {
                let (mut keys, mut values) = (Vec::new(), Vec::new());
                for (key, value) in entries {
                    keys.push(self.of(key));
                    values.push(self.of(value));
                }
                Type::map(join(keys), join(values))
            }
            What::Message(name, values) => {
                for value in values {
                    self.of(value);
                }
                Type::named(name)
            }
        }
    }

    fn undeclared(&mut self, at: usize, name: &str) -> Type {
        self.wrong(at, format!("undeclared reference to '{name}' (in container '')"))
    }

    fn no_overload(&mut self, at: usize, function: &str, types: &[Type]) -> Type {
        let shown: Vec<String> = types.iter().map(ToString::to_string).collect();
        self.no_overload_for(at, function, types, &format!("({})", shown.join(", ")))
    }

    /// The same of what is called on a value.
    fn no_method(&mut self, at: usize, function: &str, types: &[Type]) -> Type {
        let shown: Vec<String> = types.iter().map(ToString::to_string).collect();
        let (of, arguments) = shown.split_first().map_or(("", &[][..]), |(of, rest)| (of.as_str(), rest));
        self.no_overload_for(at, function, types, &format!("{of}.({})", arguments.join(", ")))
    }

    fn no_overload_for(&mut self, at: usize, function: &str, types: &[Type], shown: &str) -> Type {
        // Nothing is known of any operand: the mistake is elsewhere.
        if types.iter().all(|t| *t == Type::Error) {
            return Type::Error;
        }
        self.wrong(at, format!("found no matching overload for '{function}' applied to '{shown}'"))
    }

    fn select(&mut self, at: usize, of: &Node<'_>, field: &str) -> Type {
        match self.of(of) {
            Type::Error => Type::Error,
            Type::Dyn => Type::Dyn,
            Type::Map(_, value) => *value,
            Type::Object(_, fields) => match fields.into_iter().find(|(name, _)| name == field) {
                Some((_, found)) => found,
                None => self.wrong(at, format!("undefined field '{field}'")),
            },
            other => self.wrong(at, format!("type '{other}' does not support field selection")),
        }
    }

    fn call(&mut self, at: usize, of: Option<&Node<'_>>, name: &str, arguments: &[Node<'_>]) -> Type {
        let Some(of) = of else {
            if !FUNCTIONS.split(' ').any(|known| known == name) {
                for argument in arguments {
                    self.of(argument);
                }
                return self.undeclared(at, name);
            }
            if let ("has", [argument]) = (name, arguments)
                && let What::Select(of, field) = &argument.what
            {
                // The macro's field is asked for where the macro stands.
                self.select(at, of, field);
                return Type::Bool;
            }
            let types: Vec<Type> = arguments.iter().map(|argument| self.of(argument)).collect();
            return match (name, &types[..]) {
                ("size", [of]) if is_sized(of) => Type::Int,
                ("size" | "int" | "uint" | "double" | "string" | "bool", []) => {
                    self.no_overload(at, name, &types)
                }
                ("size", _) => self.no_overload(at, name, &types),
                ("duration" | "timestamp" | "ip" | "cidr" | "url" | "quantity", [_, _, ..] | []) => {
                    self.no_overload(at, name, &types)
                }
                ("ip", _) => Type::named("net.IP"),
                ("cidr", _) => Type::named("net.CIDR"),
                ("url", _) => Type::named("kubernetes.URL"),
                ("quantity", _) => Type::named("kubernetes.Quantity"),
                ("int", _) => Type::Int,
                ("uint", _) => Type::Uint,
                ("double", _) => Type::Double,
                ("string", _) => Type::String,
                ("bytes", _) => Type::Bytes,
                ("duration", _) => Type::Duration,
                ("timestamp", _) => Type::Timestamp,
                ("type", _) => Type::Kind,
                ("bool" | "has" | "isQuantity" | "isIP" | "isCIDR" | "isURL" | "isSemver", _) => Type::Bool,
                _ => Type::Dyn,
            };
        };
        if let What::Name(namespace) = of.what
            && NAMESPACES.contains(&namespace)
            && self.lookup(namespace).is_none()
            // Only the expressions that choose devices can bind variables.
            && (namespace != "cel" || self.lookup("device").is_some())
        {
            return self.in_namespace(namespace, name, arguments);
        }
        if let Some(found) = self.comprehension(of, name, arguments) {
            return found;
        }
        let mut types = vec![self.of(of)];
        types.extend(arguments.iter().map(|argument| self.of(argument)));
        if !METHODS.split(' ').any(|known| known == name) {
            return self.undeclared(at, name);
        }
        let text = |t: &Type| t.fits(&Type::String);
        match (name, &types[..]) {
            ("startsWith" | "endsWith" | "contains" | "matches", [a, b]) if text(a) && text(b) => Type::Bool,
            ("startsWith" | "endsWith" | "contains" | "matches", _) => self.no_method(at, name, &types),
            ("size", [of]) if is_sized(of) => Type::Int,
            ("size", _) => self.no_method(at, name, &types),
            ("join", [of, ..]) if !of.is_open() && !matches!(of, Type::List(_)) => {
                self.no_method(at, name, &types)
            }
            ("reverse", [Type::String, ..]) => self.no_method(at, name, &types),
            (
                "lowerAscii" | "upperAscii" | "trim" | "replace" | "substring" | "charAt" | "join" | "format",
                [of, ..],
            ) if !of.is_open() => Type::String,
            ("hasValue" | "allowed" | "isSorted" | "isInteger" | "isLessThan" | "isGreaterThan", _) => {
                Type::Bool
            }
            _ => Type::Dyn,
        }
    }

    fn in_namespace(&mut self, namespace: &str, name: &str, arguments: &[Node<'_>]) -> Type {
        if (namespace, name) == ("cel", "bind")
            && let [variable, value, body] = arguments
            && let What::Name(variable) = variable.what
        {
            let value = self.of(value);
            self.bound.push((variable.to_owned(), value));
            let found = self.of(body);
            self.bound.pop();
            return found;
        }
        for argument in arguments {
            self.of(argument);
        }
        if namespace == "sets" { Type::Bool } else { Type::Dyn }
    }

    /// The macros that go over a list or a map.
    fn comprehension(&mut self, of: &Node<'_>, name: &str, arguments: &[Node<'_>]) -> Option<Type> {
        const MACROS: [&str; 11] = [
            "all",
            "exists",
            "exists_one",
            "existsOne",
            "map",
            "filter",
            "transformList",
            "transformMap",
            "sortBy",
            "optMap",
            "optFlatMap",
        ];
        if !MACROS.contains(&name) || arguments.len() < 2 {
            return None;
        }
        let is_pair = match name {
            "transformList" | "transformMap" => true,
            "all" | "exists" | "existsOne" | "exists_one" => arguments.len() == 3,
            _ => false,
        };
        let count = if is_pair { 2 } else { 1 };
        let names: Option<Vec<&str>> = arguments[..count]
            .iter()
            .map(|a| if let What::Name(name) = a.what { Some(name) } else { None })
            .collect();
        let names = names?;
        let range = self.of(of);
        let element = match &range {
            _ if name.starts_with("opt") => Type::Dyn,
            Type::List(item) => (**item).clone(),
            Type::Map(key, _) => (**key).clone(),
            Type::Dyn | Type::Error => Type::Dyn,
            other => {
                let what = format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                return Some(self.wrong(of.at, what));
            }
        };
        for name in &names {
            let found = if is_pair { Type::Dyn } else { element.clone() };
            self.bound.push(((*name).to_owned(), found));
        }
        let types: Vec<Type> = arguments[count..].iter().map(|a| self.of(a)).collect();
        self.bound.truncate(self.bound.len() - names.len());
        let last = types.into_iter().next_back().unwrap_or(Type::Dyn);
        Some(match name {
            "all" | "exists" | "exists_one" | "existsOne" => Type::Bool,
            "filter" => Type::list(element),
            "map" => Type::list(last),
            _ => Type::Dyn,
        })
    }
}

fn is_sized(of: &Type) -> bool {
    of.is_open() || matches!(of, Type::String | Type::Bytes | Type::List(_) | Type::Map(..))
}

/// The one type of all items, or any.
fn join(types: Vec<Type>) -> Type {
    let mut all = types.into_iter();
    let Some(first) = all.next() else { return Type::Dyn };
    if all.all(|t| t == first) { first } else { Type::Dyn }
}

/// What an operator gives; `None` when it does not take such operands.
fn operator(function: &str, types: &[Type]) -> Option<Type> {
    use Type::{Bool, Bytes, Double, Duration, Dyn, Error, Int, String, Timestamp, Uint};
    let is = |t: &Type, options: &[Type]| t.is_open() || options.contains(t);
    match (function, types) {
        ("!_", [a]) => a.fits(&Bool).then_some(Bool),
        ("-_", [a]) => is(a, &[Int, Double]).then(|| a.clone()),
        ("_==_" | "_!=_", [a, b]) => a.fits(b).then_some(Bool),
        ("_<_" | "_<=_" | "_>_" | "_>=_", [a, b]) => {
            const NUMBERS: [Type; 3] = [Int, Uint, Double];
            const ORDERED: [Type; 8] = [Int, Uint, Double, Bool, String, Bytes, Duration, Timestamp];
            // Times may be absent.
            let no_time = |a: &Type, b: &Type| *a == Type::Null && is(b, &[Duration, Timestamp]);
            if no_time(a, b) || no_time(b, a) {
                return Some(Bool);
            }
            let fits = is(a, &ORDERED)
                && is(b, &ORDERED)
                && (a.fits(b) || (NUMBERS.contains(a) && NUMBERS.contains(b)));
            fits.then_some(Bool)
        }
        ("_?_:_", [a, b, c]) => {
            let both = if *b == Error { c } else { b };
            (a.fits(&Bool) && b.fits(c)).then(|| if *c == Dyn { Dyn } else { both.clone() })
        }
        ("@in", [a, b]) => match b {
            Type::List(item) | Type::Map(item, _) => a.fits(item).then_some(Bool),
            b => b.is_open().then_some(Bool),
        },
        ("_[_]", [a, b]) => match a {
            Type::List(item) => is(b, &[Int, Uint, Double]).then(|| (**item).clone()),
            Type::Map(key, value) => b.fits(key).then(|| (**value).clone()),
            a => a.is_open().then_some(Dyn),
        },
        (_, [a, b]) => arithmetic(function, a, b),
        _ => None,
    }
}

fn arithmetic(function: &str, a: &Type, b: &Type) -> Option<Type> {
    use Type::{Bytes, Double, Duration, Dyn, Int, String, Timestamp, Uint};
    let same: &[Type] = match function {
        "_+_" => &[Int, Uint, Double, String, Bytes, Duration],
        "_-_" => &[Int, Uint, Double, Duration],
        "_%_" => &[Int, Uint],
        _ => &[Int, Uint, Double],
    };
    match (a, b) {
        (a, b) if a.is_open() && b.is_open() => Some(Dyn),
        (Timestamp, Duration) | (Duration, Timestamp) if function == "_+_" => Some(Timestamp),
        (Timestamp, Duration) if function == "_-_" => Some(Timestamp),
        (Timestamp, Timestamp) if function == "_-_" => Some(Duration),
        (Type::List(_), Type::List(_)) if function == "_+_" => a.fits(b).then(|| a.clone()),
        (Type::List(_), other) | (other, Type::List(_)) if function == "_+_" && other.is_open() => Some(Dyn),
        (Timestamp, other) if function != "_*_" && function != "_/_" && other.is_open() => Some(Dyn),
        (known, other) | (other, known) if other.is_open() => {
            let is_time = *known == Timestamp && matches!(function, "_+_" | "_-_");
            (same.contains(known) || is_time).then(|| known.clone())
        }
        (a, b) => (a == b && same.contains(a)).then(|| a.clone()),
    }
}
