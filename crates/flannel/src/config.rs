//! The network's configuration, the value of `<prefix>/config` (upstream's `subnet/config.go`).

use std::net::Ipv4Addr;

use serde::Deserialize;

use crate::net::Ipv4Net;

/// What the operator wrote into etcd, checked and with its defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// All pods of all hosts.
    pub network: Ipv4Net,
    /// The first subnet that may be leased.
    pub subnet_min: Ipv4Addr,
    /// The last subnet that may be leased.
    pub subnet_max: Ipv4Addr,
    /// The prefix length of each host's subnet.
    pub subnet_len: u8,
    /// How hosts reach each other.
    pub backend: Backend,
}

/// The `Backend` part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A VXLAN device.
    Vxlan(Vxlan),
    /// Routes to the other hosts, which must be on the same link.
    HostGw,
}

impl Backend {
    /// The name in configuration and leases.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Vxlan(_) => "vxlan",
            Self::HostGw => "host-gw",
        }
    }
}

/// Settings of the vxlan backend.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Vxlan {
    /// The VXLAN network identifier.
    #[serde(rename = "VNI")]
    pub vni: u32,
    /// The UDP port; 0 is the kernel's (8472).
    pub port: u16,
    /// The group-based-policy extension.
    #[serde(rename = "GBP")]
    pub gbp: bool,
    /// Learn addresses from packets.
    pub learning: bool,
    /// Use plain routes to hosts on the same link.
    pub direct_routing: bool,
}

impl Default for Vxlan {
    fn default() -> Self {
        Self { vni: 1, port: 0, gbp: false, learning: false, direct_routing: false }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Raw {
    #[serde(rename = "EnableIPv4")]
    enable_ipv4: bool,
    #[serde(rename = "EnableIPv6")]
    enable_ipv6: bool,
    network: Option<Ipv4Net>,
    subnet_min: Option<Ipv4Addr>,
    subnet_max: Option<Ipv4Addr>,
    subnet_len: u8,
    backend: serde_json::Value,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            enable_ipv4: true,
            enable_ipv6: false,
            network: None,
            subnet_min: None,
            subnet_max: None,
            subnet_len: 0,
            backend: serde_json::Value::Null,
        }
    }
}

impl Config {
    /// Parses and checks the value (upstream's `ParseConfig` and `CheckNetworkConfig`, with their messages).
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let raw: Raw = serde_json::from_slice(json).map_err(|err| err.to_string())?;
        if raw.enable_ipv6 || !raw.enable_ipv4 {
            return Err("EnableIPv6: only IPv4 networks are supported".into());
        }
        let network =
            raw.network.ok_or("please define a correct Network parameter in the flannel config")?.network();
        let subnet_len = subnet_len(network, raw.subnet_len)?;
        let size = 1u32 << (32 - u32::from(subnet_len));
        let first = u32::from(network.addr);
        let last = first | !network.mask();
        // The first subnet is left out: its address would be the network's own.
        let min = raw.subnet_min.map_or(first.saturating_add(size), u32::from);
        let max = raw.subnet_max.map_or((last & !(size - 1)).max(min), u32::from);
        for (name, value) in [("SubnetMin", min), ("SubnetMax", max)] {
            if !network.contains(Ipv4Addr::from(value)) {
                return Err(format!("{name} is not in the range of the Network"));
            }
            if value & (size - 1) != 0 {
                return Err(format!("{name} is not on a SubnetLen boundary: {}", Ipv4Addr::from(value)));
            }
        }
        Ok(Self {
            network,
            subnet_min: Ipv4Addr::from(min),
            subnet_max: Ipv4Addr::from(max),
            subnet_len,
            backend: backend(raw.backend)?,
        })
    }

    /// Whether `subnet` could have been leased under this configuration.
    pub fn fits(&self, subnet: Ipv4Net) -> bool {
        subnet.prefix == self.subnet_len && (self.subnet_min..=self.subnet_max).contains(&subnet.addr)
    }

    /// Every subnet that may be leased, in order.
    pub fn subnets(&self) -> impl Iterator<Item = Ipv4Net> + use<> {
        let prefix = self.subnet_len;
        let step = 1usize << (32 - u32::from(prefix));
        (u32::from(self.subnet_min)..=u32::from(self.subnet_max))
            .step_by(step)
            .map(move |addr| Ipv4Net { addr: Ipv4Addr::from(addr), prefix })
    }
}

fn subnet_len(network: Ipv4Net, wanted: u8) -> Result<u8, String> {
    if wanted > 0 {
        // Each host needs room for a tunnel and a bridge; the network needs room for more than two hosts.
        if wanted > 30 {
            return Err("SubnetLen must be less than /31".into());
        }
        if wanted < network.prefix + 2 {
            return Err("network must be able to accommodate at least four subnets".into());
        }
        return Ok(wanted);
    }
    match network.prefix {
        29.. => Err("network is too small. Minimum useful network prefix is /28".into()),
        0..=22 => Ok(24),
        prefix => Ok(prefix + 2),
    }
}

fn backend(value: serde_json::Value) -> Result<Backend, String> {
    if value.is_null() {
        return Err("Backend is missing, which means \"udp\"; supported are \"vxlan\" and \"host-gw\"".into());
    }
    match value.get("Type").and_then(|kind| kind.as_str()).unwrap_or_default() {
        "vxlan" => {
            let vxlan: Vxlan = serde_json::from_value(value)
                .map_err(|err| format!("error decoding VXLAN backend config: {err}"))?;
            if vxlan.vni >= 1 << 24 {
                return Err(format!("Backend.VNI: {} does not fit in 24 bits", vxlan.vni));
            }
            Ok(Backend::Vxlan(vxlan))
        }
        "host-gw" => Ok(Backend::HostGw),
        other => Err(format!(
            "Backend.Type: unknown backend type {other:?}; supported are \"vxlan\" and \"host-gw\""
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Config, String> {
        Config::parse(json.as_bytes())
    }

    #[test]
    fn defaults() {
        let config = parse(r#"{"Network":"172.10.0.0/16","Backend":{"Type":"vxlan"}}"#).unwrap();
        assert_eq!(config.subnet_len, 24);
        assert_eq!(config.subnet_min.to_string(), "172.10.1.0");
        assert_eq!(config.subnet_max.to_string(), "172.10.255.0");
        assert_eq!(config.backend, Backend::Vxlan(Vxlan::default()));
        assert_eq!(config.subnets().count(), 255);
        let small = parse(r#"{"Network":"10.0.0.0/26","Backend":{"Type":"host-gw"}}"#).unwrap();
        assert_eq!((small.subnet_len, small.subnets().count()), (28, 3));
    }

    #[test]
    fn refusals() {
        let refused = |json: &str| parse(json).unwrap_err();
        assert!(refused("{}").contains("Network"));
        assert!(refused(r#"{"Network":"10.0.0.0/29"}"#).contains("too small"));
        assert!(refused(r#"{"Network":"10.0.0.0/16"}"#).contains("Backend"));
        assert!(refused(r#"{"Network":"10.0.0.0/16","Backend":{"Type":"udp"}}"#).contains("\"udp\""));
        assert!(refused(r#"{"Network":"10.0.0.0/16","SubnetMin":"10.0.0.5"}"#).contains("boundary"));
        assert!(refused(r#"{"Network":"10.0.0.0/16","SubnetMax":"10.1.0.0"}"#).contains("range"));
        assert!(refused(r#"{"Network":"10.0.0.0/16","SubnetLen":17}"#).contains("four subnets"));
        assert!(refused("{").contains("EOF"));
    }
}
