//! `/run/flannel/subnet.env`: what the container side reads, and what a restarted flanneld remembers.

use std::{io, path::Path};

use crate::net::Ipv4Net;

/// The file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubnetFile {
    /// All pods of all hosts.
    pub network: Ipv4Net,
    /// This host's subnet.
    pub subnet: Ipv4Net,
    /// The MTU for the pods' interfaces.
    pub mtu: u32,
    /// Whether flanneld masquerades.
    pub ip_masq: bool,
}

impl SubnetFile {
    /// The text, with the subnet's first usable address as upstream writes it.
    pub(crate) fn text(&self) -> String {
        let gateway = Ipv4Net { addr: (u32::from(self.subnet.addr) + 1).into(), prefix: self.subnet.prefix };
        format!(
            "FLANNEL_NETWORK={}\nFLANNEL_SUBNET={gateway}\nFLANNEL_MTU={}\nFLANNEL_IPMASQ={}\n",
            self.network, self.mtu, self.ip_masq
        )
    }

    /// Writes the file so that readers see either the old or the new one.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let dir = path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(dir)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = dir.join(format!(".{name}"));
        std::fs::write(&temporary, self.text())?;
        std::fs::rename(temporary, path)
    }
}

/// The network and subnet that an earlier flanneld wrote, when there was one.
pub(crate) fn previous(path: &Path) -> Option<(Ipv4Net, Ipv4Net)> {
    parse(&std::fs::read_to_string(path).ok()?)
}

fn parse(text: &str) -> Option<(Ipv4Net, Ipv4Net)> {
    let value = |name: &str| -> Option<Ipv4Net> {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?;
        line.trim_matches(['"', '\'', ' ']).parse::<Ipv4Net>().ok().map(Ipv4Net::network)
    };
    Some((value("FLANNEL_NETWORK")?, value("FLANNEL_SUBNET")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_read_back() {
        let file = SubnetFile {
            network: "172.10.0.0/16".parse().unwrap(),
            subnet: "172.10.63.0/24".parse().unwrap(),
            mtu: 1450,
            ip_masq: false,
        };
        let golden = "FLANNEL_NETWORK=172.10.0.0/16\nFLANNEL_SUBNET=172.10.63.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n";
        assert_eq!(file.text(), golden);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("flannel/subnet.env");
        file.write(&path).unwrap();
        assert_eq!(previous(&path), Some((file.network, file.subnet)));
        assert_eq!(previous(&dir.path().join("none")), None);
        assert_eq!(parse("FLANNEL_SUBNET=garbage"), None);
    }
}
