//! Collecting errors: short forms of [`api::field::Error`]'s constructors.

use api::Value;
use api::field::{Error, ErrorList, ErrorType, Path, go_quote};

use crate::golang;

/// A value as an error message prints it.
pub(crate) trait Shown: Sized {
    /// The text of servers before 1.25 or so, where it differs: Go's `%#v`.
    fn go_syntax(&self) -> Option<String> {
        None
    }

    /// Today's text; where more than `max` bytes of it are made, it may end there.
    fn shown(&self, max: usize) -> String;
}

/// A text that is already rendered.
pub(crate) struct Raw(pub(crate) String);

impl Shown for Raw {
    fn shown(&self, _: usize) -> String {
        self.0.clone()
    }
}

/// Base64 of bytes.
pub(crate) struct Bytes<'a>(pub(crate) &'a str);

impl Shown for Bytes<'_> {
    fn go_syntax(&self) -> Option<String> {
        Some(golang::syntax::bytes(self.0))
    }

    fn shown(&self, _: usize) -> String {
        go_quote(self.0)
    }
}

impl Shown for &str {
    fn shown(&self, _: usize) -> String {
        go_quote(self)
    }
}

impl Shown for &String {
    fn shown(&self, _: usize) -> String {
        go_quote(self)
    }
}

impl Shown for i64 {
    fn shown(&self, _: usize) -> String {
        self.to_string()
    }
}

impl Shown for bool {
    fn shown(&self, _: usize) -> String {
        self.to_string()
    }
}

impl Shown for &Value {
    fn go_syntax(&self) -> Option<String> {
        golang::syntax::untyped(self)
    }

    fn shown(&self, max: usize) -> String {
        match *self {
            Value::String(s) => go_quote(s),
            other => golang::json_within(other, max),
        }
    }
}

impl Shown for Option<&str> {
    fn shown(&self, _: usize) -> String {
        self.map_or_else(|| "null".to_owned(), go_quote)
    }
}

impl Shown for Option<i64> {
    fn shown(&self, _: usize) -> String {
        self.map_or_else(|| "null".to_owned(), |n| n.to_string())
    }
}

/// The kinds of errors, appended in the order in which they are found.
pub(crate) trait Errs {
    fn required(&mut self, path: &Path<'_>, detail: impl Into<String>);
    fn forbidden(&mut self, path: &Path<'_>, detail: impl Into<String>);
    fn invalid(&mut self, path: &Path<'_>, value: impl Shown, detail: impl Into<String>);
    /// An `Invalid` without a value (upstream's `OmitValueType`).
    fn invalid_bare(&mut self, path: &Path<'_>, detail: impl Into<String>);
    /// One `Invalid` per message.
    fn invalid_each(&mut self, path: &Path<'_>, value: &str, messages: Vec<String>);
    fn duplicate(&mut self, path: &Path<'_>, value: impl Shown);
    fn duplicate_because(&mut self, path: &Path<'_>, value: impl Shown, detail: impl Into<String>);
    fn not_found(&mut self, path: &Path<'_>, value: impl Shown);
    fn not_found_because(&mut self, path: &Path<'_>, value: impl Shown, detail: impl Into<String>);
    fn not_supported(&mut self, path: &Path<'_>, value: impl Shown, supported: &[&str]);
    fn too_long(&mut self, path: &Path<'_>, max_bytes: usize);
    fn too_many(&mut self, path: &Path<'_>, actual: usize, max: usize);
    fn internal(&mut self, path: &Path<'_>, detail: impl Into<String>);
    /// How many more errors are collected.
    fn room(&self) -> usize;
}

/// An error. Of a value that is longer than `max` bytes not much more is made.
fn error(
    kind: ErrorType,
    path: &Path<'_>,
    value: &impl Shown,
    detail: impl Into<String>,
    max: usize,
) -> Error {
    let shown = value.shown(max);
    let go_syntax = if shown.len() > max { None } else { value.go_syntax() };
    Error { kind, field: path.to_string(), value: shown, go_syntax, detail: detail.into() }
}

/// So many errors are collected: nobody reads more, and a list of a hundred thousand wrong items has as many.
const ERRORS_MAX: usize = 10_000;
/// Behind so many errors, long values are cut: each item of a list may be wrong because of the whole list.
const WHOLE_VALUES: usize = 32;
/// To so many bytes, and behind this many errors to so many: all values together stay below four megabytes.
const VALUE_MAX_BYTES: usize = 4096;
const LONG_VALUES: usize = 256;
const LATE_VALUE_MAX_BYTES: usize = 256;

/// Adds an error, within the limits. What makes it is told how long its value may be: a list of a hundred thousand items
/// must not be written ten thousand times.
fn add(list: &mut ErrorList, make: impl FnOnce(usize) -> Error) {
    if list.len() >= ERRORS_MAX {
        return;
    }
    let max = match list.len() {
        n if n < WHOLE_VALUES => usize::MAX,
        n if n < LONG_VALUES => VALUE_MAX_BYTES,
        _ => LATE_VALUE_MAX_BYTES,
    };
    let mut error = make(max);
    if error.value.len() > max {
        let end = (0..=max).rev().find(|end| error.value.is_char_boundary(*end));
        error.value.truncate(end.unwrap_or(0));
        error.go_syntax = None;
    }
    list.push(error);
}

impl Errs for ErrorList {
    fn room(&self) -> usize {
        ERRORS_MAX.saturating_sub(self.len())
    }

    fn required(&mut self, path: &Path<'_>, detail: impl Into<String>) {
        add(self, |_| Error::required(path, detail));
    }

    fn forbidden(&mut self, path: &Path<'_>, detail: impl Into<String>) {
        add(self, |_| Error::forbidden(path, detail));
    }

    fn invalid(&mut self, path: &Path<'_>, value: impl Shown, detail: impl Into<String>) {
        add(self, |max| error(ErrorType::Invalid, path, &value, detail, max));
    }

    fn invalid_bare(&mut self, path: &Path<'_>, detail: impl Into<String>) {
        add(self, |_| Error::invalid_text(path, "", detail));
    }

    fn invalid_each(&mut self, path: &Path<'_>, value: &str, messages: Vec<String>) {
        for message in messages {
            add(self, |_| Error::invalid_text(path, go_quote(value), message));
        }
    }

    fn duplicate(&mut self, path: &Path<'_>, value: impl Shown) {
        add(self, |max| error(ErrorType::Duplicate, path, &value, "", max));
    }

    fn duplicate_because(&mut self, path: &Path<'_>, value: impl Shown, detail: impl Into<String>) {
        add(self, |max| error(ErrorType::Duplicate, path, &value, detail, max));
    }

    fn not_found(&mut self, path: &Path<'_>, value: impl Shown) {
        add(self, |max| error(ErrorType::NotFound, path, &value, "", max));
    }

    fn not_found_because(&mut self, path: &Path<'_>, value: impl Shown, detail: impl Into<String>) {
        add(self, |max| error(ErrorType::NotFound, path, &value, detail, max));
    }

    fn not_supported(&mut self, path: &Path<'_>, value: impl Shown, supported: &[&str]) {
        let list: Vec<String> = supported.iter().map(|s| go_quote(s)).collect();
        let detail =
            if list.is_empty() { String::new() } else { format!("supported values: {}", list.join(", ")) };
        add(self, |max| error(ErrorType::NotSupported, path, &value, detail, max));
    }

    fn too_long(&mut self, path: &Path<'_>, max_bytes: usize) {
        add(self, |_| Error::too_long(path, max_bytes));
    }

    fn too_many(&mut self, path: &Path<'_>, actual: usize, max: usize) {
        add(self, |_| Error::too_many(path, actual, max));
    }

    fn internal(&mut self, path: &Path<'_>, detail: impl Into<String>) {
        add(self, |max| error(ErrorType::Internal, path, &Raw(String::new()), detail, max));
    }
}
