//! CEL's grammar.

use super::lex::{Kind, Token, tokens};
use super::{Mistake, macros, recover};

/// A part of an expression; `at` is where errors about it point to.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) at: usize,
    pub(super) what: What<'a>,
}

#[derive(Debug)]
pub(super) enum What<'a> {
    Name(&'a str),
    /// With its text, quotes included.
    Literal(Kind, &'a str),
    True,
    Null,
    /// An operator by its function's name: `_+_`.
    Operator(&'static str, Vec<Node<'a>>),
    Select(Box<Node<'a>>, &'a str),
    /// `.?`
    OptionalSelect(Box<Node<'a>>, &'a str),
    /// An entry of a list or a map with a question mark before it; of a map's it is the key.
    Optional(Box<Node<'a>>),
    Call(Option<Box<Node<'a>>>, &'a str, Vec<Node<'a>>),
    List(Vec<Node<'a>>),
    Map(Vec<(Node<'a>, Node<'a>)>),
    /// A message of a named type with its fields' values.
    Message(String, Vec<Node<'a>>),
}

impl<'a> Node<'a> {
    /// What it is made of.
    pub(super) fn inner(&self) -> Vec<&Node<'a>> {
        match &self.what {
            What::Name(_) | What::Literal(..) | What::True | What::Null => Vec::new(),
            What::Operator(_, all) | What::List(all) | What::Message(_, all) => all.iter().collect(),
            What::Select(of, _) | What::OptionalSelect(of, _) | What::Optional(of) => vec![of],
            What::Call(of, _, arguments) => of.as_deref().into_iter().chain(arguments).collect(),
            What::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
        }
    }
}

/// What an expression can start with.
const START: &str = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

/// Words that cannot be names of variables.
pub(super) const RESERVED: [&str; 18] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
    "in",
];

/// Words that cannot be names of fields or variables where somebody makes names up: keywords and literals.
pub(crate) fn is_word_of_cel(name: &str) -> bool {
    ["true", "false", "null"].contains(&name) || RESERVED.contains(&name)
}

/// Binary operators from the loosest to the tightest.
const LEVELS: [&[(&str, &str)]; 5] = [
    &[("||", "_||_")],
    &[("&&", "_&&_")],
    &[
        ("<", "_<_"),
        ("<=", "_<=_"),
        (">=", "_>=_"),
        (">", "_>_"),
        ("==", "_==_"),
        ("!=", "_!=_"),
        ("in", "@in"),
    ],
    &[("+", "_+_"), ("-", "_-_")],
    &[("*", "_*_"), ("/", "_/_"), ("%", "_%_")],
];

/// The deepest nesting that is read.
const DEPTH_MAX: usize = 100;

/// The longest chain of calls, or of operators of one level.
const LINKS_MAX: usize = 250;
/// How many of the levels are logical operators, whose chains become balanced trees (as in upstream's parser).
const LOGICAL: usize = 2;

/// The operands of a chain of one logical operator as a tree whose depth is the logarithm of their number.
fn balanced<'a>(first: Node<'a>, mut more: Vec<(usize, &'static str, Node<'a>)>) -> Node<'a> {
    if more.is_empty() {
        return first;
    }
    let mut tail = more.split_off(more.len() / 2);
    let (at, function, middle) = tail.remove(0);
    let sides = vec![balanced(first, more), balanced(middle, tail)];
    Node { at, what: What::Operator(function, sides) }
}

/// Reads an expression, or tells all that is wrong with it.
pub(super) fn parse(text: &str) -> Result<Node<'_>, Vec<Mistake>> {
    let (tokens, mut mistakes) = tokens(text);
    let mut parser = Parser { text, tokens, next: 0, depth: 0, refused: Vec::new() };
    let read = parser.whole();
    mistakes.append(&mut parser.refused);
    match read {
        Ok(node) if mistakes.is_empty() => return Ok(node),
        Ok(_) => {}
        Err(first) => {
            let more = recover::mistakes(text, &parser.tokens);
            if more.is_empty() {
                mistakes.push(first);
            }
            mistakes.extend(more);
        }
    }
    Err(mistakes)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token<'a>>,
    next: usize,
    depth: usize,
    /// What the grammar allows and upstream does not.
    refused: Vec<Mistake>,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        // There is always the end.
        let last = self.tokens.len().saturating_sub(1);
        self.tokens.get(self.next.min(last)).copied().unwrap_or(Token {
            kind: Kind::End,
            text: "<EOF>",
            at: 0,
        })
    }

    fn whole(&mut self) -> Result<Node<'a>, Mistake> {
        let node = self.expression()?;
        let token = self.peek();
        if token.kind == Kind::End {
            return Ok(node);
        }
        let what = format!("Syntax error: mismatched input '{}' expecting <EOF>", token.text);
        Err(Mistake { at: token.at, what })
    }

    fn take(&mut self) -> Token<'a> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn is_sign(&self, sign: &str) -> bool {
        let token = self.peek();
        token.text == sign && (token.kind == Kind::Sign || (sign == "in" && token.kind == Kind::Name))
    }

    fn accept(&mut self, sign: &str) -> Option<Token<'a>> {
        if self.is_sign(sign) { Some(self.take()) } else { None }
    }

    fn expect(&mut self, sign: &str) -> Result<Token<'a>, Mistake> {
        let token = self.peek();
        self.accept(sign).ok_or_else(|| Mistake {
            at: token.at,
            what: format!("Syntax error: mismatched input '{}' expecting '{sign}'", token.text),
        })
    }

    fn expression(&mut self) -> Result<Node<'a>, Mistake> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let what = format!("expression recursion limit exceeded: {DEPTH_MAX}");
            return Err(Mistake { at: self.peek().at, what });
        }
        let condition = self.binary(0)?;
        let node = match self.accept("?") {
            None => condition,
            Some(mark) => {
                let yes = self.binary(0)?;
                self.expect(":")?;
                let no = self.expression()?;
                Node { at: mark.at, what: What::Operator("_?_:_", vec![condition, yes, no]) }
            }
        };
        self.depth -= 1;
        Ok(node)
    }

    fn binary(&mut self, level: usize) -> Result<Node<'a>, Mistake> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        let mut more = Vec::new();
        let mut links = 0;
        while let Some((_, function)) = operators.iter().find(|(sign, _)| self.is_sign(sign)) {
            let at = self.take().at;
            let right = self.binary(level + 1)?;
            if level < LOGICAL {
                more.push((at, *function, right));
                continue;
            }
            links += 1;
            self.chained(links)?;
            left = Node { at, what: What::Operator(function, vec![left, right]) };
        }
        Ok(balanced(left, more))
    }

    /// Each link of a chain nests the expression by one level.
    fn chained(&self, links: usize) -> Result<(), Mistake> {
        if links <= LINKS_MAX {
            return Ok(());
        }
        let what = format!("expression recursion limit exceeded: {LINKS_MAX}");
        Err(Mistake { at: self.peek().at, what })
    }

    fn unary(&mut self) -> Result<Node<'a>, Mistake> {
        for (sign, function) in [("!", "!_"), ("-", "-_")] {
            let Some(first) = self.accept(sign) else { continue };
            let mut count = 1;
            while self.accept(sign).is_some() {
                count += 1;
            }
            let inner = self.member()?;
            if count % 2 == 0 {
                return Ok(inner);
            }
            if sign == "-" && matches!(inner.what, What::Literal(Kind::Int | Kind::Double, _)) {
                // The sign is part of the number.
                return Ok(Node { at: first.at, what: inner.what });
            }
            return Ok(Node { at: first.at, what: What::Operator(function, vec![inner]) });
        }
        self.member()
    }

    fn member(&mut self) -> Result<Node<'a>, Mistake> {
        let mut node = self.primary()?;
        let mut links = 0;
        loop {
            links += 1;
            self.chained(links)?;
            if let Some(dot) = self.accept(".") {
                let optional = self.accept("?").is_some();
                let name = self.take();
                if name.kind == Kind::Quoted {
                    self.refused.push(Mistake { at: name.at, what: "unsupported syntax: '`'".to_owned() });
                } else if name.kind != Kind::Name {
                    let what = "Syntax error: no viable alternative at input '.'".to_owned();
                    return Err(Mistake { at: name.at, what });
                }
                node = match self.accept("(") {
                    Some(open) => {
                        let arguments = self.arguments(")")?;
                        self.refused.extend(macros::mistakes(name.text, &arguments));
                        Node { at: open.at, what: What::Call(Some(Box::new(node)), name.text, arguments) }
                    }
                    None if optional => {
                        Node { at: dot.at, what: What::OptionalSelect(Box::new(node), name.text) }
                    }
                    None => Node { at: dot.at, what: What::Select(Box::new(node), name.text) },
                };
            } else if let Some(open) = self.accept("[") {
                let function = if self.accept("?").is_some() { "_[?_]" } else { "_[_]" };
                let index = self.expression()?;
                self.expect("]")?;
                node = Node { at: open.at, what: What::Operator(function, vec![node, index]) };
            } else if self.is_sign("{")
                && let Some(name) = dotted(&node)
            {
                let at = self.take().at;
                let entries = self.entries()?;
                let values = entries.into_iter().map(|(_, value)| value).collect();
                node = Node { at, what: What::Message(name, values) };
            } else {
                return Ok(node);
            }
        }
    }

    fn primary(&mut self) -> Result<Node<'a>, Mistake> {
        let token = self.take();
        let at = token.at;
        let what = match (token.kind, token.text) {
            (Kind::Name, "true" | "false") => What::True,
            (Kind::Name, "null") => What::Null,
            (Kind::Name, name) => return self.name(name, at),
            (Kind::Int | Kind::Uint | Kind::Double | Kind::Text | Kind::Bytes, _) => {
                What::Literal(token.kind, token.text)
            }
            (Kind::Sign, "(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                return Ok(inner);
            }
            (Kind::Sign, "[") => What::List(self.arguments("]")?),
            (Kind::Sign, "{") => What::Map(self.entries()?),
            (Kind::Sign, ".") if self.peek().kind == Kind::Name => {
                let name = self.take();
                let is_call = self.is_sign("(") || name.at != at + 1;
                let whole = if is_call { name.text } else { &self.text[at..name.end()] };
                return self.name(whole, name.at);
            }
            _ => {
                let what = format!("Syntax error: mismatched input '{}' expecting {START}", token.text);
                return Err(Mistake { at, what });
            }
        };
        Ok(Node { at, what })
    }

    fn name(&mut self, name: &'a str, at: usize) -> Result<Node<'a>, Mistake> {
        if RESERVED.contains(&name.trim_start_matches('.')) {
            return Err(Mistake { at, what: format!("reserved identifier: {name}") });
        }
        Ok(match self.accept("(") {
            Some(open) => {
                let arguments = self.arguments(")")?;
                if let ("has", [argument]) = (name, &arguments[..])
                    && !matches!(argument.what, What::Select(..))
                {
                    let what = "invalid argument to has() macro".to_owned();
                    self.refused.push(Mistake { at: argument.at, what });
                }
                Node { at: open.at, what: What::Call(None, name, arguments) }
            }
            None => Node { at, what: What::Name(name) },
        })
    }

    fn arguments(&mut self, close: &str) -> Result<Vec<Node<'a>>, Mistake> {
        let mut found = Vec::new();
        while self.accept(close).is_none() {
            if !found.is_empty() {
                self.expect(",")?;
                if close != ")" && self.accept(close).is_some() {
                    break;
                }
            }
            let optional = self.accept("?");
            let entry = self.expression()?;
            found.push(maybe(optional, entry));
        }
        Ok(found)
    }

    /// Keys and values up to the closing brace.
    fn entries(&mut self) -> Result<Vec<(Node<'a>, Node<'a>)>, Mistake> {
        let mut found = Vec::new();
        while self.accept("}").is_none() {
            if !found.is_empty() {
                self.expect(",")?;
                if self.accept("}").is_some() {
                    break;
                }
            }
            let optional = self.accept("?");
            let key = self.expression()?;
            self.expect(":")?;
            found.push((maybe(optional, key), self.expression()?));
        }
        Ok(found)
    }
}

/// An entry with a question mark before it, if there is one.
fn maybe<'a>(mark: Option<Token<'a>>, entry: Node<'a>) -> Node<'a> {
    match mark {
        Some(mark) => Node { at: mark.at, what: What::Optional(Box::new(entry)) },
        None => entry,
    }
}

/// A name with dots, as types of messages have.
fn dotted(node: &Node<'_>) -> Option<String> {
    match &node.what {
        What::Name(name) => Some((*name).to_owned()),
        What::Select(of, name) => Some(format!("{}.{name}", dotted(of)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    /// Long chains nested so deep that checking them overflowed the stack.
    #[test]
    fn long_chains_are_refused_or_balanced() {
        for text in [
            "1".to_owned() + &"+1".repeat(500),
            "a".to_owned() + &".b".repeat(500),
            "a".to_owned() + &"[0]".repeat(500),
        ] {
            let error = parse(&text).map(drop).unwrap_err();
            assert!(error[0].what.contains("recursion limit"), "{}", error[0].what);
        }
        assert!(parse(&("a".to_owned() + &" && a".repeat(500))).is_ok());
        assert!(parse(&("!".repeat(501) + "a")).is_ok());
        // The lexer read the rest of the text for every token: minutes for this one.
        assert!(parse(&("!".repeat(200_000) + "a")).is_ok());
    }
}
