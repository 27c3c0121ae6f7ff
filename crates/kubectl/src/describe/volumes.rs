//! Volumes of pods, templates and persistent volumes.

use serde_json::Value;

use super::Writer;
use crate::value::{Json, plain};

/// Writes the volumes of a pod or a template.
pub(super) fn write(w: &mut Writer, volumes: &[Value], indent: &str) {
    if volumes.is_empty() {
        w.line(0, &format!("{indent}Volumes:\t<none>"));
        return;
    }
    w.line(0, &format!("{indent}Volumes:"));
    let name_indent = if indent.is_empty() { "" } else { " " };
    for v in volumes {
        w.line(1, &format!("{name_indent}{}:", v.s("name")));
        source(w, v);
    }
}

/// Field, what it is, and what to show of it (title, field, `?` and a default).
type Source = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const SOURCES: &[Source] = &[
    (
        "hostPath",
        "HostPath (bare host directory volume)",
        &[("Path", "path"), ("HostPathType", "type?<none>")],
    ),
    ("emptyDir", "EmptyDir (a temporary directory that shares a pod's lifetime)", &[("Medium", "medium")]),
    (
        "secret",
        "Secret (a volume populated by a Secret)",
        &[("SecretName", "secretName"), ("Optional", "optional?false")],
    ),
    (
        "configMap",
        "ConfigMap (a volume populated by a ConfigMap)",
        &[("Name", "name"), ("Optional", "optional?false")],
    ),
    (
        "nfs",
        "NFS (an NFS mount that lasts the lifetime of a pod)",
        &[("Server", "server"), ("Path", "path"), ("ReadOnly", "readOnly?false")],
    ),
    (
        "persistentVolumeClaim",
        "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
        &[("ClaimName", "claimName"), ("ReadOnly", "readOnly?false")],
    ),
    (
        "gitRepo",
        "GitRepo (a volume that is pulled from git when the pod is created)",
        &[("Repository", "repository"), ("Revision", "revision")],
    ),
    (
        "gcePersistentDisk",
        "GCEPersistentDisk (a Persistent Disk resource in Google Compute Engine)",
        &[
            ("PDName", "pdName"),
            ("FSType", "fsType"),
            ("Partition", "partition?0"),
            ("ReadOnly", "readOnly?false"),
        ],
    ),
    (
        "awsElasticBlockStore",
        "AWSElasticBlockStore (a Persistent Disk resource in AWS)",
        &[
            ("VolumeID", "volumeID"),
            ("FSType", "fsType"),
            ("Partition", "partition?0"),
            ("ReadOnly", "readOnly?false"),
        ],
    ),
    ("local", "LocalVolume (a persistent volume backed by local storage on a node)", &[("Path", "path")]),
    (
        "csi",
        "CSI (a Container Storage Interface (CSI) volume source)",
        &[("Driver", "driver"), ("VolumeHandle", "volumeHandle"), ("ReadOnly", "readOnly?false")],
    ),
];

/// Writes where one volume comes from.
pub(super) fn source(w: &mut Writer, v: &Value) {
    for (field, text, shown) in SOURCES {
        let Some(s) = v.get(*field).filter(|s| !s.is_null()) else { continue };
        w.line(2, &format!("Type:\t{text}"));
        for (title, path) in *shown {
            let (path, default) = path.split_once('?').unwrap_or((path, ""));
            let value = s.get(path).map_or(default.to_string(), plain);
            w.line(2, &format!("{title}:\t{value}"));
        }
        return;
    }
    if v.has("downwardAPI") {
        w.line(2, "Type:\tDownwardAPI (a volume populated by information about the pod)");
        w.line(2, "Items:");
        items(w, v.list("downwardAPI.items"));
    } else if v.has("projected") {
        w.line(2, "Type:\tProjected (a volume that contains injected data from multiple sources)");
        for s in v.list("projected.sources") {
            if s.has("secret") {
                w.line(2, &format!("SecretName:\t{}", s.s("secret.name")));
                w.line(2, &format!("SecretOptionalName:\t{}", optional(s, "secret.optional")));
            } else if s.has("downwardAPI") {
                w.line(2, "DownwardAPI:\ttrue");
            } else if s.has("configMap") {
                w.line(2, &format!("ConfigMapName:\t{}", s.s("configMap.name")));
                w.line(2, &format!("ConfigMapOptional:\t{}", optional(s, "configMap.optional")));
            } else if s.has("serviceAccountToken") {
                let seconds = s.i("serviceAccountToken.expirationSeconds");
                w.line(2, &format!("TokenExpirationSeconds:\t{seconds}"));
            }
        }
    } else {
        w.line(1, "<unknown>");
    }
}

fn items(w: &mut Writer, items: &[Value]) {
    for i in items {
        if i.has("fieldRef") {
            w.line(3, &format!("{} -> {}", i.s("fieldRef.fieldPath"), i.s("path")));
        }
        if i.has("resourceFieldRef") {
            w.line(3, &format!("{} -> {}", i.s("resourceFieldRef.resource"), i.s("path")));
        }
    }
}

fn optional(v: &Value, path: &str) -> String {
    v.at(path).map_or("<nil>".into(), plain)
}
