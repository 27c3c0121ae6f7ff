//! What discovery lists.

use serde_json::Value;

use crate::common::Cluster;

/// A subresource of a resource.
#[derive(Clone, Debug)]
pub(crate) struct Sub {
    /// `status`.
    pub(crate) name: String,
    /// The group version of its kind.
    pub(crate) group_version: String,
    /// Its kind.
    pub(crate) kind: String,
    /// What may be done.
    pub(crate) verbs: Vec<String>,
}

/// A resource in one group version.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// `/apis/apps/v1`.
    pub(crate) root: String,
    /// `apps/v1`.
    pub(crate) group_version: String,
    /// `deployments`.
    pub(crate) name: String,
    /// `Deployment`.
    pub(crate) kind: String,
    /// Whether objects live in namespaces.
    pub(crate) namespaced: bool,
    /// What may be done.
    pub(crate) verbs: Vec<String>,
    /// The same for all versions of what is stored together.
    pub(crate) hash: String,
    /// What lies below an object.
    pub(crate) subs: Vec<Sub>,
}

impl Entry {
    /// Whether discovery promises a verb.
    pub(crate) fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb)
    }

    /// The collection's path.
    pub(crate) fn collection(&self, namespace: &str) -> String {
        match self.namespaced {
            true => format!("{}/namespaces/{namespace}/{}", self.root, self.name),
            false => format!("{}/{}", self.root, self.name),
        }
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

/// `v1`, `apps/v1`.
fn join(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// Reads both forms of discovery, which must say the same.
pub(crate) async fn read(cluster: &Cluster) -> Vec<Entry> {
    let mut roots = vec!["/api/v1".to_owned()];
    for group in cluster.get("/apis").await.json()["groups"].as_array().unwrap() {
        let versions = group["versions"].as_array().unwrap();
        roots.extend(versions.iter().map(|v| format!("/apis/{}", text(v, "groupVersion"))));
    }
    let mut entries = Vec::new();
    for root in roots {
        let list = cluster.get(&root).await.json();
        entries.extend(of_version(&root, &list));
    }
    let mut seen = aggregated(cluster).await;
    let mut told: Vec<_> = entries.iter().flat_map(verbs).collect();
    seen.sort();
    told.sort();
    assert_eq!(seen, told, "aggregated discovery says something else");
    entries
}

fn of_version(root: &str, list: &Value) -> Vec<Entry> {
    let group_version = text(list, "groupVersion");
    let mut entries: Vec<Entry> = Vec::new();
    for resource in list["resources"].as_array().unwrap() {
        let name = text(resource, "name");
        let given = join(&text(resource, "group"), &text(resource, "version"));
        let (plural, sub) = name.split_once('/').unwrap_or((&name, ""));
        if !entries.iter().any(|e| e.name == plural) {
            // A few resources of 2018 have nothing but subresources.
            let known = sub.is_empty();
            entries.push(Entry {
                root: root.to_owned(),
                group_version: group_version.clone(),
                name: plural.to_owned(),
                kind: if known { text(resource, "kind") } else { String::new() },
                namespaced: resource["namespaced"].as_bool().unwrap(),
                verbs: if known { texts(&resource["verbs"]) } else { Vec::new() },
                hash: text(resource, "storageVersionHash"),
                subs: Vec::new(),
            });
        }
        if !sub.is_empty() {
            let entry = entries.iter_mut().find(|e| e.name == plural).unwrap();
            entry.subs.push(Sub {
                name: sub.to_owned(),
                group_version: if given.is_empty() { group_version.clone() } else { given },
                kind: text(resource, "kind"),
                verbs: texts(&resource["verbs"]),
            });
        }
    }
    entries
}

/// `apps/v1 deployments/scale: get,patch,update`: what can be compared.
fn verbs(entry: &Entry) -> Vec<String> {
    let line = |name: &str, verbs: &[String]| format!("{} {name}: {}", entry.group_version, verbs.join(","));
    let subs = entry.subs.iter().map(|s| line(&format!("{}/{}", entry.name, s.name), &s.verbs));
    std::iter::once(line(&entry.name, &entry.verbs)).chain(subs).collect()
}

async fn aggregated(cluster: &Cluster) -> Vec<String> {
    let accept = [("accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")];
    let mut lines = Vec::new();
    for path in ["/api", "/apis"] {
        let list = cluster.send(http::Method::GET, path, &accept, &Value::Null).await.json();
        assert_eq!(list["kind"], "APIGroupDiscoveryList");
        for group in list["items"].as_array().unwrap() {
            for version in group["versions"].as_array().unwrap() {
                let group_version = join(&text(&group["metadata"], "name"), &text(version, "version"));
                for resource in version["resources"].as_array().unwrap() {
                    let name = text(resource, "resource");
                    lines.push(format!("{group_version} {name}: {}", texts(&resource["verbs"]).join(",")));
                    for sub in resource["subresources"].as_array().into_iter().flatten() {
                        let (sub, verbs) = (text(sub, "subresource"), texts(&sub["verbs"]).join(","));
                        lines.push(format!("{group_version} {name}/{sub}: {verbs}"));
                    }
                }
            }
        }
    }
    lines
}
