//! Volume sources of pods and persistent volumes (`validateVolumeSource`, `ValidatePersistentVolumeSpec`).

use api::Value;
use api::field::{ErrorList, Path, go_quote};

use super::iscsi::{ISCSI_TOO_LONG, iscsi, iscsi_pv};
use super::storageos::{storageos, storageos_pv};
use super::{claim, pod, projected};
use crate::errs::Errs;
use crate::names;
use crate::quantity::{Quantity, QuantityField as _};
use crate::value::Get;

/// What the checks of one volume need to know beside its source.
pub(crate) struct About<'a> {
    pub(crate) volume_name: &'a str,
    /// The pod's or persistent volume's name; empty for templates.
    pub(crate) owner_name: &'a str,
    /// Whether a persistent volume says from which nodes it can be reached.
    pub(crate) nodes_given: bool,
    pub(crate) opts: &'a pod::Options,
}

type Check = fn(&Value, &Path<'_>, &About<'_>, &mut ErrorList);

/// A kind of volume: its field, the field that a second kind is refused at, the field that errors of its
/// content name (upstream is not consistent), and the check.
struct Kind(&'static str, &'static str, &'static str, Check);

const POD_VOLUMES: &[Kind] = &[
    Kind("hostPath", "hostPath", "hostPath", host_path),
    Kind("gitRepo", "gitRepo", "gitRepo", git_repo),
    Kind("gcePersistentDisk", "gcePersistentDisk", "persistentDisk", gce_disk),
    Kind("awsElasticBlockStore", "awsElasticBlockStore", "awsElasticBlockStore", aws_disk),
    Kind("secret", "secret", "secret", secret),
    Kind("nfs", "nfs", "nfs", nfs),
    Kind("iscsi", "iscsi", "iscsi", iscsi),
    Kind("glusterfs", "glusterfs", "glusterfs", glusterfs),
    Kind("flocker", "flocker", "flocker", flocker),
    Kind("persistentVolumeClaim", "persistentVolumeClaim", "persistentVolumeClaim", persistent_claim),
    Kind("rbd", "rbd", "rbd", rbd),
    Kind("cinder", "cinder", "cinder", cinder),
    Kind("cephfs", "cephFS", "cephfs", cephfs),
    Kind("quobyte", "quobyte", "quobyte", quobyte),
    Kind("downwardAPI", "downwarAPI", "downwardAPI", downward_api),
    Kind("fc", "fc", "fc", fc),
    Kind("flexVolume", "flexVolume", "flexVolume", flex),
    Kind("configMap", "configMap", "configMap", config_map),
    Kind("azureFile", "azureFile", "azureFile", azure_file),
    Kind("vsphereVolume", "vsphereVolume", "vsphereVolume", vsphere),
    Kind("photonPersistentDisk", "photonPersistentDisk", "photonPersistentDisk", photon),
    Kind("portworxVolume", "portworxVolume", "portworxVolume", portworx),
    Kind("azureDisk", "azureDisk", "azureDisk", azure_disk),
    Kind("storageos", "storageos", "storageos", storageos),
    Kind("projected", "projected", "projected", projected::projected),
    Kind("scaleIO", "scaleIO", "scaleIO", scale_io),
    Kind("csi", "csi", "csi", csi),
    Kind("ephemeral", "ephemeral", "ephemeral", ephemeral),
    Kind("image", "image", "image", image),
];

const PERSISTENT_VOLUMES: &[Kind] = &[
    Kind("hostPath", "hostPath", "hostPath", host_path),
    Kind("gcePersistentDisk", "gcePersistentDisk", "persistentDisk", gce_disk),
    Kind("awsElasticBlockStore", "awsElasticBlockStore", "awsElasticBlockStore", aws_disk),
    Kind("glusterfs", "glusterfs", "glusterfs", glusterfs_pv),
    Kind("flocker", "flocker", "flocker", flocker),
    Kind("nfs", "nfs", "nfs", nfs),
    Kind("rbd", "rbd", "rbd", rbd),
    Kind("quobyte", "quobyte", "quobyte", quobyte),
    Kind("cephfs", "cephFS", "cephfs", cephfs),
    Kind("iscsi", "iscsi", "iscsi", iscsi_pv),
    Kind("cinder", "cinder", "cinder", cinder_pv),
    Kind("fc", "fc", "fc", fc),
    Kind("flexVolume", "", "flexVolume", flex),
    Kind("azureFile", "azureFile", "azureFile", azure_file_pv),
    Kind("vsphereVolume", "vsphereVolume", "vsphereVolume", vsphere),
    Kind("photonPersistentDisk", "photonPersistentDisk", "photonPersistentDisk", photon),
    Kind("portworxVolume", "portworxVolume", "portworxVolume", portworx),
    Kind("azureDisk", "azureDisk", "azureDisk", azure_disk),
    Kind("scaleIO", "scaleIO", "scaleIO", scale_io),
    Kind("local", "local", "local", local),
    Kind("storageos", "storageos", "storageos", storageos_pv),
    Kind("csi", "csi", "csi", csi_pv),
];

const ONE_TYPE: &str = "may not specify more than 1 volume type";

fn one_of(
    kinds: &[Kind],
    mut found: usize,
    source: &Value,
    path: &Path<'_>,
    about: &About<'_>,
    errs: &mut ErrorList,
) -> usize {
    for Kind(field, second, content, check) in kinds {
        let Some(value) = source.at(field) else { continue };
        if found > 0 && !second.is_empty() {
            errs.forbidden(&path.child(second), ONE_TYPE);
        } else {
            found += 1;
            check(value, &path.child(content), about, errs);
        }
    }
    found
}

/// `validateVolumeSource`: exactly one kind of volume.
pub(crate) fn pod_volume_source(source: &Value, path: &Path<'_>, about: &About<'_>, errs: &mut ErrorList) {
    let mut found = 0;
    if let Some(empty_dir) = source.at("emptyDir") {
        found += 1;
        if Quantity::of(empty_dir.sub("sizeLimit")).sign() < 0 {
            errs.forbidden(
                &path.child("emptyDir").child("sizeLimit"),
                "SizeLimit field must be a valid resource quantity",
            );
        }
    }
    if one_of(POD_VOLUMES, found, source, path, about, errs) == 0 {
        errs.required(path, "must specify a volume type");
    }
    if let Some(iscsi) = source.at("iscsi")
        && iscsi.at("initiatorName").is_some()
        && about.volume_name.len() + 1 + iscsi.str("targetPortal").len() > 64
    {
        errs.invalid(&path.child("name"), about.volume_name, ISCSI_TOO_LONG);
    }
}

/// The volume source part of `ValidatePersistentVolumeSpec`. Says whether there is any.
pub(crate) fn persistent_volume_source(
    spec: &Value,
    path: &Path<'_>,
    about: &About<'_>,
    errs: &mut ErrorList,
) -> bool {
    one_of(PERSISTENT_VOLUMES, 0, spec, path, about, errs) > 0
}

pub(super) fn need(value: &Value, path: &Path<'_>, fields: &[&str], errs: &mut ErrorList) {
    for field in fields {
        if value.str(field).is_empty() {
            errs.required(&path.child(field), "");
        }
    }
}

fn host_path(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    let text = v.str("path");
    if text.is_empty() {
        errs.required(&path.child("path"), "");
        return;
    }
    no_backsteps(text, &path.child("path"), errs);
    const TYPES: &[&str] = &[
        "",
        "BlockDevice",
        "CharDevice",
        "Directory",
        "DirectoryOrCreate",
        "File",
        "FileOrCreate",
        "Socket",
    ];
    if let Some(kind) = v.opt_str("type")
        && !TYPES.contains(&kind)
    {
        errs.not_supported(&path.child("type"), kind, TYPES);
    }
}

fn git_repo(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    need(v, path, &["repository"], errs);
    descending_path(v.str("directory"), &path.child("directory"), errs);
}

fn partition(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let partition = v.int("partition");
    if !(0..=255).contains(&partition) {
        errs.invalid(&path.child("partition"), partition, names::between(1, 255));
    }
}

fn gce_disk(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    need(v, path, &["pdName"], errs);
    partition(v, path, errs);
}

fn aws_disk(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    need(v, path, &["volumeID"], errs);
    partition(v, path, errs);
}

const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

pub(super) fn file_mode(v: &Value, field: &str, path: &Path<'_>, errs: &mut ErrorList) {
    if let Some(mode) = v.opt_int(field)
        && !(0..=0o777).contains(&mode)
    {
        errs.invalid(&path.child(field), mode, MODE);
    }
}

fn keys_to_paths(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let items = path.child("items");
    for (i, item) in v.list("items").iter().enumerate() {
        key_to_path(item, &items.index(i), errs);
    }
}

pub(super) fn key_to_path(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    need(v, path, &["key", "path"], errs);
    local_path(v.str("path"), &path.child("path"), errs);
    file_mode(v, "mode", path, errs);
}

fn secret(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    need(v, path, &["secretName"], errs);
    file_mode(v, "defaultMode", path, errs);
    keys_to_paths(v, path, errs);
}

fn config_map(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    need(v, path, &["name"], errs);
    file_mode(v, "defaultMode", path, errs);
    keys_to_paths(v, path, errs);
}

fn nfs(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    need(v, path, &["server", "path"], errs);
    if !v.str("path").starts_with('/') {
        errs.invalid(&path.child("path"), v.str("path"), "must be an absolute path");
    }
}

fn glusterfs(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    need(v, path, &["endpoints", "path"], errs);
}

fn glusterfs_pv(v: &Value, path: &Path<'_>, about: &About<'_>, errs: &mut ErrorList) {
    glusterfs(v, path, about, errs);
    if let Some(namespace) = v.opt_str("endpointsNamespace") {
        let path = path.child("endpointsNamespace");
        if namespace.is_empty() {
            errs.invalid(&path, "", "if the endpointnamespace is set, it must be a valid namespace name");
        } else {
            errs.invalid_each(&path, namespace, names::is_dns1123_label(namespace));
        }
    }
}

fn flocker(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    let (name, uuid) = (v.str("datasetName"), v.str("datasetUUID"));
    if name.is_empty() && uuid.is_empty() {
        errs.required(path, "one of datasetName and datasetUUID is required");
    }
    if !name.is_empty() && !uuid.is_empty() {
        errs.invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously");
    }
    if name.contains('/') {
        errs.invalid(&path.child("datasetName"), name, "must not contain '/'");
    }
}

fn persistent_claim(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    need(v, path, &["claimName"], errs);
}

fn rbd(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    if v.list("monitors").is_empty() {
        errs.required(&path.child("monitors"), "");
    }
    need(v, path, &["image"], errs);
}

pub(super) fn secret_ref(v: &Value, path: &Path<'_>, fields: &[&str], errs: &mut ErrorList) {
    if let Some(reference) = v.at("secretRef") {
        need(reference, &path.child("secretRef"), fields, errs);
    }
}

fn cinder(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    need(v, path, &["volumeID"], errs);
    secret_ref(v, path, &["name"], errs);
}

fn cinder_pv(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    need(v, path, &["volumeID"], errs);
    secret_ref(v, path, &["name", "namespace"], errs);
}

fn cephfs(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    if v.list("monitors").is_empty() {
        errs.required(&path.child("monitors"), "");
    }
}

fn quobyte(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    const PAIRS: &str = "must be a host:port pair or multiple pairs separated by commas";
    let registry = v.str("registry");
    if registry.is_empty() {
        errs.required(&path.child("registry"), PAIRS);
    } else if v.str("tenant").len() >= 65 {
        errs.required(&path.child("tenant"), "must be a UUID and may not exceed a length of 64 characters");
    } else {
        for pair in registry.split(',') {
            let host_port = match pair.strip_prefix('[') {
                Some(v6) => v6.split_once("]:").is_some_and(|(_, port)| !port.contains(':')),
                None => pair.matches(':').count() == 1,
            };
            if !host_port {
                errs.invalid(&path.child("registry"), registry, PAIRS);
            }
        }
    }
    need(v, path, &["volume"], errs);
}

fn downward_api(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    file_mode(v, "defaultMode", path, errs);
    for file in v.list("items") {
        downward_file(file, path, errs);
    }
}

pub(super) fn downward_file(file: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    const FIELDS: &[&str] =
        &["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
    need(file, path, &["path"], errs);
    local_path(file.str("path"), &path.child("path"), errs);
    if let Some(field) = file.at("fieldRef") {
        pod::env::field_selector(field, FIELDS, &path.child("fieldRef"), errs);
        if file.at("resourceFieldRef").is_some() {
            errs.invalid(
                path,
                "resource",
                "fieldRef and resourceFieldRef can not be specified simultaneously",
            );
        }
    } else if let Some(resource) = file.at("resourceFieldRef") {
        pod::env::resource_selector(resource, true, &path.child("resourceFieldRef"), errs);
    } else {
        errs.required(path, "one of fieldRef and resourceFieldRef is required");
    }
    file_mode(file, "mode", path, errs);
}

fn fc(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    let (targets, wwids) = (v.list("targetWWNs"), v.list("wwids"));
    let targets_path = path.child("targetWWNs");
    if targets.is_empty() && wwids.is_empty() {
        errs.required(&targets_path, "must specify either targetWWNs or wwids, but not both");
    }
    if targets.is_empty() {
        return;
    }
    if !wwids.is_empty() {
        errs.invalid(
            &targets_path,
            v.sub("targetWWNs"),
            "targetWWNs and wwids can not be specified simultaneously",
        );
    }
    match v.opt_int("lun") {
        None => errs.required(&path.child("lun"), "lun is required if targetWWNs is specified"),
        Some(lun) if !(0..=255).contains(&lun) => {
            errs.invalid(&path.child("lun"), lun, names::between(0, 255));
        }
        Some(_) => {}
    }
}

fn flex(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    need(v, path, &["driver"], errs);
    for (key, _) in v.entries("options") {
        let namespace = key.split_once('/').map_or(key.as_str(), |(n, _)| n);
        let normalized = format!(".{}", namespace.to_lowercase());
        if normalized.ends_with(".kubernetes.io") || normalized.ends_with(".k8s.io") {
            errs.invalid(
                &path.child("options").key(key),
                key,
                "kubernetes.io and k8s.io namespaces are reserved",
            );
        }
    }
}

fn azure_file(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    need(v, path, &["secretName", "shareName"], errs);
}

fn azure_file_pv(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    need(v, path, &["secretName", "shareName"], errs);
    if v.opt_str("secretNamespace") == Some("") {
        errs.required(&path.child("secretNamespace"), "");
    }
}

fn vsphere(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    need(v, path, &["volumePath"], errs);
}

fn photon(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    need(v, path, &["pdID"], errs);
}

fn portworx(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    need(v, path, &["volumeID"], errs);
}

fn azure_disk(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    const CACHING: &[&str] = &["None", "ReadOnly", "ReadWrite"];
    const KINDS: &[&str] = &["Dedicated", "Managed", "Shared"];
    const MANAGED: &str =
        "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
    const BLOB: &str = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
    need(v, path, &["diskName", "diskURI"], errs);
    if let Some(mode) = v.opt_str("cachingMode")
        && !CACHING.contains(&mode)
    {
        errs.not_supported(&path.child("cachingMode"), mode, CACHING);
    }
    let Some(kind) = v.opt_str("kind") else { return };
    if !KINDS.contains(&kind) {
        errs.not_supported(&path.child("kind"), kind, KINDS);
    }
    let uri = v.str("diskURI");
    if kind == "Managed" && !uri.starts_with("/subscriptions/") {
        errs.not_supported(&path.child("diskURI"), uri, &[MANAGED]);
    }
    if kind != "Managed" && !uri.starts_with("https://") {
        errs.not_supported(&path.child("diskURI"), uri, &[BLOB]);
    }
}

fn scale_io(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    need(v, path, &["gateway", "system", "volumeName"], errs);
}

fn local(v: &Value, path: &Path<'_>, about: &About<'_>, errs: &mut ErrorList) {
    if v.str("path").is_empty() {
        errs.required(&path.child("path"), "");
    } else {
        no_backsteps(v.str("path"), &path.child("path"), errs);
    }
    if !about.nodes_given {
        let nodes = beside(path, ".local");
        errs.required(&Path::new(&nodes).child("nodeAffinity"), "Local volume requires node affinity");
    }
}

/// The path of what a volume's source stands in.
fn beside(path: &Path<'_>, source: &str) -> String {
    let text = path.to_string();
    text.strip_suffix(source).unwrap_or(&text).to_owned()
}

/// `ValidateCSIDriverName`.
pub(crate) fn csi_driver_name(name: &str, path: &Path<'_>, errs: &mut ErrorList) {
    if name.is_empty() {
        errs.required(path, "");
        return;
    }
    if name.len() > 63 {
        errs.too_long(path, 63);
    }
    errs.invalid_each(path, name, names::is_dns1123_subdomain(&name.to_lowercase()));
}

/// The same as servers until 1.20 or so told it: an empty name is no subdomain either.
pub(crate) fn old_csi_driver_name(name: &str, path: &Path<'_>, errs: &mut ErrorList) {
    csi_driver_name(name, path, errs);
    if name.is_empty() {
        errs.invalid_each(path, name, names::is_dns1123_subdomain(name));
    }
}

fn csi(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    csi_driver_name(v.str("driver"), &path.child("driver"), errs);
    if let Some(reference) = v.at("nodePublishSecretRef") {
        let name = reference.str("name");
        if name.is_empty() {
            errs.required(&path.child("nodePublishSecretRef").child("name"), "");
        } else {
            errs.invalid_each(&path.child("name"), name, names::is_dns1123_subdomain(name));
        }
    }
}

fn csi_pv(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    csi_driver_name(v.str("driver"), &path.child("driver"), errs);
    need(v, path, &["volumeHandle"], errs);
    const SECRETS: &[&str] = &[
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
    ];
    for field in SECRETS {
        let Some(reference) = v.at(field) else { continue };
        let path = path.child(field);
        let (name, namespace) = (reference.str("name"), reference.str("namespace"));
        if name.is_empty() {
            errs.required(&path.child("name"), "");
        } else {
            errs.invalid_each(&path.child("name"), name, names::is_dns1123_subdomain(name));
        }
        if namespace.is_empty() {
            errs.required(&path.child("namespace"), "");
        } else {
            errs.invalid_each(&path.child("namespace"), namespace, names::is_dns1123_label(namespace));
        }
    }
}

fn ephemeral(v: &Value, path: &Path<'_>, about: &About<'_>, errs: &mut ErrorList) {
    let template_path = path.child("volumeClaimTemplate");
    match v.at("volumeClaimTemplate") {
        None => errs.required(&template_path, ""),
        Some(template) => claim::template(template, &template_path, errs),
    }
    if !about.owner_name.is_empty() && !about.volume_name.is_empty() {
        let name = format!("{}-{}", about.owner_name, about.volume_name);
        for message in names::is_dns1123_subdomain(&name) {
            // The path of the volume's own name, which upstream reports here.
            errs.invalid(
                &Path::new(&beside(path, ".ephemeral")).child("name"),
                about.volume_name,
                format!("PVC name {}: {message}", go_quote(&name)),
            );
        }
    }
}

fn image(v: &Value, path: &Path<'_>, about: &About<'_>, errs: &mut ErrorList) {
    if about.opts.is_pod {
        need(v, path, &["reference"], errs);
    }
    pod::container::pull_policy(v.str("pullPolicy"), &path.child("pullPolicy"), errs);
}

/// `validateLocalDescendingPath`.
pub(crate) fn descending_path(text: &str, path: &Path<'_>, errs: &mut ErrorList) {
    if text.starts_with('/') {
        errs.invalid(path, text, "must be a relative path");
    }
    no_backsteps(text, path, errs);
}

/// `validatePathNoBacksteps`.
pub(crate) fn no_backsteps(text: &str, path: &Path<'_>, errs: &mut ErrorList) {
    if text.split('/').any(|part| part == "..") {
        errs.invalid(path, text, "must not contain '..'");
    }
}

/// `ValidateLocalNonReservedPath`.
pub(crate) fn local_path(text: &str, path: &Path<'_>, errs: &mut ErrorList) {
    descending_path(text, path, errs);
    if text.starts_with("..") && !text.starts_with("../") {
        errs.invalid(path, text, "must not start with '..'");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(source: &Value) -> Vec<String> {
        let mut errs = ErrorList::new();
        let opts = pod::Options { is_pod: true, ..pod::Options::default() };
        let about = About { volume_name: "v", owner_name: "p", nodes_given: true, opts: &opts };
        pod_volume_source(source, &Path::new("v"), &about, &mut errs);
        errs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_volume_has_exactly_one_kind() {
        assert_eq!(check(&json!({})), ["v: Required value: must specify a volume type"]);
        assert!(check(&json!({"emptyDir": {}})).is_empty());
        assert_eq!(
            check(&json!({"emptyDir": {}, "nfs": {"server": "s", "path": "/p"}})),
            ["v.nfs: Forbidden: may not specify more than 1 volume type"]
        );
    }

    #[test]
    fn projected_paths_are_unique() {
        let item = json!({"key": "k", "path": "p"});
        let source = json!({"projected": {"sources": [
            {"secret": {"name": "a", "items": [item]}}, {"configMap": {"name": "b", "items": [item]}}]}});
        assert_eq!(check(&source), ["v.projected: Invalid value: \"b\": conflicting duplicate paths"]);
    }
}
