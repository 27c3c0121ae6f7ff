//! Which replica set is the newest, and the numbers and annotations that the history is made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{hash, sizes};
use crate::views::{Deployment, ReplicaSet};

/// The number of a set in the history of its deployment.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
/// Older numbers of the same set.
pub(super) const HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// Asks for a rollback; set by the API server for old clients.
pub(super) const ROLLBACK_TO: &str = "deprecated.deployment.rollback.to";
/// A history that is longer than this loses its oldest numbers.
const HISTORY_LENGTH_MAX: usize = 2000;

/// Annotations that are not copied from a deployment to its sets.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    sizes::DESIRED,
    sizes::MAX,
    ROLLBACK_TO,
];

pub(super) type Annotations = BTreeMap<String, String>;

/// The set with the deployment's template: of several (which should not be) the oldest.
pub(super) fn newest(deployment: &Deployment, sets: &[Arc<ReplicaSet>]) -> Option<Arc<ReplicaSet>> {
    let mut fitting: Vec<_> =
        sets.iter().filter(|set| hash::equal(&set.spec.template, &deployment.spec.template)).collect();
    fitting.sort_by_key(|set| age(set));
    fitting.first().map(|set| Arc::clone(set))
}

/// Sorts by creation, then by name.
pub(super) fn age(set: &ReplicaSet) -> (Option<jiff::Timestamp>, Option<String>) {
    (set.metadata.creation_timestamp.as_ref().map(|time| time.0), set.metadata.name.clone())
}

/// The number of a set, 0 when it has none.
pub(super) fn revision(set: &ReplicaSet) -> i64 {
    set.metadata
        .annotations
        .as_ref()
        .and_then(|a| a.get(REVISION))
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// The highest number.
pub(super) fn highest<'a>(sets: impl IntoIterator<Item = &'a Arc<ReplicaSet>>) -> i64 {
    sets.into_iter().map(|set| revision(set)).max().unwrap_or(0)
}

/// What the newest set's annotations must be; `None` when they are so (upstream's `SetNewReplicaSetAnnotations`).
pub(super) fn annotations(
    deployment: &Deployment,
    current: Option<&ReplicaSet>,
    revision: i64,
) -> Option<Annotations> {
    let before = current.and_then(|set| set.metadata.annotations.clone()).unwrap_or_default();
    let mut after = before.clone();
    for (key, value) in deployment.metadata.annotations.iter().flatten() {
        if !NOT_COPIED.contains(&key.as_str()) {
            after.insert(key.clone(), value.clone());
        }
    }
    let old = before.get(REVISION).and_then(|text| text.parse::<i64>().ok());
    if old.is_none_or(|old| old < revision) {
        after.insert(REVISION.into(), revision.to_string());
        if let Some(old) = old {
            let history = before.get(HISTORY).map(String::as_str).unwrap_or_default();
            after.insert(HISTORY.into(), append(history, old));
        }
    }
    if current.is_none() {
        let wanted = sizes::wanted(deployment);
        after.insert(sizes::DESIRED.into(), wanted.to_string());
        after.insert(sizes::MAX.into(), (wanted + sizes::fenceposts(deployment).0).to_string());
    }
    (after != before).then_some(after)
}

fn append(history: &str, revision: i64) -> String {
    if history.is_empty() {
        return revision.to_string();
    }
    let mut text = format!("{history},{revision}");
    while text.len() > HISTORY_LENGTH_MAX {
        match text.split_once(',') {
            Some((_, rest)) => text = rest.to_owned(),
            None => break,
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_reused_set_gets_a_new_number_and_remembers_the_old_one() {
        let deployment: Deployment = serde_json::from_value(json!({
            "metadata": {"annotations": {"note": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}"}},
            "spec": {"replicas": 2},
        }))
        .unwrap();
        let fresh = annotations(&deployment, None, 1).unwrap();
        assert_eq!(
            (fresh[REVISION].as_str(), fresh["note"].as_str(), fresh[sizes::DESIRED].as_str()),
            ("1", "x", "2")
        );
        assert!(!fresh.contains_key(NOT_COPIED[0]));
        let mut set = ReplicaSet::default();
        set.metadata.annotations = Some(fresh);
        assert!(annotations(&deployment, Some(&set), 1).is_none());
        let again = annotations(&deployment, Some(&set), 3).unwrap();
        assert_eq!((again[REVISION].as_str(), again[HISTORY].as_str()), ("3", "1"));
    }
}
