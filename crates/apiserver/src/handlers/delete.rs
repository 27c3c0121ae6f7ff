//! DELETE of one object or of a collection: grace, finalizers, propagation, preconditions
//! (`registry/generic/registry/store.go`, `registry/rest/delete.go`).

use std::collections::HashSet;

use api::kinds::Era;
use api::status::{ApiError, GroupName};
use api::{Object, Value};
use jiff::{SignedDuration, Timestamp};

use super::options::{DeleteOptions, ListOptions};
use super::update::{CONFLICT_TRIES, MODIFIED, namespace_is_empty};
use super::{Ctx, list, read_body, write};
use crate::admission::{Attributes, Operation};
use crate::http::{Incoming, Response, status};
use crate::negotiate::{self, encode};
use crate::registry::codec::{self, Kind};
use crate::registry::storage::Stored;
use crate::registry::{obj, strategy};

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What became of a delete.
enum Outcome {
    /// The object is gone; this is how it was.
    Gone(Value),
    /// The object stays for a while, marked.
    Marked(Value),
}

/// Reads the options of a delete: the body's, or else the query's.
async fn read_options(ctx: &Ctx, body: Incoming) -> Result<DeleteOptions, ApiError> {
    let bytes = read_body(body).await?;
    if bytes.is_empty() {
        return DeleteOptions::from_query(&ctx.query);
    }
    let media = negotiate::content_type(&ctx.parts.headers)?;
    let kind = Kind { group: "", version: "v1", kind: "DeleteOptions" };
    let decoded = codec::decode_options(&bytes, media, kind, ctx.resource.era())
        .map_err(|error| if ctx.resource.era() == Era::Now { unframed(error) } else { error })?;
    DeleteOptions::from_body(&decoded)
}

/// Upstream tells of options that cannot be read only what its decoder says, without saying of what.
fn unframed(mut error: ApiError) -> ApiError {
    let unrecognized = "the object provided is unrecognized (must be of type DeleteOptions): ";
    if let Some((_, why)) = error.message.split_once(" cannot be handled as a DeleteOptions: ") {
        error.message = why.to_owned();
    } else if let Some((why, _body)) =
        error.message.strip_prefix(unrecognized).and_then(|rest| rest.rsplit_once(" ("))
    {
        error.message = why.to_owned();
    }
    error
}

/// Deletes one object.
pub async fn delete(ctx: &Ctx, body: Incoming) -> Result<Response, ApiError> {
    let accept = ctx.accept()?;
    let options = read_options(ctx, body).await?;
    warn_of_orphans(ctx, &options);
    // Who asked for dependents to go, too, is told that the object still waits.
    let marked = if options.orphan_dependents == Some(false) { 202 } else { 200 };
    super::check_segment(&ctx.info.name)?;
    let outcome = delete_named(ctx, &ctx.info.name, options).await?;
    let (object, gone) = match outcome {
        Outcome::Gone(object) => (object, true),
        Outcome::Marked(object) => (object, false),
    };
    if !gone || strategy::returns_deleted(&ctx.resource) {
        return ctx.object(if gone { 200 } else { marked }, &accept, object);
    }
    let mut details = Object::new();
    details.insert("name".into(), ctx.info.name.as_str().into());
    if !ctx.resource.group.is_empty() {
        details.insert("group".into(), ctx.resource.group.as_str().into());
    }
    details.insert("kind".into(), ctx.resource.plural.as_str().into());
    details.insert("uid".into(), obj::uid(&object).into());
    Ok(encode::json_bytes(200, status::success(&details, 0).into(), &accept))
}

/// Jobs of `v1` leave their pods behind unless told otherwise.
fn warn_of_orphans(ctx: &Ctx, options: &DeleteOptions) {
    let unsaid = options.propagation_policy.is_none() && options.orphan_dependents.is_none();
    if unsaid && ctx.resource.is("batch", "jobs") && ctx.resource.version == "v1" {
        ctx.warn(
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or \
             set propagationPolicy=Orphan to suppress this warning",
        );
    }
}

/// Deletes the object that the path names, with options that are at hand.
pub async fn named(ctx: &Ctx, options: DeleteOptions) -> Result<(), ApiError> {
    delete_named(ctx, &ctx.info.name, options).await.map(|_| ())
}

/// Deletes all objects that selectors choose.
pub async fn collection(ctx: &Ctx, body: Incoming) -> Result<Response, ApiError> {
    let accept = ctx.accept()?;
    // Whoever says that this is a watch has its options judged as a watch's.
    let list_options = ListOptions::parse(&ctx.query, ctx.query.flag("watch"))?;
    list::predicate(ctx, &list_options)?;
    let options = read_options(ctx, body).await?;
    warn_of_orphans(ctx, &options);
    let found = list::find(ctx, &list_options).await?;
    for item in &found.items {
        let one = Target { namespace: item.namespace(), name: item.name() };
        match delete_at(ctx, one, options.clone()).await {
            Err(error) if error.reason == "NotFound" => {}
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    list::answer(ctx, &accept, found)
}

#[derive(Clone, Copy)]
struct Target<'a> {
    namespace: &'a str,
    name: &'a str,
}

async fn delete_named(ctx: &Ctx, name: &str, options: DeleteOptions) -> Result<Outcome, ApiError> {
    delete_at(ctx, Target { namespace: &ctx.info.namespace, name }, options).await
}

async fn delete_at(ctx: &Ctx, target: Target<'_>, options: DeleteOptions) -> Result<Outcome, ApiError> {
    let storage = ctx.server.storage();
    // A write shows whether the cache was behind; where there is none, the store is asked.
    let unwritten = options.dry_run || ctx.resource.is("", "namespaces");
    let mut current = ctx.server.recent(&ctx.resource, (target.namespace, target.name), unwritten).await?;
    for _ in 0..CONFLICT_TRIES {
        let Some(old) = current else {
            return Err(ApiError::not_found(ctx.resource.group_resource(), target.name));
        };
        match once(ctx, target, &old, options.clone()).await {
            Ok(Ok(outcome)) => return Ok(outcome),
            Ok(Err(now)) => current = now,
            Err(error) if old.fresh => return Err(error),
            Err(_) => current = storage.get(&ctx.resource, target.namespace, target.name).await?,
        }
    }
    Err(ApiError::conflict(ctx.resource.group_resource(), target.name, MODIFIED))
}

async fn once(
    ctx: &Ctx,
    target: Target<'_>,
    old: &Stored,
    mut options: DeleteOptions,
) -> Result<Result<Outcome, Option<Stored>>, ApiError> {
    let (server, resource) = (&ctx.server, &ctx.resource);
    preconditions(ctx, &old.object, &options)?;
    let attributes = Attributes {
        operation: Operation::Delete,
        resource,
        subresource: "",
        namespace: target.namespace,
        name: target.name,
        old: Some(&old.object),
        user: &ctx.user,
        dry_run: options.dry_run,
        warnings: &ctx.warnings,
    };
    if resource.is("", "namespaces") {
        return namespace(ctx, target, &attributes, old, &options).await;
    }
    let mut object = old.object.clone();
    let grace = before_delete(ctx, &mut object, &mut options);
    server.admission().validate(server, &attributes, None).await?;
    if grace == Grace::Pending {
        return unchanged(ctx, target, old).await;
    }
    set_gc_finalizers(ctx, &mut object, &options);
    let ends_itself = crate::crd::before_delete(resource, &mut object);
    let waits = !obj::finalizers(&object).is_empty();
    if grace == Grace::None && waits && !ends_itself {
        mark(&mut object);
    }
    let stays = waits || (grace == Grace::Wait && options.grace_period_seconds.unwrap_or(0) > 0);
    let key = server.storage().key(resource, target.namespace, target.name);
    if stays {
        if !options.dry_run && object == old.object {
            return unchanged(ctx, target, old).await;
        }
        if !options.dry_run
            && let Err(now) = server.storage().update(resource, &key, old.revision, &mut object).await?
        {
            return Ok(Err(now));
        }
        return Ok(Ok(Outcome::Marked(object)));
    }
    if options.dry_run {
        return Ok(Ok(Outcome::Gone(object)));
    }
    let mut revision = old.revision;
    if grace == Grace::Wait {
        // Whoever watches sees the mark first, and in what is gone.
        if let Err(now) = server.storage().update(resource, &key, revision, &mut object).await? {
            return Ok(Err(now));
        }
        revision = obj::resource_version(&object).parse().unwrap_or(revision);
    } else {
        object = old.object.clone();
    }
    match server.storage().delete(&key, revision).await? {
        // Marked as it is, it may be somebody else who took it away meanwhile.
        Err(None) if grace == Grace::Wait => {}
        Err(now) => return Ok(Err(now)),
        Ok(revision) => {
            obj::metadata_mut(&mut object).insert("resourceVersion".into(), revision.to_string().into());
            server.deleted(resource, &object).await;
        }
    }
    Ok(Ok(Outcome::Gone(object)))
}

/// Nothing is to be done, unless the object is not like this any more.
async fn unchanged(
    ctx: &Ctx,
    target: Target<'_>,
    old: &Stored,
) -> Result<Result<Outcome, Option<Stored>>, ApiError> {
    if old.fresh {
        return Ok(Ok(Outcome::Marked(old.object.clone())));
    }
    Ok(Err(ctx.server.storage().get(&ctx.resource, target.namespace, target.name).await?))
}

/// The uid and the version that the options name must be the object's.
pub fn preconditions(ctx: &Ctx, object: &Value, options: &DeleteOptions) -> Result<(), ApiError> {
    if ctx.resource.is("", "namespaces") || crate::crd::is_definitions(&ctx.resource) {
        return early_preconditions(ctx, object, options);
    }
    let resource = &ctx.resource;
    let kind = GroupName { group: write::kinds_group(resource), name: &resource.kind };
    let name = obj::name(object);
    if let Some(uid) = options.uid.as_deref().filter(|u| *u != obj::uid(object)) {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted \
             and then recreated",
            obj::uid(object)
        );
        return Err(ApiError::conflict(kind, name, &why));
    }
    if let Some(version) = options.resource_version.as_deref().filter(|v| *v != obj::resource_version(object))
    {
        let why = format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The \
             object might have been modified",
            obj::resource_version(object)
        );
        return Err(ApiError::conflict(kind, name, &why));
    }
    Ok(())
}

/// The same where upstream looks at them before the store does, with another text.
fn early_preconditions(ctx: &Ctx, object: &Value, options: &DeleteOptions) -> Result<(), ApiError> {
    let of_object = [
        ("UID", &options.uid, obj::uid(object)),
        ("ResourceVersion", &options.resource_version, obj::resource_version(object)),
    ];
    for (field, wanted, there) in of_object {
        if let Some(wanted) = wanted.as_deref().filter(|w| *w != there) {
            let why = format!(
                "Precondition failed: {field} in precondition: {wanted}, {field} in object meta: {there}"
            );
            return Err(ApiError::conflict(ctx.resource.group_resource(), obj::name(object), &why));
        }
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grace {
    /// The object goes at once.
    None,
    /// The object is marked and goes later.
    Wait,
    /// It is marked already; nothing is to be done.
    Pending,
}

/// `rest.BeforeDelete`: sets deletion time and grace where the kind has graceful deletion (pods).
fn before_delete(ctx: &Ctx, object: &mut Value, options: &mut DeleteOptions) -> Grace {
    if options.grace_period_seconds.is_some_and(|s| s < 0) {
        options.grace_period_seconds = Some(1);
    }
    if !ctx.resource.is("", "pods") {
        return Grace::None;
    }
    let now = Timestamp::now();
    if obj::deleting(object) {
        let period = obj::meta_number(object, "deletionGracePeriodSeconds").unwrap_or(0);
        if period == 0 {
            return Grace::None;
        }
        let Some(asked) = options.grace_period_seconds else {
            options.grace_period_seconds = Some(period);
            return Grace::Pending;
        };
        if asked >= period {
            return Grace::Pending;
        }
        let was: Timestamp = obj::meta_text(object, "deletionTimestamp").parse().unwrap_or(now);
        let mut until = was - seconds(period) + seconds(asked);
        let mut asked = asked;
        if until < now {
            until = now;
            if asked != 0 {
                asked = 1;
            }
        }
        set_deletion(object, until, asked);
        options.grace_period_seconds = Some(asked);
        return Grace::Wait;
    }
    // `podStrategy.CheckGracefulDelete`.
    let own = obj::number_at(object, "spec.terminationGracePeriodSeconds");
    let mut period = options.grace_period_seconds.or(own).unwrap_or(30);
    let unscheduled = obj::text_at(object, "spec.nodeName").is_empty();
    let ended = matches!(obj::text_at(object, "status.phase"), "Failed" | "Succeeded");
    if unscheduled || ended {
        period = 0;
    }
    if period < 0 {
        period = 1;
    }
    options.grace_period_seconds = Some(period);
    set_deletion(object, now + seconds(period), period);
    let generation = obj::meta_number(object, "generation").unwrap_or(0);
    if generation > 0 {
        strategy::set_generation(object, generation + 1);
    }
    Grace::Wait
}

/// As upstream counts: in nanoseconds of 64 bits, which overflow after 292 years.
fn seconds(number: i64) -> SignedDuration {
    SignedDuration::from_nanos(number.wrapping_mul(1_000_000_000))
}

fn set_deletion(object: &mut Value, at: Timestamp, period: i64) {
    let meta = obj::metadata_mut(object);
    meta.insert("deletionTimestamp".into(), obj::format_time(at).into());
    meta.insert("deletionGracePeriodSeconds".into(), period.into());
}

/// `markAsDeleting`.
fn mark(object: &mut Value) {
    if !obj::deleting(object) {
        let generation = obj::meta_number(object, "generation").unwrap_or(0);
        if generation > 0 {
            strategy::set_generation(object, generation + 1);
        }
        obj::metadata_mut(object).insert("deletionTimestamp".into(), obj::now().into());
    }
    obj::metadata_mut(object).insert("deletionGracePeriodSeconds".into(), 0.into());
}

/// The legacy versions orphan their dependents unless told otherwise.
fn orphans_by_default(ctx: &Ctx) -> bool {
    let resource = &ctx.resource;
    matches!(
        (resource.group.as_str(), resource.version.as_str(), resource.plural.as_str()),
        ("", "v1", "replicationcontrollers")
            | ("extensions", "v1beta1", "deployments" | "daemonsets" | "replicasets")
            | ("apps", "v1beta1" | "v1beta2", "deployments" | "daemonsets" | "replicasets" | "statefulsets")
            | ("batch", _, "jobs")
            | ("batch", "v1beta1" | "v2alpha1", "cronjobs")
    )
}

/// `deletionFinalizersForGarbageCollection`.
fn set_gc_finalizers(ctx: &Ctx, object: &mut Value, options: &DeleteOptions) {
    if ctx.resource.is("", "events") {
        return;
    }
    let before = obj::finalizers(object);
    let has = |name: &str| before.iter().any(|f| f == name);
    let policy = options.propagation_policy.as_deref();
    let orphan = match (options.orphan_dependents, policy) {
        (Some(orphan), _) => orphan,
        (None, Some("Orphan")) => true,
        (None, Some("Background" | "Foreground")) => false,
        _ if has(ORPHAN) || has(FOREGROUND) => {
            before.iter().find(|f| *f == ORPHAN || *f == FOREGROUND).is_some_and(|f| f == ORPHAN)
        }
        _ => orphans_by_default(ctx),
    };
    let foreground = match (options.orphan_dependents, policy) {
        (Some(_), _) => false,
        (None, Some("Foreground")) => true,
        (None, Some("Background" | "Orphan")) => false,
        _ => before.iter().find(|f| *f == ORPHAN || *f == FOREGROUND).is_some_and(|f| f == FOREGROUND),
    };
    let mut after: Vec<String> =
        before.iter().filter(|f| *f != ORPHAN && *f != FOREGROUND).cloned().collect();
    if orphan {
        after.push(ORPHAN.to_owned());
    }
    if foreground {
        after.push(FOREGROUND.to_owned());
    }
    let known: HashSet<&String> = before.iter().collect();
    let same = before.len() == after.len() && after.iter().all(|f| known.contains(f));
    if !same {
        obj::set_finalizers(object, &after);
    }
}

/// Namespaces: marked and Terminating until their finalizers are gone (`registry/core/namespace/storage`).
async fn namespace(
    ctx: &Ctx,
    target: Target<'_>,
    attributes: &Attributes<'_>,
    old: &Stored,
    options: &DeleteOptions,
) -> Result<Result<Outcome, Option<Stored>>, ApiError> {
    let (server, resource) = (&ctx.server, &ctx.resource);
    server.admission().validate(server, attributes, None).await?;
    let key = server.storage().key(resource, "", target.name);
    let mut object = old.object.clone();
    if !obj::deleting(&object) {
        obj::metadata_mut(&mut object).insert("deletionTimestamp".into(), obj::now().into());
        obj::child_mut(&mut object, "status").insert("phase".into(), "Terminating".into());
        set_gc_finalizers(ctx, &mut object, options);
        if !options.dry_run
            && let Err(now) = server.storage().update(resource, &key, old.revision, &mut object).await?
        {
            return Ok(Err(now));
        }
        if namespace_is_empty(ctx, &object) && obj::finalizers(&object).is_empty() && !options.dry_run {
            let revision: i64 = obj::resource_version(&object).parse().unwrap_or(old.revision);
            let _ = server.storage().delete(&key, revision).await?;
            return Ok(Ok(Outcome::Gone(object)));
        }
        return Ok(Ok(Outcome::Marked(object)));
    }
    if !namespace_is_empty(ctx, &object) || !obj::finalizers(&object).is_empty() {
        return Ok(Ok(Outcome::Marked(object)));
    }
    if !options.dry_run
        && let Err(now) = server.storage().delete(&key, old.revision).await?
    {
        return Ok(Err(now));
    }
    Ok(Ok(Outcome::Gone(object)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_options_are_refused_in_the_decoders_words() {
        let said = |text: &str| unframed(ApiError::bad_request(text)).message;
        assert_eq!(
            said("Foo in version \"v1\" cannot be handled as a DeleteOptions: why (not)"),
            "why (not)"
        );
        assert_eq!(
            said("the object provided is unrecognized (must be of type DeleteOptions): why ([]) (5b5d)"),
            "why ([])"
        );
        assert_eq!(said("another"), "another");
    }
}
