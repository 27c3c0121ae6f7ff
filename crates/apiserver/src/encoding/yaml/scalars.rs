//! The texts of scalars: plain ones, quoted ones and blocks, with their rules for line ends.

use super::fault::{Mark, Result};
use super::scan::{Scanner, is_blank, is_blank_or_end, is_break, is_end};

/// White space between two words, which one of them may turn into something else.
#[derive(Default)]
struct Gap {
    /// Blanks of one line.
    blanks: String,
    /// The first line end.
    first: String,
    /// Those after it.
    more: String,
    broken: bool,
}

impl Gap {
    fn read(&mut self, scanner: &mut Scanner) {
        if is_break(scanner.here()) {
            let into = if self.broken { &mut self.more } else { &mut self.first };
            scanner.read_break(into);
            self.blanks.clear();
            self.broken = true;
        } else if self.broken {
            scanner.skip();
        } else {
            scanner.read(&mut self.blanks);
        }
    }

    /// A single line end is a blank; of several, all but the first stay.
    fn fold_into(&mut self, text: &mut String) {
        if self.broken {
            match (self.first == "\n" || self.first.is_empty(), self.more.is_empty()) {
                (true, true) if !self.first.is_empty() => text.push(' '),
                (true, _) => text.push_str(&self.more),
                (false, _) => {
                    text.push_str(&self.first);
                    text.push_str(&self.more);
                }
            }
        } else {
            text.push_str(&self.blanks);
        }
        *self = Gap::default();
    }
}

impl Scanner {
    pub(super) fn plain(&mut self) -> Result<String> {
        let (start, indent) = (self.mark, self.indent + 1);
        let (mut text, mut gap) = (String::new(), Gap::default());
        loop {
            if self.at_document() || self.here() == '#' {
                break;
            }
            while !is_blank_or_end(self.here()) {
                let c = self.here();
                let ends = (c == ':' && is_blank_or_end(self.at(1)))
                    || (self.flow > 0 && matches!(c, ',' | '?' | '[' | ']' | '{' | '}'));
                if ends {
                    break;
                }
                gap.fold_into(&mut text);
                self.read(&mut text);
            }
            if !is_blank(self.here()) && !is_break(self.here()) {
                break;
            }
            while is_blank(self.here()) || is_break(self.here()) {
                if gap.broken && self.mark.column < indent && self.here() == '\t' {
                    return Err(self.fault("found a tab character that violates indentation", start));
                }
                gap.read(self);
            }
            if self.flow == 0 && self.mark.column < indent {
                break;
            }
        }
        if gap.broken {
            self.key_allowed = true;
        }
        Ok(text)
    }

    pub(super) fn quoted(&mut self, single: bool) -> Result<String> {
        let start = self.mark;
        let quote = if single { '\'' } else { '"' };
        let mut text = String::new();
        self.skip();
        loop {
            if self.at_document() {
                return Err(self.fault("found unexpected document indicator", start));
            }
            if is_end(self.here()) {
                return Err(self.fault("found unexpected end of stream", start));
            }
            let mut gap = Gap::default();
            while !is_blank_or_end(self.here()) {
                match (self.here(), self.at(1)) {
                    ('\'', '\'') if single => {
                        text.push('\'');
                        self.skip();
                        self.skip();
                    }
                    (c, _) if c == quote => break,
                    ('\\', next) if !single && is_break(next) => {
                        // An escaped line end is nothing.
                        self.skip();
                        self.read_break(&mut String::new());
                        gap.broken = true;
                        break;
                    }
                    ('\\', _) if !single => self.escape(&mut text, start)?,
                    _ => self.read(&mut text),
                }
            }
            if self.here() == quote {
                self.skip();
                return Ok(text);
            }
            while is_blank(self.here()) || is_break(self.here()) {
                gap.read(self);
            }
            gap.fold_into(&mut text);
        }
    }

    fn escape(&mut self, text: &mut String, start: Mark) -> Result<()> {
        let digits = match self.at(1) {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            other => {
                let Some(c) = escaped(other) else {
                    return Err(self.fault("found unknown escape character", start));
                };
                text.push(c);
                0
            }
        };
        self.skip();
        self.skip();
        let mut code: u32 = 0;
        for i in 0..digits {
            let Some(digit) = self.at(i).to_digit(16) else {
                return Err(self.fault("did not find expected hexdecimal number", start));
            };
            code = (code << 4) | digit;
        }
        if digits > 0 {
            let Some(c) = char::from_u32(code) else {
                return Err(self.fault("found invalid Unicode character escape code", start));
            };
            text.push(c);
            (0..digits).for_each(|_| self.skip());
        }
        Ok(())
    }

    pub(super) fn block_scalar(&mut self, literal: bool) -> Result<String> {
        let start = self.mark;
        self.skip();
        let (chomp, increment) = self.block_header(start)?;
        while is_blank(self.here()) {
            self.skip();
        }
        if self.here() == '#' {
            while !is_break(self.here()) && !is_end(self.here()) {
                self.skip();
            }
        }
        if !is_break(self.here()) && !is_end(self.here()) {
            return Err(self.fault("did not find expected comment or line break", start));
        }
        self.read_break(&mut String::new());
        let mut indent = if increment > 0 { self.indent.max(0) + increment } else { 0 };
        let (mut text, mut first, mut more) = (String::new(), String::new(), String::new());
        self.block_breaks(&mut indent, &mut more, start)?;
        let mut was_blank = false;
        while self.mark.column == indent && !is_end(self.here()) {
            let blank = is_blank(self.here());
            if !literal && !was_blank && !blank && first == "\n" {
                if more.is_empty() {
                    text.push(' ');
                }
            } else {
                text.push_str(&first);
            }
            first.clear();
            text.push_str(&more);
            more.clear();
            was_blank = blank;
            while !is_break(self.here()) && !is_end(self.here()) {
                self.read(&mut text);
            }
            self.read_break(&mut first);
            self.block_breaks(&mut indent, &mut more, start)?;
        }
        if chomp != Chomp::Strip {
            text.push_str(&first);
        }
        if chomp == Chomp::Keep {
            text.push_str(&more);
        }
        Ok(text)
    }

    /// What stands behind `|`: what happens to the last line ends, and how far the text is indented; in any order.
    fn block_header(&mut self, start: Mark) -> Result<(Chomp, i32)> {
        let (mut chomp, mut increment) = (None, None);
        loop {
            match self.here() {
                c @ ('+' | '-') if chomp.is_none() => {
                    chomp = Some(if c == '+' { Chomp::Keep } else { Chomp::Strip });
                }
                '0' if increment.is_none() => {
                    return Err(self.fault("found an indentation indicator equal to 0", start));
                }
                c @ '1'..='9' if increment.is_none() => {
                    increment = c.to_digit(10).and_then(|d| i32::try_from(d).ok());
                }
                _ => return Ok((chomp.unwrap_or(Chomp::Clip), increment.unwrap_or(0))),
            }
            self.skip();
        }
    }

    /// Reads empty lines; finds the indentation where it is not known.
    fn block_breaks(&mut self, indent: &mut i32, breaks: &mut String, start: Mark) -> Result<()> {
        let mut deepest = 0;
        loop {
            while (*indent == 0 || self.mark.column < *indent) && self.here() == ' ' {
                self.skip();
            }
            deepest = deepest.max(self.mark.column);
            if (*indent == 0 || self.mark.column < *indent) && self.here() == '\t' {
                let why = "found a tab character where an indentation space is expected";
                return Err(self.fault(why, start));
            }
            if !is_break(self.here()) {
                break;
            }
            self.read_break(breaks);
        }
        if *indent == 0 {
            *indent = deepest.max(self.indent + 1).max(1);
        }
        Ok(())
    }
}

/// What happens to the line ends after a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chomp {
    Strip,
    Clip,
    Keep,
}

const fn escaped(c: char) -> Option<char> {
    Some(match c {
        '0' => '\0',
        'a' => '\x07',
        'b' => '\x08',
        't' | '\t' => '\t',
        'n' => '\n',
        'v' => '\x0b',
        'f' => '\x0c',
        'r' => '\r',
        'e' => '\x1b',
        ' ' | '"' | '\'' | '\\' => c,
        'N' => '\u{85}',
        '_' => '\u{a0}',
        'L' => '\u{2028}',
        'P' => '\u{2029}',
        _ => return None,
    })
}
