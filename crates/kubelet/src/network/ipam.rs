//! Addresses of a subnet, handed out in turn (as CNI's host-local does), so that one just given back is not reused at
//! once.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::subnet::Subnet;

/// The pool.
#[derive(Debug)]
pub struct Ipam {
    subnet: Subnet,
    used: BTreeSet<Ipv4Addr>,
    last: Ipv4Addr,
}

impl Ipam {
    /// A pool with all addresses free but the network's, the gateway's and the broadcast one.
    pub fn new(subnet: Subnet) -> Self {
        Self { subnet, used: BTreeSet::new(), last: subnet.gateway }
    }

    /// The subnet.
    pub fn subnet(&self) -> Subnet {
        self.subnet
    }

    /// Addresses in use.
    pub fn used(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.used.iter().copied()
    }

    /// The next free address behind the last one given out.
    pub fn reserve(&mut self) -> Option<Ipv4Addr> {
        let (first, end) = (u32::from(self.subnet.network()) + 1, u32::from(self.subnet.broadcast()));
        let start = u32::from(self.last) + 1;
        let turn = (start..end).chain(first..start.min(end)).map(Ipv4Addr::from);
        let free = turn.into_iter().find(|a| *a != self.subnet.gateway && !self.used.contains(a))?;
        self.used.insert(free);
        self.last = free;
        Some(free)
    }

    /// Marks an address as used. One outside the subnet is remembered too: it may come back.
    pub fn adopt(&mut self, address: Ipv4Addr) {
        self.used.insert(address);
        if self.subnet.contains(address) {
            self.last = self.last.max(address);
        }
    }

    /// Gives an address back.
    pub fn release(&mut self, address: Ipv4Addr) {
        self.used.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_round() {
        let subnet = Subnet { gateway: Ipv4Addr::new(10, 1, 0, 1), prefix: 29, mtu: 0 };
        let mut ipam = Ipam::new(subnet);
        let last = |a: Option<Ipv4Addr>| a.map(|a| a.octets()[3]);
        assert_eq!((2..=6).map(|_| last(ipam.reserve()).unwrap()).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
        assert_eq!(ipam.reserve(), None);
        ipam.release(Ipv4Addr::new(10, 1, 0, 3));
        ipam.release(Ipv4Addr::new(10, 1, 0, 5));
        assert_eq!(last(ipam.reserve()), Some(3));
        assert_eq!(last(ipam.reserve()), Some(5));
        assert_eq!(ipam.reserve(), None);
    }

    #[test]
    fn adopted_addresses_are_not_given_out() {
        let subnet = Subnet { gateway: Ipv4Addr::new(10, 1, 0, 1), prefix: 24, mtu: 0 };
        let mut ipam = Ipam::new(subnet);
        ipam.adopt(Ipv4Addr::new(10, 1, 0, 2));
        ipam.adopt(Ipv4Addr::new(10, 9, 9, 9));
        assert_eq!(ipam.reserve(), Some(Ipv4Addr::new(10, 1, 0, 3)));
    }
}
