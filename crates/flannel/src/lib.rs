//! flanneld: a pod network between hosts, as upstream's v0.20.2 makes it with its etcd subnet manager.
//!
//! Each host leases a subnet under `/coreos.com/network/subnets` in etcd and tells the kernel how to reach everybody
//! else's: through a VXLAN device (`vxlan`) or by plain routes (`host-gw`). Keys and values are upstream's, so both
//! implementations can share one network.
//!
//! ```text
//!  etcd ──► registry ──► watch ──► lease table (pure) ──► backend (netlink)
//!             ▲                                             routes, neighbours, fdb
//!             └── manager: acquire, renew          iptables: FLANNEL-FWD, FLANNEL-POSTRTG
//! ```
//!
//! A stopped flanneld leaves device, routes and rules as they are: pods keep talking while it restarts.

#![warn(missing_docs)]

mod backend;
mod config;
mod daemon;
mod health;
mod iface;
mod lease;
mod link;
mod manager;
mod net;
mod options;
mod registry;
mod rules;
mod subnet_file;
mod table;
mod watch;

pub use config::Config;
pub use daemon::run;
pub use lease::{Lease, LeaseAttrs};
pub use net::Ipv4Net;
pub use options::Options;

/// Why flanneld stops.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A flag has a value that cannot be used.
    #[error("invalid --{flag}: {message}")]
    Flag {
        /// The flag's name.
        flag: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The network configuration in etcd cannot be used.
    #[error("network config at {key}: {message}")]
    Config {
        /// The key in etcd.
        key: String,
        /// What is wrong with it.
        message: String,
    },
    /// etcd refused or did not answer.
    #[error("etcd: {0}")]
    Etcd(String),
    /// No interface fits the flags.
    #[error("{0}")]
    Interface(String),
    /// The kernel refused a change to links, addresses or routes.
    #[error("{what}: {message}")]
    Netlink {
        /// What we wanted.
        what: String,
        /// The kernel's answer.
        message: String,
    },
    /// No subnet could be leased.
    #[error("failed to acquire lease: {0}")]
    Lease(String),
    /// The health server could not listen.
    #[error("healthz server on {addr}: {source}")]
    Healthz {
        /// Where it should listen.
        addr: String,
        /// Why it could not.
        source: std::io::Error,
    },
}
