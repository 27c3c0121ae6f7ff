//! `KubeletConfiguration` (kubelet.config.k8s.io/v1beta1) and what it and the flags together amount to.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::Error;
use crate::options::Options;

/// Every field of upstream's v1beta1 type: those that we do not read are accepted, anything else is a typing error.
const FIELDS: &str = include_str!("../data/kubelet-configuration-fields.txt");

/// The fields that we read.
#[derive(Deserialize, Default, Debug)]
#[serde(rename_all = "camelCase", default)]
struct File {
    address: Option<IpAddr>,
    port: Option<u16>,
    tls_cert_file: Option<PathBuf>,
    tls_private_key_file: Option<PathBuf>,
    healthz_port: Option<u16>,
    healthz_bind_address: Option<IpAddr>,
    cluster_domain: Option<String>,
    #[serde(rename = "clusterDNS")]
    cluster_dns: Option<Vec<IpAddr>>,
    node_status_update_frequency: Option<String>,
    node_status_report_frequency: Option<String>,
    node_lease_duration_seconds: Option<i32>,
    sync_frequency: Option<String>,
    cgroup_driver: Option<String>,
    max_pods: Option<u32>,
    resolv_conf: Option<PathBuf>,
    fail_swap_on: Option<bool>,
    register_node: Option<bool>,
    #[serde(rename = "cpuCFSQuota")]
    cpu_cfs_quota: Option<bool>,
    #[serde(rename = "imageGCHighThresholdPercent")]
    image_gc_high: Option<i32>,
    pod_pids_limit: Option<i64>,
}

/// Flags over file over upstream's defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address of the HTTPS server.
    pub address: IpAddr,
    /// Port of the HTTPS server.
    pub port: u16,
    /// Certificate and key of the HTTPS server when given by name.
    pub tls_files: Option<(PathBuf, PathBuf)>,
    /// `/healthz`, unless its port is 0.
    pub healthz: Option<std::net::SocketAddr>,
    /// Cluster DNS servers.
    pub cluster_dns: Vec<IpAddr>,
    /// Cluster DNS domain, empty for none.
    pub cluster_domain: String,
    /// How often the node's own state is looked at.
    pub status_update: Duration,
    /// How often an unchanged node status is posted.
    pub status_report: Duration,
    /// Lease duration; it is renewed each quarter of it.
    pub lease_seconds: i32,
    /// How often a pod is looked at without any news.
    pub sync_frequency: Duration,
    /// What Docker must use; `None` accepts whatever it uses.
    pub cgroup_driver: Option<String>,
    /// Most pods.
    pub max_pods: u32,
    /// Resolver configuration of the host.
    pub resolv_conf: PathBuf,
    /// Refuse swap.
    pub fail_swap_on: bool,
    /// Register the node.
    pub register_node: bool,
    /// Turn CPU limits into CFS quota.
    pub cpu_cfs_quota: bool,
    /// Most processes per pod, below 1 for no limit.
    pub pod_pids_limit: i64,
}

impl Config {
    /// Reads `--config` and lays the flags over it.
    pub fn load(options: &Options) -> Result<Self, Error> {
        let file = match &options.config {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|e| {
                    Error::Config(format!(
                        "failed to load kubelet config file, path: {}, error: {e}",
                        path.display()
                    ))
                })?;
                parse(&text).map_err(|e| {
                    Error::Config(format!(
                        "failed to load kubelet config file, path: {}, error: {e}",
                        path.display()
                    ))
                })?
            }
            None => File::default(),
        };
        let duration = |name: &str, text: &Option<String>, default: u64| match text {
            None => Ok(Duration::from_secs(default)),
            Some(text) => component_base::flags::duration(text)
                .map_err(|e| Error::Config(format!("invalid configuration: {name}: {e}"))),
        };
        let unspecified = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let healthz_port = options.healthz_port.or(file.healthz_port).unwrap_or(10248);
        let healthz_ip = options.healthz_bind_address.or(file.healthz_bind_address);
        let tls = options.tls_cert_file.clone().or(file.tls_cert_file);
        let key = options.tls_private_key_file.clone().or(file.tls_private_key_file);
        let config = Config {
            address: options.address.or(file.address).unwrap_or(unspecified),
            port: options.port.or(file.port).unwrap_or(10250),
            tls_files: match (tls, key) {
                (Some(cert), Some(key)) => Some((cert, key)),
                (None, None) => None,
                _ => {
                    return Err(Error::Config(
                        "tlsCertFile and tlsPrivateKeyFile must be given together".into(),
                    ));
                }
            },
            healthz: (healthz_port != 0)
                .then(|| (healthz_ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), healthz_port).into()),
            cluster_dns: if options.cluster_dns.is_empty() {
                file.cluster_dns.unwrap_or_default()
            } else {
                options.cluster_dns.clone()
            },
            cluster_domain: options.cluster_domain.clone().or(file.cluster_domain).unwrap_or_default(),
            status_update: duration("nodeStatusUpdateFrequency", &file.node_status_update_frequency, 10)?,
            status_report: duration("nodeStatusReportFrequency", &file.node_status_report_frequency, 300)?,
            lease_seconds: file.node_lease_duration_seconds.unwrap_or(40),
            sync_frequency: duration("syncFrequency", &file.sync_frequency, 60)?,
            cgroup_driver: options.cgroup_driver.clone().or(file.cgroup_driver),
            max_pods: options.max_pods.or(file.max_pods).unwrap_or(110),
            resolv_conf: options
                .resolv_conf
                .clone()
                .or(file.resolv_conf)
                .unwrap_or_else(|| "/etc/resolv.conf".into()),
            fail_swap_on: options.fail_swap_on.or(file.fail_swap_on).unwrap_or(true),
            register_node: options.register_node.or(file.register_node).unwrap_or(true),
            cpu_cfs_quota: file.cpu_cfs_quota.unwrap_or(true),
            pod_pids_limit: file.pod_pids_limit.unwrap_or(-1),
        };
        config.check(file.image_gc_high)?;
        Ok(config)
    }

    /// The rules of upstream's `ValidateKubeletConfiguration` for the fields that we read.
    fn check(&self, image_gc_high: Option<i32>) -> Result<(), Error> {
        let invalid = |text: String| Err(Error::Config(format!("invalid configuration: {text}")));
        if let Some(driver) = &self.cgroup_driver
            && driver != "cgroupfs"
            && driver != "systemd"
        {
            return invalid(format!("cgroupDriver (--cgroup-driver) {driver:?} must be cgroupfs or systemd"));
        }
        if self.lease_seconds <= 0 {
            return invalid(format!(
                "nodeLeaseDurationSeconds must be greater than 0, got {}",
                self.lease_seconds
            ));
        }
        if self.port == 0 {
            return invalid("port (--port) 0 must be between 1 and 65535, inclusive".into());
        }
        if let Some(percent) = image_gc_high
            && !(0..=100).contains(&percent)
        {
            return invalid(format!(
                "imageGCHighThresholdPercent (--image-gc-high-threshold) {percent} must be between 0 and 100, inclusive"
            ));
        }
        Ok(())
    }
}

/// The parser draws the place below its first line.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Strict, as upstream: unknown fields, a wrong kind and wrong types are named.
fn parse(text: &str) -> Result<File, String> {
    let value: Value = serde_saphyr::from_str(text).map_err(|e| first_line(&e.to_string()))?;
    let Value::Object(map) = &value else {
        return Err("not a KubeletConfiguration: the document is not a mapping".into());
    };
    let field = |name: &str| map.get(name).and_then(Value::as_str).unwrap_or_default();
    if field("kind") != "KubeletConfiguration" {
        return Err(format!("kind {:?} is not KubeletConfiguration", field("kind")));
    }
    if field("apiVersion") != "kubelet.config.k8s.io/v1beta1" {
        return Err(format!(
            "no kind \"KubeletConfiguration\" is registered for version {:?}; want kubelet.config.k8s.io/v1beta1",
            field("apiVersion")
        ));
    }
    let known = |name: &str| name == "kind" || name == "apiVersion" || FIELDS.lines().any(|f| f == name);
    if let Some(name) = map.keys().find(|name| !known(name)) {
        return Err(format!("strict decoding error: unknown field {name:?}"));
    }
    // One field at a time, so that a wrong type is reported with its field's name.
    for (name, one) in map {
        let only = Value::Object([(name.clone(), one.clone())].into_iter().collect());
        if let Err(e) = serde_json::from_value::<File>(only) {
            return Err(format!("{name}: {e}"));
        }
    }
    serde_json::from_value(value).map_err(|e| e.to_string())
}

/// Refuses to run beside swap when told so (upstream's check of /proc/swaps).
pub fn check_swap(fail_swap_on: bool, proc_swaps: &Path) -> Result<(), Error> {
    if !fail_swap_on {
        return Ok(());
    }
    let text = std::fs::read_to_string(proc_swaps).unwrap_or_default();
    if text.trim().lines().count() > 1 {
        return Err(Error::Config(
            "running with swap on is not supported, please disable swap or set --fail-swap-on flag to false"
                .into(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "kind: KubeletConfiguration\napiVersion: kubelet.config.k8s.io/v1beta1\n";

    #[test]
    fn the_tutorials_file_is_read() {
        let file =
            parse(&format!("{HEAD}cgroupDriver: cgroupfs\nclusterDNS: [10.0.0.10]\nfailSwapOn: false\n"))
                .unwrap();
        assert_eq!(file.cgroup_driver.as_deref(), Some("cgroupfs"));
        assert_eq!(file.cluster_dns, Some(vec!["10.0.0.10".parse().unwrap()]));
        assert_eq!(file.fail_swap_on, Some(false));
    }

    #[test]
    fn wrong_fields_are_named() {
        let error = |rest: &str| parse(&format!("{HEAD}{rest}\n")).unwrap_err();
        assert_eq!(error("cgroupDriverr: x"), "strict decoding error: unknown field \"cgroupDriverr\"");
        assert!(error("maxPods: many").starts_with("maxPods: "));
        assert!(parse("kind: Pod\napiVersion: v1\n").unwrap_err().contains("Pod"));
    }
}
