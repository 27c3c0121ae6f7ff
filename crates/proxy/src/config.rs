//! What kube-proxy runs with: flags, or the configuration file when one is given, checked.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use component_base::flags::duration;
use serde::Deserialize;

use crate::{Error, model::Cidr, options::Options};

/// Checked settings.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) master: Option<String>,
    pub(crate) kubeconfig: Option<PathBuf>,
    pub(crate) node_name: String,
    pub(crate) cluster_cidr: Option<Cidr>,
    pub(crate) masquerade_all: bool,
    pub(crate) masquerade_bit: u8,
    pub(crate) localhost_node_ports: bool,
    pub(crate) sync_period: Duration,
    pub(crate) min_sync_period: Duration,
    pub(crate) node_port_addresses: Vec<Cidr>,
    pub(crate) healthz: Option<SocketAddr>,
    pub(crate) conntrack_liberal: bool,
}

/// `KubeProxyConfiguration`, the fields that we read. Unknown ones are let through: the file may serve upstream as well.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    api_version: String,
    kind: String,
    client_connection: ClientConnection,
    hostname_override: String,
    bind_address: String,
    healthz_bind_address: String,
    mode: String,
    iptables: Iptables,
    #[serde(rename = "clusterCIDR")]
    cluster_cidr: String,
    node_port_addresses: Option<Vec<String>>,
    conntrack: Conntrack,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ClientConnection {
    kubeconfig: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Iptables {
    masquerade_bit: Option<u8>,
    masquerade_all: bool,
    localhost_node_ports: Option<bool>,
    sync_period: Option<String>,
    min_sync_period: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Conntrack {
    tcp_be_liberal: bool,
}

fn bad(field: &str, message: impl Into<String>) -> Error {
    Error::Config { field: field.to_owned(), message: message.into() }
}

impl Config {
    /// Checks the flags and reads the file they name.
    pub(crate) fn new(options: &Options) -> Result<Self, Error> {
        let mut options = options.clone();
        if let Some(path) = options.config.clone() {
            let file = read(&path)?;
            apply(&mut options, file)?;
        }
        match options.proxy_mode.as_str() {
            "" | "iptables" => {}
            other => {
                return Err(bad("--proxy-mode", format!("{other:?} is not supported; use \"iptables\"")));
            }
        }
        if options.detect_local_mode != "ClusterCIDR" {
            return Err(bad(
                "--detect-local-mode",
                format!("{:?} is not supported; use \"ClusterCIDR\"", options.detect_local_mode),
            ));
        }
        if options.iptables_masquerade_bit > 31 {
            return Err(bad("--iptables-masquerade-bit", "must be from 0 to 31"));
        }
        if options.iptables_sync_period.is_zero() {
            return Err(bad("--iptables-sync-period", "must be greater than 0"));
        }
        Ok(Self {
            healthz: healthz(&options)?,
            node_name: node_name(&options.hostname_override)?,
            cluster_cidr: first_ipv4("--cluster-cidr", options.cluster_cidr.split(','))?,
            node_port_addresses: options
                .nodeport_addresses
                .iter()
                .filter(|text| !text.is_empty() && !text.contains(':'))
                .map(|text| text.parse().map_err(|err: String| bad("--nodeport-addresses", err)))
                .collect::<Result<_, _>>()?,
            master: options.master.filter(|master| !master.is_empty()),
            kubeconfig: options.kubeconfig.filter(|path| !path.as_os_str().is_empty()),
            masquerade_all: options.masquerade_all,
            masquerade_bit: options.iptables_masquerade_bit,
            localhost_node_ports: options.iptables_localhost_nodeports,
            sync_period: options.iptables_sync_period,
            min_sync_period: options.iptables_min_sync_period,
            conntrack_liberal: options.conntrack_tcp_be_liberal,
        })
    }
}

fn read(path: &Path) -> Result<File, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|err| bad("--config", format!("cannot read {}: {err}", path.display())))?;
    let file: File =
        serde_saphyr::from_str(&text).map_err(|err| bad("--config", format!("{}: {err}", path.display())))?;
    if file.kind != "KubeProxyConfiguration" || !file.api_version.starts_with("kubeproxy.config.k8s.io/") {
        return Err(bad(
            "--config",
            format!("{}: no kind \"{}\" in version \"{}\"", path.display(), file.kind, file.api_version),
        ));
    }
    Ok(file)
}

fn apply(options: &mut Options, file: File) -> Result<(), Error> {
    let period = |field: &str, text: Option<String>, old| match text {
        Some(text) if text != "0s" => duration(&text).map_err(|err| bad(field, err)),
        _ => Ok(old),
    };
    options.kubeconfig = Some(file.client_connection.kubeconfig.into());
    if options.hostname_override.is_empty() {
        options.hostname_override = file.hostname_override;
    }
    if !file.bind_address.is_empty() {
        options.bind_address = file
            .bind_address
            .parse()
            .map_err(|_| bad("bindAddress", format!("{:?} is no IP address", file.bind_address)))?;
    }
    if !file.healthz_bind_address.is_empty() {
        options.healthz_bind_address = file.healthz_bind_address;
    }
    options.proxy_mode = file.mode;
    options.cluster_cidr = file.cluster_cidr;
    options.nodeport_addresses = file.node_port_addresses.unwrap_or_default();
    options.masquerade_all = file.iptables.masquerade_all;
    options.iptables_masquerade_bit = file.iptables.masquerade_bit.unwrap_or(options.iptables_masquerade_bit);
    options.iptables_localhost_nodeports =
        file.iptables.localhost_node_ports.unwrap_or(options.iptables_localhost_nodeports);
    options.iptables_sync_period =
        period("iptables.syncPeriod", file.iptables.sync_period, options.iptables_sync_period)?;
    options.iptables_min_sync_period =
        period("iptables.minSyncPeriod", file.iptables.min_sync_period, options.iptables_min_sync_period)?;
    options.conntrack_tcp_be_liberal |= file.conntrack.tcp_be_liberal;
    Ok(())
}

fn healthz(options: &Options) -> Result<Option<SocketAddr>, Error> {
    let text = options.healthz_bind_address.trim();
    if text.is_empty() || options.healthz_port == Some(0) {
        return Ok(None);
    }
    let addr = text
        .parse::<SocketAddr>()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 10256)))
        .map_err(|_| bad("--healthz-bind-address", format!("{text:?} is no address and port")))?;
    Ok(Some(SocketAddr::new(addr.ip(), options.healthz_port.unwrap_or(addr.port()))))
}

fn first_ipv4<'a>(field: &str, texts: impl Iterator<Item = &'a str>) -> Result<Option<Cidr>, Error> {
    let mut texts = texts.map(str::trim).filter(|text| !text.is_empty() && !text.contains(':'));
    texts.next().map(|text| text.parse().map_err(|err: String| bad(field, err))).transpose()
}

/// The node's name as upstream's `nodeutil.GetHostname` makes it.
fn node_name(wanted: &str) -> Result<String, Error> {
    let name = if wanted.trim().is_empty() {
        nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned()
    } else {
        wanted.to_owned()
    };
    let name = name.trim().to_lowercase();
    if name.is_empty() { Err(bad("--hostname-override", "empty hostname is invalid")) } else { Ok(name) }
}

impl std::str::FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("invalid CIDR address: {text}");
        let (addr, prefix) = text.split_once('/').ok_or_else(invalid)?;
        let prefix: u8 = prefix.parse().ok().filter(|prefix| *prefix <= 32).ok_or_else(invalid)?;
        let addr: Ipv4Addr = addr.parse().map_err(|_| invalid())?;
        Ok(Self::new(addr, prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn config(args: &[&str]) -> Result<Config, Error> {
        Config::new(&Options::try_parse_from(std::iter::once(&"kube-proxy").chain(args)).unwrap())
    }

    #[test]
    fn flags() {
        let config =
            config(&["--master=1.2.3.4:18080", "--proxy-mode=iptables", "--hostname-override=Node-1"])
                .unwrap();
        assert_eq!(config.node_name, "node-1");
        assert_eq!(config.healthz.unwrap().port(), 10256);
        let refused = |args: &[&str]| super::tests::config(args).unwrap_err().to_string();
        assert!(refused(&["--proxy-mode=ipvs"]).starts_with("--proxy-mode"));
        assert!(refused(&["--cluster-cidr=10.0.0.0"]).starts_with("--cluster-cidr"));
        assert!(refused(&["--healthz-bind-address=x"]).starts_with("--healthz-bind-address"));
    }

    #[test]
    fn file() {
        let dir = std::env::temp_dir().join(format!("kube-proxy-config-{}", std::process::id()));
        std::fs::write(
            &dir,
            "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: iptables\n\
             clusterCIDR: 10.5.0.0/16\nclientConnection:\n  kubeconfig: /k\n  qps: 5\niptables:\n  minSyncPeriod: 100ms\n\
             unknown: 1\n",
        )
        .unwrap();
        let config = config(&[&format!("--config={}", dir.display())]).unwrap();
        std::fs::remove_file(&dir).unwrap();
        assert_eq!(config.cluster_cidr.unwrap().to_string(), "10.5.0.0/16");
        assert_eq!(config.min_sync_period, Duration::from_millis(100));
        assert_eq!(config.kubeconfig.unwrap(), Path::new("/k"));
    }
}
