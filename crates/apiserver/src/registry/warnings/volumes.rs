//! Files of one volume that lie in each other's way (`warningsForOverlappingVirtualPaths`).

use std::collections::BTreeMap;
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

/// So many collisions of one pod are told: the headers hold less.
const COLLISIONS_MAX: usize = 10_000;
/// So many folders above a file are looked at.
const FOLDERS_MAX: usize = 100;

/// The files of one volume.
#[derive(Default)]
struct Volume {
    files: Vec<File>,
    /// Which files have a path; each path ends with a slash, so that what is below it follows it.
    at: BTreeMap<String, Vec<usize>>,
}

impl Volume {
    /// Adds a file to those before it; gives at most `most` of those that it collides with: the same path, one above or
    /// one below it.
    fn add(&mut self, mut file: File, most: usize) -> Vec<String> {
        file.path.truncate(file.path.trim_end_matches('/').len());
        let mut found = Vec::new();
        if !file.path.is_empty() {
            let path = format!("{}/", file.path);
            let folders =
                path.match_indices('/').map(|(end, _)| &path[..=end]).filter(|f| f.len() < path.len());
            let above = folders.take(FOLDERS_MAX).filter_map(|folder| self.at.get(folder));
            let below = self.at.range(path.clone()..).take_while(|(other, _)| other.starts_with(&path));
            found = above.chain(below.map(|(_, files)| files)).flatten().copied().take(most).collect();
            found.sort_unstable();
            self.at.entry(path).or_default().push(self.files.len());
        }
        let collisions =
            found.iter().filter_map(|&i| self.files.get(i)).map(|other| format!("{file} with {other}"));
        let collisions = collisions.collect();
        self.files.push(file);
        collisions
    }
}

/// Appends the warnings about a pod's volumes.
pub(super) fn overlaps(out: &mut Vec<String>, volumes: &[Value]) {
    let mut left = COLLISIONS_MAX;
    for volume in volumes {
        let name = text(volume, "name");
        let mut add = |out: &mut Vec<String>, what: &str, files: &mut Volume, file: File| {
            let found = files.add(file, left);
            left -= found.len();
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
            let mut all = Volume::default();
            for file in files(items(source, "items"), "") {
                add(out, &what, &mut all, file);
            }
        }
        let Some(projected) = volume.get("projected").filter(|p| !p.is_null()) else { continue };
        let mut all = Volume::default();
        for source in items(projected, "sources") {
            if source.as_object().is_none_or(|s| s.values().all(Value::is_null)) {
                out.push(format!("volume {name:?} (Projected) has no sources provided"));
                continue;
            }
            for file in projection(source) {
                add(out, "Projected", &mut all, file);
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

    #[test]
    fn collisions_come_in_the_order_of_the_files() {
        let paths = ["a/b/c", "a-b", "a", "b", "a/b", "a/b"];
        let items: Vec<_> = paths.iter().map(|path| json!({"key": "k", "path": path})).collect();
        let told = of(json!({"name": "v", "secret": {"secretName": "s", "items": items}}));
        let told: Vec<_> =
            told.iter().filter_map(|w| w.split_once("paths: ")).map(|(_, pair)| pair).collect();
        let ab = [r#""a/b" with "a/b/c""#, r#""a/b" with "a""#, r#""a/b" with "a/b""#];
        assert_eq!(told, [&[r#""a" with "a/b/c""#][..], &ab[..2], &ab].concat());
    }

    /// A pod of fifty thousand files with one path made millions of texts: 3.5 GB of them.
    #[test]
    fn collisions_of_many_files_end() {
        let items = vec![json!({"key": "k", "path": "p"}); 50_000];
        let told = of(json!({"name": "v", "secret": {"secretName": "s", "items": items}}));
        assert_eq!(told.len(), COLLISIONS_MAX);
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
