//! The flags of kube-controller-manager.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use component_base::flags::{CommonFlags, duration};

/// Upstream's flags. Those that have no effect here are accepted and hidden.
#[derive(Parser, Clone, Debug)]
#[command(about = "Runs the controllers of the cluster", disable_version_flag = true)]
pub struct Options {
    /// Address of the API server; overrides the kubeconfig's.
    #[arg(long)]
    pub master: Option<String>,
    /// File that says how to reach the API server.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// File with the RSA or ECDSA private key that signs service account tokens.
    #[arg(long)]
    pub service_account_private_key_file: Option<PathBuf>,
    /// File with the certificates that go into service account tokens.
    #[arg(long)]
    pub root_ca_file: Option<PathBuf>,
    /// Elect one active instance.
    #[arg(long, default_value_t = true)]
    pub leader_elect: bool,
    /// How long others leave an unrenewed lease alone.
    #[arg(long, value_parser = duration, default_value = "15s")]
    pub leader_elect_lease_duration: Duration,
    /// How long the leader tries to renew before it steps down.
    #[arg(long, value_parser = duration, default_value = "10s")]
    pub leader_elect_renew_deadline: Duration,
    /// Time between tries.
    #[arg(long, value_parser = duration, default_value = "2s")]
    pub leader_elect_retry_period: Duration,
    /// Port for /healthz; 0 serves nothing.
    #[arg(long, default_value_t = 10252)]
    pub port: u16,
    /// Address for /healthz.
    #[arg(long, alias = "bind-address", default_value = "0.0.0.0")]
    pub address: IpAddr,
    /// Controllers to run: `*` for all, `name` for one, `-name` for all but one.
    #[arg(long, value_delimiter = ',', default_value = "*")]
    pub controllers: Vec<String>,
    /// How long a node may be silent before it counts as lost.
    #[arg(long, value_parser = duration, default_value = "40s")]
    pub node_monitor_grace_period: Duration,
    /// How often node statuses are looked at.
    #[arg(long, value_parser = duration, default_value = "5s")]
    pub node_monitor_period: Duration,
    /// How long a new node may take to report.
    #[arg(long, value_parser = duration, default_value = "1m")]
    pub node_startup_grace_period: Duration,
    /// Finished pods beyond this number are deleted; 0 keeps all.
    #[arg(long, default_value_t = 12500)]
    pub terminated_pod_gc_threshold: i32,
    /// Delete objects whose owners are gone.
    #[arg(long, default_value_t = true)]
    pub enable_garbage_collector: bool,
    /// Logging and other flags that all daemons share.
    #[command(flatten)]
    pub common: CommonFlags,
    #[command(flatten)]
    accepted: Accepted,
}

/// Flags that manifests and unit files give and that need no action.
#[derive(clap::Args, Clone, Debug, Default)]
struct Accepted {
    #[arg(long, hide = true)]
    cluster_cidr: Option<String>,
    #[arg(long, hide = true)]
    service_cluster_ip_range: Option<String>,
    #[arg(long, hide = true)]
    allocate_node_cidrs: bool,
    #[arg(long, hide = true)]
    cluster_name: Option<String>,
    #[arg(long, hide = true)]
    cluster_signing_cert_file: Option<String>,
    #[arg(long, hide = true)]
    cluster_signing_key_file: Option<String>,
    #[arg(long, hide = true)]
    use_service_account_credentials: bool,
    #[arg(long, hide = true)]
    authentication_kubeconfig: Option<String>,
    #[arg(long, hide = true)]
    authorization_kubeconfig: Option<String>,
    #[arg(long, hide = true)]
    client_ca_file: Option<String>,
    #[arg(long, hide = true)]
    requestheader_client_ca_file: Option<String>,
    #[arg(long, hide = true)]
    cloud_provider: Option<String>,
    #[arg(long, hide = true)]
    cloud_config: Option<String>,
    #[arg(long, hide = true)]
    configure_cloud_routes: bool,
    #[arg(long, hide = true)]
    node_cidr_mask_size: Option<String>,
    #[arg(long, hide = true)]
    pod_eviction_timeout: Option<String>,
    #[arg(long, hide = true)]
    node_eviction_rate: Option<String>,
    #[arg(long, hide = true)]
    secure_port: Option<u16>,
    #[arg(long, hide = true)]
    tls_cert_file: Option<String>,
    #[arg(long, hide = true)]
    tls_private_key_file: Option<String>,
    #[arg(long, hide = true)]
    kube_api_qps: Option<String>,
    #[arg(long, hide = true)]
    kube_api_burst: Option<String>,
    #[arg(long, hide = true)]
    kube_api_content_type: Option<String>,
    #[arg(long, hide = true)]
    min_resync_period: Option<String>,
    #[arg(long, hide = true)]
    leader_elect_resource_lock: Option<String>,
    #[arg(long, hide = true)]
    flex_volume_plugin_dir: Option<String>,
    #[arg(long, hide = true)]
    concurrent_deployment_syncs: Option<String>,
    #[arg(long, hide = true)]
    concurrent_replicaset_syncs: Option<String>,
    #[arg(long, hide = true)]
    concurrent_endpoint_syncs: Option<String>,
    #[arg(long, hide = true)]
    concurrent_gc_syncs: Option<String>,
    #[arg(long, hide = true)]
    concurrent_namespace_syncs: Option<String>,
    #[arg(long, hide = true)]
    concurrent_service_syncs: Option<String>,
    #[arg(long, hide = true)]
    horizontal_pod_autoscaler_use_rest_clients: bool,
    #[arg(long, hide = true)]
    enable_hostpath_provisioner: bool,
    #[arg(long, hide = true)]
    enable_dynamic_provisioning: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self::parse_from(["kube-controller-manager"])
    }
}

impl Options {
    /// Whether the controller of this name shall run (upstream's `IsControllerEnabled`).
    pub fn enables(&self, name: &str) -> bool {
        let mut all = false;
        for entry in &self.controllers {
            match entry.strip_prefix('-') {
                Some(off) if off == name => return false,
                None if entry == name => return true,
                None if entry == "*" => all = true,
                _ => {}
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tutorials_flags() {
        let args = [
            "--master=127.0.0.1:18080",
            "--logtostderr=true",
            "--service-account-private-key-file=/k/apiserver.key",
            "--root-ca-file=/k/apiserver.crt",
            "--controllers=*,-garbagecollector",
            "--leader-elect=false",
        ];
        let options: Options =
            component_base::flags::try_parse("kube-controller-manager", args.map(Into::into)).unwrap();
        assert_eq!(options.master.as_deref(), Some("127.0.0.1:18080"));
        assert!(!options.leader_elect && options.port == 10252);
        assert!(options.enables("deployment") && !options.enables("garbagecollector"));
    }
}
