//! Who controls what (upstream's `controller_ref_manager.go`).

use client::ErrorExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Client, Error};

use crate::api::{self, Kind};

/// The reference of the controller of an object.
pub fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// Whether the object is controlled by the object with this uid.
pub fn is_controlled_by(meta: &ObjectMeta, uid: Option<&str>) -> bool {
    uid.is_some() && controller_of(meta).map(|owner| owner.uid.as_str()) == uid
}

/// The reference that makes `owner` the controller of what it creates.
pub fn reference<K: Kind>(owner: &K) -> OwnerReference {
    let meta = owner.meta();
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// What a controller does with an object that it may own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is ours and fits.
    Keep,
    /// Nobody's, and it fits: take it.
    Adopt,
    /// It is ours and does not fit any more: let it go.
    Release,
    /// Not our business.
    Ignore,
}

/// Decides about `object` for the controller `owner`; `fits` says whether the selector matches.
pub fn claim(owner: &ObjectMeta, object: &ObjectMeta, fits: bool) -> Claim {
    let ending = owner.deletion_timestamp.is_some();
    match controller_of(object) {
        Some(reference) if Some(&reference.uid) != owner.uid.as_ref() => Claim::Ignore,
        Some(_) if fits => Claim::Keep,
        Some(_) if ending => Claim::Ignore,
        Some(_) => Claim::Release,
        None if ending || !fits || object.deletion_timestamp.is_some() => Claim::Ignore,
        None => Claim::Adopt,
    }
}

/// Claims `candidates` for `owner`: those that are ours afterwards.
pub async fn claim_all<O: Kind, K: Kind>(
    client: &Client,
    owner: &O,
    candidates: Vec<std::sync::Arc<K>>,
    fits: impl Fn(&K) -> bool,
) -> Result<Vec<std::sync::Arc<K>>, Error> {
    let mut ours = Vec::new();
    let mut may_adopt = None;
    for object in candidates {
        match claim(owner.meta(), object.meta(), fits(&object)) {
            Claim::Keep => ours.push(object),
            Claim::Ignore => {}
            Claim::Release => {
                let uid = owner.meta().uid.as_deref().unwrap_or_default();
                api::remove_owners::<K>(client, object.meta(), &[uid]).await?;
            }
            Claim::Adopt => {
                if may_adopt.is_none() {
                    may_adopt = Some(is_alive(client, owner).await?);
                }
                if may_adopt != Some(true) {
                    continue;
                }
                match api::adopt::<K>(client, object.meta(), &reference(owner)).await {
                    Ok(adopted) => ours.push(std::sync::Arc::new(adopted)),
                    Err(err) if err.is_not_found() || err.is_invalid() || err.is_conflict() => {}
                    Err(err) => return Err(err),
                }
            }
        }
    }
    Ok(ours)
}

/// The cache may be late: only an owner that really lives may adopt.
async fn is_alive<O: Kind>(client: &Client, owner: &O) -> Result<bool, Error> {
    let meta = owner.meta();
    let fresh =
        api::get::<O>(client, meta.namespace.as_deref(), meta.name.as_deref().unwrap_or_default()).await?;
    Ok(fresh.is_some_and(|fresh| fresh.meta().uid == meta.uid && fresh.meta().deletion_timestamp.is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims() {
        let owner = ObjectMeta { uid: Some("u".into()), ..Default::default() };
        let owned_by = |uid: &str| ObjectMeta {
            owner_references: Some(vec![OwnerReference {
                uid: uid.into(),
                controller: Some(true),
                ..Default::default()
            }]),
            ..Default::default()
        };
        let now = Some(client::clock::time());
        let ending = ObjectMeta { deletion_timestamp: now.clone(), ..owner.clone() };
        assert_eq!(claim(&owner, &owned_by("u"), true), Claim::Keep);
        assert_eq!(claim(&owner, &owned_by("u"), false), Claim::Release);
        assert_eq!(claim(&ending, &owned_by("u"), false), Claim::Ignore);
        assert_eq!(claim(&owner, &owned_by("v"), true), Claim::Ignore);
        assert_eq!(claim(&owner, &ObjectMeta::default(), true), Claim::Adopt);
        assert_eq!(claim(&ending, &ObjectMeta::default(), true), Claim::Ignore);
        let dying = ObjectMeta { deletion_timestamp: now, ..Default::default() };
        assert_eq!(claim(&owner, &dying, true), Claim::Ignore);
    }
}
