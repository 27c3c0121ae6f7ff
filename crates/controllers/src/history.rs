//! Controller revisions: the templates that daemon sets and stateful sets had (upstream's `pkg/controller/history`).

use std::sync::Arc;

use client::{ErrorExt, Store};
use kube::{Client, Error};
use serde_json::{Value, json};

use crate::api::{self, Kind};
use crate::deployment::hash;
use crate::labels::Labels;
use crate::views::ControllerRevision;
use crate::{owners, replicaset};

/// The revision that a pod was made from.
pub const LABEL: &str = "controller-revision-hash";

/// The revisions of one owner, oldest first.
pub fn of<O: Kind>(store: &Store<ControllerRevision>, owner: &O) -> Vec<Arc<ControllerRevision>> {
    let namespace = owner.meta().namespace.as_deref().unwrap_or_default();
    let mut revisions = store.in_namespace(namespace);
    revisions.retain(|revision| owners::is_controlled_by(&revision.metadata, owner.meta().uid.as_deref()));
    revisions.sort_by_key(|revision| {
        (revision.revision, revision.metadata.creation_timestamp.as_ref().map(|time| time.0))
    });
    revisions
}

/// The part of the owner's spec that a revision keeps, as the patch that brings it back.
pub fn data(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(map) = template.as_object_mut() {
        map.insert("$patch".into(), "replace".into());
    }
    json!({ "spec": { "template": template } })
}

/// The template that a revision keeps.
pub fn template(revision: &ControllerRevision) -> Value {
    let mut template = revision.data.pointer("/spec/template").cloned().unwrap_or_default();
    if let Some(map) = template.as_object_mut() {
        map.remove("$patch");
    }
    template
}

/// What [`ensure`] found or made.
pub enum Ensured {
    /// The revision of the present template, the newest of all.
    Current(Arc<ControllerRevision>),
    /// Another template has the same hash: count a collision and try again.
    Collision,
}

/// Finds the revision of `template`, or makes it. `extra` labels go on new ones.
pub async fn ensure<O: Kind>(
    client: &Client,
    owner: &O,
    template_now: &Value,
    revisions: &[Arc<ControllerRevision>],
    collisions: i32,
    extra: &Labels,
) -> Result<Ensured, Error> {
    let next = revisions.last().map_or(1, |revision| revision.revision + 1);
    let known = revisions.iter().rev().find(|revision| hash::equal(&template(revision), template_now));
    if let Some(known) = known {
        if known.revision + 1 == next {
            return Ok(Ensured::Current(known.clone()));
        }
        // An old template came back: it is the newest now.
        let moved =
            api::patch::<ControllerRevision>(client, &known.metadata, json!({ "revision": next })).await?;
        return Ok(Ensured::Current(Arc::new(moved)));
    }
    let meta = owner.meta();
    let hash = hash::of(template_now, collisions);
    let name = format!("{}-{hash}", meta.name.as_deref().unwrap_or_default());
    let mut labels = replicaset::template_labels(template_now);
    labels.extend(extra.clone());
    labels.insert(LABEL.into(), hash);
    let object = json!({
        "metadata": {
            "name": name, "namespace": meta.namespace, "labels": labels, "annotations": meta.annotations,
            "ownerReferences": [owners::reference(owner)],
        },
        "data": data(template_now),
        "revision": next,
    });
    match api::create::<ControllerRevision>(client, meta.namespace.as_deref(), object).await {
        Ok(made) => Ok(Ensured::Current(Arc::new(made))),
        Err(err) if err.is_already_exists() => {
            let existing = api::get::<ControllerRevision>(client, meta.namespace.as_deref(), &name).await?;
            match existing {
                Some(existing)
                    if owners::is_controlled_by(&existing.metadata, meta.uid.as_deref())
                        && hash::equal(&template(&existing), template_now) =>
                {
                    Ok(Ensured::Current(Arc::new(existing)))
                }
                _ => Ok(Ensured::Collision),
            }
        }
        Err(err) => Err(err),
    }
}

/// Deletes the oldest revisions that nothing uses, so that `limit` of those stay.
pub async fn prune(
    client: &Client,
    revisions: &[Arc<ControllerRevision>],
    in_use: impl Fn(&ControllerRevision) -> bool,
    limit: i32,
) -> Result<(), Error> {
    let unused: Vec<_> = revisions.iter().filter(|revision| !in_use(revision)).collect();
    let excess = unused.len().saturating_sub(limit.max(0) as usize);
    for revision in &unused[..excess] {
        api::delete::<ControllerRevision>(client, &revision.metadata).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_survives_its_revision() {
        let original = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}});
        let revision = ControllerRevision { data: data(&original), ..Default::default() };
        assert_eq!(template(&revision), original);
        assert_eq!(revision.data["spec"]["template"]["$patch"], "replace");
    }
}
