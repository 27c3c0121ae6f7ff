//! Names that people grep for: chains, their hashes, the kernel's chains that jump to ours.

use sha2::{Digest, Sha256};

/// Services: addresses and ports that lead to a service.
pub(crate) const SERVICES: &str = "KUBE-SERVICES";
/// Addresses from outside that lead nowhere.
pub(crate) const EXTERNAL_SERVICES: &str = "KUBE-EXTERNAL-SERVICES";
/// Ports of every node.
pub(crate) const NODE_PORTS: &str = "KUBE-NODEPORTS";
/// What leaves with our mark is masqueraded.
pub(crate) const POSTROUTING: &str = "KUBE-POSTROUTING";
/// Sets that mark.
pub(crate) const MARK_MASQ: &str = "KUBE-MARK-MASQ";
/// Sets the mark of packets to drop (v1.10's; others may still jump here).
pub(crate) const MARK_DROP: &str = "KUBE-MARK-DROP";
/// Lets marked traffic through a closed FORWARD chain.
pub(crate) const FORWARD: &str = "KUBE-FORWARD";
/// Drops what a load balancer's source ranges exclude.
pub(crate) const PROXY_FIREWALL: &str = "KUBE-PROXY-FIREWALL";
/// Drops what must not come in.
pub(crate) const FIREWALL: &str = "KUBE-FIREWALL";
/// Gone when somebody flushed the tables.
pub(crate) const CANARY: &str = "KUBE-PROXY-CANARY";

/// The fixed chains of the filter table, and of the nat table.
pub(crate) const FILTER_CHAINS: [&str; 6] =
    [SERVICES, EXTERNAL_SERVICES, FORWARD, NODE_PORTS, PROXY_FIREWALL, FIREWALL];
/// The fixed chains of the nat table.
pub(crate) const NAT_CHAINS: [&str; 5] = [SERVICES, NODE_PORTS, POSTROUTING, MARK_MASQ, MARK_DROP];

/// Prefixes of the chains that belong to one service port each.
const SERVICE_PREFIXES: [&str; 5] = ["KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-"];

/// A rule in one of the kernel's chains that leads to ours.
pub(crate) struct Jump {
    pub(crate) table: &'static str,
    pub(crate) parent: &'static str,
    pub(crate) chain: &'static str,
    pub(crate) matching: &'static str,
    pub(crate) comment: &'static str,
}

const fn jump(
    table: &'static str,
    parent: &'static str,
    chain: &'static str,
    comment: &'static str,
    matching: &'static str,
) -> Jump {
    Jump { table, parent, chain, matching, comment }
}

const NEW: &str = "-m conntrack --ctstate NEW";

/// Upstream's `iptablesJumpChains` and `iptablesKubeletJumpChains`, parent by parent.
pub(crate) const JUMPS: [Jump; 14] = [
    jump("filter", "INPUT", EXTERNAL_SERVICES, "kubernetes externally-visible service portals", NEW),
    jump("filter", "INPUT", NODE_PORTS, "kubernetes health check service ports", ""),
    jump("filter", "INPUT", PROXY_FIREWALL, "kubernetes load balancer firewall", NEW),
    jump("filter", "INPUT", FIREWALL, "", ""),
    jump("filter", "FORWARD", EXTERNAL_SERVICES, "kubernetes externally-visible service portals", NEW),
    jump("filter", "FORWARD", SERVICES, "kubernetes service portals", NEW),
    jump("filter", "FORWARD", FORWARD, "kubernetes forwarding rules", ""),
    jump("filter", "FORWARD", PROXY_FIREWALL, "kubernetes load balancer firewall", NEW),
    jump("filter", "OUTPUT", SERVICES, "kubernetes service portals", NEW),
    jump("filter", "OUTPUT", PROXY_FIREWALL, "kubernetes load balancer firewall", NEW),
    jump("filter", "OUTPUT", FIREWALL, "", ""),
    jump("nat", "OUTPUT", SERVICES, "kubernetes service portals", ""),
    jump("nat", "PREROUTING", SERVICES, "kubernetes service portals", ""),
    jump("nat", "POSTROUTING", POSTROUTING, "kubernetes postrouting rules", ""),
];

impl Jump {
    /// The rule without chain and verb.
    pub(crate) fn rule(&self) -> String {
        let mut rule = self.matching.to_owned();
        if !self.comment.is_empty() {
            rule.push_str(&format!(" -m comment --comment \"{}\"", self.comment));
        }
        format!("{} -j {}", rule.trim_start(), self.chain).trim_start().to_owned()
    }
}

/// Whether a chain belongs to a service port.
pub(crate) fn is_service_chain(chain: &str) -> bool {
    SERVICE_PREFIXES.iter().any(|prefix| chain.starts_with(prefix))
}

/// The chains of one service port.
pub(crate) struct Names {
    /// Endpoints anywhere.
    pub(crate) cluster: String,
    /// Endpoints of this node.
    pub(crate) local: String,
    /// Traffic from outside.
    pub(crate) external: String,
    /// The load balancer's source ranges.
    pub(crate) firewall: String,
}

impl Names {
    pub(crate) fn of(service: &str, protocol: &str) -> Self {
        let hash = hash(&[service, protocol]);
        Self {
            cluster: format!("KUBE-SVC-{hash}"),
            local: format!("KUBE-SVL-{hash}"),
            external: format!("KUBE-EXT-{hash}"),
            firewall: format!("KUBE-FW-{hash}"),
        }
    }
}

/// The chain of one endpoint of a service port.
pub(crate) fn endpoint(service: &str, protocol: &str, endpoint: &str) -> String {
    format!("KUBE-SEP-{}", hash(&[service, protocol, endpoint]))
}

/// Upstream's `portProtoHash`: names of chains must be short.
fn hash(parts: &[&str]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update(part.as_bytes());
    }
    let digest = sha.finalize();
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    // 16 characters of 5 bits are the first 10 bytes.
    let mut bits: u128 = 0;
    for byte in &digest[..10] {
        bits = (bits << 8) | u128::from(*byte);
    }
    (0..16)
        .rev()
        .map(|i| char::from(ALPHABET[usize::try_from((bits >> (5 * i)) & 31).unwrap_or(0)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_upstreams() {
        assert_eq!(Names::of("default/kubernetes:https", "tcp").cluster, "KUBE-SVC-NPX46M4PTMTKRN6Y");
        assert_eq!(Names::of("default/example-service:", "tcp").cluster, "KUBE-SVC-BR4KARPIGKMRMN3E");
        assert_eq!(
            endpoint("default/example-service:", "tcp", "10.85.181.179:80"),
            "KUBE-SEP-N4YD25XUXTYF2FX5"
        );
        assert_eq!(
            endpoint("default/kubernetes:https", "tcp", "10.254.0.1:26443"),
            "KUBE-SEP-SCARUQBOG7FASJ7A"
        );
    }

    #[test]
    fn jumps() {
        assert_eq!(
            JUMPS[0].rule(),
            "-m conntrack --ctstate NEW -m comment --comment \"kubernetes externally-visible service portals\" \
             -j KUBE-EXTERNAL-SERVICES"
        );
        assert_eq!(JUMPS[3].rule(), "-j KUBE-FIREWALL");
    }
}
