//! Roles and role bindings.

use api::Value;
use api::field::{ErrorList, Path};

use crate::Context;
use crate::errs::{Errs, Raw};
use crate::golang;
use crate::meta;
use crate::names;
use crate::selector;
use crate::value::Get;

const GROUP: &str = "rbac.authorization.k8s.io";

/// Any name that may stand in a URL, for prefixes as well.
fn rbac_name(name: &str, _: bool) -> Vec<String> {
    names::is_path_segment(name)
}

fn rules(object: &Value, namespaced: bool, errs: &mut ErrorList) {
    let list = Path::new("rules");
    for (i, rule) in object.list("rules").iter().enumerate() {
        policy_rule(rule, namespaced, &list.index(i), errs);
    }
}

/// `ValidateRole`.
pub(crate) fn role_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, rbac_name, errs);
    rules(object, true, errs);
}

/// `ValidateRoleUpdate`.
pub(crate) fn role_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    ctx.twice(errs, |errs| role_create(new, ctx, errs));
    meta::kube_object_meta_update(new, old, errs);
}

/// `ValidateClusterRole`.
pub(crate) fn cluster_role_create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    cluster_role(object, ctx.is_old(), errs);
}

fn cluster_role(object: &Value, any_value: bool, errs: &mut ErrorList) {
    meta::kube_object_meta(object, false, rbac_name, errs);
    rules(object, false, errs);
    let Some(aggregation) = object.at("aggregationRule") else { return };
    let path = Path::new("aggregationRule");
    let list = path.child("clusterRoleSelectors");
    let selectors = aggregation.list("clusterRoleSelectors");
    if selectors.is_empty() {
        errs.required(&list, "at least one clusterRoleSelector required if aggregationRule is non-nil");
    }
    for (i, s) in selectors.iter().enumerate() {
        let path = list.index(i);
        selector::label_selector(s, any_value, &path, errs);
        if !selector::is_usable(s) {
            // Upstream quotes the selector that it could not build.
            errs.invalid(&path, Raw("null".into()), "invalid label selector.");
        }
    }
}

/// `ValidateClusterRoleUpdate`.
pub(crate) fn cluster_role_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    let any_value = ctx.is_old()
        || old.sub("aggregationRule").list("clusterRoleSelectors").iter().any(selector::has_invalid_value);
    ctx.twice(errs, |errs| cluster_role(new, any_value, errs));
    meta::kube_object_meta_update(new, old, errs);
}

/// `ValidatePolicyRule`.
fn policy_rule(rule: &Value, namespaced: bool, path: &Path<'_>, errs: &mut ErrorList) {
    let empty = |field: &str| rule.list(field).is_empty();
    if empty("verbs") {
        errs.required(&path.child("verbs"), "verbs must contain at least one value");
    }
    if !empty("nonResourceURLs") {
        let (path, urls) = (path.child("nonResourceURLs"), rule.sub("nonResourceURLs"));
        if namespaced {
            errs.invalid(&path, urls, "namespaced rules cannot apply to non-resource URLs");
        }
        if !["apiGroups", "resources", "resourceNames"].iter().all(|f| empty(f)) {
            errs.invalid(&path, urls, "rules cannot apply to both regular resources and non-resource URLs");
        }
        return;
    }
    if empty("apiGroups") {
        errs.required(&path.child("apiGroups"), "resource rules must supply at least one api group");
    }
    if empty("resources") {
        errs.required(&path.child("resources"), "resource rules must supply at least one resource");
    }
}

fn binding(object: &Value, namespaced: bool, errs: &mut ErrorList) {
    meta::kube_object_meta(object, namespaced, rbac_name, errs);
    let reference = object.sub("roleRef");
    let path = Path::new("roleRef");
    if reference.str("apiGroup") != GROUP {
        errs.not_supported(&path.child("apiGroup"), reference.str("apiGroup"), &[GROUP]);
    }
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&reference.str("kind")) {
        errs.not_supported(&path.child("kind"), reference.str("kind"), kinds);
    }
    let name = reference.str("name");
    if name.is_empty() {
        errs.required(&path.child("name"), "");
    } else {
        errs.invalid_each(&path.child("name"), name, names::is_path_segment(name));
    }
    let list = Path::new("subjects");
    for (i, s) in object.list("subjects").iter().enumerate() {
        subject(s, namespaced, &list.index(i), errs);
    }
}

/// `ValidateRoleBindingSubject`.
fn subject(v: &Value, namespaced: bool, path: &Path<'_>, errs: &mut ErrorList) {
    let (name, group) = (v.str("name"), v.str("apiGroup"));
    if name.is_empty() {
        errs.required(&path.child("name"), "");
    }
    match v.str("kind") {
        "ServiceAccount" => {
            if !name.is_empty() {
                errs.invalid_each(&path.child("name"), name, names::is_dns1123_subdomain(name));
            }
            if !group.is_empty() {
                errs.not_supported(&path.child("apiGroup"), group, &[""]);
            }
            if !namespaced && v.str("namespace").is_empty() {
                errs.required(&path.child("namespace"), "");
            }
        }
        "User" | "Group" => {
            if group != GROUP {
                errs.not_supported(&path.child("apiGroup"), group, &[GROUP]);
            }
        }
        other => errs.not_supported(&path.child("kind"), other, &["ServiceAccount", "User", "Group"]),
    }
}

fn role_ref_stays(new: &Value, old: &Value, errs: &mut ErrorList) {
    let (now, before) = (new.sub("roleRef"), old.sub("roleRef"));
    if ["apiGroup", "kind", "name"].iter().any(|f| now.str(f) != before.str(f)) {
        errs.invalid(&Path::new("roleRef"), golang::shown("rbac.RoleRef", now), "cannot change roleRef");
    }
}

/// `ValidateRoleBinding`.
pub(crate) fn role_binding_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    binding(object, true, errs);
}

/// `ValidateRoleBindingUpdate`.
pub(crate) fn role_binding_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    ctx.twice(errs, |errs| binding(new, true, errs));
    meta::kube_object_meta_update(new, old, errs);
    role_ref_stays(new, old, errs);
}

/// `ValidateClusterRoleBinding`.
pub(crate) fn cluster_role_binding_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    binding(object, false, errs);
}

/// `ValidateClusterRoleBindingUpdate`.
pub(crate) fn cluster_role_binding_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    ctx.twice(errs, |errs| binding(new, false, errs));
    meta::kube_object_meta_update(new, old, errs);
    role_ref_stays(new, old, errs);
}
