//! Making leases reachable: `vxlan` (upstream's `backend/vxlan`) and `host-gw` (`backend/hostgw`, `route_network.go`).

use crate::{
    Error,
    config::{self, Config},
    iface::{ExternalInterface, route_to},
    lease::{BackendData, Lease, LeaseAttrs},
    link::{Link, Neighbour, Netlink, Route},
    net::Ipv4Net,
    table::{Change, Table},
};

/// What VXLAN adds to each packet.
const VXLAN_OVERHEAD: u32 = 50;

/// The way to the other hosts' pods.
pub(crate) struct Backend {
    netlink: Netlink,
    external: ExternalInterface,
    kind: Kind,
}

enum Kind {
    Vxlan { device: Link, direct_routing: bool },
    HostGw,
}

impl Backend {
    /// Prepares the backend that the configuration names: for vxlan this makes (or finds) the device.
    pub(crate) async fn prepare(
        netlink: Netlink,
        external: ExternalInterface,
        config: &Config,
    ) -> Result<Self, Error> {
        let kind = match &config.backend {
            config::Backend::HostGw => Kind::HostGw,
            config::Backend::Vxlan(vxlan) => {
                let config::Vxlan { vni, port, gbp, learning, direct_routing } = vxlan;
                tracing::info!(
                    "VXLAN config: VNI={vni} Port={port} GBP={gbp} Learning={learning} DirectRouting={direct_routing}"
                );
                let name = format!("flannel.{vni}");
                let device = netlink.ensure_vxlan(&name, &external.link, external.addr, vxlan).await?;
                // Router advertisements have no business on this device. Not all containers may say so.
                let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/accept_ra"), "0");
                Kind::Vxlan { device, direct_routing: *direct_routing }
            }
        };
        Ok(Self { netlink, external, kind })
    }

    /// What our lease tells the other hosts.
    pub(crate) fn lease_attrs(&self, config: &Config) -> LeaseAttrs {
        let backend_data = match (&self.kind, &config.backend) {
            (Kind::Vxlan { device, .. }, config::Backend::Vxlan(vxlan)) => {
                Some(BackendData { vni: vxlan.vni, vtep_mac: device.mac.unwrap_or_default() })
            }
            _ => None,
        };
        LeaseAttrs {
            public_ip: self.external.public_ip,
            public_ipv6: None,
            backend_type: self.name().to_owned(),
            backend_data,
        }
    }

    /// The MTU for pods.
    pub(crate) fn mtu(&self) -> u32 {
        match self.kind {
            Kind::Vxlan { .. } => self.external.link.mtu.saturating_sub(VXLAN_OVERHEAD),
            Kind::HostGw => self.external.link.mtu,
        }
    }

    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Vxlan { .. } => "vxlan",
            Kind::HostGw => "host-gw",
        }
    }

    /// Takes our subnet into use: the device gets its first address as a /32, so that no broadcast route appears.
    pub(crate) async fn take(&self, subnet: Ipv4Net, network: Ipv4Net) -> Result<(), Error> {
        match &self.kind {
            Kind::Vxlan { device, .. } => {
                self.netlink.configure(device, Ipv4Net::new(subnet.addr, 32), network).await
            }
            Kind::HostGw => Ok(()),
        }
    }

    /// Carries out changes. What fails is said and does not hold up the rest.
    pub(crate) async fn apply(&self, changes: &[Change]) {
        for change in changes {
            let done = match change {
                Change::Added { old, new } => self.add(old.as_ref(), new).await,
                Change::Removed(lease) => self.remove(lease).await,
                Change::OwnRemoved => Ok(()),
            };
            if let Err(err) = done {
                tracing::error!("{err}");
            }
        }
    }

    fn is_ours(&self, lease: &Lease) -> bool {
        let ours = lease.attrs.backend_type == self.name();
        if !ours {
            let kind = &lease.attrs.backend_type;
            tracing::warn!("Ignoring non-{} subnet {}: type={kind}", self.name(), lease.subnet);
        }
        ours
    }

    async fn add(&self, old: Option<&Lease>, lease: &Lease) -> Result<(), Error> {
        if !self.is_ours(lease) {
            return Ok(());
        }
        let public_ip = lease.attrs.public_ip;
        let Kind::Vxlan { device, .. } = &self.kind else {
            tracing::info!("Subnet added: {} via {public_ip}", lease.subnet);
            return self.netlink.replace_route(&self.plain_route(lease)).await;
        };
        if self.is_direct(lease).await? {
            tracing::info!("Adding direct route to subnet: {} PublicIP: {public_ip}", lease.subnet);
            return self.netlink.replace_route(&self.plain_route(lease)).await;
        }
        let (arp, fdb) = entries(lease)?;
        tracing::info!("adding subnet: {} PublicIP: {public_ip} VtepMAC: {}", lease.subnet, arp.mac);
        // The host came back with another device: the old one's forwarding entry would stay forever.
        if let Some((_, stale)) = old.and_then(|old| entries(old).ok())
            && stale.mac != fdb.mac
        {
            self.netlink.delete_fdb(device.index, stale).await?;
        }
        self.netlink.replace_arp(device.index, arp).await?;
        self.netlink.replace_fdb(device.index, fdb).await?;
        // Last, since the kernel would otherwise ask the link for the gateway's address.
        self.netlink.replace_route(&tunnel_route(device, lease)).await
    }

    async fn remove(&self, lease: &Lease) -> Result<(), Error> {
        if !self.is_ours(lease) {
            return Ok(());
        }
        let Kind::Vxlan { device, .. } = &self.kind else {
            tracing::info!("Subnet removed: {}", lease.subnet);
            return self.netlink.delete_route(&self.plain_route(lease)).await;
        };
        let (arp, fdb) = entries(lease)?;
        tracing::info!("removing subnet: {} PublicIP: {} VtepMAC: {}", lease.subnet, fdb.ip, arp.mac);
        // All of them, whatever becomes of the others.
        let results = [
            self.netlink.delete_route(&tunnel_route(device, lease)).await,
            self.netlink.delete_route(&self.plain_route(lease)).await,
            self.netlink.delete_arp(device.index, arp).await,
            self.netlink.delete_fdb(device.index, fdb).await,
        ];
        results.into_iter().collect()
    }

    /// Removes what leases that ended while we were away have left on our device.
    pub(crate) async fn sweep(&self, table: &Table) -> Result<(), Error> {
        let Kind::Vxlan { device, .. } = &self.kind else { return Ok(()) };
        for route in self.netlink.routes().await? {
            let known = table.leases().any(|lease| lease.subnet == route.dst);
            if route.link == device.index && route.gateway.is_some() && !known {
                tracing::info!("removing stale route to {}", route.dst);
                self.netlink.delete_route(&Route { onlink: true, ..route }).await?;
            }
        }
        let (arp, fdb) = self.netlink.neighbours(device.index).await?;
        let known = |entry: &Neighbour, fdb: bool| {
            table
                .leases()
                .filter_map(|lease| entries(lease).ok())
                .any(|(a, f)| *entry == if fdb { f } else { a })
        };
        for entry in arp.into_iter().filter(|entry| !known(entry, false)) {
            self.netlink.delete_arp(device.index, entry).await?;
        }
        for entry in fdb.into_iter().filter(|entry| !known(entry, true)) {
            self.netlink.delete_fdb(device.index, entry).await?;
        }
        Ok(())
    }

    /// Puts back routes that somebody else took away (an interface that went down and up loses its routes).
    pub(crate) async fn check_routes(&self, table: &Table) -> Result<(), Error> {
        let there = self.netlink.routes().await?;
        for lease in table.leases().filter(|lease| lease.attrs.backend_type == self.name()) {
            if there.iter().any(|route| route.dst == lease.subnet) {
                continue;
            }
            self.add(None, lease).await?;
            tracing::info!("Route recovered {} : {}", lease.subnet, lease.attrs.public_ip);
        }
        Ok(())
    }

    fn plain_route(&self, lease: &Lease) -> Route {
        Route {
            dst: lease.subnet,
            gateway: Some(lease.attrs.public_ip),
            link: self.external.link.index,
            metric: 0,
            onlink: false,
        }
    }

    /// Whether the host is on a link of ours, so that no tunnel is needed (vxlan with DirectRouting).
    async fn is_direct(&self, lease: &Lease) -> Result<bool, Error> {
        match self.kind {
            Kind::Vxlan { direct_routing: true, .. } => {
                let routes = self.netlink.routes().await?;
                Ok(route_to(&routes, lease.attrs.public_ip).is_some_and(|route| route.gateway.is_none()))
            }
            _ => Ok(false),
        }
    }
}

fn tunnel_route(device: &Link, lease: &Lease) -> Route {
    Route { dst: lease.subnet, gateway: Some(lease.subnet.addr), link: device.index, metric: 0, onlink: true }
}

/// The ARP entry (the subnet's own address) and the forwarding entry (the host's address) of a vxlan lease.
fn entries(lease: &Lease) -> Result<(Neighbour, Neighbour), Error> {
    let mac = lease.attrs.backend_data.as_ref().map(|data| data.vtep_mac).ok_or_else(|| Error::Netlink {
        what: format!("subnet {}", lease.subnet),
        message: "error decoding subnet lease JSON: no BackendData.VtepMAC".into(),
    })?;
    Ok((Neighbour { ip: lease.subnet.addr, mac }, Neighbour { ip: lease.attrs.public_ip, mac }))
}
