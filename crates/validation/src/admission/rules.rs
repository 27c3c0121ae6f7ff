//! What webhooks and policies match: rules, selectors, conditions.

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path};

use crate::cel::{self, Type, Variables};
use crate::errs::Errs;
use crate::names;
use crate::selector;
use crate::value::Get;

pub(super) const FAILURE_POLICIES: &[&str] = &["Fail", "Ignore"];
const MATCH_POLICIES: &[&str] = &["Equivalent", "Exact"];

/// A field that, when given, is one of a set.
pub(super) fn one_of(v: &Value, field: &str, allowed: &[&str], path: &Path<'_>, errs: &mut ErrorList) {
    if let Some(value) = v.opt_str(field)
        && !allowed.contains(&value)
    {
        errs.not_supported(&path.child(field), value, allowed);
    }
}

/// A field that must be given and is one of a set.
pub(super) fn required_one_of(
    v: &Value,
    field: &str,
    allowed: &[&str],
    path: &Path<'_>,
    errs: &mut ErrorList,
) {
    if v.at(field).is_none() {
        errs.required(&path.child(field), "");
    }
    one_of(v, field, allowed, path, errs);
}

pub(super) fn match_policy(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    one_of(v, "matchPolicy", MATCH_POLICIES, path, errs);
}

/// `validateRuleWithOperations`.
pub(super) fn rule(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    const OPERATIONS: &[&str] = &["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
    let operations = v.strs("operations");
    let operations_path = path.child("operations");
    if operations.is_empty() {
        errs.required(&operations_path, "");
    }
    if operations.len() > 1 && operations.contains(&"*") {
        errs.invalid(
            &operations_path,
            v.sub("operations"),
            "if '*' is present, must not specify other operations",
        );
    }
    for (i, operation) in operations.into_iter().enumerate() {
        if !OPERATIONS.contains(&operation) {
            errs.not_supported(&operations_path.index(i), operation, OPERATIONS);
        }
    }
    for (field, what) in [("apiGroups", "API groups"), ("apiVersions", "API versions")] {
        let (list, path) = (v.strs(field), path.child(field));
        if list.is_empty() {
            errs.required(&path, "");
        }
        if list.len() > 1 && list.contains(&"*") {
            errs.invalid(&path, v.sub(field), format!("if '*' is present, must not specify other {what}"));
        }
        if field == "apiVersions" {
            for (i, version) in list.into_iter().enumerate() {
                if version.is_empty() {
                    errs.required(&path.index(i), "");
                }
            }
        }
    }
    resources(v, &path.child("resources"), errs);
    one_of(v, "scope", &["*", "Cluster", "Namespaced"], path, errs);
}

/// `validateResources`.
fn resources(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let list = v.strs("resources");
    if list.is_empty() {
        errs.required(path, "");
    }
    let (mut all_below, mut of_all): (HashSet<&str>, HashSet<&str>) = (HashSet::new(), HashSet::new());
    let mut plain = false;
    for (i, resource) in list.iter().enumerate() {
        if resource.is_empty() {
            errs.required(&path.index(i), "");
            continue;
        }
        let Some((name, sub)) = resource.split_once('/') else {
            plain = *resource != "*";
            continue;
        };
        if all_below.contains(&name) {
            errs.invalid(
                &path.index(i),
                *resource,
                format!("if '{name}/*' is present, must not specify {resource}"),
            );
        }
        if of_all.contains(&sub) {
            errs.invalid(
                &path.index(i),
                *resource,
                format!("if '*/{sub}' is present, must not specify {resource}"),
            );
        }
        if sub == "*" {
            all_below.insert(name);
        }
        if name == "*" {
            of_all.insert(sub);
        }
    }
    let quoted = v.sub("resources");
    if list.len() > 1 && list.contains(&"*/*") {
        errs.invalid(path, quoted, "if '*/*' is present, must not specify other resources");
    }
    if list.contains(&"*") && plain {
        errs.invalid(
            path,
            quoted,
            "if '*' is present, must not specify other resources without subresources",
        );
    }
}

/// What expressions of webhooks and policies may use.
pub(super) fn variables(has_params: bool, has_authorizer: bool) -> Variables {
    let mut all = cel::dynamic(&["object", "oldObject", "request", "namespaceObject"]);
    if has_params {
        all.extend(cel::dynamic(&["params"]));
    }
    if has_authorizer {
        all.extend(cel::dynamic(&["authorizer"]));
    }
    all
}

/// An expression that has to give one of some types.
pub(super) fn expression(
    text: &str,
    variables: &Variables,
    wanted: &[Type],
    path: &Path<'_>,
    errs: &mut ErrorList,
) {
    if let Some(problem) = cel::problem(text, variables, wanted) {
        errs.invalid(path, text, problem);
    }
}

/// `validateMatchConditions`.
pub(super) fn match_conditions(list: &[Value], has_params: bool, path: &Path<'_>, errs: &mut ErrorList) {
    if list.len() > 64 {
        errs.too_many(path, list.len(), 64);
    }
    let mut seen = HashSet::new();
    for (i, condition) in list.iter().enumerate() {
        let path = path.index(i);
        let text = condition.str("expression").trim();
        if text.is_empty() {
            errs.required(&path.child("expression"), "");
        } else {
            let variables = variables(has_params, true);
            expression(text, &variables, &[Type::Bool], &path.child("expression"), errs);
        }
        let name = condition.str("name");
        if name.is_empty() {
            errs.required(&path.child("name"), "");
            continue;
        }
        errs.invalid_each(&path.child("name"), name, names::is_qualified_name(name));
        if !seen.insert(name) {
            errs.duplicate(&path.child("name"), name);
        }
    }
}

/// `validateMatchResources`.
pub(super) fn match_resources(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    required_one_of(v, "matchPolicy", MATCH_POLICIES, path, errs);
    for field in ["namespaceSelector", "objectSelector"] {
        let path = path.child(field);
        match v.at(field) {
            None => errs.required(&path, ""),
            Some(s) => selector::label_selector(s, false, &path, errs),
        }
    }
    for field in ["resourceRules", "excludeResourceRules"] {
        let list = path.child(field);
        for (i, r) in v.list(field).iter().enumerate() {
            let path = list.index(i);
            let resource_names = path.child("resourceNames");
            let all = r.strs("resourceNames");
            let mut seen = HashSet::new();
            for (j, name) in all.iter().enumerate() {
                errs.invalid_each(&resource_names.index(j), name, names::is_path_segment(name));
                if !seen.insert(name) {
                    errs.duplicate(&resource_names.index(j), *name);
                }
            }
            rule(r, &path, errs);
        }
    }
}
