//! From bytes to a defaulted object of the hub version, and back to the version that was asked: calls into `api`.

use std::sync::atomic::Ordering;

use api::Value;
use api::decode;
pub use api::decode::FieldValidation;
use api::kinds::Era;
use api::schema::{self, StructId, Type};
use api::status::ApiError;

use super::obj;
use super::resource::{Resource, group_version};
use crate::handlers::Ctx;
use crate::handlers::options::WriteOptions;
use crate::negotiate::Media;

/// The kind that a body is expected to have.
#[derive(Clone, Copy, Debug)]
pub struct Kind<'a> {
    /// Its group.
    pub group: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its name.
    pub kind: &'a str,
}

impl Kind<'_> {
    /// `apps/v1`.
    pub fn group_version(&self) -> String {
        group_version(self.group, self.version)
    }
}

/// A decoded body.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The object, of the version in `kind`.
    pub object: Value,
    /// What was wrong but is let through.
    pub warnings: Vec<String>,
    /// Whether it has empty lists or maps: see [`settle`].
    pub empties: bool,
}

impl Decoded {
    /// The object; the request's context learns the rest.
    pub fn tell(self, ctx: &Ctx) -> Value {
        for warning in self.warnings {
            ctx.warn_of_object(warning);
        }
        if self.empties {
            ctx.empties.store(true, Ordering::Relaxed);
        }
        self.object
    }
}

/// Decodes a body as an object of a kind; fields that the schema does not know are dropped.
pub fn decode(
    bytes: &[u8],
    media: Media,
    kind: Kind<'_>,
    ty: Option<StructId>,
    validation: FieldValidation,
) -> Result<Decoded, ApiError> {
    let text = media.codec().read(bytes, kind.kind)?;
    let Some(ty) = ty else {
        return untyped(&text.json, kind);
    };
    let target = decode::Target {
        group: kind.group,
        version: kind.version,
        kind: kind.kind,
        ty,
        schemas: schema::builtin(),
    };
    let (json, mut strict) = (&text.json, text.strict);
    if !strict.is_empty() && validation == FieldValidation::Strict {
        // The library's errors are one to those who refuse.
        strict = vec![yaml_errors(&strict)];
    }
    let decoded = decode::decode_converted(&target, json, bytes, strict, validation)?;
    Ok(Decoded { object: decoded.object, warnings: decoded.warnings, empties: decoded.empties })
}

/// What a strict reader of YAML says of the lines that it does not like.
pub fn yaml_errors(lines: &[String]) -> String {
    format!("yaml: unmarshal errors:\n  {}", lines.join("\n  "))
}

/// A body of a kind without a type.
fn untyped(json: &[u8], kind: Kind<'_>) -> Result<Decoded, ApiError> {
    let typed = decode::untyped(json).map_err(ApiError::bad_request)?;
    let mut object = typed.value;
    if let Value::Object(map) = &mut object {
        map.entry("apiVersion").or_insert_with(|| kind.group_version().into());
        map.entry("kind").or_insert_with(|| kind.kind.into());
    }
    obj::metadata_mut(&mut object);
    Ok(Decoded { object, warnings: typed.strict, empties: false })
}

/// Defaults and validation tell an empty list from a missing one, upstream's store does not: what a request sent empty
/// goes away here, between the two.
pub fn settle(ctx: &Ctx, object: &mut Value) {
    if let Some(custom) = &ctx.resource.definition {
        custom.settle(object);
        return;
    }
    if crate::crd::is_definitions(&ctx.resource) {
        api::json::fold_floats(object);
    }
    if !ctx.empties.load(Ordering::Relaxed) {
        return;
    }
    if let Some(ty) = ctx.resource.api.hub().ty.filter(|_| !ctx.resource.custom) {
        decode::zero::normalise(schema::builtin(), &Type::Struct(ty), object);
    }
}

/// Fills in the defaults of the version that the object has.
pub fn default(resource: &Resource, object: &mut Value) {
    if !resource.custom {
        api::defaults::apply(&resource.api, object);
    }
}

/// From the version that was asked to the stored one.
pub fn to_hub(resource: &Resource, object: Value) -> Result<Value, ApiError> {
    match &resource.definition {
        Some(custom) => Ok(custom.to_hub(object)),
        None => api::convert::to_hub(&resource.api, object),
    }
}

/// From the stored version to the one that was asked.
pub fn from_hub(resource: &Resource, object: Value) -> Result<Value, ApiError> {
    Ok(match &resource.definition {
        Some(custom) => custom.from_hub(object),
        None => api::convert::from_hub(&resource.api, object),
    })
}

/// An object of the asked version with nothing in it, as Go writes it.
pub fn zero(resource: &Resource) -> Value {
    let ty = resource.api.ty.filter(|_| !resource.custom);
    let mut object = ty.map_or_else(
        || Value::Object(api::Object::new()),
        |ty| decode::zero::value(schema::builtin(), &Type::Struct(ty)),
    );
    object["kind"] = resource.kind.as_str().into();
    object["apiVersion"] = resource.group_version().into();
    object["metadata"] = Value::Object(api::Object::new());
    if resource.era() != Era::Now {
        object["metadata"]["creationTimestamp"] = Value::Null;
    }
    // What upstream's internal types have as plain numbers is always written.
    if resource.is("apps", "daemonsets") {
        object["metadata"]["annotations"]["deprecated.daemonset.template.generation"] = "0".into();
    } else if resource.hub_group == "apps" && object["spec"].get("template").is_some() {
        object["spec"]["replicas"] = 0.into();
    }
    object
}

/// Options that upstream's scheme knows in every group and version, beside those that are deleted with.
const EVERYWHERE: [&str; 2] = ["CreateOptions", "UpdateOptions"];

/// Those that it knows in `meta.k8s.io`.
const OF_META: [&str; 7] = [
    "ListOptions",
    "GetOptions",
    "PatchOptions",
    "WatchEvent",
    "Table",
    "PartialObjectMetadata",
    "PartialObjectMetadataList",
];

/// Decodes the options in a body (`DeleteOptions` of `meta/v1`). Servers of old versions knew them in groups alone that
/// they served.
pub fn decode_options(bytes: &[u8], media: Media, kind: Kind<'_>, era: Era) -> Result<Value, ApiError> {
    let name = format!("io.k8s.apimachinery.pkg.apis.meta.v1.{}", kind.kind);
    let ty = schema::builtin().by_name(&name);
    let own = |said: &decode::TypeMeta| -> Result<Value, ApiError> {
        let own = Kind { group: &said.group, version: &said.version, kind: kind.kind };
        decode(bytes, media, own, ty, FieldValidation::Ignore).map(|d| d.object)
    };
    let said = media.codec().read(bytes, kind.kind).ok().and_then(|text| decode::interpret(&text.json).ok());
    let said = said.map(|mut s| {
        if era == Era::Now && s.group.is_empty() && s.version.is_empty() {
            (s.group, s.version) = ("meta.k8s.io".into(), "v1".into());
        }
        s
    });
    if let Some(said) = said.filter(|s| !s.version.is_empty()) {
        let options = said.kind == kind.kind || (said.kind.is_empty() && era == Era::Now);
        let known = (said.group == "meta.k8s.io" && said.version == "v1")
            || !api::kinds::builtin().in_version(&said.group, &said.version).is_empty();
        if options && (era == Era::Now || (said.group != kind.group && known)) {
            return own(&said);
        }
        if era == Era::Now {
            return Err(no_options(&said, kind));
        }
    }
    decode(bytes, media, kind, ty, FieldValidation::Ignore).map(|d| d.object)
}

/// What upstream says of a body that holds something else.
fn no_options(said: &decode::TypeMeta, kind: Kind<'_>) -> ApiError {
    let named = said.kind.as_str();
    let of_meta = said.group == "meta.k8s.io" && OF_META.contains(&named);
    let beta = said.version == "v1beta1" && !matches!(named, "Table" | "PartialObjectMetadata");
    ApiError::bad_request(
        if EVERYWHERE.contains(&named) || decode::UNVERSIONED.contains(&named) || (of_meta && !beta) {
            format!("converting (v1.{named}) to (v1.{}): unknown conversion", kind.kind)
        } else {
            format!(
                "no kind {:?} is registered for version {:?} in scheme \
             \"k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27\"",
                said.kind,
                group_version(&said.group, &said.version)
            )
        },
    )
}

/// Decodes a patched object again, so that it has only what the schema knows.
pub fn recheck(
    ctx: &Ctx,
    resource: &Resource,
    object: Value,
    options: &WriteOptions,
) -> Result<Value, ApiError> {
    if let Some(custom) = &resource.definition {
        let mut object = object;
        let strict = crate::crd::custom::coerce(custom, &mut object, Vec::new())?;
        if options.field_validation == FieldValidation::Warn {
            strict.into_iter().for_each(|text| ctx.warn(text));
        }
        return Ok(object);
    }
    let Some(ty) = resource.api.ty else { return Ok(object) };
    let bytes = api::json::to_vec(&object);
    let kind = Kind { group: &resource.group, version: &resource.version, kind: &resource.kind };
    let decoded = decode(&bytes, Media::Json, kind, Some(ty), options.field_validation)?;
    Ok(decoded.tell(ctx))
}
