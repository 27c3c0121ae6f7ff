//! The parser of `labelSelector` texts: upstream's lexer and parser, token for token, for the same errors.

use std::collections::BTreeSet;

use super::labels::{Operator, Requirement};
use crate::field::{Error, Path};
use crate::names;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Error,
    End,
    ClosedPar,
    Comma,
    DoesNotExist,
    DoubleEquals,
    Equals,
    GreaterThan,
    Identifier,
    In,
    LessThan,
    NotEquals,
    NotIn,
    OpenPar,
}

fn keyword(text: &str) -> Option<Token> {
    Some(match text {
        ")" => Token::ClosedPar,
        "," => Token::Comma,
        "!" => Token::DoesNotExist,
        "==" => Token::DoubleEquals,
        "=" => Token::Equals,
        ">" => Token::GreaterThan,
        "in" => Token::In,
        "<" => Token::LessThan,
        "!=" => Token::NotEquals,
        "notin" => Token::NotIn,
        "(" => Token::OpenPar,
        _ => return None,
    })
}

fn is_special(c: char) -> bool {
    matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// All tokens of the text, an [`Token::End`] last. A zero byte ends the text, as upstream's reader does.
fn tokens(text: &str) -> Vec<(Token, String)> {
    let text = text.split('\0').next().unwrap_or_default();
    let mut out = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while let Some(first) = rest.chars().next() {
        let (token, used) = if is_special(first) { special(rest) } else { word(rest) };
        let literal = match token {
            Token::Error => format!("error expected: keyword found '{}'", &rest[..used]),
            _ => rest[..used].to_owned(),
        };
        out.push((token, literal));
        rest = rest[used..].trim_start_matches(is_space);
    }
    out.push((Token::End, String::new()));
    out
}

fn word(rest: &str) -> (Token, usize) {
    let end = rest.find(|c| is_special(c) || is_space(c)).unwrap_or(rest.len());
    (keyword(&rest[..end]).unwrap_or(Token::Identifier), end)
}

/// The longest operator at the start of the text. All special characters are one byte.
fn special(rest: &str) -> (Token, usize) {
    let run = rest.find(|c| !is_special(c)).unwrap_or(rest.len());
    let mut last = None;
    for end in 1..=run {
        match keyword(&rest[..end]) {
            Some(token) => last = Some((token, end)),
            None if last.is_some() => break,
            None => {}
        }
    }
    last.unwrap_or((Token::Error, run))
}

struct Parser {
    tokens: Vec<(Token, String)>,
    at: usize,
}

impl Parser {
    /// In value position `in` and `notin` are identifiers.
    fn peek(&self) -> (Token, &str) {
        match self.tokens.get(self.at) {
            Some((Token::In | Token::NotIn, literal)) => (Token::Identifier, literal),
            Some((token, literal)) => (*token, literal),
            None => (Token::End, ""),
        }
    }

    fn next(&mut self) -> (Token, String) {
        let (token, literal) = self.peek();
        let out = (token, literal.to_owned());
        self.at += 1;
        out
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let (mut token, mut key) = self.next();
        let mut operator = None;
        if token == Token::DoesNotExist {
            operator = Some(Operator::DoesNotExist);
            (token, key) = self.next();
        }
        if token != Token::Identifier {
            return Err(format!("found '{key}', expected: identifier"));
        }
        let wrong = names::qualified_name(&key);
        if !wrong.is_empty() {
            // Upstream prints its missing path as Go's nil.
            let path = Path::new("<nil>");
            return Err(Error::invalid(&path, &key.as_str().into(), wrong.join("; ")).to_string());
        }
        if matches!(self.peek().0, Token::End | Token::Comma) && operator.is_none() {
            operator = Some(Operator::Exists);
        }
        if let Some(operator) = operator {
            return Requirement::new(&key, operator, Vec::new());
        }
        let operator = self.operator()?;
        let values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => self.exact_value()?,
        };
        Requirement::new(&key, operator, values.into_iter().collect())
    }

    fn operator(&mut self) -> Result<Operator, String> {
        let (token, literal) = self.tokens.get(self.at).cloned().unwrap_or((Token::End, String::new()));
        self.at += 1;
        Ok(match token {
            Token::In => Operator::In,
            Token::Equals => Operator::Equals,
            Token::DoubleEquals => Operator::DoubleEquals,
            Token::GreaterThan => Operator::GreaterThan,
            Token::LessThan => Operator::LessThan,
            Token::NotIn => Operator::NotIn,
            Token::NotEquals => Operator::NotEquals,
            _ => return Err(format!("found '{literal}', expected: in, notin, =, ==, !=, gt, lt")),
        })
    }

    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        let (token, literal) = self.next();
        if token != Token::OpenPar {
            return Err(format!("found '{literal}' expected: '('"));
        }
        match self.peek() {
            (Token::Identifier | Token::Comma, _) => {
                let list = self.identifiers()?;
                let (token, literal) = self.next();
                if token != Token::ClosedPar {
                    return Err(format!("found '{literal}', expected: ')'"));
                }
                Ok(list)
            }
            (Token::ClosedPar, _) => {
                self.at += 1;
                Ok(BTreeSet::from([String::new()]))
            }
            (_, literal) => Err(format!("found '{literal}', expected: ',', ')' or identifier")),
        }
    }

    fn identifiers(&mut self) -> Result<BTreeSet<String>, String> {
        let mut out = BTreeSet::new();
        loop {
            let (token, literal) = self.next();
            match token {
                Token::Identifier => {
                    out.insert(literal);
                    match self.peek() {
                        (Token::Comma, _) => {}
                        (Token::ClosedPar, _) => return Ok(out),
                        (_, literal) => return Err(format!("found '{literal}', expected: ',' or ')'")),
                    }
                }
                Token::Comma => {
                    // Empty values: `(,`, `,)`, `,,`.
                    if out.is_empty() || self.peek().0 == Token::Comma {
                        out.insert(String::new());
                    }
                    if self.peek().0 == Token::ClosedPar {
                        out.insert(String::new());
                        return Ok(out);
                    }
                }
                _ => return Err(format!("found '{literal}', expected: ',', or identifier")),
            }
        }
    }

    fn exact_value(&mut self) -> Result<BTreeSet<String>, String> {
        if matches!(self.peek().0, Token::End | Token::Comma) {
            return Ok(BTreeSet::from([String::new()]));
        }
        match self.next() {
            (Token::Identifier, literal) => Ok(BTreeSet::from([literal])),
            (_, literal) => Err(format!("found '{literal}', expected: identifier")),
        }
    }
}

/// All requirements of the text.
pub(super) fn labels(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parser = Parser { tokens: tokens(text), at: 0 };
    let mut out = Vec::new();
    loop {
        match parser.peek() {
            (Token::Identifier | Token::DoesNotExist, _) => {
                let one = parser.requirement().map_err(|e| format!("unable to parse requirement: {e}"))?;
                out.push(one);
                match parser.next() {
                    (Token::End, _) => return Ok(out),
                    (Token::Comma, _) => match parser.peek() {
                        (Token::Identifier | Token::DoesNotExist, _) => {}
                        (_, literal) => {
                            return Err(format!("found '{literal}', expected: identifier after ','"));
                        }
                    },
                    (_, literal) => {
                        return Err(format!("found '{literal}', expected: ',' or 'end of string'"));
                    }
                }
            }
            (Token::End, _) => return Ok(out),
            (_, literal) => {
                return Err(format!("found '{literal}', expected: !, identifier, or 'end of string'"));
            }
        }
    }
}
