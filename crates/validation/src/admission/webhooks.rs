//! Webhook configurations, and the client configurations that custom resource definitions share.

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path};

use super::rules::{FAILURE_POLICIES, match_conditions, match_policy, one_of, rule};
use crate::Context;
use crate::errs::Errs;
use crate::meta;
use crate::names;
use crate::selector;
use crate::value::{Get, same_at};

const WEBHOOKS: Path<'static> = Path::new("webhooks");
const NO_SIDE_EFFECTS: &[&str] = &["None", "NoneOnDryRun"];
const REVIEW_VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// What an update need not do better than the stored object; v1beta1 never asked for some of it.
#[derive(Default)]
struct Tolerate {
    match_conditions: bool,
    side_effects: bool,
    versions: bool,
    same_names: bool,
    selector_values: bool,
}

/// `ValidateValidatingWebhookConfiguration` and the one for mutating ones.
pub(crate) fn create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    let old = ctx.is_old();
    let tolerate =
        Tolerate { side_effects: old, same_names: old, selector_values: old, ..Tolerate::default() };
    configuration(object, &tolerate, errs);
}

/// The strategies' `ValidateUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    let (hooks, before) = (new.list("webhooks"), old.list("webhooks"));
    let mut selector_errs = ErrorList::new();
    for hook in before {
        for field in ["namespaceSelector", "objectSelector"] {
            selector::label_selector(hook.sub(field), false, &Path::ROOT, &mut selector_errs);
        }
    }
    let tolerate = Tolerate {
        match_conditions: hooks.len() == before.len()
            && hooks.iter().zip(before).all(|(n, o)| same_at(n, o, "matchConditions")),
        side_effects: ctx.is_old() || !before.iter().all(|h| NO_SIDE_EFFECTS.contains(&h.str("sideEffects"))),
        versions: before.iter().any(|h| {
            let versions = h.strs("admissionReviewVersions");
            !versions.is_empty() && !versions.iter().any(|v| REVIEW_VERSIONS.contains(v))
        }),
        same_names: ctx.is_old() || {
            let mut seen = HashSet::new();
            before.iter().any(|h| !seen.insert(h.str("name")))
        },
        selector_values: ctx.is_old() || !selector_errs.is_empty(),
    };
    configuration(new, &tolerate, errs);
}

fn configuration(object: &Value, tolerate: &Tolerate, errs: &mut ErrorList) {
    meta::object_meta(object, false, names::subdomain, errs);
    let hooks = object.list("webhooks");
    let mut seen = HashSet::new();
    for (i, hook) in hooks.iter().enumerate() {
        let path = WEBHOOKS.index(i);
        webhook(hook, tolerate, &path, errs);
        review_versions(hook, tolerate, &path.child("admissionReviewVersions"), errs);
        let name = hook.str("name");
        if !tolerate.same_names && !name.is_empty() && !seen.insert(name) {
            errs.duplicate(&path.child("name"), name);
        }
    }
}

fn webhook(v: &Value, tolerate: &Tolerate, path: &Path<'_>, errs: &mut ErrorList) {
    let name = v.str("name");
    let name_path = path.child("name");
    let messages = names::is_dns1123_subdomain(name);
    if name.is_empty() {
        errs.required(&name_path, "");
    } else if !messages.is_empty() {
        errs.invalid(&name_path, name, messages.join(","));
    } else if name.split('.').count() < 3 {
        errs.invalid(&name_path, name, "should be a domain with at least three segments separated by dots");
    }
    let list = path.child("rules");
    for (i, r) in v.list("rules").iter().enumerate() {
        rule(r, &list.index(i), errs);
    }
    one_of(v, "failurePolicy", FAILURE_POLICIES, path, errs);
    match_policy(v, path, errs);
    let allowed: &[&str] =
        if tolerate.side_effects { &["None", "NoneOnDryRun", "Some", "Unknown"] } else { NO_SIDE_EFFECTS };
    if v.at("sideEffects").is_none() {
        errs.required(&path.child("sideEffects"), format!("must specify one of {}", allowed.join(", ")));
    }
    one_of(v, "sideEffects", allowed, path, errs);
    if let Some(seconds) = v.opt_int("timeoutSeconds")
        && !(1..=30).contains(&seconds)
    {
        errs.invalid(
            &path.child("timeoutSeconds"),
            seconds,
            "the timeout value must be between 1 and 30 seconds",
        );
    }
    for field in ["namespaceSelector", "objectSelector"] {
        let s = v.sub(field);
        selector::label_selector(s, tolerate.selector_values, &path.child(field), errs);
    }
    one_of(v, "reinvocationPolicy", &["IfNeeded", "Never"], path, errs);
    client_config(v.sub("clientConfig"), &path.child("clientConfig"), errs);
    if !tolerate.match_conditions {
        match_conditions(v.list("matchConditions"), false, &path.child("matchConditions"), errs);
    }
}

/// A webhook is reached by URL or by service.
pub(crate) fn client_config(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    match (v.opt_str("url"), v.at("service")) {
        (Some(url), None) => webhook_url(url, &path.child("url"), errs),
        (None, Some(service)) => webhook_service(service, &path.child("service"), errs),
        _ => errs.required(path, "exactly one of url or service is required"),
    }
}

/// The parts of a URL, as Go's `url.Parse` finds them.
struct Url<'a> {
    scheme: &'a str,
    user: Option<&'a str>,
    host: &'a str,
    query: &'a str,
    fragment: &'a str,
}

impl Url<'_> {
    fn parse(text: &str) -> Url<'_> {
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        let scheme_end = rest.find(':').filter(|end| {
            rest.starts_with(|c: char| c.is_ascii_alphabetic())
                && rest[..*end].bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        });
        let (scheme, rest) = scheme_end.map_or(("", rest), |end| (&rest[..end], &rest[end + 1..]));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = rest.strip_prefix("//").map_or("", |r| r.split('/').next().unwrap_or(""));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        Url { scheme, user, host, query, fragment }
    }
}

/// `ValidateWebhookURL`.
fn webhook_url(text: &str, path: &Path<'_>, errs: &mut ErrorList) {
    const FORM: &str = "; desired format: https://host[/path]";
    if text.starts_with(':') {
        errs.required(
            path,
            format!("url must be a valid URL: parse {text:?}: missing protocol scheme{FORM}"),
        );
        return;
    }
    let url = Url::parse(text);
    // Go writes schemes in lower case.
    let scheme = url.scheme.to_lowercase();
    if scheme != "https" {
        errs.invalid(path, scheme.as_str(), format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if url.host.is_empty() {
        errs.invalid(path, url.host, format!("host must be specified{FORM}"));
    }
    if let Some(user) = url.user {
        errs.invalid(path, user, "user information is not permitted in the URL");
    }
    if !url.fragment.is_empty() {
        errs.invalid(path, url.fragment, "fragments are not permitted in the URL");
    }
    if !url.query.is_empty() {
        errs.invalid(path, url.query, "query parameters are not permitted in the URL");
    }
}

/// `ValidateWebhookService`; upstream's callers swap name and namespace, so the errors name both ways.
fn webhook_service(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    if v.str("namespace").is_empty() {
        errs.required(&path.child("name"), "");
    }
    if v.str("name").is_empty() {
        errs.required(&path.child("namespace"), "");
    }
    let port = v.int("port");
    let messages = names::is_port_number(port);
    if !messages.is_empty() {
        errs.invalid(&path.child("port"), port, format!("port is not valid: {}", messages.join(", ")));
    }
    let text = v.str("path");
    let path = path.child("path");
    if matches!(text, "" | "/") {
        return;
    }
    if text == "//" {
        errs.invalid(&path, text, "segment[0] may not be empty");
        return;
    }
    if !text.starts_with('/') {
        errs.invalid(&path, text, "must start with a '/'");
    }
    // Upstream drops the first byte in any case.
    let rest = String::from_utf8_lossy(text.as_bytes().get(1..).unwrap_or_default());
    let rest = rest.as_ref();
    for (i, step) in rest.strip_suffix('/').unwrap_or(rest).split('/').enumerate() {
        if step.is_empty() {
            errs.invalid(&path, text, format!("segment[{i}] may not be empty"));
            continue;
        }
        for message in names::is_dns1123_subdomain(step) {
            errs.invalid(&path, text, format!("segment[{i}]: {message}"));
        }
    }
}

/// `validateAdmissionReviewVersions`.
fn review_versions(hook: &Value, tolerate: &Tolerate, path: &Path<'_>, errs: &mut ErrorList) {
    let versions = hook.strs("admissionReviewVersions");
    if versions.is_empty() {
        errs.required(path, "must specify one of v1, v1beta1");
        return;
    }
    let mut seen = HashSet::new();
    for (i, version) in versions.iter().enumerate() {
        if !seen.insert(version) {
            errs.invalid(&path.index(i), *version, "duplicate version");
            continue;
        }
        errs.invalid_each(&path.index(i), version, names::is_dns1035_label(version));
    }
    if !tolerate.versions && !versions.iter().any(|v| REVIEW_VERSIONS.contains(v)) {
        errs.invalid(path, hook.sub("admissionReviewVersions"), "must include at least one of v1, v1beta1");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let url = Url::parse("https://u:p@host:1/a?x=y#f");
        assert_eq!((url.scheme, url.user, url.host), ("https", Some("u:p"), "host:1"));
        assert_eq!((url.query, url.fragment), ("x=y", "f"));
        assert_eq!(Url::parse("a.b/c").scheme, "");
    }
}
