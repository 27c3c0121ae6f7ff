//! Label selectors as predicates (upstream's `metav1.LabelSelectorAsSelector`).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// The labels of an object, or none.
pub type Labels = BTreeMap<String, String>;

/// Whether `labels` satisfy `selector`. An empty selector matches everything; an expression with an operator that does
/// not exist matches nothing.
pub fn matches(selector: &LabelSelector, labels: Option<&Labels>) -> bool {
    let get = |key: &str| labels.and_then(|labels| labels.get(key));
    let equal = selector.match_labels.iter().flatten().all(|(key, value)| get(key) == Some(value));
    equal
        && selector.match_expressions.iter().flatten().all(|expression| {
            let value = get(&expression.key);
            let listed = |value: &String| expression.values.iter().flatten().any(|v| v == value);
            match expression.operator.as_str() {
                "In" => value.is_some_and(listed),
                "NotIn" => !value.is_some_and(listed),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

/// Whether every pair of `wanted` is in `labels`.
pub fn contains(labels: Option<&Labels>, wanted: &Labels) -> bool {
    wanted.iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
}

/// Whether the selector has no requirement at all.
pub fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
}

/// A selector that wants these labels.
pub fn from_map(labels: &Labels) -> LabelSelector {
    LabelSelector { match_labels: Some(labels.clone()), match_expressions: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators() {
        let selector: LabelSelector = serde_json::from_str(
            r#"{"matchLabels":{"app":"a"},"matchExpressions":[{"key":"tier","operator":"NotIn","values":["x"]},{"key":"app","operator":"In","values":["a","b"]},{"key":"gone","operator":"DoesNotExist"}]}"#,
        )
        .unwrap();
        let labels = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect::<Labels>()
        };
        assert!(matches(&selector, Some(&labels(&[("app", "a")]))));
        assert!(!matches(&selector, Some(&labels(&[("app", "a"), ("tier", "x")]))));
        assert!(!matches(&selector, Some(&labels(&[("app", "a"), ("gone", "")]))));
        assert!(!matches(&selector, None));
        assert!(matches(&LabelSelector::default(), None) && is_empty(&LabelSelector::default()));
    }
}
