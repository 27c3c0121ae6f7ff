//! kube-proxy in iptables mode: services as rules in the kernel.
//!
//! ```text
//!  informers ──► changed services ──► model ──► rules (pure) ──► sync: what differs from what the kernel has
//!  services,                                                          │
//!  endpoint slices                                one iptables-restore --noflush per change
//! ```
//!
//! The rules are upstream 1.36's (`pkg/proxy/iptables/proxier.go`), with the names that v1.10 gave to services with one
//! unnamed port (`default/nginx:`), so that chain names and comments read as in older books.
//! Only chains of ours are written; other people's chains stay as they are. A stopped kube-proxy leaves its rules.

#![warn(missing_docs)]

mod chains;
mod config;
mod conntrack;
mod daemon;
mod endpoints;
mod model;
mod options;
mod rules;
mod sync;
mod sysctl;
mod views;

pub use daemon::run;
pub use model::{Cidr, Endpoint, ServicePort};
pub use options::Options;
pub use rules::{Chain, Context, Rules, ServiceRules, rules, service_rules};

/// Why kube-proxy stops.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A flag or a field of the configuration file has a value that cannot be used.
    #[error("{field}: {message}")]
    Config {
        /// The flag or field.
        field: String,
        /// What is wrong with it.
        message: String,
    },
    /// No way to the API server can be made out of the flags.
    #[error(transparent)]
    Connect(#[from] client::ConnectError),
    /// The iptables programs are missing or refuse.
    #[error(transparent)]
    Netfilter(#[from] netfilter::Error),
    /// The health server could not listen.
    #[error(transparent)]
    Healthz(#[from] component_base::healthz::Error),
}
