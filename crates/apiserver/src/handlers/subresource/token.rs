//! `serviceaccounts/token`: a signed token for a service account (`registry/core/serviceaccount/storage/token.go`).

use api::Value;
use api::field::{Error, Path};
use api::status::{ApiError, GroupName};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::handlers::create::check_namespace;
use crate::handlers::options::WriteOptions;
use crate::handlers::write::{self, Decode};
use crate::handlers::{Ctx, managed, read_body};
use crate::http::{Incoming, Response};
use crate::negotiate::encode;
use crate::registry::obj;

/// Kubelets ask for this long. Old clients never read their token again: theirs live on, and are watched.
const SECONDS_EXTENDABLE: i64 = 3607;
/// How long such a token lives.
const SECONDS_EXTENDED: i64 = 365 * 24 * 3600;
const KIND: GroupName<'static> = GroupName { group: "authentication.k8s.io", name: "TokenRequest" };

/// Answers POST.
pub async fn answer(ctx: &Ctx, body: Incoming) -> Result<Response, ApiError> {
    let accept = ctx.accept()?;
    let media = crate::negotiate::content_type(&ctx.parts.headers)?;
    let bytes = read_body(body).await?;
    let options = WriteOptions::parse(&ctx.query, "CreateOptions", false)?;
    let Some(sub) = ctx.resource.subresource("token") else { return Err(ApiError::no_such_resource()) };
    let mut request = write::decode(ctx, &Decode::of_subresource(sub), &bytes, media, &options)?;
    if let Some(ty) = sub.ty {
        api::defaults::apply_type(ty, &mut request);
    }
    let unsaid = obj::namespace(&request).is_empty();
    check_namespace(ctx, &mut request)?;
    if unsaid {
        obj::metadata_mut(&mut request).remove("namespace");
    }
    managed::track_token(ctx, &mut request, &options);
    same_place(ctx, &request)?;
    let account = ctx.server.storage().need(&ctx.resource, &ctx.info.namespace, &ctx.info.name).await?.object;
    complete(ctx, &mut request, &account)?;
    let errors =
        validation::validate_create(KIND.group, KIND.name, &request, &validation::Context::default());
    if !errors.is_empty() {
        return Err(ApiError::invalid(KIND, "", &errors));
    }
    let bound = match obj::at(&request, "spec.boundObjectRef") {
        Some(reference) => bound_object(ctx, reference).await?,
        None => Bound::default(),
    };
    let (now, seconds) = (Timestamp::now(), obj::number_at(&request, "spec.expirationSeconds").unwrap_or(0));
    let claims = claims(ctx, &request, &account, bound, now);
    let Some(token) = ctx.server.keys().sign(&claims) else {
        return Err(ApiError::internal("failed to generate token: no signing key"));
    };
    let expires = obj::format_time(now + SignedDuration::from_secs(seconds));
    request["status"] = json!({"token": token, "expirationTimestamp": expires});
    Ok(encode::value(201, &request, &accept))
}

/// A request that names its account must mean the one of the path.
fn same_place(ctx: &Ctx, request: &Value) -> Result<(), ApiError> {
    for (field, wanted) in [("name", &ctx.info.name), ("namespace", &ctx.info.namespace)] {
        let given = obj::meta_text(request, field);
        if !given.is_empty() && given != wanted {
            let metadata = Path::new("metadata");
            let why = format!("must match the service account {field} if specified");
            let error = Error::invalid(&metadata.child(field), &Value::from(given), why);
            return Err(ApiError::invalid(KIND, &ctx.info.name, &vec![error]));
        }
    }
    Ok(())
}

/// Fills in what the request leaves open.
fn complete(ctx: &Ctx, request: &mut Value, account: &Value) -> Result<(), ApiError> {
    let (given, uid) = (obj::uid(request).to_owned(), obj::uid(account));
    if !given.is_empty() && given != uid {
        let why = format!(
            "the UID in the token request ({given}) does not match the UID of the service account ({uid})"
        );
        return Err(ApiError::conflict(KIND, &ctx.info.name, &why));
    }
    if obj::strings(obj::at(request, "spec.audiences")).is_empty() {
        let audiences = ctx.server.keys().audiences().to_vec();
        obj::child_mut(request, "spec").insert("audiences".into(), audiences.into());
    }
    let meta = obj::metadata_mut(request);
    meta.insert("name".into(), ctx.info.name.as_str().into());
    meta.insert("namespace".into(), ctx.info.namespace.as_str().into());
    meta.insert("uid".into(), uid.into());
    meta.insert("creationTimestamp".into(), obj::now().into());
    Ok(())
}

/// What the token says (`serviceaccount.Claims`).
fn claims(ctx: &Ctx, request: &Value, account: &Value, bound: Bound, now: Timestamp) -> Value {
    let keys = ctx.server.keys();
    let audiences = obj::strings(obj::at(request, "spec.audiences"));
    let mut seconds = obj::number_at(request, "spec.expirationSeconds").unwrap_or(0);
    let mut private = json!({
        "namespace": ctx.info.namespace,
        "serviceaccount": {"name": ctx.info.name, "uid": obj::uid(account)},
    });
    let ours = audiences.iter().all(|a| keys.audiences().contains(a));
    if bound.0.contains_key("pod") && seconds == SECONDS_EXTENDABLE && ours {
        private["warnafter"] = (now.as_second() + seconds).into();
        seconds = SECONDS_EXTENDED;
    }
    if let Some(private) = private.as_object_mut() {
        private.extend(bound.0);
    }
    json!({
        "iss": keys.issuer(), "sub": format!("system:serviceaccount:{}:{}", ctx.info.namespace, ctx.info.name),
        "aud": audiences, "iat": now.as_second(), "nbf": now.as_second(), "exp": now.as_second() + seconds,
        "jti": uuid::Uuid::new_v4().to_string(), "kubernetes.io": private,
    })
}

/// Names and uids of what the token shall live as long as, by claim.
#[derive(Default)]
struct Bound(api::Object);

/// What the token is bound to: it must exist and be the one that is meant.
async fn bound_object(ctx: &Ctx, reference: &Value) -> Result<Bound, ApiError> {
    let text = |field: &str| reference.get(field).and_then(Value::as_str).unwrap_or_default();
    let (group, version) = api::kinds::split_api_version(text("apiVersion"));
    let (claim, plural) = match (group, text("kind")) {
        ("", "Pod") => ("pod", "pods"),
        ("", "Secret") => ("secret", "secrets"),
        ("", "Node") => ("node", "nodes"),
        (_, kind) => {
            return Err(ApiError::bad_request(format!(
                "cannot bind token to object of type {group}/{version}, Kind={kind}"
            )));
        }
    };
    let (storage, name) = (ctx.server.storage(), text("name"));
    let resource = ctx.server.registry().builtin("", plural)?;
    let found = storage.need(&resource, &ctx.info.namespace, name).await?.object;
    if claim == "pod" && obj::text_at(&found, "spec.serviceAccountName") != ctx.info.name {
        return Err(ApiError::bad_request(format!(
            "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
            ctx.info.name
        )));
    }
    let (wanted, uid) = (text("uid"), obj::uid(&found));
    if !wanted.is_empty() && wanted != uid {
        let why = format!(
            "the UID in the bound object reference ({wanted}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(ApiError::conflict(GroupName { group, name: text("kind") }, name, &why));
    }
    let mut bound = Bound::default();
    bound.0.insert(claim.into(), json!({"name": name, "uid": uid}));
    let node = obj::text_at(&found, "spec.nodeName");
    if claim == "pod" && !node.is_empty() {
        let nodes = ctx.server.registry().builtin("", "nodes")?;
        let found = storage.get(&nodes, "", node).await?;
        let uid = found.as_ref().map(|f| obj::uid(&f.object)).filter(|uid| !uid.is_empty());
        let mut about = json!({"name": node});
        if let Some(uid) = uid {
            about["uid"] = uid.into();
        }
        bound.0.insert("node".into(), about);
    }
    Ok(bound)
}
