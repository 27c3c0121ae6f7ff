//! A custom resource on its way in, and what is wrong with it (`apiserver/customresource_handler.go`,
//! `registry/customresource`).

use api::Value;
use api::field::{Error, ErrorList, Path};
use api::printf::{go_print, go_type};

use crate::definition::{Definition, Scale, Version};
use crate::metadata::MetadataRule;
use crate::schema::Schema;
use crate::{list_types, metadata, prune, validate};

/// Brings a resource into the shape that its version has: fields that it does not know go, defaults come; a version that
/// there is not knows no field. Gives the paths of unknown fields.
///
/// # Errors
/// Metadata of the wrong shape.
pub fn coerce(
    definition: &Definition,
    version: Option<&Version>,
    object: &mut Value,
) -> Result<Vec<String>, String> {
    let mut unknown = metadata::coerce_root(object)?;
    let nothing = Schema::default();
    if let Some(schema) = version.map_or(Some(&nothing), |version| version.schema.as_ref()) {
        if !definition.preserve_unknown {
            unknown.extend(prune::prune(object, schema));
            prune::drop_nulls(object, schema);
        }
        let mut embedded = Vec::new();
        metadata::coerce_embedded(object, schema, &Path::ROOT, &mut embedded).map_err(|e| e.to_string())?;
        embedded.sort();
        unknown.extend(embedded);
        prune::default(object, schema);
    }
    Ok(unknown)
}

/// The same for what is read from the store: silent.
pub fn coerce_stored(definition: &Definition, version: &Version, object: &mut Value) {
    if let Some(schema) = &version.schema {
        if !definition.preserve_unknown {
            prune::prune(object, schema);
            prune::drop_nulls(object, schema);
        }
        prune::default(object, schema);
    }
}

/// Removes what a version does not know of an object that comes from another one; silent, and without defaults.
pub fn prune_stored(definition: &Definition, version: &Version, object: &mut Value) {
    if let Some(schema) = version.schema.as_ref().filter(|_| !definition.preserve_unknown) {
        prune::prune(object, schema);
    }
}

/// The value at a path, or why there can be none (`unstructured.NestedFieldNoCopy`).
fn at<'a>(object: &'a Value, path: &str) -> Result<Option<&'a Value>, String> {
    let mut value = object;
    let mut walked = String::new();
    for step in path.split('.') {
        walked = format!("{walked}.{step}");
        match value {
            Value::Null => return Ok(None),
            Value::Object(fields) => match fields.get(step) {
                Some(field) => value = field,
                None => return Ok(None),
            },
            other => return Err(accessor_error(&walked, other, "map[string]interface{}")),
        }
    }
    Ok(Some(value))
}

fn accessor_error(path: &str, value: &Value, expected: &str) -> String {
    let (text, kind) = (go_print(value), go_type(value));
    format!("{path} accessor error: {text} is of the type {kind}, expected {expected}")
}

fn replicas(object: &Value, path: &str, errors: &mut ErrorList) {
    let dotted = format!(".{path}");
    let place = Path::new(&dotted);
    let number = at(object, path).and_then(|found| {
        found.map(|v| v.as_i64().ok_or_else(|| accessor_error(&dotted, v, "int64"))).transpose()
    });
    let (shown, why) = match number {
        Ok(Some(n)) if n < 0 => (n, "should be a non-negative integer".to_owned()),
        Ok(Some(n)) if n > i64::from(i32::MAX) => {
            (n, format!("should be less than or equal to {}", i32::MAX))
        }
        Ok(_) => return,
        Err(why) => (0, why),
    };
    errors.push(Error::invalid(&place, &shown.into(), why));
}

fn scale_status(scale: &Scale, object: &Value, errors: &mut ErrorList) {
    replicas(object, &scale.status, errors);
    let Some(path) = &scale.selector else { return };
    let dotted = format!(".{path}");
    let why = match at(object, path) {
        Ok(Some(value)) if !value.is_string() => accessor_error(&dotted, value, "string"),
        Ok(_) => return,
        Err(why) => why,
    };
    errors.push(Error::invalid(&Path::new(&dotted), &Value::from(""), why));
}

/// What is wrong with the values of a new or changed resource of a version, its own metadata aside.
pub fn validate(version: &Version, object: &Value, old: Option<&Value>) -> ErrorList {
    let mut errors = ErrorList::new();
    if let Some(schema) = &version.schema {
        errors.extend(validate::validate(schema, object, old, None));
    }
    if let Some(scale) = &version.scale {
        replicas(object, &scale.replicas, &mut errors);
        scale_status(scale, object, &mut errors);
    }
    errors
}

/// What is wrong with resources and lists inside it, which is asked of a resource of a wrong kind too; `rule` is for
/// the metadata of resources inside it.
pub fn validate_inside(
    version: &Version,
    object: &Value,
    old: Option<&Value>,
    rule: MetadataRule,
) -> ErrorList {
    let mut errors = ErrorList::new();
    let Some(schema) = &version.schema else { return errors };
    for property in schema.properties.keys() {
        if let (Some(value), Some(below)) = (object.get(property), schema.properties.get(property)) {
            metadata::validate(value, below, &Path::new(property), rule, &mut errors);
        }
    }
    let had = old.is_some_and(|o| !list_types::validate(schema, o).is_empty());
    if !had {
        errors.extend(list_types::validate(schema, object));
    }
    errors
}

/// Upstream does not ask rules of an object that has mistakes which may confuse them, and says so.
pub fn note_unasked_rules(version: &Version, errors: &mut ErrorList) {
    let blocks = |e: &Error| {
        use api::field::ErrorType::{NotSupported, Required, TooLong, TooMany, TypeInvalid};
        matches!(e.kind, NotSupported | Required | TooLong | TooMany | TypeInvalid)
    };
    if version.schema.as_ref().is_some_and(|s| s.has_rules) && errors.iter().any(blocks) {
        let why = "some validation rules were not checked because the object was invalid; correct the existing \
                   errors to complete validation";
        errors.push(Error::invalid(&Path::new("<nil>"), &Value::Null, why));
    }
}

/// What is wrong with a changed status.
pub fn validate_status(version: &Version, object: &Value, old: &Value) -> ErrorList {
    let mut errors = ErrorList::new();
    let schema = version.schema.as_ref();
    if let (Some(status), Some(below)) =
        (object.get("status"), schema.and_then(|s| s.properties.get("status")))
    {
        errors.extend(validate::validate(below, status, old.get("status"), Some("status")));
    }
    if let Some(scale) = &version.scale {
        scale_status(scale, object, &mut errors);
    }
    if let Some(schema) = schema
        && list_types::validate(schema, old).is_empty()
    {
        errors.extend(list_types::validate(schema, object));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Rules were never mentioned.
    #[test]
    fn rules_are_not_asked_of_what_lacks_something() {
        let crd = |rules: Value| {
            json!({"spec": {"group": "g", "versions": [{"name": "v1", "served": true, "storage": true, "schema": {
                "openAPIV3Schema": {"type": "object", "properties": {"a": {"type": "string", "x-kubernetes-validations": rules}}}}}]},
                "status": {"acceptedNames": {"kind": "K", "plural": "ks"}}})
        };
        let told = |rules: Value, value: Value| {
            let definition = Definition::parse(&crd(rules)).unwrap();
            let version = &definition.versions[0];
            let mut errors = validate(version, &json!({"a": value}), None);
            note_unasked_rules(version, &mut errors);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let some = json!([{"rule": "true"}]);
        assert_eq!(told(some.clone(), json!(1)).len(), 2);
        assert!(
            told(some.clone(), json!(1))[1].starts_with("<nil>: Invalid value: null: some validation rules")
        );
        assert_eq!(told(json!([]), json!(1)).len(), 1);
        assert!(told(some, json!("x")).is_empty());
    }

    /// Defaults of a version that is not stored showed in what was read through it.
    #[test]
    fn another_version_prunes_and_does_not_default() {
        let schema =
            |field: &str| json!({"type": "object", "properties": {field: {"type": "integer", "default": 1}}});
        let crd = json!({"spec": {"group": "g", "versions": [
            {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema("a")}},
            {"name": "v2", "served": true, "storage": false, "schema": {"openAPIV3Schema": schema("b")}}]},
            "status": {"acceptedNames": {"kind": "K", "plural": "ks"}}});
        let definition = Definition::parse(&crd).unwrap();
        let mut object = json!({"apiVersion": "g/v2", "kind": "K", "a": 1});
        prune_stored(&definition, &definition.versions[1], &mut object);
        assert_eq!(object, json!({"apiVersion": "g/v2", "kind": "K"}));
        // A version that there is not knows nothing.
        let mut object = json!({"apiVersion": "g/v9", "kind": "K", "a": 1});
        assert_eq!(coerce(&definition, None, &mut object).unwrap(), ["a"]);
    }
}
