//! What namespaces use of their quotas (upstream's `pkg/controller/resourcequota`). Admission in the API server keeps
//! the limits; this makes the counts right again when things go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::api::quantity::{Format, Quantity};
use client::controller::Outcome;
use client::informer::Event;
use client::queue::WorkQueue;
use client::{GoError, ObjectKey, Store};
use k8s_openapi::api::core::v1::{ResourceQuotaSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use kube::Client;
use serde::Deserialize;
use serde_json::json;

use crate::context::{Context, synced};
use crate::discovery;
use crate::pods;
use crate::views::{PersistentVolumeClaim, Pod, ResourceQuota, Service};

const COMPONENT: &str = "resourcequota-controller";
/// Objects that are only counted are counted again after this time (upstream's `--resource-quota-sync-period`).
const RESYNC: Duration = Duration::from_secs(300);

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{}", GoError(.0))]
    Api(#[from] kube::Error),
}

/// Amounts by resource name.
type Amounts = BTreeMap<String, Quantity>;

/// Runs the controller until stopped.
pub async fn run(context: Context) {
    let quotas = context.informers.of::<ResourceQuota>();
    let pods = context.informers.of::<Pod>();
    let services = context.informers.of::<Service>();
    let queue = WorkQueue::<ObjectKey>::new();
    let q = queue.clone();
    quotas.add_handler(move |event| q.add(ObjectKey::of(&event.object().metadata)));
    if !synced(&context.stop, &[&quotas]).await {
        return;
    }
    let wake = |queue: &WorkQueue<ObjectKey>, store: &Store<ResourceQuota>, namespace: Option<&str>| {
        for quota in store.in_namespace(namespace.unwrap_or_default()) {
            queue.add(ObjectKey::of(&quota.metadata));
        }
    };
    let (q, store) = (queue.clone(), quotas.store().clone());
    pods.add_handler(move |event| {
        let frees = match event {
            Event::Updated { old, new } => pods::is_terminal(old) != pods::is_terminal(new),
            _ => true,
        };
        if frees {
            wake(&q, &store, event.object().metadata.namespace.as_deref());
        }
    });
    let (q, store) = (queue.clone(), quotas.store().clone());
    services.add_handler(move |event| wake(&q, &store, event.object().metadata.namespace.as_deref()));
    if !synced(&context.stop, &[&pods, &services]).await {
        return;
    }
    let controller = Arc::new(Controller {
        client: context.client.clone(),
        quotas: quotas.store().clone(),
        pods: pods.store().clone(),
        services: services.store().clone(),
    });
    client::controller::run(COMPONENT, queue, 2, context.stop, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}

struct Controller {
    client: Client,
    quotas: Store<ResourceQuota>,
    pods: Store<Pod>,
    services: Store<Service>,
}

/// What one pod uses (upstream's `PodUsageFunc`).
fn pod_usage(pod: &Pod) -> Amounts {
    let mut used = Amounts::new();
    let one = || Quantity::from_int(1, Format::DecimalSi);
    add(&mut used, "count/pods", &one());
    if pods::is_terminal(pod) {
        return used;
    }
    add(&mut used, "pods", &one());
    let requests = totals(pod, |resources| resources.requests.as_ref());
    let limits = totals(pod, |resources| resources.limits.as_ref());
    for (name, amount) in &requests {
        if matches!(&**name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-") {
            add(&mut used, name, amount);
        }
        add(&mut used, &format!("requests.{name}"), amount);
    }
    for (name, amount) in &limits {
        add(&mut used, &format!("limits.{name}"), amount);
    }
    used
}

/// The pod's amounts: all containers together, or the largest init container if that is more; and the sandbox's.
fn totals(
    pod: &Pod,
    pick: impl Fn(&ResourceRequirements) -> Option<&BTreeMap<String, ApiQuantity>>,
) -> Amounts {
    let mut sum = Amounts::new();
    let of = |container: &crate::views::Container| {
        container.resources.as_ref().and_then(&pick).cloned().unwrap_or_default()
    };
    for container in &pod.spec.containers {
        add_all(&mut sum, &of(container));
    }
    let mut sidecars = Amounts::new();
    let mut peak = Amounts::new();
    for container in &pod.spec.init_containers {
        if container.restart_policy.as_deref() == Some("Always") {
            add_all(&mut sum, &of(container));
            add_all(&mut sidecars, &of(container));
            continue;
        }
        let mut here = sidecars.clone();
        add_all(&mut here, &of(container));
        for (name, amount) in here {
            max(&mut peak, name, amount);
        }
    }
    for (name, amount) in peak {
        max(&mut sum, name, amount);
    }
    add_all(&mut sum, &pod.spec.overhead);
    sum
}

fn add(amounts: &mut Amounts, name: &str, more: &Quantity) {
    match amounts.get_mut(name) {
        Some(amount) => amount.add(more),
        None => {
            amounts.insert(name.to_owned(), more.clone());
        }
    }
}

fn add_all(amounts: &mut Amounts, more: &BTreeMap<String, ApiQuantity>) {
    for (name, text) in more {
        if let Ok(amount) = Quantity::parse(&text.0) {
            add(amounts, name, &amount);
        }
    }
}

fn max(amounts: &mut Amounts, name: String, other: Quantity) {
    let mut difference = other.clone();
    if let Some(amount) = amounts.get(&name) {
        difference.sub(amount);
    }
    if difference.sign() > 0 {
        amounts.insert(name, other);
    }
}

/// Whether a pod falls under the scopes of a quota.
fn in_scope(pod: &Pod, spec: &ResourceQuotaSpec) -> bool {
    let best_effort = totals(pod, |resources| resources.requests.as_ref()).is_empty()
        && totals(pod, |resources| resources.limits.as_ref()).is_empty();
    let terminating = pod.spec.active_deadline_seconds.is_some_and(|seconds| seconds >= 0);
    let class = pod.spec.priority_class_name.as_deref().unwrap_or_default();
    let holds = |scope: &str| match scope {
        "Terminating" => terminating,
        "NotTerminating" => !terminating,
        "BestEffort" => best_effort,
        "NotBestEffort" => !best_effort,
        "PriorityClass" => !class.is_empty(),
        _ => false,
    };
    let selector =
        spec.scope_selector.iter().flat_map(|selector| selector.match_expressions.iter().flatten());
    spec.scopes.iter().flatten().all(|scope| holds(scope))
        && selector.into_iter().all(|expression| {
            if expression.scope_name != "PriorityClass" {
                return holds(&expression.scope_name) == (expression.operator != "DoesNotExist");
            }
            let listed = expression.values.iter().flatten().any(|value| value == class);
            match expression.operator.as_str() {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => !class.is_empty(),
                "DoesNotExist" => class.is_empty(),
                _ => false,
            }
        })
}

/// What one service uses.
fn service_usage(service: &Service) -> Amounts {
    let mut used = Amounts::new();
    let count = |n: usize| Quantity::from_int(n as i64, Format::DecimalSi);
    add(&mut used, "services", &count(1));
    add(&mut used, "count/services", &count(1));
    let kind = service.spec.type_.as_deref();
    if kind == Some("LoadBalancer") {
        add(&mut used, "services.loadbalancers", &count(1));
    }
    if matches!(kind, Some("LoadBalancer" | "NodePort")) {
        let ports =
            service.spec.ports.iter().filter(|port| port.node_port.is_some_and(|port| port != 0)).count();
        add(&mut used, "services.nodeports", &count(ports));
    }
    used
}

/// The resource behind a count: `count/jobs.batch` and the old short names.
fn counted(name: &str) -> Option<(&str, &str)> {
    if let Some(name) = name.strip_prefix("count/") {
        return Some(name.split_once('.').unwrap_or((name, "")));
    }
    ["configmaps", "secrets", "persistentvolumeclaims", "replicationcontrollers", "resourcequotas"]
        .contains(&name)
        .then_some((name, ""))
}

impl Controller {
    async fn sync(&self, key: &ObjectKey) -> Result<Outcome, Error> {
        let Some(quota) = self.quotas.get(key) else { return Ok(Outcome::Done) };
        let hard = quota.spec.hard.clone().unwrap_or_default();
        let mut usage = Amounts::new();
        for pod in self.pods.in_namespace(&key.namespace).iter().filter(|pod| in_scope(pod, &quota.spec)) {
            for (name, amount) in pod_usage(pod) {
                add(&mut usage, &name, &amount);
            }
        }
        for service in self.services.in_namespace(&key.namespace) {
            for (name, amount) in service_usage(&service) {
                add(&mut usage, &name, &amount);
            }
        }
        let mut again = Outcome::Done;
        let mut used: BTreeMap<String, String> = BTreeMap::new();
        for name in hard.keys() {
            if name.ends_with("requests.storage") {
                usage.insert(name.clone(), self.storage(key, name).await?);
                again = Outcome::After(RESYNC);
            } else if let Some((plural, group)) = counted(name).filter(|_| !usage.contains_key(name)) {
                usage.insert(name.clone(), self.count(key, plural, group).await?);
                again = Outcome::After(RESYNC);
            }
            let amount = usage.get(name).cloned().unwrap_or_else(|| Quantity::from_int(0, Format::DecimalSi));
            used.insert(name.clone(), amount.to_string());
        }
        let stored = |map: &Option<BTreeMap<String, ApiQuantity>>| -> BTreeMap<String, String> {
            map.iter().flatten().map(|(name, amount)| (name.clone(), amount.0.clone())).collect()
        };
        let wanted: BTreeMap<String, String> =
            hard.iter().map(|(name, amount)| (name.clone(), amount.0.clone())).collect();
        let (old_hard, old_used) = (stored(&quota.status.hard), stored(&quota.status.used));
        if old_hard != wanted || old_used != used {
            let mut patch = json!({ "hard": wanted, "used": used });
            for (field, old) in [("hard", &old_hard), ("used", &old_used)] {
                for gone in old.keys().filter(|name| !hard.contains_key(*name)) {
                    patch[field][gone] = serde_json::Value::Null;
                }
            }
            crate::api::patch_status::<ResourceQuota>(&self.client, &quota.metadata, patch).await?;
        }
        Ok(again)
    }

    async fn list<T: serde::de::DeserializeOwned>(&self, path: &str, accept: &str) -> Result<Vec<T>, Error> {
        #[derive(Deserialize)]
        #[serde(bound = "T: serde::de::DeserializeOwned")]
        struct List<T> {
            #[serde(default = "Vec::new", deserialize_with = "crate::views::nullable")]
            items: Vec<T>,
        }
        let request = http::Request::get(format!("{path}?resourceVersion=0"))
            .header(http::header::ACCEPT, accept)
            .body(Vec::new())
            .map_err(kube::Error::HttpError)?;
        Ok(self.client.request::<List<T>>(request).await?.items)
    }

    async fn count(&self, key: &ObjectKey, plural: &str, group: &str) -> Result<Quantity, Error> {
        let (resources, _) = discovery::resources(&self.client).await?;
        let resource = resources.iter().find(|resource| resource.plural == plural && resource.group == group);
        let count = match resource {
            Some(resource) => {
                let accept =
                    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
                self.list::<serde::de::IgnoredAny>(&resource.path(Some(&key.namespace)), accept).await?.len()
            }
            None => 0,
        };
        Ok(Quantity::from_int(count as i64, Format::DecimalSi))
    }

    /// The storage that claims ask for; of one class when the name begins with it.
    async fn storage(&self, key: &ObjectKey, name: &str) -> Result<Quantity, Error> {
        #[derive(Deserialize)]
        struct Claim {
            spec: Option<k8s_openapi::api::core::v1::PersistentVolumeClaimSpec>,
        }
        let path = <PersistentVolumeClaim as kube::Resource>::url_path(&(), Some(&key.namespace));
        let class = name.strip_suffix(".storageclass.storage.k8s.io/requests.storage");
        let mut sum = Quantity::from_int(0, Format::BinarySi);
        for spec in
            self.list::<Claim>(&path, "application/json").await?.into_iter().filter_map(|claim| claim.spec)
        {
            if class.is_some() && spec.storage_class_name.as_deref() != class {
                continue;
            }
            let requests = spec.resources.and_then(|resources| resources.requests).unwrap_or_default();
            if let Some(amount) = requests.get("storage").and_then(|text| Quantity::parse(&text.0).ok()) {
                sum.add(&amount);
            }
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(json: serde_json::Value) -> Pod {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn pods_use_what_their_containers_ask_for() {
        let spec = json!({
            "containers": [{"resources": {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"cpu": "1"}}}, {"resources": {"requests": {"cpu": "200m"}}}],
            "initContainers": [{"resources": {"requests": {"cpu": "250m", "memory": "2Gi"}}}],
        });
        let used = pod_usage(&pod(json!({"spec": spec, "status": {"phase": "Running"}})));
        let text = |name: &str| used.get(name).map(Quantity::to_string).unwrap_or_default();
        assert_eq!(
            (text("requests.cpu"), text("cpu"), text("memory"), text("limits.cpu")),
            ("300m".into(), "300m".into(), "2Gi".into(), "1".into())
        );
        let over = pod_usage(&pod(json!({"spec": spec, "status": {"phase": "Succeeded"}})));
        assert_eq!(over.keys().collect::<Vec<_>>(), ["count/pods"]);
    }

    #[test]
    fn scopes_and_counts() {
        let spec: ResourceQuotaSpec =
            serde_json::from_value(json!({"scopes": ["BestEffort", "NotTerminating"]})).unwrap();
        assert!(in_scope(&pod(json!({"spec": {"containers": [{}]}})), &spec));
        assert!(!in_scope(&pod(json!({"spec": {"containers": [{}], "activeDeadlineSeconds": 5}})), &spec));
        assert_eq!(counted("count/jobs.batch"), Some(("jobs", "batch")));
        assert_eq!(counted("secrets"), Some(("secrets", "")));
        assert_eq!(counted("requests.cpu"), None);
    }
}
