//! Fields of features that are off in upstream 1.36: its strategies drop them (`dropDisabledFields`). Nothing is ever
//! stored with them, so that "unless the old object has it" does not arise.

use super::Hook;
use super::object::child;
use crate::Object;

/// The function of a type, by group and name.
pub(super) fn hook(group: &str, kind: &str) -> Option<Hook> {
    Some(match (group, kind) {
        // ContainerStopSignals
        ("core", "Container" | "EphemeralContainer") => stop_signal,
        // GenericWorkload
        ("core", "PodSpec") => |o| drop(o.remove("schedulingGroup")),
        // ClusterTrustBundleProjection, PodCertificateRequest
        ("core", "VolumeProjection") => |o| {
            o.remove("clusterTrustBundle");
            o.remove("podCertificate");
        },
        // MaxUnavailableStatefulSet
        ("apps", "RollingUpdateStatefulSetStrategy") => |o| drop(o.remove("maxUnavailable")),
        // CoordinatedLeaderElection
        ("coordination", "LeaseSpec") => |o| {
            o.remove("strategy");
            o.remove("preferredHolder");
        },
        // VolumeLimitScaling
        ("storage", "CSIDriverSpec") => |o| drop(o.remove("preventPodSchedulingIfMissing")),
        // DRAListTypeAttributes
        ("resource", "DeviceAttribute") => |o| {
            for list in ["bools", "ints", "strings", "versions"] {
                o.remove(list);
            }
        },
        // DRANodeAllocatableResources
        ("resource", "Device") => |o| drop(o.remove("nodeAllocatableResourceMappings")),
        _ => return None,
    })
}

fn stop_signal(o: &mut Object) {
    let Some(lifecycle) = child(o, "lifecycle") else { return };
    if lifecycle.remove("stopSignal").is_some() && lifecycle.is_empty() {
        o.remove("lifecycle");
    }
}
