//! Which resources the API server has, each in its preferred version.

use client::ErrorExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroupList, APIResourceList};
use kube::{Client, Error};

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

/// All resources, and the group versions that could not be asked.
pub async fn resources(client: &Client) -> Result<(Vec<Resource>, Option<String>), Error> {
    let mut versions = vec![(String::new(), "v1".to_owned())];
    let groups = fetch::<APIGroupList>(client, "/apis").await?;
    for group in groups.groups {
        // Later versions may have resources that the preferred one lacks; the first that has a resource wins.
        let preferred = group.preferred_version.map(|version| version.version);
        let mut all: Vec<String> = group.versions.into_iter().map(|version| version.version).collect();
        all.sort_by_key(|version| Some(version) != preferred.as_ref());
        versions.extend(all.into_iter().map(|version| (group.name.clone(), version)));
    }
    let mut found: Vec<Resource> = Vec::new();
    let mut failed = Vec::new();
    for (group, version) in versions {
        let path =
            if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        let list = match fetch::<APIResourceList>(client, &path).await {
            Ok(list) => list,
            Err(err) => {
                tracing::debug!("discovery of {path}: {err}");
                failed.push(format!("{group}/{version}"));
                continue;
            }
        };
        for resource in list.resources {
            let known = found.iter().any(|other| other.group == group && other.plural == resource.name);
            if known || resource.name.contains('/') {
                continue;
            }
            found.push(Resource {
                group: group.clone(),
                version: version.clone(),
                kind: resource.kind,
                plural: resource.name,
                namespaced: resource.namespaced,
                verbs: resource.verbs,
            });
        }
    }
    Ok((found, (!failed.is_empty()).then(|| failed.join(", "))))
}

/// One group's trouble must not hide its resources from everyone: asks a few times.
async fn fetch<T: serde::de::DeserializeOwned>(client: &Client, path: &str) -> Result<T, Error> {
    let mut tries = 0;
    loop {
        let request = http::Request::get(path).header(http::header::ACCEPT, "application/json");
        match client.request(request.body(Vec::new()).map_err(Error::HttpError)?).await {
            Err(err) if tries < 3 && err.code().is_none_or(|code| code >= 500) => {
                tries += 1;
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            result => return result,
        }
    }
}
