//! A pod's `/etc/resolv.conf` and `/etc/hosts` (upstream's `pkg/kubelet/network/dns`, `managedHostsFileContent`).

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod;

use super::spec;

/// Resolver settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolver {
    servers: Vec<String>,
    searches: Vec<String>,
    options: Vec<String>,
}

/// Reads a `resolv.conf`.
pub fn parse(text: &str) -> Resolver {
    let mut found = Resolver::default();
    for line in text.lines() {
        let mut words = line.split_whitespace().take_while(|w| !w.starts_with(['#', ';']));
        match words.next() {
            Some("nameserver") => found.servers.extend(words.next().map(str::to_owned)),
            Some("search" | "domain") => {
                found.searches = words.map(|w| w.trim_end_matches('.').to_owned()).collect()
            }
            Some("options") => found.options = words.map(str::to_owned).collect(),
            _ => {}
        }
    }
    found
}

/// Cluster-wide settings.
pub struct Cluster<'a> {
    /// DNS servers of the cluster.
    pub servers: &'a [IpAddr],
    /// Its domain.
    pub domain: &'a str,
}

/// Does the pod want the cluster's DNS where there is none? Upstream says so in an event.
pub fn misses_cluster_dns(pod: &Pod, cluster: &Cluster<'_>) -> bool {
    wants_cluster(pod) && cluster.servers.is_empty()
}

fn wants_cluster(pod: &Pod) -> bool {
    match spec::of(pod).dns_policy.as_deref() {
        Some("ClusterFirst") | None => !spec::host_network(pod),
        Some("ClusterFirstWithHostNet") => true,
        _ => false,
    }
}

/// The pod's `resolv.conf`.
pub fn resolv_conf(pod: &Pod, host: &Resolver, cluster: &Cluster<'_>) -> String {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let policy = spec::of(pod).dns_policy.as_deref();
    let mut result = if policy == Some("None") {
        Resolver::default()
    } else if wants_cluster(pod) && !cluster.servers.is_empty() {
        let mut searches = Vec::new();
        if !cluster.domain.is_empty() {
            let domain = cluster.domain;
            searches = vec![format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.to_owned()];
        }
        searches.extend(host.searches.iter().cloned());
        let servers = cluster.servers.iter().map(IpAddr::to_string).collect();
        Resolver { servers, searches, options: vec!["ndots:5".into()] }
    } else {
        let mut host = host.clone();
        if !spec::host_network(pod) {
            // A server on the host's loopback is out of a pod's reach.
            host.servers.retain(|s| !s.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()));
        }
        host
    };
    if let Some(config) = &spec::of(pod).dns_config {
        append(&mut result.servers, config.nameservers.iter().flatten().cloned());
        append(&mut result.searches, config.searches.iter().flatten().cloned());
        for option in config.options.iter().flatten() {
            let name = option.name.clone().unwrap_or_default();
            result.options.retain(|o| o.split(':').next() != Some(&name));
            result.options.push(match &option.value {
                Some(value) => format!("{name}:{value}"),
                None => name,
            });
        }
    }
    let mut text = String::new();
    if !result.searches.is_empty() {
        text.push_str(&format!("search {}\n", result.searches.join(" ")));
    }
    // The C library reads three servers.
    for server in result.servers.iter().take(3) {
        text.push_str(&format!("nameserver {server}\n"));
    }
    if !result.options.is_empty() {
        text.push_str(&format!("options {}\n", result.options.join(" ")));
    }
    text
}

fn append(list: &mut Vec<String>, more: impl Iterator<Item = String>) {
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

/// The pod's host name, and its domain when it has a subdomain.
pub fn hostname(pod: &Pod, cluster_domain: &str) -> (String, Option<String>) {
    let own = pod.metadata.name.clone().unwrap_or_default();
    let mut name = spec::of(pod).hostname.clone().filter(|h| !h.is_empty()).unwrap_or(own);
    name.truncate(63);
    let name = name.trim_end_matches(['-', '.']).to_owned();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let subdomain = spec::of(pod).subdomain.as_deref().filter(|s| !s.is_empty());
    (name, subdomain.map(|s| format!("{s}.{namespace}.svc.{cluster_domain}")))
}

/// The pod's `/etc/hosts`.
pub fn hosts(pod: &Pod, ip: Option<&str>, cluster_domain: &str, of_host: &str) -> String {
    let mut text = if spec::host_network(pod) {
        format!("# Kubernetes-managed hosts file (host network).\n{of_host}")
    } else {
        let mut text = String::from(
            "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
             fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n",
        );
        if let Some(ip) = ip {
            let (name, domain) = hostname(pod, cluster_domain);
            match domain {
                Some(domain) => text.push_str(&format!("{ip}\t{name}.{domain}\t{name}\n")),
                None => text.push_str(&format!("{ip}\t{name}\n")),
            }
        }
        text
    };
    let aliases = spec::of(pod).host_aliases.as_deref().unwrap_or_default();
    if !aliases.is_empty() {
        text.push_str("\n# Entries added by HostAliases.\n");
        for alias in aliases {
            let names = alias.hostnames.as_deref().unwrap_or_default();
            text.push_str(&format!("{}\t{}\n", alias.ip, names.join("\t")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(spec: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "ns"}, "spec": spec})).unwrap()
    }

    #[test]
    fn cluster_dns_comes_first() {
        let host =
            parse("# x\nsearch corp.example\nnameserver 192.0.2.1\nnameserver 127.0.0.11\noptions a b\n");
        let servers = ["10.0.0.10".parse().unwrap()];
        let cluster = Cluster { servers: &servers, domain: "cluster.local" };
        let text = resolv_conf(&pod(json!({"containers": []})), &host, &cluster);
        let expected = "search ns.svc.cluster.local svc.cluster.local cluster.local corp.example\n\
                        nameserver 10.0.0.10\noptions ndots:5\n";
        assert_eq!(text, expected);
        let text = resolv_conf(&pod(json!({"containers": [], "dnsPolicy": "Default"})), &host, &cluster);
        assert_eq!(text, "search corp.example\nnameserver 192.0.2.1\noptions a b\n");
        let config = json!({"containers": [], "dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"],
            "options": [{"name": "ndots", "value": "2"}]}});
        assert_eq!(resolv_conf(&pod(config), &host, &cluster), "nameserver 1.1.1.1\noptions ndots:2\n");
    }

    #[test]
    fn hosts_name_the_pod() {
        let text =
            hosts(&pod(json!({"containers": [], "subdomain": "web"})), Some("10.5.1.2"), "cluster.local", "");
        assert!(text.ends_with("10.5.1.2\tp.web.ns.svc.cluster.local\tp\n"));
    }
}
