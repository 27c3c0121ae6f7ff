//! What v3 has a document for: a group version, a group, or a path of its own (`apiserver/pkg/server/routes/openapi.go`
//! makes one of each web service). v2 has them all in one.

use api::Value;
use api::kinds::Kinds;

use crate::definitions::Dialect;
use crate::names::{capital, group_tag, group_title};
use crate::operation::{Operation, path_item};
use crate::paths::{self, MEDIA_TYPES};
use crate::sources::Source;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const JSON: [&str; 1] = ["application/json"];

/// One document of v3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Page<'a> {
    /// A path outside of groups.
    Root(&'static Root),
    /// A group: `apis/apps`.
    Group(&'a str),
    /// The resources of a group version: `apis/apps/v1`, `api/v1`.
    Version(&'a str, &'a str),
}

/// A path outside of groups.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root {
    path: &'static str,
    id: &'static str,
    tag: &'static str,
    /// The definition of the answer; empty for a string.
    answer: &'static str,
    consumes: &'static [&'static str],
    produces: &'static [&'static str],
}

static ROOTS: [Root; 5] = [
    Root {
        path: ".well-known/openid-configuration",
        id: "getServiceAccountIssuerOpenIDConfiguration",
        tag: "WellKnown",
        answer: "",
        consumes: &[],
        produces: &JSON,
    },
    Root {
        path: "api",
        id: "getCoreAPIVersions",
        tag: "core",
        answer: "io.k8s.apimachinery.pkg.apis.meta.v1.APIVersions",
        consumes: &MEDIA_TYPES,
        produces: &MEDIA_TYPES,
    },
    Root {
        path: "apis",
        id: "getAPIVersions",
        tag: "apis",
        answer: "io.k8s.apimachinery.pkg.apis.meta.v1.APIGroupList",
        consumes: &MEDIA_TYPES,
        produces: &MEDIA_TYPES,
    },
    Root {
        path: "openid/v1/jwks",
        id: "getServiceAccountIssuerOpenIDKeyset",
        tag: "openid",
        answer: "",
        consumes: &[],
        produces: &["application/jwk-set+json"],
    },
    Root {
        path: "version",
        id: "getCodeVersion",
        tag: "version",
        answer: "io.k8s.apimachinery.pkg.version.Info",
        consumes: &JSON,
        produces: &JSON,
    },
];

impl<'a> Page<'a> {
    /// The pages of a source. Custom resources have no discovery in OpenAPI.
    pub fn of(source: &Source<'a>) -> Vec<Page<'a>> {
        let kinds: &'a Kinds = source.kinds;
        let versions =
            kinds.groups().iter().flat_map(|(g, all)| all.iter().map(move |v| Page::Version(g, v)));
        if source.is_custom() {
            return versions.collect();
        }
        let groups = kinds.groups().iter().filter(|(group, _)| !group.is_empty());
        let groups = groups.map(|(group, _)| Page::Group(group));
        ROOTS.iter().map(Page::Root).chain(groups).chain(versions).collect()
    }

    /// The last part of the document's address, which is what its paths begin with.
    pub fn name(&self) -> String {
        match self {
            Page::Root(root) => root.path.to_owned(),
            Page::Group(group) => format!("apis/{group}"),
            Page::Version("", version) => format!("api/{version}"),
            Page::Version(group, version) => format!("apis/{group}/{version}"),
        }
    }

    /// The paths of the page.
    pub(crate) fn paths(&self, source: &Source<'_>, dialect: Dialect) -> Vec<(String, Value)> {
        let mut paths = Vec::new();
        if !source.is_custom() {
            paths.push((format!("/{}/", self.name()), path_item(&[self.discovery()], dialect)));
        }
        if let Page::Version(group, version) = self {
            for resource in source.kinds.in_version(group, version) {
                paths.extend(paths::of_resource(resource, source, dialect));
            }
        }
        paths
    }

    /// Reading the page itself.
    fn discovery(&self) -> Operation {
        let (id, tag, answer) = match self {
            Page::Root(root) => (root.id.to_owned(), root.tag.to_owned(), root.answer.to_owned()),
            Page::Group(group) => {
                (format!("get{}APIGroup", group_title(group)), group_tag(group), format!("{META}.APIGroup"))
            }
            Page::Version(group, version) => (
                format!("get{}{}APIResources", group_title(group), capital(version)),
                format!("{}_{version}", group_tag(group)),
                format!("{META}.APIResourceList"),
            ),
        };
        let (consumes, produces): (&[_], &[_]) = match self {
            Page::Root(root) => (root.consumes, root.produces),
            _ => (&MEDIA_TYPES, &MEDIA_TYPES),
        };
        Operation {
            method: "get",
            action: None,
            id,
            tag,
            body: None,
            answer: Some(answer).filter(|name| !name.is_empty()),
            codes: &[200],
            parameters: Vec::new(),
            kind: None,
            consumes,
            produces,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_named_by_their_paths() {
        let source = Source::builtin();
        let names: Vec<String> = Page::of(&source).iter().map(Page::name).collect();
        for name in ["api", "api/v1", "apis", "apis/apps", "apis/apps/v1", "version", "openid/v1/jwks"] {
            assert!(names.iter().any(|n| n == name), "{name}");
        }
        assert!(names.iter().all(|n| n != "apis/"));
        let (path, item) = Page::Group("apps").paths(&source, Dialect::V3).remove(0);
        assert_eq!((path.as_str(), &item["get"]["operationId"]), ("/apis/apps/", &"getAppsAPIGroup".into()));
    }
}
