//! ResourceQuota: what an object uses, which quotas it falls under, and whether they have room for it
//! (`apiserver/pkg/admission/plugin/resourcequota` and `pkg/quota/v1/evaluator/core`).
//!
//! [`charge`] is a pure step: quotas in, quotas with the object charged out. The API server writes those back with a
//! precondition and starts again on a conflict, which makes the plug-in free of races.

use std::collections::{BTreeMap, BTreeSet};

use api::Value;
use api::quantity::{Format, Quantity};
use api::selector::{LabelSelector, Operator, Requirement};

use crate::resources::{self, ResourceList};
use crate::{Refusal, at, items, text};

/// The object that is to be charged.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The group that owns its kind.
    pub group: &'a str,
    /// Its plural resource name.
    pub plural: &'a str,
    /// The object.
    pub object: &'a Value,
    /// The object before an update.
    pub old: Option<&'a Value>,
}

impl Subject<'_> {
    fn is(&self, plural: &str) -> bool {
        self.group.is_empty() && self.plural == plural
    }

    /// `count/deployments.apps`.
    fn count_name(&self) -> String {
        if self.group.is_empty() {
            format!("count/{}", self.plural)
        } else {
            format!("count/{}.{}", self.plural, self.group)
        }
    }

    /// Whether a write of this kind can change what is used.
    pub fn is_charged(&self) -> bool {
        let Some(old) = self.old else { return true };
        match self.plural {
            "pods" if self.group.is_empty() => terminating(old) != terminating(self.object),
            "services" | "persistentvolumeclaims" => self.group.is_empty(),
            _ => false,
        }
    }

    /// What an object of this kind uses.
    pub fn usage(&self, object: &Value) -> ResourceList {
        let one = || Quantity::from_int(1, Format::DecimalSi);
        let mut usage = ResourceList::from([(self.count_name(), one())]);
        match self.plural {
            "pods" if self.group.is_empty() => pod_usage(object, &mut usage),
            "services" if self.group.is_empty() => service_usage(object, &mut usage),
            "persistentvolumeclaims" if self.group.is_empty() => claim_usage(object, &mut usage),
            "resourceclaims" if self.group == "resource.k8s.io" => device_usage(object, &mut usage),
            "replicationcontrollers" | "resourcequotas" | "secrets" | "configmaps"
                if self.group.is_empty() =>
            {
                usage.insert(self.plural.to_owned(), one());
            }
            _ => {}
        }
        usage
    }

    /// Which of a quota's resources concern this kind.
    fn matching(&self, hard: &ResourceList) -> Vec<String> {
        let concerns = |name: &str| {
            if name == self.count_name() {
                return true;
            }
            if self.is("pods") {
                return POD_RESOURCES.contains(&name)
                    || name.starts_with("hugepages-")
                    || name.starts_with("requests.hugepages-")
                    || extended(name);
            }
            if self.is("services") {
                return ["services", "services.nodeports", "services.loadbalancers"].contains(&name);
            }
            if self.is("persistentvolumeclaims") {
                return ["persistentvolumeclaims", "requests.storage"].contains(&name)
                    || name.ends_with(".storageclass.storage.k8s.io/requests.storage")
                    || name.ends_with(".storageclass.storage.k8s.io/persistentvolumeclaims");
            }
            if self.group == "resource.k8s.io" && self.plural == "resourceclaims" {
                return name.ends_with(DEVICES);
            }
            self.group.is_empty() && name == self.plural
        };
        hard.keys().filter(|name| concerns(name)).cloned().collect()
    }
}

/// How the resource that counts a device class's devices ends.
const DEVICES: &str = ".deviceclass.resource.k8s.io/devices";

/// What a claim of all devices counts for: as many as one can be given (upstream's `AllocationResultsMaxSize`).
const DEVICES_MAX: i64 = 32;

const POD_RESOURCES: [&str; 10] = [
    "pods",
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];

/// Compute resources that every container has to state once a quota limits them.
const STATED: [&str; 6] = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

/// `requests.example.com/gpu`.
fn extended(name: &str) -> bool {
    name.strip_prefix("requests.").is_some_and(|rest| rest.contains('/') && !rest.contains("kubernetes.io/"))
}

/// Charges an object to the quotas of its namespace: the quotas that change, with their new `status.used`.
///
/// # Errors
/// The first quota without room for it, in upstream's words.
pub fn charge(subject: &Subject<'_>, quotas: &[Value]) -> Result<Vec<Value>, Refusal> {
    let mut interesting = Vec::new();
    for quota in quotas {
        let hard = resources::list(at(quota, &["status", "hard"]));
        let names = subject.matching(&hard);
        if names.is_empty() || !in_scope(subject, subject.object, quota) {
            continue;
        }
        let name = text(quota, &["metadata", "name"]);
        if subject.is("pods") {
            unstated(subject.object, &names)
                .map_or(Ok(()), |text| Err(format!("failed quota: {name}: {text}")))?;
        }
        let used = resources::list(at(quota, &["status", "used"]));
        if names.iter().any(|n| !used.contains_key(n)) {
            return Err(format!("status unknown for quota: {name}, resources: {}", names.join(",")));
        }
        interesting.push((quota, hard, used));
    }
    let usage = subject.usage(subject.object);
    let mut changed = Vec::new();
    for (quota, hard, mut used) in interesting {
        let delta = match subject.old {
            Some(old) if in_scope(subject, old, quota) => resources::subtract(&usage, &subject.usage(old)),
            _ => usage.clone(),
        };
        let requested: ResourceList =
            delta.into_iter().filter(|(n, q)| hard.contains_key(n) && !q.is_zero()).collect();
        if requested.is_empty() {
            continue;
        }
        let before = used.clone();
        resources::add(&mut used, &requested);
        let exceeded: BTreeSet<&String> =
            requested.keys().filter(|n| used.get(*n).zip(hard.get(*n)).is_some_and(|(u, h)| u > h)).collect();
        if !exceeded.is_empty() {
            let mask = |list: &ResourceList| -> String {
                resources::print(
                    &list
                        .iter()
                        .filter(|(n, _)| exceeded.contains(n))
                        .map(|(n, q)| (n.clone(), q.clone()))
                        .collect(),
                )
            };
            return Err(format!(
                "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                text(quota, &["metadata", "name"]),
                mask(&requested),
                mask(&before),
                mask(&hard)
            ));
        }
        let mut quota = quota.clone();
        if let Some(status) = crate::object_mut(&mut quota, &["status"]) {
            status.insert("used".into(), resources::to_value(&used));
        }
        changed.push(quota);
    }
    Ok(changed)
}

/// What objects of one kind use of a quota (upstream's `CalculateUsageStats`).
pub fn used<'a>(
    (plural, group): (&str, &str),
    objects: impl IntoIterator<Item = &'a Value>,
    quota: &Value,
) -> ResourceList {
    let subject = Subject { group, plural, object: &Value::Null, old: None };
    let mut sum = ResourceList::new();
    for object in objects {
        if in_scope(&subject, object, quota) {
            resources::add(&mut sum, &subject.usage(object));
        }
    }
    sum
}

/// Whether an object falls under a quota's scopes.
fn in_scope(subject: &Subject<'_>, object: &Value, quota: &Value) -> bool {
    let scopes = items(quota, &["spec", "scopes"]).iter().filter_map(Value::as_str);
    let plain = scopes.map(|scope| scope_holds(subject, object, scope, "Exists", &[]));
    let expressions = items(quota, &["spec", "scopeSelector", "matchExpressions"]).iter().map(|e| {
        scope_holds(subject, object, text(e, &["scopeName"]), text(e, &["operator"]), items(e, &["values"]))
    });
    plain.chain(expressions).all(|holds| holds)
}

fn scope_holds(subject: &Subject<'_>, object: &Value, scope: &str, operator: &str, values: &[Value]) -> bool {
    if subject.is("persistentvolumeclaims") && scope == "VolumeAttributesClass" {
        return value_matches(scope, operator, values, text(object, &["spec", "volumeAttributesClassName"]));
    }
    if !subject.is("pods") {
        return false;
    }
    match scope {
        "Terminating" => terminating(object),
        "NotTerminating" => !terminating(object),
        "BestEffort" => best_effort(object),
        "NotBestEffort" => !best_effort(object),
        "PriorityClass" => {
            value_matches(scope, operator, values, text(object, &["spec", "priorityClassName"]))
        }
        "CrossNamespacePodAffinity" => crosses_namespaces(object),
        _ => false,
    }
}

/// A scope with an operator is a label selector on a single label: the object's value.
fn value_matches(scope: &str, operator: &str, values: &[Value], own: &str) -> bool {
    let operator = match operator {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "DoesNotExist" => Operator::DoesNotExist,
        _ => Operator::Exists,
    };
    let values = values.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect();
    let Ok(requirement) = Requirement::new(scope, operator, values) else { return false };
    let mut labels = api::Object::new();
    if !own.is_empty() {
        labels.insert(scope.to_owned(), own.into());
    }
    LabelSelector::new(vec![requirement]).matches(Some(&labels))
}

fn terminating(pod: &Value) -> bool {
    at(pod, &["spec", "activeDeadlineSeconds"]).and_then(Value::as_i64).is_some_and(|s| s >= 0)
}

fn best_effort(pod: &Value) -> bool {
    ["requests", "limits"].iter().all(|which| {
        let total = resources::pod_total(pod, which);
        ["cpu", "memory"].iter().all(|name| total.get(*name).is_none_or(Quantity::is_zero))
    })
}

fn crosses_namespaces(pod: &Value) -> bool {
    ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
        let terms = |field| items(pod, &["spec", "affinity", kind, field]);
        let crosses = |term: &Value| {
            !items(term, &["namespaces"]).is_empty() || at(term, &["namespaceSelector"]).is_some()
        };
        terms("requiredDuringSchedulingIgnoredDuringExecution").iter().any(crosses)
            || terms("preferredDuringSchedulingIgnoredDuringExecution")
                .iter()
                .any(|t| t.get("podAffinityTerm").is_some_and(crosses))
    })
}

/// Which containers leave out a resource that the quota limits: `must specify cpu for: c1,c2; memory for: c1`.
fn unstated(pod: &Value, names: &[String]) -> Option<String> {
    let whole_pod = |which| at(pod, &["spec", "resources", which]).and_then(Value::as_object);
    if ["requests", "limits"].iter().any(|w| whole_pod(w).is_some_and(|l| !l.is_empty())) {
        return None;
    }
    let mut parts = Vec::new();
    for name in STATED.iter().filter(|s| names.iter().any(|n| n == *s)) {
        let (which, resource) = match name.split_once('.') {
            Some((which, resource)) => (which, resource),
            None => ("requests", *name),
        };
        let mut lacking: Vec<&str> = ["containers", "initContainers"]
            .iter()
            .flat_map(|field| items(pod, &["spec", field]))
            .filter(|c| at(c, &["resources", which, resource]).is_none())
            .map(|c| text(c, &["name"]))
            .collect();
        lacking.sort_unstable();
        if !lacking.is_empty() {
            parts.push((*name, format!("{name} for: {}", lacking.join(","))));
        }
    }
    parts.sort();
    let parts: Vec<String> = parts.into_iter().map(|(_, text)| text).collect();
    (!parts.is_empty()).then(|| format!("must specify {}", parts.join("; ")))
}

fn pod_usage(pod: &Value, usage: &mut ResourceList) {
    if ["Failed", "Succeeded"].contains(&text(pod, &["status", "phase"])) {
        return;
    }
    usage.insert("pods".into(), Quantity::from_int(1, Format::DecimalSi));
    // The sandbox has requests of its own, and limits where the containers have them.
    let overhead = resources::list(at(pod, &["spec", "overhead"]));
    let mut requests = resources::pod_total(pod, "requests");
    resources::add(&mut requests, &overhead);
    let mut limits = resources::pod_total(pod, "limits");
    let limited = overhead.into_iter().filter(|(name, _)| limits.get(name).is_some_and(|l| !l.is_zero()));
    let limited = limited.collect();
    resources::add(&mut limits, &limited);
    for (name, quantity) in requests {
        if ["cpu", "memory", "ephemeral-storage"].contains(&&*name) || name.starts_with("hugepages-") {
            usage.insert(format!("requests.{name}"), quantity.clone());
            usage.insert(name, quantity);
        } else if extended(&format!("requests.{name}")) {
            usage.insert(format!("requests.{name}"), quantity);
        }
    }
    for (name, quantity) in limits {
        if ["cpu", "memory", "ephemeral-storage"].contains(&&*name) {
            usage.insert(format!("limits.{name}"), quantity);
        }
    }
}

fn service_usage(service: &Value, usage: &mut ResourceList) {
    let ports = items(service, &["spec", "ports"]);
    let kind = text(service, &["spec", "type"]);
    let asked =
        ports.iter().filter(|p| at(p, &["nodePort"]).and_then(Value::as_i64).is_some_and(|n| n != 0)).count();
    let allocates = at(service, &["spec", "allocateLoadBalancerNodePorts"]) != Some(&Value::Bool(false));
    let node_ports = match kind {
        "NodePort" => ports.len(),
        "LoadBalancer" if allocates => ports.len(),
        "LoadBalancer" => asked,
        _ => 0,
    };
    let count = |n: usize| Quantity::from_int(i64::try_from(n).unwrap_or(i64::MAX), Format::DecimalSi);
    usage.insert("services".into(), count(1));
    usage.insert("services.nodeports".into(), count(node_ports));
    usage.insert("services.loadbalancers".into(), count(usize::from(kind == "LoadBalancer")));
}

fn claim_usage(claim: &Value, usage: &mut ResourceList) {
    let one = || Quantity::from_int(1, Format::DecimalSi);
    let class = at(claim, &["metadata", "annotations", "volume.beta.kubernetes.io/storage-class"])
        .or_else(|| at(claim, &["spec", "storageClassName"]))
        .and_then(Value::as_str)
        .unwrap_or_default();
    usage.insert("persistentvolumeclaims".into(), one());
    let storage = resources::list(at(claim, &["spec", "resources", "requests"])).remove("storage");
    if !class.is_empty() {
        let prefix = format!("{class}.storageclass.storage.k8s.io");
        usage.insert(format!("{prefix}/persistentvolumeclaims"), one());
        if let Some(storage) = &storage {
            usage.insert(format!("{prefix}/requests.storage"), storage.clone());
        }
    }
    if let Some(storage) = storage {
        usage.insert("requests.storage".into(), storage);
    }
}

/// Devices by class; of alternatives, the most that one class may have to give.
fn device_usage(claim: &Value, usage: &mut ResourceList) {
    let devices = |request: &Value| {
        let count = match text(request, &["allocationMode"]) {
            "ExactCount" => at(request, &["count"]).and_then(Value::as_i64).unwrap_or(0),
            "All" => DEVICES_MAX,
            _ => 0,
        };
        (format!("{}{DEVICES}", text(request, &["deviceClassName"])), count)
    };
    for request in items(claim, &["spec", "devices", "requests"]) {
        let mut most: BTreeMap<String, i64> = BTreeMap::new();
        let alternatives = items(request, &["firstAvailable"]);
        let exactly = at(request, &["exactly"]).filter(|_| alternatives.is_empty());
        for (name, count) in alternatives.iter().chain(exactly).map(devices) {
            let before = most.entry(name).or_default();
            *before = count.max(*before);
        }
        let counts =
            most.into_iter().map(|(name, count)| (name, Quantity::from_int(count, Format::DecimalSi)));
        resources::add(usage, &counts.collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn quota(hard: Value, used: Value) -> Value {
        json!({"metadata": {"name": "q"}, "spec": {"hard": hard}, "status": {"hard": hard, "used": used}})
    }

    fn subject<'a>(plural: &'a str, object: &'a Value) -> Subject<'a> {
        Subject { group: "", plural, object, old: None }
    }

    #[test]
    fn an_object_is_charged_or_refused() {
        let pod =
            json!({"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "500m"}}}]}});
        let room =
            quota(json!({"pods": "2", "requests.cpu": "1"}), json!({"pods": "1", "requests.cpu": "500m"}));
        let charged = charge(&subject("pods", &pod), &[room]).unwrap();
        assert_eq!(charged[0]["status"]["used"], json!({"pods": "2", "requests.cpu": "1"}));
        let full =
            quota(json!({"pods": "1", "requests.cpu": "1"}), json!({"pods": "1", "requests.cpu": "500m"}));
        assert_eq!(
            charge(&subject("pods", &pod), &[full]).unwrap_err(),
            "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"
        );
    }

    #[test]
    fn a_pods_sandbox_counts_too() {
        let amounts = json!({"requests": {"cpu": "1"}, "limits": {"cpu": "2"}});
        let pod = json!({"spec": {
            "containers": [{"name": "c", "resources": amounts}], "overhead": {"cpu": "250m", "memory": "1Mi"},
        }});
        let used = used(("pods", ""), [&pod], &json!({}));
        let of = |name: &str| used.get(name).map(Quantity::to_string);
        assert_eq!(of("requests.cpu").as_deref(), Some("1250m"));
        assert_eq!(of("limits.cpu").as_deref(), Some("2250m"));
        assert_eq!((of("memory").as_deref(), of("limits.memory")), (Some("1Mi"), None));
    }

    #[test]
    fn limited_resources_have_to_be_stated() {
        let pod = json!({"spec": {"containers": [{"name": "b"}, {"name": "a"}]}});
        let quota =
            quota(json!({"limits.memory": "1Gi", "cpu": "1"}), json!({"limits.memory": "0", "cpu": "0"}));
        assert_eq!(
            charge(&subject("pods", &pod), &[quota]).unwrap_err(),
            "failed quota: q: must specify cpu for: a,b; limits.memory for: a,b"
        );
    }

    #[test]
    fn a_quota_without_status_is_not_known_yet() {
        let secret = json!({});
        let quota = quota(json!({"secrets": "1"}), json!({}));
        assert_eq!(
            charge(&subject("secrets", &secret), &[quota]).unwrap_err(),
            "status unknown for quota: q, resources: secrets"
        );
    }

    #[test]
    fn scopes_choose_pods() {
        let mut scoped = quota(json!({"pods": "0"}), json!({"pods": "0"}));
        scoped["spec"]["scopes"] = json!(["Terminating"]);
        let plain = json!({"spec": {"containers": []}});
        assert_eq!(charge(&subject("pods", &plain), &[scoped.clone()]).unwrap(), Vec::<Value>::new());
        let ending = json!({"spec": {"containers": [], "activeDeadlineSeconds": 5}});
        assert!(charge(&subject("pods", &ending), &[scoped]).is_err());
    }

    #[test]
    fn claims_are_charged_for_the_devices_of_each_class() {
        let claim = json!({"spec": {"devices": {"requests": [
            {"name": "a", "exactly": {"deviceClassName": "gold", "allocationMode": "ExactCount", "count": 2}},
            {"name": "b", "firstAvailable": [
                {"name": "x", "deviceClassName": "gold", "allocationMode": "ExactCount", "count": 3},
                {"name": "y", "deviceClassName": "gold", "allocationMode": "ExactCount", "count": 1},
                {"name": "z", "deviceClassName": "tin", "allocationMode": "All"},
            ]},
        ]}}});
        let names = ["gold.deviceclass.resource.k8s.io/devices", "tin.deviceclass.resource.k8s.io/devices"];
        let count = "count/resourceclaims.resource.k8s.io";
        let limits = json!({names[0]: "5", names[1]: "40", count: "1"});
        let quota = quota(limits, json!({names[0]: "0", names[1]: "0", count: "0"}));
        let subject =
            Subject { group: "resource.k8s.io", plural: "resourceclaims", object: &claim, old: None };
        let charged = charge(&subject, &[quota]).unwrap();
        assert_eq!(charged[0]["status"]["used"], json!({names[0]: "5", names[1]: "32", count: "1"}));
    }

    #[test]
    fn an_update_is_charged_for_the_difference() {
        let service = |kind: &str| json!({"spec": {"type": kind, "ports": [{"port": 1}, {"port": 2}]}});
        let (old, new) = (service("ClusterIP"), service("NodePort"));
        let quota = quota(
            json!({"services": "1", "services.nodeports": "2"}),
            json!({"services": "1", "services.nodeports": "0"}),
        );
        let subject = Subject { group: "", plural: "services", object: &new, old: Some(&old) };
        assert_eq!(charge(&subject, &[quota]).unwrap()[0]["status"]["used"]["services.nodeports"], "2");
    }
}
