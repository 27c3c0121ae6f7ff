//! The command line: upstream's flag names (`cmd/kubelet/app/options`), the retired dockershim ones included.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Parser;
use component_base::flags::CommonFlags;

/// Flags of `kubelet`. Those that upstream also has in its configuration file win over the file.
#[derive(Parser, Clone, Debug)]
#[command(name = "kubelet", about = "Runs the pods that are bound to this node, on a Docker engine")]
pub struct Options {
    /// Path to a kubeconfig file: how to reach the API server.
    #[arg(long, value_name = "path")]
    pub kubeconfig: Option<PathBuf>,
    /// Address of the API server; overrides the kubeconfig's.
    #[arg(long, value_name = "url")]
    pub master: Option<String>,
    /// Directory of kubelet.crt and kubelet.key; they are made when absent.
    #[arg(long, default_value = "/var/lib/kubelet/pki", value_name = "dir")]
    pub cert_dir: PathBuf,
    /// Certificate of the HTTPS server, instead of the one in --cert-dir.
    #[arg(long, value_name = "path")]
    pub tls_cert_file: Option<PathBuf>,
    /// Key of --tls-cert-file.
    #[arg(long, value_name = "path")]
    pub tls_private_key_file: Option<PathBuf>,
    /// KubeletConfiguration file (YAML or JSON).
    #[arg(long, value_name = "path")]
    pub config: Option<PathBuf>,
    /// Image of the container that holds a pod's network namespace.
    #[arg(long, default_value = "skiff/pause:latest", value_name = "image")]
    pub pod_infra_container_image: String,
    /// Accepted for upstream's sake: cgroups are Docker's business here.
    #[arg(long, value_name = "cgroup")]
    pub runtime_cgroups: Option<String>,
    /// Accepted for upstream's sake: the kubelet does not move itself between cgroups.
    #[arg(long, value_name = "cgroup")]
    pub kubelet_cgroups: Option<String>,
    /// The node's name, instead of the host name.
    #[arg(long, value_name = "name")]
    pub hostname_override: Option<String>,
    /// The node's address.
    #[arg(long, value_name = "ip")]
    pub node_ip: Option<IpAddr>,
    /// Labels for the Node object: `a=b,c=d`.
    #[arg(long, value_name = "labels", value_delimiter = ',')]
    pub node_labels: Vec<String>,
    /// Register the Node object with the API server.
    #[arg(long)]
    pub register_node: Option<bool>,
    /// Taints for a new Node object: `key=value:effect,…`.
    #[arg(long, value_name = "taints", value_delimiter = ',')]
    pub register_with_taints: Vec<String>,
    /// Addresses of the cluster's DNS servers.
    #[arg(long, value_name = "ips", value_delimiter = ',')]
    pub cluster_dns: Vec<IpAddr>,
    /// The cluster's DNS domain.
    #[arg(long, value_name = "domain")]
    pub cluster_domain: Option<String>,
    /// Directory for pods' files. Docker must see it under the same path.
    #[arg(long, default_value = "/var/lib/kubelet", value_name = "dir")]
    pub root_dir: PathBuf,
    /// The Docker engine's socket.
    #[arg(long, default_value = "unix:///var/run/docker.sock", value_name = "url")]
    pub docker_endpoint: String,
    /// cgroupfs or systemd; must be what Docker uses.
    #[arg(long, value_name = "driver")]
    pub cgroup_driver: Option<String>,
    /// Refuse to start on a machine with swap.
    #[arg(long)]
    pub fail_swap_on: Option<bool>,
    /// Address of the HTTPS server.
    #[arg(long, value_name = "ip")]
    pub address: Option<IpAddr>,
    /// Port of the HTTPS server.
    #[arg(long, value_name = "port")]
    pub port: Option<u16>,
    /// Address of /healthz.
    #[arg(long, value_name = "ip")]
    pub healthz_bind_address: Option<IpAddr>,
    /// Port of /healthz; 0 switches it off.
    #[arg(long, value_name = "port")]
    pub healthz_port: Option<u16>,
    /// Most pods on this node.
    #[arg(long, value_name = "n")]
    pub max_pods: Option<u32>,
    /// The resolver configuration that pods with dnsPolicy Default get.
    #[arg(long, value_name = "path")]
    pub resolv_conf: Option<PathBuf>,
    /// Where flannel writes this node's subnet.
    #[arg(long, default_value = "/run/flannel/subnet.env", value_name = "path")]
    pub subnet_file: PathBuf,
    /// The bridge that pods are wired to.
    #[arg(long, default_value = "cni0", value_name = "name")]
    pub bridge_name: String,
    /// Marks this cluster's containers, so that kubelets of several clusters can share one Docker engine.
    /// Default: derived from --root-dir.
    #[arg(long, value_name = "id")]
    pub cluster_id: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: CommonFlags,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub accepted: Accepted,
}

/// Flags of old and new upstream kubelets that are read and have no effect here.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Accepted {
    #[arg(long, hide = true)]
    container_runtime: Option<String>,
    #[arg(long, hide = true)]
    container_runtime_endpoint: Option<String>,
    #[arg(long, hide = true)]
    image_service_endpoint: Option<String>,
    #[arg(long, hide = true)]
    bootstrap_kubeconfig: Option<PathBuf>,
    #[arg(long, hide = true)]
    network_plugin: Option<String>,
    #[arg(long, hide = true)]
    cni_bin_dir: Option<String>,
    #[arg(long, hide = true)]
    cni_conf_dir: Option<String>,
    #[arg(long, hide = true)]
    allow_privileged: bool,
    #[arg(long, hide = true)]
    anonymous_auth: bool,
    #[arg(long, hide = true)]
    cgroups_per_qos: bool,
    #[arg(long, hide = true)]
    enforce_node_allocatable: Option<String>,
    #[arg(long, hide = true)]
    pod_manifest_path: Option<PathBuf>,
    #[arg(long, hide = true)]
    rotate_certificates: bool,
    #[arg(long, hide = true)]
    hairpin_mode: Option<String>,
    #[arg(long, hide = true)]
    authorization_mode: Option<String>,
    #[arg(long, hide = true)]
    client_ca_file: Option<PathBuf>,
    #[arg(long, hide = true)]
    cadvisor_port: Option<u16>,
    #[arg(long, hide = true)]
    eviction_hard: Option<String>,
    #[arg(long, hide = true)]
    serialize_image_pulls: bool,
    #[arg(long, hide = true)]
    image_pull_progress_deadline: Option<String>,
    #[arg(long, hide = true)]
    read_only_port: Option<u16>,
}
