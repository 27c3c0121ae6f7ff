//! Environment variables and the selectors that they and downward API volumes share (`ValidateEnv`).

use api::Value;
use api::field::{ErrorList, Path};

use crate::core::volume::no_backsteps;
use crate::errs::Errs;
use crate::names;
use crate::quantity::{Quantity, QuantityField as _};
use crate::value::Get;

const FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// `ValidateEnv`.
pub(super) fn env(vars: &[Value], path: &Path<'_>, errs: &mut ErrorList) {
    for (i, var) in vars.iter().enumerate() {
        let path = path.index(i);
        let name = var.str("name");
        if name.is_empty() {
            errs.required(&path.child("name"), "");
        } else {
            errs.invalid_each(&path.child("name"), name, names::is_env_var_name(name));
        }
        if let Some(from) = var.at("valueFrom") {
            value_from(from, var.str("value"), &path.child("valueFrom"), errs);
        }
    }
}

fn value_from(from: &Value, value: &str, path: &Path<'_>, errs: &mut ErrorList) {
    let mut found = 0;
    if let Some(field) = from.at("fieldRef") {
        found += 1;
        field_selector(field, FIELDS, &path.child("fieldRef"), errs);
    }
    if let Some(resource) = from.at("resourceFieldRef") {
        found += 1;
        resource_selector(resource, false, &path.child("resourceFieldRef"), errs);
    }
    for kind in ["configMapKeyRef", "secretKeyRef"] {
        if let Some(key) = from.at(kind) {
            found += 1;
            key_selector(key, &path.child(kind), errs);
        }
    }
    if let Some(file) = from.at("fileKeyRef") {
        found += 1;
        file_selector(file, &path.child("fileKeyRef"), errs);
    }
    if found == 0 {
        errs.invalid(
            path,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        );
    } else if !value.is_empty() {
        errs.invalid(path, "", "may not be specified when `value` is not empty");
    } else if found > 1 {
        errs.invalid(path, "", "may not have more than one field specified at a time");
    }
}

fn key_selector(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let name = v.str("name");
    errs.invalid_each(&path.child("name"), name, names::is_dns1123_subdomain(name));
    let key = v.str("key");
    if key.is_empty() {
        errs.required(&path.child("key"), "");
    } else {
        errs.invalid_each(&path.child("key"), key, names::is_config_map_key(key));
    }
}

fn file_selector(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let (key, volume, file) = (v.str("key"), v.str("volumeName"), v.str("path"));
    if key.is_empty() {
        errs.required(&path.child("key"), "");
    } else {
        errs.invalid_each(&path.child("key"), key, names::is_env_var_name(key));
    }
    if volume.is_empty() {
        errs.required(&path.child("volumeName"), "");
    } else {
        errs.invalid_each(&path.child("volumeName"), volume, names::is_dns1123_label(volume));
    }
    if file.is_empty() {
        errs.required(&path.child("path"), "");
    } else {
        no_backsteps(file, &path.child("path"), errs);
    }
}

/// `metadata.labels['key']` as path and key.
fn subscripted(field: &str) -> Option<(&str, &str)> {
    let (path, key) = field.strip_suffix("']")?.split_once("['")?;
    (!path.is_empty()).then_some((path, key))
}

/// `ConvertDownwardAPIFieldLabel`.
fn convert<'a>(version: &str, field: &'a str) -> Result<&'a str, String> {
    if version != "v1" {
        return Err(format!("unsupported pod version: {version}"));
    }
    if let Some((path, _)) = subscripted(field) {
        return match path {
            "metadata.annotations" | "metadata.labels" => Ok(field),
            _ => Err(format!("field label does not support subscript: {field}")),
        };
    }
    match field {
        "metadata.annotations"
        | "metadata.labels"
        | "metadata.name"
        | "metadata.namespace"
        | "metadata.uid"
        | "spec.nodeName"
        | "spec.restartPolicy"
        | "spec.serviceAccountName"
        | "spec.schedulerName"
        | "status.phase"
        | "status.hostIP"
        | "status.hostIPs"
        | "status.podIP"
        | "status.podIPs" => Ok(field),
        "spec.host" => Ok("spec.nodeName"),
        _ => Err(format!("field label not supported: {field}")),
    }
}

/// `validateObjectFieldSelector`.
pub(crate) fn field_selector(v: &Value, allowed: &[&str], path: &Path<'_>, errs: &mut ErrorList) {
    let (version, field) = (v.str("apiVersion"), v.str("fieldPath"));
    for (name, text) in [("apiVersion", version), ("fieldPath", field)] {
        if text.is_empty() {
            errs.required(&path.child(name), "");
            return;
        }
    }
    match convert(version, field) {
        Err(why) => {
            errs.invalid(&path.child("fieldPath"), field, format!("error converting fieldPath: {why}"));
        }
        Ok(internal) => match subscripted(internal) {
            Some(("metadata.annotations", key)) => {
                let key = key.to_lowercase();
                errs.invalid_each(path, &key, names::is_qualified_name(&key));
            }
            Some((_, key)) => errs.invalid_each(path, key, names::is_qualified_name(key)),
            None if !allowed.contains(&internal) => {
                errs.not_supported(&path.child("fieldPath"), internal, allowed);
            }
            None => {}
        },
    }
}

/// `validateContainerResourceFieldSelector`.
pub(crate) fn resource_selector(v: &Value, in_volume: bool, path: &Path<'_>, errs: &mut ErrorList) {
    const RESOURCES: &[&str] = &[
        "limits.cpu",
        "limits.ephemeral-storage",
        "limits.memory",
        "requests.cpu",
        "requests.ephemeral-storage",
        "requests.memory",
    ];
    let resource = v.str("resource");
    let huge_pages = resource.starts_with("requests.hugepages-") || resource.starts_with("limits.hugepages-");
    if in_volume && v.str("containerName").is_empty() {
        errs.required(&path.child("containerName"), "");
    } else if resource.is_empty() {
        errs.required(&path.child("resource"), "");
    } else if !RESOURCES.contains(&resource) && !huge_pages {
        errs.not_supported(&path.child("resource"), resource, RESOURCES);
    }
    divisor(v.sub("divisor"), resource, huge_pages, path, errs);
}

fn divisor(v: &Value, resource: &str, huge_pages: bool, path: &Path<'_>, errs: &mut ErrorList) {
    const SIZES: &[&str] =
        &["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];
    if Quantity::of(v).is_zero() {
        return;
    }
    let text = Quantity::shown(v);
    let of = match resource {
        "limits.cpu" | "requests.cpu" => {
            if !matches!(text.as_str(), "1m" | "1") {
                errs.invalid(
                    &path.child("divisor"),
                    resource,
                    "only divisor's values 1m and 1 are supported with the cpu resource",
                );
            }
            return;
        }
        "limits.memory" | "requests.memory" => "memory",
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => "local ephemeral storage",
        _ if huge_pages => "hugepages",
        _ => return,
    };
    if !SIZES.contains(&text.as_str()) {
        errs.invalid(
            &path.child("divisor"),
            resource,
            format!(
                "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the {of} resource"
            ),
        );
    }
}

/// `ValidateEnvFrom`.
pub(super) fn env_from(sources: &[Value], path: &Path<'_>, errs: &mut ErrorList) {
    for (i, source) in sources.iter().enumerate() {
        let item = path.index(i);
        let prefix = source.str("prefix");
        if !prefix.is_empty() {
            errs.invalid_each(&item.child("prefix"), prefix, names::is_env_var_name(prefix));
        }
        let mut found = 0;
        for kind in ["configMapRef", "secretRef"] {
            let Some(reference) = source.at(kind) else { continue };
            found += 1;
            let (name, reference_path) = (reference.str("name"), item.child(kind));
            if name.is_empty() {
                errs.required(&reference_path.child("name"), "");
            } else {
                errs.invalid_each(&reference_path.child("name"), name, names::subdomain(name, true));
            }
        }
        if found == 0 {
            errs.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`");
        } else if found > 1 {
            errs.invalid(path, "", "may not have more than one field specified at a time");
        }
    }
}

/// `validateFileKeyRefVolumes`: a variable from a file names an emptyDir of the pod.
pub(super) fn file_key_volumes(spec: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    super::visit_containers(spec, path, &mut |container, path| {
        let list = path.child("env");
        for (i, var) in container.list("env").iter().enumerate() {
            let Some(reference) = var.sub("valueFrom").at("fileKeyRef") else { continue };
            let (item, name) = (list.index(i), reference.str("volumeName"));
            let (from, volumes) = (item.child("valueFrom"), spec.list("volumes"));
            let (reference_path, volume) =
                (from.child("fileKeyRef"), volumes.iter().rev().find(|v| v.str("name") == name));
            let name_path = reference_path.child("volumeName");
            match volume {
                None => errs.not_found(&name_path, name),
                Some(v) if v.at("emptyDir").is_none() => {
                    errs.invalid(&name_path, name, "referenced volume must be of type emptyDir");
                }
                Some(_) => {}
            }
        }
    });
}
