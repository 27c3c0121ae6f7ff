//! Kinds that are asked and answered, and never stored: who am I, is this token good, may they do that.

use api::Value;
use api::field::{Error, Path};
use api::status::ApiError;
use serde_json::json;

use crate::authn::User;
use crate::handlers::options::WriteOptions;
use crate::handlers::write::{self, Decode};
use crate::handlers::{Ctx, method_not_allowed, read_body};
use crate::http::{Incoming, Response};
use crate::negotiate::encode;
use crate::registry::obj;

/// Answers POST.
pub async fn answer(ctx: &Ctx, body: Incoming) -> Result<Response, ApiError> {
    if ctx.info.verb != "create" {
        return Err(method_not_allowed());
    }
    let accept = ctx.accept()?;
    let media = crate::negotiate::content_type(&ctx.parts.headers)?;
    let bytes = read_body(body).await?;
    let options = WriteOptions::parse(&ctx.query, "CreateOptions", false)?;
    let mut review = write::decode(ctx, &Decode::of(&ctx.resource), &bytes, media, &options)?;
    match ctx.resource.plural.as_str() {
        "selfsubjectreviews" => {
            let meta = obj::metadata_mut(&mut review);
            meta.insert("creationTimestamp".into(), obj::now().into());
            review["status"] = json!({"userInfo": user_info(&ctx.user)});
        }
        "tokenreviews" => token(ctx, &mut review).await?,
        "subjectaccessreviews" | "selfsubjectaccessreviews" | "localsubjectaccessreviews" => {
            access(ctx, &mut review)?
        }
        "selfsubjectrulesreviews" => {
            review["status"] = json!({
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}], "incomplete": false,
            });
        }
        _ => return Err(method_not_allowed()),
    }
    Ok(encode::value(201, &review, &accept))
}

fn user_info(user: &User) -> Value {
    let mut info = json!({"username": user.name});
    if !user.uid.is_empty() {
        info["uid"] = user.uid.as_str().into();
    }
    if !user.groups.is_empty() {
        info["groups"] = user.groups.clone().into();
    }
    if !user.extra.is_empty() {
        let extra: api::Object = user.extra.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
        info["extra"] = extra.into();
    }
    info
}

async fn token(ctx: &Ctx, review: &mut Value) -> Result<(), ApiError> {
    let token = obj::text_at(review, "spec.token").to_owned();
    if token.is_empty() {
        return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
    }
    let audiences = obj::strings(obj::at(review, "spec.audiences"));
    let server = &ctx.server;
    let fixed = server.tokens().find(&token).map(|mut user| {
        user.groups.push("system:authenticated".into());
        (user, audiences.clone())
    });
    let found = match fixed {
        Some(found) => Some(found),
        None => server.keys().authenticate(server, &token, &audiences).await.map(|c| {
            let mut user = c.user;
            user.groups.push("system:authenticated".into());
            (user, c.audiences)
        }),
    };
    review["status"] = match found {
        Some((user, audiences)) => {
            let mut status = json!({"authenticated": true, "user": user_info(&user)});
            if !audiences.is_empty() {
                status["audiences"] = audiences.into();
            }
            status
        }
        None => json!({"user": {}}),
    };
    Ok(())
}

/// With AlwaysAllow the answer to every well-formed question is yes.
fn access(ctx: &Ctx, review: &mut Value) -> Result<(), ApiError> {
    let spec = Path::new("spec");
    let has = |name: &str| obj::at(review, "spec").and_then(|s| s.get(name)).is_some_and(|v| !v.is_null());
    let mut errors = Vec::new();
    if has("resourceAttributes") && has("nonResourceAttributes") {
        let why = "cannot be specified in combination with resourceAttributes";
        errors.push(Error::invalid(
            &spec.child("nonResourceAttributes"),
            &obj::at(review, "spec.nonResourceAttributes").cloned().unwrap_or_default(),
            why,
        ));
    } else if !has("resourceAttributes") && !has("nonResourceAttributes") {
        let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        let path = spec.child("resourceAttributes");
        errors.push(Error::invalid(&path, &Value::Null, why));
    }
    if ctx.resource.plural != "selfsubjectaccessreviews" {
        let unnamed = obj::text_at(review, "spec.user").is_empty()
            && obj::strings(obj::at(review, "spec.groups")).is_empty();
        if unnamed {
            let path = spec.child("user");
            let why = "at least one of user or group must be specified";
            errors.push(Error::invalid(&path, &Value::from(""), why));
        }
    }
    if !errors.is_empty() {
        return Err(ApiError::invalid(ctx.resource.group_kind(), "", &errors));
    }
    review["status"] = json!({"allowed": true});
    Ok(())
}
