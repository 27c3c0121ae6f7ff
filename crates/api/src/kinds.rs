//! Which resources exist: one [`Kind`] per stored (or virtual) kind, with every group version that serves it.
//!
//! Built-in kinds come from `data/kinds.txt` (see `tools/derive-api-data`); the API server adds one row per custom
//! resource definition.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use crate::schema::{self, Name, StructId};

mod parse;

/// One kind of object, whatever the versions it is spoken in.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    /// The group that owns it, empty for the core group.
    pub group: Name,
    /// The hub version: objects are stored in it and convert through it.
    pub version: Name,
    /// The kind.
    pub kind: Name,
    /// The kind of lists.
    pub list_kind: Name,
    /// The resource name in paths.
    pub plural: Name,
    /// The resource name of one.
    pub singular: Name,
    /// What `kubectl` users type.
    pub short_names: Vec<Name>,
    /// Groups of resources, `all`.
    pub categories: Vec<Name>,
    /// Objects live in namespaces.
    pub namespaced: bool,
    /// The etcd key below `/registry/`, without slashes at its ends; `None` for kinds that are not stored.
    pub etcd_prefix: Option<Name>,
    /// Discovery's `storageVersionHash`; empty for kinds that are not stored.
    pub storage_version_hash: Name,
    /// Every group version through which it is reached; the hub's is the first.
    pub served: Vec<Served>,
}

/// A kind in one group version.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    /// The group, empty for the core group.
    pub group: Name,
    /// The version.
    pub version: Name,
    /// The kind's name here (the same almost everywhere).
    pub kind: Name,
    /// Verbs in alphabetical order.
    pub verbs: Vec<Name>,
    /// The type in [`schema::builtin`] (or the custom resource's own schemas).
    pub ty: Option<StructId>,
    /// Since when clients are warned, with what to use instead.
    pub deprecation: Option<Deprecation>,
    /// Paths below an object.
    pub subresources: Vec<Subresource>,
}

/// A path below an object, `deployments/scale`.
#[derive(Clone, Debug, PartialEq)]
pub struct Subresource {
    /// The last path element.
    pub name: Name,
    /// The group of its kind, where it differs from the resource's own; discovery names it then.
    pub group_version: Option<(Name, Name)>,
    /// The kind that goes in and out.
    pub kind: Name,
    /// Verbs in alphabetical order.
    pub verbs: Vec<Name>,
    /// The type of `kind`.
    pub ty: Option<StructId>,
}

/// When a version of a kind became old (upstream's `prerelease-lifecycle` facts).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deprecation {
    /// Major and minor version from which on warnings are sent.
    pub deprecated: (u16, u16),
    /// Where upstream stopped serving it.
    pub removed: Option<(u16, u16)>,
    /// `group/version/kind`.
    pub replacement: Option<(Name, Name, Name)>,
}

/// Which servers were the last to serve a version: clients of it expect their shapes and words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Era {
    /// Servers before 1.16, as they were in 2018.
    Early,
    /// Servers of 2020 (1.19), the last that had alpha and beta versions of most kinds.
    Betas,
    /// Today's.
    Now,
}

impl Served {
    /// Whose version this is.
    pub fn era(&self) -> Era {
        let removed = self.deprecation.as_ref().and_then(|d| d.removed);
        if removed.is_some_and(|version| version <= (1, 16)) {
            Era::Early
        } else if self.version.contains("beta") || self.version.contains("alpha") {
            Era::Betas
        } else {
            Era::Now
        }
    }

    /// `apps/v1`, or `v1` for the core group.
    pub fn group_version(&self) -> String {
        group_version(&self.group, &self.version)
    }

    /// The subresource of this name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }

    /// Whether `verb` is allowed on the resource itself.
    pub fn has_verb(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb)
    }

    /// The warning that upstream sends for requests through this version (`deprecation.WarningMessage`).
    pub fn warning(&self) -> Option<String> {
        let d = self.deprecation.as_ref()?;
        let (major, minor) = d.deprecated;
        let mut text = format!("{} {} is deprecated in v{major}.{minor}+", self.group_version(), self.kind);
        if let Some((major, minor)) = d.removed {
            text.push_str(&format!(", unavailable in v{major}.{minor}+"));
        }
        if let Some((group, version, kind)) = &d.replacement {
            text.push_str(&format!("; use {} {kind}", group_version(group, version)));
        }
        Some(text)
    }
}

/// `apps/v1`, or `v1` for the core group.
pub fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// Splits an `apiVersion`: `apps/v1` → (`apps`, `v1`), `v1` → (``, `v1`).
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

impl Kind {
    /// The entry of a group version.
    pub fn served_in(&self, group: &str, version: &str) -> Option<usize> {
        self.served.iter().position(|s| s.group == group && s.version == version)
    }

    /// Whether a deletion answers with the object instead of a `Status`, for kinds of the table.
    pub fn returns_deleted(&self) -> bool {
        RETURNS_DELETED.contains(&&*self.plural)
    }

    /// Whether objects of this kind are stored.
    pub fn is_stored(&self) -> bool {
        self.etcd_prefix.is_some()
    }
}

/// Kinds whose deletion answers with the object.
const RETURNS_DELETED: [&str; 19] = [
    "podsecuritypolicies",
    "resourceclaimtemplates",
    "resourceslices",
    "resourceclaims",
    "deviceclasses",
    "devicetaintrules",
    "csidrivers",
    "storageclasses",
    "volumeattachments",
    "csinodes",
    "volumeattributesclasses",
    "resourcequotas",
    "persistentvolumes",
    "serviceaccounts",
    "persistentvolumeclaims",
    "namespaces",
    "pods",
    "services",
    "podtemplates",
];

/// A kind as seen through one of its group versions.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// The kind.
    pub kind: Arc<Kind>,
    /// The place in [`Kind::served`].
    pub index: usize,
}

impl std::ops::Deref for Resource {
    type Target = Served;

    fn deref(&self) -> &Served {
        &self.kind.served[self.index]
    }
}

impl Resource {
    /// Whether this is the version that is stored.
    pub fn is_hub(&self) -> bool {
        self.index == 0
    }

    /// The hub version.
    pub fn hub(&self) -> &Served {
        &self.kind.served[0]
    }
}

/// A set of kinds with lookups.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    kinds: Vec<Arc<Kind>>,
    by_resource: Vec<Resource>,
    groups: Vec<(Name, Vec<Name>)>,
}

impl Kinds {
    /// A set of these kinds; `group_order` lists groups by priority, others follow in the order in which they occur.
    pub fn new(group_order: &[Name], kinds: Vec<Kind>) -> Kinds {
        let kinds: Vec<Arc<Kind>> = kinds.into_iter().map(Arc::new).collect();
        let mut by_resource: Vec<Resource> = kinds
            .iter()
            .flat_map(|kind| (0..kind.served.len()).map(|index| Resource { kind: Arc::clone(kind), index }))
            .collect();
        by_resource.sort_by(|a, b| key(a).cmp(&key(b)));
        let mut groups: Vec<(Name, Vec<Name>)> = Vec::new();
        for name in group_order {
            groups.push((name.clone(), Vec::new()));
        }
        for served in kinds.iter().flat_map(|k| &k.served) {
            let at = groups.iter().position(|(g, _)| *g == served.group).unwrap_or_else(|| {
                groups.push((served.group.clone(), Vec::new()));
                groups.len() - 1
            });
            let versions = &mut groups[at].1;
            if !versions.contains(&served.version) {
                versions.push(served.version.clone());
            }
        }
        groups.retain(|(_, versions)| !versions.is_empty());
        for (_, versions) in &mut groups {
            versions.sort_by_key(|v| std::cmp::Reverse(version_rank(v)));
        }
        Kinds { kinds, by_resource, groups }
    }

    /// Those that `keep` holds for. A kind stays whole: its hub may be a version that is no longer served.
    pub fn only(&self, keep: impl Fn(&Resource) -> bool) -> Kinds {
        let by_resource: Vec<Resource> = self.by_resource.iter().filter(|r| keep(r)).cloned().collect();
        let mut only = Kinds { kinds: self.kinds.clone(), by_resource, groups: Vec::new() };
        for (group, versions) in &self.groups {
            let left = versions.iter().filter(|v| !only.in_version(group, v).is_empty());
            let left: Vec<Name> = left.cloned().collect();
            if !left.is_empty() {
                only.groups.push((group.clone(), left));
            }
        }
        only
    }

    /// The resource of a path: group, version, plural name.
    pub fn lookup(&self, group: &str, version: &str, plural: &str) -> Option<&Resource> {
        let at = self.by_resource.binary_search_by(|r| key(r).cmp(&(group, version, plural))).ok()?;
        self.by_resource.get(at)
    }

    /// The resource of an object's `apiVersion` and `kind`.
    pub fn by_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Resource> {
        self.in_version(group, version).iter().find(|r| r.kind.kind == kind || r.as_served().kind == kind)
    }

    /// The resources of a group version in alphabetical order, as discovery lists them.
    pub fn in_version(&self, group: &str, version: &str) -> &[Resource] {
        let start = self.by_resource.partition_point(|r| (&*r.group, &*r.version) < (group, version));
        let end = self.by_resource.partition_point(|r| (&*r.group, &*r.version) <= (group, version));
        &self.by_resource[start..end]
    }

    /// All resources by group, version and plural name.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.by_resource.iter()
    }

    /// Groups by priority, each with its versions, the preferred one first. The core group is the first.
    pub fn groups(&self) -> &[(Name, Vec<Name>)] {
        &self.groups
    }

    /// All kinds.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.kinds.iter()
    }

    /// A kind by its owning group and plural name.
    pub fn stored(&self, group: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.kinds.iter().find(|k| k.group == group && k.plural == plural)
    }
}

impl Resource {
    fn as_served(&self) -> &Served {
        self
    }
}

fn key(r: &Resource) -> (&str, &str, &str) {
    let served = r.as_served();
    (&served.group, &served.version, &r.kind.plural)
}

/// How versions are ordered: v2, v1, v2beta1, v1beta1, v1alpha1. Names of another form come last.
pub fn version_rank(version: &str) -> (u8, u64, u64) {
    fn parse(version: &str) -> Option<(u8, u64, u64)> {
        let rest = version.strip_prefix('v')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let major = rest[..digits].parse().ok()?;
        let rest = &rest[digits..];
        if rest.is_empty() {
            return Some((3, major, 0));
        }
        let (stage, minor) = match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
            (Some(minor), _) => (2, minor),
            (_, Some(minor)) => (1, minor),
            _ => return None,
        };
        Some((stage, major, minor.parse().ok()?))
    }
    parse(version).unwrap_or_default()
}

/// Which of two versions is newer (`version.CompareKubeAwareVersionStrings`).
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    match (version_rank(a), version_rank(b)) {
        // Neither is like those of Kubernetes: the first of the alphabet is the newer one.
        ((0, ..), (0, ..)) => b.cmp(a),
        (a, b) => a.cmp(&b),
    }
}

/// The built-in kinds.
pub fn builtin() -> &'static Kinds {
    static BUILTIN: OnceLock<Kinds> = OnceLock::new();
    BUILTIN.get_or_init(|| parse::kinds(include_str!("../data/kinds.txt"), schema::builtin()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_versions_of_a_kind_share_one_row() {
        let k = builtin();
        let hub = k.lookup("apps", "v1", "deployments").unwrap();
        assert!(hub.is_hub());
        for (group, version) in [("extensions", "v1beta1"), ("apps", "v1beta1"), ("apps", "v1beta2")] {
            let old = k.lookup(group, version, "deployments").unwrap();
            assert!(Arc::ptr_eq(&old.kind, &hub.kind) && !old.is_hub() && old.ty.is_some());
        }
        assert_eq!(hub.subresource("scale").unwrap().kind, "Scale");
        let event = k.lookup("events.k8s.io", "v1", "events").unwrap();
        assert_eq!((&*event.kind.group, event.kind.etcd_prefix.as_deref()), ("", Some("events")));
        assert_eq!(k.by_kind("", "v1", "Node").unwrap().kind.etcd_prefix.as_deref(), Some("minions"));
    }

    /// `v1beta` was taken for a beta version by discovery, and for none by what clients of deprecated versions are told.
    #[test]
    fn versions_are_compared_as_upstream_compares_them() {
        let mut names = ["foo", "v1alpha1", "v1beta", "v1", "bar", "v10", "v2beta3", "v1beta2"];
        names.sort_by(|a, b| compare_versions(b, a));
        assert_eq!(names, ["v10", "v1", "v2beta3", "v1beta2", "v1alpha1", "bar", "foo", "v1beta"]);
    }

    #[test]
    fn groups_and_versions_come_in_upstreams_order() {
        let groups = builtin().groups();
        assert_eq!(groups[0].0, "");
        assert_eq!(groups[1].0, "apiregistration.k8s.io");
        let of = |name: &str| groups.iter().find(|g| g.0 == name).unwrap().1.clone();
        assert_eq!(of("autoscaling"), ["v2", "v1", "v2beta2", "v2beta1"]);
        assert_eq!(of("apps"), ["v1", "v1beta2", "v1beta1"]);
    }

    #[test]
    fn every_group_version_of_2018_is_served() {
        for gv in [
            "v1",
            "apps/v1",
            "apps/v1beta1",
            "apps/v1beta2",
            "authentication.k8s.io/v1beta1",
            "authorization.k8s.io/v1beta1",
            "autoscaling/v1",
            "autoscaling/v2beta1",
            "batch/v1",
            "batch/v1beta1",
            "admissionregistration.k8s.io/v1beta1",
            "apiextensions.k8s.io/v1beta1",
            "certificates.k8s.io/v1beta1",
            "events.k8s.io/v1beta1",
            "extensions/v1beta1",
            "networking.k8s.io/v1",
            "policy/v1beta1",
            "rbac.authorization.k8s.io/v1",
            "rbac.authorization.k8s.io/v1beta1",
            "storage.k8s.io/v1",
            "storage.k8s.io/v1beta1",
            "batch/v2alpha1",
            "rbac.authorization.k8s.io/v1alpha1",
            "scheduling.k8s.io/v1alpha1",
            "storage.k8s.io/v1alpha1",
        ] {
            let (group, version) = split_api_version(gv);
            assert!(!builtin().in_version(group, version).is_empty(), "{gv}");
        }
    }

    #[test]
    fn a_version_belongs_to_its_last_servers() {
        let era = |g, v, p| builtin().lookup(g, v, p).unwrap().era();
        assert_eq!(era("apps", "v1", "deployments"), Era::Now);
        assert_eq!(era("apps", "v1beta2", "deployments"), Era::Early);
        assert_eq!(era("extensions", "v1beta1", "ingresses"), Era::Betas);
        assert_eq!(era("node.k8s.io", "v1alpha1", "runtimeclasses"), Era::Betas);
    }

    #[test]
    fn old_versions_warn() {
        let r = builtin().lookup("policy", "v1beta1", "poddisruptionbudgets").unwrap();
        assert_eq!(
            r.warning().unwrap(),
            "policy/v1beta1 PodDisruptionBudget is deprecated in v1.21+, unavailable in v1.25+; use policy/v1 PodDisruptionBudget"
        );
        assert_eq!(builtin().lookup("", "v1", "pods").unwrap().warning(), None);
    }
}
