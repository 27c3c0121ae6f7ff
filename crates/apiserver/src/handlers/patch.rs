//! PATCH: JSON patch, merge patch, strategic merge patch, apply (`endpoints/handlers/patch.go`).

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use api::Value;
use api::field::go_quote;
use api::kinds::Era;
use api::status::ApiError;
use bytes::Bytes;

use super::create::check_namespace;
use super::options::WriteOptions;
use super::update::{CONFLICT_TRIES, MODIFIED, check_name, check_version, store_changed};
use super::{Ctx, read_body, write};
use crate::http::{Incoming, Response};
use crate::registry::resource::group_version;
use crate::registry::storage::Stored;
use crate::registry::{codec, obj};

pub mod kinds;
mod ordered;
pub(super) mod restore;
mod shown;
mod unchanged;

use kinds::PatchType;

/// Patches an object.
pub async fn patch(ctx: &Ctx, body: Incoming) -> Result<Response, ApiError> {
    let (patch_type, bytes, options) = read(ctx, body, ctx.resource.custom).await?;
    let accept = ctx.accept()?;
    if patch_type == PatchType::Apply {
        return super::managed::apply(ctx, &accept, "", &bytes, &options).await;
    }
    let saved = patched(ctx, patch_type, &bytes, "", &options).await?;
    ctx.saved(200, &accept, saved)
}

/// The type, the body and the options of a patch.
pub async fn read(
    ctx: &Ctx,
    body: Incoming,
    custom: bool,
) -> Result<(PatchType, Bytes, WriteOptions), ApiError> {
    let header = ctx.parts.headers.get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let patch_type = PatchType::parse(header.unwrap_or_default(), custom)?;
    let bytes = read_body(body).await?;
    let options = WriteOptions::parse(&ctx.query, "PatchOptions", patch_type == PatchType::Apply)?;
    Ok((patch_type, bytes, options))
}

/// Applies a patch to what is there, again while others write meanwhile. Gives the stored object of the hub version.
pub async fn patched(
    ctx: &Ctx,
    patch_type: PatchType,
    bytes: &Bytes,
    subresource: &str,
    options: &WriteOptions,
) -> Result<write::Saved, ApiError> {
    super::check_segment(&ctx.info.name)?;
    let (storage, resource) = (ctx.server.storage(), &ctx.resource);
    let mut current = ctx.server.recent(resource, ctx.named(), options.dry_run).await?;
    if current.is_none() {
        // What is not there is not patched: nobody looks at the patch.
        return Err(ApiError::not_found(resource.group_resource(), &ctx.info.name));
    }
    let patch = kinds::parse(patch_type, bytes, options.field_validation)?;
    for _ in 0..CONFLICT_TRIES {
        let Some(old) = current else {
            return Err(ApiError::not_found(resource.group_resource(), &ctx.info.name));
        };
        let result = match patched_once(ctx, patch_type, &patch, &old, options) {
            Ok(object) => store_changed(ctx, &old, object, subresource, options).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(Ok(saved)) => return Ok(saved),
            Ok(Err(now)) => current = now,
            Err(error) if old.fresh => return Err(error),
            Err(_) => current = storage.get(resource, &ctx.info.namespace, &ctx.info.name).await?,
        }
    }
    Err(ApiError::conflict(resource.group_resource(), &ctx.info.name, MODIFIED))
}

fn patched_once(
    ctx: &Ctx,
    patch_type: PatchType,
    patch: &kinds::Parsed,
    old: &Stored,
    options: &WriteOptions,
) -> Result<Value, ApiError> {
    let resource = &ctx.resource;
    let asked = if resource.is_hub() && !resource.custom {
        Cow::Borrowed(&old.object)
    } else {
        Cow::Owned(codec::from_hub(resource, old.object.clone())?)
    };
    let mut patch = patch.clone();
    let changed = kinds::apply(patch_type, &mut patch.value, asked, resource.api.ty)?;
    let patch = &patch;
    let mut object = decode_again(ctx, patch_type, patch, changed, old, options)?;
    codec::default(resource, &mut object);
    check_namespace(ctx, &mut object)?;
    check_name(ctx, &object)?;
    let mut object = to_hub(ctx, patch_type, patch, object, old)?;
    write::dedup_owners(ctx, &mut object, write::Found::Patched);
    check_version(ctx, &object, old)?;
    Ok(object)
}

/// A patched object in the hub version. Upstream converts strategically patched objects itself, the others while it
/// reads them.
fn to_hub(
    ctx: &Ctx,
    patch_type: PatchType,
    patch: &kinds::Parsed,
    object: Value,
    old: &Stored,
) -> Result<Value, ApiError> {
    let resource = &ctx.resource;
    if resource.custom || !api::convert::has_steps(&resource.api) {
        return codec::to_hub(resource, object);
    }
    let before = object.clone();
    api::convert::try_to_hub(&resource.api, object).map_err(|why| match (patch_type, resource.api.ty) {
        (PatchType::Json | PatchType::Merge, Some(ty)) => {
            kinds::misfit(&quoted(patch_type, patch, &before, ty, &|| unpatched(ctx, old)), &why)
        }
        _ => ApiError::new(500, "", why),
    })
}

/// What a patch was applied to, in the version that is asked.
fn unpatched(ctx: &Ctx, old: &Stored) -> Option<Value> {
    codec::from_hub(&ctx.resource, old.object.clone()).ok()
}

/// A patched object as errors quote it.
fn quoted(
    patch_type: PatchType,
    patch: &kinds::Parsed,
    changed: &Value,
    ty: api::schema::StructId,
    before: &dyn Fn() -> Option<Value>,
) -> String {
    let replayed = || shown::replayed(&before()?, ty, &patch.text);
    (patch_type == PatchType::Json)
        .then(replayed)
        .flatten()
        .unwrap_or_else(|| shown::as_go(changed, ty, &shown::touched(patch_type, &patch.value)))
}

/// What upstream's libraries say of a patch that takes the whole object away.
fn nothing_left(patch_type: PatchType) -> ApiError {
    match patch_type {
        PatchType::Merge => ApiError::bad_request("Invalid JSON Patch"),
        _ => ApiError::new(422, "Invalid", "the server rejected our request due to an error in our request"),
    }
}

/// The patched object as its type has it; what does not fit is a 422.
fn decode_again(
    ctx: &Ctx,
    patch_type: PatchType,
    patch: &kinds::Parsed,
    changed: Value,
    old: &Stored,
    options: &WriteOptions,
) -> Result<Value, ApiError> {
    let resource = &ctx.resource;
    if let Some(custom) = &resource.definition {
        return custom_again(ctx, custom, patch, changed, options);
    }
    let Some(ty) = resource.api.ty else { return Ok(changed) };
    let target = api::decode::Target {
        group: &resource.group,
        version: &resource.version,
        kind: &resource.kind,
        ty,
        schemas: api::schema::builtin(),
    };
    let stored = (resource.is_hub() && resource.era() == Era::Now).then_some(&old.object);
    let before =
        Before { managed: obj::managed_fields(&old.object), stored, object: &|| unpatched(ctx, old) };
    as_typed(ctx, &target, patch_type, patch, changed, &before, options)
}

/// What was patched.
pub struct Before<'a> {
    /// Who managed it.
    pub managed: Option<&'a Value>,
    /// All of it, where it was stored in the version that is asked.
    pub stored: Option<&'a Value>,
    /// All of it, as errors want it.
    pub object: &'a (dyn Fn() -> Option<Value> + Sync),
}

/// The patched object of a built-in kind. Managed fields that are still as before are not read again: they are a third of
/// most objects.
pub fn as_typed(
    ctx: &Ctx,
    target: &api::decode::Target<'_>,
    patch_type: PatchType,
    patch: &kinds::Parsed,
    mut changed: Value,
    before: &Before<'_>,
    options: &WriteOptions,
) -> Result<Value, ApiError> {
    let (ty, managed) = (target.ty, before.managed);
    let kept = managed.is_some() && obj::managed_fields(&changed) == managed;
    if changed.is_null() || changed.as_object().is_some_and(api::Object::is_empty) {
        if patch_type == PatchType::Strategic {
            // An empty object is one without a name.
            check_name(ctx, &changed)?;
        }
        return Err(nothing_left(patch_type));
    }
    if let Some(stored) = before.stored.filter(|_| patch.strict.is_empty())
        && let Some(typed) = unchanged::typed(ctx, target, patch_type, &mut changed, stored)
    {
        return Ok(typed);
    }
    if patch_type == PatchType::Strategic {
        if let Some(why) = restore::misfit(&changed, &api::schema::Type::Struct(ty)) {
            return Err(refuse(target, &api::printf::go_print(&patch.value), why));
        }
        restore::cut(&mut changed, &api::schema::Type::Struct(ty));
        // Upstream knows the type of what it merged, whatever the patch called it.
        changed["kind"] = target.kind.into();
        changed["apiVersion"] = group_version(target.group, target.version).into();
    }
    let shown = || match patch_type {
        PatchType::Strategic => api::printf::go_print(&patch.value),
        _ => quoted(patch_type, patch, &changed, ty, before.object),
    };
    let strictly = options.field_validation != codec::FieldValidation::Ignore;
    if target.era() == Era::Now
        && changed.get("apiVersion").is_none_or(|v| v.is_null() || v.as_str() == Some(""))
    {
        // Upstream reads it as an object of its internal version then, which has other names for all its fields.
        let fields = changed.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        let unknown = fields.filter(|name| !matches!(*name, "kind" | "apiVersion"));
        let unknown = unknown.map(|name| format!("unknown field {}", go_quote(name)));
        if strictly {
            strict(ctx, patch.strict.iter().cloned().chain(unknown).collect(), options, shown)?;
        }
        check_name(ctx, &Value::Null)?;
    }
    let mut text = Vec::new();
    let left_out: &[&str] = if kept { &["managedFields"] } else { &[] };
    obj::write_json(&mut text, &changed, left_out);
    let mut typed = shown::decode(target, &changed, &text, strictly).map_err(|why| {
        let shown = shown();
        let told = match patch_type {
            PatchType::Strategic if target.era() == Era::Now => {
                // The converter goes by the type's fields.
                let ordered = shown::in_order(&changed, &api::schema::Type::Struct(ty));
                let first = shown::decode(target, &changed, ordered.as_bytes(), strictly).err();
                restore::told(first.unwrap_or(why))
            }
            PatchType::Strategic => why,
            _ => target.told(shown.as_bytes(), why),
        };
        refuse(target, &shown, told)
    })?;
    let mut mistakes = patch.strict.clone();
    if strictly {
        mistakes.extend(typed.strict);
    }
    strict(ctx, mistakes, options, shown)?;
    typed.value["kind"] = target.kind.into();
    if kept && let Some(managed) = obj::metadata_mut(&mut changed).remove("managedFields") {
        obj::metadata_mut(&mut typed.value).insert("managedFields".into(), managed);
    }
    if typed.empties {
        ctx.empties.store(true, Ordering::Relaxed);
    }
    Ok(typed.value)
}

/// Tells fields that are unknown or occur twice, or refuses them.
fn strict(
    ctx: &Ctx,
    mistakes: Vec<String>,
    options: &WriteOptions,
    shown: impl Fn() -> String,
) -> Result<(), ApiError> {
    if !mistakes.is_empty() && options.field_validation == codec::FieldValidation::Strict {
        let why = format!("strict decoding error: {}", mistakes.join(", "));
        return Err(kinds::misfit(&shown(), &why));
    }
    for text in mistakes {
        ctx.warn_of_object(text);
    }
    Ok(())
}

/// A patched object that does not fit its type is a 422; to the servers of 1.10 it was a failure of their own.
fn refuse(target: &api::decode::Target<'_>, shown: &str, why: String) -> ApiError {
    if target.era() == Era::Early { ApiError::new(500, "", why) } else { kinds::misfit(shown, &why) }
}

/// The same for a custom resource.
fn custom_again(
    ctx: &Ctx,
    custom: &crate::crd::Custom,
    patch: &kinds::Parsed,
    mut changed: Value,
    options: &WriteOptions,
) -> Result<Value, ApiError> {
    let shown = changed.to_string();
    let strict = crate::crd::custom::coerce(custom, &mut changed, patch.strict.clone())
        .map_err(|why| kinds::misfit(&shown, &why.message))?;
    match options.field_validation {
        codec::FieldValidation::Strict if !strict.is_empty() => {
            let why = format!("strict decoding error: {}", strict.join(", "));
            return Err(kinds::misfit(&shown, &why));
        }
        codec::FieldValidation::Warn => strict.into_iter().for_each(|text| ctx.warn(text)),
        _ => {}
    }
    Ok(changed)
}
