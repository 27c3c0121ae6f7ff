//! Which resources the server has, and which one a word means.

use std::rc::Rc;

use serde_json::Value;

use crate::error::Result;
use crate::http::Http;
use crate::value::Json;

/// Asks for all groups in one answer; old servers ignore it.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// The group versions that v1.10 chose for a bare word, where today's preferred one is another.
/// They decide what `get -o yaml` shows and how names print (`deployment.extensions "nginx" deleted`).
const V1_10: &[(&str, &str, &str)] = &[
    ("daemonsets", "extensions", "v1beta1"),
    ("deployments", "extensions", "v1beta1"),
    ("ingresses", "extensions", "v1beta1"),
    ("networkpolicies", "extensions", "v1beta1"),
    ("podsecuritypolicies", "extensions", "v1beta1"),
    ("replicasets", "extensions", "v1beta1"),
    ("events", "", "v1"),
    ("cronjobs", "batch", "v1beta1"),
    ("poddisruptionbudgets", "policy", "v1beta1"),
    ("horizontalpodautoscalers", "autoscaling", "v1"),
    ("customresourcedefinitions", "apiextensions.k8s.io", "v1beta1"),
    ("certificatesigningrequests", "certificates.k8s.io", "v1beta1"),
    ("mutatingwebhookconfigurations", "admissionregistration.k8s.io", "v1beta1"),
    ("validatingwebhookconfigurations", "admissionregistration.k8s.io", "v1beta1"),
];

/// What `all` stands for in v1.10 (upstream: `legacyUserResources`), in its order.
pub(crate) const ALL: &[(&str, &str)] = &[
    ("pods", ""),
    ("replicationcontrollers", ""),
    ("services", ""),
    ("daemonsets", "apps"),
    ("deployments", "apps"),
    ("replicasets", "apps"),
    ("statefulsets", "apps"),
    ("horizontalpodautoscalers", "autoscaling"),
    ("jobs", "batch"),
    ("cronjobs", "batch"),
];

/// One resource in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// The API group; "" is the core group.
    pub(crate) group: String,
    /// The version.
    pub(crate) version: String,
    /// The kind of its objects.
    pub(crate) kind: String,
    /// The name in paths.
    pub(crate) plural: String,
    /// The singular name.
    pub(crate) singular: String,
    /// Short names.
    pub(crate) short: Vec<String>,
    /// Do its objects live in namespaces?
    pub(crate) namespaced: bool,
    /// What can be done with it.
    pub(crate) verbs: Vec<String>,
    /// Groups of resources that it belongs to.
    pub(crate) categories: Vec<String>,
}

impl Resource {
    /// `apps/v1`, `v1`.
    pub(crate) fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            g => format!("{g}/{}", self.version),
        }
    }

    /// The path of the group version.
    fn root(&self) -> String {
        match self.group.as_str() {
            "" => format!("/api/{}", self.version),
            g => format!("/apis/{g}/{}", self.version),
        }
    }

    /// The path of the collection in a namespace, or everywhere when that is "".
    pub(crate) fn collection(&self, namespace: &str) -> String {
        if self.namespaced && !namespace.is_empty() {
            format!("{}/namespaces/{namespace}/{}", self.root(), self.plural)
        } else {
            format!("{}/{}", self.root(), self.plural)
        }
    }

    /// The path of one object.
    pub(crate) fn path(&self, namespace: &str, name: &str) -> String {
        format!("{}/{name}", self.collection(namespace))
    }

    /// `pod`, `deployment.extensions`: how v1.10 names what it did something to.
    pub(crate) fn typed(&self) -> String {
        self.in_group(&self.group)
    }

    /// The same for commands that work on v1.10's internal types: their group is the kind's home.
    pub(crate) fn typed_internal(&self) -> String {
        match (self.group.as_str(), self.plural.as_str()) {
            ("extensions", "deployments" | "daemonsets" | "replicasets") => self.in_group("apps"),
            ("extensions", "networkpolicies") => self.in_group("networking.k8s.io"),
            _ => self.typed(),
        }
    }

    fn in_group(&self, group: &str) -> String {
        match group {
            "" => self.singular.clone(),
            g => format!("{}.{g}", self.singular),
        }
    }

    /// `deployments.extensions`: the plural with its group.
    pub(crate) fn qualified(&self) -> String {
        match self.group.as_str() {
            "" => self.plural.clone(),
            g => format!("{}.{g}", self.plural),
        }
    }

    fn answers_to(&self, word: &str) -> bool {
        self.plural == word || self.singular == word || self.kind.eq_ignore_ascii_case(word)
    }
}

/// The server's resources, groups in the server's order, the preferred version first.
#[derive(Debug, Default)]
pub(crate) struct Mapper {
    /// All of them.
    pub(crate) resources: Vec<Rc<Resource>>,
}

impl Mapper {
    /// Asks the server.
    pub(crate) fn discover(http: &Http) -> Result<Self> {
        let mut mapper = Mapper::default();
        let core = http.get_as("/api", AGGREGATED)?;
        if core.s("kind") == "APIGroupDiscoveryList" {
            mapper.add_aggregated(&core);
        } else {
            for v in core.list("versions").iter().filter_map(Value::as_str) {
                mapper.add_list("", v, &http.get(&format!("/api/{v}"))?);
            }
        }
        let groups = http.get_as("/apis", AGGREGATED)?;
        if groups.s("kind") == "APIGroupDiscoveryList" {
            mapper.add_aggregated(&groups);
            return Ok(mapper);
        }
        for g in groups.list("groups") {
            let preferred = g.s("preferredVersion.version");
            let mut versions: Vec<&str> = g.list("versions").iter().map(|v| v.s("version")).collect();
            versions.sort_by_key(|v| *v != preferred);
            for v in versions {
                // A group whose server is away does not stop the others.
                if let Ok(list) = http.get(&format!("/apis/{}/{v}", g.s("name"))) {
                    mapper.add_list(g.s("name"), v, &list);
                }
            }
        }
        Ok(mapper)
    }

    fn add_aggregated(&mut self, list: &Value) {
        for g in list.list("items") {
            for v in g.list("versions") {
                for r in v.list("resources") {
                    self.add(Resource {
                        group: g.s("metadata.name").into(),
                        version: v.s("version").into(),
                        kind: r.s("responseKind.kind").into(),
                        plural: r.s("resource").into(),
                        singular: r.s("singularResource").into(),
                        short: strings(r, "shortNames"),
                        namespaced: r.s("scope") == "Namespaced",
                        verbs: strings(r, "verbs"),
                        categories: strings(r, "categories"),
                    });
                }
            }
        }
    }

    fn add_list(&mut self, group: &str, version: &str, list: &Value) {
        for r in list.list("resources").iter().filter(|r| !r.s("name").contains('/')) {
            self.add(Resource {
                group: group.into(),
                version: version.into(),
                kind: r.s("kind").into(),
                plural: r.s("name").into(),
                singular: r.s("singularName").into(),
                short: strings(r, "shortNames"),
                namespaced: r.b("namespaced"),
                verbs: strings(r, "verbs"),
                categories: strings(r, "categories"),
            });
        }
    }

    fn add(&mut self, mut r: Resource) {
        if r.singular.is_empty() {
            r.singular = r.kind.to_lowercase();
        }
        self.resources.push(Rc::new(r));
    }

    /// The resource that a word on the command line means: `po`, `deployments.apps`, `jobs.v1.batch`.
    pub(crate) fn resolve(&self, word: &str) -> Result<Rc<Resource>> {
        let lower = word.to_lowercase();
        if let Some((name, rest)) = lower.split_once('.') {
            if let Some((version, group)) = rest.split_once('.')
                && let Some(r) = self.named(name).find(|r| r.version == version && r.group == group)
            {
                return Ok(r.clone());
            }
            let found = self.named(name).find(|r| r.group == rest).or_else(|| {
                // `pods.v1.`: the core group has no name.
                rest.strip_suffix('.')
                    .and_then(|v| self.named(name).find(|r| r.group.is_empty() && r.version == v))
            });
            if let Some(r) = found {
                return Ok(r.clone());
            }
            return Err(unknown(name));
        }
        let candidates: Vec<&Rc<Resource>> = self.named(&lower).collect();
        let old = candidates
            .iter()
            .find(|r| V1_10.iter().any(|(p, g, v)| r.plural == *p && r.group == *g && r.version == *v));
        match old.or(candidates.first()) {
            Some(r) => Ok((*r).clone()),
            None => Err(unknown(&lower)),
        }
    }

    /// All resources that answer to a name; short names come last.
    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Rc<Resource>> + 'a {
        let full = self.resources.iter().filter(move |r| r.answers_to(name));
        let short =
            self.resources.iter().filter(move |r| !r.answers_to(name) && r.short.iter().any(|s| s == name));
        full.chain(short)
    }

    /// The resource of an object, by its `apiVersion` and `kind`.
    pub(crate) fn of_kind(&self, api_version: &str, kind: &str) -> Result<Rc<Resource>> {
        let (group, version) = split_api_version(api_version);
        self.resources
            .iter()
            .find(|r| r.group == group && r.version == version && r.kind == kind)
            .cloned()
            .ok_or_else(|| {
                let version = if api_version.is_empty() { "" } else { api_version };
                format!("no matches for kind \"{kind}\" in version \"{version}\"").into()
            })
    }

    /// A resource by plural and group, in v1.10's version of it or the preferred one.
    pub(crate) fn in_group(&self, plural: &str, group: &str) -> Option<Rc<Resource>> {
        let of: Vec<&Rc<Resource>> =
            self.resources.iter().filter(|r| r.plural == plural && r.group == group).collect();
        let old = of
            .iter()
            .find(|r| V1_10.iter().any(|(p, g, v)| r.plural == *p && r.group == *g && r.version == *v));
        old.or(of.first()).map(|r| (*r).clone())
    }
}

/// `apps/v1` → ("apps", "v1"); `v1` → ("", "v1").
pub(crate) fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// Is the group one of Kubernetes' own (and not a custom resource's)?
pub(crate) fn is_built_in(group: &str) -> bool {
    const OTHERS: &[&str] = &["snapshot.storage.k8s.io", "metrics.k8s.io", "gateway.networking.k8s.io"];
    !group.contains('.')
        || (group.ends_with(".k8s.io") && !OTHERS.contains(&group) && !group.contains(".x-k8s"))
}

fn strings(v: &Value, path: &str) -> Vec<String> {
    v.list(path).iter().filter_map(Value::as_str).map(str::to_string).collect()
}

fn unknown(word: &str) -> crate::error::Error {
    format!("the server doesn't have a resource type \"{word}\"").into()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A mapper with a few resources for tests.
    pub(crate) fn mapper() -> Mapper {
        let mut m = Mapper::default();
        for (group, version, kind, plural, short) in [
            ("", "v1", "Pod", "pods", "po"),
            ("", "v1", "Service", "services", "svc"),
            ("apps", "v1", "Deployment", "deployments", "deploy"),
            ("extensions", "v1beta1", "Deployment", "deployments", "deploy"),
            ("batch", "v1", "Job", "jobs", ""),
        ] {
            m.add(Resource {
                group: group.into(),
                version: version.into(),
                kind: kind.into(),
                plural: plural.into(),
                singular: String::new(),
                short: vec![short.into()],
                namespaced: true,
                verbs: Vec::new(),
                categories: Vec::new(),
            });
        }
        m
    }

    #[test]
    fn words_mean_what_they_meant_in_v1_10() {
        let m = mapper();
        assert_eq!(m.resolve("deploy").unwrap().typed(), "deployment.extensions");
        assert_eq!(m.resolve("deploy").unwrap().typed_internal(), "deployment.apps");
        assert_eq!(m.resolve("Deployments.apps").unwrap().api_version(), "apps/v1");
        assert_eq!(m.resolve("deployments.v1beta1.extensions").unwrap().api_version(), "extensions/v1beta1");
        assert_eq!(m.resolve("po").unwrap().path("default", "x"), "/api/v1/namespaces/default/pods/x");
        assert_eq!(
            m.resolve("frobs").unwrap_err().text(),
            "error: the server doesn't have a resource type \"frobs\""
        );
    }
}
