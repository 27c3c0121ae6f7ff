//! Which interface carries the traffic between hosts (upstream's `pkg/ipmatch/match.go`).

use std::net::Ipv4Addr;

use regex::Regex;

use crate::{
    Error,
    link::{Link, Netlink, Route},
    net::Ipv4Net,
    options::Options,
};

/// The interface and its addresses.
#[derive(Clone, Debug)]
pub(crate) struct ExternalInterface {
    /// The interface.
    pub link: Link,
    /// Its address, the source of packets to other hosts.
    pub addr: Ipv4Addr,
    /// The address under which other hosts reach us.
    pub public_ip: Ipv4Addr,
}

/// The host's interfaces, addresses and routes at one moment.
struct View {
    links: Vec<Link>,
    addresses: Vec<(u32, Ipv4Net)>,
    routes: Vec<Route>,
}

/// Finds the interface that the flags name, or the one with the default route.
pub(crate) async fn find(netlink: &Netlink, options: &Options) -> Result<ExternalInterface, Error> {
    let view = View {
        links: netlink.links().await?,
        addresses: netlink.addresses().await?,
        routes: netlink.routes().await?,
    };
    let (link, addr) = view.choose(options).map_err(Error::Interface)?;
    tracing::info!("Using interface with name {} and address {addr}", link.name);
    let public_ip = match options.public_ip.parse() {
        Ok(public_ip) => {
            tracing::info!("Using {public_ip} as external address");
            public_ip
        }
        Err(_) => {
            tracing::info!("Defaulting external address to interface address ({addr})");
            addr
        }
    };
    Ok(ExternalInterface { link, addr, public_ip })
}

impl View {
    fn choose(&self, options: &Options) -> Result<(Link, Ipv4Addr), String> {
        let given = !options.iface.is_empty()
            || !options.iface_regex.is_empty()
            || !options.iface_can_reach.is_empty();
        if !given {
            if !options.public_ip.is_empty() {
                return self
                    .named(&options.public_ip)
                    .map_err(|err| format!("Failed to find any valid interface to use: {err}"));
            }
            let default = self.route_to(Ipv4Addr::UNSPECIFIED).filter(|route| route.dst.prefix == 0).ok_or(
                "Failed to find any valid interface to use: there is no default route; name one with --iface",
            )?;
            return self.by_index(default.link);
        }
        for iface in &options.iface {
            match self.named(iface) {
                Ok(found) => return Ok(found),
                Err(err) => tracing::info!("Could not find valid interface matching {iface}: {err}"),
            }
        }
        for pattern in &options.iface_regex {
            match self.matching(pattern) {
                Ok(found) => return Ok(found),
                Err(err) => tracing::info!("Could not find valid interface matching {pattern}: {err}"),
            }
        }
        if let Ok(target) = options.iface_can_reach.parse()
            && let Some(route) = self.route_to(target)
        {
            return self.by_index(route.link);
        }
        Err("Failed to find interface to use that matches the interfaces and/or regexes provided".into())
    }

    fn named(&self, name: &str) -> Result<(Link, Ipv4Addr), String> {
        if let Ok(addr) = name.parse::<Ipv4Addr>() {
            let index = self.addresses.iter().find(|(_, net)| net.addr == addr).map(|(index, _)| *index);
            let link = index.and_then(|index| self.links.iter().find(|link| link.index == index));
            return link.map(|link| (link.clone(), addr)).ok_or_else(|| {
                format!("error looking up interface {name}: No interface with given IP found")
            });
        }
        let link = self.links.iter().find(|link| link.name == name);
        let link =
            link.ok_or_else(|| format!("error looking up interface {name}: no such network interface"))?;
        self.by_index(link.index)
    }

    fn matching(&self, pattern: &str) -> Result<(Link, Ipv4Addr), String> {
        let regex = Regex::new(pattern)
            .map_err(|err| format!("could not compile the IP address regex '{pattern}': {err}"))?;
        if let Some((_, net)) = self.addresses.iter().find(|(_, net)| regex.is_match(&net.addr.to_string())) {
            return self.named(&net.addr.to_string());
        }
        let link = self.links.iter().find(|link| regex.is_match(&link.name));
        let names: Vec<&str> = self.links.iter().map(|link| link.name.as_str()).collect();
        let link = link.ok_or_else(|| {
            format!(
                "Could not match pattern {pattern} to any of the available network interfaces ({})",
                names.join(", ")
            )
        })?;
        self.by_index(link.index)
    }

    fn by_index(&self, index: u32) -> Result<(Link, Ipv4Addr), String> {
        let link = self
            .links
            .iter()
            .find(|link| link.index == index)
            .ok_or_else(|| format!("no interface {index}"))?;
        // A link-local address is what an interface has when it has no other.
        let addresses =
            || self.addresses.iter().filter(|(owner, _)| *owner == index).map(|(_, net)| net.addr);
        let addr = addresses().find(|addr| !addr.is_link_local()).or_else(|| addresses().next());
        let addr = addr.ok_or_else(|| format!("failed to find IPv4 address for interface {}", link.name))?;
        Ok((link.clone(), addr))
    }

    fn route_to(&self, target: Ipv4Addr) -> Option<&Route> {
        route_to(&self.routes, target)
    }
}

/// The route that the kernel takes to `target`: the longest prefix, then the lowest metric.
pub(crate) fn route_to(routes: &[Route], target: Ipv4Addr) -> Option<&Route> {
    routes
        .iter()
        .filter(|route| route.dst.contains(target) && route.link > 0)
        .min_by_key(|route| (32 - route.dst.prefix, route.metric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_prefix_then_metric() {
        let route = |dst: &str, link, metric| Route {
            dst: dst.parse().unwrap(),
            gateway: None,
            link,
            metric,
            onlink: false,
        };
        let routes = [route("0.0.0.0/0", 1, 100), route("0.0.0.0/0", 2, 50), route("10.0.0.0/8", 3, 0)];
        let to = |addr: &str| route_to(&routes, addr.parse().unwrap()).unwrap().link;
        assert_eq!((to("8.8.8.8"), to("10.1.1.1"), to("0.0.0.0")), (2, 3, 2));
    }
}
