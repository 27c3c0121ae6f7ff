//! What happens to an object, given what its owners are.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::PropagationPolicy;

/// Holds an owner until its dependents are deleted.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// Holds an owner until its dependents are set free.
pub(super) const ORPHAN: &str = "orphan";

/// What the API server said about an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnerState {
    /// It lives: the object stays.
    Solid,
    /// It does not exist.
    Absent,
    /// It waits for its dependents to be deleted.
    Waiting,
}

/// What to do.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Nothing.
    Keep,
    /// Some owners are gone; these references stay.
    DropReferences(Vec<OwnerReference>),
    /// No owner is left.
    Delete {
        policy: PropagationPolicy,
        /// References that must not block their owners while our own dependents are being deleted: a circle could
        /// never end.
        unblock: Option<Vec<OwnerReference>>,
    },
}

fn has_finalizer(meta: &ObjectMeta, finalizer: &str) -> bool {
    meta.finalizers.iter().flatten().any(|name| name == finalizer)
}

/// Whether an owner is being deleted in the foreground.
pub(super) fn waits_for_dependents(meta: &ObjectMeta) -> bool {
    meta.deletion_timestamp.is_some() && has_finalizer(meta, FOREGROUND)
}

/// Whether an owner is being deleted without its dependents.
pub(super) fn orphans_dependents(meta: &ObjectMeta) -> bool {
    meta.deletion_timestamp.is_some() && has_finalizer(meta, ORPHAN)
}

/// Decides about an object that has owners.
pub(super) fn verdict(
    meta: &ObjectMeta,
    owners: &[(OwnerReference, OwnerState)],
    has_dependents: bool,
) -> Verdict {
    let any = |state| owners.iter().any(|(_, s)| *s == state);
    if any(OwnerState::Solid) {
        if !any(OwnerState::Absent) && !any(OwnerState::Waiting) {
            return Verdict::Keep;
        }
        let solid = owners.iter().filter(|(_, state)| *state == OwnerState::Solid);
        return Verdict::DropReferences(solid.map(|(reference, _)| reference.clone()).collect());
    }
    if any(OwnerState::Waiting) && has_dependents {
        let mut references: Vec<OwnerReference> =
            owners.iter().map(|(reference, _)| reference.clone()).collect();
        references.iter_mut().for_each(|reference| reference.block_owner_deletion = Some(false));
        return Verdict::Delete { policy: PropagationPolicy::Foreground, unblock: Some(references) };
    }
    // Someone asked for a policy before we came.
    let policy = if has_finalizer(meta, ORPHAN) {
        PropagationPolicy::Orphan
    } else if has_finalizer(meta, FOREGROUND) {
        PropagationPolicy::Foreground
    } else {
        PropagationPolicy::Background
    };
    Verdict::Delete { policy, unblock: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(uid: &str, state: OwnerState) -> (OwnerReference, OwnerState) {
        (OwnerReference { uid: uid.into(), block_owner_deletion: Some(true), ..Default::default() }, state)
    }

    #[test]
    fn one_living_owner_keeps_an_object() {
        let meta = ObjectMeta::default();
        assert!(matches!(verdict(&meta, &[owner("a", OwnerState::Solid)], false), Verdict::Keep));
        let mixed = [owner("a", OwnerState::Solid), owner("b", OwnerState::Absent)];
        let Verdict::DropReferences(rest) = verdict(&meta, &mixed, false) else { unreachable!() };
        assert_eq!(rest[0].uid, "a");
    }

    #[test]
    fn without_owners_it_goes_as_asked() {
        let meta = ObjectMeta { finalizers: Some(vec![ORPHAN.into()]), ..Default::default() };
        let absent = [owner("a", OwnerState::Absent)];
        assert!(matches!(
            verdict(&meta, &absent, true),
            Verdict::Delete { policy: PropagationPolicy::Orphan, .. }
        ));
        let waiting = [owner("a", OwnerState::Waiting)];
        let plain = ObjectMeta::default();
        let Verdict::Delete { policy: PropagationPolicy::Foreground, unblock: Some(references) } =
            verdict(&plain, &waiting, true)
        else {
            unreachable!()
        };
        assert_eq!(references[0].block_owner_deletion, Some(false));
        assert!(matches!(
            verdict(&plain, &waiting, false),
            Verdict::Delete { policy: PropagationPolicy::Background, .. }
        ));
    }
}
