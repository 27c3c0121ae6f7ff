//! Request bodies to objects, with upstream's refusals (`runtime/serializer/json`, `endpoints/handlers`).
//!
//! ```text
//! bytes ── decode ──► Decoded { object: pruned, as Go would write it; strict: unknown and duplicate fields }
//! ```

/// Errors in the words of earlier servers.
pub mod jsoniter;
mod meta;
mod scalar;
mod typed;
/// Go's zero values.
pub mod zero;

pub use meta::{TypeMeta, UNVERSIONED, interpret, unrecognized};
pub use scalar::{duration, format_duration, parse_duration};

use crate::Value;
use crate::json;
use crate::kinds::{self, Era, Resource, Subresource};
use crate::schema::{self, Schemas, StructId, Type};
use crate::status::ApiError;
use typed::{At, Decoder, Fatal};

/// What happens to unknown and duplicate fields (`fieldValidation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValidation {
    /// They go away silently.
    Ignore,
    /// They go away and the client is told.
    Warn,
    /// The request is refused.
    Strict,
}

/// An object from a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The object, with the expected `apiVersion` and `kind`.
    pub object: Value,
    /// `unknown field "spec.x"`, `duplicate field "a"` in the order in which they came: texts of warnings.
    pub warnings: Vec<String>,
    /// Whether the object has empty lists or maps that upstream's store does not tell from missing ones:
    /// [`zero::normalise`] takes them away.
    pub empties: bool,
}

/// The type that a request must send.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The group of the expected kind.
    pub group: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The kind.
    pub kind: &'a str,
    /// Its type.
    pub ty: StructId,
    /// Where `ty` lives.
    pub schemas: &'a Schemas,
}

impl<'a> Target<'a> {
    /// The objects of a resource. `None` when it has no type (custom resources without a schema).
    pub fn of(resource: &'a Resource) -> Option<Target<'a>> {
        let served: &kinds::Served = resource;
        Some(Target {
            group: &served.group,
            version: &served.version,
            kind: &served.kind,
            ty: served.ty?,
            schemas: schema::builtin(),
        })
    }

    /// What a subresource takes.
    pub fn of_subresource(resource: &'a Resource, subresource: &'a Subresource) -> Option<Target<'a>> {
        let (group, version) = match &subresource.group_version {
            Some((group, version)) => (group.as_ref(), version.as_ref()),
            None => (resource.group.as_ref(), resource.version.as_ref()),
        };
        Some(Target {
            group,
            version,
            kind: &subresource.kind,
            ty: subresource.ty?,
            schemas: schema::builtin(),
        })
    }

    /// Whose version it is; what subresources take goes by their group version.
    pub fn era(&self) -> Era {
        let kinds = kinds::builtin();
        match kinds.by_kind(self.group, self.version, self.kind) {
            Some(resource) => resource.era(),
            None => {
                kinds.in_version(self.group, self.version).iter().map(|r| r.era()).min().unwrap_or(Era::Now)
            }
        }
    }

    /// The words of the target's servers for a text that does not fit it, where they are not today's.
    pub fn told(&self, text: &[u8], today: String) -> String {
        let era = self.era();
        let told = if era < Era::Now { jsoniter::error(self.schemas, self.ty, text, era) } else { None };
        told.unwrap_or(today)
    }

    /// A kind by its definition name, such as `io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions`.
    pub fn of_definition(name: &str) -> Option<Target<'static>> {
        let schemas = schema::builtin();
        let ty = schemas.by_name(name)?;
        let gvk = schemas.get(ty).kinds.first()?;
        Some(Target { group: &gvk.group, version: &gvk.version, kind: &gvk.kind, ty, schemas })
    }
}

/// Decodes the JSON body of a request for `target`.
pub fn decode(target: &Target<'_>, body: &[u8], validation: FieldValidation) -> Result<Decoded, ApiError> {
    decode_converted(target, body, body, Vec::new(), validation)
}

/// Decodes a body that was converted to JSON: `original` is what refusals quote, `found` are strict errors of the
/// conversion (`line 7: key "a" already set in map`), which come before those of the decoder.
pub fn decode_converted(
    target: &Target<'_>,
    body: &[u8],
    original: &[u8],
    found: Vec<String>,
    validation: FieldValidation,
) -> Result<Decoded, ApiError> {
    let strict = validation != FieldValidation::Ignore;
    let first = typed(target.schemas, &Type::Struct(target.ty), body, strict);
    // The usual case: the body says what the path says. Anything else is looked at in upstream's order.
    let exact = first.as_ref().is_ok_and(|t| {
        crate::meta::kind(&t.value) == target.kind
            && kinds::split_api_version(crate::meta::api_version(&t.value)) == (target.group, target.version)
    });
    let mut decoded = if exact {
        first.map_err(ApiError::bad_request)?
    } else {
        meta::recheck(target, body, original, first)?
    };
    if strict {
        decoded.strict.splice(0..0, found);
    }
    if validation == FieldValidation::Strict && !decoded.strict.is_empty() {
        let text = format!("strict decoding error: {}", decoded.strict.join(", "));
        return Err(cannot_be_handled(target.kind, target.version, target.kind, &text));
    }
    if let Value::Object(fields) = &mut decoded.value {
        fields.insert("kind".to_owned(), target.kind.into());
        fields.insert("apiVersion".to_owned(), kinds::group_version(target.group, target.version).into());
    }
    Ok(Decoded { object: decoded.value, warnings: decoded.strict, empties: decoded.empties })
}

pub(crate) fn cannot_be_handled(kind: &str, version: &str, expected: &str, why: &str) -> ApiError {
    let version = crate::field::go_quote(version);
    ApiError::bad_request(format!("{kind} in version {version} cannot be handled as a {expected}: {why}"))
}

/// A value that was read against a type.
#[derive(Clone, Debug, PartialEq)]
pub struct Typed {
    /// The value as Go would write it.
    pub value: Value,
    /// Unknown and duplicate fields.
    pub strict: Vec<String>,
    /// Whether empty lists or maps were kept; see [`Decoded::empties`].
    pub empties: bool,
}

/// Reads JSON against a type; the error is Go's, without a frame around it.
pub fn typed(schemas: &Schemas, ty: &Type, text: &[u8], strict: bool) -> Result<Typed, String> {
    let mut decoder = Decoder::new(text, schemas, strict);
    let value = decoder.value(ty, &At::Root).and_then(|value| {
        decoder.reader.end()?;
        Ok(value)
    });
    match value {
        Err(Fatal::Malformed) => Err(malformed(text)),
        Err(Fatal::Value(error)) => {
            // Go checks the whole text before it decodes.
            json::check(text)?;
            Err(error)
        }
        Ok(value) => match decoder.saved {
            Some(error) => Err(error),
            None => Ok(Typed {
                value: value.unwrap_or_else(|| zero::value(schemas, ty)),
                strict: decoder.strict.unwrap_or_default(),
                empties: decoder.empties,
            }),
        },
    }
}

/// Reads JSON of any shape; `strict` lists duplicate fields.
pub fn untyped(text: &[u8]) -> Result<Typed, String> {
    let mut reader = json::Reader::new(text);
    let read = reader.value_with_duplicates().and_then(|read| reader.end().map(|()| read));
    let (value, duplicates) = read.map_err(|_| malformed(text))?;
    let report = |path: String| format!("duplicate field {}", crate::field::go_quote(&path));
    Ok(Typed { value, strict: duplicates.into_iter().map(report).collect(), empties: false })
}

/// Go's name for a kind of JSON value.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn malformed(text: &[u8]) -> String {
    json::check(text).err().unwrap_or_else(|| "exceeded max depth".to_owned())
}

#[cfg(test)]
mod tests;
