//! Reading a JSON object the way Go reads its structs: what is absent is the zero value.

use api::{Object, Value};

pub(crate) static NULL: Value = Value::Null;

/// Field access with Go's zero values.
pub(crate) trait Get {
    /// The field, unless it is absent or null.
    fn at(&self, name: &str) -> Option<&Value>;
    /// The field, or null.
    fn sub(&self, name: &str) -> &Value;
    /// A string field; empty when absent.
    fn str(&self, name: &str) -> &str;
    /// A `*string` field.
    fn opt_str(&self, name: &str) -> Option<&str>;
    /// An integer field; 0 when absent.
    fn int(&self, name: &str) -> i64;
    /// A `*int` field.
    fn opt_int(&self, name: &str) -> Option<i64>;
    /// A boolean field; false when absent.
    fn flag(&self, name: &str) -> bool;
    /// A `*bool` field.
    fn opt_flag(&self, name: &str) -> Option<bool>;
    /// A list field; empty when absent.
    fn list(&self, name: &str) -> &[Value];
    /// The strings of a list field; an item that is null is the empty string.
    fn strs(&self, name: &str) -> Vec<&str>;
    /// The entries of a map field.
    fn entries(&self, name: &str) -> Entries<'_>;
    /// The value as a string; empty when it is none.
    fn text(&self) -> &str;
    /// The entries of this map.
    fn pairs(&self) -> Entries<'_>;
}

/// The entries of a map that may be absent.
pub(crate) type Entries<'a> = std::iter::Flatten<std::option::IntoIter<&'a Object>>;

impl Get for Value {
    fn at(&self, name: &str) -> Option<&Value> {
        match self.get(name) {
            None | Some(Value::Null) => None,
            found => found,
        }
    }

    fn sub(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&NULL)
    }

    fn str(&self, name: &str) -> &str {
        self.opt_str(name).unwrap_or("")
    }

    fn opt_str(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    fn int(&self, name: &str) -> i64 {
        self.opt_int(name).unwrap_or(0)
    }

    fn opt_int(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(Value::as_i64)
    }

    fn flag(&self, name: &str) -> bool {
        self.opt_flag(name).unwrap_or(false)
    }

    fn opt_flag(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(Value::as_bool)
    }

    fn list(&self, name: &str) -> &[Value] {
        self.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn strs(&self, name: &str) -> Vec<&str> {
        self.list(name).iter().map(Get::text).collect()
    }

    fn entries(&self, name: &str) -> Entries<'_> {
        self.sub(name).pairs()
    }

    fn text(&self) -> &str {
        self.as_str().unwrap_or("")
    }

    fn pairs(&self) -> Entries<'_> {
        self.as_object().into_iter().flatten()
    }
}

/// Upstream's semantic equality: an absent, null or empty list or map is the same thing.
///
/// A struct that is present but empty differs from an absent one (`emptyDir: {}`), so only maps
/// whose field name is in [`MAPS`] count as empty.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        // Mostly they are the very same, which is told in one walk.
        (Value::Object(x), Value::Object(y)) if x == y => true,
        (Value::Object(x), Value::Object(y)) => {
            x.iter().all(|(k, v)| same_field(k, v, y.get(k).unwrap_or(&NULL)))
                && y.iter().all(|(k, v)| x.contains_key(k) || same_field(k, &NULL, v))
        }
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(v, w)| same(v, w)),
        (Value::Null, Value::Array(x)) | (Value::Array(x), Value::Null) => x.is_empty(),
        _ => a == b,
    }
}

fn same_field(key: &str, a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Null, Value::Object(o)) | (Value::Object(o), Value::Null) if MAPS.contains(&key) => {
            o.is_empty()
        }
        _ => same(a, b),
    }
}

const MAPS: &[&str] = &[
    "annotations",
    "data",
    "binaryData",
    "labels",
    "limits",
    "matchLabels",
    "nodeSelector",
    "overhead",
    "parameters",
    "requests",
    "capacity",
    "volumeAttributes",
    "options",
    "metadata",
];

/// [`same`] for one field of two objects.
pub(crate) fn same_at(a: &Value, b: &Value, name: &str) -> bool {
    same_field(name, a.sub(name), b.sub(name))
}
