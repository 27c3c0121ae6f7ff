//! What differs for the resources of a definition: they are read, converted and validated by its schemas.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;

use api::Value;
use api::field::{Error, ErrorList, Path};
use api::schema::Schemas;
use api::status::ApiError;
use apiextensions::definition::Scale;
use apiextensions::{Definition, Version, resource as rules};
use printers::Printer;

use crate::handlers::Ctx;
use crate::negotiate::Media;
use crate::registry::codec::FieldValidation;
use crate::registry::resource::Resource;
use crate::registry::{kinds, obj};

/// A definition as seen through one of its versions.
#[derive(Debug)]
pub struct Custom {
    /// The definition.
    pub definition: Arc<Definition>,
    /// The version's place in it.
    version: usize,
    /// The version that objects are stored in.
    stored: usize,
    /// The version's columns.
    pub printer: Arc<Printer>,
}

/// What makes the cells of a resource's tables.
#[derive(Clone)]
pub enum Columns {
    /// A kind of the binary.
    BuiltIn(&'static Printer),
    /// A custom one.
    Custom(Arc<Printer>),
}

impl Deref for Columns {
    type Target = Printer;

    fn deref(&self) -> &Printer {
        match self {
            Columns::BuiltIn(printer) => printer,
            Columns::Custom(printer) => printer,
        }
    }
}

/// The fields that selectors may name, of all versions.
pub fn selectable(definition: &Definition) -> Vec<String> {
    let all: BTreeSet<&String> = definition.versions.iter().flat_map(|v| &v.selectable).collect();
    all.into_iter().cloned().collect()
}

/// The text of a selectable field.
pub fn field_text(object: &Value, path: &str) -> String {
    match obj::at(object, path) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

impl Custom {
    /// The resources of a definition, the stored version first; versions that are not served are among them.
    pub fn resources(definition: &Arc<Definition>) -> Vec<Resource> {
        let row = &definition.row;
        let place = |name: &str| definition.versions.iter().position(|v| v.name == name).unwrap_or(0);
        let stored = place(&row.version);
        (0..row.served.len())
            .map(|index| {
                let mut resource =
                    kinds::resource(&api::kinds::Resource { kind: Arc::clone(row), index }, true);
                let version = place(&resource.version);
                resource.warning = definition.versions.get(version).and_then(|v| v.warning.clone());
                let columns =
                    definition.versions.get(version).map(|v| v.columns.as_slice()).unwrap_or_default();
                // A column that cannot be read leaves the table with its default columns.
                let printer = Printer::custom(columns).or_else(|_| Printer::custom(&[]));
                let printer = printer.unwrap_or_else(|_| Printer::of("", "").clone());
                let definition = Arc::clone(definition);
                resource.definition =
                    Some(Arc::new(Custom { definition, version, stored, printer: Arc::new(printer) }));
                resource
            })
            .collect()
    }

    /// The version that is asked.
    pub fn version(&self) -> &Version {
        &self.definition.versions[self.version]
    }

    fn stored(&self) -> &Version {
        &self.definition.versions[self.stored]
    }

    /// The types of all versions.
    pub fn schemas(&self) -> &Schemas {
        &self.definition.schemas
    }

    /// The scale subresource.
    pub fn scale(&self) -> Option<&Scale> {
        self.version().scale.as_ref()
    }

    /// The scale subresource of a version.
    pub fn scale_of(&self, version: &str) -> Option<&Scale> {
        self.definition.versions.iter().find(|v| v.name == version)?.scale.as_ref()
    }

    /// What a stored object lacks since its definition changed.
    pub fn complete(&self, object: &mut Value) {
        rules::coerce_stored(&self.definition, self.stored(), object);
    }

    /// From the version that was asked to the stored one, as long as the object is worked on: its fields are those of the
    /// version that was asked until it is stored.
    pub fn to_hub(&self, mut object: Value) -> Value {
        self.rename(&mut object, self.stored());
        object
    }

    /// The other way.
    pub fn to_asked(&self, mut object: Value) -> Value {
        self.rename(&mut object, self.version());
        object
    }

    fn rename(&self, object: &mut Value, version: &Version) {
        if self.version != self.stored {
            object["apiVersion"] = format!("{}/{}", self.definition.group, version.name).into();
        }
    }

    /// What the store makes of an object that was worked on: fields of the stored version only, and numbers as they are
    /// read again.
    pub fn settle(&self, object: &mut Value) {
        rules::prune_stored(&self.definition, self.stored(), object);
        api::json::fold_floats(object);
    }

    /// A stored object with the fields of the version that is asked, to be compared with one that is worked on.
    pub fn worked_on(&self, object: &Value) -> Value {
        self.to_hub(self.from_hub(object.clone()))
    }

    /// From the stored version to the one that was asked. Defaults are those of the stored version.
    pub fn from_hub(&self, mut object: Value) -> Value {
        self.complete(&mut object);
        if self.version != self.stored {
            self.rename(&mut object, self.version());
            rules::prune_stored(&self.definition, self.version(), &mut object);
        }
        object
    }
}

/// Decodes a body as a resource of the version that is asked.
pub fn decode(
    ctx: &Ctx,
    custom: &Custom,
    bytes: &[u8],
    media: Media,
    validation: FieldValidation,
) -> Result<Value, ApiError> {
    let text = media.codec().read(bytes, &ctx.resource.kind)?;
    let typed = api::decode::untyped(&text.json).map_err(ApiError::bad_request)?;
    let mut object = typed.value;
    let resource = &ctx.resource;
    let Some(fields) = object.as_object() else {
        return Err(ApiError::bad_request("the body is no object"));
    };
    if fields.get("kind").and_then(Value::as_str).is_none_or(str::is_empty) {
        // Built-in kinds are known by their paths; what is read without a type must say what it is.
        let why = format!("Object 'Kind' is missing in '{}'", String::from_utf8_lossy(&text.json));
        return Err(match validation {
            // The lax reader knows the expected kind by then.
            FieldValidation::Ignore => refusal(resource, &why),
            _ => api::decode::unrecognized(&resource.kind, &why, bytes),
        });
    }
    if object.get("metadata").is_none_or(Value::is_null) {
        obj::metadata_mut(&mut object);
    }
    let api_version = obj::text_at(&object, "apiVersion").to_owned();
    let (_, version) = api::kinds::split_api_version(&api_version);
    let kind = obj::text_at(&object, "kind").to_owned();
    let refused = |why: &str| refused_as(resource, &kind, version, why);
    let strict = coerce(custom, &mut object, typed.strict).map_err(|why| refused(&why.message))?;
    if validation == FieldValidation::Strict && !strict.is_empty() {
        return Err(refused(&format!("strict decoding error: {}", strict.join(", "))));
    }
    if validation == FieldValidation::Warn {
        strict.into_iter().for_each(|text| ctx.warn(text));
    }
    if api_version != resource.group_version() {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({})",
            resource.group_version()
        )));
    }
    Ok(object)
}

fn refusal(resource: &Resource, why: &str) -> ApiError {
    refused_as(resource, &resource.kind, &resource.version, why)
}

/// A refusal of a body that says to be of this kind and version.
fn refused_as(resource: &Resource, kind: &str, version: &str, why: &str) -> ApiError {
    let (version, wanted) = (api::field::go_quote(version), &resource.kind);
    ApiError::bad_request(format!("{kind} in version {version} cannot be handled as a {wanted}: {why}"))
}

/// Brings an object into the shape of the version that it says to have; gives what strict clients want to know.
pub fn coerce(custom: &Custom, object: &mut Value, mut strict: Vec<String>) -> Result<Vec<String>, ApiError> {
    let definition = &custom.definition;
    let (group, version) = api::kinds::split_api_version(obj::text_at(object, "apiVersion"));
    let is_own = group == definition.group && obj::text_at(object, "kind") == definition.kind;
    let unknown = if is_own {
        let version = definition.version(version);
        rules::coerce(definition, version, object)
    } else {
        // What says to be something else is read as that, of which nothing is known.
        apiextensions::metadata::coerce_root(object)
    };
    let unknown = unknown.map_err(ApiError::bad_request)?;
    strict.extend(unknown.iter().map(|path| format!("unknown field {}", api::field::go_quote(path))));
    Ok(strict)
}

fn wrong_kind(resource: &Resource, object: &Value) -> ErrorList {
    let kind = obj::text_at(object, "kind");
    if kind == resource.kind {
        return ErrorList::new();
    }
    vec![Error::invalid(&Path::new("kind"), &kind.into(), format!("must be {}", resource.kind))]
}

/// What is wrong with a new resource.
pub fn validate_create(resource: &Resource, custom: &Custom, object: &Value) -> ErrorList {
    let mut errors = wrong_kind(resource, object);
    let version = custom.version();
    if errors.is_empty() {
        errors = validation::validate_object_meta(object, resource.namespaced);
        errors.extend(rules::validate(version, object, None));
    }
    errors.extend(rules::validate_inside(version, object, None, validation::validate_embedded_meta));
    rules::note_unasked_rules(version, &mut errors);
    errors
}

/// What is wrong with a changed resource, or its status.
pub fn validate_update(
    resource: &Resource,
    custom: &Custom,
    subresource: &str,
    object: &Value,
    old: &Value,
) -> ErrorList {
    let mut errors = validation::validate_object_meta_update(object, old, resource.namespaced);
    let (version, status) = (custom.version(), subresource == "status");
    let mut again = wrong_kind(resource, object);
    if again.is_empty() {
        // Custom resources are asked again what all kinds were asked before.
        again = validation::validate_object_meta_change(object, old);
        again.extend(if status {
            rules::validate_status(version, object, old)
        } else {
            rules::validate(version, object, Some(old))
        });
    }
    if !status {
        again.extend(rules::validate_inside(version, object, Some(old), validation::validate_embedded_meta));
    }
    rules::note_unasked_rules(version, &mut again);
    errors.extend(again);
    errors
}
