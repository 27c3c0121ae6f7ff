//! `deployments/rollback` of the old versions: asks the controller for an earlier template
//! (v1.10's `registry/extensions/deployment/storage`, `RollbackREST`).

use api::Value;
use api::field::{Error, Path};
use api::status::{ApiError, GroupName};
use serde_json::json;

use crate::handlers::options::WriteOptions;
use crate::handlers::update::{CONFLICT_TRIES, MODIFIED, store_changed};
use crate::handlers::write::{self, Decode};
use crate::handlers::{Ctx, read_body};
use crate::http::{Incoming, Response};
use crate::negotiate::encode;
use crate::registry::obj;

/// The group that v1.10 named, through either version.
const GROUP: &str = "extensions";
/// Where today's version keeps the request.
const ROLLBACK_TO: &str = "deprecated.deployment.rollback.to";

/// Answers POST.
pub async fn answer(ctx: &Ctx, body: Incoming) -> Result<Response, ApiError> {
    let accept = ctx.accept()?;
    let media = crate::negotiate::content_type(&ctx.parts.headers)?;
    let bytes = read_body(body).await?;
    let options = WriteOptions::parse(&ctx.query, "CreateOptions", false)?;
    let Some(sub) = ctx.resource.subresource("rollback") else {
        return Err(ApiError::no_such_resource());
    };
    let request = write::decode(ctx, &Decode::of_subresource(sub), &bytes, media, &options)?;
    let name = request.get("name").and_then(Value::as_str).unwrap_or_default();
    let revision = obj::number_at(&request, "rollbackTo.revision").unwrap_or(0);
    check(name, revision)?;
    let storage = ctx.server.storage();
    let mut current = storage.get(&ctx.resource, &ctx.info.namespace, name).await?;
    for _ in 0..CONFLICT_TRIES {
        let Some(old) = current else {
            return Err(ApiError::not_found(GroupName { group: GROUP, name: "deployments" }, name));
        };
        let mut object = old.object.clone();
        let notes = obj::metadata_mut(&mut object).entry("annotations").or_insert_with(|| json!({}));
        if let Some(notes) = notes.as_object_mut() {
            let more = request.get("updatedAnnotations").and_then(Value::as_object);
            notes.extend(more.into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
            notes.insert(ROLLBACK_TO.into(), revision.to_string().into());
        }
        match store_changed(ctx, &old, object, "rollback", &options).await? {
            Ok(_) => {
                let message = format!("rollback request for deployment \"{name}\" succeeded");
                let status = json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "message": message,
                    "code": 200,
                });
                return Ok(encode::value(201, &status, &accept));
            }
            Err(now) => current = now,
        }
    }
    Err(ApiError::conflict(ctx.resource.group_resource(), name, MODIFIED))
}

fn check(name: &str, revision: i64) -> Result<(), ApiError> {
    let mut errors = Vec::new();
    if name.is_empty() {
        errors.push(Error::required(&Path::new("name"), "name is required"));
    }
    if revision < 0 {
        let why = "must be greater than or equal to 0";
        errors.push(Error::invalid(&Path::new("rollback.version"), &Value::from(revision), why));
    }
    if errors.is_empty() {
        return Ok(());
    }
    let kind = GroupName { group: GROUP, name: "DeploymentRollback" };
    Err(ApiError::invalid(kind, name, &errors))
}
