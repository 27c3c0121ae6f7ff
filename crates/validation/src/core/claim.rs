//! Persistent volume claims and persistent volumes.

use api::field::{ErrorList, Path};
use api::{Object, Value};

use super::pod::{self, affinity, resources};
use super::volume;
use crate::Context;
use crate::errs::{Errs, Raw};
use crate::golang;
use crate::meta::{self, METADATA};
use crate::names;
use crate::quantity::{Quantity, QuantityField as _};
use crate::selector;
use crate::value::{Get, NULL, same, same_at};

const SPEC: Path<'static> = Path::new("spec");
const STATUS: Path<'static> = Path::new("status");
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

#[derive(Default)]
struct ClaimOptions {
    any_selector_value: bool,
    any_source_group: bool,
}

/// `ValidationOptionsForPersistentVolumeClaim`.
fn tolerated(old: &Value) -> ClaimOptions {
    let spec = old.sub("spec");
    let mut errs = ErrorList::new();
    selector::label_selector(spec.sub("selector"), false, &Path::ROOT, &mut errs);
    ClaimOptions {
        any_selector_value: !errs.is_empty(),
        any_source_group: ["dataSource", "dataSourceRef"]
            .iter()
            .any(|f| spec.sub(f).at("apiGroup").is_some()),
    }
}

/// `ValidatePersistentVolumeClaim`.
pub(crate) fn claim_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    claim_spec_with(object.sub("spec"), &ClaimOptions::default(), &SPEC, errs);
}

/// `ValidatePersistentVolumeClaimSpec` with the rules for new objects.
pub(crate) fn claim_spec(spec: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    claim_spec_with(spec, &ClaimOptions::default(), path, errs);
}

/// `ValidatePersistentVolumeClaimTemplate`.
pub(crate) fn template(template: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    meta::of_template(template.sub("metadata"), &path.child("metadata"), errs);
    claim_spec(template.sub("spec"), &path.child("spec"), errs);
}

const ACCESS_MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

fn access_modes(spec: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let path = path.child("accessModes");
    let modes = spec.strs("accessModes");
    for mode in &modes {
        if !ACCESS_MODES.contains(mode) {
            errs.not_supported(&path, *mode, ACCESS_MODES);
        }
    }
    let once_pod = modes.contains(&"ReadWriteOncePod");
    if once_pod && modes.iter().any(|m| *m != "ReadWriteOncePod" && ACCESS_MODES.contains(m)) {
        errs.forbidden(&path, "may not use ReadWriteOncePod with other access modes");
    }
}

fn volume_mode(spec: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    if let Some(mode) = spec.opt_str("volumeMode")
        && !matches!(mode, "Block" | "Filesystem")
    {
        errs.not_supported(&path.child("volumeMode"), mode, &["Block", "Filesystem"]);
    }
}

fn class_name(spec: &Value, field: &str, path: &Path<'_>, errs: &mut ErrorList) {
    let name = spec.str(field);
    if !name.is_empty() {
        errs.invalid_each(&path.child(field), name, names::is_dns1123_subdomain(name));
    }
}

fn claim_spec_with(spec: &Value, opts: &ClaimOptions, path: &Path<'_>, errs: &mut ErrorList) {
    if spec.list("accessModes").is_empty() {
        errs.required(&path.child("accessModes"), "at least 1 access mode is required");
    }
    let labels = spec.sub("selector");
    selector::label_selector(labels, opts.any_selector_value, &path.child("selector"), errs);
    access_modes(spec, path, errs);
    let requested = path.child("resources");
    let requested = requested.key("storage");
    match spec.sub("resources").sub("requests").get("storage") {
        None => errs.required(&requested, ""),
        Some(size) if Quantity::of(size).sign() <= 0 => {
            errs.invalid(&requested, &Quantity::shown(size), "must be greater than zero");
        }
        Some(size) => resources::quantity_value("storage", size, &requested, errs),
    }
    class_name(spec, "storageClassName", path, errs);
    volume_mode(spec, path, errs);
    for field in ["dataSource", "dataSourceRef"] {
        if let Some(source) = spec.at(field) {
            data_source(source, opts, &path.child(field), errs);
        }
    }
    if let (Some(source), Some(reference)) = (spec.at("dataSource"), spec.at("dataSourceRef")) {
        let differ = ["apiGroup", "kind", "name"].iter().any(|f| source.opt_str(f) != reference.opt_str(f));
        // Upstream quotes a path here, which prints as an empty struct.
        if !reference.str("namespace").is_empty() {
            errs.invalid(
                path,
                Raw("{}".into()),
                "may not be specified when dataSourceRef.namespace is specified",
            );
        } else if differ {
            errs.invalid(path, Raw("{}".into()), "must match dataSourceRef");
        }
    }
    class_name(spec, "volumeAttributesClassName", path, errs);
}

fn data_source(source: &Value, opts: &ClaimOptions, path: &Path<'_>, errs: &mut ErrorList) {
    for field in ["name", "kind"] {
        if source.str(field).is_empty() {
            errs.required(&path.child(field), "");
        }
    }
    let (group, kind) = (source.str("apiGroup"), source.str("kind"));
    if group.is_empty() && kind != "PersistentVolumeClaim" {
        errs.invalid(path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
    }
    if !group.is_empty() && !opts.any_source_group {
        errs.invalid_each(&path.child("apiGroup"), group, names::is_dns1123_subdomain(group));
    }
    let namespace = source.str("namespace");
    if !namespace.is_empty() {
        errs.invalid_each(&path.child("namespace"), namespace, names::is_dns1123_label(namespace));
    }
}

fn set(object: &mut Object, name: &str, value: &Value) {
    if value.is_null() {
        object.remove(name);
    } else {
        object.insert(name.to_owned(), value.clone());
    }
}

/// `ValidatePersistentVolumeClaimUpdate`.
pub(crate) fn claim_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    meta::kube_object_meta(new, true, names::subdomain, errs);
    let (spec, before) = (new.sub("spec"), old.sub("spec"));
    claim_spec_with(spec, &tolerated(old), &SPEC, errs);

    let mut munged = spec.as_object().cloned().unwrap_or_default();
    let mut expected = before.as_object().cloned().unwrap_or_default();
    if before.str("volumeName").is_empty() {
        set(&mut expected, "volumeName", spec.sub("volumeName"));
    }
    let annotation =
        |o: &Value| o.sub("metadata").sub("annotations").opt_str(CLASS_ANNOTATION).map(str::to_owned);
    let (was, now) = (annotation(old), annotation(new));
    let class = spec.opt_str("storageClassName");
    let unset = before.opt_str("storageClassName").is_none() && class.is_some();
    let from_annotation = unset && was.is_some() && class == was.as_deref() && (now.is_none() || now == was);
    if from_annotation {
        munged.remove("storageClassName");
    } else {
        if was.as_deref().unwrap_or("") != now.as_deref().unwrap_or("") {
            let path = METADATA.child("annotations");
            errs.invalid(&path.child(CLASS_ANNOTATION), now.as_deref().unwrap_or(""), meta::IMMUTABLE);
        }
        if unset && (was.is_none() || class == was.as_deref()) {
            set(&mut munged, "storageClassName", before.sub("storageClassName"));
        }
    }
    if new.sub("status").str("phase") == "Bound" {
        if let Some(Value::Object(r)) = munged.get_mut("resources")
            && let Some(Value::Object(requests)) = r.get_mut("requests")
        {
            let size = golang::dig(before, &["resources", "requests", "storage"]);
            requests.insert("storage".to_owned(), size.clone());
        }
        set(&mut munged, "volumeAttributesClassName", before.sub("volumeAttributesClassName"));
    }
    let (munged, expected) = (Value::Object(munged), Value::Object(expected));
    if !same(&munged, &expected) {
        let diff = golang::diff("core.PersistentVolumeClaimSpec", &expected, &munged);
        errs.forbidden(&SPEC, format!("spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n{diff}"));
    }
    let size = |s: &Value| Quantity::of(golang::dig(s, &["resources", "requests", "storage"]));
    let capacity = Quantity::of(golang::dig(old, &["status", "capacity", "storage"]));
    if size(spec) < size(before) && size(spec) <= capacity {
        errs.forbidden(
            &Path::new("spec.resources.requests.storage"),
            "field can not be less than status.capacity",
        );
    }
    meta::immutable(spec, before, "volumeMode", "*s", &Path::new("volumeMode"), errs);
    if spec.opt_str("volumeAttributesClassName") != before.opt_str("volumeAttributesClassName")
        && old.sub("status").at("currentVolumeAttributesClassName").is_some()
    {
        let path = SPEC.child("volumeAttributesClassName");
        let what = match spec.opt_str("volumeAttributesClassName") {
            None => "nil",
            Some("") => "empty string",
            Some(_) => return,
        };
        errs.forbidden(
            &path,
            format!("update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil"),
        );
    }
}

/// `ValidatePersistentVolumeClaimStatusUpdate`.
pub(crate) fn claim_status_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    if new.sub("metadata").str("resourceVersion").is_empty() {
        errs.required(&Path::new("resourceVersion"), "");
    }
    if new.sub("spec").list("accessModes").is_empty() {
        errs.required(&Path::new("Spec.accessModes"), "");
    }
    let status = new.sub("status");
    let path = STATUS.child("capacity");
    for (name, value) in status.entries("capacity") {
        basic_resource(value, &path.key(name), errs);
    }
    const STATES: &[&str] = &[
        "ControllerResizeInProgress",
        "ControllerResizeInfeasible",
        "NodeResizeInProgress",
        "NodeResizeInfeasible",
        "NodeResizePending",
    ];
    let path = STATUS.child("allocatedResourceStatuses");
    for (name, state) in status.entries("allocatedResourceStatuses") {
        claim_resource(name, &path, errs);
        if !STATES.contains(&state.text()) {
            errs.not_supported(&path, name, STATES);
        }
    }
    let path = STATUS.child("allocatedResources");
    for (name, value) in status.entries("allocatedResources") {
        let before = errs.len();
        claim_resource(name, &path, errs);
        if errs.len() > before {
            continue;
        }
        basic_resource(value, &path.key(name), errs);
        if errs.len() == before {
            resources::quantity_value("storage", value, &path.key(name), errs);
        }
    }
}

fn claim_resource(name: &str, path: &Path<'_>, errs: &mut ErrorList) {
    let messages = names::is_qualified_name(name);
    if !messages.is_empty() {
        errs.invalid_each(path, name, messages);
    } else if resources::is_native(name) && name != "storage" {
        errs.not_supported(path, name, &["storage"]);
    }
}

fn basic_resource(value: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let number = Quantity::of(value).value();
    if number < 0 {
        errs.invalid(path, Raw(number.to_string()), "must be a valid resource quantity");
    }
}

/// The persistent volume strategy's `Validate`.
pub(crate) fn volume_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    persistent_volume(object, false, errs);
    mount_options(object, errs);
}

fn persistent_volume(object: &Value, any_node_value: bool, errs: &mut ErrorList) {
    meta::kube_object_meta(object, false, names::subdomain, errs);
    let name = object.sub("metadata").str("name");
    volume_spec(object.sub("spec"), name, false, any_node_value, &SPEC, errs);
}

/// `pkg/volume/validation`: mount options need a volume type that is mounted.
fn mount_options(object: &Value, errs: &mut ErrorList) {
    const ANNOTATION: &str = "volume.beta.kubernetes.io/mount-options";
    const MOUNTED: &[&str] = &[
        "gcePersistentDisk",
        "awsElasticBlockStore",
        "glusterfs",
        "nfs",
        "rbd",
        "quobyte",
        "iscsi",
        "cinder",
        "cephfs",
        "azureFile",
        "vsphereVolume",
        "azureDisk",
        "photonPersistentDisk",
    ];
    let spec = object.sub("spec");
    if object.sub("metadata").sub("annotations").at(ANNOTATION).is_some()
        && !MOUNTED.iter().any(|kind| spec.at(kind).is_some())
    {
        let path = METADATA.child("annotations");
        errs.forbidden(&path.child(ANNOTATION), "may not specify mount options for this volume type");
    }
}

/// `ValidatePersistentVolumeSpec`.
pub(crate) fn volume_spec(
    spec: &Value,
    name: &str,
    inline: bool,
    any_node_value: bool,
    path: &Path<'_>,
    errs: &mut ErrorList,
) {
    const INLINE: &str = "may not be specified in the context of inline volumes";
    let capacity = spec.sub("capacity");
    let sizes = capacity.pairs().count();
    if inline {
        if spec.at("claimRef").is_some() {
            errs.forbidden(&path.child("claimRef"), INLINE);
        }
        if sizes > 0 {
            errs.forbidden(&path.child("capacity"), INLINE);
        }
        if spec.at("csi").is_none() {
            errs.required(&path.child("csi"), "has to be specified in the context of inline volumes");
        }
    }
    if spec.list("accessModes").is_empty() {
        errs.required(&path.child("accessModes"), "");
    }
    access_modes(spec, path, errs);
    if !inline {
        let path = path.child("capacity");
        if sizes == 0 {
            errs.required(&path, "");
        }
        if capacity.get("storage").is_none() || sizes > 1 {
            errs.not_supported(&path, golang::shown("{q", capacity), &["storage"]);
        }
        for (resource, value) in capacity.pairs() {
            let path = path.key(resource);
            basic_resource(value, &path, errs);
            if Quantity::of(value).sign() <= 0 {
                errs.invalid(&path, &Quantity::shown(value), "must be greater than zero");
            }
        }
    }
    reclaim_policy(spec, inline, path, errs);
    if let Some(affinity) = spec.at("nodeAffinity") {
        let path = path.child("nodeAffinity");
        if inline {
            errs.forbidden(&path, INLINE);
        } else {
            match affinity.at("required") {
                Some(required) => {
                    affinity::node_selector(required, any_node_value, &path.child("required"), errs);
                }
                None => errs.required(&path.child("required"), "must specify required node constraints"),
            }
        }
    }
    let opts = pod::Options::default();
    let nodes_given = !inline && spec.at("nodeAffinity").is_some();
    let about = volume::About { volume_name: "", owner_name: name, nodes_given, opts: &opts };
    let found = volume::persistent_volume_source(spec, path, &about, errs);
    if !found {
        errs.required(path, "must specify a volume type");
    }
    if is_root(spec.sub("hostPath").str("path")) && spec.str("persistentVolumeReclaimPolicy") == "Recycle" {
        errs.forbidden(
            &path.child("persistentVolumeReclaimPolicy"),
            "may not be 'recycle' for a hostPath mount of '/'",
        );
    }
    if inline {
        if !spec.str("storageClassName").is_empty() {
            errs.forbidden(&path.child("storageClassName"), INLINE);
        }
        if spec.opt_str("volumeMode").is_some_and(|m| m != "Filesystem") {
            errs.forbidden(
                &path.child("volumeMode"),
                "may not specify volumeMode other than Filesystem in the context of inline volumes",
            );
        }
    } else {
        class_name(spec, "storageClassName", path, errs);
        volume_mode(spec, path, errs);
    }
    if let Some(class) = spec.opt_str("volumeAttributesClassName") {
        if class.is_empty() {
            errs.required(&path.child("volumeAttributesClassName"), "an empty string is disallowed");
        }
        class_name(spec, "volumeAttributesClassName", path, errs);
        if spec.at("csi").is_none() {
            errs.required(&path.child("csi"), "has to be specified when using volumeAttributesClassName");
        }
    }
}

/// Whether a path cleans to `/`.
fn is_root(path: &str) -> bool {
    if !path.starts_with('/') {
        return false;
    }
    let mut depth = 0_i32;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => depth = (depth - 1).max(0),
            _ => depth += 1,
        }
    }
    depth == 0
}

fn reclaim_policy(spec: &Value, inline: bool, path: &Path<'_>, errs: &mut ErrorList) {
    let policy = spec.str("persistentVolumeReclaimPolicy");
    let path = path.child("persistentVolumeReclaimPolicy");
    if policy.is_empty() {
    } else if inline {
        if policy != "Retain" {
            errs.forbidden(&path, "may only be Retain in the context of inline volumes");
        }
    } else if !matches!(policy, "Delete" | "Recycle" | "Retain") {
        errs.not_supported(&path, policy, &["Delete", "Recycle", "Retain"]);
    }
}

/// The persistent volume strategy's `ValidateUpdate`.
pub(crate) fn volume_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    let (spec, before) = (new.sub("spec"), old.sub("spec"));
    let any_value = affinity::has_invalid_node_value(before.sub("nodeAffinity").sub("required"));
    persistent_volume(new, any_value, errs);
    mount_options(new, errs);
    persistent_volume(new, any_value, errs);
    let mut source = sources(spec);
    let old_source = sources(before);
    let secret = "controllerExpandSecretRef";
    if old_source.at("csi").is_some_and(|csi| csi.at(secret).is_none())
        && let Some(Value::Object(csi)) = source.get_mut("csi")
    {
        csi.remove(secret);
    }
    if !same(&source, &old_source) {
        let diff = golang::diff("core.PersistentVolumeSource", &old_source, &source);
        errs.forbidden(
            &SPEC.child("persistentvolumesource"),
            format!("spec.persistentvolumesource is immutable after creation\n{diff}"),
        );
    }
    meta::immutable(spec, before, "volumeMode", "*s", &Path::new("volumeMode"), errs);
    if before.at("nodeAffinity").is_some() && !same_at(spec, before, "nodeAffinity") {
        node_affinity_update(spec, before, errs);
    }
    if before.at("volumeAttributesClassName").is_some() && spec.at("volumeAttributesClassName").is_none() {
        errs.forbidden(
            &SPEC.child("volumeAttributesClassName"),
            "update from non-nil value to nil is forbidden",
        );
    }
}

/// Labels may change from their beta name to the stable one.
fn node_affinity_update(spec: &Value, before: &Value, errs: &mut ErrorList) {
    const STABLE: &[(&str, &str)] = &[
        ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
        ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
        ("beta.kubernetes.io/os", "kubernetes.io/os"),
        ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
        ("beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"),
    ];
    let terms = |s: &Value| golang::dig(s, &["nodeAffinity", "required", "nodeSelectorTerms"]).clone();
    let (now, mut was) = (terms(spec), terms(before));
    if let (Value::Array(new_terms), Value::Array(old_terms)) = (&now, &mut was) {
        for (new, old) in new_terms.iter().zip(old_terms) {
            let Some(Value::Array(expressions)) = old.get_mut("matchExpressions") else { continue };
            for (e, o) in new.list("matchExpressions").iter().zip(expressions) {
                if STABLE.contains(&(o.str("key"), e.str("key")))
                    && let Value::Object(o) = o
                {
                    o.insert("key".to_owned(), e.sub("key").clone());
                }
            }
        }
    }
    if !same(&now, &was) || spec.sub("nodeAffinity").at("required").is_none() {
        let shown = golang::shown("*core.VolumeNodeAffinity", spec.sub("nodeAffinity"));
        errs.invalid(
            &Path::new("nodeAffinity"),
            shown,
            "field is immutable, except for updating from beta label to GA",
        );
    }
}

/// The volume source fields of a persistent volume.
fn sources(spec: &Value) -> Value {
    const OTHER: &[&str] = &[
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    ];
    let fields = spec.as_object().map(|o| {
        o.iter().filter(|(k, _)| !OTHER.contains(&k.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect()
    });
    fields.map_or(NULL.clone(), Value::Object)
}

/// `ValidatePersistentVolumeStatusUpdate`.
pub(crate) fn volume_status_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    if new.sub("metadata").str("resourceVersion").is_empty() {
        errs.required(&Path::new("resourceVersion"), "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn example() -> Value {
        json!({"metadata": {"name": "c", "namespace": "n", "resourceVersion": "1"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
            "volumeMode": "Filesystem"}})
    }

    #[test]
    fn a_claim_asks_for_storage() {
        let mut claim = example();
        claim["spec"]["resources"] = json!({});
        let mut errs = ErrorList::new();
        claim_create(&claim, &Context::default(), &mut errs);
        assert_eq!(errs[0].to_string(), "spec.resources[storage]: Required value");
    }

    #[test]
    fn a_claim_does_not_change() {
        let old = example();
        let mut new = example();
        new["spec"]["resources"]["requests"]["storage"] = json!("2Gi");
        let mut errs = ErrorList::new();
        claim_update(&new, &old, &Context::default(), &mut errs);
        assert!(errs[0].detail.contains("-   \"storage\": \"1Gi\"\n+   \"storage\": \"2Gi\"\n"));
        new["status"] = json!({"phase": "Bound"});
        errs.clear();
        claim_update(&new, &old, &Context::default(), &mut errs);
        assert!(errs.is_empty());
    }

    #[test]
    fn root_paths() {
        assert!(is_root("/a/.."));
        assert!(!is_root("/a"));
    }
}
