//! Which resources the API server has, each in its preferred version.

use client::ErrorExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    APIGroupList, APIResourceList, APIVersions, ObjectMeta,
};
use kube::{Client, Error};
use serde::Deserialize;

/// One resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resource {
    /// The group; empty for core.
    pub group: String,
    /// The version.
    pub version: String,
    /// The kind.
    pub kind: String,
    /// The name in URLs.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What can be done.
    pub verbs: Vec<String>,
}

impl Resource {
    /// Whether a verb is served.
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb)
    }

    /// The URL of the collection.
    pub fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{}", self.plural),
            None => format!("{root}/{}", self.plural),
        }
    }

    /// `group/version`, or the version alone.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// The document of all groups and resources (KEP 3352), or what servers before it give there.
const AGGREGATED: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

#[derive(Deserialize)]
#[serde(tag = "kind")]
enum Root {
    #[serde(rename = "APIGroupDiscoveryList")]
    Aggregated { items: Vec<Group> },
    #[serde(rename = "APIGroupList")]
    Groups(APIGroupList),
    #[serde(rename = "APIVersions")]
    Core(APIVersions),
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    #[serde(default)]
    resources: Vec<Entry>,
    #[serde(default)]
    freshness: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    resource: String,
    response_kind: Option<Kind>,
    scope: String,
    #[serde(default)]
    verbs: Vec<String>,
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

/// What was found so far.
#[derive(Default)]
struct Found {
    resources: Vec<Resource>,
    failed: Vec<String>,
}

impl Found {
    /// Later versions may have resources that the preferred one lacks; the first that has a resource wins.
    fn add(&mut self, resource: Resource) {
        let known = |other: &Resource| other.group == resource.group && other.plural == resource.plural;
        if !self.resources.iter().any(known) {
            self.resources.push(resource);
        }
    }

    fn add_group(&mut self, group: Group) {
        let name = group.metadata.name.unwrap_or_default();
        for version in group.versions {
            if version.freshness == "Stale" {
                self.failed.push(format!("{name}/{}", version.version));
            }
            for entry in version.resources {
                self.add(Resource {
                    group: name.clone(),
                    version: version.version.clone(),
                    kind: entry.response_kind.map(|kind| kind.kind).unwrap_or_default(),
                    plural: entry.resource,
                    namespaced: entry.scope == "Namespaced",
                    verbs: entry.verbs,
                });
            }
        }
    }

    /// Asks for one version of a group.
    async fn ask(&mut self, client: &Client, group: &str, version: &str) {
        let path =
            if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        let list = match fetch::<APIResourceList>(client, &path, "application/json").await {
            Ok(list) => list,
            Err(err) => {
                tracing::debug!("discovery of {path}: {err}");
                self.failed.push(format!("{group}/{version}"));
                return;
            }
        };
        for resource in list.resources.into_iter().filter(|resource| !resource.name.contains('/')) {
            self.add(Resource {
                group: group.to_owned(),
                version: version.to_owned(),
                kind: resource.kind,
                plural: resource.name,
                namespaced: resource.namespaced,
                verbs: resource.verbs,
            });
        }
    }
}

/// All resources, and the group versions that could not be asked. Two requests, but for servers that cannot tell it all
/// at once.
pub async fn resources(client: &Client) -> Result<(Vec<Resource>, Option<String>), Error> {
    let mut found = Found::default();
    for root in ["/api", "/apis"] {
        match fetch::<Root>(client, root, AGGREGATED).await? {
            Root::Aggregated { items } => items.into_iter().for_each(|group| found.add_group(group)),
            Root::Core(core) => {
                for version in core.versions {
                    found.ask(client, "", &version).await;
                }
            }
            Root::Groups(list) => {
                for group in list.groups {
                    let preferred = group.preferred_version.map(|version| version.version);
                    let mut all: Vec<String> = group.versions.into_iter().map(|v| v.version).collect();
                    all.sort_by_key(|version| Some(version) != preferred.as_ref());
                    for version in all {
                        found.ask(client, &group.name, &version).await;
                    }
                }
            }
        }
    }
    Ok((found.resources, (!found.failed.is_empty()).then(|| found.failed.join(", "))))
}

/// One group's trouble must not hide its resources from everyone: asks a few times.
async fn fetch<T: serde::de::DeserializeOwned>(
    client: &Client,
    path: &str,
    accept: &str,
) -> Result<T, Error> {
    let mut tries = 0;
    loop {
        let request = http::Request::get(path).header(http::header::ACCEPT, accept);
        match client.request(request.body(Vec::new()).map_err(Error::HttpError)?).await {
            Err(err) if tries < 3 && err.code().is_none_or(|code| code >= 500) => {
                tries += 1;
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use apiserver::InProcess;
    use http::{HeaderValue, Request, header};
    use kube::client::Body;
    use tower::ServiceExt;

    use super::*;

    /// Fifty requests were sent for every round of emptying a namespace.
    #[tokio::test]
    async fn the_whole_document_tells_what_the_single_ones_tell() {
        let running = InProcess::start(InProcess::options()).await.unwrap();
        let server = running.server().clone();
        let (mut whole, failed) = resources(&client::in_process_as(server.clone(), "test")).await.unwrap();
        assert_eq!(failed, None);
        let old = tower::service_fn(move |mut request: Request<Body>| {
            request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
            server.clone().oneshot(request)
        });
        let (mut single, failed) = resources(&client::in_process_as(old, "test")).await.unwrap();
        assert_eq!(failed, None);
        let pods = whole.iter().find(|r| r.plural == "pods").unwrap();
        assert!(pods.namespaced && pods.kind == "Pod" && pods.can("watch"), "{pods:?}");
        for list in [&mut whole, &mut single] {
            list.iter_mut().for_each(|r| r.verbs.sort());
            list.sort_by_key(|r| (r.group.clone(), r.plural.clone()));
        }
        assert_eq!(whole, single);
    }
}
