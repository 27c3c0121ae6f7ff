//! What names may look like. The rules and most texts are [`api::names`]; where upstream has two texts for
//! one rule (its old validation counts characters, its declarative one bytes) both are here.

use std::borrow::Cow;

use api::names;
pub(crate) use api::names::{
    c_identifier as is_c_identifier, config_map_key as is_config_map_key,
    http_header_name as is_http_header_name, in_range, inclusive_range_error as between,
    label_value as is_label_value, path_segment as is_path_segment, percent as is_percent,
    port_name as is_port_name, port_number as is_port_number, qualified_name as is_qualified_name,
    relaxed_env_var_name as is_env_var_name, user_id as is_user_id,
};

/// A rule for a text: what is wrong with it.
pub(crate) type Rule = fn(&str) -> Vec<String>;

/// A rule for object names: the name, and whether it is a prefix that gets a suffix appended.
pub(crate) type NameRule = fn(&str, bool) -> Vec<String>;

pub(crate) const SUBDOMAIN_MAX: usize = names::DNS1123_SUBDOMAIN_MAX_BYTES;
pub(crate) const LABEL_MAX: usize = names::DNS1123_LABEL_MAX_BYTES;

/// `util/validation` says characters where `validate/content` says bytes.
fn in_characters(mut errs: Vec<String>, value: &str, max: usize) -> Vec<String> {
    if value.len() > max
        && let Some(first) = errs.first_mut()
    {
        *first = names::max_len_error(max);
    }
    errs
}

/// `IsDNS1123Label`.
pub(crate) fn is_dns1123_label(value: &str) -> Vec<String> {
    in_characters(names::dns1123_label(value), value, LABEL_MAX)
}

/// `IsDNS1123Subdomain`.
pub(crate) fn is_dns1123_subdomain(value: &str) -> Vec<String> {
    in_characters(names::dns1123_subdomain(value), value, SUBDOMAIN_MAX)
}

/// `content.IsDNS1123Subdomain`, which declarative validation calls a long name.
pub(crate) fn is_long_name(value: &str) -> Vec<String> {
    names::dns1123_subdomain(value)
}

/// `IsDNS1123SubdomainWithUnderscore`.
pub(crate) fn is_subdomain_with_underscore(value: &str) -> Vec<String> {
    in_characters(names::dns1123_subdomain_with_underscore(value), value, SUBDOMAIN_MAX)
}

/// `IsDNS1035Label`.
pub(crate) fn is_dns1035_label(value: &str) -> Vec<String> {
    in_characters(names::dns1035_label(value), value, LABEL_MAX)
}

/// `IsWildcardDNS1123Subdomain`.
pub(crate) fn is_wildcard_subdomain(value: &str) -> Vec<String> {
    in_characters(names::wildcard_dns1123_subdomain(value), value, SUBDOMAIN_MAX)
}

/// Upstream lets a generated name's prefix end with a dash.
fn masked(name: &str, prefix: bool) -> Cow<'_, str> {
    if prefix && name.len() > 1 && name.ends_with('-') {
        // As upstream: the character before the dash goes, too.
        let cut = name.get(..name.len() - 2).unwrap_or("");
        return format!("{cut}a").into();
    }
    name.into()
}

/// `NameIsDNSSubdomain`.
pub(crate) fn subdomain(name: &str, prefix: bool) -> Vec<String> {
    is_dns1123_subdomain(&masked(name, prefix))
}

/// `NameIsDNSLabel`.
pub(crate) fn label(name: &str, prefix: bool) -> Vec<String> {
    is_dns1123_label(&masked(name, prefix))
}

/// `path.ValidatePathSegmentName`: RBAC objects are named freely.
pub(crate) fn path_segment(name: &str, prefix: bool) -> Vec<String> {
    if prefix { names::path_segment_prefix(name) } else { names::path_segment(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_have_two_texts() {
        let long = "a".repeat(254);
        assert_eq!(is_dns1123_subdomain(&long), ["must be no more than 253 characters"]);
        assert_eq!(is_long_name(&long), ["must be no more than 253 bytes"]);
        assert_eq!(is_dns1123_label("a.b"), ["must not contain dots"]);
        assert_eq!(is_dns1035_label("").len(), 1);
    }

    #[test]
    fn a_prefix_may_end_with_a_dash() {
        assert!(subdomain("web-", true).is_empty());
        assert_eq!(subdomain("web-", false).len(), 1);
    }
}
