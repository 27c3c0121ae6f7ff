//! An IPv4 network in upstream's spellings (`pkg/ip/ipnet.go`).

use std::{fmt, net::Ipv4Addr, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An address with a prefix length. The address may have host bits: `FLANNEL_SUBNET` is written that way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ipv4Net {
    /// The address.
    pub addr: Ipv4Addr,
    /// How many leading bits belong to the network.
    pub prefix: u8,
}

impl Ipv4Net {
    /// A network from its parts.
    pub fn new(addr: Ipv4Addr, prefix: u8) -> Self {
        Self { addr, prefix: prefix.min(32) }
    }

    /// The netmask as a number.
    pub fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)
    }

    /// The same network without host bits.
    pub fn network(self) -> Self {
        Self { addr: Ipv4Addr::from(u32::from(self.addr) & self.mask()), prefix: self.prefix }
    }

    /// Whether `addr` lies in the network.
    pub fn contains(self, addr: Ipv4Addr) -> bool {
        (u32::from(self.addr) ^ u32::from(addr)) & self.mask() == 0
    }

    /// Whether the two share any address.
    pub fn overlaps(self, other: Self) -> bool {
        let mask = self.mask() & other.mask();
        (u32::from(self.addr) ^ u32::from(other.addr)) & mask == 0
    }

    /// How many addresses it has.
    pub fn size(self) -> u64 {
        1 << (32 - u32::from(self.prefix))
    }

    /// `10.5.34.0-24`, as in the keys of leases.
    pub fn key(self) -> String {
        format!("{}-{}", self.addr, self.prefix)
    }

    /// Reads [`Ipv4Net::key`].
    pub fn from_key(key: &str) -> Option<Self> {
        let (addr, prefix) = key.split_once('-')?;
        Self::parts(addr, prefix)
    }

    fn parts(addr: &str, prefix: &str) -> Option<Self> {
        let prefix: u8 = prefix.parse().ok().filter(|p| *p <= 32)?;
        Some(Self { addr: addr.parse().ok()?, prefix })
    }
}

impl fmt::Display for Ipv4Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix)
    }
}

impl FromStr for Ipv4Net {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_once('/')
            .and_then(|(addr, prefix)| Self::parts(addr, prefix))
            .ok_or_else(|| format!("invalid CIDR address: {text}"))
    }
}

impl<'de> Deserialize<'de> for Ipv4Net {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Ipv4Net {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let net: Ipv4Net = "10.5.0.0/16".parse().unwrap();
        assert!(net.contains(Ipv4Addr::new(10, 5, 255, 1)) && !net.contains(Ipv4Addr::new(10, 6, 0, 0)));
        assert!(
            net.overlaps("10.5.34.0/24".parse().unwrap()) && !net.overlaps("10.6.0.0/24".parse().unwrap())
        );
        assert_eq!(Ipv4Net::from_key("10.5.34.0-24").unwrap().to_string(), "10.5.34.0/24");
        assert_eq!(Ipv4Net::from_key("10.5.34.0-24").unwrap().key(), "10.5.34.0-24");
        assert_eq!(Ipv4Net::from_key("10.5.34.0-33"), None);
        assert!(Ipv4Net::new(Ipv4Addr::UNSPECIFIED, 0).contains(Ipv4Addr::BROADCAST));
    }
}
