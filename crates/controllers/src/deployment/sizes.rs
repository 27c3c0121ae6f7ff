//! How many replicas each replica set gets (upstream's `rolling.go`, `sync.go` and `deployment_util.go`).

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::views::{Deployment, ReplicaSet};

/// Replicas that the deployment wanted when the set was last scaled.
pub(crate) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
/// That with the surge.
pub(crate) const MAX: &str = "deployment.kubernetes.io/max-replicas";

/// Replicas that a deployment wants.
pub(crate) fn wanted(deployment: &Deployment) -> i32 {
    deployment.spec.replicas.unwrap_or(1)
}

/// Replicas that a set shall have.
pub(crate) fn size(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

/// Available pods of a set.
pub(crate) fn available(set: &ReplicaSet) -> i32 {
    set.status.available_replicas.unwrap_or(0)
}

/// Whether pods are replaced step by step.
pub(crate) fn is_rolling(deployment: &Deployment) -> bool {
    deployment.spec.strategy.type_.as_deref() != Some("Recreate")
}

/// A number from an annotation of a set.
pub(crate) fn annotated(set: &ReplicaSet, name: &str) -> Option<i32> {
    set.metadata.annotations.as_ref()?.get(name)?.parse().ok()
}

/// A number or a percentage of `total`.
pub(crate) fn scaled(value: Option<&IntOrString>, total: i32, round_up: bool) -> Option<i32> {
    match value? {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(text) => {
            let percent: i64 = text.strip_suffix('%')?.parse().ok()?;
            let product = percent * i64::from(total);
            Some(if round_up { (product + 99).div_euclid(100) } else { product.div_euclid(100) } as i32)
        }
    }
}

/// Surge and unavailability in pods. Not both are zero, else nothing could move.
pub(crate) fn fenceposts(deployment: &Deployment) -> (i32, i32) {
    if !is_rolling(deployment) {
        return (0, 0);
    }
    let wanted = wanted(deployment);
    let rolling = deployment.spec.strategy.rolling_update.as_ref();
    let surge = scaled(rolling.and_then(|rolling| rolling.max_surge.as_ref()), wanted, true).unwrap_or(0);
    let unavailable =
        scaled(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), wanted, false).unwrap_or(0);
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

/// Pods that may be missing while rolling.
pub(crate) fn max_unavailable(deployment: &Deployment) -> i32 {
    let wanted = wanted(deployment);
    if !is_rolling(deployment) || wanted == 0 {
        return 0;
    }
    fenceposts(deployment).1.min(wanted)
}

/// The size for the newest set, the others being as they are.
pub(crate) fn new_size(deployment: &Deployment, newest: i32, all: i32) -> i32 {
    let wanted = wanted(deployment);
    if !is_rolling(deployment) {
        return wanted;
    }
    let limit = wanted + fenceposts(deployment).0;
    if all >= limit {
        return newest;
    }
    newest + (limit - all).min(wanted - newest)
}

/// The next sizes of old sets while rolling; `old` are the active ones, oldest first. First pods that are not available
/// go, then as many of the others as the new set's pods allow.
pub(crate) fn shrink_old(
    deployment: &Deployment,
    old: &[&ReplicaSet],
    newest: Option<&ReplicaSet>,
) -> Vec<i32> {
    let mut sizes: Vec<i32> = old.iter().map(|set| size(set)).collect();
    let old_total: i32 = sizes.iter().sum();
    if old_total == 0 {
        return sizes;
    }
    let new_size = newest.map_or(0, size);
    let new_available = newest.map_or(0, available);
    let min_available = wanted(deployment) - max_unavailable(deployment);
    let may_go = old_total + new_size - min_available - (new_size - new_available);
    if may_go <= 0 {
        return sizes;
    }
    let mut gone = 0;
    for (at, set) in old.iter().enumerate() {
        if gone >= may_go {
            break;
        }
        let unhealthy = (sizes[at] - available(set)).max(0).min(may_go - gone);
        gone += unhealthy;
        sizes[at] -= unhealthy;
    }
    let available_now: i32 = new_available + old.iter().map(|set| available(set)).sum::<i32>();
    let mut left = available_now - min_available;
    for size in &mut sizes {
        if left <= 0 {
            break;
        }
        let step = (*size).min(left);
        left -= step;
        *size -= step;
    }
    sizes
}

/// Sizes that share a change of the deployment's replicas among its active sets in proportion, while a rollout is under
/// way (upstream's proportional scaling). `sets` are the active ones.
pub(crate) fn proportional(deployment: &Deployment, sets: &[&ReplicaSet]) -> Vec<i32> {
    let wanted = wanted(deployment);
    let allowed = if wanted > 0 { wanted + fenceposts(deployment).0 } else { 0 };
    let total: i32 = sets.iter().map(|set| size(set)).sum();
    let to_add = allowed - total;
    let mut sizes: Vec<i32> = sets.iter().map(|set| size(set)).collect();
    // Bigger sets take first; of equals the newer when growing, the older when shrinking.
    let mut order: Vec<usize> = (0..sets.len()).collect();
    order.sort_by(|a, b| {
        let (a, b) = (sets[*a], sets[*b]);
        let created = a.metadata.creation_timestamp.cmp(&b.metadata.creation_timestamp);
        size(b).cmp(&size(a)).then(if to_add > 0 { created.reverse() } else { created })
    });
    let mut added = 0;
    for at in &order {
        let set = sets[*at];
        if to_add == 0 || size(set) == 0 || to_add == added {
            continue;
        }
        let fraction = fraction(deployment, set);
        let left = to_add - added;
        let part = if to_add > 0 { fraction.min(left) } else { fraction.max(left) };
        sizes[*at] += part;
        added += part;
    }
    if let Some(first) = order.first().filter(|_| to_add != 0) {
        sizes[*first] = (sizes[*first] + to_add - added).max(0);
    }
    sizes
}

fn fraction(deployment: &Deployment, set: &ReplicaSet) -> i32 {
    if wanted(deployment) == 0 {
        return -size(set);
    }
    let limit = f64::from(wanted(deployment) + fenceposts(deployment).0);
    let before =
        annotated(set, MAX).filter(|max| *max > 0).unwrap_or_else(|| deployment.status.replicas.unwrap_or(0));
    if before == 0 {
        return 0;
    }
    (f64::from(size(set)) * limit / f64::from(before)).round() as i32 - size(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(replicas: i32, surge: &str, unavailable: &str) -> Deployment {
        let number = |text: &str| text.parse::<i32>().map_or(json!(text), |n| json!(n));
        serde_json::from_value(json!({"spec": {"replicas": replicas, "strategy": {"type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": number(surge), "maxUnavailable": number(unavailable)}}}}))
        .unwrap()
    }

    fn set(replicas: i32, available: i32, max: i32) -> ReplicaSet {
        serde_json::from_value(json!({"metadata": {"annotations": {MAX: max.to_string()}},
            "spec": {"replicas": replicas}, "status": {"availableReplicas": available}}))
        .unwrap()
    }

    #[test]
    fn percentages_round_surge_up_and_unavailability_down() {
        assert_eq!(fenceposts(&deployment(10, "25%", "25%")), (3, 2));
        assert_eq!(fenceposts(&deployment(1, "25%", "25%")), (1, 0));
        assert_eq!(fenceposts(&deployment(3, "0", "0")), (0, 1));
    }

    #[test]
    fn the_new_set_grows_within_the_surge() {
        assert_eq!(new_size(&deployment(10, "2", "0"), 0, 10), 2);
        assert_eq!(new_size(&deployment(10, "2", "0"), 2, 12), 2);
        assert_eq!(new_size(&deployment(10, "100%", "0"), 0, 10), 10);
    }

    #[test]
    fn old_sets_shrink_as_far_as_availability_allows() {
        let d = deployment(10, "0", "2");
        assert_eq!(shrink_old(&d, &[&set(10, 10, 10)], Some(&set(0, 0, 10))), [8]);
        // Unavailable old pods go first and cost nothing.
        assert_eq!(shrink_old(&d, &[&set(8, 6, 10)], Some(&set(2, 0, 10))), [8]);
        assert_eq!(shrink_old(&d, &[&set(8, 6, 10)], Some(&set(2, 2, 10))), [6]);
        assert_eq!(shrink_old(&d, &[&set(1, 0, 10), &set(8, 8, 10)], Some(&set(2, 1, 10))), [0, 7]);
        assert_eq!(shrink_old(&deployment(1, "1", "0"), &[&set(1, 1, 2)], Some(&set(1, 0, 2))), [1]);
        assert_eq!(shrink_old(&deployment(1, "1", "0"), &[&set(1, 1, 2)], Some(&set(1, 1, 2))), [0]);
    }

    #[test]
    fn scaling_during_a_rollout_is_proportional() {
        let (a, b) = (set(5, 5, 11), set(6, 0, 11));
        let sizes = proportional(&deployment(20, "1", "0"), &[&a, &b]);
        assert_eq!(sizes.iter().sum::<i32>(), 21);
        assert_eq!(sizes, [10, 11]);
        assert_eq!(proportional(&deployment(0, "1", "0"), &[&a, &b]), [0, 0]);
    }
}
