//! Config maps, secrets, service accounts.

use api::Value;
use api::field::{ErrorList, Path};
use base64::Engine as _;

use crate::Context;
use crate::errs::Errs;
use crate::golang;
use crate::meta::{self, METADATA};
use crate::names;
use crate::value::{Get, same_at};

const DATA_MAX_BYTES: usize = 1024 * 1024;
const DATA: Path<'static> = Path::new("data");
const FROZEN: &str = "field is immutable when `immutable` is set";

/// `ValidateConfigMap`.
pub(crate) fn config_map_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    let binary = object.sub("binaryData");
    let mut total = 0;
    for (key, value) in object.entries("data") {
        let path = DATA.key(key);
        errs.invalid_each(&path, key, names::is_config_map_key(key));
        if binary.get(key).is_some() {
            errs.invalid(&path, key, "duplicate of key present in binaryData");
        }
        total += value.text().len();
    }
    for (key, value) in binary.pairs() {
        errs.invalid_each(&Path::new("binaryData").key(key), key, names::is_config_map_key(key));
        total += decoded_len(value.text());
    }
    if total > DATA_MAX_BYTES {
        errs.too_long(&Path::new("[]"), DATA_MAX_BYTES);
    }
}

/// `ValidateConfigMapUpdate`.
pub(crate) fn config_map_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    frozen(new, old, &["data", "binaryData"], errs);
    config_map_create(new, ctx, errs);
}

fn frozen(new: &Value, old: &Value, fields: &[&str], errs: &mut ErrorList) {
    if !old.flag("immutable") {
        return;
    }
    if !new.flag("immutable") {
        errs.forbidden(&Path::new("immutable"), FROZEN);
    }
    for field in fields {
        if !same_at(new, old, field) {
            errs.forbidden(&Path::new(field), FROZEN);
        }
    }
}

/// How many bytes a base64 text stands for.
fn decoded_len(text: &str) -> usize {
    let padding = text.bytes().rev().take_while(|b| *b == b'=').count();
    (text.len() / 4 * 3).saturating_sub(padding)
}

/// `ValidateSecret`.
pub(crate) fn secret_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    let data = object.sub("data");
    let mut total = 0;
    for (key, value) in data.pairs() {
        errs.invalid_each(&DATA.key(key), key, names::is_config_map_key(key));
        total += decoded_len(value.text());
    }
    if total > DATA_MAX_BYTES {
        errs.too_long(&DATA, DATA_MAX_BYTES);
    }
    let has = |key: &str| data.get(key).is_some();
    match object.str("type") {
        "kubernetes.io/service-account-token" => {
            const NAME: &str = "kubernetes.io/service-account.name";
            if object.sub("metadata").sub("annotations").str(NAME).is_empty() {
                errs.required(&METADATA.child("annotations").key(NAME), "");
            }
        }
        "kubernetes.io/dockercfg" => docker_config(data, ".dockercfg", errs),
        "kubernetes.io/dockerconfigjson" => docker_config(data, ".dockerconfigjson", errs),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            errs.required(&DATA.key("username"), "");
            errs.required(&DATA.key("password"), "");
        }
        "kubernetes.io/ssh-auth" if data.str("ssh-privatekey").is_empty() => {
            errs.required(&DATA.key("ssh-privatekey"), "");
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"] {
                if !has(key) {
                    errs.required(&DATA.key(key), "");
                }
            }
        }
        _ => {}
    }
}

fn docker_config(data: &Value, key: &str, errs: &mut ErrorList) {
    let path = DATA.key(key);
    let Some(text) = data.get(key) else {
        errs.required(&path, "");
        return;
    };
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.text()).unwrap_or_default();
    if let Some(why) = golang::unmarshal_map_error(&bytes) {
        errs.invalid(&path, "<secret contents redacted>", why);
    }
}

/// `ValidateSecretUpdate`.
pub(crate) fn secret_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    meta::immutable(new, old, "type", "s", &Path::new("type"), errs);
    frozen(new, old, &["data"], errs);
    secret_create(new, ctx, errs);
}

/// `ValidateServiceAccount`.
pub(crate) fn service_account_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
}

/// `ValidateServiceAccountUpdate`.
pub(crate) fn service_account_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    service_account_create(new, ctx, errs);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn frozen_data_stays() {
        let old = json!({"metadata": {"name": "c", "namespace": "n", "resourceVersion": "1"},
            "immutable": true, "data": {"a": "b"}});
        let mut new = old.clone();
        new["data"]["a"] = json!("c");
        let mut errs = ErrorList::new();
        config_map_update(&new, &old, &Context::default(), &mut errs);
        assert_eq!(errs.len(), 1);
        assert_eq!(errs[0].to_string(), format!("data: Forbidden: {FROZEN}"));
    }

    #[test]
    fn typed_secrets_have_their_keys() {
        let secret = json!({"metadata": {"name": "s", "namespace": "n"}, "type": "kubernetes.io/tls"});
        let mut errs = ErrorList::new();
        secret_create(&secret, &Context::default(), &mut errs);
        let fields: Vec<&str> = errs.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(fields, ["data[tls.crt]", "data[tls.key]"]);
    }

    #[test]
    fn base64_lengths() {
        assert_eq!(decoded_len("AAEC/w=="), 4);
        assert_eq!(decoded_len(""), 0);
    }
}
