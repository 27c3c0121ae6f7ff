//! What is wrong with a definition beyond its own shape: defaults that its schema refuses, formats that nobody knows
//! (`apiserver/schema/defaulting/validation.go`). The shape itself is in the crate `validation`.

use std::collections::HashSet;

use api::Value;
use api::field::{Error, ErrorList, Path};

use crate::formats;
use crate::metadata::{self, MetadataRule};
use crate::prune;
use crate::schema::Schema;
use crate::validate::validate;

/// The schemas of a definition, each with the path that upstream's messages give it: what all versions share stands at
/// the top in its internal type.
fn schemas(crd: &Value) -> Vec<(String, &Value)> {
    let versions = crd.get("spec").and_then(|s| s.get("versions")).and_then(Value::as_array);
    let versions = versions.map(Vec::as_slice).unwrap_or_default();
    let of = |v: &'_ Value| v.get("schema").and_then(|s| s.get("openAPIV3Schema")).cloned();
    let shared = versions.first().is_some_and(|first| versions.iter().all(|v| of(v) == of(first)));
    let count = if shared { 1 } else { versions.len() };
    let path = |at: usize| {
        if shared {
            "spec.validation.openAPIV3Schema".to_owned()
        } else {
            format!("spec.versions[{at}].schema.openAPIV3Schema")
        }
    };
    let found = versions.iter().take(count).enumerate();
    found
        .filter_map(|(at, v)| Some((path(at), v.get("schema")?.get("openAPIV3Schema")?)))
        .filter(|(_, schema)| schema.is_object())
        .collect()
}

/// Defaults that are no values of their own schema; `rule` is for the metadata of resources inside them.
pub fn defaults(crd: &Value, rule: MetadataRule) -> ErrorList {
    let mut errors = ErrorList::new();
    for (path, schema) in schemas(crd) {
        walk_defaults(schema, &Path::new(&path), true, rule, &mut errors);
    }
    errors
}

fn walk_defaults(raw: &Value, path: &Path<'_>, root: bool, rule: MetadataRule, errors: &mut ErrorList) {
    if let Some(default) = raw.get("default").filter(|d| !d.is_null()) {
        let mut schema = Schema::parse_for_defaults(raw);
        // The root is a resource, whatever it says.
        schema.embedded |= root;
        let place = path.child("default");
        let mut pruned = default.clone();
        prune::prune_part(&mut pruned, &schema);
        if pruned != *default {
            errors.push(Error::invalid(&place, default, "must not have unknown fields"));
        }
        let before = errors.len();
        metadata::validate(default, &schema, &place, rule, errors);
        if errors.len() == before {
            errors.extend(validate(&schema, default, None, Some(&place.to_string())));
        }
    }
    // Defaults inside additionalProperties are refused elsewhere.
    if let Some(items) = raw.get("items").filter(|i| i.is_object()) {
        walk_defaults(items, &path.child("items"), false, rule, errors);
    }
    let properties = path.child("properties");
    for (name, property) in raw.get("properties").and_then(Value::as_object).into_iter().flatten() {
        walk_defaults(property, &properties.key(name), false, rule, errors);
    }
}

/// Warnings about formats that are not checked; of a changed definition only about those that it did not name before.
pub fn warnings(crd: &Value, old: Option<&Value>) -> Vec<String> {
    let mut known: HashSet<String> = old.map(unknown_formats).unwrap_or_default().into_iter().collect();
    let mut found = unknown_formats(crd);
    found.retain(|f| known.insert(f.clone()));
    found.into_iter().map(|f| format!("unrecognized format {}", api::field::go_quote(&f))).collect()
}

fn unknown_formats(crd: &Value) -> Vec<String> {
    let mut found = Vec::new();
    schemas(crd).iter().for_each(|(_, schema)| walk_formats(schema, &mut found));
    found
}

fn walk_formats(raw: &Value, found: &mut Vec<String>) {
    let text = |name: &str| raw.get(name).and_then(Value::as_str).unwrap_or_default();
    if formats::unrecognized(text("type"), text("format")) {
        found.push(text("format").to_owned());
    }
    raw.get("items").into_iter().for_each(|v| walk_formats(v, found));
    for name in ["allOf", "anyOf", "oneOf"] {
        let list = raw.get(name).and_then(Value::as_array).into_iter().flatten();
        list.for_each(|v| walk_formats(v, found));
    }
    raw.get("not").into_iter().for_each(|v| walk_formats(v, found));
    let properties = raw.get("properties").and_then(Value::as_object).into_iter().flatten();
    properties.for_each(|(_, v)| walk_formats(v, found));
    raw.get("additionalProperties").into_iter().for_each(|v| walk_formats(v, found));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_are_values_of_their_schema() {
        let crd = json!({"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": {
            "a": {"type": "string", "default": 5}, "i": {"x-kubernetes-int-or-string": true, "default": [null]}, "b": {"type": "string", "format": "bogus"}}}}}]}});
        let errors: Vec<String> =
            defaults(&crd, |_| ErrorList::new()).iter().map(ToString::to_string).collect();
        assert_eq!(
            errors,
            [
                r#"spec.validation.openAPIV3Schema.properties[a].default: Invalid value: "integer":  in body must be of type string: "integer""#
            ]
        );
        assert_eq!(warnings(&crd, Some(&crd)), [""; 0]);
        assert_eq!(warnings(&crd, None), ["unrecognized format \"bogus\""]);
    }
}
