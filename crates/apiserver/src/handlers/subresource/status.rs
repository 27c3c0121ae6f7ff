//! `/status`: the object's status, and nothing else of it, is written.

use api::status::ApiError;

use crate::handlers::options::WriteOptions;
use crate::handlers::update::{CONFLICT_TRIES, MODIFIED, check_name, check_version, store_changed};
use crate::handlers::write::{self, Decode};
use crate::handlers::{Ctx, create, get, method_not_allowed, patch, read_body};
use crate::http::{Incoming, Response};
use crate::registry::codec;

/// Answers GET, PUT and PATCH of a subresource that shows the object itself.
pub async fn answer(ctx: &Ctx, body: Incoming) -> Result<Response, ApiError> {
    let subresource = ctx.info.subresource.as_str();
    match ctx.info.verb {
        "get" => get::get(ctx).await,
        "update" => update(ctx, body, subresource).await,
        "patch" => {
            let (patch_type, bytes, options) = patch::read(ctx, body, ctx.resource.custom).await?;
            let accept = ctx.accept()?;
            if patch_type == patch::kinds::PatchType::Apply {
                return crate::handlers::managed::apply(ctx, &accept, subresource, &bytes, &options).await;
            }
            let saved = patch::patched(ctx, patch_type, &bytes, subresource, &options).await?;
            ctx.saved(200, &accept, saved)
        }
        _ => Err(method_not_allowed()),
    }
}

/// PUT of a subresource that has the object's own kind.
pub async fn update(ctx: &Ctx, body: Incoming, subresource: &str) -> Result<Response, ApiError> {
    let accept = ctx.accept()?;
    let media = crate::negotiate::content_type(&ctx.parts.headers)?;
    let bytes = read_body(body).await?;
    let options = WriteOptions::parse(&ctx.query, "UpdateOptions", false)?;
    let object = write::decode(ctx, &Decode::of(&ctx.resource), &bytes, media, &options)?;
    let mut object = object;
    create::check_namespace(ctx, &mut object)?;
    check_name(ctx, &object)?;
    crate::handlers::check_segment(&ctx.info.name)?;
    let mut object = codec::to_hub(&ctx.resource, object)?;
    write::dedup_owners(ctx, &mut object, write::Found::Sent);
    let storage = ctx.server.storage();
    crate::handlers::check_key(ctx)?;
    let mut current = ctx.server.recent(&ctx.resource, ctx.named(), options.dry_run).await?;
    for _ in 0..CONFLICT_TRIES {
        let Some(old) = current else {
            return Err(ApiError::not_found(ctx.resource.group_resource(), &ctx.info.name));
        };
        let meant = crate::handlers::update::check_uid(ctx, &object, &old)
            .and_then(|()| check_version(ctx, &object, &old));
        let result = match meant {
            Ok(()) => store_changed(ctx, &old, object.clone(), subresource, &options).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(Ok(saved)) => return ctx.saved(200, &accept, saved),
            Ok(Err(now)) => current = now,
            Err(error) if old.fresh => return Err(error),
            Err(_) => current = storage.get(&ctx.resource, &ctx.info.namespace, &ctx.info.name).await?,
        }
    }
    Err(ApiError::conflict(ctx.resource.group_resource(), &ctx.info.name, MODIFIED))
}
