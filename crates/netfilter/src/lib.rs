//! The kernel's packet filter as flanneld and kube-proxy use it: which of the two `iptables` flavours this
//! machine uses, one `iptables-restore --noflush` per change, and checks of single rules.
//!
//! Nothing here knows what the rules mean; that is each caller's own, pure, business.

#![warn(missing_docs)]

mod command;
mod mode;

pub use command::{Error, IpTables};
pub use mode::Mode;
