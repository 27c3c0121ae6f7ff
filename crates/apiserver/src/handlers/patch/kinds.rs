//! The patch types: by content type, how they are read, how they change an object. Calls into `patch`.

use api::Value;
use api::status::ApiError;

use crate::handlers::Ctx;

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
    /// By content type; custom resources have no strategic merge.
    pub fn parse(content_type: &str, custom: bool) -> Result<PatchType, ApiError> {
        let offered = NAMES.iter().filter(|(_, t)| !(custom && *t == PatchType::Strategic));
        let found = offered.clone().find(|(name, _)| *name == content_type);
        found.map(|(_, t)| *t).ok_or_else(|| {
            let names: Vec<&str> = offered.map(|(name, _)| *name).collect();
            ApiError::unsupported_media_type(&names)
        })
    }
}

/// Reads a patch.
pub fn parse(_patch_type: PatchType, bytes: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(bytes).map_err(|e| ApiError::bad_request(e.to_string()))
}

/// Changes an object of the version that was asked.
pub fn apply(_ctx: &Ctx, patch_type: PatchType, patch: &Value, object: Value) -> Result<Value, ApiError> {
    match patch_type {
        PatchType::Json => patch::json::apply(&object, patch),
        _ => {
            let mut object = object;
            patch::merge::apply(&mut object, patch.clone());
            Ok(object)
        }
    }
}
