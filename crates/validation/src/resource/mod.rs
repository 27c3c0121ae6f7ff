//! Dynamic resource allocation: claims, claim templates, device classes, resource slices, device taint rules.

use std::collections::HashSet;
use std::hash::Hash;

pub(crate) mod claim;
pub(crate) mod slice;
mod status;
pub(crate) mod taint;

use api::Value;
use api::field::{ErrorList, Path, go_quote};

use crate::core::volume::csi_driver_name;
use crate::errs::{Errs, Shown};
use crate::names;
use crate::value::Get;

/// Runs a rule on every item, unless there are too many of them (`validateSlice`).
fn each<T: Copy>(
    items: impl ExactSizeIterator<Item = T>,
    max: usize,
    path: &Path<'_>,
    errs: &mut ErrorList,
    mut rule: impl FnMut(T, &Path<'_>, &mut ErrorList),
) -> bool {
    if items.len() > max {
        errs.too_many(path, items.len(), max);
        return false;
    }
    for (i, item) in items.enumerate() {
        rule(item, &path.index(i), errs);
    }
    true
}

/// Like [`each`], and every item has a key of its own (`validateSet`).
fn each_unique<T: Copy, K: Eq + Hash + Shown>(
    items: impl ExactSizeIterator<Item = T> + Clone,
    max: usize,
    path: &Path<'_>,
    errs: &mut ErrorList,
    key: impl Fn(T) -> K,
    rule: impl FnMut(T, &Path<'_>, &mut ErrorList),
) {
    if !each(items.clone(), max, path, errs, rule) {
        return;
    }
    let mut seen: HashSet<K> = HashSet::with_capacity(items.len());
    for (i, item) in items.enumerate() {
        let found = key(item);
        if seen.contains(&found) {
            errs.duplicate(&path.index(i), found);
        } else {
            seen.insert(found);
        }
    }
}

/// Like [`each_unique`] for strings.
fn each_text(
    texts: &[&str],
    max: usize,
    path: &Path<'_>,
    errs: &mut ErrorList,
    rule: impl FnMut(&str, &Path<'_>, &mut ErrorList),
) {
    each_unique(texts.iter().copied(), max, path, errs, |text| text, rule);
}

fn label(name: &str, path: &Path<'_>, errs: &mut ErrorList) {
    errs.invalid_each(path, name, names::is_dns1123_label(name));
}

/// `validatePoolName`: names with slashes between them.
fn pool_name(name: &str, path: &Path<'_>, errs: &mut ErrorList) {
    if name.is_empty() {
        errs.required(path, "");
        return;
    }
    if name.len() > names::SUBDOMAIN_MAX {
        errs.too_long(path, names::SUBDOMAIN_MAX);
    }
    for part in name.split('/') {
        errs.invalid_each(path, part, names::is_dns1123_subdomain(part));
    }
}

/// `validateUID`: as `uuid.Validate` and in lower case with dashes.
fn uid(text: &str, path: &Path<'_>, errs: &mut ErrorList) {
    let bytes = text.as_bytes();
    let is_hex = |s: &[u8]| s.iter().all(u8::is_ascii_hexdigit);
    let is_dashed = |s: &[u8]| {
        s.iter().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
    };
    let problem = match bytes.len() {
        36 if is_dashed(bytes) => None,
        45 if !text.is_char_boundary(9) || !text[..9].eq_ignore_ascii_case("urn:uuid:") => {
            Some(format!("invalid urn prefix: {}", go_quote(&String::from_utf8_lossy(&bytes[..9]))))
        }
        45 if is_dashed(&bytes[9..]) => None,
        38 if bytes[0] != b'{' || bytes[37] != b'}' => Some("invalid bracketed UUID format".to_owned()),
        38 if is_dashed(&bytes[1..37]) => None,
        32 if is_hex(bytes) => None,
        32 | 36 | 38 | 45 => Some("invalid UUID format".to_owned()),
        n => Some(format!("invalid UUID length: {n}")),
    };
    if let Some(problem) = problem {
        errs.invalid(path, text, format!("error validating uid: {problem}"));
    } else if text.len() != 36 || text.bytes().any(|b| b.is_ascii_uppercase()) {
        errs.invalid(
            path,
            text,
            "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters",
        );
    }
}

/// `validateQualifiedName`: a C identifier, with or without a domain in front of it.
fn qualified_name(name: &str, path: &Path<'_>, errs: &mut ErrorList) {
    let parts: Vec<&str> = name.split('/').collect();
    match parts[..] {
        [id] => identifier(id, path, errs),
        [domain, id] => {
            if domain.is_empty() {
                errs.invalid(path, "", "the domain must not be empty");
            } else {
                csi_driver_name(domain, path, errs);
            }
            if id.is_empty() {
                errs.invalid(path, "", "the name must not be empty");
            } else {
                identifier(id, path, errs);
            }
        }
        _ => {}
    }
}

/// `validateFullyQualifiedName`.
fn fully_qualified_name(name: &str, path: &Path<'_>, errs: &mut ErrorList) {
    qualified_name(name, path, errs);
    if !name.contains('/') {
        errs.invalid(path, name, "a fully qualified name must be a domain and a name separated by a slash");
    }
}

fn identifier(id: &str, path: &Path<'_>, errs: &mut ErrorList) {
    if id.len() > 32 {
        errs.too_long(path, 32);
    }
    errs.invalid_each(path, id, names::is_c_identifier(id));
}

/// `validateRawExtension`: a JSON object that is not too long.
fn raw_extension(value: &Value, stored: bool, path: &Path<'_>, errs: &mut ErrorList) {
    const MAX: usize = 10 * 1024;
    if value.is_null() {
        errs.required(path, "");
    } else if !stored && value.to_string().len() > MAX {
        errs.too_long(path, MAX);
    } else if !value.is_object() {
        errs.invalid(path, "<value omitted>", "must be a valid JSON object");
    }
}

/// `validateDeviceBindingParameters`.
fn binding_conditions(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    const BINDING: &str = "bindingConditions";
    const FAILURE: &str = "bindingFailureConditions";
    let (binding, failure) = (v.strs(BINDING), v.strs(FAILURE));
    for (field, list) in [(BINDING, &binding), (FAILURE, &failure)] {
        each(list.iter().copied(), 4, &path.child(field), errs, crate::meta::label_name);
    }
    for (field, list) in [(BINDING, &binding), (FAILURE, &failure)] {
        let path = path.child(field);
        let mut seen = HashSet::new();
        for (i, condition) in list.iter().enumerate() {
            if !seen.insert(condition) {
                errs.duplicate(&path.index(i), *condition);
            }
            if field == FAILURE && binding.contains(condition) {
                let detail = "bindingFailureConditions must not overlap with bindingConditions";
                errs.invalid(&path.index(i), *condition, detail);
            }
        }
    }
    for (there, field, missing) in [(&failure, BINDING, &binding), (&binding, FAILURE, &failure)] {
        if missing.is_empty() && !there.is_empty() {
            let other = if field == BINDING { FAILURE } else { BINDING };
            errs.invalid(&path.child(field), v.sub(field), format!("{field} are required to use {other}"));
        }
    }
}
