//! A definition's spec: names, versions, columns, subresources, conversion.

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path};

use super::schema::{self, Options};
use super::{SPEC, View, field_path, structural};
use crate::admission::webhooks;
use crate::errs::Errs;
use crate::golang;
use crate::names;
use crate::value::Get;

const VERSIONS: &str = "[apiextensions.CustomResourceDefinitionVersion";

/// `validateCustomResourceDefinitionSpec`.
pub(super) fn spec(view: &View<'_>, options: &Options, errs: &mut ErrorList) {
    let v = view.spec;
    let group = v.str("group");
    let path = SPEC.child("group");
    let messages = names::is_dns1123_subdomain(group);
    if group.is_empty() {
        errs.required(&path, "");
    } else if !messages.is_empty() {
        errs.invalid(&path, group, messages.join(","));
    } else if !group.contains('.') {
        errs.invalid(&path, group, "should be a domain with at least one dot");
    }
    one_of(v.str("scope"), &["Cluster", "Namespaced"], &SPEC.child("scope"), errs);
    let keeps_unknown = v.flag("preserveUnknownFields");
    let list = SPEC.child("versions");
    if view.top("schema").at("openAPIV3Schema").is_none() {
        for (i, version) in view.versions.iter().enumerate() {
            if view.part(version, "schema").at("openAPIV3Schema").is_some() {
                continue;
            }
            let version_path = list.index(i);
            let path = version_path.child("schema");
            if options.schema_required {
                errs.required(&path.child("openAPIV3Schema"), "");
            } else if !keeps_unknown && version.flag("served") {
                errs.required(&path.child("openAPIV3Schema"), "because otherwise all fields are pruned");
            }
        }
    }
    let has_defaults = options.defaults && view.has_defaults();
    if has_defaults && keeps_unknown {
        let path = SPEC.child("preserveUnknownFields");
        errs.invalid(&path, true, "must be false in order to use defaults in the schema");
    }
    let mut options = options.clone();
    options.structural |=
        !keeps_unknown || has_defaults || view.schemas().any(|s| schema::any(s, &has_extensions));
    for (i, version) in view.versions.iter().enumerate() {
        let path = list.index(i);
        let messages = names::is_dns1035_label(version.str("name"));
        if !messages.is_empty() {
            errs.invalid(&path.child("name"), version.str("name"), messages.join(","));
        }
        self::version(view, version, &options, &path, errs);
    }
    let different: HashSet<&str> = view.versions.iter().map(|v| v.str("name")).collect();
    if different.len() < view.versions.len() {
        let shown = view.own_versions();
        errs.invalid(&list, golang::shown(VERSIONS, &shown), "must contain unique version names");
    }
    if view.versions.iter().filter(|v| v.flag("storage")).count() != 1 {
        let detail = "must have exactly one version marked as storage version";
        errs.invalid(&list, golang::shown(VERSIONS, &view.own_versions()), detail);
    }
    if let Some(first) = view.versions.first()
        && !first.str("name").is_empty()
    {
        let messages = names::is_dns1035_label(first.str("name"));
        if !messages.is_empty() {
            errs.invalid(&SPEC.child("version"), first.str("name"), messages.join(","));
        }
    }
    let path = SPEC.child("names");
    for field in ["plural", "singular", "kind", "listKind"] {
        if v.sub("names").str(field).is_empty() {
            errs.required(&path.child(field), "");
        }
    }
    names(v.sub("names"), &path, errs);
    let status_enabled = view.versions.iter().any(|v| v.sub("subresources").at("status").is_some());
    schema::validation(view.top("schema"), status_enabled, &options, &SPEC.child("validation"), errs);
    subresources(view.top("subresources"), &SPEC.child("subresources"), errs);
    columns(view.top("additionalPrinterColumns"), &SPEC.child("additionalPrinterColumns"), errs);
    let selectable = view.top("selectableFields").as_array().map_or(&[][..], Vec::as_slice);
    if !selectable.is_empty() {
        let path = SPEC.child("selectableFields");
        if view.top("schema").is_null() {
            errs.invalid(&path, "", "may only be set when validations.schema is included");
        } else {
            let schema = view.top("schema").sub("openAPIV3Schema");
            selectable_fields(selectable, schema, &SPEC.child("schema.openAPIV3Schema"), &path, errs);
        }
    }
    conversion(v.sub("conversion"), keeps_unknown, &options, errs);
}

/// Schemas that use what only structural schemas may use.
fn has_extensions(s: &Value) -> bool {
    s.flag("x-kubernetes-embedded-resource")
        || s.at("x-kubernetes-preserve-unknown-fields").is_some()
        || s.flag("x-kubernetes-int-or-string")
        || !s.list("x-kubernetes-list-map-keys").is_empty()
        || s.at("x-kubernetes-list-type").is_some()
        || !s.list("x-kubernetes-validations").is_empty()
}

/// `validateEnumStrings`.
fn one_of(value: &str, accepted: &[&str], path: &Path<'_>, errs: &mut ErrorList) {
    if value.is_empty() {
        errs.required(path, "");
    } else if !accepted.contains(&value) {
        errs.not_supported(path, value, accepted);
    }
}

/// `validateCustomResourceDefinitionVersion`.
fn version(view: &View<'_>, v: &Value, options: &Options, path: &Path<'_>, errs: &mut ErrorList) {
    deprecation(v, &path.child("deprecationWarning"), errs);
    let status_enabled = if view.is_common("subresources") {
        view.top("subresources").at("status").is_some()
    } else {
        v.sub("subresources").at("status").is_some()
    };
    let part = |field| if view.is_common(field) { &crate::value::NULL } else { v.sub(field) };
    schema::validation(part("schema"), status_enabled, options, &path.child("schema"), errs);
    subresources(part("subresources"), &path.child("subresources"), errs);
    columns(part("additionalPrinterColumns"), &path.child("additionalPrinterColumns"), errs);
    let selectable = part("selectableFields").as_array().map_or(&[][..], Vec::as_slice);
    if !selectable.is_empty() {
        let fields = path.child("selectableFields");
        match part("schema").at("openAPIV3Schema") {
            None => errs.invalid(
                &fields,
                "",
                "may only be set when `version.schema.openAPIV3Schema` is not included",
            ),
            Some(schema) => {
                selectable_fields(selectable, schema, &path.child("schema.openAPIV3Schema"), &fields, errs);
            }
        }
    }
}

/// `validateDeprecationWarning`.
fn deprecation(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let Some(text) = v.opt_str("deprecationWarning") else { return };
    if !v.flag("deprecated") {
        errs.invalid(path, text, "can only be set for deprecated versions");
        return;
    }
    if text.len() > 256 {
        errs.invalid(path, text, "must be <= 256 characters long");
    }
    if text.is_empty() {
        errs.invalid(path, text, "must not be an empty string");
    }
    let is_print = |c: char| c == ' ' || !(c.is_control() || c.is_whitespace());
    if let Some((i, _)) = text.char_indices().find(|(_, c)| !is_print(*c)) {
        errs.invalid(
            path,
            text,
            format!(
                "must only contain printable UTF-8 characters; non-printable character found at index {i}"
            ),
        );
    }
}

/// `ValidateCustomResourceDefinitionNames`.
pub(super) fn names(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let messages = |text: &str| names::is_dns1035_label(text).join(",");
    for field in ["plural", "singular"] {
        let text = v.str(field);
        let found = messages(text);
        if !text.is_empty() && !found.is_empty() {
            errs.invalid(&path.child(field), text, found);
        }
    }
    for field in ["kind", "listKind"] {
        let text = v.str(field);
        let found = messages(&text.to_lowercase());
        if !text.is_empty() && !found.is_empty() {
            let detail = format!("may have mixed case, but should otherwise match: {found}");
            errs.invalid(&path.child(field), text, detail);
        }
    }
    let each = |field: &str, errs: &mut ErrorList| {
        for (i, text) in v.strs(field).into_iter().enumerate() {
            let found = messages(text);
            if !found.is_empty() {
                errs.invalid(&path.child(field).index(i), text, found);
            }
        }
    };
    each("shortNames", errs);
    if !v.str("kind").is_empty() && v.str("kind") == v.str("listKind") {
        let detail = "kind and listKind may not be the same";
        errs.invalid(&path.child("listKind"), v.str("listKind"), detail);
    }
    each("categories", errs);
}

/// `ValidateCustomResourceColumnDefinition`.
fn columns(list: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    const TYPES: &[&str] = &["boolean", "date", "integer", "number", "string"];
    const FORMATS: &[&str] = &["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
    for (i, column) in list.as_array().into_iter().flatten().enumerate() {
        let path = path.index(i);
        if column.str("name").is_empty() {
            errs.required(&path.child("name"), "");
        }
        let kind = column.str("type");
        if kind.is_empty() {
            errs.required(&path.child("type"), format!("must be one of {}", TYPES.join(",")));
        } else if !TYPES.contains(&kind) {
            errs.invalid(&path.child("type"), kind, format!("must be one of {}", TYPES.join(",")));
        }
        let format = column.str("format");
        if !format.is_empty() && !FORMATS.contains(&format) {
            errs.invalid(&path.child("format"), format, format!("must be one of {}", FORMATS.join(",")));
        }
        match column.str("jsonPath") {
            "" => errs.required(&path.child("JSONPath"), ""),
            text => {
                simple_path(text, &path.child("JSONPath"), errs);
            }
        }
    }
}

/// `validateSimpleJSONPath`.
fn simple_path(text: &str, path: &Path<'_>, errs: &mut ErrorList) -> bool {
    if text.starts_with('.') {
        return true;
    }
    errs.invalid(path, text, "must be a simple json path starting with .");
    false
}

/// `ValidateCustomResourceDefinitionSubresources`.
fn subresources(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let Some(scale) = v.at("scale") else { return };
    let rules: [(&str, &str, &[&str], &str); 3] = [
        ("specReplicasPath", "scale.specReplicasPath", &[".spec."], "should be a json path under .spec"),
        (
            "statusReplicasPath",
            "scale.statusReplicasPath",
            &[".status."],
            "should be a json path under .status",
        ),
        (
            "labelSelectorPath",
            "scale.labelSelectorPath",
            &[".spec.", ".status."],
            "should be a json path under either .spec or .status",
        ),
    ];
    for (field, shown, prefixes, detail) in rules {
        let (text, path) = (scale.str(field), path.child(shown));
        if text.is_empty() {
            if field != "labelSelectorPath" {
                errs.required(&path, "");
            }
        } else if simple_path(text, &path, errs) && !prefixes.iter().any(|prefix| text.starts_with(prefix)) {
            errs.invalid(&path, text, detail);
        }
    }
}

/// `ValidateCustomResourceSelectableFields`.
fn selectable_fields(
    fields: &[Value],
    schema: &Value,
    schema_path: &Path<'_>,
    path: &Path<'_>,
    errs: &mut ErrorList,
) {
    if let Some(problem) = structural::unsupported(schema) {
        errs.invalid(schema_path, "", problem);
        return;
    }
    let mut seen: HashSet<String> = HashSet::new();
    for (i, field) in fields.iter().enumerate() {
        let item = path.index(i);
        let path = item.child("jsonPath");
        let text = field.str("jsonPath");
        if text.is_empty() {
            errs.required(&path, "");
            continue;
        }
        let (found, schema) = match field_path::resolve(text, schema, false) {
            Ok(found) => found,
            Err(problem) => {
                errs.invalid(&path, text, format!("is an invalid path: {problem}"));
                continue;
            }
        };
        if found.split(['.', '[']).next() == Some("metadata") {
            errs.invalid(&path, text, "must not point to fields in metadata");
        }
        if !matches!(schema.str("type"), "string" | "boolean" | "integer") {
            errs.invalid(
                &path,
                text,
                "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.",
            );
        }
        if seen.contains(&found) {
            errs.duplicate(&path, text);
        } else {
            seen.insert(found);
        }
    }
    if seen.len() > 8 {
        errs.too_many(path, seen.len(), 8);
    }
}

/// `validateCustomResourceConversion`.
fn conversion(v: &Value, keeps_unknown: bool, options: &Options, errs: &mut ErrorList) {
    if v.is_null() {
        return;
    }
    let path = SPEC.child("conversion");
    let strategy = v.str("strategy");
    if strategy != "None" && keeps_unknown {
        let detail = "must be None if spec.preserveUnknownFields is true";
        errs.invalid(&path.child("strategy"), strategy, detail);
    }
    one_of(strategy, &["None", "Webhook"], &path.child("strategy"), errs);
    let hook = v.sub("webhook");
    let (client_path, versions_path) =
        (path.child("webhookClientConfig"), path.child("conversionReviewVersions"));
    if strategy != "Webhook" {
        const UNUSED: &str = "should not be set when strategy is not set to Webhook";
        if hook.at("clientConfig").is_some() {
            errs.forbidden(&client_path, UNUSED);
        }
        if !hook.list("conversionReviewVersions").is_empty() {
            errs.forbidden(&versions_path, UNUSED);
        }
        return;
    }
    match hook.at("clientConfig") {
        None => errs.required(&client_path, "required when strategy is set to Webhook"),
        Some(client) if client.at("url").is_some() == client.at("service").is_some() => {
            errs.required(&client_path, "exactly one of url or service is required");
        }
        Some(client) => webhooks::client_config(client, &client_path, errs),
    }
    let versions = hook.strs("conversionReviewVersions");
    if versions.is_empty() {
        errs.required(&versions_path, "");
        return;
    }
    let mut seen = HashSet::new();
    for (i, version) in versions.iter().enumerate() {
        let path = versions_path.index(i);
        if !seen.insert(version) {
            errs.invalid(&path, *version, "duplicate version");
        } else {
            errs.invalid_each(&path, version, names::is_dns1035_label(version));
        }
    }
    if options.known_review_version && !versions.iter().any(|v| is_known_review(v)) {
        let detail = "must include at least one of v1, v1beta1";
        errs.invalid(&versions_path, hook.sub("conversionReviewVersions"), detail);
    }
}

/// `isAcceptedConversionReviewVersion`.
pub(super) fn is_known_review(version: &str) -> bool {
    matches!(version, "v1" | "v1beta1")
}
