//! The command line of upstream's flanneld v0.20.2.

use std::{ffi::OsString, path::PathBuf};

use clap::Parser;
use component_base::flags::{CommonFlags, Stop};

use crate::Error;

/// What `--version` prints: the upstream release whose behaviour this is.
const VERSION: &str = concat!("v0.20.2+skiff.", env!("CARGO_PKG_VERSION"));

/// Upstream reads each flag that is not on the command line from the environment under this prefix.
const ENV_PREFIX: &str = "FLANNELD_";

/// flanneld's flags. Flags of the Kubernetes subnet manager are read and refused.
#[derive(Clone, Debug, Parser)]
#[command(name = "flanneld", about = "An etcd-backed pod network")]
pub struct Options {
    /// A comma-delimited list of etcd endpoints.
    #[arg(long, default_value = "http://127.0.0.1:4001,http://127.0.0.1:2379", value_delimiter = ',')]
    pub etcd_endpoints: Vec<String>,
    /// The prefix of all keys in etcd.
    #[arg(long, default_value = "/coreos.com/network")]
    pub etcd_prefix: String,
    /// The key of the client certificate for etcd.
    #[arg(long, default_value = "")]
    pub etcd_keyfile: String,
    /// The client certificate for etcd.
    #[arg(long, default_value = "")]
    pub etcd_certfile: String,
    /// The certificate authority of etcd's certificate.
    #[arg(long, default_value = "")]
    pub etcd_cafile: String,
    /// The user name for etcd.
    #[arg(long, default_value = "")]
    pub etcd_username: String,
    /// The password for etcd.
    #[arg(long, default_value = "")]
    pub etcd_password: String,
    /// The interface (name or address) for traffic between hosts. May be repeated: the first that exists is used.
    #[arg(long, action = clap::ArgAction::Append)]
    pub iface: Vec<String>,
    /// A regular expression for the interface's name or address, asked after --iface. May be repeated.
    #[arg(long, action = clap::ArgAction::Append)]
    pub iface_regex: Vec<String>,
    /// Use the interface over which this address is reached.
    #[arg(long, default_value = "")]
    pub iface_can_reach: String,
    /// Where to write the subnet, MTU and so on for others to read.
    #[arg(long, default_value = "/run/flannel/subnet.env")]
    pub subnet_file: PathBuf,
    /// The address under which other hosts reach this one.
    #[arg(long, default_value = "")]
    pub public_ip: String,
    /// Not supported: this network is IPv4.
    #[arg(long, default_value = "", hide = true)]
    pub public_ipv6: String,
    /// How many minutes before its end a lease is renewed (1 to 1439).
    #[arg(long, default_value_t = 60)]
    pub subnet_lease_renew_margin: u32,
    /// Masquerade traffic that leaves the pod network.
    #[arg(long)]
    pub ip_masq: bool,
    /// Not supported: leases are kept in etcd.
    #[arg(long, hide = true)]
    pub kube_subnet_mgr: bool,
    #[arg(long, default_value = "", hide = true)]
    kube_api_url: String,
    #[arg(long, default_value = "", hide = true)]
    kube_annotation_prefix: String,
    #[arg(long, default_value = "", hide = true)]
    kubeconfig_file: String,
    #[arg(long, default_value = "", hide = true)]
    net_config_path: String,
    #[arg(long, hide = true, default_value_t = true)]
    set_node_network_unavailable: bool,
    /// The address of the health server.
    #[arg(long, default_value = "0.0.0.0")]
    pub healthz_ip: String,
    /// The port of the health server; 0 is none.
    #[arg(long, default_value_t = 0)]
    pub healthz_port: u16,
    /// Seconds between checks of the iptables rules.
    #[arg(long, default_value_t = 5)]
    pub iptables_resync: u64,
    /// Accept forwarded traffic from and to the pod network.
    #[arg(long, default_value_t = true)]
    pub iptables_forward_rules: bool,
    /// Logging.
    #[command(flatten)]
    pub common: CommonFlags,
}

impl Options {
    /// Reads a command line (without the program's name) as Go's `flag` package does (`-etcd-endpoints` is
    /// `--etcd-endpoints`), then `FLANNELD_…` variables for what it does not name.
    pub fn read(
        args: impl IntoIterator<Item = OsString>,
        env: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Stop> {
        let mut args: Vec<OsString> = args.into_iter().map(double_dash).collect();
        if args.iter().any(|arg| arg == "--version" || arg == "--version=true") {
            return Err(Stop::Print(VERSION.to_owned()));
        }
        let named: Vec<String> = args
            .iter()
            .filter_map(|arg| arg.to_str()?.strip_prefix("--")?.split('=').next().map(str::to_owned))
            .collect();
        let known: Vec<String> = <Self as clap::CommandFactory>::command()
            .get_arguments()
            .filter_map(|arg| arg.get_long().map(str::to_owned))
            .collect();
        for (name, value) in env {
            let Some(flag) = name.to_str().and_then(|name| name.strip_prefix(ENV_PREFIX)) else { continue };
            let flag = flag.to_ascii_lowercase().replace('_', "-");
            if known.contains(&flag) && !named.contains(&flag) {
                let mut arg = OsString::from(format!("--{flag}="));
                arg.push(value);
                args.push(arg);
            }
        }
        component_base::flags::try_parse("flanneld", args)
    }

    /// [`Options::read`] on this process's own arguments after the first and its environment; prints and exits on `--help` or bad flags.
    pub fn parse_or_exit(args: impl IntoIterator<Item = OsString>) -> Self {
        match Self::read(args, std::env::vars_os()) {
            Ok(options) => options,
            Err(Stop::Print(text)) => {
                println!("{}", text.trim_end());
                std::process::exit(0)
            }
            Err(Stop::Refuse(text)) => {
                eprintln!("Error: {text}");
                std::process::exit(1)
            }
        }
    }

    /// Refuses what cannot work, naming the flag.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |flag, message: &str| Err(Error::Flag { flag, message: message.to_owned() });
        if self.kube_subnet_mgr {
            return refuse(
                "kube-subnet-mgr",
                "leases in the Kubernetes API are not supported; leave it out and give --etcd-endpoints",
            );
        }
        if !self.public_ipv6.is_empty() {
            return refuse("public-ipv6", "only IPv4 networks are supported");
        }
        if !(1..24 * 60).contains(&self.subnet_lease_renew_margin) {
            return refuse("subnet-lease-renew-margin", "must be from 1 to 1439 minutes");
        }
        if self.iptables_resync == 0 {
            return refuse("iptables-resync", "must be at least 1 second");
        }
        if !self.public_ip.is_empty() && self.public_ip.parse::<std::net::Ipv4Addr>().is_err() {
            return refuse("public-ip", &format!("{:?} is no IPv4 address", self.public_ip));
        }
        if self.etcd_endpoints.iter().all(|endpoint| endpoint.trim().is_empty()) {
            return refuse("etcd-endpoints", "at least one endpoint is needed");
        }
        Ok(())
    }
}

/// `-iface` → `--iface`; `-v` stays as it is, clap knows it.
fn double_dash(arg: OsString) -> OsString {
    match arg.to_str() {
        Some(text) if text.starts_with('-') && !text.starts_with("--") && text.len() > 1 => {
            format!("-{text}").into()
        }
        _ => arg,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str], env: &[(&str, &str)]) -> Result<Options, Stop> {
        Options::read(
            args.iter().map(OsString::from),
            env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))),
        )
    }

    #[test]
    fn single_dashes_and_environment() {
        let options = read(
            &[
                "-etcd-endpoints=http://a:1,http://b:2",
                "--iface",
                "eth0",
                "-iface",
                "eth1",
                "-ip-masq",
                "-v",
                "2",
            ],
            &[
                ("FLANNELD_HEALTHZ_PORT", "10401"),
                ("FLANNELD_ETCD_ENDPOINTS", "http://c"),
                ("FLANNELD_NONSENSE", "1"),
            ],
        )
        .unwrap();
        assert_eq!(options.etcd_endpoints, ["http://a:1", "http://b:2"]);
        assert_eq!(options.iface, ["eth0", "eth1"]);
        assert!(options.ip_masq && options.iptables_forward_rules);
        assert_eq!((options.common.v, options.healthz_port), (2, 10401));
        assert!(!read(&["--iptables-forward-rules=false"], &[]).unwrap().iptables_forward_rules);
    }

    #[test]
    fn refusals_name_the_flag() {
        let message = |args: &[&str]| read(args, &[]).unwrap().check().unwrap_err().to_string();
        assert!(message(&["--kube-subnet-mgr"]).starts_with("invalid --kube-subnet-mgr"));
        assert!(message(&["--subnet-lease-renew-margin=1440"]).contains("1 to 1439"));
        assert!(message(&["--public-ip=x"]).contains("public-ip"));
        assert!(read(&[], &[]).unwrap().check().is_ok());
    }
}
