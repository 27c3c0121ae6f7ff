//! Parsing only what a printer looks at. A pod of 3 KB has some 200 values, its row needs 20.

use std::ops::Range;
use std::sync::LazyLock;

use api::Value;
use api::json::{Malformed, Wanted};

/// What a pod's row is made of.
static POD: LazyLock<Wanted> = LazyLock::new(|| {
    Wanted::of([
        "metadata.creationTimestamp",
        "metadata.deletionTimestamp",
        "metadata.name",
        "spec.containers.name",
        "spec.initContainers.name",
        "spec.initContainers.restartPolicy",
        "spec.nodeName",
        "spec.readinessGates.conditionType",
        "status.conditions.reason",
        "status.conditions.status",
        "status.conditions.type",
        "status.containerStatuses.lastState.terminated.finishedAt",
        "status.containerStatuses.ready",
        "status.containerStatuses.restartCount",
        "status.containerStatuses.state",
        "status.initContainerStatuses.lastState.terminated.finishedAt",
        "status.initContainerStatuses.name",
        "status.initContainerStatuses.ready",
        "status.initContainerStatuses.restartCount",
        "status.initContainerStatuses.started",
        "status.initContainerStatuses.state",
        "status.nominatedNodeName",
        "status.phase",
        "status.podIP",
        "status.podIPs.ip",
        "status.reason",
    ])
});

/// What the other rows are made of. `managedFields` is never shown; elsewhere its name may be a user's: a key of a config
/// map's data.
static ANY: LazyLock<Wanted> = LazyLock::new(|| Wanted::all_but("metadata.managedFields"));

/// Parses what the row of a resource is made of: for pods, of which there are many, nothing else. `managed`: where the
/// managed fields stand, if that is known.
pub(crate) fn parse(json: &[u8], resource: &str, managed: Range<usize>) -> Result<Value, Malformed> {
    let wanted = if resource == "pods" { &POD } else { &ANY };
    wanted.parse_past(json, managed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A config map whose data had such a key was shown with one entry less.
    #[test]
    fn a_users_own_key_is_no_managed_field() {
        let text = br#"{"metadata": {"name": "a", "managedFields": []}, "data": {"managedFields": "1"}}"#;
        let read = parse(text, "configmaps", 0..0).unwrap();
        assert_eq!(read, serde_json::json!({"metadata": {"name": "a"}, "data": {"managedFields": "1"}}));
    }
}
