//! The command line of upstream's kube-proxy (`cmd/kube-proxy/app/options.go`).

use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::Parser;
use component_base::flags::{CommonFlags, duration};

/// kube-proxy's flags. Those of other modes and of kernel limits that we leave alone are read and have no effect.
#[derive(Clone, Debug, Parser)]
#[command(name = "kube-proxy", about = "Makes services reachable on this node through iptables")]
pub struct Options {
    /// The API server's address; overrides the kubeconfig's.
    #[arg(long)]
    pub master: Option<String>,
    /// How to reach the API server.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// A KubeProxyConfiguration file. Flags that say the same are ignored, as upstream does.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Only "iptables" is there.
    #[arg(long, default_value = "")]
    pub proxy_mode: String,
    /// The node's name, when it is not the host's.
    #[arg(long, default_value = "")]
    pub hostname_override: String,
    /// The addresses of pods: other sources are masqueraded on their way to a service.
    #[arg(long, default_value = "")]
    pub cluster_cidr: String,
    /// Masquerade everything that goes to a service's address.
    #[arg(long)]
    pub masquerade_all: bool,
    /// The bit of the packet mark that means "masquerade".
    #[arg(long, default_value_t = 14)]
    pub iptables_masquerade_bit: u8,
    /// Let node ports answer on 127.0.0.1 too.
    #[arg(long, default_value_t = true)]
    pub iptables_localhost_nodeports: bool,
    /// How often to look whether somebody flushed our rules.
    #[arg(long, value_parser = duration, default_value = "30s")]
    pub iptables_sync_period: Duration,
    /// The shortest time between two changes of the rules.
    #[arg(long, value_parser = duration, default_value = "1s")]
    pub iptables_min_sync_period: Duration,
    /// Node ports answer on these networks' addresses of the node only (all when empty).
    #[arg(long, value_delimiter = ',')]
    pub nodeport_addresses: Vec<String>,
    /// Where the health server listens when --healthz-bind-address does not say so.
    #[arg(long, default_value = "0.0.0.0")]
    pub bind_address: IpAddr,
    /// Address and port of the health server; empty is none.
    #[arg(long, default_value = "0.0.0.0:10256")]
    pub healthz_bind_address: String,
    /// The port of the health server (0 is none); overrides the one in --healthz-bind-address.
    #[arg(long)]
    pub healthz_port: Option<u16>,
    /// Remove all rules and end.
    #[arg(long)]
    pub cleanup: bool,
    /// Only ClusterCIDR is there.
    #[arg(long, default_value = "ClusterCIDR")]
    pub detect_local_mode: String,
    /// Do not drop packets that connection tracking takes for invalid.
    #[arg(long)]
    pub conntrack_tcp_be_liberal: bool,
    #[command(flatten)]
    accepted: Accepted,
    /// Logging.
    #[command(flatten)]
    pub common: CommonFlags,
}

/// Read for compatibility.
#[derive(Clone, Debug, clap::Args)]
struct Accepted {
    #[arg(long, hide = true)]
    write_config_to: Option<String>,
    #[arg(long, hide = true)]
    cleanup_iptables: bool,
    #[arg(long, hide = true)]
    cleanup_ipvs: bool,
    #[arg(long, hide = true)]
    kube_api_content_type: Option<String>,
    #[arg(long, hide = true)]
    kube_api_burst: Option<String>,
    #[arg(long, hide = true)]
    kube_api_qps: Option<String>,
    #[arg(long, hide = true)]
    metrics_bind_address: Option<String>,
    #[arg(long, hide = true)]
    metrics_port: Option<String>,
    #[arg(long, hide = true)]
    bind_address_hard_fail: bool,
    #[arg(long, hide = true)]
    show_hidden_metrics_for_version: Option<String>,
    #[arg(long, hide = true)]
    ipvs_sync_period: Option<String>,
    #[arg(long, hide = true)]
    ipvs_min_sync_period: Option<String>,
    #[arg(long, hide = true)]
    ipvs_scheduler: Option<String>,
    #[arg(long, hide = true)]
    ipvs_exclude_cidrs: Option<String>,
    #[arg(long, hide = true)]
    ipvs_strict_arp: bool,
    #[arg(long, hide = true)]
    ipvs_tcp_timeout: Option<String>,
    #[arg(long, hide = true)]
    ipvs_tcpfin_timeout: Option<String>,
    #[arg(long, hide = true)]
    ipvs_udp_timeout: Option<String>,
    #[arg(long, hide = true)]
    pod_bridge_interface: Option<String>,
    #[arg(long, hide = true)]
    pod_interface_name_prefix: Option<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    oom_score_adj: Option<String>,
    #[arg(long, hide = true)]
    conntrack_max: Option<String>,
    #[arg(long, hide = true)]
    conntrack_max_per_core: Option<String>,
    #[arg(long, hide = true)]
    conntrack_min: Option<String>,
    #[arg(long, hide = true)]
    conntrack_tcp_timeout_established: Option<String>,
    #[arg(long, hide = true)]
    conntrack_tcp_timeout_close_wait: Option<String>,
    #[arg(long, hide = true)]
    conntrack_udp_timeout: Option<String>,
    #[arg(long, hide = true)]
    conntrack_udp_timeout_stream: Option<String>,
    #[arg(long, hide = true)]
    config_sync_period: Option<String>,
    #[arg(long, hide = true)]
    proxy_port_range: Option<String>,
    #[arg(long, hide = true)]
    resource_container: Option<String>,
    #[arg(long, hide = true)]
    udp_timeout: Option<String>,
}
