//! Flannel's `/run/flannel/subnet.env`: the node's pod subnet. The file appears when flannel has its lease and may
//! change later.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// A pod subnet: the bridge's address in it, the prefix length and the MTU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// The bridge's address, the first of the subnet.
    pub gateway: Ipv4Addr,
    /// Prefix length.
    pub prefix: u8,
    /// MTU that leaves room for the encapsulation; 0 when unknown.
    pub mtu: u32,
}

impl Subnet {
    /// The mask as a number.
    fn mask(&self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)
    }

    /// The subnet's own address.
    pub fn network(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.gateway) & self.mask())
    }

    /// The last address.
    pub fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.gateway) | !self.mask())
    }

    /// Is `address` inside?
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        u32::from(address) & self.mask() == u32::from(self.network())
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.network(), self.prefix)
    }
}

/// Reads the file's text. Flannel writes `FLANNEL_SUBNET=10.5.34.1/24`, `FLANNEL_MTU=1450`.
pub fn parse(text: &str) -> Option<Subnet> {
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))
            .map(|v| v.trim_matches('"'))
    };
    let (address, prefix) = field("FLANNEL_SUBNET")?.split_once('/')?;
    let prefix: u8 = prefix.parse().ok().filter(|p| (8..=30).contains(p))?;
    let mut subnet = Subnet {
        gateway: address.parse().ok()?,
        prefix,
        mtu: field("FLANNEL_MTU").and_then(|m| m.parse().ok()).unwrap_or(0),
    };
    // Old flannels write the subnet's own address.
    if subnet.gateway == subnet.network() {
        subnet.gateway = Ipv4Addr::from(u32::from(subnet.gateway) + 1);
    }
    Some(subnet)
}

/// Calls `found` with the file's content now and after each change. One `stat` and a read of 100 bytes: quickly while
/// waiting for the file, slowly afterwards (inotify would miss a bind mount that is replaced).
pub async fn watch(file: &Path, stop: CancellationToken, mut found: impl FnMut(Option<Subnet>)) {
    loop {
        let subnet = tokio::fs::read_to_string(file).await.ok().as_deref().and_then(parse);
        found(subnet);
        let pause = if subnet.is_some() { Duration::from_secs(5) } else { Duration::from_millis(200) };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flannels_file_is_read() {
        let text = "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.34.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";
        let subnet = parse(text).unwrap();
        assert_eq!(subnet.to_string(), "10.5.34.0/24");
        assert_eq!(subnet.gateway, Ipv4Addr::new(10, 5, 34, 1));
        assert_eq!(subnet.mtu, 1450);
        assert!(subnet.contains(Ipv4Addr::new(10, 5, 34, 200)));
        assert!(!subnet.contains(Ipv4Addr::new(10, 5, 35, 1)));
        assert_eq!(parse(""), None);
        assert_eq!(parse("FLANNEL_SUBNET=10.5.34.0/24").unwrap().gateway, Ipv4Addr::new(10, 5, 34, 1));
    }
}
