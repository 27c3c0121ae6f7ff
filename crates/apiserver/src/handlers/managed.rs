//! `metadata.managedFields` and server-side apply: calls into `patch::apply`.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use api::decode::zero;
use api::kinds::Era;
use api::schema::{self, Type};
use api::status::ApiError;
use api::{Object, Value};
use patch::apply::fieldpath::{Element, Set};
use patch::apply::manager::{self, Request, Versions};
use patch::apply::scale;
use patch::schema::Typed;
use serde_json::json;

use super::Ctx;
use super::options::WriteOptions;
use super::patch::restore;
use super::update::{CONFLICT_TRIES, MODIFIED, check_name, store_changed};
use crate::bootstrap::Owners;
use crate::http::Response;
use crate::negotiate::Accept;
use crate::registry::resource::{Resource, group_version};
use crate::registry::{codec, obj, strategy};

/// The versions of a kind, as managed fields need them.
struct Kinds<'a> {
    resource: &'a Resource,
    types: Vec<(String, Type)>,
}

impl<'a> Kinds<'a> {
    fn of(resource: &'a Resource) -> Kinds<'a> {
        let types = resource.api.kind.served.iter().map(|s| {
            let ty = s.ty.map_or(Type::Any, Type::Struct);
            (group_version(&s.group, &s.version), ty)
        });
        Kinds { resource, types: types.collect() }
    }
}

/// A borrowed view, so that schemas may outlive the call.
struct View<'a>(&'a Kinds<'a>);

impl<'a> Versions for View<'a> {
    type Schema = Typed<'a>;

    fn schema(&self, version: &str) -> Option<Typed<'a>> {
        // A group's schemas have no other group's kinds: what managed them is forgotten.
        let (resource, (group, of)) = (self.0.resource, api::kinds::split_api_version(version));
        let now = |group, of| {
            let found = api::kinds::builtin().by_kind(group, of, &resource.kind);
            found.is_some_and(|r| r.era() == Era::Now)
        };
        if group != resource.group && now(&resource.group, &resource.version) && now(group, of) {
            return None;
        }
        let (_, ty) = self.0.types.iter().find(|(v, _)| v == version)?;
        let schemas = match &self.0.resource.definition {
            Some(custom) => custom.schemas(),
            None => schema::builtin(),
        };
        Some(Typed::new(schemas, ty))
    }

    fn convert(&self, object: &Object, from: &str, to: &str) -> Option<Object> {
        if from == to {
            return Some(object.clone());
        }
        if self.0.resource.custom {
            let mut object = object.clone();
            object.insert("apiVersion".to_owned(), to.into());
            return Some(object);
        }
        let at = |version: &str| {
            let index = self.0.types.iter().position(|(v, _)| v == version)?;
            Some(api::kinds::Resource { kind: self.0.resource.api.kind.clone(), index })
        };
        let hub = api::convert::to_hub(&at(from)?, Value::Object(object.clone())).ok()?;
        match api::convert::from_hub(&at(to)?, hub) {
            Value::Object(fields) => Some(fields),
            _ => None,
        }
    }
}

/// The fields that an endpoint resets, and that nobody owns through it (`GetResetFields`).
fn reset(resource: &Resource, subresource: &str) -> Set<'static> {
    let mut set = Set::default();
    let mut add = |path: &[&'static str]| {
        let path: Vec<Element<'static>> = path.iter().map(|p| Element::field(p)).collect();
        set.insert(&path);
    };
    if resource.subresource("status").is_none() {
        return set;
    }
    let requests = resource.is("certificates.k8s.io", "certificatesigningrequests");
    match subresource {
        "" if requests => {
            add(&["spec"]);
            add(&["status"]);
        }
        "" | "finalize" => add(&["status"]),
        "status" => {
            add(&["spec"]);
            if strategy::keeps_metadata(resource) || resource.is("apiregistration.k8s.io", "apiservices") {
                add(&["metadata"]);
            } else if resource.is("apps", "deployments") {
                add(&["metadata", "labels"]);
            } else if resource.is("", "pods") {
                add(&["metadata", "deletionTimestamp"]);
                add(&["metadata", "ownerReferences"]);
            } else if requests {
                add(&["status", "conditions"]);
            }
        }
        "approval" => {
            add(&["spec"]);
            add(&["status", "certificate"]);
        }
        "ephemeralcontainers" => {
            add(&["metadata"]);
            add(&["status"]);
            let schemas = schema::builtin();
            let spec = resource.api.ty.and_then(|ty| schemas.get(ty).field("spec"));
            if let Some(Type::Struct(spec)) = spec.map(|f| &f.ty) {
                let others = schemas.get(*spec).fields.iter().filter(|f| f.name != "ephemeralContainers");
                others.for_each(|f| add(&["spec", &f.name]));
            }
        }
        _ => {}
    }
    set
}

/// A type with one version that managed fields know.
struct Single {
    version: &'static str,
    ty: Type,
}

impl Single {
    fn new(version: &'static str, ty: &str) -> Single {
        let ty = schema::builtin().by_name(ty);
        Single { version, ty: ty.map_or(Type::Any, Type::Struct) }
    }

    /// `autoscaling/v1` scales.
    fn scale() -> Single {
        Single::new(scale::VERSION, "io.k8s.api.autoscaling.v1.Scale")
    }

    fn token_request() -> Single {
        Single::new("authentication.k8s.io/v1", "io.k8s.api.authentication.v1.TokenRequest")
    }
}

/// It as [`Versions`]: schemas may outlive the call.
struct SingleView<'a>(&'a Single);

impl<'a> Versions for SingleView<'a> {
    type Schema = Typed<'a>;

    fn schema(&self, version: &str) -> Option<Typed<'a>> {
        (version == self.0.version).then(|| Typed::new(schema::builtin(), &self.0.ty))
    }

    fn convert(&self, object: &Object, _: &str, to: &str) -> Option<Object> {
        (to == self.0.version).then(|| object.clone())
    }
}

/// Notes in a token request who set what.
pub fn track_token(ctx: &Ctx, token: &mut Value, options: &WriteOptions) {
    let single = Single::token_request();
    let empty = fields(zero::value(schema::builtin(), &single.ty));
    let manager = ctx.manager(&options.field_manager);
    let request = Request {
        versions: &SingleView(&single),
        version: single.version,
        subresource: "token",
        manager: &manager,
        reset: &Set::default(),
        empty: &empty,
        now: &obj::now(),
    };
    if let Some(token) = token.as_object_mut() {
        manager::update(&Object::new(), token, &request);
    }
}

/// How a scale is written.
#[derive(Clone, Copy)]
pub enum ScaleWrite<'a> {
    /// This is the new one.
    Update(&'a Object),
    /// This is applied.
    Apply(&'a Object),
}

/// Writes a scale (of `autoscaling/v1`); gives it with who manages it then.
pub fn write_scale(
    ctx: &Ctx,
    live: &Object,
    write: ScaleWrite<'_>,
    options: &WriteOptions,
) -> Result<Object, ApiError> {
    let scales = Single::scale();
    let view = SingleView(&scales);
    let (set, new, now) = (Set::default(), Object::new(), obj::now());
    let manager = ctx.manager(&options.field_manager);
    let request = Request {
        versions: &view,
        version: scale::VERSION,
        subresource: "scale",
        manager: &manager,
        reset: &set,
        empty: &new,
        now: &now,
    };
    match write {
        ScaleWrite::Update(wanted) => {
            let mut wanted = wanted.clone();
            manager::update(live, &mut wanted, &request);
            Ok(wanted)
        }
        ScaleWrite::Apply(config) => manager::apply(live, config, options.force, &request),
    }
}

/// A new object of the version that is asked. Custom resources begin with nothing.
fn empty(resource: &Resource) -> Object {
    let ty = resource.api.ty.filter(|_| !resource.custom);
    fields(ty.map_or(Value::Null, |ty| zero::value(schema::builtin(), &Type::Struct(ty))))
}

fn fields(value: Value) -> Object {
    match value {
        Value::Object(fields) => fields,
        _ => Object::new(),
    }
}

/// Notes in a new or changed object (of the hub version) who set what. `old` is none for a create.
pub fn track(
    ctx: &Ctx,
    object: &mut Value,
    old: Option<&Value>,
    subresource: &str,
    options: &WriteOptions,
) -> Result<(), ApiError> {
    if options.tracked {
        return Ok(());
    }
    if !ctx.empties.load(Ordering::Relaxed) {
        return track_settled(ctx, object, old, subresource, options);
    }
    // Nobody owns what will not be there.
    let mut settled = object.clone();
    if let Some(ty) = ctx.resource.api.hub().ty.filter(|_| !ctx.resource.custom) {
        zero::normalise_unstored(schema::builtin(), &Type::Struct(ty), &mut settled);
    }
    // An empty list of managers means something.
    set_managed(&mut settled, obj::managed_fields(object).cloned());
    track_settled(ctx, &mut settled, old, subresource, options)?;
    let managed = obj::metadata(&settled).and_then(|m| m.get("managedFields")).cloned();
    set_managed(object, managed);
    Ok(())
}

fn track_settled(
    ctx: &Ctx,
    object: &mut Value,
    old: Option<&Value>,
    subresource: &str,
    options: &WriteOptions,
) -> Result<(), ApiError> {
    let resource = &ctx.resource;
    let kinds = Kinds::of(resource);
    let view = View(&kinds);
    let version = resource.group_version();
    let set = reset(resource, subresource);
    let manager = ctx.manager(&options.field_manager);
    let now = obj::now();
    let new = if old.is_none() { empty(resource) } else { Object::new() };
    let request = Request {
        versions: &view,
        version: &version,
        subresource,
        manager: &manager,
        reset: &set,
        empty: &new,
        now: &now,
    };
    let empty = Object::new();
    if resource.is_hub() {
        let live = old.and_then(Value::as_object).unwrap_or(&empty);
        if let Some(asked) = object.as_object_mut() {
            manager::update(live, asked, &request);
        }
        return Ok(());
    }
    let view = |object: &Value| match &resource.definition {
        Some(custom) => Ok(custom.to_asked(object.clone())),
        None => codec::from_hub(resource, object.clone()),
    };
    let live = match old {
        Some(old) => fields(view(old)?),
        None => empty,
    };
    let mut asked = fields(view(object)?);
    manager::update(&live, &mut asked, &request);
    let managed = asked.get("metadata").and_then(|m| m.get("managedFields")).cloned();
    set_managed(object, managed);
    Ok(())
}

/// Notes in an object that the server makes by itself (of the hub version) who manages it.
pub fn seed(resource: &Resource, object: &mut Value, owners: Owners) {
    let kinds = Kinds::of(resource);
    let (version, now) = (resource.group_version(), obj::now());
    let (set, empty) = (reset(resource, ""), empty(resource));
    let request = Request {
        versions: &View(&kinds),
        version: &version,
        subresource: "",
        manager: owners.manager,
        reset: &set,
        empty: &empty,
        now: &now,
    };
    let mut asked = object.clone();
    owners.filled.iter().for_each(|(parent, field)| obj::remove_field(&mut asked[*parent], field));
    if let Some(fields) = asked.as_object_mut() {
        manager::update(&Object::new(), fields, &request);
    }
    set_managed(object, obj::managed_fields(&asked).cloned());
    let Some((manager, has_reason)) = owners.status else { return };
    let kind = object["status"]["conditions"][0]["type"].clone();
    let mut condition = json!({
        ".": {}, "f:lastTransitionTime": {}, "f:message": {}, "f:status": {}, "f:type": {},
    });
    if has_reason {
        condition["f:reason"] = json!({});
    }
    let key = format!("k:{}", json!({"type": kind}));
    let entry = json!({
        "manager": manager, "operation": "Apply", "apiVersion": version, "time": now, "fieldsType": "FieldsV1",
        "fieldsV1": {"f:status": {"f:conditions": {key: condition}}}, "subresource": "status",
    });
    let own = obj::managed_fields(object).and_then(Value::as_array).cloned().unwrap_or_default();
    let all = std::iter::once(entry).chain(own).collect();
    set_managed(object, Some(Value::Array(all)));
}

/// Puts entries in place of those that are there.
pub fn set_managed(object: &mut Value, managed: Option<Value>) {
    let meta = obj::metadata_mut(object);
    match managed {
        Some(managed) if !managed.is_null() => meta.insert("managedFields".into(), managed),
        _ => meta.remove("managedFields"),
    };
}

/// A write that changes nothing but the times of managers changes nothing
/// (`IgnoreManagedFieldsTimestampsTransformer`).
pub fn keep_times(object: &mut Value, old: &Value) {
    fn of(object: &Value) -> Option<&Vec<Value>> {
        obj::managed_fields(object)?.as_array()
    }
    let (Some(new_fields), Some(old_fields)) = (of(object), of(old)) else { return };
    if new_fields == old_fields || !same_but_times(new_fields, old_fields) {
        return;
    }
    let (Some(a), Some(b)) = (object.as_object(), old.as_object()) else { return };
    let none = Object::new();
    let (new_meta, old_meta) = (obj::metadata(object).unwrap_or(&none), obj::metadata(old).unwrap_or(&none));
    let versions = ["managedFields", "resourceVersion"];
    if obj::same_but(a, b, &["metadata"]) && obj::same_but(new_meta, old_meta, &versions) {
        let old_fields = Value::Array(old_fields.clone());
        set_managed(object, Some(old_fields));
    }
}

/// Whether two lists have the same entries, in any order and at any times.
fn same_but_times(a: &[Value], b: &[Value]) -> bool {
    fn timeless(entry: &Value) -> impl Iterator<Item = (&String, &Value)> {
        entry.as_object().into_iter().flatten().filter(|(name, _)| *name != "time")
    }
    // Who it is: no two entries of a list have the same. The fields are many, and looked at last.
    let id =
        |entry| ["manager", "operation", "apiVersion", "subresource"].map(|name| obj::text_at(entry, name));
    if a.len() != b.len() {
        return false;
    }
    let others: HashMap<[&str; 4], &Value> = b.iter().map(|entry| (id(entry), entry)).collect();
    a.iter().all(|entry| others.get(&id(entry)).is_some_and(|other| timeless(entry).eq(timeless(other))))
}

/// Reads an applied configuration.
pub fn configuration(bytes: &[u8], options: &WriteOptions) -> Result<Configuration, ApiError> {
    let document = crate::encoding::yaml::read(bytes).map_err(|why| {
        ApiError::bad_request(format!("error decoding YAML: error converting YAML to JSON: {why}"))
    })?;
    if !document.value.is_null() && !document.value.is_object() {
        let is = api::decode::kind_of(&document.value);
        return Err(ApiError::bad_request(format!(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {is} into Go value of \
             type map[string]interface {{}}"
        )));
    }
    let strict = match options.field_validation {
        codec::FieldValidation::Ignore => Vec::new(),
        _ => document.twice,
    };
    Ok(Configuration { fields: fields(document.value), twice: strict })
}

/// An applied configuration.
pub struct Configuration {
    /// What is applied.
    pub fields: Object,
    twice: Vec<String>,
}

impl Configuration {
    /// A configuration is of the kind (group, version, kind) that is asked. Earlier servers told another version of it
    /// later, in other words.
    pub fn check_type(&self, meant: (&str, &str, &str), era: Era) -> Result<(), ApiError> {
        let text = |name: &str| self.fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let (kind, (group, version)) = (text("kind"), api::kinds::split_api_version(text("apiVersion")));
        let nothing = kind.is_empty() || version.is_empty();
        if !nothing && (era < Era::Now || (group, version, kind) == meant) {
            return Ok(());
        }
        // What has a slash too many has no version.
        let (group, version) = if version.contains('/') { ("", "") } else { (group, version) };
        Err(ApiError::bad_request(format!("invalid object type: {group}/{version}, Kind={kind}")))
    }

    /// Tells of keys that occur twice, or refuses them: upstream does so after it has merged.
    pub fn judge(&self, ctx: &Ctx, options: &WriteOptions) -> Result<(), ApiError> {
        if self.twice.is_empty() {
            return Ok(());
        }
        if options.field_validation == codec::FieldValidation::Strict {
            let errors = codec::yaml_errors(&self.twice);
            let why = format!("error strict decoding YAML: error converting YAML to JSON: {errors}");
            return Err(ApiError::bad_request(why));
        }
        self.twice.iter().for_each(|duplicate| ctx.warn(duplicate.clone()));
        Ok(())
    }
}

/// Server-side apply.
pub async fn apply(
    ctx: &Ctx,
    accept: &Accept,
    subresource: &str,
    bytes: &[u8],
    options: &WriteOptions,
) -> Result<Response, ApiError> {
    super::check_segment(&ctx.info.name)?;
    let (storage, resource) = (ctx.server.storage(), &ctx.resource);
    let mut current = ctx.server.recent(resource, ctx.named(), options.dry_run).await?;
    if current.is_none() && !subresource.is_empty() && !strategy::status_creates(resource, subresource) {
        return Err(ApiError::not_found(resource.group_resource(), &ctx.info.name));
    }
    let config = configuration(bytes, options)?;
    let meant = (resource.group.as_str(), resource.version.as_str(), resource.kind.as_str());
    config.check_type(meant, resource.era())?;
    let options = WriteOptions { tracked: true, ..options.clone() };
    for _ in 0..CONFLICT_TRIES {
        let Some(old) = current else {
            let mut object = merged(ctx, None, &config, subresource, &options)?;
            let uid = obj::uid(&object);
            if !uid.is_empty() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                );
                return Err(ApiError::conflict(resource.group_resource(), &ctx.info.name, &why));
            }
            super::update::forget_version(&mut object)?;
            let created = super::create::store_new(ctx, object, &options).await?;
            return ctx.saved(201, accept, created);
        };
        let made = merged(ctx, Some(&old.object), &config, subresource, &options).and_then(|object| {
            super::update::check_version(ctx, &object, &old)?;
            Ok(object)
        });
        let result = match made {
            Ok(object) => store_changed(ctx, &old, object, subresource, &options).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(Ok(saved)) => return ctx.saved(200, accept, saved),
            Ok(Err(now)) => current = now,
            Err(error) if old.fresh => return Err(error),
            Err(_) => current = storage.get(resource, &ctx.info.namespace, &ctx.info.name).await?,
        }
    }
    Err(ApiError::conflict(resource.group_resource(), &ctx.info.name, MODIFIED))
}

/// What was applied, as its type has it. Upstream takes it through its converter of untyped maps, which cuts numbers to
/// the size of their fields and has words of its own for what does not fit.
fn typed(ctx: &Ctx, config: &Object, mut object: Value, options: &WriteOptions) -> Result<Value, ApiError> {
    let resource = &ctx.resource;
    let Some(ty) = resource.api.ty.filter(|_| !resource.custom && resource.era() == Era::Now) else {
        return codec::recheck(ctx, resource, object, options);
    };
    let ty = Type::Struct(ty);
    let failed = |why: String| {
        let about = manager::describe(config);
        let (_, kind) = about.split_once("; ").unwrap_or_default();
        let why = format!(
            "failed to convert new object ({about}) to proper version: unable to convert unstructured object to {kind}: {why}"
        );
        ApiError::new(500, "", why)
    };
    restore::cut(&mut object, &ty);
    if let Some(why) = restore::misfit(&object, &ty) {
        return Err(failed(why));
    }
    codec::recheck(ctx, resource, object, options).map_err(|error| {
        let framed = format!("cannot be handled as a {}: ", resource.kind);
        match error.message.split_once(&framed) {
            Some((_, why)) => failed(restore::told(why.to_owned())),
            None => error,
        }
    })
}

/// The object (of the hub version) that an applied configuration makes of the live one.
fn merged(
    ctx: &Ctx,
    live: Option<&Value>,
    config: &Configuration,
    subresource: &str,
    options: &WriteOptions,
) -> Result<Value, ApiError> {
    let resource = &ctx.resource;
    let kinds = Kinds::of(resource);
    let view = View(&kinds);
    let version = resource.group_version();
    let set = reset(resource, subresource);
    let (now, new) = (obj::now(), empty(resource));
    let request = Request {
        versions: &view,
        version: &version,
        subresource,
        manager: &options.field_manager,
        reset: &set,
        empty: &new,
        now: &now,
    };
    let live = match live {
        Some(live) => fields(codec::from_hub(resource, live.clone())?),
        None => Object::new(),
    };
    let object = manager::apply(&live, &config.fields, options.force, &request)?;
    config.judge(ctx, options)?;
    let ignore = WriteOptions { field_validation: codec::FieldValidation::Ignore, ..options.clone() };
    let mut object = typed(ctx, &config.fields, Value::Object(object), &ignore)?;
    codec::default(resource, &mut object);
    let mut object = codec::to_hub(resource, object)?;
    super::create::check_namespace(ctx, &mut object)?;
    check_name(ctx, &object)?;
    super::write::dedup_owners(ctx, &mut object, super::write::Found::Patched);
    Ok(object)
}
