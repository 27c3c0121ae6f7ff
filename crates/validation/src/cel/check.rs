//! Types of expressions (`cel-go/checker`). Macros are checked as what they stand for.

use super::declarations::{is_open, overloads};
use super::lex::Kind;
use super::macros::{self, Macro};
use super::parse::{Node, What};
use super::unify::{Known, most_general};
use super::{Mistake, Type, Variables};

/// The type of an expression (whose text has that many bytes) and all mistakes in it.
pub(super) fn check(node: &Node<'_>, length: usize, variables: &Variables) -> (Type, Vec<Mistake>) {
    let mut checker = Checker {
        variables,
        bound: Vec::new(),
        known: Known::new(length),
        literals: Vec::new(),
        mistakes: Vec::new(),
    };
    let found = checker.of(node);
    if checker.mistakes.is_empty() {
        checker.mixed_literals();
        super::constants::check(node, &mut checker.mistakes);
    }
    let found = checker.known.substitute(&found, true);
    (found, checker.mistakes)
}

struct Checker<'a> {
    variables: &'a Variables,
    /// The variables of the macros around.
    bound: Vec<(String, Type)>,
    known: Known,
    /// Items of lists, keys or values of maps with their places: those of one literal have one type.
    literals: Vec<Vec<(usize, Type)>>,
    mistakes: Vec<Mistake>,
}

/// Names of types, which are values too.
fn type_named(name: &str) -> Option<Type> {
    let dynamic = || Box::new(Type::Dyn);
    let found = match name {
        "bool" => Type::Bool,
        "bytes" => Type::Bytes,
        "double" => Type::Double,
        "duration" | "google.protobuf.Duration" => Type::Duration,
        "dyn" => Type::Dyn,
        "int" => Type::Int,
        "list" => Type::List(dynamic()),
        "map" => Type::Map(dynamic(), dynamic()),
        "null_type" => Type::Null,
        "optional_type" => Type::Optional(dynamic()),
        "string" => Type::String,
        "timestamp" | "google.protobuf.Timestamp" => Type::Timestamp,
        "type" => Type::Kind(dynamic()),
        "uint" => Type::Uint,
        "net.IP" | "net.CIDR" | "kubernetes.URL" | "kubernetes.Quantity" | "kubernetes.Semver" => {
            Type::named(name)
        }
        _ => return None,
    };
    Some(Type::Kind(Box::new(found)))
}

impl Checker<'_> {
    fn wrong(&mut self, at: usize, what: String) -> Type {
        self.mistakes.push(Mistake { at, what });
        Type::Error
    }

    fn mismatch(&mut self, at: usize, wanted: &Type, found: &Type) -> Type {
        self.wrong(at, format!("expected type '{wanted}' but found '{found}'"))
    }

    fn lookup(&self, name: &str) -> Option<Type> {
        // A dot before it says that it is no part of a container, of which there is none.
        let name = name.strip_prefix('.').unwrap_or(name);
        let bound = self.bound.iter().rev().find(|(n, _)| n == name);
        let found = bound.or_else(|| self.variables.iter().find(|(n, _)| n == name));
        found.map(|(_, found)| found.clone()).or_else(|| type_named(name))
    }

    fn of(&mut self, node: &Node<'_>) -> Type {
        if !self.known.step() {
            return Type::Dyn;
        }
        match &node.what {
            What::True => Type::Bool,
            What::Null => Type::Null,
            What::Literal(kind, _) => match kind {
                Kind::Int => Type::Int,
                Kind::Uint => Type::Uint,
                Kind::Double => Type::Double,
                Kind::Bytes => Type::Bytes,
                _ => Type::String,
            },
            What::Name(name) => match self.lookup(name) {
                Some(found) => found,
                None => self.undeclared(node.at, name),
            },
            What::Operator("_&&_" | "_||_", operands) => {
                let types: Vec<(usize, Type)> = operands.iter().map(|o| (o.at, self.of(o))).collect();
                self.logical(&types)
            }
            What::Operator(function, operands) => {
                let types: Vec<Type> = operands.iter().map(|o| self.of(o)).collect();
                self.resolve(node.at, function, false, &types)
            }
            What::Select(of, field) => {
                if let Some(found) = dotted(node).and_then(|name| self.lookup(&name)) {
                    return found;
                }
                self.select(node.at, of, field, false)
            }
            What::OptionalSelect(of, field) => self.select(node.at, of, field, true),
            What::Call(of, name, arguments) => self.call(node.at, of.as_deref(), name, arguments),
            What::List(items) => {
                let mut joined = None;
                let mut literal = Vec::new();
                for item in items {
                    let found = self.entry(item);
                    literal.push((inside(item).at, found.clone()));
                    joined = Some(self.join(joined, found));
                }
                self.literals.push(literal);
                Type::list(joined.unwrap_or_else(|| self.known.fresh()))
            }
            What::Map(entries) => {
                let (mut keys, mut values) = (None, None);
                let (mut key_literal, mut value_literal) = (Vec::new(), Vec::new());
                for (key, value) in entries {
                    let found = self.of(inside(key));
                    key_literal.push((inside(key).at, found.clone()));
                    keys = Some(self.join(keys, found));
                    let mut found = self.of(value);
                    if matches!(key.what, What::Optional(_)) {
                        found = self.unwrapped(value.at, found);
                    }
                    value_literal.push((value.at, found.clone()));
                    values = Some(self.join(values, found));
                }
                self.literals.extend([key_literal, value_literal]);
                let mut open = |found: Option<Type>| found.unwrap_or_else(|| self.known.fresh());
                let (keys, values) = (open(keys), open(values));
                Type::map(keys, values).or_any_if_large()
            }
            What::Optional(inner) => self.of(inner),
            What::Message(name, values) => {
                // `Object.spec.containers` is a type wherever `Object` is one.
                let root = if name.starts_with("Object.") { "Object" } else { name };
                if self.lookup(root).is_none() {
                    return self.undeclared(node.at, name);
                }
                for value in values {
                    self.of(value);
                }
                Type::named(name)
            }
        }
    }

    /// An item of a list, which may be optional.
    fn entry(&mut self, item: &Node<'_>) -> Type {
        let found = self.of(item);
        match &item.what {
            What::Optional(inner) => self.unwrapped(inner.at, found),
            _ => found,
        }
    }

    fn unwrapped(&mut self, at: usize, found: Type) -> Type {
        match found {
            Type::Optional(value) => *value,
            Type::Dyn => found,
            other => {
                self.mismatch(at, &Type::Optional(Box::new(other.clone())), &other);
                other
            }
        }
    }

    fn join(&mut self, previous: Option<Type>, current: Type) -> Type {
        let Some(previous) = previous else { return current };
        if self.known.assign(&[&previous], &[&current]) {
            most_general(&previous, &current)
        } else {
            Type::Dyn
        }
    }

    /// Lists and maps whose items are of several types (`ValidateHomogeneousAggregateLiterals`).
    fn mixed_literals(&mut self) {
        for literal in std::mem::take(&mut self.literals) {
            let mut types = literal.into_iter().map(|(at, t)| (at, self.known.substitute(&t, true)));
            let Some((_, first)) = types.next() else { continue };
            if let Some((at, other)) = types.find(|(_, t)| *t != first) {
                self.mismatch(at, &first, &other);
            }
        }
    }

    fn undeclared(&mut self, at: usize, name: &str) -> Type {
        self.wrong(at, format!("undeclared reference to '{name}' (in container '')"))
    }

    fn logical(&mut self, operands: &[(usize, Type)]) -> Type {
        let mut result = Type::Bool;
        for (at, found) in operands {
            if !self.known.assign(&[found], &[&Type::Bool]) {
                result = self.mismatch(*at, &Type::Bool, found);
            }
        }
        result
    }

    /// The type of a call whose arguments (the receiver first) have these types.
    fn resolve(&mut self, at: usize, function: &str, is_method: bool, types: &[Type]) -> Type {
        let mut result: Option<Type> = None;
        for overload in overloads(function).unwrap_or_default() {
            if overload.is_method != is_method {
                continue;
            }
            let fresh: Vec<Type> = (0..overload.variables).map(|_| self.known.fresh()).collect();
            let wanted: Vec<Type> = overload.arguments.iter().map(|t| instance(t, &fresh)).collect();
            let given: Vec<&Type> = types.iter().collect();
            if !self.known.assign(&given, &wanted.iter().collect::<Vec<_>>()) {
                continue;
            }
            let found = self.known.substitute(&instance(&overload.result, &fresh), false);
            result = Some(match result {
                Some(before) if before != Type::Dyn && before != found => Type::Dyn,
                Some(before) => before,
                None => found,
            });
        }
        if let Some(result) = result {
            return result;
        }
        let shown: Vec<String> = types.iter().map(|t| self.known.substitute(t, true).to_string()).collect();
        let signature = match shown.split_first() {
            Some((of, arguments)) if is_method => format!("{of}.({})", arguments.join(", ")),
            _ => format!("({})", shown.join(", ")),
        };
        self.wrong(at, format!("found no matching overload for '{function}' applied to '{signature}'"))
    }

    fn select(&mut self, at: usize, of: &Node<'_>, field: &str, optional: bool) -> Type {
        let of = self.of(of);
        let of = self.known.substitute(&of, false);
        let (target, was_optional) = match of {
            Type::Optional(value) => (*value, true),
            other => (other, false),
        };
        let found = match target {
            Type::Map(_, value) => *value,
            Type::Object(name, fields) => match fields.iter().find(|(name, _)| name == field) {
                Some((_, found)) => found.clone(),
                // The types of libraries have no fields, and upstream did not expect to be asked for one.
                None if type_named(&name).is_some() || name == "kubernetes.NamedFormat" => {
                    self.wrong(at, format!("unexpected failed resolution of '{name}'"))
                }
                None => self.wrong(at, format!("undefined field '{field}'")),
            },
            Type::Param(_) => {
                self.known.assign(&[&Type::Dyn], &[&target]);
                Type::Dyn
            }
            other => {
                if !other.is_open() {
                    self.wrong(at, format!("type '{other}' does not support field selection"));
                }
                Type::Dyn
            }
        };
        if optional || was_optional { Type::Optional(Box::new(found)) } else { found }
    }

    /// Whether the expressions are those of a schema, whose functions are all known.
    fn is_strict(&self) -> bool {
        self.variables.iter().any(|(name, _)| name == "self")
    }

    fn is_function(&self, name: &str) -> bool {
        // Where there are no patches, nothing of them is known.
        let is_here = !name.starts_with("jsonpatch.") || self.lookup("JSONPatch").is_some();
        is_here && overloads(name).is_some_and(|all| !name.starts_with("cel.@") && !all.is_empty())
    }

    fn call(&mut self, at: usize, of: Option<&Node<'_>>, name: &str, arguments: &[Node<'_>]) -> Type {
        let Some(of) = of else {
            if let ("has", [argument]) = (name, arguments)
                && let What::Select(of, field) = &argument.what
            {
                // The macro's field is asked for where the macro stands.
                self.select(at, of, field, false);
                return Type::Bool;
            }
            let types: Vec<Type> = arguments.iter().map(|argument| self.of(argument)).collect();
            return if self.is_function(name) {
                self.resolve(at, name, false, &types)
            } else {
                self.undeclared(at, name)
            };
        };
        if let Some(found) = self.bind(of, name, arguments) {
            return found;
        }
        if let Some(found) = macros::of(name, arguments) {
            return self.expanded(at, of, &found);
        }
        let types: Vec<Type> = arguments.iter().map(|argument| self.of(argument)).collect();
        if let Some(qualified) = dotted(of).map(|prefix| format!("{prefix}.{name}"))
            && self.is_function(qualified.trim_start_matches('.'))
        {
            return self.resolve(at, &qualified, false, &types);
        }
        let target = self.of(of);
        let all: Vec<Type> = std::iter::once(target).chain(types).collect();
        if !self.is_strict() && is_open(name) && (all[0].is_open() || overloads(name).is_none()) {
            return Type::Dyn;
        }
        if self.is_function(name) { self.resolve(at, name, true, &all) } else { self.undeclared(at, name) }
    }

    /// Only the expressions that choose devices can bind variables.
    fn bind(&mut self, of: &Node<'_>, name: &str, arguments: &[Node<'_>]) -> Option<Type> {
        let (What::Name("cel"), "bind", [variable, value, body]) = (&of.what, name, arguments) else {
            return None;
        };
        let What::Name(variable) = variable.what else { return None };
        self.lookup("device")?;
        let value = self.of(value);
        self.bound.push((variable.to_owned(), value));
        let found = self.of(body);
        self.bound.pop();
        Some(found)
    }

    /// A macro as the comprehension that it stands for.
    fn expanded(&mut self, at: usize, of: &Node<'_>, found: &Macro<'_, '_>) -> Type {
        if let Macro::Optional { variable, value, flat } = found {
            return self.optional_macro(at, of, variable, value, *flat);
        }
        let Macro::Loop { variables, what, filter, body } = found else { return Type::Error };
        let range = self.of(of);
        let range = self.known.substitute(&range, false);
        let pair = variables.len() == 2;
        let (first, second) = match &range {
            Type::List(item) if pair => (Type::Int, (**item).clone()),
            Type::List(item) => ((**item).clone(), Type::Dyn),
            Type::Map(key, value) => ((**key).clone(), (**value).clone()),
            range if range.is_open() || matches!(range, Type::Param(_)) => {
                self.known.assign(&[&Type::Dyn], &[range]);
                (Type::Dyn, Type::Dyn)
            }
            other => {
                let what = format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                self.wrong(of.at, what);
                (Type::Error, Type::Error)
            }
        };
        let accumulated = match what {
            macros::Loop::List => Type::list(self.known.fresh()),
            macros::Loop::Map | macros::Loop::MapEntry => Type::map(self.known.fresh(), self.known.fresh()),
            macros::Loop::One => Type::Int,
            macros::Loop::All => Type::Bool,
        };
        let before = self.bound.len();
        let names = variables.iter().zip([first.clone(), second]);
        self.bound.extend(names.map(|(name, found)| ((*name).to_owned(), found)));
        let condition = filter.map(|filter| self.of(filter));
        // A filter keeps the item itself.
        let value = body.map_or(first, |body| self.of(body));
        let step = match what {
            macros::Loop::All => {
                let place = body.map_or(at, |body| body.at);
                self.logical(&[(place, value)])
            }
            macros::Loop::One => self.resolve(at, "_?_:_", false, &[value, Type::Int, Type::Int]),
            macros::Loop::List => self.resolve(at, "_+_", false, &[accumulated.clone(), Type::list(value)]),
            macros::Loop::Map => {
                let key = self.lookup(variables[0]).unwrap_or(Type::Dyn);
                self.resolve(at, "cel.@mapInsert", false, &[accumulated.clone(), key, value])
            }
            macros::Loop::MapEntry => {
                self.resolve(at, "cel.@mapInsert", false, &[accumulated.clone(), value])
            }
        };
        let step = match condition {
            Some(condition) => self.resolve(at, "_?_:_", false, &[condition, step, accumulated.clone()]),
            None => step,
        };
        self.bound.truncate(before);
        if !self.known.assign(&[&accumulated], &[&step]) {
            self.mismatch(at, &accumulated, &step);
        }
        match what {
            macros::Loop::All | macros::Loop::One => Type::Bool,
            _ => self.known.substitute(&accumulated, false),
        }
    }

    /// `target.hasValue() ? optional.of(…) : optional.none()`, where the target occurs twice.
    fn optional_macro(
        &mut self,
        at: usize,
        of: &Node<'_>,
        variable: &str,
        body: &Node<'_>,
        flat: bool,
    ) -> Type {
        let target = self.of(of);
        let has = self.resolve(at, "hasValue", true, &[target]);
        let target = self.of(of);
        let value = self.resolve(at, "value", true, &[target]);
        self.bound.push((variable.to_owned(), value));
        let found = self.of(body);
        self.bound.pop();
        let found = if flat { found } else { self.resolve(at, "optional.of", false, &[found]) };
        let none = self.resolve(at, "optional.none", false, &[]);
        self.resolve(at, "_?_:_", false, &[has, found, none])
    }
}

/// What an optional entry has inside.
fn inside<'n, 'a>(node: &'n Node<'a>) -> &'n Node<'a> {
    match &node.what {
        What::Optional(inner) => inner,
        _ => node,
    }
}

fn instance(of: &Type, fresh: &[Type]) -> Type {
    let inner = |t: &Type| Box::new(instance(t, fresh));
    match of {
        Type::Param(id) => fresh.get(*id as usize).cloned().unwrap_or(Type::Dyn),
        Type::List(t) => Type::List(inner(t)),
        Type::Map(key, value) => Type::Map(inner(key), inner(value)),
        Type::Optional(t) => Type::Optional(inner(t)),
        Type::Kind(t) => Type::Kind(inner(t)),
        other => other.clone(),
    }
}

/// A chain of names with dots between them.
fn dotted(node: &Node<'_>) -> Option<String> {
    match &node.what {
        What::Name(name) => Some((*name).to_owned()),
        What::Select(of, name) => Some(format!("{}.{name}", dotted(of)?)),
        _ => None,
    }
}
