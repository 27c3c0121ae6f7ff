//! What is wrong with an expression that does not parse: every mistake that upstream's parser tells, as it goes on
//! behind each of them (ANTLR's default error strategy: one token too many, one too few, else on to what may follow).
//!
//! Rules of the grammar are functions that only look for mistakes. Which token sets may come next at a place, and what
//! may follow the rules around, is all that the strategy knows.

use std::panic::Location;

use super::Mistake;
use super::lex::{Kind, Token};
use super::parse::RESERVED;
use super::sets::*;

/// How many mistakes upstream goes on behind.
const ATTEMPTS_MAX: usize = 30;
/// How many rules may be read inside each other: more than the parser allows.
const DEPTH_MAX: usize = 1500;

/// Why a rule was left, and where in the grammar (a line of this file).
enum Stop {
    /// The token is none of these.
    Mismatch(Set, u32),
    /// No alternative begins with the tokens from one to another.
    NoAlternative { from: usize, to: usize, site: u32 },
    /// Nothing more is read at all.
    Over,
}

type Done = Result<(), Stop>;

/// All mistakes of the grammar in these tokens.
pub(super) fn mistakes(text: &str, tokens: &[Token<'_>]) -> Vec<Mistake> {
    let mut r = Recovery {
        text,
        tokens,
        next: 0,
        follow: Vec::new(),
        found: Vec::new(),
        recovering: false,
        last: None,
        sites: Vec::new(),
        attempts: 0,
    };
    // What comes behind the whole expression is the end.
    let done = r.rule(EOF, Recovery::expression).and_then(|()| r.expect(EOF, EOF));
    if let Err(stop) = done {
        r.report(&stop);
    }
    r.found
}

struct Recovery<'a> {
    text: &'a str,
    tokens: &'a [Token<'a>],
    next: usize,
    /// What may follow each of the rules that are being read.
    follow: Vec<Set>,
    found: Vec<Mistake>,
    /// A mistake was told and nothing was read since.
    recovering: bool,
    /// Where it was recovered last.
    last: Option<usize>,
    /// Where in the grammar that was, since something was read.
    sites: Vec<u32>,
    attempts: usize,
}

impl<'a> Recovery<'a> {
    fn token(&self, ahead: usize) -> Option<&Token<'a>> {
        self.tokens.get((self.next + ahead).min(self.tokens.len().saturating_sub(1)))
    }

    fn la(&self, ahead: usize) -> Set {
        self.token(ahead).map_or(EOF, kind)
    }

    fn consume(&mut self) {
        if self.la(0) != EOF {
            self.next += 1;
        }
    }

    /// What can come next where this rule goes on with `set`, the rules around it included.
    fn expected(&self, set: Set) -> Set {
        let mut all = set;
        for follow in self.follow.iter().rev() {
            if all & END == 0 {
                break;
            }
            all = (all & !END) | follow;
        }
        if all & END == 0 { all } else { (all & !END) | EOF }
    }

    fn tell(&mut self, at: usize, what: String) {
        self.recovering = true;
        self.found.push(Mistake { at, what: format!("Syntax error: {what}") });
    }

    fn input(&self) -> (usize, String) {
        self.token(0).map_or((0, String::new()), |t| {
            let quote = if t.kind == Kind::Quoted { "`" } else { "" };
            (t.at, format!("'{quote}{}{quote}'", t.text))
        })
    }

    fn report(&mut self, stop: &Stop) {
        if self.recovering {
            return;
        }
        let (at, input) = self.input();
        match stop {
            Stop::Over => {}
            Stop::Mismatch(set, _) => {
                self.tell(at, format!("mismatched input {input} expecting {}", shown(*set)))
            }
            Stop::NoAlternative { from, to, .. } => {
                let place = |i: usize| self.tokens.get(i.min(self.tokens.len().saturating_sub(1)));
                let (from, to) = (place(*from).map_or(0, |t| t.at), place(*to));
                let (at, end) = to.map_or((0, 0), |t| (t.at, t.end()));
                let text = self.text.get(from..end.max(from)).unwrap_or_default();
                let text = text.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t");
                self.tell(at, format!("no viable alternative at input '{text}'"));
            }
        }
    }

    /// Reads a rule; `follow` is what may come behind it in the rule around.
    fn rule(&mut self, follow: Set, rule: impl FnOnce(&mut Self) -> Done) -> Done {
        if self.follow.len() > DEPTH_MAX {
            return Err(Stop::Over);
        }
        self.follow.push(follow);
        let mut done = rule(self);
        if let Err(stop @ (Stop::Mismatch(_, site) | Stop::NoAlternative { site, .. })) = done {
            self.report(&stop);
            done = self.recover(site);
        }
        self.follow.pop();
        done
    }

    /// On to what may follow one of the rules around.
    fn recover(&mut self, site: u32) -> Done {
        self.attempts += 1;
        if self.attempts > ATTEMPTS_MAX {
            return Err(Stop::Over);
        }
        if self.last == Some(self.next) && self.sites.contains(&site) {
            // Nothing would ever be read.
            self.consume();
        }
        self.last = Some(self.next);
        self.sites.push(site);
        let any = self.follow.iter().fold(0, |all, set| all | set) & !END;
        while self.la(0) & (any | EOF) == 0 {
            self.consume();
        }
        Ok(())
    }

    fn settle(&mut self) {
        self.recovering = false;
        self.last = None;
        self.sites.clear();
    }

    fn matched(&mut self) {
        self.settle();
        self.consume();
    }

    /// The next token goes if the one behind it is expected.
    fn delete_one(&mut self, expected: Set) -> bool {
        if self.la(0) == EOF || self.la(1) & expected == 0 {
            return false;
        }
        self.extraneous(expected);
        self.consume();
        self.settle();
        true
    }

    fn extraneous(&mut self, expected: Set) {
        if !self.recovering {
            let (at, input) = self.input();
            self.tell(at, format!("extraneous input {input} expecting {}", shown(expected)));
        }
    }

    /// Reads a token of a type; `then` is what comes behind it in this rule.
    #[track_caller]
    fn expect(&mut self, wanted: Set, then: Set) -> Done {
        if self.la(0) & wanted != 0 {
            self.matched();
            return Ok(());
        }
        self.attempts += 1;
        if self.attempts > ATTEMPTS_MAX {
            return Err(Stop::Over);
        }
        if self.delete_one(wanted) {
            self.matched();
            return Ok(());
        }
        if self.la(0) & self.expected(then) != 0 {
            if !self.recovering {
                let (at, input) = self.input();
                self.tell(at, format!("missing {} at {input}", shown(wanted)));
            }
            return Ok(());
        }
        Err(Stop::Mismatch(wanted, Location::caller().line()))
    }

    /// Looks whether one of several alternatives can begin here.
    #[track_caller]
    fn sync(&mut self, set: Set) -> Done {
        if self.recovering || set & END != 0 || self.la(0) & set != 0 {
            return Ok(());
        }
        if self.delete_one(self.expected(set)) {
            return Ok(());
        }
        Err(Stop::Mismatch(self.expected(set), Location::caller().line()))
    }

    fn expression(&mut self) -> Done {
        self.rule(MARK | END, Self::or)?;
        if self.la(0) == MARK {
            self.expect(MARK, START)?;
            self.rule(COLON, Self::or)?;
            self.expect(COLON, START)?;
            self.rule(END, Self::expression)?;
        }
        Ok(())
    }

    fn or(&mut self) -> Done {
        self.rule(OR | END, Self::and)?;
        while self.la(0) == OR {
            self.expect(OR, START)?;
            self.rule(OR | END, Self::and)?;
        }
        Ok(())
    }

    fn and(&mut self) -> Done {
        self.rule(AND | END, |r| r.relation(true))?;
        while self.la(0) == AND {
            self.expect(AND, START)?;
            self.rule(AND | END, |r| r.relation(true))?;
        }
        Ok(())
    }

    fn relation(&mut self, goes_on: bool) -> Done {
        self.rule(RELATIONS | END, |r| r.sum(0))?;
        while goes_on && self.la(0) & RELATIONS != 0 {
            self.matched();
            self.rule(RELATIONS | END, |r| r.relation(false))?;
        }
        Ok(())
    }

    fn sum(&mut self, level: u8) -> Done {
        self.rule(SUMS | END, Self::unary)?;
        loop {
            let operator = self.la(0);
            let inner = match operator {
                o if o & PRODUCTS != 0 && level <= 2 => 3,
                o if o & (PLUS | MINUS) != 0 && level <= 1 => 2,
                _ => return Ok(()),
            };
            self.matched();
            self.rule(SUMS | END, |r| r.sum(inner))?;
        }
    }

    fn unary(&mut self) -> Done {
        self.sync(START)?;
        let (first, second) = (self.la(0), self.la(1));
        if first == NOT {
            while self.la(0) == NOT {
                self.expect(NOT, NOT | MEMBER)?;
                self.after_sign(NOT | MEMBER);
            }
        } else if first == MINUS && second & NUMBERS == 0 {
            if second & MEMBER == 0 {
                return Err(Stop::NoAlternative { from: self.next, to: self.next + 1, site: line!() });
            }
            while self.la(0) == MINUS {
                self.expect(MINUS, MEMBER)?;
                self.after_sign(MEMBER);
            }
        } else if first & MEMBER == 0 {
            return Err(Stop::NoAlternative { from: self.next, to: self.next, site: line!() });
        }
        self.rule(END, Self::member)
    }

    /// Behind a sign comes another one or its operand.
    fn after_sign(&mut self, set: Set) {
        if self.recovering || self.la(0) & set != 0 {
            return;
        }
        self.extraneous(set);
        let any = self.follow.iter().fold(0, |all, set| all | set) & !END;
        while self.la(0) & (any | set | EOF) == 0 {
            self.consume();
        }
    }

    fn member(&mut self) -> Done {
        self.rule(TAIL, Self::primary)?;
        loop {
            match self.la(0) {
                LIST => {
                    self.matched();
                    self.sync(MARK | START)?;
                    if self.la(0) == MARK {
                        self.matched();
                    }
                    self.rule(LIST_END, Self::expression)?;
                    self.expect(LIST_END, TAIL)?;
                }
                DOT => match (self.la(1), self.la(2)) {
                    (NAME, PAREN) => {
                        self.matched();
                        self.matched();
                        self.matched();
                        self.arguments(TAIL)?;
                    }
                    (MARK | QUOTED | NAME, _) => {
                        self.matched();
                        if self.la(0) == MARK {
                            self.matched();
                        }
                        self.rule(TAIL, Self::field)?;
                    }
                    _ => {
                        return Err(Stop::NoAlternative {
                            from: self.next,
                            to: self.next + 1,
                            site: line!(),
                        });
                    }
                },
                _ => return Ok(()),
            }
        }
    }

    fn field(&mut self) -> Done {
        self.sync(NAME | QUOTED)?;
        if self.la(0) & (NAME | QUOTED) == 0 {
            return Err(Stop::NoAlternative { from: self.next, to: self.next, site: line!() });
        }
        self.matched();
        Ok(())
    }

    /// The arguments of a call and the parenthesis behind them.
    fn arguments(&mut self, then: Set) -> Done {
        self.sync(START | PAREN_END)?;
        if self.la(0) & START != 0 {
            self.rule(PAREN_END, |r| {
                r.rule(COMMA | END, Self::expression)?;
                while r.la(0) == COMMA {
                    r.expect(COMMA, START)?;
                    r.rule(COMMA | END, Self::expression)?;
                }
                Ok(())
            })?;
        }
        self.expect(PAREN_END, then)
    }

    fn primary(&mut self) -> Done {
        self.sync(MEMBER)?;
        match self.la(0) {
            PAREN => {
                self.matched();
                self.rule(PAREN_END, Self::expression)?;
                self.expect(PAREN_END, END)
            }
            LIST => {
                self.matched();
                self.entries(MARK | START, LIST_END, Self::item)
            }
            BRACE => {
                self.matched();
                self.entries(MARK | START, BRACE_END, Self::entry)
            }
            NAME | DOT => self.name(),
            MINUS => {
                self.matched();
                self.sync(NUMBERS)?;
                self.matched();
                Ok(())
            }
            other if other & LITERALS != 0 => {
                self.matched();
                Ok(())
            }
            _ => Err(Stop::NoAlternative { from: self.next, to: self.next, site: line!() }),
        }
    }

    /// A variable, a call or a message.
    fn name(&mut self) -> Done {
        let dot = usize::from(self.la(0) == DOT);
        if self.la(dot) != NAME {
            return Err(Stop::NoAlternative { from: self.next, to: self.next + dot, site: line!() });
        }
        let mut last = dot;
        while (self.la(last + 1), self.la(last + 2)) == (DOT, NAME) {
            last += 2;
        }
        let is_message = self.la(last + 1) == BRACE;
        if let Some(name) = self.token(dot).filter(|t| !is_message && RESERVED.contains(&t.text)) {
            let (at, what) = (name.at, format!("reserved identifier: {}", name.text));
            self.found.push(Mistake { at, what });
        }
        let count = if is_message { last + 1 } else { dot + 1 };
        (0..count).for_each(|_| self.matched());
        match self.la(0) {
            PAREN if !is_message => {
                self.matched();
                self.arguments(END)
            }
            BRACE if is_message => {
                self.matched();
                self.entries(MARK | NAME | QUOTED, BRACE_END, Self::message_field)
            }
            _ => Ok(()),
        }
    }

    /// What stands between brackets, and the closing one.
    fn entries(&mut self, first: Set, close: Set, entry: fn(&mut Self, Set) -> Done) -> Done {
        self.sync(first | COMMA | close)?;
        if self.la(0) & first != 0 {
            self.rule(COMMA | close, |r| {
                entry(r, COMMA | END)?;
                while r.la(0) == COMMA && r.la(1) & first != 0 {
                    r.matched();
                    entry(r, COMMA | END)?;
                }
                Ok(())
            })?;
        }
        self.sync(COMMA | close)?;
        if self.la(0) == COMMA {
            self.matched();
        }
        self.expect(close, END)
    }

    fn item(&mut self, follow: Set) -> Done {
        self.rule(follow, |r| {
            r.sync(MARK | START)?;
            if r.la(0) == MARK {
                r.matched();
            }
            r.rule(END, Self::expression)
        })
    }

    fn entry(&mut self, follow: Set) -> Done {
        self.item(COLON)?;
        self.expect(COLON, START)?;
        self.rule(follow, Self::expression)
    }

    fn message_field(&mut self, follow: Set) -> Done {
        self.rule(COLON, |r| {
            r.sync(MARK | NAME | QUOTED)?;
            if r.la(0) == MARK {
                r.matched();
            }
            r.rule(END, Self::field)
        })?;
        self.expect(COLON, START)?;
        self.rule(follow, Self::expression)
    }
}

#[cfg(test)]
mod tests {
    use crate::cel::{compile, dynamic};

    #[test]
    fn every_mistake_is_told() {
        let start = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
        for (text, expected) in [
            ("(true", vec!["6: missing ')' at '<EOF>'".to_owned()]),
            ("self, self", vec!["5: mismatched input ',' expecting <EOF>".to_owned()]),
            ("a b", vec!["3: extraneous input 'b' expecting <EOF>".to_owned()]),
            (
                "-",
                vec![
                    "2: no viable alternative at input '-'".to_owned(),
                    format!("2: mismatched input '<EOF>' expecting {start}"),
                ],
            ),
            (
                "*",
                vec![
                    format!("1: mismatched input '*' expecting {start}"),
                    format!("2: mismatched input '<EOF>' expecting {start}"),
                ],
            ),
            ("/x", vec![format!("1: extraneous input '/' expecting {start}")]),
            ("2 ** 3", vec![format!("4: extraneous input '*' expecting {start}")]),
            (
                "{{x}}",
                vec![
                    "4: mismatched input '}' expecting ':'".to_owned(),
                    "5: mismatched input '}' expecting ':'".to_owned(),
                ],
            ),
            ("{1:1", vec!["5: mismatched input '<EOF>' expecting {'}', ','}".to_owned()]),
            ("self.,", vec!["6: no viable alternative at input '.,'".to_owned()]),
            (
                "a@b",
                vec![
                    "2: token recognition error at: '@'".to_owned(),
                    "3: extraneous input 'b' expecting <EOF>".to_owned(),
                ],
            ),
            (
                "a = 1",
                vec![
                    "3: token recognition error at: '= '".to_owned(),
                    "5: extraneous input '1' expecting <EOF>".to_owned(),
                ],
            ),
        ] {
            let found = compile(text, &dynamic(&["a", "b", "self"])).unwrap_err();
            let told: Vec<&str> =
                found.split("ERROR: <input>:1:").skip(1).map(|m| m.split('\n').next().unwrap()).collect();
            let told: Vec<String> = told.iter().map(|m| m.replace("Syntax error: ", "")).collect();
            assert_eq!(told, expected, "{text}");
        }
        // Neither many mistakes nor deep ones take long.
        for text in ["(".repeat(50_000), "* ".repeat(50_000), "[{".repeat(10_000), "!".repeat(100_000)] {
            assert!(compile(&text, &dynamic(&[])).is_err());
        }
    }
}
