//! A host's subnet lease and its value in etcd (upstream's `subnet/subnet.go`).

use std::{fmt, net::Ipv4Addr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::net::Ipv4Net;

/// The value of a lease's key. Field order is upstream's, so that the bytes are the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseAttrs {
    /// Where other hosts reach this one.
    #[serde(rename = "PublicIP")]
    pub public_ip: Ipv4Addr,
    /// Always null here.
    #[serde(rename = "PublicIPv6", default)]
    pub public_ipv6: Option<String>,
    /// `vxlan` or `host-gw`.
    #[serde(rename = "BackendType", default, skip_serializing_if = "String::is_empty")]
    pub backend_type: String,
    /// What the backend needs from its peers; its form depends on the backend.
    #[serde(rename = "BackendData", default, skip_serializing_if = "Option::is_none")]
    pub backend_data: Option<BackendData>,
}

/// `BackendData` of a vxlan lease. Another backend's data is nobody's business and reads as these defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendData {
    /// The VXLAN network identifier.
    #[serde(rename = "VNI", default)]
    pub vni: u32,
    /// The hardware address of the host's VXLAN device.
    #[serde(rename = "VtepMAC", default)]
    pub vtep_mac: Mac,
}

/// A hardware address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Reads the kernel's form.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes: Option<Vec<u8>> =
            text.split([':', '-']).map(|part| u8::from_str_radix(part, 16).ok()).collect();
        bytes
            .and_then(|bytes| Self::from_slice(&bytes))
            .ok_or_else(|| serde::de::Error::custom(format!("address {text}: invalid MAC address")))
    }
}

/// A subnet and who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The subnet.
    pub subnet: Ipv4Net,
    /// Who holds it.
    pub attrs: LeaseAttrs,
    /// A reservation has no etcd lease and never expires.
    pub reserved: bool,
}

impl Lease {
    /// The lease's key below `<prefix>/subnets/`.
    pub fn key(&self) -> String {
        self.subnet.key()
    }

    /// Reads a key (only its last part matters) and value; the error says what is wrong with them.
    pub fn parse(key: &[u8], value: &[u8], etcd_lease: i64) -> Result<Self, String> {
        let subnet = parse_key(key)?;
        let attrs = serde_json::from_slice(value).map_err(|err| format!("{subnet}: {err}"))?;
        Ok(Self { subnet, attrs, reserved: etcd_lease == 0 })
    }
}

/// The subnet that a key names.
pub(crate) fn parse_key(key: &[u8]) -> Result<Ipv4Net, String> {
    let key = String::from_utf8_lossy(key);
    let name = key.rsplit('/').next().unwrap_or_default();
    // `10.5.34.0-24&fd00::-64` is a dual-stack lease: its IPv4 half is as good as any other.
    let v4 = name.split('&').next().unwrap_or_default();
    Ipv4Net::from_key(v4).ok_or_else(|| format!("failed to parse subnet key {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VXLAN: &str = r#"{"PublicIP":"10.213.0.12","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"46:41:1c:b7:07:26"}}"#;
    const HOST_GW: &str = r#"{"PublicIP":"10.213.0.12","PublicIPv6":null,"BackendType":"host-gw"}"#;

    #[test]
    fn values_are_upstreams_byte_for_byte() {
        for json in [VXLAN, HOST_GW] {
            let attrs: LeaseAttrs = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&attrs).unwrap(), json);
        }
    }

    #[test]
    fn keys() {
        let lease = Lease::parse(b"/coreos.com/network/subnets/172.10.5.0-24", VXLAN.as_bytes(), 7).unwrap();
        assert_eq!((lease.key().as_str(), lease.reserved), ("172.10.5.0-24", false));
        assert!(Lease::parse(b"/coreos.com/network/subnets/x", VXLAN.as_bytes(), 7).is_err());
        assert!(Lease::parse(b"/s/172.10.5.0-24", b"{}", 7).is_err());
        assert_eq!(parse_key(b"/s/10.1.2.0-24&fd00::-64").unwrap().to_string(), "10.1.2.0/24");
    }
}
