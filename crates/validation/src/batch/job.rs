//! Jobs.

use api::field::{ErrorList, Path};
use api::{Object, Value};

use super::{job_policy, job_status};
use crate::Context;
use crate::core::pod::{self, Options};
use crate::errs::Errs;
use crate::golang;
use crate::meta::{self, METADATA};
use crate::names;
use crate::selector;
use crate::value::{Get, same, same_at};

const SPEC: Path<'static> = Path::new("spec");

const UID_LABEL: &str = "batch.kubernetes.io/controller-uid";
const NAME_LABEL: &str = "batch.kubernetes.io/job-name";
const OLD_UID_LABEL: &str = "controller-uid";
const OLD_NAME_LABEL: &str = "job-name";

/// `ValidateJob`.
pub(crate) fn create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    job(object, true, &Options::for_template(None, ctx), errs);
}

fn job(object: &Value, prefixed_labels: bool, opts: &Options, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    generated_selector(object, prefixed_labels, errs);
    let spec = object.sub("spec");
    full_spec(spec, opts, errs);
    if spec.str("completionMode") == "Indexed"
        && let Some(completions) = spec.opt_int("completions").filter(|n| *n > 0)
    {
        let name = object.sub("metadata").str("name");
        let host = format!("{name}-{}", completions - 1);
        if !names::is_dns1123_label(&host).is_empty() {
            errs.invalid(
                &METADATA.child("name"),
                name,
                format!("will not able to create pod with invalid DNS label: {host}"),
            );
        }
    }
}

/// `validateGeneratedSelector`: labels and selector that the server made are as it made them.
fn generated_selector(object: &Value, prefixed: bool, errs: &mut ErrorList) {
    let (metadata, spec) = (object.sub("metadata"), object.sub("spec"));
    if spec.flag("manualSelector") || spec.at("selector").is_none() {
        return;
    }
    let (uid, name) = (metadata.str("uid"), metadata.str("name"));
    if uid.is_empty() {
        errs.required(&METADATA.child("uid"), "");
    }
    let labels = spec.sub("template").sub("metadata").sub("labels");
    let mut expected = vec![(OLD_UID_LABEL, uid), (OLD_NAME_LABEL, name)];
    if prefixed {
        expected.extend([(UID_LABEL, uid), (NAME_LABEL, name)]);
    }
    let path = Path::new("spec.template.metadata.labels");
    let mut all = Object::new();
    for (key, value) in expected {
        match labels.opt_str(key) {
            None => errs.required(&path.key(key), format!("must be '{value}'")),
            Some(actual) if actual != value => {
                errs.invalid(&path.key(key), labels, format!("must be '{value}'"));
            }
            Some(_) => {}
        }
        all.insert(key.to_owned(), value.into());
    }
    let s = spec.sub("selector");
    if selector::is_usable(s) && !selector::matches(s, &Value::Object(all)) {
        errs.invalid(&SPEC.child("selector"), quoted(s), "`selector` not auto-generated");
    }
}

fn quoted(selector: &Value) -> golang::Typed<'_> {
    golang::shown("*metav1.LabelSelector", selector)
}

/// `ValidateJobSpec`.
fn full_spec(spec: &Value, opts: &Options, errs: &mut ErrorList) {
    job_spec(spec, opts, &SPEC, errs);
    let path = SPEC.child("selector");
    let s = spec.sub("selector");
    if s.is_null() {
        errs.required(&path, "");
    }
    selector::label_selector(s, opts.any_selector_value, &path, errs);
    let labels = spec.sub("template").sub("metadata").sub("labels");
    if selector::is_usable(s) && !selector::matches(s, labels) {
        errs.invalid(
            &Path::new("spec.template.metadata.labels"),
            labels,
            "`selector` does not match template `labels`",
        );
    }
}

/// `validateJobSpec`, which job templates share.
pub(super) fn job_spec(spec: &Value, opts: &Options, path: &Path<'_>, errs: &mut ErrorList) {
    const COUNTS: &[&str] = &[
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ];
    meta::non_negative_fields(spec, path, COUNTS, errs);
    let per_index = spec.opt_int("backoffLimitPerIndex");
    if spec.at("maxFailedIndexes").is_some() && per_index.is_none() {
        errs.required(&path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified");
    }
    if let Some(manager) = spec.opt_str("managedBy") {
        let path = path.child("managedBy");
        domain_prefixed_path(manager, &path, errs);
        if manager.len() > 63 {
            errs.too_long(&path, 63);
        }
    }
    let mode = spec.opt_str("completionMode");
    if let Some(mode) = mode
        && !matches!(mode, "NonIndexed" | "Indexed")
    {
        errs.not_supported(&path.child("completionMode"), mode, &["NonIndexed", "Indexed"]);
    }
    let indexed = mode == Some("Indexed");
    if indexed {
        indexed_limits(spec, path, errs);
    }
    if mode.is_none_or(|m| m == "NonIndexed") {
        for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
            if let Some(n) = spec.opt_int(field) {
                errs.invalid(&path.child(field), n, "requires indexed completion mode");
            }
        }
    }
    let failure_policy = spec.at("podFailurePolicy");
    if let Some(policy) = failure_policy {
        job_policy::failure_policy(policy, spec, &path.child("podFailurePolicy"), errs);
    }
    if let Some(policy) = spec.at("successPolicy") {
        let path = path.child("successPolicy");
        if indexed {
            job_policy::success_policy(policy, spec.int("completions"), &path, errs);
        } else {
            let shown = golang::shown("batch.SuccessPolicy", policy);
            errs.invalid(&path, shown, "requires indexed completion mode");
        }
    }
    if let Some(policy) = spec.opt_str("podReplacementPolicy") {
        let allowed: &[&str] =
            if failure_policy.is_some() { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
        if !allowed.contains(&policy) {
            errs.not_supported(&path.child("podReplacementPolicy"), policy, allowed);
        }
    }
    let template_path = path.child("template");
    pod::template_spec(spec.sub("template"), opts, &template_path, errs);
    let pod_path = template_path.child("spec");
    let path = pod_path.child("restartPolicy");
    match spec.sub("template").sub("spec").str("restartPolicy") {
        "Always" | "" => errs.required(&path, "valid values: \"OnFailure\", \"Never\""),
        "Never" => {}
        "OnFailure" => {
            if failure_policy.is_some() {
                errs.invalid(
                    &path,
                    "OnFailure",
                    "only \"Never\" is supported when podFailurePolicy is specified",
                );
            }
        }
        other => errs.not_supported(&path, other, &["OnFailure", "Never"]),
    }
}

fn indexed_limits(spec: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    const SOFT: i64 = 100_000;
    const MANY: &str = "must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index";
    let (completions, parallelism) = (spec.opt_int("completions"), spec.opt_int("parallelism"));
    let failed = spec.opt_int("maxFailedIndexes");
    let failed_path = path.child("maxFailedIndexes");
    if completions.is_none() {
        errs.required(&path.child("completions"), "when completion mode is Indexed");
    }
    if let Some(n) = parallelism.filter(|n| *n > SOFT) {
        errs.invalid(
            &path.child("parallelism"),
            n,
            "must be less than or equal to 100000 when completion mode is Indexed",
        );
    }
    if let Some(n) = failed {
        if completions.is_some_and(|c| n > c) {
            errs.invalid(&failed_path, n, "must be less than or equal to completions");
        }
        if n > SOFT {
            errs.invalid(&failed_path, n, "must be less than or equal to 100000");
        }
    }
    if completions.is_some_and(|c| c > SOFT) && spec.at("backoffLimitPerIndex").is_some() {
        if failed.is_none() {
            errs.required(&failed_path, "must be specified when completions is above 100000");
        }
        if let Some(n) = parallelism.filter(|n| *n > 10_000) {
            errs.invalid(&path.child("parallelism"), n, MANY);
        }
        if let Some(n) = failed.filter(|n| *n > 10_000) {
            errs.invalid(&failed_path, n, MANY);
        }
    }
}

/// `IsDomainPrefixedPath`.
pub(crate) fn domain_prefixed_path(text: &str, path: &Path<'_>, errs: &mut ErrorList) {
    if text.is_empty() {
        errs.required(path, "");
        return;
    }
    let Some((host, rest)) = text.split_once('/').filter(|(h, r)| !h.is_empty() && !r.is_empty()) else {
        errs.invalid(path, text, "must be a domain-prefixed path (such as \"acme.io/foo\")");
        return;
    };
    errs.invalid_each(path, host, names::is_dns1123_subdomain(host));
    let good = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b);
    if !rest.bytes().all(good) {
        errs.invalid(
            path,
            rest,
            "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')",
        );
    }
}

/// The job strategy's `ValidateUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    let (spec, before) = (new.sub("spec"), old.sub("spec"));
    let mut opts = Options::for_template(before.at("template"), ctx);
    opts.any_selector_value |= selector::has_invalid_value(before.sub("selector"));
    // Jobs from before 1.27 lack the prefixed labels.
    let old_labels = before.sub("template").sub("metadata").sub("labels");
    let prefixed = old_labels.get(UID_LABEL).is_some() || old_labels.get(NAME_LABEL).is_some();
    job(new, prefixed, &opts, errs);
    meta::kube_object_meta_update(new, old, errs);
    full_spec(spec, &opts, errs);
    completions_update(spec, before, errs);
    meta::immutable(spec, before, "selector", "*metav1.LabelSelector", &SPEC.child("selector"), errs);
    template_update(spec, old, errs);
    const FIXED: &[(&str, &str)] = &[
        ("completionMode", "*s"),
        ("podFailurePolicy", "*batch.PodFailurePolicy"),
        ("backoffLimitPerIndex", "*i"),
        ("managedBy", "*s"),
        ("successPolicy", "*batch.SuccessPolicy"),
    ];
    for (field, kind) in FIXED {
        meta::immutable(spec, before, field, kind, &SPEC.child(field), errs);
    }
}

fn completions_update(spec: &Value, before: &Value, errs: &mut ErrorList) {
    let path = SPEC.child("completions");
    if spec.str("completionMode") != "Indexed" {
        meta::immutable(spec, before, "completions", "*i", &path, errs);
        return;
    }
    if let Some(n) = spec.opt_int("completions")
        && before.opt_int("completions") != Some(n)
        && spec.opt_int("parallelism") != Some(n)
    {
        errs.invalid(&path, n, "can only be modified in tandem with spec.parallelism");
    }
}

/// `validatePodTemplateUpdate`: while a job is suspended and has no pods, where and with what its pods run
/// may change.
fn template_update(spec: &Value, old: &Value, errs: &mut ErrorList) {
    let before = old.sub("spec");
    let suspended = before.flag("suspend");
    let status = old.sub("status");
    let condition =
        status.list("conditions").iter().any(|c| c.str("type") == "Suspended" && c.str("status") == "True");
    let settled = suspended && (condition || status.at("startTime").is_none()) && status.int("active") == 0;
    let (template, was) = (spec.sub("template"), before.sub("template"));
    let path = SPEC.child("template");
    if !settled {
        if !same(template, was) {
            errs.invalid(&path, golang::shown("core.PodTemplateSpec", template), meta::IMMUTABLE);
        }
        return;
    }
    let pod = template.sub("spec");
    let mut expected = was.sub("spec").as_object().cloned().unwrap_or_default();
    for field in ["nodeSelector", "tolerations", "schedulingGates"] {
        put(&mut expected, field, pod.sub(field));
    }
    let mut affinity = was.sub("spec").sub("affinity").as_object().cloned().unwrap_or_default();
    put(&mut affinity, "nodeAffinity", pod.sub("affinity").sub("nodeAffinity"));
    if affinity.is_empty() && pod.at("affinity").is_none() {
        expected.remove("affinity");
    } else {
        expected.insert("affinity".to_owned(), Value::Object(affinity));
    }
    for kind in ["containers", "initContainers"] {
        if let Some(Value::Array(list)) = expected.get_mut(kind)
            && list.len() == pod.list(kind).len()
        {
            for (container, now) in list.iter_mut().zip(pod.list(kind)) {
                if container.str("name") == now.str("name")
                    && let Value::Object(c) = container
                {
                    put(c, "resources", now.sub("resources"));
                }
            }
        }
    }
    if !same(pod, &Value::Object(expected)) {
        let shown = golang::shown("core.PodSpec", pod);
        errs.invalid(&path.child("spec"), shown, meta::IMMUTABLE);
    }
}

fn put(object: &mut Object, name: &str, value: &Value) {
    if value.is_null() {
        object.remove(name);
    } else {
        object.insert(name.to_owned(), value.clone());
    }
}

/// `ValidateJobUpdateStatus`.
pub(crate) fn status_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    job_status::status(new, old, errs);
}

/// Whether two jobs differ in a field of their status.
pub(super) fn differs(new: &Value, old: &Value, field: &str) -> bool {
    !same_at(new.sub("status"), old.sub("status"), field)
}
