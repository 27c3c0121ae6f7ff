//! The leases of the other hosts as last seen, and what changed. Pure: upstream's `leaseWatcher` in `subnet/watch.go`.

use std::collections::BTreeMap;

use crate::{lease::Lease, net::Ipv4Net};

/// What etcd told us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// All leases there are.
    Snapshot(Vec<Lease>),
    /// A lease was written.
    Put(Lease),
    /// A lease is gone.
    Delete(Ipv4Net),
}

/// What has to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Make `new` reachable. `old` is what stood there before and has to be replaced.
    Added {
        /// The lease as it was, when there was one.
        old: Option<Lease>,
        /// The lease as it is.
        new: Lease,
    },
    /// Forget the way to this one.
    Removed(Lease),
    /// Our own lease is gone.
    OwnRemoved,
}

/// The other hosts' leases.
#[derive(Debug)]
pub(crate) struct Table {
    own: Ipv4Net,
    leases: BTreeMap<Ipv4Net, Lease>,
}

impl Table {
    /// An empty table of a host that holds `own`.
    pub(crate) fn new(own: Ipv4Net) -> Self {
        Self { own, leases: BTreeMap::new() }
    }

    /// The leases, in order.
    pub(crate) fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.leases.values()
    }

    /// Takes in what was seen and says what to do.
    pub(crate) fn update(&mut self, seen: Seen) -> Vec<Change> {
        match seen {
            Seen::Snapshot(leases) => self.reset(leases),
            Seen::Put(lease) if lease.subnet == self.own => Vec::new(),
            Seen::Put(lease) => self.put(lease).into_iter().collect(),
            Seen::Delete(subnet) if subnet == self.own => vec![Change::OwnRemoved],
            Seen::Delete(subnet) => self.leases.remove(&subnet).map(Change::Removed).into_iter().collect(),
        }
    }

    fn put(&mut self, new: Lease) -> Option<Change> {
        let old = self.leases.insert(new.subnet, new.clone());
        // A renewal changes nothing for us.
        (old.as_ref() != Some(&new)).then_some(Change::Added { old, new })
    }

    fn reset(&mut self, leases: Vec<Lease>) -> Vec<Change> {
        let mut changes = Vec::new();
        if !leases.iter().any(|lease| lease.subnet == self.own) {
            changes.push(Change::OwnRemoved);
        }
        let gone: Vec<Ipv4Net> = self
            .leases
            .keys()
            .copied()
            .filter(|subnet| !leases.iter().any(|l| l.subnet == *subnet))
            .collect();
        // Removals first: a subnet may have been split or moved within the same snapshot.
        changes.extend(gone.iter().filter_map(|subnet| self.leases.remove(subnet)).map(Change::Removed));
        let own = self.own;
        for lease in leases.into_iter().filter(|lease| lease.subnet != own) {
            changes.extend(self.put(lease));
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(third: u8, host: u8) -> Lease {
        let json = format!(r#"{{"PublicIP":"10.213.0.{host}","BackendType":"host-gw"}}"#);
        Lease::parse(format!("/s/10.5.{third}.0-24").as_bytes(), json.as_bytes(), 1).unwrap()
    }

    #[test]
    fn snapshots_are_differences_and_own_lease_is_not_a_peer() {
        let own = lease(1, 1);
        let mut table = Table::new(own.subnet);
        let (a, b) = (lease(2, 2), lease(3, 3));
        let first = table.update(Seen::Snapshot(vec![own.clone(), a.clone(), b.clone()]));
        assert_eq!(first.len(), 2);
        assert!(table.update(Seen::Put(a.clone())).is_empty(), "a renewal changes nothing");
        let moved = lease(2, 9);
        assert_eq!(
            table.update(Seen::Put(moved.clone())),
            [Change::Added { old: Some(a), new: moved.clone() }]
        );
        let c = lease(4, 4);
        assert_eq!(
            table.update(Seen::Snapshot(vec![own.clone(), moved.clone(), c.clone()])),
            [Change::Removed(b), Change::Added { old: None, new: c }]
        );
        assert_eq!(table.update(Seen::Delete(moved.subnet)), [Change::Removed(moved)]);
        assert_eq!(table.update(Seen::Delete(own.subnet)), [Change::OwnRemoved]);
        assert!(table.update(Seen::Snapshot(vec![])).contains(&Change::OwnRemoved));
    }
}
