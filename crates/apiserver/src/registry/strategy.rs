//! What a kind does with an object on its way in: upstream's `PrepareForCreate`, `PrepareForUpdate` and the flags of
//! its strategies, as tables.

pub(crate) mod api_services;
mod certificates;
mod claims;
mod endpoint_slices;
mod nodes;
mod pods;
mod services;

use api::Value;
use api::kinds::Era;
use api::schema::Type;
use serde_json::json;

use super::resource::Resource;
use super::{equal, obj};
use crate::authn::User;

/// Kinds whose objects count the changes of what was asked for (`metadata.generation`).
const GENERATION: [&str; 26] = [
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

/// Whether upstream lets a status that is applied create the object, where other kinds say that it is not there.
pub fn status_creates(resource: &Resource, subresource: &str) -> bool {
    subresource == "status" && one_of(resource, &["services", "validatingadmissionpolicies"])
}

/// Whether a deletion answers with the object instead of a `Status`.
pub fn returns_deleted(resource: &Resource) -> bool {
    !resource.custom && resource.api.kind.returns_deleted()
}

/// Whether the status of the kind is written through its subresource only.
fn resets_status(resource: &Resource) -> bool {
    keeps_status(resource) && !resource.is("", "nodes")
}

/// Whether an update of the object itself leaves the status alone.
fn keeps_status(resource: &Resource) -> bool {
    resource.subresource("status").is_some()
        // Of the versions of attachments without that subresource, v1beta1 alone wrote the status otherwise.
        || (resource.is("storage.k8s.io", "volumeattachments") && resource.version == "v1alpha1")
}

/// The zero value of the kind's status, as Go writes it.
fn zero_status(resource: &Resource) -> Option<Value> {
    let schemas = api::schema::builtin();
    let field = schemas.get(resource.api.hub().ty?).field("status")?;
    Some(api::decode::zero::value(schemas, &field.ty))
}

/// What only features use that are off goes away.
fn drop_disabled(resource: &Resource, object: &mut Value) {
    if let Some(ty) = resource.api.hub().ty.filter(|_| !resource.custom) {
        api::defaults::drop_disabled(ty, object);
    }
}

/// `PrepareForCreate`.
pub fn prepare_create(resource: &Resource, object: &mut Value, user: &User) {
    drop_disabled(resource, object);
    if resets_status(resource) {
        obj::remove_field(object, "status");
        if !resource.custom
            && let Some(zero) = zero_status(resource)
        {
            object["status"] = zero;
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
        ("", "pods") => pods::create(object),
        ("", "services") => object["status"] = json!({"loadBalancer": {}}),
        ("", "persistentvolumes") => {
            object["status"] = json!({"phase": "Pending", "lastPhaseTransitionTime": obj::now()});
        }
        ("", "persistentvolumeclaims") => {
            object["status"] = json!({"phase": "Pending"});
            claims::data_sources(object, None);
        }
        ("", "nodes") => nodes::drop_config(object, None),
        ("", "limitranges") if obj::name(object).is_empty() => {
            // Nobody but upstream's limit ranges names itself.
            let name = uuid::Uuid::new_v4().to_string();
            obj::metadata_mut(object).insert("name".into(), name.into());
        }
        ("batch", "jobs") => job_selector(object),
        ("", "serviceaccounts") => bare_secrets(object),
        ("apps", "daemonsets") => set_template_generation(object, template_generation(object).max(1)),
        ("apiextensions.k8s.io", "customresourcedefinitions") => apiextensions::names::initial_status(object),
        ("certificates.k8s.io", "certificatesigningrequests") => certificates::requester(object, user),
        ("policy", "podsecuritypolicies") => no_proc_mounts(object),
        ("discovery.k8s.io", "endpointslices") => endpoint_slices::drop_topology(resource, object, None),
        ("apiregistration.k8s.io", "apiservices") => api_services::initial_status(object),
        _ => {}
    }
}

const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

fn set_template_generation(object: &mut Value, generation: i64) {
    let notes = obj::metadata_mut(object).entry("annotations").or_insert_with(|| json!({}));
    if let Some(notes) = notes.as_object_mut() {
        notes.insert(TEMPLATE_GENERATION.into(), generation.to_string().into());
    }
}

fn template_generation(object: &Value) -> i64 {
    let note = obj::at(object, "metadata.annotations").and_then(|a| a.get(TEMPLATE_GENERATION));
    note.and_then(Value::as_str).and_then(|t| t.parse().ok()).unwrap_or(0)
}

/// Behind a gate (`ProcMountType`) that was off as long as there were pod security policies.
fn no_proc_mounts(policy: &mut Value) {
    obj::child_mut(policy, "spec").remove("allowedProcMountTypes");
}

fn template_changed(object: &Value, old: &Value) -> bool {
    let schemas = api::schema::builtin();
    let ty = schemas.by_name("io.k8s.api.core.v1.PodTemplateSpec").map_or(Type::Any, Type::Struct);
    let template = |v| obj::at(v, "spec.template");
    !equal::Equality { schemas, nil_is_empty: true }.same(&ty, template(object), template(old))
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
    // In Go the labels that a job has from its template are the template's own map.
    let own = obj::metadata(job).and_then(|m| m.get("labels")).and_then(Value::as_object);
    let template = obj::at(job, "spec.template.metadata.labels").cloned();
    let shared = own.is_some_and(|own| {
        !own.is_empty()
            && template
                .as_ref()
                .and_then(Value::as_object)
                .is_some_and(|t| own.iter().all(|(k, v)| t.get(k) == Some(v)))
    });
    if let (true, Some(template)) = (shared, template) {
        obj::metadata_mut(job).insert("labels".into(), template);
    }
}

/// Upstream defaults again what it reads back from its store: a job without labels gets those that were made for its
/// template.
pub fn read_back(resource: &Resource, object: &mut Value) {
    if resource.is("batch", "jobs") {
        let hub = api::kinds::Resource { kind: resource.api.kind.clone(), index: 0 };
        api::defaults::apply(&hub, object);
    }
}

/// `cleanSecretReferences`: a service account knows its secrets by name alone.
fn bare_secrets(account: &mut Value) {
    let secrets = account.get_mut("secrets").and_then(Value::as_array_mut);
    for secret in secrets.into_iter().flatten().filter_map(Value::as_object_mut) {
        secret.retain(|field, _| field == "name");
    }
}

/// Kinds whose strategies tell nil lists and maps from empty ones.
const REFLECT_EQUAL: [&str; 3] =
    ["networkpolicies", "mutatingwebhookconfigurations", "validatingwebhookconfigurations"];

/// Whether a field of two objects differs, in the sense of the kind's strategy. Custom resources have no Go type that
/// something could be nil in.
fn field_changed(resource: &Resource, object: &Value, old: &Value, name: &str) -> bool {
    let schemas = api::schema::builtin();
    let ty = resource.api.hub().ty.filter(|_| !resource.custom).map(|id| schemas.get(id));
    let (new, old) = (object.get(name), old.get(name));
    let nil_is_empty = !one_of(resource, &REFLECT_EQUAL);
    match ty.and_then(|of| of.field(name)) {
        Some(field) => !equal::Equality { schemas, nil_is_empty }.same(&field.ty, new, old),
        None => new != old,
    }
}

/// Fields of the object, beside metadata and status, that a kind has: all of them make a new generation.
fn asked_changed(resource: &Resource, object: &Value, old: &Value) -> bool {
    let status_counts = resource.custom && resource.subresource("status").is_none();
    let names = [object, old].into_iter().filter_map(Value::as_object).flat_map(api::Object::keys);
    names
        .filter(|n| !matches!(n.as_str(), "metadata" | "kind" | "apiVersion"))
        .filter(|n| *n != "status" || status_counts)
        .any(|name| field_changed(resource, object, old, name))
        || (resource.is("discovery.k8s.io", "endpointslices")
            && resource.era() == Era::Now
            && endpoint_slices::labels_changed(object, old))
}

/// `PrepareForUpdate` of the object itself or of one of its subresources.
pub fn update(resource: &Resource, subresource: &str, object: &mut Value, old: &Value) {
    // Slices are asked for changes before.
    let late = resource.is("resource.k8s.io", "resourceslices");
    if !late {
        drop_disabled(resource, object);
    }
    match subresource {
        "" | "scale" => prepare_update(resource, object, old),
        "status" => prepare_status_update(resource, object, old),
        "finalize" => {
            // Only the finalizers of the namespace itself are written.
            let finalizers = obj::at(object, "spec.finalizers").cloned();
            obj::copy_field(object, old, "status");
            let spec = obj::child_mut(object, "spec");
            match finalizers {
                Some(f) => spec.insert("finalizers".into(), f),
                None => spec.remove("finalizers"),
            };
        }
        "approval" => certificates::approve(object, old),
        "ephemeralcontainers" | "resize" => pods::part(subresource, object, old),
        _ => {}
    }
    if late {
        drop_disabled(resource, object);
    }
}

/// What a main-resource update may not touch stays, and a change of the rest counts.
fn prepare_update(resource: &Resource, object: &mut Value, old: &Value) {
    if keeps_status(resource) {
        obj::copy_field(object, old, "status");
    }
    let (group, plural) = (resource.hub_group.as_str(), resource.plural.as_str());
    match (group, plural) {
        ("", "namespaces") => {
            let finalizers = obj::at(old, "spec.finalizers").cloned();
            let spec = obj::child_mut(object, "spec");
            match finalizers {
                Some(f) => spec.insert("finalizers".into(), f),
                None => spec.remove("finalizers"),
            };
        }
        ("", "nodes") => nodes::drop_config(object, Some(old)),
        ("", "services") => services::drop_type_dependent(object, old),
        ("", "persistentvolumeclaims") => claims::data_sources(object, Some(old)),
        ("", "serviceaccounts") => bare_secrets(object),
        ("apiextensions.k8s.io", "customresourcedefinitions") => {
            apiextensions::names::keep_stored_version(object);
        }
        ("", "pods") => pods::gates(object),
        ("apps", "daemonsets") => {
            let generation = template_generation(old) + i64::from(template_changed(object, old));
            set_template_generation(object, generation);
        }
        ("certificates.k8s.io", "certificatesigningrequests") => obj::copy_field(object, old, "spec"),
        ("policy", "podsecuritypolicies") => no_proc_mounts(object),
        _ => {}
    }
    // Counted before the topology is dropped, as upstream does.
    count_generation(resource, object, old);
    if (group, plural) == ("discovery.k8s.io", "endpointslices") {
        endpoint_slices::drop_topology(resource, object, Some(old));
    }
}

fn count_generation(resource: &Resource, object: &mut Value, old: &Value) {
    let (group, plural) = (resource.hub_group.as_str(), resource.plural.as_str());
    // The generations of CSI drivers begin with the first change.
    if has_generation(resource) || resource.is("storage.k8s.io", "csidrivers") {
        let notes = |v| obj::at(v, "metadata.annotations");
        let noted = (group, plural) == ("apps", "deployments") && !obj::same(notes(object), notes(old));
        let counts = (group, plural) != ("scheduling.k8s.io", "priorityclasses");
        let generation = obj::meta_number(old, "generation").unwrap_or(0);
        let changed = counts && (noted || asked_changed(resource, object, old));
        set_generation(object, if changed { generation + 1 } else { generation });
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

/// Kinds whose status updates leave all of the metadata alone (`ResetObjectMetaForStatus`).
const STATUS_ONLY: [&str; 11] = [
    "podcertificaterequests",
    "podgroups",
    "servicecidrs",
    "storageversionmigrations",
    "resourceclaims",
    "devicetaintrules",
    "storageversions",
    "volumeattachments",
    "validatingadmissionpolicies",
    "flowschemas",
    "prioritylevelconfigurations",
];

/// Whether a status update leaves all of the metadata alone.
pub fn keeps_metadata(resource: &Resource) -> bool {
    one_of(resource, &STATUS_ONLY) || resource.custom
}

/// All but the status stays, and what of metadata a status update may carry.
fn prepare_status_update(resource: &Resource, object: &mut Value, old: &Value) {
    let status = object.get("status").cloned();
    let names: Vec<String> = object
        .as_object()
        .into_iter()
        .chain(old.as_object())
        .flat_map(api::Object::keys)
        .filter(|n| !matches!(n.as_str(), "metadata" | "apiVersion" | "kind" | "status"))
        .cloned()
        .collect();
    for name in names {
        obj::copy_field(object, old, &name);
    }
    match status {
        Some(status) => object["status"] = status,
        None => obj::remove_field(object, "status"),
    }
    if resource.is("", "pods") {
        pods::update_status(object, old);
    } else if resource.is("", "persistentvolumes") {
        claims::note_phase(object, old);
    }
    let mut keep: Vec<&str> = Vec::new();
    if keeps_metadata(resource) {
        keep =
            vec!["deletionTimestamp", "generation", "labels", "annotations", "finalizers", "ownerReferences"];
    } else if resource.is("apps", "deployments") {
        keep = vec!["labels"];
    } else if resource.is("", "pods") {
        keep = vec!["deletionTimestamp", "ownerReferences"];
    } else if resource.is("apps", "daemonsets") {
        set_template_generation(object, template_generation(old));
    }
    for name in keep {
        let value = obj::metadata(old).and_then(|m| m.get(name)).cloned();
        let meta = obj::metadata_mut(object);
        match value {
            Some(value) => meta.insert(name.into(), value),
            None => meta.remove(name),
        };
    }
    if resource.is("certificates.k8s.io", "certificatesigningrequests") {
        certificates::keep_decisions(object, old, resource.era());
        certificates::condition_times(object, old);
    }
    if resource.is("", "nodes") {
        nodes::drop_status_config(object, old);
    }
}
