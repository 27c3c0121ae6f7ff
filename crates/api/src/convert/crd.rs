//! Custom resource definitions of `v1beta1`: schema, subresources and columns may stand once for all versions.

use super::{Steps, child, items, rename};
use crate::{Object, Value};

/// `apiextensions.k8s.io/v1beta1`.
pub(super) const OLD: Steps = Steps { to_hub, from_hub };

/// Top-level field in `v1beta1` → field of each version in both.
const SHARED: [(&str, &str); 4] = [
    ("subresources", "subresources"),
    ("validation", "schema"),
    ("additionalPrinterColumns", "additionalPrinterColumns"),
    ("selectableFields", "selectableFields"),
];

fn columns(holder: &mut Object, from: &str, to: &str) {
    items(holder, "additionalPrinterColumns").for_each(|column| rename(column, from, to));
}

fn to_hub(o: &mut Object) -> Result<(), String> {
    let Some(spec) = child(o, "spec") else { return Ok(()) };
    columns(spec, "JSONPath", "jsonPath");
    items(spec, "versions").for_each(|v| columns(v, "JSONPath", "jsonPath"));
    if spec.get("versions").and_then(Value::as_array).is_none_or(Vec::is_empty)
        && let Some(version) = spec.get("version").and_then(Value::as_str).filter(|v| !v.is_empty())
    {
        let versions = serde_json::json!([{"name": version, "served": true, "storage": true}]);
        spec.insert("versions".to_owned(), versions);
    }
    spec.remove("version");
    for (top, own) in SHARED {
        if let Some(value) = spec.remove(top).filter(|v| !v.is_null()) {
            for version in items(spec, "versions") {
                version.insert(own.to_owned(), value.clone());
            }
        }
    }
    if let Some(conversion) = child(spec, "conversion") {
        let client = conversion.remove("webhookClientConfig").filter(|v| !v.is_null());
        let reviews = conversion.remove("conversionReviewVersions").filter(|v| !v.is_null());
        if client.is_some() || reviews.is_some() {
            let mut webhook = Object::new();
            webhook.extend(client.map(|c| ("clientConfig".to_owned(), c)));
            webhook.insert("conversionReviewVersions".to_owned(), reviews.unwrap_or_default());
            conversion.insert("webhook".to_owned(), webhook.into());
        }
    }
    Ok(())
}

fn from_hub(o: &mut Object) -> Result<(), String> {
    let Some(spec) = child(o, "spec") else { return Ok(()) };
    items(spec, "versions").for_each(|v| columns(v, "jsonPath", "JSONPath"));
    let first = spec.get("versions").and_then(|v| v.get(0)).and_then(Value::as_object).cloned();
    if let Some(first) = first {
        let name = first.get("name").cloned().unwrap_or_default();
        spec.insert("version".to_owned(), name);
        for (top, own) in SHARED {
            let value = first.get(own).filter(|v| !v.is_null());
            let same = items(spec, "versions").all(|v| v.get(own).filter(|v| !v.is_null()) == value);
            if !same {
                continue;
            }
            for version in items(spec, "versions") {
                version.remove(own);
            }
            if let Some(value) = value {
                spec.insert(top.to_owned(), value.clone());
            }
        }
    }
    // The field is a plain boolean in v1 and a pointer here.
    spec.entry("preserveUnknownFields").or_insert(Value::Bool(false));
    if let Some(conversion) = child(spec, "conversion")
        && let Some(Value::Object(mut webhook)) = conversion.remove("webhook")
    {
        if let Some(client) = webhook.remove("clientConfig") {
            conversion.insert("webhookClientConfig".to_owned(), client);
        }
        if let Some(reviews) = webhook.remove("conversionReviewVersions") {
            conversion.insert("conversionReviewVersions".to_owned(), reviews);
        }
    }
    Ok(())
}
