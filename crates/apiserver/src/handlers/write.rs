//! What create, update and patch share: decoding, validation, managed fields, allocations.

use std::collections::HashSet;

use api::Value;
use api::field::{Error, ErrorList, Path};
use api::status::{ApiError, GroupName};
use bytes::Bytes;

use super::Ctx;
use super::options::WriteOptions;
use crate::admission::plugins::lookup;
use crate::allocator::Held;
use crate::negotiate::Media;
use crate::registry::resource::{Resource, Subresource};
use crate::registry::{codec, obj, validate};

/// What a body is to be decoded as.
pub struct Decode<'a> {
    /// The kind.
    pub kind: codec::Kind<'a>,
    /// Its type.
    pub ty: Option<api::schema::StructId>,
    /// Whether it is the resource's own kind, which has defaults.
    pub own: bool,
}

impl<'a> Decode<'a> {
    /// The resource's own kind.
    pub fn of(resource: &'a Resource) -> Decode<'a> {
        Decode {
            kind: codec::Kind { group: &resource.group, version: &resource.version, kind: &resource.kind },
            ty: resource.api.ty,
            own: true,
        }
    }

    /// A subresource's kind.
    pub fn of_subresource(sub: &'a Subresource) -> Decode<'a> {
        Decode {
            kind: codec::Kind { group: &sub.group, version: &sub.version, kind: &sub.kind },
            ty: sub.ty,
            own: false,
        }
    }
}

/// An object of the hub version as it is stored now.
pub enum Saved {
    /// It was written just now: its JSON.
    Text(Bytes),
    /// It was not: nothing changed, it went, or it was a dry run.
    Object(Value),
}

impl Saved {
    /// The object.
    pub fn object(self) -> Result<Value, ApiError> {
        match self {
            Saved::Text(text) => serde_json::from_slice(&text).map_err(ApiError::internal),
            Saved::Object(object) => Ok(object),
        }
    }
}

/// Decodes and defaults a body; what was only worth a warning becomes one.
pub fn decode(
    ctx: &Ctx,
    what: &Decode<'_>,
    bytes: &[u8],
    media: Media,
    options: &WriteOptions,
) -> Result<Value, ApiError> {
    if let Some(custom) = ctx.resource.definition.as_ref().filter(|_| what.own) {
        return crate::crd::custom::decode(ctx, custom, bytes, media, options.field_validation);
    }
    let decoded = codec::decode(bytes, media, what.kind, what.ty, options.field_validation)?;
    let mut object = decoded.tell(ctx);
    let api_version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let expected = what.kind.group_version();
    if api_version != expected {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({expected})"
        )));
    }
    if what.own {
        codec::default(&ctx.resource, &mut object);
    }
    Ok(object)
}

/// Validation of a new object, metadata first or last as upstream has it.
pub async fn validate_create(ctx: &Ctx, object: &Value) -> Result<(), ApiError> {
    let mut errors = admin_access(ctx, object).await?;
    errors.extend(validate::create(&ctx.resource, object, ctx.server.options().allow_privileged));
    refuse(ctx, object, &errors)
}

/// Only namespaces with a label may ask for devices as an administrator (`AuthorizedForAdmin`).
async fn admin_access(ctx: &Ctx, object: &Value) -> Result<ErrorList, ApiError> {
    const LABEL: &str = "resource.kubernetes.io/admin-access";
    let spec = match (ctx.resource.hub_group.as_str(), ctx.resource.plural.as_str()) {
        ("resource.k8s.io", "resourceclaims") => object.pointer("/spec/devices/requests"),
        ("resource.k8s.io", "resourceclaimtemplates") => object.pointer("/spec/spec/devices/requests"),
        _ => None,
    };
    let asked = spec.and_then(Value::as_array).and_then(|requests| {
        requests.iter().position(|r| r.pointer("/exactly/adminAccess").and_then(Value::as_bool) == Some(true))
    });
    let Some(asked) = asked else { return Ok(ErrorList::new()) };
    let (server, namespace) = (&ctx.server, obj::namespace(object));
    let (spec, i) = (Path::new("spec"), asked);
    let devices = spec.child("devices");
    let requests = devices.child("requests");
    let request = requests.index(i);
    let path = request.child("adminAccess");
    let found = lookup::find(server, "", "namespaces", "", namespace).await?;
    let label = found.as_ref().and_then(|n| n.pointer("/metadata/labels")).and_then(|l| l.get(LABEL));
    if label.and_then(Value::as_str) == Some("true") {
        return Ok(ErrorList::new());
    }
    let why =
        format!("admin access to devices requires the `{LABEL}: true` label on the containing namespace");
    Ok(vec![Error::forbidden(&path, why)])
}

/// Validation of a changed object.
pub fn validate_update(ctx: &Ctx, subresource: &str, object: &Value, old: &Value) -> Result<(), ApiError> {
    let errors =
        validate::update(&ctx.resource, subresource, object, old, ctx.server.options().allow_privileged);
    refuse(ctx, object, &errors)
}

fn refuse(ctx: &Ctx, object: &Value, errors: &ErrorList) -> Result<(), ApiError> {
    if errors.is_empty() {
        return Ok(());
    }
    let resource = &ctx.resource;
    // A custom resource is what it says that it is.
    let said = Some(obj::text_at(object, "kind")).filter(|kind| resource.custom && !kind.is_empty());
    let kind = GroupName { group: kinds_group(resource), name: said.unwrap_or(&resource.kind) };
    Err(ApiError::invalid(kind, obj::name(object), errors))
}

/// Upstream names a kind by its internal type: that of the stored version's group, and once that of `extensions` for
/// the kinds that began there (PodSecurityPolicies until they went).
pub fn kinds_group(resource: &Resource) -> &str {
    let old = resource.era() < api::kinds::Era::Now;
    match resource.plural.as_str() {
        "ingresses" | "podsecuritypolicies" if old => "extensions",
        "networkpolicies" if resource.group == "extensions" => "extensions",
        _ => &resource.hub_group,
    }
}

/// When owners were found to occur twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// As the request sent them.
    Sent,
    /// In what a patch made: upstream looks at that only later.
    Patched,
}

/// Owner references that occur twice are dropped with a warning (`dedupOwnerReferencesAndAddWarning`).
pub fn dedup_owners(ctx: &Ctx, object: &mut Value, when: Found) {
    let meta = obj::metadata_mut(object);
    let Some(Value::Array(owners)) = meta.get_mut("ownerReferences") else { return };
    let mut seen: HashSet<Value> = HashSet::with_capacity(owners.len());
    let mut twice: Vec<String> = Vec::new();
    let mut named: HashSet<String> = HashSet::new();
    owners.retain(|owner| {
        let first = seen.insert(owner.clone());
        let uid = owner.get("uid").and_then(Value::as_str).unwrap_or_default();
        if !first && named.insert(uid.to_owned()) {
            twice.push(uid.to_owned());
        }
        first
    });
    if !twice.is_empty() {
        ctx.warn(format!(
            ".metadata.ownerReferences contains duplicate entries{}; API server dedups owner references in 1.20+, and may \
             reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            if when == Found::Sent { "" } else { " after mutating admission happens" },
            twice.join(", ")
        ));
    }
}

/// Takes what a new object needs from shared ranges (addresses and ports of services).
pub async fn before_create(ctx: &Ctx, object: &mut Value, options: &WriteOptions) -> Result<Held, ApiError> {
    if ctx.resource.is("", "services") {
        return ctx.server.allocators().for_new_service(ctx, object, options.dry_run).await;
    }
    Ok(Held::default())
}

/// The same for a changed object.
pub async fn before_update(
    ctx: &Ctx,
    object: &mut Value,
    old: &Value,
    options: &WriteOptions,
) -> Result<Held, ApiError> {
    if ctx.resource.is("", "services") {
        return ctx.server.allocators().for_changed_service(ctx, object, old, options.dry_run).await;
    }
    Ok(Held::default())
}

/// Tells the client what is odd about a new object.
pub fn warn_create(ctx: &Ctx, object: &Value) {
    for text in crate::registry::warnings::of(&ctx.resource, object, None) {
        ctx.warn_of_object(text);
    }
}

/// Tells the client what is odd about a changed object.
pub fn warn_update(ctx: &Ctx, subresource: &str, object: &Value, old: &Value) {
    if matches!(subresource, "" | "scale") {
        for text in crate::registry::warnings::of(&ctx.resource, object, Some(old)) {
            ctx.warn_of_object(text);
        }
    }
}
