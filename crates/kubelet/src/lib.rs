//! kubelet: the node agent. It runs the pods that are bound to its node as containers of a Docker engine, under
//! dockershim's names, wires them to a bridge in flannel's subnet and reports what became of them.

pub mod config;
mod error;
pub mod images;
pub mod labels;
pub mod network;
pub mod options;
pub mod pod;
pub mod quantity;
pub mod runtime;
pub mod volumes;

pub use error::Error;
pub use options::Options;
