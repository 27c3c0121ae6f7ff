//! The kinds in the binary, as resources.

use super::resource::{Registry, Resource, Subresource};
use super::runtime_config::{Emulated, RuntimeConfig};
use crate::options::Options;

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

/// What has no verbs of its own (`extensions/v1beta1` has of `replicationcontrollers` only `/scale`) shows the objects of
/// the core group.
fn part_of(part: &Resource, whole: &Resource) -> Resource {
    Resource {
        group: part.group.clone(),
        version: part.version.clone(),
        kind: part.kind.clone(),
        verbs: Vec::new(),
        short_names: part.short_names.clone(),
        categories: part.categories.clone(),
        storage_version_hash: part.storage_version_hash.clone(),
        subresources: part.subresources.clone(),
        ..whole.clone()
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

/// The resources of the kind table that the flags leave on; an error names the flag and says what is wrong with it.
pub fn registry(options: &Options) -> Result<Registry, (&'static str, String)> {
    let all = api::kinds::builtin();
    let config = RuntimeConfig::parse(&options.runtime_config, all).map_err(|why| ("runtime-config", why))?;
    let emulated = emulated(options).map_err(|why| ("emulated-version", why))?;
    let served = all.only(|r| config.serves(r) && emulated.is_none_or(|e| e.serves(r)));
    let mut resources: Vec<Resource> = served.resources().map(|r| resource(r, false)).collect();
    let core: Vec<Resource> = all.in_version("", "v1").iter().map(|r| resource(r, false)).collect();
    for part in resources.iter_mut().filter(|r| r.verbs.is_empty()) {
        if let Some(whole) = core.iter().find(|r| r.plural == part.plural) {
            *part = part_of(part, whole);
        }
    }
    let hubs = all.iter().map(|kind| resource(&api::kinds::Resource { kind: kind.clone(), index: 0 }, false));
    Ok(Registry::new(resources, hubs, served))
}

/// The release of `--emulated-version`.
pub(crate) fn emulated(options: &Options) -> Result<Option<Emulated>, String> {
    options.emulated_version.as_deref().map(Emulated::parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_turned_off_and_on_again() {
        let config = ["api/beta=false", "extensions/v1beta1=true"].map(str::to_owned).to_vec();
        let off = registry(&Options { runtime_config: config, ..Options::default() }).unwrap();
        assert!(off.has_version("extensions", "v1beta1") && off.has_version("apps", "v1"));
        assert!(!off.has_version("apps", "v1beta1"));
    }

    /// The hub of a kind is where its objects are stored, served or not.
    #[test]
    fn a_hub_version_that_is_off_still_stores() {
        let config = vec!["apps/v1=false".to_owned()];
        let off = registry(&Options { runtime_config: config, ..Options::default() }).unwrap();
        assert!(!off.has_version("apps", "v1") && off.find("apps", "v1", "deployments").is_none());
        assert!(off.find("apps", "v1beta2", "deployments").is_some());
        assert!(off.builtin("apps", "deployments").unwrap().is_hub());
        let apps = off.groups().iter().find(|(group, _)| group == "apps").unwrap();
        assert_eq!(apps.1, ["v1beta2", "v1beta1"]);
    }
}
