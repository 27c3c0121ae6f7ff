//! Field paths and validation errors: upstream's `k8s.io/apimachinery/pkg/util/validation/field`.

use std::fmt;

use crate::Value;

/// A path to a field, `spec.containers[0].name`: built from the root down while a validator descends.
///
/// Borrowing the parent keeps descent free of allocation; the text is only made when an error is reported.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Child(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    /// The path of the object itself; it prints as nothing.
    pub const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    /// The path of a top-level field, or of a dotted sequence of fields (`metadata.name`).
    pub const fn new(name: &'a str) -> Path<'a> {
        Path { parent: None, step: Step::Child(name) }
    }

    /// The path of a field of this one.
    pub const fn child(&'a self, name: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Child(name) }
    }

    /// The path of a list item.
    pub const fn index(&'a self, index: usize) -> Path<'a> {
        Path { parent: Some(self), step: Step::Index(index) }
    }

    /// The path of a map entry: `metadata.annotations[key]`.
    pub const fn key(&'a self, key: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Key(key) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Child(name) => {
                let first = self.parent.is_none_or(|p| matches!(p.step, Step::Root));
                if first { f.write_str(name) } else { write!(f, ".{name}") }
            }
            Step::Index(i) => write!(f, "[{i}]"),
            Step::Key(k) => write!(f, "[{k}]"),
        }
    }
}

/// What is wrong with a field; the text is the first part of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    /// A referenced thing does not exist.
    NotFound,
    /// A value must be given.
    Required,
    /// A value occurs twice where it must be unique.
    Duplicate,
    /// A value is malformed or out of range.
    Invalid,
    /// A value is none of the known ones.
    NotSupported,
    /// A field or value may not be used here.
    Forbidden,
    /// A text is too long.
    TooLong,
    /// A list has too many items.
    TooMany,
    /// The validator itself failed.
    Internal,
    /// A value has the wrong type.
    TypeInvalid,
}

impl ErrorType {
    /// The text that starts the message.
    pub const fn text(self) -> &'static str {
        match self {
            ErrorType::NotFound => "Not found",
            ErrorType::Required => "Required value",
            ErrorType::Duplicate => "Duplicate value",
            ErrorType::Invalid | ErrorType::TypeInvalid => "Invalid value",
            ErrorType::NotSupported => "Unsupported value",
            ErrorType::Forbidden => "Forbidden",
            ErrorType::TooLong => "Too long",
            ErrorType::TooMany => "Too many",
            ErrorType::Internal => "Internal error",
        }
    }

    /// The machine-readable cause in a `Status`.
    pub const fn cause(self) -> &'static str {
        match self {
            ErrorType::NotFound => "FieldValueNotFound",
            ErrorType::Required => "FieldValueRequired",
            ErrorType::Duplicate => "FieldValueDuplicate",
            ErrorType::Invalid => "FieldValueInvalid",
            ErrorType::NotSupported => "FieldValueNotSupported",
            ErrorType::Forbidden => "FieldValueForbidden",
            ErrorType::TooLong => "FieldValueTooLong",
            ErrorType::TooMany => "FieldValueTooMany",
            ErrorType::Internal => "InternalError",
            ErrorType::TypeInvalid => "FieldValueTypeInvalid",
        }
    }
}

/// One thing that is wrong with one field.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// What kind of mistake.
    pub kind: ErrorType,
    /// The field's path.
    pub field: String,
    /// The value's text inside the message (Go's rendering), empty for kinds that quote none.
    pub value: String,
    /// The value in Go's syntax (`%#v`), where servers before 1.2x showed that and it differs.
    pub go_syntax: Option<String>,
    /// The explanation behind the value.
    pub detail: String,
}

/// Errors in the order in which they were found.
pub type ErrorList = Vec<Error>;

impl Error {
    fn new(kind: ErrorType, path: &Path<'_>, value: String, detail: impl Into<String>) -> Error {
        Error { kind, field: path.to_string(), value, go_syntax: None, detail: detail.into() }
    }

    /// A missing value.
    pub fn required(path: &Path<'_>, detail: impl Into<String>) -> Error {
        Error::new(ErrorType::Required, path, String::new(), detail)
    }

    /// A malformed value.
    pub fn invalid(path: &Path<'_>, value: &Value, detail: impl Into<String>) -> Error {
        Error::new(ErrorType::Invalid, path, go_value(value), detail)
    }

    /// A malformed value whose rendering is made by the caller (quoted where it is a string).
    pub fn invalid_text(path: &Path<'_>, value: impl Into<String>, detail: impl Into<String>) -> Error {
        Error::new(ErrorType::Invalid, path, value.into(), detail)
    }

    /// A value that occurs twice.
    pub fn duplicate(path: &Path<'_>, value: &Value) -> Error {
        Error::new(ErrorType::Duplicate, path, go_value(value), "")
    }

    /// A reference to something that is not there.
    pub fn not_found(path: &Path<'_>, value: &Value) -> Error {
        Error::new(ErrorType::NotFound, path, go_value(value), "")
    }

    /// A value outside a fixed set.
    pub fn not_supported(path: &Path<'_>, value: &Value, supported: &[&str]) -> Error {
        let detail = if supported.is_empty() {
            String::new()
        } else {
            let list: Vec<String> = supported.iter().map(|s| go_quote(s)).collect();
            format!("supported values: {}", list.join(", "))
        };
        Error::new(ErrorType::NotSupported, path, go_value(value), detail)
    }

    /// A field that may not be used here.
    pub fn forbidden(path: &Path<'_>, detail: impl Into<String>) -> Error {
        Error::new(ErrorType::Forbidden, path, String::new(), detail)
    }

    /// A text longer than `max_bytes`.
    pub fn too_long(path: &Path<'_>, max_bytes: usize) -> Error {
        let unit = if max_bytes == 1 { "byte" } else { "bytes" };
        Error::new(
            ErrorType::TooLong,
            path,
            String::new(),
            format!("may not be more than {max_bytes} {unit}"),
        )
    }

    /// A list of `actual` items where at most `max` are allowed.
    pub fn too_many(path: &Path<'_>, actual: usize, max: usize) -> Error {
        let unit = if max == 1 { "item" } else { "items" };
        Error::new(ErrorType::TooMany, path, actual.to_string(), format!("must have at most {max} {unit}"))
    }

    /// A value of the wrong type.
    pub fn type_invalid(path: &Path<'_>, value: &Value, detail: impl Into<String>) -> Error {
        Error::new(ErrorType::TypeInvalid, path, go_value(value), detail)
    }

    /// The message without the field: `Invalid value: "x": must be …`.
    pub fn body(&self) -> String {
        let mut text = String::from(self.kind.text());
        if !self.value.is_empty() {
            text.push_str(": ");
            text.push_str(&self.value);
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

/// A value as upstream's messages print it: strings quoted, numbers and booleans bare, the rest as JSON.
pub fn go_value(value: &Value) -> String {
    match value {
        Value::String(s) => go_quote(s),
        Value::Null => "null".to_owned(),
        Value::Number(number) => crate::printf::go_number(number),
        Value::Array(_) | Value::Object(_) if has_float(value) => {
            let mut whole = value.clone();
            crate::json::fold_floats(&mut whole);
            whole.to_string()
        }
        other => other.to_string(),
    }
}

/// Whether a number in it is a float.
fn has_float(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_float),
        Value::Object(fields) => fields.values().any(has_float),
        _ => false,
    }
}

/// Go's `%q`: a double-quoted string with Go's escapes.
pub fn go_quote(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if c.is_ascii() || is_printable(c) => out.push(c),
            c if (c as u32) < 0x10000 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => {
                let _ = write!(out, "\\U{:08x}", c as u32);
            }
        }
    }
    out.push('"');
    out
}

/// Go's `strconv.IsPrint` of a character beyond ASCII: no control character, separator or unassigned one.
pub fn is_printable(c: char) -> bool {
    // Rust's escapes have the same idea of it, but for marks that begin a text.
    let mut text = String::from("a");
    text.push(c);
    text.escape_debug().nth(1) != Some('\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_print_as_upstream() {
        let spec = Path::new("spec");
        let list = spec.child("containers");
        let item = list.index(2);
        assert_eq!(item.child("name").to_string(), "spec.containers[2].name");
        let annotations = Path::new("metadata.annotations");
        assert_eq!(annotations.key("a/b").to_string(), "metadata.annotations[a/b]");
        assert_eq!(Path::ROOT.child("spec").to_string(), "spec");
    }

    #[test]
    fn quotes_are_as_go_writes_them() {
        let quoted = go_quote("a\u{86}\u{2028}\u{301}\u{e0001}\u{fc}\u{1f600}\n\u{1}");
        assert_eq!(quoted, "\"a\\u0086\\u2028\u{301}\\U000e0001\u{fc}\u{1f600}\\n\\x01\"");
    }

    #[test]
    fn messages_print_as_upstream() {
        let path = Path::new("spec.type");
        let error = Error::not_supported(&path, &Value::from("X"), &["A", "B"]);
        assert_eq!(error.to_string(), r#"spec.type: Unsupported value: "X": supported values: "A", "B""#);
        assert_eq!(Error::required(&path, "").to_string(), "spec.type: Required value");
        assert_eq!(
            Error::too_long(&path, 63).to_string(),
            "spec.type: Too long: may not be more than 63 bytes"
        );
        assert_eq!(
            Error::invalid(&path, &Value::from(-1), "x").to_string(),
            "spec.type: Invalid value: -1: x"
        );
    }
}
