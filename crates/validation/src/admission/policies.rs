//! Validating and mutating admission policies and their bindings.

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path};

use super::rules::{
    FAILURE_POLICIES, expression, match_conditions, match_resources, one_of, required_one_of, variables,
};
use crate::Context;
use crate::cel::{self, Type, Variables};
use crate::errs::Errs;
use crate::meta;
use crate::names;
use crate::selector;
use crate::value::{Get, same_at};

const SPEC: Path<'static> = Path::new("spec");
const STATUS: Path<'static> = Path::new("status");
const REINVOCATION: &[&str] = &["IfNeeded", "Never"];

/// `ValidateValidatingAdmissionPolicy`.
pub(crate) fn validating_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    validating(object, false, errs);
}

/// `ValidateValidatingAdmissionPolicyUpdate`.
pub(crate) fn validating_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    validating(new, same_conditions(new, old), errs);
}

/// Whether parameters and conditions are as they were: then old conditions pass.
fn same_conditions(new: &Value, old: &Value) -> bool {
    let (now, before) = (new.sub("spec"), old.sub("spec"));
    same_at(now, before, "paramKind") && same_at(now, before, "matchConditions")
}

/// What both kinds of policies have; gives the variables of their expressions.
fn common(object: &Value, old_conditions: bool, errs: &mut ErrorList) -> Variables {
    meta::object_meta(object, false, names::subdomain, errs);
    let spec = object.sub("spec");
    required_one_of(spec, "failurePolicy", FAILURE_POLICIES, &SPEC, errs);
    if let Some(kind) = spec.at("paramKind") {
        param_kind(kind, &SPEC.child("paramKind"), errs);
    }
    let path = SPEC.child("matchConstraints");
    match spec.at("matchConstraints") {
        None => errs.required(&path, ""),
        Some(constraints) => {
            match_resources(constraints, &path, errs);
            if constraints.list("resourceRules").is_empty() {
                errs.required(&path.child("resourceRules"), "");
            }
            if spec.get("mutations").is_some() || object.str("kind") == "MutatingAdmissionPolicy" {
                no_delete(constraints, &path, errs);
            }
        }
    }
    let has_params = spec.at("paramKind").is_some();
    if !old_conditions {
        match_conditions(spec.list("matchConditions"), has_params, &SPEC.child("matchConditions"), errs);
    }
    let list = SPEC.child("variables");
    let mut known = variables(has_params, true);
    let mut own = Vec::new();
    known.push(("variables".to_owned(), Type::named("kubernetes.variables")));
    for (i, variable) in spec.list("variables").iter().enumerate() {
        let path = list.index(i);
        let name = variable.str("name");
        if name.trim().is_empty() {
            errs.required(&path.child("name"), "name is not specified");
        } else if !is_cel_identifier(name) {
            errs.invalid(&path.child("name"), name, "must be a valid CEL identifier");
        }
        let text = variable.str("expression");
        if text.trim().is_empty() {
            errs.required(&path.child("expression"), "expression is not specified");
            continue;
        }
        let found = cel::compile(text, &known).unwrap_or_else(|problem| {
            errs.invalid(&path.child("expression"), text, problem);
            Type::Dyn
        });
        own.push((name.to_owned(), found));
        known.pop();
        known.push(("variables".to_owned(), Type::object("kubernetes.variables", own.clone())));
    }
    known
}

/// Mutations cannot match deletions.
fn no_delete(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    const OPERATIONS: &[&str] = &["*", "CONNECT", "CREATE", "UPDATE"];
    let rules = path.child("resourceRules");
    for operation in v.list("resourceRules").iter().flat_map(|r| r.strs("operations")) {
        if !OPERATIONS.contains(&operation) {
            errs.not_supported(&rules.child("operations"), operation, OPERATIONS);
        }
    }
}

fn is_cel_identifier(name: &str) -> bool {
    names::is_c_identifier(name).is_empty() && !crate::cel::is_word_of_cel(name)
}

fn validating(object: &Value, old_conditions: bool, errs: &mut ErrorList) {
    const ONE: &str = "validations or auditAnnotations must contain at least one item";
    let mut known = common(object, old_conditions, errs);
    let spec = object.sub("spec");
    if spec.list("variables").is_empty() {
        known.retain(|(name, _)| name != "variables");
    }
    let (validations, annotations) = (spec.list("validations"), spec.list("auditAnnotations"));
    let annotations_path = SPEC.child("auditAnnotations");
    if validations.is_empty() && annotations.is_empty() {
        errs.required(&SPEC.child("validations"), ONE);
        errs.required(&annotations_path, ONE);
        return;
    }
    let list = SPEC.child("validations");
    for (i, v) in validations.iter().enumerate() {
        validation(v, &known, &list.index(i), errs);
    }
    if annotations.len() > 20 {
        errs.invalid(
            &annotations_path,
            spec.sub("auditAnnotations"),
            "must not have more than 20 auditAnnotations",
        );
    }
    let name = object.sub("metadata").str("name");
    let mut seen = HashSet::new();
    for (i, annotation) in annotations.iter().enumerate() {
        let path = annotations_path.index(i);
        let key = annotation.str("key");
        if name.is_empty() {
            errs.invalid(&path.child("key"), key, "requires metadata.name be non-empty");
        } else {
            let full = format!("{name}/{key}");
            errs.invalid_each(&path.child("key"), &full, names::is_qualified_name(&full));
        }
        let text = annotation.str("valueExpression").trim();
        if text.is_empty() {
            errs.required(&path.child("valueExpression"), "valueExpression is not specified");
        } else if text.len() > 5 * 1024 {
            errs.required(&path.child("valueExpression"), "must not exceed 5120 bytes in length");
        } else {
            expression(text, &known, &[Type::String, Type::Null], &path.child("valueExpression"), errs);
        }
        if !seen.insert(key) {
            errs.duplicate(&path.child("key"), key);
        }
    }
}

fn validation(v: &Value, known: &Variables, path: &Path<'_>, errs: &mut ErrorList) {
    const EMPTY: &str = "must be non-empty if specified";
    let text = v.str("expression");
    if text.trim().is_empty() {
        errs.required(&path.child("expression"), "expression is not specified");
    } else {
        expression(text, known, &[Type::Bool], &path.child("expression"), errs);
    }
    let (message, text) = (v.str("message"), v.str("messageExpression"));
    if !text.is_empty() {
        let path = path.child("messageExpression");
        if text.trim().is_empty() {
            errs.invalid(&path, text, EMPTY);
        } else {
            // There is no authorizer in messages.
            let known = known.iter().filter(|(name, _)| !name.starts_with("authorizer")).cloned().collect();
            expression(text, &known, &[Type::String], &path, errs);
        }
    }
    if !message.is_empty() && message.trim().is_empty() {
        errs.invalid(&path.child("message"), message, EMPTY);
    } else if message.trim().contains(['\n', '\r']) {
        errs.invalid(&path.child("message"), message, "must not contain line breaks");
    }
    one_of(v, "reason", &["Forbidden", "Invalid", "RequestEntityTooLarge"], path, errs);
}

/// `validateParamKind`.
fn param_kind(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let text = v.str("apiVersion");
    let version_path = path.child("apiVersion");
    if text.is_empty() {
        errs.required(&version_path, "");
    } else if text.matches('/').count() > 1 {
        errs.invalid(&version_path, text, format!("unexpected GroupVersion string: {text}"));
    } else {
        let (group, version) = match text {
            "/" => ("", ""),
            other => other.split_once('/').unwrap_or(("", other)),
        };
        if !group.is_empty() {
            let messages = names::is_dns1123_subdomain(group);
            if !messages.is_empty() {
                errs.invalid(&version_path, group, messages.join(","));
            }
        }
        if version.is_empty() {
            errs.invalid(&version_path, text, "version must be specified");
        } else {
            let messages = names::is_dns1035_label(version);
            if !messages.is_empty() {
                errs.invalid(&version_path, version, messages.join(","));
            }
        }
    }
    let kind = v.str("kind");
    if kind.is_empty() {
        errs.required(&path.child("kind"), "");
    } else {
        let messages = names::is_dns1035_label(&kind.to_lowercase());
        if !messages.is_empty() {
            errs.invalid(
                &path.child("kind"),
                kind,
                format!("may have mixed case, but should otherwise match: {}", messages.join(",")),
            );
        }
    }
}

/// `ValidateMutatingAdmissionPolicy`.
pub(crate) fn mutating_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    mutating(object, false, errs);
}

/// `ValidateMutatingAdmissionPolicyUpdate`.
pub(crate) fn mutating_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    mutating(new, same_conditions(new, old), errs);
}

fn mutating(object: &Value, old_conditions: bool, errs: &mut ErrorList) {
    let known = common(object, old_conditions, errs);
    let spec = object.sub("spec");
    let list = SPEC.child("mutations");
    let mutations = spec.list("mutations");
    if mutations.is_empty() {
        errs.required(&list, "mutations must contain at least one item");
    }
    for (i, v) in mutations.iter().enumerate() {
        mutation(v, &known, &list.index(i), errs);
    }
    let path = SPEC.child("reinvocationPolicy");
    match spec.str("reinvocationPolicy") {
        "" => errs.required(&path, ""),
        other if !REINVOCATION.contains(&other) => errs.not_supported(&path, other, REINVOCATION),
        _ => {}
    }
}

fn mutation(v: &Value, known: &Variables, path: &Path<'_>, errs: &mut ErrorList) {
    let kind = v.str("patchType");
    let (own, other) = match kind {
        "JSONPatch" => ("jsonPatch", "applyConfiguration"),
        "ApplyConfiguration" => ("applyConfiguration", "jsonPatch"),
        "" => return errs.required(&path.child("patchType"), ""),
        _ => {
            return errs.not_supported(&path.child("patchType"), kind, &["ApplyConfiguration", "JSONPatch"]);
        }
    };
    match v.at(own) {
        None => errs.required(&path.child(own), format!("must be specified when patchType is {kind}")),
        Some(patch) => {
            let text = patch.str("expression").trim();
            let path = path.child(own);
            if text.is_empty() {
                errs.required(&path.child("expression"), "");
            } else {
                let wanted = match kind {
                    "JSONPatch" => Type::list(Type::named("JSONPatch")),
                    _ => Type::named("Object"),
                };
                // The types that only mutations know (`apiserver/pkg/cel/mutation`).
                let types = ["JSONPatch", "Object"].map(|name| (name.to_owned(), Type::kind(name)));
                let known: Variables = known.iter().cloned().chain(types).collect();
                expression(text, &known, &[wanted], &path.child("expression"), errs);
            }
        }
    }
    if v.at(other).is_some() {
        errs.invalid(
            &path.child(other),
            format!("{{{other}}}").as_str(),
            format!("must not be specified when patchType is {kind}"),
        );
    }
}

fn binding(object: &Value, errs: &mut ErrorList) {
    meta::object_meta(object, false, names::subdomain, errs);
    let spec = object.sub("spec");
    let name = spec.str("policyName");
    let path = SPEC.child("policyName");
    if name.is_empty() {
        errs.required(&path, "");
    } else {
        errs.invalid_each(&path, name, names::is_dns1123_subdomain(name));
    }
    if let Some(reference) = spec.at("paramRef") {
        param_ref(reference, &SPEC.child("paramRef"), errs);
    }
    if let Some(resources) = spec.at("matchResources") {
        match_resources(resources, &SPEC.child("matchResources"), errs);
    }
}

/// `ValidateValidatingAdmissionPolicyBinding`.
pub(crate) fn validating_binding_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    binding(object, errs);
    const ACTIONS: &[&str] = &["Audit", "Deny", "Warn"];
    let spec = object.sub("spec");
    let path = SPEC.child("validationActions");
    let actions = spec.strs("validationActions");
    let mut seen = HashSet::new();
    for (i, action) in actions.iter().enumerate() {
        if !ACTIONS.contains(action) {
            errs.not_supported(&path.index(i), *action, ACTIONS);
        }
        if !seen.insert(action) {
            errs.duplicate(&path.index(i), *action);
        }
    }
    if actions.contains(&"Deny") && actions.contains(&"Warn") {
        errs.invalid(&path, spec.sub("validationActions"), "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)");
    }
    if actions.is_empty() {
        errs.required(&path, "at least one validation action is required");
    }
}

/// A binding's update is checked like its creation.
pub(crate) fn validating_binding_update(new: &Value, _: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    validating_binding_create(new, ctx, errs);
}

/// `ValidateMutatingAdmissionPolicyBinding`.
pub(crate) fn mutating_binding_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    binding(object, errs);
    no_delete(object.sub("spec").sub("matchResources"), &SPEC.child("matchResources"), errs);
}

/// A binding's update is checked like its creation.
pub(crate) fn mutating_binding_update(new: &Value, _: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    mutating_binding_create(new, ctx, errs);
}

/// `validateParamRef`.
fn param_ref(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    const EXCLUSIVE: &str = "name and selector are mutually exclusive";
    let (name, s) = (v.str("name"), v.at("selector"));
    if !name.is_empty() {
        errs.invalid_each(&path.child("name"), name, names::is_path_segment(name));
        if s.is_some() {
            errs.forbidden(&path.child("name"), EXCLUSIVE);
        }
    }
    if let Some(s) = s {
        selector::label_selector(s, false, &path.child("selector"), errs);
        if !name.is_empty() {
            errs.forbidden(&path.child("selector"), EXCLUSIVE);
        }
    } else if name.is_empty() {
        errs.required(path, "one of name or selector must be specified");
    }
    let path = path.child("parameterNotFoundAction");
    match v.str("parameterNotFoundAction") {
        "" => errs.required(&path, ""),
        "Deny" | "Allow" => {}
        other => errs.not_supported(&path, other, &["Deny", "Allow"]),
    }
}

/// `ValidateValidatingAdmissionPolicyStatusUpdate`.
pub(crate) fn validating_status(new: &Value, _: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    let status = new.sub("status");
    let checking = STATUS.child("typeChecking");
    let list = checking.child("expressionWarnings");
    for (i, warning) in status.sub("typeChecking").list("expressionWarnings").iter().enumerate() {
        let path = list.index(i);
        for field in ["warning", "fieldRef"] {
            if warning.str(field).trim().is_empty() {
                errs.required(&path.child(field), "");
            }
        }
    }
    meta::conditions(status.list("conditions"), &STATUS.child("conditions"), errs);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Every mutation was refused: nothing was known of the types that it makes.
    #[test]
    fn mutations_make_patches_and_objects() {
        let said = |kind: &str, field: &str, text: &str| {
            let mut errs = ErrorList::new();
            let mutation_of = json!({"patchType": kind, field: {"expression": text}});
            mutation(&mutation_of, &crate::cel::dynamic(&["object"]), &Path::new("m"), &mut errs);
            errs.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        let patch = |text| said("JSONPatch", "jsonPatch", text);
        assert_eq!(patch("[JSONPatch{op: 'add', path: '/a/' + jsonpatch.escapeKey('b/c'), value: 1}]"), "");
        assert!(patch("[1]").contains("must evaluate to list(JSONPatch) but got list(int)"));
        let config = |text| said("ApplyConfiguration", "applyConfiguration", text);
        assert_eq!(config("Object{spec: Object.spec{replicas: 3}}"), "");
        assert!(config("Bogus{a: 1}").contains("undeclared reference to 'Bogus'"));
    }
}
