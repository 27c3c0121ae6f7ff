//! flanneld's iptables rules (upstream's `network/iptables.go`, v0.20.2), put in with one restore and looked after.

use netfilter::IpTables;

use crate::net::Ipv4Net;

/// kube-proxy's mark on traffic that it masquerades itself.
const KUBE_PROXY_MARK: &str = "0x4000/0x4000";

/// A chain of ours and the jump to it, which stands first in the parent chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// `filter` or `nat`.
    pub table: &'static str,
    /// Our chain.
    pub name: &'static str,
    /// The kernel's chain that jumps to ours.
    pub parent: &'static str,
    /// The comment on every rule.
    pub comment: &'static str,
    /// The chain's rules in iptables' own spelling, without `-A <chain>`.
    pub rules: Vec<String>,
}

/// Accept what is forwarded from and to pods: Docker sets the FORWARD policy to DROP.
pub(crate) fn forward(network: Ipv4Net) -> Chain {
    let comment = "flanneld forward";
    Chain {
        table: "filter",
        name: "FLANNEL-FWD",
        parent: "FORWARD",
        comment,
        rules: vec![
            format!("-s {network} -m comment --comment \"{comment}\" -j ACCEPT"),
            format!("-d {network} -m comment --comment \"{comment}\" -j ACCEPT"),
        ],
    }
}

/// Masquerade what leaves the pod network, and what enters it from a host.
pub(crate) fn masquerade(network: Ipv4Net, subnet: Ipv4Net, random_fully: bool) -> Chain {
    let comment = "flanneld masq";
    let note = format!("-m comment --comment \"{comment}\"");
    let masquerade = if random_fully { "MASQUERADE --random-fully" } else { "MASQUERADE" };
    Chain {
        table: "nat",
        name: "FLANNEL-POSTRTG",
        parent: "POSTROUTING",
        comment,
        rules: vec![
            // kube-proxy masquerades these; doing it twice breaks some kernels.
            format!("-m mark --mark {KUBE_PROXY_MARK} {note} -j RETURN"),
            // Within the pod network addresses stay as they are.
            format!("-s {network} -d {network} {note} -j RETURN"),
            // Everything else that pods send, multicast aside.
            format!("-s {network} ! -d 224.0.0.0/4 {note} -j {masquerade}"),
            // From outside to a pod of this host, the sender stays visible.
            format!("! -s {network} -d {subnet} {note} -j RETURN"),
            // From the host to pods elsewhere.
            format!("! -s {network} -d {network} {note} -j {masquerade}"),
        ],
    }
}

impl Chain {
    fn jump(&self) -> String {
        format!("-m comment --comment \"{}\" -j {}", self.comment, self.name)
    }

    /// One restore that makes the chain exactly this one and its jump the parent's first rule.
    fn restore_text(&self, jump_exists: bool) -> String {
        let Self { table, name, parent, .. } = self;
        let jump = self.jump();
        let mut text = format!("*{table}\n:{name} - [0:0]\n");
        for rule in &self.rules {
            text.push_str(&format!("-A {name} {rule}\n"));
        }
        if jump_exists {
            text.push_str(&format!("-D {parent} {jump}\n"));
        }
        text.push_str(&format!("-I {parent} 1 {jump}\nCOMMIT\n"));
        text
    }

    /// Whether `iptables -S` of our chain shows exactly our rules.
    fn is_listed(&self, listing: &[String]) -> bool {
        let found: Vec<&str> = listing
            .iter()
            .filter_map(|line| line.strip_prefix(&format!("-A {} ", self.name)))
            .map(str::trim)
            .collect();
        found == self.rules
    }

    /// Puts the chain in.
    pub(crate) async fn install(&self, tables: &IpTables) -> Result<(), netfilter::Error> {
        let jump_exists = tables.exists(self.table, self.parent, &self.jump()).await;
        tables.restore(&self.restore_text(jump_exists)).await
    }

    /// Whether all of it is still there.
    pub(crate) async fn is_installed(&self, tables: &IpTables) -> bool {
        match tables.list(self.table, self.name).await {
            Some(listing) => {
                self.is_listed(&listing) && tables.exists(self.table, self.parent, &self.jump()).await
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    #[test]
    fn forward_rules_are_upstreams() {
        let chain = forward(net("172.10.0.0/16"));
        assert_eq!(
            chain.restore_text(false),
            "*filter\n:FLANNEL-FWD - [0:0]\n\
             -A FLANNEL-FWD -s 172.10.0.0/16 -m comment --comment \"flanneld forward\" -j ACCEPT\n\
             -A FLANNEL-FWD -d 172.10.0.0/16 -m comment --comment \"flanneld forward\" -j ACCEPT\n\
             -I FORWARD 1 -m comment --comment \"flanneld forward\" -j FLANNEL-FWD\nCOMMIT\n"
        );
        let mut listing: Vec<String> = vec!["-N FLANNEL-FWD".into()];
        listing.extend(chain.rules.iter().map(|rule| format!("-A FLANNEL-FWD {rule}")));
        assert!(chain.is_listed(&listing));
        listing.push("-A FLANNEL-FWD -j DROP".into());
        assert!(!chain.is_listed(&listing));
    }

    #[test]
    fn masquerade_rules_are_upstreams() {
        let chain = masquerade(net("10.5.0.0/16"), net("10.5.34.0/24"), true);
        let text = chain.restore_text(true);
        assert!(text.contains(
            "-D POSTROUTING -m comment --comment \"flanneld masq\" -j FLANNEL-POSTRTG\n-I POSTROUTING 1 "
        ));
        assert_eq!(
            chain.rules[2],
            "-s 10.5.0.0/16 ! -d 224.0.0.0/4 -m comment --comment \"flanneld masq\" -j MASQUERADE --random-fully"
        );
        assert_eq!(chain.rules.len(), 5);
    }
}
