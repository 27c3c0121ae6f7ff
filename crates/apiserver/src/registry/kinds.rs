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

/// Which versions `--runtime-config` turns on and off.
struct RuntimeConfig(Vec<(String, bool)>);

impl RuntimeConfig {
    fn parse(entries: &[String]) -> Result<RuntimeConfig, String> {
        let parsed = entries.iter().filter(|e| !e.is_empty()).map(|entry| {
            let (name, value) = entry.split_once('=').unwrap_or((entry, "true"));
            match value {
                "" | "true" => Ok((name.to_owned(), true)),
                "false" => Ok((name.to_owned(), false)),
                other => Err(format!("invalid value of {name}={other}: must be true or false")),
            }
        });
        parsed.collect::<Result<_, _>>().map(RuntimeConfig)
    }

    fn serves(&self, group: &str, version: &str) -> bool {
        let said = |name: &str| self.0.iter().rev().find(|(n, _)| n == name).map(|(_, on)| *on);
        let own = super::resource::group_version(group, version);
        let stage = match api::kinds::version_rank(version).0 {
            3 => "api/ga",
            2 => "api/beta",
            _ => "api/alpha",
        };
        let core = if group.is_empty() { said("api/v1") } else { None };
        said(&own).or(core).or_else(|| said(stage)).or_else(|| said("api/all")).unwrap_or(true)
    }
}

/// All resources of the kind table that `--runtime-config` leaves on; an error says what is wrong with the flag.
pub fn registry(runtime_config: &[String]) -> Result<Registry, String> {
    let config = RuntimeConfig::parse(runtime_config)?;
    let kinds = api::kinds::builtin();
    let mut resources = Vec::new();
    for (group, versions) in kinds.groups() {
        for version in versions.iter().filter(|v| config.serves(group, v)) {
            resources.extend(kinds.in_version(group, version).iter().map(|r| resource(r, false)));
        }
    }
    let groups = kinds
        .groups()
        .iter()
        .map(|(g, versions)| {
            let on = versions.iter().filter(|v| config.serves(g, v)).map(ToString::to_string);
            (g.to_string(), on.collect::<Vec<_>>())
        })
        .filter(|(_, versions)| !versions.is_empty())
        .collect();
    Ok(Registry::new(resources, groups))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_turned_off_and_on_again() {
        let off = registry(&["api/beta=false".into(), "extensions/v1beta1=true".into()]).unwrap();
        assert!(off.has_version("extensions", "v1beta1") && off.has_version("apps", "v1"));
        assert!(!off.has_version("apps", "v1beta1"));
        assert!(registry(&["apps/v1=maybe".into()]).is_err());
    }
}
