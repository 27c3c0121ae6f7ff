//! Who uses a claim or a class, asked of the API server: no cache holds what pods mount.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Client, Error};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::api::Kind;
use crate::owners;
use crate::views::{PersistentVolume, PersistentVolumeClaim, Pod, nullable};

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
pub(super) async fn is_class_used(client: &Client, class: &str) -> Result<bool, Error> {
    let claims = list::<PersistentVolumeClaim, ClassUser>(client, None).await?;
    if claims.iter().any(|claim| claim.names(class)) {
        return Ok(true);
    }
    let volumes = list::<PersistentVolume, ClassUser>(client, None).await?;
    Ok(volumes.iter().any(|volume| volume.names(class)))
}

/// Whether a pod on a node uses the claim. A pod without a node cannot start any more.
pub(super) async fn is_used(client: &Client, claim: &ObjectMeta) -> Result<bool, Error> {
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
pub(super) fn is_shut_down(pod: &ObjectMeta) -> bool {
    pod.deletion_timestamp.is_some() && pod.deletion_grace_period_seconds == Some(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
