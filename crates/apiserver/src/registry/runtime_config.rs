//! `--runtime-config` and `--emulated-version`: which resources of the kind table are served
//! (`apiserver/pkg/server/resourceconfig`, `component-base/compatibility`).

use std::collections::BTreeMap;

use api::kinds::{Kinds, Resource, version_rank};
use component_base::version::{MAJOR, MINOR};

/// What `--runtime-config` says. The narrowest entry counts: resource, version, stability, `api/all`.
#[derive(Debug, Default)]
pub(crate) struct RuntimeConfig {
    /// `api/all`, `api/ga`, `api/beta`, `api/alpha`.
    stages: BTreeMap<String, bool>,
    /// By group and version.
    versions: BTreeMap<(String, String), bool>,
    /// By group, version and plural name.
    resources: BTreeMap<(String, String, String), bool>,
}

const ALL: &str = "api/all";

/// The key of all versions that are as stable as this one.
fn stage(version: &str) -> &'static str {
    match version_rank(version).0 {
        3 => "api/ga",
        2 => "api/beta",
        _ => "api/alpha",
    }
}

/// Go's `strconv.ParseBool`; nothing at all means yes.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

impl RuntimeConfig {
    /// Reads the flag; an error says what is wrong with it.
    pub(crate) fn parse(entries: &[String], kinds: &Kinds) -> Result<RuntimeConfig, String> {
        let mut config = RuntimeConfig::default();
        let mut unknown = Vec::new();
        for entry in entries.iter().filter(|e| !e.is_empty()) {
            let (key, value) = entry.split_once('=').unwrap_or((entry, ""));
            let on = parse_bool(value)
                .ok_or_else(|| format!("invalid value of {key}: {value}, err: must be true or false"))?;
            let words: Vec<&str> = key.split('/').collect();
            let (group, version, resource) = match words.as_slice() {
                ["api", "all" | "ga" | "beta" | "alpha"] => {
                    config.stages.insert(key.to_owned(), on);
                    continue;
                }
                // The core group's names through the ages.
                ["v1"] | ["api", "v1" | "legacy"] => ("", "v1", None),
                ["api", "v1", resource] => ("", "v1", Some(*resource)),
                [group, version] => (*group, *version, None),
                [group, version, resource] => (*group, *version, Some(*resource)),
                _ => return Err(format!("runtime-config invalid key {key}")),
            };
            let Some((_, versions)) = kinds.groups().iter().find(|(g, _)| g == group) else {
                unknown.push(format!("{group}/{version}"));
                continue;
            };
            if !versions.iter().any(|v| v == version) {
                return Err(format!("group version {group}/{version} that has not been registered"));
            }
            let (group, version) = (group.to_owned(), version.to_owned());
            match resource {
                None => {
                    config.versions.insert((group, version), on);
                }
                Some(plural) if plural.to_lowercase() == plural => {
                    config.resources.insert((group, version, plural.to_owned()), on);
                }
                Some(plural) => {
                    return Err(format!(
                        "invalid key {key}: group/version/resource and resource is always lowercase plural, not {}",
                        api::field::go_quote(plural)
                    ));
                }
            }
        }
        if !unknown.is_empty() {
            unknown.sort();
            return Err(format!("unknown api groups {}", unknown.join(",")));
        }
        let nothing_else =
            config.stages.len() == 1 && config.versions.is_empty() && config.resources.is_empty();
        if config.stages.get(ALL) == Some(&false) && nothing_else {
            return Err(format!("invalid runtime-config with only {ALL}=false"));
        }
        Ok(config)
    }

    /// Whether a resource is on.
    pub(crate) fn serves(&self, resource: &Resource) -> bool {
        let version = (resource.group.to_string(), resource.version.to_string());
        let (group, name) = version.clone();
        let of_resource = self.resources.get(&(group, name, resource.kind.plural.to_string()));
        let said = of_resource
            .or_else(|| self.versions.get(&version))
            .or_else(|| self.stages.get(stage(&resource.version)))
            .or_else(|| self.stages.get(ALL));
        said.copied().unwrap_or(true)
    }
}

/// The release that the server behaves as: what that one had removed is not served, nor what it served only when told to
/// (alpha versions). Without the flag everything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Emulated {
    /// The major version.
    pub(crate) major: u16,
    /// The minor version.
    pub(crate) minor: u16,
}

impl Emulated {
    /// The release that this server is.
    pub(crate) fn own() -> Emulated {
        Emulated { major: MAJOR.parse().unwrap_or_default(), minor: MINOR.parse().unwrap_or_default() }
    }

    /// Reads `1.36` or `kube=1.36`; an error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Emulated, String> {
        let version = text.strip_prefix("kube=").unwrap_or(text);
        let numbers = version.trim_start_matches('v').split_once('.');
        let parsed = numbers.and_then(|(major, minor)| {
            Some(Emulated { major: major.parse().ok()?, minor: minor.parse().ok()? })
        });
        let own = Emulated::own();
        parsed
            .filter(|e| (e.major, e.minor) <= (own.major, own.minor))
            .ok_or_else(|| format!("emulation version {version} is not a version up to {MAJOR}.{MINOR}"))
    }

    /// Whether the release served this resource without being told to. Those that came after it are not known.
    pub(crate) fn serves(self, resource: &Resource) -> bool {
        let removed = resource.deprecation.as_ref().and_then(|d| d.removed);
        let there = removed.is_none_or(|release| release > (self.major, self.minor));
        there && stage(&resource.version) != "api/alpha"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flag: &str) -> Result<RuntimeConfig, String> {
        let entries: Vec<String> = flag.split(',').map(str::to_owned).collect();
        RuntimeConfig::parse(&entries, api::kinds::builtin())
    }

    fn serves(config: &RuntimeConfig, group: &str, version: &str, plural: &str) -> bool {
        config.serves(api::kinds::builtin().lookup(group, version, plural).unwrap())
    }

    #[test]
    fn the_narrowest_entry_counts_whatever_the_order() {
        let config =
            parse("apps/v1beta1/deployments=true,apps/v1beta1=false,api/beta=true,api/all=false,v1=true")
                .unwrap();
        assert!(serves(&config, "apps", "v1beta1", "deployments"));
        assert!(!serves(&config, "apps", "v1beta1", "statefulsets"));
        assert!(serves(&config, "extensions", "v1beta1", "deployments"));
        assert!(!serves(&config, "apps", "v1", "deployments"));
        assert!(serves(&config, "", "v1", "pods"));
    }

    #[test]
    fn a_hub_version_and_single_resources_are_turned_off() {
        let config = parse("apps/v1=false,extensions/v1beta1/ingresses=false,api/legacy=0").unwrap();
        assert!(!serves(&config, "apps", "v1", "deployments"));
        assert!(serves(&config, "apps", "v1beta2", "deployments"));
        assert!(!serves(&config, "extensions", "v1beta1", "ingresses"));
        assert!(serves(&config, "extensions", "v1beta1", "deployments"));
        assert!(!serves(&config, "", "v1", "pods"));
    }

    #[test]
    fn mistakes_are_named_in_upstreams_words() {
        let text = |flag: &str| parse(flag).unwrap_err();
        assert_eq!(text("nope/v1=true,a/b/c"), "unknown api groups a/b,nope/v1");
        assert_eq!(text("apps/v9"), "group version apps/v9 that has not been registered");
        assert_eq!(text("api/all=false"), "invalid runtime-config with only api/all=false");
        assert_eq!(text("apps/v1/x/y"), "runtime-config invalid key apps/v1/x/y");
        assert!(text("apps/v1/Deployments").contains("always lowercase plural"));
        assert!(text("apps/v1=maybe").starts_with("invalid value of apps/v1: maybe"));
    }

    #[test]
    fn an_emulated_release_serves_what_it_had_not_removed() {
        let newest = Emulated::parse("kube=1.36").unwrap();
        let kinds = api::kinds::builtin();
        let served = |e: Emulated, group: &str, version: &str, plural: &str| {
            e.serves(kinds.lookup(group, version, plural).unwrap())
        };
        assert!(served(newest, "apps", "v1", "deployments"));
        assert!(!served(newest, "extensions", "v1beta1", "deployments"));
        assert!(!served(newest, "rbac.authorization.k8s.io", "v1alpha1", "roles"));
        assert!(served(Emulated::parse("1.19").unwrap(), "extensions", "v1beta1", "ingresses"));
        assert!(Emulated::parse("1.99").is_err() && Emulated::parse("soon").is_err());
    }
}
