//! Label selectors (`k8s.io/apimachinery/pkg/apis/meta/v1/validation` and `metav1.LabelSelectorAsSelector`).

use api::Value;
use api::field::{ErrorList, Path};

use crate::errs::Errs;
use crate::meta;
use crate::names;
use crate::value::{Get, NULL};

/// `ValidateLabelSelector`. `any_value`: values need not be label values (old objects may carry such).
pub(crate) fn label_selector(selector: &Value, any_value: bool, path: &Path<'_>, errs: &mut ErrorList) {
    if selector.is_null() {
        return;
    }
    meta::labels(selector.entries("matchLabels"), &path.child("matchLabels"), errs);
    let list = path.child("matchExpressions");
    for (i, requirement) in selector.list("matchExpressions").iter().enumerate() {
        label_requirement(requirement, any_value, false, &list.index(i), errs);
    }
}

/// `ValidateLabelSelectorRequirement`.
pub(crate) fn label_requirement(
    requirement: &Value,
    any_value: bool,
    any_operator: bool,
    path: &Path<'_>,
    errs: &mut ErrorList,
) {
    operator(requirement, any_operator, path, errs);
    meta::label_name(requirement.str("key"), &path.child("key"), errs);
    if !any_value {
        let values = path.child("values");
        for (i, value) in requirement.list("values").iter().enumerate() {
            errs.invalid_each(&values.index(i), value.text(), names::is_label_value(value.text()));
        }
    }
}

/// `ValidateFieldSelectorRequirement`.
pub(crate) fn field_requirement(
    requirement: &Value,
    any_operator: bool,
    path: &Path<'_>,
    errs: &mut ErrorList,
) {
    if requirement.str("key").is_empty() {
        errs.required(&path.child("key"), "must be specified");
    }
    operator(requirement, any_operator, path, errs);
}

fn operator(requirement: &Value, any_operator: bool, path: &Path<'_>, errs: &mut ErrorList) {
    let values = requirement.list("values");
    match requirement.str("operator") {
        "In" | "NotIn" => {
            if values.is_empty() {
                errs.required(&path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'");
            }
        }
        "Exists" | "DoesNotExist" => {
            if !values.is_empty() {
                errs.forbidden(
                    &path.child("values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                );
            }
        }
        other => {
            if !any_operator {
                errs.invalid(&path.child("operator"), other, "not a valid selector operator");
            }
        }
    }
}

/// Whether a match expression carries a value that is no label value.
pub(crate) fn has_invalid_value(selector: &Value) -> bool {
    selector
        .list("matchExpressions")
        .iter()
        .flat_map(|e| e.list("values"))
        .any(|v| !names::is_label_value(v.text()).is_empty())
}

/// Whether `LabelSelectorAsSelector` can build a selector of it (an absent one selects nothing).
pub(crate) fn is_usable(selector: &Value) -> bool {
    let labels = selector.entries("matchLabels").all(|(key, value)| {
        names::is_qualified_name(key).is_empty() && names::is_label_value(value.text()).is_empty()
    });
    labels
        && selector.list("matchExpressions").iter().all(|e| {
            let values = e.list("values");
            let counted = match e.str("operator") {
                "In" | "NotIn" => !values.is_empty(),
                "Exists" | "DoesNotExist" => values.is_empty(),
                _ => false,
            };
            counted
                && names::is_qualified_name(e.str("key")).is_empty()
                && values.iter().all(|v| names::is_label_value(v.text()).is_empty())
        })
}

/// Whether a selector has no requirement at all.
pub(crate) fn is_empty(selector: &Value) -> bool {
    selector.entries("matchLabels").next().is_none() && selector.list("matchExpressions").is_empty()
}

/// Whether a selector matches labels. An absent selector matches nothing, an empty one everything.
pub(crate) fn matches(selector: &Value, labels: &Value) -> bool {
    if selector.is_null() {
        return false;
    }
    selector.entries("matchLabels").all(|(key, value)| labels.get(key) == Some(value))
        && selector.list("matchExpressions").iter().all(|e| {
            let actual = labels.get(e.str("key"));
            let listed = || e.list("values").contains(actual.unwrap_or(&NULL));
            match e.str("operator") {
                "In" => actual.is_some() && listed(),
                "NotIn" => actual.is_none() || !listed(),
                "Exists" => actual.is_some(),
                _ => actual.is_none(),
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_match_labels() {
        let selector = json!({"matchLabels": {"app": "web"},
            "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["db"]}]});
        assert!(is_usable(&selector));
        assert!(matches(&selector, &json!({"app": "web"})));
        assert!(!matches(&selector, &json!({"app": "web", "tier": "db"})));
        assert!(!matches(&Value::Null, &json!({})));
        assert!(matches(&json!({}), &Value::Null));
        assert!(!is_usable(&json!({"matchLabels": {"a b": "c"}})));
    }

    #[test]
    fn requirements_are_checked_by_operator() {
        let mut errs = ErrorList::new();
        let selector =
            json!({"matchExpressions": [{"key": "a", "operator": "In"}, {"key": "a", "operator": "X"}]});
        label_selector(&selector, false, &Path::new("s"), &mut errs);
        assert_eq!(
            errs[0].to_string(),
            "s.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"
        );
        assert_eq!(
            errs[1].to_string(),
            "s.matchExpressions[1].operator: Invalid value: \"X\": not a valid selector operator"
        );
    }
}
