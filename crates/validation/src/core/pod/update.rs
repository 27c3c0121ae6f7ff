//! What may change in a pod (`ValidatePodUpdate`, `ValidatePodEphemeralContainersUpdate`,
//! `ValidatePodResize`).

use std::collections::{HashMap, HashSet};

use api::field::{ErrorList, Path};
use api::{Object, Value};

use super::{MIRROR, Options, SPEC, affinity, annotations, metadata_and_spec};
use crate::Context;
use crate::errs::{Errs, Raw};
use crate::golang;
use crate::meta::{self, METADATA};
use crate::names;
use crate::quantity::{Quantity, QuantityField as _};
use crate::value::{Get, NULL, same, same_at};

const UPDATABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// `ValidatePodUpdate`.
pub(crate) fn pod_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    let opts = Options::for_pod(Some(old), ctx);
    meta::kube_object_meta_update(new, old, errs);
    metadata_and_spec(new, &opts, errs);
    annotations_update(new, old, &opts, errs);
    let (spec, old_spec) = (new.sub("spec"), old.sub("spec"));
    for kind in ["containers", "initContainers"] {
        if containers_update(spec.list(kind), old_spec.list(kind), &SPEC.child(kind), errs) {
            return;
        }
    }
    if active_deadline(spec, old_spec, errs) {
        return;
    }
    tolerations_update(spec, old_spec, &opts, errs);
    gates_update(spec, old_spec, errs);
    if same(spec, old_spec) {
        return;
    }
    let munged = munge(spec, old_spec, errs);
    if !same(&munged, old_spec) {
        let diff = golang::diff("core.PodSpec", old_spec, &munged);
        errs.forbidden(&SPEC, format!("{UPDATABLE}\n{diff}"));
    }
}

/// `ValidatePodSpecificAnnotationUpdates`.
pub(super) fn annotations_update(new: &Value, old: &Value, opts: &Options, errs: &mut ErrorList) {
    const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
    let path = METADATA.child("annotations");
    let (meta, old_meta) = (new.sub("metadata"), old.sub("metadata"));
    let (now, before) = (meta.sub("annotations"), old_meta.sub("annotations"));
    for (key, value) in before.pairs() {
        if now.get(key) == Some(value) {
            continue;
        }
        if key.starts_with(APP_ARMOR) {
            errs.forbidden(&path.key(key), "may not remove or update AppArmor annotations");
        }
        if key == MIRROR {
            errs.forbidden(&path.key(key), "may not remove or update mirror pod annotation");
        }
    }
    for (key, _) in now.pairs().filter(|(key, _)| before.get(key.as_str()).is_none()) {
        if key.starts_with(APP_ARMOR) {
            errs.forbidden(&path.key(key), "may not add AppArmor annotations");
        }
        if key == MIRROR {
            errs.forbidden(&path.key(key), "may not add mirror pod annotation");
        }
    }
    annotations(meta, new.sub("spec"), opts, &path, errs);
}

/// `ValidateContainerUpdates`. Says whether to stop.
fn containers_update(new: &[Value], old: &[Value], path: &Path<'_>, errs: &mut ErrorList) -> bool {
    if new.len() != old.len() {
        errs.forbidden(path, "pod updates may not add or remove containers");
        return true;
    }
    for (i, container) in new.iter().enumerate() {
        let item = path.index(i);
        if container.str("image").is_empty() {
            errs.required(&item.child("image"), "");
        }
        super::container::image_whitespace(container, &item, errs);
    }
    false
}

fn active_deadline(spec: &Value, old: &Value, errs: &mut ErrorList) -> bool {
    let path = SPEC.child("activeDeadlineSeconds");
    let before = old.opt_int("activeDeadlineSeconds");
    match spec.opt_int("activeDeadlineSeconds") {
        Some(now) => {
            if !(0..=i64::from(i32::MAX)).contains(&now) {
                errs.invalid(&path, now, names::between(0, i64::from(i32::MAX)));
                return true;
            }
            if before.is_some_and(|b| b < now) {
                errs.invalid(&path, now, "must be less than or equal to previous value");
                return true;
            }
        }
        None if before.is_some() => {
            errs.invalid(&path, None::<i64>, "must not update from a positive integer to nil value");
        }
        None => {}
    }
    false
}

/// `validateOnlyAddedTolerations`.
fn tolerations_update(spec: &Value, old: &Value, opts: &Options, errs: &mut ErrorList) {
    let path = SPEC.child("tolerations");
    let list = spec.list("tolerations");
    let id = |t: &Value| ["key", "operator", "value", "effect"].map(|f| t.str(f).to_owned());
    let kept: HashSet<[String; 4]> = list.iter().map(id).collect();
    for before in old.list("tolerations") {
        if !kept.contains(&id(before)) {
            errs.forbidden(&path, "existing toleration can not be modified except its tolerationSeconds");
            return;
        }
    }
    affinity::tolerations(list, opts.comparison_tolerations, &path, errs);
}

/// `validateOnlyDeletedSchedulingGates`.
fn gates_update(spec: &Value, old: &Value, errs: &mut ErrorList) {
    let path = SPEC.child("schedulingGates");
    let gates = spec.list("schedulingGates");
    let had: HashSet<&str> = old.list("schedulingGates").iter().map(|g| g.str("name")).collect();
    // Of gates with one name the last is told.
    let last: HashMap<&str, usize> = gates.iter().enumerate().map(|(i, g)| (g.str("name"), i)).collect();
    for (i, gate) in gates.iter().enumerate() {
        let name = gate.str("name");
        if !had.contains(name) && last.get(name) == Some(&i) {
            errs.forbidden(
                &path.index(i).child("name"),
                format!("only deletion is allowed, but found new scheduling gate '{name}'"),
            );
        }
    }
}

fn put(object: &mut Object, name: &str, value: &Value) {
    if value.is_null() {
        object.remove(name);
    } else {
        object.insert(name.to_owned(), value.clone());
    }
}

/// The new spec with everything that may change set back.
fn munge(spec: &Value, old: &Value, errs: &mut ErrorList) -> Value {
    let Value::Object(mut munged) = spec.clone() else { return spec.clone() };
    for kind in ["containers", "initContainers"] {
        if spec.list(kind).is_empty() {
            // Upstream puts the lists together again, and an empty one becomes none.
            munged.remove(kind);
        } else if let Some(Value::Array(list)) = munged.get_mut(kind) {
            for (container, before) in list.iter_mut().zip(old.list(kind)) {
                if let Value::Object(c) = container {
                    put(c, "image", before.sub("image"));
                }
            }
        }
    }
    for field in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        put(&mut munged, field, old.sub(field));
    }
    let grace = "terminationGracePeriodSeconds";
    if old.opt_int(grace).is_some_and(|g| g < 0) && spec.opt_int(grace) == Some(1) {
        put(&mut munged, grace, old.sub(grace));
    }
    if !old.list("schedulingGates").is_empty() {
        gated(spec, old, &mut munged, errs);
    }
    Value::Object(munged)
}

/// While gates hold a pod back, its node selector and affinity may get narrower.
fn gated(spec: &Value, old: &Value, munged: &mut Object, errs: &mut ErrorList) {
    if !same_at(spec, old, "nodeSelector") {
        let now = spec.sub("nodeSelector");
        if old.entries("nodeSelector").any(|(key, value)| now.get(key) != Some(value)) {
            errs.invalid(
                &SPEC.child("nodeSelector"),
                now,
                "only additions to spec.nodeSelector are allowed (no mutations or deletions)",
            );
        }
        put(munged, "nodeSelector", old.sub("nodeSelector"));
    }
    let (now, before) = (spec.sub("affinity"), old.sub("affinity"));
    if same_at(now, before, "nodeAffinity") {
        return;
    }
    node_affinity_update(now.sub("nodeAffinity"), before.sub("nodeAffinity"), errs);
    let has_pods = now.at("podAffinity").is_some() || now.at("podAntiAffinity").is_some();
    if before.is_null() && !has_pods {
        munged.remove("affinity");
        return;
    }
    let mut affinity = now.as_object().cloned().unwrap_or_default();
    put(&mut affinity, "nodeAffinity", before.sub("nodeAffinity"));
    munged.insert("affinity".to_owned(), Value::Object(affinity));
}

/// `validateNodeAffinityMutation`.
fn node_affinity_update(now: &Value, before: &Value, errs: &mut ErrorList) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    let Some(required) = before.at(REQUIRED) else { return };
    let old_terms = required.list("nodeSelectorTerms");
    let new_terms = now.sub(REQUIRED).list("nodeSelectorTerms");
    let node = Path::new("spec.affinity.nodeAffinity");
    let path = node.child(REQUIRED);
    let path = path.child("nodeSelectorTerms");
    if !old_terms.is_empty() && old_terms.len() != new_terms.len() {
        let shown = golang::typed("[core.NodeSelectorTerm", now.sub(REQUIRED).sub("nodeSelectorTerms"));
        errs.invalid(
            &path,
            Raw(shown),
            "no additions/deletions to non-empty NodeSelectorTerms list are allowed",
        );
        return;
    }
    for (i, (term, old)) in new_terms.iter().zip(old_terms).enumerate() {
        if !only_additions(term, old) {
            let shown = golang::typed("core.NodeSelectorTerm", term);
            errs.invalid(
                &path.index(i),
                Raw(shown),
                "only additions are allowed (no mutations or deletions)",
            );
        }
    }
}

fn only_additions(term: &Value, old: &Value) -> bool {
    let fields = ["matchExpressions", "matchFields"];
    if fields.iter().all(|f| old.list(f).is_empty()) && fields.iter().any(|f| !term.list(f).is_empty()) {
        return false;
    }
    fields.iter().all(|f| term.list(f).starts_with(old.list(f)))
}

/// `ValidatePodEphemeralContainersUpdate`.
pub(crate) fn ephemeral_containers_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    let opts = Options::for_pod(Some(old), ctx);
    if old.sub("metadata").sub("annotations").at(MIRROR).is_some() {
        errs.forbidden(&Path::new("[]"), "static pods do not support ephemeral containers");
        return;
    }
    meta::kube_object_meta_update(new, old, errs);
    metadata_and_spec(new, &opts, errs);
    annotations_update(new, old, &opts, errs);
    let path = SPEC.child("ephemeralContainers");
    let list = new.sub("spec").list("ephemeralContainers");
    for before in old.sub("spec").list("ephemeralContainers") {
        let name = before.str("name");
        match list.iter().rev().find(|c| c.str("name") == name) {
            None => errs
                .forbidden(&path, format!("existing ephemeral containers \"{name}\" may not be removed\n")),
            Some(now) if !same(before, now) => {
                let diff = golang::diff("core.EphemeralContainer", before, now);
                errs.forbidden(
                    &path,
                    format!("existing ephemeral containers \"{name}\" may not be changed\n{diff}"),
                );
            }
            Some(_) => {}
        }
    }
}

/// `ValidatePodResize`.
pub(crate) fn resize_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    let opts = Options::for_pod(Some(old), ctx);
    if old.sub("metadata").sub("annotations").at(MIRROR).is_some() {
        errs.forbidden(&Path::new("[]"), "static pods cannot be resized");
        return;
    }
    let (spec, old_spec) = (new.sub("spec"), old.sub("spec"));
    if old_spec.sub("os").str("name") == "windows" {
        errs.forbidden(&Path::new("[]"), "windows pods cannot be resized");
        return;
    }
    meta::kube_object_meta_update(new, old, errs);
    metadata_and_spec(new, &opts, errs);
    if qos_class(old_spec) != qos_class(spec) {
        errs.invalid(
            &SPEC,
            new.sub("status").str("qosClass"),
            "Pod QOS Class may not change as a result of resizing",
        );
    }
    let running =
        old.sub("status").list("containerStatuses").iter().find(|s| s.sub("state").at("running").is_some());
    if running.is_some_and(|s| s.at("resources").is_none()) {
        errs.forbidden(&SPEC, "Pod running on node without support for resize");
    }
    if let Some(before) = old_spec.at("resources") {
        let path = SPEC.child("resources");
        match spec.at("resources") {
            None => {
                errs.forbidden(&path, "pod-level resources cannot be removed");
                return;
            }
            Some(now) => {
                for (field, what) in [("requests", "requests"), ("limits", "limits")] {
                    if removed(now.sub(field), before.sub(field)) {
                        errs.forbidden(
                            &path.child(field),
                            format!("pod-level resource {what} cannot be removed"),
                        );
                    }
                }
            }
        }
    }
    let before = errs.len();
    order_kept(spec, old_spec, errs);
    if errs.len() > before {
        return;
    }
    for kind in ["initContainers", "containers"] {
        let list = SPEC.child(kind);
        for (i, (now, before)) in spec.list(kind).iter().zip(old_spec.list(kind)).enumerate() {
            let item = list.index(i);
            let path = item.child("resources");
            for (field, what) in [("requests", "requests"), ("limits", "limits")] {
                if removed(now.sub("resources").sub(field), before.sub("resources").sub(field)) {
                    errs.forbidden(&path.child(field), format!("resource {what} cannot be removed"));
                }
            }
        }
    }
    only_cpu_and_memory(spec, old_spec, errs);
}

fn order_kept(spec: &Value, old: &Value, errs: &mut ErrorList) {
    for kind in ["containers", "initContainers"] {
        let path = SPEC.child(kind);
        let (now, before) = (spec.list(kind), old.list(kind));
        if now.len() != before.len() {
            errs.forbidden(&path, format!("{kind} may not be added or removed on resize"));
            continue;
        }
        for (i, (c, b)) in now.iter().zip(before).enumerate() {
            if c.str("name") != b.str("name") {
                errs.forbidden(
                    &path.index(i).child("name"),
                    format!("{kind} may not be renamed or reordered on resize"),
                );
            }
        }
    }
}

fn only_cpu_and_memory(spec: &Value, old: &Value, errs: &mut ErrorList) {
    const CONTAINERS: &str = "only cpu and memory resources are mutable";
    let Value::Object(mut munged) = spec.clone() else { return };
    let before = errs.len();
    for kind in ["containers", "initContainers"] {
        let mut list = Vec::with_capacity(spec.list(kind).len());
        let kind_path = SPEC.child(kind);
        for (i, (container, was)) in spec.list(kind).iter().zip(old.list(kind)).enumerate() {
            let changed = !same(container, was);
            let mut c = container.as_object().cloned().unwrap_or_default();
            let resources = settled(container.sub("resources"), was.sub("resources"));
            put(&mut c, "resources", &resources);
            let c = Value::Object(c);
            if kind == "containers" {
                if !same(&c, was) {
                    errs.forbidden(&SPEC, CONTAINERS);
                }
            } else {
                let path = kind_path.index(i);
                if !same(&c, was) {
                    errs.forbidden(
                        &path,
                        "only cpu and memory resources for init or sidecar containers are mutable",
                    );
                }
                let restarts = container
                    .list("resizePolicy")
                    .iter()
                    .filter(|p| p.str("restartPolicy") == "RestartContainer")
                    .count();
                if changed && container.str("restartPolicy") != "Always" {
                    for _ in 0..restarts {
                        errs.forbidden(&path, "non-sidecar init containers with a resize policy of RestartContainer cannot be resized");
                    }
                }
            }
            list.push(c);
        }
        if munged.contains_key(kind) {
            munged.insert(kind.to_owned(), Value::Array(list));
        }
    }
    if let Some(r) = spec.at("resources") {
        put(&mut munged, "resources", &settled(r, old.sub("resources")));
    }
    if errs.len() == before && !same(&Value::Object(munged), old) {
        errs.forbidden(&SPEC, CONTAINERS);
    }
}

/// Requirements with cpu and memory set back to what they were.
fn settled(now: &Value, before: &Value) -> Value {
    let mut out = Object::new();
    for field in ["limits", "requests"] {
        let mut list = now.sub(field).as_object().cloned().unwrap_or_default();
        for name in ["cpu", "memory"] {
            put(&mut list, name, before.sub(field).sub(name));
        }
        if !list.is_empty() {
            out.insert(field.to_owned(), Value::Object(list));
        }
    }
    if out.is_empty() && before.is_null() { NULL.clone() } else { Value::Object(out) }
}

fn removed(now: &Value, before: &Value) -> bool {
    before.pairs().any(|(name, _)| now.get(name).is_none())
}

/// `ComputePodQOS`.
pub(crate) fn qos_class(spec: &Value) -> &'static str {
    let (mut any, mut guaranteed) = (false, true);
    let mut look = |r: &Value| {
        for (name, value) in r.entries("requests").chain(r.entries("limits")) {
            if matches!(name.as_str(), "cpu" | "memory") && Quantity::of(value).sign() > 0 {
                any = true;
            }
        }
        for name in ["cpu", "memory"] {
            let limit = r.sub("limits").get(name).map(Quantity::of);
            let request = r.sub("requests").get(name).map(Quantity::of);
            guaranteed &= limit.is_some_and(|l| l.sign() > 0 && request.is_none_or(|q| q == l));
        }
    };
    match spec.at("resources") {
        Some(r) if r.at("requests").is_some() || r.at("limits").is_some() => look(r),
        _ => {
            for kind in ["containers", "initContainers"] {
                spec.list(kind).iter().for_each(|c| look(c.sub("resources")));
            }
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
