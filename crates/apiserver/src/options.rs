//! The command line of kube-apiserver.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::builder::ArgAction;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, Parser};

/// Flags of kube-apiserver, named as upstream's.
#[derive(Clone, Debug, Parser)]
#[command(name = "kube-apiserver", version = component_base::version::GIT_VERSION, disable_help_subcommand = true)]
pub struct Options {
    /// Where the server keeps the certificate that it makes for itself.
    #[arg(long, default_value = "/var/run/kubernetes")]
    pub cert_dir: PathBuf,
    /// Address of the port without authentication.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), alias = "address")]
    pub insecure_bind_address: IpAddr,
    /// The port without authentication; 0 for none.
    #[arg(long, default_value_t = 8080, alias = "port")]
    pub insecure_port: u16,
    /// Address of the secure port.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    pub bind_address: IpAddr,
    /// The port with authentication and TLS; 0 for none.
    #[arg(long, default_value_t = 6443)]
    pub secure_port: u16,
    /// The address that the cluster reaches this server at. Default: the host's own.
    #[arg(long)]
    pub advertise_address: Option<IpAddr>,
    /// The range that services get their addresses from.
    #[arg(long, default_value = "10.0.0.0/24")]
    pub service_cluster_ip_range: String,
    /// The range that node ports come from.
    #[arg(long, default_value = "30000-32767")]
    pub service_node_port_range: String,
    /// Where objects are kept: etcd3 or memory.
    #[arg(long, default_value = "etcd3")]
    pub storage_backend: String,
    /// The etcd servers, with commas between them.
    #[arg(long, value_delimiter = ',')]
    pub etcd_servers: Vec<String>,
    /// What all keys start with.
    #[arg(long, default_value = "/registry")]
    pub etcd_prefix: String,
    /// CA that etcd's certificate is checked against.
    #[arg(long)]
    pub etcd_cafile: Option<PathBuf>,
    /// Client certificate for etcd.
    #[arg(long)]
    pub etcd_certfile: Option<PathBuf>,
    /// Key of the client certificate for etcd.
    #[arg(long)]
    pub etcd_keyfile: Option<PathBuf>,
    /// How often history is compacted, as a duration; 0 for never.
    #[arg(long, default_value = "5m0s")]
    pub etcd_compaction_interval: String,
    /// The serving certificate.
    #[arg(long)]
    pub tls_cert_file: Option<PathBuf>,
    /// The key of the serving certificate.
    #[arg(long)]
    pub tls_private_key_file: Option<PathBuf>,
    /// Client certificates signed by one of these authorities are accepted.
    #[arg(long)]
    pub client_ca_file: Option<PathBuf>,
    /// Keys that service account tokens are checked with.
    #[arg(long)]
    pub service_account_key_file: Vec<PathBuf>,
    /// Who issues service account tokens.
    #[arg(long, default_value = "https://kubernetes.default.svc")]
    pub service_account_issuer: Vec<String>,
    /// The key that tokens are signed with.
    #[arg(long)]
    pub service_account_signing_key_file: Option<PathBuf>,
    /// Where others find the keys of service account tokens, when it is not this server.
    #[arg(long)]
    pub service_account_jwks_uri: Option<String>,
    /// Audiences of tokens.
    #[arg(long, value_delimiter = ',')]
    pub api_audiences: Vec<String>,
    /// Static tokens: token,user,uid,"group1,group2".
    #[arg(long)]
    pub token_auth_file: Option<PathBuf>,
    /// Whether requests without credentials are let in on the secure port: never where everything is allowed.
    #[arg(long, default_value = "true", default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set)]
    pub anonymous_auth: bool,
    /// Authorizers, in order.
    #[arg(long, value_delimiter = ',', default_value = "AlwaysAllow")]
    pub authorization_mode: Vec<String>,
    /// Admission plug-ins beside the default ones.
    #[arg(long, value_delimiter = ',')]
    pub enable_admission_plugins: Vec<String>,
    /// Default admission plug-ins that are left out.
    #[arg(long, value_delimiter = ',')]
    pub disable_admission_plugins: Vec<String>,
    /// The complete list of admission plug-ins (the old flag).
    #[arg(long, value_delimiter = ',')]
    pub admission_control: Option<Vec<String>>,
    /// Whether containers may be privileged.
    #[arg(long, default_value = "false", default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set)]
    pub allow_privileged: bool,
    /// APIs that are turned on or off: api/all=false, api/beta=false, apps/v1beta1=true, apps/v1beta1/deployments=false.
    #[arg(long, value_delimiter = ',')]
    pub runtime_config: Vec<String>,
    /// The release to behave as, 1.36 or kube=1.36: APIs that it no longer had are off. Default: every API since 2018 is on.
    #[arg(long)]
    pub emulated_version: Option<String>,
    /// How long events are kept.
    #[arg(long, default_value = "1h0m0s")]
    pub event_ttl: String,
    /// How many reading requests may run at once; 0 for no limit.
    #[arg(long, default_value_t = 400)]
    pub max_requests_inflight: usize,
    /// How many changing requests may run at once; 0 for no limit.
    #[arg(long, default_value_t = 200)]
    pub max_mutating_requests_inflight: usize,
    /// How many requests one HTTP/2 connection may have open; 0 for upstream's default, 100.
    #[arg(long, default_value_t = 0)]
    pub http2_max_streams_per_connection: u32,
    /// How long a request may take.
    #[arg(long, default_value = "1m0s")]
    pub request_timeout: String,
    /// How long a watch lasts at least, in seconds.
    #[arg(long, default_value_t = 1800)]
    pub min_request_timeout: u64,
    /// Client certificate for kubelets.
    #[arg(long)]
    pub kubelet_client_certificate: Option<PathBuf>,
    /// Key of the client certificate for kubelets.
    #[arg(long)]
    pub kubelet_client_key: Option<PathBuf>,
    /// CA that kubelets' certificates are checked against.
    #[arg(long)]
    pub kubelet_certificate_authority: Option<PathBuf>,
    /// Node addresses, the most wanted first.
    #[arg(long, value_delimiter = ',')]
    pub kubelet_preferred_address_types: Vec<String>,
    /// How much is logged.
    #[arg(short, long, default_value_t = 0)]
    pub v: u8,
    /// Upstream's flags that change nothing here.
    #[command(flatten)]
    pub ignored: Ignored,
}

impl Default for Options {
    fn default() -> Options {
        Options::parse_from(["kube-apiserver"])
    }
}

/// Flags that upstream knows, that people write, and that make no difference to this server.
#[derive(Clone, Debug, Default)]
pub struct Ignored;

/// Names of flags that are accepted and ignored.
const IGNORED: &[&str] = &[
    "allow-metric-labels",
    "alsologtostderr",
    "anonymous-auth-config",
    "apiserver-count",
    "audit-log-format",
    "audit-log-maxage",
    "audit-log-maxbackup",
    "audit-log-maxsize",
    "audit-log-path",
    "audit-policy-file",
    "authentication-token-webhook-cache-ttl",
    "authorization-webhook-cache-authorized-ttl",
    "authorization-webhook-cache-unauthorized-ttl",
    "cloud-config",
    "cloud-provider",
    "contention-profiling",
    "cors-allowed-origins",
    "default-not-ready-toleration-seconds",
    "default-unreachable-toleration-seconds",
    "default-watch-cache-size",
    "delete-collection-workers",
    "deserialization-cache-size",
    "egress-selector-config-file",
    "enable-aggregator-routing",
    "enable-bootstrap-token-auth",
    "enable-garbage-collector",
    "enable-logs-handler",
    "enable-priority-and-fairness",
    "enable-swagger-ui",
    "encryption-provider-config",
    "endpoint-reconciler-type",
    "etcd-count-metric-poll-period",
    "etcd-db-metric-poll-interval",
    "etcd-healthcheck-timeout",
    "etcd-quorum-read",
    "etcd-readycheck-timeout",
    "etcd-servers-overrides",
    "event-ttl-jitter",
    "experimental-encryption-provider-config",
    "external-hostname",
    "feature-gates",
    "goaway-chance",
    "identity-lease-duration-seconds",
    "kubelet-https",
    "kubelet-port",
    "kubelet-read-only-port",
    "kubelet-timeout",
    "kubernetes-service-node-port",
    "livez-grace-period",
    "log-backtrace-at",
    "log-dir",
    "log-file",
    "log-flush-frequency",
    "logging-format",
    "logtostderr",
    "master-service-namespace",
    "max-connection-bytes-per-sec",
    "one-output",
    "permit-address-sharing",
    "permit-port-sharing",
    "profiling",
    "proxy-client-cert-file",
    "proxy-client-key-file",
    "repair-malformed-updates",
    "requestheader-allowed-names",
    "requestheader-client-ca-file",
    "requestheader-extra-headers-prefix",
    "requestheader-group-headers",
    "requestheader-username-headers",
    "service-account-extend-token-expiration",
    "service-account-lookup",
    "service-account-max-token-expiration",
    "shutdown-delay-duration",
    "shutdown-send-retry-after",
    "skip-log-headers",
    "ssh-keyfile",
    "ssh-user",
    "stderrthreshold",
    "storage-media-type",
    "storage-versions",
    "strict-transport-security-directives",
    "target-ram-mb",
    "tls-cipher-suites",
    "tls-min-version",
    "tls-sni-cert-key",
    "vmodule",
    "watch-cache",
    "watch-cache-sizes",
];

impl Args for Ignored {
    fn augment_args(mut command: Command) -> Command {
        for name in IGNORED {
            command = command.arg(
                Arg::new(*name)
                    .long(*name)
                    .num_args(0..=1)
                    .action(ArgAction::Append)
                    .hide(true)
                    .global(false),
            );
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Ignored::augment_args(command)
    }
}

impl FromArgMatches for Ignored {
    fn from_arg_matches(_: &ArgMatches) -> Result<Ignored, clap::Error> {
        Ok(Ignored)
    }

    fn update_from_arg_matches(&mut self, _: &ArgMatches) -> Result<(), clap::Error> {
        Ok(())
    }
}

/// Go's duration syntax: `1h30m`, `5s`, `250ms`, a bare `0`.
pub fn parse_duration(text: &str) -> Option<std::time::Duration> {
    if text == "0" {
        return Some(std::time::Duration::ZERO);
    }
    let mut seconds = 0f64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let units =
            rest[digits..].find(|c: char| c.is_ascii_digit() || c == '.').map_or(rest.len(), |n| digits + n);
        let factor = match &rest[digits..units] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number * factor;
        rest = &rest[units..];
    }
    (!text.is_empty()).then(|| std::time::Duration::try_from_secs_f64(seconds).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tutorials_flags_parse() {
        let options = Options::try_parse_from([
            "kube-apiserver",
            "--cert-dir=/tmp/x",
            "--insecure-bind-address=0.0.0.0",
            "--insecure-port=18080",
            "--service-cluster-ip-range=10.0.0.0/16",
            "--etcd-servers=http://127.0.0.1:2379,http://127.0.0.1:2381",
            "--logtostderr=true",
            "--allow-privileged",
            "--profiling=false",
        ])
        .unwrap();
        assert_eq!(options.insecure_port, 18080);
        assert_eq!(options.etcd_servers.len(), 2);
        assert!(options.allow_privileged);
    }

    #[test]
    fn go_durations() {
        assert_eq!(parse_duration("1h0m0s").unwrap().as_secs(), 3600);
        assert_eq!(parse_duration("250ms").unwrap().as_millis(), 250);
        assert!(parse_duration("5").is_none());
        assert!(parse_duration("").is_none());
    }
}
