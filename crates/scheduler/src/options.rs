//! The command line of upstream's kube-scheduler.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::Parser;
use component_base::flags::{CommonFlags, duration};

/// kube-scheduler's flags. Those of its secure port and of other profiles are read and have no effect.
#[derive(Clone, Debug, Parser)]
#[command(name = "kube-scheduler", about = "Finds a node for each pod")]
pub struct Options {
    /// The API server's address; overrides the kubeconfig's.
    #[arg(long)]
    pub master: Option<String>,
    /// How to reach the API server.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// A KubeSchedulerConfiguration file.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Only one of several schedulers is active.
    #[arg(long, default_value_t = true)]
    pub leader_elect: bool,
    /// How long others leave an unchanged leader record alone.
    #[arg(long, value_parser = duration, default_value = "15s")]
    pub leader_elect_lease_duration: Duration,
    /// How long the leader tries to renew before it gives up.
    #[arg(long, value_parser = duration, default_value = "10s")]
    pub leader_elect_renew_deadline: Duration,
    /// Between tries to become or stay leader.
    #[arg(long, value_parser = duration, default_value = "2s")]
    pub leader_elect_retry_period: Duration,
    /// The namespace of the leader record.
    #[arg(long, default_value = "kube-system")]
    pub leader_elect_resource_namespace: String,
    /// The name of the leader record.
    #[arg(long, default_value = "kube-scheduler")]
    pub leader_elect_resource_name: String,
    /// Pods that name this scheduler are ours.
    #[arg(long, default_value = "default-scheduler")]
    pub scheduler_name: String,
    /// Where the health server listens.
    #[arg(long, default_value = "0.0.0.0")]
    pub address: IpAddr,
    /// The port of the health server; 0 is none.
    #[arg(long, default_value_t = 10251)]
    pub port: u16,
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
    bind_address: Option<String>,
    #[arg(long, hide = true)]
    secure_port: Option<String>,
    #[arg(long, hide = true)]
    cert_dir: Option<String>,
    #[arg(long, hide = true)]
    tls_cert_file: Option<String>,
    #[arg(long, hide = true)]
    tls_private_key_file: Option<String>,
    #[arg(long, hide = true)]
    client_ca_file: Option<String>,
    #[arg(long, hide = true)]
    authentication_kubeconfig: Option<String>,
    #[arg(long, hide = true)]
    authorization_kubeconfig: Option<String>,
    #[arg(long, hide = true)]
    authentication_skip_lookup: bool,
    #[arg(long, hide = true)]
    authentication_tolerate_lookup_failure: bool,
    #[arg(long, hide = true)]
    authorization_always_allow_paths: Option<String>,
    #[arg(long, hide = true)]
    requestheader_client_ca_file: Option<String>,
    #[arg(long, hide = true)]
    requestheader_allowed_names: Option<String>,
    #[arg(long, hide = true)]
    algorithm_provider: Option<String>,
    #[arg(long, hide = true)]
    policy_config_file: Option<String>,
    #[arg(long, hide = true)]
    kube_api_burst: Option<String>,
    #[arg(long, hide = true)]
    kube_api_qps: Option<String>,
    #[arg(long, hide = true)]
    kube_api_content_type: Option<String>,
    #[arg(long, hide = true)]
    leader_elect_resource_lock: Option<String>,
    #[arg(long, hide = true)]
    pod_max_in_unschedulable_pods_duration: Option<String>,
}
