//! The kinds in the binary, as resources.

use super::resource::{Registry, Resource, Subresource};

fn owned(names: &[api::schema::Name]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// What is still served upstream warns as upstream does today. What is gone warns as 1.19 did, the first server with
/// warnings and the last that had most of these versions.
fn warned(of: &api::kinds::Resource) -> bool {
    const FIRST: (u16, u16) = (1, 19);
    const NEWEST: (u16, u16) = (1, 36);
    of.deprecation.as_ref().is_some_and(|d| match d.removed {
        Some(removed) if removed <= NEWEST => d.deprecated <= FIRST && removed > FIRST,
        _ => true,
    })
}

/// A kind as seen through one of its versions.
pub fn resource(of: &api::kinds::Resource, custom: bool) -> Resource {
    let (kind, hub) = (&of.kind, of.hub());
    let subresources = of.subresources.iter().map(|s| {
        let (group, version) = match &s.group_version {
            Some((group, version)) => (group.to_string(), version.to_string()),
            None => (of.group.to_string(), of.version.to_string()),
        };
        Subresource {
            name: s.name.to_string(),
            foreign: s.group_version.is_some(),
            group,
            version,
            kind: s.kind.to_string(),
            verbs: owned(&s.verbs),
            ty: s.ty,
        }
    });
    Resource {
        group: of.group.to_string(),
        version: of.version.to_string(),
        plural: kind.plural.to_string(),
        singular: kind.singular.to_string(),
        kind: of.as_ref_kind().to_owned(),
        list_kind: kind.list_kind.to_string(),
        short_names: owned(&kind.short_names),
        categories: owned(&kind.categories),
        namespaced: kind.namespaced,
        verbs: owned(&of.verbs),
        hub_group: hub.group.to_string(),
        hub_version: hub.version.to_string(),
        key_prefix: kind.etcd_prefix.as_ref().map(ToString::to_string).unwrap_or_default(),
        storage_version_hash: kind.storage_version_hash.to_string(),
        warning: of.warning().filter(|_| warned(of)),
        subresources: subresources.collect(),
        custom,
        definition: None,
        api: of.clone(),
    }
}

trait KindName {
    fn as_ref_kind(&self) -> &str;
}

impl KindName for api::kinds::Resource {
    /// The kind's name in this version: `Resource::kind` is the whole kind.
    fn as_ref_kind(&self) -> &str {
        let served: &api::kinds::Served = self;
        &served.kind
    }
}

/// All resources of the kind table.
pub fn registry() -> Registry {
    let kinds = api::kinds::builtin();
    let mut resources = Vec::new();
    for (group, versions) in kinds.groups() {
        for version in versions {
            resources.extend(kinds.in_version(group, version).iter().map(|r| resource(r, false)));
        }
    }
    let groups = kinds.groups().iter().map(|(g, versions)| (g.to_string(), owned(versions))).collect();
    Registry::new(resources, groups)
}
