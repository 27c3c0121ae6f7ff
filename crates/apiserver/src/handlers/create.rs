//! POST: a new object.

use api::Value;
use api::status::ApiError;

use super::options::WriteOptions;
use super::write::{self, Decode, Saved};
use super::{Ctx, read_body};
use crate::admission::{Attributes, Operation};
use crate::http::{Incoming, Response};
use crate::registry::storage::Encoded;
use crate::registry::{codec, obj, strategy};
use crate::request::query::parse_uint;

/// The longest prefix that a generated name keeps.
const GENERATE_PREFIX_MAX: usize = 58;
/// How often another generated name is tried.
const GENERATE_TRIES: usize = 8;

/// Creates an object.
pub async fn create(ctx: &Ctx, body: Incoming) -> Result<Response, ApiError> {
    let accept = ctx.accept()?;
    let media = crate::negotiate::content_type(&ctx.parts.headers)?;
    let bytes = read_body(body).await?;
    let options = WriteOptions::parse(&ctx.query, "CreateOptions", false)?;
    let object = write::decode(ctx, &Decode::of(&ctx.resource), &bytes, media, &options)?;
    drop(bytes);
    let mut object = codec::to_hub(&ctx.resource, object)?;
    check_namespace(ctx, &mut object)?;
    let meta = obj::metadata_mut(&mut object);
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        meta.remove(field);
    }
    write::dedup_owners(ctx, &mut object, write::Found::Sent);
    let created = store_new(ctx, object, &options).await?;
    ctx.saved(201, &accept, created)
}

/// `EnsureObjectNamespaceMatchesRequestNamespace`.
pub fn check_namespace(ctx: &Ctx, object: &mut Value) -> Result<(), ApiError> {
    let wanted = if ctx.resource.namespaced { ctx.info.namespace.as_str() } else { "" };
    let given = obj::namespace(object).to_owned();
    let meta = obj::metadata_mut(object);
    if given == wanted {
        return Ok(());
    }
    if given.is_empty() || wanted.is_empty() {
        if wanted.is_empty() {
            // Upstream drops the namespace of cluster-wide objects.
            meta.remove("namespace");
        } else {
            meta.insert("namespace".into(), wanted.into());
        }
        return Ok(());
    }
    Err(ApiError::bad_request(
        "the namespace of the provided object does not match the namespace sent on the request",
    ))
}

/// Fills in what the system sets: uid, time, a generated name.
pub fn fill_system_fields(object: &mut Value) {
    let meta = obj::metadata_mut(object);
    meta.insert("creationTimestamp".into(), obj::now().into());
    meta.insert("uid".into(), uuid::Uuid::new_v4().to_string().into());
}

fn generate_name(object: &mut Value) {
    let prefix = obj::meta_text(object, "generateName");
    if prefix.is_empty() || !obj::name(object).is_empty() {
        return;
    }
    let kept: String = prefix.chars().take(GENERATE_PREFIX_MAX).collect();
    let name = format!("{kept}{}", component_base::rand::suffix(5));
    obj::metadata_mut(object).insert("name".into(), name.into());
}

/// Admits, prepares, validates and stores a new object of the hub version; gives it as it is stored.
pub async fn store_new(ctx: &Ctx, object: Value, options: &WriteOptions) -> Result<Saved, ApiError> {
    let generated = obj::name(&object).is_empty() && !obj::meta_text(&object, "generateName").is_empty();
    if !generated {
        return store_once(ctx, object, options).await;
    }
    let mut tries = GENERATE_TRIES;
    loop {
        tries -= 1;
        match store_once(ctx, object.clone(), options).await {
            Err(error) if error.reason == "AlreadyExists" && tries > 0 => {}
            other => return other,
        }
    }
}

async fn store_once(ctx: &Ctx, mut object: Value, options: &WriteOptions) -> Result<Saved, ApiError> {
    let (server, resource) = (&ctx.server, &ctx.resource);
    let asked_name = obj::name(&object).to_owned();
    let namespace =
        if resource.is("", "namespaces") { asked_name.as_str() } else { ctx.info.namespace.as_str() };
    let attributes = Attributes {
        operation: Operation::Create,
        resource,
        subresource: "",
        namespace,
        name: &asked_name,
        old: None,
        user: &ctx.user,
        dry_run: options.dry_run,
        warnings: &ctx.warnings,
    };
    super::managed::track(ctx, &mut object, None, "", options)?;
    if crate::crd::is_ending(server, resource) {
        let why = "create not allowed while custom resource definition is terminating";
        return Err(ApiError::forbidden(resource.group_resource(), &asked_name, why));
    }
    server.admission().admit(server, &attributes, &mut object).await?;
    fill_system_fields(&mut object);
    generate_name(&mut object);
    strategy::prepare_create(resource, &mut object, &ctx.user);

    let held = write::before_create(ctx, &mut object, options).await?;
    let result = async {
        write::validate_create(ctx, &object).await?;
        write::warn_create(ctx, &object);
        let name = obj::name(&object).to_owned();
        let attributes = Attributes { name: &name, ..attributes };
        server.admission().validate(server, &attributes, Some(&object)).await?;
        codec::settle(ctx, &mut object);
        strategy::read_back(resource, &mut object);
        put(ctx, &attributes, object).await
    }
    .await;
    match result {
        Ok(saved) => {
            held.commit(ctx, options.dry_run).await;
            if !options.dry_run {
                crate::crd::written(server, resource).await;
            }
            Ok(saved)
        }
        Err(error) => {
            held.failed(ctx, &error).await;
            Err(error)
        }
    }
}

/// Writes a new object, unless it is a dry run. Admission takes back what it noted when nothing was written.
async fn put(ctx: &Ctx, attributes: &Attributes<'_>, object: Value) -> Result<Saved, ApiError> {
    let (server, resource) = (&ctx.server, &ctx.resource);
    let (storage, name) = (server.storage(), attributes.name);
    let generated = ctx.info.name.is_empty() && !obj::meta_text(&object, "generateName").is_empty();
    let exists = || {
        let mut error = ApiError::already_exists(resource.group_resource(), name);
        if generated {
            error.details.remove("retryAfterSeconds");
        }
        error
    };
    let namespace = obj::namespace(&object);
    let (failed, object) = if attributes.dry_run {
        match storage.get(resource, namespace, name).await {
            Ok(None) => (None, object),
            Ok(Some(_)) => (Some(exists()), object),
            Err(error) => (Some(error), object),
        }
    } else if parse_uint(obj::resource_version(&object)).is_ok_and(|version| version != 0) {
        // What is no number is no version either.
        let why = "resourceVersion should not be set on objects to be created";
        (Some(ApiError::new(500, "", why)), object)
    } else {
        let key = storage.key(resource, namespace, name);
        let encoded = Encoded::of(&object);
        drop(object);
        match storage.create(resource, &key, &encoded).await {
            Ok(Some(text)) => return Ok(Saved::Text(text)),
            Ok(None) => (Some(exists()), encoded.object()?),
            Err(error) => (Some(error), encoded.object()?),
        }
    };
    server.admission().rollback(server, attributes, Some(&object)).await;
    failed.map_or(Ok(Saved::Object(object)), Err)
}
