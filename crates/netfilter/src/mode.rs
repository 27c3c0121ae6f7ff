//! Legacy or nft: the kernel has two rule sets, and a machine must use one of them for everything.

use std::fmt;

/// The flavour of iptables in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `xtables-legacy-multi`, the kernel's old ip_tables interface.
    Legacy,
    /// `xtables-nft-multi`, the same rules on nf_tables.
    Nft,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Legacy => "legacy",
            Self::Nft => "nft",
        })
    }
}

/// Chains that a kubelet leaves in the flavour that its host uses, for others to find.
const HINTS: [&str; 2] = ["KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY"];

/// Decides as upstream's iptables-wrapper does: a kubelet's hint chain first, then whichever flavour holds more
/// rules, then nft. `nft` and `legacy` are what the two `iptables-save` print; `None` is a flavour that does not run here.
pub(crate) fn decide(nft: Option<&str>, legacy: Option<&str>) -> Mode {
    let (nft, legacy) = match (nft, legacy) {
        (Some(nft), Some(legacy)) => (nft, legacy),
        (None, Some(_)) => return Mode::Legacy,
        _ => return Mode::Nft,
    };
    let hinted = |saved: &str| {
        saved.lines().any(|line| {
            line.strip_prefix(':')
                .and_then(|rest| rest.split(' ').next())
                .is_some_and(|chain| HINTS.contains(&chain))
        })
    };
    if hinted(nft) {
        return Mode::Nft;
    }
    if hinted(legacy) {
        return Mode::Legacy;
    }
    let rules = |saved: &str| saved.lines().filter(|line| line.starts_with('-')).count();
    if rules(legacy) > rules(nft) { Mode::Legacy } else { Mode::Nft }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n";
    const ONE: &str = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n";
    const HINT: &str = "*mangle\n:KUBE-IPTABLES-HINT - [0:0]\nCOMMIT\n";

    #[test]
    fn the_hint_wins_then_the_count_then_nft() {
        assert_eq!(decide(Some(EMPTY), Some(EMPTY)), Mode::Nft);
        assert_eq!(decide(Some(EMPTY), Some(ONE)), Mode::Legacy);
        assert_eq!(decide(Some(ONE), Some(ONE)), Mode::Nft);
        assert_eq!(decide(Some(ONE), Some(HINT)), Mode::Legacy);
        assert_eq!(decide(Some(HINT), Some(ONE)), Mode::Nft);
        assert_eq!(decide(None, Some(EMPTY)), Mode::Legacy);
        assert_eq!(decide(Some(ONE), None), Mode::Nft);
    }
}
