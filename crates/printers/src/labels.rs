//! Labels and selectors as tables show them (`k8s.io/apimachinery/pkg/labels`, `metav1.FormatLabelSelector`).

use api::Value;

use crate::value::{list, scalar, text, texts};

/// `a=b,c=d`, or `<none>`. Upstream's `labels.FormatLabels`.
pub(crate) fn format_labels(labels: &Value) -> String {
    match labels.as_object() {
        Some(map) if !map.is_empty() => {
            map.iter().map(|(k, v)| format!("{k}={}", scalar(v))).collect::<Vec<_>>().join(",")
        }
        _ => "<none>".to_owned(),
    }
}

/// A label selector as text; empty when it selects everything or (absent) nothing; none when an expression makes no
/// sense.
pub(crate) fn selector_string(selector: &Value) -> Option<String> {
    let mut requirements: Vec<(&str, String)> = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        requirements.push((key, format!("{key}={}", scalar(value))));
    }
    for expression in list(selector, &["matchExpressions"]) {
        let key = text(expression, &["key"]);
        let mut values = texts(expression, &["values"]);
        values.sort_unstable();
        values.dedup();
        let values = values.join(",");
        let requirement = match text(expression, &["operator"]) {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return None,
        };
        requirements.push((key, requirement));
    }
    requirements.sort_by_key(|(key, _)| *key);
    Some(requirements.into_iter().map(|(_, r)| r).collect::<Vec<_>>().join(","))
}

/// A label selector for a cell. Upstream's `metav1.FormatLabelSelector`.
pub(crate) fn format_selector(selector: &Value) -> String {
    match selector_string(selector) {
        None => "<error>".to_owned(),
        Some(s) if s.is_empty() => "<none>".to_owned(),
        Some(s) => s,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_are_sorted_by_key() {
        let selector = json!({"matchLabels": {"b": "1"}, "matchExpressions": [
            {"key": "z", "operator": "DoesNotExist"}, {"key": "a", "operator": "In", "values": ["y", "x"]},
            {"key": "c", "operator": "NotIn", "values": ["v"]}, {"key": "d", "operator": "Exists"}]});
        assert_eq!(format_selector(&selector), "a in (x,y),b=1,c notin (v),d,!z");
        assert_eq!(format_selector(&json!({})), "<none>");
        assert_eq!(
            format_selector(&json!({"matchExpressions": [{"key": "a", "operator": "Gt"}]})),
            "<error>"
        );
        assert_eq!(format_labels(&json!({"a": "b", "c": ""})), "a=b,c=");
        assert_eq!(format_labels(&Value::Null), "<none>");
    }
}
