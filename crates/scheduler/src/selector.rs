//! Label selectors and node selectors.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Taint, Toleration},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// Whether `selector` matches. No selector matches nothing, an empty one everything (upstream's
/// `LabelSelectorAsSelector`).
pub fn matches(selector: Option<&LabelSelector>, labels: &Labels) -> bool {
    let Some(selector) = selector else { return false };
    let wanted = selector.match_labels.iter().flatten();
    if !wanted.into_iter().all(|(key, value)| labels.get(key) == Some(value)) {
        return false;
    }
    selector.match_expressions.iter().flatten().all(|requirement| {
        requirement_matches(&requirement.key, &requirement.operator, requirement.values.as_deref(), labels)
    })
}

fn requirement_matches(key: &str, operator: &str, values: Option<&[String]>, labels: &Labels) -> bool {
    let values = values.unwrap_or_default();
    let found = labels.get(key);
    let number = |text: &String| text.parse::<i64>().ok();
    match operator {
        "In" => found.is_some_and(|value| values.contains(value)),
        "NotIn" => found.is_none_or(|value| !values.contains(value)),
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        "Gt" | "Lt" => match (found.and_then(number), values.first().and_then(number)) {
            (Some(found), Some(limit)) => {
                (operator == "Gt" && found > limit) || (operator == "Lt" && found < limit)
            }
            _ => false,
        },
        _ => false,
    }
}

/// Whether any term of a node selector matches a node.
pub fn node_matches(selector: &NodeSelector, name: &str, labels: &Labels) -> bool {
    selector.node_selector_terms.iter().any(|term| term_matches(term, name, labels))
}

/// Whether a term matches a node. An empty term matches none.
pub fn term_matches(term: &NodeSelectorTerm, name: &str, labels: &Labels) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    let field = |requirement: &NodeSelectorRequirement| {
        let fields = Labels::from([("metadata.name".to_owned(), name.to_owned())]);
        requirement_matches(&requirement.key, &requirement.operator, requirement.values.as_deref(), &fields)
    };
    expressions.iter().all(|r| requirement_matches(&r.key, &r.operator, r.values.as_deref(), labels))
        && fields.iter().all(field)
}

/// Whether any toleration allows the taint.
pub fn tolerates(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|toleration| {
        let effect = toleration.effect.as_deref().unwrap_or_default();
        let key = toleration.key.as_deref().unwrap_or_default();
        if (!effect.is_empty() && effect != taint.effect) || (!key.is_empty() && key != taint.key) {
            return false;
        }
        match toleration.operator.as_deref().unwrap_or_default() {
            "Exists" => true,
            "" | "Equal" => {
                !key.is_empty()
                    && toleration.value.as_deref().unwrap_or_default()
                        == taint.value.as_deref().unwrap_or_default()
            }
            operator @ ("Gt" | "Lt") => {
                let number =
                    |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<i64>().ok());
                match (number(&taint.value), number(&toleration.value)) {
                    (Some(taint), Some(limit)) if operator == "Gt" => taint > limit,
                    (Some(taint), Some(limit)) => taint < limit,
                    _ => false,
                }
            }
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_selectors() {
        let labels = Labels::from([("app".into(), "web".into()), ("n".into(), "5".into())]);
        let selector = |json: &str| serde_json::from_str::<LabelSelector>(json).unwrap();
        assert!(!matches(None, &labels));
        assert!(matches(Some(&selector("{}")), &labels));
        assert!(matches(Some(&selector(r#"{"matchLabels":{"app":"web"}}"#)), &labels));
        let not_in = r#"{"matchExpressions":[{"key":"x","operator":"NotIn","values":["1"]}]}"#;
        assert!(matches(Some(&selector(not_in)), &labels));
        let term: NodeSelectorTerm =
            serde_json::from_str(r#"{"matchExpressions":[{"key":"n","operator":"Gt","values":["4"]}]}"#)
                .unwrap();
        assert!(term_matches(&term, "n1", &labels));
        let term: NodeSelectorTerm = serde_json::from_str(
            r#"{"matchFields":[{"key":"metadata.name","operator":"In","values":["n2"]}]}"#,
        )
        .unwrap();
        assert!(!term_matches(&term, "n1", &labels) && term_matches(&term, "n2", &labels));
        assert!(!term_matches(&NodeSelectorTerm::default(), "n1", &labels));
    }

    #[test]
    fn tolerations() {
        let taint: Taint = serde_json::from_str(r#"{"key":"k","value":"v","effect":"NoSchedule"}"#).unwrap();
        let tolerated = |json: &str| tolerates(&[serde_json::from_str(json).unwrap()], &taint);
        assert!(tolerated(r#"{"operator":"Exists"}"#));
        assert!(tolerated(r#"{"key":"k","value":"v"}"#));
        assert!(!tolerated(r#"{"key":"k","value":"w"}"#));
        assert!(!tolerated(r#"{"key":"k","operator":"Exists","effect":"NoExecute"}"#));
        assert!(!tolerated(r#"{"value":"v"}"#));
    }
}
