//! Certificate signing requests.

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path};
use base64::Engine as _;

use crate::Context;
use crate::core::projected::signer_name;
use crate::errs::{Bytes, Errs, Raw};
use crate::meta;
use crate::value::{Get, same_at};

const SPEC: Path<'static> = Path::new("spec");
const CONDITIONS: Path<'static> = Path::new("status.conditions");
const CERTIFICATE: Path<'static> = Path::new("status.certificate");
const LEGACY_SIGNER: &str = "kubernetes.io/legacy-unknown";

const USAGES: &[&str] = &[
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

/// What the stored object has already, and what the subresource may set.
#[derive(Default)]
struct Allow {
    approval: bool,
    certificate: bool,
    both_decisions: bool,
    legacy_signer: bool,
    duplicate_types: bool,
    empty_type: bool,
    any_certificate: bool,
    unknown_usages: bool,
    duplicate_usages: bool,
}

fn has_duplicates(list: &[&str]) -> bool {
    let mut seen = HashSet::new();
    list.iter().any(|item| !seen.insert(item))
}

fn types(object: &Value) -> Vec<&str> {
    object.sub("status").list("conditions").iter().map(|c| c.str("type")).collect()
}

impl Allow {
    fn of(new: &Value, old: &Value) -> Allow {
        let (types, usages) = (types(old), old.sub("spec").strs("usages"));
        let certificate = old.sub("status").str("certificate");
        Allow {
            both_decisions: types.contains(&"Approved") && types.contains(&"Denied"),
            legacy_signer: old.sub("spec").str("signerName") == LEGACY_SIGNER,
            duplicate_types: has_duplicates(&types),
            empty_type: types.contains(&""),
            any_certificate: new.sub("status").str("certificate") == certificate
                || certificate_error(certificate).is_some(),
            unknown_usages: usages.iter().any(|u| !USAGES.contains(u)),
            duplicate_usages: has_duplicates(&usages),
            ..Allow::default()
        }
    }

    /// What v1beta1 never looked at.
    fn through(self, ctx: &Context<'_>) -> Allow {
        if !ctx.is_old() {
            return self;
        }
        Allow {
            legacy_signer: true,
            duplicate_types: true,
            empty_type: true,
            any_certificate: true,
            unknown_usages: true,
            duplicate_usages: true,
            ..self
        }
    }
}

/// `ValidateCertificateSigningRequestCreate`.
pub(crate) fn create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    request(object, &Allow::default().through(ctx), errs);
}

/// `ValidateCertificateSigningRequestUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    changed(new, old, &Allow::of(new, old).through(ctx), errs);
}

/// `ValidateCertificateSigningRequestStatusUpdate`.
pub(crate) fn status_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    changed(new, old, &Allow { certificate: true, ..Allow::of(new, old).through(ctx) }, errs);
}

/// `ValidateCertificateSigningRequestApprovalUpdate`.
pub(crate) fn approval_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    changed(new, old, &Allow { approval: true, ..Allow::of(new, old).through(ctx) }, errs);
}

fn request(object: &Value, allow: &Allow, errs: &mut ErrorList) {
    meta::kube_object_meta(object, false, |_, _| Vec::new(), errs);
    let spec = object.sub("spec");
    if let Some(why) = request_error(spec.str("request")) {
        let path = SPEC.child("request");
        match spec.opt_str("request") {
            Some(request) => errs.invalid(&path, Bytes(request), why),
            None => errs.invalid(&path, Raw("null".into()), why),
        }
    }
    let usages = spec.strs("usages");
    let path = SPEC.child("usages");
    if usages.is_empty() {
        errs.required(&path, "");
    }
    for (i, usage) in usages.iter().enumerate() {
        if !allow.unknown_usages && !USAGES.contains(usage) {
            errs.not_supported(&path.index(i), *usage, USAGES);
        }
    }
    let mut seen = HashSet::new();
    for (i, usage) in usages.iter().enumerate() {
        if !seen.insert(usage) && !allow.duplicate_usages {
            errs.duplicate(&path.index(i), *usage);
        }
    }
    let signer = spec.str("signerName");
    let path = SPEC.child("signerName");
    if signer == LEGACY_SIGNER && !allow.legacy_signer {
        errs.invalid(&path, signer, "the legacy signerName is not allowed via this API version");
    } else {
        signer_name(signer, &path, errs);
    }
    if let Some(seconds) = spec.opt_int("expirationSeconds").filter(|s| *s < 600) {
        errs.invalid(
            &SPEC.child("expirationSeconds"),
            seconds,
            "may not specify a duration less than 600 seconds (10 minutes)",
        );
    }
    conditions(object.sub("status").list("conditions"), allow, errs);
    if !allow.any_certificate
        && let Some(why) = certificate_error(object.sub("status").str("certificate"))
    {
        errs.invalid(&CERTIFICATE, "<certificate data>", why);
    }
}

fn conditions(list: &[Value], allow: &Allow, errs: &mut ErrorList) {
    let mut seen: HashSet<&str> = HashSet::new();
    for (i, condition) in list.iter().enumerate() {
        let path = CONDITIONS.index(i);
        let (kind, status) = (condition.str("type"), condition.str("status"));
        if kind.is_empty() && !allow.empty_type {
            errs.required(&path.child("type"), "");
        }
        let allowed: &[&str] = if matches!(kind, "Approved" | "Denied" | "Failed") {
            &["True"]
        } else {
            &["False", "True", "Unknown"]
        };
        if status.is_empty() {
            errs.required(&path.child("status"), "");
        } else if !allowed.contains(&status) {
            errs.not_supported(&path.child("status"), status, allowed);
        }
        let opposite = match kind {
            "Approved" => "Denied",
            "Denied" => "Approved",
            _ => "\0",
        };
        if !allow.both_decisions && seen.contains(&opposite) {
            errs.invalid(&CONDITIONS, kind, "Approved and Denied conditions are mutually exclusive");
        }
        if !allow.duplicate_types && seen.contains(&kind) {
            errs.duplicate(&path.child("type"), kind);
        }
        seen.insert(kind);
    }
}

fn changed(new: &Value, old: &Value, allow: &Allow, errs: &mut ErrorList) {
    request(new, allow, errs);
    let of = |object: &Value, kind: &str| -> Vec<Value> {
        let list = object.sub("status").list("conditions");
        list.iter().filter(|c| c.str("type") == kind).cloned().collect()
    };
    for kind in ["Approved", "Denied", "Failed"] {
        if of(new, kind).len() < of(old, kind).len() {
            errs.forbidden(&CONDITIONS, format!("updates may not remove a condition of type \"{kind}\""));
        }
    }
    if !allow.approval {
        for kind in ["Approved", "Denied"] {
            let (now, before) = (of(new, kind), of(old, kind));
            if now.len() > before.len() {
                errs.forbidden(&CONDITIONS, format!("updates may not add a condition of type \"{kind}\""));
            } else if now.len() == before.len() && now != before {
                let diff = crate::golang::diff(
                    "[certificates.CertificateSigningRequestCondition",
                    &Value::Array(before),
                    &Value::Array(now),
                );
                errs.forbidden(
                    &CONDITIONS,
                    format!("updates may not modify a condition of type \"{kind}\"\n{diff}"),
                );
            }
        }
    }
    if !same_at(new.sub("status"), old.sub("status"), "certificate") {
        if !allow.certificate {
            errs.forbidden(&CERTIFICATE, "updates may not set certificate content");
        } else if !old.sub("status").str("certificate").is_empty() {
            errs.forbidden(&CERTIFICATE, "updates may not modify existing certificate content");
        }
    }
    meta::kube_object_meta_update(new, old, errs);
}

/// The blocks of a PEM text: type, whether it has headers, content.
fn pem_blocks(text: &str) -> Vec<(String, bool, Vec<u8>)> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("-----BEGIN ") {
        let after = &rest[start + 11..];
        let Some((kind, body)) = after.split_once("-----") else { break };
        let end = format!("-----END {kind}-----");
        let Some((body, tail)) = body.split_once(&end) else { break };
        rest = tail;
        let headers = body.contains(':');
        let payload = if headers { body.split_once("\n\n").map_or("", |(_, p)| p) } else { body };
        let compact: String = payload.split_whitespace().collect();
        if let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(compact) {
            blocks.push((kind.to_owned(), headers, bytes));
        }
    }
    blocks
}

fn decoded(text: &str) -> String {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether bytes are one DER sequence, as certificates and requests are.
fn is_der_sequence(bytes: &[u8]) -> bool {
    let length = match bytes {
        [0x30, n, rest @ ..] if *n < 0x80 => return usize::from(*n) == rest.len(),
        [0x30, n, ..] => usize::from(*n & 0x7f),
        _ => return false,
    };
    let Some(size) = bytes.get(2..2 + length) else { return false };
    let size = size.iter().fold(0_usize, |n, b| n.saturating_mul(256).saturating_add(usize::from(*b)));
    length > 0 && size == bytes.len() - 2 - length
}

fn request_error(text: &str) -> Option<&'static str> {
    match pem_blocks(&decoded(text)).first() {
        Some((kind, _, bytes)) if kind == "CERTIFICATE REQUEST" => {
            (!is_der_sequence(bytes)).then_some("asn1: structure error: tags don't match")
        }
        _ => Some("PEM block type must be CERTIFICATE REQUEST"),
    }
}

/// `validateCertificate`.
fn certificate_error(text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let blocks = pem_blocks(&decoded(text));
    if blocks.is_empty() {
        return Some("must contain at least one CERTIFICATE PEM block".to_owned());
    }
    for (kind, headers, bytes) in &blocks {
        if kind != "CERTIFICATE" {
            return Some(format!("only CERTIFICATE PEM blocks are allowed, found \"{kind}\""));
        }
        if *headers {
            return Some("no PEM block headers are permitted".to_owned());
        }
        if bytes.is_empty() {
            return Some("found CERTIFICATE PEM block containing 0 certificates".to_owned());
        }
        if !is_der_sequence(bytes) {
            return Some("x509: malformed certificate".to_owned());
        }
    }
    None
}
