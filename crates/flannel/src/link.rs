//! The kernel's links, addresses, routes and neighbours, over netlink.

use std::net::{IpAddr, Ipv4Addr};

use futures::{StreamExt, TryStreamExt};
use netlink_packet_route::{
    AddressFamily,
    address::AddressAttribute,
    link::{InfoData, InfoVxlan, LinkAttribute, LinkInfo, LinkMessage},
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState},
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteType},
};
use rtnetlink::{Handle, LinkUnspec, LinkVxlan, RouteMessageBuilder};

use crate::{Error, config::Vxlan, lease::Mac, net::Ipv4Net};

/// The main routing table.
const TABLE_MAIN: u32 = 254;

/// A network interface.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// The kernel's number for it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its MTU.
    pub mtu: u32,
    /// Its hardware address.
    pub mac: Option<Mac>,
    vxlan: Option<Vec<InfoVxlan>>,
}

/// An IPv4 route of the main table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// Where to.
    pub dst: Ipv4Net,
    /// Over which host; none is on the link itself.
    pub gateway: Option<Ipv4Addr>,
    /// Over which link; 0 lets the kernel find it.
    pub link: u32,
    /// Lower is preferred.
    pub metric: u32,
    /// Take the gateway's being on the link for granted.
    pub onlink: bool,
}

/// An entry of a link's neighbour or forwarding table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neighbour {
    /// The address: of a pod network for ARP, of a host for forwarding.
    pub ip: Ipv4Addr,
    /// The hardware address.
    pub mac: Mac,
}

/// A netlink connection.
#[derive(Clone)]
pub(crate) struct Netlink {
    handle: Handle,
}

fn failed(what: impl Into<String>) -> impl FnOnce(rtnetlink::Error) -> Error {
    let what = what.into();
    move |err| {
        let message = match err {
            rtnetlink::Error::NetlinkError(message) => message.to_io().to_string(),
            other => other.to_string(),
        };
        Error::Netlink { what, message }
    }
}

fn errno(err: &rtnetlink::Error) -> Option<i32> {
    match err {
        rtnetlink::Error::NetlinkError(message) => message.to_io().raw_os_error(),
        _ => None,
    }
}

/// What the kernel says about a thing that is not there (ENOENT, ENODEV, ESRCH): deleting it has succeeded.
fn absent(err: &rtnetlink::Error) -> bool {
    matches!(errno(err), Some(2 | 19 | 3))
}

impl Netlink {
    /// Opens a connection in this process's network namespace.
    pub(crate) fn open() -> Result<Self, Error> {
        let (connection, handle, _) = rtnetlink::new_connection()
            .map_err(|err| Error::Netlink { what: "open netlink".into(), message: err.to_string() })?;
        tokio::spawn(connection);
        Ok(Self { handle })
    }

    /// All links.
    pub(crate) async fn links(&self) -> Result<Vec<Link>, Error> {
        let stream = self.handle.link().get().execute();
        stream.map_ok(link).try_collect().await.map_err(failed("list links"))
    }

    /// The link of that name.
    pub(crate) async fn link(&self, name: &str) -> Result<Option<Link>, Error> {
        let mut stream = std::pin::pin!(self.handle.link().get().match_name(name.to_owned()).execute());
        match stream.next().await {
            Some(Ok(message)) => Ok(Some(link(message))),
            Some(Err(err)) if absent(&err) => Ok(None),
            Some(Err(err)) => Err(failed(format!("look up link {name}"))(err)),
            None => Ok(None),
        }
    }

    /// All IPv4 addresses with the link that has them.
    pub(crate) async fn addresses(&self) -> Result<Vec<(u32, Ipv4Net)>, Error> {
        let messages: Vec<_> =
            self.handle.address().get().execute().try_collect().await.map_err(failed("list addresses"))?;
        Ok(messages
            .into_iter()
            .filter_map(|message| {
                let local = message.attributes.iter().find_map(|attribute| match attribute {
                    AddressAttribute::Local(IpAddr::V4(addr)) => Some(*addr),
                    _ => None,
                });
                let any = || {
                    message.attributes.iter().find_map(|attribute| match attribute {
                        AddressAttribute::Address(IpAddr::V4(addr)) => Some(*addr),
                        _ => None,
                    })
                };
                Some((message.header.index, Ipv4Net::new(local.or_else(any)?, message.header.prefix_len)))
            })
            .collect())
    }

    /// Gives `link` exactly `addr` among the addresses inside `network`, and sets it up.
    pub(crate) async fn configure(&self, link: &Link, addr: Ipv4Net, network: Ipv4Net) -> Result<(), Error> {
        let name = &link.name;
        let mut there = false;
        let messages: Vec<_> = self
            .handle
            .address()
            .get()
            .set_link_index_filter(link.index)
            .execute()
            .try_collect()
            .await
            .map_err(failed(format!("list addresses of {name}")))?;
        for message in messages {
            let Some(IpAddr::V4(found)) = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Local(addr) => Some(*addr),
                _ => None,
            }) else {
                continue;
            };
            if found == addr.addr && message.header.prefix_len == addr.prefix {
                there = true;
            } else if network.contains(found) {
                self.handle
                    .address()
                    .del(message)
                    .execute()
                    .await
                    .map_err(failed(format!("remove address {found} from {name}")))?;
                tracing::info!("removed IP address {found} from {name}");
            }
        }
        if !there {
            let add = self.handle.address().add(link.index, IpAddr::V4(addr.addr), addr.prefix).execute();
            add.await.map_err(failed(format!("add address {addr} to {name}")))?;
        }
        let up = LinkUnspec::new_with_index(link.index).up().build();
        self.handle.link().set(up).execute().await.map_err(failed(format!("set {name} up")))
    }

    /// The VXLAN device `name` on top of `below`: the one that exists if it fits, else a new one.
    pub(crate) async fn ensure_vxlan(
        &self,
        name: &str,
        below: &Link,
        local: Ipv4Addr,
        vxlan: &Vxlan,
    ) -> Result<Link, Error> {
        if let Some(existing) = self.link(name).await? {
            match incompatible(&existing, below, local, vxlan) {
                None => return Ok(existing),
                Some(why) => {
                    tracing::warn!(
                        "{name:?} already exists with incompatible configuration: {why}; recreating device"
                    );
                    self.handle
                        .link()
                        .del(existing.index)
                        .execute()
                        .await
                        .map_err(failed(format!("delete link {name}")))?;
                }
            }
        }
        // An address of our own making: one that the kernel makes may be changed by udev later.
        let mut message = LinkVxlan::new(name, vxlan.vni)
            .dev(below.index)
            .local(local)
            .learning(vxlan.learning)
            .address(random_mac().0.to_vec());
        if vxlan.port > 0 {
            message = message.port(vxlan.port);
        }
        if vxlan.gbp {
            message = message.append_info_data(InfoVxlan::Gbp);
        }
        let create = self.handle.link().add(message.build()).execute();
        create.await.map_err(failed(format!("create vxlan device {name}")))?;
        self.link(name).await?.ok_or_else(|| Error::Netlink {
            what: format!("create vxlan device {name}"),
            message: "it is gone again".into(),
        })
    }

    /// The IPv4 routes of the main table.
    pub(crate) async fn routes(&self) -> Result<Vec<Route>, Error> {
        let all = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let messages: Vec<RouteMessage> =
            self.handle.route().get(all).execute().try_collect().await.map_err(failed("list routes"))?;
        Ok(messages.iter().filter_map(route).collect())
    }

    /// Adds the route, in place of another to the same destination.
    pub(crate) async fn replace_route(&self, route: &Route) -> Result<(), Error> {
        let request = self.handle.route().add(route_message(route)).replace().execute();
        request.await.map_err(failed(format!("add route to {}", route.dst)))
    }

    /// Deletes the route, if it is there.
    pub(crate) async fn delete_route(&self, route: &Route) -> Result<(), Error> {
        match self.handle.route().del(route_message(route)).execute().await {
            Err(err) if !absent(&err) => Err(failed(format!("delete route to {}", route.dst))(err)),
            _ => Ok(()),
        }
    }

    /// Tells `link` the hardware address behind a pod network's address.
    pub(crate) async fn replace_arp(&self, link: u32, entry: Neighbour) -> Result<(), Error> {
        self.handle
            .neighbours()
            .add(link, IpAddr::V4(entry.ip))
            .link_layer_address(&entry.mac.0)
            .kind(RouteType::Unicast)
            .replace()
            .execute()
            .await
            .map_err(failed(format!("add neighbour {}", entry.ip)))
    }

    /// Tells the VXLAN device behind which host a hardware address is.
    pub(crate) async fn replace_fdb(&self, link: u32, entry: Neighbour) -> Result<(), Error> {
        self.handle
            .neighbours()
            .add_bridge(link, &entry.mac.0)
            .destination(IpAddr::V4(entry.ip))
            .flags(NeighbourFlags::Own)
            .replace()
            .execute()
            .await
            .map_err(failed(format!("add forwarding entry {} to {}", entry.mac, entry.ip)))
    }

    /// Undoes [`Netlink::replace_arp`].
    pub(crate) async fn delete_arp(&self, link: u32, entry: Neighbour) -> Result<(), Error> {
        self.delete_neighbour(neighbour(AddressFamily::Inet, link, entry), entry).await
    }

    /// Undoes [`Netlink::replace_fdb`].
    pub(crate) async fn delete_fdb(&self, link: u32, entry: Neighbour) -> Result<(), Error> {
        self.delete_neighbour(neighbour(AddressFamily::Bridge, link, entry), entry).await
    }

    async fn delete_neighbour(&self, message: NeighbourMessage, entry: Neighbour) -> Result<(), Error> {
        match self.handle.neighbours().del(message).execute().await {
            Err(err) if !absent(&err) => {
                Err(failed(format!("delete neighbour {} {}", entry.ip, entry.mac))(err))
            }
            _ => Ok(()),
        }
    }

    /// The permanent entries of a link: ARP ones and forwarding ones.
    pub(crate) async fn neighbours(&self, link: u32) -> Result<(Vec<Neighbour>, Vec<Neighbour>), Error> {
        let (mut arp, mut fdb) = (Vec::new(), Vec::new());
        for family in [AddressFamily::Inet, AddressFamily::Bridge] {
            let mut get = self.handle.neighbours().get();
            get.message_mut().header.family = family;
            let messages: Vec<NeighbourMessage> =
                get.execute().try_collect().await.map_err(failed("list neighbours"))?;
            for message in messages {
                if message.header.ifindex != link || message.header.state != NeighbourState::Permanent {
                    continue;
                }
                let Some(entry) = parse_neighbour(&message) else { continue };
                if message.header.family == AddressFamily::Bridge { fdb.push(entry) } else { arp.push(entry) }
            }
        }
        Ok((arp, fdb))
    }
}

fn link(message: LinkMessage) -> Link {
    let mut link = Link { index: message.header.index, name: String::new(), mtu: 0, mac: None, vxlan: None };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Address(bytes) => link.mac = Mac::from_slice(&bytes),
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    if let LinkInfo::Data(InfoData::Vxlan(data)) = info {
                        link.vxlan = Some(data);
                    }
                }
            }
            _ => {}
        }
    }
    link
}

/// Why an existing device cannot serve (upstream's `vxlanLinksIncompat`).
fn incompatible(existing: &Link, below: &Link, local: Ipv4Addr, wanted: &Vxlan) -> Option<String> {
    let Some(data) = &existing.vxlan else { return Some("link type: not vxlan".into()) };
    for info in data {
        match info {
            InfoVxlan::Id(id) if *id != wanted.vni => return Some(format!("vni: {} vs {id}", wanted.vni)),
            InfoVxlan::Link(index) if *index != below.index => {
                return Some(format!("vtep (external) interface: {} vs {index}", below.index));
            }
            InfoVxlan::Local(addr) if *addr != local => {
                return Some(format!("vtep (external) IP: {local} vs {addr}"));
            }
            InfoVxlan::Port(port) if wanted.port > 0 && *port != wanted.port => {
                return Some(format!("port: {} vs {port}", wanted.port));
            }
            InfoVxlan::L2Miss(true) => return Some("l2miss: false vs true".into()),
            _ => {}
        }
    }
    let gbp = data.iter().any(|info| matches!(info, InfoVxlan::Gbp));
    (gbp != wanted.gbp).then(|| format!("gbp: {} vs {gbp}", wanted.gbp))
}

fn random_mac() -> Mac {
    let [a, b, c, d, e, f, ..] = component_base::rand::u64().to_be_bytes();
    // Locally administered, not multicast.
    Mac([(a & 0xfe) | 0x02, b, c, d, e, f])
}

fn route(message: &RouteMessage) -> Option<Route> {
    let mut table = u32::from(message.header.table);
    let mut route = Route {
        dst: Ipv4Net::new(Ipv4Addr::UNSPECIFIED, message.header.destination_prefix_length),
        gateway: None,
        link: 0,
        metric: 0,
        onlink: false,
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(addr)) => route.dst.addr = *addr,
            RouteAttribute::Gateway(RouteAddress::Inet(addr)) => route.gateway = Some(*addr),
            RouteAttribute::Oif(index) => route.link = *index,
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::Table(id) => table = *id,
            _ => {}
        }
    }
    let unicast = message.header.kind == RouteType::Unicast;
    (table == TABLE_MAIN && unicast && message.header.address_family == AddressFamily::Inet).then_some(route)
}

fn route_message(route: &Route) -> RouteMessage {
    let mut builder = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(route.dst.addr, route.dst.prefix)
        .protocol(RouteProtocol::Boot);
    if route.link > 0 {
        builder = builder.output_interface(route.link);
    }
    if let Some(gateway) = route.gateway {
        builder = builder.gateway(gateway);
    }
    if route.onlink {
        builder = builder.onlink();
    }
    builder.build()
}

fn neighbour(family: AddressFamily, link: u32, entry: Neighbour) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family;
    message.header.ifindex = link;
    message.header.state = NeighbourState::Permanent;
    if family == AddressFamily::Bridge {
        message.header.flags = NeighbourFlags::Own;
    }
    message.attributes = vec![
        NeighbourAttribute::Destination(NeighbourAddress::Inet(entry.ip)),
        NeighbourAttribute::LinkLayerAddress(entry.mac.0.to_vec()),
    ];
    message
}

fn parse_neighbour(message: &NeighbourMessage) -> Option<Neighbour> {
    let (mut ip, mut mac) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(addr)) => ip = Some(*addr),
            // In the bridge family the address comes as bytes.
            NeighbourAttribute::Destination(NeighbourAddress::Other(bytes)) => {
                ip = <[u8; 4]>::try_from(bytes.as_slice()).ok().map(Ipv4Addr::from);
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = Mac::from_slice(bytes),
            _ => {}
        }
    }
    Some(Neighbour { ip: ip?, mac: mac? })
}
