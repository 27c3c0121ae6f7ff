//! Projected volumes, and the names of signers and trust bundles that they refer to.

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path, go_quote};

use super::volume::{About, downward_file, file_mode, key_to_path, local_path, need};
use crate::errs::{Errs, Raw};
use crate::names;
use crate::value::Get;
use crate::{golang, selector};

/// `validateProjectedVolumeSource`.
pub(super) fn projected(v: &Value, path: &Path<'_>, about: &About<'_>, errs: &mut ErrorList) {
    file_mode(v, "defaultMode", path, errs);
    let mut paths: HashSet<&str> = HashSet::new();
    let sources = path.child("sources");
    for (i, source) in v.list("sources").iter().enumerate() {
        let source_path = sources.index(i);
        let mut found = 0;
        for kind in ["secret", "configMap"] {
            let Some(s) = source.at(kind) else { continue };
            found += 1;
            let p = source_path.child(kind);
            need(s, &p, &["name"], errs);
            let items = p.child("items");
            for (j, item) in s.list("items").iter().enumerate() {
                key_to_path(item, &items.index(j), errs);
                unique_path(item.str("path"), s.str("name"), &mut paths, path, errs);
            }
        }
        if let Some(s) = source.at("downwardAPI") {
            found += 1;
            for file in s.list("items") {
                downward_file(file, &source_path.child("downwardAPI"), errs);
                unique_path(file.str("path"), file.str("path"), &mut paths, path, errs);
            }
        }
        if let Some(s) = source.at("serviceAccountToken") {
            found += 1;
            service_account_token(s, path, &source_path.child("serviceAccountToken"), about, errs);
        }
        if let Some(s) = source.at("clusterTrustBundle") {
            found += 1;
            let p = source_path.child("clusterTrustBundle");
            trust_bundle(s, &p, errs);
            let text = s.str("path");
            if text.is_empty() {
                errs.required(&p.child("path"), "");
            }
            local_path(text, &p.child("path"), errs);
            if paths.contains(&text) {
                errs.invalid(path, text, DUPLICATE_PATHS);
            } else {
                paths.insert(text);
            }
        }
        if let Some(s) = source.at("podCertificate") {
            found += 1;
            let p = source_path.child("podCertificate");
            pod_certificate(s, &p, errs);
            let mut given = 0;
            for field in ["credentialBundlePath", "keyPath", "certificateChainPath"] {
                let text = s.str(field);
                if !text.is_empty() {
                    given += 1;
                    local_path(text, &p.child(field), errs);
                    unique_path(text, text, &mut paths, path, errs);
                }
            }
            if given == 0 {
                errs.required(
                    &p,
                    "specify at least one of credentialBundlePath, keyPath, and certificateChainPath",
                );
            }
        }
        if found > 1 {
            errs.forbidden(&source_path, "may not specify more than 1 volume type per source");
        }
    }
}

const DUPLICATE_PATHS: &str = "conflicting duplicate paths";

fn unique_path<'a>(
    text: &'a str,
    shown: &str,
    paths: &mut HashSet<&'a str>,
    path: &Path<'_>,
    errs: &mut ErrorList,
) {
    if text.is_empty() {
        return;
    }
    if paths.contains(&text) {
        errs.invalid(path, shown, DUPLICATE_PATHS);
    } else {
        paths.insert(text);
    }
}

fn service_account_token(
    s: &Value,
    volume: &Path<'_>,
    path: &Path<'_>,
    about: &About<'_>,
    errs: &mut ErrorList,
) {
    let seconds = s.int("expirationSeconds");
    if seconds < 600 {
        errs.invalid(
            &path.child("expirationSeconds"),
            seconds,
            "may not specify a duration less than 10 minutes",
        );
    }
    if seconds > 1 << 32 {
        errs.invalid(
            &path.child("expirationSeconds"),
            seconds,
            "may not specify a duration larger than 2^32 seconds",
        );
    }
    if s.str("path").is_empty() {
        errs.required(&volume.child("path"), "");
    } else if !about.opts.non_local_token_path {
        local_path(s.str("path"), &volume.child("path"), errs);
    }
}

fn trust_bundle(s: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    match (s.opt_str("name"), s.opt_str("signerName")) {
        (Some(_), Some(_)) => {
            let shown = golang::typed("core.ClusterTrustBundleProjection", s);
            errs.invalid(path, Raw(shown), "only one of name and signerName may be used");
        }
        (Some(name), None) => {
            if name.is_empty() {
                errs.required(&path.child("name"), "must be a valid object name");
            }
            let messages = match name.rsplit_once(':') {
                Some((signer, _)) => trust_bundle_name(&signer.replace(':', "/"), name),
                None => trust_bundle_name("", name),
            };
            for message in messages {
                errs.invalid(
                    &path.child("name"),
                    name,
                    format!("not a valid clustertrustbundlename: {message}"),
                );
            }
            if let Some(labels) = s.at("labelSelector") {
                let shown = golang::typed("*metav1.LabelSelector", labels);
                errs.invalid(
                    &path.child("labelSelector"),
                    Raw(shown),
                    "labelSelector must be unset if name is specified",
                );
            }
        }
        (None, Some(signer)) => {
            if signer.is_empty() {
                errs.required(&path.child("signerName"), "must be a valid signer name");
            }
            signer_name(signer, &path.child("signerName"), errs);
            selector::label_selector(s.sub("labelSelector"), false, &path.child("labelSelector"), errs);
        }
        (None, None) => errs.required(path, "either name or signerName must be specified"),
    }
}

fn pod_certificate(s: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    const KEYS: &[&str] = &["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];
    let signer = s.str("signerName");
    signer_name(signer, &path.child("signerName"), errs);
    for (key, _) in s.entries("userAnnotations") {
        domain_prefixed_key(&key.to_lowercase(), &path.child("userAnnotations"), errs);
    }
    let key_type = s.str("keyType");
    if !KEYS.contains(&key_type) {
        errs.not_supported(&path.child("keyType"), key_type, KEYS);
    }
    if let Some(seconds) = s.opt_int("maxExpirationSeconds") {
        let p = path.child("maxExpirationSeconds");
        if seconds < 3600 {
            errs.invalid(&p, seconds, "if provided, maxExpirationSeconds must be >= 3600");
        }
        let host = signer.split('/').next().unwrap_or("");
        let kubernetes = host == "kubernetes.io" || host.ends_with(".kubernetes.io");
        let max = if kubernetes { 24 * 60 * 60 } else { 91 * 24 * 60 * 60 };
        if seconds > max {
            errs.invalid(&p, seconds, format!("if provided, maxExpirationSeconds must be <= {max}"));
        }
    }
}

/// `IsDomainPrefixedKey`.
pub(crate) fn domain_prefixed_key(key: &str, path: &Path<'_>, errs: &mut ErrorList) {
    if key.is_empty() {
        errs.required(path, "");
        return;
    }
    let messages = names::is_qualified_name(key);
    if messages.is_empty() {
        if !key.contains('/') {
            errs.invalid(path, key, "must be a domain-prefixed key (such as \"acme.io/foo\")");
        }
    } else {
        errs.invalid_each(path, key, messages);
    }
}

/// `ValidateClusterTrustBundleName`.
pub(crate) fn trust_bundle_name(signer: &str, name: &str) -> Vec<String> {
    if signer.is_empty() {
        if name.contains(':') {
            return vec!["ClusterTrustBundle without signer name must not have \":\" in its name".to_owned()];
        }
        return names::is_dns1123_subdomain(name);
    }
    let prefix = format!("{}:", signer.replace('/', ":"));
    match name.strip_prefix(&prefix) {
        Some(rest) => names::is_dns1123_subdomain(rest),
        None => {
            vec![format!("ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}")]
        }
    }
}

/// `ValidateSignerName`.
pub(crate) fn signer_name(signer: &str, path: &Path<'_>, errs: &mut ErrorList) {
    if signer.is_empty() {
        errs.required(path, "");
        return;
    }
    let Some((domain, rest)) = signer.split_once('/').filter(|(_, rest)| !rest.contains('/')) else {
        errs.invalid(
            path,
            signer,
            "must be a fully qualified domain and path of the form 'example.com/signer-name'",
        );
        return;
    };
    if domain.len() > names::SUBDOMAIN_MAX {
        errs.too_long(path, names::SUBDOMAIN_MAX);
    }
    first_bad_label(domain, names::is_dns1123_label, path, errs);
    if !domain.contains('.') {
        errs.invalid(path, domain, "should be a domain with at least two segments separated by dots");
    }
    first_bad_label(rest, names::is_dns1123_subdomain, path, errs);
    let max = names::SUBDOMAIN_MAX + (names::SUBDOMAIN_MAX + names::LABEL_MAX + 1) + 1;
    if signer.len() > max {
        errs.too_long(path, max);
    }
}

fn first_bad_label(text: &str, rule: names::Rule, path: &Path<'_>, errs: &mut ErrorList) {
    for label in text.split('.') {
        let messages = rule(label);
        if !messages.is_empty() {
            for message in messages {
                errs.invalid(path, text, format!("validating label {}: {message}", go_quote(label)));
            }
            return;
        }
    }
}
