//! Bindings: a scheduler puts a pod on a node (`registry/core/pod/storage`, `BindingREST`).

use api::Value;
use api::field::{Error, ErrorList, Path};
use api::status::{ApiError, GroupName};
use serde_json::json;

use crate::handlers::options::WriteOptions;
use crate::handlers::update::CONFLICT_TRIES;
use crate::handlers::write::{self, Decode};
use crate::handlers::{Ctx, read_body};
use crate::http::{Incoming, Response, status};
use crate::negotiate::encode;
use crate::registry::{codec, obj};

/// Answers POST.
pub async fn answer(ctx: &Ctx, body: Incoming) -> Result<Response, ApiError> {
    let accept = ctx.accept()?;
    let media = crate::negotiate::content_type(&ctx.parts.headers)?;
    let bytes = read_body(body).await?;
    let options = WriteOptions::parse(&ctx.query, "CreateOptions", false)?;
    let kind = codec::Kind { group: "", version: "v1", kind: "Binding" };
    let ty = ctx.resource.subresource("binding").map_or(ctx.resource.api.ty, |s| s.ty);
    let mut binding = write::decode(ctx, &Decode { kind, ty, own: false }, &bytes, media, &options)?;
    let named = obj::name(&binding);
    if !ctx.info.name.is_empty() && named != ctx.info.name {
        return Err(ApiError::bad_request("name in URL does not match name in Binding object"));
    }
    let namespace = obj::namespace(&binding);
    if !namespace.is_empty() && namespace != ctx.info.namespace {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if !ctx.resource.is("", "pods") {
        // A new object has no uid of its own. Only the subresource keeps the one that is meant as a precondition.
        obj::metadata_mut(&mut binding).remove("uid");
    } else {
        super::admit(ctx, "binding", &mut binding, &options).await?;
    }
    let name = if ctx.info.name.is_empty() { obj::name(&binding).to_owned() } else { ctx.info.name.clone() };
    validate(&binding)?;
    if name.is_empty() {
        return Err(ApiError::bad_request("Name parameter required."));
    }
    bind(ctx, &name, &binding, options.dry_run).await?;
    Ok(encode::json_bytes(201, status::success(&api::Object::new(), 201).into(), &accept))
}

fn validate(binding: &Value) -> Result<(), ApiError> {
    let mut errors = ErrorList::new();
    let kind = obj::text_at(binding, "target.kind");
    if !matches!(kind, "" | "Node") {
        let path = Path::new("target.kind");
        errors.push(Error::not_supported(&path, &Value::from(kind), &["Node", "<empty>"]));
    }
    if obj::text_at(binding, "target.name").is_empty() {
        errors.push(Error::required(&Path::new("target.name"), ""));
    }
    if errors.is_empty() {
        return Ok(());
    }
    // Upstream passes the list on as it is: a 500 without a reason.
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let text = if texts.len() == 1 { texts.concat() } else { format!("[{}]", texts.join(", ")) };
    Err(ApiError::new(500, "", text))
}

async fn bind(ctx: &Ctx, name: &str, binding: &Value, dry_run: bool) -> Result<(), ApiError> {
    let pods = ctx.server.registry().builtin("", "pods")?;
    let storage = ctx.server.storage();
    let node = obj::text_at(binding, "target.name");
    let conflict = |why: &str| {
        let kind = GroupName { group: "", name: "pods/binding" };
        ApiError::conflict(kind, name, why)
    };
    let mut current = storage.get(&pods, &ctx.info.namespace, name).await?;
    for _ in 0..CONFLICT_TRIES {
        let Some(old) = current else {
            return Err(ApiError::not_found(pods.group_resource(), name));
        };
        let mut pod = old.object.clone();
        if let Some(why) = unmet(binding, &pod) {
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: {why}",
                storage.key(&pods, &ctx.info.namespace, name),
            );
            return Err(ApiError::conflict(pods.group_resource(), name, &why));
        }
        if obj::deleting(&pod) {
            return Err(conflict(&format!("pod {name} is being deleted, cannot be assigned to a host")));
        }
        let has = obj::text_at(&pod, "spec.nodeName");
        if !has.is_empty() {
            return Err(conflict(&format!("pod {name} is already assigned to node {has:?}")));
        }
        let gates = obj::at(&pod, "spec.schedulingGates").and_then(Value::as_array);
        if gates.is_some_and(|g| !g.is_empty()) {
            return Err(conflict(&format!("pod {name} has non-empty .spec.schedulingGates")));
        }
        obj::child_mut(&mut pod, "spec").insert("nodeName".into(), node.into());
        take_over(&mut pod, binding, "annotations");
        take_over(&mut pod, binding, "labels");
        set_scheduled(&mut pod);
        if dry_run {
            return Ok(());
        }
        let key = storage.key(&pods, &ctx.info.namespace, name);
        match storage.update(&pods, &key, old.revision, &mut pod).await? {
            Ok(_) => return Ok(()),
            Err(now) => current = now,
        }
    }
    Err(conflict(crate::handlers::update::MODIFIED))
}

/// Which of the preconditions in a binding's metadata the pod does not meet.
fn unmet(binding: &Value, pod: &Value) -> Option<String> {
    let of = [
        ("UID", obj::uid(binding), obj::uid(pod)),
        ("ResourceVersion", obj::resource_version(binding), obj::resource_version(pod)),
    ];
    let (field, wanted, there) =
        of.into_iter().find(|(_, wanted, there)| !wanted.is_empty() && wanted != there)?;
    Some(format!("Precondition failed: {field} in precondition: {wanted}, {field} in object meta: {there}"))
}

fn take_over(pod: &mut Value, binding: &Value, field: &str) {
    let Some(from) = obj::metadata(binding).and_then(|m| m.get(field)).and_then(Value::as_object) else {
        return;
    };
    if from.is_empty() {
        return;
    }
    let to = obj::metadata_mut(pod).entry(field).or_insert_with(|| json!({}));
    if let Some(to) = to.as_object_mut() {
        to.extend(from.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
}

/// The condition PodScheduled becomes true.
fn set_scheduled(pod: &mut Value) {
    let status = obj::child_mut(pod, "status");
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    let Some(list) = conditions.as_array_mut() else { return };
    let new = json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": obj::now(),
    });
    match list.iter_mut().find(|c| c.get("type").and_then(Value::as_str) == Some("PodScheduled")) {
        Some(old) => {
            let since = old.get("lastTransitionTime").cloned();
            let was_true = old.get("status").and_then(Value::as_str) == Some("True");
            *old = new;
            if let Some(since) = since.filter(|_| was_true) {
                old["lastTransitionTime"] = since;
            }
        }
        None => list.push(new),
    }
}
