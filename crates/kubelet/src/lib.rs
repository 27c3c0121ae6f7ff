//! kubelet: the node agent. It runs the pods that are bound to its node as containers of a Docker engine, under
//! dockershim's names, wires them to a bridge in flannel's subnet and reports what became of them.
//!
//! - [`manager`] hands news to one [`worker`] per pod;
//! - [`pod`] is pure: from a pod and what Docker has of it to the next steps and to its status;
//! - [`runtime`], [`network`], [`volumes`], [`images`], [`probe`] do the work;
//! - [`node`] keeps the Node object, [`server`] answers the API server's questions;
//! - [`run()`] puts it all together.

pub mod config;
pub mod context;
mod error;
pub mod hollow;
pub mod images;
pub mod labels;
pub mod manager;
pub mod network;
pub mod node;
pub mod options;
pub mod pod;
pub mod privileges;
pub mod probe;
pub mod quantity;
mod run;
pub mod runtime;
pub mod server;
pub mod volumes;
pub mod worker;

pub use error::Error;
pub use options::Options;
pub use run::run;
