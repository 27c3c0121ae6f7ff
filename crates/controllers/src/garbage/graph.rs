//! Owners and dependents of all objects, by uid (upstream's `graph.go` and `graph_builder.go`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use client::ObjectKey;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::decide;

/// The identity of an object through its life.
pub(super) type Uid = Arc<str>;

/// Where to find an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) group: Arc<str>,
    pub(super) kind: Arc<str>,
    pub(super) key: ObjectKey,
    pub(super) uid: Uid,
}

/// What has to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Suspect {
    /// The object may have to be deleted, or to give up a finalizer.
    Delete(Uid),
    /// The object's dependents must be set free.
    Orphan(Uid),
}

struct Node {
    identity: Identity,
    /// Uid and whether we block the owner's deletion.
    owners: Vec<(Uid, bool)>,
    dependents: HashSet<Uid>,
    deleting_dependents: bool,
    /// Only known from references; not seen by a watch.
    rumoured: bool,
}

/// The graph.
#[derive(Default)]
pub(super) struct Graph {
    nodes: HashMap<Uid, Node>,
}

impl Graph {
    /// A node's identity, and whether it is being deleted in the foreground.
    pub(super) fn node(&self, uid: &Uid) -> Option<(Identity, bool)> {
        self.nodes.get(uid).map(|node| (node.identity.clone(), node.deleting_dependents))
    }

    /// Those who name this object as an owner.
    pub(super) fn dependents(&self, uid: &Uid) -> Vec<Uid> {
        self.nodes.get(uid).map(|node| node.dependents.iter().cloned().collect()).unwrap_or_default()
    }

    /// Those of them that block its deletion.
    pub(super) fn blocking_dependents(&self, uid: &Uid) -> Vec<Uid> {
        let blocks = |dependent: &Uid| {
            self.nodes
                .get(dependent)
                .is_some_and(|node| node.owners.iter().any(|(owner, blocks)| owner == uid && *blocks))
        };
        self.dependents(uid).into_iter().filter(blocks).collect()
    }

    /// A watch shows an object as it is. `identify` finds out where an owner would be.
    pub(super) fn observed(
        &mut self,
        identity: Identity,
        meta: &ObjectMeta,
        identify: impl Fn(&OwnerReference) -> Identity,
    ) -> Vec<Suspect> {
        let mut suspects = Vec::new();
        let uid = identity.uid.clone();
        let references = meta.owner_references.as_deref().unwrap_or_default();
        let owners: Vec<(Uid, bool)> = references
            .iter()
            .map(|reference| {
                (Uid::from(reference.uid.as_str()), reference.block_owner_deletion == Some(true))
            })
            .collect();
        let node = self.nodes.entry(uid.clone()).or_insert_with(|| Node {
            identity: identity.clone(),
            owners: Vec::new(),
            dependents: HashSet::new(),
            deleting_dependents: false,
            rumoured: false,
        });
        if node.rumoured && node.identity != identity {
            // References described it wrongly; those who did so must be looked at.
            suspects.extend(node.dependents.iter().cloned().map(Suspect::Delete));
        }
        node.rumoured = false;
        node.identity = identity;
        let before = std::mem::replace(&mut node.owners, owners.clone());
        let waits = decide::waits_for_dependents(meta);
        if waits {
            suspects.extend(node.dependents.iter().cloned().map(Suspect::Delete));
            suspects.push(Suspect::Delete(uid.clone()));
        }
        node.deleting_dependents = waits;
        if decide::orphans_dependents(meta) {
            suspects.push(Suspect::Orphan(uid.clone()));
        }
        for reference in references {
            let owner = Uid::from(reference.uid.as_str());
            if before.iter().any(|(known, _)| *known == owner) {
                continue;
            }
            let node = self.nodes.entry(owner.clone()).or_insert_with(|| {
                // Nobody has seen this owner yet: find out whether it exists.
                suspects.push(Suspect::Delete(owner.clone()));
                Node {
                    identity: identify(reference),
                    owners: Vec::new(),
                    dependents: HashSet::new(),
                    deleting_dependents: false,
                    rumoured: true,
                }
            });
            node.dependents.insert(uid.clone());
            if node.deleting_dependents || !node.rumoured && !same_place(&node.identity, &identify(reference))
            {
                suspects.push(Suspect::Delete(uid.clone()));
            }
        }
        for (owner, blocked) in before {
            let now = owners.iter().find(|(uid, _)| *uid == owner);
            let Some(node) = self.nodes.get_mut(&owner) else { continue };
            if now.is_none() {
                node.dependents.remove(&uid);
            }
            let unblocked = blocked && now.is_none_or(|(_, blocks)| !blocks);
            if unblocked && node.deleting_dependents {
                suspects.push(Suspect::Delete(owner.clone()));
            }
            if now.is_none() && node.rumoured && node.dependents.is_empty() {
                self.nodes.remove(&owner);
            }
        }
        suspects
    }

    /// An object is gone.
    pub(super) fn removed(&mut self, uid: &Uid) -> Vec<Suspect> {
        let Some(node) = self.nodes.remove(uid) else { return Vec::new() };
        let mut suspects: Vec<Suspect> = node.dependents.into_iter().map(Suspect::Delete).collect();
        for (owner, _) in node.owners {
            let Some(parent) = self.nodes.get_mut(&owner) else { continue };
            parent.dependents.remove(uid);
            if parent.deleting_dependents {
                suspects.push(Suspect::Delete(owner.clone()));
            }
            if parent.rumoured && parent.dependents.is_empty() {
                self.nodes.remove(&owner);
            }
        }
        suspects
    }
}

/// An owner must be where its dependents say: another kind, name or namespace is another object.
fn same_place(a: &Identity, b: &Identity) -> bool {
    a.group == b.group && a.kind == b.kind && a.key == b.key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(kind: &str, name: &str) -> Identity {
        Identity { group: "".into(), kind: kind.into(), key: ObjectKey::new("d", name), uid: name.into() }
    }

    fn observe(
        graph: &mut Graph,
        name: &str,
        owners: &[&str],
        edit: impl Fn(&mut ObjectMeta),
    ) -> Vec<Suspect> {
        let reference = |owner: &&str| OwnerReference {
            kind: "K".into(),
            name: (*owner).into(),
            uid: (*owner).into(),
            block_owner_deletion: Some(true),
            ..Default::default()
        };
        let mut meta = ObjectMeta {
            owner_references: Some(owners.iter().map(reference).collect()),
            ..Default::default()
        };
        edit(&mut meta);
        graph.observed(identity("K", name), &meta, |reference| identity("K", &reference.name))
    }

    fn delete(name: &str) -> Suspect {
        Suspect::Delete(name.into())
    }

    fn foreground(meta: &mut ObjectMeta) {
        meta.deletion_timestamp = Some(client::clock::time());
        meta.finalizers = Some(vec![decide::FOREGROUND.into()]);
    }

    #[test]
    fn dependents_of_a_deleted_owner_are_suspects() {
        let mut graph = Graph::default();
        assert!(observe(&mut graph, "owner", &[], |_| {}).is_empty());
        assert!(observe(&mut graph, "pod", &["owner"], |_| {}).is_empty());
        assert_eq!(graph.removed(&"owner".into()), [delete("pod")]);
        assert!(graph.removed(&"owner".into()).is_empty());
    }

    #[test]
    fn an_owner_that_nobody_saw_is_looked_for() {
        let mut graph = Graph::default();
        assert_eq!(observe(&mut graph, "pod", &["ghost"], |_| {}), [delete("ghost")]);
        // The API server does not know it.
        assert_eq!(graph.removed(&"ghost".into()), [delete("pod")]);
    }

    #[test]
    fn foreground_deletion_waits_for_blocking_dependents() {
        let mut graph = Graph::default();
        observe(&mut graph, "owner", &[], |_| {});
        observe(&mut graph, "pod", &["owner"], |_| {});
        assert_eq!(observe(&mut graph, "owner", &[], foreground), [delete("pod"), delete("owner")]);
        assert_eq!(graph.blocking_dependents(&"owner".into()), ["pod".into()]);
        assert_eq!(graph.removed(&"pod".into()), [delete("owner")]);
        assert!(graph.blocking_dependents(&"owner".into()).is_empty());
    }

    #[test]
    fn references_that_go_unblock_the_owner() {
        let mut graph = Graph::default();
        observe(&mut graph, "owner", &[], foreground);
        assert_eq!(observe(&mut graph, "pod", &["owner"], |_| {}), [delete("pod")]);
        assert_eq!(observe(&mut graph, "pod", &[], |_| {}), [delete("owner")]);
        assert!(graph.dependents(&"owner".into()).is_empty());
    }

    #[test]
    fn orphaning_is_noticed() {
        let mut graph = Graph::default();
        let orphan = |meta: &mut ObjectMeta| {
            meta.deletion_timestamp = Some(client::clock::time());
            meta.finalizers = Some(vec![decide::ORPHAN.into()]);
        };
        assert_eq!(observe(&mut graph, "owner", &[], orphan), [Suspect::Orphan("owner".into())]);
    }
}
