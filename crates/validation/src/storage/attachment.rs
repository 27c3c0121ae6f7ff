//! Volume attachments.

use api::Value;
use api::field::{ErrorList, Path};

use crate::Context;
use crate::core::{claim, volume};
use crate::errs::Errs;
use crate::meta;
use crate::names;
use crate::value::Get;

const SPEC: Path<'static> = Path::new("spec");
const STATUS: Path<'static> = Path::new("status");
const METADATA_MAX_BYTES: usize = 256 * 1024;

/// `ValidateVolumeAttachment`, and what old servers checked beside it in new ones.
pub(crate) fn create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    attachment(object, ctx, errs);
    if ctx.is_old() && ctx.version != "v1beta1" {
        let attacher = object.sub("spec").str("attacher");
        volume::old_csi_driver_name(attacher, &Path::new("spec.attacher"), errs);
        volume_name(object, errs);
    }
}

fn attachment(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, false, names::subdomain, errs);
    let spec = object.sub("spec");
    let attacher = SPEC.child("attacher");
    if !ctx.is_old() {
        volume::csi_driver_name(spec.str("attacher"), &attacher, errs);
    } else if spec.str("attacher").is_empty() {
        errs.required(&attacher, "");
    }
    source(spec.sub("source"), errs);
    let node = spec.str("nodeName");
    errs.invalid_each(&SPEC.child("nodeName"), node, names::is_dns1123_subdomain(node));
    status(object.sub("status"), errs);
    if !ctx.is_old() {
        volume_name(object, errs);
    }
}

fn volume_name(object: &Value, errs: &mut ErrorList) {
    if let Some(name) = object.sub("spec").sub("source").opt_str("persistentVolumeName") {
        let path = Path::new("spec.source.persistentVolumeName");
        errs.invalid_each(&path, name, names::is_dns1123_subdomain(name));
    }
}

fn source(v: &Value, errs: &mut ErrorList) {
    const ONE: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    let path = SPEC.child("source");
    match (v.at("inlineVolumeSpec"), v.opt_str("persistentVolumeName")) {
        (None, None) => errs.required(&path, ONE),
        (Some(_), Some(_)) => errs.forbidden(&path, ONE),
        (None, Some(name)) => {
            if name.is_empty() {
                errs.required(
                    &path.child("persistentVolumeName"),
                    "must specify non empty persistentVolumeName",
                );
            }
        }
        (Some(inline), None) => {
            claim::volume_spec(inline, "", true, false, &path.child("inlineVolumeSpec"), errs);
        }
    }
}

fn status(v: &Value, errs: &mut ErrorList) {
    let size: usize = v.entries("attachmentMetadata").map(|(k, v)| k.len() + v.text().len()).sum();
    if size > METADATA_MAX_BYTES {
        errs.too_long(&STATUS.child("attachmentMetadata"), METADATA_MAX_BYTES);
    }
    for field in ["attachError", "detachError"] {
        let Some(error) = v.at(field) else { continue };
        let path = STATUS.child(field);
        if error.str("message").len() > 1024 {
            errs.too_long(&path.child("message"), METADATA_MAX_BYTES);
        }
        if let Some(code) = error.opt_int("errorCode").filter(|c| *c < 0) {
            errs.invalid(&path.child("errorCode"), code, names::between(0, i64::from(i32::MAX)));
        }
    }
}

/// `ValidateVolumeAttachmentUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    ctx.twice(errs, |errs| attachment(new, ctx, errs));
    meta::immutable(new, old, "spec", "storage.VolumeAttachmentSpec", &SPEC, errs);
}
