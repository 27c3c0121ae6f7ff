//! Keeps volumes, their claims and their classes while they are used (upstream's `pkg/controller/volume/pvcprotection`,
//! `pvprotection` and `vacprotection`). Admission gives new ones a finalizer; here it goes when the object may go.

use client::controller::Outcome;
use client::informer::Event;
use client::queue::WorkQueue;
use client::{ErrorExt, ObjectKey};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Client, Error};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::api::{self, Kind};
use crate::context::{Context, synced};
use crate::owners;
use crate::pods;
use crate::views::{PersistentVolume, PersistentVolumeClaim, Pod, VolumeAttributesClass, nullable};

const CLAIM_FINALIZER: &str = "kubernetes.io/pvc-protection";
const VOLUME_FINALIZER: &str = "kubernetes.io/pv-protection";
const CLASS_FINALIZER: &str = "kubernetes.io/vac-protection";

/// Runs the controller of claims until stopped.
pub async fn run_claims(context: Context) {
    let claims = context.informers.of::<PersistentVolumeClaim>();
    let all_pods = context.informers.of::<Pod>();
    let queue = WorkQueue::<ObjectKey>::new();
    let q = queue.clone();
    claims.add_handler(move |event| {
        let meta = &event.object().metadata;
        if change(meta, CLAIM_FINALIZER).is_some() {
            q.add(ObjectKey::of(meta));
        }
    });
    if !synced(&context.stop, &[&claims]).await {
        return;
    }
    let (q, store) = (queue.clone(), claims.store().clone());
    all_pods.add_handler(move |event| {
        let pod = event.object();
        // Others cannot help to let go of a claim.
        if !matches!(event, Event::Deleted(_)) && !pods::is_terminal(pod) && !is_shut_down(&pod.metadata) {
            return;
        }
        for claim in store.in_namespace(pod.metadata.namespace.as_deref().unwrap_or_default()) {
            if change(&claim.metadata, CLAIM_FINALIZER) == Some(Change::Remove) {
                q.add(ObjectKey::of(&claim.metadata));
            }
        }
    });
    if !synced(&context.stop, &[&all_pods]).await {
        return;
    }
    let (client, store) = (context.client.clone(), claims.store().clone());
    client::controller::run("pvc-protection-controller", queue, 1, context.stop, move |key| {
        let (client, store) = (client.clone(), store.clone());
        async move {
            let Some(claim) = store.get(&key) else { return Ok(Outcome::Done) };
            let Some(change) = change(&claim.metadata, CLAIM_FINALIZER) else { return Ok(Outcome::Done) };
            if change == Change::Remove && is_used(&client, &claim.metadata).await? {
                return Ok(Outcome::Done);
            }
            write::<PersistentVolumeClaim>(&client, &claim.metadata, change, CLAIM_FINALIZER).await
        }
    })
    .await;
}

/// Runs the controller of volumes until stopped.
pub async fn run_volumes(context: Context) {
    let volumes = context.informers.of::<PersistentVolume>();
    let queue = WorkQueue::<ObjectKey>::new();
    let q = queue.clone();
    volumes.add_handler(move |event| {
        let meta = &event.object().metadata;
        if change(meta, VOLUME_FINALIZER).is_some() {
            q.add(ObjectKey::of(meta));
        }
    });
    if !synced(&context.stop, &[&volumes]).await {
        return;
    }
    let (client, store) = (context.client.clone(), volumes.store().clone());
    client::controller::run("pv-protection-controller", queue, 1, context.stop, move |key| {
        let (client, store) = (client.clone(), store.clone());
        async move {
            let Some(volume) = store.get(&key) else { return Ok(Outcome::Done) };
            let Some(change) = change(&volume.metadata, VOLUME_FINALIZER) else { return Ok(Outcome::Done) };
            if change == Change::Remove && volume.status.phase.as_deref() == Some("Bound") {
                return Ok(Outcome::Done);
            }
            write::<PersistentVolume>(&client, &volume.metadata, change, VOLUME_FINALIZER).await
        }
    })
    .await;
}

/// Runs the controller of volume attributes classes until stopped.
pub async fn run_classes(context: Context) {
    let classes = context.informers.of::<VolumeAttributesClass>();
    let claims = context.informers.of::<PersistentVolumeClaim>();
    let volumes = context.informers.of::<PersistentVolume>();
    let queue = WorkQueue::<ObjectKey>::new();
    let q = queue.clone();
    classes.add_handler(move |event| {
        let meta = &event.object().metadata;
        if change(meta, CLASS_FINALIZER).is_some() {
            q.add(ObjectKey::of(meta));
        }
    });
    if !synced(&context.stop, &[&classes]).await {
        return;
    }
    // Which class a claim or volume had is not cached: there are few classes that are to go.
    let wake = {
        let (q, store) = (queue.clone(), classes.store().clone());
        move |is_new: bool| {
            let classes = if is_new { Vec::new() } else { store.list() };
            for class in
                classes.iter().filter(|c| change(&c.metadata, CLASS_FINALIZER) == Some(Change::Remove))
            {
                q.add(ObjectKey::of(&class.metadata));
            }
        }
    };
    let woken = wake.clone();
    claims.add_handler(move |event| woken(matches!(event, Event::Added(_))));
    volumes.add_handler(move |event| wake(matches!(event, Event::Added(_))));
    if !synced(&context.stop, &[&claims, &volumes]).await {
        return;
    }
    let (client, store) = (context.client.clone(), classes.store().clone());
    client::controller::run("vac-protection-controller", queue, 1, context.stop, move |key| {
        let (client, store) = (client.clone(), store.clone());
        async move {
            let Some(class) = store.get(&key) else { return Ok(Outcome::Done) };
            let Some(change) = change(&class.metadata, CLASS_FINALIZER) else { return Ok(Outcome::Done) };
            if change == Change::Remove && is_class_used(&client, &key.name).await? {
                return Ok(Outcome::Done);
            }
            write::<VolumeAttributesClass>(&client, &class.metadata, change, CLASS_FINALIZER).await
        }
    })
    .await;
}

/// What is to be done about an object's finalizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// It lives and has none.
    Add,
    /// It is to go, if nobody uses it.
    Remove,
}

/// Upstream's `NeedToAddFinalizer` and `IsDeletionCandidate`.
fn change(meta: &ObjectMeta, finalizer: &str) -> Option<Change> {
    let has = meta.finalizers.iter().flatten().any(|own| own == finalizer);
    match (meta.deletion_timestamp.is_some(), has) {
        (false, false) => Some(Change::Add),
        (true, true) => Some(Change::Remove),
        _ => None,
    }
}

async fn write<K: Kind>(
    client: &Client,
    meta: &ObjectMeta,
    change: Change,
    finalizer: &str,
) -> Result<Outcome, Error> {
    let mut finalizers = meta.finalizers.clone().unwrap_or_default();
    match change {
        Change::Add => finalizers.push(finalizer.to_owned()),
        Change::Remove => finalizers.retain(|own| own != finalizer),
    }
    match api::patch::<K>(client, meta, json!({ "metadata": { "finalizers": finalizers } })).await {
        Ok(_) => Ok(Outcome::Done),
        Err(err) if err.is_not_found() => Ok(Outcome::Done),
        Err(err) => Err(err),
    }
}

/// A pod with its volumes, which no cache holds: they are looked at only when a claim is to go.
#[derive(Deserialize)]
struct User {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: UserSpec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UserSpec {
    node_name: String,
    #[serde(deserialize_with = "nullable")]
    volumes: Vec<Volume>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Volume {
    name: String,
    persistent_volume_claim: Option<ClaimName>,
    ephemeral: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimName {
    claim_name: String,
}

/// The objects of a kind, with only the fields of `T`.
async fn list<K, T>(client: &Client, namespace: Option<&str>) -> Result<Vec<T>, Error>
where
    K: Kind,
    T: DeserializeOwned,
{
    #[derive(Deserialize)]
    #[serde(bound = "T: DeserializeOwned")]
    struct List<T> {
        #[serde(default = "Vec::new", deserialize_with = "nullable")]
        items: Vec<T>,
    }
    let path = K::url_path(&(), namespace);
    let request = http::Request::get(path).body(Vec::new()).map_err(Error::HttpError)?;
    Ok(client.request::<List<T>>(request).await?.items)
}

/// A claim or a volume with the classes that it names.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ClassUser {
    spec: ClassNames,
    status: ClassNames,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClassNames {
    volume_attributes_class_name: Option<String>,
    current_volume_attributes_class_name: Option<String>,
    modify_volume_status: Option<Target>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Target {
    target_volume_attributes_class_name: Option<String>,
}

impl ClassUser {
    fn names(&self, class: &str) -> bool {
        let target = self.status.modify_volume_status.as_ref();
        [
            self.spec.volume_attributes_class_name.as_deref(),
            self.status.current_volume_attributes_class_name.as_deref(),
            target.and_then(|target| target.target_volume_attributes_class_name.as_deref()),
        ]
        .contains(&Some(class))
    }
}

/// Whether a claim or a volume has the class, or is on its way to it.
async fn is_class_used(client: &Client, class: &str) -> Result<bool, Error> {
    let claims = list::<PersistentVolumeClaim, ClassUser>(client, None).await?;
    if claims.iter().any(|claim| claim.names(class)) {
        return Ok(true);
    }
    let volumes = list::<PersistentVolume, ClassUser>(client, None).await?;
    Ok(volumes.iter().any(|volume| volume.names(class)))
}

/// Whether a pod on a node uses the claim. A pod without a node cannot start any more.
async fn is_used(client: &Client, claim: &ObjectMeta) -> Result<bool, Error> {
    let pods = list::<Pod, User>(client, claim.namespace.as_deref()).await?;
    Ok(pods.iter().any(|pod| uses(pod, claim)))
}

fn uses(pod: &User, claim: &ObjectMeta) -> bool {
    let name = claim.name.as_deref().unwrap_or_default();
    let owned = || {
        owners::controller_of(claim).is_some_and(|owner| Some(&owner.uid) == pod.metadata.uid.as_ref())
            && !is_shut_down(&pod.metadata)
    };
    !pod.spec.node_name.is_empty()
        && pod.spec.volumes.iter().any(|volume| match &volume.persistent_volume_claim {
            Some(other) => other.claim_name == name,
            None => {
                let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
                volume.ephemeral.is_some() && format!("{pod_name}-{}", volume.name) == name && owned()
            }
        })
}

/// Whether the kubelet is done with a pod, or it was deleted by force.
fn is_shut_down(pod: &ObjectMeta) -> bool {
    pod.deletion_timestamp.is_some() && pod.deletion_grace_period_seconds == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_used_by_what_names_it() {
        let names =
            |user: serde_json::Value| serde_json::from_value::<ClassUser>(user).unwrap().names("gold");
        assert!(names(json!({"spec": {"volumeAttributesClassName": "gold"}})));
        assert!(names(
            json!({"status": {"modifyVolumeStatus": {"targetVolumeAttributesClassName": "gold"}}})
        ));
        assert!(!names(json!({"spec": {"volumeAttributesClassName": "tin"}, "status": {}})));
    }

    #[test]
    fn a_claim_is_used_by_pods_on_nodes() {
        let claim = |owner: &str| -> ObjectMeta {
            let owner =
                json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": owner, "controller": true});
            serde_json::from_value(json!({"name": "p-data", "ownerReferences": [owner]})).unwrap()
        };
        let pod = |node: &str, volume: serde_json::Value, grace: Option<i64>| -> User {
            let gone = grace.map(|_| "2026-01-01T00:00:00Z");
            serde_json::from_value(json!({
                "metadata": {"name": "p", "uid": "1", "deletionTimestamp": gone, "deletionGracePeriodSeconds": grace},
                "spec": {"nodeName": node, "volumes": [{"name": "root", "emptyDir": {}}, volume]},
            }))
            .unwrap()
        };
        let named = || json!({"name": "v", "persistentVolumeClaim": {"claimName": "p-data"}});
        let own = || json!({"name": "data", "ephemeral": {"volumeClaimTemplate": {}}});
        assert!(uses(&pod("n", named(), Some(0)), &claim("2")));
        assert!(!uses(&pod("", named(), None), &claim("2")));
        assert!(uses(&pod("n", own(), Some(30)), &claim("1")));
        assert!(!uses(&pod("n", own(), Some(0)), &claim("1")), "shut down");
        assert!(!uses(&pod("n", own(), None), &claim("2")), "another pod's");
    }
}
