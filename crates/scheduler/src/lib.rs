//! kube-scheduler: finds a node for each pod that has none.
//!
//! ```text
//!  informers ──► cluster (nodes with their pods) ◄── assumed pods
//!      │                    │
//!      ▼                    ▼
//!   queue ──► schedule(pod, cluster) ──► bind, in the background ──► failed: forget, try again
//!  active,      pure: filters, scores          │
//!  backoff,                                    └──► events, conditions
//!  unschedulable ◄── no node fits: preempt or wait for an event that could help
//! ```
//!
//! One task owns cluster and queue: no locks, no snapshots to copy. Reasons and event texts are upstream 1.36's.

#![warn(missing_docs)]

pub mod cluster;
mod engine;
pub mod nominated;
mod options;
pub mod plugins;
pub mod pod;
mod preempt;
mod quantity;
mod queue;
pub mod resources;
mod run;
pub mod schedule;
pub mod selector;
pub mod views;

pub use options::Options;
pub use run::{Error, run, run_with};
