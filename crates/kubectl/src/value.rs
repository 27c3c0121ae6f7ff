//! Short ways into a JSON value: `object.s("metadata.name")`.

use serde_json::{Map, Value};

/// Reads by dotted path; what is missing or of another type reads as empty.
pub(crate) trait Json {
    /// The value at the path.
    fn at(&self, path: &str) -> Option<&Value>;
    /// The string at the path, or "".
    fn s(&self, path: &str) -> &str {
        self.at(path).and_then(Value::as_str).unwrap_or("")
    }
    /// The integer at the path, or 0.
    fn i(&self, path: &str) -> i64 {
        self.at(path).and_then(Value::as_i64).unwrap_or(0)
    }
    /// The integer at the path, or the given one.
    fn i_or(&self, path: &str, default: i64) -> i64 {
        self.at(path).and_then(Value::as_i64).unwrap_or(default)
    }
    /// The boolean at the path, or false.
    fn b(&self, path: &str) -> bool {
        self.at(path).and_then(Value::as_bool).unwrap_or(false)
    }
    /// The list at the path, or an empty one.
    fn list(&self, path: &str) -> &[Value] {
        self.at(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
    /// The map at the path as pairs in key order.
    fn pairs(&self, path: &str) -> Vec<(&String, &Value)> {
        self.at(path).and_then(Value::as_object).map(|m| m.iter().collect()).unwrap_or_default()
    }
    /// Is there something other than null?
    fn has(&self, path: &str) -> bool {
        self.at(path).is_some_and(|v| !v.is_null())
    }
    /// The string map at the path in key order.
    fn strings(&self, path: &str) -> Vec<(&str, &str)> {
        self.pairs(path).into_iter().map(|(k, v)| (k.as_str(), v.as_str().unwrap_or(""))).collect()
    }
}

impl Json for Value {
    fn at(&self, path: &str) -> Option<&Value> {
        let mut v = self;
        for part in path.split('.').filter(|p| !p.is_empty()) {
            v = match v {
                Value::Array(a) => a.get(part.parse::<usize>().ok()?)?,
                _ => v.get(part)?,
            };
        }
        Some(v)
    }
}

/// Sets the value at a dotted path, making maps on the way.
pub(crate) fn set(object: &mut Value, path: &str, value: Value) {
    let mut v = object;
    for part in path.split('.') {
        if !v.is_object() {
            *v = Value::Object(Map::new());
        }
        let Value::Object(m) = v else { return };
        v = m.entry(part.to_string()).or_insert(Value::Null);
    }
    *v = value;
}

/// Removes what stands at a dotted path.
pub(crate) fn remove(object: &mut Value, path: &str) -> Option<Value> {
    let (parent, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut v = object;
    for part in parent.split('.').filter(|p| !p.is_empty()) {
        v = v.get_mut(part)?;
    }
    v.as_object_mut()?.remove(last)
}

/// How Go prints a value with `%v`: strings bare, the rest as JSON.
pub(crate) fn plain(v: &Value) -> String {
    match v {
        Value::String(s) => s.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// `a=1,b=2`, or the given text when there are none (upstream: `labels.FormatLabels`).
pub(crate) fn join_labels(pairs: &[(&str, &str)], none: &str) -> String {
    if pairs.is_empty() {
        return none.to_string();
    }
    pairs.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
}

/// A label selector object as text (upstream: `metav1.FormatLabelSelector`).
pub(crate) fn format_selector(selector: Option<&Value>) -> String {
    let Some(selector) = selector else { return "<none>".into() };
    let mut parts: Vec<(String, String)> = Vec::new();
    for (k, v) in selector.strings("matchLabels") {
        parts.push((k.to_string(), format!("{k}={v}")));
    }
    for e in selector.list("matchExpressions") {
        let key = e.s("key");
        let mut values: Vec<&str> = e.list("values").iter().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        parts.push((
            key.to_string(),
            match e.s("operator") {
                "In" => format!("{key} in ({values})"),
                "NotIn" => format!("{key} notin ({values})"),
                "Exists" => key.to_string(),
                _ => format!("!{key}"),
            },
        ));
    }
    parts.sort();
    if parts.is_empty() {
        return "<none>".into();
    }
    parts.into_iter().map(|(_, t)| t).collect::<Vec<_>>().join(",")
}
