//! `/scale`: how many replicas, in each version's own shape of `Scale`.

use std::borrow::Cow;

use ::patch::apply::fieldpath::Element;
use ::patch::apply::scale::{VERSION, to_object, to_scale};
use api::field::{Error, Path};
use api::kinds::Era;
use api::status::{ApiError, GroupName};
use api::{Object, Value};
use serde_json::json;

use crate::handlers::create::check_namespace;
use crate::handlers::managed::{self, ScaleWrite};
use crate::handlers::options::WriteOptions;
use crate::handlers::patch::kinds::PatchType;
use crate::handlers::patch::{self, kinds};
use crate::handlers::update::{CONFLICT_TRIES, MODIFIED, check_name, store_changed};
use crate::handlers::write::{self, Decode};
use crate::handlers::{Ctx, method_not_allowed, read_body};
use crate::http::{Incoming, Response};
use crate::registry::obj;
use crate::registry::resource::{Subresource, group_version};
use crate::registry::storage::Stored;

/// Where an object keeps what its scale shows.
struct Paths {
    replicas: String,
    status: String,
    selector: Option<String>,
}

fn paths(ctx: &Ctx) -> Paths {
    if let Some(scale) = ctx.resource.definition.as_ref().and_then(|c| c.scale()) {
        return Paths {
            replicas: scale.replicas.clone(),
            status: scale.status.clone(),
            selector: scale.selector.clone(),
        };
    }
    Paths {
        replicas: "spec.replicas".into(),
        status: "status.replicas".into(),
        selector: Some("spec.selector".into()),
    }
}

/// Answers GET, PUT and PATCH.
pub async fn answer(ctx: &Ctx, body: Incoming) -> Result<Response, ApiError> {
    let Some(sub) = ctx.resource.subresource("scale").cloned() else { return Err(method_not_allowed()) };
    let accept = ctx.accept()?;
    let storage = ctx.server.storage();
    let (namespace, name) = (&ctx.info.namespace, &ctx.info.name);
    match ctx.info.verb {
        "get" => {
            crate::handlers::get::refuse_export(ctx)?;
            crate::handlers::check_segment(name)?;
            let found = match storage.get(&ctx.resource, namespace, name).await? {
                Some(found) => found,
                None if ctx.resource.era() < Era::Now => return Err(no_scale(ctx)),
                None => return Err(ApiError::not_found(ctx.resource.group_resource(), name)),
            };
            let object = asked(ctx, &found.object);
            check_there(ctx, &object)?;
            ctx.asked(200, &accept, scale_of(ctx, &sub, &object))
        }
        "update" => {
            let media = crate::negotiate::content_type(&ctx.parts.headers)?;
            let bytes = read_body(body).await?;
            let options = WriteOptions::parse(&ctx.query, "UpdateOptions", false)?;
            let scale = write::decode(ctx, &Decode::of_subresource(&sub), &bytes, media, &options)
                .map_err(|error| unknown_to_custom(ctx, error))?;
            check_name(ctx, &scale)?;
            let wanted = |old: &Value, managed: Managed| updated(ctx, &sub, old, managed, &scale, &options);
            let changed = change(ctx, &sub, &options, wanted).await?;
            ctx.asked(200, &accept, changed)
        }
        "patch" => {
            let (patch_type, bytes, options) = patch::read(ctx, body, ctx.resource.custom).await?;
            if patch_type == PatchType::Apply {
                let mut config = managed::configuration(&bytes, &options)?;
                // The scales of 2018 keep the number in the same place.
                let own = group_version(&sub.group, &sub.version);
                if config.fields.get("apiVersion").and_then(Value::as_str) == Some(&own) {
                    config.fields.insert("apiVersion".into(), VERSION.into());
                }
                config.check_type(("autoscaling", "v1", "Scale"), ctx.resource.era())?;
                let wanted = |old: &Value, managed: Managed| {
                    let live = plain(&live_scale(ctx, &sub, old), managed);
                    let write = ScaleWrite::Apply(&config.fields);
                    let scale = managed::write_scale(ctx, &live, write, &options)?;
                    config.judge(ctx, &options)?;
                    Ok(Wanted::of(scale))
                };
                let changed = change(ctx, &sub, &options, wanted).await?;
                return ctx.asked(200, &accept, changed);
            }
            let parsed = kinds::parse(patch_type, &bytes, options.field_validation)?;
            let wanted = |old: &Value, managed: Managed| {
                let mut parsed = parsed.clone();
                let current = Cow::Owned(live_scale(ctx, &sub, old));
                let scale = kinds::apply(patch_type, &mut parsed.value, current, sub.ty)?;
                let before = patch::Before {
                    managed: None,
                    stored: None,
                    object: &|| Some(live_scale(ctx, &sub, old)),
                };
                let scale = match sub.ty {
                    Some(ty) => {
                        let target = api::decode::Target {
                            group: &sub.group,
                            version: &sub.version,
                            kind: &sub.kind,
                            ty,
                            schemas: api::schema::builtin(),
                        };
                        patch::as_typed(ctx, &target, patch_type, &parsed, scale, &before, &options)?
                    }
                    None => scale,
                };
                updated(ctx, &sub, old, managed, &scale, &options)
            };
            let changed = change(ctx, &sub, &options, wanted).await?;
            ctx.asked(200, &accept, changed)
        }
        _ => Err(method_not_allowed()),
    }
}

/// Upstream's server of custom resources does not know the scale's type when it wants to say what is wrong with one.
fn unknown_to_custom(ctx: &Ctx, error: ApiError) -> ApiError {
    let is_read = error.message.starts_with("the API version in the data");
    if !ctx.resource.custom || error.code != 400 || is_read {
        return error;
    }
    ApiError::bad_request(
        "no kind is registered for the type v1.Scale in scheme \"k8s.io/apiextensions-apiserver\"",
    )
}

/// Who manages a scale.
type Managed = Option<Value>;

/// A scale as it shall be, and who manages it then.
struct Wanted {
    scale: Value,
    managed: Managed,
}

impl Wanted {
    fn of(scale: Object) -> Wanted {
        let managed = scale.get("metadata").and_then(|m| m.get("managedFields")).cloned();
        Wanted { scale: scale.into(), managed }
    }
}

/// A scale of any version as managed fields see it: of `autoscaling/v1`, with its managers.
fn plain(scale: &Value, managed: Managed) -> Object {
    let mut plain = scale.clone();
    plain["apiVersion"] = VERSION.into();
    if let Some(status) = plain.get_mut("status").and_then(Value::as_object_mut)
        && status.get("selector").is_none_or(Value::is_object)
    {
        // The old versions have the text elsewhere.
        match status.remove("targetSelector") {
            Some(text) => status.insert("selector".into(), text),
            None => status.remove("selector"),
        };
    }
    managed::set_managed(&mut plain, managed);
    match plain {
        Value::Object(fields) => fields,
        _ => Object::new(),
    }
}

/// A scale that was sent, or patched.
fn updated(
    ctx: &Ctx,
    sub: &Subresource,
    old: &Value,
    managed: Managed,
    scale: &Value,
    options: &WriteOptions,
) -> Result<Wanted, ApiError> {
    let live = plain(&live_scale(ctx, sub, old), managed);
    let written = managed::write_scale(ctx, &live, ScaleWrite::Update(&plain(scale, None)), options)?;
    Ok(Wanted { managed: Wanted::of(written).managed, scale: scale.clone() })
}

/// Where the versions of the resource keep the number.
fn paths_of_versions(ctx: &Ctx) -> Vec<(String, Option<Vec<Element<'_>>>)> {
    let steps = |path| str::split(path, '.').map(Element::field).collect();
    let versions = ctx.resource.api.kind.served.iter().map(|served| {
        let path = match &ctx.resource.definition {
            Some(custom) => custom.scale_of(&served.version).map(|s| steps(&s.replicas)),
            None => Some(steps("spec.replicas")),
        };
        (group_version(&served.group, &served.version), path)
    });
    versions.collect()
}

async fn change(
    ctx: &Ctx,
    sub: &Subresource,
    options: &WriteOptions,
    wanted: impl Fn(&Value, Managed) -> Result<Wanted, ApiError>,
) -> Result<Value, ApiError> {
    let storage = ctx.server.storage();
    let versions = paths_of_versions(ctx);
    let tracked = WriteOptions { tracked: true, ..options.clone() };
    let mut current = storage.get(&ctx.resource, &ctx.info.namespace, &ctx.info.name).await?;
    for _ in 0..CONFLICT_TRIES {
        let Some(old) = current else {
            return Err(if ctx.resource.era() < Era::Now {
                no_scale(ctx)
            } else {
                ApiError::not_found(ctx.resource.group_resource(), &ctx.info.name)
            });
        };
        let entries = obj::metadata(&old.object).and_then(|m| m.get("managedFields"));
        let mut object = asked(ctx, &old.object).into_owned();
        let Wanted { mut scale, managed } = wanted(&object, to_scale(entries, &versions))?;
        if ctx.resource.era() == Era::Now {
            check_namespace(ctx, &mut scale)?;
        }
        check_name(ctx, &scale)?;
        if ctx.resource.custom && obj::number_at(&scale, "spec.replicas") == Some(NEVER_SET) {
            let path = &paths(ctx).replicas;
            return Err(ApiError::bad_request(format!(
                "the spec replicas field \".{path}\" cannot be empty"
            )));
        }
        validate(ctx, sub, &scale)?;
        check_same(ctx, &scale, &old)?;
        let replicas = obj::number_at(&scale, "spec.replicas").unwrap_or(0);
        set(&mut object, &paths(ctx).replicas, replicas);
        let managed = to_object(entries, managed.as_ref(), &ctx.resource.group_version(), &versions);
        managed::set_managed(&mut object, managed);
        match store_changed(ctx, &old, object, "scale", &tracked).await? {
            Ok(saved) => return Ok(scale_of(ctx, sub, &asked(ctx, &saved.object()?))),
            Err(now) => current = now,
        }
    }
    Err(ApiError::conflict(ctx.resource.group_resource(), &ctx.info.name, MODIFIED))
}

/// What upstream says when there is nothing to scale.
fn no_scale(ctx: &Ctx) -> ApiError {
    let resource = &ctx.resource;
    if resource.custom {
        return ApiError::not_found(resource.group_resource(), &ctx.info.name);
    }
    let name = format!("{}/scale", resource.plural);
    let group = GroupName { group: group_then(ctx), name: &name };
    ApiError::not_found(group, &ctx.info.name)
}

/// The group that servers named: deployments and replica sets began in `extensions`.
fn group_then(ctx: &Ctx) -> &str {
    let resource = &ctx.resource;
    let early = resource.era() == Era::Early && resource.plural != "statefulsets";
    if early { "extensions" } else { &resource.hub_group }
}

/// A stored object as its version shows it.
fn asked<'a>(ctx: &Ctx, object: &'a Value) -> Cow<'a, Value> {
    match &ctx.resource.definition {
        Some(custom) => Cow::Owned(custom.worked_on(object)),
        None => Cow::Borrowed(object),
    }
}

/// A custom resource must have the number that its scale shows.
fn check_there(ctx: &Ctx, object: &Value) -> Result<(), ApiError> {
    let path = &paths(ctx).replicas;
    if ctx.resource.custom && obj::number_at(object, path).is_none() {
        return Err(ApiError::internal(format!("the spec replicas field \".{path}\" does not exist")));
    }
    Ok(())
}

/// The number that a custom resource without one has while its scale is changed, so that what does not set it shows.
const NEVER_SET: i64 = i32::MIN as i64;

/// The scale that is changed.
fn live_scale(ctx: &Ctx, sub: &Subresource, object: &Value) -> Value {
    let mut scale = scale_of(ctx, sub, object);
    if ctx.resource.custom && obj::number_at(object, &paths(ctx).replicas).is_none() {
        scale["spec"]["replicas"] = NEVER_SET.into();
    }
    scale
}

fn set(object: &mut Value, path: &str, number: i64) {
    let mut at = object;
    for step in path.split('.') {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[step];
    }
    *at = number.into();
}

fn check_same(ctx: &Ctx, scale: &Value, old: &Stored) -> Result<(), ApiError> {
    let version = obj::resource_version(scale);
    if !version.is_empty() && version != "0" && version != obj::resource_version(&old.object) {
        return Err(ApiError::conflict(ctx.resource.group_resource(), &ctx.info.name, MODIFIED));
    }
    crate::handlers::update::check_uid(ctx, scale, old)
}

fn validate(ctx: &Ctx, sub: &Subresource, scale: &Value) -> Result<(), ApiError> {
    let replicas = obj::number_at(scale, "spec.replicas").unwrap_or(0);
    if replicas >= 0 || ctx.resource.custom {
        return Ok(());
    }
    let why = "must be greater than or equal to 0";
    let error = Error::invalid(&Path::new("spec.replicas"), &Value::from(replicas), why);
    let group = if ctx.resource.era() == Era::Early { "extensions" } else { &sub.group };
    let kind = GroupName { group, name: "Scale" };
    Err(ApiError::invalid(kind, &ctx.info.name, &vec![error]))
}

/// The scale of an object of the hub version.
fn scale_of(ctx: &Ctx, sub: &Subresource, object: &Value) -> Value {
    let paths = paths(ctx);
    let of_meta = |field: &str| obj::metadata(object).and_then(|m| m.get(field)).cloned();
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = of_meta(field) {
            metadata[field] = value;
        }
    }
    let mut spec = json!({});
    let replicas = obj::number_at(object, &paths.replicas).unwrap_or(0);
    if replicas != 0 {
        spec["replicas"] = replicas.into();
    }
    let mut status = json!({"replicas": obj::number_at(object, &paths.status).unwrap_or(0)});
    let selector = paths.selector.as_deref().and_then(|p| obj::at(object, p));
    if let Some(selector) = selector {
        let text = selector_text(selector);
        if sub.group == "autoscaling" {
            if !text.is_empty() {
                status["selector"] = text.into();
            }
        } else {
            // The old versions show equality labels as a map, and the whole selector as text.
            let labels = selector.get("matchLabels").or_else(|| selector.is_object().then_some(selector));
            let only_labels =
                selector.get("matchExpressions").and_then(Value::as_array).is_none_or(Vec::is_empty);
            if let Some(labels) = labels.filter(|l| only_labels && l.get("matchExpressions").is_none()) {
                status["selector"] = labels.clone();
            }
            if !text.is_empty() {
                status["targetSelector"] = text.into();
            }
        }
    }
    json!({
        "kind": "Scale", "apiVersion": group_version(&sub.group, &sub.version), "metadata": metadata, "spec": spec,
        "status": status,
    })
}

/// A selector as text (`metav1.FormatLabelSelector`'s form, sorted by key).
fn selector_text(selector: &Value) -> String {
    if let Some(text) = selector.as_str() {
        return text.to_owned();
    }
    let mut parts: Vec<(String, String)> = Vec::new();
    let modern = selector.get("matchLabels").is_some() || selector.get("matchExpressions").is_some();
    let labels = if modern { selector.get("matchLabels") } else { Some(selector) };
    for (key, value) in labels.and_then(Value::as_object).into_iter().flatten() {
        parts.push((key.clone(), format!("{key}={}", value.as_str().unwrap_or_default())));
    }
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    for e in expressions.into_iter().flatten() {
        let key = e.get("key").and_then(Value::as_str).unwrap_or_default();
        let mut values = obj::strings(e.get("values"));
        values.sort();
        let list = values.join(",");
        let text = match e.get("operator").and_then(Value::as_str).unwrap_or_default() {
            "In" => format!("{key} in ({list})"),
            "NotIn" => format!("{key} notin ({list})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        };
        parts.push((key.to_owned(), text));
    }
    parts.sort();
    parts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}
