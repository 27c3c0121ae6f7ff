//! The resources that are served: one entry for each resource of each served version.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use api::kinds::{Era, Kinds};
use api::status::{ApiError, GroupName};
use parking_lot::RwLock;

/// A resource in one served version.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The group that is asked; empty for the core group.
    pub group: String,
    /// The version that is asked.
    pub version: String,
    /// `pods`.
    pub plural: String,
    /// `pod`.
    pub singular: String,
    /// `Pod`.
    pub kind: String,
    /// `PodList`.
    pub list_kind: String,
    /// `po`.
    pub short_names: Vec<String>,
    /// `all`.
    pub categories: Vec<String>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// What may be done.
    pub verbs: Vec<String>,
    /// The group of the version that objects are stored in.
    pub hub_group: String,
    /// The version that objects are stored in.
    pub hub_version: String,
    /// The key below the store's prefix, without slashes at its ends; empty for what is never stored.
    pub key_prefix: String,
    /// Subresources by name.
    pub subresources: Vec<Subresource>,
    /// Discovery's `storageVersionHash`.
    pub storage_version_hash: String,
    /// What clients of this version are told in a `Warning` header.
    pub warning: Option<String>,
    /// Whether a custom resource definition made it.
    pub custom: bool,
    /// The definition behind it.
    pub definition: Option<Arc<crate::crd::Custom>>,
    /// The row of the kind table.
    pub api: api::kinds::Resource,
}

/// A subresource.
#[derive(Clone, Debug)]
pub struct Subresource {
    /// `status`.
    pub name: String,
    /// Whether its kind belongs to another group version, which discovery names then.
    pub foreign: bool,
    /// The group of its kind.
    pub group: String,
    /// The version of its kind.
    pub version: String,
    /// Its kind.
    pub kind: String,
    /// What may be done.
    pub verbs: Vec<String>,
    /// The type of its kind.
    pub ty: Option<api::schema::StructId>,
}

/// `v1`, `apps/v1`.
pub fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

impl Resource {
    /// `apps/v1`: the version that is asked.
    pub fn group_version(&self) -> String {
        group_version(&self.group, &self.version)
    }

    /// The key of an object in the kind's part of the watch cache.
    pub fn cache_key(&self, namespace: &str, name: &str) -> String {
        if self.namespaced { format!("{namespace}/{name}") } else { name.to_owned() }
    }

    /// The version that objects are stored in.
    pub fn hub_group_version(&self) -> String {
        group_version(&self.hub_group, &self.hub_version)
    }

    /// Whether the version asked is the one stored.
    pub fn is_hub(&self) -> bool {
        self.group == self.hub_group && self.version == self.hub_version
    }

    /// `deployments.apps`, for messages.
    pub fn group_resource(&self) -> GroupName<'_> {
        GroupName { group: &self.group, name: &self.plural }
    }

    /// Whose servers' clients ask for it. Versions of custom resources have names only.
    pub fn era(&self) -> Era {
        if self.custom { Era::Now } else { self.api.era() }
    }

    /// `Deployment.apps`, for messages.
    pub fn group_kind(&self) -> GroupName<'_> {
        GroupName { group: &self.group, name: &self.kind }
    }

    /// Whether a verb is served.
    pub fn allows(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb)
    }

    /// A subresource by name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }

    /// Whether the resource, or this subresource of it, can be shown as a table: what upstream's storage of it is a
    /// `rest.TableConvertor`. What can only be created is not, nor are most subresources.
    pub fn has_tables(&self, subresource: &str) -> bool {
        match subresource {
            "" => self.allows("list"),
            "scale" => true,
            "status" => !NO_STATUS_TABLES.iter().any(|(group, plural)| self.is(group, plural)),
            _ => false,
        }
    }

    /// Whether this is the resource of that group and name, whatever the version.
    pub fn is(&self, group: &str, plural: &str) -> bool {
        self.hub_group == group && self.plural == plural
    }
}

/// Resources whose status has no table.
const NO_STATUS_TABLES: [(&str, &str); 4] = [
    ("resource.k8s.io", "devicetaintrules"),
    ("resource.k8s.io", "resourceclaims"),
    ("resource.k8s.io", "resourcepoolstatusrequests"),
    ("scheduling.k8s.io", "podgroups"),
];

type Table = BTreeMap<(String, String, String), Arc<Resource>>;

/// All resources that are served now: those in the binary, and those of custom resource definitions.
#[derive(Default)]
pub struct Registry {
    builtin: Table,
    /// The version that each kind of the binary is stored in, served or not.
    hubs: Vec<Arc<Resource>>,
    /// The same by name: requests ask for these often.
    by_name: HashMap<String, Vec<Arc<Resource>>>,
    custom: RwLock<Arc<Table>>,
    groups: Vec<(String, Vec<String>)>,
    kinds: Kinds,
}

fn key(r: &Resource) -> (String, String, String) {
    (r.group.clone(), r.version.clone(), r.plural.clone())
}

impl Registry {
    /// A registry of these resources, which are those of `kinds`; `hubs` are the versions that objects are stored in.
    pub fn new(
        served: impl IntoIterator<Item = Resource>,
        hubs: impl IntoIterator<Item = Resource>,
        kinds: Kinds,
    ) -> Registry {
        let builtin: Table = served.into_iter().map(|r| (key(&r), Arc::new(r))).collect();
        let hubs =
            hubs.into_iter().map(|hub| builtin.get(&key(&hub)).cloned().unwrap_or_else(|| Arc::new(hub)));
        let hubs: Vec<Arc<Resource>> = hubs.collect();
        let mut by_name: HashMap<String, Vec<Arc<Resource>>> = HashMap::new();
        for hub in &hubs {
            by_name.entry(hub.plural.clone()).or_default().push(hub.clone());
        }
        let groups = kinds
            .groups()
            .iter()
            .map(|(group, versions)| (group.to_string(), versions.iter().map(ToString::to_string).collect()))
            .collect();
        Registry { builtin, hubs, by_name, custom: RwLock::default(), groups, kinds }
    }

    /// The kinds of the binary, in the versions that are served.
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// The stored versions of all kinds of the binary.
    pub fn hubs(&self) -> &[Arc<Resource>] {
        &self.hubs
    }

    /// The groups of the binary in order of preference, with their versions; the core group is the empty one.
    pub fn groups(&self) -> &[(String, Vec<String>)] {
        &self.groups
    }

    /// A resource by what a path says.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        let key = (group.to_owned(), version.to_owned(), plural.to_owned());
        self.builtin.get(&key).cloned().or_else(|| self.custom.read().get(&key).cloned())
    }

    /// The stored version of a resource in the binary.
    pub fn builtin(&self, group: &str, plural: &str) -> Result<Arc<Resource>, ApiError> {
        let found = self.by_name.get(plural).and_then(|all| all.iter().find(|r| r.group == group)).cloned();
        found.ok_or_else(|| ApiError::internal(format!("no resource {plural}.{group}")))
    }

    /// Whether a group version is served.
    pub fn has_version(&self, group: &str, version: &str) -> bool {
        let of = |r: &Arc<Resource>| r.group == group && r.version == version;
        self.builtin.values().any(of) || self.custom.read().values().any(of)
    }

    /// Whether a group is served.
    pub fn has_group(&self, group: &str) -> bool {
        let of = |r: &Arc<Resource>| r.group == group;
        self.builtin.values().any(of) || self.custom.read().values().any(of)
    }

    /// All resources, sorted by group, version and name.
    pub fn all(&self) -> Vec<Arc<Resource>> {
        let mut all: Vec<_> = self.builtin.values().cloned().collect();
        all.extend(self.custom.read().values().cloned());
        all
    }

    /// Puts the resources of custom resource definitions in place of those before.
    pub fn set_custom(&self, resources: impl IntoIterator<Item = Resource>) {
        *self.custom.write() = Arc::new(resources.into_iter().map(|r| (key(&r), Arc::new(r))).collect());
    }
}
