//! What a kind does with an object on its way in: upstream's `PrepareForCreate`, `PrepareForUpdate` and the flags of
//! its strategies, as tables.

pub mod qos;

use api::Value;
use serde_json::json;

use super::obj;
use super::resource::Resource;

/// Kinds whose objects count the changes of what was asked for (`metadata.generation`).
const GENERATION: [&str; 27] = [
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
    "mutatingwebhookconfigurations",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "validatingwebhookconfigurations",
    "customresourcedefinitions",
    "daemonsets",
    "deployments",
    "replicasets",
    "statefulsets",
    "cronjobs",
    "jobs",
    "endpointslices",
    "flowschemas",
    "prioritylevelconfigurations",
    "ingresses",
    "ingressclasses",
    "networkpolicies",
    "poddisruptionbudgets",
    "podsecuritypolicies",
    "pods",
    "podtemplates",
    "replicationcontrollers",
    "priorityclasses",
    "deviceclasses",
    "resourceslices",
];

/// Kinds that need a resource version on update.
const CONDITIONAL_UPDATE: [&str; 20] = [
    "podcertificaterequests",
    "clustertrustbundles",
    "runtimeclasses",
    "storageversionmigrations",
    "poddisruptionbudgets",
    "storageversions",
    "csidrivers",
    "csistoragecapacities",
    "volumeattachments",
    "csinodes",
    "leases",
    "leasecandidates",
    "validatingadmissionpolicies",
    "mutatingadmissionpolicies",
    "mutatingwebhookconfigurations",
    "validatingwebhookconfigurations",
    "mutatingadmissionpolicybindings",
    "validatingadmissionpolicybindings",
    "customresourcedefinitions",
    "apiservices",
];

/// Kinds that an update creates when they are not there.
const CREATE_ON_UPDATE: [&str; 10] = [
    "runtimeclasses",
    "rolebindings",
    "clusterrolebindings",
    "roles",
    "clusterroles",
    "leases",
    "leasecandidates",
    "limitranges",
    "events",
    "services",
];

/// Kinds whose deletion answers with the object.
const RETURNS_DELETED: [&str; 18] = [
    "resourceclaimtemplates",
    "resourceslices",
    "resourceclaims",
    "deviceclasses",
    "devicetaintrules",
    "csidrivers",
    "storageclasses",
    "volumeattachments",
    "csinodes",
    "volumeattributesclasses",
    "resourcequotas",
    "persistentvolumes",
    "serviceaccounts",
    "persistentvolumeclaims",
    "namespaces",
    "pods",
    "services",
    "podtemplates",
];

fn one_of(resource: &Resource, list: &[&str]) -> bool {
    !resource.custom && list.contains(&resource.plural.as_str())
}

/// Whether objects of the kind count generations.
pub fn has_generation(resource: &Resource) -> bool {
    resource.custom || one_of(resource, &GENERATION)
}

/// Whether an update may leave the resource version out.
pub fn unconditional_update(resource: &Resource) -> bool {
    !resource.custom && !one_of(resource, &CONDITIONAL_UPDATE)
}

/// Whether an update may create.
pub fn create_on_update(resource: &Resource) -> bool {
    one_of(resource, &CREATE_ON_UPDATE) || resource.is("", "endpoints")
}

/// Whether a deletion answers with the object instead of a `Status`.
pub fn returns_deleted(resource: &Resource) -> bool {
    one_of(resource, &RETURNS_DELETED)
}

/// Whether the status of the kind is written through its subresource only.
fn resets_status(resource: &Resource) -> bool {
    resource.subresource("status").is_some()
        && !resource.is("", "nodes")
        && !resource.is("apiregistration.k8s.io", "apiservices")
}

/// `PrepareForCreate`.
pub fn prepare_create(resource: &Resource, object: &mut Value) {
    if resets_status(resource) {
        obj::remove_field(object, "status");
        if !resource.custom {
            object["status"] = json!({});
        }
    }
    if has_generation(resource) {
        obj::metadata_mut(object).insert("generation".into(), 1.into());
    }
    match (resource.hub_group.as_str(), resource.plural.as_str()) {
        ("", "namespaces") => {
            object["status"] = json!({"phase": "Active"});
            let spec = obj::child_mut(object, "spec");
            let mut finalizers = obj::strings(spec.get("finalizers"));
            if !finalizers.iter().any(|f| f == "kubernetes") {
                finalizers.push("kubernetes".into());
            }
            spec.insert("finalizers".into(), finalizers.into());
        }
        ("", "pods") => {
            object["status"] = json!({"phase": "Pending", "qosClass": qos::class(object)});
        }
        ("", "services") => object["status"] = json!({"loadBalancer": {}}),
        ("", "persistentvolumes") => {
            object["status"] = json!({"phase": "Pending", "lastPhaseTransitionTime": obj::now()});
        }
        ("", "persistentvolumeclaims") => object["status"] = json!({"phase": "Pending"}),
        ("batch", "jobs") => job_selector(object),
        ("certificates.k8s.io", "certificatesigningrequests") => object["status"] = json!({}),
        _ => {}
    }
}

/// `generateSelector` of jobs: unless `manualSelector` is set, the job's pods are known by its uid.
fn job_selector(job: &mut Value) {
    let (uid, name) = (obj::uid(job).to_owned(), obj::name(job).to_owned());
    if obj::at(job, "spec.manualSelector").and_then(Value::as_bool) == Some(true) {
        return;
    }
    let spec = obj::child_mut(job, "spec");
    let template = spec.entry("template").or_insert_with(|| json!({}));
    let labels = obj::metadata_mut(template).entry("labels").or_insert_with(|| json!({}));
    let Some(labels) = labels.as_object_mut() else { return };
    for (key, value) in [
        ("controller-uid", &uid),
        ("batch.kubernetes.io/controller-uid", &uid),
        ("job-name", &name),
        ("batch.kubernetes.io/job-name", &name),
    ] {
        labels.entry(key).or_insert_with(|| value.as_str().into());
    }
    let selector = spec.entry("selector").or_insert_with(|| json!({}));
    let Some(selector) = selector.as_object_mut() else { return };
    let matched = selector.entry("matchLabels").or_insert_with(|| json!({}));
    if let Some(matched) = matched.as_object_mut() {
        matched.entry("batch.kubernetes.io/controller-uid").or_insert_with(|| uid.into());
    }
}

/// Fields of the object, beside metadata and status, that a kind has: all of them make a new generation.
fn asked_changed(resource: &Resource, object: &Value, old: &Value) -> bool {
    let fields = |v: &Value| v.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let mut names = fields(object);
    names.extend(fields(old));
    names
        .iter()
        .filter(|n| !matches!(n.as_str(), "metadata" | "status" | "kind" | "apiVersion"))
        .any(|n| !obj::same(object.get(n), old.get(n)))
        || (matches!(resource.plural.as_str(), "endpointslices") && {
            let labels = |v| obj::at(v, "metadata.labels");
            !obj::same(labels(object), labels(old))
        })
}

/// `PrepareForUpdate`: what a main-resource update may not touch stays, and a change of the rest counts.
pub fn prepare_update(resource: &Resource, object: &mut Value, old: &Value) {
    if resource.subresource("status").is_some() && !resource.is("apiregistration.k8s.io", "apiservices") {
        obj::copy_field(object, old, "status");
    }
    if resource.is("", "namespaces") {
        let finalizers = obj::at(old, "spec.finalizers").cloned();
        let spec = obj::child_mut(object, "spec");
        match finalizers {
            Some(f) => spec.insert("finalizers".into(), f),
            None => spec.remove("finalizers"),
        };
    }
    if has_generation(resource) {
        let generation = obj::meta_number(old, "generation").unwrap_or(0);
        let next = if asked_changed(resource, object, old) { generation + 1 } else { generation };
        set_generation(object, next);
    }
}

/// Sets the generation; zero is absent.
pub fn set_generation(object: &mut Value, generation: i64) {
    let meta = obj::metadata_mut(object);
    if generation == 0 {
        meta.remove("generation");
    } else {
        meta.insert("generation".into(), generation.into());
    }
}

/// `PrepareForUpdate` of a status update: all but the status stays, and what of metadata a status update may carry.
pub fn prepare_status_update(resource: &Resource, object: &mut Value, old: &Value) {
    let status = object.get("status").cloned();
    let names: Vec<String> = object.as_object().map(|o| o.keys().cloned().collect()).unwrap_or_default();
    for name in names.iter().filter(|n| !matches!(n.as_str(), "metadata" | "apiVersion" | "kind" | "status"))
    {
        obj::copy_field(object, old, name);
    }
    if let Value::Object(fields) = old {
        for (name, value) in fields {
            if !matches!(name.as_str(), "metadata" | "apiVersion" | "kind" | "status") {
                object[name.as_str()] = value.clone();
            }
        }
    }
    match status {
        Some(status) => object["status"] = status,
        None => obj::remove_field(object, "status"),
    }
    let keep_labels = resource.custom
        || ["deployments", "statefulsets", "replicasets", "daemonsets", "jobs", "cronjobs"]
            .iter()
            .any(|p| resource.plural == *p);
    if keep_labels {
        // These strategies take over the labels of the old object.
        let labels = obj::at(old, "metadata.labels").cloned();
        let meta = obj::metadata_mut(object);
        if resource.plural == "deployments" || resource.custom {
            match labels {
                Some(l) => meta.insert("labels".into(), l),
                None => meta.remove("labels"),
            };
        }
    }
    if resource.is("", "pods") {
        object["status"]["qosClass"] = obj::at(old, "status.qosClass").cloned().unwrap_or_default();
        let keep = obj::at(old, "metadata.deletionTimestamp").cloned();
        let meta = obj::metadata_mut(object);
        // `pod.DeletionTimestamp = nil`: only a delete sets it; BeforeUpdate puts the old one back.
        match keep {
            Some(t) => meta.insert("deletionTimestamp".into(), t),
            None => meta.remove("deletionTimestamp"),
        };
        for name in ["ownerReferences"] {
            match obj::metadata(old).and_then(|m| m.get(name)) {
                Some(v) => obj::metadata_mut(object).insert(name.into(), v.clone()),
                None => obj::metadata_mut(object).remove(name),
            };
        }
    }
}
