//! The patch types: by content type, how they are read, how they change an object. Calls into `patch`.

use std::borrow::Cow;
use std::sync::Arc;

use api::field::{Error, Path};
use api::schema::{self, StructId, Type};
use api::status::{ApiError, GroupName};
use api::{Object, Value};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use patch::schema::Typed;

use crate::registry::codec::FieldValidation;

/// A kind of patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Merge by the schema's keys.
    Strategic,
    /// Server-side apply.
    Apply,
}

const NAMES: [(&str, PatchType); 4] = [
    ("application/json-patch+json", PatchType::Json),
    ("application/merge-patch+json", PatchType::Merge),
    ("application/strategic-merge-patch+json", PatchType::Strategic),
    ("application/apply-patch+yaml", PatchType::Apply),
];

impl PatchType {
    /// By content type, to the letter; custom resources have no strategic merge.
    pub fn parse(header: &str, custom: bool) -> Result<PatchType, ApiError> {
        let content_type = header.split(';').next().unwrap_or_default();
        let offered = NAMES.iter().filter(|(_, t)| !(custom && *t == PatchType::Strategic));
        let found = offered.clone().find(|(name, _)| *name == content_type);
        found.map(|(_, t)| *t).ok_or_else(|| {
            let names: Vec<&str> = offered.map(|(name, _)| *name).collect();
            ApiError::unsupported_media_type(&names)
        })
    }
}

/// What upstream's router asks of the header before the handler, which is stricter, sees it.
pub fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let bare = |part: &str| part.split(';').next().unwrap_or_default().trim_matches(' ').to_owned();
    if given.split(',').any(|part| NAMES.iter().any(|(name, _)| *name == bare(part))) {
        return Ok(());
    }
    Err(ApiError::new(415, "UnsupportedMediaType", "415: Unsupported Media Type"))
}

/// A patch that was read.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The patch.
    pub value: Value,
    /// Fields that occur twice in it.
    pub strict: Vec<String>,
    /// The text of a JSON patch: texts of errors show the order of its keys.
    pub text: Arc<[u8]>,
}

/// Reads a patch.
pub fn parse(patch_type: PatchType, bytes: &[u8], validation: FieldValidation) -> Result<Parsed, ApiError> {
    let strictly = validation != FieldValidation::Ignore;
    let framed = |e: String| {
        let bare = patch_type == PatchType::Strategic || !strictly;
        ApiError::bad_request(if bare { e } else { format!("error decoding patch: {e}") })
    };
    let typed = api::decode::untyped(bytes).map_err(|why| match patch_type {
        // The library that merges has its own word for what it cannot read.
        PatchType::Merge if !strictly => ApiError::bad_request("Invalid JSON Patch"),
        _ => framed(why),
    })?;
    let kind = api::decode::kind_of(&typed.value);
    match (patch_type, &typed.value) {
        (_, Value::Null) | (PatchType::Json, Value::Array(_)) => {}
        (PatchType::Json, _) => {
            let of = if strictly { "[]handlers.jsonPatchOp" } else { "jsonpatch.Patch" };
            return Err(framed(format!("json: cannot unmarshal {kind} into Go value of type {of}")));
        }
        (_, Value::Object(_)) => {}
        _ => {
            let why =
                format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}");
            return Err(framed(why));
        }
    }
    let mut strict = if strictly { typed.strict } else { Vec::new() };
    if patch_type == PatchType::Json {
        for (i, operation) in typed.value.as_array().into_iter().flatten().enumerate() {
            if strictly {
                strict.extend(operation_mistakes(i, operation).map_err(framed)?);
            } else if !operation.is_object() && !operation.is_null() {
                let kind = api::decode::kind_of(operation);
                let why = format!("json: cannot unmarshal {kind} into Go value of type jsonpatch.Operation");
                return Err(framed(why));
            }
        }
        strict = strict.into_iter().map(|s| format!("json patch {s}")).collect();
    }
    let text = if patch_type == PatchType::Json { bytes.into() } else { Arc::default() };
    let mut value = typed.value;
    if patch_type == PatchType::Strategic {
        // Only what is read again as a text tells whole floats from integers.
        api::json::fold_floats(&mut value);
    }
    Ok(Parsed { value, strict, text })
}

/// The unknown fields of a JSON patch's operation, or why it is none (`handlers.jsonPatchOp`).
fn operation_mistakes(index: usize, operation: &Value) -> Result<Vec<String>, String> {
    let refused = |found: &Value, into: &str| {
        format!("json: cannot unmarshal {} into Go {into}", api::decode::kind_of(found))
    };
    let fields = match operation {
        Value::Null => return Ok(Vec::new()),
        Value::Object(fields) => fields,
        other => return Err(refused(other, "value of type handlers.jsonPatchOp")),
    };
    let mut unknown = Vec::new();
    for (name, value) in fields {
        match name.as_str() {
            "op" | "path" | "from" if !value.is_string() && !value.is_null() => {
                return Err(refused(value, &format!("struct field jsonPatchOp.{name} of type string")));
            }
            "op" | "path" | "from" | "value" => {}
            name => {
                unknown.push(format!("unknown field {}", api::field::go_quote(&format!("[{index}].{name}"))))
            }
        }
    }
    Ok(unknown)
}

/// Changes an object of the type `ty`. A strategic patch is used up, as upstream's messages show.
pub fn apply(
    patch_type: PatchType,
    patch: &mut Value,
    object: Cow<'_, Value>,
    ty: Option<StructId>,
) -> Result<Value, ApiError> {
    match patch_type {
        PatchType::Json if patch.is_null() => Ok(object.into_owned()),
        PatchType::Json => patch::json::apply(&object, patch),
        PatchType::Strategic => {
            let ty = ty.map_or(Type::Any, Type::Struct);
            let lookup = Typed::new(schema::builtin(), &ty);
            let Value::Object(current) = object.into_owned() else { return Ok(Value::Null) };
            let mut empty = Object::new();
            let patch = patch.as_object_mut().unwrap_or(&mut empty);
            patch::strategic::apply(current, patch, &lookup).map(Value::Object)
        }
        PatchType::Merge | PatchType::Apply => {
            let mut object = object.into_owned();
            patch::merge::apply(&mut object, patch.clone());
            Ok(object)
        }
    }
}

/// 422 for a patched object that does not fit its type.
pub fn misfit(shown: &str, why: &str) -> ApiError {
    let error = Error::invalid_text(&Path::new("patch"), format!("{shown:?}"), why);
    ApiError::invalid(GroupName { group: "", name: "" }, "", &vec![error])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path that is no text was a 422; unknown fields were not told.
    #[test]
    fn operations_of_json_patches_are_typed() {
        let read = |text: &str, validation| {
            parse(PatchType::Json, text.as_bytes(), validation).map(|p| p.strict).map_err(|e| e.message)
        };
        let strict = FieldValidation::Strict;
        assert_eq!(
            read(r#"[{"op":"add","path":5}]"#, strict).unwrap_err(),
            "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.path of type string"
        );
        assert_eq!(
            read(r#"[{"op":"add","path":"/a","x":1}]"#, strict).unwrap(),
            ["json patch unknown field \"[0].x\""]
        );
        assert!(read(r#"[{"op":"add","path":5}]"#, FieldValidation::Ignore).is_ok());
    }
}
