//! `kubectl auth can-i` (upstream v1.10: `pkg/kubectl/cmd/auth/cani.go`).

use http::Method;
use serde_json::json;

use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::print::out;
use crate::value::Json;

/// Runs `auth can-i`.
pub(crate) fn can_i(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let attributes = match words {
        [verb, url] if url.starts_with('/') => json!({"nonResourceAttributes": {"verb": verb, "path": url}}),
        [verb, resource] | [verb, resource, _] => {
            let (word, name) =
                resource.split_once('/').unwrap_or((resource, words.get(2).map_or("", String::as_str)));
            let mut a = json!({"verb": verb, "resource": word});
            if word != "*" {
                match ctx.mapper()?.resolve(word) {
                    Ok(r) => {
                        a["resource"] = r.plural.clone().into();
                        if !r.group.is_empty() {
                            a["group"] = r.group.clone().into();
                        }
                    }
                    Err(_) => eprintln!("Warning: the server doesn't have a resource type '{word}'"),
                }
            }
            if !name.is_empty() {
                a["name"] = name.into();
            }
            if !flags.bool("all-namespaces") {
                a["namespace"] = ctx.namespace()?.into();
            }
            if !flags.str("subresource").is_empty() {
                a["subresource"] = flags.str("subresource").into();
            }
            json!({"resourceAttributes": a})
        }
        _ => {
            return Err(
                "you must specify two or three arguments: verb, resource, and optional resourceName".into()
            );
        }
    };
    let review = json!({
        "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
        "metadata": {"creationTimestamp": null}, "spec": attributes, "status": {"allowed": false},
    });
    let answer =
        ctx.http()?.write(Method::POST, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review)?;
    let allowed = answer.b("status.allowed");
    if flags.bool("quiet") {
        return if allowed { Ok(()) } else { Err(Error::Exit(1)) };
    }
    let mut text = if allowed { "yes" } else { "no" }.to_string();
    for key in ["reason", "evaluationError"] {
        let more = answer.s(&format!("status.{key}"));
        if !more.is_empty() {
            text.push_str(&format!(" - {more}"));
        }
    }
    out(&format!("{text}\n"))
}
