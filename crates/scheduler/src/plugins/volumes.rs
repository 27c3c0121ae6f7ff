//! Persistent volumes that tie a pod to places, and claims whose volume is made when the place is known (upstream's
//! `volumebinding`, without the matching of volumes that were made by hand for late binding).

use k8s_openapi::api::core::v1::NodeSelector;

use super::{Plugin, Rejection};
use crate::{
    cluster::{Cluster, NodeInfo},
    pod::PodInfo,
    selector::node_matches,
};

/// Where the pod's volumes can be used.
#[derive(Debug, Default)]
pub struct Volumes {
    places: Vec<NodeSelector>,
    missing_volume: bool,
    no_provisioner: bool,
}

/// A class whose volumes are made by hand.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// Looks up the pod's claims, or says what is missing.
pub fn pre_filter(pod: &PodInfo, cluster: &Cluster) -> Result<Volumes, String> {
    let mut found = Volumes::default();
    for volume in &pod.pod.spec.volumes {
        let name = match (&volume.persistent_volume_claim, &volume.ephemeral) {
            (Some(source), _) => source.claim_name.clone(),
            (None, Some(_)) => {
                format!("{}-{}", pod.pod.metadata.name.as_deref().unwrap_or_default(), volume.name)
            }
            (None, None) => continue,
        };
        let Some(claim) = cluster.claims.get(&format!("{}/{name}", pod.namespace())) else {
            return Err(format!("persistentvolumeclaim \"{name}\" not found"));
        };
        if claim.metadata.deletion_timestamp.is_some() {
            return Err(format!("persistentvolumeclaim \"{name}\" is being deleted"));
        }
        if claim.spec.volume_name.is_empty() {
            let class = claim.spec.storage_class_name.as_ref().and_then(|class| cluster.classes.get(class));
            let waits =
                class.is_some_and(|c| c.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"));
            if !waits {
                return Err("pod has unbound immediate PersistentVolumeClaims".into());
            }
            found.no_provisioner |= class.is_some_and(|class| class.provisioner == NO_PROVISIONER);
            continue;
        }
        match cluster.volumes.get(&claim.spec.volume_name) {
            Some(volume) => {
                found.places.extend(volume.spec.node_affinity.clone().and_then(|affinity| affinity.required));
            }
            None => found.missing_volume = true,
        }
    }
    Ok(found)
}

/// The names of the pod's claims.
fn claims(pod: &PodInfo) -> impl Iterator<Item = String> {
    let own = pod.pod.metadata.name.as_deref().unwrap_or_default();
    pod.pod.spec.volumes.iter().filter_map(move |volume| {
        match (&volume.persistent_volume_claim, &volume.ephemeral) {
            (Some(source), _) => Some(source.claim_name.clone()),
            (None, Some(_)) => Some(format!("{own}-{}", volume.name)),
            (None, None) => None,
        }
    })
}

/// The pod's claims that still have no volume: it may not start before they have.
pub fn unbound(pod: &PodInfo, cluster: &Cluster) -> Vec<String> {
    let bound = |name: &String| {
        let claim = cluster.claims.get(&format!("{}/{name}", pod.namespace()));
        claim.is_some_and(|claim| !claim.spec.volume_name.is_empty())
    };
    claims(pod).filter(|name| !bound(name)).collect()
}

/// Can the node reach the volumes?
pub fn filter(node: &NodeInfo, volumes: &Volumes) -> Result<(), Rejection> {
    if volumes.missing_volume {
        return Err(Rejection::new(
            Plugin::VolumeBinding,
            false,
            "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",
        ));
    }
    if volumes.no_provisioner {
        return Err(Rejection::new(
            Plugin::VolumeBinding,
            false,
            "node(s) didn't find available persistent volumes to bind",
        ));
    }
    if !volumes.places.iter().all(|place| node_matches(place, &node.name, &node.labels)) {
        return Err(Rejection::new(
            Plugin::VolumeBinding,
            false,
            "node(s) didn't match PersistentVolume's node affinity",
        ));
    }
    Ok(())
}
