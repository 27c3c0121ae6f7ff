//! `serviceaccounts/token`: a signed token for a service account (`registry/core/serviceaccount/storage/token.go`).

use api::Value;
use api::status::ApiError;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::handlers::options::WriteOptions;
use crate::handlers::write::{self, Decode};
use crate::handlers::{Ctx, read_body};
use crate::http::{Incoming, Response};
use crate::negotiate::encode;
use crate::registry::obj;

const SECONDS_DEFAULT: i64 = 3600;
const SECONDS_MIN: i64 = 600;
const SECONDS_MAX: i64 = 1 << 32;

/// Answers POST.
pub async fn answer(ctx: &Ctx, body: Incoming) -> Result<Response, ApiError> {
    let accept = ctx.accept()?;
    let media = crate::negotiate::content_type(&ctx.parts.headers)?;
    let bytes = read_body(body).await?;
    let options = WriteOptions::parse(&ctx.query, "CreateOptions", false)?;
    let Some(sub) = ctx.resource.subresource("token") else { return Err(ApiError::no_such_resource()) };
    let mut request = write::decode(ctx, &Decode::of_subresource(sub), &bytes, media, &options)?;
    let account = ctx.server.storage().need(&ctx.resource, &ctx.info.namespace, &ctx.info.name).await?.object;
    check(ctx, &request)?;
    let keys = ctx.server.keys();
    let mut audiences = obj::strings(obj::at(&request, "spec.audiences"));
    if audiences.is_empty() {
        audiences = keys.audiences().to_vec();
    }
    let seconds = obj::number_at(&request, "spec.expirationSeconds").unwrap_or(SECONDS_DEFAULT);
    let now = Timestamp::now();
    let expires = now + SignedDuration::from_secs(seconds);
    let mut private = json!({
        "namespace": ctx.info.namespace,
        "serviceaccount": {"name": ctx.info.name, "uid": obj::uid(&account)},
    });
    if let Some(bound) = obj::at(&request, "spec.boundObjectRef") {
        let (kind, reference) = bound_object(ctx, bound).await?;
        private[kind] = reference;
    }
    let claims = json!({
        "iss": keys.issuer(), "sub": format!("system:serviceaccount:{}:{}", ctx.info.namespace, ctx.info.name),
        "aud": audiences, "iat": now.as_second(), "nbf": now.as_second(), "exp": expires.as_second(),
        "jti": uuid::Uuid::new_v4().to_string(), "kubernetes.io": private,
    });
    let Some(token) = keys.sign(&claims) else {
        return Err(ApiError::internal("failed to generate token: no signing key"));
    };
    let spec = obj::child_mut(&mut request, "spec");
    spec.insert("audiences".into(), audiences.into());
    spec.insert("expirationSeconds".into(), seconds.into());
    let meta = obj::metadata_mut(&mut request);
    meta.insert("name".into(), ctx.info.name.as_str().into());
    meta.insert("namespace".into(), ctx.info.namespace.as_str().into());
    meta.insert("creationTimestamp".into(), obj::now().into());
    request["status"] = json!({"token": token, "expirationTimestamp": obj::format_time(expires)});
    Ok(encode::value(201, &request, &accept))
}

fn check(ctx: &Ctx, request: &Value) -> Result<(), ApiError> {
    use api::field::{Error, Path};
    let Some(seconds) = obj::number_at(request, "spec.expirationSeconds") else { return Ok(()) };
    let path = Path::new("spec.expirationSeconds");
    let why = if seconds < SECONDS_MIN {
        "may not specify a duration less than 10 minutes"
    } else if seconds > SECONDS_MAX {
        "may not specify a duration larger than 2^32 seconds"
    } else {
        return Ok(());
    };
    let error = Error::invalid(&path, &Value::from(seconds), why);
    let kind = api::status::GroupName { group: "authentication.k8s.io", name: "TokenRequest" };
    Err(ApiError::invalid(kind, &ctx.info.name, &vec![error]))
}

/// What the token shall live as long as: it must exist and be the one that is meant.
async fn bound_object(ctx: &Ctx, bound: &Value) -> Result<(&'static str, Value), ApiError> {
    let (claim, plural) = match obj::text_at(bound, "kind") {
        "Pod" => ("pod", "pods"),
        "Secret" => ("secret", "secrets"),
        "Node" => ("node", "nodes"),
        other => {
            return Err(ApiError::bad_request(format!(
                "cannot bind token for serviceaccount {:?} to object type {other:?}",
                ctx.info.name
            )));
        }
    };
    let resource = ctx.server.registry().builtin("", plural)?;
    let name = obj::text_at(bound, "name");
    let found = ctx.server.storage().need(&resource, &ctx.info.namespace, name).await?.object;
    let (wanted, uid) = (obj::text_at(bound, "uid"), obj::uid(&found));
    if !wanted.is_empty() && wanted != uid {
        let why = format!(
            "the UID in the bound object reference ({wanted}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(ApiError::conflict(resource.group_resource(), name, &why));
    }
    Ok((claim, json!({"name": name, "uid": uid})))
}
