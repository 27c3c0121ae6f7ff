//! Decoded values as Go's `fmt` prints them: what stands in many of upstream's messages.

use crate::field::{go_quote, go_value};
use crate::{Object, Value};

/// Go's `%v`: `map[a:1 b:[x y]]`, keys sorted.
pub fn go_print(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(go_print).collect::<Vec<_>>().join(" "))
        }
        Value::Object(fields) => go_print_object(fields),
        Value::Number(number) => go_number(number),
        other => other.to_string(),
    }
}

/// A number as Go prints it: floats that are whole have no point.
pub fn go_number(number: &serde_json::Number) -> String {
    if number.is_f64() { go_float(number.as_f64().unwrap_or(0.0)) } else { number.to_string() }
}

/// Go's `%v` of a float: the shortest digits, with an exponent from a million on.
pub fn go_float(f: f64) -> String {
    let text = format!("{f:e}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    if f == 0.0 || exponent.parse().is_ok_and(|e: i32| (-4..6).contains(&e)) {
        return format!("{f}");
    }
    match exponent.strip_prefix('-') {
        Some(digits) => format!("{mantissa}e-{digits:0>2}"),
        None => format!("{mantissa}e+{exponent:0>2}"),
    }
}

/// [`go_print`] of an object.
pub fn go_print_object(fields: &Object) -> String {
    let list: Vec<String> = fields.iter().map(|(k, v)| format!("{k}:{}", go_print(v))).collect();
    format!("map[{}]", list.join(" "))
}

/// Go's `%#v`; `map` is the type of what a library reads objects into, such as `map[string]interface {}`.
pub fn go_syntax(value: &Value, map: &str) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| go_syntax(item, map)).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(fields) => {
            let entry =
                |(name, value): (&String, &Value)| format!("{}:{}", go_quote(name), go_syntax(value, map));
            let entries: Vec<String> = fields.iter().map(entry).collect();
            format!("{map}{{{}}}", entries.join(", "))
        }
        other => go_value(other),
    }
}

/// Go's `%T`.
pub fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        // What does not fit is read as a float.
        Value::Number(n) if n.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn floats_are_printed_as_go_prints_them() {
        let floats = [100_000.0, 1e6, 1_234_567.5, 1e20, 0.0001, 1.5e-7, 3.0, -2.5, 0.0];
        let texts = ["100000", "1e+06", "1.2345675e+06", "1e+20", "0.0001", "1.5e-07", "3", "-2.5", "0"];
        assert_eq!(floats.map(go_float), texts);
    }

    #[test]
    fn values_are_printed_as_go_prints_them() {
        assert_eq!(go_print(&json!({"b": [null, "x", 1.5], "a": true})), "map[a:true b:[<nil> x 1.5]]");
        let types: Vec<&str> =
            [json!(null), json!(1), json!(1.0), json!(u64::MAX), json!([])].iter().map(go_type).collect();
        assert_eq!(types, ["<nil>", "int64", "float64", "float64", "[]interface {}"]);
    }
}
