//! Regular expressions of schemas. They are Go's (`regexp/syntax`): which ones there are and what is wrong with others is
//! Go's to say, and what Rust's library writes or takes differently is written anew for it.
//!
//! ```text
//! Go's text ── parse ──► mistake in Go's words
//!               └──────► the same expression for Rust's library
//! ```

use std::fmt::Write as _;

use regex::Regex;

/// Most repetitions of one thing, also where repetitions are inside each other.
const REPEAT_MAX: u64 = 1000;

/// Compiles a pattern; the error is Go's.
///
/// # Errors
/// Why it is no regular expression.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    let text = translate(pattern)?;
    Regex::new(&text).map_err(|_| mistake("expression too large", pattern))
}

/// What is wrong with an expression, in the words of Go's `regexp.Compile`.
pub fn problem(pattern: &str) -> Option<String> {
    translate(pattern).err()
}

fn mistake(what: &str, part: &str) -> String {
    format!("error parsing regexp: {what}: `{part}`")
}

fn translate(pattern: &str) -> Result<String, String> {
    let mut parser =
        Parser { whole: pattern, rest: pattern, out: String::new(), open: Vec::new(), top: None };
    parser.parse()?;
    Ok(parser.out)
}

struct Parser<'a> {
    whole: &'a str,
    rest: &'a str,
    out: String,
    /// Per open group, what was the heaviest repetition before it.
    open: Vec<u64>,
    /// How often the thing that a repetition would take is repeated; `None` where there is no such thing.
    top: Option<u64>,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    /// The text from `start` to here.
    fn since(&self, start: &'a str) -> &'a str {
        &start[..start.len() - self.rest.len()]
    }

    fn atom(&mut self, text: &str) {
        self.out.push_str(text);
        self.top = Some(1);
    }

    fn literal(&mut self, c: char) {
        push_literal(&mut self.out, c);
        self.top = Some(1);
    }

    fn parse(&mut self) -> Result<(), String> {
        // The heaviest repetition of each group that is open.
        let mut heaviest = 1;
        let mut last_repeat = None;
        while let Some(c) = self.rest.chars().next() {
            let start = self.rest;
            let mut repeat = None;
            match c {
                '(' => {
                    if start.starts_with("(?") {
                        if !self.flags()? {
                            // Flags alone are no part of the expression.
                            last_repeat = None;
                            continue;
                        }
                    } else {
                        self.next();
                        self.out.push('(');
                    }
                    self.open.push(heaviest);
                    heaviest = 1;
                    self.top = None;
                }
                ')' => {
                    let Some(before) = self.open.pop() else {
                        return Err(mistake("unexpected )", self.whole));
                    };
                    self.next();
                    self.atom(")");
                    self.top = Some(heaviest);
                    heaviest = heaviest.max(before);
                }
                '|' => {
                    self.next();
                    self.out.push('|');
                    self.top = None;
                }
                '^' | '$' | '.' => {
                    self.next();
                    self.atom(c.encode_utf8(&mut [0; 4]));
                }
                '[' => self.class()?,
                '*' | '+' | '?' => {
                    self.next();
                    self.repeat(start, last_repeat)?;
                    repeat = Some(start);
                }
                '{' => match count(start) {
                    None => {
                        self.next();
                        self.literal('{');
                    }
                    Some((least, most, length)) => {
                        self.rest = &start[length..];
                        let too_many =
                            least > REPEAT_MAX || most.is_some_and(|m| m > REPEAT_MAX || m < least);
                        if too_many {
                            return Err(mistake("invalid repeat count", self.since(start)));
                        }
                        self.repeat(start, last_repeat)?;
                        let times = most.unwrap_or(least);
                        let weight = self.top.unwrap_or(1) * times;
                        if times >= 2 && weight > REPEAT_MAX {
                            return Err(mistake("invalid repeat count", self.since(start)));
                        }
                        self.top = Some(weight);
                        repeat = Some(start);
                    }
                },
                '\\' => self.escape()?,
                _ => {
                    self.next();
                    self.literal(c);
                }
            }
            heaviest = heaviest.max(self.top.unwrap_or(1));
            last_repeat = repeat;
        }
        if self.open.is_empty() { Ok(()) } else { Err(mistake("missing closing )", self.whole)) }
    }

    /// A repetition that was just read; its sign that it takes as little as it can comes with it.
    fn repeat(&mut self, start: &'a str, last: Option<&'a str>) -> Result<(), String> {
        if self.rest.starts_with('?') {
            self.next();
        }
        if let Some(last) = last {
            return Err(mistake("invalid nested repetition operator", self.since(last)));
        }
        if self.top.is_none() {
            return Err(mistake("missing argument to repetition operator", self.since(start)));
        }
        self.out.push_str(self.since(start));
        Ok(())
    }

    /// What begins with `(?`: a group (then true), or flags alone.
    fn flags(&mut self) -> Result<bool, String> {
        let start = self.rest;
        let named = if start.starts_with("(?P<") && start.len() > 4 {
            Some(4)
        } else {
            (start.starts_with("(?<") && start.len() > 3).then_some(3)
        };
        if let Some(from) = named {
            let Some(end) = start.find('>') else { return Err(mistake("invalid named capture", start)) };
            let name = &start[from..end];
            if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
                return Err(mistake("invalid named capture", &start[..=end]));
            }
            self.rest = &start[end + 1..];
            // Names mean nothing here, and Rust takes fewer of them.
            self.out.push('(');
            return Ok(true);
        }
        self.rest = &start[2..];
        let (mut negative, mut some) = (false, false);
        while let Some(c) = self.next() {
            match c {
                'i' | 'm' | 's' | 'U' => some = true,
                '-' if !negative => (negative, some) = (true, false),
                ':' | ')' if !negative || some => {
                    let text = self.since(start);
                    // Rust wants at least one flag where none follows.
                    if text != "(?)" {
                        self.out.push_str(&plain_flags(text));
                    }
                    return Ok(c == ':');
                }
                _ => break,
            }
        }
        Err(mistake("invalid or unsupported Perl syntax", self.since(start)))
    }

    /// What begins with a backslash, outside classes.
    fn escape(&mut self) -> Result<(), String> {
        let start = self.rest;
        let second = start[1..].chars().next();
        let skip = |parser: &mut Self| parser.rest = &start[2..];
        match second {
            Some('A') => {
                skip(self);
                self.atom("\\A");
            }
            // Words are of ASCII letters.
            Some('b') => {
                skip(self);
                self.atom("(?-u:\\b)");
            }
            Some('B') => {
                skip(self);
                self.atom("\\B");
            }
            Some('z') => {
                skip(self);
                self.atom("\\z");
            }
            Some('C') => return Err(mistake("invalid escape sequence", &start[..2])),
            Some('Q') => {
                let (text, rest) = start[2..].split_once("\\E").unwrap_or((&start[2..], ""));
                self.rest = rest;
                text.chars().for_each(|c| self.literal(c));
            }
            _ => match self.named_class()? {
                Some(class) => self.atom(&format!("[{class}]")),
                None => {
                    let c = self.escaped()?;
                    self.literal(c);
                }
            },
        }
        Ok(())
    }

    /// `\d`, `\pL` and the like, as parts of a class.
    fn named_class(&mut self) -> Result<Option<String>, String> {
        let start = self.rest;
        let Some(letter) = start.strip_prefix('\\').and_then(|r| r.chars().next()) else { return Ok(None) };
        let ascii = match letter {
            'd' => "0-9",
            'D' => "[^0-9]",
            's' => "\\t\\n\\f\\r ",
            'S' => "[^\\t\\n\\f\\r ]",
            'w' => "0-9A-Za-z_",
            'W' => "[^0-9A-Za-z_]",
            'p' | 'P' => return self.unicode_class(letter == 'P').map(Some),
            _ => return Ok(None),
        };
        self.rest = &start[2..];
        Ok(Some(ascii.to_owned()))
    }

    fn unicode_class(&mut self, mut negative: bool) -> Result<String, String> {
        let start = self.rest;
        self.rest = &start[2..];
        let mut name = match self.next() {
            Some('{') => {
                let Some(end) = start.find('}') else {
                    return Err(mistake("invalid character class range", start));
                };
                self.rest = &start[end + 1..];
                &start[3..end]
            }
            _ => &self.since(start)[2..],
        };
        if let Some(rest) = name.strip_prefix('^') {
            (name, negative) = (rest, !negative);
        }
        let text = format!("\\{}{{{name}}}", if negative { 'P' } else { 'p' });
        let known = name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) && Regex::new(&text).is_ok();
        if known { Ok(text) } else { Err(mistake("invalid character class range", self.since(start))) }
    }

    /// A single character that is written with a backslash.
    fn escaped(&mut self) -> Result<char, String> {
        let start = self.rest;
        self.next();
        let Some(c) = self.next() else {
            return Err(mistake("trailing backslash at end of expression", ""));
        };
        let octal = |text: &str| text.bytes().next().filter(|b| matches!(b, b'0'..=b'7'));
        let found = match c {
            '0'..='7' if c == '0' || octal(self.rest).is_some() => {
                let mut number = c as u32 - '0' as u32;
                for _ in 0..2 {
                    let Some(digit) = octal(self.rest) else { break };
                    number = number * 8 + u32::from(digit - b'0');
                    self.rest = &self.rest[1..];
                }
                char::from_u32(number)
            }
            'x' => self.hex(),
            'a' => Some('\u{7}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c),
            _ => None,
        };
        found.ok_or_else(|| mistake("invalid escape sequence", self.since(start)))
    }

    fn hex(&mut self) -> Option<char> {
        let first = self.next()?;
        if first != '{' {
            let high = first.to_digit(16);
            let low = self.next()?.to_digit(16);
            return char::from_u32(high? * 16 + low?);
        }
        let mut number = None;
        loop {
            let c = self.next()?;
            if c == '}' {
                return char::from_u32(number?);
            }
            number = Some(number.unwrap_or(0) * 16 + c.to_digit(16)?);
            if number > Some(u32::from(char::MAX)) {
                return None;
            }
        }
    }

    fn class(&mut self) -> Result<(), String> {
        let start = self.rest;
        self.next();
        let mut class = String::from("[");
        if self.rest.starts_with('^') {
            self.next();
            class.push('^');
        }
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            if let Some(end) = self.rest.strip_prefix("[:").and_then(|r| r.find(":]")) {
                const NAMES: &str =
                    "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit";
                let text = &self.rest[..end + 4];
                let name = &text[2..end + 2];
                let name = name.strip_prefix('^').unwrap_or(name);
                if !NAMES.split(' ').any(|known| known == name) {
                    return Err(mistake("invalid character class range", text));
                }
                class.push_str(text);
                self.rest = &self.rest[text.len()..];
                continue;
            }
            if let Some(named) = self.named_class()? {
                class.push_str(&named);
                continue;
            }
            let from = self.rest;
            let low = self.class_char(start)?;
            push_literal(&mut class, low);
            let mut ahead = self.rest.chars();
            if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
                self.next();
                let high = self.class_char(start)?;
                if high < low {
                    return Err(mistake("invalid character class range", self.since(from)));
                }
                class.push('-');
                push_literal(&mut class, high);
            }
        }
        self.next();
        class.push(']');
        self.atom(&class);
        Ok(())
    }

    fn class_char(&mut self, class: &str) -> Result<char, String> {
        if self.rest.starts_with('\\') {
            return self.escaped();
        }
        self.next().ok_or_else(|| mistake("missing closing ]", class))
    }
}

/// A character that stands for itself, in classes too.
fn push_literal(out: &mut String, c: char) {
    if c.is_alphanumeric() {
        out.push(c);
    } else {
        // A String takes everything.
        let _ = write!(out, "\\x{{{:x}}}", u32::from(c));
    }
}

/// Each flag once: Rust refuses more.
fn plain_flags(text: &str) -> String {
    let (on, off) = text[2..text.len() - 1].split_once('-').unwrap_or((&text[2..text.len() - 1], ""));
    let has = |of: &str, flag: char| of.contains(flag);
    let on: String = "imsU".chars().filter(|f| has(on, *f) && !has(off, *f)).collect();
    let off: String = "imsU".chars().filter(|f| has(off, *f)).collect();
    let dash = if off.is_empty() { "" } else { "-" };
    format!("(?{on}{dash}{off}{}", &text[text.len() - 1..])
}

/// `{2}`, `{2,}`, `{2,3}`: least, most and the length of the text. Other braces stand for themselves.
fn count(text: &str) -> Option<(u64, Option<u64>, usize)> {
    let end = text.find('}')?;
    let inner = &text[1..end];
    let number = |t: &str| {
        let digits =
            !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit()) && (t.len() == 1 || !t.starts_with('0'));
        digits.then(|| t.parse().unwrap_or(u64::MAX))
    };
    let (least, most) = match inner.split_once(',') {
        None => (number(inner)?, Some(number(inner)?)),
        Some((least, "")) => (number(least)?, None),
        Some((least, most)) => (number(least)?, Some(number(most)?)),
    };
    Some((least, most, end + 1))
}

#[cfg(test)]
mod tests {
    use super::{compile, problem};

    #[test]
    fn mistakes_have_gos_names() {
        for (pattern, expected) in [
            ("a{1,2000}", "invalid repeat count: `{1,2000}`"),
            ("a{2,1}", "invalid repeat count: `{2,1}`"),
            ("(a{30}){40}", "invalid repeat count: `{40}`"),
            ("(", "missing closing ): `(`"),
            ("a)", "unexpected ): `a)`"),
            ("x[a", "missing closing ]: `[a`"),
            ("[^]", "missing closing ]: `[^]`"),
            ("*a", "missing argument to repetition operator: `*`"),
            ("a|*", "missing argument to repetition operator: `*`"),
            ("a**", "invalid nested repetition operator: `**`"),
            ("x{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
            ("[z-a]", "invalid character class range: `z-a`"),
            ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
            ("\\p{Foo}", "invalid character class range: `\\p{Foo}`"),
            ("(?!a)", "invalid or unsupported Perl syntax: `(?!`"),
            ("(?i", "invalid or unsupported Perl syntax: `(?i`"),
            ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
            ("(?<=a)b", "invalid named capture: `(?<=a)b`"),
            ("\\8", "invalid escape sequence: `\\8`"),
            ("\\Z", "invalid escape sequence: `\\Z`"),
            ("[a-\\d]", "invalid escape sequence: `\\d`"),
            ("\\", "trailing backslash at end of expression: ``"),
        ] {
            assert_eq!(problem(pattern).unwrap(), format!("error parsing regexp: {expected}"), "{pattern}");
        }
    }

    /// Rust's library refused these, or took them for something else.
    #[test]
    fn gos_patterns_mean_what_they_mean_in_go() {
        for (pattern, yes, no) in [
            ("^{x}$", "{x}", "x"),
            ("^a{,3}$", "a{,3}", "aa"),
            ("^a{1,1000}[{1,2000}]$", "a{", "b"),
            ("^[[a]$", "[", "b"),
            ("^[a&&b]$", "&", "c"),
            ("^[\\d-z]$", "-", "y"),
            ("^\\d$", "7", "٧"),
            ("^\\w$", "w", "é"),
            ("^\\Q.x\\E$", ".x", "ax"),
            ("^\\101$", "A", "B"),
            ("^(?P<1>a)(?P<1>b)$", "ab", "a"),
            ("^(?ii)a$", "A", "b"),
            ("^\\p{^Greek}$", "a", "α"),
            ("^[[:^alpha:]]$", "1", "a"),
            ("^]$", "]", "["),
            ("^(?:)$", "", "a"),
        ] {
            let regex = compile(pattern).unwrap();
            assert!(regex.is_match(yes) && !regex.is_match(no), "{pattern}");
        }
    }
}
