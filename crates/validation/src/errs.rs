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

    /// Today's text.
    fn shown(self) -> String;
}

/// A text that is already rendered.
pub(crate) struct Raw(pub(crate) String);

impl Shown for Raw {
    fn shown(self) -> String {
        self.0
    }
}

/// Base64 of bytes.
pub(crate) struct Bytes<'a>(pub(crate) &'a str);

impl Shown for Bytes<'_> {
    fn go_syntax(&self) -> Option<String> {
        Some(golang::syntax::bytes(self.0))
    }

    fn shown(self) -> String {
        go_quote(self.0)
    }
}

impl Shown for &str {
    fn shown(self) -> String {
        go_quote(self)
    }
}

impl Shown for &String {
    fn shown(self) -> String {
        go_quote(self)
    }
}

impl Shown for i64 {
    fn shown(self) -> String {
        self.to_string()
    }
}

impl Shown for bool {
    fn shown(self) -> String {
        self.to_string()
    }
}

impl Shown for &Value {
    fn go_syntax(&self) -> Option<String> {
        golang::syntax::untyped(self)
    }

    fn shown(self) -> String {
        match self {
            Value::String(s) => go_quote(s),
            other => golang::json(other),
        }
    }
}

impl Shown for Option<&str> {
    fn shown(self) -> String {
        self.map_or_else(|| "null".to_owned(), go_quote)
    }
}

impl Shown for Option<i64> {
    fn shown(self) -> String {
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
}

fn error(kind: ErrorType, path: &Path<'_>, value: impl Shown, detail: impl Into<String>) -> Error {
    let go_syntax = value.go_syntax();
    Error { kind, field: path.to_string(), value: value.shown(), go_syntax, detail: detail.into() }
}

/// So many errors are collected: nobody reads more, and a list of a hundred thousand wrong items has as many.
const ERRORS_MAX: usize = 10_000;
/// Behind so many errors, long values are cut: each item of a list may be wrong because of the whole list.
const WHOLE_VALUES: usize = 32;
/// To so many characters.
const VALUE_MAX_CHARS: usize = 4096;

/// Adds an error, within the limits.
fn add(list: &mut ErrorList, make: impl FnOnce() -> Error) {
    if list.len() >= ERRORS_MAX {
        return;
    }
    let mut error = make();
    if list.len() >= WHOLE_VALUES && error.value.len() > VALUE_MAX_CHARS {
        error.value = error.value.chars().take(VALUE_MAX_CHARS).collect();
        error.go_syntax = None;
    }
    list.push(error);
}

impl Errs for ErrorList {
    fn required(&mut self, path: &Path<'_>, detail: impl Into<String>) {
        add(self, || Error::required(path, detail));
    }

    fn forbidden(&mut self, path: &Path<'_>, detail: impl Into<String>) {
        add(self, || Error::forbidden(path, detail));
    }

    fn invalid(&mut self, path: &Path<'_>, value: impl Shown, detail: impl Into<String>) {
        add(self, || error(ErrorType::Invalid, path, value, detail));
    }

    fn invalid_bare(&mut self, path: &Path<'_>, detail: impl Into<String>) {
        add(self, || Error::invalid_text(path, "", detail));
    }

    fn invalid_each(&mut self, path: &Path<'_>, value: &str, messages: Vec<String>) {
        for message in messages {
            add(self, || Error::invalid_text(path, go_quote(value), message));
        }
    }

    fn duplicate(&mut self, path: &Path<'_>, value: impl Shown) {
        add(self, || error(ErrorType::Duplicate, path, value, ""));
    }

    fn duplicate_because(&mut self, path: &Path<'_>, value: impl Shown, detail: impl Into<String>) {
        add(self, || error(ErrorType::Duplicate, path, value, detail));
    }

    fn not_found(&mut self, path: &Path<'_>, value: impl Shown) {
        add(self, || error(ErrorType::NotFound, path, value, ""));
    }

    fn not_found_because(&mut self, path: &Path<'_>, value: impl Shown, detail: impl Into<String>) {
        add(self, || error(ErrorType::NotFound, path, value, detail));
    }

    fn not_supported(&mut self, path: &Path<'_>, value: impl Shown, supported: &[&str]) {
        let list: Vec<String> = supported.iter().map(|s| go_quote(s)).collect();
        let detail =
            if list.is_empty() { String::new() } else { format!("supported values: {}", list.join(", ")) };
        add(self, || error(ErrorType::NotSupported, path, value, detail));
    }

    fn too_long(&mut self, path: &Path<'_>, max_bytes: usize) {
        add(self, || Error::too_long(path, max_bytes));
    }

    fn too_many(&mut self, path: &Path<'_>, actual: usize, max: usize) {
        add(self, || Error::too_many(path, actual, max));
    }

    fn internal(&mut self, path: &Path<'_>, detail: impl Into<String>) {
        add(self, || error(ErrorType::Internal, path, Raw(String::new()), detail));
    }
}
