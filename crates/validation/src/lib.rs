//! Upstream's validation rules as pure functions over hub-version objects that are decoded, pruned and
//! defaulted: what is wrong with an object, in upstream's order, with its paths, values and texts.
//!
//! [`table`] says which functions check which kind; a file holds the rules of one kind or idea. The hub
//! is each kind's storage version; rules whose texts depend on the version that was asked look at
//! [`Context`].

mod admission;
mod api_service;
mod apps;
mod authorization;
mod autoscaling;
mod batch;
mod cel;
mod certificates;
mod coordination;
mod core;
mod crd;
mod discovery;
mod errs;
mod flowcontrol;
mod golang;
mod meta;
mod names;
mod net;
mod networking;
mod pod_security_policy;
mod policy;
mod quantity;
mod rbac;
mod resource;
mod runtime_class;
mod scheduling;
mod selector;
mod storage;
mod table;
mod then;
mod value;

use api::Value;
use api::field::{ErrorList, Path};
use api::kinds::Era;

use crate::table::{Row, find};

/// What rules need to know beside the objects.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The group of the version that was asked.
    pub group: &'a str,
    /// The version that was asked, without its group.
    pub version: &'a str,
    /// Which servers were the last to serve it: their rules and words hold for it.
    pub era: Era,
    /// Whether privileged containers are allowed (`--allow-privileged`).
    pub allow_privileged: bool,
}

impl Context<'_> {
    /// Whether today's upstream serves the version no more.
    pub(crate) fn is_old(&self) -> bool {
        self.era < Era::Now
    }

    /// A check that strategies of old servers made two times, which told what was wrong as often.
    pub(crate) fn twice(&self, errs: &mut ErrorList, check: impl Fn(&mut ErrorList)) {
        check(errs);
        if self.is_old() {
            check(errs);
        }
    }
}

impl Default for Context<'_> {
    fn default() -> Self {
        Context { group: "", version: "v1", era: Era::Now, allow_privileged: true }
    }
}

/// What is wrong with an object that is to be created: upstream's `rest.BeforeCreate`, after the name was
/// generated and the strategy has prepared the object.
pub fn validate_create(group: &str, kind: &str, object: &Value, ctx: &Context<'_>) -> ErrorList {
    let mut errs = ErrorList::new();
    let row = find(group, kind);
    if let Some(row) = row {
        (row.create)(object, ctx, &mut errs);
        if errs.is_empty() && row.has_metadata {
            meta::object_meta(object, row.namespaced, names::path_segment, &mut errs);
        }
    }
    then::tell(&mut errs, ctx.era);
    errs
}

/// What is wrong with the new state of an object: upstream's `rest.BeforeUpdate`, after the strategy has
/// prepared it and what cannot change (uid, creation time, generation) was carried over.
pub fn validate_update(group: &str, kind: &str, new: &Value, old: &Value, ctx: &Context<'_>) -> ErrorList {
    through(group, kind, new, old, ctx, |row| row.update)
}

/// What is wrong with the new status of an object.
pub fn validate_status_update(
    group: &str,
    kind: &str,
    new: &Value,
    old: &Value,
    ctx: &Context<'_>,
) -> ErrorList {
    through(group, kind, new, old, ctx, |row| row.status)
}

/// What is wrong with an update through another subresource that has rules of its own: `resize`,
/// `ephemeralcontainers` (pods), `finalize` (namespaces), `approval` (certificate signing requests).
pub fn validate_subresource_update(
    group: &str,
    kind: &str,
    subresource: &str,
    new: &Value,
    old: &Value,
    ctx: &Context<'_>,
) -> ErrorList {
    match table::subresource(kind, subresource) {
        Some(check) => through(group, kind, new, old, ctx, |_| check),
        None => validate_update(group, kind, new, old, ctx),
    }
}

fn through(
    group: &str,
    kind: &str,
    new: &Value,
    old: &Value,
    ctx: &Context<'_>,
    check: impl Fn(&Row) -> table::Update,
) -> ErrorList {
    let mut errs = ErrorList::new();
    if let Some(row) = find(group, kind) {
        validate_object_meta_update_into(new, old, row.namespaced, &mut errs);
        check(row)(new, old, ctx, &mut errs);
    }
    then::tell(&mut errs, ctx.era);
    errs
}

/// The metadata rules for objects of kinds that are not in the table (custom resources): upstream's
/// `ValidateObjectMetaAccessor`. Names are checked as DNS subdomains.
pub fn validate_object_meta(object: &Value, namespaced: bool) -> ErrorList {
    let mut errs = ErrorList::new();
    meta::object_meta(object, namespaced, names::subdomain, &mut errs);
    errs
}

/// The metadata rules for resources inside custom ones; the object says by itself whether it has a namespace.
pub fn validate_embedded_meta(object: &Value) -> ErrorList {
    let namespaced = object["metadata"]["namespace"].as_str().is_some_and(|n| !n.is_empty());
    let mut errs = ErrorList::new();
    meta::object_meta(object, namespaced, names::path_segment, &mut errs);
    errs
}

/// What of the metadata of a custom resource may not change (`ValidateObjectMetaAccessorUpdate`).
pub fn validate_object_meta_change(new: &Value, old: &Value) -> ErrorList {
    let mut errs = ErrorList::new();
    meta::object_meta_update(new, old, &mut errs);
    errs
}

/// The rules that hold for every update (upstream's `validateCommonFields`).
pub fn validate_object_meta_update(new: &Value, old: &Value, namespaced: bool) -> ErrorList {
    let mut errs = ErrorList::new();
    validate_object_meta_update_into(new, old, namespaced, &mut errs);
    errs
}

fn validate_object_meta_update_into(new: &Value, old: &Value, namespaced: bool, errs: &mut ErrorList) {
    meta::object_meta(new, namespaced, names::path_segment, errs);
    meta::object_meta_update(new, old, errs);
}

/// Whether a field manager's name is usable (`ValidateFieldManager`).
pub fn validate_field_manager(manager: &str) -> ErrorList {
    let mut errs = ErrorList::new();
    meta::field_manager(manager, &Path::new("fieldManager"), &mut errs);
    errs
}

/// What keeps a name from being a DNS label (`IsDNS1123Label`).
pub fn dns_label_faults(name: &str) -> Vec<String> {
    names::is_dns1123_label(name)
}

/// What keeps a name from being a DNS subdomain (`IsDNS1123Subdomain`).
pub fn dns_subdomain_faults(name: &str) -> Vec<String> {
    names::is_dns1123_subdomain(name)
}

/// What clients are told of an address that is valid and oddly written; `path` is where it stands.
pub fn ip_warning(path: &str, value: &str) -> Option<String> {
    net::ip_warning(path, value)
}

/// The same for a network.
pub fn cidr_warnings(path: &str, value: &str) -> Vec<String> {
    net::cidr_warnings(path, value)
}

/// What is wrong with the addresses and address families of a service, looked at before any is given
/// (`ValidateServiceClusterIPsRelatedFields`).
pub fn validate_service_addresses(service: &Value, old: Option<&Value>) -> ErrorList {
    let mut errs = ErrorList::new();
    core::service::cluster_ips(service.get("spec").unwrap_or(&Value::Null), old, &mut errs);
    errs
}

/// What Go says of a `kubernetes.io/tls` secret whose certificate or key is no PEM text.
pub fn tls_secret_warning(secret: &Value) -> Option<String> {
    core::secret_tls::warning(secret)
}

/// A pod's quality of service class (`ComputePodQOS`).
pub fn pod_qos_class(spec: &Value) -> &'static str {
    core::pod::qos_class(spec)
}

/// What the PodSecurity admission plugin finds wrong with a namespace's labels.
pub fn validate_pod_security_labels(namespace: &Value) -> ErrorList {
    let mut errs = ErrorList::new();
    core::namespace::pod_security_labels(namespace, &mut errs);
    errs
}

#[cfg(test)]
mod tests;
