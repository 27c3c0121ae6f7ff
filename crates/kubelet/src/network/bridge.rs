//! The bridge and the veth pairs, through rtnetlink.
//!
//! The order makes a crash harmless: the host's end joins the bridge last, so an end that is up on the bridge means a
//! sandbox that is wired completely; anything less is torn down and made anew.

use std::net::Ipv4Addr;

use futures::TryStreamExt;
use netlink_packet_route::link::{
    InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkMessage,
};
use rtnetlink::{
    Handle, LinkBridge, LinkBridgePort, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder,
};

use super::Error;
use super::netns::Netns;
use super::subnet::Subnet;

/// The bridge that pods are wired to.
pub struct Bridge {
    name: String,
    // One at a time: two sandboxes starting must not both make the bridge.
    turn: tokio::sync::Mutex<()>,
}

fn failed<T: std::fmt::Display>(what: &str) -> impl FnOnce(T) -> Error {
    move |e| Error::Kernel { what: what.to_owned(), why: e.to_string() }
}

fn is_errno(error: &rtnetlink::Error, errno: nix::errno::Errno) -> bool {
    matches!(error, rtnetlink::Error::NetlinkError(e) if e.raw_code() == -(errno as i32))
}

/// A netlink connection that ends when dropped.
struct Netlink {
    handle: Handle,
    task: tokio::task::JoinHandle<()>,
}

impl Netlink {
    fn open() -> Result<Self, Error> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(failed("open a netlink socket"))?;
        Ok(Self { handle, task: tokio::spawn(connection) })
    }

    async fn link(&self, name: &str) -> Result<Option<LinkMessage>, Error> {
        let mut found = self.handle.link().get().match_name(name.to_owned()).execute();
        match found.try_next().await {
            Ok(link) => Ok(link),
            Err(e) if is_errno(&e, nix::errno::Errno::ENODEV) => Ok(None),
            Err(e) => Err(failed("look for a link")(e)),
        }
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The host's end: a name that says which sandbox it belongs to.
pub fn veth_name(sandbox: &str) -> String {
    format!("veth{}", sandbox.get(..10).unwrap_or(sandbox))
}

impl Bridge {
    /// A bridge of this name; made when first needed.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), turn: tokio::sync::Mutex::default() }
    }

    /// The bridge's index. Makes the bridge and gives it the subnet's first address.
    async fn ensure(&self, netlink: &Netlink, subnet: Subnet) -> Result<u32, Error> {
        let handle = &netlink.handle;
        let index = match netlink.link(&self.name).await? {
            Some(link) => link.header.index,
            None => {
                handle
                    .link()
                    .add(LinkBridge::new(&self.name).build())
                    .execute()
                    .await
                    .map_err(failed("make the bridge"))?;
                let made = netlink.link(&self.name).await?;
                made.map(|l| l.header.index).ok_or_else(|| failed("make the bridge")("it is not there"))?
            }
        };
        self.ensure_address(handle, index, subnet).await?;
        let mut up = LinkUnspec::new_with_index(index).up();
        if subnet.mtu > 0 {
            up = up.mtu(subnet.mtu);
        }
        handle.link().set(up.build()).execute().await.map_err(failed("set the bridge up"))?;
        // Services need the rules to see traffic between two pods of one bridge. Without br_netfilter: no matter here.
        let filter = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(InfoKind::Bridge)
            .index(index)
            .set_info_data(InfoData::Bridge(vec![InfoBridge::NfCallIpTables(true)]))
            .build();
        if let Err(e) = handle.link().change(filter).execute().await {
            tracing::debug!("bridge {}: nf_call_iptables: {e}", self.name);
        }
        Ok(index)
    }

    async fn ensure_address(&self, handle: &Handle, index: u32, subnet: Subnet) -> Result<(), Error> {
        use netlink_packet_route::address::AddressAttribute;
        let mut found = handle.address().get().set_link_index_filter(index).execute();
        let mut present = false;
        let mut foreign = Vec::new();
        while let Some(message) = found.try_next().await.map_err(failed("list the bridge's addresses"))? {
            let address = message.attributes.iter().find_map(|a| match a {
                AddressAttribute::Address(std::net::IpAddr::V4(address)) => Some(*address),
                _ => None,
            });
            match address {
                Some(a) if a == subnet.gateway && message.header.prefix_len == subnet.prefix => {
                    present = true
                }
                // An address of an older lease: its route would catch another node's traffic.
                Some(_) => foreign.push(message),
                None => {}
            }
        }
        for message in foreign {
            handle
                .address()
                .del(message)
                .execute()
                .await
                .map_err(failed("remove the bridge's old address"))?;
        }
        if !present {
            let add = handle.address().add(index, subnet.gateway.into(), subnet.prefix).execute().await;
            match add {
                Err(e) if !is_errno(&e, nix::errno::Errno::EEXIST) => {
                    return Err(failed("give the bridge its address")(e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Wires a sandbox, see the module for the order.
    pub async fn attach(
        &self,
        sandbox: &str,
        pid: u32,
        address: Ipv4Addr,
        subnet: Subnet,
    ) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        let netlink = Netlink::open()?;
        let handle = &netlink.handle;
        let bridge = self.ensure(&netlink, subnet).await?;
        let name = veth_name(sandbox);
        if let Some(link) = netlink.link(&name).await? {
            if is_wired(&link, bridge) {
                return Ok(());
            }
            remove(handle, link.header.index).await;
        }
        let namespace = Netns::of_pid(pid)?;
        // A half-made pair of a killed kubelet may have left its inner end behind.
        let mut peer = LinkUnspec::new_with_name("eth0").setns_by_fd(namespace.fd());
        let mut veth = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth).name(&name);
        if subnet.mtu > 0 {
            peer = peer.mtu(subnet.mtu);
            veth = veth.mtu(subnet.mtu);
        }
        let veth = veth.set_info_data(InfoData::Veth(InfoVeth::Peer(peer.build())));
        handle.link().add(veth.build()).execute().await.map_err(failed("make a veth pair"))?;
        let link = netlink.link(&name).await?.ok_or_else(|| failed("make a veth pair")("it is not there"))?;
        let index = link.header.index;

        let wired = async {
            namespace.run(move || configure_inside(address, subnet)).await?;
            let join = LinkUnspec::new_with_index(index).controller(bridge).build();
            handle.link().set(join).execute().await.map_err(failed("join the bridge"))?;
            let hairpin = LinkBridgePort::new(index).hairpin(true).build();
            handle.link().set_port(hairpin).execute().await.map_err(failed("set hairpin mode"))?;
            let up = LinkUnspec::new_with_index(index).up().build();
            handle.link().set(up).execute().await.map_err(failed("set the veth up"))
        };
        let result = wired.await;
        if result.is_err() {
            remove(handle, index).await;
        }
        result
    }

    /// Removes the host's end. It is mostly gone already, with the sandbox's namespace.
    pub async fn detach(&self, sandbox: &str) {
        let Ok(netlink) = Netlink::open() else { return };
        if let Ok(Some(link)) = netlink.link(&veth_name(sandbox)).await {
            remove(&netlink.handle, link.header.index).await;
        }
    }
}

async fn remove(handle: &Handle, index: u32) {
    if let Err(e) = handle.link().del(index).execute().await {
        tracing::debug!("remove link {index}: {e}");
    }
}

fn is_wired(link: &LinkMessage, bridge: u32) -> bool {
    link.header.flags.contains(LinkFlags::Up)
        && link.attributes.iter().any(|a| matches!(a, LinkAttribute::Controller(index) if *index == bridge))
}

/// In the sandbox's namespace: loopback and eth0 up, address, default route.
async fn configure_inside(address: Ipv4Addr, subnet: Subnet) -> Result<(), Error> {
    let netlink = Netlink::open()?;
    let handle = &netlink.handle;
    let index = |name: &'static str| {
        let netlink = &netlink;
        async move {
            let link = netlink.link(name).await?;
            link.map(|l| l.header.index)
                .ok_or_else(|| failed("look into the pod's namespace")(format!("no {name}")))
        }
    };
    let loopback = index("lo").await?;
    let eth0 = index("eth0").await?;
    for link in [loopback, eth0] {
        let up = LinkUnspec::new_with_index(link).up().build();
        handle.link().set(up).execute().await.map_err(failed("set the pod's links up"))?;
    }
    let add = handle.address().add(eth0, address.into(), subnet.prefix).execute();
    add.await.map_err(failed("give the pod its address"))?;
    let route = RouteMessageBuilder::<Ipv4Addr>::new().gateway(subnet.gateway).build();
    handle.route().add(route).execute().await.map_err(failed("set the pod's default route"))
}
