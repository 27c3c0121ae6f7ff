//! A pull reader over a JSON text.

use std::borrow::Cow;
use std::ops::Range;

use super::{MAX_VALUE_DEPTH, skip};
use crate::{Object, Value};

/// The text is no JSON, or too deep; [`super::check`] says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no JSON, or nested too deep")]
pub struct Malformed;

/// A position in a JSON text.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    /// Numbers with a point or an exponent stay floats, even where they are whole.
    keeps_floats: bool,
    /// Where a value stands that was skipped before.
    known: Range<usize>,
}

type Result<T> = std::result::Result<T, Malformed>;

impl<'a> Reader<'a> {
    /// At the start of a text.
    pub fn new(text: &'a [u8]) -> Reader<'a> {
        Reader { text, at: 0, keeps_floats: false, known: 0..0 }
    }

    /// At the start of a text of which one value, behind its key's colon, is known to be JSON: it is skipped in one step.
    pub fn knowing(text: &'a [u8], known: Range<usize>) -> Reader<'a> {
        Reader { known, ..Reader::new(text) }
    }

    /// How many bytes are behind.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The bytes between two offsets.
    pub fn slice(&self, from: usize, to: usize) -> &'a [u8] {
        &self.text[from..to]
    }

    /// The next byte that is no space.
    pub fn peek(&mut self) -> Result<u8> {
        while let Some(b) = self.text.get(self.at) {
            if !matches!(b, b' ' | b'\t' | b'\r' | b'\n') {
                return Ok(*b);
            }
            self.at += 1;
        }
        Err(Malformed)
    }

    /// Fails unless only spaces are left.
    pub fn end(&mut self) -> Result<()> {
        if self.peek().is_err() { Ok(()) } else { Err(Malformed) }
    }

    /// Reads one byte that must come next.
    pub fn expect(&mut self, byte: u8) -> Result<()> {
        if self.peek()? == byte {
            self.at += 1;
            Ok(())
        } else {
            Err(Malformed)
        }
    }

    /// After `{`, `[` or an item: whether another item follows. `first` says that none was read yet.
    pub fn more(&mut self, first: bool, close: u8) -> Result<bool> {
        let next = self.peek()?;
        if next == close {
            self.at += 1;
            return Ok(false);
        }
        if first {
            return Ok(true);
        }
        self.expect(b',')?;
        // A comma before the end is an error in JSON.
        if self.peek()? == close { Err(Malformed) } else { Ok(true) }
    }

    /// An object: `member` gets each key and where it begins, and reads what follows.
    pub fn members(
        &mut self,
        mut member: impl FnMut(&mut Reader<'a>, usize, Cow<'a, str>) -> Result<()>,
    ) -> Result<()> {
        self.expect(b'{')?;
        let mut first = true;
        while self.more(first, b'}')? {
            first = false;
            let start = self.at;
            let key = self.key()?;
            member(self, start, key)?;
        }
        Ok(())
    }

    /// A key with its colon.
    pub fn key(&mut self) -> Result<Cow<'a, str>> {
        let key = self.string()?;
        self.expect(b':')?;
        Ok(key)
    }

    /// As [`Reader::key`], for those who only compare it.
    pub fn key_bytes(&mut self) -> Result<Cow<'a, [u8]>> {
        self.expect(b'"')?;
        let (start, end) = (self.at, skip::plain(self.text, self.at));
        if self.text.get(end) != Some(&b'"') {
            self.at = start - 1;
            return Ok(Cow::Owned(self.key()?.into_owned().into_bytes()));
        }
        self.at = end + 1;
        self.expect(b':')?;
        Ok(Cow::Borrowed(&self.text[start..end]))
    }

    /// A string; bytes that are no UTF-8 and lone surrogates become U+FFFD, as in Go.
    pub fn string(&mut self) -> Result<Cow<'a, str>> {
        self.expect(b'"')?;
        let start = self.at;
        self.at = skip::plain(self.text, start);
        match self.text.get(self.at) {
            Some(b'"') => {
                let raw = &self.text[start..self.at];
                self.at += 1;
                // Mostly it is; the other way is slower to find that out.
                Ok(std::str::from_utf8(raw).map_or_else(|_| String::from_utf8_lossy(raw), Cow::Borrowed))
            }
            Some(b'\\') => self.escaped(start),
            _ => Err(Malformed),
        }
    }

    fn escaped(&mut self, start: usize) -> Result<Cow<'a, str>> {
        let mut out: Vec<u8> = self.text[start..self.at].to_vec();
        loop {
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(String::from_utf8_lossy(&out).into_owned()));
                }
                Some(b'\\') => {
                    let code = *self.text.get(self.at + 1).ok_or(Malformed)?;
                    self.at += 2;
                    let plain = match code {
                        b'"' | b'\\' | b'/' => code,
                        b'b' => 8,
                        b'f' => 12,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'u' => {
                            let c = self.unicode()?;
                            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                            continue;
                        }
                        _ => return Err(Malformed),
                    };
                    out.push(plain);
                }
                Some(0..0x20) | None => return Err(Malformed),
                Some(b) => {
                    out.push(*b);
                    self.at += 1;
                }
            }
        }
    }

    /// Behind `\u`: four digits, or two such groups that make one character.
    fn unicode(&mut self) -> Result<char> {
        let first = self.hex()?;
        if let Some(c) = char::from_u32(first) {
            return Ok(c);
        }
        if (0xD800..0xDC00).contains(&first) && self.text[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let second = self.hex()?;
            if (0xDC00..0xE000).contains(&second) {
                let joined = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self) -> Result<u32> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(Malformed)?;
        self.at += 4;
        digits.iter().try_fold(0, |n, b| (*b as char).to_digit(16).map(|d| n * 16 + d).ok_or(Malformed))
    }

    /// A number's text.
    pub fn number(&mut self) -> Result<&'a str> {
        self.peek()?;
        let start = self.at;
        self.at = skip::number(self.text, start).ok_or(Malformed)?;
        std::str::from_utf8(&self.text[start..self.at]).map_err(|_| Malformed)
    }

    /// `true`, `false` or `null`.
    pub fn literal(&mut self, word: &str) -> Result<()> {
        self.peek()?;
        if self.text[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            Err(Malformed)
        }
    }

    /// Skips one value without recursion.
    pub fn skip(&mut self) -> Result<()> {
        if self.at == self.known.start && !self.known.is_empty() {
            self.at = self.known.end;
            return Ok(());
        }
        self.at = skip::value(self.text, self.at).ok_or(Malformed)?;
        Ok(())
    }

    /// Any value. Of keys that come twice the last one counts.
    pub fn value(&mut self, depth: usize) -> Result<Value> {
        self.any(depth, &mut None)
    }

    /// The same with numbers as floats that have a point or an exponent.
    pub fn value_with_floats(&mut self, depth: usize) -> Result<Value> {
        self.keeps_floats = true;
        let value = self.any(depth, &mut None);
        self.keeps_floats = false;
        value
    }

    /// Any value, with the paths of keys that come twice (the first [`MAX_DUPLICATES`]). Numbers with a point or an
    /// exponent are floats: Go tells `3.0` from `3` until it has written it.
    pub fn value_with_duplicates(&mut self) -> Result<(Value, Vec<String>)> {
        self.keeps_floats = true;
        let mut duplicates = Some(Duplicates::default());
        let value = self.any(0, &mut duplicates)?;
        Ok((value, duplicates.unwrap_or_default().found))
    }

    fn any(&mut self, depth: usize, duplicates: &mut Option<Duplicates>) -> Result<Value> {
        if depth > MAX_VALUE_DEPTH {
            return Err(Malformed);
        }
        Ok(match self.peek()? {
            b'{' => {
                let mut out = Object::new();
                self.members(|reader, _, key| {
                    let before = duplicates.as_mut().map(|d| d.enter(&key, out.contains_key(key.as_ref())));
                    let value = reader.any(depth + 1, duplicates)?;
                    if let (Some(d), Some(before)) = (duplicates.as_mut(), before) {
                        d.path.truncate(before);
                    }
                    out.insert(key.into_owned(), value);
                    Ok(())
                })?;
                Value::Object(out)
            }
            b'[' => {
                self.at += 1;
                let mut out = Vec::new();
                while self.more(out.is_empty(), b']')? {
                    let before = duplicates.as_mut().map(|d| {
                        let before = d.path.len();
                        d.path.push_str(&format!("[{}]", out.len()));
                        before
                    });
                    out.push(self.any(depth + 1, duplicates)?);
                    if let (Some(d), Some(before)) = (duplicates.as_mut(), before) {
                        d.path.truncate(before);
                    }
                }
                Value::Array(out)
            }
            b'"' => Value::String(self.string()?.into_owned()),
            b't' => {
                self.literal("true")?;
                Value::Bool(true)
            }
            b'f' => {
                self.literal("false")?;
                Value::Bool(false)
            }
            b'n' => {
                self.literal("null")?;
                Value::Null
            }
            _ => {
                let text = self.number()?;
                match text.parse::<f64>() {
                    Ok(f) if self.keeps_floats && f.is_finite() && text.parse::<i64>().is_err() => f.into(),
                    _ => number(text),
                }
            }
        })
    }
}

/// How many duplicate keys are reported, as upstream does.
pub const MAX_DUPLICATES: usize = 100;

/// Keys that came twice, and where the reader is.
#[derive(Default)]
struct Duplicates {
    path: String,
    found: Vec<String>,
}

impl Duplicates {
    /// Steps into a key; returns the length to go back to.
    fn enter(&mut self, key: &str, again: bool) -> usize {
        let before = self.path.len();
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(key);
        if again && self.found.len() < MAX_DUPLICATES && !self.found.contains(&self.path) {
            self.found.push(self.path.clone());
        }
        before
    }
}

/// A number as upstream keeps it: an integer where it is one and fits, else a float; floats without a fraction
/// are written without a point, as Go does.
pub(crate) fn number(text: &str) -> Value {
    if let Ok(n) = text.parse::<i64>() {
        return n.into();
    }
    match text.parse::<f64>() {
        Ok(f) if f.is_finite() => float(f),
        // Beyond what a float holds: Go refuses; the largest float keeps the type.
        _ => Value::from(f64::MAX),
    }
}

/// Makes integers of the floats that Go writes without a point: what was written and is read again.
pub fn fold_floats(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().filter(|f| number.is_f64() && f.fract() == 0.0 && f.abs() < 1e19);
            // The shortest digits that mean the float, which need not be its exact value.
            if let Some(whole) = float.and_then(|f| format!("{f}").parse::<i64>().ok()) {
                *value = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(fold_floats),
        Value::Object(fields) => fields.values_mut().for_each(fold_floats),
        _ => {}
    }
}

/// A float as Go writes it: `1`, not `1.0`.
pub fn float(f: f64) -> Value {
    if f.fract() == 0.0 && f.abs() < 9e15 { (f as i64).into() } else { f.into() }
}
