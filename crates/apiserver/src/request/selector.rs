//! Label and field selectors as predicates of the watch cache.

use std::borrow::Cow;
use std::sync::Arc;

use api::selector::{FieldSelector, LabelSelector, Operator, Requirement};
use api::status::ApiError;
use cache::{Item, Predicate};

use crate::registry::fields;
use crate::registry::resource::Resource;

/// The predicate of a list or a watch.
pub fn predicate(
    resource: &Resource,
    namespace: &str,
    label_selector: &str,
    field_selector: &str,
) -> Result<Predicate, ApiError> {
    let labels = LabelSelector::parse(label_selector).map_err(ApiError::bad_request)?;
    let extra = resource.definition.as_ref().map(|c| c.version().selectable.as_slice());
    let fields =
        FieldSelector::parse_with(field_selector, &resource.api, extra).map_err(ApiError::bad_request)?;
    let mut predicate = Predicate::default();
    if resource.namespaced && !namespace.is_empty() {
        predicate.namespace = Some(namespace.to_owned());
    }
    predicate.name = fields.requires_exact_match("metadata.name").map(str::to_owned);
    if let Some(index) = fields::index(resource) {
        predicate.index = fields.requires_exact_match(&index).map(str::to_owned);
    }
    if !labels.is_everything() || !fields.is_everything() {
        predicate.filter = Some(Arc::new(move |item: &Item| {
            labels.requirements().iter().all(|r| meets(r, item.label(&r.key)))
                && fields.matches_with(|field| item.field(field).map_or(Cow::Borrowed(""), Cow::Borrowed))
        }));
    }
    Ok(predicate)
}

/// Whether a label's value meets a requirement (`Requirement.Matches`).
fn meets(requirement: &Requirement, value: Option<&str>) -> bool {
    let one_of = |v: &str| requirement.values.iter().any(|own| own == v);
    match requirement.operator {
        Operator::In | Operator::Equals | Operator::DoubleEquals => value.is_some_and(one_of),
        Operator::NotIn | Operator::NotEquals => !value.is_some_and(one_of),
        Operator::Exists => value.is_some(),
        Operator::DoesNotExist => value.is_none(),
        Operator::GreaterThan | Operator::LessThan => {
            let own = requirement.values.first().and_then(|v| v.parse::<i64>().ok());
            match (value.and_then(|v| v.parse::<i64>().ok()), own) {
                (Some(a), Some(b)) if requirement.operator == Operator::GreaterThan => a > b,
                (Some(a), Some(b)) => a < b,
                _ => false,
            }
        }
    }
}
