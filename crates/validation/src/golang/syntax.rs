//! Go's `%#v`: how servers until 2024 quoted values that are neither texts nor numbers.
//!
//! Pointers inside of structs print as addresses there; no client can expect those, so they print as upstream's own
//! recordings mask them.

use api::Value;
use api::field::go_quote;

use super::types;
use crate::quantity::{Quantity, QuantityField as _};
use crate::value::Get;

/// A value of a kind (see [`super`]); `None` where the text is the same as today's.
pub(super) fn of(kind: &str, value: &Value) -> Option<String> {
    match kind.strip_prefix('*') {
        // Upstream follows the outermost pointer.
        Some(_) if value.is_null() => None,
        Some(inner) => of(inner, value),
        None if matches!(kind, "s" | "i" | "b" | "f" | "t" | "r") => None,
        None => Some(text(kind, value)),
    }
}

/// A value whose type is not known: lists and maps are of texts.
pub(crate) fn untyped(value: &Value) -> Option<String> {
    let of_texts = |mut all: Box<dyn Iterator<Item = &Value> + '_>| all.all(Value::is_string);
    match value {
        Value::Array(items) if of_texts(Box::new(items.iter())) => Some(text("[s", value)),
        Value::Object(map) if of_texts(Box::new(map.values())) => Some(text("{s", value)),
        _ => None,
    }
}

/// Bytes, given as base64.
pub(crate) fn bytes(base64: &str) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(base64).unwrap_or_default();
    if bytes.is_empty() {
        return "[]byte(nil)".to_owned();
    }
    let list: Vec<String> = bytes.iter().map(|b| format!("{b:#x}")).collect();
    format!("[]byte{{{}}}", list.join(", "))
}

fn text(kind: &str, value: &Value) -> String {
    if let Some(inner) = kind.strip_prefix('*') {
        let shown = if value.is_null() { "nil" } else { "0x…" };
        return format!("(*{})({shown})", type_name(inner));
    }
    if let Some(inner) = kind.strip_prefix('[') {
        return match value.as_array() {
            None => format!("{}(nil)", type_name(kind)),
            Some(items) => {
                let list: Vec<String> = items.iter().map(|v| text(inner, v)).collect();
                format!("{}{{{}}}", type_name(kind), list.join(", "))
            }
        };
    }
    if let Some(inner) = kind.strip_prefix('{') {
        return match value.as_object() {
            None => format!("{}(nil)", type_name(kind)),
            Some(map) => {
                let list: Vec<String> =
                    map.iter().map(|(k, v)| format!("{}:{}", go_quote(k), text(inner, v))).collect();
                format!("{}{{{}}}", type_name(kind), list.join(", "))
            }
        };
    }
    match kind {
        "s" => go_quote(value.as_str().unwrap_or_default()),
        "i" | "f" => {
            if value.is_null() {
                "0".to_owned()
            } else {
                value.to_string()
            }
        }
        "b" => value.as_bool().unwrap_or_default().to_string(),
        "q" => quantity(value),
        "x" => match value.as_str() {
            Some(text) => format!("intstr.IntOrString{{Type:1, IntVal:0, StrVal:{}}}", go_quote(text)),
            None => {
                let number = value.as_i64().unwrap_or_default();
                format!("intstr.IntOrString{{Type:0, IntVal:{number}, StrVal:\"\"}}")
            }
        },
        "t" | "r" => value.to_string(),
        name => {
            let fields: Vec<String> = types()
                .get(name)
                .into_iter()
                .flatten()
                .map(|field| {
                    if field.shown == "-" {
                        let (_, go) = field.kind.rsplit_once('.').unwrap_or(("", field.kind));
                        return format!("{go}:{}", text(field.kind, value));
                    }
                    let (shown, kind) = (capital(field.shown), field.kind.trim_end_matches('?'));
                    format!("{shown}:{}", text(kind, value.sub(field.key)))
                })
                .collect();
            format!("{}{{{}}}", type_name(name), fields.join(", "))
        }
    }
}

/// Types with JSON tags are listed by their JSON names.
fn capital(name: &str) -> String {
    let mut rest = name.chars();
    let first = rest.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(rest).collect()
}

fn type_name(kind: &str) -> String {
    if let Some(inner) = kind.strip_prefix('[') {
        return format!("[]{}", type_name(inner));
    }
    if let Some(inner) = kind.strip_prefix('{') {
        return format!("map[string]{}", type_name(inner));
    }
    if let Some(inner) = kind.strip_prefix('*') {
        return format!("*{}", type_name(inner));
    }
    match kind {
        "s" => "string".to_owned(),
        "i" => "int32".to_owned(),
        "b" => "bool".to_owned(),
        "f" => "float64".to_owned(),
        "q" => "resource.Quantity".to_owned(),
        "x" => "intstr.IntOrString".to_owned(),
        "t" => "v1.Time".to_owned(),
        "r" => "interface {}".to_owned(),
        // The package's own name, not what importers call it.
        name => name.strip_prefix("metav1.").map_or_else(|| name.to_owned(), |own| format!("v1.{own}")),
    }
}

/// Small quantities are a number and a power of ten.
fn quantity(value: &Value) -> String {
    let shown = Quantity::shown(value);
    let digits = shown.trim_start_matches('-').find(|c: char| !c.is_ascii_digit());
    let (number, suffix) =
        shown.split_at(digits.map_or(shown.len(), |at| at + usize::from(shown.starts_with('-'))));
    let mut number: i64 = number.parse().unwrap_or_default();
    let mut scale = match suffix {
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        _ => 0,
    };
    while scale < 0 && number != 0 && number % 10 == 0 {
        number /= 10;
        scale += 1;
    }
    let binary = match suffix {
        "Ki" => 10,
        "Mi" => 20,
        "Gi" => 30,
        "Ti" => 40,
        _ => 0,
    };
    let format = if binary == 0 { "DecimalSI" } else { "BinarySI" };
    let number = number.saturating_mul(1 << binary);
    format!(
        "resource.Quantity{{i:resource.int64Amount{{value:{number}, scale:{scale}}}, \
         d:resource.infDecAmount{{Dec:(*inf.Dec)(nil)}}, s:\"\", Format:\"{format}\"}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json as j;

    #[test]
    fn values_print_as_go_source() {
        let selector = j!({"matchLabels": {"b": "c", "a": "x"}});
        assert_eq!(
            of("*metav1.LabelSelector", &selector).unwrap(),
            "v1.LabelSelector{MatchLabels:map[string]string{\"a\":\"x\", \"b\":\"c\"}, \
             MatchExpressions:[]v1.LabelSelectorRequirement(nil)}"
        );
        assert_eq!(of("x", &j!("5%")).unwrap(), "intstr.IntOrString{Type:1, IntVal:0, StrVal:\"5%\"}");
        assert_eq!(of("*x", &Value::Null), None);
        assert_eq!(untyped(&j!(["/x"])).unwrap(), "[]string{\"/x\"}");
        assert_eq!(of("{s", &Value::Null).unwrap(), "map[string]string(nil)");
        assert_eq!(bytes("bm8="), "[]byte{0x6e, 0x6f}");
        assert_eq!(
            of("q", &j!("1500m")).unwrap(),
            "resource.Quantity{i:resource.int64Amount{value:15, scale:-1}, \
             d:resource.infDecAmount{Dec:(*inf.Dec)(nil)}, s:\"\", Format:\"DecimalSI\"}"
        );
    }
}
