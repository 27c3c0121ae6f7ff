//! `/eviction`: a deletion that pod disruption budgets may refuse (`registry/core/pod/storage/eviction.go`).

use api::Value;
use api::selector::LabelSelector;
use api::status::ApiError;
use serde_json::json;

use crate::handlers::options::{DeleteOptions, WriteOptions};
use crate::handlers::update::CONFLICT_TRIES;
use crate::handlers::write::{self, Decode};
use crate::handlers::{Ctx, read_body};
use crate::handlers::{create, delete};
use crate::http::{Incoming, Response, status};
use crate::negotiate::encode;
use crate::registry::obj;

/// More evictions than this must not wait for their confirmation.
const DISRUPTED_MAX: usize = 2000;
const VIOLATES: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

/// Answers POST.
pub async fn answer(ctx: &Ctx, body: Incoming) -> Result<Response, ApiError> {
    let accept = ctx.accept()?;
    let media = crate::negotiate::content_type(&ctx.parts.headers)?;
    let bytes = read_body(body).await?;
    let options = WriteOptions::parse(&ctx.query, "CreateOptions", false)?;
    let Some(sub) = ctx.resource.subresource("eviction") else {
        return Err(ApiError::no_such_resource());
    };
    // Old clients send policy/v1beta1.
    let beta = bytes.windows(14).any(|w| w == b"policy/v1beta1");
    let mut what = Decode::of_subresource(sub);
    if beta {
        what.kind.version = "v1beta1";
        what.ty = api::schema::builtin().by_name("io.k8s.api.policy.v1beta1.Eviction").or(what.ty);
    }
    let mut eviction = write::decode(ctx, &what, &bytes, media, &options)?;
    create::check_namespace(ctx, &mut eviction)?;
    super::admit(ctx, "eviction", &mut eviction, &options).await?;
    if obj::name(&eviction) != ctx.info.name {
        return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
    }
    let mut delete_options = match eviction.get("deleteOptions").filter(|o| !o.is_null()) {
        Some(given) => DeleteOptions::from_body(given)?,
        None => DeleteOptions::default(),
    };
    delete_options.dry_run |= options.dry_run;
    evict(ctx, delete_options).await?;
    Ok(encode::json_bytes(201, status::success(&api::Object::new(), 201).into(), &accept))
}

async fn evict(ctx: &Ctx, options: DeleteOptions) -> Result<(), ApiError> {
    let storage = ctx.server.storage();
    let pod = storage.need(&ctx.resource, &ctx.info.namespace, &ctx.info.name).await?.object;
    let phase = obj::text_at(&pod, "status.phase");
    let free = matches!(phase, "Succeeded" | "Failed" | "Pending") || obj::deleting(&pod);
    if !free {
        respect_budget(ctx, &pod, options.dry_run).await?;
    }
    if !options.dry_run {
        note_condition(ctx, &options).await?;
    }
    delete::named(ctx, options).await
}

/// Takes one disruption from the pod's budget, if it has one.
async fn respect_budget(ctx: &Ctx, pod: &Value, dry_run: bool) -> Result<(), ApiError> {
    let resource = ctx.server.registry().builtin("policy", "poddisruptionbudgets")?;
    let storage = ctx.server.storage();
    let labels = obj::at(pod, "metadata.labels").and_then(Value::as_object);
    let all = storage.all(&resource, &ctx.info.namespace).await?;
    let of_pod = |budget: &Value| {
        LabelSelector::from_object(obj::at(budget, "spec.selector")).is_ok_and(|s| s.matches(labels))
    };
    let mut budgets = all.into_iter().filter(|b| of_pod(&b.object));
    let Some(budget) = budgets.next() else { return Ok(()) };
    if budgets.next().is_some() {
        return Err(ApiError::new(
            500,
            "",
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        ));
    }
    if !ready(pod) {
        let number = |path: &str| obj::number_at(&budget.object, path).unwrap_or(0);
        let wanted = number("status.desiredHealthy");
        let always = obj::text_at(&budget.object, "spec.unhealthyPodEvictionPolicy") == "AlwaysAllow";
        if always || (number("status.currentHealthy") >= wanted && wanted > 0) {
            return Ok(());
        }
    }
    let name = obj::name(&budget.object).to_owned();
    let mut current = Some(budget);
    for _ in 0..CONFLICT_TRIES {
        let Some(budget) = current else { return Ok(()) };
        let mut changed = budget.object.clone();
        decrement(ctx, &mut changed)?;
        if dry_run {
            return Ok(());
        }
        let key = storage.key(&resource, &ctx.info.namespace, &name);
        match storage.update(&resource, &key, budget.revision, &mut changed).await? {
            Ok(_) => return Ok(()),
            Err(now) => current = now,
        }
    }
    Err(ApiError::timeout(format!("couldn't update PodDisruptionBudget {name:?} due to conflicts")))
}

fn ready(pod: &Value) -> bool {
    let conditions = obj::at(pod, "status.conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|c| {
        c.get("type").and_then(Value::as_str) == Some("Ready")
            && c.get("status").and_then(Value::as_str) == Some("True")
    })
}

fn refused(message: String, retry_after_s: u32) -> ApiError {
    let mut error = ApiError::too_many_requests(VIOLATES, retry_after_s);
    error.details.insert("causes".into(), json!([{"reason": "DisruptionBudget", "message": message}]));
    error
}

fn decrement(ctx: &Ctx, budget: &mut Value) -> Result<(), ApiError> {
    let name = obj::name(budget).to_owned();
    let number = |path: &str| obj::number_at(budget, path).unwrap_or(0);
    if number("status.observedGeneration") < obj::meta_number(budget, "generation").unwrap_or(0) {
        return Err(refused(
            format!("The disruption budget {name} is still being processed by the server."),
            10,
        ));
    }
    let allowed = number("status.disruptionsAllowed");
    let kind = api::status::GroupName { group: "policy", name: "poddisruptionbudget" };
    if allowed < 0 {
        return Err(ApiError::forbidden(kind, &name, "pdb disruptions allowed is negative"));
    }
    let disrupted =
        obj::at(budget, "status.disruptedPods").and_then(Value::as_object).map_or(0, api::Object::len);
    if disrupted > DISRUPTED_MAX {
        let why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
        return Err(ApiError::forbidden(kind, &name, why));
    }
    if allowed == 0 {
        let (wanted, has) = (number("status.desiredHealthy"), number("status.currentHealthy"));
        let conditions = obj::at(budget, "status.conditions").and_then(Value::as_array);
        let of = |c: &Value, field: &str| c.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut found = conditions.into_iter().flatten();
        let why = found
            .find(|c| of(c, "type") == "DisruptionAllowed" && of(c, "status") == "False")
            .map(|c| (of(c, "reason"), of(c, "message")))
            .filter(|(_, message)| !message.is_empty());
        let closed = format!("The disruption budget {name} does not allow evicting pods currently");
        let message = match why {
            // The numbers mean nothing then.
            Some((reason, message)) if reason == "SyncFailed" => {
                format!("{closed} because it failed sync: {message}")
            }
            _ if has <= wanted => {
                format!("The disruption budget {name} needs {wanted} healthy pods and has {has} currently")
            }
            Some((reason, message)) => format!("{closed} ({reason}): {message}"),
            None => closed,
        };
        return Err(refused(message, 0));
    }
    let generation = obj::meta_number(budget, "generation").unwrap_or(0);
    let status = obj::child_mut(budget, "status");
    status.insert("disruptionsAllowed".into(), (allowed - 1).into());
    if allowed == 1 {
        insufficient(status, generation);
    }
    let pods = status.entry("disruptedPods").or_insert_with(|| json!({}));
    if let Some(pods) = pods.as_object_mut() {
        pods.insert(ctx.info.name.clone(), obj::now().into());
    }
    Ok(())
}

/// `UpdateDisruptionAllowedCondition` when nothing more is allowed.
fn insufficient(status: &mut api::Object, generation: i64) {
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    let Some(list) = conditions.as_array_mut() else { return };
    let is = |c: &Value, field: &str, text: &str| c.get(field).and_then(Value::as_str) == Some(text);
    if list.iter().any(|c| is(c, "type", "DisruptionAllowed") && is(c, "status", "False")) {
        return;
    }
    list.retain(|c| !is(c, "type", "DisruptionAllowed"));
    list.push(json!({
        "type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods", "message": "",
        "observedGeneration": generation, "lastTransitionTime": obj::now(),
    }));
}

/// The condition DisruptionTarget becomes true before the pod is deleted.
async fn note_condition(ctx: &Ctx, options: &DeleteOptions) -> Result<(), ApiError> {
    let storage = ctx.server.storage();
    let mut current = storage.get(&ctx.resource, &ctx.info.namespace, &ctx.info.name).await?;
    for _ in 0..CONFLICT_TRIES {
        let Some(old) = current else {
            return Err(ApiError::not_found(ctx.resource.group_resource(), &ctx.info.name));
        };
        delete::preconditions(ctx, &old.object, options)?;
        // With a precondition on the version the note would itself change it.
        if options.resource_version.is_some() {
            return Ok(());
        }
        let mut pod = old.object.clone();
        let status = obj::child_mut(&mut pod, "status");
        let conditions = status.entry("conditions").or_insert_with(|| json!([]));
        let Some(list) = conditions.as_array_mut() else { return Ok(()) };
        list.retain(|c| c.get("type").and_then(Value::as_str) != Some("DisruptionTarget"));
        list.push(json!({
            "type": "DisruptionTarget", "status": "True", "lastProbeTime": null, "lastTransitionTime": obj::now(),
            "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting",
        }));
        let key = storage.key(&ctx.resource, &ctx.info.namespace, &ctx.info.name);
        match storage.update(&ctx.resource, &key, old.revision, &mut pod).await? {
            Ok(_) => return Ok(()),
            Err(now) => current = now,
        }
    }
    Ok(())
}
