//! What namespaces use of their quotas (upstream's `pkg/controller/resourcequota`). Admission in the API server keeps
//! the limits; this makes the counts right again when things go.

mod monitors;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ::api::quantity::Quantity;
use admission::quota;
use admission::resources::ResourceList;
use client::controller::Outcome;
use client::informer::Event;
use client::queue::WorkQueue;
use client::{GoError, ObjectKey, Store};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use kube::Client;
use serde::Serialize;
use serde_json::{Value, json};

use self::monitors::Monitors;
use crate::context::{Context, synced};
use crate::pods;
use crate::views::{Pod, ResourceQuota, Service};

const COMPONENT: &str = "resourcequota-controller";
/// Everything is counted again after this time (upstream's `--resource-quota-sync-period`).
const RESYNC: Duration = Duration::from_secs(300);

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{}", GoError(.0))]
    Api(#[from] kube::Error),
}

/// Runs the controller until stopped.
pub async fn run(context: Context) {
    let quotas = context.informers.of::<ResourceQuota>();
    let pods = context.informers.of::<Pod>();
    let services = context.informers.of::<Service>();
    let waker = Waker { queue: WorkQueue::new(), quotas: quotas.store().clone() };
    let monitors = Arc::new(Monitors::new(context.client.clone(), waker.clone()));
    let (queue, changed) = (waker.queue.clone(), monitors.clone());
    quotas.add_handler(move |event| {
        // Admission writes the status before it lets an object in: who counts in between counts too little.
        if let Event::Updated { old, new } = event
            && old.spec.hard == new.spec.hard
        {
            return;
        }
        queue.add(ObjectKey::of(&event.object().metadata));
        changed.quotas_changed();
    });
    if !synced(&context.stop, &[&quotas]).await {
        return;
    }
    let wake = waker.clone();
    pods.add_handler(move |event| {
        let frees = match event {
            Event::Updated { old, new } => pods::is_terminal(old) != pods::is_terminal(new),
            _ => true,
        };
        if frees {
            wake.wake(("pods", ""), event.object().metadata.namespace.as_deref());
        }
    });
    let wake = waker.clone();
    services.add_handler(move |event| {
        wake.wake(("services", ""), event.object().metadata.namespace.as_deref());
    });
    if !synced(&context.stop, &[&pods, &services]).await {
        return;
    }
    let controller = Arc::new(Controller {
        client: context.client.clone(),
        quotas: waker.quotas,
        pods: pods.store().clone(),
        services: services.store().clone(),
        monitors: monitors.clone(),
    });
    let watching = monitors.run(context.stop.clone());
    let syncing = client::controller::run(COMPONENT, waker.queue, 2, context.stop, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    });
    tokio::join!(watching, syncing);
}

struct Controller {
    client: Client,
    quotas: Store<ResourceQuota>,
    pods: Store<Pod>,
    services: Store<Service>,
    monitors: Arc<Monitors>,
}

/// The resource, by name and group, whose objects use this resource of a quota.
fn counted(name: &str) -> (&str, &str) {
    if let Some(name) = name.strip_prefix("count/") {
        return name.split_once('.').unwrap_or((name, ""));
    }
    if name.ends_with(".deviceclass.resource.k8s.io/devices") {
        return ("resourceclaims", "resource.k8s.io");
    }
    if name == "requests.storage" || name.contains(".storageclass.storage.k8s.io/") {
        return ("persistentvolumeclaims", "");
    }
    if name.starts_with("services.") {
        return ("services", "");
    }
    let plain = [
        "configmaps",
        "persistentvolumeclaims",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services",
    ];
    (plain.into_iter().find(|plain| *plain == name).unwrap_or("pods"), "")
}

/// Whether objects of a resource use anything of a quota.
fn concerns(quota: &ResourceQuota, resource: (&str, &str)) -> bool {
    quota.spec.hard.iter().flatten().any(|(name, _)| counted(name) == resource)
}

/// Whether how much an object uses depends on more than that it is there.
fn is_measured(resource: (&str, &str)) -> bool {
    matches!(
        resource,
        ("pods" | "services" | "persistentvolumeclaims", "") | ("resourceclaims", "resource.k8s.io")
    )
}

/// Puts quotas into the queue when what they count changed.
#[derive(Clone)]
struct Waker {
    queue: WorkQueue<ObjectKey>,
    quotas: Store<ResourceQuota>,
}

impl Waker {
    /// An object of a resource changed or went.
    fn wake(&self, resource: (&str, &str), namespace: Option<&str>) {
        self.add(self.quotas.in_namespace(namespace.unwrap_or_default()), resource);
    }

    /// Objects of a resource may have gone unseen.
    fn wake_all(&self, resource: (&str, &str)) {
        self.add(self.quotas.list(), resource);
    }

    fn add(&self, quotas: Vec<Arc<ResourceQuota>>, resource: (&str, &str)) {
        for quota in quotas.iter().filter(|quota| concerns(quota, resource)) {
            self.queue.add(ObjectKey::of(&quota.metadata));
        }
    }
}

impl Controller {
    async fn sync(&self, key: &ObjectKey) -> Result<Outcome, Error> {
        let Some(quota) = self.quotas.get(key) else { return Ok(Outcome::Done) };
        let hard = quota.spec.hard.clone().unwrap_or_default();
        let resources: BTreeSet<(&str, &str)> = hard.keys().map(|name| counted(name)).collect();
        let spec = json!({ "spec": quota.spec });
        let mut usage = ResourceList::new();
        for resource in resources {
            let objects = self.objects(key, resource).await?;
            usage.append(&mut quota::used(resource, &objects, &spec));
        }
        let used: BTreeMap<String, String> = hard
            .keys()
            .map(|name| (name.clone(), usage.get(name).map_or_else(|| "0".to_owned(), Quantity::to_string)))
            .collect();
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
                    patch[field][gone] = Value::Null;
                }
            }
            crate::api::patch_status::<ResourceQuota>(&self.client, &quota.metadata, patch).await?;
        }
        Ok(Outcome::After(RESYNC))
    }

    /// The objects of a resource in the quota's namespace, with the fields that their usage depends on.
    async fn objects(&self, key: &ObjectKey, resource: (&str, &str)) -> Result<Vec<Value>, Error> {
        match resource {
            ("pods", "") => return Ok(values(&self.pods, key)),
            ("services", "") => return Ok(values(&self.services, key)),
            _ => {}
        }
        // What is not served has no objects.
        let Some(found) = self.monitors.resource(resource).await? else { return Ok(Vec::new()) };
        let accept = if is_measured(resource) {
            "application/json"
        } else {
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
        };
        let request = http::Request::get(found.path(Some(&key.namespace)))
            .header(http::header::ACCEPT, accept)
            .body(Vec::new())
            .map_err(kube::Error::HttpError)?;
        let mut list: Value = self.client.request(request).await?;
        let items = list.get_mut("items").map(Value::take);
        Ok(items.and_then(|items| serde_json::from_value(items).ok()).unwrap_or_default())
    }
}

/// Cached objects as JSON.
fn values<K: Serialize>(store: &Store<K>, key: &ObjectKey) -> Vec<Value> {
    let objects = store.in_namespace(&key.namespace);
    objects.iter().filter_map(|object| serde_json::to_value(&**object).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resource_of_a_quota_is_counted_somewhere() {
        assert_eq!(counted("count/jobs.batch"), ("jobs", "batch"));
        assert_eq!(counted("count/pods"), ("pods", ""));
        assert_eq!(counted("secrets"), ("secrets", ""));
        assert_eq!(counted("services.nodeports"), ("services", ""));
        assert_eq!(
            counted("gold.storageclass.storage.k8s.io/requests.storage"),
            ("persistentvolumeclaims", "")
        );
        assert_eq!(counted("tin.deviceclass.resource.k8s.io/devices"), ("resourceclaims", "resource.k8s.io"));
        assert_eq!(counted("requests.cpu"), ("pods", ""));
    }

    #[test]
    fn what_is_cached_of_a_pod_is_enough_to_measure_it() {
        let spec = json!({
            "containers": [{"name": "a", "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "1"}}}],
            "initContainers": [{"name": "b", "resources": {"requests": {"cpu": "50m"}}, "restartPolicy": "Always"}],
            "overhead": {"cpu": "10m"}, "activeDeadlineSeconds": 5, "priorityClassName": "high",
            "affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "zone", "namespaces": ["other"]},
            ]}},
        });
        let pod = json!({"spec": spec, "status": {"phase": "Running"}});
        let view: Pod = serde_json::from_value(pod.clone()).unwrap();
        let view = serde_json::to_value(&view).unwrap();
        for scope in
            ["Terminating", "NotTerminating", "BestEffort", "CrossNamespacePodAffinity", "PriorityClass"]
        {
            let quota = json!({"spec": {"scopes": [scope]}});
            let of = |object: &Value| quota::used(("pods", ""), [object], &quota);
            assert_eq!(of(&view), of(&pod), "{scope}");
        }
        let used = quota::used(("pods", ""), [&view], &json!({}));
        assert_eq!(used.get("requests.cpu").map(Quantity::to_string).as_deref(), Some("160m"));
    }
}
