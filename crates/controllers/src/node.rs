//! Nodes that fall silent, the taints they get, and the pods that leave them (upstream's `pkg/controller/nodelifecycle`,
//! `tainteviction` and `podgc`).

pub mod eviction;
pub mod health;
pub mod podgc;
pub(crate) mod taints;
