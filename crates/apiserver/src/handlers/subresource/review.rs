//! Kinds that are asked and answered, and never stored: who am I, is this token good, may they do that.

use api::Value;
use api::kinds::Era;
use api::status::{ApiError, GroupName};
use serde_json::json;

use crate::authn::User;
use crate::authz::{self, Decision};
use crate::handlers::options::WriteOptions;
use crate::handlers::write::{self, Decode};
use crate::handlers::{Ctx, create, managed, method_not_allowed, read_body};
use crate::http::{Incoming, Response};
use crate::registry::{codec, obj};
use crate::request::Info;

/// Answers POST.
pub async fn answer(ctx: &Ctx, body: Incoming) -> Result<Response, ApiError> {
    if ctx.info.verb != "create" {
        return Err(method_not_allowed());
    }
    let accept = ctx.accept_no_table()?;
    let media = crate::negotiate::content_type(&ctx.parts.headers)?;
    let bytes = read_body(body).await?;
    let options = WriteOptions::parse(&ctx.query, "CreateOptions", false)?;
    let review = write::decode(ctx, &Decode::of(&ctx.resource), &bytes, media, &options)?;
    let mut review = codec::to_hub(&ctx.resource, review)?;
    // Old servers filled in the namespace of objects that are stored, only.
    if ctx.resource.era() == Era::Now {
        create::check_namespace(ctx, &mut review)?;
    }
    codec::settle(ctx, &mut review);
    wipe_system_fields(&mut review);
    managed::track(ctx, &mut review, None, "", &options)?;
    let review = match ctx.resource.plural.as_str() {
        "selfsubjectreviews" => {
            let mut fresh = fresh(&review, json!({"userInfo": user_info(&ctx.user)}));
            obj::metadata_mut(&mut fresh).insert("creationTimestamp".into(), obj::now().into());
            fresh
        }
        "tokenreviews" => token(ctx, review).await?,
        "subjectaccessreviews" | "selfsubjectaccessreviews" | "localsubjectaccessreviews" => {
            access(ctx, review)?
        }
        "selfsubjectrulesreviews" => rules(ctx, &review)?,
        _ => return Err(method_not_allowed()),
    };
    ctx.object(201, &accept, review)
}

/// `WipeObjectMetaSystemFields`: what only the server says of an object.
fn wipe_system_fields(review: &mut Value) {
    let meta = obj::metadata_mut(review);
    for field in ["creationTimestamp", "uid", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        meta.remove(field);
    }
}

/// Some answers repeat nothing of the question.
fn fresh(question: &Value, status: Value) -> Value {
    json!({
        "kind": question["kind"], "apiVersion": question["apiVersion"], "metadata": {},
        "status": status,
    })
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

/// Whose token it is (`registry/authentication/tokenreview`).
async fn token(ctx: &Ctx, mut review: Value) -> Result<Value, ApiError> {
    let token = obj::text_at(&review, "spec.token").to_owned();
    if token.is_empty() {
        return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
    }
    let server = &ctx.server;
    let mut audiences = obj::strings(obj::at(&review, "spec.audiences"));
    if audiences.is_empty() {
        audiences = server.keys().audiences().to_vec();
    }
    // Upstream puts the text behind "Bearer " and reads it as a header: what follows a space is not looked at.
    let header = format!("Bearer {token}");
    let token = header.trim().split(' ').nth(1).unwrap_or_default();
    let fixed = server.tokens().find(token).and_then(|mut user| {
        // Tokens of the file are for whoever this server's tokens are for.
        let good: Vec<String> =
            audiences.iter().filter(|a| server.keys().audiences().contains(a)).cloned().collect();
        user.groups.push("system:authenticated".into());
        (!good.is_empty() || audiences.is_empty()).then_some((user, good))
    });
    let found = match fixed {
        Some(found) => Some(found),
        None => server.keys().authenticate(server, token, &audiences).await.map(|c| {
            let mut user = c.user;
            user.groups.push("system:authenticated".into());
            (user, c.audiences)
        }),
    };
    // What was sent as the answer stays where nothing is found out.
    let status = obj::child_mut(&mut review, "status");
    status.entry("user").or_insert_with(|| json!({}));
    status.remove("authenticated");
    match found {
        Some((user, audiences)) => {
            status.insert("authenticated".into(), true.into());
            status.insert("user".into(), user_info(&user));
            status.remove("audiences");
            if !audiences.is_empty() {
                status.insert("audiences".into(), audiences.into());
            }
        }
        None if token.is_empty() => {}
        None => {
            status.insert("error".into(), "invalid bearer token".into());
        }
    }
    Ok(review)
}

/// May they (`registry/authorization`)?
fn access(ctx: &Ctx, mut review: Value) -> Result<Value, ApiError> {
    let resource = &ctx.resource;
    let context = validation::Context {
        group: &resource.group,
        version: &resource.version,
        era: resource.era(),
        allow_privileged: true,
    };
    let errors = validation::validate_create(&resource.hub_group, &resource.api.kind.kind, &review, &context);
    if !errors.is_empty() {
        // Upstream takes the kind from the object, where it stands no more.
        return Err(ApiError::invalid(GroupName { group: &resource.hub_group, name: "" }, "", &errors));
    }
    if resource.namespaced && obj::namespace(&review) != ctx.info.namespace {
        return Err(ApiError::bad_request(format!(
            "spec.resourceAttributes.namespace must match namespace: {}",
            ctx.info.namespace
        )));
    }
    let user =
        if resource.plural == "selfsubjectaccessreviews" { ctx.user.clone() } else { subject(&review) };
    let text = |path: &str| obj::text_at(&review, path).to_owned();
    let of = |field: &str| text(&format!("spec.resourceAttributes.{field}"));
    let (verb, info, path) = if obj::at(&review, "spec.resourceAttributes").is_some() {
        let info = Info {
            is_resource: true,
            group: of("group"),
            version: of("version"),
            namespace: of("namespace"),
            resource: of("resource"),
            subresource: of("subresource"),
            name: of("name"),
            ..Info::default()
        };
        (of("verb"), info, String::new())
    } else {
        let verb = text("spec.nonResourceAttributes.verb");
        (verb, Info::default(), text("spec.nonResourceAttributes.path"))
    };
    let asked = authz::Attributes { user: &user, verb: &verb, info: &info, path: &path };
    review["status"] = match ctx.server.authorizers().decide(&asked) {
        Decision::Allow => json!({"allowed": true}),
        Decision::Deny => json!({"allowed": false, "denied": true}),
        Decision::NoOpinion => json!({"allowed": false}),
    };
    Ok(review)
}

/// Whom a review is about.
fn subject(review: &Value) -> User {
    let extra = obj::at(review, "spec.extra").and_then(Value::as_object).into_iter().flatten();
    User {
        name: obj::text_at(review, "spec.user").to_owned(),
        uid: obj::text_at(review, "spec.uid").to_owned(),
        groups: obj::strings(obj::at(review, "spec.groups")),
        extra: extra.map(|(k, v)| (k.to_lowercase(), obj::strings(Some(v)))).collect(),
    }
}

/// What the caller may do in a namespace. The authorizers here know all or nothing.
fn rules(ctx: &Ctx, review: &Value) -> Result<Value, ApiError> {
    if obj::text_at(review, "spec.namespace").is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let anything = Info::default();
    let asked = authz::Attributes { user: &ctx.user, verb: "*", info: &anything, path: "*" };
    let status = if ctx.server.authorizers().decide(&asked) == Decision::Allow {
        json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}], "incomplete": false,
        })
    } else {
        json!({"resourceRules": [], "nonResourceRules": [], "incomplete": false})
    };
    let mut fresh = fresh(review, status);
    fresh["spec"] = json!({});
    Ok(fresh)
}
