//! GET of one object: the cache's bytes, once the cache is known to be up to date.

use api::kinds::Era;
use api::status::ApiError;
use bytes::{BufMut, BytesMut};

use super::Ctx;
use super::list::{FRESH_TIMEOUT, cache_error, item_value, version, wait_until_fresh};
use crate::http::Response;
use crate::negotiate::encode;

/// A parameter of old that is no longer understood, where it is not switched off.
pub fn refuse_export(ctx: &Ctx) -> Result<(), ApiError> {
    if ctx.query.flag("export") && ctx.resource.era() == Era::Now {
        return Err(ApiError::bad_request(
            "the export parameter, deprecated since v1.14, is no longer supported",
        ));
    }
    Ok(())
}

/// Answers with one object.
pub async fn get(ctx: &Ctx) -> Result<Response, ApiError> {
    let accept = ctx.accept()?;
    refuse_export(ctx)?;
    super::check_segment(&ctx.info.name)?;
    let kind = ctx.server.cached(&ctx.resource)?;
    kind.loaded(FRESH_TIMEOUT).await.map_err(|e| cache_error(&e))?;
    match ctx.query.text("resourceVersion") {
        "" => {
            ctx.server.cache().consistent(FRESH_TIMEOUT).await.map_err(|e| cache_error(&e))?;
        }
        text => {
            let wanted = version(text).map_err(|why| ApiError::new(500, "", why))?;
            wait_until_fresh(ctx, wanted).await?;
        }
    }
    let (resource, info) = (&ctx.resource, &ctx.info);
    let item = if resource.namespaced {
        kind.get(&format!("{}/{}", info.namespace, info.name))
    } else {
        kind.get(&info.name)
    };
    let Some(item) = item else {
        return Err(ApiError::not_found(resource.group_resource(), &info.name));
    };
    let plain = accept.convert.is_none() && accept.is_plain();
    if plain && resource.is_hub() && !resource.custom {
        let bytes = item.bytes();
        let mut out = BytesMut::with_capacity(bytes.len() + 96);
        let gv = resource.group_version();
        out.put_slice(format!("{{\"kind\":\"{}\",\"apiVersion\":\"{gv}\",", resource.kind).as_bytes());
        out.put_slice(&bytes[1..]);
        out.put_u8(b'\n');
        return Ok(encode::whole(200, out.freeze(), "application/json", accept.gzip));
    }
    if let Some(convert) = accept.convert.as_ref().filter(|c| c.kind == "Table") {
        let metadata = serde_json::json!({"resourceVersion": item.revision().to_string()});
        let value = crate::negotiate::table::list(ctx, convert, metadata, std::slice::from_ref(&item))?;
        return Ok(encode::value(200, &value, &accept));
    }
    ctx.asked(200, &accept, item_value(resource, &item)?)
}
