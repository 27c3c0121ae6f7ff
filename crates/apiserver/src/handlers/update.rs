//! PUT: an object as it shall be.

use std::borrow::Cow;

use api::Value;
use api::field::{Error, Path};
use api::kinds::Era;
use api::status::{ApiError, GroupName};

use super::create::{check_namespace, store_new};
use super::options::WriteOptions;
use super::write::{self, Decode, Saved};
use super::{Ctx, read_body};
use crate::admission::{Attributes, Operation};
use crate::http::{Incoming, Response};
use crate::registry::storage::{Encoded, Stored};
use crate::registry::{codec, obj, strategy};
use crate::request::query::parse_uint;

/// How often a write is repeated when others write the same object.
pub const CONFLICT_TRIES: usize = 20;

/// Upstream's text for a write based on an old version.
pub const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// Replaces an object.
pub async fn update(ctx: &Ctx, body: Incoming) -> Result<Response, ApiError> {
    let accept = ctx.accept()?;
    let media = crate::negotiate::content_type(&ctx.parts.headers)?;
    let bytes = read_body(body).await?;
    let options = WriteOptions::parse(&ctx.query, "UpdateOptions", false)?;
    let read = || {
        let mut object = write::decode(ctx, &Decode::of(&ctx.resource), &bytes, media, &options)?;
        check_namespace(ctx, &mut object)?;
        check_name(ctx, &object)?;
        super::check_segment(&ctx.info.name)?;
        let mut object = codec::to_hub(&ctx.resource, object)?;
        write::dedup_owners(ctx, &mut object, write::Found::Sent);
        Ok(object)
    };
    let (code, saved) = replace(ctx, read, &options).await?;
    ctx.saved(code, &accept, saved)
}

/// `checkName`: the body must mean the object of the path.
pub fn check_name(ctx: &Ctx, object: &Value) -> Result<(), ApiError> {
    let (name, wanted) = (obj::name(object), ctx.info.name.as_str());
    if name.is_empty() {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({wanted} based on URL) was undeterminable: name must be provided"
        )));
    }
    if name != wanted {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({wanted})"
        )));
    }
    let (namespace, wanted) = (obj::namespace(object), ctx.info.namespace.as_str());
    if !wanted.is_empty() && !namespace.is_empty() && namespace != wanted {
        return Err(ApiError::bad_request(format!(
            "the namespace of the object ({namespace}) does not match the namespace on the request ({wanted})"
        )));
    }
    Ok(())
}

/// Brings a whole object (of the hub version) in place of the one that is there; gives the answer's code, too. `read` gives
/// the object anew for each try: there is mostly one.
async fn replace(
    ctx: &Ctx,
    read: impl Fn() -> Result<Value, ApiError>,
    options: &WriteOptions,
) -> Result<(u16, Saved), ApiError> {
    let storage = ctx.server.storage();
    let mut first = Some(read()?);
    super::check_key(ctx)?;
    let mut current = ctx.server.recent(&ctx.resource, ctx.named(), options.dry_run).await?;
    for _ in 0..CONFLICT_TRIES {
        let object = first.take().map_or_else(&read, Ok)?;
        let Some(old) = current else {
            return Ok((201, create_instead(ctx, object, options).await?));
        };
        let result = match precondition(ctx, &object, &old) {
            Ok(()) => store_changed(ctx, &old, object, "", options).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(Ok(saved)) => return Ok((200, saved)),
            Ok(Err(now)) => current = now,
            Err(error) if old.fresh => return Err(error),
            Err(_) => current = storage.get(&ctx.resource, &ctx.info.namespace, &ctx.info.name).await?,
        }
    }
    Err(ApiError::conflict(ctx.resource.group_resource(), &ctx.info.name, MODIFIED))
}

async fn create_instead(ctx: &Ctx, mut object: Value, options: &WriteOptions) -> Result<Saved, ApiError> {
    if !strategy::create_on_update(&ctx.resource) {
        return Err(ApiError::not_found(ctx.resource.group_resource(), &ctx.info.name));
    }
    let uid = obj::uid(&object);
    if !uid.is_empty() {
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: ",
            ctx.server.storage().key(&ctx.resource, &ctx.info.namespace, &ctx.info.name)
        );
        return Err(ApiError::conflict(ctx.resource.group_resource(), &ctx.info.name, &why));
    }
    forget_version(&mut object)?;
    store_new(ctx, object, options).await
}

/// The version in an object that comes to be by an update must be one, and means nothing.
pub fn forget_version(object: &mut Value) -> Result<(), ApiError> {
    let said = obj::resource_version(object);
    if !said.is_empty() {
        parse_uint(said).map_err(|why| ApiError::new(500, "", why))?;
    }
    obj::metadata_mut(object).remove("resourceVersion");
    Ok(())
}

/// The uid and the resource version that the new object names must be those of the old one.
fn precondition(ctx: &Ctx, object: &Value, old: &Stored) -> Result<(), ApiError> {
    check_uid(ctx, object, old)?;
    check_version(ctx, object, old)
}

/// The uid that an object names must be that of the stored one.
pub fn check_uid(ctx: &Ctx, object: &Value, old: &Stored) -> Result<(), ApiError> {
    let resource = &ctx.resource;
    let name = &ctx.info.name;
    let (uid, was) = (obj::uid(object), obj::uid(&old.object));
    if !uid.is_empty() && uid != was {
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {was}",
            ctx.server.storage().key(resource, &ctx.info.namespace, name)
        );
        return Err(ApiError::conflict(resource.group_resource(), name, &why));
    }
    Ok(())
}

/// The optimistic lock.
pub fn check_version(ctx: &Ctx, object: &Value, old: &Stored) -> Result<(), ApiError> {
    let resource = &ctx.resource;
    let version = obj::resource_version(object);
    let number = match version {
        "" => 0,
        text => crate::request::query::parse_uint(text).map_err(|e| ApiError::new(500, "", e))?,
    };
    if number == 0 {
        if strategy::unconditional_update(resource) {
            return Ok(());
        }
        // Go's syntax for an unsigned number, before values were quoted as JSON.
        let shown = if resource.era() < Era::Now { "0x0" } else { "0" };
        let path = Path::new("metadata.resourceVersion");
        let error = Error::invalid_text(&path, shown, "must be specified for an update");
        let kind = GroupName { group: &resource.group, name: &resource.plural };
        return Err(ApiError::invalid(kind, &ctx.info.name, &vec![error]));
    }
    if i64::try_from(number).ok() != Some(old.revision) {
        return Err(ApiError::conflict(resource.group_resource(), &ctx.info.name, MODIFIED));
    }
    Ok(())
}

/// `BeforeUpdate`: what no update may change.
pub fn keep_system_fields(object: &mut Value, old: &Value) {
    let old_meta = obj::metadata(old);
    let field = |name: &str| old_meta.and_then(|m| m.get(name)).cloned();
    let meta = obj::metadata_mut(object);
    if meta.get("uid").and_then(Value::as_str).unwrap_or_default().is_empty()
        && let Some(uid) = field("uid")
    {
        meta.insert("uid".into(), uid);
    }
    if let Some(time) = field("creationTimestamp").filter(|t| !t.is_null()) {
        meta.insert("creationTimestamp".into(), time);
    }
    if let Some(time) = field("deletionTimestamp").filter(|t| !t.is_null()) {
        meta.insert("deletionTimestamp".into(), time);
    }
    if !meta.contains_key("deletionGracePeriodSeconds")
        && let Some(period) = field("deletionGracePeriodSeconds")
    {
        meta.insert("deletionGracePeriodSeconds".into(), period);
    }
    match field("generation") {
        Some(generation) => meta.insert("generation".into(), generation),
        None => meta.remove("generation"),
    };
    meta.remove("selfLink");
}

/// Admits, prepares, validates and stores a changed object. The inner error says what is there now, when somebody
/// else wrote meanwhile.
pub async fn store_changed(
    ctx: &Ctx,
    old: &Stored,
    mut object: Value,
    subresource: &str,
    options: &WriteOptions,
) -> Result<Result<Saved, Option<Stored>>, ApiError> {
    let (server, resource) = (&ctx.server, &ctx.resource);
    let before = match &resource.definition {
        // Custom resources are compared in the version that is asked.
        Some(custom) => Cow::Owned(custom.worked_on(&old.object)),
        None => Cow::Borrowed(&old.object),
    };
    let before = before.as_ref();
    let attributes = Attributes {
        operation: Operation::Update,
        resource,
        subresource,
        namespace: &ctx.info.namespace,
        name: &ctx.info.name,
        old: Some(before),
        user: &ctx.user,
        dry_run: options.dry_run,
        warnings: &ctx.warnings,
    };
    super::managed::track(ctx, &mut object, Some(before), subresource, options)?;
    server.admission().admit(server, &attributes, &mut object).await?;
    keep_system_fields(&mut object, before);
    strategy::update(resource, subresource, &mut object, before);
    if obj::resource_version(&object).is_empty() {
        let version = obj::resource_version(before).to_owned();
        obj::metadata_mut(&mut object).insert("resourceVersion".into(), version.into());
    }
    let held = write::before_update(ctx, &mut object, before, options).await?;
    let result = async {
        write::validate_update(ctx, subresource, &object, before)?;
        write::warn_update(ctx, subresource, &object, before);
        if subresource == "status" && !resource.custom {
            // What is read from upstream's store has its defaults, which another part of it may have made.
            if let Some(ty) = resource.api.hub().ty {
                api::defaults::apply_type(ty, &mut object);
            }
        }
        codec::settle(ctx, &mut object);
        super::managed::keep_times(&mut object, &old.object);
        server.admission().validate(server, &attributes, Some(&object)).await?;
        put(ctx, old, &attributes, object).await
    }
    .await;
    match result {
        Ok(Ok(saved)) => {
            held.commit(ctx, options.dry_run).await;
            if !options.dry_run {
                crate::crd::written(server, resource).await;
            }
            Ok(Ok(saved))
        }
        Ok(Err(now)) => {
            held.release(ctx).await;
            Ok(Err(now))
        }
        Err(error) => {
            held.failed(ctx, &error).await;
            Err(error)
        }
    }
}

/// An object that is being deleted goes with the first write that leaves it no finalizer (`ShouldDeleteDuringUpdate`).
fn ends(object: &Value, old: &Value) -> bool {
    let grace = obj::meta_number(old, "deletionGracePeriodSeconds").unwrap_or(0);
    obj::finalizers(object).is_empty() && obj::deleting(old) && grace == 0
}

/// What became of a write, and the object, unless it went into the store.
type Put = (Result<Result<(), Option<Stored>>, ApiError>, Value);

/// Writes a changed object where that is needed. Admission takes back what it noted when nothing was written because of
/// somebody else, or because it is a dry run.
async fn put(
    ctx: &Ctx,
    old: &Stored,
    attributes: &Attributes<'_>,
    mut object: Value,
) -> Result<Result<Saved, Option<Stored>>, ApiError> {
    let (server, storage, resource) = (&ctx.server, ctx.server.storage(), &ctx.resource);
    let key = storage.key(resource, &ctx.info.namespace, &ctx.info.name);
    let version = obj::resource_version(&old.object).to_owned();
    obj::metadata_mut(&mut object).insert("resourceVersion".into(), version.into());
    let (done, object): Put = if attributes.dry_run {
        (Ok(Ok(())), object)
    } else if ends(&object, &old.object) && namespace_is_empty(ctx, &object) {
        let gone = storage.delete(&key, old.revision).await;
        if let Ok(Ok(_)) = gone {
            server.deleted(resource, &object).await;
        }
        (gone.map(|gone| gone.map(drop)), object)
    } else if crate::registry::storage::stored_alike(&object, &old.object) {
        (unchanged(ctx, old).await, object)
    } else {
        let encoded = Encoded::of(&object);
        drop(object);
        match storage.replace(resource, &key, old.revision, &encoded).await {
            Ok(Ok(text)) => return Ok(Ok(Saved::Text(text))),
            Ok(Err(now)) => (Ok(Err(now)), encoded.object()?),
            Err(error) => (Err(error), encoded.object()?),
        }
    };
    if attributes.dry_run || !matches!(done, Ok(Ok(()))) {
        server.admission().rollback(server, attributes, Some(&object)).await;
    }
    done.map(|done| done.map(|()| Saved::Object(object)))
}

/// Nothing to do, unless the object is not like this any more.
async fn unchanged(ctx: &Ctx, old: &Stored) -> Result<Result<(), Option<Stored>>, ApiError> {
    if old.fresh {
        return Ok(Ok(()));
    }
    let now = ctx.server.storage().get(&ctx.resource, &ctx.info.namespace, &ctx.info.name).await?;
    let same = now.as_ref().is_some_and(|n| n.revision == old.revision);
    Ok(if same { Ok(()) } else { Err(now) })
}

/// Namespaces also wait for `spec.finalizers`.
pub fn namespace_is_empty(ctx: &Ctx, object: &Value) -> bool {
    !ctx.resource.is("", "namespaces") || obj::strings(obj::at(object, "spec.finalizers")).is_empty()
}
