//! Persistent volumes that tie a pod to places (the part of upstream's `volumebinding` that needs no provisioner).

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
}

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

/// Can the node reach the volumes?
pub fn filter(node: &NodeInfo, volumes: &Volumes) -> Result<(), Rejection> {
    if volumes.missing_volume {
        return Err(Rejection::new(
            Plugin::VolumeBinding,
            false,
            "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",
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
