//! API services (`k8s.io/kube-aggregator/pkg/apis/apiregistration/validation`).

use api::Value;
use api::field::{ErrorList, Path};
use base64::Engine as _;

use crate::Context;
use crate::errs::Errs;
use crate::meta::{self, METADATA};
use crate::names;
use crate::value::Get;

const SPEC: Path<'static> = Path::new("spec");

/// `ValidateAPIService`.
pub(crate) fn create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    let spec = object.sub("spec");
    let (group, version) = (spec.str("group"), spec.str("version"));
    name(object, &format!("{version}.{group}"), errs);
    if group.is_empty() {
        if version != "v1" {
            errs.required(
                &SPEC.child("group"),
                "only v1 may have an empty group and it better be legacy kube",
            );
        }
    } else {
        errs.invalid_each(&SPEC.child("group"), group, names::is_dns1123_subdomain(group));
    }
    errs.invalid_each(&SPEC.child("version"), version, names::is_dns1035_label(version));
    for (field, max) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1000)] {
        let priority = spec.int(field);
        if !(1..=max).contains(&priority) {
            errs.invalid(&SPEC.child(field), priority, format!("must be positive and less than {max}"));
        }
    }
    let bundle = spec.str("caBundle");
    let insecure = spec.flag("insecureSkipTLSVerify");
    let insecure_path = SPEC.child("insecureSkipTLSVerify");
    let Some(service) = spec.at("service") else {
        if !bundle.is_empty() {
            let bytes = base64::engine::general_purpose::STANDARD.decode(bundle).map_or(0, |b| b.len());
            let shown = format!("{bytes} bytes");
            errs.invalid(
                &SPEC.child("caBundle"),
                shown.as_str(),
                "local APIServices may not have a caBundle",
            );
        }
        if insecure {
            errs.invalid(&insecure_path, true, "local APIServices may not have insecureSkipTLSVerify");
        }
        return;
    };
    let path = SPEC.child("service");
    for field in ["namespace", "name"] {
        if service.str(field).is_empty() {
            errs.required(&path.child(field), "");
        }
    }
    let port = service.int("port");
    let messages = names::is_port_number(port);
    if !messages.is_empty() {
        errs.invalid(&path.child("port"), port, format!("port is not valid: {}", messages.join(", ")));
    }
    if insecure && !bundle.is_empty() {
        errs.invalid(&insecure_path, true, "may not be true if caBundle is present");
    }
}

/// The name is made of version and group; the rest of the metadata follows the usual rules.
fn name(object: &Value, required: &str, errs: &mut ErrorList) {
    let metadata = object.sub("metadata");
    for (field, given) in [("generateName", metadata.str("generateName")), ("name", metadata.str("name"))] {
        if given.is_empty() {
            continue;
        }
        let messages = names::is_path_segment(given);
        if !messages.is_empty() {
            errs.invalid_each(&METADATA.child(field), given, messages);
        } else if given != required {
            errs.invalid(
                &METADATA.child(field),
                given,
                format!("must be `spec.version+\".\"+spec.group`: \"{required}\""),
            );
        }
    }
    meta::object_meta(object, false, |_, _| Vec::new(), errs);
}

/// `ValidateAPIServiceUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::object_meta_update(new, old, errs);
    create(new, ctx, errs);
}

/// `ValidateAPIServiceStatusUpdate`.
pub(crate) fn status_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::object_meta_update(new, old, errs);
    let list = Path::new("status.conditions");
    for (i, condition) in new.sub("status").list("conditions").iter().enumerate() {
        let status = condition.str("status");
        if !matches!(status, "True" | "False" | "Unknown") {
            errs.not_supported(&list.index(i).child("status"), status, &["True", "False", "Unknown"]);
        }
    }
}
