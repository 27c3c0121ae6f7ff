//! Files of one volume that lie in each other's way (`warningsForOverlappingVirtualPaths`).

use std::fmt;

use api::Value;

use super::pods::{items, text};

/// A file, and where it comes from when several sources share a volume.
#[derive(Clone, PartialEq)]
struct File {
    path: String,
    source: String,
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.path)?;
        if self.source.is_empty() { Ok(()) } else { write!(f, " ({})", self.source) }
    }
}

fn files(list: &[Value], source: &str) -> Vec<File> {
    list.iter().map(|item| File { path: text(item, "path").to_owned(), source: source.to_owned() }).collect()
}

fn inside(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// With so many of the files before it a file is compared.
const COMPARED_MAX: usize = 500;

/// Adds a file to those before it; gives what it collides with.
fn add(all: &mut Vec<File>, mut file: File) -> Vec<String> {
    file.path.truncate(file.path.trim_end_matches('/').len());
    let clash = |other: &&File| {
        !file.path.is_empty()
            && !other.path.is_empty()
            && (inside(&other.path, &file.path) || inside(&file.path, &other.path))
    };
    // Each is compared with all others: not in a volume of a hundred thousand files.
    let found =
        all.iter().take(COMPARED_MAX).filter(clash).map(|other| format!("{file} with {other}")).collect();
    all.push(file);
    found
}

/// Appends the warnings about a pod's volumes.
pub(super) fn overlaps(out: &mut Vec<String>, volumes: &[Value]) {
    for volume in volumes {
        let name = text(volume, "name");
        let mut warn = |what: &str, found: Vec<String>| {
            out.extend(found.iter().map(|f| format!("volume {name:?} ({what}): overlapping paths: {f}")));
        };
        for (field, kind, named) in
            [("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName"), ("downwardAPI", "", "")]
        {
            let Some(source) = volume.get(field).filter(|s| !s.is_null()) else { continue };
            let what = if named.is_empty() {
                "DownwardAPI".to_owned()
            } else {
                format!("{kind} {:?}", text(source, named))
            };
            let mut all = Vec::new();
            for file in files(items(source, "items"), "") {
                warn(&what, add(&mut all, file));
            }
        }
        let Some(projected) = volume.get("projected").filter(|p| !p.is_null()) else { continue };
        let mut all = Vec::new();
        for source in items(projected, "sources") {
            if source.as_object().is_none_or(|s| s.values().all(Value::is_null)) {
                out.push(format!("volume {name:?} (Projected) has no sources provided"));
                continue;
            }
            for file in projection(source) {
                let found = add(&mut all, file);
                out.extend(
                    found.iter().map(|f| format!("volume {name:?} (Projected): overlapping paths: {f}")),
                );
            }
        }
    }
}

/// The files of one source of a projected volume.
fn projection(source: &Value) -> Vec<File> {
    let of = |field: &str| source.get(field).filter(|s| !s.is_null());
    for (field, kind) in [("configMap", "ConfigMap"), ("secret", "Secret"), ("downwardAPI", "DownwardAPI")] {
        let Some(from) = of(field).filter(|s| s.get("items").is_some_and(|i| !i.is_null())) else { continue };
        let name = match kind {
            "DownwardAPI" => kind.to_owned(),
            _ => format!("{kind} {:?}", text(from, "name")),
        };
        return files(items(from, "items"), &name);
    }
    let file = |path: &str, source: String| File { path: path.to_owned(), source };
    if let Some(token) = of("serviceAccountToken") {
        return vec![file(text(token, "path"), "ServiceAccountToken".into())];
    }
    if let Some(bundle) = of("clusterTrustBundle") {
        let name = match text(bundle, "name") {
            "" => text(bundle, "signerName"),
            name => name,
        };
        return vec![file(text(bundle, "path"), format!("ClusterTrustBundle {name:?}"))];
    }
    let Some(certificate) = of("podCertificate") else { return Vec::new() };
    let parts = [
        ("certificateChainPath", "PodCertificate chain"),
        ("keyPath", "PodCertificate key"),
        ("credentialBundlePath", "PodCertificate credential bundle"),
    ];
    let given = parts.iter().filter(|(field, _)| !text(certificate, field).is_empty());
    given.map(|(field, what)| file(text(certificate, field), (*what).into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(volume: Value) -> Vec<String> {
        let mut out = Vec::new();
        overlaps(&mut out, &[volume]);
        out
    }

    #[test]
    fn one_path_twice_or_inside_another_is_told() {
        let items =
            json!([{"key": "a", "path": "p"}, {"key": "b", "path": "p/q/"}, {"key": "c", "path": "pq"}]);
        assert_eq!(
            of(json!({"name": "v", "configMap": {"name": "m", "items": items}})),
            [r#"volume "v" (ConfigMap "m"): overlapping paths: "p/q" with "p""#]
        );
        let sources = json!([
            {"secret": {"name": "s", "items": [{"key": "a", "path": "token"}]}},
            {"serviceAccountToken": {"path": "token"}},
        ]);
        assert_eq!(
            of(json!({"name": "v", "projected": {"sources": sources}})),
            [
                r#"volume "v" (Projected): overlapping paths: "token" (ServiceAccountToken) with "token" (Secret "s")"#
            ]
        );
    }

    /// A projected volume without sources was told, one with an empty source was not.
    #[test]
    fn only_a_source_that_is_none_is_told() {
        assert!(of(json!({"name": "v", "projected": {}})).is_empty());
        assert_eq!(
            of(json!({"name": "v", "projected": {"sources": [{}]}})),
            ["volume \"v\" (Projected) has no sources provided"]
        );
    }
}
