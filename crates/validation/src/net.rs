//! IP addresses and CIDR values (`k8s.io/apimachinery/pkg/util/validation/ip.go`).

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use api::field::{ErrorList, Path};

use crate::errs::Errs;

/// Go's `ParseIPSloppy`: octets may have leading zeros.
pub(crate) fn parse_ip_sloppy(text: &str) -> Option<IpAddr> {
    if let Some(v4) = parse_v4_sloppy(text) {
        return Some(IpAddr::V4(v4));
    }
    if !text.contains(':') {
        return None;
    }
    // An IPv6 address may end with a dotted quad.
    if let Some((head, tail)) = text.rsplit_once(':')
        && tail.contains('.')
    {
        let v4 = parse_v4_sloppy(tail)?;
        return format!("{head}:{v4}").parse().ok().map(IpAddr::V6);
    }
    text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

fn parse_v4_sloppy(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0_u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let trimmed = part.trim_start_matches('0');
        *octet = if trimmed.is_empty() { 0 } else { trimmed.parse().ok()? };
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

/// Whether an address counts as IPv6 (`IsIPv6`); one that maps IPv4 does not.
pub(crate) fn is_ipv6(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_none())
}

/// `IsIPv6String`.
pub(crate) fn is_ipv6_text(text: &str) -> bool {
    parse_ip_sloppy(text).is_some_and(is_ipv6)
}

fn parse_strict(path: &Path<'_>, value: &str, errs: &mut ErrorList) -> Option<IpAddr> {
    let Some(ip) = parse_ip_sloppy(value) else {
        errs.invalid(path, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
        return None;
    };
    match value.parse::<IpAddr>() {
        Err(_) => errs.invalid(path, value, "must not have leading 0s"),
        Ok(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_some() => {
            errs.invalid(path, value, "must not be an IPv4-mapped IPv6 address");
        }
        Ok(_) => return Some(ip),
    }
    None
}

/// What an object had before it was changed.
pub(crate) type Before<'a> = HashSet<&'a str>;

/// `IsValidIPForLegacyField`: strict, but any form of a valid address; values in `old` pass.
pub(crate) fn valid_ip(path: &Path<'_>, value: &str, old: &Before<'_>, errs: &mut ErrorList) {
    if !old.contains(value) {
        parse_strict(path, value, errs);
    }
}

/// `IsValidIP`: strict and canonical.
pub(crate) fn canonical_ip(path: &Path<'_>, value: &str, errs: &mut ErrorList) {
    if let Some(ip) = parse_strict(path, value, errs) {
        let canonical = ip.to_string();
        if canonical != value {
            errs.invalid(path, value, format!("must be in canonical form (\"{canonical}\")"));
        }
    }
}

/// A parsed CIDR value: address, prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cidr {
    pub(crate) address: IpAddr,
    pub(crate) prefix: u8,
}

impl Cidr {
    /// Go's `ParseCIDRSloppy`.
    pub(crate) fn parse(text: &str) -> Option<Cidr> {
        let (ip, length) = text.split_once('/')?;
        let address = parse_ip_sloppy(ip)?;
        if length.is_empty() || length.len() > 3 || !length.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let prefix: u8 = length.parse().ok()?;
        let max = if address.is_ipv4() { 32 } else { 128 };
        (prefix <= max).then_some(Cidr { address, prefix })
    }

    /// The network address.
    pub(crate) fn network(self) -> IpAddr {
        match self.address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(u32::from(v4) & mask))
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
            }
        }
    }

    /// Whether an address lies in this network.
    pub(crate) fn contains(self, ip: IpAddr) -> bool {
        self.address.is_ipv4() == ip.is_ipv4()
            && Cidr { address: ip, prefix: self.prefix }.network() == self.network()
    }
}

/// What clients are told of an address that is valid and oddly written (`GetWarningsForIP`).
pub(crate) fn ip_warning(path: &str, value: &str) -> Option<String> {
    let ip = parse_ip_sloppy(value)?;
    match value.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => None,
        Ok(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_none() => (v6.to_string() != value).then(|| {
            format!("{path}: IPv6 address {value:?} should be in RFC 5952 canonical format (\"{v6}\")")
        }),
        _ => Some(format!("{path}: non-standard IP address {value:?} is invalid: use \"{}\"", unmapped(ip))),
    }
}

/// Go shows an IPv4 address in an IPv6 one as the former.
fn unmapped(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        v4 => v4,
    }
}

/// The same for a network (`GetWarningsForCIDR`).
pub(crate) fn cidr_warnings(path: &str, value: &str) -> Vec<String> {
    let Some(mut cidr) = Cidr::parse(value) else { return Vec::new() };
    if let IpAddr::V6(v6) = cidr.address
        && let Some(v4) = v6.to_ipv4_mapped()
        && cidr.prefix >= 96
    {
        cidr = Cidr { address: IpAddr::V4(v4), prefix: cidr.prefix - 96 };
    }
    let strict = value.split_once('/').is_some_and(|(ip, length)| {
        let ip = ip.parse::<IpAddr>();
        let mapped = matches!(ip, Ok(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_some());
        ip.is_ok() && !mapped && (length == "0" || !length.starts_with('0'))
    });
    let (network, prefix) = (cidr.network(), cidr.prefix);
    let mut out = Vec::new();
    if network != cidr.address {
        let bits = if network.is_ipv4() { 32 } else { 128 };
        out.push(format!(
            "{path}: CIDR value {value:?} is ambiguous in this context (should be \"{network}/{prefix}\" or \"{}/{bits}\"?)",
            cidr.address
        ));
    }
    if !strict {
        out.push(format!("{path}: non-standard CIDR value {value:?} is invalid: use \"{network}/{prefix}\""));
    }
    let canonical = format!("{}/{prefix}", cidr.address);
    if out.is_empty() && cidr.address.is_ipv6() && canonical != value {
        out.push(format!(
            "{path}: IPv6 CIDR value {value:?} should be in RFC 5952 canonical format ({canonical:?})"
        ));
    }
    out
}

fn parse_cidr(path: &Path<'_>, value: &str, errs: &mut ErrorList) -> Option<Cidr> {
    let Some(cidr) = Cidr::parse(value) else {
        errs.invalid(path, value, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
        return None;
    };
    let strict = value.split_once('/').is_some_and(|(ip, length)| {
        ip.parse::<IpAddr>().is_ok() && (length == "0" || !length.starts_with('0'))
    });
    if !strict {
        errs.invalid(path, value, "must not have leading 0s in IP or prefix length");
    } else if matches!(cidr.address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()) {
        errs.invalid(path, value, "must not have an IPv4-mapped IPv6 address");
    } else if cidr.network() != cidr.address {
        errs.invalid(path, value, "must not have bits set beyond the prefix length");
    } else {
        return Some(cidr);
    }
    None
}

/// `IsValidCIDRForLegacyField`; values in `old` pass.
pub(crate) fn valid_cidr(path: &Path<'_>, value: &str, old: &Before<'_>, errs: &mut ErrorList) {
    if !old.contains(value) {
        parse_cidr(path, value, errs);
    }
}

/// `IsValidCIDR`: strict and canonical.
pub(crate) fn canonical_cidr(path: &Path<'_>, value: &str, errs: &mut ErrorList) {
    if let Some(cidr) = parse_cidr(path, value, errs) {
        let canonical = format!("{}/{}", cidr.network(), cidr.prefix);
        if canonical != value {
            errs.invalid(path, value, format!("must be in canonical form (\"{canonical}\")"));
        }
    }
}

/// `IsValidInterfaceAddress`: an address with the length of its network's prefix.
pub(crate) fn interface_address(path: &Path<'_>, value: &str, errs: &mut ErrorList) {
    let Some(cidr) = Cidr::parse(value) else {
        let detail = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)";
        errs.invalid(path, value, detail);
        return;
    };
    let ip = cidr.address.to_canonical();
    let inside = if ip == cidr.address { 0 } else { 96 };
    let canonical = format!("{ip}/{}", cidr.prefix.saturating_sub(inside));
    if canonical != value {
        errs.invalid(path, value, format!("must be in canonical form (\"{canonical}\")"));
    }
}

/// `IsDualStackIPStrings`: at least one address of each family. `None` when one does not parse.
pub(crate) fn is_dual_stack(ips: &[&str]) -> Option<bool> {
    let parsed = ips.iter().map(|t| parse_ip_sloppy(t)).collect::<Option<Vec<IpAddr>>>()?;
    Some(parsed.iter().any(|ip| is_ipv6(*ip)) && parsed.iter().any(|ip| !is_ipv6(*ip)))
}

/// `IsDualStackCIDRStrings`.
/// Whether a text is a network, however it is written.
pub(crate) fn is_cidr(text: &str) -> bool {
    Cidr::parse(text).is_some()
}

pub(crate) fn is_dual_stack_cidrs(cidrs: &[&str]) -> Option<bool> {
    let parsed = cidrs.iter().map(|t| Cidr::parse(t)).collect::<Option<Vec<Cidr>>>()?;
    Some(parsed.iter().any(|c| is_ipv6(c.address)) && parsed.iter().any(|c| !is_ipv6(c.address)))
}

/// `ValidateEndpointIP`: an address that traffic can be sent to.
pub(crate) fn endpoint_ip(text: &str, path: &Path<'_>, errs: &mut ErrorList) {
    let Some(ip) = parse_ip_sloppy(text) else {
        errs.invalid(path, text, "must be a valid IP address");
        return;
    };
    let ip = ip.to_canonical();
    if ip.is_unspecified() {
        errs.invalid(path, text, format!("may not be unspecified ({text})"));
    }
    if ip.is_loopback() {
        errs.invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
    let (link_local, link_local_multicast) = match ip {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.segments()[0] & 0xffc0 == 0xfe80, v6.segments()[0] & 0xff0f == 0xff02),
    };
    if link_local {
        errs.invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    }
    if link_local_multicast {
        errs.invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_loosely_and_judged_strictly() {
        assert_eq!(parse_ip_sloppy("010.0.0.1"), Some(IpAddr::from([10, 0, 0, 1])));
        let mut errs = ErrorList::new();
        let path = Path::new("ip");
        valid_ip(&path, "010.0.0.1", &Before::default(), &mut errs);
        valid_ip(&path, "::ffff:1.2.3.4", &Before::default(), &mut errs);
        valid_ip(&path, "x", &Before::from(["x"]), &mut errs);
        canonical_ip(&path, "FE80::1", &mut errs);
        let texts: Vec<String> = errs.iter().map(|e| e.detail.clone()).collect();
        assert_eq!(
            texts,
            [
                "must not have leading 0s",
                "must not be an IPv4-mapped IPv6 address",
                "must be in canonical form (\"fe80::1\")"
            ]
        );
    }

    #[test]
    fn networks_have_no_host_bits() {
        let mut errs = ErrorList::new();
        valid_cidr(&Path::new("c"), "10.0.0.1/8", &Before::default(), &mut errs);
        valid_cidr(&Path::new("c"), "0.0.0.0/0", &Before::default(), &mut errs);
        assert_eq!(errs.len(), 1);
        let net = Cidr::parse("10.0.0.0/8").unwrap();
        assert!(net.contains(IpAddr::from([10, 9, 8, 7])));
        assert!(!net.contains(IpAddr::from([11, 0, 0, 1])));
    }
}
