//! Forgetting UDP flows whose endpoint is gone (upstream's `pkg/proxy/conntrack`).
//!
//! The kernel decides about an endpoint once per flow. A TCP connection ends with its pod; a UDP flow that keeps
//! sending from one port would go to an address that is gone for as long as it sends.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::{Ipv4Addr, SocketAddrV4},
};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

const UDP: u8 = 17;

/// `NFNL_SUBSYS_CTNETLINK << 8`, with `IPCTNL_MSG_CT_NEW`, `_GET` and `_DELETE`.
const MSG_NEW: u16 = 0x100;
const MSG_GET: u16 = 0x101;
const MSG_DELETE: u16 = 0x102;
const MSG_ERROR: u16 = 2;
const MSG_DONE: u16 = 3;

const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const DUMP: u16 = 0x300;

const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const ATTR_TYPE_MASK: u16 = 0x3fff;

const NETLINK_HEADER: usize = 16;
const NETFILTER_HEADER: usize = 4;

/// Which endpoints UDP services lead to now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UdpServices {
    /// By the service's address and port.
    pub(crate) by_address: HashMap<SocketAddrV4, HashSet<SocketAddrV4>>,
    /// By node port.
    pub(crate) by_node_port: HashMap<u16, HashSet<SocketAddrV4>>,
}

impl UdpServices {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_address.is_empty() && self.by_node_port.is_empty()
    }

    /// Whether the flow goes to a service but to none of its endpoints.
    fn is_stale(&self, flow: &Flow) -> bool {
        let target = SocketAddrV4::new(flow.orig.dst, flow.orig.dst_port);
        let endpoint = SocketAddrV4::new(flow.reply.src, flow.reply.src_port);
        // Not through a service's rules, but to a process of the node: none of ours.
        let wrong = |endpoints: &HashSet<SocketAddrV4>| !endpoints.contains(&endpoint);
        self.by_address.get(&target).is_some_and(wrong)
            || (self.by_node_port.get(&flow.orig.dst_port).is_some_and(wrong))
    }
}

/// One direction of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tuple {
    src: Ipv4Addr,
    dst: Ipv4Addr,
    protocol: u8,
    src_port: u16,
    dst_port: u16,
}

/// A tracked flow.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Flow {
    orig: Tuple,
    reply: Tuple,
    /// The attribute that names the flow to the kernel, as it came.
    name: Vec<u8>,
}

/// Deletes stale flows and says how many.
pub(crate) fn clean(services: &UdpServices) -> io::Result<usize> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    let kernel = SocketAddr::new(0, 0);
    socket.send_to(&message(MSG_GET, REQUEST | DUMP, &[]), &kernel, 0)?;
    let mut stale = Vec::new();
    'dump: loop {
        let (data, _) = socket.recv_from_full()?;
        for (kind, body) in messages(&data) {
            match kind {
                MSG_NEW => stale.extend(flow(body).filter(|flow| services.is_stale(flow))),
                MSG_DONE => break 'dump,
                MSG_ERROR => return Err(error(body)),
                _ => {}
            }
        }
    }
    for flow in &stale {
        socket.send_to(&message(MSG_DELETE, REQUEST | ACK, &flow.name), &kernel, 0)?;
        let (data, _) = socket.recv_from_full()?;
        if let Some((MSG_ERROR, body)) = messages(&data).next() {
            let err = error(body);
            // 0 is the acknowledgement, ENOENT a flow that ended by itself.
            if !matches!(err.raw_os_error(), Some(0 | 2)) {
                return Err(err);
            }
        }
    }
    Ok(stale.len())
}

/// A request about IPv4 flows.
fn message(kind: u16, flags: u16, attributes: &[u8]) -> Vec<u8> {
    const AF_INET: u8 = 2;
    let length = u32::try_from(NETLINK_HEADER + NETFILTER_HEADER + attributes.len()).unwrap_or(0);
    let mut message = Vec::new();
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]); // sequence number and port: there is one conversation
    message.extend([AF_INET, 0, 0, 0]);
    message.extend(attributes);
    message
}

/// The messages in what was received: type and body.
fn messages(mut data: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(data.get(..4)?.try_into().ok()?)).ok()?;
        let kind = u16::from_ne_bytes(data.get(4..6)?.try_into().ok()?);
        let body = data.get(NETLINK_HEADER..length)?;
        data = data.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

fn error(body: &[u8]) -> io::Error {
    let code = body.get(..4).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_ne_bytes);
    io::Error::from_raw_os_error(-code)
}

/// The attributes in `data`: type, value, and both together as they stand there.
fn attributes(mut data: &[u8]) -> impl Iterator<Item = (u16, &[u8], &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(data.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(data.get(2..4)?.try_into().ok()?) & ATTR_TYPE_MASK;
        let value = data.get(4..length)?;
        let whole = &data[..length];
        data = data.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value, whole))
    })
}

/// Reads a flow; `None` when it is not IPv4 and UDP.
fn flow(body: &[u8]) -> Option<Flow> {
    let (mut orig, mut reply, mut name) = (None, None, Vec::new());
    for (kind, value, whole) in attributes(body.get(NETFILTER_HEADER..)?) {
        match kind {
            TUPLE_ORIG => {
                orig = tuple(value);
                name = whole.to_vec();
            }
            TUPLE_REPLY => reply = tuple(value),
            _ => {}
        }
    }
    Some(Flow { orig: orig?, reply: reply?, name })
}

fn tuple(data: &[u8]) -> Option<Tuple> {
    let (mut src, mut dst, mut protocol, mut src_port, mut dst_port) = (None, None, None, 0, 0);
    let address = |value: &[u8]| <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from);
    let port = |value: &[u8]| <[u8; 2]>::try_from(value).ok().map_or(0, u16::from_be_bytes);
    for (kind, nested, _) in attributes(data) {
        for (field, value, _) in attributes(nested) {
            match (kind, field) {
                (1, 1) => src = address(value),
                (1, 2) => dst = address(value),
                (2, 1) => protocol = value.first().copied(),
                (2, 2) => src_port = port(value),
                (2, 3) => dst_port = port(value),
                _ => {}
            }
        }
    }
    let protocol = protocol.filter(|protocol| *protocol == UDP)?;
    Some(Tuple { src: src?, dst: dst?, protocol, src_port, dst_port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(value.len() + 4).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn tuple_bytes(kind: u16, src: [u8; 4], dst: [u8; 4], src_port: u16, dst_port: u16) -> Vec<u8> {
        const NESTED: u16 = 0x8000;
        let ip = [attribute(1, &src), attribute(2, &dst)].concat();
        let ports = [
            attribute(1, &[UDP]),
            attribute(2, &src_port.to_be_bytes()),
            attribute(3, &dst_port.to_be_bytes()),
        ];
        let both = [attribute(NESTED | 1, &ip), attribute(NESTED | 2, &ports.concat())].concat();
        attribute(NESTED | kind, &both)
    }

    #[test]
    fn a_flow_is_read_and_judged() {
        let orig = tuple_bytes(TUPLE_ORIG, [10, 5, 1, 9], [10, 0, 0, 10], 4000, 53);
        let reply = tuple_bytes(TUPLE_REPLY, [10, 5, 1, 2], [10, 5, 1, 9], 5353, 4000);
        let body = [vec![2, 0, 0, 0], orig.clone(), attribute(9, &[1]), reply].concat();
        let flow = flow(&body).unwrap();
        assert_eq!((flow.orig.dst_port, flow.reply.src), (53, Ipv4Addr::new(10, 5, 1, 2)));
        assert_eq!(flow.name, orig);
        let endpoint = |last| SocketAddrV4::new(Ipv4Addr::new(10, 5, 1, last), 5353);
        let service = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 10), 53);
        let services = |last| UdpServices {
            by_address: HashMap::from([(service, HashSet::from([endpoint(last)]))]),
            by_node_port: HashMap::new(),
        };
        assert!(!services(2).is_stale(&flow) && services(3).is_stale(&flow));
        assert!(!UdpServices::default().is_stale(&flow));
    }

    #[test]
    fn cut_messages_end_the_reading() {
        let whole = message(MSG_GET, REQUEST, &[1, 2, 3]);
        assert_eq!(messages(&whole).count(), 1);
        for end in 0..whole.len() {
            assert_eq!(messages(&whole[..end]).count(), 0, "{end}");
        }
        assert_eq!(flow(&[]), None);
        assert_eq!(attributes(&[9, 0, 1, 0, 1]).count(), 0);
    }
}
