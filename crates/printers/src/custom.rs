//! Tables of custom resources: the columns that their definition names
//! (`apiextensions-apiserver/pkg/registry/customresource/tableconvertor`).

use api::Value;
use jiff::Timestamp;

use crate::age::since;
use crate::jsonpath::JsonPath;
use crate::value::{int, text};
use crate::{Column, Printer};

/// One of `additionalPrinterColumns`.
#[derive(Clone, Debug)]
pub(crate) struct CustomColumn {
    path: JsonPath,
    kind: String,
}

impl Printer {
    /// The printer of a custom resource's version. Without columns of its own it shows the age, as upstream's
    /// defaulting does. The error says which path cannot be read.
    pub fn custom(columns: &[Value]) -> Result<Printer, String> {
        let default;
        let columns = if columns.is_empty() {
            default = [serde_json::json!(
                {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
            )];
            &default
        } else {
            columns
        };
        let mut printer = Printer { columns: vec![Column::name()], make: crate::Make::Custom(Vec::new()) };
        let mut custom = Vec::new();
        for column in columns {
            // v1beta1 spells it differently.
            let path = match text(column, &["jsonPath"]) {
                "" => text(column, &["JSONPath"]),
                path => path,
            };
            let parsed =
                JsonPath::parse(path).map_err(|_| format!("unrecognized column definition {path:?}"))?;
            let description = match text(column, &["description"]) {
                "" => format!("Custom resource definition column (in JSONPath format): {path}"),
                description => description.to_owned(),
            };
            printer.columns.push(Column {
                name: text(column, &["name"]).to_owned(),
                kind: text(column, &["type"]).to_owned(),
                format: text(column, &["format"]).to_owned(),
                description,
                priority: int(column, &["priority"]),
            });
            custom.push(CustomColumn { path: parsed, kind: text(column, &["type"]).to_owned() });
        }
        printer.make = crate::Make::Custom(custom);
        Ok(printer)
    }
}

impl CustomColumn {
    pub(crate) fn cell(&self, object: &Value, now: Timestamp) -> Value {
        // Of several results upstream shows the first.
        let Some(value) = self.path.find(object).first().copied() else { return Value::Null };
        match (self.kind.as_str(), value) {
            ("string", value) => go_text(value).into(),
            ("integer", Value::Number(n)) => {
                n.as_i64().or_else(|| n.as_f64().map(|f| f as i64)).map_or(Value::Null, Value::from)
            }
            ("number", Value::Number(_)) => value.clone(),
            ("boolean", Value::Bool(_)) => value.clone(),
            ("date", Value::String(time)) if time.parse::<Timestamp>().is_ok() => since(value, now).into(),
            ("date", Value::String(time)) if time.is_empty() => "<unknown>".into(),
            ("date", Value::String(_)) => "<invalid>".into(),
            _ => Value::Null,
        }
    }
}

/// A value as Go prints it: lists and maps as JSON with HTML characters escaped.
fn go_text(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Null => "<no value>".to_owned(),
        Value::Array(_) | Value::Object(_) => api::json::escape_html(value.to_string()),
        Value::Number(n) => match (n.as_i64(), n.as_f64()) {
            (None, Some(f)) if f != 0.0 && (f.abs() >= 1e21 || f.abs() < 1e-4) => go_exponent(f),
            (None, Some(f)) => format!("{f}"),
            _ => n.to_string(),
        },
        Value::Bool(b) => b.to_string(),
    }
}

/// Go's `%v` of a very large or small number: a sign and two digits at least in the exponent.
fn go_exponent(f: f64) -> String {
    let text = format!("{f:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => match exponent.strip_prefix('-') {
            Some(digits) => format!("{mantissa}e-{digits:0>2}"),
            None => format!("{mantissa}e+{exponent:0>2}"),
        },
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_follow_the_columns_types() {
        let columns = json!([
            {"name": "S", "type": "string", "jsonPath": ".spec.s", "description": "the s"},
            {"name": "I", "type": "integer", "jsonPath": ".spec.i", "priority": 1},
            {"name": "B", "type": "boolean", "jsonPath": ".spec.b"},
            {"name": "N", "type": "number", "jsonPath": ".spec.n"},
            {"name": "D", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
            {"name": "L", "type": "string", "jsonPath": ".spec.l[*].x"},
            {"name": "M", "type": "string", "jsonPath": ".spec.nope"},
            {"name": "O", "type": "string", "jsonPath": ".spec.o"},
            {"name": "W", "type": "integer", "jsonPath": ".spec.s"},
        ]);
        let printer = Printer::custom(columns.as_array().unwrap()).unwrap();
        let object = json!({
            "metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"s": "str", "i": 5, "b": true, "n": 1.5, "o": {"a": "<1>"}, "l": [{"x": "a"}, {"x": "b"}]},
        });
        let now = "2026-01-01T00:05:00Z".parse().unwrap();
        assert_eq!(
            json!(printer.cells(&object, now)),
            json!(["x", "str", 5, true, 1.5, "5m", "a", null, "{\"a\":\"\\u003c1\\u003e\"}", null])
        );
        let definitions = printer.column_definitions();
        assert_eq!(
            definitions[2],
            json!({
                "name": "I", "type": "integer", "format": "", "priority": 1,
                "description": "Custom resource definition column (in JSONPath format): .spec.i",
            })
        );
        assert_eq!(definitions[1]["description"], "the s");
        assert_eq!(json!(Printer::custom(&[]).unwrap().cells(&object, now)), json!(["x", "5m"]));
        let broken = json!([{"name": "X", "type": "string", "jsonPath": ".a["}]);
        let error = Printer::custom(broken.as_array().unwrap()).unwrap_err();
        assert_eq!(error, "unrecognized column definition \".a[\"");
    }
}
