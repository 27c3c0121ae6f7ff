//! `pods/log`.

use std::sync::Arc;

use api::Value;
use api::field::{Error, ErrorList, Path};
use api::status::{ApiError, GroupName};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};

use super::target;
use crate::handlers::Ctx;
use crate::http::{Body, Response};
use crate::registry::obj;
use crate::request::Query;

/// So much of a kubelet's error text is passed on (upstream's `maxReadLength`).
const ERROR_MAX_BYTES: usize = 50_000;

/// Relays the log of a container.
pub(super) async fn answer(ctx: &Arc<Ctx>) -> Result<Response, ApiError> {
    let params = params(&ctx.query, &ctx.info.name)?;
    let pod = target::pod(ctx, &ctx.info.name).await?;
    let container = target::container(&pod, ctx.query.text("container"))?;
    let node = obj::text_at(&pod, "spec.nodeName");
    if node.is_empty() {
        // Not scheduled yet: there is no log.
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        return Ok(response);
    }
    let kubelet = target::kubelet(ctx, node).await?;
    let mut path = format!("/containerLogs/{}/{}/{container}", ctx.info.namespace, ctx.info.name);
    if !params.is_empty() {
        path = format!("{path}?{params}");
    }
    let request = http::Request::get(&path)
        .header(header::HOST, kubelet.address())
        .header(header::USER_AGENT, "kube-apiserver")
        .body(Empty::<Bytes>::new())
        .map_err(ApiError::internal)?;
    let sent = ctx.server.relay().send(&kubelet, request).await;
    let got = sent.map_err(|e| ApiError::new(500, "", format!("Get \"{}{path}\": {e}", kubelet.origin())))?;
    let code = got.status().as_u16();
    if !(200..=206).contains(&code) {
        return Err(refused(ctx, code, got.into_body()).await);
    }
    let mut response = Response::new(super::proxy::passed_on(got.into_body(), ctx.server.stopping()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    Ok(response)
}

/// `GenericHttpResponseChecker`: what the kubelet says, as a `Status`.
async fn refused(ctx: &Ctx, code: u16, body: hyper::body::Incoming) -> ApiError {
    let text = match Limited::new(body, ERROR_MAX_BYTES).collect().await {
        Ok(all) => String::from_utf8_lossy(&all.to_bytes()).into_owned(),
        Err(error) => return ApiError::internal(error),
    };
    let (reason, message) = match code {
        400 => return ApiError::bad_request(text),
        500 => return ApiError::internal(text),
        401 => ("Unauthorized", "the server has asked for the client to provide credentials".to_owned()),
        403 => ("Forbidden", text),
        404 => ("NotFound", "the server could not find the requested resource".to_owned()),
        405 => {
            ("MethodNotAllowed", "the server does not allow this method on the requested resource".to_owned())
        }
        409 => ("Conflict", "the server reported a conflict".to_owned()),
        429 => (
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later".to_owned(),
        ),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request".to_owned()),
        code if code > 500 => (
            "InternalError",
            format!(
                "an error on the server ({}) has prevented the request from succeeding",
                api::field::go_quote(&text)
            ),
        ),
        code => (
            "",
            format!("the server responded with the status code {code} but did not return more information"),
        ),
    };
    let name = &ctx.info.name;
    let mut error = ApiError::new(code, reason, format!("{message} ( pods/log {name})"));
    error.details.insert("kind".into(), "pods/log".into());
    error.details.insert("name".into(), name.as_str().into());
    error
}

/// `ValidatePodLogOptions`, and the query that the kubelet gets.
fn params(query: &Query, name: &str) -> Result<String, ApiError> {
    let (tail, limit, since) =
        (query.number("tailLines")?, query.number("limitBytes")?, query.number("sinceSeconds")?);
    let since_time = query.text("sinceTime");
    if !since_time.is_empty() {
        api::time::parse(since_time).map_err(ApiError::bad_request)?;
    }
    let mut errors = ErrorList::new();
    let invalid =
        |field: &str, value: i64, why: &str| Error::invalid(&Path::new(field), &Value::from(value), why);
    if let Some(tail) = tail.filter(|t| *t < 0) {
        errors.push(invalid("tailLines", tail, "must be greater than or equal to 0"));
    }
    if let Some(limit) = limit.filter(|l| *l < 1) {
        errors.push(invalid("limitBytes", limit, "must be greater than 0"));
    }
    match since {
        Some(_) if !since_time.is_empty() => errors.push(Error::forbidden(
            // Go's text of a path that is empty.
            &Path::new("[]"),
            "at most one of `sinceTime` or `sinceSeconds` may be specified",
        )),
        Some(since) if since < 1 => errors.push(invalid("sinceSeconds", since, "must be greater than 0")),
        _ => {}
    }
    if !query.text("stream").is_empty() {
        errors.push(Error::forbidden(&Path::new("stream"), "may not be specified"));
    }
    if !errors.is_empty() {
        return Err(ApiError::invalid(GroupName { group: "", name: "PodLogOptions" }, name, &errors));
    }
    let mut out = super::stream::Params::default();
    for flag in ["follow", "previous", "timestamps"] {
        if query.flag(flag) {
            out.add(flag, "true");
        }
    }
    for (name, value) in [("sinceSeconds", since), ("tailLines", tail), ("limitBytes", limit)] {
        if let Some(value) = value {
            out.add(name, &value.to_string());
        }
    }
    if !since_time.is_empty() {
        out.add("sinceTime", since_time);
    }
    Ok(out.into_text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_checked_and_passed_on() {
        let of = |q: &str| params(&Query::parse(Some(q)), "p");
        assert_eq!(of("follow=true&tailLines=5&pretty=1").unwrap(), "follow=true&tailLines=5");
        assert_eq!(
            of("tailLines=-1").unwrap_err().message,
            "PodLogOptions \"p\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0"
        );
    }
}
