//! Characters to tokens, with the refusals of Go's YAML library (a libyaml), whose rules these are.
//!
//! ```text
//!   text ─► next() ─► [queue] ─► parser        A key shows itself only by the colon behind it: tokens wait in the queue
//!                        ▲                     while one of them may still turn out to be the start of a key.
//!                        └── Key, BlockMapStart are put in before it
//! ```

use std::collections::VecDeque;

use super::fault::{Fault, Mark, Result};
use super::{DEPTH_MAX, TOO_DEEP};

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    StreamEnd,
    Directive { tag: Option<(String, String)> },
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    SequenceStart,
    SequenceEnd,
    MappingStart,
    MappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(String),
    Anchor(String),
    Tag { handle: String, suffix: String },
    Scalar { text: String, plain: bool },
}

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) start: Mark,
    pub(super) end: Mark,
}

/// The start of what may be a key.
#[derive(Clone, Copy, Default)]
struct SimpleKey {
    possible: bool,
    required: bool,
    number: usize,
    mark: Mark,
}

pub(super) struct Scanner {
    text: Vec<char>,
    pub(super) mark: Mark,
    queue: VecDeque<Placed>,
    /// How many tokens the parser has taken.
    taken: usize,
    pub(super) flow: usize,
    pub(super) indent: i32,
    indents: Vec<i32>,
    pub(super) key_allowed: bool,
    /// The last possible key of each flow level.
    keys: Vec<SimpleKey>,
    ended: bool,
}

pub(super) const fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

pub(super) const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// The end of the text is a NUL, which no text contains.
pub(super) const fn is_end(c: char) -> bool {
    c == '\0'
}

pub(super) const fn is_blank_or_end(c: char) -> bool {
    is_blank(c) || is_break(c) || is_end(c)
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// Whether YAML allows a character (`readerc`).
const fn allowed(c: char) -> bool {
    matches!(c,
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}'
        | '\u{10000}'..='\u{10ffff}')
}

impl Scanner {
    pub(super) fn new(bytes: &[u8]) -> Result<Scanner> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).map_err(|e| {
            let trailing = bytes.get(e.valid_up_to()).is_some_and(|b| (0xc2..0xf5).contains(b));
            Fault::anywhere(match (e.error_len(), trailing) {
                (None, _) => "incomplete UTF-8 octet sequence",
                (_, true) => "invalid trailing UTF-8 octet",
                (_, false) => "invalid leading UTF-8 octet",
            })
        })?;
        if !text.chars().all(allowed) {
            return Err(Fault::anywhere("control characters are not allowed"));
        }
        Ok(Scanner {
            text: text.chars().collect(),
            mark: Mark::default(),
            queue: VecDeque::new(),
            taken: 0,
            flow: 0,
            indent: -1,
            indents: Vec::new(),
            key_allowed: true,
            keys: vec![SimpleKey::default()],
            ended: false,
        })
    }

    /// The next token, left in place.
    pub(super) fn peek(&mut self) -> Result<&Placed> {
        self.fill()?;
        self.queue.front().ok_or_else(|| Fault::anywhere("unexpected end of stream"))
    }

    /// Takes the next token.
    pub(super) fn take(&mut self) -> Result<Placed> {
        self.fill()?;
        self.taken += 1;
        self.queue.pop_front().ok_or_else(|| Fault::anywhere("unexpected end of stream"))
    }

    /// Reads until the first token in the queue is certain.
    fn fill(&mut self) -> Result<()> {
        loop {
            if !self.queue.is_empty() {
                let first = self.taken;
                let Some(at) = self.keys.iter().position(|k| k.possible && k.number == first) else {
                    return Ok(());
                };
                if !self.is_key(at)? {
                    return Ok(());
                }
            }
            if self.ended {
                return Ok(());
            }
            self.next()?;
        }
    }

    pub(super) fn at(&self, ahead: usize) -> char {
        self.text.get(self.mark.index + ahead).copied().unwrap_or('\0')
    }

    pub(super) fn here(&self) -> char {
        self.at(0)
    }

    pub(super) fn skip(&mut self) {
        self.mark.index += 1;
        self.mark.column += 1;
    }

    /// Reads a character.
    pub(super) fn read(&mut self, into: &mut String) {
        into.push(self.here());
        self.skip();
    }

    /// Reads a line's end; those of other systems become `\n`.
    pub(super) fn read_break(&mut self, into: &mut String) {
        let first = self.here();
        if !is_break(first) {
            return;
        }
        self.mark.index += if first == '\r' && self.at(1) == '\n' { 2 } else { 1 };
        self.mark.column = 0;
        self.mark.line += 1;
        into.push(if matches!(first, '\u{2028}' | '\u{2029}') { first } else { '\n' });
    }

    pub(super) fn fault(&self, problem: &str, since: Mark) -> Fault {
        Fault::scanned(problem, self.mark, since)
    }

    /// `---` or `...` at the start of a line.
    pub(super) fn at_document(&self) -> bool {
        let three = |c: char| self.at(0) == c && self.at(1) == c && self.at(2) == c;
        self.mark.column == 0 && (three('-') || three('.')) && is_blank_or_end(self.at(3))
    }

    fn push(&mut self, token: Token, start: Mark) {
        self.queue.push_back(Placed { token, start, end: self.mark });
    }

    /// Whether a possible key still is one: keys are short and lie on one line.
    fn is_key(&mut self, at: usize) -> Result<bool> {
        let key = self.keys[at];
        if !key.possible {
            return Ok(false);
        }
        if key.mark.line < self.mark.line || key.mark.index + 1024 < self.mark.index {
            if key.required {
                return Err(self.fault("could not find expected ':'", key.mark));
            }
            self.keys[at].possible = false;
            return Ok(false);
        }
        Ok(true)
    }

    /// What comes next may be a key.
    fn save_key(&mut self) -> Result<()> {
        if self.key_allowed {
            let required = self.flow == 0 && self.indent == self.mark.column;
            let number = self.taken + self.queue.len();
            self.remove_key()?;
            if let Some(key) = self.keys.last_mut() {
                *key = SimpleKey { possible: true, required, number, mark: self.mark };
            }
        }
        Ok(())
    }

    fn remove_key(&mut self) -> Result<()> {
        let mark = self.mark;
        if let Some(key) = self.keys.last_mut().filter(|k| k.possible) {
            if key.required {
                return Err(Fault::scanned("could not find expected ':'", mark, key.mark));
            }
            key.possible = false;
        }
        Ok(())
    }

    /// A deeper block begins: its token goes before token `number`, or to the end.
    fn roll(&mut self, column: i32, number: Option<usize>, token: Token, mark: Mark) -> Result<()> {
        if self.flow > 0 || self.indent >= column {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = column;
        if self.indents.len() > DEPTH_MAX {
            return Err(self.fault(TOO_DEEP, mark));
        }
        let at = number.map_or(self.queue.len(), |n| n - self.taken);
        self.queue.insert(at, Placed { token, start: mark, end: mark });
        Ok(())
    }

    /// Blocks that are deeper than the column end.
    fn unroll(&mut self, column: i32) {
        if self.flow > 0 {
            return;
        }
        while self.indent > column {
            self.push(Token::BlockEnd, self.mark);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    /// Skips blanks, comments and line ends.
    fn skip_to_token(&mut self) {
        loop {
            if self.mark.column == 0 && self.here() == '\u{feff}' {
                // A byte order mark may begin any line.
                self.skip();
            }
            while self.here() == ' ' || ((self.flow > 0 || !self.key_allowed) && self.here() == '\t') {
                self.skip();
            }
            if self.here() == '#' {
                while !is_break(self.here()) && !is_end(self.here()) {
                    self.skip();
                }
            }
            if !is_break(self.here()) {
                return;
            }
            self.read_break(&mut String::new());
            if self.flow == 0 {
                self.key_allowed = true;
            }
        }
    }

    /// Reads one token, or several.
    fn next(&mut self) -> Result<()> {
        self.skip_to_token();
        self.unroll(self.mark.column);
        let (c, after) = (self.here(), self.at(1));
        let indicator = self.flow > 0 || is_blank_or_end(after);
        match c {
            '\0' => self.stream_end(),
            '%' if self.mark.column == 0 => self.directive(),
            '-' | '.' if self.at_document() => {
                self.document(if c == '-' { Token::DocumentStart } else { Token::DocumentEnd })
            }
            '[' => self.open(Token::SequenceStart),
            '{' => self.open(Token::MappingStart),
            ']' => self.close(Token::SequenceEnd),
            '}' => self.close(Token::MappingEnd),
            ',' => {
                self.remove_key()?;
                self.key_allowed = true;
                self.one(Token::FlowEntry);
                Ok(())
            }
            '-' if is_blank_or_end(after) => self.block_entry(),
            '?' if indicator => self.key(),
            ':' if indicator => self.value(),
            '*' | '&' => self.anchor(c == '*'),
            '!' => self.tag(),
            '|' | '>' if self.flow == 0 => {
                self.remove_key()?;
                self.key_allowed = true;
                self.scalar(|s| s.block_scalar(c == '|'), false)
            }
            '\'' | '"' => {
                self.save_key()?;
                self.key_allowed = false;
                self.scalar(|s| s.quoted(c == '\''), false)
            }
            _ if self.starts_plain(c, after) => {
                self.save_key()?;
                self.key_allowed = false;
                self.scalar(Scanner::plain, true)
            }
            _ => Err(self.fault("found character that cannot start any token", self.mark)),
        }
    }

    fn starts_plain(&self, c: char, after: char) -> bool {
        match c {
            '-' => !is_blank(after),
            '?' | ':' => self.flow == 0 && !is_blank_or_end(after),
            ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
            | '`' => false,
            c => !is_blank_or_end(c),
        }
    }

    fn one(&mut self, token: Token) {
        let start = self.mark;
        self.skip();
        self.push(token, start);
    }

    fn scalar(&mut self, read: impl FnOnce(&mut Scanner) -> Result<String>, plain: bool) -> Result<()> {
        let start = self.mark;
        let text = read(self)?;
        self.push(Token::Scalar { text, plain }, start);
        Ok(())
    }

    fn stream_end(&mut self) -> Result<()> {
        if self.mark.column != 0 {
            self.mark.column = 0;
            self.mark.line += 1;
        }
        self.unroll(-1);
        self.remove_key()?;
        self.key_allowed = false;
        self.ended = true;
        self.push(Token::StreamEnd, self.mark);
        Ok(())
    }

    fn document(&mut self, token: Token) -> Result<()> {
        self.unroll(-1);
        self.remove_key()?;
        self.key_allowed = false;
        let start = self.mark;
        for _ in 0..3 {
            self.skip();
        }
        self.push(token, start);
        Ok(())
    }

    fn open(&mut self, token: Token) -> Result<()> {
        self.save_key()?;
        self.keys.push(SimpleKey::default());
        self.flow += 1;
        if self.flow > DEPTH_MAX {
            return Err(self.fault(TOO_DEEP, self.mark));
        }
        self.key_allowed = true;
        self.one(token);
        Ok(())
    }

    fn close(&mut self, token: Token) -> Result<()> {
        self.remove_key()?;
        if self.flow > 0 {
            self.flow -= 1;
            self.keys.pop();
        }
        self.key_allowed = false;
        self.one(token);
        Ok(())
    }

    fn block_entry(&mut self) -> Result<()> {
        if self.flow == 0 {
            if !self.key_allowed {
                return Err(self.fault("block sequence entries are not allowed in this context", self.mark));
            }
            self.roll(self.mark.column, None, Token::BlockSequenceStart, self.mark)?;
        }
        self.remove_key()?;
        self.key_allowed = true;
        self.one(Token::BlockEntry);
        Ok(())
    }

    fn key(&mut self) -> Result<()> {
        if self.flow == 0 {
            if !self.key_allowed {
                return Err(self.fault("mapping keys are not allowed in this context", self.mark));
            }
            self.roll(self.mark.column, None, Token::BlockMappingStart, self.mark)?;
        }
        self.remove_key()?;
        self.key_allowed = self.flow == 0;
        self.one(Token::Key);
        Ok(())
    }

    fn value(&mut self) -> Result<()> {
        let last = self.keys.len() - 1;
        if self.is_key(last)? {
            let SimpleKey { number, mark, .. } = self.keys[last];
            let key = Placed { token: Token::Key, start: mark, end: mark };
            self.queue.insert(number - self.taken, key);
            self.roll(mark.column, Some(number), Token::BlockMappingStart, mark)?;
            self.keys[last].possible = false;
            self.key_allowed = false;
        } else {
            if self.flow == 0 {
                if !self.key_allowed {
                    return Err(self.fault("mapping values are not allowed in this context", self.mark));
                }
                self.roll(self.mark.column, None, Token::BlockMappingStart, self.mark)?;
            }
            self.key_allowed = self.flow == 0;
        }
        self.one(Token::Value);
        Ok(())
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while is_word(self.here()) {
            self.read(&mut word);
        }
        word
    }

    fn anchor(&mut self, alias: bool) -> Result<()> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.mark;
        self.skip();
        let name = self.word();
        let ends = is_blank_or_end(self.here())
            || matches!(self.here(), '?' | ':' | ',' | ']' | '}' | '%' | '@' | '`');
        if name.is_empty() || !ends {
            return Err(self.fault("did not find expected alphabetic or numeric character", start));
        }
        self.push(if alias { Token::Alias(name) } else { Token::Anchor(name) }, start);
        Ok(())
    }

    fn tag(&mut self) -> Result<()> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.mark;
        self.skip();
        let (mut handle, mut suffix) = ("!".to_owned(), String::new());
        if self.here() == '<' {
            self.skip();
            handle.clear();
            suffix = self.uri(String::new(), start)?;
            if self.here() != '>' {
                return Err(self.fault("did not find the expected '>'", start));
            }
            self.skip();
        } else {
            let word = self.word();
            if self.here() == '!' {
                self.skip();
                handle = format!("!{word}!");
                suffix = self.uri(suffix, start)?;
            } else {
                suffix = self.octets(word, start)?;
                if suffix.is_empty() {
                    // A lone mark: the scalar is read as if it had no tag.
                    (handle, suffix) = (String::new(), handle);
                }
            }
        }
        if !is_blank_or_end(self.here()) {
            return Err(self.fault("did not find expected whitespace or line break", start));
        }
        self.push(Token::Tag { handle, suffix }, start);
        Ok(())
    }

    /// The rest of a tag behind what is read of it; something there must be.
    fn uri(&mut self, uri: String, start: Mark) -> Result<String> {
        let uri = self.octets(uri, start)?;
        if uri.is_empty() {
            return Err(self.fault("did not find expected tag URI", start));
        }
        Ok(uri)
    }

    fn octets(&mut self, mut uri: String, start: Mark) -> Result<String> {
        const OTHERS: &str = ";/?:@&=+$.!~*'()%,[]";
        while is_word(self.here()) || (!is_end(self.here()) && OTHERS.contains(self.here())) {
            if self.here() == '%' {
                let code: String = [self.at(1), self.at(2)].iter().collect();
                let Ok(byte) = u8::from_str_radix(&code, 16) else {
                    return Err(self.fault("did not find URI escaped octet", start));
                };
                uri.push(char::from(byte));
                (0..3).for_each(|_| self.skip());
            } else {
                self.read(&mut uri);
            }
        }
        Ok(uri)
    }

    fn directive(&mut self) -> Result<()> {
        self.unroll(-1);
        self.remove_key()?;
        self.key_allowed = false;
        let start = self.mark;
        self.skip();
        let name = self.word();
        let mut line = String::new();
        while !is_break(self.here()) && !is_end(self.here()) {
            self.read(&mut line);
        }
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let tag = match name.as_str() {
            "" => return Err(self.fault("could not find expected directive name", start)),
            "YAML" => match words.next().and_then(|v| v.split_once('.')) {
                Some((major, minor)) if is_digits(major) && is_digits(minor) => {
                    if major.parse() != Ok(1) || minor.parse() != Ok(1) {
                        return Err(Fault::parsed(
                            "found incompatible YAML document",
                            start,
                            Mark::default(),
                        ));
                    }
                    None
                }
                _ => return Err(self.fault("did not find expected version number", start)),
            },
            "TAG" => match (words.next(), words.next()) {
                (Some(handle), Some(prefix)) if handle.starts_with('!') => {
                    Some((handle.to_owned(), prefix.to_owned()))
                }
                _ => return Err(self.fault("did not find expected '!'", start)),
            },
            _ => return Err(self.fault("found unknown directive name", start)),
        };
        self.push(Token::Directive { tag }, start);
        Ok(())
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
