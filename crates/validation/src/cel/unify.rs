//! Which type may stand for which (`cel-go/checker/types.go`): types have variables, and what is known of these grows.

use std::cell::Cell;
use std::collections::HashMap;

use super::Type;

/// The least and the most steps that a check may take, and how many each byte of the text allows. Macros that stand for
/// their target twice, and variables that stand for types with two others, make short texts endless.
const STEPS_LEAST: usize = 10_000;
const STEPS_MOST: usize = 20_000_000;
const STEPS_PER_BYTE: usize = 100;

/// What is known of variables.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The steps that are left.
    left: Cell<usize>,
    bound: HashMap<u32, Type>,
    next: u32,
    /// What variables were before a try: it may fail half-way.
    undo: Vec<(u32, Option<Type>)>,
}

impl Known {
    /// Nothing, at the start of a text of that many bytes.
    pub(super) fn new(length: usize) -> Known {
        let left = STEPS_LEAST.saturating_add(length.saturating_mul(STEPS_PER_BYTE)).min(STEPS_MOST);
        Known { left: Cell::new(left), ..Known::default() }
    }

    /// Takes a step, unless none is left: then types may be anything.
    pub(super) fn step(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }

    /// A variable of which nothing is known.
    pub(super) fn fresh(&mut self) -> Type {
        self.next += 1;
        Type::Param(self.next - 1)
    }

    /// A type with what is known in place of variables; with `open`, anything for the others.
    pub(super) fn substitute(&self, of: &Type, open: bool) -> Type {
        if !self.step() {
            return Type::Dyn;
        }
        let inner = |t: &Type| Box::new(self.substitute(t, open));
        match of {
            Type::Param(id) => match self.bound.get(id) {
                Some(known) => self.substitute(known, open),
                None if open => Type::Dyn,
                None => of.clone(),
            },
            Type::List(item) => Type::List(inner(item)),
            Type::Map(key, value) => Type::Map(inner(key), inner(value)),
            Type::Optional(value) => Type::Optional(inner(value)),
            Type::Kind(value) => Type::Kind(inner(value)),
            other => other.clone(),
        }
    }

    /// Whether values of all of `given` may stand where `wanted` are asked; what that says of variables is kept then.
    pub(super) fn assign(&mut self, given: &[&Type], wanted: &[&Type]) -> bool {
        self.undo.clear();
        let fits = given.len() == wanted.len()
            && given.iter().zip(wanted).all(|(given, wanted)| self.assignable(given, wanted));
        if !fits {
            while let Some((id, before)) = self.undo.pop() {
                match before {
                    Some(before) => self.bound.insert(id, before),
                    None => self.bound.remove(&id),
                };
            }
        }
        fits
    }

    fn bind(&mut self, id: u32, of: Type) {
        let before = self.bound.insert(id, of);
        self.undo.push((id, before));
    }

    fn assignable(&mut self, a: &Type, b: &Type) -> bool {
        if !self.step() {
            return true;
        }
        if let Type::Param(id) = b {
            let (valid, known) = self.stands_for(a, *id);
            if valid || known {
                return valid;
            }
        }
        if let Type::Param(id) = a {
            return self.stands_for(b, *id).0;
        }
        let nullable = |t: &Type| {
            matches!(t, Type::Null | Type::Object(..) | Type::Duration | Type::Timestamp | Type::Optional(_))
        };
        match (a, b) {
            (a, b) if a.is_open() || b.is_open() => true,
            (Type::Null, other) | (other, Type::Null) => nullable(other),
            (Type::List(a), Type::List(b)) | (Type::Optional(a), Type::Optional(b)) => self.assignable(a, b),
            (Type::Map(a, b), Type::Map(c, d)) => self.assignable(a, c) && self.assignable(b, d),
            (Type::Kind(_), Type::Kind(_)) => true,
            (Type::Object(a, _), Type::Object(b, _)) => a == b,
            (a, b) => a == b,
        }
    }

    /// Whether a type may be that of a variable, and whether the variable had one.
    fn stands_for(&mut self, of: &Type, id: u32) -> (bool, bool) {
        if *of == Type::Param(id) {
            return (true, true);
        }
        let Some(known) = self.bound.get(&id).cloned() else {
            let free = !self.mentions(of, id);
            if free {
                self.bind(id, of.clone());
            }
            return (free, false);
        };
        if *of == known {
            return (true, true);
        }
        if !self.assignable(of, &known) {
            return (false, true);
        }
        let general = most_general(of, &known);
        if !self.mentions(&general, id) {
            self.bind(id, general);
        }
        (true, true)
    }

    fn mentions(&self, within: &Type, id: u32) -> bool {
        if !self.step() {
            return false;
        }
        match within {
            Type::Param(other) if *other == id => true,
            Type::Param(other) => self.bound.get(other).is_some_and(|known| self.mentions(known, id)),
            Type::List(t) | Type::Optional(t) | Type::Kind(t) => self.mentions(t, id),
            Type::Map(key, value) => self.mentions(key, id) || self.mentions(value, id),
            _ => false,
        }
    }
}

/// Of two types that fit, the one that says less.
pub(super) fn most_general(a: &Type, b: &Type) -> Type {
    if says_less(a, b) { a.clone() } else { b.clone() }
}

fn says_less(a: &Type, b: &Type) -> bool {
    let is_dyn = |t: &Type| matches!(t, Type::Dyn | Type::Param(_));
    match (a, b) {
        (a, _) if is_dyn(a) => true,
        (_, b) if is_dyn(b) => false,
        (Type::List(a), Type::List(b)) | (Type::Optional(a), Type::Optional(b)) => says_less(a, b),
        (Type::Map(a, b), Type::Map(c, d)) => says_less(a, c) && says_less(b, d),
        (Type::Kind(_), Type::Kind(_)) => true,
        (Type::Object(a, _), Type::Object(b, _)) => a == b,
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, Type};

    #[test]
    fn a_failed_try_leaves_nothing_behind() {
        let mut known = Known::new(0);
        let a = known.fresh();
        assert!(!known.assign(&[&Type::Int, &Type::Bool], &[&a, &Type::String]));
        assert_eq!(known.substitute(&a, false), a);
        assert!(known.assign(&[&Type::list(Type::Int)], &[&Type::list(a.clone())]));
        assert_eq!(known.substitute(&a, false), Type::Int);
        assert!(!known.assign(&[&Type::String], &[&a]));
        assert!(known.assign(&[&Type::Dyn], &[&a]));
        assert_eq!(known.substitute(&a, false), Type::Dyn);
    }
}
